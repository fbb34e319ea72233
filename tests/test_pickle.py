"""Fitted estimators travel as arrays and go on as if nothing had happened."""

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification

from skactprune import (
    AccuracyTrigger,
    Activation,
    ActivationSurgeon,
    Ganguli2024,
    Magnitude,
    PrunedMLPClassifier,
    Random,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(
    n_samples=80, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
ROOT = Path(__file__).parents[1]
CONFIGURATIONS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1},
    "dropout": {"dropout": [0.1, 0.3, 0.2]},
    "random": {"method": Random(granularity="weight")},
    "magnitude": {"method": "magnitude"},
    "regrow": {"method": Activation(regrow=True)},
    "whole net, sample": {"method": Ganguli2024(counting="sample")},
    "reset": {"method": Activation(granularity="weight", reset_counts=True)},
    "accuracy": {"trigger": AccuracyTrigger(0.4, 0.9)},
    "components": {"n_components": 2},
    "rmsprop": {
        "net_params": {"optimizer": torch.optim.RMSprop, "optimizer__momentum": 0.9},
    },
    "adamw": {"net_params": {"optimizer": torch.optim.AdamW}},
    "float32": {"dtype": "float32"},
    "no pruning": {"prune_fraction": 0},
    "class weight": {"class_weight": {0: 2.0, 1: 0.5}},
}


def make(name, **params):
    base = {"max_iter": 10, "batch_size": 16, "random_state": 0, "prune_fraction": 0.6}
    return PrunedMLPClassifier((14, 9), **{**base, **CONFIGURATIONS[name], **params})


def through_pickle(clf):
    return pickle.loads(pickle.dumps(clf))


def through_joblib(clf):
    file = io.BytesIO()
    joblib.dump(clf, file)
    file.seek(0)
    return joblib.load(file)


def assert_same(one, other):
    assert one.predict_proba(X).tobytes() == other.predict_proba(X).tobytes()
    assert one.transform(X).tobytes() == other.transform(X).tobytes()
    for name in ("coefs_", "intercepts_", "masks_", "live_neurons_", "activation_counts_"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None)
        for left, right in zip(a or [], b or [], strict=True):
            assert left.dtype == right.dtype
            assert left.tobytes() == right.tobytes(), name
    for name in (
        "sparsity_", "n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_",
        "best_validation_score_", "hidden_ranks_", "n_layers_", "n_outputs_", "out_activation_",
        "n_features_in_",
    ):  # fmt: skip
        assert repr(getattr(one, name)) == repr(getattr(other, name)), name
    for row, other_row in zip(one.pruning_history_, other.pruning_history_, strict=True):
        assert repr(row | {"seconds": 0}) == repr(other_row | {"seconds": 0})
    assert one.classes_.tolist() == other.classes_.tolist()
    assert one.unused_features_.tolist() == other.unused_features_.tolist()


def walk(value, path="state"):
    """All objects within, with where they are."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(key, f"{path} key")
            yield from walk(item, f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple, set)):
        for i, item in enumerate(value):
            yield from walk(item, f"{path}[{i}]")
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from walk(vars(value), f"{path}.__dict__")


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("travel", [through_pickle, through_joblib, copy.deepcopy, copy.copy])
def test_a_fitted_estimator_is_the_same_after_the_round_trip(name, travel):
    clf = make(name).fit(X, y)
    assert_same(clf, travel(clf))
    assert_same(clf, travel(travel(clf)))


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_torch_object_in_the_state(name):
    clf = make(name).fit(X, y)
    net_params = clf.__dict__.pop("net_params")  # the user's own, whatever it holds
    clf.net_params = None
    for where, value in walk(clf.__getstate__()):
        assert not type(value).__module__.startswith(("torch", "skorch")), where
        assert not (isinstance(value, type) and value.__module__.startswith("torch")), where
        assert not callable(value) or isinstance(value, type), where
    clf.net_params = net_params


def test_the_walk_would_find_torch_objects():
    clf = make("adam").fit(X, y)
    state = {**clf.__getstate__(), "deep": [{"x": (clf.net_.module_,)}, torch.zeros(2)]}
    found = [where for where, value in walk(state) if type(value).__module__.startswith("torch")]
    assert "state['deep'][1]" in found


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_partial_fit_goes_on_exactly_from_any_point_of_the_schedule(name):
    one = make(name)
    other = clone(one)
    for epoch in range(10):
        one.partial_fit(X, y, classes=[0, 1, 2])
        other = through_pickle(other.partial_fit(X, y, classes=[0, 1, 2]))
        assert_same(one, other)
        assert len(one.loss_curve_) == epoch + 1
    if name not in ("regrow", "accuracy", "no pruning"):
        assert one.sparsity_ >= 0.59


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_warm_start_goes_on_exactly(name):
    one = make(name, warm_start=True).fit(X, y)
    other = through_pickle(one)
    for _ in range(2):
        one.fit(X, y)
        other = through_pickle(other.fit(X, y))
        assert_same(one, other)


def test_early_stopping_goes_on_exactly():
    one = make("adam", warm_start=True, early_stopping=True).fit(X, y)
    other = through_pickle(one)
    assert_same(one.fit(X, y), other.fit(X, y))


def test_the_rebuilt_net_has_the_compact_sizes():
    clf = make("adam", method="random").fit(X, y)
    other = through_pickle(clf)
    sizes = [8, *(len(live) for live in clf.live_neurons_), 3]
    assert sizes[1] < 14
    for net in (clf.net_, other.net_):
        assert list(net.get_params()["module__layer_sizes"]) == sizes
        assert net.module_.layers[0].weight.shape == (sizes[1], 8)
    rows = X.astype(clf.coefs_[0].dtype)
    np.testing.assert_array_equal(clf.net_.predict_proba(rows), other.net_.predict_proba(rows))
    np.testing.assert_allclose(clf.net_.predict_proba(rows), clf.predict_proba(X), rtol=1e-10)


def test_unfitted_estimators_travel_too():
    clf = make("magnitude")
    other = through_pickle(clf)
    assert repr(clf) == repr(other)
    assert not hasattr(other, "coefs_")
    other.fit(X, y)


def test_the_pickle_is_as_small_as_the_net():
    big = PrunedMLPClassifier((300,), max_iter=10, random_state=0, prune_fraction=0)
    small = PrunedMLPClassifier((300,), max_iter=10, random_state=0, prune_fraction=0.9)
    sizes = [len(pickle.dumps(clf.fit(X, y))) for clf in (big, small)]
    assert sizes[1] < 0.4 * sizes[0]


def test_clones_are_unfitted_and_equal():
    clf = make("magnitude", method=Magnitude(granularity="neuron")).fit(X, y)
    other = clone(clf)
    assert not hasattr(other, "coefs_")
    assert other.method is not clf.method
    assert repr(other) == repr(clf)
    assert_same(clf, other.fit(X, y))


def test_skops_files_hold_nothing_but_arrays_and_our_own_types():
    sio = pytest.importorskip("skops.io")
    clf = make("adam", n_components=2).fit(X, y)
    dumped = sio.dumps(clf)
    unknown = sio.get_untrusted_types(data=dumped)
    assert all(name.startswith("skactprune.") for name in unknown), unknown
    assert_same(clf, sio.loads(dumped, trusted=unknown))


OPENS_WITHOUT_TORCH = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    X, fitted = pickle.load(file)
for clf, probabilities, shown in fitted:
    assert clf.predict_proba(X).tobytes() == probabilities.tobytes()
    assert clf.transform(X).tobytes() == shown.tobytes()
    repr(clf), clf.get_params(), clf.get_feature_names_out(), clf.hidden_ranks_
    clf.predict_log_proba(X), clf.score(X, clf.predict(X))
loaded = [name for name in ("torch", "skorch") if name in sys.modules]
assert not loaded, loaded
for clf, probabilities, _ in fitted:
    rows, labels = X.astype(clf.coefs_[0].dtype), clf.predict(X)
    net = clf.net_
    np.testing.assert_allclose(net.predict_proba(rows), probabilities, rtol=1e-5)
    assert (clf.classes_[net.predict(rows)] == labels).all()
    assert clf.net_ is net
    clf.partial_fit(X, labels)
assert "torch" in sys.modules
"""


def test_pickles_predict_in_a_fresh_process_without_torch(tmp_path):
    fitted = [
        make(name, **params).fit(X, y)
        for name, params in {
            "adam": {},
            "reset": {},
            "dropout": {"method": ActivationSurgeon(), "trigger": AccuracyTrigger(0.1, 0.9)},
            "float32": {"method": Ganguli2024(), "n_components": 2},
        }.items()
    ]
    assert isinstance(fitted[1].method, Activation) and fitted[1].method.granularity == "weight"
    file = tmp_path / "fitted.pickle"
    results = [(clf, clf.predict_proba(X), clf.transform(X)) for clf in fitted]
    file.write_bytes(pickle.dumps((X, results)))
    command = [sys.executable, "-c", OPENS_WITHOUT_TORCH, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("looked_at", [False, True])
def test_a_copy_predicts_the_same_and_training_it_leaves_the_original(copied, looked_at):
    clf = make("dropout", method=Activation(granularity="weight"), warm_start=True).fit(X, y)
    if looked_at:
        assert clf.net_
    other = copied(clf)
    assert_same(clf, other)
    rows = X.astype(clf.coefs_[0].dtype)
    np.testing.assert_array_equal(other.net_.predict_proba(rows), clf.net_.predict_proba(rows))
    before = clf.predict_proba(X)
    other.fit(X, y)
    other.partial_fit(X, y)
    assert other.predict_proba(X).tobytes() != before.tobytes()
    assert clf.predict_proba(X).tobytes() == before.tobytes()
    np.testing.assert_allclose(clf.net_.predict_proba(rows), before)
    assert (len(clf.loss_curve_), len(other.loss_curve_)) == (10, 21)
