"""Channel pruning: sklearn's LASSO of the problem written out, and numpy's least squares."""

import warnings

import numpy as np
import pytest
import sklearn.linear_model as linear
from numpy.testing import assert_allclose, assert_array_equal

from skactprune import PrunedMLPClassifier
from skactprune.checks import data
from skactprune.methods import Lasso
from skactprune.methods.lasso import highest_penalties, refitted
from skactprune.triggers import EpochTrigger


def problem(n=12, n_next=5, n_rows=300, seed=0):
    """Correlated outputs of neurons as of ReLU, and their outgoing weights."""
    rng = np.random.default_rng(seed)
    h = np.maximum(rng.normal(size=(n_rows, n)) @ rng.normal(size=(n, n)), 0)
    return h, rng.normal(size=(n_next, n)) * rng.uniform(0.05, 1, size=n)


def written_out(h, outgoing):
    """Rows and targets of the LASSO: one for each row and each neuron of the next layer."""
    h = h - h.mean(axis=0)
    columns = [(h[:, i][:, None] * outgoing[:, i]).ravel() for i in range(h.shape[1])]
    return np.stack(columns, axis=1), (h @ outgoing.T).ravel()


@pytest.mark.parametrize("seed", range(3))
def test_the_penalty_is_raised_until_the_wanted_number_is_left(seed):
    h, outgoing = problem(seed=seed)
    Z, y = written_out(h, outgoing)
    scores = highest_penalties(np.cov(h.T, bias=True), outgoing)
    order = np.argsort(-scores)
    # The problem that is written out has the mean over the next layer, too.
    unit = np.trace(Z.T @ Z) / len(Z) / Z.shape[1]
    for k in (1, 3, 6, 9):
        penalty = unit * scores[order[k - 1 : k + 1]].mean()
        lasso = linear.Lasso(penalty, fit_intercept=False, tol=1e-12, max_iter=100_000)
        left = np.flatnonzero(lasso.fit(Z, y).coef_)
        assert_array_equal(left, np.sort(order[:k]))


@pytest.mark.parametrize("seed", [7, 151])
def test_coefficients_that_come_and_go_count_from_where_they_first_came(seed):
    """Neurons that share two directions; least angle regression alone has other penalties."""
    rng = np.random.default_rng(seed)
    h = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 8)) + 0.3 * rng.normal(size=8)
    h, outgoing = np.maximum(h, 0), rng.normal(size=(2, 8))
    Z, y = written_out(h, outgoing)
    scores = highest_penalties(np.cov(h.T, bias=True), outgoing)
    unit = np.trace(Z.T @ Z) / len(Z) / Z.shape[1]

    def takes_part(penalty):
        lasso = linear.Lasso(unit * penalty, fit_intercept=False, tol=1e-13, max_iter=1_000_000)
        return lasso.fit(Z, y).coef_ != 0

    for neuron in np.flatnonzero(scores):
        assert takes_part(0.999 * scores[neuron])[neuron]
        above = np.geomspace(1.001 * scores[neuron], scores.max(), 10)
        assert not any(takes_part(penalty)[neuron] for penalty in above)


def test_neurons_that_nothing_needs_have_no_score():
    h, outgoing = problem()
    h[:, 3], outgoing[:, 5] = 2.0, 0.0
    scores = highest_penalties(np.cov(h.T, bias=True), outgoing)
    assert_array_equal(np.flatnonzero(scores == 0), [3, 5])
    assert_array_equal(highest_penalties(np.zeros((4, 4)), np.ones((2, 4))), np.zeros(4))
    with np.errstate(all="ignore"):
        assert np.isnan(highest_penalties(np.full((4, 4), np.inf), np.ones((2, 4)))).all()


def test_neurons_that_put_out_the_same_end_the_path_for_nobody():
    h, outgoing = problem()
    h[:, 4] = h[:, 7] = h[:, 1]
    scores = highest_penalties(np.cov(h.T, bias=True), outgoing)
    assert (scores > 0).sum() >= 10


@pytest.mark.parametrize("weighted", [False, True])
def test_weights_and_biases_are_those_of_least_squares(weighted):
    h, outgoing = problem()
    gone = np.arange(12) % 3 == 0
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.1, 2, len(h)) if weighted else None
    given = h @ outgoing.T
    weights, biases = refitted(h, given, gone, outgoing, weight)
    root = np.sqrt(np.ones(len(h)) if weight is None else weight)[:, None]
    columns = np.hstack([h[:, ~gone], np.ones((len(h), 1))])
    expected = np.linalg.lstsq(root * columns, root * given, rcond=None)[0]
    assert_allclose(weights[:, ~gone], expected[:-1].T, atol=1e-10)
    assert_allclose(biases, expected[-1], atol=1e-10)
    assert not weights[:, gone].any()


def test_of_many_best_fits_the_nearest_is_taken():
    h, outgoing = problem()
    gone = np.arange(12) == 0
    few = h[:6]
    given = few @ outgoing.T
    weights, biases = refitted(few, given, gone, outgoing)
    assert_allclose(few @ weights.T + biases, given, atol=1e-9)
    centred = (few - few.mean(axis=0))[:, ~gone]
    change = (weights - outgoing)[:, ~gone]
    # Nothing of the change is in directions that the rows do not have.
    assert_allclose(change, change @ np.linalg.pinv(centred) @ centred, atol=1e-9)
    # Nothing is changed that fits already.
    same, none = refitted(few, few[:, ~gone] @ outgoing[:, ~gone].T, gone, outgoing)
    assert_allclose(same[:, ~gone], outgoing[:, ~gone], atol=1e-10)
    assert_allclose(none, 0, atol=1e-10)


def test_masked_weights_stay_zero():
    h, outgoing = problem()
    mask = np.random.default_rng(0).random(outgoing.shape) < 0.5
    gone = np.arange(12) == 3
    weights, _ = refitted(h, h @ outgoing.T, gone, outgoing * mask, None, mask)
    assert not weights[~mask].any()
    assert weights[mask & ~gone].all()


def two_nets(**params):
    """The same net before and after its only round, which comes at the end of training."""
    X, y = data()
    nets = []
    for fraction in (0.0, 0.6):
        clf = PrunedMLPClassifier(
            (12, 8),
            method=Lasso(n_rows=10_000, schedule="one_shot"),
            prune_fraction=fraction,
            n_prune_rounds=1,
            trigger=EpochTrigger(1.0, 1.0),
            max_iter=6,
            learning_rate_init=0.01,
            weight_decay=0,
            random_state=0,
            **params,
        )
        with warnings.catch_warnings(action="ignore"):
            nets.append(clf.fit(X, y))
    return X, *nets


def test_layers_are_refitted_from_the_pruned_net_to_what_the_whole_one_gave():
    X, before, after = two_nets()
    h, rebuilt = X, X
    live = np.arange(X.shape[1])
    for depth in range(2):
        coef = before.coefs_[depth]
        if depth == 0:
            assert_allclose(after.coefs_[0], coef[:, after.live_neurons_[0]])
        h = np.maximum(h @ coef + before.intercepts_[depth], 0)
        rebuilt = np.maximum(rebuilt @ after.coefs_[depth] + after.intercepts_[depth], 0)
        live = after.live_neurons_[depth]
        assert len(live) < coef.shape[1]
        columns = np.hstack([rebuilt, np.ones((len(X), 1))])
        target = h @ before.coefs_[depth + 1] + before.intercepts_[depth + 1]
        following = after.live_neurons_[1] if depth == 0 else slice(None)
        found = np.vstack([after.coefs_[depth + 1], after.intercepts_[depth + 1]])
        best = np.linalg.lstsq(columns, target[:, following], rcond=None)[0]
        assert_allclose(columns @ found, columns @ best, atol=1e-8)


def test_neurons_are_those_that_sklearn_chooses():
    X, before, after = two_nets()
    h = np.maximum(X @ before.coefs_[0] + before.intercepts_[0], 0)
    Z, y = written_out(h, before.coefs_[1].T)
    wanted = len(after.live_neurons_[0])
    for penalty in np.geomspace(1e-6, 1, 400):
        model = linear.Lasso(penalty, fit_intercept=False, tol=1e-10, max_iter=100_000)
        left = np.flatnonzero(model.fit(Z, y).coef_)
        if len(left) <= wanted:
            break
    assert len(left) == wanted
    assert_array_equal(after.live_neurons_[0], left)


@pytest.mark.parametrize("n_rows", [0, -1, 2.0, True, None, "all"])
def test_wrong_options_are_refused(n_rows):
    with pytest.raises(ValueError, match=r"n_rows=.* of Lasso must be an int in the range \[1"):
        Lasso(n_rows=n_rows).validated()


def test_unlabelled_rows_and_sample_weights_are_looked_at():
    X, y = data()
    with warnings.catch_warnings(action="ignore"):
        clf = PrunedMLPClassifier((12, 8), method="lasso", max_iter=6, random_state=0)
        plain = clf.fit(X, y).coefs_[-1]
        other = clf.fit(X, y, X_unlabeled=X[:10]).coefs_[-1]
        heavy = clf.fit(X, y, sample_weight=np.linspace(0.1, 2, len(y))).coefs_[-1]
    assert plain.shape != other.shape or not np.allclose(plain, other)
    assert plain.shape != heavy.shape or not np.allclose(plain, heavy)
