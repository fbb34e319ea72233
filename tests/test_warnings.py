"""Warnings point at the line that called fit."""

import warnings

import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skactprune import PrunedMLPClassifier

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
    return PrunedMLPClassifier((10,), **{"max_iter": 3, "random_state": 0} | params)


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
    assert caught(lambda: clf.fit(X, y)) == ["Training interrupted by user."]
    assert caught(lambda: clf.partial_fit(X, y)) == ["Training interrupted by user."]


def test_of_missing_feature_names():
    unlabeled = pd.DataFrame(X[:20], columns=list("abcd"))
    clf = make(tol=10, n_iter_no_change=1, max_iter=30)
    expected = ["X_unlabeled has feature names, but X has none."]
    assert caught(lambda: clf.fit(X, y, X_unlabeled=unlabeled)) == expected
    assert caught(lambda: clf.partial_fit(X, y, X_unlabeled=unlabeled)) == expected
