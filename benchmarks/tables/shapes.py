"""Nets of odd shapes, wide, narrow, and of three layers: the default beside the dense net."""

from ast import literal_eval

from benchmarks.tables import accuracy, data
from benchmarks.tables.models import DEFAULT, DENSE, fitted, ours
from benchmarks.tables.statistics import compared, ranks

FIELDS = ("table", "net", "max_iter", "fraction", "seed")
# The first of them that are there.
TABLES = "digits vowel vehicle soybean breast_cancer flips-20 classes-10 wine flips-10".split()
NETS = ((100, 10), (64, 32, 16), (10, 100), (6,))
FULL = accuracy.FULL.but(nets=NETS, fractions=(0.8, 0.9), limits=(200,), n_tables=6)
QUICK = FULL.but(seeds=1, n_tables=3)


def runs(settings):
    """Yield all runs: dense nets and pruned ones, with every limit of the epochs."""
    there = data.names(settings.but(only=TABLES))
    for seed in range(settings.seeds):
        for table in [name for name in TABLES if name in there][: settings.n_tables]:
            for net in map(str, settings.nets):
                for limit in settings.limits:
                    for fraction in (0.0, *settings.fractions):
                        yield table, net, limit, fraction, seed


def execute(settings, folder, table, net, max_iter, fraction, seed):
    """The row of a run."""
    parts = data.split(table, settings.csv_folder, seed)
    model = ours(literal_eval(net), fraction, seed, max_iter=max_iter)
    return [{"model": DEFAULT if fraction else DENSE} | fitted(model, parts)[1]]


def answers(rows):
    """Pruned beside dense for every shape, limit and fraction."""
    for (net, limit), group in rows.groupby(["net", "max_iter"]):
        for fraction, of in accuracy.by_fraction(group):
            size = f"{100 * (1 - fraction):.0f} % in at most {limit} epochs"
            for measure in ("accuracy", "logloss", "epochs", "seconds"):
                of_interest = "accuracy" if limit == 200 else "epochs"
                how = {"as_good": measure == "accuracy", "lead": measure == of_interest}
                what = f"a net {net} pruned to {size}"
                yield compared(what, of, measure, DEFAULT, DENSE, **how)


def tables(rows):
    """Yield means over tables for every shape, limit and fraction."""
    gone = rows["fraction"].map("{:.0%} gone, at most ".format)
    label = rows["net"] + ", " + gone + rows["max_iter"].astype(str) + " epochs"
    yield "Shapes and limits of the epochs", ranks(rows.assign(model=label), ranked=False)
