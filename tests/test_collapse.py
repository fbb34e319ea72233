"""A fit that leaves hardly anything of a layer, or of what was learned, says so."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skactprune import EpochTrigger, PrunedMLPClassifier

X, y = load_digits(return_X_y=True)
X, y = X[:500] / 16, y[:500]
PARAMS = {"learning_rate_init": 0.01, "max_iter": 40, "tol": 0, "random_state": 0}
PARAMS["n_iter_no_change"] = np.inf


def collapse_warnings(**params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf = PrunedMLPClassifier((100, 100), **PARAMS | params).fit(X, y)
    return clf, [str(w.message) for w in caught if "prune_fraction" in str(w.message)]


def test_hardly_any_neuron_left():
    clf, said = collapse_warnings(method="ganguli2024", prune_fraction=0.85)
    assert min(len(live) for live in clf.live_neurons_) <= 2
    assert len(said) == 1
    assert "method='ganguli2024' has left [" in said[0] and "of [100, 100]" in said[0]


def test_what_was_learned_is_lost():
    # All rounds are at the end of the fit: nothing is learned again.
    at_the_end = EpochTrigger(1.0, 1.0)
    clf, said = collapse_warnings(method="random", prune_fraction=0.98, trigger=at_the_end)
    assert clf.score(X, y) < 0.25
    assert len(said) == 1 and "The accuracy on the training rows was 1.00" in said[0]


@pytest.mark.parametrize("method", ["activation_surgeon", "activation", "magnitude", "random"])
def test_nothing_is_said_where_all_is_well(method):
    clf, said = collapse_warnings(method=method)
    assert clf.score(X, y) > 0.9
    assert said == []
