"""What the experiments share: the paper's protocol, nets, weights at moments, statistics."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from benchmarks.reproduce import moments, nets, protocol, training
from benchmarks.reproduce import statistics as st
from benchmarks.reproduce.protocol import DeadlineTrigger, Ending, Rows, estimator
from skactprune import PrunedMLPClassifier, ScorePruning
from skactprune.methods import Activation
from skactprune.triggers import EpochTrigger

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROWS = Rows.load("digits", 500)


def fit(*, hidden=(20, 15), epochs=5, seed=0, **params):
    return estimator(ROWS, hidden, epochs, seed, **params).fit(ROWS.X, ROWS.y)


def test_rounds_come_at_their_accuracy_or_by_their_deadline():
    trigger = DeadlineTrigger(0.8, 0.98, deadline=10)
    due = [trigger.rounds_due(0, 5, epoch, 50, 0.1) for epoch in range(1, 13)]
    assert due == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5]
    assert trigger.rounds_due(0, 5, 1, 50, 0.8) == 1
    assert trigger.rounds_due(1, 5, 1, 50, 0.83) == 1
    assert trigger.rounds_due(1, 5, 1, 50, 0.84) == 2


def test_three_rising_losses_far_above_the_lowest_end_training():
    ending = Ending(None, None)
    ending.on_train_begin(None)
    ended = [ending.ticked(loss) for loss in (1.0, 1.2, 1.15, 1.05, 1.08, 1.2, 1.3)]
    assert ended == [False] * 6 + [True]


def test_ticks_count_after_the_last_round_only(monkeypatch):
    rising = iter(np.arange(1.0, 100.0, 2.0))
    monkeypatch.setattr(protocol, "validation_loss", lambda net, rows: next(rising))
    slow = {"epochs": 20, "learning_rate_init": 1e-6}
    assert fit(**slow).n_iter_ == 4
    late = {"trigger": DeadlineTrigger(deadline=10), "prune_fraction": 0.5, "n_prune_rounds": 2}
    assert fit(method="random", **late, **slow).n_iter_ == 10 + 3


def test_training_ends_at_the_accuracy():
    net = fit(epochs=200, learning_rate_init=0.1)
    assert net.n_iter_ < 200 and net.score(ROWS.X, ROWS.y) > 0.94


def test_low_rank_stays_low_in_training_and_learns():
    net = fit(epochs=15, learning_rate_init=0.1)
    small = nets.low_rank("truncated SVD", net, [5, 4])
    row = nets.describe(small, ROWS)
    assert row["ranks"] == "5-4"
    assert row["weights"] == 5 * (64 + 20) + 4 * (20 + 15) + 150 == row["flops"] / 2
    module = nets.factored(small)
    assert [part.out_features for part in module if hasattr(part, "out_features")][::2] == [
        5,
        4,
        10,
    ]
    with torch.no_grad():
        labels = module(torch.from_numpy(ROWS.X)).argmax(dim=1).numpy()
    assert np.mean(labels == small.predict(ROWS.X)) > 0.99
    before = nets.retrained(small, ROWS, 0, 0)
    after = nets.retrained(small, ROWS, 5, 0)
    assert (before["epochs"], after["epochs"]) == (0, 5)
    assert before["train_accuracy"] == pytest.approx(row["train_accuracy"], abs=0.01)
    assert after["train_accuracy"] > before["train_accuracy"]


def test_nets_are_fitted_once_and_kept(tmp_path):
    net = estimator(ROWS, (20, 15), 2, 0, prune_fraction=0.5, n_prune_rounds=1, method="random")
    fitted, row = nets.kept(tmp_path / "net.joblib", net, ROWS)
    again, same = nets.kept(tmp_path / "net.joblib", None, ROWS)
    assert row == same and row["test_accuracy"] == again.score(ROWS.X_test, ROWS.y_test)
    assert nets.split(row["live"]) == [len(live) for live in again.live_neurons_]
    assert nets.split(row["ranks"]) == again.hidden_ranks_
    assert row["epochs"] == again.n_iter_ == fitted.n_iter_


@pytest.mark.parametrize("regrow", [False, True])
def test_moments_are_those_before_and_after_the_rounds(regrow):
    seen, kept = [], moments.Moments()

    def noting(layer):
        seen.append(layer.weight.copy())
        return np.abs(layer.weight)

    method = ScorePruning(noting, granularity="weight", regrow=regrow)
    rounds = {"trigger": EpochTrigger(0.2, 0.6), "prune_fraction": 0.6, "n_prune_rounds": 2}
    net = fit(method=method, callbacks=[kept], **rounds)
    assert [at["epoch"] for at in kept.rounds_] == [row["epoch"] for row in net.pruning_history_]
    before = [coef.T for at in kept.rounds_ for coef in at["before"][0][:-1]]
    assert all((a == b).all() for a, b in zip(before, seen, strict=True))
    for at, row in zip(kept.rounds_, net.pruning_history_, strict=True):
        left = sum(np.count_nonzero(coef) for coef in at["after"][0][:-1])
        assert 1 - left / (64 * 20 + 20 * 15) == pytest.approx(row["sparsity"])
    if not regrow:
        assert all((a == b).all() for a, b in zip(kept.end_[0], net.coefs_, strict=True))


def test_start_goes_on_from_given_weights():
    first, end = moments.Moments(), moments.Moments()
    rounds = {"trigger": EpochTrigger(0.5, 0.5), "prune_fraction": 0.5, "n_prune_rounds": 1}
    fit(epochs=2, method=Activation(), callbacks=[first], **rounds)
    start = first.rounds_[0]["before"]
    fit(epochs=1, callbacks=[moments.Start(*start), end], learning_rate_init=1e-12)
    for given, found in zip(start, end.end_, strict=True):
        for a, b in zip(given, found, strict=True):
            assert_allclose(a, b, atol=1e-6)


def test_thinned_and_packed_values_come_back():
    few = moments.thin(np.linspace(3, 1, 90))
    assert few[0] == 3 and few[-1] == 1 and len(few) == 40 and (np.diff(few) < 0).all()
    assert_allclose(moments.thin(np.array([2.0, 1.0]))[[0, 19, 20, 39]], [2, 2, 1, 1])
    assert_allclose(moments.unpack([moments.pack(few)] * 2), [few, few], rtol=5e-4)


def test_learning_rate_and_dropout_fall():
    factors = [training.rate_factor(epoch, 20) for epoch in range(21)]
    assert factors[:13] == [1.0] * 13 and factors[-1] == 0 and (np.diff(factors[12:]) < 0).all()
    seen = []

    class Seen(training.FadingDropout):
        def on_epoch_begin(self, net, **kwargs):
            super().on_epoch_begin(net, **kwargs)
            seen.append((net.module_.dropout, dict(net.callbacks_)["pruner"].masks_.sparsity))

    how = {"prune_fraction": 0.9, "n_prune_rounds": 2, "max_iter": 4, "dropout": (0.1, 0.4)}
    net = PrunedMLPClassifier((20,), **how, net_params={"callbacks": [Seen(0.5)]}, random_state=0)
    assert net.fit(ROWS.X, ROWS.y).sparsity_ >= 0.9
    assert seen[0] == ((0.1, 0.4), 0) and seen[-1][1] == pytest.approx(net.sparsity_)
    for rates, sparsity in seen:
        assert_allclose(rates, np.sqrt(1 - sparsity) * np.array([0.1, 0.4]))


BETTER, WORSE, OPEN = [0.02, 0.021], [-0.02, -0.021], [0.05, -0.05]


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ({("a", "x"): BETTER, ("a", "y"): BETTER}, "yes"),
        ({("a", "x"): WORSE, ("a", "y"): WORSE}, "no"),
        ({("a", "x"): OPEN, ("b", "x"): [0.3]}, "not decided"),
        ({("a", "x"): BETTER, ("a", "y"): WORSE}, "only on a x"),
        ({("a", "x"): BETTER, ("b", "x"): OPEN}, "only on a x; not decided on b x"),
        ({("a", "x"): WORSE, ("b", "x"): OPEN}, "no on a x; not decided on b x"),
    ],
)
def test_verdicts_follow_the_intervals(cells, verdict):
    assert st.judge(cells) == verdict


def test_a_margin_lets_slightly_lower_pass():
    slightly = {("a", "x"): [-0.003, -0.0031]}
    assert (st.judge(slightly), st.judge(slightly, 0.005)) == ("no", "yes")


def test_intervals_are_those_of_students_t():
    mean, half = st.interval([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3)
    assert half == pytest.approx(4.302653 * np.std([1, 2, 4], ddof=1) / np.sqrt(3), rel=1e-5)
    assert np.isnan(st.interval([1.0])[1])
    assert st.points([0.01]) == "+1.0 points (1 seed)"
    assert st.points([-0.01, -0.01]) == "-1.0 ± 0.0 points (2 seeds)"
    text = st.extremes({("a", "x"): BETTER, ("a", "y"): WORSE, ("a", "z"): OPEN})
    assert text.startswith("lowest -2.0 ± 0.6 points (2 seeds) on a y, highest +2.0 ± 0.6")
    assert st.mean_sd()([0.5, 0.6]) == "55.0 ± 7.1" and st.mean_sd(2, 1)([0.5]) == "0.50"
