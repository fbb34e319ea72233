"""GraSP against finite differences of gradients that numpy computes."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import GraSP

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(
    n_samples=90, n_features=10, n_informative=7, n_redundant=0, n_classes=3, random_state=0
)
WEIGHT = np.random.RandomState(1).randint(1, 6, len(y)).astype(float)


class Watch(Callback):
    """Notes weights (n_in, n_out) and biases before the first step."""

    def on_train_begin(self, net, **kwargs):
        self.weights = [layer.weight.detach().numpy().T.copy() for layer in net.module_.layers]
        self.biases = [layer.bias.detach().numpy().copy() for layer in net.module_.layers]


class Noting(GraSP):
    """Notes the scores, of the last training of all."""

    def scores(self, run):
        found = super().scores(run)
        type(self).noted = [score.T for score in found]
        return found


def fit(method, X=X, y=y, sample_weight=None, hidden=(9, 8), **params):
    watch = Watch()
    defaults = {"prune_fraction": 0.5, "max_iter": 2, "random_state": 0, "batch_size": 25}
    # Smooth, and without neurons that never fire few weights die that were not chosen.
    defaults["activation"] = "tanh"
    clf = PrunedMLPClassifier(
        hidden, method=method, net_params={"callbacks": [("watch", watch)]}, **defaults | params
    )
    return clf.fit(X, y, sample_weight), watch


# -- the second computation: numpy, and differences -------------------------------------------


def gradients(weights, biases, X, y, row_weight=None):
    """Gradient of the mean cross-entropy in all weights, by backpropagation written out."""
    row_weight = np.ones(len(y)) if row_weight is None else row_weight
    outputs = [X]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        outputs.append(np.tanh(outputs[-1] @ w + b))
    logits = outputs[-1] @ weights[-1] + biases[-1]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta = p / p.sum(axis=1, keepdims=True) - np.eye(logits.shape[1])[y]
    delta *= (row_weight / row_weight.sum())[:, None]
    found = []
    for depth in range(len(weights) - 1, -1, -1):
        found.append(outputs[depth].T @ delta)
        delta = delta @ weights[depth].T * (1 - outputs[depth] ** 2)
    return found[::-1]


def moved(weights, direction, step):
    return [w + step * d for w, d in zip(weights, direction, strict=True)]


def hessian_products(weights, biases, direction, *rows, step=1e-4):
    """Derivative of the gradients along a direction, by central differences."""
    ahead = gradients(moved(weights, direction, step), biases, *rows)
    behind = gradients(moved(weights, direction, -step), biases, *rows)
    return [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]


def scores(watch, *rows):
    """Hidden weights times Hessian times gradient."""
    g = gradients(watch.weights, watch.biases, *rows)
    products = hessian_products(watch.weights, watch.biases, g, *rows)
    return [w * p for w, p in zip(watch.weights[:-1], products, strict=False)]


def without_lowest(scores, n_removed):
    order = np.argsort(np.concatenate([score.ravel() for score in scores]))
    mask = np.ones(len(order), dtype=bool)
    mask[order[:n_removed]] = False
    ends = np.cumsum([score.size for score in scores])[:-1]
    parts = np.split(mask, ends)
    return [part.reshape(score.shape) for part, score in zip(parts, scores, strict=True)]


def assert_same(masks, others):
    for mask, other in zip(masks, others, strict=True):
        assert_array_equal(mask, other)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_scores_are_weights_times_hessian_times_gradient(weight):
    clf, watch = fit(Noting(None), sample_weight=weight, alpha=10.0)
    wanted = scores(watch, X, y, weight)
    for got, score in zip(Noting.noted, wanted, strict=True):
        assert_allclose(got, score, rtol=1e-5, atol=1e-8)
    assert_same(clf.masks_, without_lowest(wanted, 81))  # of 9 * 10 + 8 * 9
    (row,) = clf.pruning_history_
    assert (row["epoch"], row["sparsity"]) == (0, 0.5)


def test_gradients_are_larger_without_a_weight_that_goes_than_without_one_that_stays():
    clf, watch = fit(GraSP(None))

    def squared_norm(depth, at, factor):
        weights = [w.copy() for w in watch.weights]
        weights[depth][at] *= factor
        return sum((g**2).sum() for g in gradients(weights, watch.biases, X, y))

    gone, stays = [], []
    for depth, mask in enumerate(clf.masks_):
        for at in np.ndindex(mask.shape):
            # Along the way to its removal.
            change = squared_norm(depth, at, 1 - 1e-4) - squared_norm(depth, at, 1 + 1e-4)
            (stays if mask[at] else gone).append(change)
    assert len(gone) == 81
    assert min(gone) > max(stays)
    # The sign matters: many of those that stay matter more than most that go.
    assert min(stays) < 0 < max(gone)
    assert np.mean(np.abs(stays) > np.median(np.abs(gone))) > 0.3


@pytest.mark.parametrize("n_rows", [1, 90, 91])
def test_as_many_rows_as_asked_for(n_rows):
    class Sampling(Noting):
        def sample(self, run):
            type(self).rows = super().sample(run)
            return self.rows

    _, watch = fit(Sampling(n_rows))
    rows = Sampling.rows
    assert len(set(rows.tolist())) == len(rows) == min(n_rows, 90)
    for got, score in zip(Sampling.noted, scores(watch, X[rows], y[rows]), strict=True):
        assert_allclose(got, score, rtol=1e-5, atol=1e-7)


def test_in_single_precision():
    clf, watch = fit(Noting(None), dtype="float32")
    wanted = scores(watch, X.astype(np.float32), y)
    for got, score in zip(Noting.noted, wanted, strict=True):
        assert got.dtype == np.float64
        assert_allclose(got, score, atol=2e-3 * np.abs(score).max())
    assert clf.sparsity_ == 0.5


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_neurons_go_by_the_mean_over_their_weights(scope):
    clf, watch = fit(GraSP(None, "neuron", scope), hidden=(12,), prune_fraction=0.6)
    (score,) = scores(watch, X, y)
    # 0.6 of 12 neurons, and what is begun goes whole.
    assert clf.live_neurons_[0].tolist() == sorted(np.argsort(score.mean(axis=0))[8:])


def test_scope_layer_takes_the_same_share_of_every_layer():
    clf, watch = fit(GraSP(None, scope="layer"))
    for mask, score in zip(clf.masks_, scores(watch, X, y), strict=True):
        assert abs((~mask).sum() - mask.size / 2) <= 1
        assert_same([mask], without_lowest([score], int((~mask).sum())))


def test_dropout_does_not_matter():
    assert_same(fit(GraSP(None))[0].masks_, fit(GraSP(None), dropout=0.6)[0].masks_)


def pruned(module, X=X, y=y):
    pruner = Pruner(GraSP(None), prune_fraction=0.5, n_prune_rounds=2, random_state=0, cut=False)
    NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        max_epochs=1,
        batch_size=16,
        train_split=None,
        callbacks=[pruner],
        verbose=0,
    ).fit(X, y)
    return pruner


def test_any_net_is_scored_in_evaluation_mode():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Unflatten(1, (1, 10)),
        nn.Conv1d(1, 4, 3),
        nn.BatchNorm1d(4),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Conv1d(4, 3, 3),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(18, 3),
    ).double()
    module[2].running_var.uniform_(0.2, 3.0)
    names = ["1.weight", "5.weight", "8.weight"]
    start = {name: value.clone() for name, value in module.state_dict().items()}

    def gradient(weights):
        """By backward through a copy with other weights."""
        weights = [w.clone().requires_grad_() for w in weights]
        given = start | dict(zip(names, weights, strict=True))
        logits = torch.func.functional_call(module.eval(), given, torch.tensor(X))
        loss = nn.functional.cross_entropy(logits, torch.tensor(y))
        return torch.autograd.grad(loss, weights)

    weights = [start[name] for name in names]
    g = gradient(weights)
    ahead, behind = gradient(moved(weights, g, 1e-4)), gradient(moved(weights, g, -1e-4))
    wanted = [
        (w * (a - b)).flatten(1).numpy()
        for w, a, b in zip(weights[:-1], ahead, behind, strict=False)
    ]
    module.train()
    pruner = pruned(module)
    assert_same(pruner.masks_.full(), without_lowest(wanted, 24))  # of 4 * 3 + 3 * 12


class Attention(nn.Module):
    """Its gradient is a kernel of its own, of which torch has none."""

    def forward(self, h):
        h = h.reshape(len(h), 1, 2, 4)
        return nn.functional.scaled_dot_product_attention(h, h, h).flatten(1)


def test_a_net_without_second_derivatives_is_refused():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(10, 8), Attention(), nn.Linear(8, 3))
    with pytest.raises(ValueError, match=r"method=GraSP\(n_rows=None\) needs second derivatives"):
        pruned(module, X.astype(np.float32))


def test_a_net_whose_gradient_does_not_depend_on_it_has_a_hessian_of_zero():
    class Outputs(nn.Module):
        def forward(self, logits, y):
            return logits.mean()

    module = nn.Sequential(nn.Linear(10, 6), nn.Linear(6, 3)).double()
    pruner = Pruner(GraSP(None), prune_fraction=0.5, random_state=0)
    NeuralNetClassifier(
        module,
        criterion=Outputs,
        max_epochs=1,
        train_split=None,
        callbacks=[pruner],
        verbose=0,
    ).fit(X, y)
    assert pruner.masks_.sparsity == 0.5


def test_a_fitted_net_is_scored_by_the_weights_that_it_has():
    clf, _ = fit(Noting(None), warm_start=True, prune_fraction=0)
    clf.set_params(prune_fraction=0.5).fit(X, y)
    watch = clf.net_params["callbacks"][0][1]
    assert_same(clf.masks_, without_lowest(scores(watch, X, y), 81))
    masks = clf.masks_
    assert_same(clf.fit(X[::-1], y[::-1]).masks_, masks)
    assert len(clf.pruning_history_) == 1


def test_unlabelled_rows_are_refused():
    with pytest.raises(ValueError, match="method=GraSP.* must be None"):
        PrunedMLPClassifier((5,), method=GraSP()).fit(X, y, X_unlabeled=X[:7])


@pytest.mark.parametrize("n_rows", [0, -3, 2.0, True, "all"])
def test_wrong_sizes_of_the_sample_are_named(n_rows):
    with pytest.raises(ValueError, match=rf"n_rows={n_rows!r} of GraSP must be an int .* or None"):
        fit(GraSP(n_rows))
