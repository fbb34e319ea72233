"""The gradients that a method may ask for, of whatever net can be pruned."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn.utils import parametrize

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import Method

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:Pruner leaves alone")

X, y = make_classification(
    n_samples=60, n_features=6, n_informative=5, n_redundant=0, n_classes=3, random_state=0
)
X = X.astype(np.float32)


class Asks(Method):
    """Keeps what it is told in the lists that it is given."""

    def __init__(self, mean=None, step=None):
        self.mean, self.step = mean, step

    def begin(self, run):
        if self.mean is not None:
            self.mean.extend(run.gradients(np.arange(len(run.rows.training))))

    def on_gradient(self, run):
        if self.step is not None:
            self.step.append([gradient.clone() for gradient in run.step_gradients()])


class Double(nn.Module):
    def forward(self, weight):
        return 2 * weight

    def right_inverse(self, weight):
        return weight / 2


class Bypassed(nn.Module):
    """Has layers that its output does not depend on."""

    def __init__(self):
        super().__init__()
        self.aside = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
        self.body = plain()

    def forward(self, X):
        self.aside(X)
        return self.body(X)


def plain():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 3))


def noisy():
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)
    )


def frozen():
    module = plain()
    module[0].weight.requires_grad_(False)
    return module


def computed():
    module = plain()
    parametrize.register_parametrization(module[2], "weight", Double())
    return module


def fit(module, method, y=y, **params):
    pruner = Pruner(method, prune_fraction=0.5, n_prune_rounds=1, random_state=0)
    NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        max_epochs=1,
        train_split=None,
        callbacks=[pruner],
        verbose=0,
        **{"batch_size": 16} | params,
    ).fit(X, y)
    return pruner.layer_names_


def loss_of(module):
    return nn.functional.cross_entropy(module(torch.tensor(X)), torch.tensor(y))


@pytest.mark.parametrize("batch_size", [16, -1])
@pytest.mark.parametrize("y", [y, torch.tensor(y)], ids=["array", "tensor"])
@pytest.mark.parametrize("make", [plain, noisy, frozen, computed, Bypassed])
def test_gradients_are_those_of_the_mean_loss_in_evaluation_mode(make, y, batch_size):
    torch.manual_seed(0)
    module = make()
    twin = copy.deepcopy(module).eval().requires_grad_(True)
    trained = {name: p.requires_grad for name, p in module.named_parameters()}
    buffers = [buffer.clone() for buffer in module.buffers()]
    found = []

    class Checks(Asks):
        def begin(self, run):
            super().begin(run)
            found.extend(buffer.clone() for buffer in module.buffers())
            assert {name: p.requires_grad for name, p in module.named_parameters()} == trained

    told = Checks(mean=[])
    names = fit(module, told, y, batch_size=batch_size)
    loss_of(twin).backward()
    wanted = []
    for layer in map(twin.get_submodule, names):
        if parametrize.is_parametrized(layer):
            wanted.append(layer.parametrizations.weight.original.grad / 2)
        else:
            gradient = layer.weight.grad
            wanted.append(torch.zeros_like(layer.weight) if gradient is None else gradient)
    for one, other in zip(told.mean, wanted, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-7)
    assert all(map(torch.equal, found, buffers))


def test_rows_count_with_their_weights_whatever_the_batches():
    weight = np.random.RandomState(0).randint(1, 9, len(y))
    params = {"max_iter": 1, "random_state": 0, "dtype": "float64"}
    told = []
    for rows, weights in (
        (slice(None), weight.astype(float)),
        (np.repeat(np.arange(len(y)), weight), None),
    ):
        for batch_size in (7, 60):
            told.append([])
            PrunedMLPClassifier(
                (8, 5), method=Asks(mean=told[-1]), batch_size=batch_size, **params
            ).fit(X[rows], y[rows], weights)
    for other in told[1:]:
        for one, two in zip(told[0], other, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [plain, frozen, Bypassed])
def test_gradients_of_a_step_are_zero_where_nothing_is_trained(make):
    torch.manual_seed(0)
    module = make()
    twin = copy.deepcopy(module)
    told = Asks(step=[])
    names = fit(module, told, batch_size=-1)
    loss_of(twin).backward()
    (step,) = told.step
    for gradient, layer in zip(step, map(twin.get_submodule, names), strict=True):
        wanted = layer.weight.grad
        assert torch.equal(gradient, torch.zeros_like(gradient) if wanted is None else wanted)


def test_layers_without_gradients_are_named():
    with pytest.raises(ValueError, match=r"method=Asks\(.*needs gradients.* for '2': this layer"):
        fit(computed(), Asks(step=[]))
