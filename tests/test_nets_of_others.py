"""`Pruner` where skorch nets load, train and fail in ways of their own."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from skactprune import PrunedMLPClassifier, Pruner, WeightedNuclearNorm
from skactprune.methods import Method, ScoredMethod

N_ROWS = 96
BY_NUMBER = [
    "activation_surgeon", "apoz", "grasp", "l0", "nisp", "rigl", "snip", "synflow",
    "variational_dropout", "wanda",
]  # fmt: skip
BY_GRADIENTS = [
    "deep_compression", "growing", "l0", "movement", "rigl", "surgery", "svd_training",
    "variational_dropout",
]  # fmt: skip
# Some hear of every batch by hooks, the others look at rows or keep tensors.
HOOKED = [
    "activation", "activation_surgeon", "apoz", "firing_deviation", "growing", "l0",
    "lottery_ticket", "rigl", "svd_training", "variational_dropout",
]  # fmt: skip

X = np.random.default_rng(0).normal(size=(N_ROWS, 6)).astype(np.float32)
y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)


class Module(nn.Module):
    """A module of which it is not known who feeds whom."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(6, 16), nn.BatchNorm1d(16)
        self.second, self.head = nn.Linear(16, 10), nn.Linear(10, 2)

    def forward(self, X):
        return self.head(torch.relu(self.second(torch.relu(self.norm(self.first(X))))))


class Items(torch.utils.data.Dataset):
    """One row for one index, and no more."""

    def __init__(self, X=X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return torch.from_numpy(self.X[i]), int(y[i])


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return (Items()[i] for i in range(N_ROWS))


class OwnLoss(NeuralNetClassifier):
    def get_loss(self, y_pred, y_true, X=None, training=False):
        return nn.functional.cross_entropy(y_pred, y_true) + 0 * X.abs().sum()


class Accumulating(NeuralNetClassifier):
    """Makes a step for every other batch, and tells nobody of gradients."""

    def train_step(self, batch, **fit_params):
        step = self.train_step_single(batch, **fit_params)
        if len(self.history[-1, "batches"]) % 2 == 0:
            self.optimizer_.step()
            self.optimizer_.zero_grad()
        return step


def new_net(*callbacks, cls=NeuralNetClassifier, module=Module, **params):
    torch.manual_seed(0)
    how = {"criterion": nn.CrossEntropyLoss, "max_epochs": 4, "batch_size": 32, "verbose": 0}
    return cls(module, callbacks=list(callbacks), train_split=None, **how | params)


def new_pruner(method):
    return Pruner(method, prune_fraction=0.5, n_prune_rounds=2, random_state=0)


def masks_of(method, data, target=None, **params):
    pruner = new_pruner(method)
    new_net(pruner, **params).fit(data, target)
    return np.concatenate([mask.ravel() for mask in pruner.masks_.full()])


@pytest.mark.parametrize("method", [*BY_NUMBER, "activation", "magnitude", "movement", "slr"])
def test_datasets_that_give_single_rows_are_pruned_alike(method):
    assert_array_equal(masks_of(method, Items()), masks_of(method, X, y))


@pytest.mark.parametrize("method", BY_NUMBER)
def test_rows_are_put_together_as_for_training(method):
    def without_last_two(items):
        rows, targets = zip(*items, strict=True)
        return torch.stack(rows)[:, :6], torch.tensor(targets)

    wide = Items(np.hstack([X, np.full((N_ROWS, 2), 9, np.float32)]))
    found = masks_of(method, wide, iterator_train__collate_fn=without_last_two)
    assert_array_equal(found, masks_of(method, X, y))


@pytest.mark.parametrize("method", ["activation_surgeon", "snip", "nisp"])
def test_datasets_may_make_the_batches(method):
    class Batches(Items):
        def __getitem__(self, rows):
            return torch.from_numpy(self.X[rows]), torch.from_numpy(y[rows])

    in_order = [list(range(start, start + 32)) for start in range(0, N_ROWS, 32)]
    how = {"iterator_train__sampler": in_order, "iterator_train__batch_size": None}
    found = masks_of(method, Batches(), **how)
    assert_array_equal(found, masks_of(method, X, y))


def test_other_draws_stay_the_same_where_rows_are_looked_at():
    class Drawing(Callback):
        def on_epoch_end(self, net, **kwargs):
            self.drawn_ = torch.rand(3)

    drawings = Drawing(), Drawing()
    new_net(new_pruner("snip"), drawings[0]).fit(Items(), None)
    new_net(new_pruner("magnitude"), drawings[1]).fit(Items(), None)
    assert_array_equal(*(drawing.drawn_ for drawing in drawings))


def test_unlabeled_rows_may_come_one_by_one():
    found = []
    for unlabeled in (X[:40], Items(X[:40])):
        pruner = Pruner("activation", unlabeled=unlabeled, random_state=0)
        new_net(pruner).fit(X, y)
        found.append(np.concatenate(pruner.activation_counts_))
    assert_array_equal(*found)


@pytest.mark.parametrize("method", ["activation", "magnitude", "movement", "svd_training"])
def test_streams_serve_methods_that_look_at_batches(method):
    pruner = new_pruner(method)
    new_net(pruner, iterator_train__shuffle=False).fit(Stream(), None)
    assert pruner.masks_.sparsity >= 0.49


@pytest.mark.parametrize("method", BY_NUMBER)
def test_streams_are_refused_where_rows_have_numbers(method):
    with pytest.raises(ValueError, match="looks at rows by their number, which Stream does not"):
        new_net(new_pruner(method)).fit(Stream(), None)


@pytest.mark.parametrize("method", ["snip", "grasp", "slr"])
def test_losses_get_tensors_as_in_training(method):
    assert_array_equal(masks_of(method, X, y, cls=OwnLoss), masks_of(method, X, y))


# -- copies of nets in training --------------------------------------------------------------


class Copying(Callback):
    def on_epoch_end(self, net, **kwargs):
        twins = copy.deepcopy(net), pickle.loads(pickle.dumps(net))
        was = net.module_.training
        expected = net.predict_proba(X)
        for twin in twins:
            assert_array_equal(twin.predict_proba(X), expected)
            twin.module_.train()
            twin.module_(torch.from_numpy(X))
        net.module_.train(was)
        if len(net.history) == 3:
            self.twin_ = twins[1]


@pytest.mark.parametrize("method", HOOKED)
def test_nets_are_copied_and_pickled_while_they_train(method, tmp_path):
    copying = Copying()
    file = Checkpoint(monitor=None, f_pickle="net.pkl", dirname=str(tmp_path))
    plain, watched = new_pruner(method), new_pruner(method)
    new_net(plain).fit(X, y)
    new_net(("pruner", watched), copying, file).fit(X, y)
    for mask, other in zip(plain.masks_.full(), watched.masks_.full(), strict=True):
        assert_array_equal(mask, other)
    twin = copying.twin_
    twin.callbacks_ = [named for named in twin.callbacks_ if named[0] == "pruner"]
    twin.partial_fit(X, y)
    assert dict(twin.callbacks_)["pruner"].masks_.sparsity >= 0.49


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
@pytest.mark.parametrize("method", ["activation", "activation_surgeon", "l0", "svd_training"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_nets_of_estimators_are_pickled_while_they_train(method, early_stopping, tmp_path):
    file = Checkpoint(monitor=None, f_pickle="net.pkl", dirname=str(tmp_path))
    clf = PrunedMLPClassifier(
        (8,), method=method, prune_fraction=0.5, n_prune_rounds=2, max_iter=6, random_state=0
    )
    clf.set_params(early_stopping=early_stopping, net_params={"callbacks": [file]}).fit(X, y)
    with open(tmp_path / "net.pkl", "rb") as opened:
        assert len(pickle.load(opened).predict(X)) == N_ROWS


class Failing(Callback):
    fails = True

    def on_epoch_end(self, net, **kwargs):
        if self.fails and len(net.history) == 2:
            raise RuntimeError("no more")


@pytest.mark.parametrize(
    "method", ["activation", "activation_surgeon", "l0", "rigl", "svd_training"]
)
def test_nets_whose_training_failed_can_be_pickled_and_trained(method):
    failing, pruner = Failing(), new_pruner(method)
    net = new_net(pruner, failing)
    with pytest.raises(RuntimeError, match="no more"):
        net.fit(X, y)
    pickle.loads(pickle.dumps(net)).predict(X)
    copy.deepcopy(net.module_)(torch.from_numpy(X))
    failing.fails = False
    net.fit(X, y)
    assert pruner.masks_.sparsity >= 0.49


# -- nets that do not tell of gradients ------------------------------------------------------


@pytest.mark.parametrize("method", BY_GRADIENTS)
def test_methods_that_act_on_gradients_refuse_nets_that_do_not_tell_of_them(method):
    net = new_net(new_pruner(method), cls=Accumulating)
    with pytest.raises(ValueError, match=f"{method}.* of which Accumulating does not tell"):
        net.fit(X, y)


@pytest.mark.parametrize("method", ["activation_surgeon", "magnitude", "snip", "block_gradual"])
def test_others_prune_nets_that_do_not_tell_of_gradients(method):
    pruner = new_pruner(method)
    new_net(pruner, cls=Accumulating).fit(X, y)
    assert pruner.masks_.sparsity >= 0.49


@pytest.mark.parametrize("solver", ["subgradient", "proximal"])
def test_penalty_on_gradients_refuses_nets_that_do_not_tell_of_them(solver):
    net = new_net(WeightedNuclearNorm(1.0, start_accuracy=0, solver=solver), cls=Accumulating)
    if solver == "proximal":
        net.fit(X, y)
    else:
        with pytest.raises(ValueError, match="solver='subgradient'.* of which Accumulating"):
            net.fit(X, y)


# -- layers that compute their weight --------------------------------------------------------


@pytest.mark.parametrize("method", ["synflow", "nisp"])
def test_something_flows_through_spectral_norms(method):
    module = nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), spectral_norm(nn.Linear(16, 10)), nn.ReLU(), nn.Linear(10, 2)
    )
    pruner = new_pruner(method)
    new_net(pruner, module=module).fit(X, y)
    assert pruner.masks_.sparsity >= 0.49


# -- what is refused by name -----------------------------------------------------------------


def test_nets_without_a_module_are_refused():
    class Two(NeuralNetClassifier):
        def initialize_module(self):
            self.left_, self.right_ = Module(), Module()
            return self

        def infer(self, X, **fit_params):
            return self.left_(X) + self.right_(X)

    with pytest.raises(ValueError, match="prunes the module_ of a net, which Two does not have"):
        new_net(Pruner(), cls=Two).fit(X, y)


@pytest.mark.parametrize("unlabeled", [5, {"X": X, "Z": X[:3]}])
def test_unlabeled_that_is_no_rows_is_refused_by_name(unlabeled):
    with pytest.raises(ValueError, match="unlabeled must be rows as the net takes them"):
        new_net(Pruner("activation", unlabeled=unlabeled)).fit(X, y)


class Scoring(ScoredMethod):
    def __init__(self, given):
        self.given = given

    def scores(self, run):
        return self.given(run)


@pytest.mark.parametrize(
    "given",
    [
        lambda run: None,
        lambda run: run.weights()[:1],
        lambda run: run.weights(),
        lambda run: run.weights()[0],
    ],
)
def test_scores_that_are_not_one_a_layer_are_refused(given):
    with pytest.raises(ValueError, match="must give a list of 2 arrays"):
        new_net(Pruner(Scoring(given))).fit(X, y)


class Keeping(Method):
    def __init__(self, given):
        self.given = given

    def round(self, run, share):
        run.keep(self.given(run))


@pytest.mark.parametrize(
    "given",
    [
        lambda run: [mask[:, :2] for mask in run.masks.current],
        lambda run: [mask * 0.5 for mask in run.masks.current],
        lambda run: run.masks.current[:1],
    ],
)
def test_masks_of_other_layers_are_refused(given):
    net = new_net(Pruner(Keeping(given)))
    with pytest.raises(ValueError, match="must keep bool arrays of shapes"):
        net.fit(X, y)
    assert all(layer.weight.all() for layer in (net.module_.first, net.module_.second))
