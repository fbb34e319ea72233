"""Movement pruning against training that is replayed in plain torch."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import Magnitude, Movement

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(
    n_samples=90, n_features=10, n_informative=7, n_redundant=0, n_classes=3, random_state=0
)
WEIGHT = np.random.RandomState(1).uniform(0.5, 3.0, len(y))
BATCH = 25


class Watch(Callback):
    """Notes the parameters before training and the masks of every epoch."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.begin = [p.detach().clone() for p in net.module_.parameters()]
        self.masks = []

    def on_batch_end(self, net, training=False, **kwargs):
        run = dict(net.callbacks_)["pruner"].run_
        for layer, mask in zip(net.module_.layers, run.masks.current, strict=False):
            assert not run.holds or not layer.weight.detach().numpy()[~mask].any()

    def on_epoch_end(self, net, **kwargs):
        self.masks.append(dict(net.callbacks_)["pruner"].masks_.full())


def make(method, hidden=(9, 8), **params):
    watch = Watch()
    defaults = {
        "activation": "tanh",
        "prune_fraction": 0.5,
        "n_prune_rounds": 3,
        "max_iter": 8,
        "random_state": 0,
        "batch_size": BATCH,
        "shuffle": False,
        "learning_rate_init": 0.02,
        "weight_decay": 0,
    }
    clf = PrunedMLPClassifier(
        hidden, method=method, net_params={"callbacks": [("watch", watch)]}, **defaults | params
    )
    return clf, watch


class Replay:
    """The same training with full matrices, masks and sums; no code of the package in it."""

    def __init__(self, begin, optimizer, choose, alpha=0.0, weight=None):
        self.parameters = [p.clone().requires_grad_(True) for p in begin]
        self.weights, self.biases = self.parameters[::2], self.parameters[1::2]
        self.masks = [torch.ones_like(w, dtype=torch.bool) for w in self.weights]
        self.sums = [torch.zeros_like(w) for w in self.weights[:-1]]
        self.optimizer = optimizer(self.parameters)
        self.choose, self.alpha = choose, alpha
        self.weight = torch.ones(len(y)) if weight is None else torch.tensor(weight)

    def epoch(self):
        for start in range(0, len(y), BATCH):
            self.step(slice(start, start + BATCH))

    def step(self, rows):
        h = torch.tensor(X[rows])
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = torch.tanh(h @ w.T + b)
        logits = h @ self.weights[-1].T + self.biases[-1]
        losses = F.cross_entropy(logits, torch.tensor(y[rows]), reduction="none")
        weight = self.weight[rows]
        penalty = 0.5 * self.alpha * sum(w.square().sum() for w in self.weights)
        self.optimizer.zero_grad()
        (((losses * weight).sum() + penalty) / weight.sum()).backward()
        with torch.no_grad():
            for total, w in zip(self.sums, self.weights, strict=False):
                total -= w * w.grad
        self.optimizer.step()
        self.mask()

    @torch.no_grad()
    def mask(self):
        for w, mask in zip(self.weights, self.masks, strict=True):
            w *= mask

    @torch.no_grad()
    def round(self, n_removed):
        """Let as few of the lowest go as it takes until so many weights are masked."""
        hidden = self.masks[:-1]
        scores, units = self.choose(self.sums, hidden)
        flat = torch.cat(
            [
                score.masked_fill(~unit, -np.inf).flatten()
                for score, unit in zip(scores, units, strict=True)
            ]
        )
        order = flat.argsort()
        n_before = int((flat == -np.inf).sum())
        assert (flat[order][n_before:].diff() > 0).all()  # no ties
        for k in range(n_before, len(flat) + 1):
            left = torch.ones(len(flat), dtype=torch.bool)
            left[order[:k]] = False
            parts = left.split([unit.numel() for unit in units])
            new = [
                mask & part.reshape(unit.shape)
                for mask, part, unit in zip(hidden, parts, units, strict=True)
            ]
            disconnect(new)
            if sum(int((~mask).sum()) for mask in new) >= n_removed:
                break
        self.masks[:-1] = new
        self.mask()
        self.fold()
        for w, mask in zip(self.weights, self.masks, strict=True):
            for value in self.optimizer.state[w].values():
                if torch.is_tensor(value) and value.shape == w.shape:
                    value *= mask

    def fold(self):
        """Neurons without incoming weights are constants, which the next biases take over."""
        for depth, b in enumerate(self.biases[:-1]):
            dead = ~self.masks[depth].any(dim=1)
            outgoing = self.weights[depth + 1][:, dead]
            self.biases[depth + 1] += outgoing @ torch.tanh(b[dead])
            self.masks[depth + 1][:, dead] = False
            self.mask()


def disconnect(masks):
    """Mask what comes from nowhere, and what goes nowhere."""
    for mask, following in zip(masks, masks[1:], strict=False):
        following[:, ~mask.any(dim=1)] = False
    for mask, following in zip(masks[-2::-1], masks[:0:-1], strict=True):
        mask[~following.any(dim=0)] = False


def weights(sums, masks):
    return sums, masks


def neurons(sums, masks):
    means = [total.mean(dim=1, keepdim=True) for total in sums]
    return means, [mask.any(dim=1, keepdim=True) for mask in masks]


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.02)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.02, momentum=0.9, nesterov=True)


def replayed(clf, watch, optimizer, choose, n_weights, weight=None):
    """Replay a fit with its rounds, and compare masks and weights."""
    replay = Replay(watch.begin, optimizer, choose, clf.alpha, weight)
    rounds = {row["epoch"]: row["round"] for row in clf.pruning_history_}
    for epoch, masks in enumerate(watch.masks, 1):
        replay.epoch()
        if epoch in rounds:
            share = 1 - (1 - rounds[epoch] / 3) ** 3
            replay.round(int(np.ceil(share * 0.5 * n_weights - 1e-9)))
        for one, other in zip(replay.masks, masks, strict=False):
            np.testing.assert_array_equal(one.numpy(), other)
    assert sorted(rounds.values()) == [1, 2, 3]
    live = [np.arange(10), *clf.live_neurons_, np.arange(3)]
    for depth, (w, coef) in enumerate(zip(replay.weights, clf.coefs_, strict=True)):
        rest = w.detach().numpy()[np.ix_(live[depth + 1], live[depth])].T
        np.testing.assert_allclose(rest, coef, rtol=1e-7, atol=1e-9)
    return replay


@pytest.mark.parametrize("solver", [adam, sgd])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_masks_are_those_of_the_replay_at_every_round(solver, alpha, weight):
    clf, watch = make(Movement(), solver=solver.__name__, alpha=alpha)
    clf.fit(X, y, weight)
    assert 0.5 <= clf.sparsity_ < 0.56
    replayed(clf, watch, solver, weights, 162, weight)


@pytest.mark.parametrize("solver", [adam, sgd])
def test_neurons_are_those_of_the_replay_at_every_round(solver):
    clf, watch = make(Movement("neuron"), hidden=(12,), solver=solver.__name__)
    clf.fit(X, y)
    assert len(clf.live_neurons_[0]) == 6
    replayed(clf, watch, solver, neurons, 120)


def test_scope_layer_takes_the_same_share_of_every_layer():
    clf, watch = make(Movement(scope="layer"), n_prune_rounds=1, prune_fraction=0.3)
    clf.fit(X, y)
    (row,) = clf.pruning_history_
    replay = Replay(watch.begin, adam, None, clf.alpha)
    for _ in range(row["epoch"]):
        replay.epoch()
    for mask, total in zip(watch.masks[row["epoch"] - 1], replay.sums, strict=True):
        assert abs((~mask).sum() - mask.size * 0.3) <= 1
        assert total.numpy()[mask].min() > total.numpy()[~mask].max()


def test_what_moves_away_from_zero_stays_although_it_is_smaller():
    """Weights 0.1, which is to be 0.5, and -1, which is to be -0.8."""
    rows = np.random.RandomState(0).normal(size=(64, 2)).astype(np.float32)
    targets = rows @ np.float32([[0.5], [-0.8]])
    left = {}
    for method in (Movement(), Magnitude(scope="global")):
        module = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False))
        module[0].weight.data = torch.tensor([[0.1, -1.0]])
        module[1].weight.data = torch.ones(1, 1)
        module[1].weight.requires_grad_(False)
        pruner = Pruner(method, prune_fraction=0.5, n_prune_rounds=1)
        NeuralNetRegressor(
            module, max_epochs=4, lr=0.02, train_split=None, callbacks=[pruner], verbose=0
        ).fit(rows, targets)
        assert pruner.history_[-1]["sparsity"] == 0.5
        left[type(method)] = pruner.masks_.current[0].tolist()
    assert left == {Movement: [[True, False]], Magnitude: [[False, True]]}


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_pickling_between_calls_changes_nothing(solver, granularity):
    """Sums go on where they were, in the sizes of what is left."""
    fits = []
    for copied in (lambda clf: clf, lambda clf: pickle.loads(pickle.dumps(clf))):
        clf, _ = make(Movement(granularity), solver=solver, activation="relu", dropout=0.2)
        for _ in range(8):
            clf = copied(clf).partial_fit(X, y, WEIGHT, classes=np.unique(y))
        fits.append(clf)
    for name in ("coefs_", "intercepts_", "masks_"):
        for one, other in zip(*(getattr(clf, name) for clf in fits), strict=True):
            assert one.tobytes() == other.tobytes()
    assert fits[0].sparsity_ >= 0.5


def test_partial_fit_is_fit():
    whole, _ = make(Movement())
    whole.fit(X, y)
    clf, _ = make(Movement())
    for _ in range(8):
        clf.partial_fit(X, y, classes=np.unique(y))
    for one, other in zip(whole.coefs_, clf.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_warm_start_goes_on_with_the_sums():
    """Nothing goes twice; the rest goes by all steps, not by those of the last fit."""
    clf, watch = make(Movement(), warm_start=True, n_prune_rounds=1, max_iter=5)
    masks = clf.set_params(prune_fraction=0.3).fit(X, y).masks_
    begin, (row,) = watch.begin, clf.pruning_history_
    clf = pickle.loads(pickle.dumps(clf)).fit(X, y)
    for one, other in zip(clf.masks_, masks, strict=True):
        np.testing.assert_array_equal(one, other)
    clf.set_params(prune_fraction=0.5).fit(X, y)
    replay = Replay(begin, adam, weights, clf.alpha)
    for fit in range(3):
        # A new fit begins with a new optimizer.
        replay.optimizer = adam(replay.parameters)
        for epoch in range(1, 6):
            replay.epoch()
            if epoch == row["epoch"] and fit != 1:
                replay.round(49 if fit == 0 else 81)
    for one, other in zip(replay.masks, clf.masks_, strict=False):
        np.testing.assert_array_equal(one.numpy().T, other)


@pytest.mark.parametrize("batch_size", [16, -1])
@pytest.mark.parametrize("params", [("weight", "global"), ("neuron", "layer")])
def test_any_net_is_pruned_by_its_sums(params, batch_size):
    class Sums(Callback):
        """Sums of its own, in the shape of the weights."""

        def on_train_begin(self, net, X=None, y=None, **kwargs):
            self.layers = [net.module_[1], net.module_[4]]
            self.sums = [torch.zeros_like(layer.weight) for layer in self.layers]
            self.seen = []

        def on_grad_computed(self, net, training=False, **kwargs):
            for total, layer in zip(self.sums, self.layers, strict=True):
                total -= layer.weight.detach() * layer.weight.grad

        def on_epoch_end(self, net, **kwargs):
            sums = [total.flatten(1).numpy().copy() for total in self.sums]
            self.seen.append((sums, pruner.masks_.full()))

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Unflatten(1, (1, 10)),
        nn.Conv1d(1, 6, 3),
        nn.BatchNorm1d(6),
        nn.Tanh(),
        nn.Conv1d(6, 5, 3),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(30, 3),
    ).double()
    pruner, sums = Pruner(Movement(*params), 0.5, n_prune_rounds=2, cut=False), Sums()
    net = NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=6,
        batch_size=batch_size,
        callbacks=[pruner, ("sums", sums)],
        verbose=0,
    ).fit(X, y)
    rounds = [row["epoch"] for row in pruner.history_]
    assert len(rounds) == 2
    before = [np.ones((6, 3), bool), np.ones((5, 18), bool)]
    for epoch in rounds:
        totals, masks = sums.seen[epoch - 1]
        if params[0] == "weight":
            gone = np.concatenate(
                [t[b & ~m] for t, b, m in zip(totals, before, masks, strict=True)]
            )
            left = np.concatenate([t[m] for t, m in zip(totals, masks, strict=True)])
            assert gone.max() < left.min()
        else:
            for total, old, new in zip(totals, before, masks, strict=True):
                mean, was, stays = total.mean(axis=1), old.any(axis=1), new.any(axis=1)
                assert mean[was & ~stays].max(initial=-np.inf) < mean[stays].min()
        before = masks
    n_left = sum(int(mask.sum()) for mask in before)
    assert n_left == 54 if params[0] == "weight" else 54 - 18 < n_left <= 54
    for layer, mask in zip((module[1], module[4]), before, strict=True):
        assert not layer.weight.detach().flatten(1).numpy()[~mask].any()
    net.partial_fit(X, y)
    assert pruner.masks_.sparsity == 1 - n_left / 108


def test_pruned_weights_may_regrow():
    clf, watch = make(Movement(regrow=True))
    clf.fit(X, y)
    assert [row["sparsity"] for row in clf.pruning_history_][-1] == 0.5
    assert clf.sparsity_ < 0.2
    last = clf.pruning_history_[-1]["epoch"]
    earlier = clf.pruning_history_[0]["epoch"]
    came_back = [
        b & ~a for a, b in zip(watch.masks[earlier - 1], watch.masks[last - 1], strict=True)
    ]
    assert sum(map(np.sum, came_back))


def test_wrong_options_are_named():
    for name, value in (("granularity", "channel"), ("scope", "net"), ("regrow", "no")):
        with pytest.raises(ValueError, match=f"{name}='{value}' of Movement must be one of"):
            make(Movement(**{name: value}))[0].fit(X, y)
    with pytest.raises(ValueError, match="schedule='never' is unknown"):
        make(Movement(schedule="never"))[0].fit(X, y)
    with pytest.raises(ValueError, match="method=Movement.* must be None"):
        make(Movement())[0].fit(X, y, X_unlabeled=X[:7])
