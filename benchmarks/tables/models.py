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

DEFAULT, DENSE, RANDOM, MAGNITUDE = "default", "dense", "random", "magnitude, weights"
SCRATCH, SKLEARN = "small from scratch", "small MLPClassifier"
# At all fractions; other ways of pruning at the first alone.
CORE = (DEFAULT, RANDOM, MAGNITUDE)
# Without layers: functions of the seed.
OTHERS = {
    "logistic regression": lambda seed: LogisticRegression(max_iter=5000, random_state=seed),
    "boosted trees": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}
BINS = 15


def ours(hidden, fraction, seed, **params):
    """The estimator with its defaults, except for some parameters, which may nest."""
    net = PrunedMLPClassifier(hidden, prune_fraction=fraction, random_state=seed)
    return net.set_params(**params)


def pruning():
    """Parameters of the estimator by name of the way of pruning.

    Methods remove neurons where they have the choice, and random ones leave as those of the default
    do.
    """
    default = ours(1, 0, 0).method
    found = {DEFAULT: {}, MAGNITUDE: {"method": "magnitude", "method__granularity": "weight"}}
    for name in [name for name in METHODS if name != default]:
        found[name] = {"method": name}
        what = get_method(default).granularity if name == RANDOM else "neuron"
        if _takes(get_method(name), what):
            found[name]["method__granularity"] = what
    return found


def _takes(method, granularity):
    if "granularity" not in method.get_params():
        return False
    try:
        method.set_params(granularity=granularity).validated()
    except ValueError:
        return False
    return True


def of_live_size(net, seed):
    """Yield names and nets that have the neurons of a pruned net from the start."""
    live = [max(len(neurons), 1) for neurons in net.live_neurons_]
    as_long = {"max_iter": net.n_iter_, "tol": 0.0, "n_iter_no_change": np.inf}
    yield SCRATCH, ours(live, 0.0, seed, **as_long)
    yield SKLEARN, MLPClassifier(live, random_state=seed)


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
    validation, test = (parts.X_val, parts.y_val), (parts.X_test, parts.y_test)
    return {
        f"{prefix}{part}_{name}": value
        for part, (X, y) in (("validation", validation), ("test", test))
        for name, value in measures(y, model.predict_proba(X)).items()
    }


def measures(y, proba):
    """Accuracy, balanced accuracy, log-loss and calibration error of probabilities.

    The latter is the expected distance of confidence and accuracy, by bins of the confidence.
    """
    labels, confidence = proba.argmax(axis=1), proba.max(axis=1)
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, (labels == y) - confidence)
    return {
        "accuracy": accuracy_score(y, labels),
        "balanced": balanced_accuracy_score(y, labels),
        "logloss": log_loss(y, proba, labels=np.arange(proba.shape[1])),
        "ece": float(np.abs(gaps).sum() / len(y)),
    }
