// Of pages that a search finds alike, explanations come first, then what users hold.
const FIRST = [
  [/^(quickstart|guide\/)/, 4],
  [/^api\/generated\/skactprune\.Pruned/, 3],
  [/^auto_examples\//, 2],
  [/^api\/generated\/skactprune\.[A-Za-z_]+$/, 1],
  [/^(changelog|sg_execution_times|auto_examples\/sg_execution_times)/, -4],
];

var Scorer = {
  score: ([page, , , , score]) =>
    score + (FIRST.find(([pattern]) => pattern.test(page)) || [null, 0])[1],
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
