"""PrunedMLPRegressor: losses, targets and their units, and all that classifiers have, too."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone, is_regressor
from sklearn.callback import ScoringMonitor
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PowerTransformer, StandardScaler

from skactprune import (
    CompactMLPRegressor,
    PrunedMLPRegressor,
    compact,
    compact_low_rank,
    load,
    save,
    to_onnx,
)
from skactprune.methods import METHODS, get_method
from skactprune.triggers import ScoreTrigger

pytestmark = pytest.mark.filterwarnings(
    "ignore:(?s)Stochastic Optimizer", "ignore:(?s).*Take a lower prune_fraction"
)
X, y = make_friedman1(150, 8, random_state=0)
y = (y - y.mean()) / y.std()
Y = np.stack([y, np.sin(3 * X[:, 0])], axis=1)
PARAMS = {"hidden_layer_sizes": (24, 16), "learning_rate_init": 0.01, "random_state": 0}
QUICK = PARAMS | {"max_iter": 12, "batch_size": 50}
LOSSES = ["squared_error", "absolute_error", "quantile", "poisson"]


def net_of(loss, **params):
    quantile = 0.8 if loss == "quantile" else None
    return PrunedMLPRegressor(loss, quantile=quantile, **QUICK | params)


def targets(loss, several=False):
    found = Y if several else y
    return np.exp(found) if loss == "poisson" else found


# -- every method -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_prunes_regressors(method):
    fraction = None if get_method(method).own_threshold else 0.6
    net = PrunedMLPRegressor(
        method=method, prune_fraction=fraction, **PARAMS, max_iter=25, batch_size=30
    ).fit(X, Y)
    # What counts on all weights takes more.
    assert net.sparsity_ >= 0.6 - 1e-12 and net.predict(X).shape == Y.shape
    # Better than a constant by far, but for what cuts most of the paths.
    assert net.score(X, Y) > (0.0 if method in ("ganguli2024", "grasp", "svd_training") else 0.2)
    np.testing.assert_allclose(net.net_.predict(X), net.predict(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(net.compact().predict(X), net.predict(X), rtol=1e-9, atol=1e-12)


# -- losses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantiles_and_medians(quantile):
    rng = np.random.RandomState(0)
    rows = rng.uniform(-1, 1, (400, 2))
    noisy = rows[:, 0] + (1 + rows[:, 0]) * rng.standard_normal(400)
    found = PrunedMLPRegressor("quantile", quantile=quantile, **PARAMS).fit(rows, noisy)
    assert abs(np.mean(noisy <= found.predict(rows)) - quantile) < 0.04
    if quantile == 0.5:
        # Half of the absolute error is the pinball loss of the median; rates of sgd are its own.
        params = {"solver": "sgd", "momentum": 0, "alpha": 0, "random_state": 0, "max_iter": 5}
        one = PrunedMLPRegressor("quantile", quantile=0.5, learning_rate_init=0.02, **params)
        other = PrunedMLPRegressor("absolute_error", learning_rate_init=0.01, **params)
        pair = [net.fit(rows, noisy).predict(rows) for net in (one, other)]
        np.testing.assert_allclose(*pair, rtol=1e-9)


def test_absolute_errors_are_robust():
    spoilt = y.copy()
    spoilt[::10] += 30
    absolute, squared = (
        r2_score(y, PrunedMLPRegressor(loss, **PARAMS, max_iter=100).fit(X, spoilt).predict(X))
        for loss in ("absolute_error", "squared_error")
    )
    assert absolute > 0.6 and absolute > squared + 0.3


def test_poisson_means_are_positive():
    counts = np.random.RandomState(0).poisson(np.exp(2 * X[:, 0]))
    net = PrunedMLPRegressor("poisson", **PARAMS, max_iter=100).fit(X, counts)
    assert (net.predict(X) > 0).all() and net.out_activation_ == "exp"
    np.testing.assert_allclose(net.predict(X).mean(), counts.mean(), rtol=0.1)


@pytest.mark.parametrize("loss", LOSSES)
def test_early_stopping_goes_by_what_is_minimised(loss):
    net = net_of(loss, early_stopping=True, max_iter=30, prune_fraction=0).fit(X, targets(loss))
    best = max(net.validation_scores_)
    assert net.best_validation_score_ == best
    # The same rows are set aside again.
    _, held_out = net._task.split(y, 0.1, _after_drawing(net))
    t, p = targets(loss)[held_out], net.predict(X[held_out])
    metric = {"quantile": 0.8, "absolute_error": 0.5}.get(loss)
    expected = r2_score(t, p) if metric is None else d2_pinball_score(t, p, alpha=metric)
    np.testing.assert_allclose(best, expected, rtol=1e-9)


def test_rows_to_validate_on_are_given():
    params = {"early_stopping": True, "prune_fraction": 0, "max_iter": 20}
    more = X[:40]
    net = net_of("poisson", **params).fit(X, np.exp(y), X_val=more, y_val=np.exp(y[:40]))
    expected = r2_score(np.exp(y[:40]), net.predict(more))
    np.testing.assert_allclose(net.best_validation_score_, expected, rtol=1e-9)
    with pytest.raises(ValueError, match="y_val must not be negative with loss='poisson'"):
        clone(net).fit(X, np.exp(y), X_val=more, y_val=y[:40])
    by_loss = net_of("poisson", **params, scoring="loss").fit(X, np.exp(y))
    assert by_loss.validation_scores_ == [-loss for loss in by_loss.validation_loss_curve_]


def _after_drawing(net):
    """Generator as it was when weights had been drawn."""
    rng = np.random.RandomState(net.random_state)
    for coef in net.coefs_:
        rng.uniform(size=coef.shape)
        rng.uniform(size=coef.shape[1])
    return rng


# -- targets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_shapes_and_types(loss, several, dtype):
    t = targets(loss, several)
    net = net_of(loss).fit(X.astype(dtype), t)
    assert is_regressor(net) and net.n_outputs_ == (2 if several else 1)
    assert net.predict(X).shape == t.shape and net.predict(X).dtype == dtype
    assert net.score(X, t) == r2_score(t, net.predict(X))
    column = t if several else t[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataConversionWarning)
        again = clone(net).fit(sparse.csr_matrix(X.astype(dtype)), column)
    tolerance = 1e-7 if dtype == np.float64 else 1e-2
    np.testing.assert_allclose(again.predict(X), net.predict(X), rtol=tolerance, atol=tolerance)


def test_column_of_targets_is_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        net_of("squared_error").fit(X, y[:, None])


def test_integers_are_numbers():
    counts = np.round(3 * y).astype(int)
    one, other = (net_of("squared_error").fit(X, t).predict(X) for t in (counts, counts * 1.0))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "loss, unit, advice",
    [
        ("squared_error", lambda y: 1e6 + 1e3 * y, "TransformedTargetRegressor"),
        ("squared_error", lambda y: 1e-6 * y, "TransformedTargetRegressor"),
        ("absolute_error", lambda y: 1e6 + 1e3 * y, "TransformedTargetRegressor"),
        ("poisson", lambda y: 1e6 + 1e5 * y, "Divide them by their mean"),
        ("squared_error", lambda y: np.c_[y, 1e6 + y], "TransformedTargetRegressor"),
    ],
)
def test_targets_in_a_unit_of_their_own(loss, unit, advice):
    with pytest.warns(ConvergenceWarning, match=rf"(?s)R² on the training rows is.*{advice}"):
        net_of(loss).fit(X, unit(y))


def test_scaled_targets_are_learned_and_leave_in_their_unit():
    own = 1e6 + 1e3 * Y
    scaled = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), PrunedMLPRegressor(**PARAMS)), transformer=StandardScaler()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        scaled.fit(X, own)
    assert scaled.score(X, own) > 0.8
    model = compact(scaled)
    assert [type(step) for _, step in model.steps] == [CompactMLPRegressor]
    np.testing.assert_allclose(model.predict(X), scaled.predict(X), rtol=1e-12)
    # What is kept in few bits is what was trained, not what was scaled.
    change = compact(scaled, "int8")[-1].compression_report(model, X, own)
    assert change["max_change"] < 100 and change["r2"] > change["reference_r2"] - 0.01


@pytest.mark.parametrize("transformer", [StandardScaler(), MinMaxScaler(), None])
@pytest.mark.parametrize("targets", [y, y[:, None], np.c_[y, -y]], ids=["flat", "column", "two"])
def test_targets_come_back_in_their_shape(transformer, targets, tmp_path):
    net = make_pipeline(StandardScaler(), net_of("squared_error", max_iter=3))
    scaled = TransformedTargetRegressor(net, transformer=transformer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataConversionWarning)
        scaled.fit(X, targets)
    for model in (compact(scaled), compact_low_rank(scaled, 0)):
        last = model[-1] if isinstance(model, Pipeline) else model
        save(last, tmp_path / "model")
        for small in (last, load(tmp_path / "model"), last.compact("int8"), last.compact()):
            assert small.predict(X).shape == scaled.predict(X).shape
            assert small.predicts_column_ is (targets is not y and targets.shape[1] == 1)
        np.testing.assert_allclose(model.predict(X), scaled.predict(X), rtol=1e-6)
        assert last.compression_report(scaled, X, targets)["max_change"] < 1e-6


def test_what_is_done_to_targets_besides_is_refused():
    net = net_of("squared_error", max_iter=3)
    for params, named in (
        ({"func": np.log, "inverse_func": np.exp}, "func=<ufunc 'log'>"),
        ({"transformer": PowerTransformer()}, r"transformer=PowerTransformer\(\)"),
    ):
        scaled = TransformedTargetRegressor(net, **params).fit(X, y - y.min() + 1)
        with pytest.raises(TypeError, match=f"{named} of a TransformedTargetRegressor cannot"):
            compact(scaled)


def test_scaled_targets_of_low_rank_layers():
    net = make_pipeline(StandardScaler(), net_of("squared_error", prune_fraction=0))
    scaled = TransformedTargetRegressor(net, transformer=StandardScaler()).fit(X, 1e3 * Y)
    model = compact_low_rank(scaled, 0.3)[-1]
    direct = compact_low_rank(scaled.regressor_, 0.3)[-1]
    assert model.kernel_sizes_ == direct.kernel_sizes_
    expected = scaled.transformer_.inverse_transform(direct.predict(X).reshape(len(X), -1))
    np.testing.assert_allclose(model.predict(X), expected.reshape(model.predict(X).shape))


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_nothing_is_said_of_usual_targets(loss):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net_of(loss, max_iter=2).fit(X, y)
        net_of(loss).fit(X, np.full(150, 1e6))
        net_of(loss).partial_fit(X, 1e6 + y)
    assert not [w for w in caught if "training rows" in str(w.message)]


# -- as of classifiers ------------------------------------------------------------------------


def test_score_triggers_wait_for_r2():
    net = PrunedMLPRegressor(trigger=ScoreTrigger(0.5, 0.9), **PARAMS).fit(X, y)
    assert [row["train_score"] >= 0.5 for row in net.pruning_history_] == [True] * 5
    assert net.sparsity_ >= 0.8
    with pytest.raises(ValueError, match="trigger='accuracy' needs class labels as targets"):
        net_of("squared_error", trigger="accuracy").fit(X, y)


def test_scores_of_rounds_are_r2_of_the_link():
    net = net_of("poisson", shuffle=False, batch_size=150, n_prune_rounds=1, trigger="epoch")
    net.set_params(max_iter=1).fit(X, np.exp(y))
    first = clone(net).set_params(prune_fraction=0, max_iter=1, learning_rate_init=1e-12)
    expected = first.fit(X, np.exp(y)).score(X, np.exp(y))
    np.testing.assert_allclose(net.pruning_history_[0]["train_score"], expected, rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("several", [False, True])
def test_copies_files_and_onnx_predict_the_same(loss, several, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    net = net_of(loss, n_components=3).fit(X, targets(loss, several))
    expected = net.predict(X)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        np.testing.assert_array_equal(other.predict(X), expected)
    model = net.compact()
    save(model, tmp_path / "net")
    for other in (model, load(tmp_path / "net"), pickle.loads(pickle.dumps(model))):
        assert type(other) is CompactMLPRegressor and is_regressor(other)
        assert other.out_activation_ == net.out_activation_ and other.n_outputs_ == net.n_outputs_
        np.testing.assert_allclose(other.predict(X), expected, rtol=1e-9)
        np.testing.assert_allclose(other.transform(X), net.transform(X), rtol=1e-9, atol=1e-12)
        assert other.score(X, targets(loss, several)) == pytest.approx(
            net.score(X, targets(loss, several))
        )
    session = ort.InferenceSession(to_onnx(net).SerializeToString())
    (variable,) = session.run(None, {"X": X})
    assert [output.name for output in session.get_outputs()] == ["variable"]
    np.testing.assert_allclose(variable, expected.reshape(150, -1), rtol=1e-9)


def test_skops_files_hold_our_own_types_alone():
    sio = pytest.importorskip("skops.io")
    net = net_of("quantile").fit(X, y)
    dumped = sio.dumps(net)
    unknown = sio.get_untrusted_types(data=dumped)
    assert all(name.startswith("skactprune.") for name in unknown), unknown
    other = sio.loads(dumped, trusted=unknown)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))


def test_files_with_another_output_activation_are_refused(tmp_path, monkeypatch):
    model = net_of("poisson").fit(X, np.exp(y)).compact()
    for other in ("softmax", None, ["exp"]):
        model.out_activation_ = other
        save(model, tmp_path / "net")
        with pytest.raises(ValueError, match="its out_activation is invalid"):
            load(tmp_path / "net")


def test_int8_and_report():
    net = PrunedMLPRegressor(**PARAMS).fit(X, y)
    report = net.compact("int8").compression_report(net, X, y)
    assert report["storage"] == "int8" and 0 < report["mean_change"] <= report["max_change"] < 0.2
    assert report["reference_r2"] == net.score(X, y)
    assert report["r2"] == net.compact("int8").score(X, y)
    assert "r2" not in net.compact().compression_report(net, X)


def test_targets_that_cannot_be_scaled_back():
    for transformer, loss, error in (
        (
            MaxAbsScaler(),
            "squared_error",
            "transformer=MaxAbsScaler.* cannot become part of the weights",
        ),
        (MinMaxScaler(), "poisson", "out_activation_='exp'"),
    ):
        scaled = TransformedTargetRegressor(net_of(loss), transformer=transformer).fit(X, y)
        with pytest.raises((TypeError, ValueError), match=error):
            compact(scaled)
    linear = TransformedTargetRegressor(transformer=StandardScaler()).fit(X, y)
    with pytest.raises(TypeError, match="model must be a fitted estimator of this package"):
        compact(linear)
    with pytest.raises(NotFittedError):
        compact(TransformedTargetRegressor(net_of("squared_error"), transformer=StandardScaler()))


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_starts_from_an_mlpregressor(loss):
    mlp = MLPRegressor(loss, hidden_layer_sizes=(9,), max_iter=9000, solver="lbfgs", random_state=0)
    mlp.fit(X, targets(loss, several=True))
    net = PrunedMLPRegressor.from_sklearn(mlp, max_iter=12, prune_fraction=0.5)
    np.testing.assert_allclose(net.predict(X), mlp.predict(X), rtol=1e-12)
    np.testing.assert_allclose(net.compact().predict(X), mlp.predict(X), rtol=1e-12)
    net.fit(X, targets(loss, several=True))
    assert net.sparsity_ >= 0.5 and net.n_outputs_ == 2
    with pytest.raises(ValueError, match="y must have 2 targets"):
        net.fit(X, y)


def test_refused_starts():
    mlp = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3).fit(X, y)
    with pytest.raises(ValueError, match="loss='poisson' needs the output activation 'exp'"):
        PrunedMLPRegressor.from_sklearn(mlp, loss="poisson")
    classifier = MLPClassifier((5,), max_iter=3).fit(X, y > 0)
    with pytest.raises(TypeError, match="must be a fitted MLPRegressor, not MLPClassifier"):
        PrunedMLPRegressor.from_sklearn(classifier)
    with pytest.raises(NotFittedError):
        PrunedMLPRegressor.from_sklearn(MLPRegressor())
    with pytest.raises(ValueError, match="must be a fitted MLPRegressor, in a FrozenEstimator"):
        PrunedMLPRegressor(init_estimator=MLPRegressor()).fit(X, y)


def test_weights_of_rows_are_repetitions():
    weight = np.random.RandomState(0).randint(0, 3, 150)
    params = {"batch_size": 1000, "solver": "sgd", "shuffle": False, "method": "magnitude"}
    for loss in LOSSES:
        weighted = net_of(loss, **params).fit(X, targets(loss), sample_weight=weight)
        repeated = net_of(loss, **params)
        repeated.fit(np.repeat(X, weight, axis=0), np.repeat(targets(loss), weight))
        np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-8)


def test_partial_fit_prunes_and_goes_on_after_a_pickle():
    plain, pickled = net_of("absolute_error"), net_of("absolute_error")
    for _ in range(12):
        plain.partial_fit(X, Y)
        pickled = pickle.loads(pickle.dumps(pickled.partial_fit(X, Y)))
        np.testing.assert_array_equal(plain.predict(X), pickled.predict(X))
    assert plain.sparsity_ >= 0.8
    with pytest.raises(ValueError, match="y must have 2 targets as in the earlier fit"):
        plain.partial_fit(X, y)


def test_what_was_learned_stays_when_parameters_change():
    net = net_of("squared_error", warm_start=True).fit(X, np.exp(y))
    before = net.predict(X)
    net.set_params(loss="poisson")
    np.testing.assert_array_equal(net.predict(X), before)
    with pytest.raises(ValueError, match="loss='poisson' needs the output activation 'exp'"):
        net.fit(X, np.exp(y))
    np.testing.assert_array_equal(net.predict(X), before)
    # Another loss of the same outputs may go on.
    net.set_params(loss="absolute_error").fit(X, np.exp(y))


def test_unlabelled_rows_and_features_leave():
    X_more = np.concatenate([X, np.ones((150, 2))], axis=1)
    net = net_of("squared_error", prune_features=0.4, method="activation")
    net.fit(X_more, Y, X_unlabeled=X_more[:100])
    kept = net.get_support(indices=True)
    assert len(kept) == 6 and {8, 9} <= set(net.unused_features_)
    small = net.compact(features="used")
    np.testing.assert_allclose(small.predict(X_more[:, kept]), net.predict(X_more), rtol=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_predictive_components_tell_the_targets(loss):
    t = targets(loss, several=True) * [1.0, 1e3 if loss == "squared_error" else 1.0]
    found = {}
    for components in ("predictive", "pca"):
        net = net_of(loss, n_components=2, components=components, max_iter=40, prune_fraction=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            shown = net.fit(X, t).transform(X)
        np.testing.assert_allclose(np.cov(shown.T)[0, 1], 0, atol=1e-8 * np.cov(shown.T).max())
        fit = np.linalg.lstsq(np.c_[shown, np.ones(150)], t, rcond=None)[0]
        found[components] = r2_score(t, np.c_[shown, np.ones(150)] @ fit)
    assert found["predictive"] > found["pca"]


def test_directions_are_those_of_reduced_rank_regression():
    """Without a ridge: eigenvectors of what least squares fits, targets standardized."""
    net = net_of("squared_error", n_components=1, prune_fraction=0, max_iter=30).fit(X, Y)
    hidden = np.maximum(X @ net.coefs_[0] + net.intercepts_[0], 0)
    hidden = np.maximum(hidden @ net.coefs_[1] + net.intercepts_[1], 0)
    hidden -= hidden.mean(axis=0)
    standardized = (Y - Y.mean(axis=0)) / Y.std(axis=0)
    told = hidden @ np.linalg.lstsq(hidden, standardized, rcond=None)[0]
    first = np.linalg.svd(told, full_matrices=False)[0][:, 0]
    assert abs(np.corrcoef(first, net.transform(X)[:, 0])[0, 1]) > 0.99


def test_callbacks_of_scikit_learn_see_a_regressor():
    monitor = ScoringMonitor(scoring="r2")
    net = net_of("poisson", max_iter=3)
    net.set_callbacks(monitor)
    net.fit(X, np.exp(y))
    rows = monitor.get_logs().data
    assert sum(row["task_name"] == "epoch" for row in rows) == 3
    (fit,) = [row for row in rows if row["task_name"] == "fit"]
    assert fit["r2"] == pytest.approx(net.score(X, np.exp(y)))


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params, bad, message",
    [
        ({"loss": "huber"}, y, "The 'loss' parameter"),
        ({"loss": "quantile"}, y, r"quantile=None with loss='quantile'"),
        ({"loss": "squared_error", "quantile": 0.5}, y, "quantile=0.5 with loss='squared_error'"),
        ({"loss": "quantile", "quantile": 1}, y, "The 'quantile' parameter"),
        ({"loss": "poisson"}, y, "y must not be negative with loss='poisson'"),
        ({}, np.where(y > 2, np.nan, y), "NaN"),
        ({}, y[:20], "inconsistent"),
        ({}, y.astype(str), "y must be numbers; its dtype is"),
        ({"dtype": "float32"}, 1e200 * y, "y has values that are too large for float32"),
        ({"solver": "lbfgs"}, y, "'solver'"),
        ({"n_components": 30}, y, "n_components=30 must be at most 16"),
    ],
)
def test_bad_input(params, bad, message):
    net = PrunedMLPRegressor(**QUICK | params)
    with pytest.raises(ValueError, match=message):
        net.fit(X, bad)
    assert not hasattr(net, "coefs_") and not hasattr(net, "n_outputs_")
