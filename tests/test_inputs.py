"""Rows and targets in whatever they come: the net is that of a numpy array."""

import tracemalloc
from functools import lru_cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy
import torch
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skactprune import (
    Chunks,
    PrunedAutoencoder,
    PrunedMLPClassifier,
    PrunedMLPRegressor,
    PrunedMLPTransformer,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, Y = load_iris(return_X_y=True)
# Whole numbers up to 79: the same in every type.
X = np.rint(10 * X)
NAMES = list("abcd")
FRAME = pd.DataFrame(X, columns=NAMES)


def mapped(array, folder):
    np.save(folder / "rows.npy", array)
    return np.load(folder / "rows.npy", mmap_mode="r")


# What is made of the rows.
ROWS = {
    "float32": lambda folder: X.astype(np.float32),
    "float16": lambda folder: X.astype(np.float16),
    "longdouble": lambda folder: X.astype(np.longdouble),
    "int8": lambda folder: X.astype(np.int8),
    "uint8": lambda folder: X.astype(np.uint8),
    "int64": lambda folder: X.astype(np.int64),
    "object": lambda folder: X.astype(object),
    "list": lambda folder: X.tolist(),
    "Fortran": lambda folder: np.asfortranarray(X),
    "memory map": lambda folder: mapped(X, folder),
    "memory map of float32": lambda folder: mapped(X.astype(np.float32), folder),
    "tensor": lambda folder: torch.tensor(X),
    "pandas": lambda folder: FRAME,
    "pandas float32": lambda folder: FRAME.astype("float32"),
    "pandas mixed": lambda folder: FRAME.astype({"a": "int8", "b": "Float64"}),
    "pandas Float64": lambda folder: FRAME.astype("Float64"),
    "pandas Float32": lambda folder: FRAME.astype("Float32"),
    "pandas Int64": lambda folder: FRAME.astype("Int64"),
    "pandas UInt8": lambda folder: FRAME.astype("UInt8"),
    "pandas double of arrow": lambda folder: FRAME.astype("double[pyarrow]"),
    "pandas int64 of arrow": lambda folder: FRAME.astype("int64[pyarrow]"),
    "pandas sparse": lambda folder: FRAME.astype(pd.SparseDtype(float, 0)),
    "polars": lambda folder: pl.DataFrame(X, schema=NAMES),
    "polars Float32": lambda folder: pl.DataFrame(X.astype(np.float32), schema=NAMES),
    "polars Int16": lambda folder: pl.DataFrame(X.astype(np.int16), schema=NAMES),
    "Chunks": lambda folder: Chunks(lambda start: X[start : start + 40], range(0, 150, 40)),
    "Chunks of polars": lambda folder: Chunks(
        lambda start: pl.DataFrame(X[start : start + 40], schema=NAMES), range(0, 150, 40)
    ),
} | {
    f"{form}_{kind}": lambda folder, name=f"{form}_{kind}": getattr(sparse, name)(X)
    for form in ("csr", "csc", "coo", "lil", "dok", "bsr")
    for kind in ("array", "matrix")
}
# scikit-learn makes float64 of the others of float32.
FLOAT32 = {"float32", "memory map of float32", "pandas float32"}
KINDS = {
    "classifier": (PrunedMLPClassifier, ("predict", "predict_proba", "transform")),
    "transformer": (PrunedMLPTransformer, ("transform",)),
}


# Others are found by iterations, to which the order of sums matters.
SHOWN = {"n_components": 2, "components": "pca"}


def small(cls=PrunedMLPClassifier, **params):
    base = {"max_iter": 4, "n_prune_rounds": 2, "learning_rate_init": 0.01, "random_state": 0}
    sizes = {"hidden_layer_sizes": (12,)}
    if cls is PrunedAutoencoder:
        sizes = {"n_components": 2, "encoder_layer_sizes": (8,)}
    return cls(**base | sizes | params)


@lru_cache
def of_numpy(kind, dtype):
    return small(KINDS[kind][0], **SHOWN).fit(X.astype(dtype), Y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ROWS)
def test_rows(name, kind, tmp_path):
    rows, dtype = ROWS[name](tmp_path), np.float32 if name in FLOAT32 else np.float64
    cls, methods = KINDS[kind]
    expected = of_numpy(kind, dtype)
    # Chunks are shuffled in another order.
    shuffle = {"shuffle": False} if "Chunks" in name else {}
    net = small(cls, **SHOWN, **shuffle).fit(rows, Y)
    if shuffle:
        expected = small(cls, **SHOWN, **shuffle).fit(X, Y)
    tolerance = 1e-4 if dtype is np.float32 else 1e-9
    for one, other in zip(net.coefs_, expected.coefs_, strict=True):
        assert one.dtype == dtype
        assert_allclose(one, other, rtol=0, atol=tolerance)
    assert list(getattr(net, "feature_names_in_", [])) == (
        NAMES if "pandas" in name or "polars" in name else []
    )
    for model in (net, net.compact()):
        for method in methods:
            found, of_array = getattr(model, method)(rows), getattr(expected, method)(X)
            assert type(found) is np.ndarray and found.dtype in (dtype, Y.dtype)
            assert_allclose(found, of_array, rtol=0, atol=100 * tolerance)


# -- labels ------------------------------------------------------------------------------------

STRINGS = np.array(["setosa", "versicolor", "virginica"])[Y]
IS_FIRST = Y == 0
# What is given, and what `classes_` and predictions are of.
LABELS = {
    "int8": (Y.astype(np.int8), Y.astype(np.int8)),
    "list": (Y.tolist(), Y),
    "float": (Y.astype(float), Y.astype(float)),
    "bool": (IS_FIRST, IS_FIRST),
    "strings": (STRINGS, STRINGS),
    "objects": (STRINGS.astype(object), STRINGS.astype(object)),
    "list of strings": (STRINGS.tolist(), STRINGS),
    "pandas": (pd.Series(Y), Y),
    "pandas Int64": (pd.Series(Y, dtype="Int64"), Y),
    "pandas UInt8": (pd.Series(Y, dtype="UInt8"), Y.astype(np.uint8)),
    "pandas Int64 array": (pd.array(Y, dtype="Int64"), Y),
    "pandas boolean": (pd.Series(IS_FIRST, dtype="boolean"), IS_FIRST),
    "pandas int64 of arrow": (pd.Series(Y).astype("int64[pyarrow]"), Y),
    "pandas bool of arrow": (pd.Series(IS_FIRST).astype("bool[pyarrow]"), IS_FIRST),
    "pandas string": (pd.Series(STRINGS, dtype="string"), STRINGS),
    "pandas string of arrow": (pd.Series(STRINGS, dtype="string[pyarrow]"), STRINGS),
    "pandas category": (pd.Series(STRINGS, dtype="category"), STRINGS),
    "pandas category of int": (pd.Series(Y, dtype="category"), Y),
    "polars": (pl.Series(Y), Y),
    "polars bool": (pl.Series(IS_FIRST), IS_FIRST),
    "polars strings": (pl.Series(STRINGS.tolist()), STRINGS),
    "polars Categorical": (pl.Series(STRINGS.tolist(), dtype=pl.Categorical), STRINGS),
    "tensor": (torch.tensor(Y), Y),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels(name):
    given, plain = LABELS[name]
    classes = np.unique(plain.astype(str) if plain.dtype == object else plain)
    net, expected = small().fit(X, given), small().fit(X, plain)
    stream = small().partial_fit(X, given, classes=classes)
    assert net.classes_.tolist() == classes.tolist()
    assert net.classes_.dtype.kind in (classes.dtype.kind, plain.dtype.kind)
    for model in (net, net.compact()):
        predicted = model.predict(X)
        assert predicted.dtype == net.classes_.dtype
        np.testing.assert_array_equal(predicted, expected.predict(X))
    assert net.score(X, given) == accuracy_score(plain, net.predict(X))
    assert stream.predict(X).dtype.kind == classes.dtype.kind
    reduced = small(PrunedMLPTransformer).fit(X, given).partial_fit(X, given)
    assert reduced.classes_.tolist() == classes.tolist()


def test_labels_that_are_missing_are_refused():
    with pytest.raises(ValueError, match="y contains NaN"):
        small().fit(X, pd.Series(Y, dtype="Int64").mask(Y == 2))


# -- sparse rows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"method": "nisp"},
        {"prune_features": 0.5, "early_stopping": True, "n_iter_no_change": 1},
        {"n_components": 2, "fit_inverse_transform": True},
    ],
)
def test_sparse_rows_are_never_dense_as_a_whole(params):
    small(PrunedMLPClassifier, **params).fit(sparse.csr_array(X), Y)
    rng = np.random.default_rng(0)
    rows = sparse.random_array((12000, 300), density=0.01, format="csr", random_state=rng)
    y = (rows.sum(axis=1) > 1.5).astype(int)
    whole = rows.shape[0] * rows.shape[1] * rows.dtype.itemsize
    net = small(hidden_layer_sizes=(8,), max_iter=2, n_prune_rounds=1, **params)

    def use(rows):
        model = net.fit(rows, y, X_unlabeled=rows[:-1]).compact()
        for each in (net, model):
            each.predict_proba(rows), each.transform(rows)

    tracemalloc.start()
    try:
        use(rows)
        assert tracemalloc.get_traced_memory()[1] < 0.75 * whole
    finally:
        tracemalloc.stop()


# -- arrays of other libraries -----------------------------------------------------------------

needs_scipy = pytest.mark.skipif(
    parse_version(scipy.__version__) < parse_version("1.14"),
    reason="array API dispatch of scikit-learn needs scipy 1.14",
)


@pytest.fixture
def dispatch(monkeypatch):
    # scikit-learn looks at it when it dispatches.
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with config_context(array_api_dispatch=True):
        yield


def tensor(array, dtype=None):
    return torch.tensor(np.asarray(array), dtype=dtype)


@needs_scipy
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.int32])
@pytest.mark.parametrize(
    "cls, y, methods",
    [
        (PrunedMLPClassifier, Y, ("predict", "predict_proba", "predict_log_proba", "transform")),
        (PrunedMLPTransformer, Y, ("transform",)),
        (PrunedMLPRegressor, X[:, :2] / 10, ("predict", "transform")),
        (PrunedAutoencoder, None, ("transform",)),
    ],
)
def test_tensors(cls, y, methods, dtype, dispatch):
    weight, rows = np.linspace(0.5, 1, len(X)), tensor(X, dtype)
    as_tensor = {} if y is None else {"y": tensor(y)}
    net = small(cls).fit(rows, **as_tensor, sample_weight=tensor(weight))
    of_array = np.float32 if dtype is torch.float32 else np.float64
    of_numpy = small(cls).fit(X.astype(of_array), y, sample_weight=weight)
    fitted = (*net.coefs_, *net.masks_, getattr(net, "classes_", net.coefs_[0]))
    assert {type(array) for array in fitted} == {np.ndarray}
    for model in (net, net.compact()):
        for method in methods:
            found, expected = getattr(model, method)(rows), getattr(of_numpy, method)(X)
            assert torch.is_tensor(found) and found.device == rows.device
            floats = dtype if dtype.is_floating_point else net.coefs_[0].dtype.name
            is_label = expected.dtype.kind == "i"
            assert str(found.dtype).endswith("int64" if is_label else str(floats))
            atol = {torch.float64: 1e-9, torch.float16: 0.1}.get(dtype, 1e-3)
            assert_allclose(found.double().numpy(), expected, rtol=0.01 * (atol > 0.01), atol=atol)
    # Rows that are arrays of numpy give these.
    assert type(net.transform(X)) is np.ndarray
    if hasattr(net, "score"):
        expected = of_numpy.score(X, y)
        assert float(net.score(rows, *as_tensor.values())) == pytest.approx(
            expected, rel=1e-3, abs=1e-3
        )


@needs_scipy
def test_tensors_everywhere(dispatch):
    rows, y = tensor(X), tensor(Y)
    net = small(early_stopping=True, n_components=2, fit_inverse_transform=True, n_iter_no_change=2)
    with pytest.raises(ValueError, match="y_val was not provided"):
        net.fit(rows, y, X_val=rows[:-1])
    validation = {"X_val": rows[:-1], "y_val": y[:-1], "sample_weight_val": tensor(X[:-1, 0])}
    net.fit(rows, y, X_unlabeled=rows[:-2], **validation)
    arrays = {name: array.numpy() for name, array in validation.items()}
    expected = small(**net.get_params()).fit(X, Y, X_unlabeled=X[:-2], **arrays)
    assert net.validation_scores_ == expected.validation_scores_
    shown = net.transform(rows)
    assert_allclose(shown.numpy(), expected.transform(X))
    for model in (net, net.compact()):
        back = model.inverse_transform(shown)
        assert torch.is_tensor(back) and back.shape == rows.shape
    stream = small(PrunedMLPTransformer).partial_fit(rows, y)
    assert type(stream.classes_) is np.ndarray
    stream = small().partial_fit(rows, y, classes=torch.arange(3))
    assert type(stream.classes_) is np.ndarray and torch.is_tensor(stream.predict(rows))
    named = small().fit(rows, STRINGS)
    assert type(named.predict(rows)) is np.ndarray
    assert torch.is_tensor(named.predict_proba(rows))
    report = net.compact("float32").compression_report(net, rows, y)
    assert report["accuracy"] == report["reference_accuracy"]
    pieces = Chunks(lambda start: rows[start : start + 40], range(0, 150, 40))
    assert_allclose(net.predict_proba(pieces), expected.predict_proba(X))
    assert small(shuffle=False).fit(pieces, y).n_iter_ == 4
    assert cross_val_score(small(), rows, y, cv=2, error_score="raise").shape == (2,)
    pipeline = make_pipeline(StandardScaler(), small()).fit(rows, y)
    assert torch.is_tensor(pipeline.predict(rows))


@needs_scipy
def test_tensors_that_are_not_valid_are_refused(dispatch):
    net = small().fit(tensor(X), tensor(Y))
    with pytest.raises(ValueError, match="X contains NaN"):
        net.predict(tensor(X) * float("nan"))
    with pytest.raises(ValueError, match="X has 3 features"):
        net.transform(tensor(X[:, :3]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        net.fit(tensor(X), tensor(Y[:-1]))


def test_sparse_entries_that_are_there_twice_are_added_up():
    random = np.random.default_rng(0)
    places = random.integers(0, 4, 240), np.arange(0, 241, 6)
    twice = sparse.csr_matrix((random.normal(size=240), *places), shape=(40, 4))
    n_entries, dense, y = twice.nnz, twice.toarray(), np.arange(40) % 2
    assert not twice.has_canonical_format
    params = {"max_iter": 5, "random_state": 0}
    clf = PrunedMLPClassifier((20,), prune_features=0.5, **params)
    np.testing.assert_array_equal(clf.fit(twice, y).get_support(), clf.fit(dense, y).get_support())
    coder = PrunedAutoencoder(2, (20,), **params).fit(twice)
    assert coder.score(twice) == pytest.approx(coder.score(dense))
    assert twice.nnz == n_entries
