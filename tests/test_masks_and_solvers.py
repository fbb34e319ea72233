"""What is pruned stays pruned, exactly, after every single step of every optimizer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from skorch.callbacks import Callback

from skactprune import Activation, ActivationMagnitude, Ganguli2024, Magnitude, PrunedMLPClassifier
from skactprune.methods import get_method

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)

X, y = make_classification(
    n_samples=90, n_features=6, n_informative=5, n_redundant=0, n_classes=3, random_state=0
)


class Watch(Callback):
    """Looks at the net after every batch, in the coordinates of the original net."""

    def __init__(self):
        self.steps_with_masks = 0
        self.masks_per_epoch = []

    def initialize(self):
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        masks = self.pruner(net).masks_
        for layer, mask in zip(net.module_.layers, masks.current, strict=False):
            weight = layer.weight.detach().numpy()
            assert weight.shape == mask.shape
            assert (weight[~mask] == 0).all()
            self.steps_with_masks += (~mask).any()

    def on_epoch_end(self, net, **kwargs):
        self.masks_per_epoch.append(self.pruner(net).masks_.full())

    @staticmethod
    def pruner(net):
        return dict(net.callbacks_)["pruner"]


OPTIMIZERS = {
    "sgd without momentum": {"solver": "sgd", "momentum": 0.0},
    "sgd with momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd with nesterov": {"solver": "sgd"},
    "sgd with weight decay": {"solver": "sgd", "alpha": 0.5},
    "adam": {"solver": "adam"},
    "adam with weight decay": {"solver": "adam", "alpha": 0.5},
    "adamw": {
        "net_params": {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.1},
    },
    "rmsprop": {"net_params": {"optimizer": torch.optim.RMSprop, "optimizer__momentum": 0.9}},
    "adagrad": {"net_params": {"optimizer": torch.optim.Adagrad}},
    "amsgrad": {"net_params": {"optimizer": torch.optim.Adam, "optimizer__amsgrad": True}},
    "asgd": {"net_params": {"optimizer": torch.optim.ASGD}},
}
METHODS = {
    "neurons": Activation(),
    "weights": Magnitude(),
    "activity of weights": ActivationMagnitude(granularity="weight", scope="global"),
    "ganguli2024": Ganguli2024(),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_masked_weights_are_zero_after_every_step(optimizer, method):
    params = dict(OPTIMIZERS[optimizer])
    watch = Watch()
    net_params = {**params.pop("net_params", {}), "callbacks": [("watch", watch)]}
    clf = PrunedMLPClassifier(
        (8, 7),
        method=METHODS[method],
        prune_fraction=0.6,
        n_prune_rounds=3,
        max_iter=8,
        batch_size=20,
        learning_rate_init=0.05,
        random_state=0,
        net_params=net_params,
        **params,
    ).fit(X, y)
    if method != "neurons":
        assert watch.steps_with_masks
    for coef, mask, before, after in zip(
        clf.coefs_,
        clf.masks_,
        [np.arange(6), *clf.live_neurons_[:-1]],
        clf.live_neurons_,
        strict=False,
    ):
        small = mask[np.ix_(before, after)]
        assert (coef[~small] == 0).all()
        assert (coef[small] != 0).all()
        assert mask.sum() == small.sum()


def test_masks_only_shrink():
    for name, method in METHODS.items():
        watch = Watch()
        PrunedMLPClassifier(
            (8, 7),
            method=method,
            prune_fraction=0.7,
            max_iter=12,
            random_state=0,
            net_params={"callbacks": [("watch", watch)]},
        ).fit(X, y)
        sizes = []
        for old, new in zip(watch.masks_per_epoch, watch.masks_per_epoch[1:], strict=False):
            assert not any((after & ~before).any() for before, after in zip(old, new, strict=True))
            sizes.append(sum(mask.sum() for mask in new))
        assert len(set(sizes)) > 3, name


def test_regrown_weights_come_back_to_life():
    clf = PrunedMLPClassifier(
        (8, 7),
        method=Magnitude(regrow=True),
        prune_fraction=0.6,
        n_prune_rounds=2,
        max_iter=8,
        random_state=0,
    ).fit(X, y)
    # Pruned at the last round, and learned again afterwards.
    assert clf.pruning_history_[-1]["sparsity"] >= 0.6
    assert clf.sparsity_ < 0.3
    assert clf.sparsity_ == pytest.approx(1 - sum(m.sum() for m in clf.masks_) / (6 * 8 + 8 * 7))
    for coef, mask, before, after in zip(
        clf.coefs_,
        clf.masks_,
        [np.arange(6), *clf.live_neurons_[:-1]],
        clf.live_neurons_,
        strict=False,
    ):
        assert ((coef != 0) == mask[np.ix_(before, after)]).all()


@settings(max_examples=40)
@given(
    hidden=st.lists(st.integers(2, 9), min_size=1, max_size=3),
    fraction=st.floats(0, 0.95),
    rounds=st.integers(1, 6),
    method=st.sampled_from(["activation", "activation_magnitude", "magnitude", "random"]),
    granularity=st.sampled_from(["neuron", "weight"]),
    scope=st.sampled_from(["layer", "global"]),
    seed=st.integers(0, 5),
)
def test_a_fit_ends_with_the_fraction_asked_for(
    hidden, fraction, rounds, method, granularity, scope, seed
):
    recipe = get_method(method).set_params(granularity=granularity, scope=scope)
    clf = PrunedMLPClassifier(
        hidden,
        method=recipe,
        prune_fraction=fraction,
        n_prune_rounds=rounds,
        max_iter=3,
        random_state=seed,
    )
    n_weights = sum(a * b for a, b in zip([6, *hidden], hidden, strict=False))
    n_left = n_weights - int(np.ceil(fraction * n_weights - 1e-9))
    try:
        clf.fit(X[:40], y[:40])
    except ValueError as error:
        least = 6 + len(hidden) - 1 if granularity == "neuron" else len(hidden)
        assert n_left < least and "cannot be reached" in str(error)
        return
    assert sum(int(mask.sum()) for mask in clf.masks_) <= n_left
    assert clf.sparsity_ == 1 - sum(int(mask.sum()) for mask in clf.masks_) / n_weights
    assert clf.coefs_[-1].shape == (len(clf.live_neurons_[-1]), 3)
    assert all(len(live) for live in clf.live_neurons_)
    assert [coef.shape[1] for coef in clf.coefs_[:-1]] == [len(a) for a in clf.live_neurons_]
    if len(hidden) == 1 and granularity == "neuron":
        # One layer, so that the unit is a row of 6: the smallest whole number of neurons.
        assert len(clf.live_neurons_[0]) == n_left // 6
    if len(hidden) == 1 and granularity == "weight":
        assert sum(int(mask.sum()) for mask in clf.masks_) == n_left


def test_unused_features_are_those_that_no_weight_reads():
    clf = PrunedMLPClassifier(
        (5,), method=Magnitude(scope="global"), prune_fraction=0.9, max_iter=5, random_state=0
    ).fit(X, y)
    unused = clf.unused_features_
    assert len(unused) >= 3
    assert (clf.coefs_[0][unused] == 0).all()
    changed = X.copy()
    changed[:, unused] = 1e3
    assert (clf.predict_proba(X) == clf.predict_proba(changed)).all()
