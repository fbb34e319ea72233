"""Thresholds of standard deviations, against loops over full matrices."""

from types import SimpleNamespace

import numpy as np
import pytest

from skactprune.checks import check_method, data, estimator, fitted
from skactprune.methods import Threshold
from skactprune.methods.threshold import deviation

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

ONE_ROUND = {"n_prune_rounds": 1, "max_iter": 1, "weight_decay": 0}


def dense():
    """Hidden weights (n_out, n_in) where the round of `ONE_ROUND` looks at them."""
    clf = fitted("magnitude", prune_fraction=0, max_iter=1, weight_decay=0)
    return [coef.T for coef in clf.coefs_[:-1]]


def connected(masks):
    """Masks without what has no path, neuron by neuron, until nothing changes."""
    masks = [mask.copy() for mask in masks]
    while True:
        before = [mask.copy() for mask in masks]
        for mask, following in zip(masks, masks[1:], strict=False):
            for neuron in range(len(mask)):
                if not mask[neuron].any() or not following[:, neuron].any():
                    mask[neuron] = following[:, neuron] = False
        if all((a == b).all() for a, b in zip(before, masks, strict=True)):
            return masks


@pytest.mark.parametrize("quality", [0.5, 1.0, 1.6])
def test_weights_below_quality_times_deviation_leave(quality):
    clf = fitted(Threshold(quality), **ONE_ROUND)
    expected = []
    for weight in dense():
        values = weight.ravel().tolist()
        mean = sum(values) / len(values)
        deviation = (sum((w - mean) ** 2 for w in values) / len(values)) ** 0.5
        expected.append(np.abs(weight) >= quality * deviation)
    for mask, wanted in zip(clf.masks_, connected(expected), strict=True):
        np.testing.assert_array_equal(mask.T, wanted)
    alive = [wanted.any(axis=1).sum() for wanted in connected(expected)]
    assert [len(live) for live in clf.live_neurons_] == alive


def test_neuron_below_quality_times_deviation_leaves():
    clf = fitted(Threshold(0.85, "neuron"), **ONE_ROUND)
    for weight, live in zip(dense(), clf.live_neurons_, strict=True):
        means = [np.mean([abs(w) for w in row]) for row in weight]
        np.testing.assert_array_equal(live, np.flatnonzero(means >= 0.85 * weight.std()))
    assert clf.sparsity_ > 0


def test_fraction_is_met_by_one_quality_for_all_layers():
    clf = fitted(Threshold(), prune_fraction=0.5, **ONE_ROUND)
    scores = [np.abs(weight) / weight.std() for weight in dense()]
    kept = [score[mask.T] for score, mask in zip(scores, clf.masks_, strict=True)]
    # One number tells what is kept from what is gone, but for weights that lost their paths.
    quality = min(score.min() for score in kept)
    above = connected([score >= quality for score in scores])
    for mask, wanted in zip(clf.masks_, above, strict=True):
        np.testing.assert_array_equal(mask.T, wanted)
    assert clf.sparsity_ == pytest.approx(0.5, abs=1 / 140)


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_gone_weights_count_as_zeros(granularity):
    class Watched(Threshold):
        seen = []

        def scores(self, run):
            found = super().scores(run)
            full = [np.zeros(mask.shape) for mask in run.masks.full()]
            for into, mask, weight, current in zip(
                full, run.masks.full(), run.weights(), run.masks.current, strict=False
            ):
                into[mask] = weight[current]
            live = zip(found, run.weights(), full, strict=False)
            self.seen.append([np.abs(w) / score / all_.std() for score, w, all_ in live])
            return found

    Watched.seen.clear()
    clf = fitted(Watched(granularity=granularity, schedule="linear"), prune_fraction=0.8)
    assert granularity == "weight" or sum(map(len, clf.live_neurons_)) < 10
    assert len(Watched.seen) == 3
    for ratios in Watched.seen:
        for ratio in ratios:
            np.testing.assert_allclose(ratio[np.isfinite(ratio)], 1.0, rtol=1e-12)


def test_deviation_is_that_of_the_full_matrix():
    weight = np.random.RandomState(0).normal(0.3, 1, (4, 6))
    full = np.zeros((7, 9))
    full[:4, :6] = weight
    assert deviation(weight, full.size) == pytest.approx(full.std(), rel=1e-12)
    assert deviation(weight, weight.size) == pytest.approx(weight.std(), rel=1e-12)
    assert deviation(np.full((2, 3), 0.5), 6) == 1.0


def test_rounds_come_to_the_quality_by_and_by():
    layers = SimpleNamespace(hidden=[None, None])
    for share in (0.25, 1.0):
        assert Threshold(2.0).cutoffs(layers, share) == [2 * share] * 2
    clf = fitted(Threshold(1.5, schedule="linear"), n_prune_rounds=3)
    gone = [row["sparsity"] for row in clf.pruning_history_]
    assert gone[0] < gone[1] < gone[2]


def test_same_quality_twice_takes_little_more():
    X, y = data()
    for quality in (0.5, 1.0):
        clf = estimator(Threshold(quality, schedule="one_shot"), prune_fraction=None)
        sparsity = [clf.fit(X, y).pruning_history_[i]["sparsity"] for i in (0, -1)]
        assert sparsity[0] <= sparsity[1] < sparsity[0] + 0.2


@pytest.mark.parametrize("quality", [0, -1, True, np.nan, np.inf, "1"])
def test_quality_is_checked(quality):
    with pytest.raises(
        ValueError, match=r"quality=.* of Threshold must be .* \(0.0, inf\) or None"
    ):
        Threshold(quality).validated()


def test_quality_needs_no_fraction():
    with pytest.raises(ValueError, match="quality=1.0 of .*prune_fraction=0.8 must be None"):
        estimator(Threshold(1.0), prune_fraction=0.8).fit(*data())


def test_all_checks_pass_with_a_quality():
    check_method(Threshold(1.0))
