"""SVD training: chain rule, penalties and ranks against numpy, and a plain loop."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import make_classification
from skorch.callbacks import Callback

from skactprune import PrunedMLPClassifier
from skactprune.methods import SVDTraining
from skactprune.methods.svd_training import ranks_of, triple_of
from skactprune.pruning.probes import Singular
from skactprune.triggers import AccuracyTrigger

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(90, 10, n_informative=6, n_classes=3, random_state=0)
SHAPES = [(10, 14), (14, 12)]


class Watch(Callback):
    """Weights before training and after every step."""

    def on_train_begin(self, net, **kwargs):
        self.steps = []

    def on_epoch_begin(self, net, **kwargs):
        self.note(net, start=True)

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.note(net)

    def note(self, net, start=False):
        if not (start and self.steps):
            self.steps.append([p.detach().clone() for p in net.module_.parameters()])


def make(method, watch=None, **params):
    defaults = {"prune_fraction": 0.6, "max_iter": 10, "batch_size": 30, "random_state": 0}
    net_params = None if watch is None else {"callbacks": [("watch", watch)]}
    return PrunedMLPClassifier((14, 12), method=method, net_params=net_params, **defaults | params)


# -- parts -----------------------------------------------------------------------------------


def by_hand(values, shapes, n_left):
    """Try one e after the other, from small to large, each layer by itself."""
    shares = sorted({sum(s[k:] ** 2) / sum(s**2) for s in values for k in range(1, len(s))} | {0.0})
    for e in shares:
        ranks = []
        for s in values:
            keep = len(s)
            while keep > 1 and sum(s[keep - 1 :] ** 2) / sum(s**2) <= e + 1e-12:
                keep -= 1
            ranks.append(keep)
        numbers = [min(m * n, r * (m + n)) for (m, n), r in zip(shapes, ranks, strict=True)]
        if sum(numbers) <= n_left:
            return ranks
    raise AssertionError


@pytest.mark.parametrize("n_left", [308, 250, 200, 150, 100, 60, 50])
def test_all_layers_keep_the_same_share_of_their_squares(n_left):
    rng = np.random.RandomState(n_left)
    values = [np.sort(rng.exponential(size=n))[::-1] for n in (10, 12)]
    assert ranks_of(values, SHAPES, n_left) == by_hand(values, SHAPES, n_left)


def test_factors_begin_as_the_svd():
    W = np.random.RandomState(0).normal(size=(7, 4))
    U, s, V = triple_of(W, 2)
    u, sigma, vt = np.linalg.svd(W, full_matrices=False)
    assert_allclose((U * s) @ V.T, (u[:, :2] * sigma[:2]) @ vt[:2])
    assert [part.shape for part in triple_of(W, None)] == [(7, 4), (4,), (4, 4)]


def test_gradients_are_those_of_the_product():
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 5, bias=False).double()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    run = SimpleNamespace(
        net=SimpleNamespace(module_=layer, optimizer_=optimizer),
        hidden=[layer],
        label="x",
        step_gradients=lambda: [layer.weight.grad],
    )
    singular = Singular()
    singular.attach(run)
    rng = np.random.RandomState(1)
    parts = [rng.normal(size=shape) for shape in ((5, 3), (3,), (4, 3))]
    singular.start(parts)
    singular.put()
    rows = torch.tensor(rng.normal(size=(6, 4)))

    def loss(parts):
        U, s, V = parts
        return float(np.sum(np.tanh(rows.numpy() @ ((U * s) @ V.T).T) ** 3))

    (torch.tanh(layer(rows)) ** 3).sum().backward()
    singular.take_gradients()
    assert layer.weight.grad is None
    for part, value in enumerate(singular.values):
        for at in np.ndindex(*value.shape):
            ends = []
            for change in (1e-6, -1e-6):
                moved = [p.copy() for p in parts]
                moved[part][at] += change
                ends.append(loss(moved))
            assert_allclose(value.grad[at], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("sparsity", ["hoyer", "l1"])
def test_penalty(sparsity):
    rng = np.random.RandomState(0)
    U, s, V = rng.normal(size=(5, 3)), np.array([2.0, -0.5, 0.1]), rng.normal(size=(4, 3))

    def penalty(U, s, V):
        total = 0.0
        for A in (U, V):
            for i, j in itertools.product(range(3), repeat=2):
                total += (A[:, i] @ A[:, j] - (i == j)) ** 2
        size = sum(abs(value) for value in s)
        return 3.0 * total / 9 + 0.2 * (size / sum(s**2) ** 0.5 if sparsity == "hoyer" else size)

    parts = [torch.tensor(part, requires_grad=True) for part in (U, s, V)]
    found = SVDTraining(sparsity, strength=0.2, orthogonality=3.0).penalty(*parts)
    assert_allclose(found.detach(), penalty(U, s, V))
    found.backward()
    step = np.array([0.0, 1e-6, 0.0])
    slope = (penalty(U, s + step, V) - penalty(U, s - step, V)) / 2e-6
    assert_allclose(parts[1].grad[1], slope, rtol=1e-6)


# -- training --------------------------------------------------------------------------------

SOLVERS = {
    "adam": {"solver": "adam", "weight_decay": 0.5, "alpha": 0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "weight_decay": 0, "alpha": 0.2},
}


@pytest.mark.parametrize("solver", SOLVERS)
def test_training_is_that_of_a_plain_loop(solver):
    watch, options = Watch(), SOLVERS[solver]
    method = SVDTraining("l1", strength=0.05, orthogonality=0.3)
    never = AccuracyTrigger(1.0, 1.0)
    options = options | {"shuffle": False, "trigger": never, "learning_rate_init": 0.02}
    make(method, watch, max_iter=2, **options).fit(X, y)
    W1, b1, W2, b2, W3, b3 = watch.steps[0]
    triples = [
        [torch.tensor(part).requires_grad_() for part in triple_of(W.numpy(), None)]
        for W in (W1, W2)
    ]
    others = [p.contiguous().clone().requires_grad_() for p in (b1, b2, W3, b3)]
    params = [*triples[0], *triples[1], *others]
    kind = torch.optim.Adam if solver == "adam" else torch.optim.SGD
    optimizer = kind(params, lr=0.02, **({} if solver == "adam" else {"momentum": 0.9}))
    for step, found in enumerate(watch.steps[1:]):
        rows = slice(step % 3 * 30, step % 3 * 30 + 30)
        V1, V2 = ((U * s) @ V.T for U, s, V in triples)
        b1, b2, W3, b3 = others
        h = torch.relu(torch.relu(torch.tensor(X[rows]) @ V1.T + b1) @ V2.T + b2)
        loss = torch.nn.functional.cross_entropy(h @ W3.T + b3, torch.tensor(y[rows]))
        loss = loss + options["alpha"] / 60 * sum((W**2).sum() for W in (V1, V2, W3))
        for U, s, V in triples:
            eye = torch.eye(len(s), dtype=s.dtype)
            loss = loss + 0.05 * s.abs().sum()
            loss = loss + 0.3 * sum(((A.T @ A - eye) ** 2).sum() for A in (U, V)) / len(s) ** 2
        optimizer.zero_grad()
        loss.backward()
        if options["weight_decay"]:
            with torch.no_grad():
                for shrunk in (triples[0][1], triples[1][1], W3):
                    shrunk *= 1 - options["weight_decay"] * 0.02
        optimizer.step()
        expected = [(U * s) @ V.T for U, s, V in triples]
        expected = [expected[0], b1, expected[1], b2, W3, b3]
        for one, other in zip(found, expected, strict=True):
            assert_allclose(one, other.detach(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "sgd"}])
def test_what_comes_out_are_factors(params):
    clf = make("svd_training", n_prune_rounds=2, **params).fit(X, y)
    sizes = []
    for factors, coef, rank in zip(clf.factors_, clf.coefs_, clf.hidden_ranks_, strict=False):
        if factors is None:
            sizes.append(coef.size)
            continue
        left, right = factors
        assert left.shape[1] == right.shape[0] == rank
        assert_allclose(left @ right, coef, atol=1e-12)
        sizes.append(rank * sum(coef.shape))
    n_original = sum(m * n for m, n in SHAPES)
    assert_allclose(clf.sparsity_, 1 - sum(sizes) / n_original)
    assert 0.6 <= clf.sparsity_ <= 0.6 + 26 / n_original
    assert all(mask.all() for mask in clf.masks_)
    assert clf.compact().kernel_sizes_[:2] == sizes
    assert_allclose(clf.compact().predict_proba(X), clf.predict_proba(X), atol=1e-12)


def test_a_round_keeps_the_largest_values_and_their_vectors():
    seen = []

    class Seen(SVDTraining):
        def round(self, run, share):
            before = [[p.detach().numpy() for p in t] for t in self.trained_.triples()]
            super().round(run, share)
            seen.append((before, [weight.copy() for weight in run.weights()[:-1]]))

    make(Seen(strength=1.0), n_prune_rounds=1, max_iter=20).fit(X, y)
    ((before, after),) = seen
    for (U, s, V), weight in zip(before, after, strict=True):
        rank = np.linalg.matrix_rank(weight)
        assert 1 <= rank < len(s)
        kept = np.argsort(-np.abs(s))[:rank]
        assert_allclose(sum(s[k] * np.outer(U[:, k], V[:, k]) for k in kept), weight, atol=1e-12)
        # The penalty of orthogonality has kept them near to singular vectors.
        assert_allclose(U.T @ U, np.eye(len(s)), atol=0.2)


def test_more_is_dropped_where_more_is_asked_for():
    clf = make("svd_training", n_prune_rounds=2, warm_start=True).fit(X, y)
    ranks = clf.hidden_ranks_
    clf.set_params(prune_fraction=0.75).fit(X, y)
    assert clf.sparsity_ >= 0.75
    assert all(r <= before for r, before in zip(clf.hidden_ranks_, ranks, strict=True))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"prune_fraction=0.9 cannot be reached.*rank 1"):
        make("svd_training", prune_fraction=0.9).fit(X, y)
    clf = make("magnitude", prune_fraction=0.3, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="method='svd_training' cannot factor weights"):
        clf.set_params(method="svd_training", prune_fraction=0.6).fit(X, y)
    with pytest.raises(ValueError, match="sparsity='l2' of SVDTraining must be one of"):
        SVDTraining("l2").validated()
