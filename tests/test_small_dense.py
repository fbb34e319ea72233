"""The small dense net is a net of that size, trained from the start."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skactprune import PrunedMLPClassifier, Pruner

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(90, 10, n_informative=7, n_redundant=0, n_classes=3, random_state=0)


class Start(Callback):
    """Notes weights (n_in, n_out) and biases before the first batch."""

    def on_batch_begin(self, net, **kwargs):
        if not hasattr(self, "coefs_"):
            layers = net.module_.layers
            self.coefs_ = [layer.weight.detach().numpy().T.copy() for layer in layers]
            self.intercepts_ = [layer.bias.detach().numpy().copy() for layer in layers]


def fit(hidden=(20, 12), method="small_dense", **params):
    start = Start()
    defaults = {"prune_fraction": 0.7, "max_iter": 6, "random_state": 0, "batch_size": 30}
    defaults |= {"weight_decay": 0, "shuffle": False, "learning_rate_init": 0.01}
    clf = PrunedMLPClassifier(
        hidden, method=method, net_params={"callbacks": [("start", start)]}, **defaults | params
    )
    return clf.fit(X, y), start


def n_hidden_weights(sizes):
    return sum(a * b for a, b in zip((10, *sizes), sizes, strict=False))


@pytest.mark.parametrize("hidden", [(20,), (20, 12), (30, 20, 10)])
@pytest.mark.parametrize("fraction", [0.3, 0.7, 0.9])
def test_it_is_as_small_as_asked_for_and_dense(hidden, fraction):
    clf, start = fit(hidden, prune_fraction=fraction, max_iter=2)
    sizes = tuple(len(live) for live in clf.live_neurons_)
    allowed = (1 - fraction) * n_hidden_weights(hidden)
    assert n_hidden_weights(sizes) <= allowed + 1e-9
    # The same share of every layer, so that with one neuron more somewhere it would be too large.
    shares = [(size + 1) / before for size, before in zip(sizes, hidden, strict=True)]
    larger = list(sizes)
    larger[int(np.argmin(shares))] += 1
    assert n_hidden_weights(larger) > allowed
    assert np.ptp([size / before for size, before in zip(sizes, hidden, strict=True)]) < 0.11
    assert [coef.shape for coef in clf.coefs_] == list(zip((10, *sizes), (*sizes, 3), strict=True))
    assert [coef.shape for coef in start.coefs_] == [coef.shape for coef in clf.coefs_]
    for depth, mask in enumerate(clf.masks_):
        before = clf.live_neurons_[depth - 1] if depth else np.arange(10)
        assert mask[np.ix_(before, clf.live_neurons_[depth])].all()
    (row,) = clf.pruning_history_
    assert (row["epoch"], row["sparsity"]) == (0, clf.sparsity_)


@pytest.mark.parametrize("activation, factor", [("relu", 6), ("logistic", 2)])
def test_weights_are_drawn_for_the_small_sizes(activation, factor):
    clf, start = fit((60, 40), activation=activation, max_iter=1)
    for coef, intercept in zip(start.coefs_, start.intercepts_, strict=True):
        bound = np.sqrt(factor / sum(coef.shape))
        assert 0.9 * bound < np.abs(coef).max() <= bound
        assert np.abs(intercept).max() <= bound
        assert_allclose(coef.std(), bound / np.sqrt(3), rtol=0.15)
        assert abs(coef.mean()) < 0.15 * bound
    other, again = fit((60, 40), activation=activation, max_iter=1, random_state=1)
    assert not np.isin(start.coefs_[0], again.coefs_[0]).any()


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_it_trains_as_a_net_of_that_size(solver):
    clf, start = fit(solver=solver)
    sizes = tuple(len(live) for live in clf.live_neurons_)
    init = MLPClassifier(sizes, max_iter=1).fit(X, y)
    init.coefs_, init.intercepts_ = start.coefs_, start.intercepts_
    plain, _ = fit(sizes, prune_fraction=0, solver=solver, init_estimator=init)
    assert plain.loss_curve_ == clf.loss_curve_
    for coef, other in zip(clf.coefs_, plain.coefs_, strict=True):
        assert_array_equal(coef, other)


def test_a_smaller_one_begins_from_the_start():
    clf, _ = fit(warm_start=True)
    start = clf.net_params["callbacks"][0][1]
    coefs = [coef.copy() for coef in clf.coefs_]
    del start.coefs_
    clf.fit(X, y)
    assert_array_equal(start.coefs_[0], coefs[0])
    del start.coefs_
    clf.set_params(prune_fraction=0.8).fit(X, y)
    assert not np.isin(start.coefs_[0], coefs[0]).any()
    assert clf.sparsity_ >= 0.8


def test_unlabelled_rows_and_other_nets_are_refused():
    with pytest.raises(ValueError, match="method='small_dense'.* must be None"):
        PrunedMLPClassifier((5,), method="small_dense").fit(X, y, X_unlabeled=X[:7])
    net = NeuralNetClassifier(
        nn.Sequential(nn.Linear(10, 5), nn.ReLU(), nn.Linear(5, 3)),
        criterion=nn.CrossEntropyLoss,
        callbacks=[Pruner("small_dense")],
        max_epochs=1,
        verbose=0,
    )
    with pytest.raises(ValueError, match="method='small_dense' needs to know"):
        net.fit(X.astype(np.float32), y)
