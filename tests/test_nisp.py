"""NISP against power series, rank correlations of scipy, and explicit loops."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import NISP
from skactprune.methods.nisp import infinite_selection

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(
    n_samples=60, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
WEIGHT = np.random.RandomState(1).randint(0, 4, len(y)).astype(float)
SEEN = []


class Seen(NISP):
    """Notes the weights of each round, and who is there before and after it."""

    def round(self, run, share):
        before = [live.copy() for live in run.masks.live_neurons]
        layers = run.copied_weights()
        super().round(run, share)
        SEEN.append((layers, before, [live.copy() for live in run.masks.live_neurons]))


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


def fit(method, sample_weight=None, X_unlabeled=None, **params):
    clf = PrunedMLPClassifier(
        (10, 9, 8), method=method, n_prune_rounds=2, max_iter=4, batch_size=20, random_state=0
    ).set_params(prune_fraction=0.7)
    return clf.set_params(**params).fit(X, y, sample_weight, X_unlabeled=X_unlabeled)


def series(h, alpha):
    """Scores of infinite feature selection: the paths of each length, one after the other."""
    n = h.shape[1]
    deviation, correlation = h.std(axis=0), spearmanr(h).statistic
    larger = np.array([[max(deviation[i], deviation[j]) for j in range(n)] for i in range(n)])
    larger = (larger - larger.min()) / (larger.max() - larger.min())
    edges = alpha * larger + (1 - alpha) * (1 - abs(correlation))
    edges *= 0.9 / max(abs(np.linalg.eigvals(edges)))
    total, power = np.zeros(n), np.ones(n)
    for _ in range(400):
        power = edges @ power
        total += power
    return total


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_importance_is_the_sum_over_paths_of_any_length(alpha):
    h = np.maximum(np.random.RandomState(0).normal(size=(50, 6)) * np.arange(1, 7), 0)
    np.testing.assert_allclose(infinite_selection(h, None, alpha), series(h, alpha), rtol=1e-9)


def test_integer_weights_equal_repeated_rows():
    h = np.maximum(np.random.RandomState(0).normal(size=(60, 6)), 0)
    repeated = np.repeat(h, WEIGHT.astype(int), axis=0)
    np.testing.assert_allclose(infinite_selection(h, WEIGHT, 0.5), series(repeated, 0.5), rtol=1e-9)


@pytest.mark.filterwarnings("error")
def test_neurons_that_say_nothing_have_no_importance():
    h = np.random.RandomState(0).normal(size=(40, 5))
    h[:, 2], h[:, 4] = 3.0, 0.1
    found = infinite_selection(h, None, 0.5)
    assert found[2] == found[4] == 0
    assert (found[[0, 1, 3]] > 0).all()
    for constant in (h[:, [2, 4]], h[:, [2]], h[:1], h[:, :0]):
        np.testing.assert_array_equal(infinite_selection(constant, None, 0.5), 0.0)
    assert np.isfinite(infinite_selection(np.repeat(h[:, :1], 3, axis=1), None, 0.5)).all()


def test_a_copy_of_a_neuron_is_less_important_than_a_new_one():
    h = np.random.RandomState(0).normal(size=(80, 3))
    copied = np.c_[h, h[:, 0]]
    found = infinite_selection(copied, None, 0.1)
    assert found[[0, 3]].max() < found[[1, 2]].min()


def assert_wanted(rows, zeroed=True):
    """Whoever stayed in each round is who should have."""
    for layers, before, after in SEEN:
        h = rows
        for weight, bias in layers[:-1]:
            h = np.tanh(h @ weight.T + bias)
        score = series(h, 0.5)
        for depth in reversed(range(len(before))):
            stay = np.argsort(score)[len(score) - len(after[depth]) :]
            assert sorted(before[depth][stay]) == after[depth].tolist()
            weight, kept = layers[depth][0], stay if zeroed else range(len(score))
            score = [
                sum(abs(weight[j, i]) * score[j] for j in kept) for i in range(weight.shape[1])
            ]
        assert sum(map(len, after)) < sum(map(len, before))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_importance_is_propagated_back_from_those_that_stay(dropout):
    fit(Seen(), dropout=dropout, activation="tanh")
    assert len(SEEN) == 2
    assert_wanted(X)
    # Where those that leave keep their importance, others stay.
    with pytest.raises(AssertionError):
        assert_wanted(X, zeroed=False)


def test_unlabelled_rows_take_the_place_of_those_of_training():
    others = np.random.RandomState(2).normal(size=(45, 8))
    fit(Seen(), X_unlabeled=others, activation="tanh")
    assert_wanted(others)


def test_each_layer_loses_the_same_share():
    clf = fit(NISP(), hidden_layer_sizes=(40, 20), prune_fraction=0.75)
    shares = [len(live) / n for live, n in zip(clf.live_neurons_, (40, 20), strict=True)]
    assert shares[0] == pytest.approx(shares[1], abs=0.05)
    assert clf.sparsity_ == pytest.approx(0.75, abs=0.04)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, True, "half", float("nan")])
def test_alpha_is_checked(alpha):
    with pytest.raises(ValueError, match=rf"alpha={alpha!r} of NISP must be .*\[0.0, 1.0\]"):
        fit(NISP(alpha))


def test_importances_in_any_module_are_those_of_a_chain():
    torch.manual_seed(0)
    relu = torch.nn.ReLU(inplace=True)
    first, second, out = torch.nn.Linear(8, 6), torch.nn.Linear(6, 5), torch.nn.Linear(5, 3)
    seen = []

    class Seen(NISP):
        def scores(self, run):
            weights, left = [np.abs(weight) for weight in run.weights()], self.left_
            found = super().scores(run)
            s = self.importance_.copy()
            np.testing.assert_allclose(found[1][:, 0], s)
            if left is not None:
                s[np.argsort(s, kind="stable")[: 5 - left[1]]] = 0
                seen.append(left)
            np.testing.assert_allclose(found[0][:, 0], weights[1].T @ s, rtol=1e-5)
            return found

    net = NeuralNetClassifier(
        torch.nn.Sequential(first, relu, second, relu, out), criterion=torch.nn.CrossEntropyLoss,
        callbacks=[Pruner(Seen(), prune_fraction=0.5, n_prune_rounds=2, random_state=0)], verbose=0,
    )  # fmt: skip
    net.fit(X.astype(np.float32), y)
    assert len(seen) == 2
