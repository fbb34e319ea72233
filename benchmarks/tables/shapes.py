"""Nets of odd shapes, wide, narrow, and of three layers: the default beside the dense net."""

from ast import literal_eval

from benchmarks.tables import accuracy, data
from benchmarks.tables.models import DEFAULT, DENSE, fitted, ours
from benchmarks.tables.statistics import compared, ranks

FIELDS = ("table", "net", "max_iter", "fraction", "seed")
# The first of them that are there.
TABLES = "digits vowel vehicle soybean breast_cancer flips-20 classes-10 wine flips-10".split()
MEASURES, LIMIT = ("accuracy", "logloss"), 200
NETS = ((100, 10), (64, 32, 16), (10, 100), (6,))
FULL = accuracy.FULL.but(nets=NETS, fractions=(0.8, 0.9), limits=(LIMIT,), n_tables=6)
QUICK = FULL.but(seeds=1, n_tables=3)


def runs(settings):
    """Yield all runs: dense nets and pruned ones, with every limit of the epochs."""
    there = data.names(settings.but(only=TABLES))
    for seed in range(settings.seeds):
        for table in [name for name in TABLES if name in there][: settings.n_tables]:
            for net in settings.nets:
                for limit in settings.limits:
                    for fraction in (0.0, *settings.fractions):
                        yield table, str(net), limit, fraction, seed


def execute(settings, folder, table, net, max_iter, fraction, seed):
    """The row of a run."""
    parts = data.split(table, settings.csv_folder, seed)
    model = ours(literal_eval(net), fraction, seed, max_iter=max_iter)
    return [{"model": DEFAULT if fraction else DENSE} | fitted(model, parts)[1]]


def answers(rows):
    """Pruned beside dense for every shape and fraction; with many epochs, how many it takes."""
    for (net, limit), group in rows.groupby(["net", "max_iter"]):
        first, *others = MEASURES if limit == LIMIT else ("epochs", "seconds", *MEASURES)
        for _, fraction, of in accuracy.by_net(group):
            what = f"a net {net} pruned to {100 * (1 - fraction):.0f} % in at most {limit} epochs"
            for measure in (first, *others):
                how = {"as_good": measure in MEASURES, "lead": measure == first}
                yield compared(what, of, measure, DEFAULT, DENSE, **how)


def tables(rows):
    """Yield means over tables for every shape and fraction, by limit."""
    label = rows["net"] + ", " + rows["fraction"].map("{:.0%} gone".format)
    for limit, of in rows.assign(model=label).groupby("max_iter"):
        yield f"Nets of at most {limit} epochs", ranks(of, ranked=False)
