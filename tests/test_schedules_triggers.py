"""How much a round takes, and when rounds happen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning

from skactprune import (
    AccuracyTrigger,
    Activation,
    ActivationMagnitude,
    EpochTrigger,
    Ganguli2024,
    Geometric,
    Magnitude,
    PrunedMLPClassifier,
    PrunedMLPRegressor,
    ScoreTrigger,
)
from skactprune.methods import base
from skactprune.pruning.schedules import SCHEDULES, cumulative_shares

quiet = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(
    n_samples=80, n_features=10, n_informative=6, n_redundant=0, class_sep=2.0, random_state=0
)


# -- how much -------------------------------------------------------------------------------


def test_geometric_rounds_shrink_by_a_fifth():
    shares = cumulative_shares("geometric", 5)
    steps = np.diff([0.0, *shares])
    np.testing.assert_allclose(steps[1:] / steps[:-1], 0.8)
    np.testing.assert_allclose(steps, 0.8 ** np.arange(5) / sum(0.8 ** np.arange(5)))
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [0.25, 0.5, 0.75, 1.0]),
        ("cubic", [1 - 0.75**3, 1 - 0.5**3, 1 - 0.25**3, 1.0]),
        ("one_shot", [1.0] * 4),
        ("last", [0.0] * 3 + [1.0]),
        (Geometric(ratio=1), [0.25, 0.5, 0.75, 1.0]),
        (Geometric(ratio=2), [1 / 15, 3 / 15, 7 / 15, 1.0]),
        (lambda done, n_rounds: (done / n_rounds) ** 2, [1 / 16, 1 / 4, 9 / 16, 1.0]),
    ],
)
def test_shares(schedule, expected):
    np.testing.assert_allclose(cumulative_shares(schedule, 4), expected)


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(0, 50))
def test_shares_never_decrease_and_end_at_one(schedule, n_rounds):
    shares = cumulative_shares(schedule, n_rounds)
    assert len(shares) == n_rounds
    assert all(0 <= a <= b <= 1 for a, b in zip(shares, shares[1:], strict=False))
    assert not shares or shares[-1] == 1.0


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("exponential", r"schedule='exponential' is unknown.*'cubic', 'geometric', 'last', "),
        (lambda done, n_rounds: 1 - done / n_rounds, "must not decrease and must end at 1"),
        (lambda done, n_rounds: done / n_rounds / 2, "must not decrease and must end at 1"),
        (3, "schedule=3 must be a name or a callable"),
    ],
)
def test_bad_schedules(schedule, message):
    with pytest.raises(ValueError, match=message):
        cumulative_shares(schedule, 4)


@quiet
def test_rounds_follow_the_schedule():
    clf = PrunedMLPClassifier(
        (30, 20), method=Magnitude(schedule="geometric"), max_iter=20, random_state=0
    ).fit(X, y)
    n_weights = 10 * 30 + 30 * 20
    shares = cumulative_shares("geometric", 5)
    assert [row["round"] for row in clf.pruning_history_] == [1, 2, 3, 4, 5]
    for row, share in zip(clf.pruning_history_, shares, strict=True):
        # A last weight may take a neuron with it.
        assert 0.8 * share <= row["sparsity"] <= 0.8 * share + 30 / n_weights


# -- when -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "n_rounds", "max_iter", "epochs"),
    [
        ("epoch", 5, 200, [20, 45, 70, 95, 120]),
        ("epoch", 1, 200, [20]),
        (EpochTrigger(0, 0), 3, 10, [1, 1, 1]),
        (EpochTrigger(0.5, 1), 2, 10, [5, 10]),
        (EpochTrigger(1, 1), 2, 10, [10, 10]),
    ],
)
@quiet
def test_rounds_fall_on_the_epochs_of_the_trigger(trigger, n_rounds, max_iter, epochs):
    clf = PrunedMLPClassifier(
        (20,), trigger=trigger, n_prune_rounds=n_rounds, max_iter=max_iter, random_state=0, tol=0
    ).fit(X, y)
    assert [row["epoch"] for row in clf.pruning_history_] == sorted(set(epochs))
    assert clf.pruning_history_[-1]["round"] == n_rounds
    assert clf.sparsity_ == 0.8


@pytest.mark.parametrize("max_iter", [1, 2, 3, 5])
@pytest.mark.parametrize("n_rounds", [1, 5, 12])
def test_rounds_on_one_epoch_are_done_together(max_iter, n_rounds):
    clf = PrunedMLPClassifier((20,), n_prune_rounds=n_rounds, max_iter=max_iter, random_state=0)
    with pytest.warns(ConvergenceWarning) as caught:
        clf.fit(X, y)
    # The one that MLPClassifier gives, and none about rounds.
    assert len(caught) == 1
    assert "round" not in str(caught[0].message)
    assert clf.sparsity_ == 0.8
    epochs = [row["epoch"] for row in clf.pruning_history_]
    assert epochs == sorted(set(epochs)) and epochs[-1] <= max_iter
    assert clf.pruning_history_[-1]["round"] == n_rounds


@quiet
@pytest.mark.parametrize("n_rounds", [1, 3, 6])
def test_accuracy_marks(n_rounds):
    trigger = AccuracyTrigger(0.7, 0.95)
    clf = PrunedMLPClassifier(
        (30,), trigger=trigger, n_prune_rounds=n_rounds, max_iter=150, prune_fraction=0.7,
        learning_rate_init=0.01, random_state=0, batch_size=20,
    ).fit(X, y)  # fmt: skip
    assert [row["round"] for row in clf.pruning_history_] == list(range(1, n_rounds + 1))
    for i, row in enumerate(clf.pruning_history_):
        assert row["train_score"] >= 0.7 + i * 0.25 / n_rounds
    epochs = [row["epoch"] for row in clf.pruning_history_]
    assert epochs == sorted(set(epochs))
    # Training ends once the accuracy is reached after the last round.
    assert epochs[-1] < clf.n_iter_ < 150
    assert clf.score(X, y) > 0.9


def test_an_accuracy_that_never_comes_is_told():
    random_labels = np.random.RandomState(0).randint(0, 2, len(y))
    clf = PrunedMLPClassifier(
        (5,), trigger=AccuracyTrigger(0.5, 1.0), n_prune_rounds=4, prune_fraction=0.6,
        max_iter=8, learning_rate_init=1e-4, random_state=0,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning) as caught:
        clf.fit(X, random_labels)
    done = clf.pruning_history_[-1]["round"] if clf.pruning_history_ else 0
    assert done < 4
    assert len(caught) == 1
    message = str(caught[0].message)
    assert f"only {done} of 4 pruning rounds were triggered" in message
    assert f"the sparsity is {clf.sparsity_:.3f}, not prune_fraction=0.6" in message
    assert clf.sparsity_ == 1 - sum(m.sum() for m in clf.masks_) / 50


@quiet
def test_training_accuracy_is_that_of_the_epochs_own_forward_passes():
    # Nothing is learned, so that it is the accuracy of the net itself.
    clf = PrunedMLPClassifier(
        (20,), n_prune_rounds=1, prune_fraction=0.001, solver="sgd", learning_rate_init=1e-300,
        alpha=0, max_iter=3, random_state=0, batch_size=30, method=Magnitude(),
    )  # fmt: skip
    weight = np.random.RandomState(0).choice([0.5, 1.0, 2.0], len(X))
    clf.fit(X, y, weight)
    before = PrunedMLPClassifier(**clf.get_params(deep=False)).set_params(prune_fraction=0)
    score = before.fit(X, y, weight).score(X, y, weight)
    assert clf.pruning_history_[0]["train_score"] == pytest.approx(score, rel=1e-12)


@quiet
@pytest.mark.parametrize("early_stopping", [False, True])
def test_convergence_before_the_last_round_skips_none(early_stopping):
    clf = PrunedMLPClassifier(
        (20,), tol=10.0, n_iter_no_change=2, max_iter=40, early_stopping=early_stopping,
        random_state=0, trigger="epoch",
    ).fit(X, y)  # fmt: skip
    last = clf.pruning_history_[-1]
    assert (last["round"], last["epoch"]) == (5, 24)
    assert clf.sparsity_ == 0.8
    # One epoch after it sets the mark, the next three do not improve on it.
    assert clf.n_iter_ == 28


# -- the authors' way of counting --------------------------------------------------------------


@quiet
@pytest.mark.parametrize("criterion", ["activation", "activation_magnitude"])
def test_ganguli2024_takes_the_fraction_of_the_whole_net_without_what_dies_of_it(
    criterion, monkeypatch
):
    removed = []
    real = base.select

    def select(scores, masks, **options):
        new = real(scores, masks, **options)
        removed.append(masks.n_left - sum(int(mask.sum()) for mask in new))
        assert options["scope"] == "global" and options["granularity"] == "weight"
        return new

    monkeypatch.setattr(base, "select", select)
    clf = PrunedMLPClassifier(
        (20, 15), method=Ganguli2024(criterion), prune_fraction=0.6, max_iter=20, random_state=0
    ).fit(X, y)
    whole = 10 * 20 + 20 * 15 + 15
    assert sum(removed) == np.ceil(0.6 * whole)
    shares = np.array(cumulative_shares("geometric", 5)) * 0.6 * whole
    assert np.cumsum(removed).tolist() == np.ceil(shares - 1e-9).astype(int).tolist()
    hidden_left = sum(mask.sum() for mask in clf.masks_)
    assert hidden_left <= 500 - sum(removed)
    assert clf.sparsity_ == 1 - hidden_left / 500


@quiet
def test_first_score_at_weight_granularity_takes_whole_neurons_but_one():
    """All weights into a neuron share its count, so that one neuron at most is cut in half."""
    clf = PrunedMLPClassifier(
        (25,), method=Activation(granularity="weight", scope="global"), prune_fraction=0.63,
        n_prune_rounds=1, max_iter=10, random_state=0,
    ).fit(X, y)  # fmt: skip
    per_neuron = clf.masks_[0].sum(axis=0)
    assert ((per_neuron > 0) & (per_neuron < 10)).sum() == 1
    assert clf.masks_[0].sum() == 250 - np.ceil(0.63 * 250)


@quiet
def test_global_scope_compares_layers_and_layer_scope_does_not():
    def shares_left(scope):
        clf = PrunedMLPClassifier(
            (20, 60), method=ActivationMagnitude(scope=scope), prune_fraction=0.7, max_iter=10,
            random_state=0,
        ).fit(X, y)  # fmt: skip
        return [len(live) / n for live, n in zip(clf.live_neurons_, (20, 60), strict=True)]

    # Weights into the second layer are smaller.
    by_layer = shares_left("layer")
    assert by_layer == pytest.approx([by_layer[0]] * 2, abs=0.04)
    assert np.diff(shares_left("global")) < -0.08


@quiet
def test_regrow_keeps_neurons_until_the_end_and_cuts_once():
    clf = PrunedMLPClassifier(
        (20, 15), method=Activation(regrow=True), prune_fraction=0.8, max_iter=20, random_state=0
    ).fit(X, y)
    assert clf.pruning_history_[-1]["sparsity"] >= 0.8
    assert [coef.shape[1] for coef in clf.coefs_[:-1]] == [len(a) for a in clf.live_neurons_]
    for mask, live in zip(clf.masks_, clf.live_neurons_, strict=True):
        assert np.flatnonzero(mask.any(axis=0)).tolist() == live.tolist()
    zeros = 1 - sum(int((c != 0).sum()) for c in clf.coefs_[:-1]) / (10 * 20 + 20 * 15)
    assert clf.sparsity_ == pytest.approx(zeros)
    again = PrunedMLPClassifier(
        (20, 15), method=Magnitude(regrow=True), prune_fraction=0.8, max_iter=20, random_state=0
    ).fit(X, y)
    # The paper's claim in small: magnitude-pruned weights come back, silent neurons do not.
    assert again.sparsity_ < 0.3 < 0.5 < clf.sparsity_


def test_a_round_comes_as_soon_as_its_mark_is_reached():
    trigger = ScoreTrigger(0.5, 0.9)
    for done, mark in enumerate((0.5, 0.6, 0.7, 0.8)):
        assert trigger.rounds_due(done, 4, 1, 10, mark - 1e-6) == done
        assert trigger.rounds_due(done, 4, 1, 10, mark + 1e-6) == done + 1
        assert trigger.rounds_due(done, 4, 1, 10, 1.0) == done + 1
    assert trigger.rounds_due(4, 4, 1, 10, 1.0) == 4
    assert not trigger.stops(0.9 - 1e-6) and trigger.stops(0.9)


@quiet
@pytest.mark.parametrize("method", ["snip", "grasp", "synflow", "small_dense", "rigl"])
def test_who_prunes_before_training_hears_of_no_trigger(method):
    base = {"method": method, "max_iter": 15, "learning_rate_init": 0.05, "random_state": 0}
    nets = [
        PrunedMLPClassifier((12,), trigger=trigger, **base).fit(X, y)
        for trigger in ("epoch", "score", ScoreTrigger(0.1, 0.2))
    ]
    assert len({tuple(net.loss_curve_) for net in nets}) == 1
    assert nets[0].n_iter_ == 15
    PrunedMLPRegressor(hidden_layer_sizes=(12,), trigger="accuracy", **base).fit(X, y)


@quiet
@pytest.mark.parametrize("params", [{"prune_fraction": 0}, {"n_prune_rounds": 0}], ids=str)
def test_a_fit_without_rounds_that_goes_on_is_ended_by_no_trigger(params):
    base = {"learning_rate_init": 0.05, "warm_start": True, "random_state": 0}
    net = PrunedMLPClassifier((12,), trigger=ScoreTrigger(0.1, 0.3), max_iter=15, **base).fit(X, y)
    assert net.n_iter_ < 15
    assert net.set_params(tol=0, n_iter_no_change=20, **params).fit(X, y).n_iter_ == 15
