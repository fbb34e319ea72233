"""Types of numbers and places to compute."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import make_classification

from skactprune import PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(
    n_samples=80, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)


def make(**params):
    base = {"prune_fraction": 0.6, "max_iter": 8, "batch_size": 20, "random_state": 0}
    return PrunedMLPClassifier((14, 9), **{**base, **params})


def dtypes(clf):
    arrays = [*clf.coefs_, *clf.intercepts_, clf.predict_proba(X), clf.transform(X)]
    parameters = list(clf.net_.module_.parameters())
    moments = [clf.net_.optimizer_.state[p]["exp_avg"] for p in parameters]
    arrays += [p.detach().numpy() for p in (*parameters, *moments)]
    return {array.dtype for array in arrays}


@pytest.mark.parametrize(
    ("dtype", "given", "expected"),
    [
        ("auto", np.float32, np.float32),
        ("auto", np.float64, np.float64),
        ("auto", np.int64, np.float64),
        ("auto", np.float16, np.float64),
        ("float32", np.float64, np.float32),
        ("float64", np.float32, np.float64),
    ],
)
@pytest.mark.parametrize("n_components", [None, 2])
def test_dtype(dtype, given, expected, n_components):
    rows = np.round(4 * X).astype(given)
    clf = make(dtype=dtype, n_components=n_components).fit(rows, y)
    assert dtypes(clf) == {np.dtype(expected)}
    assert clf.predict_proba(rows.astype(np.float64)).dtype == expected
    clf.partial_fit(rows, y)
    assert dtypes(pickle.loads(pickle.dumps(clf))) == {np.dtype(expected)}


@pytest.mark.parametrize("layout", ["F", "readonly", "strided", "list", "csr", "csc", "memmap"])
def test_rows_in_any_layout(layout, tmp_path):
    expected = make().fit(X, y).predict_proba(X)
    if layout == "F":
        rows = np.asfortranarray(X)
    elif layout == "readonly":
        rows = X.copy()
        rows.flags.writeable = False
    elif layout == "strided":
        rows = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    elif layout == "list":
        rows = X.tolist()
    elif layout == "csr":
        rows = sparse.csr_matrix(X)
    elif layout == "csc":
        rows = sparse.csc_array(X)
    else:
        np.save(tmp_path / "rows.npy", X)
        rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    clf = make().fit(rows, y)
    np.testing.assert_allclose(clf.predict_proba(rows), expected, rtol=1e-12)


def test_rows_are_not_changed():
    rows, labels, weight = X.copy(), y.copy(), np.ones(len(X))
    clf = make(early_stopping=True).fit(rows, labels, weight)
    clf.predict_proba(rows)
    clf.transform(rows)
    clf.set_params(early_stopping=False).partial_fit(rows, labels, weight)
    assert (rows == X).all() and (labels == y).all() and (weight == 1).all()


@pytest.mark.parametrize("activation", ["relu", "identity", "tanh", "logistic"])
def test_predicting_and_transforming_do_not_change_rows_or_each_other(activation):
    clf = make(activation=activation).fit(X, y)
    rows = X.copy()
    before = clf.predict_proba(rows), clf.transform(rows)
    for _ in range(2):
        assert (clf.predict_proba(rows) == before[0]).all()
        assert (clf.transform(rows) == before[1]).all()
    assert (rows == X).all()


def test_fitted_arrays_that_are_given_out_do_not_move_when_training_goes_on():
    clf = make().fit(X, y)
    coefs = clf.coefs_
    before = [coef.copy() for coef in coefs]
    clf.partial_fit(X, y)
    assert all((a == b).all() for a, b in zip(coefs, before, strict=True))


def test_auto_is_the_cpu_where_there_is_nothing_else(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    clf = make(device="auto").fit(X, y)
    assert clf.net_.module_.layers[0].weight.device.type == "cpu"
    expected = make().fit(X, y).predict_proba(X)
    assert (clf.predict_proba(X) == expected).all()
