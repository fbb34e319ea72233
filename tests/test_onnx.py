"""ONNX graphs compute, in onnxruntime, what the models compute."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from compact_nets import ACTIVATIONS, QUICK, STORAGES, fitted, problem, random_model, rows
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from skactprune import PrunedMLPClassifier, compact, to_onnx


def run(proto, X):
    session = onnxruntime.InferenceSession(
        proto if isinstance(proto, str) else proto.SerializeToString(),
        providers=["CPUExecutionProvider"],
    )
    label, probabilities = session.run(["label", "probabilities"], {"X": X})
    return label, probabilities


def assert_computes_the_same(proto, model, X, tolerance=1e-5):
    for part in (X[:1], X[:7], X):
        label, probabilities = run(proto, part)
        assert_allclose(probabilities, model.predict_proba(part), rtol=0, atol=tolerance)
        assert_array_equal(label, model.predict(part))
        assert label.shape == (len(part),)
    assert len(np.unique(label)) > 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_outputs", [1, 4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_graph_of_a_compact_model(activation, n_outputs, dtype):
    model = random_model((8, 6, 5, n_outputs), activation=activation, dtype=dtype)
    tolerance = {np.float32: 1e-5, np.float64: 1e-12}[dtype]
    assert_computes_the_same(model.to_onnx(), model, rows(300, 8, dtype), tolerance)


@pytest.mark.parametrize("granularity", ["neuron", "weight"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_graph_of_an_estimator(n_classes, granularity):
    clf = fitted(n_classes, np.float32, granularity)
    X, _ = problem(n_classes)
    assert_computes_the_same(clf.to_onnx(), clf, X)


@pytest.mark.parametrize("storage", STORAGES)
def test_graph_has_the_rounded_weights(storage):
    model = random_model((8, 6, 3), storage=storage)
    X = rows(50, 8, model.coefs_[0].dtype)
    assert_computes_the_same(model.to_onnx(), model, X)


def test_net_without_hidden_layers():
    model = random_model((5, 3))
    assert_computes_the_same(to_onnx(model), model, rows(40, 5))


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        (["no", "yes", "m\u00e4ybe"], "tensor(string)"),
        (np.array(["a", "b", "c"], dtype=object), "tensor(string)"),
        (np.array([-1, 5, 2**40]), "tensor(int64)"),
        (np.array([0, 1, 2], dtype=np.uint8), "tensor(int64)"),
        (np.array([0.0, 1.0, 2.0]), "tensor(int64)"),
        (np.array([0, 1, 2**63 - 1], dtype=np.uint64), "tensor(int64)"),
        (np.array([-(2**63), 0, 2**63 - 1]), "tensor(int64)"),
        (np.array([-(2.0**63), 0, 2.0**62]), "tensor(int64)"),
        (np.array(["", "\x00a", "\N{SNOWMAN}"], dtype=object), "tensor(string)"),
    ],
)
def test_labels_are_int64_or_strings(classes, kind):
    model = random_model(classes=classes)
    proto = model.to_onnx()
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    assert session.get_outputs()[0].type == kind
    assert_computes_the_same(proto, model, rows(60, 8))


@pytest.mark.parametrize(
    "classes",
    [
        np.array([0, 1, 2**63], dtype=np.uint64),
        np.array([0, 1, 2**64 - 1], dtype=np.uint64),
        np.array([0, 1, 2.0**63]),
        np.array([0.25, 0.5, 0.75]),
        np.array([0, 1, 1.5], dtype=np.float32),
        np.array([0, 1, np.nan]),
        np.array([0, 1, np.inf]),
        np.array(["2001-01-01", "2002-01-01", "2003-01-01"], dtype="M8[D]"),
        np.array([1, 2, 3], dtype="m8[s]"),
        np.array([1, 2, 3], dtype=complex),
        np.array([b"a", b"b", b"c"]),
        np.array([1, "b", None], dtype=object),
        np.array([1, 2, 3], dtype=object),
        np.array([True, "b", "c"], dtype=object),
        np.array([2**70, 0, 1], dtype=object),
        np.array([(1, 2), (1, 3), (2, 3)], dtype="i4,i4"),
        np.array(["a", "b", "\ud800"], dtype=object),
    ],
    ids=lambda classes: f"{classes.dtype}-{classes[-1]!r}",
)
def test_labels_that_do_not_fit_are_refused_before_anything_is_written(classes, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with pytest.raises(ValueError, match="^Class labels must be strings, or .* of an int64") as e:
        to_onnx(random_model(classes=classes), path)
    assert type(e.value) is ValueError
    assert f"got dtype {classes.dtype}" in str(e.value)
    assert path.read_text() == "old"


def test_bool_labels_become_int64():
    model = random_model((8, 4, 1), classes=[False, True])
    label, _ = run(model.to_onnx(), rows(60, 8))
    assert label.dtype == np.int64
    assert_array_equal(label, model.predict(rows(60, 8)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_names_and_shapes_are_those_of_skl2onnx(dtype):
    proto = random_model((8, 4, 3), dtype=dtype).to_onnx()
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    described = [
        (value.name, value.type, value.shape)
        for value in (*session.get_inputs(), *session.get_outputs())
    ]
    element = {"float32": "float", "float64": "double"}[dtype]
    assert described == [
        ("X", f"tensor({element})", ["n_rows", 8]),
        ("label", "tensor(int64)", ["n_rows"]),
        ("probabilities", f"tensor({element})", ["n_rows", 3]),
    ]
    assert proto.producer_name == "skactprune"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("input_dtype", ["float32", "float64"])
def test_type_of_the_input_can_be_chosen(dtype, input_dtype):
    model = random_model(dtype=dtype)
    X = rows(50, 8, np.float32).astype(input_dtype)
    proto = model.to_onnx(input_dtype=input_dtype)
    assert_computes_the_same(proto, model, X, 1e-6)
    assert run(proto, X)[1].dtype == dtype
    with pytest.raises(ValueError, match="input_dtype='int8' must be 'float32' or 'float64'"):
        model.to_onnx(input_dtype="int8")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("params", [{}, {"with_mean": False}, {"with_std": False}])
def test_scalers_are_converted(params, offset, dtype):
    X, y = problem(3, dtype)
    X = X * dtype(3) + dtype(offset)
    clf = PrunedMLPClassifier((8,), **QUICK)
    pipeline = Pipeline([("a", StandardScaler(**params)), ("b", "passthrough"), ("c", clf)])
    if params == {"with_mean": False} and offset:
        pytest.skip("nothing is learned from such rows")
    pipeline.fit(X, y)
    assert_computes_the_same(to_onnx(pipeline), pipeline, X)
    small = compact(pipeline)
    folds = offset == 0 or (dtype == np.float64 and not params)
    assert len(small.steps) == (1 if folds else 2)
    assert_computes_the_same(to_onnx(small), pipeline, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 30])
def test_min_max_scaler_and_nested_pipelines_are_converted(offset, dtype):
    X, y = problem(3, dtype)
    X = X * dtype(3) + dtype(offset)
    scaling = make_pipeline(StandardScaler(), make_pipeline(MinMaxScaler((-1, 1)), "passthrough"))
    net = PrunedMLPClassifier((8,), **QUICK)
    for steps in ([MinMaxScaler()], [scaling], [scaling, MinMaxScaler((0, 2))]):
        pipeline = make_pipeline(*steps, net).fit(X, y)
        assert_computes_the_same(to_onnx(pipeline), pipeline, X)
        small = compact(pipeline)
        assert_computes_the_same(to_onnx(small), pipeline, X)
    within = make_pipeline(MinMaxScaler().fit(X), make_pipeline(StandardScaler(), net)).fit(X, y)
    assert_computes_the_same(to_onnx(within), within, X)


def test_other_steps_and_models_are_refused():
    X, y = problem()
    for scaler in (MinMaxScaler(clip=True), RobustScaler()):
        pipeline = make_pipeline(make_pipeline(scaler).fit(X), fitted())
        name = type(scaler).__name__
        with pytest.raises(TypeError, match=f"'{name.lower()}' is a {name}; .*MaxScaler.clip=Fal"):
            to_onnx(pipeline)
    quick = {"max_iter": 20, "tol": 1, "random_state": 0}
    mlps = [MLPClassifier(**quick).fit(X, y), MLPRegressor(**quick).fit(X, y)]
    for model in (LogisticRegression().fit(X, y), *mlps, "text"):
        with pytest.raises(TypeError, match=f"got {type(model).__name__}"):
            to_onnx(model)


def test_file_holds_the_graph(tmp_path):
    path = tmp_path / "model.onnx"
    model = random_model()
    proto = to_onnx(model, path)
    assert onnx.load(path) == proto
    assert_computes_the_same(str(path), model, rows(30, 8))
    model.to_onnx(str(path), input_dtype="float64")
    assert onnx.load(path) != proto
    assert fitted().to_onnx(path) == onnx.load(path)


def test_without_onnx_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'skactprune\[onnx\]'"):
        random_model().to_onnx()
