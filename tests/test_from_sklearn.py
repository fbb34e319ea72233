"""From a model that one already has."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skactprune import Activation, Magnitude, PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(n_classes=3):
    return make_classification(
        n_samples=80, n_features=7, n_informative=5, n_redundant=0, n_classes=n_classes,
        random_state=0,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_predictions_are_equal_before_pruning(activation, solver, n_classes, dtype):
    X, y = data(n_classes)
    X = X.astype(dtype)
    labels = np.array(["b", "c", "a"])[y]
    mlp = MLPClassifier((9, 6), activation, solver=solver, max_iter=15, random_state=0)
    with np.errstate(over="ignore"):
        mlp.fit(X, labels)
    clf = PrunedMLPClassifier.from_sklearn(mlp, prune_fraction=0.5)
    assert (clf.predict(X) == mlp.predict(X)).all()
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(clf.predict_proba(X), mlp.predict_proba(X), atol=tolerance)
    assert clf.classes_.tolist() == mlp.classes_.tolist()
    assert clf.score(X, labels) == mlp.score(X, labels)
    assert [coef.dtype for coef in clf.coefs_] == [coef.dtype for coef in mlp.coefs_]
    assert clf.sparsity_ == 0
    assert clf.transform(X).shape == (80, 6)
    assert clf.solver == ("adam" if solver == "lbfgs" else solver)


@pytest.mark.parametrize("method", [Activation(), Magnitude()])
def test_fit_starts_from_these_weights_and_prunes(method):
    X, y = data()
    mlp = MLPClassifier((12, 9), max_iter=100, learning_rate_init=0.01, random_state=0).fit(X, y)
    weights = [coef.copy() for coef in mlp.coefs_]
    clf = PrunedMLPClassifier.from_sklearn(
        mlp, method=method, prune_fraction=0.5, max_iter=10, learning_rate_init=1e-6
    ).fit(X, y)
    assert clf.sparsity_ >= 0.5
    # Hardly trained: what is left is what was there.
    columns = [np.arange(7), *clf.live_neurons_]
    for coef, weight, mask, rows, live in zip(
        clf.coefs_, weights, clf.masks_, columns, clf.live_neurons_, strict=False
    ):
        small = mask[np.ix_(rows, live)]
        np.testing.assert_allclose(coef[small], weight[np.ix_(rows, live)][small], atol=1e-3)
    assert all((a == b).all() for a, b in zip(mlp.coefs_, weights, strict=True))


def test_fine_tuning_keeps_the_accuracy():
    X, y = data()
    mlp = MLPClassifier((40,), max_iter=200, learning_rate_init=0.01, random_state=0).fit(X, y)
    clf = PrunedMLPClassifier.from_sklearn(mlp, prune_fraction=0.5, max_iter=60).fit(X, y)
    assert len(clf.live_neurons_[0]) == 20
    assert clf.score(X, y) >= mlp.score(X, y) - 0.05


def test_clones_grids_and_pickles_start_from_them_too():
    X, y = data()
    mlp = MLPClassifier((12,), max_iter=20, random_state=0).fit(X, y)
    clf = PrunedMLPClassifier.from_sklearn(mlp, max_iter=4, random_state=0)
    copied = clone(clf)
    assert not hasattr(copied, "coefs_")
    expected = clf.fit(X, y).predict_proba(X)
    assert (copied.fit(X, y).predict_proba(X) == expected).all()
    unpickled = pickle.loads(pickle.dumps(PrunedMLPClassifier.from_sklearn(mlp, random_state=0)))
    np.testing.assert_allclose(unpickled.predict_proba(X), mlp.predict_proba(X), atol=1e-12)
    search = GridSearchCV(clf, {"prune_fraction": [0, 0.5]}, cv=2).fit(X, y)
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()


def test_later_training_of_the_original_changes_nothing():
    X, y = data()
    mlp = MLPClassifier((12,), max_iter=20, random_state=0).fit(X, y)
    clf = PrunedMLPClassifier.from_sklearn(mlp, max_iter=4, random_state=0)
    expected = clone(clf).fit(X, y).predict_proba(X)
    mlp.fit(-X, y)
    assert (clone(clf).fit(X, y).predict_proba(X) == expected).all()


def test_parameters_are_taken_over_and_given_ones_win():
    X, y = data()
    mlp = MLPClassifier((12,), "tanh", alpha=0.5, batch_size=13, max_iter=7).fit(X, y)
    clf = PrunedMLPClassifier.from_sklearn(mlp, alpha=0.1, prune_fraction=0.3)
    assert (clf.activation, clf.batch_size, clf.max_iter) == ("tanh", 13, 7)
    assert (clf.alpha, clf.prune_fraction) == (0.1, 0.3)


def test_feature_names_are_kept():
    X, y = data()
    frame = pd.DataFrame(X, columns=list("abcdefg"))
    mlp = MLPClassifier((12,), max_iter=3).fit(frame, y)
    clf = PrunedMLPClassifier.from_sklearn(mlp)
    assert clf.feature_names_in_.tolist() == list("abcdefg")
    clf.predict(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame.iloc[:, ::-1])


def test_partial_fit_goes_on_from_it():
    X, y = data()
    mlp = MLPClassifier((12,), max_iter=20, random_state=0).fit(X, y)
    clf = PrunedMLPClassifier.from_sklearn(mlp, prune_fraction=0.5, max_iter=5)
    for _ in range(5):
        clf.partial_fit(X, y)
    assert clf.sparsity_ == 0.5


def test_refusals():
    X, y = data()
    with pytest.raises(NotFittedError):
        PrunedMLPClassifier.from_sklearn(MLPClassifier())
    regressor = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3).fit(X, y)
    with pytest.raises(TypeError, match="mlp must be a fitted MLPClassifier, not MLPRegressor"):
        PrunedMLPClassifier.from_sklearn(regressor)
    clf = PrunedMLPClassifier.from_sklearn(MLPClassifier((5,), max_iter=3).fit(X, y))
    with pytest.raises(ValueError, match="sizes|features"):
        clf.fit(X[:, :4], y)
    with pytest.raises(ValueError, match="classes"):
        clf.fit(X, y + 5)
    mlp = MLPClassifier((10,), max_iter=3).fit(X, y)
    clf = PrunedMLPClassifier.from_sklearn(mlp, n_components=2)
    for call in (lambda: clf.transform(X), clf.get_feature_names_out):
        with pytest.raises(NotFittedError, match="n_components=2"):
            call()
    of_mlp = {"hidden_layer_sizes": (5,), "init_estimator": None, "pretrain": None}
    for name, value in of_mlp.items():
        with pytest.raises(ValueError, match=f"{name}=.* must be left out: it follows from mlp"):
            PrunedMLPClassifier.from_sklearn(mlp, **{name: value})


def test_weights_mean_the_same_in_the_net_that_takes_them():
    X, y = data()
    frame = pd.DataFrame(X, columns=list("abcdefg"))
    mlp = MLPClassifier((6,), max_iter=5, random_state=0).fit(frame, y)
    with pytest.raises(ValueError, match="activation='tanh' must be left out: it follows from mlp"):
        PrunedMLPClassifier.from_sklearn(mlp, activation="tanh")
    net = PrunedMLPClassifier(init_estimator=FrozenEstimator(mlp), max_iter=3)
    with pytest.raises(ValueError, match=r"(?s)init_estimator=.* features of the names .*; X has"):
        net.fit(frame[list("gfedcba")], y)
    net.set_params(activation="tanh")
    with pytest.raises(
        ValueError, match=r"(?s)init_estimator=.* has activation='relu'; it must be"
    ):
        net.fit(frame, y)
    single = MLPClassifier((6,), max_iter=5).fit(X.astype(np.float32), y)
    assert PrunedMLPClassifier.from_sklearn(single).coefs_[0].dtype == np.float32
    wide = PrunedMLPClassifier.from_sklearn(single, dtype="float64")
    assert wide.coefs_[0].dtype == np.float64
