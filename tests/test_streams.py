"""partial_fit, call after call."""

import pickle

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from skactprune import PrunedMLPClassifier
from skactprune.estimators import _state
from skactprune.triggers import ProgressTrigger

X = np.random.default_rng(0).normal(size=(12, 4))
y = np.arange(12) % 3


def after(n_calls, cls=PrunedMLPClassifier, **params):
    clf = cls((6,), random_state=0, max_iter=20, **params)
    for _ in range(n_calls):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    return clf


def size_of(clf):
    return len(pickle.dumps(clf))


@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_a_stream_adds_nothing_but_its_loss_to_a_pickle(fraction, monkeypatch):
    monkeypatch.setattr(_state, "KEPT_EPOCHS", 20)
    clf = after(60, prune_fraction=fraction)
    before = size_of(clf)
    for _ in range(40):
        clf.partial_fit(X, y)
    # A float takes 9 bytes.
    assert size_of(clf) - before <= 40 * 9 + 40
    assert size_of(clf) - before < size_of(after(100, MLPClassifier)) - size_of(
        after(60, MLPClassifier)
    )
    assert len(clf.loss_curve_) == 100
    history = clf.net_.history
    assert [row["epoch"] for row in history[-3:]] == [98, 99, 100]
    assert len(history) == 21
    assert [row["train_loss"] for row in history] == clf.loss_curve_[-21:]


def test_what_is_dropped_from_the_history_changes_nothing(monkeypatch):
    expected = after(30)
    monkeypatch.setattr(_state, "KEPT_EPOCHS", 2)
    np.testing.assert_array_equal(after(30).predict_proba(X), expected.predict_proba(X))
    assert after(30).loss_curve_ == expected.loss_curve_


def test_a_call_that_fails_adds_nothing():
    clf = after(5)
    curve, expected = clf.loss_curve_, list(clf.loss_curve_)
    with pytest.raises(ValueError, match="non-finite|not finite|diverged"):
        clf.partial_fit(np.full_like(X, 1e308), y)
    assert clf.loss_curve_ is curve
    assert curve == expected
    assert clf.partial_fit(X, y).loss_curve_[:5] == expected
    assert len(clf.loss_curve_) == 6


@pytest.mark.parametrize("sizes", [[3] * 40, [1, 5] * 20, [10] * 12])
def test_rounds_come_by_the_rows_that_a_stream_has_brought(sizes):
    """Of 120 rows to come: after those of a tenth, ... six tenths, whatever the calls bring."""
    trigger = ProgressTrigger(n_samples=120)
    clf = PrunedMLPClassifier((20,), prune_fraction=0.5, trigger=trigger, random_state=0)
    marks, seen, expected = [12, 27, 42, 57, 72], 0, []
    rng = np.random.default_rng(0)
    for n_rows in sizes:
        rows = rng.integers(0, len(X), n_rows)
        clf = pickle.loads(pickle.dumps(clf))
        clf.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        seen += n_rows
        expected.append(sum(mark <= seen for mark in marks))
        assert max([row["round"] for row in clf.pruning_history_], default=0) == expected[-1]
    assert seen == 120
    assert clf.sparsity_ >= 0.5


@pytest.mark.parametrize("n_samples", [0, 1.5, "many", True])
def test_rows_to_come_are_a_number(n_samples):
    trigger = ProgressTrigger(n_samples=n_samples)
    with pytest.raises(
        ValueError, match=r"n_samples=.* must be an int in the range \[1, inf\) or None"
    ):
        PrunedMLPClassifier((6,), trigger=trigger).partial_fit(X, y, classes=[0, 1, 2])
