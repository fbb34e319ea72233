"""RigL: what a plain loop with masks that move finds."""

import math
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.checks import method_checks
from skactprune.methods import RigL
from skactprune.methods.rigl import allotted, cosine_share

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(90, 10, n_informative=6, n_classes=3, random_state=0)
BATCH, HIDDEN = 30, (16, 12)
N_HIDDEN = 10 * 16 + 16 * 12
STEPS = len(X) // BATCH
OFTEN = RigL(update_every=4)
SOLVERS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.02},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False},
    "nesterov with decay": {"solver": "sgd", "learning_rate_init": 0.1, "alpha": 1.0},
}


class Watch(Callback):
    """Parameters, masks and optimizer at the first step and after every step."""

    def on_train_begin(self, net, **kwargs):
        self.start, self.steps = None, []

    def on_epoch_begin(self, net, **kwargs):
        if self.start is None:
            self.start = state_of(net)

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.steps.append(state_of(net))


def state_of(net):
    run = dict(net.callbacks_)["pruner"].run_
    params = list(net.module_.parameters())
    moments = [
        [v.clone() for v in net.optimizer_.state.get(p, {}).values() if v.shape == p.shape]
        for p in params
    ]
    masks = [mask.copy() for mask in run.masks.current]
    return [p.detach().clone() for p in params], masks, moments, run.moving


def make(method, watch=None, **params):
    net_params = None if watch is None else {"callbacks": [("watch", watch)]}
    defaults = {"prune_fraction": 0.7, "max_iter": 16, "shuffle": False, "activation": "tanh"}
    return PrunedMLPClassifier(
        **{"hidden_layer_sizes": HIDDEN, "method": method, "batch_size": BATCH, "random_state": 0}
        | {"net_params": net_params, "weight_decay": 0}
        | defaults
        | params
    )


# -- the plain loop --------------------------------------------------------------------------


def optimizer_of(params, options):
    rate = options["learning_rate_init"]
    if options["solver"] == "adam":
        return torch.optim.Adam(params, lr=rate)
    nesterov = options.get("nesterovs_momentum", True)
    return torch.optim.SGD(params, lr=rate, momentum=0.9, nesterov=nesterov)


def gradients_into(params, rows, alpha):
    W1, b1, W2, b2, W3, b3 = params
    h = torch.tanh(torch.tanh(torch.tensor(X[rows]) @ W1.T + b1) @ W2.T + b2)
    loss = torch.nn.functional.cross_entropy(h @ W3.T + b3, torch.tensor(y[rows]))
    loss = loss + alpha / 2 * sum((W**2).sum() for W in params[::2]) / BATCH
    for p in params:
        p.grad = None
    loss.backward()


def drop_and_grow(weight, gradient, mask, k):
    """Flat indices in Python, one at a time."""
    size = abs(weight).ravel()
    live = set(np.flatnonzero(mask))
    for _ in range(k):
        live.remove(min(live, key=lambda at: size[at]))
    kept = set(live)
    slope = abs(gradient).ravel()
    for _ in range(k):
        missing = set(range(mask.size)) - live
        live.add(max(missing, key=lambda at: slope[at]))
    new = np.zeros(mask.size, bool)
    new[list(live)] = True
    return new.reshape(mask.shape), k - len(set(np.flatnonzero(mask)) & (live - kept))


def replay(start, masks, options, *, every, first, stop, epochs):
    """Parameters and masks after every step, and how many new weights came in each update."""
    params = [p.clone().requires_grad_() for p in start]
    optimizer, found, came = optimizer_of(params, options), [], []
    last, t = int(stop * epochs * STEPS), 0
    for _ in range(epochs):
        for start_row in range(0, len(X), BATCH):
            t += 1
            gradients_into(params, slice(start_row, start_row + BATCH), options.get("alpha", 1e-4))
            if t % every or t >= last:
                optimizer.step()
            else:
                share = first / 2 * (1 + math.cos(math.pi * t / last))
                pairs = list(zip(params[:-2:2], masks, strict=True))
                moved = [
                    drop_and_grow(
                        W.detach().numpy(), W.grad.numpy(), m, math.floor(share * m.sum())
                    )
                    for W, m in pairs
                ]
                changes = [old ^ new for (_, old), (new, _) in zip(pairs, moved, strict=True)]
                masks = [new for new, _ in moved]
                came.append([n for _, n in moved])
                for (W, _), changed in zip(pairs, changes, strict=True):
                    for name, value in optimizer.state[W].items():
                        if value is not None and value.shape == W.shape:
                            optimizer.state[W][name] = value * torch.tensor(~changed)
            with torch.no_grad():
                for W, mask in zip(params[:-2:2], masks, strict=True):
                    W *= torch.tensor(mask)
            found.append(([p.detach().clone() for p in params], masks))
    return found, came


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("distribution", ["uniform", "erdos_renyi"])
def test_training_is_that_of_a_plain_loop(distribution, solver):
    watch, options = Watch(), SOLVERS[solver]
    method = RigL(distribution, update_every=5, drop_fraction=0.4, stop=0.8)
    make(method, watch, **options).fit(X, y)
    params, masks, _, _ = watch.start
    expected, came = replay(params, masks, options, every=5, first=0.4, stop=0.8, epochs=16)
    assert len(watch.steps) == len(expected) == 48
    # The last update is before step 38; the last ones may change nothing.
    assert len(came) == 7 and all(sum(n) for n in came[:5])
    for (params, masks, _, _), (wanted, wanted_masks) in zip(watch.steps, expected, strict=True):
        for one, other in zip(masks, wanted_masks, strict=True):
            assert_array_equal(one, other)
        for one, other in zip(params, wanted, strict=True):
            assert_allclose(one.numpy(), other.numpy(), atol=1e-9)


# -- sparsity --------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fraction", [0.25, 0.7, 0.95])
def test_sparsity_is_exact_at_every_step(fraction, solver):
    watch = Watch()
    clf = make(OFTEN, watch, prune_fraction=fraction, **SOLVERS[solver]).fit(X, y)
    n_left = N_HIDDEN - math.ceil(fraction * N_HIDDEN)
    of_layers = [mask.sum() for mask in watch.start[1]]
    for params, masks, _, _ in [watch.start, *watch.steps]:
        assert sum(mask.sum() for mask in masks) == n_left
        assert [mask.sum() for mask in masks] == of_layers
        assert params[-2].all()
        for weight, mask in zip(params[:-2:2], masks, strict=True):
            assert not weight.numpy()[~mask].any()
    assert len({masks[0].tobytes() for _, masks, _, _ in watch.steps}) > 3
    (row,) = clf.pruning_history_
    assert (row["epoch"], row["round"]) == (0, 5)
    assert row["sparsity"] == 1 - n_left / N_HIDDEN
    assert clf.sparsity_ >= fraction


def test_masks_end_at_the_last_step():
    watch = Watch()
    method = RigL(update_every=2, stop=0.5, drop_fraction=0.9)
    make(method, watch).fit(X, y)
    last = 24
    assert [moving for *_, moving in watch.steps] == [True] * (last - 1) + [False] * (48 - last + 1)
    final = watch.steps[-1][1]
    for _, masks, _, _ in watch.steps[last - 2 :]:
        assert all((one == other).all() for one, other in zip(masks, final, strict=True))
    moved = [
        step
        for step in range(1, 48)
        if any(
            (a != b).any()
            for a, b in zip(watch.steps[step][1], watch.steps[step - 1][1], strict=True)
        )
    ]
    # Steps are counted from 1, so that the second one is at place 1.
    assert moved and all(step % 2 == 1 for step in moved) and max(moved) < last - 1


@pytest.mark.parametrize("solver", ["adam", "momentum"])
def test_new_weights_begin_at_zero_with_fresh_moments(solver):
    watch = Watch()
    make(OFTEN, watch, **SOLVERS[solver]).fit(X, y)
    n_new = 0
    for before, after in zip(watch.steps, watch.steps[1:], strict=False):
        for depth, (old, new) in enumerate(zip(before[1], after[1], strict=True)):
            weight, moments = after[0][2 * depth], after[2][2 * depth]
            changed, came = old ^ new, new & ~old
            n_new += came.sum()
            assert not weight.numpy()[changed].any() and moments
            if changed.any():
                for moment, earlier in zip(moments, before[2][2 * depth], strict=True):
                    assert not moment.numpy()[changed].any()
                    # There was no step, so that all others are as they were.
                    assert_array_equal(moment[~changed], earlier[~changed])
                assert_array_equal(after[0][-2], before[0][-2])
                assert_array_equal(weight[new & old], before[0][2 * depth][new & old])
    assert n_new > 20


def test_cosine():
    assert cosine_share(0, 40, 0.3) == 0.3
    assert_allclose([cosine_share(t, 40, 0.3) for t in (10, 20, 40)], [0.25606602, 0.15, 0])


# -- first masks -----------------------------------------------------------------------------


def counts_of(method, shapes, fraction, **params):
    watch = Watch()
    n_in, *hidden = [shapes[0][0], *(n_out for _, n_out in shapes)]
    rows = np.random.default_rng(0).normal(size=(30, n_in))
    labels = np.arange(30) % 3
    make(
        method, watch, hidden_layer_sizes=hidden, prune_fraction=fraction, max_iter=1, **params
    ).fit(rows, labels)
    return [int(mask.sum()) for mask in watch.start[1]], watch.start[1]


def test_densities():
    shapes = [(40, 30), (30, 10)]
    uniform, _ = counts_of(RigL("uniform"), shapes, 0.8)
    assert uniform == [240, 60]
    # In proportion to 70 and 40 weights, 300 in all.
    assert counts_of(RigL(), shapes, 0.8)[0] == [191, 109]
    # 660 in all: the second layer is full with 300.
    assert counts_of(RigL(), shapes, 0.4)[0] == [600, 300]


def test_densities_of_kernels():
    torch.manual_seed(0)
    pruner = Pruner(RigL(), prune_fraction=0.8)
    net = foreign(pruner, max_epochs=1)
    # 8 * 1 * 3 weights with 12 of sizes, 9 * 64 with 73.
    n_left = 600 - math.ceil(0.8 * 600)
    share = n_left / (12 + 73)
    conv, wide = (mask.sum() for mask in dict(net.callbacks_)["pruner"].masks_.current)
    assert conv + wide == n_left
    assert abs(conv - 12 * share) < 1 and abs(wide - 73 * share) < 1


def test_allotted():
    assert allotted([1, 1, 1], [1, 1, 1], [9, 9, 9], 10).sum() == 10
    assert allotted([1, 100], [3, 1], [9, 90], 50).tolist() == [3, 47]
    assert allotted([5, 1], [1, 1], [4, 50], 20).tolist() == [4, 16]
    assert allotted([5, 1], [1, 1], [4, 50], 99).tolist() == [4, 50]


def test_first_masks_are_random():
    _, one = counts_of(RigL(), [(40, 30), (30, 10)], 0.8)
    _, same = counts_of(RigL(), [(40, 30), (30, 10)], 0.8)
    _, other = counts_of(RigL(), [(40, 30), (30, 10)], 0.8, random_state=1)
    assert (one[0] == same[0]).all() and (one[0] != other[0]).any()
    # Some in every quarter of the layer.
    assert all(quarter.any() for quarter in np.split(one[0].ravel(), 4))


@pytest.mark.parametrize("seed", range(5))
def test_something_of_every_layer_stays(seed):
    watch = Watch()
    method = RigL(update_every=1, drop_fraction=0.99)
    sizes = {"hidden_layer_sizes": (6, 5, 4), "prune_fraction": 1 - 3 / 110, "random_state": seed}
    clf = make(method, watch, **sizes).fit(X, y)
    assert [mask.sum() for mask in watch.start[1]] == [1, 1, 1]
    assert [len(live) for live in clf.live_neurons_] == [1, 1, 1]
    clf = make(method, n_components=4, **sizes | {"prune_fraction": 0.85}).fit(X, y)
    assert clf.transform(X).shape == (90, 4) and len(clf.live_neurons_[-1]) == 4


# -- as a citizen ----------------------------------------------------------------------------


def test_the_cut_at_the_end_changes_no_function():
    params = {"prune_fraction": 0.93}
    cut, uncut = make(OFTEN, **params).fit(X, y), make(OFTEN, **params)
    for _ in range(16):
        uncut.partial_fit(X, y, classes=[0, 1, 2])
    assert [coef.shape[1] for coef in uncut.coefs_[:-1]] == [16, 12]
    sizes = [coef.shape[1] for coef in cut.coefs_[:-1]]
    assert sum(sizes) < 28 and sizes == [len(live) for live in cut.live_neurons_]
    assert uncut.sparsity_ == pytest.approx(0.93, abs=1 / N_HIDDEN)
    assert_allclose(cut.predict_proba(X), uncut.predict_proba(X), rtol=1e-9)


def test_pickles_between_epochs_change_no_bit():
    params = {"shuffle": True, "dropout": 0.1, "solver": "sgd", "learning_rate_init": 0.1}
    plain, pickled = make(OFTEN, **params), make(OFTEN, **params)
    seen = set()
    for epoch in range(16):
        plain.partial_fit(X, y, classes=[0, 1, 2])
        pickled = pickle.loads(pickle.dumps(pickled.partial_fit(X, y, classes=[0, 1, 2])))
        for one, other in zip(
            [*plain.coefs_, *plain.intercepts_, *plain.masks_],
            [*pickled.coefs_, *pickled.intercepts_, *pickled.masks_],
            strict=True,
        ):
            assert one.tobytes() == other.tobytes()
        seen.add(plain.masks_[0].tobytes())
        # The last update is at step 32, in epoch 11; the masks end with step 36.
        assert dict(plain.net_.callbacks_)["pruner"].pending == (epoch < 11)
    assert len(seen) > 5


def test_best_weights_are_those_of_the_last_masks():
    watch = Watch()
    clf = make(OFTEN, watch, early_stopping=True, validation_fraction=0.2, max_iter=40, tol=0.0)
    clf.set_params(n_iter_no_change=3, prune_fraction=0.5).fit(X, y)
    # 72 rows are 3 steps.
    ended = 0.75 * 40
    assert clf.n_iter_ >= ended + 3
    scores = clf.validation_scores_[int(ended) - 1 :]
    assert clf.best_validation_score_ == max(scores)
    best = watch.steps[3 * (int(ended) - 1 + int(np.argmax(scores)) + 1) - 1]
    assert [coef.shape[1] for coef in clf.coefs_[:-1]] == [16, 12]
    for coef, mask, weight, last in zip(
        clf.coefs_, clf.masks_, best[0][:-2:2], watch.steps[-1][1], strict=False
    ):
        assert_array_equal(mask, last.T)
        assert_array_equal(coef, weight.numpy().T)
        assert not coef[~mask].any()


def test_a_warm_start_moves_masks_only_for_more():
    watch = Watch()
    clf = make(OFTEN, watch, warm_start=True).fit(X, y)
    before = [mask.copy() for mask in clf.masks_]
    clf.fit(X, y)
    for one, other in zip(before, clf.masks_, strict=True):
        assert_array_equal(one, other)
    weights = np.concatenate([abs(coef[coef != 0]) for coef in clf.coefs_[:-1]])
    clf = pickle.loads(pickle.dumps(clf)).set_params(prune_fraction=0.9)
    clf.set_params(net_params={"callbacks": [("watch", watch)]}).fit(X, y)
    params, masks, *_ = watch.start
    assert sum(mask.sum() for mask in masks) == N_HIDDEN - math.ceil(0.9 * N_HIDDEN)
    left = np.concatenate([abs(w.numpy()[m]) for w, m in zip(params[::2], masks, strict=False)])
    assert left.mean() > 1.3 * weights.mean()
    assert len({masks[0].tobytes() for _, masks, _, _ in watch.steps}) > 3
    assert len(clf.pruning_history_) == 2


@pytest.mark.parametrize("name, check", method_checks())
def test_with_updates(name, check):
    check(RigL(update_every=3, stop=1.0))


# -- other nets ------------------------------------------------------------------------------


class ConvNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(1, 8, 3, bias=False)
        self.norm = torch.nn.BatchNorm1d(8)
        self.wide = torch.nn.Linear(64, 9)
        self.out = torch.nn.Linear(9, 3)

    def forward(self, X):
        h = torch.relu(self.norm(self.conv(X[:, None])))
        return self.out(torch.tanh(self.wide(h.flatten(1))))


def foreign(pruner, look=None, **params):
    torch.manual_seed(0)
    callbacks = [("pruner", pruner), *([] if look is None else [("look", look)])]
    return NeuralNetClassifier(
        ConvNet, criterion=torch.nn.CrossEntropyLoss, verbose=0, lr=0.05, batch_size=20,
        callbacks=callbacks, optimizer__momentum=0.9, train_split=None, **params,
    ).fit(X.astype("float32"), y)  # fmt: skip


class Look(Callback):
    def initialize(self):
        self.seen_ = set()
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        masks, module = dict(net.callbacks_)["pruner"].masks_, net.module_
        assert masks.n_left == 300
        for layer, mask in zip([module.conv, module.wide], masks.current, strict=True):
            assert not layer.weight.detach().numpy()[~mask.reshape(layer.weight.shape)].any()
        assert module.out.weight.all()
        self.seen_.add(masks.current[1].tobytes())


def test_masks_move_in_foreign_nets():
    net = foreign(Pruner(RigL(update_every=3), prune_fraction=0.5), Look(), max_epochs=8)
    # 5 steps an epoch, 30 of them with masks that may move: 9 updates, the last ones of little.
    assert 6 <= len(dict(net.callbacks_)["look"].seen_) <= 10
    again = pickle.loads(pickle.dumps(net)).partial_fit(X.astype("float32"), y, epochs=1)
    assert dict(again.callbacks_)["pruner"].masks_.n_left == 300


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong, allowed",
    [
        ({"distribution": "even"}, "one of"),
        ({"update_every": 0}, r"an int in the range \[1, inf\)"),
        ({"update_every": 2.0}, r"an int in the range \[1, inf\)"),
        ({"update_every": True}, r"an int in the range \[1, inf\)"),
        ({"drop_fraction": 0}, r".*\(0.0, 1.0\)"),
        ({"drop_fraction": 1}, r".*\(0.0, 1.0\)"),
        ({"stop": 1.01}, r".*\(0.0, 1.0\]"),
        ({"stop": 0.0}, r".*\(0.0, 1.0\]"),
        ({"stop": None}, r".*\(0.0, 1.0\]"),
    ],
)
def test_options_out_of_range(wrong, allowed):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name}={value!r} of RigL must be {allowed}"):
        RigL(**wrong).validated()


def test_fractions_out_of_reach():
    with pytest.raises(ValueError, match="prune_fraction=0.999 cannot be reached"):
        make(RigL(), prune_fraction=0.999).fit(X, y)
