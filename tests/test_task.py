"""An estimator for other targets needs another task, and nothing else of the house."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.base import RegressorMixin
from sklearn.datasets import make_regression
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor
from sklearn.utils.validation import validate_data
from skorch import NeuralNetRegressor

from skactprune.estimators._base import BasePrunedMLP
from skactprune.estimators._task import Classification, Task
from skactprune.nets.net import LeanLoop
from skactprune.nets.outputs import OUTPUTS, Output, add_output

X, y = make_regression(120, 6, noise=1.0, random_state=0)
y = y / y.std()


def identity(logits):
    return logits


if "identity of the tests" not in OUTPUTS:
    add_output(
        Output("identity of the tests", width=lambda n: n, link=identity, onnx_link=identity)
    )


class HalfSquaredError(torch.nn.Module):
    def forward(self, logits, target):
        return 0.5 * (logits - target).square().mean()


class RegressionNet(LeanLoop, NeuralNetRegressor):
    """Our loop, skorch's regressor."""


@dataclass(frozen=True)
class Regression(Task):
    n_outputs: int
    out_activation: str = "identity of the tests"

    def net(self):
        return RegressionNet, {"criterion": HalfSquaredError, "predict_nonlinearity": None}

    def encode(self, y):
        return y.reshape(len(y), self.n_outputs)

    def predict(self, logits):
        return logits[:, 0]

    def score(self, y, predicted, sample_weight):
        return r2_score(y, predicted, sample_weight=sample_weight)

    def chance(self, y, sample_weight):
        return 0.0

    def can_stratify(self, encoded, fraction):
        return False


class Regressor(RegressorMixin, BasePrunedMLP):
    """A regressor around that task."""

    _begin_callbacks = staticmethod(lambda task, incremental: lambda net: False)

    @property
    def _task(self):
        return Regression(1)

    def fit(self, X, y):
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        self._callback_fit_ctx = None
        return self._train(X, y, None, None, incremental=True, resume=False)

    def partial_fit(self, X, y):
        return self._train(X, y, None, None, incremental=True, resume=self._resumes(True))

    def predict(self, X):
        return self._task.predict(self._logits(X))


def test_regression_needs_only_another_task():
    params = {"learning_rate_init": 0.02, "max_iter": 80, "batch_size": 20, "random_state": 0}
    net = Regressor((30, 20), prune_fraction=0.7, n_prune_rounds=3, **params).fit(X, y)
    for _ in range(79):
        net.partial_fit(X, y)
    assert net.sparsity_ >= 0.7 and len(net.pruning_history_) == 3
    assert net.score(X, y) > 0.9
    assert net.transform(X).shape == (120, len(net.live_neurons_[-1]))


def test_dense_regression_is_that_of_scikit_learn():
    params = {"solver": "sgd", "alpha": 0, "max_iter": 1, "random_state": 0}
    net = Regressor((30, 20), prune_fraction=0, **params).fit(X, y)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        ours = MLPRegressor(hidden_layer_sizes=(30, 20), **params).fit(X, y)
    np.testing.assert_allclose(net.predict(X), ours.predict(X), rtol=1e-9)
    np.testing.assert_allclose(net.loss_curve_, ours.loss_curve_, rtol=1e-9)


def test_two_classes_have_one_output():
    two, three = Classification(np.array(["a", "b"])), Classification(np.arange(3))
    assert (two.n_outputs, two.out_activation) == (1, "logistic")
    assert (three.n_outputs, three.out_activation) == (3, "softmax")
    assert two.predict(np.array([[-1.0], [2.0]])).tolist() == ["a", "b"]
    assert two.encode(np.array(["b", "a"])).tolist() == [1, 0]
    assert three.predict(np.eye(3)[[2, 0]]).tolist() == [2, 0]
