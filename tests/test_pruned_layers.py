"""Which layers of a foreign net are pruned, which are left alone, and who is told."""

import re
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn
from torch.nn import functional as F

from skactprune import Pruner
from skactprune.methods import METHODS, RigL

X = np.random.default_rng(0).normal(size=(120, 8)).astype(np.float32)
y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def fit(module, method="firing_deviation", *, net=NeuralNetClassifier, others=(), **params):
    """Pruner and module after a fit, and what was warned of."""
    torch.manual_seed(0)
    pruner = Pruner(method, **{"prune_fraction": 0.5, "random_state": 0} | params)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fitted = net(
            module, criterion=nn.CrossEntropyLoss, max_epochs=5, callbacks=[pruner, *others],
            verbose=0, train_split=None, batch_size=40,
        ).fit(X, y)  # fmt: skip
    return pruner, fitted.module_, [str(warning.message) for warning in told]


class Net(nn.Module):
    """Two hidden layers and an output layer, which subclasses use in their ways."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(8, 20), nn.Linear(20, 20), nn.Linear(20, 2)

    def forward(self, x):
        return self.out(self.body(x))

    def body(self, x):
        return torch.relu(self.b(torch.relu(self.a(x))))


class Unused(Net):
    def body(self, x):
        return torch.relu(self.a(x))


class Functional(Net):
    def body(self, x):
        return torch.relu(F.linear(torch.relu(self.a(x)), self.b.weight, self.b.bias))


class Attention(Net):
    def __init__(self):
        super().__init__()
        self.b = nn.MultiheadAttention(20, 4, batch_first=True)

    def body(self, x):
        h = torch.relu(self.a(x)).unsqueeze(1)
        return self.b(h, h, h)[0].squeeze(1)


class Recurrent(Net):
    def __init__(self):
        super().__init__()
        self.b = nn.LSTM(20, 20, batch_first=True)

    def body(self, x):
        return self.b(torch.relu(self.a(x)).unsqueeze(1))[0].squeeze(1)


class Frozen(Net):
    def __init__(self):
        super().__init__()
        self.b.requires_grad_(False)


class TiedToOutput(Net):
    def __init__(self):
        super().__init__()
        self.b = nn.Linear(20, 2)
        self.c = nn.Linear(2, 20)
        self.out = nn.Linear(20, 2)
        self.b.weight = self.out.weight

    def body(self, x):
        return torch.relu(self.c(torch.relu(self.b(torch.relu(self.a(x))))))


class TiedToEmbedding(Net):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 20)
        self.table.weight = self.b.weight

    def body(self, x):
        return super().body(x) + self.table(torch.arange(len(x)) % 20)


LEFT = {
    Unused: ["'b' (never called"],
    Functional: ["'b' (never called"],
    Attention: ["'b.out_proj' (never called", "'b.in_proj_weight' (no weight of a linear"],
    Recurrent: ["'b.weight_ih_l0' (no weight", "'b.weight_hh_l0' (no weight"],
    Frozen: ["'b' (frozen)"],
    TiedToOutput: ["'b' (shares its weight with 'out')"],
    TiedToEmbedding: ["'b' (shares its weight with 'table')"],
}


@pytest.mark.parametrize("method", ["firing_deviation", "activation", "magnitude", "snip"])
@pytest.mark.parametrize("kind", LEFT)
def test_what_cannot_be_judged_is_left_alone_and_named(kind, method):
    torch.manual_seed(1)
    module = kind()
    pruner, module, told = fit(module, method)
    assert len(told) == 1
    for named in LEFT[kind]:
        assert named in told[0]
    assert "b" not in pruner.layer_names_
    assert all(p.detach().abs().sum(dim=1).all() for p in module.b.parameters() if p.dim() > 1)
    # What is reported is what is there.
    weights = [module.get_submodule(name).weight for name in pruner.layer_names_]
    n_zero = sum(int((weight == 0).sum()) for weight in weights)
    assert n_zero == pruner.masks_.sparsity * sum(weight.numel() for weight in weights)
    assert 0.5 <= pruner.masks_.sparsity < 0.6
    # Who says that it is meant is not warned.
    assert (
        fit(kind(), method, ignored_layers=["b", "table"][: 1 + (kind is TiedToEmbedding)])[2] == []
    )


class Tied(Net):
    def __init__(self):
        super().__init__()
        self.c = nn.Linear(20, 20)
        self.c.weight = self.b.weight

    def body(self, x):
        return torch.relu(self.c(super().body(x)))


@pytest.mark.parametrize("method", ["random", "firing_deviation", "magnitude"])
def test_a_shared_weight_is_pruned_once(method):
    pruner, module, told = fit(Tied(), method, n_prune_rounds=1)
    assert told == [] and pruner.layer_names_ == ["a", "b"]
    weights = [module.a.weight, module.b.weight]
    n_zero = sum(int((weight == 0).sum()) for weight in weights)
    assert n_zero / (160 + 400) == pruner.masks_.sparsity < 0.55
    assert module.c.weight is module.b.weight


def test_a_layer_that_is_called_twice_is_pruned_once():
    class Twice(Net):
        def body(self, x):
            return torch.relu(self.b(super().body(x)))

    pruner, module, told = fit(Twice())
    assert told == [] and pruner.layer_names_ == ["a", "b"]
    n_zero = sum(int((layer.weight == 0).sum()) for layer in (module.a, module.b))
    assert n_zero == sum(int((~mask).sum()) for mask in pruner.masks_.current) >= 0.5 * 560


@pytest.mark.parametrize("method", ["activation", "random"])
def test_half_precision(method):
    torch.manual_seed(0)
    pruner = Pruner(method, prune_fraction=0.5, random_state=0)
    rows = torch.from_numpy(X).bfloat16()
    net = NeuralNetClassifier(
        Net().bfloat16(), criterion=nn.CrossEntropyLoss, callbacks=[pruner], verbose=0,
        train_split=None,
    ).fit(rows, y)  # fmt: skip
    layers = (net.module_.a, net.module_.b)
    n_zero = sum(int((layer.weight == 0).sum()) for layer in layers)
    assert n_zero == sum(int((~mask).sum()) for mask in pruner.masks_.current) >= 0.5 * 560


class Heads(Net):
    """Gives two outputs, in one of several forms."""

    def __init__(self, form, first="aux"):
        super().__init__()
        self.form = form
        self.aux = nn.Linear(20, 3)
        if first == "aux":
            # The other head is defined last.
            self.out = self._modules.pop("out")

    def forward(self, x):
        h = self.body(x)
        return self.form(self.out(h), self.aux(h))


class TwoLosses(NeuralNetClassifier):
    def get_loss(self, y_pred, y_true, *args, **kwargs):
        one, other = y_pred.values() if isinstance(y_pred, dict) else y_pred
        return F.cross_entropy(one, y_true) + F.cross_entropy(other, 2 * y_true)


FORMS = {
    "tuple": lambda one, other: (one, other),
    "list": lambda one, other: [one, other],
    "dict": lambda one, other: {"one": one, "other": other},
}


@pytest.mark.parametrize("first", ["aux", "out"])
@pytest.mark.parametrize("form", FORMS)
def test_no_head_loses_outputs(form, first):
    pruner, module, told = fit(Heads(FORMS[form], first), net=TwoLosses, prune_fraction=0.8)
    assert told == [] and pruner.layer_names_ == ["a", "b"]
    assert module.aux.weight.all() and module.out.weight.all()
    assert pruner.masks_.sparsity >= 0.8
    accuracy = pruner.history_[-1]["train_score"]
    assert np.isnan(accuracy) if form == "dict" else 0 < accuracy < 1


def test_a_layer_that_a_value_leaves_through_is_still_hidden():
    class Told(Net):
        def forward(self, x):
            h = self.body(x)
            return self.out(h), h

    class First(NeuralNetClassifier):
        def get_loss(self, y_pred, y_true, *args, **kwargs):
            return super().get_loss(y_pred[0], y_true, *args, **kwargs)

    assert fit(Told(), net=First)[0].layer_names_ == ["a", "b"]


@pytest.mark.parametrize("ignored", ["a", ["a"], ("a",), lambda module: [module.a]])
def test_ignored_layers_are_left_alone(ignored):
    module = Net()
    before = module.a.weight.detach().clone()
    given = ignored(module) if callable(ignored) else ignored
    pruner, module, told = fit(module, ignored_layers=given)
    assert told == [] and pruner.layer_names_ == ["b"]
    assert module.a.weight.all() and not torch.equal(module.a.weight, before)
    assert float((module.b.weight == 0).float().mean()) == pruner.masks_.sparsity >= 0.5


def test_whole_modules_are_ignored_and_names_survive_a_clone():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(8, 9), nn.ReLU(), nn.Linear(9, 9), nn.ReLU())
            self.body, self.out = nn.Linear(9, 9), nn.Linear(9, 2)

        def forward(self, x):
            return self.out(torch.relu(self.body(self.encoder(x))))

    net = NeuralNetClassifier(
        Deep, criterion=nn.CrossEntropyLoss, verbose=0,
        callbacks=[("pruner", Pruner(ignored_layers=["encoder"], prune_fraction=0.5))],
    )  # fmt: skip
    for one in (net.fit(X, y), clone(net).fit(X, y)):
        assert dict(one.callbacks_)["pruner"].layer_names_ == ["body"]


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("method", ["firing_deviation", "magnitude", "activation", "movement"])
def test_layers_have_fractions_of_their_own(method, scope):
    pruner, module, _ = fit(
        Net(), METHODS.make(method).set_params(scope=scope), layer_fractions={"a": 0.25, "b": 0.75}
    )
    gone = [float((layer.weight == 0).float().mean()) for layer in (module.a, module.b)]
    # One unit more at most: a neuron of a twentieth of the layer.
    assert 0.25 <= gone[0] <= 0.3 and 0.75 <= gone[1] <= 0.8
    n_zero = gone[0] * 160 + gone[1] * 400
    np.testing.assert_allclose(pruner.masks_.sparsity, n_zero / 560)
    pruner, module, _ = fit(Net(), method, layer_fractions={"a": 0.0}, prune_fraction=0.5)
    assert module.a.weight.all()
    assert float((module.b.weight == 0).float().mean()) >= 0.5
    pruner, module, _ = fit(Net(), method, layer_fractions={"a": 0.5}, prune_fraction=0.0)
    assert module.b.weight.all() and pruner.history_[-1]["round"] == 5
    assert float((module.a.weight == 0).float().mean()) >= 0.5


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_heeds_or_refuses_fractions_of_layers(method):
    try:
        _, module, _ = fit(Net(), method, layer_fractions={"a": 0.25}, prune_fraction=0.75)
    except ValueError as error:
        assert re.search(
            "layer_fractions must be None|which layer feeds|how all weights", str(error)
        )
        return
    gone = [float((layer.weight == 0).float().mean()) for layer in (module.a, module.b)]
    # One unit more at most, a neuron of a twentieth of the layer or a block of 16 weights.
    assert 0.25 <= gone[0] <= 0.35 and 0.75 <= gone[1] <= 0.8


MODULE = nn.Linear(3, 3)


@pytest.mark.parametrize(
    "params, message",
    [
        (
            {"ignored_layers": ["c"]},
            r"ignored_layers=\['c'\] must name .* Its layers: 'a', 'b', 'o",
        ),
        ({"ignored_layers": [MODULE]}, "ignored_layers=.* must name modules of Net"),
        ({"ignored_layers": [3]}, r"ignored_layers=\[3\] must name"),
        ({"ignored_layers": 3}, "'ignored_layers' .* Got 3"),
        ({"ignored_layers": ["a", "b"]}, "at least one hidden layer.* 'a' .in ignored_layers."),
        ({"layer_fractions": {"c": 0.5}}, r"layer_fractions=\{'c': 0.5\} must name modules of Net"),
        ({"layer_fractions": {"a": 1.0}}, r"values in \[0, 1\); 'a' has 1.0"),
        ({"layer_fractions": {"a": "x"}}, r"values in \[0, 1\); 'a' has 'x'"),
        ({"layer_fractions": {"a": True}}, r"values in \[0, 1\); 'a' has True"),
        ({"layer_fractions": ["a"]}, "'layer_fractions' .* Got"),
        ({"layer_fractions": {"out": 0.5}}, "none in 'out': 'out' .an output layer"),
        ({"layer_fractions": {"a": 0.99}}, r"layer_fractions\['a'\]=0.99 cannot be reached"),
        (
            {"layer_fractions": {"a": 0.5}, "ignored_layers": ["a"]},
            "none in 'a': 'a' .in ignored_layers",
        ),
        ({"layer_fractions": {"a": 0.2}, "method": RigL()}, "RigL.* layer_fractions must be None"),
    ],
)
def test_names_and_fractions_that_do_not_fit(params, message):
    before = (net := Net()).a.weight.detach().clone()
    with pytest.raises(ValueError, match=message):
        fit(net, **params)
    # Nothing was trained.
    assert torch.equal(net.a.weight, before)


@pytest.mark.parametrize("method", ["firing_deviation", "magnitude"])
def test_layers_that_are_frozen_later_are_left_alone_from_then_on(method):
    class Freeze(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                net.module_.b.requires_grad_(False)
                self.weight_ = net.module_.b.weight.detach().clone()

    freeze = Freeze()
    pruner, module, told = fit(Net(), method, others=[freeze], prune_fraction=0.8)
    assert told and all("frozen since the first batch: 'b'" in message for message in told)
    assert torch.equal(module.b.weight, freeze.weight_)
    assert float((module.a.weight == 0).float().mean()) >= 0.8
    n_zero = sum(int((layer.weight == 0).sum()) for layer in (module.a, module.b))
    assert n_zero == sum(int((~mask).sum()) for mask in pruner.masks_.current) < 0.8 * 560


def test_nothing_is_pruned_without_a_batch_and_somebody_is_told():
    pruner = Pruner(random_state=0)
    net = NeuralNetClassifier(
        Net(), criterion=nn.CrossEntropyLoss, max_epochs=3, callbacks=[pruner], verbose=0,
        train_split=None, iterator_train__drop_last=True, batch_size=1000,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="only 0 of 5 pruning rounds"):
        net.fit(X, y)
    assert pruner.masks_.sparsity == 0 and pruner.history_ == []
    assert net.module_.a.weight.all()


def test_layers_that_get_their_sizes_with_the_first_batch():
    module = nn.Sequential(nn.LazyLinear(20), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(2))
    pruner, module, told = fit(module)
    assert told == [] and pruner.layer_names_ == ["0"]
    assert module[0].out_features == 10 and pruner.masks_.sparsity == 0.5


def test_looking_at_a_net_leaves_its_training_as_it_was():
    """Draws, modes, buffers and steps are those of a net that nobody looks at."""

    class Random(Net):
        def __init__(self):
            super().__init__()
            self.norm, self.drop = nn.BatchNorm1d(20), nn.Dropout(0.3)

        def body(self, x):
            noise = torch.randn_like(x) + float(check_random_state(None).rand())
            return self.drop(torch.relu(self.norm(self.a(x + noise))))

    states = []
    for callbacks in ([], [Pruner(n_prune_rounds=0)]):
        torch.manual_seed(0)
        check_random_state(None).seed(0)
        net = NeuralNetClassifier(
            Random(), criterion=nn.CrossEntropyLoss, callbacks=callbacks, verbose=0, max_epochs=3,
            iterator_train__shuffle=True,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            states.append(net.fit(X, y).module_.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_module_made_anew_is_pruned_anew():
    class Sized(Net):
        def __init__(self, h=20):
            super().__init__()
            self.a, self.b = nn.Linear(8, h), nn.Linear(h, 20)

    net = NeuralNetClassifier(
        Sized, criterion=nn.CrossEntropyLoss, verbose=0, max_epochs=5,
        callbacks=[("pruner", Pruner(random_state=0))],
    ).fit(X, y)  # fmt: skip
    net.set_params(module__h=30).partial_fit(X, y)
    pruner = dict(net.callbacks_)["pruner"]
    assert pruner.masks_.shapes == [(30, 8), (20, 30)]
    n_zero = sum(int((layer.weight == 0).sum()) for layer in (net.module_.a, net.module_.b))
    assert n_zero == pruner.masks_.sparsity * 840 >= 0.8 * 840
