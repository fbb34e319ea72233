"""What happens to a fitted estimator when its parameters or its data are unusual afterwards."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification

from skactprune import PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)


def data(dtype=np.float64):
    X, y = make_classification(80, 6, n_informative=4, n_classes=3, random_state=0)
    return X.astype(dtype), y


@pytest.mark.parametrize(
    "changed",
    [{"method": "unknown"}, {"prune_fraction": 0.9999}, {"n_components": 99}, {"trigger": "x"}],
)
def test_a_pickle_opens_whatever_was_set_after_fit(changed):
    X, y = data()
    clf = PrunedMLPClassifier((12,), max_iter=5, random_state=0).fit(X, y)
    expected = clf.predict_proba(X)
    again = pickle.loads(pickle.dumps(clf.set_params(**changed)))
    np.testing.assert_array_equal(again.predict_proba(X), expected)
    with pytest.raises(ValueError, match=next(iter(changed))):
        again.fit(X, y)


def test_other_hidden_sizes_do_not_go_on():
    X, y = data()
    clf = PrunedMLPClassifier((12,), max_iter=5, warm_start=True, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(10,\) must stay \(12,\)"):
        clf.set_params(hidden_layer_sizes=(10,)).fit(X, y)


def test_warm_start_takes_over_another_dtype():
    X, y = data()
    clf = PrunedMLPClassifier((12,), max_iter=5, warm_start=True, random_state=0).fit(X, y)
    clf.set_params(dtype="float32").fit(X, y)
    assert clf.coefs_[0].dtype == clf.predict_proba(X).dtype == np.float32


def test_early_stopping_with_a_class_of_one_row():
    X, y = data()
    y[y == 2] = 1
    y[0] = 2
    clf = PrunedMLPClassifier((12,), max_iter=8, early_stopping=True, random_state=0).fit(X, y)
    assert clf.classes_.tolist() == [0, 1, 2]
    assert len(clf.validation_scores_) == clf.n_iter_


def test_early_stopping_with_fewer_validation_rows_than_classes():
    X, y = data()
    y = np.arange(len(y)) % 20
    clf = PrunedMLPClassifier((12,), max_iter=5, early_stopping=True, random_state=0).fit(X, y)
    assert len(clf.classes_) == 20


def test_optimizer_with_statistics_that_cannot_be_cut_starts_anew():
    X, y = data()
    net_params = {"optimizer": torch.optim.Adafactor}
    clf = PrunedMLPClassifier((12,), max_iter=10, net_params=net_params, random_state=0).fit(X, y)
    assert clf.sparsity_ >= 0.8
    assert all(np.isfinite(coef).all() for coef in clf.coefs_)


def test_lbfgs_is_refused():
    X, y = data()
    net_params = {"optimizer": torch.optim.LBFGS}
    with pytest.raises(ValueError, match="LBFGS is not supported"):
        PrunedMLPClassifier((12,), net_params=net_params).fit(X, y)


@pytest.mark.parametrize(
    "changed",
    [
        {"prune_fraction": 0.9999},
        {"solver": "sgd", "learning_rate_init": 1e200, "activation": "identity"},
        {"early_stopping": True, "validation_fraction": 0.001},
    ],
)
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fit_that_fails_changes_nothing(changed, warm_start):
    X, y = data()
    clf = PrunedMLPClassifier((12,), max_iter=5, warm_start=warm_start, random_state=0).fit(X, y)
    before = clf.__getstate__()
    expected = clf.predict_proba(X)
    rows, labels = (X, y) if warm_start else (X[:, :4], (y > 0) + 5)
    with pytest.raises(ValueError):
        clf.set_params(**changed).fit(rows, labels)
    clf.set_params(**{name: before[name] for name in changed})
    np.testing.assert_equal(clf.__getstate__(), before)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    assert clf.n_features_in_ == 6 and clf.classes_.tolist() == [0, 1, 2]
    assert len(clf.loss_curve_) == 5


def test_a_first_partial_fit_that_fails_fits_nothing():
    X, y = data()
    clf = PrunedMLPClassifier((12,), prune_fraction=0.9999)
    with pytest.raises(ValueError, match="prune_fraction=0.9999 cannot be reached"):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert vars(clf) == vars(PrunedMLPClassifier((12,), prune_fraction=0.9999))
