"""LeNet-300-100 on MNIST: test error at the compressions at which others have published."""

import numpy as np

from benchmarks.reproduce.lenet_page import (
    DENSE,
    DEVIATION,
    MAGNITUDE,
    PRODUCT,
    VARIANT,
    answers,
    draw,
    section,
)
from benchmarks.reproduce.nets import join
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.training import FIRST_ROUND, LAST_ROUND, callbacks
from skactprune import EpochTrigger, PrunedMLPClassifier
from skactprune.methods import ActivationMagnitude, ActivationSurgeon, FiringDeviation, Magnitude

__all__ = ["FIELDS", "answers", "draw", "execute", "runs", "section", "stage"]

FIELDS = ("dataset", "method", "compression", "seed")
HIDDEN = (300, 100)
# Dropout of the input and of the hidden layers before the first round, and how it fades.
DROPOUT, FADING = (0.2, 0.3, 0.2), 1 / 3
RATE, ALPHA, BATCH, ROUNDS = 0.003, 0.01, 128, 20
# The dense net's own; so many times the epochs.
DENSE_DROPOUT, DENSE_RATE, DENSE_LONGER = (0.15, 0.25, 0.15), 0.001, 2.5
METHODS = {
    VARIANT: ActivationSurgeon("weight", "global"),
    DEVIATION: FiringDeviation("weight", "global", "cubic"),
    MAGNITUDE: Magnitude("weight", "global", "cubic"),
    PRODUCT: ActivationMagnitude("weight", "global", "cubic"),
}


# No mark and no verdict rests on count x magnitude.
PRODUCT_SEEDS = 2


def runs(settings):
    """Yield all runs: the dense net, and every method at every compression."""
    for seed in range(settings.seeds):
        yield _run(DENSE, 1, seed)
        for method in METHODS:
            if method != PRODUCT or seed < PRODUCT_SEEDS:
                for compression in settings.lenet_compressions:
                    yield _run(method, compression, seed)


def _run(method, compression, seed):
    return dict(zip(FIELDS, ("mnist", method, compression, seed), strict=True))


def stage(run):
    """Order of the runs: the nets that have marks to reach, then their rivals."""
    return (run["method"] not in (DENSE, VARIANT), run["seed"])


def fraction(compression, sizes):
    """Share of the hidden weights to prune for a compression of the whole net.

    Parameters
    ----------
    compression : float
        All weights over those that are not zero, output layer included.
    sizes : sequence of int
        Units of every layer, input and output included.

    Returns
    -------
    float
        With all weights of the output layer taken as kept: as many of them as neurons die of it
        come on top.
    """
    layers = [n_in * n_out for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True)]
    return 1 - (sum(layers) / compression - layers[-1]) / sum(layers[:-1])


def execute(run, settings, folder):
    """The row of a run. Nothing is chosen here, so that validation rows are trained on, too."""
    rows = Rows.load(run["dataset"], settings.n_rows)
    X = np.concatenate([rows.X_val, rows.X])
    y = np.concatenate([rows.y_val, rows.y])
    sizes = (X.shape[1], *HIDDEN, len(np.unique(y)))
    dense = run["method"] == DENSE
    epochs, X_test = settings.lenet_epochs, rows.X_test
    if dense:
        epochs = round(DENSE_LONGER * epochs)
        X, X_test = ((part - rows.X.mean()) / rows.X.std() for part in (X, X_test))
    net = PrunedMLPClassifier(
        HIDDEN,
        method="magnitude" if dense else METHODS[run["method"]],
        prune_fraction=0.0 if dense else fraction(run["compression"], sizes),
        n_prune_rounds=ROUNDS,
        trigger=EpochTrigger(FIRST_ROUND, LAST_ROUND),
        learning_rate_init=DENSE_RATE if dense else RATE,
        alpha=ALPHA,
        batch_size=BATCH,
        dropout=DENSE_DROPOUT if dense else DROPOUT,
        max_iter=epochs,
        n_iter_no_change=np.inf,
        random_state=run["seed"],
        net_params={"callbacks": callbacks(epochs, FADING)},
    ).fit(X, y)
    weights = sum(np.count_nonzero(coef) for coef in net.coefs_)
    return [
        {
            "train_accuracy": net.score(X, y),
            "test_accuracy": net.score(X_test, rows.y_test),
            "weights": weights,
            "reached": sum(a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)) / weights,
            "weights_by_layer": join(np.count_nonzero(coef) for coef in net.coefs_),
            "live": join(coef.shape[1] for coef in net.coefs_[:-1]),
            "inputs": X.shape[1] - len(net.unused_features_),
            "epochs": net.n_iter_,
        }
    ]
