"""A slice of the fuzzing of fits, and what fuzzing them has found."""

import contextlib
import copy
import pickle

import numpy as np
import pytest
import torch
from fuzz.fits import run
from sklearn.datasets import load_iris
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochTimer, Freezer, LRScheduler
from torch.optim.lr_scheduler import LambdaLR, StepLR

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import METHODS, Activation, Magnitude, RigL
from skactprune.penalties import WeightedNuclearNorm
from skactprune.schedules import Geometric, Linear
from skactprune.triggers import EpochTrigger

X, y = load_iris(return_X_y=True)
pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def make(**params):
    defaults = {"max_iter": 6, "learning_rate_init": 0.02, "random_state": 0}
    return PrunedMLPClassifier(**{"hidden_layer_sizes": (16, 8)} | defaults | params)


def test_a_slice_of_the_fuzz_run_finds_nothing():
    counts = run(minutes=1, seed=1, n_fits=40)
    assert counts.faults == []
    assert counts.fitted > 15
    assert counts.refused > 10


# -- parameters of the net ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net_params", "message"),
    [
        ({"foo": 1}, r"net_params\['foo'\] is unknown; of the net, these can be set: .*optimizer"),
        ({"threshold": 0.2}, r"\['threshold'\] is unknown"),
        ({"": 1}, r"net_params\[''\] is unknown"),
        ({"foo__bar": 1}, r"\['foo__bar'\] is unknown; of the net.*optimizer__\.\.\."),
        ({"optimizer__nonsense": 1}, r"\['optimizer__nonsense'\].*'optimizer'.*amsgrad.*betas"),
        ({"optimizer__": 1}, r"net_params\['optimizer__'\] is unknown"),
        ({"optimizer__params": 1}, r"net_params\['optimizer__params'\] is unknown"),
        ({"iterator_valid__x": 1}, r"net_params\['iterator_valid__x'\].*num_workers"),
        ({"iterator_train__x": 1}, r"net_params\['iterator_train__x'\] cannot be set"),
        ({"module__foo": 2}, r"net_params\['module__foo'\] cannot be set"),
        ({"callbacks__x": None}, r"\['callbacks__x'\] is unknown.*can be set: none"),
        ({"callbacks__x__y": 1}, r"net_params\['callbacks__x__y'\] is unknown"),
        (
            {"callbacks": [("norm", WeightedNuclearNorm())], "callbacks__norm__strength": 1},
            r"net_params\['callbacks__norm__strength'\] is unknown; of 'norm'.*alpha",
        ),
        (
            {"callbacks": [("a", EpochTimer()), ("a", EpochTimer())]},
            "more than one of the name 'a'",
        ),
        ({"callbacks": [("EpochTimer", EpochTimer()), EpochTimer()]}, "more than one of the name"),
        ({"callbacks": [(3, EpochTimer())]}, "one of the name 3"),
        ({"callbacks": [Freezer]}, "Freezer, which is not supported"),
        ({"optimizer": "adam"}, r"net_params\['optimizer'\]='adam' must be a class"),
        ({"optimizer": torch.optim.SparseAdam}, "SparseAdam is not supported: it takes sparse"),
        ({"optimizer__weight_decay": -1}, "net_params={'optimizer__weight_decay': -1}: no net.*-1"),
        ({"use_caching": 3}, "net_params={'use_caching': 3}: no net can be made"),
    ],
)
def test_net_params_that_nothing_reads(net_params, message):
    with pytest.raises(ValueError, match=message):
        make(net_params=net_params).fit(X, y)


@pytest.mark.parametrize(
    "net_params",
    [
        {"optimizer__amsgrad": True},
        {"optimizer__param_groups": [("layers.0.*", {"lr": 0.1})]},
        {"optimizer": lambda params, **others: torch.optim.SGD(params, **others)},
        {"callbacks": [EpochTimer, EpochTimer()], "callbacks__EpochTimer_1": None},
        {"callbacks": [("n", WeightedNuclearNorm(0.1))], "callbacks__n__alpha": 0.2},
        {"verbose": 0, "iterator_valid__num_workers": 0},
    ],
)
def test_net_params_that_are_read(net_params):
    assert make(net_params=net_params).fit(X, y).sparsity_ >= 0.8


@pytest.mark.parametrize(
    "policy", [{"policy": StepLR, "step_size": 1}, {"policy": LambdaLR, "lr_lambda": lambda n: 0.5}]
)
def test_schedulers_of_learning_rates_go_on(policy):
    clf = make(net_params={"callbacks": [LRScheduler(**policy)]})
    for _ in range(4):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    twin = copy.deepcopy(clf)
    assert clf.partial_fit(X, y).coefs_[0].tobytes() == twin.partial_fit(X, y).coefs_[0].tobytes()
    clf.set_params(warm_start=True).fit(X, y)
    assert clf.sparsity_ >= 0.8


# -- numbers and options of other types -----------------------------------------------------


@pytest.mark.parametrize(
    ("small", "plain"),
    [
        ({"n_prune_rounds": np.uint64(3), "method": Activation(schedule=Geometric(3))}, None),
        (
            {"n_prune_rounds": 9, "method": Activation(schedule=Geometric(np.uint8(3)))},
            {"n_prune_rounds": 9, "method": Activation(schedule=Geometric(3))},
        ),
        (
            {"max_iter": 18, "method": RigL(update_every=np.uint8(3)), "batch_size": 10},
            {"max_iter": 18, "method": RigL(update_every=3), "batch_size": 10},
        ),
        (
            {"prune_fraction": np.float16(0.75), "hidden_layer_sizes": (300, 250), "max_iter": 1},
            {"prune_fraction": 0.75, "hidden_layer_sizes": (300, 250), "max_iter": 1},
        ),
    ],
)
def test_small_numbers_of_numpy_do_not_overflow(small, plain):
    plain = small | {"n_prune_rounds": 3} if plain is None else plain
    found, expected = make(**small).fit(X, y), make(**plain).fit(X, y)
    assert found.predict_proba(X).tobytes() == expected.predict_proba(X).tobytes()
    assert found.pruning_history_[-1]["sparsity"] >= plain.get("prune_fraction", 0.8)


def test_triggers_of_small_numbers_do_not_overflow():
    trigger = EpochTrigger(np.float16(0.25), np.float16(0.5))
    assert trigger.epochs(2, 400_000) == [100_000, 200_000]


@pytest.mark.parametrize("ratio", [3, 3.0, 1e300])
def test_steep_schedules_do_not_overflow(ratio):
    schedule = Geometric(ratio)
    assert schedule(10_000, 10_000) == 1
    assert schedule(9_999, 10_000) == pytest.approx(1 / ratio)
    assert schedule(1, 2) == pytest.approx(1 / (1 + ratio))


@pytest.mark.parametrize("share", ["a", np.nan, None, [1.0]])
def test_shares_that_are_no_numbers(share):
    with pytest.raises(
        ValueError, match="schedule=.*must not decrease and must end at 1; it gives"
    ):
        make(method=Magnitude(schedule=lambda done, n_rounds: share)).fit(X, y)


@pytest.mark.parametrize("option", ["granularity", "scope", "regrow"])
@pytest.mark.parametrize("value", [np.array(["neuron", "weight"]), ["layer"], {}])
def test_options_that_are_no_values(option, value):
    with pytest.raises(ValueError, match=f"{option}=.* of Magnitude must be one of"):
        make(method=Magnitude(**{option: value})).fit(X, y)


@pytest.mark.parametrize("size", [2**40, 10**30])
@pytest.mark.parametrize("net_params", [None, {"verbose": 0}])
def test_sizes_that_nobody_can_hold(size, net_params):
    with pytest.raises(ValueError, match=rf"hidden_layer_sizes=\({size},\) asks for .* memory"):
        make(hidden_layer_sizes=(size,), net_params=net_params).fit(X, y)


# -- data -----------------------------------------------------------------------------------


def test_components_of_what_overflows():
    with pytest.raises(ValueError, match="n_components=2 components cannot be computed.*large"):
        make(n_components=2, prune_fraction=0, max_iter=1).fit(X * 1e200, y)


def test_features_that_overflow():
    with pytest.raises(ValueError, match="must give finite scores.*large values.*preprocessed"):
        make(method="firing_deviation", activation="tanh").fit(X * 1e200, y)


@pytest.mark.parametrize("method", [*METHODS, Magnitude("block")])
def test_large_values_are_learned_from_or_refused(method):
    flat = X.copy()
    flat[:, 1] = 1e170
    for rows in (X * 1e200, X * 1e155, (X * 1e25).astype(np.float32), flat):
        clf = make(method=method, activation="tanh", n_components=2, max_iter=4)
        # Warnings are errors here.
        with contextlib.suppress(ValueError):
            clf.fit(rows, y)
            assert np.isfinite(clf.predict_proba(rows)).all()


def test_training_that_diverges_says_only_that():
    with pytest.raises(ValueError, match="Training has diverged by epoch"):
        make(method="magnitude").fit(X * 1e200, y)


@pytest.mark.parametrize("target", [np.arange(75) % 40, np.arange(75).astype(str)])
def test_a_target_with_nearly_as_many_values_as_rows(target):
    with pytest.warns(UserWarning, match="number of unique classes is greater than 50%"):
        make(prune_fraction=0).fit(X[:75], target)


# -- the fitted estimator -------------------------------------------------------------------


def test_an_estimator_without_hidden_layers_can_be_shown():
    clf = make(hidden_layer_sizes=(), prune_fraction=0).fit(X, y)
    assert "coefs_" in dir(clf)
    assert "PrunedMLPClassifier" in clf._repr_html_()
    assert "CompactMLPClassifier" in clf.compact()._repr_html_()


def test_biases_that_a_smaller_type_cannot_hold():
    clf = make(max_iter=1, prune_fraction=0).fit(X, y)
    clf.intercepts_ = [*clf.intercepts_[:-1], np.full(3, 1e50)]
    for storage in ("float32", "float16", "int8", "codebook"):
        with pytest.raises(ValueError, match=f"dtype='{storage}' cannot hold the weights.*1e.50"):
            clf.compact(storage)


class Zeros(Magnitude):
    """Random scores, of a layer whose other neurons are all zero when the last round comes."""

    def scores(self, run):
        return [np.arange(weight.shape[0])[:, None] for weight in run.weights()[:-1]]


@pytest.mark.parametrize("granularity", ["neuron", "weight"])
def test_what_is_zero_goes_before_what_is_not(granularity):
    """Dropout keeps neurons from growing again; those that are zero would be kept for nothing."""
    clf = make(
        hidden_layer_sizes=(8,),
        method=Zeros(granularity=granularity, regrow=True),
        dropout=[0.999999, 0.0],
        learning_rate_init=1e-12,
        alpha=0,
        trigger=EpochTrigger(0, 1),
    ).fit(X, y)
    assert clf.pruning_history_[-1]["live_neurons"] == [len(clf.live_neurons_[0])]
    assert clf.hidden_ranks_[0] > 0


# -- loops that are called by themselves ------------------------------------------------------


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_loop_without_fit_prunes(method):
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 20), torch.nn.ReLU(), torch.nn.Linear(20, 3), torch.nn.Softmax(-1)
    )
    pruner = Pruner(method, prune_fraction=0.5, n_prune_rounds=2)
    net = NeuralNetClassifier(
        module, callbacks=[pruner], max_epochs=4, verbose=0, train_split=None
    ).initialize()
    try:
        net.fit_loop(X.astype(np.float32), y)
    except ValueError as error:
        # Some methods are for chains only, and this is none to them.
        assert "needs to know" in str(error)
        return
    assert pruner.masks_.sparsity >= 0.5
    net.fit_loop(X.astype(np.float32), y, epochs=1)
    assert pruner.run_.epoch == 5


def test_the_loop_of_an_unpickled_estimator():
    clf = pickle.loads(pickle.dumps(make(method=Magnitude(schedule=Linear())).fit(X, y)))
    sparsity = clf.sparsity_
    clf.net_.fit_loop(X, y, epochs=2)
    assert clf.net_.callbacks_[0][1].masks_.sparsity == pytest.approx(sparsity)
