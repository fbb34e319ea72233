"""The experiment on the activation surgeon beside other scores, on digits."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reproduce_digits import all_runs, digits_rows
from rich.console import Console

from benchmarks.reproduce import runs, variant
from benchmarks.reproduce.nets import split
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.settings import FULL, QUICK
from benchmarks.reproduce.variant_page import (
    COUNT,
    DENSE,
    FIGURE,
    KERNEL_PCA,
    MAGNITUDE,
    PRODUCT,
    SCRATCH,
    VARIANT,
)
from skactprune import PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = replace(QUICK, seeds=2, variant_shares=(0.4, 0.2), variant_rows=400, variant_epochs=6)
ROWS = digits_rows(600, 100, 200)
HIDDEN = (40, 30, 20, 10)


def patched(patch):
    patch.setattr(Rows, "load", lambda name, n_rows: ROWS)
    patch.setattr(variant, "HIDDEN", HIDDEN)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    patched(monkeypatch)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder and table of all runs."""
    folder = tmp_path_factory.mktemp("variant")
    with pytest.MonkeyPatch.context() as patch:
        patched(patch)
        table = all_runs(variant, SETTINGS, folder)
    return folder, table


def test_sizes_of_the_full_runs(monkeypatch):
    monkeypatch.setattr(variant, "HIDDEN", (300, 200, 100, 50))
    every = list(variant.runs(FULL))
    sizes = {"300-200-100-50", "120-80-40-20", "60-40-20-10", "30-20-10-5"}
    assert {run["size"] for run in every} == sizes
    assert len(every) == FULL.seeds * (1 + 3 * (6 + 4 + 2))
    assert [run["seed"] for run in sorted(every, key=variant.stage)] == sorted(
        run["seed"] for run in every
    )


def test_nets_have_the_size_of_the_run(done):
    table = done[1]
    for row in table[table.granularity == "neuron"].itertuples():
        assert row.live == row.size
        assert (np.array(split(row.ranks)) <= split(row.live)).all()
    for size, of in table[table.method != DENSE].groupby("size"):
        sizes = [64, *split(size), 10]
        kept = sum(a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        same = of[(of.granularity == "neuron") | (of.method == SCRATCH)]
        assert_allclose(same.flops, 2 * kept)
        # Of the hidden weights, single weights leave as many; the output layer keeps its own.
        single = of[of.granularity == "weight"]
        assert (single.weights <= kept + 10 * (HIDDEN[-1] - sizes[-2])).all()
        assert (single.weights > 0.5 * kept).all()


@pytest.mark.parametrize("method", [VARIANT, DENSE, SCRATCH])
def test_fit_has_few_rows_and_scores_are_of_all_others(method, monkeypatch, tmp_path):
    seen = []
    fit = PrunedMLPClassifier.fit

    def spy(self, X, y):
        seen.append(X)
        return fit(self, X, y)

    monkeypatch.setattr(PrunedMLPClassifier, "fit", spy)
    run = dict(zip(variant.FIELDS, ("digits", "neuron", method, "8-6-4-2", 1), strict=True))
    (row,) = variant.execute(run, SETTINGS, tmp_path)
    assert [len(X) for X in seen] == [SETTINGS.variant_rows]
    assert row["test_accuracy"] * 200 == pytest.approx(round(row["test_accuracy"] * 200))
    assert row["epochs"] == SETTINGS.variant_epochs


def test_kernel_pca_is_of_the_dense_net_and_saves_weights(done):
    table = done[1]
    for row in table[table.method == KERNEL_PCA].itertuples():
        assert (np.array(split(row.ranks)) <= np.array(split(row.size)) + 1).all()
        assert row.flops == 2 * row.weights
    dense = table[table.method == DENSE]
    assert (table[table.method == KERNEL_PCA].weights < dense.weights.iloc[0]).all()


def test_finished_runs_are_not_done_again(done, monkeypatch):
    folder = done[0]
    before = (folder / "variant.csv").read_bytes()
    monkeypatch.setattr(runs, "_execute", lambda *args: pytest.fail("was run again"))
    runs.do(["variant"], SETTINGS, folder, 1, Console(quiet=True))
    assert (folder / "variant.csv").read_bytes() == before


def test_page_has_the_figure_and_every_accuracy(done):
    folder, table = done
    variant.draw(table, folder)
    assert (folder / FIGURE).stat().st_size > 20_000
    text = variant.section(table)
    assert f"(reproduction/{FIGURE})" in text
    assert text.index("### 16-12-8-4") < text.index("### 8-6-4-2")
    part = text[text.index("### 8-6-4-2") :]
    of = table[(table.method == COUNT) & (table["size"] == "8-6-4-2")]
    line = next(line for line in part.splitlines() if line.startswith(f"| {COUNT}, neurons"))
    for cell, name in zip(line.split(" | ")[1:3], ("validation", "test"), strict=True):
        values = 100 * of[f"{name}_accuracy"]
        shown = [float(number) for number in cell.split(" ± ")]
        assert_allclose(shown, [values.mean(), values.std()], atol=0.00501)


def test_answers_compare_at_the_same_size_and_granularity(done):
    table = done[1].copy()
    table["test_accuracy"] = np.where(table.method == VARIANT, 0.9, 0.901)
    table.loc[table.granularity == "weight", "test_accuracy"] -= 0.2
    found = {answer.question: answer for answer in variant.answers(table)}
    assert len(found) == 7 + 5
    for what, how, rival, verdict in (
        ("single weights", "as accurate as", MAGNITUDE, "yes"),
        ("single weights", "as accurate as", PRODUCT, "yes"),
        ("whole neurons", "more accurate than", MAGNITUDE, "no"),
        ("whole neurons", "more accurate than", COUNT, "no"),
        ("whole neurons", "more accurate than", SCRATCH, "no"),
    ):
        question = f"Removing {what}, is {VARIANT} {how} {rival} at the same size"
        (answer,) = (found[asked] for asked in found if asked.startswith(question))
        assert answer.verdict == verdict
        assert "-0.1 ± 0.0 points (2 seeds) on fashion-mnist" in answer.effect
