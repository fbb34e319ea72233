"""The search is a fit of its own, and so is what follows, of a net that starts from the start."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from skactprune import EpochTrigger, PrunedMLPClassifier, Pruner
from skactprune.methods import (
    ActivationSurgeon,
    LateRewinding,
    Magnitude,
    Random,
    RigL,
    Scratch,
    SVDTraining,
    Threshold,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(90, 10, n_informative=7, n_redundant=0, n_classes=3, random_state=0)
NEURONS = Magnitude("neuron")


class Watch(Callback):
    """Weights (n_in, n_out) and biases at the beginning of epochs and after their last step."""

    def on_train_begin(self, net, **kwargs):
        self.begins, self.ends = [], []

    def on_epoch_begin(self, net, **kwargs):
        self.begins.append(taken(net))

    def on_batch_end(self, net, training=False, **kwargs):
        self.ends[len(self.begins) - 1 :] = [taken(net)]


def taken(net):
    layers = net.module_.layers
    coefs = [layer.weight.detach().numpy().T.copy() for layer in layers]
    return coefs, [layer.bias.detach().numpy().copy() for layer in layers]


def make(method, hidden=(20, 12), callbacks=(), **params):
    watch = Watch()
    defaults = {"prune_fraction": 0.7, "max_iter": 12, "random_state": 0, "batch_size": 30}
    defaults |= {"weight_decay": 0, "shuffle": False, "learning_rate_init": 0.01}
    defaults |= {"trigger": EpochTrigger(), "n_prune_rounds": 2}
    net_params = {"callbacks": [("watch", watch), *callbacks]}
    return PrunedMLPClassifier(
        hidden, method=method, net_params=net_params, **defaults | params
    ), watch


def fit(method, *args, **params):
    clf, watch = make(method, *args, **params)
    return clf.fit(X, y), watch


def assert_same(arrays, others):
    for array, other in zip(arrays, others, strict=True):
        assert_array_equal(array, other)


def redrawn_at(watch):
    """Epochs after which no weight of the first layer is left as it was trained."""
    pairs = zip(watch.ends, watch.begins[1:], strict=False)
    return [
        epoch
        for epoch, (((end, *_), _), ((begin, *_), _)) in enumerate(pairs, start=1)
        if not np.isin(begin[begin != 0], end).any()
    ]


@pytest.mark.parametrize(
    "finder",
    [
        NEURONS,
        "magnitude",
        "activation_surgeon",
        RigL(update_every=2),
        "lottery_ticket",
        LateRewinding(rewind_share=0.2),
        "snip",
    ],
)
def test_the_search_is_a_fit_of_the_finder(finder):
    clf, watch = fit(Scratch(finder))
    alone, alone_watch = fit(finder, max_iter=6)
    assert_same(clf.masks_, alone.masks_)
    assert clf.loss_curve_[:6] == alone.loss_curve_
    assert_same(watch.ends[5][0], alone_watch.ends[5][0])
    history = [[(row["round"], row["epoch"]) for row in c.pruning_history_] for c in (clf, alone)]
    assert history[0] == history[1]
    assert len(clf.loss_curve_) == clf.n_iter_ == 12
    # Tickets are rewound in rounds, too.
    assert redrawn_at(watch)[-1] == 6
    live = [len(neurons) for neurons in alone.live_neurons_]
    assert [coef.shape for coef in watch.begins[6][0]] == [
        (10, live[0]),
        (live[0], live[1]),
        (live[1], 3),
    ]


def test_weights_that_may_regrow_are_searched_for_and_held_from_then_on():
    clf, watch = fit(Scratch(Magnitude(regrow=True)))
    alone, _ = fit(Magnitude(regrow=True), max_iter=6)
    assert_same(clf.masks_, alone.masks_)
    for coefs, _ in watch.ends[6:]:
        for coef, mask, before, live in zip(
            coefs, clf.masks_, [np.arange(10), *clf.live_neurons_], clf.live_neurons_, strict=False
        ):
            assert not coef[~mask[np.ix_(before, live)]].any()


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_what_was_found_trains_as_a_net_of_that_size(solver):
    clf, watch = fit(Scratch(NEURONS), solver=solver)
    sizes = tuple(len(live) for live in clf.live_neurons_)
    init = MLPClassifier(sizes, max_iter=1).fit(X, y)
    init.coefs_, init.intercepts_ = watch.begins[6]
    plain, _ = fit(
        "random", sizes, prune_fraction=0, solver=solver, init_estimator=init, max_iter=6
    )
    assert plain.loss_curve_ == clf.loss_curve_[6:]
    assert_same(clf.coefs_, plain.coefs_)
    assert_same(clf.intercepts_, plain.intercepts_)


def test_weights_are_drawn_for_the_sizes_that_are_left():
    clf, watch = fit(Scratch(NEURONS), (80, 60), max_iter=2)
    coefs, intercepts = watch.begins[1]
    for coef, intercept in zip(coefs, intercepts, strict=True):
        bound = np.sqrt(6 / sum(coef.shape))
        assert 0.9 * bound < np.abs(coef).max() <= bound
        assert np.abs(intercept).max() <= bound
        assert_allclose(coef.std(), bound / np.sqrt(3), rtol=0.15)
    for first in watch.begins[0][0]:
        assert not any(np.isin(first, coef).any() for coef in coefs)


def test_single_weights_train_as_in_a_plain_loop():
    clf, watch = fit(Scratch("magnitude"), solver="sgd", momentum=0.0, alpha=0.0)
    coefs, intercepts = watch.begins[6]
    live = [np.arange(10), *clf.live_neurons_, np.arange(3)]
    masks = [
        torch.tensor(mask[np.ix_(a, b)])
        for mask, a, b in zip(clf.masks_, live, live[1:], strict=False)
    ]
    masks.append(torch.ones(coefs[-1].shape, dtype=bool))
    weights = [torch.tensor(coef).requires_grad_() for coef in coefs]
    biases = [torch.tensor(intercept).requires_grad_() for intercept in intercepts]
    for weight, mask in zip(weights, masks, strict=True):
        assert not weight[~mask].any() and weight[mask].all()
    for _ in range(6):
        for at in range(0, 90, 30):
            h = torch.tensor(X[at : at + 30])
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                h = torch.relu(h @ weight + bias)
            logits = h @ weights[-1] + biases[-1]
            loss = nn.functional.cross_entropy(logits, torch.tensor(y[at : at + 30]))
            slopes = torch.autograd.grad(loss, [*weights, *biases])
            with torch.no_grad():
                for parameter, slope, mask in zip(
                    [*weights, *biases], slopes, [*masks, *[torch.tensor(1.0)] * 3], strict=True
                ):
                    parameter -= 0.01 * slope * mask
    for coef, weight in zip(clf.coefs_, weights, strict=True):
        assert_allclose(coef, weight.detach(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "budget, fraction, max_iter, searched",
    [
        ("epochs", 0.7, 12, 6),
        ("epochs", 0.3, 7, 3),
        # Of 476 weights, 440 of them hidden, 344 are left, 1.38 times as few.
        ("compute", 0.3, 24, 10),
        # 256, but not more than twice as many epochs.
        ("compute", 0.7, 12, 4),
    ],
)
def test_budgets(budget, fraction, max_iter, searched):
    clf, watch = fit(Scratch(NEURONS, budget), prune_fraction=fraction, max_iter=max_iter)
    assert redrawn_at(watch) == [searched]
    assert clf.n_iter_ == max_iter
    assert clf.sparsity_ >= fraction


@pytest.mark.parametrize("early_stopping", [False, True])
def test_nothing_ends_training_before_the_search_is_over(early_stopping):
    params = {"tol": 1e9, "n_iter_no_change": 2, "early_stopping": early_stopping, "max_iter": 40}
    clf, watch = fit(Scratch(NEURONS, "epochs"), **params)
    assert redrawn_at(watch) == [20]
    assert 20 < clf.n_iter_ < 26
    if early_stopping:
        # The best are those of a later epoch.
        assert any(np.array_equal(clf.coefs_[0], coefs[0]) for coefs, _ in watch.ends[20:])


class Whenever(BaseEstimator):
    """Does all rounds at the end of one epoch, and would end training after any."""

    needs_score = None

    def __init__(self, epoch):
        self.epoch = epoch

    def rounds_due(self, done, n_rounds, epoch, max_epochs, accuracy):
        return n_rounds if epoch >= self.epoch else done

    def stops(self, accuracy):
        return True


@pytest.mark.parametrize("epoch, redrawn", [(1, 6), (6, 6), (9, 9)])
def test_late_rounds_and_a_trigger_that_ends_training(epoch, redrawn):
    clf, watch = fit(Scratch(NEURONS), trigger=Whenever(epoch))
    assert redrawn_at(watch) == [redrawn]
    # Not before the redrawn net has been trained.
    assert clf.n_iter_ == redrawn + 1
    assert [row["epoch"] for row in clf.pruning_history_] == [epoch]


def test_without_epochs_left_the_net_is_not_drawn_anew():
    clf, watch = make(Scratch(NEURONS), trigger=Whenever(12))
    with pytest.warns(match=r"Training ended after 12 of 12 epochs, before method=Scratch.* drew"):
        clf.fit(X, y)
    assert clf.sparsity_ >= 0.7
    alone, _ = fit(NEURONS, trigger=Whenever(12))
    assert_same(clf.coefs_, alone.coefs_)


def test_callbacks_forget_what_was_best_before():
    stopping = EarlyStopping("train_loss", patience=100, load_best=True)
    clf, watch = fit(Scratch(NEURONS), callbacks=[("stopping", stopping)])
    best = 6 + int(np.argmin(clf.loss_curve_[6:]))
    assert_same(clf.coefs_, watch.ends[best][0])


def test_unlabelled_rows_are_for_the_finder():
    rows = X[:40] + 0.1
    clf, _ = make(Scratch())
    clf.fit(X, y, X_unlabeled=rows)
    assert clf.sparsity_ >= 0.7
    clf, _ = make(Scratch())
    for _ in range(8):
        clf.partial_fit(X, y, classes=np.unique(y), X_unlabeled=rows)
    assert clf.sparsity_ >= 0.7
    with pytest.raises(ValueError, match="method=Scratch.* must be None"):
        make(Scratch("magnitude"))[0].fit(X, y, X_unlabeled=rows)


def test_integer_weights_equal_repeated_rows():
    """The rows are shuffled in between, and the net is drawn as if they were not."""
    weight = np.random.RandomState(0).randint(1, 4, len(y)).astype(float)
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    params = {"batch_size": 200, "shuffle": True, "solver": "sgd"}
    weighted, _ = make(Scratch(NEURONS), **params)
    repeated, _ = make(Scratch(NEURONS), **params)
    weighted.fit(X, y, weight)
    repeated.fit(X[rows], y[rows])
    for coef, other in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert_allclose(coef, other, rtol=1e-8)


def test_calls_of_partial_fit_are_epochs():
    whole, watch = fit(Scratch(), max_iter=8)
    clf, _ = make(Scratch(), max_iter=8)
    starts = []
    for _ in range(8):
        clf = pickle.loads(pickle.dumps(clf.partial_fit(X, y, classes=np.unique(y))))
        starts.append(clf.coefs_[-1])
    # Drawn at the end of the fourth.
    assert not np.isin(starts[3], starts[2]).any()
    assert np.abs(starts[4] - starts[3]).max() < 0.1
    assert clf.sparsity_ == whole.sparsity_


def test_where_more_is_asked_for_both_parts_come_again():
    clf, watch = make(Scratch(NEURONS), warm_start=True)
    clf = clf.fit(X, y)
    masks = clf.masks_
    clf.fit(X, y)
    watch = clf.net_params["callbacks"][0][1]
    assert redrawn_at(watch) == []
    assert_same(clf.masks_, masks)
    clf = pickle.loads(pickle.dumps(clf)).set_params(prune_fraction=0.85).fit(X, y)
    assert redrawn_at(clf.net_params["callbacks"][0][1]) == [6]
    assert clf.sparsity_ >= 0.85
    assert not any((new & ~old).any() for new, old in zip(clf.masks_, masks, strict=True))


def test_what_another_method_has_found_is_drawn_anew():
    clf, _ = make("magnitude", warm_start=True, prune_fraction=0.5)
    masks = clf.fit(X, y).masks_
    clf.set_params(method="scratch", prune_fraction=0.3).fit(X, y)
    assert redrawn_at(clf.net_params["callbacks"][0][1]) == [6]
    assert_same(clf.masks_, masks)


def test_the_finder_is_a_parameter():
    grid = {"method__finder": ["snip", NEURONS], "method__budget": ["epochs", "compute"]}
    search = GridSearchCV(make("scratch", max_iter=4)[0], grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    clf, _ = make("scratch")
    clf.set_params(method__finder__granularity="weight")
    assert repr(clf.method) == repr(Scratch(ActivationSurgeon(granularity="weight")))


@pytest.mark.parametrize(
    "method, message",
    [
        (Scratch("nothing"), "finder='nothing' of Scratch: method='nothing' is unknown"),
        (Scratch(Random(scope="all")), "finder=Random.* of Scratch: scope='all'"),
        (Scratch(Scratch()), r"finder=Scratch\(\) must be another method"),
        (Scratch("slr"), "finder='slr' must remove neurons, weights or blocks"),
        (Scratch(SVDTraining()), "finder=SVDTraining.* must remove neurons, weights or blocks"),
        (Scratch(Threshold(0.9)), r"finder=Threshold.* no threshold .* quality=0.9 would not"),
        (Scratch(budget="time"), "budget='time' of Scratch must be one of"),
    ],
)
def test_wrong_options_are_named(method, message):
    with pytest.raises(ValueError, match=message):
        fit(method)


def test_a_single_epoch_is_refused():
    with pytest.raises(ValueError, match="method='scratch' needs two epochs or more.* has 1"):
        fit("scratch", max_iter=1)
    fit("scratch", max_iter=1, prune_fraction=0)
    clf, _ = fit("scratch", max_iter=2, warm_start=True)
    clf.set_params(max_iter=1).fit(X, y)


def test_nets_of_which_it_is_not_known_how_they_are_drawn_are_refused():
    net = NeuralNetClassifier(
        nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 3)),
        criterion=nn.CrossEntropyLoss,
        callbacks=[Pruner("scratch")],
        max_epochs=4,
        verbose=0,
    )
    with pytest.raises(ValueError, match="method='scratch' needs to know"):
        net.fit(X.astype(np.float32), y)


def test_features_that_leave_cost_nothing_either():
    how = {"prune_fraction": 0.0, "prune_features": 0.5, "max_iter": 30, "hidden": (20,)}
    clf, watch = make(Scratch("magnitude", budget="compute"), **how)
    clf.fit(X, y)
    r = (10 * 20 + 20 * 3) / (5 * 20 + 20 * 3)
    assert redrawn_at(watch) == [int(30 / (1 + r))]
