"""Gradual magnitude pruning against the formula of its schedule, one weight after the other."""

import numpy as np
import pytest
from sklearn.datasets import make_classification

from skactprune import EpochTrigger, PrunedMLPClassifier
from skactprune.checks import bits
from skactprune.methods import GradualMagnitude, Magnitude

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(90, 10, n_informative=6, n_classes=3, random_state=0)
SEEN = []


class Seen(GradualMagnitude):
    """Notes weights and masks of each round."""

    def round(self, run, share):
        weights, before = run.copied_weights(), [mask.copy() for mask in run.masks.current]
        super().round(run, share)
        SEEN.append((weights, before, [mask.copy() for mask in run.masks.current]))


def fit(method, **params):
    # Without neurons that never fire, few weights die that were not chosen.
    clf = PrunedMLPClassifier(
        (20, 10), method=method, prune_fraction=0.8, n_prune_rounds=4, batch_size=30, max_iter=12
    ).set_params(random_state=0, activation="tanh", trigger=EpochTrigger(0.25, 0.75))
    return clf.set_params(**params).fit(X, y)


def test_sparsity_rises_as_in_the_paper():
    clf = fit("gradual_magnitude")
    assert [row["epoch"] for row in clf.pruning_history_] == [3, 5, 7, 9]
    start, step, final = 1, 2, 0.8
    for row in clf.pruning_history_:
        past = (row["epoch"] - start) / (4 * step)
        wanted = final + (0 - final) * (1 - past) ** 3
        assert row["sparsity"] == pytest.approx(wanted, abs=0.5 / 400 + 1e-9)


def test_the_smallest_of_each_layer_go():
    SEEN.clear()
    fit(Seen(), prune_fraction=0.6)
    assert len(SEEN) == 4
    for weights, before, after in SEEN:
        for (weight, _), old, new in zip(weights, before, after, strict=False):
            assert not (new & ~old).any()
            cells = sorted(zip(*np.nonzero(old), strict=True), key=lambda at: abs(weight[at]))
            gone = {tuple(map(int, cell)) for cell in np.argwhere(old & ~new)}
            assert gone == {tuple(map(int, cell)) for cell in cells[: len(gone)]}
        shares = [1 - mask.mean() for mask in after]
        assert shares[0] == pytest.approx(shares[1], abs=1 / 200 + 1e-9)


def test_it_is_magnitude_by_default():
    assert bits(fit(GradualMagnitude())) == bits(fit(Magnitude()))
