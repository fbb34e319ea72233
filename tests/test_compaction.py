"""Cutting neurons out changes neither the function nor how its training goes on."""

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skactprune.pruning.compaction import fold_and_mask, replace_parameters
from sklearn.datasets import make_classification
from skorch.callbacks import Callback

from skactprune import Activation, Magnitude, PrunedMLPClassifier, Random
from skactprune.nets.mlp import ACTIVATIONS, MLP
from skactprune.pruning import pruner
from skactprune.pruning.masks import cascade
from skactprune.pruning.selection import select

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
    keep = [mask.any(axis=1) | (not cut) for mask in final]
    replace_parameters(net.layers, optimizer, weights, biases, final, keep)

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
    constant = float(ACTIVATIONS[activation](net.layers[0].bias[1:].detach().clone()))
    bias, carried = net.layers[1].bias.detach().clone(), net.layers[1].weight[:, 1].detach().clone()
    mask = np.array([[True, True, False], [False, False, False]])
    _, biases, _ = fold_and_mask(net.layers, [mask], net.activate)
    assert constant != 0
    assert torch.equal(biases[1], bias + carried * constant)


class Recorder(Callback):
    """Batches and selected masks of every epoch, and the first weights."""

    def __init__(self, monkeypatch):
        def recorded_select(scores, masks, **options):
            new = select(scores, masks, **options)
            self.selected[-1] = masks.replaced(new).full()
            return new

        monkeypatch.setattr(pruner, "select", recorded_select)
        self.batches, self.selected = [], []

    def on_train_begin(self, net, **kwargs):
        self.first = copy.deepcopy([p.detach() for p in net.module_.parameters()])

    def on_epoch_begin(self, net, **kwargs):
        self.batches.append([])
        self.selected.append(None)

    def on_batch_begin(self, net, batch=None, **kwargs):
        self.batches[-1].append(copy.deepcopy(batch))


def train_uncut(recorder, activation, make_optimizer, alpha):
    """Same training in plain torch: dead neurons stay, held at zero by masks on both sides."""
    f = {"relu": torch.relu, "tanh": torch.tanh, "logistic": torch.sigmoid}[activation]
    parameters = [p.clone().requires_grad_() for p in recorder.first]
    weights, biases = parameters[::2], parameters[1::2]
    optimizer = make_optimizer(parameters)
    held = [torch.ones_like(p) for p in parameters]
    for batches, selected in zip(recorder.batches, recorder.selected, strict=True):
        for X, y in batches:
            h = X
            for w, b in zip(weights[:-1], biases[:-1], strict=True):
                h = f(h @ w.T + b)
            loss = torch.nn.functional.cross_entropy(h @ weights[-1].T + biases[-1], y)
            loss = loss + 0.5 * alpha / len(X) * sum((w**2).sum() for w in weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for p, mask in zip(parameters, held, strict=True):
                    p.mul_(mask)
        if selected is None:
            continue
        with torch.no_grad():
            for depth, mask in enumerate(selected):
                held[2 * depth].mul_(torch.from_numpy(mask))
                weights[depth].mul_(held[2 * depth])
            for depth in range(len(selected)):
                dead = ~held[2 * depth].bool().any(dim=1)
                biases[depth + 1] += weights[depth + 1] @ (f(biases[depth]) * dead)
                weights[depth + 1][:, dead] = 0
                biases[depth][dead] = 0
                held[2 * depth + 1][dead] = 0
                held[2 * depth + 2][:, dead] = 0
            for depth in range(len(selected) - 1, 0, -1):
                unread = ~held[2 * depth].bool().any(dim=0)
                for tensors in (parameters, held):
                    tensors[2 * depth - 2][unread] = 0
                    tensors[2 * depth - 1][unread] = 0
            for p, mask in zip(parameters, held, strict=True):
                p.mul_(mask)
                for value in optimizer.state[p].values():
                    if torch.is_tensor(value) and value.shape == p.shape:
                        value.mul_(mask)
    return [p.detach().numpy() for p in weights], [p.detach().numpy() for p in biases]


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
        tol=0.0,
        random_state=3,
        net_params=net_params,
        **params,
    ).fit(X, y)
    weights, biases = train_uncut(recorder, activation, make_optimizer, alpha=0.01)

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
            if pruner.history_ and pruner.history_[-1]["epoch"] == pruner.epoch_:
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
