"""Sparse low rank factors against numpy's SVD, least squares and loops."""

import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import least_squares
from skorch.callbacks import Callback

from skactprune import PrunedMLPClassifier, compact, compact_low_rank
from skactprune.checks import data
from skactprune.inspection import n_weights
from skactprune.methods import SLR
from skactprune.nets.factors import Sparing
from skactprune.spectra import numerical_rank
from skactprune.triggers import EpochTrigger

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
RNG = np.random.default_rng(0)


def by_svd(W, rank, low_out, low_in, reduced):
    """The paper's product, a singular triplet after the other."""
    U, s, Vt = np.linalg.svd(W)
    product = np.zeros_like(W)
    for k in range(rank):
        u, v = np.sqrt(s[k]) * U[:, k], np.sqrt(s[k]) * Vt[k]
        if k >= reduced:
            u, v = np.where(low_out, 0, u), np.where(low_in, 0, v)
        product += np.outer(u, v)
    return product


def lowest(scores, share):
    """True for the share of the entries that are smallest."""
    chosen = sorted(range(len(scores)), key=lambda i: scores[i])[: math.floor(share * len(scores))]
    return np.isin(np.arange(len(scores)), chosen)


# -- factors --------------------------------------------------------------------------------


@pytest.mark.parametrize("low, keep", [(0.5, 0.5), (0.3, 0.2), (0.0, 1.0), (1.0, 0.0)])
def test_factors_are_those_of_the_truncated_svd_with_zeros(low, keep):
    W, of_rows, of_columns = RNG.normal(size=(9, 14)), RNG.random(9), RNG.random(14)
    sparing = Sparing(low, keep)
    factors = sparing.factors(W, 5, of_rows, of_columns)
    reduced = max(1, math.ceil(keep * 5))
    low_rows, low_columns = lowest(of_rows, low), lowest(of_columns, low)
    expected = by_svd(W, 5, low_rows, low_columns, reduced)
    assert_allclose(factors.product, expected, atol=1e-12)
    assert not factors.left[low_rows, reduced:].any()
    assert not factors.right[reduced:, low_columns].any()
    n = np.count_nonzero(factors.left) + np.count_nonzero(factors.right)
    assert n == factors.n_numbers == sparing.n_numbers(W.shape, 5)
    if low == 0:
        U, s, Vt = np.linalg.svd(W)
        assert_allclose(expected, U[:, :5] * s[:5] @ Vt[:5], atol=1e-12)
        assert n == 5 * (9 + 14)


def test_fitting_ends_at_a_least_squares_solution():
    # How many steps it takes depends on the numbers: the same in any order of tests.
    rng = np.random.default_rng(0)
    W = rng.normal(size=(7, 8))
    factors = Sparing(0.5, 0.5).factors(W, 4, rng.random(7), rng.random(8))
    before = np.linalg.norm(factors.product - W)
    for _ in range(3000):
        factors = factors.fitted_to(W)
    error = np.linalg.norm(factors.product - W)
    assert error < before
    # No other such factors near these are better.
    held = [factors.left != 0, factors.right != 0]
    start = np.concatenate([factors.left[held[0]], factors.right[held[1]]])

    def residual(x):
        left, right = np.zeros_like(factors.left), np.zeros_like(factors.right)
        left[held[0]], right[held[1]] = np.split(x, [held[0].sum()])
        return (left @ right - W).ravel()

    best = np.linalg.norm(least_squares(residual, start).fun)
    assert error == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("low, left_over", [(0.0, 1e-9), (0.5, 0.25)])
def test_fitting_to_such_a_product_nearby_goes_there(low, left_over):
    sparing, scores = Sparing(low, 0.5), (RNG.random(12), RNG.random(15))
    factors = sparing.factors(RNG.normal(size=(12, 15)), 4, *scores)
    moved = [
        factor + 1e-3 * RNG.normal(size=factor.shape) * (factor != 0)
        for factor in (factors.left, factors.right)
    ]
    near = moved[0] @ moved[1]
    distance = np.linalg.norm(factors.product - near)
    assert np.linalg.norm(factors.fitted_to(near).product - near) < left_over * distance
    for _ in range(200):
        factors = factors.fitted_to(near)
    assert np.linalg.norm(factors.product - near) < 0.01 * distance


def test_ranks_save_as_much_as_is_asked_for_and_hardly_more():
    shapes = [(30, 40), (20, 30), (10, 20)]
    total = sum(a * b for a, b in shapes)
    for low, keep, fraction in itertools.product((0, 0.5), (0.3, 1), (0.1, 0.4, 0.7, 0.85)):
        sparing = Sparing(low, keep)
        n_left = math.floor((1 - fraction) * total)
        ranks = sparing.ranks(shapes, n_left)
        sizes = [
            a * b if rank is None else sparing.n_numbers((a, b), rank)
            for (a, b), rank in zip(shapes, ranks, strict=True)
        ]
        assert n_left - 71 < sum(sizes) <= n_left
        assert all(size <= a * b for size, (a, b) in zip(sizes, shapes, strict=True))
    assert Sparing(0, 1).ranks([(2, 2), (1, 9)], 0) == [None, None]
    assert Sparing(0, 1).ranks([(8, 9)], 0) == [1]


def test_factors_of_fewer_neurons():
    factors = Sparing(0.5, 0.5).factors(RNG.normal(size=(6, 5)), 3, np.arange(6), np.arange(5))
    rows, columns = np.arange(6) % 2 == 0, np.arange(5) > 1
    rest = factors.cut(rows, columns)
    assert_allclose(rest.product, factors.product[rows][:, columns])
    assert rest.n_numbers == np.count_nonzero(rest.left) + np.count_nonzero(rest.right)


# -- in training ----------------------------------------------------------------------------


class Watch(Callback):
    """Notes the hidden weights after every step."""

    def initialize(self):
        self.steps = []
        return self

    def _weights(self, net):
        return [layer.weight.detach().numpy().copy() for layer in net.module_.layers[:-1]]

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.steps.append(self._weights(net))


def fit(method=None, watch=None, dtype="float64", hidden=(20, 16), **params):
    defaults = {
        "prune_fraction": 0.6,
        "n_prune_rounds": 2,
        "trigger": EpochTrigger(0.2, 0.5),
        "max_iter": 8,
        "learning_rate_init": 0.01,
        "random_state": 0,
        "dtype": dtype,
        "weight_decay": 0,
    }
    if watch is not None:
        defaults["net_params"] = {"callbacks": [("watch", watch)]}
    clf = PrunedMLPClassifier(hidden, method=method or SLR(), **defaults | params)
    return clf.fit(*data())


def test_a_round_at_the_end_is_the_svd_of_the_trained_net():
    once = {"n_prune_rounds": 1, "trigger": EpochTrigger(1.0, 1.0)}
    dense = fit(prune_fraction=0, **once)
    clf = fit(**once)
    for W, V, (left, right) in zip(dense.coefs_, clf.coefs_, clf.factors_, strict=False):
        rank = left.shape[1]
        low_in, low_out = (lowest(np.abs(W).sum(axis=axis), 0.5) for axis in (1, 0))
        expected = by_svd(W.T, rank, low_out, low_in, math.ceil(rank / 2)).T
        assert_allclose(V, expected, atol=1e-9)
        assert_allclose(left @ right, V, atol=1e-12)
    assert_array_equal(clf.coefs_[-1], dense.coefs_[-1])
    of_fitted = compact_low_rank(dense, 0.6)
    for W, V in zip(of_fitted.coefs_, clf.coefs_, strict=True):
        assert_allclose(W, V, atol=1e-9)


@pytest.mark.parametrize("significance", ["cost", "activation"])
def test_significance_by_loops(significance):
    once = {"n_prune_rounds": 1, "trigger": EpochTrigger(1.0, 1.0), "activation": "tanh"}
    dense = fit(prune_fraction=0, **once)
    clf = fit(SLR(significance), **once)
    X, y = data()
    h = [X]
    for W, b in zip(dense.coefs_, dense.intercepts_, strict=True):
        h.append(np.tanh(h[-1] @ W + b))

    def loss(coefs):
        dense_coefs, dense.coefs_ = dense.coefs_, coefs
        logs = dense.predict_log_proba(X)
        dense.coefs_ = dense_coefs
        return -np.mean(logs[np.arange(len(y)), y])

    def change(depth, scale):
        """Derivative of the loss where some weights are scaled."""
        losses = []
        for step in (1e-4, -1e-4):
            coefs = list(dense.coefs_)
            coefs[depth] = coefs[depth] * (1 + step * scale)
            losses.append(loss(coefs))
        return abs(losses[0] - losses[1]) / 2e-4

    for depth, (left, right) in enumerate(clf.factors_):
        W = dense.coefs_[depth]
        if significance == "activation":
            of_in, of_out = (np.abs(h[at]).mean(axis=0) for at in (depth, depth + 1))
        else:
            of_in = [change(depth, np.eye(W.shape[0])[i][:, None]) for i in range(W.shape[0])]
            of_out = [change(depth, np.eye(W.shape[1])[j]) for j in range(W.shape[1])]
        reduced = math.ceil(left.shape[1] / 2)
        if reduced < left.shape[1]:
            assert_array_equal(~left[:, reduced:].any(axis=1), lowest(of_in, 0.5))
            assert_array_equal(~right[reduced:].any(axis=0), lowest(of_out, 0.5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_weights_stay_such_a_product_after_every_step(solver, dtype):
    watch = Watch()
    clf = fit(watch=watch, dtype=dtype, solver=solver, momentum=0.9, alpha=0.1, batch_size=15)
    ranks = [left.shape[1] for left, _ in clf.factors_]
    # The last round comes after half of the epochs.
    after = watch.steps[len(watch.steps) // 2 :]
    for weights in after:
        assert [numerical_rank(W) for W in weights] == ranks
    assert not np.allclose(after[0][0], after[-1][0])
    assert clf.hidden_ranks_ == ranks


def test_the_loss_falls_as_factors_are_trained():
    clf = fit(max_iter=40)
    last_round = clf.pruning_history_[-1]["epoch"]
    assert clf.loss_curve_[-1] < 0.8 * clf.loss_curve_[last_round]


def test_sparsity_tells_what_the_factors_save():
    clf = fit(hidden=(40, 30))
    n = [sum(np.count_nonzero(factor) for factor in pair) for pair in clf.factors_]
    total = sum(mask.size for mask in clf.masks_)
    assert clf.sparsity_ == 1 - sum(n) / total >= 0.6
    assert clf.pruning_history_[-1]["sparsity"] == clf.sparsity_
    assert all(mask.all() for mask in clf.masks_)
    assert compact(clf).kernel_sizes_ == [*n, clf.coefs_[-1].size]
    assert n_weights(clf) == n_weights(compact(clf)) == sum(n) + clf.coefs_[-1].size


def test_early_stopping_goes_back_to_factors():
    clf = fit(early_stopping=True, validation_fraction=0.3, max_iter=40, n_iter_no_change=4)
    for W, (left, right) in zip(clf.coefs_, clf.factors_, strict=False):
        assert_allclose(left @ right, W, atol=1e-9)


def test_another_method_that_goes_on_has_no_factors():
    clf = fit(warm_start=True)
    clf = pickle.loads(pickle.dumps(clf)).set_params(method="magnitude").fit(*data())
    assert clf.factors_ == [None, None]
    assert 0.6 <= clf.sparsity_ == 1 - sum(mask.sum() for mask in clf.masks_) / 440


def test_what_cannot_be_reached_is_refused():
    with pytest.raises(ValueError, match=r"prune_fraction=0.95 cannot be reached: two factors"):
        fit(prune_fraction=0.95)
    with warnings.catch_warnings(action="ignore"):
        clf = fit("magnitude", warm_start=True)
        with pytest.raises(ValueError, match="cannot factor weights some of which are pruned"):
            clf.set_params(method="slr", prune_fraction=0.7).fit(*data())
    with pytest.raises(ValueError, match="fraction=0.95 cannot be saved"):
        compact_low_rank(fit(prune_fraction=0), 0.95)


@pytest.mark.parametrize(
    "name, value",
    [("significance", "size"), ("low", 1.1), ("low", "a"), ("keep", -0.1), ("n_rows", 0)],
)
def test_wrong_options_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r} of SLR must be"):
        SLR(**{name: value}).validated()
    if name in ("low", "keep"):
        with pytest.raises(ValueError, match=f"{name}={value!r} must be"):
            compact_low_rank(fit(prune_fraction=0, max_iter=1), 0.5, **{name: value})
