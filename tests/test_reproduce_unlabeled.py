"""The experiment on counting on rows without labels, on digits."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reproduce_digits import X, all_runs, digits_rows, y
from rich.console import Console

from benchmarks.reproduce import runs, unlabeled
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.settings import QUICK
from benchmarks.reproduce.unlabeled_page import (
    DENSE,
    FIGURE,
    LABELED,
    RANDOM,
    UNLABELED,
    averages,
    differences,
)
from skactprune import PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = replace(
    QUICK, seeds=2, datasets=("digits",), label_shares=(0.1, 1.0), label_epochs=(20, 8)
)
ROWS = digits_rows(600, 100, 200)


@pytest.fixture(autouse=True)
def digits(monkeypatch):
    monkeypatch.setattr(Rows, "load", lambda name, n_rows: ROWS)
    monkeypatch.setattr(unlabeled, "HIDDEN", (40, 20))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder and table of all runs."""
    folder = tmp_path_factory.mktemp("unlabeled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "load", lambda name, n_rows: ROWS)
        patch.setattr(unlabeled, "HIDDEN", (40, 20))
        table = all_runs(unlabeled, SETTINGS, folder)
    return folder, table


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_parts_are_disjoint_and_stratified(share):
    labeled, others = unlabeled.parts(y, share, 0)
    assert_array_equal(np.sort(np.concatenate([labeled, others])), np.arange(len(y)))
    assert len(labeled) == pytest.approx(0.9 * share * len(y), abs=1)
    expected = np.bincount(y) * len(labeled) / len(y)
    assert_allclose(np.bincount(y[labeled]), expected, atol=1.5)
    assert not np.array_equal(labeled, unlabeled.parts(y, share, 1)[0])


@pytest.mark.parametrize("method", [LABELED, UNLABELED, RANDOM, DENSE])
def test_fit_is_given_the_rows_of_its_method(method, monkeypatch, tmp_path):
    seen = []
    fit = PrunedMLPClassifier.fit

    def spy(self, X, y, sample_weight=None, X_unlabeled=None):
        seen.append((X, y, X_unlabeled))
        return fit(self, X, y, X_unlabeled=X_unlabeled)

    monkeypatch.setattr(PrunedMLPClassifier, "fit", spy)
    run = {"dataset": "digits", "share": 0.1, "method": method, "seed": 1}
    unlabeled.execute(run, SETTINGS, tmp_path)
    labeled, others = unlabeled.parts(ROWS.y, 0.1, 1)
    ((rows, labels, without),) = seen
    assert_array_equal(rows, ROWS.X[labeled])
    assert_array_equal(labels, ROWS.y[labeled])
    if method == UNLABELED:
        assert_array_equal(without, ROWS.X[others])
    else:
        assert without is None


def test_sparsity_and_accuracies_are_those_of_the_net(done):
    table = done[1]
    assert_allclose(table[table.method != DENSE].sparsity, 0.8, atol=0.05)
    assert (table[table.method == DENSE].sparsity == 0).all()
    row = table[(table.method == RANDOM) & (table.share == 1) & (table.seed == 1)].iloc[0]
    labeled, _ = unlabeled.parts(ROWS.y, 1.0, 1)
    net = PrunedMLPClassifier((40, 20), method="random", max_iter=8, random_state=1)
    net.fit(ROWS.X[labeled], ROWS.y[labeled])
    assert row["train_accuracy"] == pytest.approx(net.score(ROWS.X[labeled], ROWS.y[labeled]))
    assert row["validation_accuracy"] == pytest.approx(net.score(ROWS.X_val, ROWS.y_val))
    assert row["test_accuracy"] == pytest.approx(net.score(ROWS.X_test, ROWS.y_test))


def test_agreement_of_firing():
    net = PrunedMLPClassifier((4,), prune_fraction=0, max_iter=1, random_state=0).fit(X, y)
    net.coefs_[0][:] = 0
    net.coefs_[0][[0, 1, 2, 3], [0, 1, 2, 3]] = 1
    net.intercepts_[0][:] = -0.5
    first, last = np.zeros((2, 3, 64), np.float32)
    first[:, 0] = last[:, 3] = 1
    assert unlabeled.agreement(net, first, first) == 1
    assert unlabeled.agreement(net, first, last) == 0


def test_finished_runs_are_not_done_again(done, monkeypatch):
    folder = done[0]
    before = (folder / "unlabeled.csv").read_bytes()
    monkeypatch.setattr(runs, "_execute", lambda *args: pytest.fail("was run again"))
    runs.do(["unlabeled"], SETTINGS, folder, 1, Console(quiet=True))
    assert (folder / "unlabeled.csv").read_bytes() == before


def test_page_has_the_figure_and_every_accuracy(done):
    folder, table = done
    unlabeled.draw(table, folder)
    assert (folder / FIGURE).stat().st_size > 10_000
    text = unlabeled.section(table)
    assert f"(reproduction/{FIGURE})" in text
    assert "2 seeds" in text
    of = table[(table.method == UNLABELED) & (table.share == 0.1)]
    start = f"| 10 % labels, {UNLABELED} | "
    line = next(line for line in text.splitlines() if line.startswith(start))
    cells = line.removeprefix(start).split(" | ")
    for cell, part in zip(cells[:3], ("train", "validation", "test"), strict=True):
        values = 100 * of[f"{part}_accuracy"]
        shown = [float(number) for number in cell.split(" ± ")]
        # Numbers such as 49.75 may be rounded either way.
        assert_allclose(shown, [values.mean(), values.std()], atol=0.0501)


def test_answers_follow_from_paired_differences(done):
    table = done[1].copy()
    cells = differences(table, UNLABELED, LABELED)
    by_hand = {
        method: table[(table.method == method) & (table.share == 0.1)].sort_values("seed")
        for method in (UNLABELED, LABELED)
    }
    expected = [a - b for a, b in zip(*(by_hand[m].test_accuracy for m in by_hand), strict=True)]
    assert_allclose(cells["digits", "10 % labels"], expected)
    assert_allclose(averages(table), np.mean(list(cells.values()), axis=0))
    for lower, verdict in ((0.0, "yes"), (0.004, "yes"), (0.006, "no")):
        table["test_accuracy"] = np.where(table.method == UNLABELED, 0.9 - lower, 0.9)
        found = unlabeled.answers(table)
        assert [answer.claim for answer in found] == ["C6", "C6", "-"]
        assert [answer.verdict for answer in found[:2]] == [verdict] * 2
    assert found[2].verdict == "no"


def test_only_seeds_with_all_conditions_are_averaged(done):
    table = done[1]
    missing = (table.seed == 1) & (table.share == 1) & (table.method == LABELED)
    assert len(averages(table[~missing])) == 1
    assert len(averages(table[table.method != LABELED])) == 0
    unpaired = table[~table.method.isin([LABELED, RANDOM])]
    assert unlabeled.answers(unpaired) == []
