"""skl2onnx converts pipelines of all sorts with our nets in them, once they are registered."""

import sys
from functools import lru_cache

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
from compact_nets import ACTIVATIONS, QUICK, STORAGES, fitted, problem, random_model, rows
from numpy.testing import assert_allclose, assert_array_equal
from skl2onnx._parse import sklearn_parsers_map
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

import skactprune
from skactprune import (
    PrunedMLPClassifier,
    PrunedMLPTransformer,
    compact,
    compact_low_rank,
    register_onnx_converters,
    to_onnx,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NO_ZIPMAP = {"zipmap": False}
# Known to every runtime that the tests are run with; skl2onnx takes the newest.
OPSET = 17


VALUES = [getattr(skactprune, name) for name in skactprune.__all__]
CLASSES = [value for value in VALUES if isinstance(value, type)]
NETS = [cls for cls in CLASSES if issubclass(cls, BaseEstimator) and hasattr(cls, "compact")]
ESTIMATORS = [cls for cls in NETS if hasattr(cls, "partial_fit")]


@pytest.fixture(autouse=True)
def registered():
    register_onnx_converters()


def net(cls=PrunedMLPClassifier, **params):
    """An estimator with these parameters, of which it has not all."""
    params = QUICK | {"hidden_layer_sizes": (10, 6)} | params
    return cls(**{name: params[name] for name in params.keys() & cls().get_params().keys()})


def computed(proto, feed):
    """Outputs by their names."""
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def converted(model, X, options=None, target_opset=OPSET):
    """What onnxruntime computes of an array with what skl2onnx makes of a model."""
    proto = skl2onnx.to_onnx(model, X[:1], options=options, target_opset=target_opset)
    return computed(proto, {"X": X})


def assert_same(model, X, tolerance=1e-5):
    if is_classifier(model):
        found = converted(model, X, NO_ZIPMAP)
        assert [*found] == ["label", "probabilities"]
        assert_array_equal(found["label"], model.predict(X))
        assert_allclose(found["probabilities"], model.predict_proba(X), rtol=0, atol=tolerance)
        assert len(np.unique(found["label"])) > 1
    else:
        found = converted(model, X)
        assert_allclose(*found.values(), model.transform(X), rtol=0, atol=tolerance)
    assert all(value.dtype == X.dtype for value in found.values() if value.dtype.kind == "f")


# -- whole pipelines --------------------------------------------------------------------------


@lru_cache
def table():
    """Numbers, of which some are missing, words, and labels that both tell."""
    rng = np.random.default_rng(0)
    age, income = rng.normal(40, 10, 300), rng.normal(3000, 800, 300)
    town = rng.choice(["Rome", "Oslo", "Lima"], 300)
    y = np.array(["no", "yes"])[(age + 15 * (town == "Oslo") + rng.normal(0, 3, 300) > 45) * 1]
    age[rng.random(300) < 0.2] = np.nan
    return pd.DataFrame({"age": age, "income": income, "town": town}).astype(
        {"age": "float32", "income": "float32", "town": object}
    ), y


def preprocessing():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [
            ("numbers", numbers, ["age", "income"]),
            ("words", OneHotEncoder(handle_unknown="ignore"), ["town"]),
        ]
    )


def columns_of(X):
    return {name: X[[name]].to_numpy() for name in X}


def of_table(model, X, options=None):
    kinds = {"O": StringTensorType, "f": FloatTensorType}
    types = [(name, kinds[X[name].to_numpy().dtype.kind]([None, 1])) for name in X]
    proto = skl2onnx.convert_sklearn(
        model, initial_types=types, options=options, target_opset=OPSET
    )
    return computed(proto, columns_of(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_table_of_numbers_and_words(dtype):
    X, y = table()
    model = make_pipeline(preprocessing(), net())
    model.fit(X.astype({"age": dtype, "income": dtype}), y)
    assert model.score(X, y) > 0.8
    strange = X.assign(town="Atlantis", age=np.float32(np.nan))
    for pipe in (model, compact(model), compact(model, "int8")):
        for rows_ in (X, X[:1], strange):
            found = of_table(pipe, rows_, options=NO_ZIPMAP)
            assert_array_equal(found["label"], pipe.predict(rows_))
            assert_allclose(found["probabilities"], pipe.predict_proba(rows_), atol=1e-5)


def test_a_search_on_a_table():
    X, y = table()
    pipe = make_pipeline(preprocessing(), net())
    search = GridSearchCV(pipe, {"prunedmlpclassifier__alpha": [1e-4, 1e-3]}, cv=2).fit(X, y)
    found = of_table(search, X, options={id(search): NO_ZIPMAP})
    assert_array_equal(found["label"], search.predict(X))


def test_what_transforms_a_table():
    X, y = table()
    model = make_pipeline(preprocessing(), net(n_components=2)).fit(X, y)
    found = of_table(compact(model, output="transform"), X)
    assert [*found] == ["variable"]
    assert_allclose(found["variable"], model.transform(X), atol=1e-5)


def test_zipmap():
    X, y = table()
    model = make_pipeline(preprocessing(), net()).fit(X, y)
    expected = model.predict_proba(X)
    maps = of_table(model, X)["output_probability"]
    assert_allclose([[row["no"], row["yes"]] for row in maps], expected, atol=1e-5)
    of_classes = of_table(model, X, options={"zipmap": "columns"})
    assert_allclose(np.c_[of_classes["sno"], of_classes["syes"]], expected, atol=1e-5)
    assert_array_equal(of_classes["output_label"], model.predict(X))


# -- nets of all sorts ------------------------------------------------------------------------


@pytest.mark.parametrize("input_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_types(n_outputs, dtype, input_dtype):
    model = random_model((8, 6, 5, n_outputs), dtype=dtype)
    X = rows(200, 8, np.float32).astype(input_dtype)
    assert_same(model, X, 1e-12 if dtype == input_dtype == np.float64 else 1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("storage", STORAGES)
def test_activations_and_storages(storage, activation):
    model = random_model((8, 6, 3), storage=storage, activation=activation)
    assert_same(model, rows(100, 8, np.float32), 1e-6)


@pytest.mark.parametrize("target_opset", [9, 13, 17, 21])
def test_the_same_nodes_as_to_onnx_whatever_the_opset(target_opset):
    clf = compact_low_rank(fitted(dtype=np.float32, prune_fraction=0), 0.3)
    X, _ = problem()
    found = converted(clf, X, NO_ZIPMAP, target_opset=target_opset)
    for name, value in computed(to_onnx(clf), {"X": X}).items():
        assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    "classes",
    [["a", "b", "ü"], [-1, 5, 2**40], np.arange(3, dtype=np.uint8), [0.0, 1.0, 2.0]],
    ids=str,
)
def test_labels(classes):
    model, X = random_model(classes=classes), rows(80, 8)
    assert_same(model, X)
    maps = converted(model, X)["output_probability"]
    found = [[row[label] for label in model.classes_] for row in maps]
    assert_allclose(found, model.predict_proba(X), atol=1e-6)


def test_labels_that_do_not_fit_are_refused():
    model = random_model(classes=np.array([0.25, 0.5, 0.75]))
    with pytest.raises(ValueError, match="^Class labels must be strings, or .* of an int64"):
        converted(model, rows(5, 8), NO_ZIPMAP)


def test_multilabel():
    X, y = problem()
    Y = np.c_[y == 0, y == 1, X[:, 0] > 0].astype(int)
    clf = net().fit(X, Y)
    found = converted(clf, X, NO_ZIPMAP)
    assert_array_equal(found["label"], clf.predict(X))
    assert_allclose(found["probabilities"], clf.predict_proba(X), atol=1e-6)


def test_every_estimator_of_the_package_converts_as_by_to_onnx():
    X, y = problem()
    fitted = [net(cls).fit(X, y) for cls in ESTIMATORS]
    models = fitted + [model.compact() for model in fitted]
    assert {type(model) for model in models} == set(NETS)
    for model in models:
        found = converted(model, X, NO_ZIPMAP if is_classifier(model) else None)
        expected = computed(to_onnx(model, input_dtype="float32"), {"X": X})
        assert [*found] == [*expected]
        for name, value in expected.items():
            assert_allclose(found[name], value, rtol=1e-5, atol=1e-5)


# -- nets within others -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts():
    X, y = problem()
    return X, y, net().fit(X, y)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_in_the_middle(cls, parts):
    X, y, _ = parts
    for step in (net(cls), make_pipeline(RobustScaler(), net(cls, n_components=3))):
        assert_same(make_pipeline(StandardScaler(), step, LogisticRegression()).fit(X, y), X)


def test_in_the_middle_as_a_search_or_frozen(parts):
    X, y, clf = parts
    search = GridSearchCV(net(PrunedMLPClassifier), {"alpha": [1e-4]}, cv=2)
    for step in (clf.compact(), clf.compact("int8"), search):
        assert_same(make_pipeline(step, LogisticRegression()).fit(X, y), X, 1e-4)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_beside_others(cls, parts):
    X, y, _ = parts
    union = make_union(MinMaxScaler(), net(cls))
    assert_same(union.fit(X, y), X)
    weighted = FeatureUnion([("a", MinMaxScaler()), ("b", net(cls))], transformer_weights={"b": 2})
    assert_same(make_pipeline(weighted, net()).fit(X, y), X)
    columns = ColumnTransformer([("net", net(cls), [0, 3, 4]), ("rest", "passthrough", [1, 2])])
    assert_same(make_pipeline(columns, LogisticRegression()).fit(X, y), X)


@pytest.mark.parametrize("how", [{"voting": "soft", "flatten_transform": False}, {}])
def test_ensembles(how, parts):
    X, y, _ = parts
    members = [("net", net()), ("line", LogisticRegression())]
    ensemble = VotingClassifier(members, **how) if how else StackingClassifier(members, cv=2)
    assert_same(ensemble.fit(X, y), X)


def test_the_model_is_left_as_it_was(parts):
    X, y, _ = parts
    clf = net()
    pipe = make_pipeline(StandardScaler(), clf, LogisticRegression()).fit(X, y)
    converted(pipe, X, NO_ZIPMAP)
    assert pipe[1] is clf


def test_registering_again_changes_nothing():
    before = dict(sklearn_parsers_map)
    register_onnx_converters()
    changed = {cls for cls, parser in sklearn_parsers_map.items() if before[cls] is not parser}
    assert not changed & {Pipeline, FeatureUnion, ColumnTransformer}


# -- what goes in -----------------------------------------------------------------------------


def test_several_inputs_are_put_side_by_side(parts):
    X, _, clf = parts
    X = np.c_[np.round(X[:, :2]), X[:, 2:]]
    types = [
        ("coef_0", Int64TensorType([None, 2])),
        ("cast_0", FloatTensorType([None, 7])),
        ("c", DoubleTensorType([None, 3])),
    ]
    options = {id(clf): NO_ZIPMAP}
    proto = skl2onnx.convert_sklearn(clf, initial_types=types, options=options, target_opset=OPSET)
    feed = {"coef_0": X[:, :2].astype(np.int64), "cast_0": X[:, 2:9]}
    found = computed(proto, feed | {"c": X[:, 9:].astype(np.float64)})
    assert_allclose([*found.values()][1], clf.predict_proba(X), atol=1e-6)


def test_what_does_not_fit_is_named(parts):
    X, y, clf = parts
    with pytest.raises(ValueError, match="PrunedMLPClassifier expects 12 features, .* 5 columns"):
        converted(clf, X[:, :5])
    # skl2onnx leaves out what indicates missing values.
    gaps = np.where(X > 2, np.nan, X)
    pipe = make_pipeline(SimpleImputer(add_indicator=True), net()).fit(gaps, y)
    with pytest.raises(ValueError, match="expects 22 features, .* before it has 12 columns"):
        converted(pipe, gaps)
    words = [("X", StringTensorType([None, 12]))]
    with pytest.raises(RuntimeError, match="wrong type <class '.*StringTensorType'>"):
        skl2onnx.convert_sklearn(clf, initial_types=words)
    for options in ({"nocl": True}, {"zipmap": "rows"}):
        with pytest.raises(ValueError, match="Unexpected value"):
            converted(clf, X, {id(clf): options})
    with pytest.raises(NotFittedError, match="This PrunedMLPTransformer"):
        converted(net(PrunedMLPTransformer), X)


def test_without_skl2onnx_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'skactprune\[onnx\]'"):
        register_onnx_converters()
