"""The activation surgeon beside other scores: accuracy against rank, parameters and FLOPs."""

from dataclasses import replace

import pandas as pd

from benchmarks.reproduce import runner
from benchmarks.reproduce.figures import curves, log_scale, ordered
from benchmarks.reproduce.nets import describe, fitted, join, kept, low_rank, size, split
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.statistics import accuracies, compared, paired, seeds
from benchmarks.reproduce.training import faded, schedule
from skactprune import PrunedMLPClassifier
from skactprune.methods import (
    Activation,
    ActivationMagnitude,
    ActivationSurgeon,
    FiringDeviation,
    Magnitude,
    Random,
)

FIELDS = ("dataset", "granularity", "method", "size", "seed")
FULL = runner.FULL.but(
    datasets=("fashion-mnist",), n_train=12_000, epochs=25, shares=(0.4, 0.2, 0.1)
)
QUICK = FULL.but(**runner.QUICK, n_train=6000, epochs=15, shares=(0.2, 0.1))
BATCH, ROUNDS, DROPOUT, FADING = 128, 10, (0.1, 0.2, 0.2, 0.1, 0.1), 1.0
DENSE, KERNEL_PCA, SCRATCH = "dense", "kernel PCA of the dense net", "small from scratch"
VARIANT = "activation surgeon"
METHODS = {
    "neuron": {
        VARIANT: ActivationSurgeon("neuron", "layer"),
        "firing deviation": FiringDeviation(schedule="cubic"),
        "count": Activation(schedule="cubic"),
        "count x magnitude": ActivationMagnitude(schedule="cubic"),
        "magnitude": Magnitude("neuron"),
        "random": Random(schedule="cubic"),
    },
    "weight": {
        VARIANT: ActivationSurgeon("weight", "global"),
        "firing deviation": FiringDeviation("weight", "global", "cubic"),
        "count x magnitude": ActivationMagnitude("weight", "global", "cubic"),
        "magnitude": Magnitude("weight", "global"),
    },
    "none": (KERNEL_PCA, SCRATCH),
}
# In the order of the tables.
RIVALS = [*METHODS["neuron"], *METHODS["none"]]
# Half a point lower counts as "as accurate", which is asked where single weights leave.
MARGIN, EQUALS = 0.005, ("firing deviation", "magnitude", "count x magnitude")
FIGURE = "variant-sizes.png"
# Points of the figure that this many points below the dense net fall out of it.
SHOWN_POINTS, TICKS = 5, (30_000, 100_000, 300_000)


def runs(settings):
    """Yield all runs: the dense net, and every method at every size."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            yield dataset, "none", DENSE, join(settings.hidden), seed
            for left in sizes(settings):
                for granularity, methods in METHODS.items():
                    for method in methods:
                        yield dataset, granularity, method, left, seed


def sizes(settings):
    """Neurons that are to be left of every layer, the same share of each."""
    return [
        join(max(round(share * width), 1) for width in settings.hidden) for share in settings.shares
    ]


def few_rows(settings, dataset):
    """Rows of which few are trained on."""
    rows = Rows.load(dataset, settings.n_rows)
    return replace(rows, X=rows.X[: settings.n_train], y=rows.y[: settings.n_train])


def left_of(rows, settings, live):
    """Share of the hidden weights that is left where so many neurons of each layer are."""
    n_in = rows.X.shape[1]
    return size((n_in, *live)) / size((n_in, *settings.hidden))


def execute(settings, folder, dataset, granularity, method, size, seed):
    """The row of a run; single weights leave as many hidden weights as whole neurons would."""
    rows, live = few_rows(settings, dataset), split(size)
    left = left_of(rows, settings, live)
    if method in (DENSE, KERNEL_PCA):
        path = folder / ".dense" / f"variant-{dataset}-{seed}.joblib"
        net, row = kept(path, estimator(settings, seed), rows)
        if method == KERNEL_PCA:
            row |= describe(low_rank("kernel PCA", net, live), rows)
        return [row]
    if method == SCRATCH:
        # The dropout that a pruned net of this size ends with.
        net = estimator(settings.but(hidden=live), seed, dropout=faded(DROPOUT, left, FADING))
    else:
        how = METHODS[granularity][method]
        net = estimator(settings, seed, method=how, prune_fraction=1 - left)
    return [fitted(net, rows)[1]]


def estimator(settings, seed, **params):
    """Estimator of the experiment; without other parameters, nothing is pruned."""
    return PrunedMLPClassifier(
        settings.hidden,
        **{"method": "magnitude", "prune_fraction": 0.0, "dropout": DROPOUT} | params,
        n_prune_rounds=ROUNDS,
        batch_size=BATCH,
        random_state=seed,
        **schedule(settings.epochs, FADING),
    )


def _named(rows):
    """Rows with the name of what they are of, in the order of the tables and of the legend."""
    of = rows["granularity"]
    names = [f"{method}, {of}s" for of in ("neuron", "weight") for method in METHODS[of]]
    name = rows["method"] + (", " + of + "s").where(of != "none", "")
    return rows.assign(name=ordered(name, [*names, *METHODS["none"], DENSE]))


def tables(rows):
    """Yield the dense net, and all nets of every size."""
    columns = accuracies("{} %", 2, ("validation", "test")) | {
        "ranks (seed 0)": ("ranks", "first"),
        "weights": ("weights", lambda weights: f"{weights.mean():.0f}"),
        "kFLOPs": ("flops", lambda flops: f"{flops.mean() / 1000:.0f}"),
        "n": ("seed", seeds),
    }
    for left, of in _named(rows).groupby("size"):
        table = of.groupby("name", observed=True).agg(**columns)
        yield DENSE if DENSE in table.index else left, table.rename_axis("").reset_index()


def figures(rows, folder):
    """Yield accuracy against the sum of ranks, parameters and FLOPs."""
    measures = {
        "ranks of the hidden kernels": rows["ranks"].map(lambda field: sum(split(field))),
        "weights that are not zero": rows["weights"],
        "FLOPs a row": rows["flops"],
    }
    rows = _named(rows).assign(accuracy=100 * rows["test_accuracy"])
    # One place a size, whatever the seed.
    place = [rows["name"], rows["size"]]
    parts = [
        rows.assign(of=name, x=values.groupby(place, observed=True).transform("mean"))
        for name, values in measures.items()
    ]
    figure, axes = curves(
        pd.concat(parts).query("method != @DENSE"),
        *("x", "accuracy", "name", None, "of"),
        title="Fashion-MNIST, pruned while it trains; black line: dense",
        xlabel="",
        ylabel="test accuracy, %",
        size=(4.2, 3.6),
        sharey=True,
    )
    top = rows.loc[rows["method"] == DENSE, "accuracy"].mean()
    for name, ax in axes.items():
        ax.set_ylim(top - SHOWN_POINTS, top + 1)
        ax.axhline(top, color="black")
        log_scale({name: ax}, (20, 50, 100, 200, 500) if "ranks" in name[1] else TICKS)
    yield FIGURE, figure


def answers(rows):
    """One answer for every rival of each granularity."""
    found = []
    for granularity, whole in (("neuron", "whole neurons"), ("weight", "single weights")):
        of = rows[rows["granularity"].isin((granularity, "none"))]
        for rival in RIVALS[1:]:
            cells = paired(of, "test_accuracy", "method", VARIANT, rival, "size", str)
            equal = granularity == "weight" and rival in EQUALS
            what = f"{'as' if equal else 'more'} accurate {'as' if equal else 'than'} {rival}"
            within = f" (at most {100 * MARGIN:g} points lower)" if equal else ""
            question = f"Removing {whole}, is {VARIANT} {what} at the same size{within}?"
            found += compared("-", question, cells, MARGIN * equal, FIGURE)
    return found
