"""How long a net trains that may take very many epochs: pruned beside dense."""

from benchmarks.tables import data, shapes
from benchmarks.tables.models import DEFAULT, DENSE, fitted, ours
from benchmarks.tables.statistics import compared, ranks

FIELDS = ("table", "max_iter", "model", "seed")
FRACTIONS = {DEFAULT: 0.8, DENSE: 0.0}
FULL = shapes.FULL.but(limits=(200, 1000, 5000))
QUICK = shapes.QUICK.but(limits=(200, 1000), n_tables=2)


def runs(settings):
    """Yield all runs: both nets with every limit of the epochs."""
    for seed in range(settings.seeds):
        for table in shapes.first(settings):
            for limit in settings.limits:
                yield from ((table, limit, model, seed) for model in FRACTIONS)


def execute(settings, folder, table, max_iter, model, seed):
    """The row of a run."""
    parts = data.split(table, settings.csv_folder, seed)
    return [fitted(ours((100,), FRACTIONS[model], seed, max_iter=max_iter), parts)[1]]


def answers(rows):
    """Epochs, seconds and accuracy of the pruned net beside the dense one, by limit."""
    for limit, of in rows.groupby("max_iter"):
        what = f"A net pruned with max_iter={limit}"
        for measure in ("epochs", "seconds", "accuracy"):
            yield compared(what, of, measure, DEFAULT, DENSE, lead=measure == "epochs")


def tables(rows):
    """Yield means over tables for both nets and every limit."""
    label = rows["model"] + ", max_iter=" + rows["max_iter"].astype(str)
    yield "Stopping", ranks(rows.assign(model=label), "model", ranked=False)
