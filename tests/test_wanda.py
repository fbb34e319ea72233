"""Wanda against importances in explicit loops, neuron by neuron."""

import numpy as np
import pytest
from sklearn.datasets import make_classification

from skactprune import PrunedMLPClassifier
from skactprune.methods import Random, Wanda

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(
    n_samples=60, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
# Features of unlike sizes, so that norms matter.
X = X * np.array([0.05, 0.2, 1, 1, 2, 3, 5, 0.5])
WEIGHT = np.random.RandomState(1).randint(0, 5, len(y)).astype(float)
SEEN = []


class Seen(Wanda):
    """Notes the weights of each round."""

    def scores(self, run):
        SEEN.append(run.copied_weights())
        return super().scores(run)


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


def fit(method, sample_weight=None, X_unlabeled=None, **params):
    # Without neurons that never fire, few weights die that were not chosen.
    clf = PrunedMLPClassifier(
        (9, 7), method=method, n_prune_rounds=1, max_iter=3, batch_size=20, random_state=0
    ).set_params(activation="tanh", prune_fraction=0.5)
    return clf.set_params(**params).fit(X, y, sample_weight, X_unlabeled=X_unlabeled)


def importances(layers, rows, weight):
    """abs(w) times the norm of its input, of the hidden layers: (n_out, n_in)."""
    found, inputs = [], [np.array(row) for row in rows]
    for matrix, bias in layers[:-1]:
        importance = np.empty_like(matrix)
        for j, i in np.ndindex(*matrix.shape):
            square = sum(of * h[i] ** 2 for h, of in zip(inputs, weight, strict=True))
            importance[j, i] = abs(matrix[j, i]) * np.sqrt(square)
        found.append(importance)
        inputs = [np.tanh(matrix @ h + bias) for h in inputs]
    return found


def lowest_of_each_row(importance, n_removed):
    """Mask without the lowest of each row, then the second lowest of each, and so on."""
    mask = np.ones(importance.shape, dtype=bool)
    order = np.argsort(importance, axis=1)
    cells = [(j, i) for column in order.T for j, i in enumerate(column)]
    for cell in cells[:n_removed]:
        mask[cell] = False
    return mask


def assert_wanted(clf, rows, weight):
    removed = [int((~mask).sum()) for mask in clf.masks_]
    assert sum(removed) == 68  # half of 8 * 9 + 9 * 7 = 135
    wanted = importances(SEEN[0], rows, weight)
    for importance, mask, n_removed in zip(wanted, clf.masks_, removed, strict=True):
        left = mask.T
        assert left.any(axis=1).all()
        np.testing.assert_array_equal(left, lowest_of_each_row(importance, n_removed))
        assert np.ptp(left.sum(axis=1)) <= 1


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_each_neuron_loses_its_least_important_weights(weight, dropout):
    clf = fit(Seen(), weight, dropout=dropout)
    assert_wanted(clf, X, np.ones(len(y)) if weight is None else weight)


def test_a_comparison_in_the_whole_layer_would_choose_others():
    clf = fit(Seen())
    importance = importances(SEEN[0], X, np.ones(len(y)))[0]
    mask = clf.masks_[0].T
    layerwise = importance > np.sort(importance.ravel())[(~mask).sum() - 1]
    assert layerwise.sum() == mask.sum() and (layerwise != mask).any()


def test_unlabelled_rows_take_the_place_of_those_of_training():
    others = np.random.RandomState(2).normal(size=(35, 8))
    assert_wanted(fit(Seen(), X_unlabeled=others), others, np.ones(35))


def test_shares_of_neurons_stay_alike_over_rounds():
    clf = fit(Wanda("linear"), n_prune_rounds=3, max_iter=6)
    assert [len(live) for live in clf.live_neurons_] == [9, 7]
    for mask in clf.masks_:
        assert np.ptp(mask.sum(axis=0)) <= 1


def test_what_is_gone_counts_as_the_lowest_of_its_neuron_where_inputs_are_zero():
    """Neurons that have lost more, at random, lose none before the others have lost as many."""
    rows = X.copy()
    rows[:, :5] = 0
    clf = (
        PrunedMLPClassifier(
            (9, 7), method=Random("weight", "layer"), n_prune_rounds=1, max_iter=3, random_state=0
        )
        .set_params(activation="tanh", prune_fraction=0.35, warm_start=True)
        .fit(rows, y)
    )
    clf.set_params(method=Seen("one_shot"), prune_fraction=0.5).fit(rows, y)
    (layers,) = SEEN
    before, left = layers[0][0] != 0, clf.masks_[0].T
    assert np.ptp(before.sum(axis=1)) > 1
    lost = (before & ~left).any(axis=1)
    assert lost.any() and not lost.all()
    assert left[lost].sum(axis=1).min() >= left.sum(axis=1).max() - 1


def test_weights_that_regrow_are_compared_like_all_others():
    kept = []

    class Keeping(Seen):
        def remove(self, run, masks):
            kept.append([mask.copy() for mask in masks.current])
            super().remove(run, masks)

    fit(Keeping("linear", regrow=True), n_prune_rounds=2, max_iter=8, learning_rate_init=0.1)
    (first, *_), (second, *_) = kept
    assert (second & ~first).any()
    for depth, importance in enumerate(importances(SEEN[1], X, np.ones(len(y)))):
        mask = kept[1][depth]
        np.testing.assert_array_equal(mask, lowest_of_each_row(importance, (~mask).sum()))


def test_of_ties_no_more_leave_than_are_asked_for():
    class Tied(Wanda):
        def scores(self, run):
            return [np.zeros_like(score) for score in super().scores(run)]

    assert sum(int((~mask).sum()) for mask in fit(Tied()).masks_) == 68
