"""Every method on nets of all kinds that are no chain, under every optimizer."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_classification
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, LRScheduler
from skorch.callbacks.lr_scheduler import WarmRestartLR
from torch import nn

from skactprune import EpochTrigger, Pruner
from skactprune.methods import METHODS

X, y = load_digits(return_X_y=True)
X, y = (X[:80] / 16).astype(np.float32), y[:80]
# What they need to know, to refit a layer, to draw it or to make it smaller.
REFUSED = {
    "lasso": "which layer feeds which",
    "scratch": "how all weights are drawn",
    "small_dense": "which layer feeds which",
}
# A hundred passes are for its own tests.
QUICK = {"synflow": {"n_rounds": 5}}
FRACTION = 0.6


class Conv(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6),
            nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8),
            nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, 18), nn.ReLU(),
            nn.Linear(18, 10),
        )  # fmt: skip


class Residual(nn.Module):
    """Keeps what its nonlinearities, or the sum that follows a block, get of each layer."""

    def __init__(self):
        super().__init__()
        for name, n_in in (("stem", 1), ("a", 8), ("b", 8)):
            setattr(self, name, nn.Conv2d(n_in, 8, 3, padding=1, bias=False))
            setattr(self, f"{name}_norm", nn.BatchNorm2d(8))
        self.out = nn.Linear(8, 10)

    def forward(self, x):
        self.z = [self.stem_norm(self.stem(x.reshape(-1, 1, 8, 8)))]
        h = torch.relu(self.z[-1])
        self.z.append(self.a_norm(self.a(h)))
        self.z.append(self.b_norm(self.b(torch.relu(self.z[-1]))))
        return self.out(torch.relu(h + self.z[-1]).mean((2, 3)))


class Regression(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(64, 20), nn.Linear(20, 17), nn.Linear(17, 1)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return self.out(self.drop(torch.tanh(self.b(torch.relu(self.a(x))))))


class Conv1d(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Unflatten(1, (1, 64)), nn.Conv1d(1, 6, 5, stride=2),
            nn.ReLU(), nn.Conv1d(6, 8, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(112, 16),
            nn.ReLU(), nn.Linear(16, 10),
        )  # fmt: skip


OPTIMIZERS = {
    "SGD": {"lr": 0.05, "optimizer__momentum": 0.9, "optimizer__weight_decay": 0.01},
    "Adam": {"lr": 0.01, "optimizer__amsgrad": True},
    "AdamW": {"lr": 0.01, "optimizer__weight_decay": 0.1},
    "NAdam": {"lr": 0.01},
    "RMSprop": {"lr": 0.003, "optimizer__momentum": 0.5, "optimizer__centered": True},
    "Adagrad": {"lr": 0.02},
    "Adadelta": {"lr": 1.0},
    "Rprop": {"lr": 0.001},
    "LBFGS": {"lr": 0.1, "optimizer__max_iter": 3, "optimizer__history_size": 4},
}
NETS = {Conv: "SGD", Residual: "Adam", Regression: "RMSprop", Conv1d: "AdamW"}


class Holds(Callback):
    """Compares weights and masks after every step."""

    n_seen = 0

    def on_batch_end(self, net, training=False, **kwargs):
        run = dict(net.callbacks_)["pruner"].run_
        if training and run.holds:
            assert_masked(run)
            self.n_seen += not all(mask.all() for mask in run.masks.current)


def assert_masked(run):
    for layer, mask in zip(run.hidden, run.masks.current, strict=True):
        weight = layer.weight.detach().flatten(1).numpy()
        assert np.isfinite(weight).all() and not weight[~mask].any()


def make(kind, method="activation_surgeon", *callbacks, optimizer=None, trigger="epoch", **params):
    optimizer = optimizer or NETS.get(kind, "Adam")
    # What leaves in the end is tested in test_conv_chain.py.
    pruner = Pruner(method, FRACTION, n_prune_rounds=2, random_state=0, trigger=trigger, cut=False)
    if method in QUICK:
        pruner.set_params(method=METHODS.look_up(method)(**QUICK[method]))
    cls = NeuralNetRegressor if kind is Regression else NeuralNetClassifier
    criterion = {} if kind is Regression else {"criterion": nn.CrossEntropyLoss}
    defaults = {"max_epochs": 3, "batch_size": 30, "train_split": None, "verbose": 0}
    torch.manual_seed(0)
    return cls(
        kind(), optimizer=getattr(torch.optim, optimizer),
        callbacks=[("pruner", pruner), ("holds", Holds()), *callbacks],
        **defaults | criterion | OPTIMIZERS[optimizer] | params,
    )  # fmt: skip


def fit(net):
    targets = y[:, None].astype(np.float32) / 9 if isinstance(net, NeuralNetRegressor) else y
    return net.fit(X, targets)


def assert_pruned(net):
    run = dict(net.callbacks_)["pruner"].run_
    assert_masked(run)
    assert FRACTION - 1e-9 <= run.masks.sparsity < FRACTION + 0.12
    if not any(run.masks.sizes):
        n_zero = sum(int((layer.weight == 0).sum()) for layer in run.hidden)
        assert n_zero == sum(int((~mask).sum()) for mask in run.masks.current)
    assert np.isfinite(net.predict_proba(X)).all()
    return run


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_prunes_a_net_exactly_or_refuses_it_before_the_first_step(method, kind):
    net = make(kind, method)
    if method in REFUSED:
        before = copy.deepcopy(net.module.state_dict())
        with pytest.raises(ValueError, match=f"method='{method}' needs to know {REFUSED[method]}"):
            fit(net)
        assert all(torch.equal(net.module_.state_dict()[name], p) for name, p in before.items())
        return
    run = assert_pruned(fit(net))
    assert dict(net.callbacks_)["holds"].n_seen or any(run.masks.sizes)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("method", ["activation_surgeon", "lottery_ticket"])
def test_masks_hold_under_every_optimizer(method, optimizer):
    net = fit(make(Conv, method, optimizer=optimizer))
    assert_pruned(net)
    assert dict(net.callbacks_)["holds"].n_seen


def watched(method):
    """The method, and a list of how many times it has scored in training mode."""
    kind, n_seen = type(METHODS.make(method)), []

    class Watched(kind):
        __doc__ = kind.__doc__

        def scores(self, run):
            module = run.net.module_.train()
            before, drawn = copy.deepcopy(module.state_dict()), torch.get_rng_state()
            found = super().scores(run)
            assert torch.equal(torch.get_rng_state(), drawn)
            for name, value in module.state_dict().items():
                assert torch.equal(value, before[name]), name
            n_seen.append(1)
            return found

    return Watched(**QUICK.get(method, {})), n_seen


@pytest.mark.parametrize("method", [m for m in METHODS if hasattr(METHODS.make(m), "scores")])
def test_scoring_touches_neither_statistics_nor_draws(method):
    if method in REFUSED:
        return
    scorer, n_seen = watched(method)
    net = fit(make(Conv, scorer, max_epochs=3))
    assert n_seen
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.module_.modules())


class Counts(Callback):
    """Counts what the module itself kept of the forward passes of training."""

    def on_train_begin(self, net, **kwargs):
        self.counts_ = [0, 0, 0]

    def on_batch_begin(self, net, **kwargs):
        net.module_.z = None

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            fires = [(z > 0).sum(dim=(0, 2, 3)).numpy() for z in net.module_.z]
            self.counts_ = [a + b for a, b in zip(self.counts_, fires, strict=True)]


@pytest.mark.parametrize("method", ["activation_surgeon", "activation", "firing_deviation"])
def test_channels_are_counted_where_they_fire(method):
    counts = Counts()
    net = fit(make(Residual, method, ("counts", counts)))
    found = dict(net.callbacks_)["pruner"].activation_counts_
    for one, other in zip(found, counts.counts_, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.any()


class Blend(nn.Module):
    """A layer of a user's own."""

    def __init__(self, n):
        super().__init__()
        self.mixing = nn.Parameter(torch.eye(n) + torch.randn(n, n) / 9)

    def forward(self, h):
        return h @ self.mixing


class Unknown(nn.Sequential):
    """Has layers that are not pruned among those that are."""

    def __init__(self):
        super().__init__(
            nn.Unflatten(1, (4, 16)), nn.Conv1d(4, 8, 3, groups=2), nn.ReLU(), Blend(14),
            nn.LayerNorm((8, 14)), nn.ConvTranspose1d(8, 6, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(96, 16), nn.ReLU(), nn.Linear(16, 10),
        )  # fmt: skip


@pytest.mark.parametrize("method", sorted(set(METHODS) - set(REFUSED)))
def test_layers_that_no_method_knows_are_trained_as_they_are_and_named(method):
    net = make(Unknown, method)
    before = copy.deepcopy(net.module.state_dict())
    told = r"leaves alone: '3.mixing' \(no weight of .*, '5.weight' .* prunes: '1', '8'\."
    with pytest.warns(UserWarning, match=told):
        fit(net)
    run = dict(net.callbacks_)["pruner"].run_
    assert_masked(run)
    assert run.layout.names == ["1", "8"] and run.masks.sparsity >= FRACTION - 1e-9
    for name in ("3.mixing", "4.weight", "5.weight"):
        value = net.module_.state_dict()[name]
        assert value.all() and not torch.equal(value, before[name])


# -- what the methods look at --------------------------------------------------------------------


class Plain(nn.Module):
    """A net of the package's kind, as a module of a user's."""

    def __init__(self, layers):
        super().__init__()
        self.first, self.second, self.out = layers

    def forward(self, x):
        return self.out(torch.relu_(self.second(torch.relu_(self.first(x)))))


class Look(Callback):
    def __init__(self, look):
        self.look = look

    def on_epoch_end(self, net, **kwargs):
        self.look(dict(net.callbacks_)["pruner"].run_)


def looked_at(module, look, **params):
    pruner = Pruner(prune_fraction=0, random_state=0)
    net = NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0, train_split=None,
        callbacks=[("pruner", pruner), Look(look)], batch_size=50, **params,
    )  # fmt: skip
    net.fit(X, y)


def linear(*sizes):
    torch.manual_seed(0)
    return [nn.Linear(*pair) for pair in zip(sizes, sizes[1:], strict=False)]


def test_outputs_and_inputs_of_any_module_are_what_its_layers_get():
    found = []

    def look(run):
        rows, weight = torch.from_numpy(X), np.arange(len(X)) % 3
        found.append((run.outputs(rows), run.input_sums(rows, weight), run.responses(rows)))
        module = run.net.module_
        with torch.no_grad():
            first = torch.relu(module.first(rows))
            second = torch.relu(module.second(first))
        outputs, sums, responses = found[0]
        np.testing.assert_allclose(outputs[0], first, rtol=1e-6)
        np.testing.assert_allclose(outputs[1], second, rtol=1e-6)
        np.testing.assert_allclose(responses, second, rtol=1e-6)
        for h, (total, squares, n) in zip((X, first.numpy()), sums, strict=True):
            assert n == weight.sum()
            np.testing.assert_allclose(total, np.tile(weight @ h, (len(total), 1)), rtol=1e-4)
            of_squares = np.tile(weight @ h**2, (len(total), 1))
            np.testing.assert_allclose(squares, of_squares, rtol=1e-4)

    looked_at(Plain(linear(64, 20, 12, 10)), look)
    assert found


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_inputs_of_convolutions_are_those_at_every_position(mode, groups):
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=1, groups=groups, padding_mode=mode)
    module = nn.Sequential(
        nn.Unflatten(1, (4, 4, 4)), conv, nn.ReLU(), nn.Flatten(), nn.Linear(24, 10)
    )
    found = []

    def look(run):
        rows, weight = torch.from_numpy(X), np.arange(len(X)) % 3
        found.extend(run.input_sums(rows, weight)[0])
        h = nn.functional.pad(
            rows.reshape(-1, 4, 4, 4),
            (1, 1, 1, 1),
            mode="circular" if mode != "zeros" else "constant",
        ).numpy()
        n_in = 4 // groups
        for channel in range(6):
            first = channel // (6 // groups) * n_in
            for c in range(n_in):
                for i in range(3):
                    for j in range(3):
                        read = h[:, first + c, i : i + 3 : 2, j : j + 3 : 2]
                        column = (c * 3 + i) * 3 + j
                        for power, total in ((1, found[0]), (2, found[1])):
                            expected = (weight * (read**power).sum(axis=(1, 2))).sum()
                            assert total[channel, column] == pytest.approx(expected, rel=1e-4)
        assert found[2] == pytest.approx(weight.sum() * 4)

    looked_at(module, look)
    assert found


def test_what_stands_for_outgoing_weights_has_the_gains_of_slopes():
    """Their products are mean products of the derivatives of the logits, over where both fire."""
    found = []

    def look(run):
        rates = [np.full(20, 0.5), np.full(12, 0.25)]
        # Signs are drawn.
        found.extend(run.outgoing(rates, len(X)) for _ in range(60))
        rows, module = torch.from_numpy(X), run.net.module_
        first = module.first(rows).detach()
        second = module.second(torch.relu(first)).detach()
        expected = torch.zeros(12, 12), torch.zeros(20, 20)
        for a, b in zip(first, second, strict=True):
            slope = module.out.weight.detach() * (b > 0)
            expected[0].add_(slope.T @ slope / len(X))
            slope = slope @ module.second.weight.detach() * (a > 0)
            expected[1].add_(slope.T @ slope / len(X))
        for depth, (gram, rate) in enumerate(zip(expected[::-1], rates, strict=True)):
            products = np.mean([of[depth].T @ of[depth] for of in found], axis=0)
            gram = gram.numpy() / rate[0]
            assert np.abs(products - gram).max() < 0.06 * np.abs(gram).max()

    looked_at(Plain(linear(64, 20, 12, 10)), look)
    assert found


class Normalized(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(),
            nn.Conv2d(6, 8, 3, bias=False), nn.Tanh(), nn.Flatten(2), nn.Linear(16, 12), nn.ReLU(),
            nn.Flatten(), nn.Linear(96, 10),
        )  # fmt: skip


class SameAsItPredicts(Callback):
    """Compares the outputs of a step with those of the net that predicts, just before it."""

    n_seen = 0

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        pruner = dict(net.callbacks_)["pruner"]
        # With the first batch, gates begin.
        self.looks_ = pruner.looked_ and pruner.run_.done == 0
        net.module_.eval()
        self.expected_ = net.infer(batch[0]).detach()

    def on_batch_end(self, net, training=False, y_pred=None, **kwargs):
        if self.looks_:
            torch.testing.assert_close(y_pred, self.expected_, rtol=1e-4, atol=1e-5)
            self.n_seen += 1


@pytest.mark.parametrize("kind", [Normalized, Conv1d])
def test_gates_of_a_step_are_those_in_the_net_that_predicts(kind):
    same = SameAsItPredicts()
    net = make(kind, "growing", max_epochs=4, trigger=EpochTrigger(0.5, 0.75))
    net.set_params(callbacks=[("same", same), *net.callbacks])
    assert_pruned(fit(net))
    assert same.n_seen >= 5


def test_gates_need_a_weight_for_every_neuron():
    module = nn.Sequential(nn.Linear(64, 9), nn.BatchNorm1d(9, affine=False), *linear(9, 10))
    with pytest.raises(ValueError, match="a weight for each neuron of '0', .* after it, '1', does"):
        fit(make(lambda: module, "l0"))


# -- other callbacks of skorch -------------------------------------------------------------------


class Rates(Callback):
    def on_train_begin(self, net, **kwargs):
        self.rates_ = []

    def on_batch_end(self, net, training=False, **kwargs):
        self.rates_.append([group["lr"] for group in net.optimizer_.param_groups])


POLICIES = {
    "StepLR": {"step_size": 2, "gamma": 0.5},
    "MultiStepLR": {"milestones": [1, 3]},
    "ExponentialLR": {"gamma": 0.8},
    "CosineAnnealingLR": {"T_max": 5},
    "LambdaLR": {"lr_lambda": partial(pow, 0.7)},
    "ReduceLROnPlateau": {"monitor": "train_loss", "patience": 0, "threshold": 10.0},
    torch.optim.lr_scheduler.OneCycleLR: {"max_lr": 0.1, "total_steps": 10, "step_every": "batch"},
    torch.optim.lr_scheduler.CyclicLR: {
        "base_lr": 0.01,
        "max_lr": 0.1,
        "step_size_up": 2,
        "step_every": "batch",
    },
    WarmRestartLR: {"min_lr": 0.01, "max_lr": 0.1, "base_period": 2},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_learning_rates_are_those_of_a_net_that_nobody_prunes(policy):
    seen, first = [], list(POLICIES).index(policy) % 2
    for pruned in (True, False):
        rates, scheduler = Rates(), LRScheduler(policy, **POLICIES[policy])
        net = make(Conv, "lottery_ticket", ("rates", rates), ("scheduler", scheduler))
        pruner, holds, *others = net.callbacks
        if pruned:
            others = [*others, pruner, holds] if first else [pruner, holds, *others]
        fit(net.set_params(callbacks=others))
        seen.append(rates.rates_)
        if pruned:
            assert_pruned(net)
    assert seen[0] == seen[1]
    assert len(np.unique(seen[0])) > 1


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "restoring",
    [
        lambda path: EarlyStopping("train_loss", patience=9, load_best=True),
        lambda path: Checkpoint("train_loss_best", dirname=str(path), load_best=True),
    ],
    ids=["EarlyStopping", "Checkpoint"],
)
@pytest.mark.parametrize("method", ["activation_surgeon", "l0"])
def test_masks_hold_in_the_best_weights_that_are_brought_back(method, restoring, first, tmp_path):
    kept = {}

    class Keep(Callback):
        def on_epoch_end(self, net, **kwargs):
            loss = net.history[-1, "train_loss"]
            kept[len(net.history)] = loss, copy.deepcopy(net.module_.state_dict())

    net = make(Conv, method, ("restoring", restoring(tmp_path)), ("keep", Keep()), max_epochs=7)
    # In the end, it gets worse.
    net.set_params(callbacks=[*net.callbacks, ("worse", LRScheduler("ExponentialLR", gamma=2.0))])
    if first:
        pruner, holds, back, *others = net.callbacks
        net.set_params(callbacks=[back, pruner, holds, *others])
    run = assert_pruned(fit(net))
    epochs = [epoch for epoch in kept if epoch > run.history[-1]["epoch"]]
    best = min(epochs, key=lambda epoch: kept[epoch][0])
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, kept[best][1][name]), name


class Half(torch.nn.Module):
    """A net in bfloat16, which numpy has not."""

    def __init__(self, insists=False):
        super().__init__()
        sizes, self.insists = (8, 20, 10, 2), insists
        self.layers = torch.nn.ModuleList(
            torch.nn.Linear(a, b, dtype=torch.bfloat16)
            for a, b in zip(sizes, sizes[1:], strict=False)
        )

    def forward(self, X):
        h = X.to(torch.bfloat16 if self.insists else self.layers[0].weight.dtype)
        for layer in self.layers[:-1]:
            h = torch.relu(layer(h))
        return torch.softmax(self.layers[-1](h).float(), 1)


def half(method, **params):
    torch.manual_seed(0)
    pruner = Pruner(method=method, prune_fraction=0.5, n_prune_rounds=2, random_state=0)
    how = {"max_epochs": 4, "train_split": None, "verbose": 0, "callbacks": [("pruner", pruner)]}
    X, y = make_classification(100, 8, n_informative=5, random_state=0)
    net = NeuralNetClassifier(Half, **how, **params)
    return net.fit(X.astype(np.float32), y)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_nets_in_bfloat16(method):
    try:
        net = half(method)
    except ValueError as error:
        assert method in ("lasso", "scratch", "small_dense"), error
        return
    run = dict(net.callbacks_)["pruner"].run_
    assert run.masks.sparsity >= 0.5 - 0.01 or method == "surgery"
    for layer, mask in zip(net.module_.layers, run.masks.current, strict=False):
        assert layer.weight.dtype == torch.bfloat16
        assert not layer.weight.detach().float().numpy()[~mask].any()


@pytest.mark.parametrize("method", ["nisp", "synflow"])
def test_nets_that_cannot_be_passed_in_float64_are_refused(method):
    with pytest.raises(ValueError, match="computed in float64, which Half does not do"):
        half(method, module__insists=True)
