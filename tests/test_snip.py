"""SNIP against gradients in explicit masks, and against itself where nothing may change."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import SNIP
from skactprune.nets.batches import TrainingData

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(
    n_samples=90, n_features=10, n_informative=7, n_redundant=0, n_classes=3, random_state=0
)
WEIGHT = np.random.RandomState(1).randint(1, 6, len(y)).astype(float)


class Watch(Callback):
    """Notes the weights before training, and looks at the masks after every step."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.begin = [layer.weight.detach().numpy().T.copy() for layer in net.module_.layers]
        self.biases = [layer.bias.detach().numpy().copy() for layer in net.module_.layers]
        self.masks = []

    def on_batch_end(self, net, training=False, **kwargs):
        masks = dict(net.callbacks_)["pruner"].masks_
        for layer, mask in zip(net.module_.layers, masks.current, strict=False):
            assert not layer.weight.detach().numpy()[~mask].any()
        self.masks.append([mask.T for mask in masks.full()])


def make(method, hidden=(9, 8), **params):
    watch = Watch()
    defaults = {"prune_fraction": 0.5, "max_iter": 3, "random_state": 0, "batch_size": 25}
    # Without neurons that never fire, few weights die that were not chosen.
    defaults["activation"] = "tanh"
    clf = PrunedMLPClassifier(
        hidden, method=method, net_params={"callbacks": [("watch", watch)]}, **defaults | params
    )
    return clf, watch


def fit(method, X=X, y=y, sample_weight=None, **params):
    clf, watch = make(method, **params)
    return clf.fit(X, y, sample_weight), watch


def sensitivities(watch, X, y, weight=None, activate=torch.tanh):
    """abs(dL/dm) at m = 1 for masks that are multiplied into the hidden weights: (n_in, n_out)."""
    *hidden, output = map(torch.tensor, watch.begin)
    *biases, bias = map(torch.tensor, watch.biases)
    masks = [torch.ones_like(w, requires_grad=True) for w in hidden]
    h = torch.tensor(X)
    for w, b, mask in zip(hidden, biases, masks, strict=True):
        h = activate(h @ (w * mask) + b)
    logits = h @ output + bias
    losses = torch.logsumexp(logits, 1) - logits[torch.arange(len(y)), torch.tensor(y)]
    weight = torch.ones(len(y)) if weight is None else torch.tensor(weight)
    loss = (losses * weight).sum() / weight.sum()
    return [gradient.abs().numpy() for gradient in torch.autograd.grad(loss, masks)]


def without_lowest(scores, n_removed):
    """Masks of all but the lowest scores of all layers together."""
    order = np.argsort(np.concatenate([score.ravel() for score in scores]))
    mask = np.ones(len(order), dtype=bool)
    mask[order[:n_removed]] = False
    ends = np.cumsum([score.size for score in scores])[:-1]
    return [
        part.reshape(score.shape) for part, score in zip(np.split(mask, ends), scores, strict=True)
    ]


def assert_all_connected(masks):
    """No neuron is dead, so that nothing is masked but what was chosen."""
    for mask, following in zip(masks, [*masks[1:], None], strict=True):
        assert mask.any(axis=0).all()
        assert following is None or following.any(axis=1).all()


def assert_same(masks, others):
    assert all(np.array_equal(*pair) for pair in zip(masks, others, strict=True))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("alpha", [0.0, 10.0])
def test_masks_are_those_of_the_highest_sensitivities(solver, weight, alpha):
    clf, watch = fit(SNIP(None), sample_weight=weight, solver=solver, alpha=alpha)
    wanted = without_lowest(sensitivities(watch, X, y, weight), 81)  # of 9 * 10 + 8 * 9
    assert_all_connected(wanted)
    assert_same(clf.masks_, wanted)
    assert clf.sparsity_ == 0.5
    # From before the first step to the end.
    for masks in watch.masks:
        assert_same(masks, wanted)
    (row,) = clf.pruning_history_
    assert (row["round"], row["epoch"], row["sparsity"]) == (5, 0, 0.5)


@pytest.mark.parametrize("n_rows", [1, 20, 90, 91])
def test_the_sample_has_so_many_rows(n_rows, monkeypatch):
    taken, plain = [], TrainingData.__getitem__

    def noting(self, rows):
        taken.append(rows)
        return plain(self, rows)

    monkeypatch.setattr(TrainingData, "__getitem__", noting)
    clf, watch = fit(SNIP(n_rows), prune_fraction=0.1, batch_size=90)
    rows = taken[0]
    assert len(set(rows.tolist())) == len(rows) == min(n_rows, len(y))
    wanted = without_lowest(sensitivities(watch, X[rows], y[rows]), 17)  # of 162
    assert_all_connected(wanted)
    assert_same(clf.masks_, wanted)
    taken.clear()
    fit(SNIP(n_rows), prune_fraction=0.1, batch_size=90, random_state=1)
    assert n_rows >= 90 or set(taken[0]) != set(rows)


def test_masks_of_rectified_units():
    clf, watch = fit(SNIP(None), activation="relu", prune_fraction=0.25)
    wanted = without_lowest(sensitivities(watch, X, y, activate=torch.relu), 41)
    assert_all_connected(wanted)
    assert_same(clf.masks_, wanted)


def test_scope_layer_takes_the_same_share_of_every_layer():
    clf, watch = fit(SNIP(None, scope="layer"))
    assert_all_connected(clf.masks_)
    assert sum(int((~mask).sum()) for mask in clf.masks_) == 81
    for mask, score in zip(clf.masks_, sensitivities(watch, X, y), strict=True):
        assert abs((~mask).sum() - mask.size / 2) <= 1
        assert_same([mask], without_lowest([score], int((~mask).sum())))


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_neurons_go_by_their_mean_sensitivity(scope):
    clf, watch = fit(SNIP(None, "neuron", scope), hidden=(12,), prune_fraction=0.6)
    (score,) = sensitivities(watch, X, y)
    # 0.6 of 12 neurons, and what is begun goes whole.
    assert clf.live_neurons_[0].tolist() == sorted(np.argsort(score.mean(axis=0))[8:])


@pytest.mark.parametrize("fraction", [0.1, 0.35, 0.62])
def test_of_ties_no_more_go_than_are_asked_for(fraction):
    constant = X.copy()
    constant[:, 2:9] = 0.0
    clf, watch = fit(SNIP(None), constant, hidden=(9,), prune_fraction=fraction)
    (score,) = sensitivities(watch, constant, y)
    assert (score == 0).sum() >= 63
    n_removed = int(np.ceil(fraction * 90))
    assert (~clf.masks_[0]).sum() == n_removed
    assert not score[~clf.masks_[0]].any()


def test_dropout_does_not_matter_to_the_scores():
    plain, watch = fit(SNIP(None))
    noisy, other = fit(SNIP(None), dropout=0.6)
    np.testing.assert_array_equal(watch.begin[0], other.begin[0])
    assert_same(plain.masks_, noisy.masks_)
    assert not np.array_equal(plain.coefs_[0], noisy.coefs_[0])


def convolutions():
    return nn.Sequential(
        nn.Unflatten(1, (1, 10)),
        nn.Conv1d(1, 6, 3),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv1d(6, 5, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(30, 3),
    )


def test_any_net_is_scored_in_evaluation_mode():
    torch.manual_seed(0)
    module = convolutions().double()
    module[2].running_var.uniform_(0.2, 3.0)
    twin, begun = copy.deepcopy(module), []

    class Begun(Callback):
        def on_batch_begin(self, net, training=False, **kwargs):
            if not begun:
                begun.append([buffer.clone() for buffer in module.buffers()])

    pruner = Pruner(SNIP(None), prune_fraction=0.5, n_prune_rounds=2, random_state=0)
    net = NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        batch_size=16,
        train_split=None,
        callbacks=[pruner, Begun()],
        verbose=0,
    ).fit(X, y)

    names = ["1.weight", "5.weight"]
    parameters = {name: p.detach() for name, p in twin.named_parameters()}
    masks = [torch.ones_like(parameters[name], requires_grad=True) for name in names]
    masked = {name: parameters[name] * mask for name, mask in zip(names, masks, strict=True)}
    logits = torch.func.functional_call(twin.eval(), masked, torch.tensor(X))
    loss = nn.functional.cross_entropy(logits, torch.tensor(y))
    scores = [g.abs().flatten(1).numpy() for g in torch.autograd.grad(loss, masks)]
    wanted = without_lowest(scores, 54)  # of 6 * 3 + 5 * 18

    assert_same(pruner.masks_.full(), wanted)
    assert pruner.masks_.sparsity == 0.5
    assert all(map(torch.equal, begun[0], twin.buffers()))
    assert not module[5].weight.detach().flatten(1).numpy()[~wanted[1]].any()
    net.partial_fit(X, y)
    assert_same(pruner.masks_.full(), wanted)
    assert len(pruner.history_) == 1


def test_integer_weights_equal_repeated_rows():
    rows = np.repeat(np.arange(len(y)), WEIGHT.astype(int))
    assert_same(
        fit(SNIP(None), sample_weight=WEIGHT)[0].masks_, fit(SNIP(None), X[rows], y[rows])[0].masks_
    )


def pickled(clf):
    return pickle.loads(pickle.dumps(clf))


@pytest.mark.parametrize("copied", [lambda clf: clf, pickled], ids=["", "pickled"])
def test_nothing_is_pruned_twice_but_the_rest_where_more_is_asked_for(copied):
    clf, _ = make(SNIP(30), warm_start=True)
    masks = clf.fit(X, y).masks_
    for _ in range(2):
        clf = copied(clf).fit(X[::-1], y[::-1])
        assert_same(clf.masks_, masks)
        assert len(clf.pruning_history_) == 1
    assert_same(copied(clf).set_params(n_prune_rounds=9).fit(X, y).masks_, masks)
    clf = copied(clf).set_params(prune_fraction=0.6).fit(X, y)
    assert sum(int((~mask).sum()) for mask in clf.masks_) == 98  # 0.6 * 162 = 97.2
    assert not any((new & ~old).any() for new, old in zip(clf.masks_, masks, strict=True))
    assert [row["epoch"] for row in clf.pruning_history_] == [0, 0]


def test_partial_fit_prunes_in_the_first_call_only():
    clf, _ = make(SNIP(30))
    for _ in range(4):
        clf = pickled(clf.partial_fit(X, y, classes=np.unique(y)))
        assert clf.sparsity_ == 0.5
        assert len(clf.pruning_history_) == 1
    clf.set_params(prune_fraction=0.6).partial_fit(X, y)
    assert sum(int((~mask).sum()) for mask in clf.masks_) == 98  # 0.6 * 162 = 97.2
    assert [row["epoch"] for row in clf.pruning_history_] == [0, 4]


def test_a_fitted_net_is_scored_by_the_weights_that_it_has():
    clf, _ = make(SNIP(None), warm_start=True, prune_fraction=0)
    clf.fit(X, y)
    clf.set_params(prune_fraction=0.5).fit(X, y)
    watch = clf.net_params["callbacks"][0][1]
    assert_same(clf.masks_, without_lowest(sensitivities(watch, X, y), 81))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_training_may_stop_from_the_first_epoch_on(early_stopping):
    params = {"max_iter": 50, "tol": 1e9, "n_iter_no_change": 3, "early_stopping": early_stopping}
    pruned, _ = fit(SNIP(), **params)
    dense, _ = fit(SNIP(), prune_fraction=0, **params)
    assert pruned.n_iter_ == dense.n_iter_ < 10
    assert pruned.sparsity_ == 0.5


def test_an_interrupted_round_leaves_the_net_whole():
    class Interrupted(SNIP):
        again = True

        def scores(self, run):
            if type(self).again:
                type(self).again = False
                raise KeyboardInterrupt
            return super().scores(run)

    clf, watch = make(Interrupted(None), warm_start=True)
    with pytest.warns(match="interrupted by user"):
        clf.fit(X, y)
    assert clf.sparsity_ == 0
    assert clf.pruning_history_ == []
    np.testing.assert_array_equal(clf.coefs_[0], watch.begin[0])
    clf.fit(X, y)
    assert_same(clf.masks_, without_lowest(sensitivities(watch, X, y), 81))


def test_unlabelled_rows_are_refused():
    with pytest.raises(ValueError, match="method=SNIP.* must be None"):
        make(SNIP())[0].fit(X, y, X_unlabeled=X[:7])


@pytest.mark.parametrize("n_rows", [0, -3, 2.0, True, "all"])
def test_wrong_sizes_of_the_sample_are_named(n_rows):
    with pytest.raises(ValueError, match=rf"n_rows={n_rows!r} of SNIP must be an int .* or None"):
        fit(SNIP(n_rows))
