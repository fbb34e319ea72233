"""Probes with an entry for every weight stay aligned with the layers, whatever these are."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from torch import nn

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import Magnitude
from skactprune.pruning.probes import EarlyWeights, WeightSums

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(
    n_samples=60, n_features=9, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
X = X.astype(np.float32)


class Follows(Magnitude):
    """Keeps the weights of before training in both probes, and checks them when it ends."""

    def begin(self, run):
        super().begin(run)
        self.sums_, self.early_ = run.watch(WeightSums()), run.watch(EarlyWeights())
        self.early_.take(run)
        self.sums_.add([torch.tensor(weight) for weight in run.weights()[:-1]])
        self.first_ = [weight.copy() for weight in run.weights()]

    def end(self, run):
        depths = range(len(self.first_) - 1)
        early = [weight.reshape(len(weight), -1) for weight, _ in self.early_.weights]
        for depth in depths:
            live = run.masks.live[depth]
            rows = self.first_[depth][live]
            wanted = rows[:, run.layout.columns(depth, run.masks.live)]
            np.testing.assert_array_equal(self.sums_.arrays()[depth], wanted)
            np.testing.assert_array_equal(early[depth], wanted)
        np.testing.assert_array_equal(early[-1], self.first_[-1][:, : early[-1].shape[1]])
        type(self).ended += 1


def test_entries_of_a_chain_leave_with_its_neurons():
    class Follow(Follows):
        ended = 0

        def end(self, run):
            # The output layer loses columns, too.
            self.first_[-1] = self.first_[-1][:, run.masks.live[-1]]
            super().end(run)

    clf = PrunedMLPClassifier(
        (12, 8), method=Follow("neuron"), prune_fraction=0.7, max_iter=8, random_state=0
    ).fit(X, y)
    assert Follow.ended == 1
    assert clf.coefs_[1].shape < (12, 8)


def test_entries_of_convolutions_stay():
    class Follow(Follows):
        ended = 0

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Unflatten(1, (1, 9)),
        nn.Conv1d(1, 4, 3),
        nn.ReLU(),
        nn.Conv1d(4, 5, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(25, 7),
        nn.ReLU(),
        nn.Linear(7, 3),
        nn.Softmax(-1),
    )
    pruner = Pruner(Follow(), prune_fraction=0.5, n_prune_rounds=2, random_state=0)
    NeuralNetClassifier(module, max_epochs=6, callbacks=[pruner], verbose=0).fit(X, y)
    assert Follow.ended == 1
    assert pruner.masks_.sparsity == pytest.approx(0.5, abs=0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sums_stay_on_their_device():
    sums = WeightSums()
    sums.sums = [torch.ones(3, 2, dtype=torch.float64, device="cuda")]
    sums.cut([np.array([True, False, True])])
    assert sums.sums[0].is_cuda
    assert sums.sums[0].shape == (2, 2)
