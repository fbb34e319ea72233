"""Numbers below the normal ones, which make products slow, do not stay in nets that are trained."""

import numpy as np
import pytest
import torch

from skactprune import PrunedMLPClassifier
from skactprune.nets.subnormal import flush_subnormals


def subnormals(net):
    """How many there are in the weights and biases of a fitted net."""
    return sum(
        int(((array != 0) & (np.abs(array) < np.finfo(array.dtype).tiny)).sum())
        for array in [*net.coefs_, *net.intercepts_]
    )


@pytest.fixture
def with_dead_input():
    """Rows with a feature that is always zero, so that only the penalty moves its weights."""
    X = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    X[:, 1] = 0
    return X, (X[:, 0] > 0).astype(int)


def decaying(**params):
    """A net whose penalty takes weights without gradient below all normal numbers."""
    how = {"max_iter": 100, "alpha": 0.2, "learning_rate_init": 0.01, "prune_fraction": 0.0}
    how |= {"n_iter_no_change": np.inf, "batch_size": 10, "dtype": "float32", "random_state": 0}
    return PrunedMLPClassifier((8,), **how | params)


# Of float32: the smallest normal number, and the largest below it.
SMALLEST = float(np.finfo(np.float32).tiny)
LARGEST = float(np.nextafter(np.float32(SMALLEST), np.float32(0)))
SGD = {"solver": "sgd", "learning_rate_init": 0.2, "alpha": 2.0}
WAYS = {"explicit": {}, "autograd": {"dropout": 0.1}, "sgd": SGD}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
class TestFit:
    def test_leaves_none(self, way, with_dead_input, monkeypatch):
        net = decaying(**way)
        assert subnormals(net.fit(*with_dead_input)) == 0
        monkeypatch.setattr("skactprune.nets.net.flush_subnormals", lambda optimizer: None)
        assert subnormals(net.fit(*with_dead_input)) > 0

    def test_predicts_the_same(self, way, with_dead_input, monkeypatch):
        net, (X, y) = decaying(**way), with_dead_input
        flushed = net.fit(X, y).predict_proba(X)
        monkeypatch.setattr("skactprune.nets.net.flush_subnormals", lambda optimizer: None)
        np.testing.assert_allclose(net.fit(X, y).predict_proba(X), flushed, rtol=1e-5)

    def test_zeros_are_not_taken_for_pruned_when_training_goes_on(self, way, with_dead_input):
        net, (X, y) = decaying(warm_start=True, **way), with_dead_input
        net.fit(X, y)
        assert (net.coefs_[0][1] == 0).all()
        # The feature begins to matter.
        X = X.copy()
        X[:, 1] = np.where(y == 1, 3, -3)
        net.set_params(alpha=1e-4).fit(X, y)
        assert (net.coefs_[0][1] != 0).any()
        assert all(mask.all() for mask in net.masks_)


def test_flush_subnormals_keeps_everything_else():
    values = torch.tensor([0.0, -0.0, LARGEST, -1e-45, SMALLEST, -1.0, -np.inf, np.nan])
    parameter = torch.nn.Parameter(values.clone())
    optimizer = torch.optim.Adam([parameter])
    state = {"step": torch.tensor(3.0), "exp_avg": values.clone(), "exp_avg_sq": values.abs()}
    optimizer.state[parameter] = state
    flush_subnormals(optimizer)
    expected = torch.tensor([0.0, 0.0, 0.0, 0.0, SMALLEST, -1.0, -np.inf, np.nan])
    for found in (parameter.detach(), state["exp_avg"]):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    assert state["step"] == 3
    doubles = torch.nn.Parameter(torch.tensor([1e-307, 2e-308], dtype=torch.float64))
    flush_subnormals(torch.optim.SGD([doubles], lr=0.1))
    assert doubles.tolist() == [1e-307, 0.0]
