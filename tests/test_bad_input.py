"""Every refusal names the parameter, the value and what is allowed."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier

from skactprune import (
    AccuracyTrigger,
    Activation,
    EpochTrigger,
    Ganguli2024,
    Geometric,
    Magnitude,
    PrunedMLPClassifier,
    PrunedMLPRegressor,
    Pruner,
    ScorePruning,
    pruning_path,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(n_samples=40, n_features=6, random_state=0)


class Incomplete:
    """A trigger that does not say whether it needs accuracies."""

    def rounds_due(self, done, n_rounds, epoch, max_epochs, accuracy):
        return done

    def stops(self, accuracy):
        return False


class Duck:
    """Quacks as methods did, but is none."""

    granularity, scope, schedule, regrow = "neuron", "layer", "geometric", False

    def score(self, layer):
        return layer.counts[:, None]

    def validated(self):
        return self


NAMES = "'activation', 'activation_magnitude', .*'ganguli2024', .*'magnitude', .*'random'"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"prune_fraction": 1}, r"prune_fraction.*\[0.0, 1.0\).*Got 1 instead"),
        ({"prune_fraction": 1.0}, r"prune_fraction.*\[0.0, 1.0\).*Got 1.0 instead"),
        ({"prune_fraction": -0.1}, r"prune_fraction.*\[0.0, 1.0\).*Got -0.1 instead"),
        ({"prune_fraction": np.nan}, "prune_fraction.*nan"),
        ({"prune_fraction": "a lot"}, "prune_fraction.*'a lot'"),
        ({"n_prune_rounds": -1}, r"n_prune_rounds.*\[0, 10000\].*Got -1 instead"),
        ({"n_prune_rounds": 2.5}, "n_prune_rounds.*2.5"),
        ({"method": "snap"}, f"method='snap' is unknown. Known names: {NAMES}"),
        (
            {"method": ScorePruning("entropy")},
            "criterion='entropy' must be a callable, or the name of a method that does nothing but "
            "score in rounds: 'activation', ",
        ),
        (
            {"method": Ganguli2024("magnitude"), "prune_fraction": 0.2},
            r"criterion='magnitude' of Ganguli2024 must be one of \['activation', 'activation_m",
        ),
        ({"method": ScorePruning(3)}, "criterion=3 must be a callable, or the name of a method"),
        (
            {"method": Magnitude(granularity=(0, 2))},
            r"granularity=\(0, 2\) of Magnitude must be .* or the shape of a block, two positive",
        ),
        ({"n_prune_rounds": 20_000}, r"'n_prune_rounds' parameter of PrunedMLPClassifier must be"),
        (
            {"method": Activation(granularity="channel")},
            r"granularity='channel' of Activation must be one of \['auto', 'neuron', 'weight',",
        ),
        ({"method": Magnitude(scope="net")}, r"scope='net' of Magnitude must be one of \['layer'"),
        (
            {"method": Activation(schedule="slow")},
            "schedule='slow' is unknown. Known names: 'cubic'",
        ),
        ({"method": Activation(regrow="yes")}, "regrow='yes'"),
        ({"method": 7}, "method.*7"),
        ({"trigger": "loss"}, "trigger='loss' is unknown. Known names: 'accuracy', 'epoch'"),
        ({"trigger": 3}, "trigger.*3"),
        ({"trigger": EpochTrigger}, r"trigger=<class.* must be an object: EpochTrigger\(...\)"),
        ({"trigger": Incomplete()}, "trigger=<.*must be .* rounds_due, stops and needs_score"),
        (
            {"method": Magnitude},
            "'method' .* an instance of .*Method'. Got <class .*Magnitude",
        ),
        ({"method": Duck()}, "'method' .* an instance of .*Method'. Got <.*Duck object"),
        (
            {"method": Activation(schedule=Geometric)},
            r"schedule=<class .* must be an object: Geometric\(...\)",
        ),
        ({"hidden_layer_sizes": ()}, r"hidden_layer_sizes=\(\).*prune_fraction=0.8"),
        ({"hidden_layer_sizes": (5, 0)}, r"hidden_layer_sizes=\(5, 0\) must be integers > 0"),
        ({"hidden_layer_sizes": (5, 2.5)}, r"hidden_layer_sizes.*2.5"),
        ({"hidden_layer_sizes": (5.0,)}, r"hidden_layer_sizes=\(5.0,\) must be integers > 0"),
        ({"hidden_layer_sizes": (5, "a")}, r"hidden_layer_sizes=\(5, 'a'\) must be integers > 0"),
        ({"hidden_layer_sizes": (np.nan,)}, r"hidden_layer_sizes=\(nan,\) must be integers > 0"),
        ({"hidden_layer_sizes": (None,)}, r"hidden_layer_sizes=\(None,\) must be integers > 0"),
        ({"hidden_layer_sizes": [[5, 5]]}, r"hidden_layer_sizes=\[\[5, 5\]\] must be integers > 0"),
        ({"hidden_layer_sizes": 0}, "hidden_layer_sizes.*0"),
        (
            {"hidden_layer_sizes": (4,), "method": "random"},
            r"prune_fraction=0.8 cannot be reached.*at most 0.75",
        ),
        (
            {"hidden_layer_sizes": (10,), "n_components": 5, "method": "random"},
            r"prune_fraction=0.8 cannot be reached.*at least \[5\] neurons.*at most 0.5",
        ),
        (
            {"hidden_layer_sizes": (9, 7), "n_components": 8},
            "n_components=8 must be at most 7, the size of hidden layer 1",
        ),
        (
            {"hidden_layer_sizes": (), "n_components": 2, "prune_fraction": 0},
            "n_components=2 needs a hidden layer",
        ),
        ({"n_components": 0}, r"n_components.*\[1, inf\).*Got 0 instead"),
        ({"transform_layer": 1}, r"transform_layer=1 must be in \[-1, 0\] with 1 hidden layers"),
        ({"transform_layer": -2}, r"transform_layer=-2 must be in \[-1, 0\]"),
        ({"solver": "lbfgs"}, "solver.*'adam'.*'sgd'.*Got 'lbfgs' instead|solver.*'sgd', 'adam'"),
        ({"activation": "gelu"}, "activation.*Got 'gelu' instead"),
        ({"batch_size": 0}, "batch_size.*Got 0 instead"),
        ({"dropout": 1.0}, "dropout.*1.0"),
        ({"dropout": [0.1, 0.2, 0.3]}, r"dropout=\[0.1, 0.2, 0.3\] must be one rate in \[0, 1\)"),
        ({"dropout": [0.1, 1.5]}, r"dropout=\[0.1, 1.5\] must be one rate in \[0, 1\)"),
        ({"dtype": "float16"}, "dtype.*'float16'"),
        ({"device": "tpu"}, "device.*'tpu'"),
        ({"alpha": -1}, r"alpha.*\[0.0, inf\).*Got -1 instead"),
        ({"max_iter": 0}, "max_iter.*Got 0 instead"),
        ({"class_weight": "even"}, "class_weight.*'even'"),
        ({"class_weight": {0: 0, 1: 0}}, r"class_weight=\{0: 0, 1: 0\} leaves no row of y with a"),
        ({"class_weight": {0: -1, 1: 1}}, r"class_weight=\{0: -1, 1: 1\} must have finite weights"),
        ({"class_weight": {0: np.nan, 1: 1}}, "class_weight=.* must have finite weights"),
        ({"class_weight": {0: "a", 1: 1}}, "class_weight=.* must have finite weights"),
        ({"class_weight": {5: 2.0}}, r"classes, \[0, 1\], are not in class_weight"),
        ({"net_params": {"module": torch.nn.Linear}}, r"net_params\['module'\] cannot be set"),
        ({"net_params": {"module__layer_sizes": (3,)}}, r"net_params\['module__layer_sizes'\]"),
        ({"net_params": {"lr": 0.1}}, r"net_params\['lr'\] cannot be set.*module, "),
        ({"net_params": {"max_epochs": 3}}, r"net_params\['max_epochs'\] cannot be set"),
        ({"net_params": [1]}, "net_params"),
        (
            {"early_stopping": True, "validation_fraction": 0.0},
            "validation_fraction=0.0 of 40 rows sets 0 aside .* must be at least 2, but not all",
        ),
        ({"early_stopping": True, "validation_fraction": 0.01}, "=0.01 of 40 rows sets 1 aside"),
        ({"early_stopping": True, "validation_fraction": 0.99}, "=0.99 of 40 rows sets 40 aside"),
        (
            {"init_estimator": LogisticRegression().fit(X, y)},
            r"init_estimator=LogisticRegression\(\) must be a fitted MLPClassifier",
        ),
        (
            {"init_estimator": MLPClassifier()},
            r"init_estimator=MLPClassifier\(\) must be a fitted MLPClassifier",
        ),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        PrunedMLPClassifier(**{"hidden_layer_sizes": (10,), "max_iter": 3} | params).fit(X, y)


def test_the_highest_reachable_fraction_that_is_named_can_be_reached():
    clf = PrunedMLPClassifier((4,), prune_fraction=0.75, max_iter=3).fit(X, y)
    assert clf.sparsity_ == 0.75
    clf = PrunedMLPClassifier((10,), prune_fraction=0.5, n_components=5, max_iter=3).fit(X, y)
    assert clf.transform(X).shape == (40, 5)


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (EpochTrigger(0.5, 0.2), "start=0.5 and stop=0.2 of EpochTrigger must satisfy 0 <= start"),
        (
            EpochTrigger(-1, 0.2),
            r"start=-1 of EpochTrigger must be a float in the range \[0.0, 1.0\]",
        ),
        (EpochTrigger("a", 0.1), "start='a' of EpochTrigger must be a float"),
        (AccuracyTrigger(0.9, 1.2), "stop=1.2 of AccuracyTrigger"),
        (EpochTrigger(True, 1), "start=True of EpochTrigger"),
        (AccuracyTrigger(0.9, None), "stop=None of AccuracyTrigger"),
    ],
)
def test_bad_triggers(trigger, message):
    with pytest.raises(ValueError, match=message):
        PrunedMLPClassifier((4,), trigger=trigger).fit(X, y)


@pytest.mark.parametrize("ratio", [0, "a", np.inf, np.nan, -0.5, True])
def test_bad_ratios(ratio):
    with pytest.raises(ValueError, match=rf"ratio={ratio!r} of Geometric must be .* \(0.0, inf\)"):
        PrunedMLPClassifier((4,), method=Magnitude(schedule=Geometric(ratio))).fit(X, y)


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (lambda layer: np.full_like(layer.weight, np.nan), "finite scores .*NaN or infinity"),
        (lambda layer: np.full((10, 1), np.inf), "finite scores .*NaN or infinity"),
        (lambda layer: 1.0, r"shape \(10, 6\), or \(10, 1\), .* gave float64 of shape \(\)"),
        (lambda layer: np.ones(10), r"shape \(10, 6\), .* gave float64 of shape \(10,\)"),
        (lambda layer: layer.weight.T, r"shape \(10, 6\), .* of shape \(6, 10\)"),
        (lambda layer: None, r"must give numbers .* gave object of shape \(\)"),
        (lambda layer: np.full((10, 1), "a"), "must give numbers .* gave <U1"),
    ],
)
@pytest.mark.parametrize("granularity", ["neuron", "weight"])
def test_bad_scores(criterion, message, granularity):
    method = ScorePruning(criterion, granularity)
    with pytest.raises(ValueError, match=f"(?s)method=ScorePruning.*{message}"):
        PrunedMLPClassifier((10,), method=method, max_iter=3).fit(X, y)


@pytest.mark.parametrize("granularity", ["neuron", "weight"])
def test_scores_of_pruned_weights_may_be_anything(granularity):
    def criterion(layer):
        return np.where(layer.mask, np.abs(layer.weight), np.nan)

    method = ScorePruning(criterion, granularity)
    sparsity = PrunedMLPClassifier((10,), method=method, max_iter=10).fit(X, y).sparsity_
    assert sparsity == 0.8


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(bad):
    rows = X.copy()
    rows[3, 2] = bad
    clf = PrunedMLPClassifier((10,), max_iter=3)
    with pytest.raises(ValueError, match="NaN|infinity"):
        clf.fit(rows, y)
    clf.fit(X, y)
    for method in (clf.predict, clf.predict_proba, clf.transform):
        with pytest.raises(ValueError, match="NaN|infinity"):
            method(rows)
    labels = y.astype(float)
    labels[0] = bad
    with pytest.raises(ValueError, match="NaN|infinity"):
        clf.fit(X, labels)


def test_another_width():
    clf = PrunedMLPClassifier((10,), max_iter=3).fit(X, y)
    for method in (clf.predict, clf.predict_proba, clf.predict_log_proba, clf.transform):
        with pytest.raises(ValueError, match="X has 4 features, but .* expecting 6 features"):
            method(X[:, :4])
    with pytest.raises(ValueError, match="X has 4 features"):
        clf.partial_fit(X[:, :4], y)
    with pytest.raises(ValueError, match="X has 4 features"):
        clf.set_params(warm_start=True).fit(X[:, :4], y)
    assert clf.predict(X).shape == (40,)


@pytest.mark.parametrize("params", [{}, {"prune_fraction": 0}])
def test_one_class(params):
    with pytest.raises(ValueError, match="at least 2 classes; y has only one class: 'a'"):
        PrunedMLPClassifier((10,), **params).fit(X, ["a"] * 40)


def test_one_class_in_partial_fit():
    with pytest.raises(ValueError, match="at least 2 classes; y has only one class: 0"):
        PrunedMLPClassifier((10,)).partial_fit(X, 0 * y, classes=[0])


def test_more_components_than_neurons_are_left():
    clf = PrunedMLPClassifier((10,), method="activation", max_iter=3, warm_start=True)
    clf.set_params(n_components=2).fit(X, y)
    clf.set_params(n_components=5, prune_fraction=0.5)
    for fit in (clf.fit, clf.partial_fit):
        with pytest.raises(ValueError, match="n_components=5 must be at most 2, the neurons that"):
            fit(X, y)
    assert clf.transform(X).shape == (40, 2)


def test_targets_that_are_no_classes():
    with pytest.raises(ValueError, match="continuous"):
        PrunedMLPClassifier((10,)).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="y has several columns of classes.*MultiOutputClassifier"):
        PrunedMLPClassifier((10,)).fit(X, np.stack([y, y + 1, y + 2], axis=1))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (-np.ones(40), "[Nn]egative values in data passed to `?sample_weight"),
        (np.zeros(40), "must contain at least one non-zero"),
        (np.ones(39), r"sample_weight.shape == \(39,\), expected \(40,\)"),
        (np.full(40, np.nan), "sample_weight contains NaN"),
    ],
)
def test_bad_sample_weight(weight, message):
    with pytest.raises(ValueError, match=message):
        PrunedMLPClassifier((10,), max_iter=3).fit(X, y, weight)


def test_partial_fit_refuses_what_it_cannot_know():
    with pytest.raises(ValueError, match="class_weight='balanced' is not supported by partial_fit"):
        PrunedMLPClassifier((10,), class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        PrunedMLPClassifier((10,)).partial_fit(X, y)
    with pytest.raises(ValueError, match="early_stopping=True"):
        PrunedMLPClassifier((10,), early_stopping=True).partial_fit(X, y, classes=[0, 1])
    clf = PrunedMLPClassifier((10,)).partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y must have the classes of the earlier fit.*2"):
        clf.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="classes"):
        clf.partial_fit(X, y, classes=[0, 1, 2])


def test_warm_start_needs_the_same_classes():
    clf = PrunedMLPClassifier((10,), warm_start=True, max_iter=3).fit(X, y)
    with pytest.raises(ValueError, match="y must have the classes of the earlier fit"):
        clf.fit(X, np.where(y == 0, 5, 6))


def test_not_fitted():
    clf = PrunedMLPClassifier()
    for call in (
        clf.predict,
        clf.predict_proba,
        clf.predict_log_proba,
        clf.transform,
        lambda X: clf.score(X, y),
        lambda X: clf.get_feature_names_out(),
        lambda X: clf.hidden_ranks_,
    ):
        with pytest.raises(NotFittedError):
            call(X)


def test_weights_that_overflow_are_told():
    clf = PrunedMLPClassifier(
        (10,), "identity", solver="sgd", learning_rate_init=1e200, max_iter=30, prune_fraction=0
    )
    with pytest.raises(ValueError, match="non-finite parameter weights.*preprocessed"):
        clf.fit(X * 1e3, y)


def test_no_gpu():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ValueError, match="device='cuda' needs a CUDA device; use 'cpu' or 'auto'"):
        PrunedMLPClassifier((10,), device="cuda").fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"prune_fraction": 1.0}, r"'prune_fraction' .* \[0.0, 1.0\) or None. Got 1.0 instead"),
        ({"prune_fraction": -1}, r"'prune_fraction' .* \[0.0, 1.0\) or None. Got -1 instead"),
        ({"prune_fraction": "0.8"}, r"'prune_fraction' .* \[0.0, 1.0\) or None. Got '0.8' instead"),
        ({"n_prune_rounds": -1}, r"'n_prune_rounds' .* \[0, 10000\]. Got -1 instead"),
        ({"n_prune_rounds": 10**9}, r"'n_prune_rounds' .* \[0, 10000\]. Got 1000000000 instead"),
        ({"n_prune_rounds": 1.5}, r"'n_prune_rounds' .* \[0, 10000\]. Got 1.5 instead"),
        ({"n_prune_rounds": "a"}, r"'n_prune_rounds' .* \[0, 10000\]. Got 'a' instead"),
        ({"min_neurons": 0}, r"'min_neurons' .* \[1, inf\). Got 0 instead"),
        ({"min_neurons": "2"}, r"'min_neurons' .* \[1, inf\). Got '2' instead"),
        ({"min_neurons": 5}, r"min_neurons=5 must be .* from 1 to the neurons .*: \[4\]"),
        ({"min_neurons": [0]}, r"min_neurons=\[0\] must be"),
        ({"min_neurons": [1, 1]}, r"min_neurons=\[1, 1\] must be"),
        ({"min_neurons": [1.5]}, r"min_neurons=\[1.5\] must be"),
        ({"min_neurons": ["2"], "prune_fraction": 0}, r"min_neurons=\['2'\] must be"),
        ({"random_state": "a"}, "'random_state' .*Got 'a' instead"),
        ({"method": "snap"}, f"method='snap' is unknown. Known names: {NAMES}"),
        ({"trigger": "loss"}, "trigger='loss' is unknown"),
        ({"trigger": object()}, "trigger=<object.*must be one of .*'accuracy', 'epoch'"),
        (
            {"prune_fraction": 0.9, "method": "firing_deviation"},
            r"prune_fraction=0.9 cannot be reached.*at most 0.75",
        ),
    ],
)
def test_bad_parameters_of_the_callback(params, message):
    module = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    net = NeuralNetClassifier(module, callbacks=[Pruner(**params)], verbose=0, train_split=None)
    with pytest.raises(ValueError, match=message):
        net.fit(X.astype(np.float32), y)


def test_a_module_without_hidden_layers():
    net = NeuralNetClassifier(torch.nn.Linear(6, 2), callbacks=[Pruner()], verbose=0)
    with pytest.raises(ValueError, match="at least one hidden layer.*Linear has 1"):
        net.fit(X.astype(np.float32), y)


def test_weights_of_rows_that_floats_cannot_hold_are_refused():
    single = X.astype(np.float32)
    heavy = PrunedMLPClassifier((5,), class_weight={0: 1e300, 1: 1})
    with pytest.raises(ValueError, match=r"class_weight=\{0: 1e\+300, 1: 1\} gives rows weights"):
        heavy.fit(single, y)
    for weight in (1e38, 1e-40):
        with pytest.raises(
            ValueError, match=r"sample_weight and class_weight give rows weights up"
        ):
            PrunedMLPClassifier((5,)).fit(single, y, sample_weight=np.full(len(y), weight))
    light = np.where(y > 0, 1e-40, 1)
    PrunedMLPClassifier((5,), max_iter=2).fit(single, y, sample_weight=light)


def test_targets_and_weights_to_validate_on_are_those_of_numbers_and_several_rows():
    net = PrunedMLPRegressor(hidden_layer_sizes=(5,), early_stopping=True, max_iter=2)
    with pytest.raises(ValueError, match="y_val is not valid. It has values that are too large"):
        net.fit(X.astype(np.float32), y, X_val=X[:9], y_val=y[:9] + 1e300)
    with pytest.raises(ValueError, match="sample_weight_val leaves 1 rows with a positive weight"):
        net.fit(X, y, X_val=X[:9], y_val=y[:9], sample_weight_val=np.arange(9) == 0)


class Eager(EpochTrigger):
    """Asks for what there is not."""

    def __init__(self, due=9, needs_score=None):
        self.due, self.needs_score = due, needs_score

    def validated(self):
        return self

    def rounds_due(self, done, n_rounds, epoch, max_epochs, score):
        return self.due


@pytest.mark.parametrize("due", [9, None, 1.5])
def test_triggers_ask_for_rounds_that_there_are(due):
    with pytest.raises(ValueError, match=rf"returned {due} from rounds_due; it must return an int"):
        PrunedMLPClassifier((5,), trigger=Eager(due)).fit(X, y)


def test_triggers_need_scores_that_there_are():
    with pytest.raises(ValueError, match="has needs_score='loss'; it must be None, 'accuracy' or"):
        PrunedMLPClassifier((5,), trigger=Eager(1, "loss")).fit(X, y)


@pytest.mark.parametrize(
    "weigh",
    [
        lambda n: -torch.ones(n),
        lambda n: torch.full((n,), torch.nan),
        lambda n: torch.ones(n + 1),
        lambda n: [1.0] * n,
    ],
)
def test_weights_of_batches_are_weights(weigh):
    module = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    pruner = Pruner(sample_weight=lambda batch: weigh(len(batch[1])))
    net = NeuralNetClassifier(module, callbacks=[pruner], verbose=0, max_epochs=2)
    with pytest.raises(
        ValueError, match="sample_weight of Pruner returned .*; it must return None"
    ):
        net.fit(X.astype(np.float32), y)


def test_sizes_and_fractions_may_come_in_arrays():
    assert PrunedMLPClassifier(np.array([5, 4]), max_iter=2).fit(X, y).n_layers_ == 4
    with pytest.raises(ValueError, match="must be integers > 0"):
        PrunedMLPClassifier(np.array(5)).fit(X, y)
    with pytest.raises(ValueError, match="must be rising numbers"):
        pruning_path(PrunedMLPClassifier((5,)), X, y, fractions=np.array(0.5))
