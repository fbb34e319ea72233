"""Neurons leave, and from narrow layers single weights."""

import math

import numpy as np
import pytest
from sklearn.datasets import make_classification

from skactprune import ActivationSurgeon, Magnitude, PrunedMLPClassifier
from skactprune.methods import Threshold

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:The accuracy on")


class Noting(Magnitude):
    """Notes the weights from which it chooses."""

    def round(self, run, share):
        type(self).before = np.abs(run.weights()[0]).copy()
        super().round(run, share)


def rows(n_classes):
    return make_classification(
        200, 12, n_informative=10, n_redundant=0, n_classes=n_classes, random_state=0
    )


def fit(method, hidden, fraction, n_classes=3, **params):
    how = {"n_prune_rounds": 1, "max_iter": 4, "random_state": 0} | params
    clf = PrunedMLPClassifier(hidden, method=method, prune_fraction=fraction, **how)
    return clf.fit(*rows(n_classes))


@pytest.mark.parametrize(
    "width, n_classes, stay", [(60, 3, 16), (60, 20, 20), (17, 3, 16), (16, 3, 16), (6, 3, 6)]
)
@pytest.mark.parametrize("regrow", [False, True])
def test_the_largest_weights_stay_of_the_largest_neurons(width, n_classes, stay, regrow):
    fraction = 0.9
    clf = fit(Noting("auto", regrow=regrow), (width,), fraction, n_classes, max_iter=1)
    size = Noting.before
    neurons = np.argsort(size.mean(axis=1))[-stay:]
    n_left = size.size - math.ceil(fraction * size.size - 1e-9)
    assert n_left < stay * size.shape[1]
    inside = np.zeros_like(size)
    inside[neurons] = size[neurons]
    expected = inside >= np.sort(inside, axis=None)[-n_left]
    assert expected.sum() == n_left
    np.testing.assert_array_equal(clf.masks_[0].T, expected)


@pytest.mark.parametrize("method", [Magnitude, ActivationSurgeon])
def test_wide_layers_lose_neurons_alone(method):
    auto, neuron = (fit(method(kind), (80, 60), 0.5) for kind in ("auto", "neuron"))
    for a, b in zip(auto.coefs_, neuron.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(len(live) >= 16 for live in auto.live_neurons_)
    assert all(coef.all() for coef in auto.coefs_[:-1])


def test_the_default_keeps_a_funnel():
    clf = fit(ActivationSurgeon(), (100, 10), 0.9, max_iter=20, n_prune_rounds=5)
    first, second = map(len, clf.live_neurons_)
    assert 14 <= first <= 16 and 9 <= second <= 10
    assert 0.9 <= clf.sparsity_ < 0.92


def test_floors_of_the_user_are_kept_besides():
    clf = fit(Magnitude("auto"), (40,), 0.8, min_neurons=30)
    assert len(clf.live_neurons_[0]) >= 30
    assert 0.8 <= clf.sparsity_ < 0.81


def test_thresholds_have_no_auto():
    with pytest.raises(ValueError, match="granularity='auto' of Threshold.*quality=1.0"):
        fit(Threshold(granularity="auto", quality=1.0), (20,), None)
