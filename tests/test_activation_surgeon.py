"""The activation surgeon: costs by linear algebra, compared with regressions on rows."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_digits

from skactprune import (
    Activation,
    ActivationSurgeon,
    EpochTrigger,
    FiringDeviation,
    Magnitude,
    PrunedMLPClassifier,
)
from skactprune.methods import ScoredMethod, surgeon
from skactprune.methods.surgeon import (
    elimination_costs,
    neuron_scores,
    take_over,
    weight_scores,
)
from skactprune.nets.batches import TrainingData
from skactprune.nets.inference import logits_of
from skactprune.nets.mlp import MLP
from skactprune.pruning import chain
from skactprune.pruning.gains import outgoing_of_chain
from skactprune.pruning.probes import OutputMoments
from skactprune.pruning.probes.outputs import Moments
from skactprune.pruning.probes.rows import Rows
from skactprune.pruning.run import Run

X, y = load_digits(return_X_y=True)
X = X[:400] / 16
y = y[:400]
ONCE = {"n_prune_rounds": 1, "trigger": EpochTrigger(1.0, 1.0), "max_iter": 10}
pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)


@pytest.fixture
def h(rng):
    """Outputs of 7 neurons, of which some tell of others."""
    base = rng.normal(size=(500, 7))
    return np.maximum(base @ rng.normal(size=(7, 7)) + 0.5, 0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def no_ridge(monkeypatch):
    monkeypatch.setattr(surgeon, "RIDGE", 1e-12)


def regression_error(h, gone, outgoing):
    """Mean squared error of the next layer when `gone` are told by the others, and its fit."""
    stays = np.column_stack([h[:, ~gone], np.ones(len(h))])
    told = stays @ np.linalg.lstsq(stays, h[:, gone], rcond=None)[0]
    return np.square((h[:, gone] - told) @ outgoing[:, gone].T).sum(axis=1).mean(), told


def moments_of(h):
    return Moments(h.mean(axis=0), np.cov(h.T, bias=True))


def test_first_cost_is_the_lowest_error_of_a_regression(h, rng, no_ridge):
    outgoing = rng.normal(size=(4, 7))
    errors = [regression_error(h, np.arange(7) == j, outgoing)[0] for j in range(7)]
    costs = elimination_costs(moments_of(h).covariance, outgoing)
    assert costs.argmin() == np.argmin(errors)
    assert costs.min() == pytest.approx(min(errors))


def test_costs_add_up_to_the_error_of_removing_all_of_them(h, rng, no_ridge):
    outgoing = rng.normal(size=(4, 7))
    costs = elimination_costs(moments_of(h).covariance, outgoing)
    order = costs.argsort()
    assert len(set(costs)) == 7
    total, found = 0.0, []
    for k in range(1, 7):
        gone = np.isin(np.arange(7), order[:k])
        error = regression_error(h, gone, outgoing)[0]
        found.append(error - total)
        total = error
    # What comes after a neuron that costs more costs at least as much.
    assert_allclose(np.maximum.accumulate(found), costs[order][:6], rtol=1e-6)


def test_others_take_over_as_a_regression_would(h, rng, no_ridge):
    outgoing, gone = rng.normal(size=(4, 7)), np.arange(7) < 3
    weights, biases = take_over(moments_of(h), gone, outgoing)
    assert not weights[:, gone].any()
    told = h[:, ~gone] @ outgoing[:, ~gone].T
    told += regression_error(h, gone, outgoing)[1] @ outgoing[:, gone].T
    assert_allclose(h @ weights.T + biases, told)


def test_ridge_keeps_the_mean(h, rng):
    outgoing, gone = rng.normal(size=(4, 7)), np.arange(7) < 3
    weights, biases = take_over(moments_of(h), gone, outgoing)
    assert_allclose((h @ weights.T + biases).mean(axis=0), (h @ outgoing.T).mean(axis=0))


def test_of_two_equal_neurons_one_goes_first_and_the_other_last(h, rng, no_ridge):
    h = np.column_stack([h[:, :5], 2 * h[:, 4]])
    outgoing = rng.normal(size=(4, 6))
    outgoing[:, 4:] *= 100
    order = elimination_costs(moments_of(h).covariance, outgoing).argsort()
    assert {order[0], order[-1]} == {4, 5}
    gone = np.arange(6) == order[0]
    weights, biases = take_over(moments_of(h), gone, outgoing)
    assert_allclose(h @ weights.T + biases, h @ outgoing.T, atol=1e-3)


def test_constant_neurons_go_first(h, rng):
    h[:, [2, 5]] = 0.0, 7.0
    outgoing = rng.normal(size=(4, 7))
    outgoing[:, [2, 5]] *= 100
    costs = elimination_costs(moments_of(h).covariance, outgoing)
    assert set(costs.argsort()[:2]) == {2, 5}


def test_layer_without_variance_has_finite_costs():
    assert np.isfinite(elimination_costs(np.zeros((3, 3)), np.ones((2, 3)))).all()
    weights, biases = take_over(
        Moments(np.ones(3), np.zeros((3, 3))), np.array([True, False, False]), np.ones((2, 3))
    )
    assert_allclose(weights, [[0, 1, 1]] * 2)
    assert_allclose(biases, 1)


def test_what_is_not_finite_has_no_costs():
    assert np.isnan(elimination_costs(np.diag([1.0, np.inf]), np.ones((2, 2)))).all()


def one_by_one(covariance, outgoing, steps):
    """Which leave and the costs, all of them taken anew whenever a neuron has left."""
    n = len(covariance)
    ridge = 0.1 * np.trace(covariance) / n or 1.0
    precision, outgoing = np.linalg.inv(covariance + ridge * np.eye(n)), outgoing.T.copy()
    left, order, costs = np.ones(n, dtype=bool), [], []
    for _ in range(steps or n):
        variance = 1 / np.where(left, np.diag(precision), 1) - ridge
        # Where the others tell all, the difference is rounding.
        variance[variance < 1e-12 * ridge] = 0
        cost = np.where(left, np.square(outgoing).sum(axis=1) * variance, np.inf)
        j = cost.argmin()
        left[j] = False
        order.append(j)
        costs.append(cost[j])
        told = precision[j] / precision[j, j]
        outgoing -= np.outer(told, outgoing[j])
        precision -= np.outer(told, precision[j])
    return np.array(order), np.maximum.accumulate(costs)


KINDS = {
    "plain": lambda h, outgoing: None,
    "dead": lambda h, outgoing: h[:, ::3].fill(2.0),
    "equal": lambda h, outgoing: h[:, 1::2].__setitem__(..., h[:, : h.shape[1] // 2 * 2 : 2]),
    "unread": lambda h, outgoing: outgoing[:, 1::3].fill(0.0),
    "all dead": lambda h, outgoing: h.fill(0.0),
}


@pytest.mark.parametrize("n", [1, 2, 5, 31, 32, 33, 64, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_costs_are_those_of_leaving_one_by_one(n, kind, rng):
    h = np.maximum(rng.normal(size=(2 * n + 50, n)) @ rng.normal(size=(n, n)), 0)
    outgoing = rng.normal(size=(10, n))
    KINDS[kind](h, outgoing)
    check_against_one_by_one(moments_of(h).covariance.reshape(n, n), outgoing)


def check_against_one_by_one(covariance, outgoing, steps=None):
    found = elimination_costs(covariance, outgoing)
    order, costs = one_by_one(covariance, outgoing, steps)
    assert_allclose(found[order], costs, rtol=2e-9)
    # Those that cost nothing leave in any order.
    free = (costs == 0).sum()
    assert (found == 0).sum() == free
    assert_array_equal(found.argsort()[free : len(order)], order[free:])


@pytest.mark.parametrize("n", [300, 700])
def test_wide_layers_leave_one_by_one(n, rng):
    h = np.maximum(rng.normal(size=(900, n)), 0)
    h[:, -100:-50], h[:, -10:] = h[:, :50], 3.0
    check_against_one_by_one(moments_of(h).covariance, rng.normal(size=(3, n)), steps=150)


def test_norms_that_cancel_are_computed_anew(rng):
    # Two take over from a third, which undoes all but a trace of what they had.
    block = np.array([[1, 1.35, 1.35], [1.35, 4, 0], [1.35, 0, 4]])
    share = 1.35 / (4 + 0.1 * 3)
    outgoing = np.kron(rng.normal(size=(4, 10)), [1, -share, -share])
    outgoing += 1e-10 * rng.normal(size=outgoing.shape)
    check_against_one_by_one(np.kron(np.eye(10), block), outgoing)


def test_matrices_that_rounding_has_made_indefinite_have_finite_costs():
    covariance = np.diag([1.0, 2.0, 3.0, -1.0])
    assert np.isfinite(elimination_costs(covariance, np.ones((2, 4)))).all()


def test_costs_that_overflow_are_none():
    outgoing = np.full((2, 3), 1e200)
    assert np.isnan(elimination_costs(np.eye(3), outgoing)).all()


def test_of_every_pair_of_equal_neurons_one_stays(rng):
    n = 300
    half = np.maximum(rng.normal(size=(2000, n // 2)), 0)
    order = rng.permutation(n)
    h, outgoing = np.concatenate([half, half], axis=1)[:, order], rng.normal(size=(5, n))
    costs = elimination_costs(moments_of(h).covariance, outgoing)
    gone = costs.argsort().argsort() < n // 2
    distinct = np.unique(order[~gone] % (n // 2))
    assert len(distinct) > 0.95 * n // 2


def test_masked_weights_do_not_take_over_and_the_mean_stays(h, rng):
    outgoing, gone, mask = rng.normal(size=(4, 7)), np.arange(7) < 3, rng.random((4, 7)) < 0.5
    outgoing *= mask
    weights, biases = take_over(moments_of(h), gone, outgoing, mask)
    assert not weights[~mask].any()
    assert (weights != outgoing)[mask & ~gone].any()
    assert_allclose((h @ weights.T + biases).mean(axis=0), (h @ outgoing.T).mean(axis=0))


def test_single_weights_leave_without_a_refit(monkeypatch):
    # It is looked up when neurons leave, not before.
    monkeypatch.setattr(surgeon, "take_over", lambda *args: pytest.fail("took over"))
    clf = fit(ActivationSurgeon("weight", "global"), 0.97)
    assert sum(map(len, clf.live_neurons_)) < 60


class Folding(Activation):
    """Lets others take over as they do anyway: the constant of a neuron goes into biases."""

    def remove(self, run, masks):
        biases = [layer.bias.detach().numpy().copy() for layer in run.hidden]

        def refit(depth, gone, outgoing, mask):
            assert (mask is None) == (depth == len(biases) - 1)
            if depth == 0:
                carried = outgoing[:, gone] @ np.maximum(biases[0][gone], 0)
                biases[1] += carried
            else:
                carried = outgoing[:, gone] @ np.maximum(biases[1][gone], 0)
            return np.where(gone, 0, outgoing), carried

        run.keep(masks, refit=refit)


def test_any_method_may_say_how_others_take_over():
    for one, other in zip(fit(Folding()).coefs_, fit(Activation()).coefs_, strict=True):
        assert_allclose(one, other, rtol=1e-12)
    for one, other in zip(fit(Folding()).intercepts_, fit(Activation()).intercepts_, strict=True):
        assert_allclose(one, other, rtol=1e-10)


def test_gain_is_that_of_the_paths_to_the_logits():
    weights = [np.ones((2, 3)), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0]])]
    first, second = outgoing_of_chain(weights, [np.array([0.5, 1.0]), np.array([0.25, 1.0])])
    assert_allclose(second, [[5, 6]])
    gain = np.sqrt([0.25 * 25, 36])
    assert_allclose(first, gain[:, None] * weights[1])


def test_neuron_score_is_the_cost_for_each_of_its_weights(h, rng):
    covariance, outgoing = moments_of(h).covariance, rng.normal(size=(4, 7))
    mask = rng.random((7, 5)) < 0.7
    mask[3] = False
    costs = elimination_costs(covariance, outgoing)
    scores = neuron_scores(covariance, outgoing, mask)
    assert scores.shape == (7, 1)
    assert_allclose(scores[:, 0], costs / np.maximum(mask.sum(axis=1), 1))


def test_weight_score_is_the_geometric_mean_of_size_and_effect(rng):
    weight, outgoing = rng.normal(size=(3, 5)), rng.normal(size=(4, 3))
    deviation = rng.random(5)
    rate = np.array([0.5, 0.25, 1.0])
    gain = np.sqrt(rate) * np.linalg.norm(outgoing, axis=0)
    gain /= np.sqrt(np.mean(gain**2))
    effect = np.abs(weight) * deviation * gain[:, None]
    scores = weight_scores(weight, rate, outgoing, deviation)
    assert_allclose(scores, np.sqrt(np.abs(weight) * effect))
    scores = weight_scores(weight, rate, outgoing, None)
    assert_allclose(scores, np.abs(weight) * np.sqrt(gain)[:, None])


def moments(clf, data, batch_size=40):
    """What the probe says of a fitted net and all rows of the data."""
    run = Run(clf.net_, "label", np.random.RandomState(0))
    run.rows = Rows(data, None, run.random_state, SimpleNamespace(batch_size=batch_size))
    probe = OutputMoments(len(data))
    probe.attach(run)
    return probe.take(run)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_moments_are_those_of_the_weighted_rows_without_dropout(activation, rng):
    clf = PrunedMLPClassifier(
        (9, 6), activation, prune_fraction=0, dropout=0.5, max_iter=2, random_state=0
    ).fit(X, y)
    weight = rng.integers(0, 3, len(X)).astype(float)
    rows = rng.permutation(len(X))[:150]
    found = moments(clf, TrainingData(X[rows], y[rows], weight[rows]))
    expected = np.repeat(rows, weight[rows].astype(int))
    plain = moments(clf, TrainingData(X[expected], y[expected], None))
    assert len(found) == len(plain) == 2
    for one, other in zip(found, plain, strict=True):
        assert_allclose(one.mean, other.mean)
        assert_allclose(one.covariance, other.covariance, atol=1e-12)
    first = X[expected] @ clf.coefs_[0] + clf.intercepts_[0]
    act = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "identity": lambda z: z}
    act["logistic"] = lambda z: 1 / (1 + np.exp(-z))
    assert_allclose(found[0].mean, act[activation](first).mean(axis=0), rtol=1e-6)
    assert_allclose(
        found[0].covariance, np.cov(act[activation](first).T, bias=True), rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_are_those_that_torch_gives(activation, dtype, monkeypatch):
    clf = PrunedMLPClassifier(
        (9, 6), activation, prune_fraction=0, dropout=0.5, max_iter=2, random_state=0
    ).fit(X.astype(dtype), y)
    data = TrainingData(X.astype(dtype), y, None)
    by_numpy = moments(clf, data)
    handle = clf.net_.module_.layers[0].register_forward_hook(lambda *args: None)
    monkeypatch.setattr(MLP, "numpy_parameters", lambda self: pytest.fail("not by torch"))
    by_torch = moments(clf, data)
    handle.remove()
    assert not any(layer._forward_pre_hooks for layer in clf.net_.module_.layers)
    tolerance = 100 * np.finfo(dtype).eps
    for one, other in zip(by_numpy, by_torch, strict=True):
        assert_allclose(one.mean, other.mean, rtol=tolerance, atol=tolerance)
        assert_allclose(one.covariance, other.covariance, rtol=tolerance, atol=tolerance)
        assert one.covariance.dtype == np.float64


def test_moments_are_those_that_hooks_leave():
    clf = PrunedMLPClassifier((9, 6), prune_fraction=0, max_iter=1, random_state=0).fit(X, y)
    data = TrainingData(X, y, None)
    plain = moments(clf, data)
    handle = clf.net_.module_.layers[0].register_forward_hook(lambda layer, args, z: 2 * z)
    hooked = moments(clf, data)
    handle.remove()
    assert_allclose(hooked[0].mean, 2 * plain[0].mean)


@pytest.mark.parametrize(("batch_size", "least"), [(3, 0), (3, 4), (3, 20), (-1, 4), (7, 4)])
def test_batches_have_at_least_so_many_rows(batch_size, least):
    rows = Rows(X, None, np.random.RandomState(0), SimpleNamespace(batch_size=batch_size))
    batches = rows.in_batches(np.arange(10), least)
    assert_array_equal(np.concatenate(batches), np.arange(10))
    assert len(batches) == {3: {0: 4, 4: 3, 20: 1}, -1: {4: 1}, 7: {4: 2}}[batch_size][least]


def test_rows_that_all_weigh_nothing_count_the_same():
    clf = PrunedMLPClassifier((5,), prune_fraction=0, max_iter=1, random_state=0).fit(X, y)
    (found,) = moments(clf, TrainingData(X[:50], y[:50], np.zeros(50)))
    (plain,) = moments(clf, TrainingData(X[:50], y[:50], None))
    assert_array_equal(found.covariance, plain.covariance)


def fit(method, fraction=0.5, **params):
    """Net of which one round takes a share after the last epoch, so that nothing recovers."""
    return PrunedMLPClassifier(
        (40, 20),
        method=method,
        prune_fraction=fraction,
        **{"learning_rate_init": 0.01, "random_state": 0} | ONCE | params,
    ).fit(X, y)


def change_of_the_logits(method, **params):
    nets = [fit(method, fraction, **params) for fraction in (0.0, 0.5)]
    dense, pruned = (logits_of(X, net.coefs_, net.intercepts_, "relu") for net in nets)
    return np.square(pruned - dense).mean()


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_a_round_changes_the_logits_less_than_others_do(scope):
    change = change_of_the_logits(ActivationSurgeon(scope=scope))
    rivals = [Activation(scope=scope), FiringDeviation(scope=scope), Magnitude("neuron", scope)]
    assert change < 0.5 * min(map(change_of_the_logits, rivals))


def test_neurons_take_over_in_a_fit(monkeypatch):
    change = change_of_the_logits(ActivationSurgeon(scope="layer"))
    monkeypatch.setattr(ActivationSurgeon, "remove", ScoredMethod.remove)
    assert change < 0.5 * change_of_the_logits(ActivationSurgeon(scope="layer"))


@pytest.mark.parametrize("granularity", ["neuron", "weight"])
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_every_choice_reaches_its_fraction(granularity, scope, activation):
    clf = fit(ActivationSurgeon(granularity, scope), activation=activation, n_prune_rounds=2)
    assert 0.5 <= clf.sparsity_ < 0.56
    if granularity == "neuron":
        assert all((coef != 0).all() for coef in clf.coefs_[1:])
    if activation == "relu":
        assert clf.score(X, y) > 0.3


def test_covariances_are_of_unlabelled_rows_where_given(monkeypatch):
    seen, take = [], OutputMoments.take
    monkeypatch.setattr(chain, "AT_ONCE", 1)

    def spy(self, run):
        batches, in_batches = [], run.rows.in_batches
        run.rows.in_batches = lambda *args: batches.extend(in_batches(*args)) or batches
        found = take(self, run)
        assert [len(batch) for batch in batches[:-1]] == [32] * (len(batches) - 1)
        seen.append((len(run.rows.watched), np.sort(np.concatenate(batches))))
        del run.rows.in_batches
        return found

    monkeypatch.setattr(OutputMoments, "take", spy)
    monkeypatch.setattr(surgeon, "N_ROWS", 70)
    clf = PrunedMLPClassifier((20,), batch_size=32, random_state=0, **ONCE)
    clf.fit(X, y, X_unlabeled=X[:90])
    clf.fit(X[:60], y[:60])
    (n_unlabeled, sample), (n_rows, every) = seen
    assert n_unlabeled == 90 and len(set(sample)) == 70
    assert n_rows == 60 and every.tolist() == list(range(60))


def test_granularity_is_checked():
    with pytest.raises(ValueError, match="granularity='column' of ActivationSurgeon must be one"):
        fit(ActivationSurgeon("column"))


def test_sparse_rows_give_the_same_net():
    params = {"prune_fraction": 0.5, "random_state": 0} | ONCE
    nets = [PrunedMLPClassifier((20,), **params).fit(rows, y) for rows in (X, sparse.csr_array(X))]
    for one, other in zip(*(net.coefs_ for net in nets), strict=True):
        assert_allclose(one, other)
