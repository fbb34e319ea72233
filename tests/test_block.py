"""Blocks of weights that leave together, against loops over tiles."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.checks import bits, data, estimator, fitted
from skactprune.methods import SNIP, Block, BlockGradual, Magnitude, Random

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

HIDDEN = (21, 9)
ONE_ROUND = {"n_prune_rounds": 1, "max_iter": 1, "weight_decay": 0}


def fit(method, **params):
    clf = estimator(method, **params)
    return clf.set_params(hidden_layer_sizes=HIDDEN).fit(*data())


def means(weight, height, width):
    """Mean abs(w) of every tile of a matrix (n_out, n_in), with its corner."""
    found = []
    for j in range(0, weight.shape[0], height):
        for i in range(0, weight.shape[1], width):
            total, n = 0.0, 0
            for row in range(j, min(j + height, weight.shape[0])):
                for column in range(i, min(i + width, weight.shape[1])):
                    total, n = total + abs(weight[row, column]), n + 1
            found.append((total / n, j, i))
    return found


def without(weights, order, shape, k):
    """Masks without the first k tiles of an order, and without what has no path then."""
    height, width = shape
    masks = [np.ones(weight.shape, dtype=bool) for weight in weights]
    for depth, j, i in order[:k]:
        masks[depth][j : j + height, i : i + width] = False
    for _ in range(4):
        masks[1][:, ~masks[0].any(axis=1)] = False
        masks[0][~masks[1].any(axis=0)] = False
    return masks


@pytest.mark.parametrize("method, shape", [(Block((4, 2)), (4, 2)), (BlockGradual(), (16, 1))])
def test_tiles_of_smallest_mean_leave_alike_in_all_layers(method, shape):
    dense = fit("magnitude", prune_fraction=0, max_iter=1, weight_decay=0)
    weights = [coef.T for coef in dense.coefs_[:-1]]
    order = []
    for depth, weight in enumerate(weights):
        ordered = sorted(means(weight, *shape))
        order += [
            ((place + 0.5) / len(ordered), depth, j, i) for place, (_, j, i) in enumerate(ordered)
        ]
    order = [(depth, j, i) for _, depth, j, i in sorted(order)]
    n_left = 0.4 * sum(weight.size for weight in weights)
    k = next(
        k
        for k in range(len(order))
        if sum(mask.sum() for mask in without(weights, order, shape, k)) <= n_left
    )
    clf = fit(method, prune_fraction=0.6, **ONE_ROUND)
    for mask, expected in zip(clf.masks_, without(weights, order, shape, k), strict=True):
        np.testing.assert_array_equal(mask.T, expected)


def test_blocks_stay_whole_over_rounds_that_cut_neurons():
    clf = fitted(Block((3, 2)), n_prune_rounds=4)
    assert any(
        len(live) < mask.shape[1] for live, mask in zip(clf.live_neurons_, clf.masks_, strict=True)
    )
    alive = [
        np.isin(np.arange(mask.shape[1]), live)
        for live, mask in zip(clf.live_neurons_, clf.masks_, strict=True)
    ]
    inputs = [np.ones(clf.n_features_in_, dtype=bool), *alive]
    for mask, out, into in zip(clf.masks_, alive, inputs, strict=False):
        mask = mask.T
        for j in range(0, mask.shape[0], 3):
            for i in range(0, mask.shape[1], 2):
                rows, columns = out[j : j + 3], into[i : i + 2]
                tile = mask[j : j + 3, i : i + 2][np.ix_(rows, columns)]
                assert tile.all() or not tile.any()


def test_one_number_is_a_square_and_any_method_takes_blocks():
    assert bits(fitted(Block(3))) == bits(fitted(Block((3, 3))))
    assert bits(fitted(Block((3, 2)))) == bits(
        fitted(Magnitude(granularity=(3, 2), schedule="geometric"))
    )
    assert bits(fitted(Block())) == bits(fitted(Magnitude("block", schedule="geometric")))
    assert bits(fitted(Magnitude((1, 1)))) == bits(fitted(Magnitude("weight")))
    assert fitted(SNIP(granularity="block")).sparsity_ >= 0.6


def test_blocks_that_are_zero_leave_first_where_they_may_regrow():
    clf = fitted(Block((2, 2), regrow=True), n_prune_rounds=3)
    assert clf.sparsity_ < 0.6
    at_last = estimator(Block((2, 2), regrow=True), max_iter=4, trigger="epoch")
    at_last.set_params(trigger__start=0.5, trigger__stop=1.0)
    assert at_last.fit(*data()).sparsity_ >= 0.6


def test_convolutions_lose_tiles_of_their_matrix():
    X, y = data()
    module = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, 6)),
        torch.nn.Conv1d(1, 5, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(20, 3),
    )
    pruner = Pruner(Block((2, 3)), prune_fraction=0.5, n_prune_rounds=1, random_state=0)
    NeuralNetClassifier(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=2,
        callbacks=[pruner],
        verbose=0,
    ).fit(X.astype("float32"), y)
    weight = module[1].weight.detach().numpy().reshape(5, 3)
    rows = [weight[:2].any(), weight[2:4].any(), weight[4:].any()]
    assert sum(rows) == 1 and pruner.masks_.sparsity >= 0.5


def test_a_layer_of_one_block_cannot_lose_it():
    with pytest.raises(ValueError, match=r"prune_fraction=0.5 cannot be reached.*at most 0.0"):
        PrunedMLPClassifier((8,), method=Block(32), prune_fraction=0.5).fit(*data())


@pytest.mark.parametrize("shape", [0, True, 2.0, (2,), (2, 0), (2, 2, 2), (1.5, 2), "4"])
def test_shapes_are_checked(shape):
    for method in (Block(shape), BlockGradual(shape)):
        with pytest.raises(ValueError, match="block_shape=.* positive"):
            method.validated()
    with pytest.raises(ValueError, match="granularity=.* of Random must be one of"):
        Random(granularity=shape).validated()
