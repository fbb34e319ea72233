"""The criterion that asks how much the two ends of a weight vary."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier

from skactprune import EpochTrigger, FiringDeviation, PrunedMLPClassifier, Pruner, ScorePruning
from skactprune.methods import LayerState
from skactprune.methods.firing_deviation import of_weight
from skactprune.nets.batches import TrainingData
from skactprune.pruning.probes.features import CHUNK, Features
from skactprune.pruning.probes.firing import deviation_of_firing

X, y = load_digits(return_X_y=True)
X = X / 16


def layer(counts, n_counted, weight, input_deviation=None):
    counts, mask = np.asarray(counts), np.ones(weight.shape, bool)
    return LayerState(weight, mask, counts, n_counted, input_deviation, None)


def firing_deviation(layer):
    firing = deviation_of_firing(layer.counts, layer.n_counted)
    return of_weight(layer.weight, firing, layer.input_deviation)


class Seen:
    """The score as a function that keeps what it was shown in every round."""

    def __init__(self):
        self.layers = []

    def __call__(self, layer):
        self.layers.append(replace(layer, weight=layer.weight.copy()))
        return firing_deviation(layer)


def deviation(*data):
    moments = Features()
    for rows in data:
        moments.add(rows)
    return moments.deviation


def fit(method, X=X, y=y, sample_weight=None, **params):
    clf = PrunedMLPClassifier(
        (30, 20), method=method, n_prune_rounds=2, max_iter=4, random_state=0
    ).set_params(**params)
    with pytest.warns(match="Maximum iterations"):
        return clf.fit(X, y, sample_weight)


def test_score_is_the_weight_times_the_deviations_of_both_ends():
    weight = np.array([[1.0, -2.0], [0.5, 3.0], [4.0, 4.0], [-1.0, 1.0]])
    fires = np.array([[1, 0, 1, 0], [1, 0, 1, 1], [1, 0, 1, 1], [1, 0, 1, 0]])
    state = layer(fires.sum(axis=0), len(fires), weight)
    own = fires.std(axis=0)[:, None] * np.abs(weight)
    np.testing.assert_allclose(firing_deviation(state), own)
    state = replace(state, input_deviation=np.array([2.0, 0.0]))
    np.testing.assert_allclose(firing_deviation(state), own * [2.0, 0.0])
    assert (own[:3].sum(axis=1) == 0).all()  # never, always, always


def test_nothing_counted_gives_zeros():
    assert not firing_deviation(layer([0, 0], 0.0, np.ones((2, 3)))).any()


def test_layers_see_the_deviations_of_features_and_of_neurons_before_them():
    method = ScorePruning(Seen(), "weight")
    fit(method, prune_fraction=0.9)
    for first, second in zip(
        method.criterion.layers[::2], method.criterion.layers[1::2], strict=True
    ):
        np.testing.assert_allclose(first.input_deviation, X.std(axis=0), atol=1e-6)
        rate = first.counts / first.n_counted
        np.testing.assert_allclose(second.input_deviation, np.sqrt(rate * (1 - rate)))
        assert len(second.input_deviation) == second.weight.shape[1]
    assert method.criterion.layers[-1].weight.shape != (20, 30)  # neurons had left


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_the_method_prunes_by_that_score(granularity):
    params = {"prune_fraction": 0.7, "max_iter": 6}
    one = fit(FiringDeviation(granularity), **params)
    other = fit(ScorePruning(firing_deviation, granularity), **params)
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_deviation_of_features_counts_rows_with_their_weights(form):
    rows = np.tile(X, (2, 1))
    weight = np.random.RandomState(0).randint(4, size=len(rows)).astype(float)
    assert len(rows) > CHUNK
    repeated = np.repeat(rows, weight.astype(int), axis=0)
    data = TrainingData(form(rows), np.zeros(len(rows)), weight)
    np.testing.assert_allclose(deviation(data), repeated.std(axis=0), atol=1e-12)
    data = TrainingData(form(rows), np.zeros(len(rows)))
    np.testing.assert_allclose(deviation(data), rows.std(axis=0), atol=1e-12)


def test_deviation_of_features_is_of_all_rows_call_after_call():
    np.testing.assert_allclose(deviation(X[:5], X[5:6], X[6:]), X.std(axis=0), atol=1e-12)
    method = ScorePruning(Seen(), "weight")
    clf = PrunedMLPClassifier((9,), method=method, n_prune_rounds=1, max_iter=8, random_state=0)
    clf.set_params(trigger=EpochTrigger(1, 1))
    for start in range(0, 400, 50):
        clf.partial_fit(X[start : start + 50], y[start : start + 50], classes=np.arange(10))
        clf = pickle.loads(pickle.dumps(clf))
    (state,) = clf.method.criterion.layers
    np.testing.assert_allclose(state.input_deviation, X[:400].std(axis=0), atol=1e-12)


def test_firing_in_all_rows_is_no_more_than_always():
    """Rates of weighted counts may exceed 1 by rounding."""
    state = layer([0.1 + 0.2], 0.3, np.ones((1, 2)))
    assert state.counts[0] > state.n_counted
    assert not firing_deviation(state).any()


@pytest.mark.parametrize("data", [X.reshape(-1, 8, 8), {"X": X}, X[:0], [[1.0, 2.0]]])
def test_what_is_no_table_has_no_deviation(data):
    assert deviation(data) is None


def test_unlabelled_rows_stand_in_for_training_rows():
    method, X_unlabeled = (
        ScorePruning(Seen(), "weight"),
        np.random.RandomState(0).uniform(size=(50, 64)),
    )
    clf = PrunedMLPClassifier((30,), method=method, max_iter=5, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        clf.fit(X, y, X_unlabeled=X_unlabeled)
    np.testing.assert_allclose(method.criterion.layers[0].input_deviation, X_unlabeled.std(axis=0))


def test_scale_of_a_feature_does_not_count():
    """The weight of a feature 1000 times as large is 1000 times as small."""
    weight, deviation = np.random.RandomState(0).normal(size=(2, 5, 4)), X.std(axis=0)[20:24]
    scale = np.array([1.0, 1000.0, 1.0, 0.01])
    states = [layer([3] * 5, 9, weight[0], deviation), layer([3] * 5, 9, weight[0] / scale, 0)]
    states[1] = replace(states[1], input_deviation=deviation * scale)
    np.testing.assert_allclose(*map(firing_deviation, states))


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_weights_of_constant_features_go_first(granularity, scope):
    clf = fit(FiringDeviation(granularity, scope), prune_fraction=0.6)
    assert clf.sparsity_ == pytest.approx(0.6, abs=0.05)
    constant = X.std(axis=0) == 0
    assert constant.any()
    if granularity == "weight":
        assert not clf.masks_[0][constant].any()


def test_modules_that_are_no_chain_are_scored_by_their_own_firing():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(64, 20), torch.nn.ReLU(), torch.nn.Linear(20, 10), torch.nn.Softmax(-1)
    )
    method = ScorePruning(Seen(), "weight")
    net = NeuralNetClassifier(
        module, max_epochs=3, verbose=0, callbacks=[Pruner(method, n_prune_rounds=1)]
    ).fit(X.astype(np.float32), y)
    assert [state.input_deviation for state in method.criterion.layers] == [None]
    (pruner,) = (callback for _, callback in net.callbacks_ if isinstance(callback, Pruner))
    assert pruner.masks_.sparsity == pytest.approx(0.8, abs=0.001)


@pytest.mark.parametrize("weight", [None, 0.125, 3.0])
def test_silent_and_always_firing_neurons_go_first(weight):
    """Biases hold two neurons open and two shut; they are what a round takes."""
    rng = np.random.RandomState(0)
    X, y = rng.uniform(-1, 1, (64, 5)), rng.randint(2, size=64)
    method = ScorePruning(Seen())
    params = {"trigger": EpochTrigger(1, 1), "warm_start": True, "learning_rate_init": 1e-6}
    params |= {"hidden_layer_sizes": (8,), "prune_fraction": 0.5, "max_iter": 2}
    clf = fit(method, X, y, n_prune_rounds=0, **params)
    bias = np.array([9.0, -9.0, 0.0, 0.0, 9.0, 0.0, -9.0, 0.0])
    clf.net_.module_.layers[0].bias.data[:] = clf.net_.module_.layers[0].bias.data.new_tensor(bias)
    sample_weight = None if weight is None else np.full(len(X), weight)
    with pytest.warns(match="Maximum iterations"):
        clf.set_params(n_prune_rounds=1).fit(X, y, sample_weight)
    (state,) = method.criterion.layers
    rate = state.counts / state.n_counted
    assert rate[[0, 4]].tolist() == [1.0, 1.0]
    assert rate[[1, 6]].tolist() == [0.0, 0.0]
    assert clf.live_neurons_[0].tolist() == [2, 3, 5, 7]
