"""Without pruning it is MLPClassifier; pruned it is nearly as good and several times smaller."""

import inspect

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skactprune import PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)


def data(n_classes):
    return make_classification(
        n_samples=75, n_features=7, n_informative=5, n_redundant=0, n_classes=n_classes,
        random_state=0,
    )  # fmt: skip


def assert_same_training(theirs, ours):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert theirs.n_iter_ == ours.n_iter_
    assert theirs.t_ == ours.t_
    assert theirs.n_layers_ == ours.n_layers_
    assert theirs.n_outputs_ == ours.n_outputs_
    assert theirs.out_activation_ == ours.out_activation_
    np.testing.assert_allclose(theirs.validation_scores_ or [], ours.validation_scores_ or [])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.usefixtures("both_steps")
def test_dense_training_is_the_same(solver, activation, n_classes, weighted):
    X, y = data(n_classes)
    weight = np.random.RandomState(0).uniform(0.5, 2, len(X)) if weighted else None
    params = {
        "hidden_layer_sizes": (8, 6),
        "activation": activation,
        "solver": solver,
        "alpha": 0.3,
        "batch_size": 20,
        "learning_rate_init": 0.02,
        "max_iter": 15,
        "random_state": 4,
        "epsilon": 1e-30,  # torch adds it at another place, where it means a little less
    }
    theirs = MLPClassifier(**params).fit(X, y, weight)
    ours = PrunedMLPClassifier(**params, prune_fraction=0).fit(X, y, weight)
    assert_same_training(theirs, ours)
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), atol=1e-10)
    assert (theirs.predict(X) == ours.predict(X)).all()
    np.testing.assert_allclose(theirs.predict_log_proba(X), ours.predict_log_proba(X), atol=1e-8)


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
        {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "tol": 0.05,
            "n_iter_no_change": 2,
            "alpha": 0,
        },
        {"solver": "adam", "beta_1": 0.8, "beta_2": 0.9},
        {"shuffle": False},
        {"batch_size": 1000},
        {"batch_size": "auto"},
        {"tol": 0.05, "n_iter_no_change": 3, "alpha": 0},
        {"n_iter_no_change": np.inf},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.01},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 5},
        {"hidden_layer_sizes": np.array([5, 4])},
    ],
)
@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger than sample size")
@pytest.mark.usefixtures("both_steps")
def test_parameters_mean_the_same(params):
    # MLPClassifier's validation rows are only stratified if there are two classes.
    X, y = data(2 if "early_stopping" in params else 3)
    params = {
        "hidden_layer_sizes": (8,),
        "learning_rate_init": 0.05,
        "batch_size": 20,
        "max_iter": 30,
        "random_state": 1,
        "epsilon": 1e-30,
    } | params
    theirs = MLPClassifier(**params).fit(X, y)
    ours = PrunedMLPClassifier(**params, n_prune_rounds=0).fit(X, y)
    assert_same_training(theirs, ours)
    if not params.get("early_stopping"):
        assert ours.best_loss_ == min(ours.loss_curve_)
    else:
        assert ours.best_validation_score_ == theirs.best_validation_score_


@pytest.mark.usefixtures("both_steps")
def test_warm_start_and_partial_fit_are_the_same():
    X, y = data(3)
    params = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 1, "epsilon": 1e-30}
    pair = [
        MLPClassifier(**params, warm_start=True),
        PrunedMLPClassifier(**params, warm_start=True, prune_fraction=0),
    ]
    for _ in range(3):
        for clf in pair:
            clf.fit(X, y)
        assert_same_training(*pair)

    pair = [MLPClassifier(**params), PrunedMLPClassifier(**params, prune_fraction=0)]
    for start in range(0, 75, 25):
        for clf in pair:
            clf.partial_fit(X[start : start + 25], y[start : start + 25], classes=[0, 1, 2])
        # MLPClassifier counts all epochs here, as its n_iter_ does.
        for name in ("coefs_", "intercepts_"):
            for a, b in zip(getattr(pair[0], name), getattr(pair[1], name), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        assert pair[0].t_ == pair[1].t_
        assert len(pair[0].loss_curve_) == len(pair[1].loss_curve_)


def test_parameters_and_attributes_are_mlpclassifiers():
    theirs = inspect.signature(MLPClassifier.__init__).parameters
    ours = inspect.signature(PrunedMLPClassifier.__init__).parameters
    assert set(theirs) - set(ours) == {"max_fun"}
    for name in set(theirs) & set(ours):
        assert theirs[name].default == ours[name].default
        assert theirs[name].kind == ours[name].kind
    X, y = data(2)
    fitted = {
        name
        for name in vars(MLPClassifier(max_iter=2).fit(X, y))
        if name.endswith("_") and not name.startswith("_")
    }
    clf = PrunedMLPClassifier(max_iter=2).fit(X, y)
    assert {name for name in fitted if not hasattr(clf, name)} == set()


def digits_accuracies(scaler, hidden_layer_sizes):
    """Mean test accuracies over 5 seeds in percent: MLPClassifier, dense, and default pruning."""
    X, y = load_digits(return_X_y=True)
    sizes = {"hidden_layer_sizes": hidden_layer_sizes}
    accuracy = {"theirs": [], "dense": [], "pruned": []}
    for seed in range(5):
        X_train, X_test, y_train, y_test = train_test_split(
            X.astype(np.float32), y, test_size=0.25, stratify=y, random_state=seed
        )
        fitted = scaler().fit(X_train)
        X_train, X_test = fitted.transform(X_train), fitted.transform(X_test)
        for name, clf in (
            ("theirs", MLPClassifier(**sizes)),
            ("dense", PrunedMLPClassifier(**sizes, prune_fraction=0)),
            ("pruned", PrunedMLPClassifier(**sizes)),
        ):
            clf.set_params(random_state=seed).fit(X_train, y_train)
            accuracy[name].append(clf.score(X_test, y_test))
        assert 0.8 <= clf.sparsity_ < 0.81
        assert sum(len(live) for live in clf.live_neurons_) < 200
    return {name: 100 * np.mean(scores) for name, scores in accuracy.items()}


@pytest.mark.parametrize(
    ("scaler", "hidden_layer_sizes", "margin"),
    [
        (MinMaxScaler, (100,), 0.5),
        (StandardScaler, (300, 100), 0.5),
        (StandardScaler, (100,), 0.8),
    ],
)
def test_digits_accuracy(scaler, hidden_layer_sizes, margin):
    """Dense within 0.3 points of MLPClassifier, pruned by 80 % within `margin` of dense."""
    mean = digits_accuracies(scaler, hidden_layer_sizes)
    assert abs(mean["dense"] - mean["theirs"]) <= 0.3, mean
    assert mean["pruned"] >= mean["dense"] - margin, mean
