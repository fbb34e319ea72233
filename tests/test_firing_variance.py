"""The criterion that spares neither silent nor always-firing neurons."""

import numpy as np
import pytest

from skactprune import EpochTrigger, FiringVariance, PrunedMLPClassifier
from skactprune.pruning.criteria import LayerState, firing_variance


def layer(counts, n_counted, weight):
    counts = np.asarray(counts)
    return LayerState(weight, np.ones(weight.shape, bool), counts, n_counted, None)


def test_score_is_the_variance_of_firing_times_the_weight():
    weight = np.array([[1.0, -2.0], [0.5, 3.0], [4.0, 4.0], [-1.0, 1.0]])
    fires = np.array([[1, 0, 1, 0], [1, 0, 1, 1], [1, 0, 1, 1], [1, 0, 1, 0]])
    scores = firing_variance(layer(fires.sum(axis=0), len(fires), weight))
    np.testing.assert_allclose(scores, fires.var(axis=0)[:, None] * np.abs(weight))
    assert (scores[:3].sum(axis=1) == 0).all()  # never, always, always


def test_nothing_counted_gives_zeros():
    assert not firing_variance(layer([0, 0], 0.0, np.ones((2, 3)))).any()


@pytest.mark.parametrize("weight", [None, 0.125, 3.0])
def test_silent_and_always_firing_neurons_go_first(weight):
    """Biases hold two neurons open and two shut; they are what a round takes."""
    rng = np.random.RandomState(0)
    X, y = rng.uniform(-1, 1, (64, 5)), rng.randint(2, size=64)
    seen = {}

    class Biased(FiringVariance):
        def score(self, layer):
            seen["rate"] = layer.counts / layer.n_counted
            return super().score(layer)

    clf = PrunedMLPClassifier(
        (8,), method=Biased(), prune_fraction=0.5, n_prune_rounds=1, trigger=EpochTrigger(1, 1),
        max_iter=2, warm_start=True, learning_rate_init=1e-6, random_state=0,
    )  # fmt: skip
    with pytest.warns(match="Maximum iterations"):
        clf.set_params(n_prune_rounds=0).fit(X, y)
    bias = np.array([9.0, -9.0, 0.0, 0.0, 9.0, 0.0, -9.0, 0.0])
    clf.net_.module_.layers[0].bias.data[:] = clf.net_.module_.layers[0].bias.data.new_tensor(bias)
    sample_weight = None if weight is None else np.full(len(X), weight)
    with pytest.warns(match="Maximum iterations"):
        clf.set_params(n_prune_rounds=1).fit(X, y, sample_weight)
    assert seen["rate"][[0, 4]].tolist() == [1.0, 1.0]
    assert seen["rate"][[1, 6]].tolist() == [0.0, 0.0]
    assert clf.live_neurons_[0].tolist() == [2, 3, 5, 7]
