"""Compact models predict what their originals predict, are frozen and stay away from torch."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from compact_nets import (
    ACTIVATIONS,
    QUICK,
    STORAGES,
    fitted,
    model_of,
    problem,
    random_model,
    random_net,
    rows,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion

from skactprune import CompactMLPClassifier, PrunedMLPClassifier, compact
from skactprune.nets.inference import logits_of

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


def assert_same_model(one, other):
    """Not a bit differs, in what is computed with and what is told."""
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            assert a.dtype == b.dtype
            assert_array_equal(a, b)
    X = rows(5, one.n_features_in_, one.coefs_[0].dtype)
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert_array_equal(one.predict(X), other.predict(X))
    assert_array_equal(one.classes_, other.classes_)
    assert one.classes_.dtype == other.classes_.dtype
    assert one.nbytes_ == other.nbytes_
    assert one.storage_ == other.storage_
    if one.transform_layer_ is not None:
        assert_array_equal(one.transform(X), other.transform(X))
        assert_array_equal(one.get_feature_names_out(), other.get_feature_names_out())


# -- the same function ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("granularity", ["neuron", "weight"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_compact_model_computes_what_the_estimator_computes(
    activation, granularity, n_classes, dtype
):
    clf = fitted(n_classes, dtype, granularity, activation=activation)
    X, y = problem(n_classes, dtype)
    model = clf.compact()
    assert isinstance(model, CompactMLPClassifier)
    assert_array_equal(model.classes_, clf.classes_)
    assert_array_equal(model.predict(X), clf.predict(X))
    assert model.score(X, y) == clf.score(X, y) > 1 / n_classes
    for method in ("predict_proba", "predict_log_proba", "transform"):
        expected, found = getattr(clf, method)(X), getattr(model, method)(X)
        assert found.dtype == expected.dtype == dtype
        assert_allclose(found, expected, atol=TOLERANCE[dtype] * np.abs(expected).max())
    assert (model.n_layers_, model.n_outputs_, model.out_activation_) == (
        clf.n_layers_,
        clf.n_outputs_,
        clf.out_activation_,
    )
    assert_array_equal(model.get_feature_names_out(), clf.get_feature_names_out())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transform_layer", [0, 1, -2])
def test_transform_shows_the_components_of_the_chosen_layer(transform_layer, dtype):
    clf = fitted(3, dtype, n_components=3, transform_layer=transform_layer)
    X, _ = problem(3, dtype)
    expected, model = clf.transform(X), clf.compact()
    assert_allclose(model.transform(X), expected, atol=TOLERANCE[dtype] * np.abs(expected).max())
    assert model.projection_.shape == (clf.components_.shape[1], 3)
    assert_array_equal(model.get_feature_names_out(), clf.get_feature_names_out())


def test_net_without_hidden_layers_predicts_but_does_not_transform():
    model = random_model((4, 3))
    X = rows(6, 4)
    assert_allclose(
        model.predict_proba(X).argmax(axis=1),
        (X @ model.coefs_[0] + model.intercepts_[0]).argmax(1),
    )
    for call in (model.transform, model.get_feature_names_out):
        with pytest.raises(ValueError, match="no hidden layer"):
            call(X if call == model.transform else None)


@pytest.mark.parametrize("n_outputs", [1, 4])
def test_predict_is_the_most_probable_class(n_outputs):
    model = random_model((6, 5, n_outputs), classes=list("pqrs")[: max(2, n_outputs)])
    X = rows(200, 6)
    probabilities = model.predict_proba(X)
    assert_array_equal(model.predict(X), model.classes_[probabilities.argmax(axis=1)])
    assert len(set(model.predict(X))) > 1
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 4])
def test_log_probabilities_are_finite_where_probabilities_round_to_zero(n_outputs):
    net = random_net((6, 5, n_outputs), dtype=np.float64)
    model = model_of(net)
    X = rows(50, 6, np.float64)
    assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)), atol=1e-12)
    assert model.predict_proba(X * 1e4).min() == 0
    assert np.isfinite(model.predict_log_proba(X * 1e4)).all()


@pytest.mark.parametrize("density", [1.0, 0.02])
def test_sparse_rows_give_what_dense_rows_give(density):
    model = random_model((40, 6, 3), density=density)
    X = rows(30, 40)
    X[X < 1] = 0
    for make in (sparse.csr_matrix, sparse.csr_array, sparse.coo_array):
        assert_allclose(model.predict_proba(make(X)), model.predict_proba(X), atol=1e-6)
        assert_allclose(model.transform(make(X)), model.transform(X), atol=1e-6)
        assert_array_equal(model.predict(make(X)), model.predict(X))


@given(density=st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0]), seed=st.integers(0, 99))
def test_features_without_weights_are_neither_read_nor_missed(density, seed):
    net = random_net((30, 4, 3), density=density, seed=seed, dtype=np.float64)
    model = model_of(net)
    X = rows(9, 30, np.float64)
    expected = logits_of(X, net.coefs, net.intercepts, "relu")
    assert_array_equal(model.predict(X), expected.argmax(axis=1))
    unused = np.flatnonzero((net.coefs[0] == 0).all(axis=1))
    assert_array_equal(model.unused_features_, unused)
    other = X.copy()
    other[:, unused] = 1e6
    assert_array_equal(model.predict_proba(other), model.predict_proba(X))
    assert_array_equal(model.transform(other), model.transform(X))


def test_training_on_does_not_change_a_compact_model():
    X, y = problem()
    clf = PrunedMLPClassifier((6,), **QUICK).fit(X, y)
    model = clf.compact()
    before = model.predict_proba(X)
    for _ in range(3):
        clf.partial_fit(X, y)
    assert_array_equal(model.predict_proba(X), before)
    assert np.abs(clf.predict_proba(X) - before).max() > 1e-4


# -- frozen ---------------------------------------------------------------------------------


def test_fit_and_clone_leave_the_model_as_it_is():
    model = random_model()
    X = rows(20, 8)
    before = model.predict_proba(X)
    assert clone(model) is model
    assert model.fit("no data", sample_weight=3) is model
    assert model.fit_transform(X, np.zeros(20)).shape == (20, 5)
    assert_array_equal(model.predict_proba(X), before)
    labels = model.predict(X)
    assert_array_equal(cross_val_score(model, X, labels, cv=2), [1, 1])
    union = clone(FeatureUnion([("a", model), ("b", model)])).fit(X)
    assert_array_equal(union.transform(X), np.hstack([model.transform(X)] * 2))


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.fit(None),
        lambda model: model.predict(np.ones((1, 2))),
        lambda model: model.transform(np.ones((1, 2))),
        lambda model: model.get_feature_names_out(),
        lambda model: model.compact(),
        lambda model: model.save("never-written"),
        lambda model: model.to_onnx(),
    ],
)
def test_constructor_makes_no_model_and_says_what_does(call):
    with pytest.raises(NotFittedError, match="skactprune.load"):
        call(CompactMLPClassifier())


def test_compact_names_what_it_cannot_take():
    with pytest.raises(TypeError, match="got dict"):
        compact({})
    with pytest.raises(NotFittedError):
        compact(PrunedMLPClassifier())
    with pytest.raises(ValueError, match="dtype='int4' must be one of float64, float32"):
        compact(random_model(), "int4")


# -- validation -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "transform"])
def test_invalid_rows_are_refused(method):
    call = getattr(random_model(), method)
    for value in (np.nan, np.inf, -np.inf):
        X = rows(50, 8)
        X[3, 2] = value
        with pytest.raises(ValueError, match="Input X contains"):
            call(X)
    with pytest.raises(
        ValueError, match="X has 7 features, but CompactMLPClassifier is expecting 8"
    ):
        call(rows(4, 7))
    with pytest.raises(ValueError, match="Expected 2D array"):
        call(rows(4, 8)[0])
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        call(rows(0, 8))
    with pytest.raises(ValueError):
        call([["a"] * 8])


def test_rows_of_any_kind_are_converted():
    model = random_model()
    X = np.round(rows(6, 8) * 4)
    expected = model.predict_proba(X)
    big_endian = X.astype(">f4")
    for same in (X.tolist(), X.astype(np.float64), X.astype(int), big_endian, pd.DataFrame(X)):
        found = model.predict_proba(same)
        assert found.dtype == np.float32
        assert_array_equal(found, expected)
    for strided in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        assert_allclose(model.predict_proba(strided), expected, atol=1e-6)


def test_rows_whose_sum_overflows_are_valid():
    model = random_model(storage="float32")
    X = np.full((4, 8), np.finfo(np.float32).max / 8, np.float32)
    X[0] *= -1
    assert model.predict(X * np.float32([[1], [1], [1], [1]])).shape == (4,)
    mixed = np.array([[3e38, 3e38, -3e38, -3e38, 0, 0, 0, 0]], np.float32) / 1e3
    assert model.predict(mixed).shape == (1,)


def test_assume_finite_is_honoured():
    model = random_model(activation="identity")
    X = np.full((2, 8), np.nan, np.float32)
    with config_context(assume_finite=True):
        assert np.isnan(model.predict_proba(X)).all()
    with pytest.raises(ValueError, match="NaN"):
        model.predict_proba(X)


# -- names ----------------------------------------------------------------------------------


def test_feature_names_are_kept_and_checked():
    X, y = problem()
    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(X.shape[1])])
    clf = PrunedMLPClassifier((6,), **QUICK).fit(frame, y).set_output(transform="pandas")
    model = clf.compact()
    assert_array_equal(model.feature_names_in_, frame.columns)
    pd.testing.assert_frame_equal(model.transform(frame), clf.transform(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


# -- storage types --------------------------------------------------------------------------


@given(seed=st.integers(0, 999), exponent=st.integers(-3, 3))
def test_rounding_is_as_fine_as_the_type(seed, exponent):
    net = random_net((7, 5, 3), seed=seed, dtype=np.float64)
    net.coefs[0] *= 10.0**exponent
    net.coefs[0][:, 1] = 0
    exact = model_of(net, "float64")
    for W, V in zip(net.coefs, exact.coefs_, strict=True):
        assert_array_equal(V, W)
    for W, V in zip(net.coefs, exact.compact("float32").coefs_, strict=True):
        assert_array_equal(V, W.astype(np.float32))
    for W, V in zip(net.coefs, exact.compact("float16").coefs_, strict=True):
        assert V.dtype == np.float32
        assert_allclose(V, W, rtol=2.0**-11, atol=2.0**-25)
    for W, V in zip(net.coefs, exact.compact("int8").coefs_, strict=True):
        assert V.dtype == np.float32
        step = np.abs(W).max(axis=0) / 127
        assert (np.abs(V - W) <= 0.5001 * step).all()


# Those with a number of fixed size for each weight.
PLAIN = [storage for storage in STORAGES if storage != "codebook"]


def test_smaller_types_take_fewer_bytes():
    sizes = [random_model((100, 50, 10), storage=storage).nbytes_ for storage in PLAIN]
    biases = 60
    assert sizes == [
        (5500 + biases) * 8,
        (5500 + biases) * 4,
        5500 * 2 + biases * 4,
        5500 + 2 * biases * 4,
    ]


@pytest.mark.parametrize("storage", PLAIN)
def test_matrices_of_few_weights_are_kept_sparse(storage):
    dense = random_model((100, 50, 10), storage=storage).nbytes_
    sparse_model = random_model((100, 50, 10), storage=storage, density=0.1)
    itemsize = np.dtype(storage).itemsize
    stored = sum(np.count_nonzero(W) for W in sparse_model.coefs_)
    assert sparse_model.nbytes_ - dense == stored * (itemsize + 1) - 5500 * itemsize < 0


def test_weights_too_large_for_float16_are_refused():
    net = random_net()
    net.coefs[1][2, 2] = 70000
    model_of(net, "int8")
    with pytest.raises(ValueError, match="dtype='float16' cannot hold the weights.* 7e\\+04"):
        model_of(net, "float16")


def test_report_says_what_rounding_changed():
    net = random_net((8, 20, 4), seed=3)
    exact, rough = model_of(net), model_of(net, "int8")
    X = rows(300, 8)
    y = exact.predict(X)
    y[:30] = (y[:30] + 1) % 4
    report = rough.compression_report(exact, X, y)
    change = np.abs(exact.predict_proba(X) - rough.predict_proba(X))
    assert report["max_probability_change"] == pytest.approx(change.max())
    assert change.max() > 0
    assert report["mean_probability_change"] == pytest.approx(change.mean(), rel=1e-5)
    assert report["changed_predictions"] == np.mean(exact.predict(X) != rough.predict(X))
    assert report["reference_accuracy"] == 0.9
    assert report["accuracy"] == rough.score(X, y)
    assert (report["storage"], report["nbytes"]) == ("int8", rough.nbytes_)
    assert "accuracy" not in rough.compression_report(exact, X)
    with pytest.raises(ValueError, match="reference has the classes"):
        rough.compression_report(random_model((8, 5, 4), classes=list("abcd")), X)


# -- pickle, joblib, skops ------------------------------------------------------------------


def through_skops(model):
    data = skops.io.dumps(model)
    own = [f"{CompactMLPClassifier.__module__}.CompactMLPClassifier"]
    assert skops.io.get_untrusted_types(data=data) == own
    return skops.io.loads(data, trusted=own)


def through_joblib(model):
    from io import BytesIO

    file = BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "copied",
    [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy, through_joblib, through_skops],
    ids=["pickle", "deepcopy", "joblib", "skops"],
)
@pytest.mark.parametrize("density", [1.0, 0.1])
@pytest.mark.parametrize("storage", STORAGES)
def test_copies_are_the_same_to_the_last_bit(storage, density, copied):
    labels = np.array(["no", "yes", "maybe"], dtype=object)
    model = random_model(
        (30, 9, 7, 3), storage=storage, density=density, classes=labels, components=4
    )
    found = copied(model)
    assert_same_model(found, model)
    assert_same_model(copied(found), model)


def test_pickle_is_as_small_as_the_stored_weights():
    model = random_model((200, 100, 10), storage="int8", density=0.1)
    assert len(pickle.dumps(model)) < model.nbytes_ + 1500 < 0.35 * 21000


IMPORTS = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    model = pickle.load(file)
from skactprune import CompactMLPClassifier, compact, load, save
other = load(sys.argv[2])
X = np.ones((3, model.n_features_in_), np.float32)
for m in (model, other, compact(other, "int8")):
    m.predict(X), m.predict_proba(X), m.transform(X), m.score(X, m.predict(X))
save(model, sys.argv[2])
assert (model.predict(X) == other.predict(X)).all()
heavy = {"torch", "skorch", "onnx", "onnxruntime", "matplotlib"}
loaded = {name.partition(".")[0] for name in sys.modules} & heavy
print(sorted(loaded | {name for name in sys.modules if name.startswith("skactprune.est")}))
"""


def test_loading_and_predicting_import_neither_torch_nor_estimators(tmp_path):
    model = fitted().compact()
    paths = [tmp_path / "model.pickle", tmp_path / "model.npz"]
    paths[0].write_bytes(pickle.dumps(model))
    model.save(paths[1])
    command = [sys.executable, "-W", "error", "-c", IMPORTS, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
