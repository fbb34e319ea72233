"""LeNet-300-100 on MNIST: test error at the compressions at which others have published."""

from dataclasses import replace

import numpy as np

from benchmarks.reproduce import runner
from benchmarks.reproduce.figures import COLORS, curves, log_scale, ordered
from benchmarks.reproduce.nets import join, size
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.statistics import (
    Answer,
    accuracies,
    interval,
    judge,
    paired,
    seeds,
    with_interval,
)
from benchmarks.reproduce.training import schedule
from skactprune import PrunedMLPClassifier
from skactprune.methods import ActivationMagnitude, ActivationSurgeon, FiringDeviation, Magnitude

FIELDS = ("dataset", "method", "compression", "seed")
FULL = runner.FULL.but(
    datasets=("mnist",), hidden=(300, 100), epochs=60, compressions=(12, 20, 50, 68)
)
QUICK = FULL.but(seeds=2, n_rows=10_000, epochs=12, compressions=(12, 50))
# Dropout of the input and of the hidden layers before the first round, and how it fades.
DROPOUT, FADING = (0.2, 0.3, 0.2), 1 / 3
RATE, ALPHA, BATCH, ROUNDS = 0.003, 0.01, 128, 20
# The dense net's own; so many times the epochs.
DENSE_DROPOUT, DENSE_RATE, DENSE_LONGER = (0.15, 0.25, 0.15), 0.001, 2.5
DENSE, VARIANT, MAGNITUDE = "dense", "activation surgeon", "magnitude"
METHODS = {
    VARIANT: ActivationSurgeon("weight", "global"),
    "firing deviation": FiringDeviation("weight", "global", "cubic"),
    MAGNITUDE: Magnitude("weight", "global", "cubic"),
    "count x magnitude": ActivationMagnitude("weight", "global", "cubic"),
}
# No mark and no verdict rests on count x magnitude.
PRODUCT_SEEDS = 2
# Highest test error in %, by compression.
MARKS = {1: 1.2, 12: 1.4, 20: 1.5, 50: 1.9, 68: 1.92}
PUBLISHED = (
    ("Han 2015", (12, 1.59)),
    ("SNIP", (20, 1.6)),
    ("SNIP", (50, 2.4)),
    ("network surgery", (56, 1.99)),
    ("L-OBS", (67, 2.0)),
    ("variational dropout", (68, 1.92)),
)
# A tenth of a point more counts as "no higher".
MARGIN = 0.001
FIGURE = "lenet-error.png"


def runs(settings):
    """Yield all runs: the dense net, and every method at every compression."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            yield dataset, DENSE, 1, seed
            for method in METHODS:
                if method != "count x magnitude" or seed < PRODUCT_SEEDS:
                    for compression in settings.compressions:
                        yield dataset, method, compression, seed


def fraction(compression, sizes, features=0.0, output=0.0):
    """Share of the hidden weights to prune for a compression of the whole net of these sizes.

    Compression is all weights over those that are not zero. All weights of the output layer are
    taken as kept, but for a share of them that may be pruned, too: as many as neurons die of it
    come on top. Of the features, a share may be pruned; the weights are those of the rest, then.
    """
    n_in = sizes[0] - round(features * sizes[0])
    left = size(sizes) / compression - (1 - output) * size(sizes[-2:])
    return 1 - left / size((n_in, *sizes[1:-1]))


def execute(settings, folder, dataset, method, compression, seed):
    """The row of a run. Nothing is chosen here, so that validation rows are trained on, too."""
    rows = Rows.load(dataset, settings.n_rows)
    mean, deviation = rows.X.mean(), rows.X.std()
    X, y = np.concatenate([rows.X_val, rows.X]), np.concatenate([rows.y_val, rows.y])
    rows = replace(rows, X=X, y=y)
    sizes = (X.shape[1], *settings.hidden, len(np.unique(y)))
    dense = method == DENSE
    if dense:
        rows = replace(rows, X=(X - mean) / deviation, X_test=(rows.X_test - mean) / deviation)
    how = {
        "method": METHODS.get(method, "magnitude"),
        "prune_fraction": 0.0 if dense else fraction(compression, sizes),
        "n_prune_rounds": ROUNDS,
        "learning_rate_init": DENSE_RATE if dense else RATE,
        "alpha": ALPHA,
        "batch_size": BATCH,
        "dropout": DENSE_DROPOUT if dense else DROPOUT,
        "random_state": seed,
    } | schedule(round(DENSE_LONGER * settings.epochs) if dense else settings.epochs, FADING)
    net = PrunedMLPClassifier(settings.hidden, **how).fit(rows.X, rows.y)
    by_layer = [np.count_nonzero(coef) for coef in net.coefs_]
    return [
        {
            "train_accuracy": net.score(rows.X, rows.y),
            "test_accuracy": net.score(rows.X_test, rows.y_test),
            "weights": sum(by_layer),
            "reached": size(sizes) / sum(by_layer),
            "weights_by_layer": join(by_layer),
            "live": join(coef.shape[1] for coef in net.coefs_[:-1]),
            "inputs": X.shape[1] - len(net.unused_features_),
            "epochs": net.n_iter_,
        }
    ]


def tables(rows):
    """Yield errors and sizes of all nets."""
    errors = {f"{part}_accuracy": 1 - rows[f"{part}_accuracy"] for part in ("train", "test")}
    rows = rows.assign(method=ordered(rows["method"], [DENSE, *METHODS]), **errors)
    columns = accuracies("{} error %", 2, ("train", "test")) | {
        "reached by every seed": ("reached", lambda of: f"{of.min():.1f}x"),
        "weights by layer": ("weights_by_layer", "first"),
        "live neurons": ("live", "first"),
        "pixels used": ("inputs", "first"),
        "n": ("seed", seeds),
    }
    table = rows.groupby(["compression", "method"], observed=True).agg(**columns)
    names = [method if method == DENSE else f"{x:g}x, {method}" for x, method in table.index]
    table.insert(0, "", names)
    yield "errors", table


def answers(rows):
    """One answer for every mark, and one for the comparison with magnitude."""
    found = []
    for (compression, method), of in rows.groupby(["compression", "method"]):
        if method in (DENSE, VARIANT) and (mark := MARKS.get(compression)):
            what = "dense" if method == DENSE else f"at {compression:g}x by {method}"
            question = f"LeNet-300-100 on MNIST {what}: test error at most {mark:g} %?"
            errors = 100 * (1 - of["test_accuracy"])
            effect = f"{with_interval(errors)} % ({seeds(of['seed'])})"
            found.append(Answer("-", question, reached(errors, mark), effect, FIGURE))
    cells = paired(
        rows, "test_accuracy", "method", VARIANT, MAGNITUDE, "compression", "{:g}x".format
    )
    question = (
        f"LeNet-300-100: is {VARIANT} as accurate as magnitude at the same compression "
        f"(test error at most {100 * MARGIN:g} points higher)?"
    )
    effects = (f"{with_interval(-100 * of, 2, '+')} at {x}" for (_, x), of in cells.items())
    effect = "; ".join(effects)
    return [*found, Answer("-", question, judge(cells, MARGIN), effect, FIGURE)]


def reached(errors, mark):
    """Verdict on a mark for the mean over seeds, and on whether seeds leave it in doubt."""
    mean, half = interval(errors)
    doubt = ", on average" if np.isnan(half) or abs(mean - mark) <= half else ""
    return ("yes" if mean <= mark else "no") + doubt


def figures(rows, folder):
    """Yield test error by compression, with the marks and published figures."""
    pruned = rows[rows["method"] != DENSE]
    figure, axes = curves(
        pruned.assign(
            method=ordered(pruned["method"], METHODS), error=100 * (1 - pruned["test_accuracy"])
        ),
        *("compression", "error", "method"),
        title="LeNet-300-100 on MNIST; crosses: published, bars: marks to reach, line: dense",
        xlabel="all weights / weights that are not zero",
        ylabel="test error, %",
        size=(7.0, 4.0),
    )
    log_scale(axes, sorted(pruned["compression"].unique()))
    (ax,) = axes.values()
    ax.axhline(100 * (1 - rows.loc[rows["method"] == DENSE, "test_accuracy"].mean()), color="black")
    marks = {at: mark for at, mark in MARKS.items() if at > 1}
    ax.plot(marks.keys(), marks.values(), "k_", markersize=14)
    for name, place in PUBLISHED:
        ax.plot(*place, "x", color=COLORS[-1])
        # To the left of those at the right edge.
        side = {"xytext": (5, 0)} if place[0] < 50 else {"xytext": (-5, 0), "ha": "right"}
        ax.annotate(name, place, textcoords="offset points", fontsize=7, color=COLORS[-1], **side)
    yield FIGURE, figure
