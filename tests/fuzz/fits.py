"""Fits with random parameters on random data: a model that agrees with itself, or a refusal.

From the folder of the tests: ``python -m fuzz fits --minutes 10 --seed 0``. Parameters are drawn
with their usual values, at their edges, in types that are not Python's own, and out of range; data
in all forms that scikit-learn takes, and in some that must be refused. Of what was fitted all that
can be computed in two ways is, and compared. What is refused must be so by a ``raise`` of this
package or of scikit-learn, with a message that names a parameter.

``repeat(0, 17)`` tries once more what was the trial 17 of seed 0.
"""

import contextlib
import copy
import inspect
import io
import linecache
import pickle
import re
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import skorch.callbacks
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import validate_data
from skorch.callbacks import EarlyStopping, EpochTimer, GradientNormClipping, LRScheduler

import skactprune
from skactprune import PrunedAutoencoder, PrunedMLPClassifier, load
from skactprune.methods import METHODS
from skactprune.nets.net import LeanLoop
from skactprune.penalties import WeightedNuclearNorm
from skactprune.schedules import Cubic, Geometric, Linear, OneShot
from skactprune.triggers import AccuracyTrigger, EpochTrigger

ADAM = torch.optim.Adam


def hushed(text):
    """What a callback of the user's prints to."""


def square(done, n_rounds):
    """A schedule of the user's."""
    return (done / n_rounds) ** 2


def weight_times_width(layer):
    """A criterion of the user's."""
    return np.abs(layer.weight) * layer.weight.shape[0]


# Each value is one that must be taken; most are taken with each other, too.
GOOD = {
    "hidden_layer_sizes": [(8,), (1,), 5, [6, 4], np.array([7, 3]), (), (9, 6, 4), np.int64(6)]
    + [(np.uint8(5), 4), (30,), (1, 1), pd.Series([4, 3])],
    "activation": ["identity", "logistic", "tanh", "relu"],
    "prune_fraction": [0, 0.0, 0.3, 0.5, 0.8, np.float32(0.6), 0.99, 1e-9, np.float16(0.25)],
    "prune_features": [0, 0.3, 0.5, np.float32(0.6), 1e-9, 0.9],
    "prune_output": [0, 0.3, np.float32(0.6), 1e-9],
    "n_prune_rounds": [0, 1, 2, 3, np.int8(2), 5, 50, np.uint64(2)],
    "trigger": ["epoch", "accuracy", EpochTrigger(0, 1), EpochTrigger(0.5, 0.5)]
    + [EpochTrigger(np.float32(0.2), 1), AccuracyTrigger(0, 0), AccuracyTrigger(0.1, 0.2)],
    "n_components": [None, 1, 2, np.int16(2), 3, 0.5, np.float32(0.9), 1e-9, 0.999999],
    "transform_layer": [-1, 0, np.int64(0), -1, np.int8(-1), 1, "all", np.str_("all")],
    "whiten": [False, True, np.bool_(True)],
    "fit_inverse_transform": [False, True, np.bool_(True)],
    "inverse_alpha": [0, 1.0, np.float32(0.1), 1e9],
    "solver": ["adam", "sgd"],
    "alpha": [0, 0.0, 1e-4, 1, 10.0, np.float32(0.1), 1e3],
    "batch_size": ["auto", 1, 2, 7, np.int32(8), 10**6, np.uint8(200)],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "learning_rate_init": [1e-3, 0.01, 0.1, 1e-12, np.float32(0.01), 1],
    "power_t": [0, 0.5, 3, np.float16(0.5)],
    "max_iter": [1, 2, 4, 6, np.int64(3), np.uint8(5)],
    "shuffle": [True, False, np.bool_(False)],
    "random_state": [0, 1, np.int64(3), 2**32 - 1, np.uint32(7), np.random.RandomState(3)],
    "tol": [0, 1e-4, 1.0, np.float32(0.1)],
    "verbose": [False, True, 0, 1],
    "warm_start": [False, True, np.bool_(True)],
    "momentum": [0, 0.9, 1, np.float32(0.5), 0.0],
    "nesterovs_momentum": [True, False, np.bool_(True)],
    "early_stopping": [False, False, True, np.bool_(True)],
    "validation_fraction": [0.1, 0.5, np.float32(0.3), 0.9],
    "beta_1": [0, 0.9, np.float32(0.5), 0.999999],
    "beta_2": [0, 0.999, np.float32(0.5), 0.0],
    "epsilon": [1e-8, 1, 1e-30, np.float32(1e-7)],
    "n_iter_no_change": [1, 10, np.inf, np.int8(3), float("inf")],
    "class_weight": [None, "balanced"],
    "dropout": [0, 0.0, 0.5, np.float32(0.3), 0.99],
    "dtype": ["auto", "float32", "float64"],
    "device": ["cpu", "auto"],
    "net_params": [
        None,
        {},
        {"optimizer": torch.optim.AdamW},
        {"optimizer": torch.optim.SGD},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.5},
        {"optimizer": torch.optim.RMSprop, "optimizer__centered": True},
        {"optimizer": torch.optim.Adagrad},
        {"optimizer": torch.optim.NAdam},
        {"optimizer": torch.optim.Adadelta},
        {"optimizer": torch.optim.Adamax},
        {"optimizer__amsgrad": True, "optimizer": ADAM},
        {"optimizer": torch.optim.ASGD},
        {"optimizer": torch.optim.Rprop},
        {"callbacks": []},
        {"callbacks": None},
        {"callbacks": [EpochTimer(), EpochTimer]},
        {"optimizer__param_groups": [("layers.0.*", {"lr": 0.1})]},
        {"iterator_valid__num_workers": 0},
        {"callbacks": [("timer", EpochTimer()), GradientNormClipping(1.0)]},
        {"callbacks": [LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1)]},
        {"callbacks": [EarlyStopping("train_loss", patience=1, sink=hushed)]},
        {"callbacks": [WeightedNuclearNorm(0.01)]},
        {"callbacks": [("n", WeightedNuclearNorm(0.01))], "callbacks__n__alpha": 0.1},
        {"verbose": 0},
    ],
}
# Each value must be refused, whatever the others are.
BAD = {
    "hidden_layer_sizes": [(0,), (-3,), (2.5,), 0, -1, "a", None, ("a",), (True, 0), [[3]], (None,)]
    + [np.array([3.0]), 3.0, {}, np.array(3.5), [np.nan], (2**40,), (10**30,)],
    "activation": ["RELU", None, 3, "softmax", np.tanh],
    "method": ["nonsense", None, 3, skactprune.methods.Magnitude, ["snip"], ""],
    "prune_fraction": [1, 1.0, -0.1, np.nan, "a", None, 1.5, np.inf, np.array([0.5]), 0.5j],
    "prune_features": [1, -0.1, np.nan, "a", None, np.inf, np.array([0.5])],
    "prune_output": [1, -0.1, np.nan, "a", None, np.inf, np.array([0.5])],
    "n_prune_rounds": [-1, 2.0, "a", None, np.nan, np.float64(3), 10**30],
    "trigger": ["never", None, 3, EpochTrigger, object(), ""],
    "n_components": [0, -1, 2.0, 1.0, 0.0, "mle", np.nan, 10**6],
    "transform_layer": [9, -9, 0.0, None, "last"],
    "whiten": [None, "yes", 0.5],
    "fit_inverse_transform": [None, "yes", 0.5],
    "inverse_alpha": [-1, np.nan, None, "a", -1e-9],
    "solver": ["lbfgs", None, "Adam", ADAM],
    "alpha": [-1, np.nan, None, "a", np.inf, -1e-9],
    "batch_size": [0, -1, 2.5, None, "all", np.float64(3)],
    "learning_rate": [None, 0.1, "cosine"],
    "learning_rate_init": [0, -1, np.nan, None, "a", np.inf],
    "power_t": [-1, np.nan, None, "a", np.inf],
    "max_iter": [0, -1, 2.0, None, np.inf],
    "shuffle": [None, "yes", 0.5],
    "random_state": [-1, "a", 0.5, 2**32, np.random.default_rng(0)],
    "tol": [-1, np.nan, None, "a"],
    "verbose": [None, "a", -1],
    "warm_start": [None, "yes"],
    "momentum": [-0.1, 1.1, np.nan, None],
    "nesterovs_momentum": [None, "yes"],
    "early_stopping": [None, "yes"],
    "validation_fraction": [-0.1, 1.0, np.nan, None],
    "beta_1": [-0.1, 1.0, np.nan, None],
    "beta_2": [-0.1, 1.0, np.nan, None],
    "epsilon": [0, -1, np.nan, None],
    "n_iter_no_change": [0, -1, 2.5, None],
    "class_weight": ["balance", 3, [1, 2], {"no such class": 1, 77: 2}],
    "dropout": [-0.1, 1, 1.0, np.nan, None, "a", [0.1] * 9, [[0.1]], ["a"], {}, [None] * 2],
    "dtype": ["float16", None, np.float32, "int8", float],
    "device": ["gpu", None, 0],
    "net_params": [
        [],
        "a",
        3,
        {"foo": 1},
        {"optimizer__nonsense": 1},
        {"callbacks__x__y": 1},
        {"callbacks__x": None},
        {"module__foo": 2},
        {"iterator_train__x": 1},
        {"iterator_valid__x": 1},
        {"optimizer": 3},
        {"optimizer": None},
        {"optimizer": "adam"},
        {"optimizer": torch.optim.LBFGS},
        {"optimizer": torch.optim.SparseAdam},
        {"optimizer__weight_decay": "a"},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": -1},
        {"optimizer": torch.optim.SGD, "optimizer__betas": (0.9, 0.9)},
        {"callbacks": [skorch.callbacks.Freezer]},
        {"callbacks": [skorch.callbacks.EpochScoring]},
        {"callbacks": [("a", EpochTimer()), ("a", EpochTimer())]},
        {"callbacks": [(3, EpochTimer())]},
        {"callbacks": EpochTimer()},
        {"callbacks": "disable"},
        {"optimizer_": 1},
        {"": 1},
        {"__": 1},
        {"lr": 0.1},
        {"compile": True},
        {"use_caching": 3},
        {"torch_load_kwargs": 3, "nonsense": 1},
    ],
    "init_estimator": [3, "a", MLPClassifier(), PrunedMLPClassifier],
    "pretrain": [3, "a", PCA(), PrunedAutoencoder, PrunedAutoencoder()],
}
OPTIONS = {
    "granularity": ["neuron", "weight", "block", (2, 3), (np.int64(1), 5)],
    "block_shape": [(2, 1), (1, 1), (np.int8(3), 2)],
    "quality": [None, 0.5, 1, np.float32(1.5)],
    "c": [None, -0.5, 0, np.float32(1.0)],
    "gamma": [0, 1e-4, np.float32(0.5)],
    "power": [0, 1, np.float32(0.5)],
    "scope": ["layer", "global"],
    "schedule": ["geometric", "cubic", "linear", "one_shot", "last", Geometric(3)]
    + [Cubic(), Linear(), OneShot(), square, Geometric(np.float32(0.5))],
    "regrow": [True, False],
    "reset_counts": [True, False, np.bool_(True)],
    "criterion": ["activation", "activation_magnitude", "magnitude", "random", "movement"],
    "counting": ["training", "sample"],
    "alpha": [0, 0.5, 1, np.float32(0.3)],
    "rewind_share": [0.05, 0.5, np.float32(0.1)],
    "n_rows": [1, 5, None, np.int64(3), 10**6],
    "rewind_epoch": [0, 0, 1, np.int64(1)],
    "distribution": ["erdos_renyi", "uniform"],
    "update_every": [1, 3, 100, np.int64(2)],
    "drop_fraction": [0.3, 0.01, 0.99, np.float32(0.5)],
    "stop": [0.75, 1, 1e-3, np.float32(0.5)],
    "log_variance": [-8, -1.0, np.float32(2)],
    "rate": [1e-3, 1, np.float32(0.1)],
    "strength": [0, 1e-3, 10, np.float32(1)],
    "drop_rate": [0.01, 0.99, np.float32(0.5)],
    "threshold": [None, 0.5, np.float32(0.1)],
    "budget": [None, 0.2, np.float32(0.9)],
    "seed_fraction": [0.01, 0.99, np.float32(0.5)],
    "sharpness": [1, 1000.0, np.float32(10)],
    "sparsity": ["hoyer", "l1"],
    "orthogonality": [0, 1, np.float32(100)],
    "energy": [None, 0.01, np.float32(0.9)],
    "significance": ["weight", "activation", "cost"],
    "low": [0, 1, np.float32(0.5)],
    "keep": [0, 1, np.float32(0.5)],
    "bits": [1, 4, np.int64(8)],
    "retrain": [0, 1, np.float32(0.5)],
    "finder": ["magnitude", "firing_deviation", skactprune.methods.Random()],
    "n_rounds": [1, 7, np.int64(100)],
}
BAD_OPTIONS = {
    "granularity": [None, "column", 3, ["neuron"], np.array(["neuron", "weight"]), (0, 2)],
    "block_shape": [None, 0, (2, 0), (1.5, 2), "4", True],
    "quality": [0, -1, np.nan, "a", True],
    "c": [np.nan, "a", True],
    "gamma": [None, -1, np.inf, "a"],
    "power": [None, -1, np.nan, "a"],
    "scope": [None, "net", 3, np.array(["layer", "global"])],
    "schedule": [None, "cosine", 3, Cubic, lambda done, n_rounds: -1.0]
    + [lambda done, n_rounds: "a", lambda done, n_rounds: np.nan],
    "regrow": [None, "a", np.array([True, False])],
    "reset_counts": [None, "a"],
    "criterion": [None, "nonsense", 3, lambda layer: "a", lambda layer: np.ones(3)],
    "counting": [None, "all"],
    "alpha": [None, -1, 2, np.nan, "a"],
    "rewind_share": [None, 0, 1, np.nan, "a"],
    "n_rows": [0, -1, 2.5, "a", True],
    "rewind_epoch": [-1, 0.5, "a", None, 10**6],
    "distribution": [None, "normal", 3],
    "update_every": [0, -1, 2.5, None, "a", np.nan],
    "drop_fraction": [0, 1, np.nan, None, "a"],
    "stop": [0, 1.5, np.nan, None, "a"],
    "log_variance": [None, np.inf, "a"],
    "rate": [0, -1, np.nan, None, "a"],
    "strength": [-1, np.inf, None, "a"],
    "drop_rate": [0, 1, np.nan, None, "a"],
    "threshold": [0, -1, np.nan, "a", True],
    "budget": [0, 1, np.nan, "a"],
    "seed_fraction": [0, 1, None, "a"],
    "sharpness": [0.5, np.inf, None, "a"],
    "sparsity": [None, "l2", 3],
    "orthogonality": [-1, np.nan, None, "a"],
    "energy": [0, 1, np.nan, "a"],
    "significance": [None, "loss", 3],
    "low": [-1, 2, np.nan, None, "a"],
    "keep": [-1, 2, np.nan, None, "a"],
    "bits": [0, 9, 2.5, None, "a"],
    "retrain": [-1, 2, np.nan, None, "a"],
    "finder": [None, "nonsense", 3],
    "n_rounds": [0, 2.5, None, "a", True],
}
NAMES = {*GOOD, *BAD, *OPTIONS, "X", "y", "sample_weight", "X_unlabeled", "ratio", "start"}
NAMES |= {"Sample weights", "Input", "array", "classes", "label", "Found", "The input data"}
NAMES |= {"Complex data", "could not convert", "Expected 2D"}
# Where errors may come from; and where warnings may not.
OURS = str(Path(skactprune.__file__).parent)
HERE = str(Path(__file__).parent)
FOREIGN = re.compile(r"/(torch|skorch|numpy|scipy|pandas)/")
NO_WARNINGS = (RuntimeWarning, DeprecationWarning, FutureWarning, ResourceWarning)


# -- what is tried --------------------------------------------------------------------------


@dataclass
class Case:
    """One call of `fit`."""

    params: dict
    X: object
    y: object
    sample_weight: object = None
    X_unlabeled: object = None
    bad: list = field(default_factory=list)
    wild: bool = False

    def __str__(self):
        changed = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        changed = " ".join(changed.split())
        shape = getattr(self.X, "shape", None)
        kind = getattr(self.X, "dtype", type(self.X).__name__)
        y = " ".join(repr(self.y).split())
        weighted = "" if self.sample_weight is None else ", weighted"
        unlabeled = "" if self.X_unlabeled is None else ", unlabeled"
        return f"({changed}), X {shape} {kind}, y {y[:80]}{weighted}{unlabeled}, bad {self.bad}"


def one_of(values, rng):
    """One of some values, of which no other trial has seen anything."""
    return copy.deepcopy(values[rng.integers(len(values))])


def draw_case(rng):
    """A case; a generator decides all of it."""
    case = draw_data(rng)
    names = list(GOOD)
    for name in rng.choice(names, size=rng.integers(12), replace=False):
        case.params[str(name)] = one_of(GOOD[name], rng)
    if rng.random() < 0.8:
        case.params["method"] = draw_method(rng)
    if rng.random() < 0.1:
        sizes = case.params.get("hidden_layer_sizes", (8,))
        n_hidden = 1 if np.ndim(sizes) == 0 else len(sizes)
        rates = [[0.1] * (n_hidden + 1), (0.5,) * (n_hidden + 1), np.full(n_hidden + 1, 0.2)]
        case.params["dropout"] = one_of(rates, rng)
    if rng.random() < 0.1 and not case.bad:
        classes = np.unique(np.asarray(case.y))
        case.params["class_weight"] = {
            c: float(one_of([0.5, 1, 3, 0], rng)) for c in classes.tolist()
        }
    if rng.random() < 0.08 and not case.bad:
        draw_init(case, rng)
    if np.min([9, *np.ravel(case.params["hidden_layer_sizes"])]) < 5 and rng.random() < 0.8:
        case.params["prune_fraction"] = float(one_of([0, 0.1, 0.3], rng))
    if getattr(case.params.get("method"), "own_threshold", None):
        case.params["prune_fraction"] = None
    if rng.random() < 0.2:
        spoil(case, rng)
    return case


def draw_method(rng):
    """A name, or an object with options."""
    name = str(one_of(sorted(METHODS), rng))
    if rng.random() < 0.3:
        return name
    cls = METHODS.look_up(name)
    options = {}
    for option in inspect.signature(cls.__init__).parameters:
        if option != "self" and rng.random() < 0.5:
            options[option] = one_of(OPTIONS[option], rng)
    if name == "ganguli2024" and "criterion" in options:
        options["criterion"] = one_of(["activation", "activation_magnitude"], rng)
    if name == "scores" and rng.random() < 0.2:
        options["criterion"] = weight_times_width
    return cls(**options)


def draw_init(case, rng):
    """A fitted net of scikit-learn to start from."""
    init = MLPClassifier(one_of([(6,), (5, 3), ()], rng), max_iter=1, random_state=0)
    with warnings.catch_warnings(action="ignore"), contextlib.suppress(ValueError, TypeError):
        init.fit(case.X, case.y)
        case.params.pop("dropout", None)
        case.params["init_estimator"] = FrozenEstimator(init)


def spoil(case, rng):
    """One value that must be refused."""
    if rng.random() < 0.25:
        method = draw_method(rng)
        options = [] if isinstance(method, str) else sorted(method.get_params(deep=False))
        if options:
            option = str(one_of(options, rng))
            method.set_params(**{option: one_of(BAD_OPTIONS[option], rng)})
            case.params |= {"method": method, "prune_fraction": 0.5, "n_prune_rounds": 2}
            case.params |= {"hidden_layer_sizes": (8, 5), "max_iter": 2, "trigger": "epoch"}
            case.params["dropout"] = 0.0
            for other in ("init_estimator", "class_weight", "whiten"):
                case.params.pop(other, None)
            case.bad.append(option)
            return
    name = str(one_of(sorted(BAD), rng))
    for other in ("transform_layer", "n_components", "whiten", "dropout"):
        case.params.pop(other, None)
    case.params[name] = one_of(BAD[name], rng)
    case.bad.append(name)
    if name in ("hidden_layer_sizes", "n_components", "transform_layer"):
        case.params.pop("init_estimator", None)
    if name == "n_components" or name == "transform_layer":
        case.params["hidden_layer_sizes"] = (5, 4)
    if name == "dropout" and case.params["dropout"] == [None] * 2:
        case.params["hidden_layer_sizes"] = (5,)


def draw_data(rng):
    """Rows and labels in one of many forms."""
    n_classes = int(one_of([2, 2, 2, 3, 3, 4, 7, 20], rng))
    n_rows = int(one_of([n_classes, n_classes + 1, 20, 40, 40, 60], rng))
    n_rows = max(n_rows, n_classes)
    n_features = int(one_of([1, 2, 4, 4, 10], rng))
    encoded = np.r_[np.arange(n_classes), rng.integers(n_classes, size=n_rows - n_classes)]
    encoded = rng.permutation(encoded)
    X = rng.normal(size=(n_rows, n_features)) + encoded[:, None] * rng.normal(size=n_features)
    if rng.random() < 0.2:
        X[:, rng.integers(n_features)] = one_of([0.0, 3.0, -1e5], rng)
    scale = float(one_of([1] * 12 + [1e-30, 1e5, 1e20, 1e-300, 1e37, 1e150, 1e300], rng))
    case = Case({"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}, X * scale, None)
    case.wild = scale > 1e4
    case.y = draw_labels(encoded, n_classes, rng)
    draw_form(case, rng)
    if rng.random() < 0.3:
        weights = [np.ones(n_rows), rng.integers(3, size=n_rows), rng.random(n_rows)]
        weights += [np.full(n_rows, 1e-20), list(rng.random(n_rows)), np.arange(n_rows)]
        weights += [np.full(n_rows, 1e30, np.float64), rng.random(n_rows).astype(np.float32)]
        weights += [rng.random(n_rows) > 0.3, 2.0, pd.Series(rng.random(n_rows))]
        which = int(rng.integers(len(weights)))
        case.sample_weight = weights[which]
        case.wild |= which in (3, 6)
    if rng.random() < 0.15:
        n_unlabeled = int(one_of([1, n_rows + 1, n_rows + 30], rng))
        if n_unlabeled != n_rows:
            rows = rng.normal(size=(n_unlabeled, n_features))
            case.X_unlabeled = one_of([rows, rows.tolist(), sparse.csc_array(rows)], rng)
    if rng.random() < 0.1:
        spoil_data(case, rng)
    return case


def draw_labels(encoded, n_classes, rng):
    """Labels of every type."""
    names = np.array([f"class {i}" for i in range(n_classes)])
    kinds = [encoded, encoded - 3, 10**12 * encoded, encoded.astype(float), names[encoded]]
    kinds += [names.astype(object)[encoded], list(encoded), encoded.astype(np.int8)]
    kinds += [pd.Series(names[encoded]), encoded.astype(np.uint64), encoded[:, None]]
    kinds += [[str(name) for name in names[encoded]], pd.Categorical(names[encoded])]
    kinds += [pd.Series(encoded, dtype="Int64"), pd.Series(names[encoded], dtype="string")]
    kinds += [tuple(encoded.tolist())]
    kinds += [pd.DataFrame({"label": encoded}), encoded.astype(">i4"), encoded.astype(np.float16)]
    if n_classes == 2:
        kinds += [encoded > 0, list(encoded > 0), 2 * encoded - 1]
    return one_of(kinds, rng)


def draw_form(case, rng):
    """Rows as arrays of every type, sparse matrices, frames and lists; half of them stay."""
    if rng.random() < 0.4 or (case.wild and rng.random() < 0.5):
        return
    forms = [*FORMS] if case.wild else [*FORMS, *FORMS_OF_SMALL]
    with np.errstate(all="ignore"):
        case.X = forms[rng.integers(len(forms))](case.X)


def _half_empty(X):
    return np.where(np.abs(X) > np.median(np.abs(X)), X, 0)


def _odd_csr(X):
    some = sparse.csr_array(X)
    some.data[::2] = 0
    some.indices, some.indptr = some.indices.astype(np.int64), some.indptr.astype(np.int64)
    return some


def _read_only(X):
    X.setflags(write=False)
    return X


FORMS = (
    lambda X: X.astype(np.float32) if np.abs(X).max() < 1e38 else X,
    lambda X: X > 0,
    lambda X: X.tolist(),
    lambda X: X.astype(object),
    lambda X: X.astype(">f8"),
    lambda X: np.repeat(X, 2, axis=0)[::2],
    lambda X: sparse.csr_matrix(_half_empty(X)),
    lambda X: sparse.csc_array(_half_empty(X)),
    lambda X: sparse.coo_array(_half_empty(X)),
    lambda X: pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])]),
    lambda X: pd.DataFrame(X).astype("Float64"),
    np.asfortranarray,
    _read_only,
    _odd_csr,
)
FORMS_OF_SMALL = (
    lambda X: X.astype(np.float32),
    lambda X: X.astype(np.float32),
    lambda X: X.astype(np.float16),
    lambda X: np.round(3 * X).astype(np.int64),
    lambda X: np.round(3 * X).astype(np.int8),
    lambda X: sparse.csr_array(np.round(X).astype(int)),
)


def spoil_data(case, rng):
    """Rows, labels or weights that must be refused."""
    n_rows = case.X.shape[0] if hasattr(case.X, "shape") else len(case.X)
    kind = int(rng.integers(16))
    if kind < 5:
        X = rng.normal(size=(n_rows, 3))
        X[rng.integers(n_rows), 1] = one_of([np.nan, np.inf, -np.inf], rng)
        forms = [X, X.astype(np.float32), sparse.csr_array(X), pd.DataFrame(X)]
        case.X = [*forms, X.tolist()][kind]
    elif kind < 8:
        case.X = [np.ones(n_rows), np.ones((n_rows, 2, 2)), np.ones((n_rows, 2)) * 1j][kind - 5]
    elif kind == 8:
        case.X = one_of([np.empty((n_rows, 0)), np.full((n_rows, 2), "a"), None, "a"], rng)
    elif kind < 13:
        ys = [np.zeros(n_rows), np.r_[np.nan, np.arange(n_rows - 1) % 2], np.arange(n_rows) + 0.5]
        ys += [np.arange(n_rows + 1) % 2, None]
        case.y = ys[kind - 9 + (rng.random() < 0.3)]
    else:
        weights = [np.full(n_rows, -1.0), np.full(n_rows, np.nan), np.ones(n_rows + 1)]
        weights += [np.zeros(n_rows), np.full(n_rows, "a"), np.ones((n_rows, 2))]
        case.sample_weight = one_of(weights, rng)
    case.bad.append("X" if kind < 9 else "y" if kind < 13 else "sample_weight")


# -- what became of it ----------------------------------------------------------------------


class Fault(Exception):
    """Something that must not be."""


@dataclass
class Counts:
    """What became of the fits that were tried."""

    fitted: int = 0
    refused: int = 0
    faults: list = field(default_factory=list)

    @property
    def tried(self):
        return self.fitted + self.refused + len(self.faults)

    def __str__(self):
        lines = [
            f"{self.tried} fits: {self.fitted} fitted and checked, {self.refused} refused",
            f"faults: {len(self.faults)}",
        ]
        return "\n".join(lines + self.faults[:200])


def check_refusal(error, names=NAMES):
    """Raise Fault for an error that is not one of ours, or that tells nothing."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{'/'.join(last.filename.split('/')[-3:])}:{last.lineno}"
    said = f"{type(error).__name__}: {str(error)[:300]}"
    if not isinstance(error, (ValueError, TypeError)):
        raise Fault(f"foreign exception at {where}: {said}") from error
    ours = last.filename.startswith(OURS)
    if not ours and "/sklearn/" not in last.filename:
        raise Fault(f"foreign exception at {where}: {said}") from error
    line = linecache.getline(last.filename, last.lineno).strip()
    if ours and not line.startswith("raise "):
        raise Fault(f"accidental exception at {where}: {said}") from error
    if not any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in names):
        raise Fault(f"message without a name of {sorted(names)[:5]} at {where}: {said}") from error


def check_warnings(caught):
    """Raise Fault for warnings that are not meant for the user."""
    for warning in caught:
        if warning.category in NO_WARNINGS or FOREIGN.search(warning.filename):
            where = "/".join(warning.filename.split("/")[-3:])
            raise Fault(
                f"{warning.category.__name__} at {where}:{warning.lineno}: {warning.message}"
            )


@contextlib.contextmanager
def attentive():
    """Record warnings, and look at them at the end; what is printed is not shown."""
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        yield caught
    check_warnings(caught)


def fit(clf, case):
    """Fit as the case says; weights and unlabelled rows are left out where there are none."""
    more = {"sample_weight": case.sample_weight, "X_unlabeled": case.X_unlabeled}
    return clf.fit(case.X, case.y, **{k: v for k, v in more.items() if v is not None})


def try_case(case, folder):
    """Return whether the case was fitted; raise Fault where something is wrong."""
    clf = PrunedMLPClassifier(**case.params)
    before, data = shown(clf), data_of(case)
    state = global_state()
    try:
        with attentive() as caught:
            fit(clf, case)
    except Fault:
        raise
    except Exception as error:
        check_refusal(error)
        # Of values that are too large for a type, numpy warns before scikit-learn refuses them.
        if "/sklearn/" not in traceback.extract_tb(error.__traceback__)[-1].filename:
            check_warnings(caught)
        if case.bad:
            check_refusal(error, names_of(case))
        if hasattr(clf, "coefs_") or set(vars(clf)) - set(clf.get_params(deep=False)):
            raise Fault(f"a failed fit left {sorted(vars(clf))}") from error
        return False
    if case.bad:
        raise Fault(f"accepted what is bad: {case.bad}")
    require(state == global_state(), "global random state is as it was")
    require(shown(clf) == before, "parameters are as they were")
    require(data_of(case) == data, "data are as they were")
    with attentive() as warned:
        for check in CHECKS:
            run_check(check, clf, case, caught, folder)
        if case.wild:
            # Predictions of numbers that are too large warn as numpy does.
            warned[:] = [w for w in warned if w.category is not RuntimeWarning]
    return True


def global_state():
    """State of the generators that nobody is to touch."""
    numpys = np.random.get_state()[1]  # noqa: NPY002
    return numpys.tobytes(), torch.get_rng_state().numpy().tobytes()


def names_of(case):
    """Names of which a message must have one."""
    names = set(case.bad)
    if "X" in names or case.wild:
        names |= {"Input", "array", "Found", "Expected 2D", "Complex data", "could not convert"}
    if "y" in names:
        names |= {"Found", "Input", "class", "label"}
    if "sample_weight" in names:
        names |= {"Sample weights", "Input", "Found", "could not convert"}
    return names


def run_check(check, clf, case, caught, folder):
    try:
        check(clf, case, caught, folder)
    except Fault as fault:
        raise Fault(f"{check.__name__}: {fault}") from fault
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise Fault(
            f"{check.__name__}: {type(error).__name__} at {last.filename}:{last.lineno}: "
            f"{str(error)[:200]}"
        ) from error


def require(condition, what):
    if not condition:
        raise Fault(f"not so: {what}")


def shown(clf):
    """The parameters, as they can be compared: without addresses."""
    params = clf.get_params(deep=False)
    params.pop("random_state")
    return {name: re.sub("0x[0-9a-f]+", "", repr(value)) for name, value in params.items()}


# -- what must hold -------------------------------------------------------------------------


def data_of(case):
    """The data, as they can be compared."""

    def told(value):
        if sparse.issparse(value):
            # What scipy has noticed of the order of the entries is no part of them.
            return {name: told(v) for name, v in vars(value).items() if "_has_" not in name}
        return repr(value if isinstance(value, dict) else np.asarray(value).tolist())

    return [told(v) for v in (case.X, case.y, case.sample_weight, case.X_unlabeled)]


def same_close(a, b, rtol, what):
    require(a.shape == b.shape, f"{what}: {a.shape} is {b.shape}")
    if not np.allclose(a, b, rtol=rtol, atol=rtol, equal_nan=True):
        raise Fault(f"{what}: differs by {np.abs(np.subtract(a, b, dtype=float)).max():.3g}")


def rows_of(case):
    """Rows as `predict` takes them, dense or sparse."""
    return case.X


def check_predictions(clf, case, caught, folder):
    X = rows_of(case)
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    n_classes = len(clf.classes_)
    proba, log_proba = clf.predict_proba(X), clf.predict_log_proba(X)
    require(proba.shape == log_proba.shape == (n_rows, n_classes), "shapes of probabilities")
    require(proba.dtype == log_proba.dtype == clf.coefs_[0].dtype, "dtype of probabilities")
    predicted = clf.predict(X)
    require(predicted.shape == (n_rows,), "shape of predictions")
    require(predicted.dtype == clf.classes_.dtype, "dtype of predictions")
    require(np.isin(predicted, clf.classes_).all(), "predictions are classes")
    if case.wild and not np.isfinite(proba).all():
        # As with scikit-learn, where finite weights times the data are not finite.
        return
    require(np.isfinite(proba).all() and (proba >= 0).all(), "probabilities are such")
    require(np.allclose(proba.sum(axis=1), 1, atol=1e-5), "probabilities sum to 1")
    chosen = proba[np.arange(n_rows), np.searchsorted(clf.classes_, predicted)]
    require((chosen >= proba.max(axis=1) - 1e-6).all(), "the most probable class is predicted")
    require(0 <= clf.score(X, np.ravel(np.asarray(case.y))) <= 1, "score")
    require((log_proba <= 1e-6).all(), "logarithms of probabilities")


def check_transform(clf, case, caught, folder):
    if not clf.masks_:
        return
    hidden = clf.transform(rows_of(case))
    names = clf.get_feature_names_out()
    require(hidden.shape[1] == len(names), "names of features")
    require(hidden.dtype == clf.coefs_[0].dtype, "dtype of transform")
    require(case.wild or np.isfinite(hidden).all(), "transform is finite")
    widths = [len(live) for live in clf.live_neurons_]
    is_all = clf.transform_layer == "all"
    wanted = sum(widths) if is_all else widths[int(clf.transform_layer) % len(widths)]
    if isinstance(clf.n_components, Integral):
        wanted = clf.n_components
    elif clf.n_components is not None:
        require(1 <= clf.n_components_ <= wanted, "components of a share")
        wanted = clf.n_components_
    require(hidden.shape[1] == wanted == clf.n_components_, "width of transform")
    if clf.fit_inverse_transform:
        back = clf.inverse_transform(hidden)
        require(back.shape == (len(hidden), clf.n_features_in_), "shape of inverse_transform")
        require(back.dtype == hidden.dtype, "dtype of inverse_transform")


def check_shapes(clf, case, caught, folder):
    alive = [np.arange(clf.n_features_in_), *clf.live_neurons_]
    left = [len(live) for live in alive] + [clf.n_outputs_]
    found = [coef.shape for coef in clf.coefs_]
    require(found == list(zip(left, left[1:], strict=False)), "shapes of coefs_")
    require([len(b) for b in clf.intercepts_] == left[1:], "shapes of intercepts_")
    for coef, mask, rows, columns in zip(clf.coefs_, clf.masks_, alive, alive[1:], strict=False):
        require(not coef[~mask[np.ix_(rows, columns)]].any(), "masked weights are zero")
        dead = np.setdiff1d(np.arange(mask.shape[1]), columns)
        require(not mask[:, dead].any(), "dead neurons are masked")
    if clf.masks_:
        whole = sum(mask.size for mask in clf.masks_)
        # Where weights are a product, the numbers of its factors count.
        left = sum(
            int(mask.sum()) if pair is None else sum(map(np.count_nonzero, pair))
            for mask, pair in zip(clf.masks_, clf.factors_, strict=True)
        )
        gone = 1 - left / whole
        require(abs(gone - clf.sparsity_) < 1e-9, f"sparsity_ {clf.sparsity_} is {gone}")
    require(len(clf.hidden_ranks_) == len(clf.masks_), "length of hidden_ranks_")


def check_sparsity(clf, case, caught, folder):
    """What was asked for is gone, or somebody said that it is not."""
    require(len(clf.loss_curve_) == clf.n_iter_, "length of loss_curve_")
    asked = clf.prune_fraction if clf.n_prune_rounds else 0
    if asked is None:
        return
    regrows = getattr(clf.method, "regrow", False)
    told = any(w.category is ConvergenceWarning and "round" in str(w.message) for w in caught)
    if not told and not regrows:
        require(clf.sparsity_ >= asked - 1e-6, f"sparsity_ {clf.sparsity_} of {asked}")
    features = clf.prune_features if clf.n_prune_rounds else 0
    if not told:
        gone = len(clf.unused_features_) / clf.n_features_in_
        require(gone >= features - 1e-6, f"{gone} of the features gone, not {features}")
    output = clf.prune_output if clf.n_prune_rounds else 0
    if output and not told and not any("prune_output" in str(w.message) for w in caught):
        kernel = clf.coefs_[-1]
        gone = 1 - np.count_nonzero(kernel) / (kernel.shape[1] * clf.masks_[-1].shape[1])
        require(gone >= output - 1e-6, f"{gone} of the output layer gone, not {output}")
    require(asked or features or clf.sparsity_ == 0, f"sparsity_ {clf.sparsity_} without pruning")


def bits(clf, case):
    return clf.predict_proba(rows_of(case)).tobytes()


def go_on(clf, case):
    """Bits after another epoch, or None where that is refused."""
    weight = case.sample_weight
    try:
        clf.partial_fit(case.X, case.y, **({} if weight is None else {"sample_weight": weight}))
    except Exception as error:
        check_refusal(error)
        return None
    return bits(clf, case)


def check_copies(clf, case, caught, folder):
    """Copies predict and go on as the original does."""
    pickled = pickle.dumps(clf)
    copies = [copy.deepcopy(clf), pickle.loads(pickled), pickle.loads(pickled)]
    expected = bits(clf, case)
    for other in copies:
        require(bits(other, case) == expected, "a copy predicts the same")
    one, other, third = copies
    require(go_on(one, case) == go_on(other, case), "copies go on in the same way")
    require(bits(clf, case) == expected, "a copy that goes on changes no other")
    check_warm_start(third, case)


def check_warm_start(clf, case):
    sparsity, regrows = clf.sparsity_, getattr(clf.method, "regrow", False)
    try:
        fit(clf.set_params(warm_start=True), case)
    except Exception as error:
        check_refusal(error)
        return
    check_shapes(clf, case, [], None)
    if not regrows:
        require(clf.sparsity_ >= sparsity - 1e-9, "pruned weights stay pruned")


def check_repeated(clf, case, caught, folder):
    """A clone, and another fit of the same, give the same bits."""
    if not isinstance(clf.random_state, (int, np.integer)):
        return
    expected = bits(clf, case)
    require(bits(fit(clone(clf), case), case) == expected, "a clone is the same")
    again = fit(copy.deepcopy(clf).set_params(warm_start=False), case)
    require(bits(again, case) == expected, "a second fit is the same")


def check_compact(clf, case, caught, folder):
    """Small models predict what the estimator does, from files too."""
    X = rows_of(case)
    expected = clf.predict_proba(X)
    # What does not fit into float32, only the first can take.
    storages = ("float64", None, "float32", "float16", "int8", "codebook")
    for storage in storages[: 1 if case.wild else None]:
        try:
            small = clf.compact(storage)
        except Exception as error:
            check_refusal(error, {"dtype", "weights", "storage"})
            continue
        proba = small.predict_proba(X)
        sums = proba.sum(axis=1)
        require(case.wild or np.allclose(sums, 1, atol=1e-5), "compact: sums")
        require((small.classes_ == clf.classes_).all(), "compact: classes")
        if storage in (None, "float64"):
            same_close(proba, expected, 1e-5, f"compact {storage}: predict_proba")
        path = Path(folder) / "model.npz"
        small.save(path)
        found = load(path)
        require(found.predict_proba(X).tobytes() == proba.tobytes(), "a file gives the same")
        require(found.predict(X).tolist() == small.predict(X).tolist(), "files give labels")
        if clf.masks_ and storage in (None, "float64"):
            size = max(
                np.abs(
                    clf._hidden(
                        validate_data(
                            clf, X, accept_sparse="csr", dtype=clf.coefs_[0].dtype, reset=False
                        )
                    )
                ).max(),
                1e-30,
            )
            hidden, found = clf.transform(X), small.transform(X)
            same_close(found / size, hidden / size, 1e-4, "compact: transform")


def check_parameters(clf, case, caught, folder):
    """Parameters go around, and can be shown."""
    deep = clf.get_params(deep=True)
    twin = clone(clf)
    require(shown(twin) == shown(clf), "a clone has the parameters")
    with contextlib.suppress(AttributeError):
        require(shown(twin.set_params(**twin.get_params())) == shown(clf), "set_params")
    require(set(deep) >= set(clf.get_params(deep=False)), "get_params")
    require(repr(clf) and clf._repr_html_() and str(twin), "repr")


def check_net(clf, case, caught, folder):
    """The net of skorch predicts the same."""
    X = rows_of(case)
    if isinstance(X, np.ndarray) and X.dtype == clf.coefs_[0].dtype:
        found = clf.net_.predict_proba(X.copy())
        same_close(found, clf.predict_proba(X), 1e-4, "net_ predicts the same")


def check_steps(clf, case, caught, folder):
    """Both ways to compute a step begin with the same loss."""
    if not isinstance(clf.random_state, (int, np.integer)) or case.wild:
        return
    twin = clone(clf)
    with mock.patch.object(LeanLoop, "explicit_steps", False):
        fit(twin, case)
    rtol = 1e-3 if clf.coefs_[0].dtype == np.float32 else 1e-6
    one, other = clf.loss_curve_[0], twin.loss_curve_[0]
    require(np.isclose(one, other, rtol=rtol, atol=rtol), f"loss {one} by autograd is {other}")


def check_partial_fit(clf, case, caught, folder):
    """Epochs one by one, from the beginning."""
    if not isinstance(clf.random_state, (int, np.integer)):
        return
    twins = [clone(clf).set_params(warm_start=False) for _ in range(2)]
    for twin in twins:
        try:
            for _ in range(2):
                weight = case.sample_weight
                more = {} if weight is None else {"sample_weight": weight}
                twin.partial_fit(case.X, case.y, classes=clf.classes_, **more)
        except Exception as error:
            check_refusal(error)
            return
        check_shapes(twin, case, [], folder)
    require(bits(twins[0], case) == bits(twins[1], case), "the same calls give the same")
    again = fit(twins[0], case)
    require(bits(again, case) == bits(clf, case), "fit forgets what partial_fit did")


def check_from_sklearn(clf, case, caught, folder):
    """A net of scikit-learn predicts the same as one of ours."""
    if clf.init_estimator is None:
        return
    mlp = clf.init_estimator.estimator
    names = ("prune_fraction", "method", "random_state", "dtype")
    params = {name: getattr(clf, name) for name in names}
    # No rounds, for which some methods want more epochs than `mlp` may have.
    ours = PrunedMLPClassifier.from_sklearn(mlp, n_prune_rounds=0, **params)
    found, expected = ours.predict_proba(rows_of(case)), mlp.predict_proba(rows_of(case))
    same_close(found, expected, 1e-4, "from_sklearn: predict_proba")
    if ours.coefs_[0].dtype == clf.coefs_[0].dtype and clf.random_state is not None:
        require(ours.sparsity_ == 0, "from_sklearn: nothing is pruned")


CHECKS = [
    check_partial_fit,
    check_from_sklearn,
    check_predictions,
    check_transform,
    check_shapes,
    check_sparsity,
    check_parameters,
    check_copies,
    check_repeated,
    check_compact,
    check_net,
    check_steps,
]


# -- runs -----------------------------------------------------------------------------------


def run(minutes, seed, *, n_fits=10**9):
    """Try fits.

    Parameters
    ----------
    minutes : float
        When to stop at the latest.
    seed : int
        Of what is drawn.
    n_fits : int, default=10**9
        When to stop, too.

    Returns
    -------
    Counts
    """
    end = time.monotonic() + 60 * minutes
    counts = Counts()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n_fits):
            case = draw_case(np.random.default_rng([seed, number]))
            try:
                if try_case(case, folder):
                    counts.fitted += 1
                else:
                    counts.refused += 1
            except Fault as fault:
                counts.faults.append(f"repeat({seed}, {number}): {fault}\n    {case}")
            if time.monotonic() > end:
                break
    return counts


def repeat(seed, number):
    """Try one of the fits of `run` again, and let it fail."""
    with tempfile.TemporaryDirectory() as folder:
        return try_case(draw_case(np.random.default_rng([seed, number])), folder)
