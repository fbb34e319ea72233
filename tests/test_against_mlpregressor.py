"""Without pruning it is MLPRegressor; pruned it is nearly as good and several times smaller."""

import inspect
from functools import cache

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_regression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skactprune import PrunedMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(n_targets=1, positive=False):
    X, y = make_regression(75, 7, n_targets=n_targets, noise=1.0, random_state=0)
    y = y / y.std(axis=0)
    return X, np.abs(y) if positive else y


def assert_same_training(theirs, ours):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(theirs, name) == getattr(ours, name), name
    np.testing.assert_allclose(theirs.validation_scores_ or [], ours.validation_scores_ or [])
    X, _ = data()
    np.testing.assert_allclose(theirs.predict(X), ours.predict(X), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.usefixtures("both_steps")
def test_dense_training_is_the_same(loss, solver, n_targets, weighted):
    X, y = data(n_targets, positive=loss == "poisson")
    weight = np.random.RandomState(0).uniform(0.5, 2, len(X)) if weighted else None
    params = {
        "hidden_layer_sizes": (8, 6),
        "solver": solver,
        "batch_size": 20,
        "learning_rate_init": 0.02,
        "max_iter": 15,
        "random_state": 4,
        "epsilon": 1e-30,  # torch adds it at another place, where it means a little less
    }
    for alpha in (0.0, 0.3):
        theirs = MLPRegressor(loss, **params, alpha=alpha).fit(X, y, weight)
        ours = PrunedMLPRegressor(loss, **params, alpha=alpha, prune_fraction=0).fit(X, y, weight)
        assert_same_training(theirs, ours)
        # Ours takes the penalty at the end of an epoch.
        if not alpha:
            np.testing.assert_allclose(theirs.loss_curve_, ours.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
        {"tol": 0.05, "n_iter_no_change": 3},
        {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.01},
        {"early_stopping": True, "loss": "poisson"},
        {"hidden_layer_sizes": ()},
    ],
)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_parameters_mean_the_same(params, n_targets):
    X, y = data(n_targets, positive=params.get("loss") == "poisson")
    params = {
        "hidden_layer_sizes": (8,),
        "learning_rate_init": 0.05,
        "batch_size": 20,
        "max_iter": 30,
        "random_state": 1,
        "alpha": 0,
        "epsilon": 1e-30,
    } | params
    theirs = MLPRegressor(**params).fit(X, y)
    ours = PrunedMLPRegressor(**params, n_prune_rounds=0).fit(X, y)
    assert_same_training(theirs, ours)
    name = "best_validation_score_" if params.get("early_stopping") else "best_loss_"
    np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=1e-9)


def test_warm_start_and_partial_fit_are_the_same():
    X, y = data(2)
    params = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 1, "epsilon": 1e-30}
    pair = [
        MLPRegressor(**params, warm_start=True),
        PrunedMLPRegressor(**params, warm_start=True, prune_fraction=0),
    ]
    for _ in range(3):
        assert_same_training(*(net.fit(X, y) for net in pair))
    pair = [MLPRegressor(**params), PrunedMLPRegressor(**params, prune_fraction=0)]
    for start in range(0, 75, 25):
        rows = slice(start, start + 25)
        theirs, ours = (net.partial_fit(X[rows], y[rows]) for net in pair)
        np.testing.assert_allclose(theirs.predict(X), ours.predict(X), rtol=1e-9)


def test_parameters_and_attributes_are_mlpregressors():
    theirs = inspect.signature(MLPRegressor.__init__).parameters
    ours = inspect.signature(PrunedMLPRegressor.__init__).parameters
    assert set(theirs) - set(ours) == {"max_fun"}
    assert list(theirs)[:4] == list(ours)[:4]
    for name in set(theirs) & set(ours):
        assert theirs[name].default == ours[name].default
        assert theirs[name].kind == ours[name].kind
    X, y = data()
    net = PrunedMLPRegressor(max_iter=2).fit(X, y)
    fitted = {
        name
        for name in vars(MLPRegressor(max_iter=2).fit(X, y))
        if name.endswith("_") and not name.startswith("_")
    }
    assert {name for name in fitted if not hasattr(net, name)} == set()


TABLES = {
    "diabetes": lambda seed: load_diabetes(return_X_y=True),
    "friedman1": lambda seed: make_friedman1(400, noise=1.0, random_state=seed),
    "friedman2": lambda seed: make_friedman2(400, noise=50.0, random_state=seed),
    "several targets": lambda seed: make_regression(
        400, 20, n_informative=10, n_targets=3, noise=20.0, random_state=seed
    ),
}


@cache
def scores(table):
    """Mean test R² of 2 seeds in percent: MLPRegressor, dense, and default pruning."""
    found = {"theirs": [], "dense": [], "pruned": []}
    params = {"learning_rate_init": 0.005, "max_iter": 100}
    for seed in range(2):
        X, y = TABLES[table](seed)
        X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, random_state=seed)
        for name, net in (
            ("theirs", MLPRegressor(**params)),
            ("dense", PrunedMLPRegressor(**params, prune_fraction=0)),
            ("pruned", PrunedMLPRegressor(**params)),
        ):
            net.set_params(random_state=seed)
            scaled = TransformedTargetRegressor(net, transformer=StandardScaler())
            model = make_pipeline(StandardScaler(), scaled).fit(X, y)
            found[name].append(model.score(X_test, y_test))
        assert 0.8 <= scaled.regressor_.sparsity_ < 0.81
        assert len(scaled.regressor_.live_neurons_[0]) == 20
    return {name: 100 * np.mean(each) for name, each in found.items()}


@pytest.mark.parametrize("table", TABLES)
def test_scores_on_tables(table):
    """Dense within 1 % of MLPRegressor's R², pruned by 80 % within 3 points of dense."""
    mean = scores(table)
    assert abs(mean["dense"] - mean["theirs"]) <= 0.01 * mean["theirs"], mean
    assert mean["pruned"] >= mean["dense"] - 3, mean
