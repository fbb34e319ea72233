"""Cutting neurons out changes neither the function nor how its training goes on."""

import copy
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from skorch.callbacks import Callback
from torch.nn.utils import parametrizations, parametrize

from skactprune import Activation, Magnitude, PrunedMLPClassifier, Random
from skactprune.methods import base
from skactprune.nets.activations import ACTIVATIONS, get_activation
from skactprune.nets.mlp import MLP
from skactprune.pruning import surgery
from skactprune.pruning.chain import Chain
from skactprune.pruning.masks import Masks, cascade
from skactprune.pruning.selection import select
from skactprune.pruning.surgery import fold_and_mask

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def random_net(sizes, activation, dtype, seed):
    net = MLP(sizes, activation, [0.0] * (len(sizes) - 1), dtype, np.random.RandomState(seed))
    with torch.no_grad():
        for layer in net.layers:
            layer.bias.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(seed))
    return net


@torch.no_grad()
def masked_logits(net, masks, X):
    """Logits of the uncut net with its masked weights at zero, said without our own code."""
    f = {
        "identity": lambda z: z,
        "logistic": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
    }[net.activation]
    h = X
    for layer, mask in zip(net.layers, masks, strict=False):
        h = f(h @ (layer.weight * torch.from_numpy(mask)).T + layer.bias)
    return h @ net.layers[-1].weight.T + net.layers[-1].bias


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(2, 9), min_size=2, max_size=4),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    density=st.floats(0.1, 1),
    cut=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_function_does_not_change(sizes, activation, dtype, density, cut, seed):
    net = random_net([*sizes, 3], activation, dtype, seed)
    random = np.random.RandomState(seed)
    masks = [random.uniform(size=la.weight.shape) < density for la in net.layers[:-1]]
    for mask in masks:
        mask[0, 0] = True  # a path
        mask[1] = False  # a dead neuron with a bias
    X = torch.from_numpy(random.normal(size=(20, sizes[0]))).to(dtype)
    before = masked_logits(net, masks, X)

    optimizer = torch.optim.SGD(net.parameters())
    weights, biases, final = fold_and_mask(net.layers, masks, net.activate)
    surgery.replace(net.layers, [optimizer], weights, biases, final)
    keep = [mask.any(axis=1) | (not cut) for mask in final]
    if cut:
        surgery.cut(net.layers, [optimizer], keep)

    with torch.no_grad():
        after = net(X)
    assert (after - before).abs().max() <= TOLERANCE[dtype] * before.abs().max()
    rows = [np.flatnonzero(kept) for kept in keep]
    columns = [np.arange(sizes[0]), *rows[:-1]]
    for layer, mask, row, column in zip(net.layers, final, rows, columns, strict=False):
        weight = layer.weight.detach().numpy()
        assert weight.shape == (layer.out_features, layer.in_features) == (len(row), len(column))
        assert (weight[~mask[np.ix_(row, column)]] == 0).all()
        if cut:
            assert mask[row].any(axis=1).all()
    assert net.layers[-1].weight.shape == (3, len(rows[-1]))


@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    density=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_what_is_left_are_the_weights_on_paths(sizes, density, seed):
    random = np.random.RandomState(seed)
    masks = [random.uniform(size=(b, a)) < density for a, b in itertools.pairwise(sizes)]
    on_a_path = [np.zeros_like(mask) for mask in masks]
    for path in itertools.product(*(range(size) for size in sizes)):
        steps = list(itertools.pairwise(path))
        if all(mask[j, i] for mask, (i, j) in zip(masks, steps, strict=True)):
            for found, (i, j) in zip(on_a_path, steps, strict=True):
                found[j, i] = True
    for left, expected in zip(cascade(masks), on_a_path, strict=True):
        assert (left == expected).all()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_dead_neuron_hands_its_constant_on(activation):
    net = random_net([3, 2, 2], activation, torch.float64, 0)
    constant = float(net.activate(net.layers[0].bias[1:].detach().clone()))
    bias, carried = net.layers[1].bias.detach().clone(), net.layers[1].weight[:, 1].detach().clone()
    mask = np.array([[True, True, False], [False, False, False]])
    _, biases, _ = fold_and_mask(net.layers, [mask], net.activate)
    assert constant != 0
    assert constant == get_activation(activation).apply(net.layers[0].bias.detach().numpy()[1:2])
    assert torch.equal(biases[1], bias + carried * constant)


class Recorder(Callback):
    """Batches and selected masks of every epoch, and the first weights."""

    def __init__(self, monkeypatch):
        def recorded_select(scores, masks, **options):
            new = select(scores, masks, **options)
            self.selected[-1] = masks.replaced(new).full()
            return new

        monkeypatch.setattr(base, "select", recorded_select)
        self.batches, self.selected = [], []

    def on_train_begin(self, net, **kwargs):
        self.first = copy.deepcopy([p.detach() for p in net.module_.parameters()])

    def on_epoch_begin(self, net, **kwargs):
        self.batches.append([])
        self.selected.append(None)

    def on_batch_begin(self, net, batch=None, **kwargs):
        self.batches[-1].append(copy.deepcopy(batch))


class Uncut:
    """Same training in plain torch: dead neurons stay, held at zero by masks on both sides."""

    def __init__(self, first, activation, make_optimizer, alpha):
        self.f = {"relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid}[activation]
        self.alpha = alpha
        self.parameters = [p.clone().requires_grad_() for p in first]
        self.weights, self.biases = self.parameters[::2], self.parameters[1::2]
        self.optimizer = make_optimizer(self.parameters)
        self.held = [torch.ones_like(p) for p in self.parameters]

    def train(self, recorder):
        for batches, selected in zip(recorder.batches, recorder.selected, strict=True):
            for X, y in batches:
                self.step(X, y)
            if selected is not None:
                self.prune(selected)
        return [[p.detach().numpy() for p in of] for of in (self.weights, self.biases)]

    def step(self, X, y):
        h = X
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = self.f(h @ w.T + b)
        loss = torch.nn.functional.cross_entropy(h @ self.weights[-1].T + self.biases[-1], y)
        loss = loss + 0.5 * self.alpha / len(X) * sum((w**2).sum() for w in self.weights)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            for p, mask in zip(self.parameters, self.held, strict=True):
                p.mul_(mask)

    @torch.no_grad()
    def prune(self, selected):
        weights, biases, held = self.weights, self.biases, self.held
        for depth, mask in enumerate(selected):
            held[2 * depth].mul_(torch.from_numpy(mask))
            weights[depth].mul_(held[2 * depth])
        for depth in range(len(selected)):
            dead = ~held[2 * depth].bool().any(dim=1)
            biases[depth + 1] += weights[depth + 1] @ (self.f(biases[depth]) * dead)
            weights[depth + 1][:, dead] = 0
            biases[depth][dead] = 0
            held[2 * depth + 1][dead] = 0
            held[2 * depth + 2][:, dead] = 0
        for depth in range(len(selected) - 1, 0, -1):
            unread = ~held[2 * depth].bool().any(dim=0)
            for tensors in (self.parameters, held):
                tensors[2 * depth - 2][unread] = 0
                tensors[2 * depth - 1][unread] = 0
        self.mask_moments()

    def mask_moments(self):
        for p, mask in zip(self.parameters, self.held, strict=True):
            p.mul_(mask)
            for value in self.optimizer.state[p].values():
                if torch.is_tensor(value) and value.shape == p.shape:
                    value.mul_(mask)


OPTIMIZERS = {
    "sgd": (
        {"solver": "sgd", "momentum": 0.9, "learning_rate_init": 0.05},
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    ),
    "adam": (
        {"solver": "adam", "learning_rate_init": 0.01},
        lambda p: torch.optim.Adam(p, lr=0.01),
    ),
    "rmsprop": (
        {
            "net_params": {"optimizer": torch.optim.RMSprop, "optimizer__momentum": 0.5},
            "learning_rate_init": 0.01,
        },
        lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
    ),
}


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("method", [Activation(), Magnitude(), Random(granularity="weight")])
def test_training_with_compaction_equals_training_with_masks_only(
    optimizer, activation, method, monkeypatch
):
    X, y = make_classification(n_samples=60, n_features=5, n_informative=4, n_redundant=0,
                               n_classes=3, random_state=1)  # fmt: skip
    params, make_optimizer = OPTIMIZERS[optimizer]
    params = dict(params)
    recorder = Recorder(monkeypatch)
    net_params = {**params.pop("net_params", {}), "callbacks": [("recorder", recorder)]}
    clf = PrunedMLPClassifier(
        (12, 9),
        activation,
        method=method,
        n_prune_rounds=3,
        prune_fraction=0.7,
        max_iter=10,
        batch_size=16,
        alpha=0.01,
        weight_decay=0.0,
        tol=0.0,
        random_state=3,
        net_params=net_params,
        **params,
    ).fit(X, y)
    weights, biases = Uncut(recorder.first, activation, make_optimizer, 0.01).train(recorder)

    rows = [*clf.live_neurons_, np.arange(3)]
    columns = [np.arange(5), *clf.live_neurons_]
    assert sum(len(live) for live in clf.live_neurons_) < 21
    for found, bias, weight, expected, row, column in zip(
        clf.coefs_, clf.intercepts_, weights, biases, rows, columns, strict=True
    ):
        np.testing.assert_allclose(found.T, weight[np.ix_(row, column)], rtol=1e-7, atol=1e-11)
        np.testing.assert_allclose(bias, expected[row], rtol=1e-7, atol=1e-11)


def test_optimizer_state_is_cut_with_the_parameters():
    X, y = make_classification(n_samples=60, random_state=1)
    clf = PrunedMLPClassifier((20, 10), max_iter=10, random_state=0).fit(X, y)
    assert len(clf.live_neurons_[0]) < 20
    parameters = list(clf.net_.module_.parameters())
    assert [tuple(p.shape) for p in parameters[::2]] == [coef.T.shape for coef in clf.coefs_]
    for parameter in parameters:
        state = clf.net_.optimizer_.state[parameter]
        assert state["exp_avg"].shape == state["exp_avg_sq"].shape == parameter.shape
    held = [p for group in clf.net_.optimizer_.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in parameters}
    assert len(clf.net_.optimizer_.state) == len(parameters)


def test_neurons_leave_after_every_round_and_not_only_at_the_end():
    class Sizes(Callback):
        seen: list = []

        def on_epoch_begin(self, net, **kwargs):
            self.seen.append(net.module_.layers[0].out_features)

    X, y = make_classification(n_samples=60, random_state=1)
    clf = PrunedMLPClassifier(
        (50,),
        method="activation",
        max_iter=20,
        random_state=0,
        net_params={"callbacks": [("sizes", Sizes())]},
    ).fit(X, y)
    expected = [50] * 20
    for row in clf.pruning_history_:
        expected[row["epoch"] :] = [row["live_neurons"][0]] * (20 - row["epoch"])
    assert Sizes.seen == expected
    assert len(set(expected)) == 6


@pytest.mark.parametrize("method", [Magnitude(regrow=True), Magnitude()])
def test_a_round_clears_the_moments_of_what_it_prunes(method):
    class Look(Callback):
        seen = 0

        def on_epoch_end(self, net, **kwargs):
            pruner = dict(net.callbacks_)["pruner"]
            if pruner.history_ and pruner.history_[-1]["epoch"] == pruner.run_.epoch:
                for layer, mask in zip(net.module_.layers, pruner.masks_.current, strict=False):
                    state = net.optimizer_.state[layer.weight]
                    for name in ("exp_avg", "exp_avg_sq"):
                        assert (state[name].numpy()[~mask] == 0).all()
                        assert (state[name].numpy()[mask] != 0).any()
                    self.seen += (~mask).any()

    X, y = make_classification(n_samples=60, random_state=1)
    look = Look()
    PrunedMLPClassifier(
        (20, 10), method=method, max_iter=10, random_state=0, prune_fraction=0.5,
        net_params={"callbacks": [("look", look)]},
    ).fit(X, y)  # fmt: skip
    assert look.seen >= 8


# -- layers whose weight is computed from other tensors ------------------------------------------


class Scaled(torch.nn.Module):
    """Weight is a parameter times a fixed buffer that has an entry for every weight."""

    def __init__(self, weight):
        super().__init__()
        scale = torch.linspace(0.5, 2, weight.numel(), dtype=weight.dtype)
        self.register_buffer("scale", scale.reshape(weight.shape))

    def forward(self, original):
        return original * self.scale

    def right_inverse(self, weight):
        return weight / self.scale


def scale(layer):
    parametrize.register_parametrization(layer, "weight", Scaled(layer.weight))


PARAMETRIZATIONS = {"scaled": scale, "normalized": parametrizations.weight_norm}


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("kind", PARAMETRIZATIONS)
def test_all_tensors_of_a_layer_are_cut(kind, depth):
    net = random_net([5, 8, 7, 3], "tanh", torch.float64, 0)
    PARAMETRIZATIONS[kind](net.layers[depth])
    net.layers[depth].register_buffer("per_neuron", torch.arange(len(net.layers[depth].bias)))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    X = torch.from_numpy(np.random.RandomState(0).normal(size=(20, 5)))
    net(X).square().mean().backward()
    optimizer.step()
    keep = [np.arange(8) % 3 > 0, np.arange(7) % 2 > 0]
    masks = [np.ones((8, 5), bool), np.ones((7, 8), bool)]
    for mask, kept in zip(masks, keep, strict=True):
        mask[~kept] = False
    expected = masked_logits(net, masks, X)
    before = [la.weight.detach().clone() for la in net.layers]
    moments = {name: optimizer.state[p]["exp_avg"].clone() for name, p in net.named_parameters()}
    identities = [id(p) for p in net.parameters()]

    chain = Chain([(8, 5), (7, 8)])
    left, stayed = chain.prune(
        SimpleNamespace(module_=net, optimizer_=optimizer),
        Masks(chain).replaced(masks),
        cut=True,
    )

    assert [kept.tolist() for kept in stayed] == [kept.tolist() for kept in keep]
    assert [mask.all() and mask.shape for mask in left.current] == [(5, 5), (3, 5)]
    torch.testing.assert_close(net(X), expected, rtol=1e-12, atol=1e-12)
    assert parametrize.is_parametrized(net.layers[depth])
    rows, columns = [*keep, np.ones(3, bool)], [np.ones(5, bool), *keep]
    for layer, old, row, column in zip(net.layers, before, rows, columns, strict=True):
        assert layer.weight.shape == (layer.out_features, layer.in_features)
        torch.testing.assert_close(layer.weight, old[row][:, column], rtol=1e-12, atol=0)
    assert net.layers[depth].per_neuron.tolist() == np.flatnonzero(rows[depth]).tolist()
    assert [id(p) for p in net.parameters()] == identities
    for name, p in net.named_parameters():
        row, column = rows[int(name.split(".")[1])], columns[int(name.split(".")[1])]
        moment = moments[name][row]
        if moment.dim() == 2 and moment.shape[1] > 1:
            moment = moment[:, column]
        assert torch.equal(optimizer.state[p]["exp_avg"], moment)
        assert optimizer.state[p]["exp_avg_sq"].shape == p.shape
    if kind == "scaled":
        (parametrization,) = net.layers[depth].parametrizations.weight
        assert parametrization.scale.shape == net.layers[depth].weight.shape

    net(X).square().mean().backward()
    optimizer.step()


def test_a_failed_cut_gives_buffers_and_parametrizations_back():
    net = random_net([5, 8, 3], "relu", torch.float64, 0)
    scale(net.layers[0])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    X = torch.from_numpy(np.random.RandomState(0).normal(size=(20, 5)))
    before, state = net(X), copy.deepcopy(net.state_dict())
    restore = surgery.snapshot(net, [optimizer])
    surgery.cut(net.layers, [optimizer], [np.arange(8) < 2])
    assert net.layers[0].weight.shape == (2, 5)
    restore()
    assert torch.equal(net(X), before)
    assert (net.layers[0].out_features, net.layers[1].in_features) == (8, 8)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in state.items())


def test_weights_that_cannot_be_set_are_refused():
    class Positive(torch.nn.Module):
        def forward(self, original):
            return original.exp()

    net = random_net([4, 6, 3], "relu", torch.float64, 0)
    parametrize.register_parametrization(net.layers[0], "weight", Positive())
    weights = [layer.weight.detach() * 0 for layer in net.layers]
    with pytest.raises(ValueError, match="cannot be inverted, so that it cannot be pruned"):
        surgery.replace(net.layers, [torch.optim.SGD(net.parameters())], weights)
    Positive.right_inverse = lambda self, weight: weight.clamp(min=0.1).log()
    with pytest.raises(ValueError, match="computes its weight .* cannot hold pruned weights"):
        surgery.replace(net.layers, [torch.optim.SGD(net.parameters())], weights)


def parametrized(base_class, kind):
    """Method that trains with a first layer of which the weight is no parameter."""

    class Parametrized(base_class):
        def begin(self, run):
            layer, optimizer = run.hidden[0], run.net.optimizer_
            if not parametrize.is_parametrized(layer):
                PARAMETRIZATIONS[kind](layer)
                held = {id(p) for group in optimizer.param_groups for p in group["params"]}
                new = [p for p in layer.parameters() if id(p) not in held]
                if new:
                    optimizer.add_param_group({"params": new})
            super().begin(run)

    return Parametrized()


@pytest.mark.parametrize("base_class", [Activation, Magnitude])
@pytest.mark.parametrize("kind", PARAMETRIZATIONS)
def test_a_net_with_a_parametrized_layer_trains_and_is_pruned(kind, base_class):
    X, y = make_classification(
        n_samples=60, n_features=6, n_informative=5, n_redundant=0, class_sep=2, random_state=1
    )
    params = {"learning_rate_init": 0.02, "random_state": 0, "max_iter": 15, "prune_fraction": 0.6}
    norms = []
    for alpha in (0.0, 1.0, 20.0):
        method = parametrized(base_class, kind)
        clf = PrunedMLPClassifier((12, 8), method=method, alpha=alpha, **params).fit(X, y)
        assert parametrize.is_parametrized(clf.net_.module_.layers[0])
        assert clf.sparsity_ >= 0.6
        first = clf.coefs_[0]
        assert first.shape == (6, len(clf.live_neurons_[0]))
        assert (first[~clf.masks_[0][:, clf.live_neurons_[0]]] == 0).all()
        for p in clf.net_.module_.parameters():
            assert clf.net_.optimizer_.state[p]["exp_avg"].shape == p.shape
        norms.append(np.linalg.norm(first))
    assert norms[0] > norms[2]


@pytest.mark.parametrize("kind", PARAMETRIZATIONS)
def test_partial_fit_goes_on_with_a_parametrized_layer(kind):
    X, y = make_classification(n_samples=60, n_features=6, random_state=1)
    clf = PrunedMLPClassifier(
        (12, 8), method=parametrized(Activation, kind), prune_fraction=0.6, max_iter=6,
        random_state=0,
    )  # fmt: skip
    for _ in range(6):
        clf.partial_fit(X, y, classes=[0, 1])
        again = copy.deepcopy(clf)
        np.testing.assert_allclose(again.net_.predict_proba(X), clf.predict_proba(X))
    assert clf.sparsity_ >= 0.6
    assert len(clf.loss_curve_) == 6


class KeptWithin(Magnitude):
    """Cuts a neuron in the middle of an epoch."""

    def on_step(self, run):
        if len(run.masks.current[0]) > 4 and not run.history:
            masks = [mask.copy() for mask in run.masks.current]
            masks[0][0] = False
            run.keep(masks)


def test_neurons_may_leave_between_steps():
    """The L2 penalty is of the weights of now, in their sizes of now."""
    X, y = make_classification(n_samples=60, n_features=6, random_state=1)
    clf = PrunedMLPClassifier(
        (12,), method=KeptWithin(), prune_fraction=0.7, alpha=0.1, max_iter=4, batch_size=5,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    assert len(clf.live_neurons_[0]) <= 4
    assert clf.coefs_[0].shape == (6, len(clf.live_neurons_[0]))
