"""The two scores of Ganguli & Chong: who leaves, against loops over counts and weights."""

import numpy as np
import pytest

from skactprune.checks import data, estimator
from skactprune.methods import Activation, ActivationMagnitude, Ganguli2024

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

ONE_ROUND = {"n_prune_rounds": 1, "max_iter": 1, "weight_decay": 0}


def noting(method):
    """The method, and what its only round looked at: counts and weights of the hidden layers."""
    seen = []

    class Noting(type(method)):
        def scores(self, run):
            counts = [count.copy() for count in self.firing_.counts]
            seen.append((counts, [weight.copy() for weight in run.weights()[: len(counts)]]))
            return super().scores(run)

    return Noting(**method.get_params(deep=False)), seen


def written_out(counts, weights, with_magnitude):
    """Score of every weight (n_out, n_in), one after the other."""
    scores = [np.empty(weight.shape) for weight in weights]
    for score, count, weight in zip(scores, counts, weights, strict=True):
        for j, i in np.ndindex(weight.shape):
            score[j, i] = count[j] * abs(weight[j, i]) if with_magnitude else count[j]
    return scores


@pytest.mark.parametrize(
    "method, with_magnitude",
    [
        (Ganguli2024(), False),
        (Ganguli2024("activation_magnitude"), True),
        (Activation("weight", "global"), False),
        (ActivationMagnitude("weight", "global"), True),
    ],
    ids=repr,
)
def test_the_lowest_of_all_hidden_weights_leave(method, with_magnitude):
    method, seen = noting(method)
    clf = estimator(method, prune_fraction=0.4, **ONE_ROUND).fit(*data())
    ((counts, weights),) = seen
    assert all(0 < count.max() and np.ptp(count) > 0 for count in counts)
    scores = written_out(counts, weights, with_magnitude)
    if with_magnitude:
        gone, left = by_weights(scores, clf)
    else:
        # All weights of a neuron have the same score, and leave together.
        dead = [
            np.isin(np.arange(len(c)), live, invert=True)
            for c, live in zip(counts, clf.live_neurons_, strict=True)
        ]
        gone = np.concatenate([count[of] for count, of in zip(counts, dead, strict=True)])
        left = np.concatenate([count[~of] for count, of in zip(counts, dead, strict=True)])
    assert len(gone) > 3
    # Of those who are equal some may stay.
    assert gone.max() <= left.min()


def by_weights(scores, clf):
    """Scores of weights of live neurons: of those that are gone, and of those that are left."""
    gone, left, inputs = [], [], np.arange(scores[0].shape[1])
    for score, mask, live in zip(scores, clf.masks_, clf.live_neurons_, strict=True):
        of_live, mask = score[np.ix_(live, inputs)], mask.T[np.ix_(live, inputs)]
        gone.append(of_live[~mask])
        left.append(of_live[mask])
        inputs = live
    return np.concatenate(gone), np.concatenate(left)


def test_neurons_with_the_lowest_mean_product_leave():
    method, seen = noting(ActivationMagnitude("neuron", "layer"))
    clf = estimator(method, prune_fraction=0.4, **ONE_ROUND).fit(*data())
    ((counts, weights),) = seen
    for score, live in zip(written_out(counts, weights, True), clf.live_neurons_, strict=True):
        lowest = np.argsort([np.mean(row) for row in score], kind="stable")
        assert sorted(lowest[len(score) - len(live) :]) == live.tolist()


def test_the_fraction_of_ganguli2024_is_one_of_the_whole_net():
    # 0.9 of 6 * 12 + 12 * 3 weights are more than the hidden layer has.
    clf = estimator(Ganguli2024(), prune_fraction=0.9).set_params(hidden_layer_sizes=(12,))
    with pytest.raises(ValueError, match="prune_fraction=0.9 cannot be reached"):
        clf.fit(*data())
