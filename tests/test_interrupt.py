"""An interrupted fit leaves an estimator that is consistent and can go on."""

import copy
import gc
import pickle
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from fuzz import interrupts
from sklearn.datasets import make_classification
from skorch.callbacks import Callback

from skactprune import (
    Activation,
    ActivationSurgeon,
    FiringDeviation,
    Magnitude,
    PrunedMLPClassifier,
)
from skactprune._transaction import Context, Transactions
from skactprune.estimators._state import state_of
from skactprune.methods import base, surgeon
from skactprune.pruning import run, surgery
from skactprune.pruning.probes import Features, Firing, OutputMoments
from skactprune.pruning.run import Run

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


class Spy(Callback):
    """Holds the net, and a copy of everything as it was after the last step."""

    def on_train_begin(self, net, **kwargs):
        self.net_, self.run_ = net, dict(net.callbacks_)["pruner"].run_

    def on_batch_end(self, net, **kwargs):
        self.before_ = self.everything()

    def everything(self):
        """Arrays and numbers of net, optimizer, masks and probes, to be compared."""
        module, state = self.net_.module_, state_of(self.net_, dict(self.net_.callbacks_)["pruner"])
        return copy.deepcopy(
            {
                "run": state["pruner"]["run"],
                "optimizer": state["optimizer"],
                "weights": {name: value.numpy() for name, value in module.state_dict().items()},
                "sizes": [(layer.in_features, layer.out_features) for layer in module.layers],
            }
        )


POINTS_OF_A_ROUND = [
    (base, "select"),
    (surgery, "fold_and_mask"),
    (surgery, "replace"),
    (surgery, "cut"),
    (Run, "hold_masks"),
    (Firing, "cut"),
    (Features, "cut"),
    (OutputMoments, "take"),
    (surgeon, "take_over"),
    (run, "perf_counter"),
]
METHODS_OF_A_ROUND = [
    *METHODS,
    ActivationSurgeon("neuron"),
    FiringDeviation(),
    FiringDeviation(granularity="weight"),
]


def no_neuron_leaves(method):
    return getattr(method, "regrow", False) or method.granularity == "weight"


NOT_IN_A_ROUND = {
    "cut of surgery": lambda method: getattr(method, "regrow", False),
    "cut of Firing": no_neuron_leaves,
    "cut of Features": lambda method: (
        not isinstance(method, FiringDeviation) or no_neuron_leaves(method)
    ),
    "take of OutputMoments": lambda method: not isinstance(method, ActivationSurgeon),
    "take_over of surgeon": lambda method: not isinstance(method, ActivationSurgeon),
}


def points_of_rounds():
    for owner, name in POINTS_OF_A_ROUND:
        point = f"{name} of {owner.__name__.split('.')[-1]}"
        for method in METHODS_OF_A_ROUND:
            if not NOT_IN_A_ROUND.get(point, lambda method: False)(method):
                yield pytest.param(owner, name, method, id=f"{point}, {method}")


def stop_second_round(monkeypatch, method, owner, name, late, error=KeyboardInterrupt):
    """Fit that an exception ends before or after a part of the second round."""
    real, spy = getattr(owner, name), Spy()
    # That one is first called when a round begins; then for its row.
    calls_to_go = [name == "perf_counter"]

    def stopped(*args, **kwargs):
        due = hasattr(spy, "run_") and len(spy.run_.history) == 1 and not over
        if due and calls_to_go[0]:
            calls_to_go[0] -= 1
            due = False
        result = None if due and not late else real(*args, **kwargs)
        if due:
            over.append(True)
            raise error
        return result

    over = []
    clf = make(method, warm_start=True, net_params={"callbacks": [("spy", spy)]})
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stopped)
        if error is KeyboardInterrupt:
            with pytest.warns(UserWarning, match="Training interrupted by user."):
                clf.fit(X, y)
        else:
            with pytest.raises(error):
                clf.fit(X, y)
    assert over
    return clf, spy


def bits_of_state(clf):
    """What training goes on from; how long a round took is another thing in every fit."""
    state = copy.deepcopy(clf._state)
    for row in state["pruner"]["run"]["history"]:
        assert row.pop("seconds") > 0
    return pickle.dumps(state)


@cache
def untouched(method):
    """State before a round that was never begun, and the weights when training has gone on."""
    with pytest.MonkeyPatch.context() as patch:
        clf, _ = stop_second_round(patch, method, base, "select", late=False)
    return bits_of_state(clf), [coef.tobytes() for coef in clf.fit(X, y).coefs_]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("owner", "name", "method"), list(points_of_rounds()))
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
def test_interrupted_inside_a_round_leaves_the_round_undone(owner, name, method, late, monkeypatch):
    state, coefs = untouched(method)
    clf, _ = stop_second_round(monkeypatch, method, owner, name, late)
    assert_consistent(clf)
    assert len(clf.pruning_history_) == 1
    assert bits_of_state(clf) == state
    clf.fit(X, y)
    if (name, late) != ("take", False):  # before the rows of a sample are drawn
        assert [coef.tobytes() for coef in clf.coefs_] == coefs
    assert_consistent(clf)
    assert clf.pruning_history_[-1]["round"] == 5


class Failure(Exception):
    pass


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("owner", "name", "method"), list(points_of_rounds()))
def test_a_round_that_fails_leaves_nothing_behind(owner, name, method, late, monkeypatch):
    clf, spy = stop_second_round(monkeypatch, method, owner, name, late, Failure)
    assert not hasattr(clf, "classes_") and not hasattr(clf, "net_")
    found, before = spy.everything(), spy.before_
    # The end of the epoch was not part of the round.
    assert found["run"].pop("epoch") == before["run"].pop("epoch") + 1
    np.testing.assert_equal(found, before)
    assert not [layer for layer in spy.net_.module_.layers if layer._forward_hooks]
    assert not [layer for layer in spy.net_.module_.layers if layer._forward_pre_hooks]


@pytest.mark.parametrize("tear", [0, 1, 3, 5])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
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


# -- at any bytecode ------------------------------------------------------------------------


def to_be_interrupted(which):
    """Estimator, and its fit, of which much is done in few steps."""
    clf = interrupts.estimator(max_iter=3, batch_size=40)
    if which != "warm fit":
        return clf, which
    with interrupts._quiet():
        clf.fit(interrupts.X, interrupts.y)
    return clf.set_params(warm_start=True, prune_fraction=0.85), "fit"


@pytest.mark.parametrize("which", ["fit", "partial_fit", "warm fit"])
def test_interrupted_at_any_place_it_is_old_or_new(which):
    counts = interrupts.Counts()
    with interrupts.threads(2):
        interrupts.sweep(*to_be_interrupted(which), 40, counts)
    assert counts.faults == []
    assert counts.missed == 0
    assert counts.old > 5
    assert counts.ended > 10


def test_a_slice_of_the_fuzz_run_finds_nothing():
    counts = interrupts.run(minutes=1, seed=1, n_sequences=1)
    assert counts.faults == []
    assert counts.tried > 0


def test_an_error_that_hides_an_interrupt_gives_way_to_it(monkeypatch):
    """As where scikit-learn finds its callbacks half set up."""

    def hidden(self, *args, **kwargs):
        try:
            raise KeyboardInterrupt
        finally:
            del self.not_there

    monkeypatch.setattr(PrunedMLPClassifier, "_train", hidden)
    clf = make()
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert not hasattr(clf, "classes_")


def test_what_an_interrupt_has_left_open_does_not_act_when_it_is_freed():
    done = []
    with pytest.raises(KeyboardInterrupt):
        rounds = Transactions()
        with rounds.begin(lambda: done.append("undone")):
            raise KeyboardInterrupt
    assert done == ["undone"]

    def left_open():
        with rounds.begin(lambda: done.append("undone")):
            yield

    suspended = left_open()
    next(suspended)
    rounds.undo()
    assert done == ["undone"] * 2
    del suspended
    gc.collect()
    assert done == ["undone"] * 2
    assert pickle.loads(pickle.dumps(rounds))._open == []


@pytest.mark.parametrize("again", [1, 2])
def test_an_interrupt_while_things_are_put_back_does_not_stop_that(again):
    calls = []

    def restore():
        calls.append(1)
        if len(calls) == again:
            raise KeyboardInterrupt

    context = Context(lambda: None, restore)
    if again == 1:
        with pytest.raises(KeyboardInterrupt):
            context.restore()
        assert len(calls) == 2
    else:
        context.restore()
        assert len(calls) == 1


def test_random_generators_are_put_back():
    generator = np.random.RandomState(0)
    clf = make(callback=BrokenAtTheEnd(), random_state=generator)
    before = interrupts.fingerprint(generator)
    with pytest.raises(RuntimeError, match="broken"):
        clf.fit(X, y)
    assert interrupts.fingerprint(generator) == before


class BrokenAtTheEnd(Callback):
    def on_train_end(self, net, **kwargs):
        raise RuntimeError("broken")


def test_callbacks_hear_of_the_end_where_warnings_are_errors():
    class Ends(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

        def on_train_end(self, net, **kwargs):
            heard.append("end")

    heard = []
    X, y = make_classification(60, random_state=0)
    params = {"max_iter": 3, "prune_fraction": 0, "net_params": {"callbacks": [Ends()]}}
    clf = PrunedMLPClassifier((9,), **params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((UserWarning, KeyboardInterrupt)):
            clf.fit(X, y)
    assert heard == ["end"]
