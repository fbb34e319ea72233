"""Claim C6: firing counted on unlabelled rows, beside labelled ones, chance and no pruning."""

from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.reproduce import runner
from benchmarks.reproduce.figures import curves, log_scale, ordered, stacked
from benchmarks.reproduce.nets import describe
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.statistics import (
    Answer,
    accuracies,
    compared,
    judge,
    mean_sd,
    paired,
    points,
)
from skactprune import PrunedMLPClassifier

FIELDS = ("dataset", "share", "method", "seed")
# With the upper limit of the epochs by share of the labels.
FULL = runner.FULL.but(epochs={0.01: 500, 0.1: 100, 1.0: 12})
QUICK = FULL.but(**runner.QUICK, epochs={0.01: 200, 0.1: 40, 1.0: 10})
LABELED, UNLABELED = "count on labelled rows", "count on unlabelled rows"
RANDOM, DENSE = "random neurons", "dense"
METHODS = {LABELED: "activation", UNLABELED: "activation", RANDOM: "random", DENSE: "activation"}
FRACTION, ROUNDS = 0.8, 5
# Share of the training rows that never have a label.
POOL = 0.1
# Half a point lower counts as "as well".
MARGIN = 0.005
FIGURE = "unlabeled-accuracy.png"


def runs(settings):
    """Yield all runs: every method with every share of the labels."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            for share in settings.epochs:
                for method in METHODS:
                    yield dataset, share, method, seed


def parts(y, share, seed):
    """Indices of the training rows that keep their labels, and of others that have none.

    `POOL` of the rows never have a label, so that there are unlabelled rows for every share, which
    is that of the others. Both draws are stratified.
    """
    how = {"stratify": y, "random_state": seed}
    others, pool = train_test_split(np.arange(len(y)), test_size=POOL, **how)
    if share == 1:
        return others, pool
    how["stratify"] = y[others]
    labeled, hidden = train_test_split(others, train_size=share, **how)
    return labeled, np.concatenate([pool, hidden])


def execute(settings, folder, dataset, share, method, seed):
    """The row of a run; training accuracy is that on the rows with labels."""
    rows = Rows.load(dataset, settings.n_rows)
    labeled, unlabeled = parts(rows.y, share, seed)
    X_unlabeled = rows.X[unlabeled]
    rows = replace(rows, X=rows.X[labeled], y=rows.y[labeled])
    net = PrunedMLPClassifier(
        settings.hidden,
        method=METHODS[method],
        prune_fraction=0.0 if method == DENSE else FRACTION,
        n_prune_rounds=ROUNDS,
        max_iter=settings.epochs[share],
        random_state=seed,
    )
    net.fit(rows.X, rows.y, X_unlabeled=X_unlabeled if method == UNLABELED else None)
    more = {"labeled": len(labeled), "unlabeled": len(unlabeled), "epochs": net.n_iter_}
    if method == DENSE:
        more["agreement"] = agreement(net, rows.X, X_unlabeled)
    return [describe(net, rows) | {"sparsity": net.sparsity_} | more]


def agreement(net, X, X_other):
    """How far two sets of rows name the same neurons as those that fire most.

    Of the quarter of each hidden layer that fires most on `X`, share that is also in the quarter
    that fires most on `X_other`; mean of the layers. Chance would give 0.25.
    """
    shares = []
    for layer in range(len(net.coefs_) - 1):
        net.set_params(transform_layer=layer)
        top = [np.argsort(-(net.transform(Z) > 0).mean(axis=0)) for Z in (X, X_other)]
        quarter = max(len(top[0]) // 4, 1)
        shares.append(len(np.intersect1d(*(order[:quarter] for order in top))) / quarter)
    return float(np.mean(shares))


# -- what is made of them ---------------------------------------------------------------------


def tables(rows):
    """Yield for each data set: accuracies, and how far both sets of rows name the same neurons."""
    rows = rows.assign(method=ordered(rows["method"], METHODS))
    columns = {
        "labelled rows": ("labeled", "first"),
        "unlabelled rows": ("unlabeled", "first"),
        "same neurons %": ("agreement", mean_sd()),
    }
    for dataset, of in rows.groupby("dataset"):
        table = of.groupby(["share", "method"], observed=True).agg(
            **accuracies(), **{"sparsity %": ("sparsity", mean_sd(0))}
        )
        table.insert(0, "", [f"{label(share)}, {method}" for share, method in table.index])
        yield f"accuracy-{dataset}", table
        table = of[of.method == DENSE].groupby("share").agg(**columns).rename(label)
        yield f"agreement-{dataset}", table.rename_axis("dense net").reset_index()


def label(share):
    """Name of a share of the labels."""
    return f"{100 * share:g} % labels"


def averages(rows):
    """Unlabelled less labelled counting, the mean over data sets and shares of labels.

    A number for each of the seeds that have both everywhere.
    """
    both = rows[rows.method.isin((LABELED, UNLABELED))]
    wide = both.pivot_table("test_accuracy", "seed", ["method", "dataset", "share"]).dropna()
    return (wide[UNLABELED] - wide[LABELED]).mean(axis=1).to_numpy()


def answers(rows):
    """Answers by the 95 % intervals of the paired differences."""
    question = "Does counting on unlabelled rows work as well as on labelled ones"
    within = f"(test accuracy at most {100 * MARGIN:g} points lower)?"
    average, text = averages(rows), f"{question}, on average {within}"
    verdict = judge({("all", "on average"): average}, MARGIN)
    found = [Answer("C6", text, verdict, points(average), FIGURE)]
    for claim, text, rival, margin in (
        ("C6", f"{question}, whatever the share of labels {within}", LABELED, MARGIN),
        ("-", "Is counting on unlabelled rows better than removing random neurons?", RANDOM, 0.0),
    ):
        cells = paired(rows, "test_accuracy", "method", UNLABELED, rival, "share", label)
        found += compared(claim, text, cells, margin, FIGURE)
    return found


def figures(rows, folder):
    """Yield accuracies, and differences from counting on labelled rows."""
    key = ["dataset", "share", "seed"]
    counted = rows[rows.method == LABELED].set_index(key)["test_accuracy"]
    gain = rows["test_accuracy"] - counted.loc[pd.MultiIndex.from_frame(rows[key])].to_numpy()
    measures = {"test accuracy": 100 * rows["test_accuracy"], "gain over labelled rows": 100 * gain}
    rows = rows.assign(method=ordered(rows["method"], METHODS), percent=100 * rows["share"])
    figure, axes = curves(
        stacked(rows, measures),
        *("percent", "y", "method", "dataset", "of"),
        title="Pruned by firing, counted on labelled or on unlabelled rows; dashed: still as well",
        xlabel="training rows whose label is known, %",
        ylabel="%, points",
    )
    log_scale(axes, sorted(rows["percent"].unique()))
    for (_, name), ax in axes.items():
        if name != "test accuracy":
            ax.axhline(-100 * MARGIN, color="black", linestyle="--")
    yield FIGURE, figure
