"""Unlabelled rows that a method has no use for are refused before anything happens."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from torch import nn

from skactprune import Pruner
from skactprune.methods import Magnitude

X, y = make_classification(n_samples=40, n_features=6, random_state=0)
X = X.astype(np.float32)


class AtOnce(Magnitude):
    """Prunes before the first step."""

    def begin(self, run):
        super().begin(run)
        with run.round(len(run.shares)) as share:
            self.round(run, share)


def test_a_net_is_as_it_was_after_unlabelled_rows_were_refused():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(-1))
    before = [parameter.clone() for parameter in module.parameters()]
    pruner = Pruner(AtOnce(), prune_fraction=0.5, n_prune_rounds=1, unlabeled=X[:7])
    net = NeuralNetClassifier(module, callbacks=[pruner], verbose=0)
    with pytest.raises(ValueError, match="does not count who fires, so that unlabeled rows"):
        net.fit(X, y)
    assert all(map(torch.equal, module.parameters(), before))
    assert pruner.masks_.sparsity == 0
    assert pruner.history_ == []
