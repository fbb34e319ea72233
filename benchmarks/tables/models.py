"""Models by name, and what is measured of a fitted one."""

from functools import cache
from time import process_time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss
from sklearn.neural_network import MLPClassifier

from benchmarks.reproduce.nets import join
from skactprune import PrunedMLPClassifier
from skactprune.inspection import n_parameters, n_weights
from skactprune.methods import METHODS, get_method

DEFAULT, DENSE, RANDOM = "default", "dense", "random"
MAGNITUDE = "magnitude, weights"
SCRATCH, SKLEARN = "small from scratch", "small MLPClassifier"
LINEAR, TREES = "logistic regression", "boosted trees"
BINS = 15


def ours(hidden, fraction, seed, **params):
    """The estimator with its defaults, except for some parameters, which may nest."""
    net = PrunedMLPClassifier(hidden, prune_fraction=fraction, random_state=seed)
    return net.set_params(**params)


def pruning():
    """Parameters of the estimator by name of the way of pruning.

    Methods remove neurons; those that cannot, which have no ``granularity``, are left out.
    """
    found = {DEFAULT: {}, MAGNITUDE: {"method": "magnitude", "method__granularity": "weight"}}
    default = ours(1, 0, 0).method
    for name in METHODS:
        if name != default and "granularity" in get_method(name).get_params():
            found[name] = {"method": name, "method__granularity": "neuron"}
    return found


# Without hidden layers: a function of the seed each.
OTHERS = {
    LINEAR: lambda seed: LogisticRegression(max_iter=5000, random_state=seed),
    TREES: lambda seed: HistGradientBoostingClassifier(random_state=seed),
}


def of_live_size(net, seed):
    """Rivals of a pruned net by name: nets that have its size from the start."""
    live = [max(len(neurons), 1) for neurons in net.live_neurons_]
    as_long = {"max_iter": net.n_iter_, "tol": 0.0, "n_iter_no_change": np.inf}
    return {
        SCRATCH: ours(live, 0.0, seed, **as_long),
        SKLEARN: MLPClassifier(live, random_state=seed),
    }


@cache
def _warm():
    """What the first fit of a process imports must not look like a slow fit."""
    ours((2,), 0.0, 0, max_iter=1).fit(np.eye(2), [0, 1])


def fitted(model, parts):
    """Fit a model, and return it with the row of what is measured.

    ``seconds`` are CPU time, which other processes disturb less.
    """
    _warm()
    start = process_time()
    model.fit(parts.X, parts.y)
    row = {"seconds": process_time() - start, "train_rows": len(parts.y)}
    row |= {"features": parts.X.shape[1], "classes": len(model.classes_)}
    return model, row | sizes(model) | scores(model, parts)


def sizes(model):
    """Neurons of the hidden layers, weights that are not zero, epochs; NaN where there are none."""
    if not hasattr(model, "coefs_"):
        return {"live": "-", "weights": n_parameters(model), "epochs": np.nan}
    live = [coef.any(axis=0).sum() for coef in model.coefs_[:-1]]
    return {"live": join(live), "weights": n_weights(model), "epochs": model.n_iter_}


def scores(model, parts, prefix=""):
    """Measures of a classifier on validation and test rows."""
    row = {}
    for part, X, y in (
        ("validation", parts.X_val, parts.y_val),
        ("test", parts.X_test, parts.y_test),
    ):
        measured = measures(y, model.predict_proba(X))
        row |= {f"{prefix}{part}_{name}": value for name, value in measured.items()}
    return row


def measures(y, proba):
    """Accuracy, balanced accuracy, log-loss and calibration error of probabilities."""
    labels = proba.argmax(axis=1)
    return {
        "accuracy": accuracy_score(y, labels),
        "balanced": balanced_accuracy_score(y, labels),
        "logloss": log_loss(y, proba, labels=np.arange(proba.shape[1])),
        "ece": calibration_error(y, proba),
    }


def calibration_error(y, proba, bins=BINS):
    """Expected calibration error: mean distance of confidence and accuracy, by bins."""
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(at, right - confidence)).sum() / len(y))
