"""Our estimator and what a user would take instead, with the same net, solver, batch and epochs."""

import warnings
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from skactprune import PrunedMLPClassifier
from skactprune.methods import Activation

OURS = "PrunedMLPClassifier"
SKLEARN = "MLPClassifier"
TORCH = "bare torch loop"
FUSED = "bare torch loop, fused Adam"
SKORCH = "skorch, defaults"
MASKED = "torch.nn.utils.prune"

IMAGE_NET = (300, 200, 100, 50)
IMAGE_SIZES = (784, *IMAGE_NET, 10)
LENET = (300, 100)
# Of these, the published sizes 784-300-200-100-50-10 shrink to a fifth and to a tenth.
FIFTH = (60, 40, 20, 10)
TENTH = (30, 20, 10, 5)


def fits(X, y, hidden, batch, epochs):
    """Functions that fit a net for 10 classes that is not pruned, by who does it."""
    sizes = (X.shape[1], *hidden, 10)
    loop = partial(torch_loop, sizes, X, y, batch, epochs)
    return {
        OURS: partial(ours(hidden, batch, epochs).fit, X, y),
        TORCH: loop,
        FUSED: partial(loop, fused=True),
        SKLEARN: partial(sklearn_net(hidden, batch, epochs).fit, X, y),
        SKORCH: partial(skorch_net(sizes, batch, epochs).fit, X, y),
    }


def ours(hidden, batch, epochs, **params):
    """Our estimator, which trains all `epochs`; without other `params`, a dense net."""
    defaults = {"prune_fraction": 0, "n_iter_no_change": np.inf, "random_state": 0}
    return PrunedMLPClassifier(hidden, batch_size=batch, max_iter=epochs, **defaults | params)


def fit_to(live, X, y, batch, epochs):
    """Fit of 300-200-100-50 that is pruned in 5 rounds to just `live` neurons a layer.

    Raises
    ------
    RuntimeError
        If others are left: times would be of another net.
    """

    def weights(sizes):
        return sum(a * b for a, b in zip((X.shape[1], *sizes), sizes, strict=False))

    how = {"method": Activation("neuron", "layer")}
    how["prune_fraction"] = 1 - weights(live) / weights(IMAGE_NET)
    estimator = ours(IMAGE_NET, batch, epochs, **how).fit(X, y)
    found = tuple(len(neurons) for neurons in estimator.live_neurons_)
    if found != live:
        raise RuntimeError(f"The net has {found} neurons left instead of {live}.")
    return estimator


def sklearn_net(hidden, batch, epochs):
    """scikit-learn's classifier, which trains all `epochs`."""
    how = {"n_iter_no_change": epochs + 1, "random_state": 0}
    return MLPClassifier(hidden, batch_size=batch, max_iter=epochs, **how)


def module(sizes):
    """Plain torch module of these layers, input and output included."""
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def skorch_net(sizes, batch, epochs):
    """Classifier of skorch as it comes, except that it trains on all rows and prints nothing."""
    return NeuralNetClassifier(
        module(sizes),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.001,
        batch_size=batch,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )


def torch_loop(sizes, X, y, batch, epochs, fused=None, masked=0.0):
    """Train a plain torch module as a careful user would, and return it.

    `fused` is that of `torch.optim.Adam`, None for torch's default, which is not fused on a CPU;
    `masked` the share of every hidden weight matrix that torch.nn.utils.prune masks beforehand.
    """
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    net = module(sizes)
    mask(net, masked)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001, fused=fused)
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(X)).split(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(X.index_select(0, rows)), y.index_select(0, rows))
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
    return net


def mask(net, amount):
    """Mask a share of every hidden weight matrix of a module with torch.nn.utils.prune."""
    for layer in [part for part in net if isinstance(part, nn.Linear)][:-1] if amount else ():
        prune.l1_unstructured(layer, "weight", amount)


# -- fitted models whose predictions and files are measured --------------------------------------


def dense_sklearn(bench):
    """MLPClassifier of the original sizes."""
    return _fitted(bench, sklearn_net(IMAGE_NET, 128, 5).fit)


def shrunk(bench, live):
    """PrunedMLPClassifier with just these neurons left of 300-200-100-50."""
    return _fitted(bench, partial(fit_to, live, batch=128, epochs=5))


def sparse(bench, method):
    """PrunedMLPClassifier without 90 % of its hidden weights, of which `method` says which."""
    return _fitted(bench, ours(IMAGE_NET, 128, 5, method=method, prune_fraction=0.9).fit)


def masked_module():
    """Torch module of the original sizes, untrained, with 90 % of its hidden weights masked."""
    net = module(IMAGE_SIZES).eval()
    mask(net, 0.9)
    return net


def _fitted(bench, fit):
    X, y = bench.training_images(bench.settings.model_rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit(X=X, y=y)
