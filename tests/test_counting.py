"""Firing counts equal those of a second count of the captured pre-activations."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from skactprune import Activation, Ganguli2024, Magnitude, PrunedMLPClassifier, Pruner
from skactprune.nets.batches import BatchIterator, TrainingData
from skactprune.nets.mlp import MLP
from skactprune.nets.net import MLPNet
from skactprune.pruning.probes import Firing, WeightSums
from skactprune.pruning.probes.rows import Rows
from skactprune.pruning.run import Run
from skactprune.triggers import EpochTrigger

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
ACTIVATIONS = ["relu", "tanh", "logistic", "identity"]
X, y = make_classification(
    n_samples=70, n_features=6, n_informative=5, n_redundant=0, n_classes=3, random_state=0
)


class SecondCount(Callback):
    """Counts z > 0 in numpy, in its own hooks, in the coordinates of the original net."""

    def __init__(self, n_out):
        self.totals = [np.zeros(n) for n in n_out]
        self.rows_seen = 0

    def initialize(self):
        return self

    def on_train_begin(self, net, **kwargs):
        layers = [m for m in net.module_.modules() if hasattr(m, "weight")][:-1]

        def masks():
            return dict(net.callbacks_)["pruner"].masks_

        for depth, layer in enumerate(layers):
            layer.register_forward_hook(self.hook(depth, net, masks))

    def on_batch_begin(self, net, batch=None, **kwargs):
        target = batch[1]
        self.weight = np.ones(len(batch[0]))
        if isinstance(target, (tuple, list)):
            self.weight = target[1].numpy().copy()

    def hook(self, depth, net, masks):
        def count(module, inputs, z):
            if not net.module_.training:
                return
            fires = z.detach().numpy().copy() > 0
            if fires.ndim > 2:
                fires = fires.sum(axis=tuple(range(2, fires.ndim)))
            live = masks().live[depth]
            np.add.at(self.totals[depth], live, self.weight @ fires)
            self.rows_seen += len(fires)

        return count


def counted(n_out, counter=SecondCount, sample_weight=None, **params):
    second = counter(n_out)
    params = {"max_iter": 12, "batch_size": 16, "learning_rate_init": 0.01} | params
    clf = PrunedMLPClassifier(
        n_out, random_state=0, net_params={"callbacks": [("second", second)]}, **params
    ).fit(X, y, sample_weight)
    assert second.rows_seen >= 12 * 50 * len(n_out)
    return clf, second.totals


def assert_equal_counts(clf, totals, dtype=np.int64):
    for count, total in zip(clf.activation_counts_, totals, strict=True):
        assert count.dtype == dtype
        assert count.tolist() == total.tolist()
        assert count.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_counts_equal_a_second_count(activation, dtype):
    clf, totals = counted((11, 8), activation=activation, dtype=dtype)
    assert len(clf.live_neurons_[0]) < 11
    assert_equal_counts(clf, totals)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_weighted_counts(solver):
    # Sums of halves and quarters are exact in any order.
    weight = np.random.RandomState(0).choice([0.25, 0.5, 1.0, 2.0, 3.0], len(X))
    clf, totals = counted((11, 8), sample_weight=weight, solver=solver)
    assert_equal_counts(clf, totals, np.float64)


def test_counts_are_weighted_by_class_weight():
    clf, totals = counted((11, 8), class_weight={0: 0.5, 1: 1.0, 2: 4.0})
    assert_equal_counts(clf, totals, np.float64)


def test_counts_come_before_dropout_and_include_dropped_neurons():
    clf, totals = counted((11, 8), dropout=0.5)
    assert_equal_counts(clf, totals)
    # Without learning, dropout of the last hidden layer changes nothing that is counted.
    still = {"learning_rate_init": 1e-300, "prune_fraction": 0.5, "alpha": 0}
    with_dropout, _ = counted((11,), dropout=[0.0, 0.9], solver="sgd", **still)
    without, _ = counted((11,), solver="sgd", **still)
    assert with_dropout.activation_counts_[0].tolist() == without.activation_counts_[0].tolist()


def test_validation_rows_are_not_counted():
    clf, totals = counted((11, 8), early_stopping=True, validation_fraction=0.2, tol=0)
    assert_equal_counts(clf, totals)
    assert max(count.max() for count in clf.activation_counts_) <= 12 * 56


def test_counts_equal_a_pure_numpy_forward_pass():
    """Small whole numbers are exact in any order of summation, so that nothing can round."""
    random = np.random.RandomState(0)
    rows = random.randint(-3, 4, (50, 6)).astype(float)
    labels = random.randint(0, 2, 50)
    mlp = MLPClassifier((9,), max_iter=1, solver="sgd", learning_rate_init=1e-300)
    mlp.partial_fit(rows, labels, classes=[0, 1])
    mlp.coefs_[0] = random.randint(-2, 3, (6, 9)).astype(float)
    mlp.intercepts_[0] = random.randint(-2, 3, 9).astype(float)
    clf = PrunedMLPClassifier.from_sklearn(mlp, max_iter=7, alpha=0, n_prune_rounds=1, tol=0)
    clf.set_params(method="activation", random_state=0, prune_fraction=0.5).fit(rows, labels)
    fires = (rows @ mlp.coefs_[0] + mlp.intercepts_[0] > 0).sum(axis=0)
    assert (fires == 0).sum() < 3
    live = np.isin(np.arange(9), clf.live_neurons_[0])
    epoch = clf.pruning_history_[0]["epoch"]
    assert clf.activation_counts_[0].tolist() == np.where(live, 7 * fires, epoch * fires).tolist()
    # A neuron that has left was counted for fewer rows.
    assert clf.firing_rates_[0].tolist() == (fires / 50).tolist()
    # The four that fired most stay: lowest first, ties by position.
    assert clf.live_neurons_[0].tolist() == sorted(np.argsort(fires, kind="stable")[-4:])


def test_ganguli2024_can_count_on_a_sample():
    clf = PrunedMLPClassifier(
        (11, 8), method=Ganguli2024(counting="sample"), max_iter=12, prune_fraction=0.5,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    counts = np.concatenate(clf.activation_counts_)
    assert counts.max() <= 12 * 32
    rates = np.concatenate(clf.firing_rates_)
    live = np.concatenate([clf.live_neurons_[0], 11 + clf.live_neurons_[1]])
    np.testing.assert_allclose(rates[live] * 12 * 32, counts[live])
    assert counts.max() > 6 * 32 / 2
    few = PrunedMLPClassifier(
        (11,), method=Ganguli2024(counting="sample"), max_iter=12, prune_fraction=0, random_state=0
    ).fit(X[:20], y[:20])
    assert max(few.activation_counts_[0]) <= 12 * 20


class RestartingCount(SecondCount):
    """Forgets, after a round, what the neurons that are left did before it."""

    done = 0

    def on_epoch_end(self, net, **kwargs):
        pruner = dict(net.callbacks_)["pruner"]
        if pruner.run_.done > self.done:
            self.done = pruner.run_.done
            for total, live in zip(self.totals, pruner.masks_.live, strict=True):
                total[live] = 0


@pytest.mark.parametrize("granularity", ["neuron", "weight"])
def test_counts_can_restart_after_each_round(granularity):
    clf, totals = counted(
        (11, 8), RestartingCount, method=Activation(granularity=granularity, reset_counts=True)
    )
    assert_equal_counts(clf, totals)


def test_methods_that_do_not_count_say_so():
    clf = PrunedMLPClassifier((5,), method=Magnitude(), max_iter=3).fit(X, y)
    assert clf.activation_counts_ is None


# -- any skorch net -------------------------------------------------------------------------


class CNN(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv1d(1, 4, 3, padding=1)
        self.conv2 = torch.nn.Conv1d(4, 5, 3)
        self.hidden = torch.nn.Linear(5 * 4, 7)
        self.out = torch.nn.Linear(7, 3)

    def forward(self, X):
        h = torch.relu(self.conv1(X[:, None]))
        h = torch.relu_(self.conv2(h)).flatten(1)
        return torch.softmax(self.out(torch.relu_(self.hidden(h))), dim=1)


@pytest.mark.parametrize("granularity", ["neuron", "weight"])
def test_a_small_cnn_with_validation_batches(granularity):
    torch.manual_seed(0)
    second = SecondCount([4, 5, 7])
    pruner = Pruner(Activation(granularity=granularity), prune_fraction=0.6, n_prune_rounds=2)
    net = NeuralNetClassifier(
        CNN,
        max_epochs=6,
        lr=0.1,
        train_split=ValidSplit(5, stratified=True),
        callbacks=[("pruner", pruner), ("second", second)],
        verbose=0,
    ).fit(X.astype(np.float32), y)
    pruner = dict(net.callbacks_)["pruner"]
    for count, total in zip(pruner.activation_counts_, second.totals, strict=True):
        assert count.tolist() == total.tolist() and count.any()
    # A channel may fire once a position.
    assert pruner.activation_counts_[0].max() > 6 * 56
    assert pruner.masks_.sparsity >= 0.6
    for layer, mask in zip(
        [net.module_.conv1, net.module_.conv2, net.module_.hidden],
        pruner.masks_.current,
        strict=True,
    ):
        assert (layer.weight.detach().numpy().reshape(mask.shape)[~mask] == 0).all()


def test_weights_of_rows_of_any_net():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 1))
    pruner = Pruner(
        prune_fraction=0.3, n_prune_rounds=1, sample_weight=lambda batch: batch[0][:, 0].abs()
    )
    rows = np.round(X * 4).astype(np.float32) / 4

    class Count(SecondCount):
        def on_batch_begin(self, net, batch=None, **kwargs):
            self.weight = np.abs(batch[0][:, 0].numpy())

    second = Count([9])
    NeuralNetRegressor(
        module, max_epochs=4, callbacks=[("pruner", pruner), ("second", second)],
        train_split=None, verbose=0,
    ).fit(rows, y[:, None].astype(np.float32))  # fmt: skip
    assert pruner.activation_counts_[0].tolist() == second.totals[0].tolist()
    assert pruner.activation_counts_[0].dtype == np.float64


def plain_count(module, rows):
    """Times that the hidden neurons of an `MLP` fire on the rows."""
    found, h = [], rows
    for layer in module.layers[:-1]:
        z = torch.nn.functional.linear(h, layer.weight, layer.bias)
        found.append((z > 0).sum(dim=0).tolist())
        h = module.activate(z.clone())
    return found


def run_of(module):
    """Run of a module in which a round is to come."""
    run = Run(SimpleNamespace(module_=module), "label", np.random.RandomState(0))
    run.rows = Rows(TrainingData(X, y), None, run.random_state, SimpleNamespace(batch_size=16))
    run.shares = [1.0]
    return run


def counter_of(module):
    counter = Firing()
    counter.attach(run_of(module))
    return counter


def count(counter, module, rows, weight=None):
    """Let a counter hear of a batch of training."""
    trace = []
    counter.begin_batch((rows, None), weight)
    module(rows, trace=trace)
    counter.end_batch((rows, None), trace)


def found(counter):
    return [counts.tolist() for counts in counter.counts]


@pytest.mark.parametrize("n_batches", [254, 255, 256, 1021])
def test_more_batches_than_a_byte_counts(n_batches):
    module = MLP((6, 5, 4, 2), "relu", (0.0,) * 3, torch.float32, np.random.RandomState(0))
    rows = torch.from_numpy(X.astype(np.float32))[:3]
    counter = counter_of(module)
    for _ in range(n_batches):
        count(counter, module, rows)
    counts = [(n_batches * np.array(once)).tolist() for once in plain_count(module, rows)]
    assert found(counter) == counts
    assert counter.seen == [3 * n_batches] * 2


def test_batches_of_all_sizes():
    module = MLP((6, 5, 4, 2), "logistic", (0.0,) * 3, torch.float64, np.random.RandomState(0))
    rows = torch.from_numpy(X)
    counter = counter_of(module)
    for size in (7, 7, 1, 3, 7, 45):
        start = int(sum(counter.seen) / 2)
        count(counter, module, rows[start : start + size])
    assert found(counter) == plain_count(module, rows)


def test_a_forward_pass_that_was_interrupted_does_not_count():
    module = MLP((6, 5, 4, 2), "relu", (0.0,) * 3, torch.float64, np.random.RandomState(0))
    rows = torch.from_numpy(X)
    counter = counter_of(module)
    with pytest.MonkeyPatch.context() as patch:

        def interrupt(z, depth):
            raise KeyboardInterrupt

        patch.setattr(module, "activate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            count(counter, module, rows)
    counter.detach()
    counter.attach(run_of(module))
    count(counter, module, rows)
    assert found(counter) == plain_count(module, rows)


def test_our_module_as_a_part_of_another():
    part = MLP((6, 5, 4), "relu", (0.0,) * 2, torch.float64, np.random.RandomState(0))
    rest = [torch.nn.Linear(4, 3, dtype=torch.float64), torch.nn.Linear(3, 2, dtype=torch.float64)]
    whole = torch.nn.Sequential(part, *rest)
    counter, rows = counter_of(whole), torch.from_numpy(X)
    counter.begin_batch((rows, None), None)
    whole(rows)
    counter.end_batch((rows, None), [])
    assert counter.seen == [len(X)] * 3
    assert counter.counts[0].tolist() == plain_count(part, rows)[0]
    assert len(counter.counts) == 3 and counter.counts[2].any()
    counter.detach()
    whole(rows)
    assert counter.seen == [len(X)] * 3
    assert not [layer for layer in whole.modules() if layer._forward_hooks]


def test_what_is_kept_of_neurons_that_left_and_after_a_restart():
    module = MLP((6, 5, 4, 2), "relu", (0.0,) * 3, torch.float64, np.random.RandomState(0))
    counter, rows = counter_of(module), torch.from_numpy(X)
    count(counter, module, rows)
    first, second = (np.array(counts) for counts in plain_count(module, rows))
    keep = [np.array([True, False, True, True, False]), np.array([False, True, True, True])]
    restore = counter.snapshot()
    counter.cut(keep)
    assert found(counter) == [first[keep[0]].tolist(), second[keep[1]].tolist()]
    assert [counts.tolist() for counts in counter.original_counts] == [
        first.tolist(), second.tolist()
    ]  # fmt: skip
    again = Firing()
    again.load(counter.state())
    again.attach(run_of(module))
    assert found(again) == found(counter) and again.seen == counter.seen == [len(X)] * 2
    for rates, counts in zip(again.original_rates, (first, second), strict=True):
        np.testing.assert_array_equal(rates, counts / len(X))
    counter.restart()
    assert not np.concatenate(counter.counts).any() and counter.seen == [0.0, 0.0]
    left = np.where(keep[0], 0, first)
    assert counter.original_counts[0].tolist() == left.tolist()
    np.testing.assert_array_equal(counter.original_rates[0], left / len(X))
    restore()
    assert found(counter) == [first.tolist(), second.tolist()]


def test_a_snapshot_is_of_all_that_was_heard_by_then():
    module = MLP((6, 5, 4, 2), "relu", (0.0,) * 3, torch.float64, np.random.RandomState(0))
    counter, rows = counter_of(module), torch.from_numpy(X)
    count(counter, module, rows)
    restore = counter.snapshot()
    weight = torch.linspace(0, 1, len(X), dtype=torch.float64)
    count(counter, module, rows, weight)
    assert counter.counts[0].dtype == np.float64
    assert counter.seen == pytest.approx([len(X) + float(weight.sum())] * 2)
    restore()
    assert counter.counts[0].dtype == np.int64
    assert found(counter) == plain_count(module, rows)
    assert counter.seen == [len(X)] * 2


def test_sums_over_weights_are_given_back_and_cut():
    module = MLP((3, 4, 2, 2), "relu", (0.0,) * 3, torch.float32, np.random.RandomState(0))
    run, sums = run_of(module), WeightSums()
    sums.attach(run)
    terms = [torch.arange(12.0).reshape(4, 3), torch.arange(8.0).reshape(2, 4)]
    sums.add(terms)
    restore = sums.snapshot()
    sums.add(terms)
    assert [total.tolist() for total in sums.arrays()] == [(2 * term).tolist() for term in terms]
    restore()
    assert [total.tolist() for total in sums.arrays()] == [term.tolist() for term in terms]
    keep = [np.array([True, False, True, True]), np.array([False, True])]
    sums.cut(keep)
    assert sums.arrays()[0].tolist() == terms[0][[0, 2, 3]].tolist()
    assert sums.arrays()[1].tolist() == [[4, 6, 7]]
    again = WeightSums()
    again.load(sums.state())
    assert again.arrays()[1].tolist() == [[4, 6, 7]]
    sums.restart()
    assert not sums.arrays()[0].any() and sums.arrays()[0].shape == (3, 3)


class Listening(Pruner):
    """Is told of every batch, as is whoever overrides a hook."""

    told = 0

    def on_batch_end(self, net, **kwargs):
        self.told += kwargs["training"]
        super().on_batch_end(net, **kwargs)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("explicit", [True, False])
def test_steps_that_count_by_themselves_count_what_a_listener_counts(explicit, activation):
    def counts(pruner):
        rng = np.random.RandomState(0)
        net = MLPNet(
            MLP,
            module__layer_sizes=(6, 9, 7, 3),
            module__activation=activation,
            module__dropout=(0.0, 0.0, 0.0),
            module__dtype=torch.float64,
            module__random_state=rng,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.SGD,
            optimizer__fused=True,
            iterator_train=BatchIterator,
            iterator_train__shuffle=True,
            iterator_train__random_state=rng,
            # Counts of 300 batches do not fit a byte.
            batch_size=2,
            max_epochs=12,
            train_split=None,
            dataset=TrainingData,
            callbacks=[pruner],
            verbose=0,
        )
        net.explicit_steps = explicit
        net.fit(X, y)
        return pruner.activation_counts_

    listening = Listening("activation", prune_fraction=0.5, random_state=0)
    alone = Pruner("activation", prune_fraction=0.5, random_state=0)
    for found, expected in zip(counts(alone), counts(listening), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert 0 < expected.max() <= 12 * len(X)
    assert listening.told == 12 * len(X) / 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_counts_go_on_where_single_precision_would_stall(dtype):
    """2 ** 24 + 1 is no number of float32."""
    seen = []

    class Noting(Activation):
        def scores(self, run):
            seen.append(self.firing_.counts[0].copy())
            return super().scores(run)

    weight = np.ones(8)
    weight[0] = 2.0**24
    clf = PrunedMLPClassifier((3,), method=Noting(), prune_fraction=0.3, n_prune_rounds=0)
    clf.set_params(max_iter=1, batch_size=1, dtype=dtype, learning_rate_init=1e-9)
    clf.set_params(shuffle=False, random_state=0, warm_start=True, trigger=EpochTrigger(1, 1))
    clf.fit(X[:8], y[:8] > 0)
    clf.net_.module_.layers[0].bias.data.fill_(100.0)
    clf.set_params(n_prune_rounds=1).fit(X[:8], y[:8] > 0, sample_weight=weight)
    (counts,) = seen
    assert counts.tolist() == [2**24 + 7] * 3
