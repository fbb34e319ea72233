"""Predictions of every kind of input: as scikit-learn validates it, soon, and in little memory."""

import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, log_softmax, softmax
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted, validate_data

from skactprune import CompactMLPClassifier, PrunedMLPClassifier
from skactprune._validation import ROWS, map_rows
from skactprune.deploy.weights import CompactWeights
from skactprune.nets.activations import get_activation
from skactprune.nets.inference import logits_of
from skactprune.nets.outputs import LOGISTIC, SOFTMAX

FEATURES = 6
KINDS = ["compact", "estimator"]
METHODS = ["predict", "predict_proba", "predict_log_proba", "transform"]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def compact(sizes=(FEATURES, 5, 4, 3), activation="relu", names=None):
    shapes = list(zip(sizes[:-1], sizes[1:], strict=True))
    weights = CompactWeights.of(
        [draw(*shape, seed=i) for i, shape in enumerate(shapes)],
        [draw(n_out, seed=n_out) for _, n_out in shapes],
        activation=activation,
        transform_layer=len(shapes) - 2,
    )
    classes = np.array([f"class {i}" for i in range(max(2, sizes[-1]))])
    return CompactMLPClassifier.of(weights, classes, output_prefix="h", feature_names=names)


@pytest.fixture(scope="module")
def fitted():
    X = draw(60, FEATURES)
    params = {"hidden_layer_sizes": (5,), "max_iter": 15, "tol": 1e-9, "random_state": 0}
    clf = PrunedMLPClassifier(prune_fraction=0.2, n_iter_no_change=99, **params)
    with pytest.warns(Warning):
        clf.fit(X, X[:, :3].argmax(axis=1))
    return {"estimator": clf, "compact": compact()}


def read_only(X):
    X = X.copy()
    X.setflags(write=False)
    return X


INPUTS = {
    "C order": lambda X: X,
    "F order": np.asfortranarray,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[::-1, ::-1],
    "read-only": read_only,
    "one row": lambda X: X[:1],
    "float64": lambda X: X.astype(np.float64),
    "float16": lambda X: X.astype(np.float16),
    "longdouble": lambda X: X.astype(np.longdouble),
    "integers": lambda X: (9 * X).astype(int),
    "bools": lambda X: X > 0,
    "objects": lambda X: X.astype(object),
    "complex": lambda X: X.astype(complex),
    "strings": lambda X: X.astype(str),
    "other byte order": lambda X: X.astype(X.dtype.newbyteorder()),
    "list": lambda X: X.tolist(),
    "frame": pd.DataFrame,
    "frame with names": lambda X: pd.DataFrame(X, columns=list("abcdef")),
    "frame with others": lambda X: pd.DataFrame(X, columns=list("fedcba")),
    "csr": sparse.csr_matrix,
    "csr array": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "sparse with NaN": lambda X: sparse.csr_matrix(np.where(X > 1, np.nan, X)),
    "matrix": np.matrix,
    "masked": lambda X: np.ma.masked_greater(X, 1),
    "NaN": lambda X: np.where(X > 1, np.float32(np.nan), X),
    "infinity": lambda X: np.where(X > 1, np.float32(np.inf), X),
    "both infinities": lambda X: np.where(abs(X) > 1, np.copysign(np.float32(np.inf), X), X),
    "sum that overflows": lambda X: np.sign(X) * np.float32(1e20),
    "no rows": lambda X: X[:0],
    "one dimension": lambda X: X[0],
    "three dimensions": lambda X: X[None],
    "a number": lambda X: 1.0,
    "None": lambda X: None,
    "too few columns": lambda X: X[:, 1:],
    "too many columns": lambda X: np.hstack([X, X]),
    "no columns": lambda X: X[:, :0],
}


def outcome(function):
    try:
        return None, function()
    except Exception as error:
        return (type(error), str(error)), None


@pytest.mark.filterwarnings("ignore:X has feature names", "ignore:the matrix subclass")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*INPUTS, "memory map"])
def test_every_input_is_what_scikit_learn_makes_of_it(name, kind, fitted, tmp_path):
    model, rows = fitted[kind], draw(9, FEATURES, seed=3)
    if name == "memory map":
        np.save(tmp_path / "rows.npy", rows)
        X = np.load(tmp_path / "rows.npy", mmap_mode="r")
    else:
        X = INPUTS[name](rows)
    dtype = model.coefs_[0].dtype

    def expected():
        valid = validate_data(model, X, accept_sparse="csr", dtype=dtype, reset=False)
        activation = model.activation if kind == "estimator" else model.activation_
        return logits_of(valid, model.coefs_, model.intercepts_, activation)

    error, logits = outcome(expected)
    for method in METHODS:
        found_error, found = outcome(lambda method=method: getattr(model, method)(X))
        assert found_error == error
        if error is None:
            assert len(found) == len(logits)
    if error is None:
        assert_array_equal(model.predict(X), model.classes_[logits.argmax(axis=1)])
        probabilities = model.predict_proba(X)
        assert probabilities.dtype == dtype
        assert_allclose(probabilities, softmax(logits, axis=1), rtol=1e-5, atol=1e-30)
        assert_allclose(model.predict_log_proba(X), log_softmax(logits, axis=1), 1e-5, 1e-6)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_model_with_names_looks_at_names(wrong):
    model = compact(names=np.array(list("abcdef"), object))
    X = pd.DataFrame(draw(3, FEATURES), columns=list("abcdef"))
    if wrong:
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(X.rename(columns={"a": "z"}))
    else:
        expected = compact().predict(X.to_numpy())
        assert_array_equal(model.predict(X), expected)
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            assert_array_equal(model.predict(X.to_numpy()), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_assume_finite_spares_the_search(kind, fitted):
    X = np.full((2, FEATURES), np.nan, np.float32)
    with config_context(assume_finite=True):
        assert fitted[kind].predict(X).shape == (2,)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fitted[kind].predict(X)


@pytest.mark.parametrize("model", [CompactMLPClassifier(), PrunedMLPClassifier()])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_fitted_says_so(model, method):
    with pytest.raises(NotFittedError) as found:
        getattr(model, method)(draw(2, FEATURES))
    if isinstance(model, PrunedMLPClassifier):
        with pytest.raises(NotFittedError) as expected:
            check_is_fitted(model)
        assert str(found.value) == str(expected.value)
    else:
        assert "holds no model" in str(found.value)


# -- many rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 1])
@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, sparse.csr_matrix])
def test_rows_are_predicted_alike_however_many_there_are(n_rows, form):
    model, X = compact(), draw(n_rows, FEATURES)
    logits = logits_of(X, model.coefs_, model.intercepts_, "relu")
    assert_allclose(model.predict_proba(form(X)), softmax(logits, axis=1), rtol=2e-5, atol=1e-7)
    assert model.transform(form(X)).shape == (n_rows, 4)
    labels = model.predict(form(X))
    assert labels.dtype == model.classes_.dtype
    second, first = np.sort(logits, axis=1)[:, -2:].T
    sure = first - second > 1e-4
    assert_array_equal(labels[sure], model.classes_[logits.argmax(axis=1)][sure])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_last_row_of_many_is_searched_too(bad):
    X = draw(2 * ROWS + 1, FEATURES)
    X[-1, -1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        compact().predict(X)


def test_a_function_gets_all_rows_in_order_and_never_more_than_so_many():
    seen, X = [], np.arange(3 * ROWS + 5.0)[:, None]

    def function(rows):
        seen.append(len(rows))
        return rows[:, 0]

    assert_array_equal(map_rows(function, X), X[:, 0])
    assert seen == [ROWS, ROWS, ROWS, 5]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", [1, 2])
def test_memory_is_that_of_the_output_and_of_some_rows(method, step):
    n_rows, model = 200_000, compact((4, 64, 2, 3))
    X = draw(n_rows * step, 4)[::step]
    predict = getattr(model, method)
    predict(X[:10])
    tracemalloc.start()
    try:
        output = predict(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The widest layer of all rows would take 51 MB.
    assert peak - output.nbytes < 3 * ROWS * 64 * 4


# -- what they are made of ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_logistic_function_is_right_and_silent_far_from_zero(dtype):
    z = np.array([-1e30, -1000, -89, -50, -1, 0, 1, 50, 89, 1000, 1e30], dtype)
    with np.errstate(all="raise"):
        found = get_activation("logistic").apply(z.copy())
    assert found.dtype == dtype
    assert_allclose(found, expit(z), rtol=5 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1, 1e3, 1e30])
def test_probabilities_of_large_logits(dtype, scale):
    logits = (draw(50, 4) * scale).astype(dtype)
    before = logits.copy()
    found, logs = SOFTMAX.link(logits), SOFTMAX.log_link(logits)
    assert found.dtype == logs.dtype == dtype
    assert found.flags.c_contiguous and logs.flags.c_contiguous
    eps = np.finfo(dtype).eps
    assert_allclose(found, softmax(logits, axis=1), rtol=50 * eps, atol=np.finfo(dtype).tiny)
    assert_allclose(logs, log_softmax(logits, axis=1), rtol=50 * eps, atol=10 * eps)
    one = LOGISTIC.link(logits[:, :1])
    assert one.dtype == dtype
    assert_allclose(one[:, 1], expit(logits[:, 0]), rtol=50 * eps, atol=np.finfo(dtype).tiny)
    assert_allclose(one.sum(axis=1), 1)
    assert_array_equal(logits, before)


def test_unpickling_and_predicting_import_no_more_than_they_need(fitted, tmp_path):
    file = tmp_path / "estimator.pickle"
    file.write_bytes(pickle.dumps(fitted["estimator"]))
    code = (
        "import pickle, sys, numpy\n"
        "model = pickle.load(open(sys.argv[1], 'rb'))\n"
        f"model.predict(numpy.zeros((1, {FEATURES}), numpy.float32))\n"
        "print({'torch', 'skorch', 'onnx', 'sklearn.decomposition', 'sklearn.linear_model',\n"
        "       'sklearn.neural_network', 'sklearn.model_selection'} & {*sys.modules})"
    )
    command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", code, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
