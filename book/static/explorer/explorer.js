// The explorer of the first page: filters in; a plot, a table of runs and one run's details out.
"use strict";

(() => {
  const runs = window.fsRuns;
  const byId = (id) => document.getElementById(`runs-${id}`);
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  const AXES = {
    spikes: "spikes per neuron",
    synops: "synaptic operations per multiplication of the ANN",
    energy: "energy by counts, SNN / ANN",
    K: "time steps K of a neuron",
    latency: "time steps through the network",
  };
  const FILTERS = ["network", "kind", "weights", "simulator"];
  const START = { x: "spikes", most: "5", ...Object.fromEntries(FILTERS.map((f) => [f, ""])), run: "" };
  const KINDS = [
    "binary, as published", "binary, calibrated", "mixed radix", "floating point",
    "Huffman and other words", "tables and rates",
  ];
  const COLOURS = { // told apart by those who see few colours, on white and on black
    light: ["#b3261e", "#b26a00", "#1f6feb", "#00796b", "#7b3fa0", "#5f6b76"],
    dark: ["#ff8a80", "#ffb74d", "#79b8ff", "#4dd0b5", "#d2a8ff", "#b0bac4"],
  };
  const TICKS = [ // near enough for any range of a logarithmic axis
    0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100,
    150, 200, 300, 500, 700, 1000,
  ];
  const SYMBOLS = { "training-free": "circle", refitted: "square", calibrated: "diamond", "fine-tuned": "star" };

  const fixed = (number, digits) => number.toFixed(digits).replace("-", "−");
  const shown = (number, digits = 3) => (number === null ? "not recorded" : fixed(number, digits));
  const lossOf = (run) => `${fixed(run.loss, 2)} (${fixed(run.low, 2)} to ${fixed(run.high, 2)})`;

  // ---- the state: what the controls and the address say

  let state = { ...START };

  function readAddress() {
    const said = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const allowed = (key, value) => {
      if (key === "run") return runs.some((run) => run.id === value);
      return [...byId(key).options].some((option) => option.value === value);
    };
    state = { ...START };
    const known = Object.entries(said).filter(([key]) => key in START);
    for (const [key, value] of known) if (allowed(key, value)) state[key] = value;
    const unknown = known.filter(([key, value]) => !allowed(key, value));
    byId("unknown").textContent = unknown.length
      ? `There is ${unknown.map(([key, value]) => `no ${key} ${value}`).join("; ")}; all are shown.` : "";
    return known.length > 0;
  }

  function writeAddress() {
    const changed = Object.entries(state).filter(([key, value]) => value !== START[key]);
    const hash = new URLSearchParams(changed).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  const chosen = () => runs
    .filter((run) => FILTERS.every((key) => !state[key] || run[key] === state[key]))
    .filter((run) => run[state.x] !== null && run.loss <= Number(state.most))
    .sort((a, b) => a[state.x] - b[state.x]);

  // ---- the plot

  function draw(found) {
    const style = getComputedStyle(document.body);
    const ink = style.getPropertyValue("--pst-color-text-base").trim() || "#222";
    const line = style.getPropertyValue("--pst-color-border").trim() || "#ccc";
    const colours = COLOURS[document.documentElement.dataset.theme === "dark" ? "dark" : "light"];
    const narrow = byId("plot").clientWidth < 560;
    const traces = KINDS.map((kind, i) => {
      const those = found.filter((run) => run.kind === kind);
      return {
        type: "scatter", mode: "markers", legendgroup: kind, showlegend: false,
        x: those.map((run) => run[state.x]), y: those.map((run) => run.loss),
        error_y: {
          type: "data", symmetric: false, thickness: 1, width: 0, color: `${colours[i]}66`,
          array: those.map((run) => run.high - run.loss),
          arrayminus: those.map((run) => run.loss - run.low),
        },
        customdata: those.map((run) => run.id),
        text: those.map((run) => [
          `<b>${run.network}</b>: ${run.code}`, `${run.weights}, K = ${run.K}, in ${run.simulator}`,
          `${lossOf(run)} points below the ANN`, `${AXES[state.x]}: ${shown(run[state.x])}`,
        ].join("<br>")),
        hovertemplate: "%{text}<extra></extra>",
        marker: {
          color: colours[i],
          size: those.map((run) => (run.id === state.run ? 16 : 8)),
          symbol: those.map((run) => SYMBOLS[run.weights]),
          line: { width: those.map((run) => (run.id === state.run ? 2 : 0)), color: ink },
        },
      };
    }).filter((trace) => trace.x.length);
    const legend = KINDS.map((name, i) => ({ // a disc for each, whatever its first mark is
      type: "scatter", mode: "markers", name, legendgroup: name, x: [null], y: [null],
      marker: { color: colours[i], size: 8 },
    })).filter(({ name }) => traces.some((trace) => trace.legendgroup === name));
    const axis = { gridcolor: line, zerolinecolor: line, automargin: true };
    const layout = {
      height: narrow ? 460 : 440,
      margin: { l: 50, r: 10, t: 10, b: 50 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, size: 13, family: style.fontFamily },
      xaxis: { ...axis, type: "log", title: { text: AXES[state.x] }, tickvals: TICKS, ticktext: TICKS },
      yaxis: { ...axis, title: { text: "points below the ANN" } },
      legend: { orientation: "h", y: narrow ? -0.3 : -0.22, yanchor: "top" },
      hoverlabel: { align: "left" },
    };
    const options = { displaylogo: false, responsive: true, displayModeBar: false };
    return Plotly.react(byId("plot"), [...traces, ...legend], layout, options);
  }

  // ---- the table, and one run

  function list(found) {
    const rows = found.map((run) => {
      const button = make("button", { type: "button", textContent: run.network });
      button.setAttribute("aria-label", `${run.network}, ${run.code}, K = ${run.K}: details`);
      button.addEventListener("click", () => select(run.id));
      const cells = [
        shown(run.spikes), lossOf(run), run.code, run.weights, String(run.K), shown(run.synops, 2),
      ].map((text) => make("td", { textContent: text }));
      const row = make("tr", { id: `runs-row-${run.id}` }, make("td", {}, button), ...cells);
      if (run.id === state.run) row.setAttribute("aria-selected", "true");
      return row;
    });
    byId("table").replaceChildren(...rows);
    const are = found.length === 1 ? "run" : "runs";
    byId("count").textContent = `${found.length} ${are} of ${runs.length}`;
  }

  function detail() {
    const run = runs.find(({ id }) => id === state.run);
    byId("detail").hidden = !run;
    if (!run) return;
    const notebook = make("a", { href: `notebooks/${run.experiment}.html`, textContent: run.experiment });
    const file = make("a", { href: "results/full/headline.csv", textContent: "results/full/headline.csv" });
    const command = `python notebooks/run.py ${run.experiment} --profile full --output out.ipynb`;
    const rows = [
      ["network", `${run.network}, ${run.dataset}, ${run.images.toLocaleString("en")} test images`],
      ["code", `${run.code}; ${run.weights}`],
      [AXES.K, String(run.K)],
      ["time steps through the network", shown(run.latency, 0)],
      ["simulator", run.simulator],
      ["accuracy", `${fixed(run.accuracy, 2)} % (ANN ${fixed(run.ann_accuracy, 2)} %)`],
      ["points below the ANN", lossOf(run)],
      ["same answers as the ANN", `${fixed(run.agreement, 2)} %`],
      ["spikes per neuron", shown(run.spikes)],
      [AXES.synops, shown(run.synops)],
      [AXES.energy, shown(run.energy)],
      ["experiment", notebook],
      ["row of", file],
      ["commit", make("code", { textContent: run.commit })],
      ["again", make("code", { textContent: command })],
    ];
    byId("values").replaceChildren(...rows.flatMap(([name, value]) => [
      make("dt", { textContent: name }), make("dd", {}, value),
    ]));
  }

  function change(changes) {
    Object.assign(state, changes);
    refresh();
    writeAddress();
  }

  function select(id) {
    change({ run: state.run === id ? "" : id });
    if (state.run) byId("detail").focus();
  }

  function refresh() {
    for (const key of ["x", "most", ...FILTERS]) byId(key).value = state[key];
    const found = chosen();
    list(found);
    detail();
    if (window.Plotly) draw(found);
  }

  // ---- start

  const fill = (key, pairs) => byId(key).replaceChildren(
    ...pairs.map(([value, textContent]) => make("option", { value, textContent })),
  );
  fill("x", Object.entries(AXES));
  for (const key of FILTERS) {
    const values = [...new Set(runs.map((run) => run[key]))];
    values.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    fill(key, [["", "all"], ...values.map((value) => [value, value])]);
  }
  fill("most", [["1", "1 point"], ["2", "2 points"], ["5", "5 points"], ["100", "any number"]]);
  for (const key of ["x", "most", ...FILTERS])
    byId(key).addEventListener("change", () => change({ [key]: byId(key).value }));
  byId("close").addEventListener("click", () => {
    const { run } = state;
    change({ run: "" });
    byId(`row-${run}`)?.querySelector("button").focus();
  });
  window.addEventListener("hashchange", () => { readAddress(); refresh(); });
  new MutationObserver(refresh).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  const asked = readAddress();
  refresh();
  if (asked) byId("plot").closest(".runs").scrollIntoView();
  byId("plot").on?.("plotly_click", ({ points }) => select(points[0].customdata));
})();
