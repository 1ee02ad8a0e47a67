// What the search shows first: chapters, then the glossary, then notebooks and the reference.
// Sphinx puts this in front of its own search; the numbers below are its defaults.
var Scorer = {
  score: ([page, , , , score]) => {
    if (page.startsWith("api/") || page === "genindex") return score - 100;
    if (page.includes("/") || ["provenance", "references", "reproducing"].includes(page)) return score - 50;
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
