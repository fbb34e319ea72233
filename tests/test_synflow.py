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
from skactprune.methods.synflow import synaptic_flows

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
    for got, flow in zip(synaptic_flows([w.T for w in weights]), wanted, strict=True):
        # The same scale for all layers, as what flows is the same in all.
        assert_allclose(got.T, flow / wanted[0].sum(), rtol=1e-12)


def test_scores_are_weights_times_the_derivative_of_the_flow():
    weights = random_weights((5, 7, 4, 3))
    sizes = [torch.tensor(np.abs(w)).requires_grad_() for w in weights]
    out = torch.ones(5, dtype=torch.float64)
    for size in sizes:
        out = out @ size
    slopes = torch.autograd.grad(out.sum(), sizes)
    for got, size, slope in zip(synaptic_flows([w.T for w in weights]), sizes, slopes, strict=True):
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
    for flow in synaptic_flows(weights):
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


def test_nets_that_are_no_chain_are_refused():
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    net = NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        callbacks=[Pruner("synflow")],
        max_epochs=1,
        verbose=0,
    )
    with pytest.raises(ValueError, match="method='synflow' needs to know which layer feeds which"):
        net.fit(X.astype(np.float32), y)


@pytest.mark.parametrize("n_rounds", [0, -3, 2.0, True, None])
def test_wrong_numbers_of_rounds_are_named(n_rounds):
    with pytest.raises(ValueError, match=rf"n_rounds={n_rounds!r} of SynFlow must be a positive"):
        fit(SynFlow(n_rounds))
