// A click on a heading sorts its table by that column, another one the other way round.
"use strict";

(() => {
  const RAISED = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹";

  // The number that a cell begins with: "−0.2 (−0.5 to 0.1)", "18,810,670", "3.9 × 10⁻⁴", "51 %".
  function number(text) {
    const found = text.match(/^([−+-]?[\d,]*\.?\d+)(?:\s×\s10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?/);
    if (!found) return NaN;
    const power = [...(found[2] ?? "")].map((c) => "-0123456789"[RAISED.indexOf(c)]).join("");
    return Number(found[1].replaceAll(",", "").replace("−", "-")) * 10 ** Number(power);
  }

  function sort(table, column, down) {
    const rows = [...table.tBodies[0].rows];
    const texts = new Map(rows.map((row) => [row, row.cells[column].textContent.trim()]));
    const empty = (row) => ["", "–"].includes(texts.get(row)); // always last
    const numeric = rows.every((row) => empty(row) || !Number.isNaN(number(texts.get(row))));
    const order = (a, b) =>
      numeric ? number(a) - number(b) : a.localeCompare(b, undefined, { numeric: true });
    rows.sort((a, b) =>
      empty(a) - empty(b) || (empty(a) ? 0 : (down ? -1 : 1) * order(texts.get(a), texts.get(b))),
    );
    table.tBodies[0].append(...rows);
  }

  function makeSortable(table) {
    const headings = [...(table.tHead?.rows[0]?.cells ?? [])];
    const rows = [...(table.tBodies[0]?.rows ?? [])];
    const regular = table.tHead?.rows.length === 1 && table.tBodies.length === 1
      && rows.every((row) => row.cells.length === headings.length);
    if (!regular || rows.length < 3) return;
    headings.forEach((heading, column) => {
      if (!heading.textContent.trim()) return;
      const button = document.createElement("button");
      button.className = "sort";
      button.type = "button";
      if (heading.querySelector(".math")) // which becomes a picture
        button.setAttribute("aria-label", heading.textContent.trim().replace(/[\\()]/g, ""));
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const down = heading.ariaSort === "ascending";
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("article table.table, article .cell_output table").forEach(makeSortable);
  });
})();
