// What the search shows first: chapters, of these such as have the words in their title, then the
// glossary, then notebooks and the reference.
// Read before the search of Sphinx, which then takes it for its own; the numbers are its defaults.
const OTHERS = new Set(["cards", "genindex", "numbers", "provenance", "references", "reproducing"]);
var Scorer = {
  score: ([page, title, , , score]) => {
    const words = new URLSearchParams(location.search).get("q")?.toLowerCase();
    if (title.toLowerCase().includes(words)) score += 30;
    if (page.includes("/") || OTHERS.has(page)) return score - 50;
    return page === "glossary" ? Math.min(score, 100) : score + 100;
  },
  objNameMatch: 11, // the whole name of an object
  objPartialMatch: 6, // the last part of it
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
