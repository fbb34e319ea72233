"""Nets for the tests of compact models: random ones, and small ones that were fitted."""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np

from skactprune import Activation, CompactMLPClassifier, PrunedMLPClassifier
from skactprune.deploy.storages import STORAGES as KNOWN_STORAGES
from skactprune.deploy.weights import CompactWeights
from skactprune.nets.activations import ACTIVATIONS as KNOWN_ACTIVATIONS
from skactprune.nets.components import HiddenComponents
from skactprune.nets.inference import logits_of
from skactprune.spectra import svd_truncate

ACTIVATIONS = tuple(KNOWN_ACTIVATIONS)
STORAGES = tuple(KNOWN_STORAGES)


def random_net(
    sizes=(8, 6, 5, 3),
    *,
    activation="relu",
    dtype=np.float32,
    classes=None,
    density=1.0,
    seed=0,
    components=None,
    rank=None,
):
    """Weights, biases and whatever else a compact model is made of; tests may change them."""
    rng = np.random.default_rng(seed)
    coefs, intercepts = [], []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        W = rng.normal(size=(n_in, n_out)) / np.sqrt(max(1, n_in * density))
        W[rng.random(W.shape) >= density] = 0
        if rank is not None and not coefs:
            W = svd_truncate(W, rank)
        coefs.append(W.astype(dtype))
        intercepts.append(rng.normal(size=n_out).astype(dtype))
    # Every class shall be predicted for some rows.
    X = rng.normal(size=(200, sizes[0])).astype(dtype)
    intercepts[-1] -= logits_of(X, coefs, intercepts, activation).mean(axis=0)
    n_classes = 2 if sizes[-1] == 1 else sizes[-1]
    shown = {"transform_layer": len(sizes) - 3 if len(sizes) > 2 else None}
    if components is not None:
        width = sizes[-2]
        directions = np.linalg.qr(rng.normal(size=(width, width)))[0][:components]
        mean = rng.normal(size=width)
        shown["components"] = HiddenComponents(directions.T, mean).mapped(lambda a: a.astype(dtype))
    return SimpleNamespace(
        coefs=coefs,
        intercepts=intercepts,
        activation=activation,
        classes=np.arange(n_classes) if classes is None else np.asarray(classes),
        shown=shown,
    )


def model_of(net, storage=None):
    """Compact model of a `random_net`."""
    weights = CompactWeights.of(
        net.coefs, net.intercepts, activation=net.activation, storage=storage, **net.shown
    )
    return CompactMLPClassifier.of(weights, net.classes, output_prefix="net")


def random_model(*args, storage=None, **kwargs):
    return model_of(random_net(*args, **kwargs), storage)


def rows(n_rows, n_features, dtype=np.float32, seed=1):
    return np.random.default_rng(seed).normal(size=(n_rows, n_features)).astype(dtype)


@lru_cache
def problem(n_classes=3, dtype=np.float32, n_features=12):
    """Rows and integer labels that a small net learns in a few epochs."""
    rng = np.random.default_rng(0)
    y = np.arange(240) % n_classes
    centres = 2 * rng.normal(size=(n_classes, n_features))
    return (centres[y] + rng.normal(size=(240, n_features))).astype(dtype), y


# One improvement is demanded that cannot come, so that training ends, as converged, after the
# last pruning round.
QUICK = {
    "max_iter": 12,
    "learning_rate_init": 0.03,
    "batch_size": 20,
    "tol": 100.0,
    "n_iter_no_change": 1,
    "random_state": 0,
}


@lru_cache
def fitted(n_classes=3, dtype=np.float32, granularity="neuron", **params):
    """Pruned estimator, trained on `problem`; shared, not to be changed."""
    X, y = problem(n_classes, dtype)
    method = Activation(granularity=granularity)
    params = QUICK | {"hidden_layer_sizes": (20, 10), "method": method} | params
    return PrunedMLPClassifier(**params).fit(X, y)
