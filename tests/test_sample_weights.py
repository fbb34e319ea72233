"""Weights of rows and classes mean the same in the loss, the counts and the pruning."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification

from skactprune import Activation, ActivationMagnitude, Magnitude, PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(
    n_samples=60, n_features=6, n_informative=5, n_redundant=0, n_classes=3, random_state=0
)


def assert_same_net(one, other, exact=False):
    for a, b in zip(one.live_neurons_, other.live_neurons_, strict=True):
        assert a.tolist() == b.tolist()
    for a, b in zip(one.masks_, other.masks_, strict=True):
        assert (a == b).all()
    tolerance = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-7, "atol": 1e-9}
    for a, b in zip(
        [*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True
    ):
        np.testing.assert_allclose(a, b, **tolerance)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 100),
    method=st.sampled_from(
        [
            Activation(),
            Activation(granularity="weight", scope="global"),
            ActivationMagnitude(),
            Magnitude(),
        ]
    ),
    solver=st.sampled_from(["sgd", "adam"]),
    activation=st.sampled_from(["relu", "tanh"]),
    accuracy=st.booleans(),
)
def test_integer_weights_equal_repeated_rows(seed, method, solver, activation, accuracy):
    weight = np.random.RandomState(seed).randint(0, 4, len(X))
    weight[:3] = 1  # all classes
    clf = PrunedMLPClassifier(
        (10, 8),
        activation,
        method=method,
        solver=solver,
        trigger="accuracy" if accuracy else "epoch",
        prune_fraction=0.6,
        n_prune_rounds=3,
        learning_rate_init=0.02,
        batch_size=1000,
        max_iter=25,
        random_state=0,
    )
    weighted = clf.fit(X, y, weight)
    repeated = clone(clf).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_same_net(weighted, repeated)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)
    for row, other in zip(weighted.pruning_history_, repeated.pruning_history_, strict=True):
        np.testing.assert_allclose(row.pop("train_score"), other.pop("train_score"), rtol=1e-12)
        assert row | {"seconds": 0} == other | {"seconds": 0}
    if weighted.activation_counts_ is not None:
        for a, b in zip(weighted.activation_counts_, repeated.activation_counts_, strict=True):
            assert a.tolist() == b.tolist()
            assert (a.dtype, b.dtype) == (np.float64, np.int64)


def test_components_of_integer_weights_equal_those_of_repeated_rows():
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    params = {"n_components": 2, "max_iter": 10, "random_state": 0, "batch_size": 1000}
    weighted = PrunedMLPClassifier((10,), **params).fit(X, y, weight)
    repeated = PrunedMLPClassifier((10,), **params).fit(
        np.repeat(X, weight, axis=0), np.repeat(y, weight)
    )
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), atol=1e-8)
    np.testing.assert_allclose(
        weighted.explained_variance_ratio_, repeated.explained_variance_ratio_
    )


@pytest.mark.parametrize("early_stopping", [False, True])
def test_class_weight_equals_the_same_sample_weights(early_stopping):
    params = {"max_iter": 12, "batch_size": 16, "random_state": 0, "early_stopping": early_stopping}
    by_class = {0: 0.5, 1: 3.0, 2: 1.0}
    one = PrunedMLPClassifier((10, 8), class_weight=by_class, **params).fit(X, y)
    other = PrunedMLPClassifier((10, 8), **params).fit(X, y, [by_class[label] for label in y])
    assert_same_net(one, other, exact=True)
    assert one.loss_curve_ == other.loss_curve_
    assert one.validation_scores_ == other.validation_scores_
    for a, b in zip(one.activation_counts_, other.activation_counts_, strict=True):
        assert a.tolist() == b.tolist()


def test_class_weight_multiplies_sample_weight():
    weight = np.random.RandomState(0).choice([0.5, 1.0, 2.0], len(X))
    by_class = {0: 0.5, 1: 4.0, 2: 1.0}
    params = {"max_iter": 6, "random_state": 0}
    one = PrunedMLPClassifier((10,), class_weight=by_class, **params).fit(X, y, weight)
    both = weight * [by_class[label] for label in y]
    assert_same_net(one, PrunedMLPClassifier((10,), **params).fit(X, y, both), exact=True)


def test_balanced_class_weight_makes_classes_weigh_the_same():
    rows = np.concatenate(
        [np.flatnonzero(y == label)[:n] for label, n in ((0, 5), (1, 10), (2, 15))]
    )
    params = {"max_iter": 6, "random_state": 0}
    one = PrunedMLPClassifier((10,), class_weight="balanced", **params).fit(X[rows], y[rows])
    weight = 30 / (3 * np.array([5, 10, 15]))
    other = PrunedMLPClassifier((10,), **params).fit(X[rows], y[rows], weight[y[rows]])
    assert_same_net(one, other, exact=True)


def test_weights_of_string_labels_go_by_label():
    names = np.array(["c", "a", "b"])[y]
    params = {"max_iter": 6, "random_state": 0}
    one = PrunedMLPClassifier((10,), class_weight={"a": 4.0}, **params).fit(X, names)
    other = PrunedMLPClassifier((10,), **params).fit(X, names, np.where(names == "a", 4.0, 1.0))
    assert_same_net(one, other, exact=True)
    assert one.classes_.tolist() == ["a", "b", "c"]


def test_rows_of_weight_zero_do_not_matter_even_in_mini_batches():
    weight = np.random.RandomState(0).choice([0.0, 1.0, 2.0], len(X))
    params = {"max_iter": 6, "random_state": 0, "batch_size": 16}
    kept = weight > 0
    assert_same_net(
        PrunedMLPClassifier((10,), **params).fit(X, y, weight),
        PrunedMLPClassifier((10,), **params).fit(X[kept], y[kept], weight[kept]),
        exact=True,
    )


def test_sparse_rows_give_the_same_net():
    params = {"max_iter": 6, "random_state": 0, "batch_size": 16}
    weight = np.random.RandomState(0).choice([0.5, 1.0, 2.0], len(X))
    rows = np.where(np.abs(X) < 0.7, 0, X)
    dense = PrunedMLPClassifier((10,), **params).fit(rows, y, weight)
    stored = PrunedMLPClassifier((10,), **params).fit(sparse.csr_array(rows), y, weight)
    assert_same_net(dense, stored, exact=True)
    np.testing.assert_allclose(
        dense.predict_proba(rows), stored.predict_proba(sparse.csc_array(rows)), rtol=1e-12
    )
    np.testing.assert_allclose(dense.transform(rows), stored.transform(sparse.coo_array(rows)))
