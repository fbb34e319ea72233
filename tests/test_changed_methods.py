"""A fitted net that goes on with another method than it was pruned with."""

import pytest
from sklearn.datasets import make_classification

from skactprune import Activation, Magnitude, Method, PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(80, 6, n_informative=4, n_classes=3, random_state=0)


def make(**params):
    return PrunedMLPClassifier((12, 8), max_iter=6, random_state=0, warm_start=True, **params)


@pytest.mark.parametrize("first", [Activation(), Magnitude(granularity="neuron")])
def test_counts_begin_where_another_method_has_cut(first):
    clf = make(method=first, prune_fraction=0.4).fit(X, y)
    clf.set_params(method=Magnitude(granularity="neuron"), prune_fraction=0.6).fit(X, y)
    clf.set_params(method=Activation(), prune_fraction=0.7).fit(X, y)
    assert clf.sparsity_ >= 0.7
    live = clf.live_neurons_
    assert [coef.shape[1] for coef in clf.coefs_[:-1]] == [len(alive) for alive in live]
    counts = clf.activation_counts_
    assert [len(count) for count in counts] == [12, 8]
    assert all(count[alive].max() > 0 for count, alive in zip(counts, live, strict=True))


class Moving(Method):
    """Says that its masks move, and never that they do no longer."""

    def begin(self, run):
        run.moving = True


def test_masks_move_only_for_who_moves_them():
    clf = make(method=Moving(), prune_fraction=0.5, trigger="accuracy")
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert clf.net_.callbacks_[0][1].pending
    clf.set_params(method=Magnitude(), trigger="epoch", tol=10.0, n_iter_no_change=2)
    clf.set_params(max_iter=50).fit(X, y)
    assert clf.n_iter_ < 50
