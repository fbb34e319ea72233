"""Pruner with nets that are not ours."""

import pickle
from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback

from skactprune import (
    AccuracyTrigger,
    Activation,
    EpochTrigger,
    Magnitude,
    PrunedMLPClassifier,
    Pruner,
    ScorePruning,
)
from skactprune.methods import LayerState

X, y = make_classification(
    n_samples=100, n_features=8, n_informative=6, n_redundant=0, class_sep=2.0, random_state=0
)
X = X.astype(np.float32)


class Net(torch.nn.Module):
    def __init__(self, hidden=20, n_out=2):
        super().__init__()
        self.first = torch.nn.Linear(8, hidden)
        self.norm = torch.nn.BatchNorm1d(hidden)
        self.drop = torch.nn.Dropout(0.2)
        self.second = torch.nn.Linear(hidden, 10, bias=False)
        self.out = torch.nn.Linear(10, n_out)

    def forward(self, X):
        h = torch.relu(self.second(self.drop(torch.relu(self.norm(self.first(X))))))
        return torch.softmax(self.out(h), dim=1)


def make(pruner, *, callbacks=(), **params):
    torch.manual_seed(0)
    return NeuralNetClassifier(
        **{
            "module": Net,
            "callbacks": [("pruner", pruner), *callbacks],
            "max_epochs": 10,
            "lr": 0.05,
            "optimizer": torch.optim.SGD,
            "verbose": 0,
            "batch_size": 25,
        }
        | params,
    )


def fitted_pruner(net):
    return dict(net.callbacks_)["pruner"]


class ZeroAfterEveryStep(Callback):
    steps = 0

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            assert_masked(net)
            self.steps += 1


def assert_masked(net):
    masks = fitted_pruner(net).masks_.current
    for layer, mask in zip([net.module_.first, net.module_.second], masks, strict=True):
        assert (layer.weight.detach().numpy()[~mask] == 0).all()


@pytest.mark.parametrize(
    "optimizer",
    [
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__weight_decay": 0.1},
        {"optimizer": torch.optim.Adam, "lr": 0.01},
        {"optimizer": torch.optim.AdamW, "lr": 0.01, "optimizer__weight_decay": 0.1},
    ],
)
@pytest.mark.parametrize("method", [Activation(), Magnitude(), Magnitude(granularity="neuron")])
def test_masks_hold_after_every_step(method, optimizer):
    look = ZeroAfterEveryStep()
    net = make(Pruner(method, prune_fraction=0.7), callbacks=[("look", look)], **optimizer)
    net.fit(X, y)
    pruner = fitted_pruner(net)
    assert look.steps == 10 * 4
    assert pruner.masks_.sparsity >= 0.7
    # Shapes stay: which layer feeds which is not known here.
    assert net.module_.first.weight.shape == (20, 8)
    unit = 20 if method.granularity == "neuron" else 1
    assert pruner.masks_.n_left > 0.3 * 360 - unit
    assert net.module_.out.weight.detach().numpy().all()


def test_history_rows():
    net = make(Pruner(prune_fraction=0.5, n_prune_rounds=2)).fit(X, y)
    rows = fitted_pruner(net).history_
    assert [row["round"] for row in rows] == [1, 2]
    assert [row["epoch"] for row in rows] == [1, 6]
    for row in rows:
        assert 0 <= row["train_score"] <= 1
        assert row["validation_score"] == net.history[row["epoch"] - 1, "valid_acc"]
        assert len(row["live_neurons"]) == 2
        assert 0 < row["seconds"] < 60


def test_accuracy_trigger_reads_any_output():
    trigger = AccuracyTrigger(0.5, 0.9)
    net = make(Pruner(trigger=trigger, prune_fraction=0.5), max_epochs=60).fit(X, y)
    pruner = fitted_pruner(net)
    assert pruner.masks_.sparsity >= 0.5
    assert len(net.history) < 60
    marks = [0.5 + i * 0.4 / 5 for i in range(5)]
    assert all(row["train_score"] >= m for row, m in zip(pruner.history_, marks, strict=True))


def test_accuracy_trigger_needs_classes():
    module = torch.nn.Sequential(torch.nn.Linear(8, 9), torch.nn.ReLU(), torch.nn.Linear(9, 1))
    net = NeuralNetRegressor(
        module, callbacks=[Pruner(trigger="accuracy", prune_fraction=0.5)], verbose=0, lr=0.001
    )
    with pytest.raises(ValueError, match="trigger='accuracy' needs class labels"):
        net.fit(X, y[:, None].astype(np.float32))


def test_regression():
    module = torch.nn.Sequential(torch.nn.Linear(8, 9), torch.nn.ReLU(), torch.nn.Linear(9, 1))
    net = NeuralNetRegressor(
        module, callbacks=[("pruner", Pruner(prune_fraction=0.5))], verbose=0, lr=0.001,
        train_split=None,
    ).fit(X, y[:, None].astype(np.float32))  # fmt: skip
    assert fitted_pruner(net).masks_.sparsity >= 0.5
    # R² of the epoch in which the net was trained, not of what it became.
    assert fitted_pruner(net).history_[-1]["train_score"] < r2_score(y, net.predict(X)[:, 0])


def test_floors():
    for min_neurons, expected in ((5, [5, 5]), ([7, 3], [7, 3])):
        pruner = Pruner(
            Magnitude(granularity="neuron"), prune_fraction=0.6, min_neurons=min_neurons
        )
        net = make(pruner).fit(X, y)
        live = fitted_pruner(net).history_[-1]["live_neurons"]
        assert all(a >= b for a, b in zip(live, expected, strict=True))


def test_fitting_again_starts_anew_and_partial_fit_goes_on():
    net = make(Pruner(prune_fraction=0.5)).fit(X, y)
    first = fitted_pruner(net).history_
    net.fit(X, y)
    assert len(fitted_pruner(net).history_) == len(first)
    sparsity = fitted_pruner(net).masks_.sparsity
    net.partial_fit(X, y, epochs=2)
    assert fitted_pruner(net).masks_.sparsity == sparsity
    assert_masked(net)


def test_epochs_of_partial_fit_are_those_of_the_schedule():
    pruner = Pruner(Magnitude(), prune_fraction=0.6, n_prune_rounds=3)
    net = make(pruner, max_epochs=10).initialize()
    for _ in range(5):
        net.partial_fit(X, y, epochs=2)
    whole = make(pruner, max_epochs=10).fit(X, y)
    epochs = [row["epoch"] for row in fitted_pruner(net).history_]
    assert epochs == [row["epoch"] for row in fitted_pruner(whole).history_]


def test_a_net_with_a_pruner_is_cloned_searched_and_pickled():
    net = make(Pruner(prune_fraction=0.5))
    copied = clone(net).fit(X, y)
    assert fitted_pruner(copied).masks_.sparsity >= 0.5
    grid = {
        "callbacks__pruner__prune_fraction": [0.3, 0.6],
        "callbacks__pruner__method": ["activation", Magnitude()],
    }
    search = GridSearchCV(net, grid, cv=2).fit(X, y)
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    best = search.best_params_["callbacks__pruner__prune_fraction"]
    assert fitted_pruner(search.best_estimator_).masks_.sparsity >= best
    other = pickle.loads(pickle.dumps(copied))
    assert (other.predict_proba(X) == copied.predict_proba(X)).all()
    other.partial_fit(X, y, epochs=1)
    assert_masked(other)


@pytest.mark.parametrize("trained_before", [False, True])
def test_a_net_with_a_pruner_is_cloned_before_and_after_a_fit(trained_before):
    net = make(Pruner(Activation(), prune_fraction=0.5, random_state=0), max_epochs=4)
    if trained_before:
        net.fit(X, y)
    copied = clone(net)
    pruner = dict(copied.callbacks)["pruner"]
    assert not hasattr(pruner, "run_") and pruner.prune_fraction == 0.5
    copied.fit(X, y)
    assert fitted_pruner(copied).history_[-1]["round"] == 5
    assert fitted_pruner(copied).masks_.sparsity >= 0.5
    scores = cross_val_score(net, X, y, cv=3, error_score="raise")
    assert np.isfinite(scores).all()
    if trained_before:
        # The net itself is as it was.
        assert fitted_pruner(net).masks_ is not fitted_pruner(copied).masks_
        assert_masked(net)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_the_net_of_a_fitted_estimator_is_cloned():
    clf = PrunedMLPClassifier((12, 9), max_iter=6, random_state=0, prune_fraction=0.6).fit(X, y)
    expected = clf.predict_proba(X)
    for net in (clf.net_, pickle.loads(pickle.dumps(clf)).net_):
        copied = clone(net)
        assert not hasattr(copied, "module_")
        assert copied.get_params()["module__layer_sizes"] == net.module__layer_sizes
        # It is a net of the compact size, and its pruner starts anew.
        copied.set_params(module__random_state=np.random.RandomState(0))
        copied.set_params(callbacks__pruner__prune_fraction=0.2).fit(X, y.astype(np.int64))
        assert copied.module_.layers[0].in_features == 8
        assert dict(copied.callbacks_)["pruner"].masks_.sparsity >= 0.2
        scores = cross_val_score(copied, X, y.astype(np.int64), cv=2, error_score="raise")
        assert np.isfinite(scores).all()
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


def test_criteria_see_the_state_of_a_layer():
    seen = []

    def criterion(layer):
        assert isinstance(layer, LayerState)
        assert layer.weight.shape == layer.mask.shape
        assert layer.counts.shape == (len(layer.weight),)
        seen.append(layer)
        return np.abs(layer.weight)

    pruner = Pruner(
        ScorePruning(criterion, granularity="weight"), n_prune_rounds=2, prune_fraction=0.5
    )
    net = make(pruner).fit(X, y)
    assert [layer.weight.shape for layer in seen] == [(20, 8), (10, 20)] * 2
    assert seen[0].mask.all() and not seen[2].mask.all()
    assert fitted_pruner(net).masks_.n_left == 180


def test_scores_are_not_taken_in_a_pass_of_their_own():
    """Until the round, batch-norm statistics are those of a net that trains without a pruner."""

    class Look(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            buffers = net.module_.norm.named_buffers()
            self.seen_ = {name: buffer.clone() for name, buffer in buffers}

    still = {"lr": 0.0, "train_split": None}
    looks = [Look(), Look()]
    pruners = [Pruner(prune_fraction=0.01, trigger=EpochTrigger(1, 1)), Pruner(prune_fraction=0)]
    for look, pruner in zip(looks, pruners, strict=True):
        make(pruner, callbacks=[("look", look)], **still).fit(X, y)
    assert looks[0].seen_.keys() == {"running_mean", "running_var", "num_batches_tracked"}
    for name, seen in looks[0].seen_.items():
        assert torch.equal(seen, looks[1].seen_[name])


def test_biases_may_be_missing_and_layers_nested():
    inner = torch.nn.Sequential(torch.nn.Linear(8, 6, bias=False), torch.nn.Tanh())
    module = torch.nn.Sequential(inner, torch.nn.Linear(6, 5), torch.nn.Linear(5, 2))
    net = NeuralNetClassifier(
        module, criterion=torch.nn.CrossEntropyLoss, verbose=0,
        callbacks=[("pruner", Pruner(Magnitude(), prune_fraction=0.5, cut=False))],
    ).fit(X, y)  # fmt: skip
    assert fitted_pruner(net).masks_.n_left == (48 + 30) // 2


class Shuffled(torch.nn.Module):
    """Defines its layers in another order than it calls them in."""

    def __init__(self, order):
        super().__init__()
        sizes = {"a": (8, 30), "b": (30, 20), "out": (20, 2)}
        for name in order:
            setattr(self, name, torch.nn.Linear(*sizes[name]))

    def forward(self, X):
        return torch.softmax(self.out(torch.relu(self.b(torch.relu(self.a(X))))), dim=1)


@pytest.mark.parametrize("order", list(permutations(("out", "a", "b"))))
def test_the_output_layer_is_what_feeds_no_other_wherever_it_is_defined(order):
    net = make(Pruner(), module=Shuffled, module__order=order).fit(X, y)
    assert fitted_pruner(net).layer_names_ == [name for name in order if name != "out"]
    assert set(fitted_pruner(net).masks_.shapes) == {(30, 8), (20, 30)}
    assert net.module_.out.weight.all()
    assert not any(layer._forward_hooks for layer in net.module_.modules())
