"""Nets of odd shapes, wide, narrow, and of three layers: the default beside the dense net."""

from ast import literal_eval

from benchmarks.reproduce import runner
from benchmarks.tables import data
from benchmarks.tables.accuracy import FULL as ACCURACY
from benchmarks.tables.models import DEFAULT, DENSE, fitted, ours
from benchmarks.tables.statistics import compared, ranks

FIELDS = ("table", "net", "fraction", "model", "seed")
# The first six that are there.
TABLES = (
    "digits vowel vehicle soybean breast_cancer flips-20 classes-10 wine informative-5-of-50"
).split()
NETS = ((100, 10), (64, 32, 16), (10, 100), (6,))
FULL = ACCURACY.but(nets=NETS, fractions=(0.8, 0.9), n_tables=6)
QUICK = FULL.but(seeds=1, n_tables=3)


def first(settings):
    """Names of the tables: the first of `TABLES` that are there."""
    there = data.names(runner.Settings(csv_folder=settings.csv_folder, only=TABLES))
    return [name for name in TABLES if name in there][: settings.n_tables]


def runs(settings):
    """Yield all runs: the dense net, and the pruned one at every fraction."""
    for seed in range(settings.seeds):
        for table in first(settings):
            for net in map(str, settings.nets):
                yield table, net, 0.0, DENSE, seed
                yield from ((table, net, part, DEFAULT, seed) for part in settings.fractions)


def execute(settings, folder, table, net, fraction, model, seed):
    """The row of a run."""
    parts = data.split(table, settings.csv_folder, seed)
    return [fitted(ours(literal_eval(net), fraction, seed), parts)[1]]


def answers(rows):
    """Pruned beside dense for every shape and fraction."""
    for (net, fraction), _ in rows[rows["fraction"] > 0].groupby(["net", "fraction"]):
        of = rows[(rows["net"] == net) & rows["fraction"].isin((0, fraction))]
        what = f"A net {net} pruned to {100 * (1 - fraction):.0f} %"
        for measure in ("accuracy", "logloss"):
            lead = fraction == 0.8 and measure == "accuracy"
            yield compared(what, of, measure, DEFAULT, DENSE, 0.005, lead=lead)


def tables(rows):
    """Yield means over tables for every shape and fraction."""
    label = rows["net"] + ", " + rows["fraction"].map("{:.0%} gone".format)
    yield "Shapes", ranks(rows.assign(model=label), "model", ranked=False)
