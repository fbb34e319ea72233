"""Lottery tickets: what a plain loop that trains, prunes and rewinds finds."""

import pickle
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from skactprune import EpochTrigger, Geometric, Magnitude, PrunedMLPClassifier, Pruner, ScorePruning
from skactprune.checks import method_checks
from skactprune.methods import ActivationSurgeon, LotteryTicket
from skactprune.methods.lottery_ticket import same_share

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(90, 10, n_informative=6, n_classes=3, random_state=0)
BATCH, HIDDEN = 30, (10, 10)
ACTIVATE = {"relu": torch.relu, "tanh": torch.tanh}


class Watch(Callback):
    """Weights and biases at the beginning, and masks and weights after every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.start, self.epochs = tensors(net), []

    def on_epoch_end(self, net, **kwargs):
        masks = [mask.copy() for mask in dict(net.callbacks_)["pruner"].masks_.current]
        self.epochs.append((tensors(net), masks))


def tensors(net):
    return [p.detach().clone() for p in net.module_.parameters()]


def make(method, watch=None, **params):
    defaults = {"prune_fraction": 0.75, "n_prune_rounds": 2, "max_iter": 8, "shuffle": False}
    net_params = None if watch is None else {"callbacks": [("watch", watch)]}
    return PrunedMLPClassifier(
        **{"hidden_layer_sizes": HIDDEN, "method": method, "batch_size": BATCH, "random_state": 0}
        | {"learning_rate_init": 0.05, "net_params": net_params, "weight_decay": 0}
        | defaults
        | params
    )


# -- the plain loop --------------------------------------------------------------------------


def alive(masks):
    """Masks without what lies on no path, by looking until nothing changes."""
    masks = [mask.copy() for mask in masks]
    before = -1
    while before != (before := sum(mask.sum() for mask in masks)):
        for one, other in zip(masks, masks[1:], strict=False):
            other[:, ~one.any(axis=1)] = False
            one[~other.any(axis=0)] = False
    return masks


def smallest_gone(weights, masks, n_left, scope):
    """Masks after the smallest have gone, one after the other, until few enough are alive."""
    units = []
    for depth, (weight, mask) in enumerate(zip(weights, alive(masks), strict=True)):
        cells = sorted(zip(*np.nonzero(mask), strict=True), key=lambda at: abs(weight[at]))
        for place, at in enumerate(cells, start=mask.size - len(cells)):
            rank = place / mask.size if scope == "layer" else abs(weight[at])
            units.append((rank, depth, at))
    masks = [mask.copy() for mask in masks]
    for _, depth, at in sorted(units):
        if sum(mask.sum() for mask in alive(masks)) <= n_left:
            break
        masks[depth][at] = False
    return masks


def constants_folded(params, masks, activate):
    """What neurons without inputs give is added to the next biases, and they are left by all."""
    params, masks = [p.clone() for p in params], [mask.copy() for mask in masks]
    for W, mask in zip(params[:-2:2], masks, strict=True):
        W *= torch.tensor(mask)
    for depth, mask in enumerate(masks):
        for neuron in np.flatnonzero(~mask.any(axis=1)):
            outgoing, bias = params[2 * depth + 2], params[2 * depth + 3]
            bias += outgoing[:, neuron] * activate(params[2 * depth + 1][neuron])
            outgoing[:, neuron] = 0
            for following in masks[depth + 1 : depth + 2]:
                following[:, neuron] = False
    for W, mask in zip(params[:-2:2], alive(masks), strict=True):
        W *= torch.tensor(mask)
    return params


def optimizer_of(params, solver):
    if solver == "adam":
        return torch.optim.Adam(params, lr=0.05)
    return torch.optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True)


def train_epoch(params, masks, optimizer, activate, alpha, weight):
    for start in range(0, len(X), BATCH):
        rows = slice(start, start + BATCH)
        h, n_hidden = torch.tensor(X[rows]), len(masks)
        for W, b in zip(params[: 2 * n_hidden : 2], params[1 : 2 * n_hidden : 2], strict=True):
            h = activate(h @ W.T + b)
        logits = h @ params[-2].T + params[-1]
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(y[rows]), reduction="none")
        of_rows = torch.tensor(weight[rows])
        loss = (of_rows * losses).sum() / of_rows.sum()
        loss = loss + alpha / 2 * sum((W**2).sum() for W in params[::2]) / of_rows.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for W, mask in zip(params[::2], masks, strict=False):
                W *= torch.tensor(mask)


def replay(start, *, rounds, epochs, rewind_epoch, scope, solver, activation, alpha, weight):
    """Parameters and masks after every epoch; `rounds` gives the weights left after an epoch."""
    activate = ACTIVATE[activation]
    params = [p.clone().requires_grad_() for p in start]
    masks = [np.ones(p.shape, bool) for p in start[:-2:2]]
    optimizer, early, found = optimizer_of(params, solver), start, []
    for epoch in range(1, epochs + 1):
        train_epoch(params, alive(masks), optimizer, activate, alpha, weight)
        if epoch == rewind_epoch:
            early = [p.detach().clone() for p in params]
        if epoch in rounds:
            trained = [p.detach().numpy() for p in params[:-2:2]]
            masks = smallest_gone(trained, masks, rounds[epoch], scope)
            params = [p.requires_grad_() for p in constants_folded(early, masks, activate)]
            optimizer = optimizer_of(params, solver)
        found.append(([p.detach().clone() for p in params], alive(masks)))
    return found


CASES = {
    "from the beginning": {},
    "from epoch 2": {"rewind_epoch": 2},
    "from the epoch of the first round": {"rewind_epoch": 3},
    "with momentum": {"solver": "sgd", "rewind_epoch": 1},
    "with weights of rows and decay": {"weighted": True, "alpha": 0.5, "activation": "tanh"},
    "of all layers together": {"scope": "global"},
    "with dead neurons": {"left": (60, 24), "activation": "tanh", "scope": "global"},
}


@pytest.mark.parametrize("case", CASES)
def test_training_is_that_of_a_plain_loop(case):
    options = {"solver": "adam", "activation": "relu", "alpha": 0.01, "left": (100, 50)}
    options |= {"rewind_epoch": 0, "scope": "layer", "weighted": False} | CASES[case]
    left, weighted = options.pop("left"), options.pop("weighted")
    weight = np.random.default_rng(0).uniform(0.2, 2, len(y)) if weighted else np.ones(len(y))
    watch = Watch()
    target = 1 - left[1] / 200
    method = LotteryTicket(
        scope=options["scope"],
        rewind_epoch=options["rewind_epoch"],
        schedule=lambda done, n: 1.0 if done == n else (200 - left[0]) / 200 / target,
    )
    params = {name: options[name] for name in ("solver", "activation", "alpha")}
    trigger = EpochTrigger(3 / 8, 6 / 8)
    clf = make(method, watch, prune_fraction=target, trigger=trigger, **params)
    clf.fit(X, y, sample_weight=weight if weighted else None)
    expected = replay(
        watch.start, rounds={3: left[0], 6: left[1]}, epochs=8, weight=weight, **options
    )
    for (params, masks), (wanted, wanted_masks) in zip(watch.epochs, expected, strict=True):
        for one, other in zip(masks, wanted_masks, strict=True):
            assert_array_equal(one, other)
        for one, other in zip(params, wanted, strict=True):
            assert_allclose(one.numpy(), other.numpy(), atol=1e-9)
    dead = any((~mask.any(axis=1)).any() for mask in watch.epochs[-1][1])
    assert dead or case != "with dead neurons"


# -- rewinding -------------------------------------------------------------------------------


@pytest.mark.parametrize("rewind_epoch", [0, 1, 2])
@pytest.mark.parametrize("granularity", ["neuron", "weight"])
def test_a_round_at_the_end_leaves_early_values(granularity, rewind_epoch):
    dense, watch = Watch(), Watch()
    make("magnitude", dense, prune_fraction=0).fit(X, y)
    early = dense.start if rewind_epoch == 0 else dense.epochs[rewind_epoch - 1][0]
    method = LotteryTicket(granularity, rewind_epoch=rewind_epoch)
    trigger = EpochTrigger(0.5, 1.0)
    clf = make(method, watch, hidden_layer_sizes=HIDDEN, trigger=trigger, prune_fraction=0.6)
    clf.fit(X, y)
    after, masks = watch.epochs[-1]
    for depth, mask in enumerate(masks):
        assert (~mask).any() and mask.any()
        assert_array_equal(after[2 * depth], early[2 * depth] * torch.tensor(mask))
    # Constants of dead neurons go into the biases behind them, and from nothing else.
    assert_array_equal(after[1], early[1])
    live = masks[-1].any(axis=1)
    assert_array_equal(after[-2][:, live], early[-2][:, live])
    assert not after[-2][:, ~live].any()
    if granularity == "weight":
        assert live.all()
        assert_array_equal(after[-1], early[-1])


def test_optimizer_starts_anew():
    class Look(Callback):
        seen = None

        def on_epoch_end(self, net, **kwargs):
            if len(net.history) in (4, 8):
                assert not net.optimizer_.state

    make("lottery_ticket", Look(), trigger=EpochTrigger(0.5, 1.0), solver="sgd").fit(X, y)


def test_every_round_removes_the_same_share():
    clf = make("lottery_ticket", prune_fraction=0.9, n_prune_rounds=4).fit(X, y)
    found = [row["sparsity"] for row in clf.pruning_history_]
    assert_allclose(found, 1 - 0.1 ** (np.arange(1, 5) / 4), atol=1.01 / 200)
    assert same_share(2, 4) == 0.5
    shares = [same_share(done, 10, 1 - 0.8**10) for done in range(1, 11)]
    assert_allclose(shares, [Geometric(0.8)(done, 10) for done in range(1, 11)])


def test_other_schedules_are_kept():
    clf = make(LotteryTicket(schedule="linear"), prune_fraction=0.8, n_prune_rounds=4).fit(X, y)
    assert [row["sparsity"] for row in clf.pruning_history_] == pytest.approx([0.2, 0.4, 0.6, 0.8])


# -- neurons leave once ----------------------------------------------------------------------


@pytest.mark.parametrize("method", [LotteryTicket("neuron"), LotteryTicket(scope="global")])
def test_the_cut_at_the_end_changes_no_function(method):
    params = {"prune_fraction": 0.9, "n_prune_rounds": 3, "activation": "tanh", "max_iter": 9}
    cut, uncut = make(method, **params).fit(X, y), make(method, **params)
    for _ in range(9):
        uncut.partial_fit(X, y, classes=[0, 1, 2])
    assert [coef.shape[1] for coef in uncut.coefs_[:-1]] == [10, 10]
    assert sum(coef.shape[1] for coef in cut.coefs_[:-1]) < 20
    assert [coef.shape[1] for coef in cut.coefs_[:-1]] == [len(n) for n in cut.live_neurons_]
    assert_allclose(cut.predict_proba(X), uncut.predict_proba(X), rtol=1e-9)
    for one, other in zip(cut.masks_, uncut.masks_, strict=True):
        assert_array_equal(one, other)
    # Once training is to end, they leave.
    expected = uncut.predict_proba(X)
    uncut.set_params(warm_start=True, learning_rate_init=1e-300, solver="sgd").fit(X, y)
    assert [coef.shape for coef in uncut.coefs_] == [coef.shape for coef in cut.coefs_]
    assert_allclose(uncut.predict_proba(X), expected, rtol=1e-9)


def test_a_warm_start_after_the_cut_rewinds_to_the_first_values():
    """One hidden layer, so that dead neurons are constants in a product with the early weights."""
    watch = Watch()
    params = {"hidden_layer_sizes": (20,), "warm_start": True, "activation": "tanh"}
    clf = make(LotteryTicket(scope="global"), watch, prune_fraction=0.93, **params).fit(X, y)
    W, b, V, c = (p.numpy() for p in watch.start)
    n_live = len(clf.live_neurons_[0])
    assert n_live < 20 and clf.coefs_[0].shape == (10, n_live)
    clf = pickle.loads(pickle.dumps(clf))
    clf.set_params(prune_fraction=0.97, trigger=EpochTrigger(0.5, 1.0)).fit(X, y)
    assert len(clf.live_neurons_[0]) < n_live
    mask = clf.masks_[0].T
    logits = np.tanh(X @ (W * mask).T + b) @ V.T + c
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_allclose(clf.predict_proba(X), expected, rtol=1e-9)


def test_pickles_between_epochs_change_no_bit():
    params = {"shuffle": True, "dropout": 0.1, "solver": "sgd", "activation": "tanh"}
    method = LotteryTicket(rewind_epoch=1)
    plain, pickled = make(method, **params), make(method, **params)
    for _ in range(8):
        plain.partial_fit(X, y, classes=[0, 1, 2])
        pickled = pickle.loads(pickle.dumps(pickled.partial_fit(X, y, classes=[0, 1, 2])))
        for one, other in zip(
            [*plain.coefs_, *plain.intercepts_, *plain.masks_],
            [*pickled.coefs_, *pickled.intercepts_, *pickled.masks_],
            strict=True,
        ):
            assert one.tobytes() == other.tobytes()
    assert plain.sparsity_ == pytest.approx(0.75)


def test_best_weights_are_those_of_the_ticket():
    watch = Watch()
    clf = make(
        "lottery_ticket", watch, early_stopping=True, max_iter=30, validation_fraction=0.2
    ).fit(X, y)
    last = clf.pruning_history_[-1]["epoch"]
    assert clf.best_validation_score_ == max(clf.validation_scores_[last:])
    best = last + int(np.argmax(clf.validation_scores_[last:]))
    params, masks = watch.epochs[best]
    for coef, param, mask, live in zip(
        clf.coefs_, params[::2], clf.masks_, clf.live_neurons_, strict=False
    ):
        if len(live) == 10 == len(coef):
            assert_array_equal(coef, param.numpy().T)
            assert not coef[~mask].any()


@pytest.mark.parametrize("name, check", method_checks())
def test_with_options(name, check):
    check(LotteryTicket("neuron", "global", rewind_epoch=1))


# -- other nets ------------------------------------------------------------------------------


class ConvNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(1, 6, 3, bias=False)
        self.norm = torch.nn.BatchNorm1d(6)
        self.wide = torch.nn.Linear(48, 9)
        self.out = torch.nn.Linear(9, 3)

    def forward(self, X):
        h = torch.relu(self.norm(self.conv(X[:, None])))
        return self.out(torch.relu(self.wide(h.flatten(1))))


class Early(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_begin(self, net, **kwargs):
        self.take(net, 0)

    def on_epoch_end(self, net, **kwargs):
        self.take(net, len(net.history))

    def take(self, net, epoch):
        if epoch == self.epoch:
            state = net.module_.state_dict()
            self.state_ = {name: value.clone() for name, value in state.items()}


@pytest.mark.parametrize("rewind_epoch", [0, 2])
def test_all_of_a_foreign_net_is_rewound(rewind_epoch):
    torch.manual_seed(0)
    early = Early(rewind_epoch)
    pruner = Pruner(
        LotteryTicket(rewind_epoch=rewind_epoch),
        prune_fraction=0.5,
        n_prune_rounds=2,
        trigger=EpochTrigger(0.5, 1.0),
    )
    net = NeuralNetClassifier(
        ConvNet, criterion=torch.nn.CrossEntropyLoss, max_epochs=6, verbose=0, lr=0.05,
        callbacks=[("pruner", pruner), ("early", early)], optimizer__momentum=0.9,
    ).fit(X.astype("float32"), y)  # fmt: skip
    fitted = dict(net.callbacks_)["pruner"]
    assert fitted.masks_.n_left == (18 + 48 * 9) // 2
    masks = dict(zip(["conv.weight", "wide.weight"], fitted.masks_.current, strict=True))
    for name, value in dict(net.callbacks_)["early"].state_.items():
        if name.startswith("norm.") and name not in ("norm.weight", "norm.bias"):
            # Running statistics are those of the rewound net, not of the early one.
            continue
        mask = masks.get(name)
        expected = value if mask is None else value * torch.tensor(mask).reshape(value.shape)
        assert torch.equal(net.module_.state_dict()[name], expected), name
    pickle.loads(pickle.dumps(net)).partial_fit(X.astype("float32"), y, epochs=1)


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("epoch", [-1, 1.5, True, "early", None])
def test_epochs_that_are_none(epoch):
    with pytest.raises(
        ValueError, match="rewind_epoch=.* of LotteryTicket must be an int in the range"
    ):
        LotteryTicket(rewind_epoch=epoch).validated()


def test_epochs_after_the_first_round():
    clf = make(LotteryTicket(rewind_epoch=4), trigger=EpochTrigger(3 / 8, 6 / 8))
    with pytest.raises(ValueError, match="rewind_epoch=4 .* first round, .* end of epoch 3"):
        clf.fit(X, y)
    with pytest.raises(ValueError, match="rewind_epoch=9 .* at most 8"):
        make(LotteryTicket(rewind_epoch=9)).fit(X, y)


def test_a_method_that_follows_another_goes_back_to_where_it_began():
    clf = make(Magnitude("neuron"), prune_fraction=0.4, warm_start=True).fit(X, y)
    before = [coef.copy() for coef in clf.coefs_]
    clf.set_params(method=LotteryTicket(), prune_fraction=0.7, trigger=EpochTrigger(0.5, 1.0))
    clf.fit(X, y)
    small = clf.coefs_[0]
    assert small.shape == before[0].shape
    assert (small[small != 0] == before[0][small != 0]).all()


# -- any score -------------------------------------------------------------------------------

NEURONS = ("check_reaches_fraction", "check_survives_pickling", "check_warm_start")


@pytest.mark.parametrize("name", NEURONS)
def test_with_another_score(name):
    dict(method_checks())[name](LotteryTicket("neuron", "global", criterion="activation"))


@pytest.mark.parametrize("criterion", ["l1_neurons", "apoz", "activation_surgeon", "nisp"])
def test_those_of_the_lowest_scores_go_and_the_others_are_rewound(criterion):
    watch, other = Watch(), Watch()
    params = {"prune_fraction": 0.5, "n_prune_rounds": 1, "trigger": EpochTrigger(0.5, 0.5)}
    method = LotteryTicket("neuron", rewind_epoch=1, criterion=criterion)
    make(method, watch, max_iter=4, **params).fit(X, y)
    make(ScorePruning(criterion), other, max_iter=4, **params).fit(X, y)
    (early, _), (rewound, masks) = watch.epochs[:2]
    assert_array_equal(rewound[0], early[0] * torch.tensor(masks[0]))
    # Where nothing is rewound, the same neurons leave at once.
    assert [int(mask.any(axis=1).sum()) for mask in masks] == [len(m) for m in other.epochs[1][1]]


@pytest.mark.parametrize("granularity", ["auto", "neuron", "weight", "block", (3, 2)])
def test_scores_are_those_for_the_same_granularity(granularity):
    params = {"prune_fraction": 0.6, "n_prune_rounds": 1, "trigger": EpochTrigger(0.5, 0.5)}
    masks = [
        make(method, max_iter=4, hidden_layer_sizes=(20, 18), **params).fit(X, y).masks_
        for method in (
            ActivationSurgeon(granularity),
            ScorePruning("activation_surgeon", granularity, "global"),
            LotteryTicket(granularity, "global", rewind_epoch=2, criterion="activation_surgeon"),
        )
    ]
    for others in masks[1:]:
        for mask, other in zip(masks[0], others, strict=True):
            assert_array_equal(mask, other)


@pytest.mark.parametrize("granularity", ["auto", "neuron", "block", (3, 2)])
def test_ranks_within_neurons_say_nothing_of_more_than_weights(granularity):
    said = rf"granularity={re.escape(repr(granularity))} must be 'weight' with criterion='wanda'"
    for method in (
        LotteryTicket(granularity, criterion="wanda"),
        ScorePruning("wanda", granularity),
    ):
        with pytest.raises(ValueError, match=said):
            make(method).fit(X, y)
    for method in (LotteryTicket(criterion="wanda"), ScorePruning("wanda", "weight", "global")):
        assert 0.8 <= make(method, prune_fraction=0.8).fit(X, y).sparsity_ < 0.85


@pytest.mark.parametrize("criterion", ["movement", "snip", "rigl", "lottery_ticket", "none", 3])
def test_scores_that_need_more_than_a_round_are_refused(criterion):
    for method in (LotteryTicket(criterion=criterion), ScorePruning(criterion)):
        with pytest.raises(ValueError, match=rf"criterion={criterion!r} must be .*'magnitude'"):
            make(method).fit(X, y)


def test_what_a_score_cannot_do_with_is_refused():
    with pytest.raises(ValueError, match="activation='tanh' never happens"):
        make(LotteryTicket(criterion="apoz"), activation="tanh").fit(X, y)
