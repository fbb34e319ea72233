"""SynFlow against sums over all paths, one by one, and a plain loop."""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import SynFlow
from skactprune.pruning.flows import flows_of_chain

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(60, 6, n_informative=5, n_redundant=0, n_classes=3, random_state=0)


class Watch(Callback):
    """Notes weights (n_in, n_out) before the first step, and masks after every step."""

    def on_train_begin(self, net, **kwargs):
        self.weights = [layer.weight.detach().numpy().T.copy() for layer in net.module_.layers]
        self.masks = []

    def on_batch_end(self, net, training=False, **kwargs):
        masks = dict(net.callbacks_)["pruner"].masks_
        self.masks.append([mask.T for mask in masks.full()])


def fit(method, hidden=(5, 4), X=X, y=y, **params):
    watch = Watch()
    defaults = {"prune_fraction": 0.7, "max_iter": 2, "random_state": 3, "batch_size": 25}
    clf = PrunedMLPClassifier(
        hidden, method=method, net_params={"callbacks": [("watch", watch)]}, **defaults | params
    )
    return clf.fit(X, y), watch


# -- the second computation ------------------------------------------------------------------


def flows_by_paths(weights):
    """Sum of the products of all paths through every weight (n_in, n_out)."""
    sizes = [len(weights[0]), *(w.shape[1] for w in weights)]
    flows = [np.zeros(w.shape) for w in weights]
    for path in product(*map(range, sizes)):
        steps = list(zip(path, path[1:], strict=False))
        carried = np.prod([abs(w[at]) for w, at in zip(weights, steps, strict=True)])
        for flow, at in zip(flows, steps, strict=True):
            flow[at] += carried
    return flows


def alive(masks):
    """Masks without what lies on no path, by looking until nothing changes."""
    masks = [mask.copy() for mask in masks]
    before = -1
    while before != (before := sum(mask.sum() for mask in masks)):
        for one, other in zip(masks, masks[1:], strict=False):
            other[~one.any(axis=0)] = False
            one[:, ~other.any(axis=1)] = False
    return masks


def plain_loop(weights, fraction, n_rounds):
    """Masks (n_in, n_out) of the hidden layers, removing one weight after the other."""
    *hidden, output = weights
    masks = [np.ones(w.shape, dtype=bool) for w in hidden]
    n = sum(mask.size for mask in masks)
    for k in range(1, n_rounds + 1):
        wanted = int(n * (1 - fraction) ** (k / n_rounds) + 1e-9)
        masked = [w * mask for w, mask in zip(hidden, masks, strict=True)]
        flows = flows_by_paths([*masked, output])
        cells = [
            (flows[d][at], d, at) for d in range(len(masks)) for at in np.ndindex(masks[d].shape)
        ]
        for _, depth, at in sorted(cells):
            if sum(mask.sum() for mask in alive(masks)) <= wanted:
                break
            masks[depth][at] = False
        masks = alive(masks)
    return masks


def assert_same(masks, others):
    for mask, other in zip(masks, others, strict=True):
        assert_array_equal(mask, other)


def random_weights(sizes, seed=0, scale=1.0):
    rng = np.random.RandomState(seed)
    return [rng.normal(scale=scale, size=pair) for pair in zip(sizes, sizes[1:], strict=False)]


@pytest.mark.parametrize("sizes", [(3, 4, 2), (4, 3, 5, 2), (2, 3, 2, 3, 2)])
def test_scores_are_the_products_of_all_paths(sizes):
    weights = random_weights(sizes)
    weights[0][1] = 0
    weights[1][:, 0] = 0
    wanted = flows_by_paths(weights)
    for got, flow in zip(flows_of_chain([w.T for w in weights]), wanted, strict=True):
        # The same scale for all layers, as what flows is the same in all.
        assert_allclose(got.T, flow / wanted[0].sum(), rtol=1e-12)


def test_scores_are_weights_times_the_derivative_of_the_flow():
    weights = random_weights((5, 7, 4, 3))
    sizes = [torch.tensor(np.abs(w)).requires_grad_() for w in weights]
    out = torch.ones(5, dtype=torch.float64)
    for size in sizes:
        out = out @ size
    slopes = torch.autograd.grad(out.sum(), sizes)
    for got, size, slope in zip(flows_of_chain([w.T for w in weights]), sizes, slopes, strict=True):
        assert_allclose(got.T, (size * slope / out.sum()).detach(), rtol=1e-12)


@pytest.mark.parametrize("n_rounds", [1, 7, 20])
def test_masks_are_those_of_a_plain_loop(n_rounds):
    clf, watch = fit(SynFlow(n_rounds))
    wanted = plain_loop(watch.weights, 0.7, n_rounds)
    assert_same(clf.masks_, wanted)
    # From before the first step to the end.
    for masks in watch.masks:
        assert_same(masks, wanted)
    (row,) = clf.pruning_history_
    assert (row["epoch"], row["sparsity"]) == (0, clf.sparsity_)


def test_rounds_make_a_difference():
    one, many = (fit(SynFlow(n_rounds))[0].masks_ for n_rounds in (1, 20))
    assert not all(map(np.array_equal, one, many))


def test_neither_rows_nor_biases_nor_activation_matter():
    masks = fit(SynFlow(10))[0].masks_
    rng = np.random.RandomState(1)
    assert_same(fit(SynFlow(10), X=rng.normal(size=X.shape), y=rng.permutation(y))[0].masks_, masks)
    assert_same(fit(SynFlow(10), activation="tanh", dropout=0.3)[0].masks_, masks)


@pytest.mark.parametrize(
    "dtype, depth, scale",
    [
        (np.float32, 60, 1.0),
        (np.float32, 60, 1e-3),
        (np.float64, 400, 1.0),
        (np.float64, 400, 1e-3),
    ],
)
def test_nothing_overflows_however_deep_and_wide(dtype, depth, scale):
    weights = [w.astype(dtype).T for w in random_weights((40,) * depth, scale=scale)]
    out = np.ones(40, dtype)
    with np.errstate(all="ignore"):
        for weight in weights:
            out = np.abs(weight) @ out
    # What the formula gives as it stands.
    assert not (np.isfinite(out) & (out > 0)).any()
    for flow in flows_of_chain(weights):
        assert flow.dtype == np.float64
        assert (flow > 0).all()
        assert_allclose(flow.sum(), 1)


def test_a_deep_and_wide_net_in_single_precision_keeps_all_its_layers():
    clf, watch = fit(
        SynFlow(20), (40,) * 30, prune_fraction=0.95, dtype="float32", max_iter=1, batch_size=60
    )
    assert clf.coefs_[0].dtype == np.float32
    assert 0.95 <= clf.sparsity_ < 0.951
    counts = [mask.sum() for mask in clf.masks_]
    assert min(counts[1:]) > 0.5 * max(counts[1:])


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_no_layer_is_cut_off(granularity, scope):
    clf, _ = fit(SynFlow(20, granularity, scope), (12, 30, 6), prune_fraction=0.9)
    assert clf.sparsity_ >= 0.9
    assert all(mask.any() for mask in clf.masks_)
    assert all(len(live) for live in clf.live_neurons_)


def test_neurons_go_by_the_mean_over_their_weights():
    clf, watch = fit(SynFlow(1, "neuron"), (12,), prune_fraction=0.6)
    flow = flows_by_paths(watch.weights)[0].mean(axis=0)
    assert clf.live_neurons_[0].tolist() == sorted(np.argsort(flow)[8:])


def test_the_rest_goes_where_more_is_asked_for():
    clf, watch = fit(SynFlow(5), warm_start=True, prune_fraction=0.4)
    masks = clf.masks_
    assert_same(clf.fit(X, y).masks_, masks)
    before = [coef.copy() for coef in clf.coefs_]
    clf.set_params(prune_fraction=0.7).fit(X, y)
    assert not any((new & ~old).any() for new, old in zip(clf.masks_, masks, strict=True))
    assert 0.7 <= clf.sparsity_ < 0.74
    assert len(clf.pruning_history_) == 2
    assert_same(watch.weights, before)


def test_unlabelled_rows_are_refused():
    with pytest.raises(ValueError, match="method='synflow'.* must be None"):
        PrunedMLPClassifier((5,), method="synflow").fit(X, y, X_unlabeled=X[:7])


class Noting(SynFlow):
    """Notes the scores, and that nothing changes by their being taken."""

    def scores(self, run):
        module = run.net.module_
        before = {name: value.clone() for name, value in module.state_dict().items()}
        modes = [part.training for part in module.modules()]
        type(self).noted = super().scores(run)
        assert all(torch.equal(before[name], now) for name, now in module.state_dict().items())
        assert [part.training for part in module.modules()] == modes
        return self.noted


def pruned(module, X=X, method=None, prune_fraction=0.5):
    torch.manual_seed(0)
    pruner = Pruner(method or Noting(1), prune_fraction, cut=False, random_state=0)
    NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        callbacks=[pruner],
        max_epochs=1,
        train_split=None,
        verbose=0,
    ).fit(X if isinstance(X, dict) else X.astype(np.float32), y)
    return pruner


def convolutions(*last):
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Unflatten(1, (1, 6)),
        nn.Conv1d(1, 4, 3),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 3, 2)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(9, 3),
        *last,
    )
    with torch.no_grad():
        module[2].weight.copy_(torch.tensor([0.5, -2.0, 1.0, 3.0]))
        module[2].running_var.copy_(torch.tensor([0.3, 2.0, 1.0, 0.7]))
        module[2].running_mean.add_(5.0)
    return module


def test_what_flows_through_convolutions_is_what_is_missing_without_a_weight():
    module = convolutions()
    first, second, output = (module[at].weight.detach().double().abs() for at in (1, 5, 8))
    scale = (
        module[2].weight.detach().double().abs() / (module[2].running_var.double() + 1e-5).sqrt()
    )

    def flow(first, second):
        """Written out, for a row of ones."""
        h = np.zeros((4, 4))
        for c, i, k in product(range(4), range(4), range(3)):
            h[c, i] += float(first[c, 0, k] * scale[c])
        z = np.zeros((3, 3))
        for d, i, c, k in product(range(3), range(3), range(4), range(2)):
            z[d, i] += float(second[d, c, k]) * h[c, i + k]
        return float((output.numpy() @ z.ravel()).sum())

    wanted = []
    for which, weight in enumerate((first, second)):
        scores = np.zeros(weight.shape)
        for at in np.ndindex(*weight.shape):
            without = [first.clone(), second.clone()]
            without[which][at] = 0
            # It is linear in every single weight.
            scores[at] = flow(first, second) - flow(*without)
        wanted.append(scores.reshape(len(scores), -1))

    pruner = pruned(module)
    for got, scores in zip(Noting.noted, wanted, strict=True):
        assert got.dtype == np.float64
        assert_allclose(got, scores, rtol=1e-6)
    order = np.argsort(np.concatenate([scores.ravel() for scores in wanted]))
    mask = np.ones(36, dtype=bool)
    mask[order[:18]] = False
    assert_array_equal(np.concatenate([m.ravel() for m in pruner.masks_.full()]), mask)


def test_what_comes_after_the_output_layer_does_not_matter():
    masks = pruned(convolutions()).masks_.full()
    # Probabilities always add up to the same.
    assert_same(pruned(convolutions(nn.Softmax(dim=-1))).masks_.full(), masks)


def test_no_layer_of_a_deep_module_is_cut_off():
    torch.manual_seed(1)
    hidden = [part for _ in range(12) for part in (nn.Linear(30, 30), nn.ReLU())]
    module = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), *hidden, nn.Linear(30, 3))
    masks = pruned(module, method=SynFlow(20), prune_fraction=0.97).masks_
    assert 0.97 <= masks.sparsity < 0.9701
    counts = [mask.sum() for mask in masks.full()]
    assert min(counts) > 0.5 * max(counts)


class Named(nn.Module):
    """Takes two arrays by name."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, left, right):
        return self.last(torch.relu(self.first(torch.cat([left, right], dim=1))))


def test_rows_may_be_several_arrays():
    torch.manual_seed(1)
    module = Named()
    wanted = flows_of_chain(
        [module.first.weight.detach().numpy(), module.last.weight.detach().numpy()]
    )
    pruned(module, {"left": X[:, :2].astype(np.float32), "right": X[:, 2:].astype(np.float32)})
    assert_allclose(Noting.noted[0] / Noting.noted[0].sum(), wanted[0], rtol=1e-12)


def test_a_module_through_which_nothing_flows_is_refused():
    class Nothing(nn.Module):
        def forward(self, h):
            return torch.relu(-h)

    module = nn.Sequential(nn.Linear(6, 5), Nothing(), nn.Linear(5, 3))
    with pytest.raises(
        ValueError, match=r"method=SynFlow\(n_rounds=9\) cannot be used: nothing flow"
    ):
        pruned(module, method=SynFlow(9))


@pytest.mark.parametrize("n_rounds", [0, -3, 2.0, True, None])
def test_wrong_numbers_of_rounds_are_named(n_rounds):
    with pytest.raises(
        ValueError, match=rf"n_rounds={n_rounds!r} of SynFlow must be an int in the range"
    ):
        fit(SynFlow(n_rounds))
