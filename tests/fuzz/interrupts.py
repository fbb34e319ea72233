"""Interrupts at any bytecode of a fit: the old state or a new one, and the world as it was.

From the folder of the tests: ``python -m fuzz interrupts --minutes 10 --seed 0``. Estimators with
parameters drawn at random go through steps drawn at random: fits, partial fits, warm fits,
parameters set, pickles, clones, compact models, predictions. Fits are interrupted, each at one
bytecode of the package, or of whatever Python code runs. After every interrupt it is asked whether
the estimator is as it was, or as after the whole fit, or as a fit that ended early may be; and
whether anything of the process has changed. The nets of skorch with a `Pruner` have no old state;
theirs must be one that training can go on from.
"""

import copy
import gc
import pickle
import random
import signal
import sys
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch.nn.utils import parametrize

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import METHODS, Activation, FiringDeviation, Magnitude

X, y = make_classification(
    n_samples=40, n_features=6, n_informative=4, n_redundant=0, n_classes=3, random_state=0
)
N_HIDDEN = (7, 5)
OURS = "skactprune"
EXPECTED = "Training interrupted by user."
# What finalizers raise, and the import system keeps half done, is beyond anybody's reach.
BEYOND = ("<frozen", "<string>", "weakref.py", "_weakrefset.py", "tempfile.py")


# -- interrupts -----------------------------------------------------------------------------


class Interruption:
    """Context that counts bytecodes and raises KeyboardInterrupt at one of them.

    Most bytecodes of a fit are those of its steps, again and again. What is done once only is met
    where each place of the code counts once: `places` has the numbers of the last time that it was
    there.

    Parameters
    ----------
    at : int or None
        Number of the bytecode, from 1; None only counts.
    everywhere : bool
        Whether bytecodes of all Python code count, or those of the package only.
    """

    def __init__(self, at=None, *, everywhere=False):
        self.at, self.everywhere = at, everywhere
        self.n_bytecodes, self.where = 0, None
        self.places = {}

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._enter_frame)
        return self

    def __exit__(self, *raised):
        sys.settrace(self._before)

    def _enter_frame(self, frame, event, arg):
        if not self._counts(frame.f_code):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._count

    def _counts(self, code):
        if code.co_filename.startswith(BEYOND) or code.co_name == "__del__":
            return False
        return self.everywhere or OURS in code.co_filename.split("/")

    def _count(self, frame, event, arg):
        if event == "opcode":
            self.n_bytecodes += 1
            if self.at is None:
                self.places[frame.f_code, frame.f_lasti] = self.n_bytecodes
            elif self.n_bytecodes == self.at:
                code = frame.f_code
                name = code.co_filename.rpartition("site-packages/")[2].rpartition(OURS + "/")[2]
                self.where = f"{name}:{frame.f_lineno} {code.co_qualname} +{frame.f_lasti}"
                raise KeyboardInterrupt
        return self._count


# -- what is compared -----------------------------------------------------------------------


def fingerprint(value):
    """All that a value is, in one that can be compared; how long rounds took does not count."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if torch.is_tensor(value):
        return fingerprint(value.detach().numpy())
    if isinstance(value, np.random.RandomState):
        return fingerprint(value.get_state())
    if isinstance(value, dict):
        return [(k, fingerprint(v)) for k, v in value.items() if k != "seconds"]
    if isinstance(value, (list, tuple)):
        return [fingerprint(v) for v in value]
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return type(value).__name__, fingerprint(vars(value))
    return repr(value)


def fingerprint_of(clf):
    """All that is in an estimator, and what it predicts."""
    state = dict(sorted(clf.__getstate__().items()))
    predicted = clf.predict_proba(X) if hasattr(clf, "coefs_") else None
    return fingerprint([state, predicted])


def world():
    """What of the process no fit may change."""
    return {
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "numpy's errors": np.geterr(),
        "numpy's generator": fingerprint(np.random.mtrand._rand),
        "torch's generator": fingerprint(torch.get_rng_state()),
        "Python's generator": random.getstate(),
        "cached parametrizations": parametrize._cache_enabled,
        "scikit-learn's settings": sklearn.get_config(),
        "signals": signal.getsignal(signal.SIGINT),
    }


def changes_of(before, besides=()):
    """Names of what has changed in the world; it is put right again."""
    after = world()
    torch.set_grad_enabled(before["gradients"])
    if torch.get_num_threads() != before["threads"]:
        torch.set_num_threads(before["threads"])
    np.seterr(**before["numpy's errors"])
    parametrize._cache_enabled = before["cached parametrizations"]
    sklearn.set_config(**before["scikit-learn's settings"])
    return [name for name in set(before) - set(besides) if before[name] != after[name]]


def flaws_of(clf, *, interrupted=True):
    """What does not fit together in a fitted estimator."""
    flaws = []
    sizes = [X.shape[1], *(len(live) for live in clf.live_neurons_), len(clf.classes_)]
    if [coef.shape for coef in clf.coefs_] != list(zip(sizes, sizes[1:], strict=False)):
        return ["the shapes of coefs_ are not those of live_neurons_"]
    columns = [np.arange(X.shape[1]), *clf.live_neurons_]
    for coef, mask, before, live in zip(
        clf.coefs_, clf.masks_, columns, clf.live_neurons_, strict=False
    ):
        small = mask[np.ix_(before, live)]
        if coef[~small].any():
            flaws.append("masked weights are not zero")
        if mask.sum() != small.sum():
            flaws.append("masks_ have weights of neurons that have left")
    left = sum(
        mask.sum() if pair is None else sum(map(np.count_nonzero, pair))
        for mask, pair in zip(clf.masks_, clf.factors_, strict=True)
    )
    if not np.isclose(clf.sparsity_, 1 - left / sum(mask.size for mask in clf.masks_)):
        flaws.append("sparsity_ is not that of masks_")
    return flaws + _flaws_of_progress(clf) + _flaws_of_training(clf)


def _flaws_of_progress(clf):
    flaws = []
    run, n_epochs = clf._state["pruner"]["run"], len(clf.loss_curve_)
    if clf.early_stopping and len(clf.validation_scores_) != n_epochs:
        flaws.append("validation_scores_ and loss_curve_ have other lengths")
    complete = [row for row in clf._state["history"] if "train_loss" in row]
    if not n_epochs <= len(complete) <= n_epochs + 1:
        flaws.append(f"{len(complete)} epochs in the history, {n_epochs} in loss_curve_")
    if not clf.warm_start and run["epoch"] != n_epochs:
        flaws.append(f"{run['epoch']} epochs in the run, {n_epochs} in loss_curve_")
    rows = run["history"]
    if rows and rows[-1]["round"] != run["done"] and not clf.warm_start:
        flaws.append("the last round in the history is not the last that is done")
    moves = getattr(clf.method, "regrow", False) or clf.method == "rigl"
    if rows and not moves and not np.isclose(rows[-1]["sparsity"], clf.sparsity_):
        flaws.append("sparsity_ is not that of the last round")
    if clf.early_stopping and clf.best_validation_score_ is not None:
        if clf.best_validation_score_ not in clf.validation_scores_:
            flaws.append("best_validation_score_ is none of validation_scores_")
    return flaws


def _flaws_of_training(clf):
    """What a net that goes on would stumble over."""
    flaws, net = [], clf.net_
    if not np.allclose(net.predict_proba(X.astype(clf.coefs_[0].dtype)), clf.predict_proba(X)):
        flaws.append("net_ predicts something else")
    steps = set()
    for parameter in net.module_.parameters():
        state = net.optimizer_.state.get(parameter, {})
        steps.add(float(state.get("step", 0)))
        if any(value.dim() and value.shape != parameter.shape for value in state.values()):
            flaws.append("the optimizer's state has other shapes")
        if "exp_avg_sq" in state and (state["exp_avg_sq"] < 0).any():
            flaws.append("a second moment is negative")
    # Its hidden weights are products of what another optimizer trains.
    factored = clf.method == "svd_training"
    if len(steps) > 1 and clf.net_params is None and not factored:
        flaws.append(f"parameters had {sorted(steps)} steps")
    if any(part._forward_hooks or part._forward_pre_hooks for part in net.module_.modules()):
        flaws.append("hooks are left")
    other = pickle.loads(pickle.dumps(clf))
    if fingerprint_of(other) != fingerprint_of(clf):
        flaws.append("a pickle is something else")
    if clf.early_stopping:
        other.set_params(warm_start=True).fit(X, y)
    else:
        other.partial_fit(X, y)
    if not np.isfinite(other.predict_proba(X)).all():
        flaws.append("training cannot go on")
    return flaws


# -- estimators and steps -------------------------------------------------------------------


class Listener(Callback):
    """Has all steps done by autograd."""

    def on_batch_end(self, net, **kwargs):
        pass


def random_estimator(rng):
    """Estimator whose parameters lead through as much of the package as may be."""

    def one_of(*values):
        return values[rng.integers(len(values))]

    params = {
        "method": one_of(*METHODS, Activation(regrow=True), FiringDeviation(granularity="weight")),
        "prune_fraction": one_of(0.0, 0.5, 0.6),
        "solver": one_of("adam", "sgd"),
        "learning_rate": one_of("constant", "invscaling", "adaptive"),
        "early_stopping": one_of(False, False, False, True),
        "n_components": one_of(None, 2),
        "dropout": one_of(0.0, 0.2),
        "warm_start": one_of(False, True),
        "net_params": one_of(None, None, None, {"callbacks": [("l", Listener())]}),
        "random_state": one_of(0, 0, np.random.RandomState(1)),
        "dtype": one_of("auto", "float32"),
    }
    return estimator(**params)


def estimator(**params):
    """Tiny net of few epochs."""
    few = {"max_iter": 5, "batch_size": 16, "n_prune_rounds": 2, "random_state": 0}
    return PrunedMLPClassifier(N_HIDDEN, **few | params)


def data_of(clf, rng):
    """Rows as arguments of a fit."""
    given = {"X": X, "y": y}
    if rng.random() < 0.2:
        given["sample_weight"] = rng.integers(1, 4, len(y)).astype(float)
    counts = str(clf.method) in ("activation_surgeon", "firing_deviation", "activation")
    if counts and rng.random() < 0.3:
        given["X_unlabeled"] = rng.normal(size=(23, X.shape[1]))
    return given


@dataclass
class Fit:
    """Fit of an estimator that can be done again, on copies of it.

    Attributes
    ----------
    clf : PrunedMLPClassifier
        As it is before; it stays so.
    name : {"fit", "partial_fit"}
        Which method.
    data : dict
        Its arguments.
    """

    clf: PrunedMLPClassifier
    name: str
    data: dict

    def __post_init__(self):
        if self.name == "partial_fit":
            self.data = self.data | {"classes": np.unique(y)}
        self.old = fingerprint_of(self.clf)

    def copy(self):
        """Another estimator that is the same."""
        return copy.deepcopy(self.clf)

    def count(self, *, everywhere=False):
        """Count bytecodes, and their places, in the whole fit."""
        with _quiet():
            # What is done once only in a process is none of them.
            getattr(self.copy(), self.name)(**self.data)
        clf = self.copy()
        with _quiet(), Interruption(everywhere=everywhere) as counted:
            getattr(clf, self.name)(**self.data)
        self.whole, self.fitted = fingerprint_of(clf), clf
        return counted


class _quiet:
    """Context in which warnings are kept."""

    def __enter__(self):
        self._filters = warnings.catch_warnings(record=True)
        self.told = self._filters.__enter__()
        warnings.simplefilter("always")
        return self.told

    def __exit__(self, *raised):
        self._filters.__exit__(*raised)


@contextmanager
def threads(n):
    """Context in which torch has so many threads; of one it cannot be seen whether it is left."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# -- trials ---------------------------------------------------------------------------------


@dataclass
class Counts:
    """What became of the fits that were interrupted."""

    old: int = 0
    whole: int = 0
    ended: int = 0
    nets: int = 0
    missed: int = 0
    steps: Counter = field(default_factory=Counter)
    kinds: Counter = field(default_factory=Counter)
    faults: list = field(default_factory=list)

    @property
    def tried(self):
        return self.old + self.whole + self.ended + self.nets + len(self.faults)

    def __str__(self):
        steps = ", ".join(f"{n} {name}" for name, n in sorted(self.steps.items()))
        lines = [
            f"{self.tried} interrupts: {self.old} left the old state, {self.whole} that of the "
            f"whole fit, {self.ended} that of a fit that ended early, {self.nets} a net of skorch",
            f"fits that ended before their interrupt: {self.missed}",
            f"steps: {steps or 'none'}",
            f"violations: {len(self.faults)}",
        ]
        lines += [f"  {n} x {kind}" for kind, n in self.kinds.most_common()]
        return "\n".join(lines + self.faults[:20])

    def fault(self, flaws, what):
        self.kinds.update(flaws[:1])
        self.faults.append(f"{'; '.join(flaws)}: {what}")


def interrupt(fit, at, counts, what, *, everywhere=False, thorough=True):
    """Interrupt a fit, count what becomes of it, and return the estimator."""
    clf, before, raised = fit.copy(), world(), None
    interruption = Interruption(at, everywhere=everywhere)
    with _quiet() as told:
        try:
            with interruption:
                getattr(clf, fit.name)(**fit.data)
        except BaseException as error:
            raised = error
        flaws = [f"changed: {name}" for name in changes_of(before)]
        if interruption.where is None:
            counts.missed += 1
            return clf
        what = f"{what}, {fit.name} at bytecode {at}, {interruption.where}"
        outcome = _outcome(fit, clf, raised, told, flaws)
        seen = fingerprint_of(clf)
        # What is freed now must not undo anything any more.
        raised = None
        gc.collect(0 if not thorough else 2)
        flaws += [f"changed late: {name}" for name in changes_of(before)]
        if fingerprint_of(clf) != seen:
            flaws.append("the estimator changes late")
        if outcome == "ended" and not flaws:
            flaws += _errors_of(flaws_of, clf)
    if flaws:
        counts.fault(flaws, what)
    else:
        setattr(counts, outcome, getattr(counts, outcome) + 1)
    return clf


def _errors_of(check, *args):
    try:
        return check(*args)
    except Exception as error:
        return [f"{type(error).__name__} in going on: {error}"]


def _outcome(fit, clf, raised, told, flaws):
    if raised is None:
        if any(EXPECTED in str(warning.message) for warning in told):
            return "ended"
        flaws.append("nobody hears of the interrupt")
    elif not isinstance(raised, KeyboardInterrupt):
        flaws.append(f"{type(raised).__name__} hides the interrupt: {raised}")
    else:
        found = fingerprint_of(clf)
        if found == fit.old:
            return "old"
        if found == fit.whole:
            return "whole"
        flaws.append("neither the old state nor that of the whole fit")
    return "old"


# -- nets of skorch -------------------------------------------------------------------------


def random_net(rng):
    """Net of skorch with a `Pruner`."""
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(),
        torch.nn.Linear(8, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3), torch.nn.Softmax(-1),
    )  # fmt: skip
    torch.set_rng_state(torch_state)
    module[3].bias.requires_grad_(False)
    methods = ["firing_deviation", "snip", "movement", "rigl", Magnitude(granularity="weight")]
    pruner = Pruner(
        methods[rng.integers(len(methods))], 0.5, n_prune_rounds=2, random_state=0
    )  # fmt: skip
    return NeuralNetClassifier(
        module, max_epochs=4, batch_size=16, callbacks=[("pruner", pruner)], verbose=0,
        optimizer=torch.optim.Adam, train_split=None,
    )  # fmt: skip


def flaws_of_net(net):
    """What is wrong with a net of skorch after a fit that was interrupted."""
    flaws = []
    module, pruner = net.module_, dict(net.callbacks_)["pruner"]
    if [p.requires_grad for p in module.parameters()].count(False) != 1:
        flaws.append("requires_grad has changed")
    if any(part._forward_hooks or part._forward_pre_hooks for part in module.modules()):
        flaws.append("hooks are left")
    if not pruner.run_.is_held():
        flaws.append("masked weights are not zero")
    if pruner.history_ and not np.isclose(pruner.history_[-1]["sparsity"], pruner.masks_.sparsity):
        flaws.append("the masks are not those of the last round")
    return flaws


def interrupt_net(rng, counts, what):
    """Interrupt the fit of a net of skorch with a `Pruner`."""
    everywhere = bool(rng.random() < 0.3)
    rows = X.astype(np.float32), y.astype(np.int64)
    net = random_net(rng)
    state = torch.get_rng_state()
    with _quiet(), Interruption(everywhere=everywhere) as counted:
        copy.deepcopy(net).fit(*rows)
    torch.set_rng_state(state)
    before, raised = world(), None
    interruption = Interruption(
        1 + int(rng.integers(counted.n_bytecodes)), everywhere=everywhere
    )  # fmt: skip
    with _quiet():
        try:
            with interruption:
                net.fit(*rows)
        except BaseException as error:
            raised = error
        # The loop of skorch draws from that of torch.
        flaws = [f"changed: {name}" for name in changes_of(before, ["torch's generator"])]
        if interruption.where is None:
            counts.missed += 1
            return
        if raised is not None and not isinstance(raised, KeyboardInterrupt):
            flaws.append(f"{type(raised).__name__} hides the interrupt: {raised}")
        elif raised is None:
            flaws += _errors_of(flaws_of_net, net)
        raised = None
        flaws += _errors_of(_trains_on, net, rows)
        flaws += _errors_of(flaws_of_net, net)
    if flaws:
        counts.fault(flaws, f"{what}, net of skorch, {interruption.where}")
    else:
        counts.nets += 1


def _trains_on(net, rows):
    net.partial_fit(*rows)
    return [] if np.isfinite(net.predict_proba(rows[0])).all() else ["training cannot go on"]


# -- runs -----------------------------------------------------------------------------------


def run(minutes, seed, *, n_sequences=10**9):
    """Interrupt fits in random sequences of steps.

    Parameters
    ----------
    minutes : float
        When to stop at the latest.
    seed : int
        Of all that is drawn.
    n_sequences : int, default=10**9
        How many sequences at most.

    Returns
    -------
    Counts
    """
    end, counts = time.monotonic() + 60 * minutes, Counts()
    for number in range(n_sequences):
        rng, what = np.random.default_rng([seed, number]), f"seed {seed}, sequence {number}"
        with threads(1 if number % 4 == 3 else 2):
            if number % 4 == 3:
                interrupt_net(rng, counts, what)
            else:
                _sequence(rng, counts, what, end)
        if time.monotonic() > end:
            break
    return counts


def sweep(clf, name, n_positions, counts):
    """Interrupt a fit at places of the package that are spread evenly over what it does.

    Parameters
    ----------
    clf : PrunedMLPClassifier
        Estimator before.
    name : {"fit", "partial_fit"}
        Which fit.
    n_positions : int
        How many times.
    counts : Counts
        Of what becomes of them.
    """
    fit = Fit(clf, name, {"X": X, "y": y})
    places = sorted(fit.count().places.values())
    n = min(n_positions, len(places))
    # Not the last one of all: what is only done once may have been done in counting.
    for at in ((np.arange(n) + 0.5) * len(places) / n).astype(int):
        interrupt(fit, places[at], counts, "sweep", thorough=False)


def _sequence(rng, counts, what, end):
    clf = random_estimator(rng)
    for number in range(int(rng.integers(3, 8))):
        step = STEPS[rng.integers(len(STEPS))]
        here = f"{what}, step {number} ({step.__name__})"
        try:
            clf = step(clf, rng, counts, here)
        except Exception as error:
            counts.fault([f"{type(error).__name__}: {error}"], here)
            return
        counts.steps[step.__name__] += 1
        if time.monotonic() > end:
            return


def _drawn(counted, rng):
    """Number of a bytecode: any of them, or that of any place."""
    if rng.random() < 0.3:
        return 1 + int(rng.integers(counted.n_bytecodes))
    return list(counted.places.values())[rng.integers(len(counted.places))]


def _interrupted(clf, name, rng, counts, what):
    if name == "partial_fit" and clf.early_stopping:
        name = "fit"
    everywhere = bool(rng.random() < 0.3)
    fit = Fit(clf, name, data_of(clf, rng))
    at = _drawn(fit.count(everywhere=everywhere), rng)
    found = interrupt(fit, at, counts, what, everywhere=everywhere, thorough=rng.random() < 0.1)
    return fit.fitted if rng.random() < 0.3 else found


def fit(clf, rng, counts, what):
    return _interrupted(clf, "fit", rng, counts, what)


def partial_fit(clf, rng, counts, what):
    return _interrupted(clf, "partial_fit", rng, counts, what)


def warm_fit(clf, rng, counts, what):
    clf.set_params(warm_start=True, max_iter=int(rng.integers(1, 8)))
    return _interrupted(clf, "fit", rng, counts, what)


def set_params(clf, rng, counts, what):
    name, values = list(CHANGES.items())[rng.integers(len(CHANGES))]
    return clf.set_params(**{name: values[rng.integers(len(values))]})


def through_pickle(clf, rng, counts, what):
    return pickle.loads(pickle.dumps(clf))


def cloned(clf, rng, counts, what):
    return clone(clf)


def used(clf, rng, counts, what):
    """What does not change an estimator."""
    if hasattr(clf, "coefs_"):
        before = fingerprint_of(clf)
        compact = clf.compact()
        assert np.allclose(compact.predict_proba(X), clf.predict_proba(X), atol=1e-5)
        assert np.isfinite(clf.transform(X)).all()
        assert before == fingerprint_of(clf)
    return clf


CHANGES = {
    "prune_fraction": [0.3, 0.6, 0.7],
    "learning_rate_init": [0.01, 0.001],
    "method": ["magnitude", "activation_surgeon", "movement"],
    "max_iter": [3, 6],
    "warm_start": [False, True],
}
STEPS = [fit, partial_fit, warm_fit, fit, partial_fit, warm_fit]
STEPS += [set_params, through_pickle, cloned, used]
