"""Growing: soft masks, the size of the net and its budget."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from skactprune import PrunedMLPClassifier
from skactprune.methods import Growing
from skactprune.methods.growing import size
from skactprune.pruning.chain import Chain

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = load_digits(n_class=5, return_X_y=True)
X = X[:400] / 16
y = y[:400]
HIDDEN = (20, 15)


class Watch(Callback):
    """Masks, budget and size at the end of every step."""

    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_batch_end(self, net, training=False, **kwargs):
        pruner = dict(net.callbacks_)["pruner"]
        run, method = pruner.run_, pruner.method_
        if training and method.trained_.active:
            values = method.trained_.arrays()
            masks = [method.mask(torch.tensor(value)).numpy() for value in values]
            self.seen.append((run.done, values, masks, method.wanted_size(run)))


def fit(method, watch=None, **params):
    net_params = None if watch is None else {"callbacks": [("watch", watch)]}
    defaults = {"prune_fraction": 0.6, "n_prune_rounds": 4, "max_iter": 30, "batch_size": 50}
    clf = PrunedMLPClassifier(
        HIDDEN, method=method, net_params=net_params, random_state=0, **defaults | params
    )
    return clf.fit(X, y)


def soft_size(masks):
    """Share of the weights, one after the other, that a pair of masks leaves."""
    before, total = np.ones(X.shape[1]), 0.0
    for mask in masks:
        total += sum(a * b for a in mask for b in before)
        before = mask
    return total / (X.shape[1] * HIDDEN[0] + HIDDEN[0] * HIDDEN[1])


def test_net_starts_small_grows_to_its_budget_and_masks_become_hard():
    watch = Watch()
    clf = fit("growing", watch)
    first = watch.seen[0]
    assert [int((mask > 0.5).sum()) for mask in first[2]] == [4, 3]
    budgets = {done: budget for done, *_, budget in watch.seen}
    start = soft_size([1 / (1 + np.exp(-np.where(v > 0, 1.0, -1.0))) for v in first[1]])
    expected = {done: start + (0.4 - start) * done / 3 for done in range(4)}
    assert budgets.keys() == expected.keys()
    assert_allclose([budgets[d] for d in range(4)], [expected[d] for d in range(4)])
    for done, values, masks, _ in watch.seen[:: len(watch.seen) // 5]:
        for value, mask in zip(values, masks, strict=True):
            assert_allclose(mask, 1 / (1 + np.exp(-value * 30 ** (done / 3))))
            assert np.abs(value).max() <= 1
    _, values, masks, _ = watch.seen[-1]
    assert all(((mask < 0.05) | (mask > 0.95)).mean() > 0.9 for mask in masks)
    assert abs(soft_size(masks) - 0.4) < 0.05
    # What was open at the end, and not what was open at the start, is what is left.
    lowest = min(value[live].min() for value, live in zip(values, clf.live_neurons_, strict=True))
    for value, live in zip(values, clf.live_neurons_, strict=True):
        assert (np.delete(value, live) <= lowest).all()
    assert any(
        np.setdiff1d(live, np.flatnonzero(value > 0)).size
        for live, value in zip(clf.live_neurons_, first[1], strict=True)
    )
    assert clf.score(X, y) > 0.9


def test_penalty_and_its_slope():
    run = SimpleNamespace(
        layout=Chain([(3, 5), (2, 3)]),
        masks=SimpleNamespace(n_original=21, current=[np.ones((3, 5)), np.ones((2, 3))]),
        fraction_done=0.0,
        shares=[0, 0, 1],
        done=1,
        target=0.5,
    )
    assert_allclose(size(run, [1.5, 0.5]), (5 * 1.5 + 1.5 * 0.5) / 21)
    method = Growing(seed_fraction=0.4, strength=8.0, sharpness=9.0)
    method.run_ = run
    values = [torch.tensor([0.3, -0.2, 0.1]), torch.tensor([0.5, -0.6])]

    def penalty(values):
        masks = [[1 / (1 + np.exp(-3 * float(v))) for v in value] for value in values]
        open_, closed = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))
        start = [2 * open_ + closed, open_ + closed]
        start = (5 * start[0] + start[0] * start[1]) / 21
        found = (5 * sum(masks[0]) + sum(masks[0]) * sum(masks[1])) / 21
        return 4 * (found - (start + (0.5 - start) / 2)) ** 2

    method.trained_ = SimpleNamespace(values=[v.double().requires_grad_() for v in values])
    found = method.penalty(run)
    assert_allclose(found.detach(), penalty([v.detach() for v in method.trained_.values]))
    found.backward()
    for depth, value in enumerate(method.trained_.values):
        for at in range(len(value)):
            ends = []
            for change in (1e-6, -1e-6):
                moved = [v.detach().clone() for v in method.trained_.values]
                moved[depth][at] += change
                ends.append(penalty(moved))
            assert_allclose(value.grad[at], (ends[0] - ends[1]) / 2e-6, rtol=1e-4, atol=1e-8)


def test_pruned_net_that_goes_on_starts_with_all_masks_open():
    watch = Watch()
    clf = fit("growing", warm_start=True)
    left = [len(live) for live in clf.live_neurons_]
    clf.set_params(prune_fraction=0.75, net_params={"callbacks": [("watch", watch)]}).fit(X, y)
    assert [int((mask > 0.5).sum()) for mask in watch.seen[0][2]] == left
    assert clf.score(X, y) > 0.9


@pytest.mark.parametrize(
    "options", [{"seed_fraction": 0.0}, {"sharpness": 0.5}, {"strength": -1}, {"rate": np.nan}]
)
def test_options_are_checked(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}={value!r} of Growing must be"):
        Growing(**options).validated()
