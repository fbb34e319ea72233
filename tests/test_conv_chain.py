"""Channels that do nothing are cut out of nn.Sequential, and nothing else changes."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from sklearn.base import clone
from skorch import NeuralNetClassifier
from skorch.callbacks import Checkpoint, EarlyStopping
from torch import nn

from skactprune import EpochTrigger, Pruner
from skactprune.methods import METHODS, DeepCompression, Magnitude
from skactprune.pruning.choice import layout_of
from skactprune.pruning.conv_chain import ConvChain
from skactprune.pruning.masks import Masks
from skactprune.pruning.passes import traced

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
MAGNIFIED = 1 / nn.BatchNorm1d(1).eps ** 0.5

random = np.random.default_rng(0)
y = random.integers(0, 3, 48)
X = (random.normal(size=(48, 1, 8, 8)) + y[:, None, None, None]).astype(np.float32)


def make(module, pruner=None, **params):
    torch.manual_seed(0)
    callbacks = [*params.pop("callbacks", ()), *([] if pruner is None else [("pruner", pruner)])]
    defaults = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "lr": 0.02,
        "max_epochs": 4,
        "batch_size": 16,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(module, callbacks=callbacks, **defaults | params)


def cnn(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        ),
        nn.Sequential(nn.Conv2d(8, 10, 3, padding=1), nn.BatchNorm2d(10), nn.Tanh()),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(160, 12),
        nn.ReLU(),
        nn.Linear(12, 3),
    )


def leaving(**params):
    """A pruner that lets channels die, however narrow layers are."""
    return Pruner("firing_deviation", **params)


def n_numbers(module):
    return sum(p.numel() for p in module.parameters())


def pruner_of(net):
    return dict(net.callbacks_)["pruner"]


# -- the function, for nets drawn at random ------------------------------------------------------


ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.Hardswish, lambda: nn.LeakyReLU(0.3)]
KINDS = {
    1: (nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d),
    2: (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
    3: (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveMaxPool3d),
}


@st.composite
def parts_of_a_block(draw, n_dims, n_in, n_out):
    conv, norm, largest, average, _ = KINDS[n_dims]
    padding = draw(st.sampled_from([0, 1, 1, "same"]))
    yield_ = [
        conv(
            n_in,
            n_out,
            draw(st.sampled_from([1, 3])),
            stride=1 if padding == "same" else draw(st.integers(1, 2)),
            padding=padding,
            padding_mode=draw(st.sampled_from(["zeros", "zeros", "replicate", "circular"])),
            bias=draw(st.booleans()),
        )
    ]
    if draw(st.booleans()):
        yield_.append(norm(n_out, track_running_stats=draw(st.integers(0, 4)) > 0))
    yield_.append(draw(st.sampled_from(ACTIVATIONS))())
    if draw(st.booleans()):
        yield_.append(nn.PReLU(draw(st.sampled_from([1, n_out]))))
    pool = draw(st.sampled_from([None, None, "max", "average", "counted"]))
    if pool == "max":
        yield_.append(largest(2, 1, padding=1))
    elif pool:
        yield_.append(average(2, 1, padding=1, count_include_pad=pool == "counted"))
    return nn.Sequential(*yield_) if draw(st.booleans()) else yield_


@st.composite
def modules(draw):
    n_dims = draw(st.integers(1, 3))
    widths = [2, *draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))]
    parts = []
    for n_in, n_out in zip(widths, widths[1:], strict=False):
        block = draw(parts_of_a_block(n_dims, n_in, n_out))
        parts += [block] if isinstance(block, nn.Sequential) else block
    if draw(st.booleans()):
        parts.append(KINDS[n_dims][-1](draw(st.integers(1, 2))))
    parts += [nn.Flatten(), nn.Dropout(0.5)]
    seed = draw(st.integers(0, 1000))
    torch.manual_seed(seed)
    rows = torch.randn(5, 2, *[{1: 19, 2: 11, 3: 6}[n_dims]] * n_dims)
    try:
        n_flat = nn.Sequential(*parts).eval()(rows).shape[1]
    except RuntimeError:
        reject()  # Nothing is left of the image.
    if draw(st.booleans()):
        parts.append(nn.BatchNorm1d(n_flat))
    if draw(st.booleans()):
        parts += [nn.Linear(n_flat, 4, bias=draw(st.booleans())), nn.GELU()]
        n_flat = 4
    parts.append(nn.Linear(n_flat, 3, bias=draw(st.booleans())))
    return nn.Sequential(*parts), rows, seed


def disturbed(module, seed):
    """Everything that a fit may change has some value."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        for name, tensor in [*part.named_parameters(recurse=False), *part.named_buffers()]:
            if tensor.is_floating_point() and tensor.dim() == 1:
                low = 0.5 if "var" in name else -1.0
                tensor.data.uniform_(low, 2.0, generator=generator)
    return module


def takes_its_batch(part):
    """Whether a normalization divides the rounding of what is constant by next to nothing."""
    return isinstance(part, nn.modules.batchnorm._NormBase) and not part.track_running_stats


def cut(module, rows, density, seed):
    """Net with module, masked; then cut. Returns what it put out before and the masks after."""
    net = make(lambda: module).initialize()
    net.optimizer_ = torch.optim.SGD(module.parameters(), lr=0.1)
    layout = layout_of(module, traced(net, (rows, None), {}))
    masks, drawn = Masks(layout), np.random.default_rng(seed)
    for mask in masks.current:
        mask[:] = drawn.uniform(size=mask.shape) < drawn.choice([density, 1.0])
        mask[drawn.uniform(size=len(mask)) < 0.4] = False
    with torch.no_grad():
        for layer, mask in zip(layout.layers(module), masks.current, strict=False):
            layer.weight *= torch.from_numpy(mask).reshape(layer.weight.shape)
        before = module.eval()(rows)
        if isinstance(layout, ConvChain):
            masks, _ = layout.cut(net, masks)
        return before, layout, masks


@settings(max_examples=30)
@given(modules(), st.sampled_from([torch.float32, torch.float64]), st.floats(0.1, 1))
def test_what_the_net_puts_out_stays(drawn, dtype, density):
    module, rows, seed = drawn
    module, rows = disturbed(module, seed).to(dtype), rows.to(dtype)
    n_before, modes = n_numbers(module), [part.training for part in module.modules()]
    before, layout, masks = cut(module, rows, density, seed)
    module.eval()
    with torch.no_grad():
        after = module(rows)
    tolerance = TOLERANCE[dtype] * MAGNIFIED ** sum(map(takes_its_batch, module.modules()))
    assert (after - before).abs().max() <= tolerance * max(before.abs().max(), 1)
    assert n_numbers(module) <= n_before and len(modes) == len(list(module.modules()))
    for depth, layer in enumerate(layout.layers(module)[:-1]):
        weight = layer.weight.detach().reshape(len(layer.weight), -1).numpy()
        assert weight.shape == masks.current[depth].shape == (
            len(masks.live[depth]), len(layout.columns(depth, masks.live))
        )  # fmt: skip
        assert not weight[~masks.current[depth]].any()
    # Sizes that parts tell are those of their tensors.
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            sizes = [getattr(part, f"{name}_channels", None) for name in ("out", "in")]
            if isinstance(part, nn.Linear):
                sizes = [part.out_features, part.in_features]
            assert list(part.weight.shape[:2]) == sizes
        elif isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            assert part.weight.shape == (part.num_features,)


@pytest.mark.parametrize("padding, merge, kept", [(0, True, 2), (1, True, 3), (1, False, 9)])
def test_one_channel_stays_for_all_constants_that_a_convolution_pads(padding, merge, kept):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 9, 3),
        nn.Sigmoid(),
        nn.Conv2d(9, 4, 3, padding=padding),
        nn.Flatten(),
        nn.Linear(4 * (36 if padding else 16), 2),
    ).double()
    net = make(lambda: module).initialize()
    rows = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    layout = layout_of(module, traced(net, (rows, None), {}))
    masks = Masks(layout)
    masks.current[0][2:] = False
    with torch.no_grad():
        module[0].weight[2:] = 0
        before = module(rows)
        left, _ = layout.cut(net, masks, merge)
        assert (module(rows) - before).abs().max() < 1e-12
    assert module[0].out_channels == module[2].in_channels == kept
    assert left.n_left == 2 * 9 + 4 * kept * 9 and len(left.live_neurons[0]) == 2


# -- training ------------------------------------------------------------------------------------


def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.Tanh(), nn.Identity(), nn.Flatten(),
        nn.Linear(6 * 36, 3),
    ).double()  # fmt: skip


OPTIMIZERS = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
}


def step(module, optimizer, rows, targets):
    module.train()
    optimizer.zero_grad()
    nn.functional.cross_entropy(module(rows), targets).backward()
    optimizer.step()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_goes_on_as_that_of_the_masked_net(kind):
    rows, targets = torch.from_numpy(X).double(), torch.from_numpy(y)
    module = small()
    optimizer = OPTIMIZERS[kind](module.parameters())
    for _ in range(3):
        step(module, optimizer, rows, targets)
    mask, live = np.ones((6, 9), dtype=bool), [1, 3, 4]
    mask[[0, 2, 5]] = False
    with torch.no_grad():
        module[0].weight[[0, 2, 5]] = 0
    whole = copy.deepcopy(module)
    other = OPTIMIZERS[kind](whole.parameters())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))

    net = make(lambda: module).initialize()
    net.optimizer_ = optimizer
    layout = layout_of(module, traced(net, (rows, None), {}))
    layout.cut(net, Masks(layout).replaced([mask]))
    assert module[0].out_channels == module[1].num_features == 3
    assert module[5].in_features == 3 * 36

    # The same in plain torch, without anything leaving: fold, and hold at zero.
    dead = torch.tensor([0, 2, 5])
    flat = (dead[:, None] * 36 + torch.arange(36)).ravel()
    conv, norm, last = whole[0], whole[1], whole[5]
    with torch.no_grad():
        constant = torch.tanh(
            -norm.running_mean / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        )[dead].repeat_interleave(36)
        last.bias += last.weight[:, flat] @ constant
    for _ in range(5):
        with torch.no_grad():
            last.weight[:, flat] = 0
            for value in other.state[last.weight].values():
                if torch.is_tensor(value) and value.shape == last.weight.shape:
                    value[:, flat] = 0
        step(module, optimizer, rows, targets)
        step(whole, other, rows, targets)
    flat_live = (torch.tensor(live)[:, None] * 36 + torch.arange(36)).ravel()
    for found, expected in (
        (module[0].weight, conv.weight[live]),
        (module[1].weight, norm.weight[live]),
        (module[1].running_mean, norm.running_mean[live]),
        (module[1].running_var, norm.running_var[live]),
        (module[5].weight, last.weight[:, flat_live]),
        (module[5].bias, last.bias),
    ):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
    assert module[1].num_batches_tracked == norm.num_batches_tracked
    for p in module.parameters():
        for value in optimizer.state[p].values():
            assert value.numel() == 1 or value.shape == p.shape


@pytest.mark.parametrize("method", list(METHODS))
def test_a_fit_is_that_of_the_masked_net(method):
    pruners = [Pruner(method, prune_fraction=0.9, random_state=0, cut=cut) for cut in (False, True)]
    try:
        nets = [make(lambda: cnn(0.2), pruner).fit(X, y) for pruner in pruners]
    except ValueError as error:
        assert "as in the nets of PrunedMLPClassifier" in str(error)
        pytest.skip("is for the nets of this package")
    masked, small = nets
    for name in ("epoch", "sparsity", "live_neurons", "train_score"):
        rows = [[row[name] for row in pruner_of(net).history_] for net in nets]
        assert rows[0] == rows[1]
    assert masked.history[:, "train_loss"] == small.history[:, "train_loss"]
    before, after = masked.forward(X), small.forward(X)
    assert (after - before).abs().max() <= 1e-5 * max(before.abs().max(), 1)
    assert n_numbers(masked.module_) == n_numbers(cnn())
    first, second, third = pruner_of(masked).masks_.current
    idle = [
        *(~mask.any(axis=1) for mask in (first, second, third)),
        *(~second.reshape(10, 8, 9).any(axis=(0, 2)), ~third.reshape(12, 10, 16).any(axis=(0, 2))),
    ]
    leave = any(some.any() for some in idle) and not pruner_of(small).pending
    assert (n_numbers(small.module_) < n_numbers(cnn())) == leave
    # What is left was left before, but for one channel that may stand for others.
    left = pruner_of(small).masks_
    assert left.n_left <= pruner_of(masked).masks_.n_left
    for depth, live in enumerate(pruner_of(masked).masks_.live_neurons):
        assert set(left.live_neurons[depth]) <= set(live)
    # Training goes on, and masks hold.
    small.partial_fit(X, y, epochs=1)
    run = pruner_of(small).run_
    assert run.is_held()
    assert [mask.shape for mask in run.masks.current] == [w.shape for w in run.weights()[:-1]]


# -- what a user of skorch does with it ----------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    return make(cnn, leaving(prune_fraction=0.8, random_state=0)).fit(X, y)


def test_pickles_are_small_and_clones_as_large_as_ever(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert n_numbers(again.module_) == n_numbers(fitted.module_) < 0.2 * n_numbers(cnn())
    n_left = pruner_of(again).masks_.n_left
    again.partial_fit(X, y, epochs=2)
    assert pruner_of(again).masks_.n_left == n_left
    assert n_numbers(clone(fitted).initialize().module_) == n_numbers(cnn())
    new = clone(fitted).fit(X, y)
    assert n_numbers(new.module_) < 0.2 * n_numbers(cnn())


def test_parameters_fit_nets_of_the_same_shapes(fitted, tmp_path):
    files = {"f_params": tmp_path / "p.pt", "f_optimizer": tmp_path / "o.pt"}
    fitted.save_params(**files)
    again = pickle.loads(pickle.dumps(fitted))
    with torch.no_grad():
        again.module_[6].bias += 1
    again.load_params(**files)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    with pytest.raises(RuntimeError, match="size mismatch for 0.0.weight"):
        clone(fitted).initialize().load_params(f_params=files["f_params"])


def test_a_module_that_is_a_parameter_keeps_its_shapes():
    module = cnn()
    net = make(module, leaving(random_state=0)).fit(X, y)
    assert net.module is module and n_numbers(module) == n_numbers(cnn())
    assert n_numbers(net.module_) < 0.3 * n_numbers(module)
    net.module_.eval(), module.eval()
    with torch.no_grad():
        rows = torch.from_numpy(X)
        torch.testing.assert_close(net.module_(rows), module(rows), rtol=1e-5, atol=1e-5)
    # The optimizer goes with the copy.
    before = copy.deepcopy(net.module_.state_dict())
    net.partial_fit(X, y, epochs=1)
    assert any(not torch.equal(new, before[n]) for n, new in net.module_.state_dict().items())
    held = [p for group in net.optimizer_.param_groups for p in group["params"]]
    assert [id(p) for p in held] == [id(p) for p in net.module_.parameters()]
    assert set(net.optimizer_.state) <= set(held)
    # And another fit prunes no more than was asked for.
    sparsity = pruner_of(net).history_[-1]["sparsity"]
    with pytest.warns(UserWarning, match="for pruned before"):
        net.fit(X, y)
    assert pruner_of(net).masks_.sparsity == pytest.approx(sparsity, abs=0.2)


@pytest.mark.parametrize(
    "method",
    ["firing_deviation", "activation_surgeon", "nisp", "wanda", "l0", "variational_dropout"],
)
def test_a_pruner_that_begins_anew_knows_what_was_cut(method):
    net = make(cnn, leaving(prune_fraction=0.5, random_state=0)).fit(X, y)
    left = pruner_of(net).masks_
    assert n_numbers(net.module_) < n_numbers(cnn())
    net.set_params(callbacks__pruner__method=method, callbacks__pruner__prune_fraction=0.9)
    with pytest.warns(UserWarning, match="that were cut out, .*'0.0'"):
        net.partial_fit(X, y)
    again = pruner_of(net).masks_
    assert again.shapes == left.shapes and again.sparsity >= 0.9 > left.sparsity
    assert all(set(new) <= set(old) for new, old in zip(again.live, left.live, strict=True))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["early", "checkpoint"])
def test_the_best_weights_are_brought_back_and_cut(kind, first, tmp_path):
    restoring = (
        EarlyStopping("train_loss", patience=20, load_best=True)
        if kind == "early"
        else Checkpoint("train_loss_best", dirname=str(tmp_path), load_best=True)
    )
    pruner = leaving(trigger=EpochTrigger(0.2, 0.5), random_state=0)
    callbacks = [("best", restoring), ("pruner", pruner)][:: 1 if first else -1]
    # The rate is so large that the last epoch is not the best.
    net = make(cnn, callbacks=callbacks, max_epochs=8, lr=0.3).fit(X, y)
    assert n_numbers(net.module_) < 0.3 * n_numbers(cnn())
    # Another call that finds nothing better brings the same back, in the shapes of now.
    expected = net.predict_proba(X)
    if kind == "checkpoint":
        net.load_params(checkpoint=restoring)
        np.testing.assert_array_equal(net.predict_proba(X), expected)
    net.set_params(lr=0.0)
    net.partial_fit(X, y, epochs=2)
    assert n_numbers(net.module_) < 0.3 * n_numbers(cnn())


def test_nothing_leaves_while_training_may_go_on():
    net = make(cnn, leaving(random_state=0, trigger=EpochTrigger(0.1, 0.5))).initialize()
    sizes = [n_numbers(net.partial_fit(X, y, epochs=1).module_) for _ in range(4)]
    assert sizes[:3] == [n_numbers(cnn())] * 3 and sizes[3] < sizes[2]
    whole = make(cnn, leaving(random_state=0, trigger=EpochTrigger(0.1, 0.5))).fit(X, y)
    np.testing.assert_allclose(whole.predict_proba(X), net.predict_proba(X), atol=1e-5)


def test_values_that_weights_share_stay_few():
    method = DeepCompression(bits=2, retrain=0.2)
    net = make(cnn, Pruner(method, prune_fraction=0.9, random_state=0), max_epochs=8).fit(X, y)
    net.partial_fit(X, y, epochs=1)
    for layer in pruner_of(net).run_.layers:
        assert len(layer.weight.detach().unique()) <= 5


# -- other graphs --------------------------------------------------------------------------------


class Parts(nn.Module):
    """Two sequences, and something between them that nobody knows."""

    def __init__(self, reach_in=None):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.BatchNorm2d(6), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(96, 20), nn.ReLU(), nn.Linear(20, 3))
        self.reach_in = reach_in

    def forward(self, X):
        if self.reach_in == "call":
            return self.head(self.features(X).flatten(1)) + 0 * self.features[0](X).mean()
        if self.reach_in == "weights":
            z = self.head(self.features(X).flatten(1))
            return z + self.features[0].weight.abs().mean() + self.features[0].bias.mean()
        if self.reach_in == "loop":
            h = X
            for part in self.features:
                h = part(h)
            return self.head(h.flatten(1))
        return self.head(self.features(X).flatten(1))


def test_sequences_in_a_module_lose_channels_within():
    net = make(Parts, leaving(random_state=0)).fit(X, y)
    assert net.module_.features[0].out_channels < 8
    # Whom the last of them feeds is not known.
    assert net.module_.features[2].out_channels == 6
    assert net.module_.head[0].in_features == 96 and net.module_.head[0].out_features < 20


@pytest.mark.parametrize("how", ["call", "loop"])
def test_a_sequence_that_is_not_called_as_a_whole_keeps_its_channels(how):
    net = make(Parts, leaving(random_state=0), module__reach_in=how).fit(X, y)
    assert net.module_.features[0].out_channels == 8
    assert net.module_.head[0].out_features < 20
    assert pruner_of(net).masks_.sparsity >= 0.8


def test_what_reads_weights_besides_is_found_out_and_all_stays():
    masked = make(Parts, leaving(random_state=0, cut=False), module__reach_in="weights").fit(X, y)
    net = make(Parts, leaving(random_state=0), module__reach_in="weights")
    with pytest.warns(UserWarning, match="leaves the shapes of Parts as they are"):
        net.fit(X, y)
    for name, tensor in masked.module_.state_dict().items():
        assert torch.equal(tensor, net.module_.state_dict()[name])
    net.partial_fit(X, y, epochs=0)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.first = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.out = nn.Linear(4 * 36, 3)

    def forward(self, X):
        h = torch.relu(self.stem(X))
        return self.out((h + torch.relu(self.first(h))).flatten(1))


TIED = nn.PReLU(6)
UNKNOWN = {
    "grouped": [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6)],
    "another norm": [nn.Conv2d(1, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.Conv2d(6, 6, 3)],
    "softmax": [nn.Conv2d(1, 6, 3), nn.Softmax(1), nn.Conv2d(6, 6, 3)],
    "normed weight": [
        nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 6, 3)), nn.ReLU(), nn.Conv2d(6, 6, 3)
    ],
    "tied": [nn.Conv2d(1, 6, 3), TIED, nn.Conv2d(6, 6, 3), TIED],
    "transposed": [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.ConvTranspose2d(6, 6, 1), nn.Conv2d(6, 6, 3)],
}  # fmt: skip


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.filterwarnings("ignore:Pruner leaves alone")
def test_what_is_not_known_is_masked(kind):
    def module():
        torch.manual_seed(0)
        return nn.Sequential(
            *copy.deepcopy(UNKNOWN[kind]), nn.Flatten(1, 2), nn.Flatten(), nn.Linear(96, 3)
        )

    net = make(module, Pruner(Magnitude("neuron"), prune_fraction=0.6, random_state=0)).fit(X, y)
    assert n_numbers(net.module_) == n_numbers(module())
    assert pruner_of(net).masks_.sparsity >= 0.6


def test_branches_are_masked():
    net = make(Residual, leaving(prune_fraction=0.7, random_state=0)).fit(X, y)
    assert n_numbers(net.module_) == n_numbers(Residual())


def test_layers_that_are_ignored_keep_their_inputs():
    pruner = leaving(ignored_layers=["1.0"], random_state=0)
    net = make(cnn, pruner).fit(X, y)
    assert net.module_[0][0].out_channels == 8 and net.module_[1][0].weight.shape[:2] == (10, 8)
    assert net.module_[4].out_features < 12


def test_cut_is_checked():
    with pytest.raises(ValueError, match="'cut' parameter of Pruner must be .*Got 'no'"):
        make(cnn, Pruner(cut="no")).fit(X, y)


class TwoOptimizers(NeuralNetClassifier):
    """Each trains a part of the module; the first has two names, the second is in a list."""

    def initialize_optimizer(self, *args, **kwargs):
        *hidden, last = (part for part in self.module_ if isinstance(part, nn.Linear))
        self.optimizer_ = torch.optim.SGD(last.parameters(), 0.02, momentum=0.9)
        parameters = [p for layer in hidden for p in layer.parameters()]
        self.others_ = [torch.optim.SGD(parameters, 0.02, momentum=0.9)]
        vars(self)["alias"] = self.optimizer_
        return self

    def train_step(self, batch, **fit_params):
        self.optimizer_.zero_grad()
        self.others_[0].zero_grad()
        step = self.train_step_single(batch, **fit_params)
        self.notify("on_grad_computed", named_parameters=self.module_.named_parameters())
        self.optimizer_.step()
        self.others_[0].step()
        return step


@pytest.mark.parametrize("given", ["module", "class"])
@pytest.mark.parametrize("method", ["magnitude", "activation", "rigl", "lottery_ticket"])
def test_two_optimizers_do_what_one_does(method, given):
    class Small(nn.Sequential):
        def __init__(self):
            hidden = nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU()
            super().__init__(*hidden, nn.Linear(16, 3))

    nets = []
    for kind in (NeuralNetClassifier, TwoOptimizers):
        torch.manual_seed(0)
        pruner = Pruner(method, prune_fraction=0.7, n_prune_rounds=2, random_state=0)
        net = make(Small() if given == "module" else Small, pruner, warm_start=True)
        net = kind(**net.get_params(deep=False)).fit(X[:, 0, 0], y)
        before = net.module_[0].weight.detach().clone()
        nets.append(net.partial_fit(X[:, 0, 0], y))
        assert net.module_[0].weight.shape == before.shape
        assert not torch.equal(net.module_[0].weight, before)
    one, two = (list(net.module_.parameters()) for net in nets)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
