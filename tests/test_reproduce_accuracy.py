"""The paper's protocol, the experiment on accuracy and the page, on digits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from reproduce_digits import all_runs, digits_rows
from rich.console import Console

from benchmarks.reproduce import accuracy, nets, page, protocol
from benchmarks.reproduce.accuracy_page import PAPER, RIVALS
from benchmarks.reproduce.answers import interval, points
from benchmarks.reproduce.protocol import DeadlineTrigger, Ending, Rows, estimator
from benchmarks.reproduce.runs import Table, do, key
from benchmarks.reproduce.settings import Settings
from skactprune.spectra import numerical_rank

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = Settings("tiny", 3, ("digits",), max_epochs=6, fractions=(0.5, 0.7), rounds=(2, 3))
ROWS = digits_rows(500, 100, 200)


@pytest.fixture(scope="module", autouse=True)
def digits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "load", lambda name, n_rows: ROWS)
        patch.setattr(protocol, "HIDDEN", (24, 16, 12))
        patch.setattr(protocol, "RATE", 0.1)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder and table of all runs."""
    folder = tmp_path_factory.mktemp("accuracy")
    return folder, all_runs(accuracy, SETTINGS, folder)


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
    losses = [1.0, 1.2, 1.15, 1.05, 1.08, 1.2, 1.3]
    ticks = []
    for loss in losses:
        end = ending._ticked(loss)
        ticks.append(ending.ticks_)
    assert ticks == [0, 1, 1, 1, 1, 2, 3]
    assert end


def test_ticks_count_after_the_last_round_only(monkeypatch):
    rising = iter(np.arange(1.0, 100.0, 2.0))
    monkeypatch.setattr(protocol, "validation_loss", lambda net, rows: next(rising))
    params = {"max_iter": 20, "learning_rate_init": 1e-6}
    assert estimator(ROWS, 0, **params).fit(ROWS.X, ROWS.y).n_iter_ == 4
    pruned = estimator(ROWS, 0, "random", 0.5, 2, trigger=DeadlineTrigger(deadline=10), **params)
    assert pruned.fit(ROWS.X, ROWS.y).n_iter_ == 10 + 3


def test_training_ends_at_the_accuracy(monkeypatch):
    monkeypatch.setattr(protocol, "validation_loss", lambda net, rows: 1.0)
    net = estimator(ROWS, 0, max_iter=200, learning_rate_init=0.1).fit(ROWS.X, ROWS.y)
    assert net.n_iter_ < 200
    assert net.score(ROWS.X, ROWS.y) > 0.96


def test_low_rank_stays_low_in_training_and_learns():
    net = estimator(ROWS, 0, max_iter=15, learning_rate_init=0.1).fit(ROWS.X, ROWS.y)
    kernels, size = nets.low_rank("truncated SVD", net.coefs_, [5, 4, 3])
    assert [numerical_rank(kernel) for kernel in kernels[:-1]] == [5, 4, 3]
    shapes = [kernel.shape for kernel in kernels]
    factors = sum(r * sum(shape) for r, shape in zip([5, 4, 3], shapes[:-1], strict=True))
    assert size == {"weights": factors + 120, "flops": 2 * (factors + 120)}
    same = nets.retrained(ROWS, kernels, net.intercepts_, 0, 0)
    assert same[2] == 0
    for ours, theirs in zip(same[0], kernels, strict=True):
        assert_allclose(ours, theirs, atol=1e-5)
    coefs, intercepts, took = nets.retrained(ROWS, kernels, net.intercepts_, 10, 0)
    assert 1 <= took <= 10
    assert [numerical_rank(coef) for coef in coefs[:-1]] == [5, 4, 3]
    before, after = (
        nets.describe(ROWS, *weights)["train_accuracy"]
        for weights in ((kernels, net.intercepts_), (coefs, intercepts))
    )
    assert after > before


def test_kernel_pca_may_have_one_rank_more():
    net = estimator(ROWS, 0, max_iter=2).fit(ROWS.X, ROWS.y)
    kernels, _ = nets.low_rank("kernel PCA", net.coefs_, [5, 4, 3])
    assert [numerical_rank(kernel) for kernel in kernels[:-1]] == [6, 5, 4]


def test_rows_say_what_the_estimator_says(done):
    row = done[1].query("method == 'count' and fraction == 0.5 and rounds == 2 and seed == 1")
    row = row[row["model"] == "pruned"].iloc[0]
    params = {"max_iter": 6, "trigger": DeadlineTrigger(deadline=3)}
    net = estimator(ROWS, 1, accuracy.METHODS["count"], 0.5, 2, **params).fit(ROWS.X, ROWS.y)
    assert row["test_accuracy"] == pytest.approx(net.score(ROWS.X_test, ROWS.y_test), rel=1e-5)
    assert row["validation_accuracy"] == pytest.approx(net.score(ROWS.X_val, ROWS.y_val), rel=1e-5)
    assert row["sparsity"] == pytest.approx(net.sparsity_, rel=1e-5)
    assert nets.split(row["live"]) == [len(live) for live in net.live_neurons_]
    assert nets.split(row["ranks"]) == net.hidden_ranks_
    assert row["weights"] == sum(np.count_nonzero(coef) for coef in net.coefs_)
    assert row["epochs"] == net.n_iter_


def test_exact_fractions_are_exact_and_the_authors_are_not(done):
    pruned = done[1][done[1]["model"] == "pruned"]
    over = pruned["sparsity"] - pruned["fraction"]
    paper = pruned["method"].isin(PAPER)
    assert (over > -1e-6).all()
    assert over[paper].max() > 0.1
    exact = pruned["method"].str.contains("exact") & ~pruned["method"].str.contains("layer")
    assert over[exact & ~paper].max() < 0.1


def test_rivals_are_of_the_size_of_the_pruned_net(done):
    table = done[1].query("rounds == 2 and seed < 2")
    table = table[table["method"].isin(PAPER)]
    for _, of in table.groupby(["method", "fraction", "seed"]):
        assert sorted(of["model"]) == sorted(RIVALS)
        of = of.set_index("model")
        assert of.loc["small from scratch", "live"] == of.loc["pruned", "live"]
        ranks = nets.split(of.loc["pruned", "ranks"])
        assert nets.split(of.loc["truncated SVD, retrained", "ranks"]) == ranks


def test_more_seeds_where_the_verdicts_are():
    runs = pd.DataFrame(accuracy.runs(SETTINGS))
    later = runs[runs["seed"] == 2]
    assert set(later["method"]) == {"dense", *accuracy.DECIDING}
    assert set(runs[(runs["seed"] < 2) & (runs["rounds"] == 2)]["method"]) == set(accuracy.METHODS)
    assert set(runs[runs["rounds"] == 3]["method"]) == set(accuracy.CENTRAL)


def test_finished_runs_are_not_done_again(done, monkeypatch):
    folder, table = done

    def fail(*args):
        raise AssertionError

    monkeypatch.setattr("benchmarks.reproduce.runs.ProcessPoolExecutor.submit", fail)
    tables = do(["accuracy"], SETTINGS, folder, 1, Console(quiet=True))
    pd.testing.assert_frame_equal(tables["accuracy"], table)
    with pytest.raises(AssertionError):
        do(["accuracy"], replace(SETTINGS, seeds=4), folder, 1, Console(quiet=True))


def test_a_file_gives_back_the_keys_of_its_runs(tmp_path):
    run = {"dataset": "digits", "fraction": 0.85, "rounds": 10, "seed": 1}
    table = Table(tmp_path / "a.csv", list(run))
    assert table.finished() == set()
    table.put(run, [{"a": 1.0}, {"a": 2.0}])
    assert Table(tmp_path / "a.csv", list(run)).finished() == {key(run)}
    assert key(run | {"seed": 2}) != key(run)


def test_the_page_leads_with_answers(done):
    folder, table = done
    page.write({"accuracy": table}, SETTINGS, folder, folder / "page.md")
    text = (folder / "page.md").read_text("utf-8")
    assert text.index("## Answers") < text.index("## Accuracy") < text.index("## Protocol")
    assert "nan" not in text
    for link in ("accuracy-fractions.png", "accuracy-rivals.png"):
        assert f"({folder.name}/{link})" in text
        assert (folder / link).stat().st_size > 10_000


def test_answers_follow_the_differences(done):
    table = done[1].copy()
    pruned = (table["model"] == "pruned") & (table["rounds"] == 2)
    cases = ("count", -0.006, "no"), ("count x magnitude", -0.004, "yes")
    for method, gain, verdict in cases:
        rival = table[pruned & (table["method"] == "magnitude, global")]
        by_run = rival.set_index(["fraction", "seed"])["test_accuracy"]
        of = pruned & (table["method"] == method)
        runs = pd.MultiIndex.from_frame(table.loc[of, ["fraction", "seed"]])
        table.loc[of, "test_accuracy"] = by_run.loc[runs].to_numpy() + gain
        question = f"Is {method} as accurate as"
        (answer,) = [a for a in accuracy.answers(table) if a.question.startswith(question + " gl")]
        assert (answer.claim, answer.verdict) == ("C1", verdict)


def test_intervals_are_those_of_students_t():
    mean, half = interval([1.0, 2.0, 4.0])
    assert mean == pytest.approx(7 / 3)
    assert half == pytest.approx(4.302653 * np.std([1, 2, 4], ddof=1) / np.sqrt(3), rel=1e-5)
    assert np.isnan(interval([1.0])[1])
    assert points([0.01]) == "+1.0 points (1 seed)"
    assert points([-0.01, -0.01]) == "-1.0 ± 0.0 points (2 seeds)"
