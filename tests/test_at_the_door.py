"""What comes in by parameters and assigned attributes, in forms that are not Python's own."""

import copy
import json
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skactprune import PrunedMLPClassifier, load

X, y = load_iris(return_X_y=True)
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
SCALARS = {
    "alpha": np.float32(0.1),
    "batch_size": np.uint8(20),
    "beta_1": 0,
    "beta_2": np.float32(0.9),
    "early_stopping": np.bool_(True),
    "epsilon": np.float32(1e-7),
    "fit_inverse_transform": np.bool_(True),
    "inverse_alpha": np.float32(0.5),
    "learning_rate_init": np.float32(0.1),
    "max_iter": np.int64(12),
    "momentum": np.float64(0.9),
    "n_components": np.uint64(3),
    "n_iter_no_change": np.int8(3),
    "n_prune_rounds": np.uint16(3),
    "nesterovs_momentum": np.bool_(False),
    "power_t": np.float16(0.5),
    "prune_fraction": np.float32(0.5),
    "shuffle": np.bool_(False),
    "tol": np.float32(0.1),
    "transform_layer": np.int64(0),
    "validation_fraction": np.float32(0.2),
}


def fit(**params):
    defaults = {"max_iter": 12, "learning_rate_init": 0.02, "random_state": 0}
    return PrunedMLPClassifier(**{"hidden_layer_sizes": (16, 8)} | defaults | params).fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("name", SCALARS)
def test_scalars_of_numpy_are_those_of_python(name, solver, tmp_path):
    value = SCALARS[name]
    plain = value.item() if isinstance(value, np.generic) else float(value)
    one, other = fit(solver=solver, **{name: value}), fit(solver=solver, **{name: plain})
    assert one.predict_proba(X).tobytes() == other.predict_proba(X).tobytes()
    assert pickle.loads(pickle.dumps(one)).net_ is not None
    one.compact().save(tmp_path / "model")
    assert load(tmp_path / "model").predict(X).tolist() == one.predict(X).tolist()
    json.dumps(one.compact().weights_.metadata())


@pytest.mark.parametrize("dropout", [np.array(3), ["a"], [0.1, 0.2], [0.1, np.nan, 0.1]])
def test_dropout_rates_out_of_range(dropout):
    with pytest.raises(ValueError, match="dropout=.* must be one rate in"):
        fit(dropout=dropout)


def test_numbers_that_do_not_fit():
    with pytest.raises(ValueError, match=r"alpha=1e\+300 must be at most 3.4e\+38.*float32"):
        PrunedMLPClassifier(alpha=1e300).fit(X.astype(np.float32), y)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(1099511627776,\) asks for"):
        fit(hidden_layer_sizes=(2**40,))


@pytest.mark.parametrize(
    "net_params",
    [
        {3: 4},
        {"callbacks": "x"},
        {"callbacks": [3]},
        {"callbacks__pruner": None},
        {"callbacks__pruner__prune_fraction": 0.1},
        {"module__dropout": (0, 0)},
    ],
)
def test_nonsense_in_net_params(net_params):
    with pytest.raises(ValueError, match="net_params"):
        fit(net_params=net_params)


def through_pickle(clf):
    return pickle.loads(pickle.dumps(clf))


@pytest.mark.parametrize("way", [through_pickle, copy.copy, copy.deepcopy])
def test_assigned_weights_are_the_model(way):
    clf = fit()
    before = clf.net_
    clf.coefs_ = [2 * coef for coef in clf.coefs_]
    clf.intercepts_ = [bias - 0.1 for bias in clf.intercepts_]
    expected = clf.predict_proba(X)
    assert clf.net_ is not before
    other = way(clf)
    assert other.predict_proba(X).tobytes() == expected.tobytes()
    np.testing.assert_allclose(other.net_.predict_proba(X), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.compact().predict_proba(X), expected, rtol=1e-12)
    # Training goes on from them: one epoch with hardly any learning rate changes next to nothing.
    other.set_params(solver="sgd", learning_rate_init=1e-12, prune_fraction=0.8).partial_fit(X, y)
    np.testing.assert_allclose(other.predict_proba(X), expected, atol=1e-6)


def test_assigned_weights_of_other_shapes_do_not_go_on():
    clf = fit()
    clf.coefs_ = [np.zeros((4, 3)), np.zeros((3, 3))]
    with pytest.raises(ValueError, match="coefs_ were assigned in the shapes"):
        clf.partial_fit(X, y)


def test_a_call_that_fails_draws_no_random_number(monkeypatch):
    clf, twin = fit(), fit()

    def fails(self, *args):
        raise RuntimeError("at the end")

    with monkeypatch.context() as patch:
        patch.setattr(PrunedMLPClassifier, "_fit_components", fails)
        with pytest.raises(RuntimeError, match="at the end"):
            clf.partial_fit(X, y)
    assert clf.partial_fit(X, y).coefs_[0].tobytes() == twin.partial_fit(X, y).coefs_[0].tobytes()


def test_weights_align_with_live_neurons_while_they_may_regrow():
    from skactprune import Activation

    clf = PrunedMLPClassifier((12, 9), method=Activation(regrow=True), max_iter=6, random_state=0)
    for _ in range(6):
        clf.partial_fit(X, y, classes=[0, 1, 2])
        columns = [np.arange(4), *clf.live_neurons_]
        for coef, mask, before, live in zip(
            clf.coefs_, clf.masks_, columns, clf.live_neurons_, strict=False
        ):
            assert coef.shape == mask[np.ix_(before, live)].shape
