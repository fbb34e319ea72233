"""An interrupted fit leaves an estimator that is consistent and can go on."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch.callbacks import Callback

from skactprune import Activation, Magnitude, PrunedMLPClassifier
from skactprune.pruning import layers, pruner

X, y = make_classification(
    n_samples=80, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
METHODS = [Activation(), Magnitude(), Activation(regrow=True)]


class Interrupt(Callback):
    """Presses Ctrl-C once, in some hook of some epoch."""

    def __init__(self, hook, epoch, batch=2):
        self.hook, self.epoch, self.batch = hook, epoch, batch
        self.done = False

    def initialize(self):
        self.epochs = self.batches = 0
        return self

    def on_epoch_begin(self, net, **kwargs):
        self.epochs += 1
        self.batches = 0
        self._maybe("epoch begin")

    def on_batch_begin(self, net, **kwargs):
        self.batches += 1
        self._maybe("batch begin", self.batches == self.batch)

    def on_grad_computed(self, net, **kwargs):
        self._maybe("gradient", self.batches == self.batch)

    def on_batch_end(self, net, **kwargs):
        self._maybe("batch end", self.batches == self.batch)

    def on_epoch_end(self, net, **kwargs):
        self._maybe("epoch end")

    def _maybe(self, hook, now=True):
        if now and hook == self.hook and self.epochs == self.epoch and not self.done:
            self.done = True
            raise KeyboardInterrupt


def make(method=None, callback=None, **params):
    return PrunedMLPClassifier(
        (14, 9),
        method=method or Activation(),
        **{
            "prune_fraction": 0.6,
            "max_iter": 12,
            "batch_size": 16,
            "random_state": 0,
            "net_params": None if callback is None else {"callbacks": [("interrupt", callback)]},
        }
        | params,
    )


def assert_consistent(clf):
    """Everything agrees with everything."""
    sizes = [8, *(len(live) for live in clf.live_neurons_), 3]
    assert [coef.shape for coef in clf.coefs_] == list(zip(sizes, sizes[1:], strict=False))
    assert [bias.shape for bias in clf.intercepts_] == [(size,) for size in sizes[1:]]
    columns = [np.arange(8), *clf.live_neurons_]
    for coef, mask, before, live in zip(
        clf.coefs_, clf.masks_, columns, clf.live_neurons_, strict=False
    ):
        small = mask[np.ix_(before, live)]
        assert (coef[~small] == 0).all()
        assert mask.sum() == small.sum()
        assert np.flatnonzero(mask.any(axis=0)).tolist() == live.tolist()
    left = sum(mask.sum() for mask in clf.masks_)
    assert clf.sparsity_ == pytest.approx(1 - left / sum(mask.size for mask in clf.masks_))
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.transform(X).shape == (80, sizes[-2])
    np.testing.assert_allclose(
        clf.net_.predict_proba(X), clf.predict_proba(X), rtol=1e-9, atol=1e-12
    )
    for parameter in clf.net_.module_.parameters():
        for value in clf.net_.optimizer_.state.get(parameter, {}).values():
            assert value.dim() == 0 or value.shape == parameter.shape
    assert not [layer for layer in clf.net_.module_.layers if layer._forward_hooks]
    other = pickle.loads(pickle.dumps(clf))
    assert other.predict_proba(X).tobytes() == clf.predict_proba(X).tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("epoch", [1, 5, 9])
@pytest.mark.parametrize(
    "hook", ["epoch begin", "batch begin", "gradient", "batch end", "epoch end"]
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
def test_interrupted_anywhere(hook, epoch, method):
    interrupt = Interrupt(hook, epoch)
    clf = make(method, interrupt, warm_start=True)
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        clf.fit(X, y)
    assert interrupt.done
    assert clf.n_iter_ == len(clf.loss_curve_) == (epoch if hook == "epoch end" else epoch - 1)
    assert_consistent(clf)

    # It goes on, and does the rounds that it missed.
    clf.fit(X, y)
    assert clf.n_iter_ == 12
    if not method.regrow:
        assert clf.sparsity_ >= 0.6
    assert [row["round"] for row in clf.pruning_history_][-1] == 5


POINTS_OF_A_ROUND = [
    (pruner, "select"),
    (layers, "fold_and_mask"),
    (layers, "replace_parameters"),
    (layers.PrunedLayers, "hold"),
    (layers.ActivationCounter, "cut"),
    (pruner.Pruner, "_row"),
]


def interrupt_second_round(monkeypatch, method, owner, name, late):
    """Fit that is interrupted before or after the second call of a part of a round."""
    real = getattr(owner, name)
    when = 3 if name == "hold" else 2  # that one is also called when training begins
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(1)
        result = real(*args, **kwargs) if late or len(calls) != when else None
        if len(calls) == when:
            raise KeyboardInterrupt
        return result

    clf = make(method, warm_start=True)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        with pytest.warns(UserWarning, match="Training interrupted by user."):
            clf.fit(X, y)
    return clf


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("owner", "name"), POINTS_OF_A_ROUND)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
def test_interrupted_inside_a_round_leaves_the_round_undone(owner, name, method, late, monkeypatch):
    untouched = interrupt_second_round(monkeypatch, method, pruner, "select", late=False)
    clf = interrupt_second_round(monkeypatch, method, owner, name, late)
    assert_consistent(clf)
    assert len(clf.pruning_history_) == 1
    assert pickle.dumps(clf.__getstate__()["net_"]) == pickle.dumps(
        untouched.__getstate__()["net_"]
    )
    for one, other in zip(clf.fit(X, y).coefs_, untouched.fit(X, y).coefs_, strict=True):
        assert one.tobytes() == other.tobytes()
    assert_consistent(clf)
    assert clf.pruning_history_[-1]["round"] == 5


@pytest.mark.parametrize("tear", [0, 1, 3, 5])
def test_interrupted_in_the_middle_of_replacing_parameters(tear, monkeypatch):
    """Some layers already have their new sizes, others not yet."""
    real = torch.nn.Parameter.__setattr__
    seen = []

    def torn(self, name, value):
        if name == "data" and value.shape != self.shape:
            seen.append(1)
            if len(seen) == tear + 1:
                raise KeyboardInterrupt
        real(self, name, value)

    clf = make(Activation())
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Parameter, "__setattr__", torn, raising=False)
        with pytest.warns(UserWarning, match="Training interrupted by user."):
            clf.fit(X, y)
    assert len(seen) > tear
    assert_consistent(clf)
    assert clf.n_iter_ >= 1


@pytest.mark.parametrize("hook", ["batch end", "epoch end"])
def test_interrupted_with_early_stopping(hook):
    clf = make(callback=Interrupt(hook, 11), early_stopping=True)
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        clf.fit(X, y)
    assert_consistent(clf)
    assert len(clf.validation_scores_) == clf.n_iter_
    assert clf.best_validation_score_ == max(clf.validation_scores_[8:])


def test_interrupted_partial_fit():
    clf = make(callback=Interrupt("batch end", 1, batch=3))
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert_consistent(clf)
    for _ in range(12):
        clf.partial_fit(X, y)
    assert_consistent(clf)
    assert clf.sparsity_ >= 0.6


def test_other_errors_are_not_swallowed():
    class Broken(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        make(callback=Broken()).fit(X, y)
