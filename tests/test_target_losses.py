"""Losses of numbers, and R² in training, beside scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
    r2_score,
)
from skorch import NeuralNetRegressor

from skactprune import Pruner
from skactprune.nets.accuracy import RunningR2, score_of
from skactprune.nets.losses import (
    TWINS,
    ReconstructionLoss,
    WeightedLinearLoss,
    WeightedPoissonLoss,
    WeightedSquaredLoss,
)

rng = np.random.RandomState(0)
OUTPUTS, Y = rng.normal(size=(9, 3)), rng.poisson(1.5, (9, 3)).astype(float)
OUTPUTS[0], Y[0] = 1.0, 1.0
WEIGHT = rng.uniform(0.5, 3, 9)


def pinball(q):
    return lambda y, p, **how: mean_pinball_loss(y, p, alpha=q, **how)


# What each is, and how much of scikit-learn's metric.
CASES = [
    (WeightedSquaredLoss(), mean_squared_error, 0.5, np.array),
    (ReconstructionLoss(), mean_squared_error, 0.5 * 3, np.array),
    (WeightedPoissonLoss(), mean_poisson_deviance, 0.5 * 3, np.exp),
    (WeightedLinearLoss(), mean_absolute_error, 1.0, np.array),
    (WeightedLinearLoss(0.9, 1 - 0.9), pinball(0.9), 1.0, np.array),
]


def test_every_loss_is_a_case():
    assert {type(criterion) for criterion, *_ in CASES} == set(TWINS)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("criterion, metric, factor, link", CASES)
def test_value_is_the_metric_and_gradient_that_of_the_sum(criterion, metric, factor, link, weight):
    def value(outputs):
        predicted = link(outputs)
        if metric is mean_poisson_deviance:
            each = [
                metric(y, p, sample_weight=weight) for y, p in zip(Y.T, predicted.T, strict=True)
            ]
            return factor * np.mean(each)
        return factor * metric(Y, predicted, sample_weight=weight)

    outputs = torch.tensor(OUTPUTS, requires_grad=True)
    target = torch.tensor(Y)
    loss = criterion(outputs, target if weight is None else (target, torch.tensor(weight)))
    np.testing.assert_allclose(loss.item(), value(OUTPUTS), rtol=1e-12)
    loss.backward()
    n_told = 3 if criterion.averages else 1
    for place in [(1, 0), (4, 2), (8, 1)]:
        step = np.zeros_like(OUTPUTS)
        step[place] = 1e-6
        slope = (value(OUTPUTS + step) - value(OUTPUTS - step)) / 2e-6
        np.testing.assert_allclose(outputs.grad[place].item(), n_told * slope, rtol=1e-6)


@pytest.mark.parametrize("mean", [0.0, 1e8])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_running_r2_is_that_of_all_batches(n_outputs, weighted, mean):
    y, predicted = Y[:, :n_outputs] + mean, OUTPUTS[:, :n_outputs] + mean
    running = RunningR2()
    assert np.isnan(running.value)
    for rows in (slice(0, 4), slice(4, 9)):
        weight = torch.tensor(WEIGHT[rows]) if weighted else None
        running.add(torch.tensor(predicted[rows]), torch.tensor(y[rows]), weight)
    expected = r2_score(y, predicted, sample_weight=WEIGHT if weighted else None)
    np.testing.assert_allclose(running.value, expected, rtol=1e-6)


def test_running_r2_of_constants():
    for predicted, expected in ((2.0, 1.0), (3.0, 0.0)):
        running = RunningR2()
        running.add(torch.full((3, 1), predicted), torch.full((3,), 2.0), None)
        assert running.value == r2_score([2.0] * 3, [predicted] * 3) == expected


@pytest.mark.parametrize("flat", [False, True])
def test_score_trigger_takes_any_regressor_of_skorch(flat):
    X = rng.normal(size=(60, 4)).astype(np.float32)
    y = X @ np.array([1, -1, 0.5, 0], np.float32)
    pruner = Pruner("magnitude", prune_fraction=0.5, trigger="score", random_state=0)
    torch.manual_seed(0)
    last = [torch.nn.Flatten(0)] if flat else []
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 20), torch.nn.ReLU(), torch.nn.Linear(20, 1), *last
    )
    optimizer = {"optimizer": torch.optim.Adam, "lr": 0.02, "batch_size": 20}
    net = NeuralNetRegressor(
        module, max_epochs=60, callbacks=[pruner], verbose=0, train_split=None, **optimizer
    )
    net.fit(X, y if flat else y[:, None])
    assert isinstance(score_of(net), RunningR2)
    assert pruner.masks_.sparsity >= 0.5 and len(net.history) < 60
    assert all(0.8 <= row["train_score"] <= 1 for row in pruner.history_)
