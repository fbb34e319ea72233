"""What scikit-learn's tests of its multi-layer perceptrons ask for, asked of ours.

Each function of sklearn/neural_network/tests/test_mlp.py, and its counterparts: in the file that is
named, else in this one.

test_alpha: test_larger_alpha_gives_smaller_weights
test_fit: test_a_step_that_was_worked_out_by_hand
test_gradient: test_steps.py::test_twenty_steps_equal_those_of_autograd
test_lbfgs_classification: test_classes_are_learned_with_every_activation
test_lbfgs_regression: test_numbers_are_learned_with_every_activation
test_lbfgs_classification_maxfun: none, lbfgs is refused: test_bad_input.py::test_bad_parameters
test_lbfgs_regression_maxfun: none, lbfgs is refused: test_regressor.py::test_bad_input
test_learning_rate_warmstart: test_learning_rates_of_a_warm_start
test_multilabel_classification: test_multilabel.py::test_dense_training_is_that_of_mlpclassifier,
    test_multilabel.py::test_going_on_is_the_same, test_multilabel.py::test_rows_to_validate_on
test_multioutput_regression: test_against_mlpregressor.py::test_dense_training_is_the_same
test_partial_fit_classes_error: test_bad_input.py::test_partial_fit_refuses_what_it_cannot_know
test_partial_fit_classification: test_partial_fit_is_an_epoch_of_fit
test_partial_fit_unseen_classes: test_partial_fit_learns_classes_that_come_late
test_partial_fit_regression: test_partial_fit_is_an_epoch_of_fit
test_partial_fit_errors: test_partial_fit_refuses_labels_that_are_no_classes
test_nonfinite_params: test_rows_that_are_too_large_are_told
test_predict_proba_binary: test_probabilities
test_predict_proba_multiclass: test_probabilities
test_predict_proba_multilabel: test_probabilities
test_shuffle: test_shuffling_changes_training
test_sparse_matrices: test_sample_weights.py::test_sparse_rows_give_the_same_net,
    test_autoencoder.py::test_sparse_rows_are_never_dense_together
test_tolerance: test_training_ends_so_many_epochs_after_the_last_round
test_verbose_sgd: test_callbacks.py::test_verbose_prints_a_line_an_epoch_and_one_a_round,
    test_callbacks.py::test_verbose_of_other_fits
test_early_stopping: test_attributes_of_early_stopping
test_adaptive_learning_rate: test_adaptive_learning_rates_fall_until_training_ends
test_warm_start: test_a_warm_start_needs_all_classes_and_no_others
test_warm_start_full_iteration: test_a_warm_start_has_all_its_epochs
test_n_iter_no_change: test_training_ends_so_many_epochs_after_the_last_round
test_n_iter_no_change_inf: test_an_infinite_n_iter_no_change_ends_nothing
test_early_stopping_stratified: none, a class of one row stays in training:
    test_changed_parameters.py::test_early_stopping_with_a_class_of_one_row,
    test_early_stopping.py::test_validation_rows_are_stratified_weighted_and_not_trained_on
test_mlp_early_stopping_string_labels: test_early_stopping_takes_strings
test_mlp_classifier_dtypes_casting: test_both_dtypes_predict_alike
test_mlp_regressor_dtypes_casting: test_both_dtypes_predict_alike
test_mlp_param_dtypes: test_device_and_dtype.py::test_dtype,
    test_regressor.py::test_shapes_and_types, test_autoencoder.py::test_float32_stays
test_mlp_loading_from_joblib_partial_fit: test_a_net_from_a_file_learns_something_else
test_preserve_feature_names: test_early_stopping_says_nothing_of_names
test_mlp_warm_start_with_early_stopping: test_early_stopping_goes_on_in_a_warm_start
test_mlp_warm_start_no_convergence: test_a_warm_start_has_all_its_epochs
test_mlp_partial_fit_after_fit: test_partial_fit_after_early_stopping_is_refused
test_mlp_diverging_loss: test_a_net_that_diverges_goes_back_to_its_best_weights
test_mlp_sample_weight_with_early_stopping: test_weights_of_one_change_nothing_in_early_stopping
test_mlp_vs_poisson_glm_equivalent: test_without_hidden_layers_it_is_a_poisson_glm
test_minimum_input_sample_size: test_too_few_rows_to_set_aside_are_told
"""

import re
from functools import cache
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn.neural_network
from sklearn.datasets import (
    load_digits,
    load_iris,
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from skactprune import PrunedAutoencoder, PrunedMLPClassifier, PrunedMLPRegressor

HERE = Path(__file__)
LISTED = re.findall(r"^(test_\w+): ((?:.|\n )*)", __doc__, re.M)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
everyone = pytest.mark.parametrize(
    "kind", [PrunedMLPClassifier, PrunedMLPRegressor, PrunedAutoencoder]
)
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
iris = load_iris()
X, y = scale(iris.data), iris.target
digits, numerals = load_digits(n_class=3, return_X_y=True)
digits, numerals = digits[:200] / 16, numerals[:200]


def net_of(kind, n_hidden=10, **params):
    """Small one, of 15 epochs."""
    if kind is PrunedAutoencoder:
        params["encoder_layer_sizes"] = n_hidden
    else:
        params["hidden_layer_sizes"] = n_hidden
    return kind(**{"random_state": 0, "max_iter": 15} | params)


def one_more_epoch(net, X, y):
    classes = {"classes": np.unique(y)} if isinstance(net, PrunedMLPClassifier) else {}
    return net.partial_fit(X, y, **classes)


def predicted(net, X):
    if isinstance(net, PrunedAutoencoder):
        return net.inverse_transform(net.transform(X))
    return getattr(net, "predict_proba", net.predict)(X)


# -- what is learned ---------------------------------------------------------------------------


@everyone
def test_larger_alpha_gives_smaller_weights(kind):
    free, held = (
        net_of(kind, alpha=alpha, max_iter=20, learning_rate_init=0.02, batch_size=20).fit(
            digits, numerals
        )
        for alpha in (0, 5)
    )
    for one, other in zip(free.coefs_, held.coefs_, strict=True):
        assert np.abs(one).sum() > np.abs(other).sum()


def test_a_step_that_was_worked_out_by_hand():
    mlp = MLPClassifier(2, activation="logistic", max_iter=1).fit(np.eye(3), [0, 1, 0])
    mlp.coefs_ = [np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0]]), np.array([[0.1], [0.2]])]
    mlp.intercepts_ = [np.array([0.1, 0.1]), np.array([1.0])]
    net = PrunedMLPClassifier(
        activation="logistic", solver="sgd", learning_rate_init=0.1, alpha=0.1, momentum=0,
        prune_fraction=0, init_estimator=FrozenEstimator(mlp),
    )  # fmt: skip
    row = [[0.6, 0.8, 0.7]]
    net.partial_fit(row, [0], classes=[0, 1])
    # The calculation is written out in scikit-learn's test_fit.
    first = [[0.098, 0.195756], [0.2956664, 0.096008], [0.4939998, -0.002244]]
    np.testing.assert_allclose(net.coefs_[0], first, atol=1e-3)
    np.testing.assert_allclose(net.coefs_[1], [[0.04706], [0.154089]], atol=1e-3)
    np.testing.assert_allclose(net.intercepts_[0], [0.098333, 0.09626], atol=1e-3)
    np.testing.assert_allclose(net.intercepts_[1], [0.9235], atol=1e-3)
    np.testing.assert_allclose(net.predict_proba(row), [[0.261, 0.739]], atol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_classes_are_learned_with_every_activation(activation, n_classes):
    rows = numerals < n_classes
    known, labels = digits[rows], numerals[rows]
    net = net_of(PrunedMLPClassifier, 50, activation=activation, learning_rate_init=0.01)
    net.set_params(max_iter=40).fit(known[:100], labels[:100])
    assert net.sparsity_ >= 0.8
    assert net.score(known[:100], labels[:100]) > 0.95
    told = net.predict(known[100:])
    assert (told.shape, told.dtype) == ((len(known) - 100,), labels.dtype)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_numbers_are_learned_with_every_activation(activation):
    rows, targets = make_regression(200, 10, bias=20.0, noise=100.0, random_state=7)
    targets = scale(targets)
    net = net_of(PrunedMLPRegressor, 50, activation=activation, learning_rate_init=0.1)
    net.set_params(max_iter=200, prune_fraction=0.5, weight_decay=0).fit(rows, targets)
    assert net.sparsity_ >= 0.5
    # More than a linear model can.
    assert net.score(rows, targets) > (0.8 if activation == "identity" else 0.9)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (1,)])
def test_without_hidden_layers_it_is_a_poisson_glm(hidden_layer_sizes):
    rows = np.linspace(0, 1, 100)
    counts = np.random.default_rng(0).poisson(np.exp(rows + 1))
    rows = rows.reshape(-1, 1)
    expected = PoissonRegressor(alpha=0, tol=1e-7).fit(rows, counts).predict(rows)
    # A hidden neuron of the identity tells nothing else.
    params = {"activation": "identity", "alpha": 0, "prune_fraction": 0, "max_iter": 400}
    params |= {"learning_rate_init": 0.05, "n_iter_no_change": np.inf}
    found = {}
    for loss in ("poisson", "squared_error"):
        net = net_of(PrunedMLPRegressor, hidden_layer_sizes, loss=loss, **params)
        found[loss] = net.fit(rows, counts).predict(rows)
    np.testing.assert_allclose(found["poisson"], expected, rtol=1e-3)
    assert not np.allclose(found["squared_error"], expected, rtol=1e-2)


@pytest.mark.parametrize("targets", ["two classes", "three classes", "labels"])
def test_probabilities(targets):
    rows, known = digits, numerals
    if targets == "labels":
        rows, known = make_multilabel_classification(60, random_state=0)
    elif targets == "two classes":
        rows, known = digits[numerals < 2], numerals[numerals < 2]
    net = net_of(PrunedMLPClassifier, 30, max_iter=60, learning_rate_init=0.02, prune_fraction=0.5)
    p = net.fit(rows, known).predict_proba(rows)
    assert p.shape == (len(rows), len(net.classes_))
    logs = net.predict_log_proba(rows)
    np.testing.assert_allclose(logs, np.log(p), atol=1e-9)
    if targets == "labels":
        # No softmax.
        assert np.abs(p.sum(axis=1) - 1).max() > 0.5
        assert (net.predict(rows) == (p > 0.5)).all()
        assert roc_auc_score(known, p) > 0.95
    else:
        np.testing.assert_allclose(p.sum(axis=1), 1)
        assert (net.predict(rows) == net.classes_[logs.argmax(axis=1)]).all()
        assert roc_auc_score(known == 1, p[:, 1]) == 1


@everyone
def test_rows_that_are_too_large_are_told(kind):
    rng = np.random.RandomState(0)
    rows = np.finfo(np.float64).max * rng.uniform(size=(10, 2))
    net = net_of(kind)
    with pytest.raises(ValueError, match="may contain large values and need to be preprocessed"):
        net.fit(rows, np.arange(10) % 2)
    assert not hasattr(net, "coefs_")


@everyone
def test_shuffling_changes_training(kind):
    params = {"max_iter": 2, "batch_size": 10, "prune_fraction": 0}
    shuffled, again = (net_of(kind, **params).fit(X, y) for _ in range(2))
    ordered, other = (net_of(kind, **params, shuffle=False).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(shuffled.coefs_[0], again.coefs_[0])
    np.testing.assert_array_equal(ordered.coefs_[0], other.coefs_[0])
    assert not np.array_equal(shuffled.coefs_[0], ordered.coefs_[0])


@everyone
def test_both_dtypes_predict_alike(kind):
    found = []
    for dtype in (np.float64, np.float32):
        # What is pruned may hang on a last digit.
        net = net_of(kind, prune_fraction=0).fit(X.astype(dtype), y)
        found.append(predicted(net, X.astype(dtype)))
    assert (found[0].dtype, found[1].dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-4)


# -- calls after each other --------------------------------------------------------------------


@everyone
def test_partial_fit_is_an_epoch_of_fit(kind):
    params = {"solver": "sgd", "learning_rate_init": 0.05, "tol": 0, "weight_decay": 0}
    # One batch, so that its order does not matter; "progress" may prune at other losses.
    net = net_of(kind, 30, batch_size=150, trigger="epoch", **params)
    whole = net_of(kind, 30, batch_size=150, trigger="epoch", **params).fit(X, y)
    for _ in range(15):
        one_more_epoch(net, X, y)
    assert len(net.pruning_history_) == len(whole.pruning_history_) > 0
    np.testing.assert_allclose(predicted(net, X), predicted(whole, X), rtol=1e-7, atol=1e-9)
    assert (net.t_, len(net.loss_curve_)) == (whole.t_, 15)


def test_partial_fit_learns_classes_that_come_late():
    net = net_of(PrunedMLPClassifier, learning_rate_init=0.1)
    net.partial_fit([[1], [2], [3]], ["a", "b", "c"], classes=["a", "b", "c", "d"])
    before = net.predict_proba([[4]])
    for _ in range(4):
        net.partial_fit([[4]], ["d"])
    assert before.shape == (1, 4)
    assert net.predict_proba([[4]])[0, 3] > before[0, 3]
    assert net.score([[1], [2], [3], [4]], ["a", "b", "c", "d"]) > 0


@pytest.mark.parametrize("classes", [[2], [1, 2]])
def test_partial_fit_refuses_labels_that_are_no_classes(classes):
    with pytest.raises(ValueError, match="y must have the classes|needs at least 2 classes"):
        PrunedMLPClassifier().partial_fit([[3, 2], [1, 6]], [1, 0], classes=classes)


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling"])
def test_learning_rates_of_a_warm_start(learning_rate):
    params = {"solver": "sgd", "learning_rate": learning_rate, "power_t": 0.25, "max_iter": 1}
    net = net_of(PrunedMLPClassifier, **params | {"warm_start": True}, prune_fraction=0)
    rates = [net.fit(X, y).net_.optimizer_.param_groups[0]["lr"] for _ in range(2)]
    if learning_rate == "invscaling":
        assert rates == pytest.approx([0.001 / (150 + 1) ** 0.25, 0.001 / (300 + 1) ** 0.25])
    else:
        assert rates == [0.001, 0.001]


@pytest.mark.parametrize(
    "labels", [np.arange(150) % 2, np.arange(150) % 4, np.array([0, 1, 3])[np.arange(150) % 3]]
)
def test_a_warm_start_needs_all_classes_and_no_others(labels):
    net = net_of(PrunedMLPClassifier, max_iter=2, warm_start=True).fit(X, y)
    net.fit(X, np.arange(150) % 3)
    with pytest.raises(ValueError, match=r"y must have the classes of .*, \[0 1 2\]; it has \[0 1"):
        net.fit(X, labels)


@everyone
def test_a_warm_start_has_all_its_epochs(kind):
    net = net_of(kind, max_iter=10, n_iter_no_change=np.inf, warm_start=True)
    for max_iter in (10, 10, 20):
        net.set_params(max_iter=max_iter)
        with pytest.warns(ConvergenceWarning, match=rf"Maximum iterations \({max_iter}\) reached"):
            net.fit(X, y)
        assert net.n_iter_ == max_iter
    assert len(net.loss_curve_) == 40


@everyone
def test_early_stopping_goes_on_in_a_warm_start(kind):
    net = net_of(kind, max_iter=10, warm_start=True, early_stopping=True).fit(X, y)
    before = list(net.validation_scores_)
    net.set_params(max_iter=20).fit(X, y)
    assert len(net.validation_scores_) == len(before) + net.n_iter_
    assert net.validation_scores_[: len(before)] == before
    assert net.best_validation_score_ in net.validation_scores_


@everyone
def test_partial_fit_after_early_stopping_is_refused(kind):
    net = net_of(kind, early_stopping=True).fit(X, y)
    before = predicted(net, X)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        net.partial_fit(X, y)
    np.testing.assert_array_equal(predicted(net, X), before)


def test_a_net_from_a_file_learns_something_else(tmp_path):
    net = net_of(PrunedMLPRegressor, 42, learning_rate_init=0.05, prune_fraction=0.5, max_iter=60)
    net.set_params(weight_decay=0).fit([[2]], [4])
    joblib.dump(net, tmp_path / "net")
    loaded = joblib.load(tmp_path / "net")
    before = net.predict([[2]])
    assert before == pytest.approx([4], abs=0.2)
    for _ in range(60):
        loaded.partial_fit([[2]], [1])
    assert loaded.predict([[2]]) == pytest.approx([1], abs=0.2)
    assert net.predict([[2]]) == before


# -- when training ends ------------------------------------------------------------------------


@everyone
@pytest.mark.parametrize("n_iter_no_change", [2, 9])
def test_training_ends_so_many_epochs_after_the_last_round(kind, n_iter_no_change):
    net = net_of(kind, max_iter=40, tol=1e9, n_iter_no_change=n_iter_no_change).fit(X, y)
    last = net.pruning_history_[-1]["epoch"]
    # The first epoch after it is better than none.
    assert net.n_iter_ == last + 1 + n_iter_no_change + 1 < 40


@everyone
def test_an_infinite_n_iter_no_change_ends_nothing(kind):
    net = net_of(kind, max_iter=20, tol=1e9, n_iter_no_change=np.inf).fit(X, y)
    assert net.n_iter_ == 20


def test_adaptive_learning_rates_fall_until_training_ends():
    params = {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2}
    net = net_of(PrunedMLPClassifier, max_iter=300, **params).fit(X, y)
    last = net.pruning_history_[-1]["epoch"]
    assert net.net_.optimizer_.param_groups[0]["lr"] < 1e-6
    # 0.001 is divided by 5 each third epoch, until it is below 1e-6.
    assert net.n_iter_ == last + 1 + 6 * 3 < 300


@everyone
def test_attributes_of_early_stopping(kind):
    net = net_of(kind, max_iter=60, tol=0.2, early_stopping=True).fit(X, y)
    last = net.pruning_history_[-1]["epoch"]
    assert net.n_iter_ < 60 and net.best_loss_ is None
    assert isinstance(net.validation_scores_, list)
    assert len(net.validation_scores_) == len(net.validation_loss_curve_) == net.n_iter_
    assert net.best_validation_score_ == max(net.validation_scores_[last:])
    assert net.best_validation_score_ + 0.2 > max(net.validation_scores_[-2:])
    net = net_of(kind, max_iter=60, tol=0.2).fit(X, y)
    last = net.pruning_history_[-1]["epoch"]
    assert net.validation_scores_ is net.validation_loss_curve_ is None
    assert net.best_validation_score_ is None
    assert net.best_loss_ == min(net.loss_curve_[last:])


def test_early_stopping_takes_strings():
    rows, labels = make_classification(200, 10, n_classes=3, n_informative=5, random_state=42)
    strings = np.array(["class_a", "class_b", "class_c"], dtype=object)[labels]
    numbers, net = (
        net_of(PrunedMLPClassifier, early_stopping=True, learning_rate_init=0.02).fit(rows, targets)
        for targets in (labels, strings)
    )
    assert len(net.validation_scores_) == net.n_iter_
    assert net.validation_scores_ == numbers.validation_scores_
    assert max(net.validation_scores_) > 0.4


@everyone
def test_early_stopping_says_nothing_of_names(kind, recwarn):
    rows = pd.DataFrame(np.random.RandomState(0).randn(40, 2), columns=["one", "other"])
    targets = pd.Series(np.arange(40) % 2, name="target")
    how = {"early_stopping": True, "validation_fraction": 0.2}
    scorings = {PrunedMLPClassifier: [None, "accuracy"], PrunedMLPRegressor: [None, "r2"]}
    for scoring in scorings.get(kind, [None]):
        scored = how if scoring is None else how | {"scoring": scoring}
        net = net_of(kind, max_iter=6, **scored).fit(rows, targets)
        net.score(rows, targets)
        assert net.feature_names_in_.tolist() == ["one", "other"]
    assert not [w for w in recwarn if "feature names" in str(w.message)]


@everyone
def test_weights_of_one_change_nothing_in_early_stopping(kind):
    plain, weighted = (net_of(kind, early_stopping=True, batch_size=40) for _ in range(2))
    plain.fit(X, y)
    weighted.fit(X, y, sample_weight=np.ones(len(X)))
    np.testing.assert_allclose(predicted(weighted, X), predicted(plain, X), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(weighted.validation_scores_, plain.validation_scores_, rtol=1e-6)


@everyone
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_net_that_diverges_goes_back_to_its_best_weights(kind, dtype):
    rate = {"float32": 1e4, "float64": 1e30}[dtype] if kind is PrunedMLPClassifier else 1
    net = net_of(
        kind, 30, activation="identity", solver="sgd", early_stopping=True, prune_fraction=0,
        learning_rate_init=rate, dtype=dtype, max_iter=40, n_iter_no_change=30,
    )  # fmt: skip
    net.fit(X, y)
    assert not np.isfinite(net.validation_loss_curve_[-1])
    assert all(isinstance(score, float) for score in net.validation_scores_)
    assert np.isnan(net.validation_scores_[-1])
    assert np.isfinite(net.best_validation_score_)
    assert all(np.isfinite(array).all() for array in (*net.coefs_, *net.intercepts_))


@everyone
def test_too_few_rows_to_set_aside_are_told(kind):
    with pytest.raises(ValueError, match="validation_fraction=0.1 of 2 rows sets 1 aside"):
        net_of(kind, early_stopping=True).fit(X[[0, 100]], [0, 1])


# -- the list ----------------------------------------------------------------------------------


@cache
def names_in(path):
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.M))


def test_counterparts_are_there():
    own = set()
    for name, counterparts in LISTED:
        found = re.findall(r"(?:(test_\w+\.py)::)?\b(test_\w+)", counterparts)
        assert found, name
        for file, test in found:
            assert test in names_in(HERE.with_name(file or HERE.name)), (name, test)
        own |= {test for file, test in found if not file}
    assert names_in(HERE) - own == {
        "test_counterparts_are_there",
        "test_all_tests_of_scikit_learn_are_listed",
    }


def test_all_tests_of_scikit_learn_are_listed():
    theirs = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
    if not theirs.exists():
        pytest.skip("scikit-learn is installed without its tests")
    listed = [name for name, _ in LISTED]
    assert len(set(listed)) == len(listed)
    differ = sorted(set(listed) ^ names_in(theirs))
    # The list is that of the version that the tests are developed with.
    pinned = (HERE.parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if differ and f"scikit-learn=={sklearn.__version__}" not in pinned:
        pytest.skip(f"scikit-learn {sklearn.__version__} has other tests: {differ}")
    assert not differ
