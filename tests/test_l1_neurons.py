"""L1 norms of neurons against sums over one weight after the other."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from torch import nn

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import L1Neurons

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(
    n_samples=60, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
SEEN = []


class Seen(L1Neurons):
    """Notes the weights of each round, and who is there."""

    def round(self, run, share):
        self.note(run)
        super().round(run, share)
        self.note(run)

    def note(self, run):
        SEEN.append((run.copied_weights(), [live.copy() for live in run.masks.live_neurons]))


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


def fit(method, **params):
    clf = PrunedMLPClassifier(
        (9, 7), method=method, n_prune_rounds=2, max_iter=6, batch_size=20, random_state=0
    ).set_params(**params)
    return clf.fit(X, y)


def norms(layers):
    """Sums of the absolute weights into each neuron."""
    return [[sum(abs(w) for w in into) for into in weight] for weight, _ in layers]


def test_those_of_the_smallest_norms_leave_each_layer():
    fit(Seen(), prune_fraction=0.8)
    for (layers, before), (_, after) in zip(SEEN[::2], SEEN[1::2], strict=True):
        for depth, norm in enumerate(norms(layers)[:-1]):
            order = [before[depth][at] for at in np.argsort(norm)]
            gone = len(before[depth]) - len(after[depth])
            assert sorted(order[gone:]) == after[depth].tolist()
            assert gone


def test_global_scope_compares_sums_of_all_layers():
    fit(Seen("global", "one_shot"), hidden_layer_sizes=(6, 12), prune_fraction=0.5)
    (layers, _), (_, after) = SEEN[:2]
    every = sorted(
        (norm, depth, at) for depth in (0, 1) for at, norm in enumerate(norms(layers)[depth])
    )
    left = {0: set(range(6)), 1: set(range(12))}
    for _, depth, at in every:
        if 8 * len(left[0]) + len(left[0]) * len(left[1]) <= 60:
            break
        left[depth].discard(at)
    assert [sorted(left[0]), sorted(left[1])] == [live.tolist() for live in after]


def test_biases_do_not_count():
    class Biased(Seen):
        def round(self, run, share):
            layers = run.copied_weights()
            for (weight, bias), size in zip(layers, (1e3, 0, 0), strict=True):
                bias[:] = size * np.arange(len(bias))[::-1]
                weight[:] = np.arange(1, len(bias) + 1)[:, None]
            run.restore(layers)
            super().round(run, share)

    clf = fit(Biased(schedule="one_shot"), prune_fraction=0.5, alpha=0)
    assert all(live[-1] == n - 1 for live, n in zip(clf.live_neurons_, (9, 7), strict=True))
    assert all(live[0] > 0 for live in clf.live_neurons_)


def test_channels_go_by_all_weights_of_their_kernels():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Unflatten(1, (1, 8)),
        nn.Conv1d(1, 6, 3),
        nn.ReLU(),
        nn.Conv1d(6, 5, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(20, 3),
    )
    kernels = []

    class Noting(L1Neurons):
        def scores(self, run):
            kernels.extend(module[at].weight.detach().clone() for at in (1, 3))
            return super().scores(run)

    pruner = Pruner(Noting(), prune_fraction=0.4, n_prune_rounds=1, random_state=0)
    NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        callbacks=[pruner],
        verbose=0,
    ).fit(X.astype("float32"), y)
    for kernel, mask in zip(kernels, pruner.masks_.full(), strict=True):
        norm = [sum(float(abs(w)) for w in channel.flatten()) for channel in kernel]
        left = int(mask.any(axis=1).sum())
        assert 0 < left < len(norm)
        assert set(np.flatnonzero(mask.any(axis=1))) == set(np.argsort(norm)[-left:])
