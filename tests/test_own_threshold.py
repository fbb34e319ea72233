"""Methods with a threshold of their own, in place of a fraction."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier

from skactprune import PrunedMLPClassifier, Pruner, compare_with_pca
from skactprune.checks import check_method, data, estimator, fitted
from skactprune.methods import Magnitude, ScoredMethod
from skactprune.pruning.chain import Chain
from skactprune.pruning.loose import Loose
from skactprune.pruning.masks import Masks, cascade
from skactprune.pruning.selection import select

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


class Below(ScoredMethod):
    """Remove abs(w) below a number.

    Parameters
    ----------
    least : float or None, default=None
        The number.
    {granularity}
    {scope}
    {schedule}
    {regrow}
    """

    def __init__(
        self, least=None, granularity="weight", scope="layer", schedule="linear", regrow=False
    ):
        super().__init__(granularity, scope, schedule, regrow)
        self.least = least

    @property
    def own_threshold(self):
        return None if self.least is None else f"least={self.least!r}"

    def validated(self):
        if isinstance(self.least, str):
            raise ValueError(f"least={self.least!r}")
        return super().validated()

    def scores(self, run):
        return [np.abs(weight) for weight in run.weights()[:-1]]

    def cutoffs(self, run, share):
        return [share * self.least] * len(run.hidden)


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_method_with_a_threshold_passes_all_checks(granularity):
    check_method(Below(0.3, granularity=granularity))


def test_what_is_below_leaves_and_nothing_else():
    clf = fitted(Below(0.3), n_prune_rounds=1, max_iter=1, weight_decay=0)
    dense = fitted("magnitude", prune_fraction=0, max_iter=1)
    large = cascade([np.abs(coef.T) >= 0.3 for coef in dense.coefs_[:-1]])
    for mask, expected in zip(clf.masks_, large, strict=True):
        np.testing.assert_array_equal(mask, expected.T)
    assert clf.sparsity_ == clf.net_.callbacks_[0][1].run_.fraction_done


def test_each_round_applies_its_share():
    def sparsity(n_rounds, least):
        return fitted(Below(least), n_prune_rounds=n_rounds, max_iter=10).pruning_history_[0][
            "sparsity"
        ]

    assert sparsity(2, 0.4) == sparsity(1, 0.2) < sparsity(1, 0.4)


@pytest.mark.parametrize("granularity", ["weight", "neuron"])
def test_everything_below_leaves_what_must_stay(granularity):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = estimator(Below(1e9, granularity=granularity), min_neurons=2).fit(*data())
    assert [len(live) for live in clf.live_neurons_] == [2, 2]
    assert np.isfinite(clf.predict_proba(data()[0])).all()


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("chained", [True, False])
def test_last_path_is_not_kept_while_another_is_above(scope, chained):
    random = np.random.RandomState(0)
    for _ in range(30):
        shapes = [(4, 3), (5, 4)]
        masks = Masks((Chain if chained else Loose)(shapes))
        scores = [random.uniform(size=shape) for shape in shapes]
        # A layer whose scores are larger throughout has a larger cutoff.
        scores[1] *= 10
        cutoffs = [0.5, 5.0]
        found = select(
            scores, masks, granularity="weight", scope=scope, floors=[1, 1], cutoffs=cutoffs
        )
        above = [score >= cutoff for score, cutoff in zip(scores, cutoffs, strict=True)]
        connected = (above[1].astype(int) @ above[0].astype(int)).any()
        if connected:
            for mask, expected in zip(found, above, strict=True):
                np.testing.assert_array_equal(mask, expected)


def test_refused_with_the_reason():
    with pytest.raises(ValueError, match="prune_fraction=None needs a method"):
        estimator("magnitude", prune_fraction=None).fit(*data())
    with pytest.raises(ValueError, match=r"least=0.3 of method=Below\(least=0.3\) decides"):
        estimator(Below(0.3), prune_fraction=0.5).fit(*data())
    module = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.Linear(9, 3))
    for params, match in (
        ({"layer_fractions": {"0": 0.5}}, "layer_fractions=.* must be None"),
        ({"prune_fraction": 0.4}, "prune_fraction=0.4 must be None"),
        ({"method": Below()}, "prune_fraction=None needs"),
    ):
        pruner = Pruner(**{"method": Below(0.3), "prune_fraction": None} | params)
        net = NeuralNetClassifier(module, max_epochs=1, callbacks=[pruner], verbose=0)
        with pytest.raises(ValueError, match=match):
            net.fit(data()[0].astype("float32"), data()[1])


def test_warm_start_prunes_again_when_more_is_asked_for():
    X, y = data()
    clf = fitted(Below(0.2), warm_start=True)
    first = clf.sparsity_
    clf.set_params(method=Below(0.4)).fit(X, y)
    assert clf.sparsity_ > first and len(clf.pruning_history_) == 6
    # A fraction that was reached by a threshold is not pruned again; a larger one is.
    reached = clf.sparsity_
    clf.set_params(method=Magnitude(), prune_fraction=reached).fit(X, y)
    assert clf.sparsity_ == reached and len(clf.pruning_history_) == 6
    clf.set_params(prune_fraction=0.9).fit(X, y)
    assert clf.sparsity_ >= 0.9
    clf.set_params(method=Below(0.6), prune_fraction=None).fit(X, y)
    assert clf.n_iter_ == 8 and clf.sparsity_ >= 0.9


def test_partial_fit_goes_on_where_a_pickle_was_taken():
    X, y = data()
    clf = estimator(Below(0.3), max_iter=5)
    rounds = []
    for _ in range(5):
        clf = pickle.loads(pickle.dumps(clf.partial_fit(X, y, classes=[0, 1, 2])))
        rounds.append(len(clf.pruning_history_))
    assert rounds == [1, 2, 3, 3, 3]


@pytest.mark.filterwarnings("default:Stochastic Optimizer")
def test_rounds_that_did_not_come_are_told():
    late = {"trigger": "accuracy", "max_iter": 1}
    with pytest.warns(UserWarning, match="the sparsity is 0.000, not yet what least=0.3 leaves"):
        estimator(Below(0.3), **late).fit(*data())


def test_comparison_prunes_the_random_rival_as_far():
    X, y = data()
    net = PrunedMLPClassifier((8,), method=Below(0.3), prune_fraction=None, max_iter=4)
    rows = {row["method"]: row for row in compare_with_pca(net.set_params(random_state=0), X, y)}
    assert rows["net pruned at random"]["sparsity"] >= rows["pruned net"]["sparsity"] > 0
    assert rows["unpruned net"]["sparsity"] == 0
