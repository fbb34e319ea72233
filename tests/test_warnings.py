"""Warnings point at the line that called fit."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from skactprune import AccuracyTrigger, PrunedMLPClassifier, Pruner

X, y = load_iris(return_X_y=True)


class Interrupt(Callback):
    """Presses Ctrl-C."""

    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def caught(fit):
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        fit()
    assert {record.filename for record in records} == {__file__}
    assert {record.lineno for record in records} == {fit.__code__.co_firstlineno}
    return [str(record.message) for record in records]


def make(**params):
    return PrunedMLPClassifier(
        (10,), method="activation", **{"max_iter": 3, "random_state": 0} | params
    )


@pytest.mark.parametrize(
    "fit",
    [
        lambda: make().fit(X, y),
        lambda: make().fit_transform(X, y),
        lambda: make_pipeline(StandardScaler(), make()).fit(X, y),
    ],
)
def test_of_convergence(fit):
    assert [message[:42] for message in caught(fit)] == [
        "Stochastic Optimizer: Maximum iterations ("
    ]


def test_of_an_interrupt():
    clf = make(net_params={"callbacks": [Interrupt()]})
    interrupted, rounds = caught(lambda: clf.fit(X, y))
    assert "ended after 1 of 3 epochs and only 4 of 5 pruning rounds were triggered" in rounds
    assert interrupted == "Training interrupted by user."
    assert caught(lambda: clf.partial_fit(X, y)) == ["Training interrupted by user."]


def test_of_missing_feature_names():
    unlabeled = pd.DataFrame(X[:20], columns=list("abcd"))
    clf = make(tol=10, n_iter_no_change=1, max_iter=30)
    expected = ["X_unlabeled has feature names, but X has none."]
    assert caught(lambda: clf.fit(X, y, X_unlabeled=unlabeled)) == expected
    assert caught(lambda: clf.partial_fit(X, y, X_unlabeled=unlabeled)) == expected


def test_of_rounds_that_did_not_come():
    """The estimator and Pruner alone say the same, once max_epochs epochs are done."""
    trigger = AccuracyTrigger(1, 1)
    told = caught(lambda: make(trigger=trigger).fit(X, y))
    assert told == [
        "Stochastic Optimizer: Maximum iterations (3) reached and only 0 of 5 pruning rounds were "
        "triggered: the sparsity is 0.000, not prune_fraction=0.8."
    ]
    module = torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))
    net = NeuralNetClassifier(
        module, criterion=torch.nn.CrossEntropyLoss, max_epochs=3, verbose=0, train_split=None,
        callbacks=[Pruner(trigger=trigger)],
    )  # fmt: skip
    rows, labels = X.astype(np.float32), y.astype(np.int64)
    assert caught(lambda: net.fit(rows, labels)) == told
    net.initialize().partial_fit(rows, labels, epochs=2)
    with pytest.warns(ConvergenceWarning, match="only 0 of 5"):
        net.partial_fit(rows, labels, epochs=1)
    net.partial_fit(rows, labels, epochs=1)
