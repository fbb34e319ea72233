"""Dynamic network surgery against training that is replayed in plain torch."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

from skactprune import PrunedMLPClassifier, Pruner, compact
from skactprune.checks import check_method, data
from skactprune.methods import Surgery
from skactprune.methods.surgery import chance_of_change
from skactprune.triggers import EpochTrigger

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = data()
HIDDEN, BATCH, EPOCHS = (9, 8), 20, 10
# Rounds at the ends of these epochs.
ROUNDS = (3, 5, 7)


class Watch(Callback):
    """Notes the first parameters and, after every batch, masks and weights of the hidden layers."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.begin = [p.detach().clone() for p in net.module_.parameters()]
        self.batches, self.epochs = [], []

    def on_batch_end(self, net, training=False, **kwargs):
        self.batches.append(self.now(net))

    def on_epoch_end(self, net, **kwargs):
        self.epochs.append(self.now(net))

    def now(self, net):
        run = dict(net.callbacks_)["pruner"].run_
        weights = [weight.copy() for weight in run.weights()[:-1]]
        for weight, mask in zip(weights, run.masks.current, strict=True):
            assert not weight[~mask].any()
        return [mask.copy() for mask in run.masks.current], weights


def fit(method, prune_fraction=None, **params):
    watch = Watch()
    defaults = {
        "activation": "tanh",
        "prune_fraction": prune_fraction,
        "n_prune_rounds": 3,
        "trigger": EpochTrigger(0.3, 0.7),
        "max_iter": EPOCHS,
        "random_state": 0,
        "batch_size": BATCH,
        "shuffle": False,
        "solver": "sgd",
        "momentum": 0.9,
        "nesterovs_momentum": False,
        "learning_rate_init": 0.1,
        "alpha": 0,
    }
    clf = PrunedMLPClassifier(
        HIDDEN, method=method, net_params={"callbacks": [("watch", watch)]}, **defaults | params
    )
    return clf.fit(X, y), watch


def test_masks_change_less_and_less_often():
    assert [chance_of_change(step, 0.5, 2.0) for step in (0, 2, 6)] == [1.0, 1 / 4, 1 / 16]
    assert chance_of_change(7, 1.0, 1.0) == pytest.approx(1 / 8)
    assert chance_of_change(7, 0.0, 3.0) == 1.0


class Replay:
    """Full matrices that all train, masks, and thresholds; no code of the package in it."""

    def __init__(self, begin, decay=0.0):
        self.shrinkage = 1 - 0.1 * decay
        self.parameters = [p.clone().requires_grad_(True) for p in begin]
        self.weights, self.biases = self.parameters[::2], self.parameters[1::2]
        self.masks = [torch.ones_like(w, dtype=torch.bool) for w in self.weights[:-1]]
        self.optimizer = torch.optim.SGD(self.parameters, lr=0.1, momentum=0.9)
        self.limits = self.statistics = None
        self.resting = False

    def epoch(self):
        for start in range(0, len(y), BATCH):
            self.step(slice(start, start + BATCH))

    def step(self, rows):
        masked = [
            (w.detach() * m).requires_grad_(True)
            for w, m in zip(self.weights[:-1], self.masks, strict=True)
        ]
        h = torch.tensor(X[rows])
        for w, b in zip(masked, self.biases[:-1], strict=True):
            h = torch.tanh(h @ w.T + b)
        loss = F.cross_entropy(h @ self.weights[-1].T + self.biases[-1], torch.tensor(y[rows]))
        self.optimizer.zero_grad()
        loss.backward()
        for w, inside in zip(self.weights[:-1], masked, strict=True):
            w.grad = inside.grad
        with torch.no_grad():
            for w in self.weights:
                w *= self.shrinkage
        self.optimizer.step()
        if self.resting:
            self.take_out()
        elif self.limits is not None:
            self.move()

    @torch.no_grad()
    def move(self):
        for w, mask, limit in zip(self.weights[:-1], self.masks, self.limits, strict=True):
            falls, rises = w.abs() <= 0.9 * limit, w.abs() > 1.1 * limit
            mask[mask & falls] = False
            mask[~mask & rises] = True

    def measure(self):
        sizes = [w.detach().abs() for w in self.weights[:-1]]
        self.statistics = [(float(s.mean()), float(s.std(correction=0))) for s in sizes]

    @torch.no_grad()
    def rank(self, n_left):
        """Let the lowest of all layers go until so few weights are on paths."""
        flat = []
        for depth, (w, mask) in enumerate(zip(self.weights[:-1], self.masks, strict=True)):
            mean, std = self.statistics[depth]
            for j, i in np.ndindex(*w.shape):
                part = 0.9 if mask[j, i] else 1.1
                flat.append(((abs(float(w[j, i])) / part - mean) / std, depth, j, i))
        flat.sort()
        masks = [torch.ones_like(mask) for mask in self.masks]
        self.limits = [0.0, 0.0]
        for _, depth, j, i in flat:
            if on_paths(masks) <= n_left:
                break
            part = 0.9 if self.masks[depth][j, i] else 1.1
            masks[depth][j, i] = False
            self.limits[depth] = abs(float(self.weights[depth][j, i])) / part
        self.masks = masks

    @torch.no_grad()
    def take_out(self):
        for w, mask in zip(self.weights[:-1], self.masks, strict=True):
            w *= mask

    def rest(self):
        self.resting = True
        self.take_out()
        for w, mask in zip(self.weights[:-1], self.masks, strict=True):
            self.optimizer.state[w]["momentum_buffer"] *= mask


def on_paths(masks):
    first, second = (mask.clone() for mask in masks)
    for _ in range(3):
        second[:, ~first.any(dim=1)] = False
        first[~second.any(dim=0)] = False
    return int(first.sum() + second.sum())


def assert_same(replay, watched):
    masks, weights = watched
    for mine, mask, w, weight in zip(
        replay.masks, masks, replay.weights[:-1], weights, strict=True
    ):
        np.testing.assert_array_equal(mine.numpy(), mask)
        np.testing.assert_allclose((w.detach() * mine).numpy(), weight, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("c", "decay"), [(-0.6, 0), (0.1, 0), (0.1, 0.3)])
def test_own_threshold_follows_the_algorithm(c, decay):
    _, watch = fit(Surgery(c, gamma=0, schedule="linear"), weight_decay=decay)
    replay = Replay(watch.begin, decay)
    n_spliced = 0
    for epoch in range(1, EPOCHS + 1):
        before = [mask.clone() for mask in replay.masks]
        replay.epoch()
        n_spliced += sum(
            int((new & ~old).sum()) for new, old in zip(replay.masks, before, strict=True)
        )
        if epoch == ROUNDS[0]:
            replay.measure()
        if epoch in ROUNDS:
            share = (ROUNDS.index(epoch) + 1) / 3
            replay.limits = [share * max(mean + c * std, 0) for mean, std in replay.statistics]
            replay.move()
        if epoch == ROUNDS[-1]:
            replay.rest()
        assert all(mask.any(dim=1).all() for mask in replay.masks)
        assert_same(replay, watch.epochs[epoch - 1])
    assert n_spliced


def test_fraction_is_ranked_with_the_two_thresholds():
    clf, watch = fit(Surgery(gamma=0, schedule="linear"), 0.6)
    replay = Replay(watch.begin)
    total = sum(mask.numel() for mask in replay.masks)
    n_spliced = share = 0
    for epoch in range(1, ROUNDS[-1] + 1):
        before = [mask.clone() for mask in replay.masks]
        replay.epoch()
        n_spliced += sum(
            int((new & ~old).sum()) for new, old in zip(replay.masks, before, strict=True)
        )
        if epoch == ROUNDS[0]:
            replay.measure()
        if share:
            replay.rank(total - int(np.ceil(share * 0.6 * total - 1e-9)))
        if epoch in ROUNDS:
            share = (ROUNDS.index(epoch) + 1) / 3
            replay.rank(total - int(np.ceil(share * 0.6 * total - 1e-9)))
        if epoch < ROUNDS[-1]:
            assert_same(replay, watch.epochs[epoch - 1])
    assert n_spliced
    assert round(clf.sparsity_ * total) == total - on_paths(replay.masks)
    assert 0.6 <= clf.sparsity_ < 0.6 + 9 / total


def test_masks_move_with_falling_probability():
    """In step i with probability 1 / (1 + i), seen over many layers and steps."""
    steps = -(-len(y) // BATCH)

    def moves(gamma):
        _, watch = fit(Surgery(-0.3, gamma=gamma, schedule="one_shot"))
        masks = [masks for masks, _ in watch.batches if len(masks[0]) == HIDDEN[0]]
        inside = range(ROUNDS[0] * steps, ROUNDS[-1] * steps)
        return sum((masks[i][0] != masks[i - 1][0]).any() for i in inside if i % steps)

    # At the ends of epochs, masks move for sure.
    assert moves(0) > 3 and moves(1e9) == 0
    assert Surgery(gamma=1e9, power=0).power == 0 and Surgery(-0.3).gamma == 1e-4


def test_what_comes_out_is_an_ordinary_net():
    clf, watch = fit(Surgery(), 0.8)
    run = dict(clf.net_.callbacks_)["pruner"].run_
    assert not run.probe("Outside").weights and not run.pending
    assert [coef.shape[1] for coef in clf.coefs_[:-1]] == [len(live) for live in clf.live_neurons_]
    assert [coef.shape[1] for coef in clf.coefs_[:-1]] != list(HIDDEN)
    np.testing.assert_allclose(compact(clf).predict_proba(X), clf.predict_proba(X), atol=1e-12)
    # After the last round, masks are the same and the weights train on.
    masks, weights = zip(*watch.epochs[ROUNDS[-1] - 1 :], strict=True)
    for one in masks[1:]:
        assert all((a == b).all() for a, b in zip(one, masks[0], strict=True))
    assert not (weights[0][0] == weights[-1][0]).all()


def test_best_weights_are_of_the_net_at_rest():
    clf, _ = fit(Surgery(), 0.7, early_stopping=True, n_iter_no_change=np.inf, max_iter=20)
    assert clf.sparsity_ >= 0.7 and clf.best_validation_score_ is not None


def test_last_paths_stay_whatever_the_threshold():
    clf, _ = fit(Surgery(50.0), min_neurons=2)
    assert [len(live) for live in clf.live_neurons_] == [2, 2]
    assert np.isfinite(clf.predict_proba(X)).all()


def test_convolutions_and_layers_that_compute_their_weights():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Unflatten(1, (1, 6)),
        nn.Conv1d(1, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )
    options = {"criterion": nn.CrossEntropyLoss, "verbose": 0, "train_split": None}
    pruner = Pruner(Surgery(), prune_fraction=0.5, n_prune_rounds=3, random_state=0, cut=False)
    net = NeuralNetClassifier(module, max_epochs=10, callbacks=[pruner], **options)
    net.fit(X.astype("float32"), y)
    assert 0.5 <= pruner.masks_.sparsity < 0.51
    zeros = sum(int((net.module_[i].weight == 0).sum()) for i in (1, 4))
    assert zeros == sum(int((~mask).sum()) for mask in pruner.masks_.current)

    module = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3)
    )
    net = NeuralNetClassifier(module, max_epochs=1, callbacks=[pruner], **options)
    with pytest.raises(ValueError, match="needs gradients.*computes its weight"):
        net.fit(X.astype("float32"), y)


@pytest.mark.parametrize(
    "options", [{"c": "1"}, {"c": np.nan}, {"gamma": -1}, {"gamma": None}, {"power": True}]
)
def test_options_are_checked(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}=.* of Surgery must be a float"):
        Surgery(**options).validated()


def test_all_checks_pass_with_a_threshold():
    check_method(Surgery(0.0))
