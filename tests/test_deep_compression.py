"""Deep Compression: the codebook trained by hand, and what is left of it in nets and files."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skactprune import PrunedMLPClassifier, Pruner, compact, load
from skactprune.checks import data
from skactprune.methods import DeepCompression
from skactprune.methods.deep_compression import SharedWeights, averaged, summed
from skactprune.triggers import EpochTrigger, ScoreTrigger

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


class Watch(Callback):
    """Notes the weights at the ends of epochs, after the pruner."""

    def initialize(self):
        self.epochs = []
        return self

    def on_epoch_end(self, net, **kwargs):
        coefs, intercepts = net.module_.numpy_parameters()
        self.epochs.append(([w.copy() for w in coefs], [b.copy() for b in intercepts]))


def make(hidden=(14, 9), watch=None, **params):
    defaults = {
        "prune_fraction": 0.4,
        "method": DeepCompression(bits=2),
        "n_prune_rounds": 2,
        "trigger": EpochTrigger(0.2, 0.4),
        "max_iter": 10,
        "learning_rate_init": 0.01,
        "random_state": 0,
    }
    if watch is not None:
        defaults["net_params"] = {"callbacks": [("watch", watch)]}
    return PrunedMLPClassifier(hidden, **defaults | params)


def distinct(coefs):
    return [len(np.unique(W[W != 0])) for W in coefs]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bits", [1, 3, 6])
def test_a_layer_has_few_values_which_files_keep(bits, dtype, tmp_path):
    X, y = data()
    clf = make((20, 15), method=DeepCompression(bits=bits), dtype=dtype).fit(X, y)
    assert all(1 < n <= 2**bits for n in distinct(clf.coefs_))
    assert clf.sparsity_ >= 0.4
    model = compact(clf, "codebook")
    model.save(tmp_path / "model")
    for found in (model, load(tmp_path / "model")):
        for W, V in zip(clf.coefs_, found.coefs_, strict=True):
            assert_array_equal(V, W)
    assert distinct(model.coefs_) == distinct(clf.coefs_)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_what_is_trained_is_the_codebook(momentum):
    X, y = data()
    watch, n_epochs = Watch(), 10
    make(
        watch=watch,
        solver="sgd",
        momentum=momentum,
        nesterovs_momentum=False,
        batch_size=len(X),
        alpha=0.1,
        dtype="float64",
    ).fit(X, y)
    shared = [max(distinct(coefs)) <= 4 for coefs, _ in watch.epochs]
    # The last round comes after epoch 4, and half of the other six are with single weights.
    assert shared == [False] * 6 + [True] * 4
    coefs, intercepts = watch.epochs[6]
    indices, books = [], []
    for W in coefs:
        book = np.unique(W[W != 0])
        books.append(torch.tensor(book, requires_grad=True))
        indices.append(torch.tensor(np.where(W == 0, len(book), np.searchsorted(book, W))))
    biases = [torch.tensor(b, requires_grad=True) for b in intercepts]
    optimizer = torch.optim.SGD([*books, *biases], lr=0.01, momentum=momentum)
    Xt, yt = torch.tensor(X), torch.tensor(y)
    for epoch in range(7, n_epochs):
        h, penalty = Xt, 0.0
        for depth, (book, index, bias) in enumerate(zip(books, indices, biases, strict=True)):
            W = torch.cat([book, torch.zeros(1, dtype=torch.float64)])[index]
            penalty = penalty + (W**2).sum()
            h = h @ W + bias
            h = torch.relu(h) if depth < 2 else h
        loss = nn.functional.cross_entropy(h, yt) + 0.5 * 0.1 * penalty / len(X)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for depth, (book, index) in enumerate(zip(books, indices, strict=True)):
            W = torch.cat([book, torch.zeros(1, dtype=torch.float64)])[index].detach().numpy()
            assert_allclose(watch.epochs[epoch][0][depth], W, atol=1e-12)


def test_gradients_and_weights_by_loops():
    rng = np.random.default_rng(0)
    gradient, labels = rng.normal(size=(4, 5)), rng.integers(0, 3, (4, 5))
    for i, j in np.ndindex(4, 5):
        together = [gradient[at] for at in np.ndindex(4, 5) if labels[at] == labels[i, j]]
        assert_allclose(averaged(gradient, labels)[i, j], np.mean(together))
        expected = np.sum(together) if labels[i, j] else 0
        assert_allclose(summed(gradient, labels)[i, j], expected)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_weights_stay_shared_whatever_the_optimizer_does(solver):
    X, y = data()
    watch = Watch()
    make(watch=watch, solver=solver, momentum=0.9, dropout=0.1, batch_size=7).fit(X, y)
    for coefs, _ in watch.epochs[6:]:
        assert max(distinct(coefs)) <= 4
    before, after = watch.epochs[6][0], watch.epochs[-1][0]
    for W, V in zip(before, after, strict=True):
        assert_array_equal(W == 0, V == 0)
        assert not np.array_equal(W, V)


def test_sharing_waits_for_no_progress_or_the_end():
    X, y = data()
    still, watch = {"tol": 100.0, "n_iter_no_change": 2}, Watch()
    # Nothing can be learned at this rate: ten epochs after the last round are enough.
    clf = make(watch=watch, learning_rate_init=1e-9, max_iter=100, **still)
    clf.set_params(trigger=EpochTrigger(0.02, 0.05)).fit(X, y)
    first = [max(distinct(coefs)) <= 4 for coefs, _ in watch.epochs].index(True)
    # The first epoch after a round is always progress.
    assert first == 5 + 1 + 10 - 1
    assert 16 < clf.n_iter_ < 30
    # With all rounds at the end, there is no epoch with shared weights.
    clf = make(trigger=EpochTrigger(1.0, 1.0)).fit(X, y)
    assert max(distinct(clf.coefs_)) <= 4
    assert clf.sparsity_ >= 0.4


def test_early_stopping_goes_back_to_shared_weights():
    X, y = data()
    clf = make(early_stopping=True, validation_fraction=0.2, max_iter=30, n_iter_no_change=3)
    clf.fit(X, y)
    assert max(distinct(clf.coefs_)) <= 4


def test_training_goes_on_with_the_codebook_until_more_is_pruned():
    X, y = data()
    clf = make(warm_start=True).fit(X, y)
    labels = [np.unique(W, return_inverse=True)[1] for W in clf.coefs_]
    clf = pickle.loads(pickle.dumps(clf)).fit(X, y)
    for W, before in zip(clf.coefs_, labels, strict=True):
        index = np.unique(W, return_inverse=True)[1]
        assert len(np.unique(np.stack([index.ravel(), before.ravel()]), axis=1).T) <= 5
    watch = Watch()
    clf.set_params(prune_fraction=0.6, net_params={"callbacks": [("watch", watch)]}).fit(X, y)
    assert clf.sparsity_ >= 0.6
    assert max(distinct(watch.epochs[4][0])) > 4
    assert max(distinct(clf.coefs_)) <= 4


def test_calls_of_partial_fit_are_epochs():
    X, y = data()
    clf = make()
    shared = []
    for _ in range(10):
        clf.partial_fit(X, y, classes=np.unique(y))
        shared.append(max(distinct(clf.coefs_)) <= 4)
    assert shared == [False] * 6 + [True] * 4


def test_without_a_fraction_nothing_is_shared():
    X, y = data()
    clf = make(prune_fraction=0).fit(X, y)
    assert min(distinct(clf.coefs_)) > 4


@pytest.mark.parametrize(
    "name, value",
    [("bits", 0), ("bits", 9), ("bits", 2.0), ("bits", True), ("retrain", -0.1), ("retrain", "a")],
)
def test_wrong_options_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"{name}={value!r} of DeepCompression must be"):
        DeepCompression(**{name: value}).validated()


def test_layers_that_compute_their_weights_are_refused():
    X, y = data()
    module = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(X.shape[1], 9)), nn.ReLU(), nn.Linear(9, 3)
    )
    net = NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        callbacks=[Pruner("deep_compression", prune_fraction=0.5)],
        verbose=0,
    )
    with pytest.raises(ValueError, match="method='deep_compression' sets weights, .* '0'"):
        net.fit(X.astype("float32"), y)


def test_labels_are_cut_with_the_weights():
    shared = SharedWeights()
    shared.cut([np.ones(3, bool)])
    assert shared.labels is None and shared.state() == {}
    shared.labels = [np.arange(6).reshape(3, 2), np.arange(12).reshape(4, 3)]
    shared.cut([np.array([True, False, True])])
    assert_array_equal(shared.labels[0], [[0, 1], [4, 5]])
    assert_array_equal(shared.labels[1], np.arange(12).reshape(4, 3)[:, [0, 2]])


def test_a_score_that_was_reached_before_sharing_ends_nothing():
    X, y = data()
    watch = Watch()
    trigger = ScoreTrigger(0.0, 0.2)
    clf = make(watch=watch, trigger=trigger, max_iter=30).fit(X, y)
    shared = next(n for n, (coefs, _) in enumerate(watch.epochs, 1) if max(distinct(coefs)) <= 4)
    assert clf.n_iter_ > shared
