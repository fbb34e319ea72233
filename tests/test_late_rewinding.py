"""Late rewinding: survivors have exactly the values of an early epoch."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from skorch.callbacks import Callback

from skactprune import EpochTrigger, PrunedMLPClassifier
from skactprune.checks import bits
from skactprune.methods import LateRewinding, LotteryTicket

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(90, 10, n_informative=6, n_classes=3, random_state=0)


class Watch(Callback):
    """Weights, biases and masks after every epoch, in which a round may have been."""

    def __init__(self):
        self.epochs = []

    def on_epoch_end(self, net, **kwargs):
        layers = net.module_.layers
        self.epochs.append(
            (
                [layer.weight.detach().numpy().copy() for layer in layers],
                [layer.bias.detach().numpy().copy() for layer in layers],
                [mask.copy() for mask in dict(net.callbacks_)["pruner"].masks_.current],
            )
        )


def make(method, watch=None, **params):
    defaults = {
        "prune_fraction": 0.6,
        "n_prune_rounds": 2,
        "max_iter": 20,
        "trigger": EpochTrigger(0.25, 0.5),
        # Without neurons that never fire, no constant goes into a bias.
        "activation": "tanh",
        "net_params": None if watch is None else {"callbacks": [("watch", watch)]},
    }
    return PrunedMLPClassifier(
        (9, 8), method=method, batch_size=30, random_state=0, **defaults | params
    )


def assert_rewound(epochs, to, rounds):
    """After the rounds, what is left is as it was at the end of epoch `to`."""
    weights, biases, _ = epochs[to - 1]
    for at in rounds:
        found, found_biases, masks = epochs[at - 1]
        for weight, mask, early in zip(found, [*masks, True], weights, strict=True):
            np.testing.assert_array_equal(weight, early * mask)
        for bias, early in zip(found_biases, biases, strict=True):
            np.testing.assert_array_equal(bias, early)
        assert 0 < np.mean(masks[0]) < 1


@pytest.mark.parametrize("share, epoch", [(0.05, 1), (0.01, 1), (0.1, 2), (0.22, 4), (0.25, 5)])
def test_survivors_go_back_to_a_share_of_the_fit(share, epoch):
    watch = Watch()
    make(LateRewinding(rewind_share=share), watch).fit(X, y)
    assert_rewound(watch.epochs, epoch, [5, 10])
    # And training goes on from there.
    assert not np.array_equal(watch.epochs[5][0][0], watch.epochs[4][0][0])


def test_a_round_that_comes_sooner_goes_back_to_its_own_moment():
    watch = Watch()
    make(LateRewinding(rewind_share=0.9), watch).fit(X, y)
    assert_rewound(watch.epochs, 5, [10])


@pytest.mark.parametrize("max_iter", [1, 2, 3])
def test_short_fits_go_back_to_the_first_epoch(max_iter):
    watch = Watch()
    clf = make("late_rewinding", watch, max_iter=max_iter, trigger=EpochTrigger(1, 1)).fit(X, y)
    assert clf.sparsity_ == pytest.approx(0.6, abs=0.02)
    if max_iter > 1:
        assert_rewound(watch.epochs, 1, [max_iter])


def test_it_is_a_lottery_ticket_of_that_epoch():
    late, ticket = make(LateRewinding(rewind_share=0.2)), make(LotteryTicket(rewind_epoch=4))
    assert bits(late.fit(X, y)) == bits(ticket.fit(X, y))


def test_calls_of_partial_fit_are_shares_of_max_iter():
    watch = Watch()
    clf = make(LateRewinding(rewind_share=0.1), watch)
    for _ in range(12):
        clf.partial_fit(X, y, classes=np.unique(y))
    assert_rewound(watch.epochs, 2, [5, 10])


@pytest.mark.parametrize("share", [0, 1, -0.1, 2, "early", None, float("nan")])
def test_share_is_checked(share):
    with pytest.raises(
        ValueError, match=rf"rewind_share={share!r} of LateRewinding must be .*\(0.0, 1.0\)"
    ):
        make(LateRewinding(rewind_share=share)).fit(X, y)
