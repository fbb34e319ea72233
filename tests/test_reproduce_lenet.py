"""The experiment on LeNet-300-100, on digits and with a smaller net."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reproduce_digits import all_runs, digits_rows
from rich.console import Console

from benchmarks.reproduce import lenet, runs
from benchmarks.reproduce.lenet_page import DENSE, FIGURE, MAGNITUDE, MARKS, PRODUCT, VARIANT
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.settings import FULL, QUICK
from benchmarks.reproduce.training import FadingDropout, rate_factor
from skactprune import PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = replace(QUICK, seeds=2, lenet_compressions=(4, 8), lenet_epochs=5)
ROWS = digits_rows(500, 100, 200)
HIDDEN = (40, 20)
N_WEIGHTS = 64 * 40 + 40 * 20 + 20 * 10


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(Rows, "load", lambda name, n_rows: ROWS)
    monkeypatch.setattr(lenet, "HIDDEN", HIDDEN)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder and table of all runs."""
    folder = tmp_path_factory.mktemp("lenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "load", lambda name, n_rows: ROWS)
        patch.setattr(lenet, "HIDDEN", HIDDEN)
        table = all_runs(lenet, SETTINGS, folder)
    return folder, table


def test_full_runs_have_every_mark_and_the_variant_first():
    every = sorted(lenet.runs(FULL), key=lenet.stage)
    assert len(every) == FULL.seeds * (1 + 3 * 4) + 2 * 4
    first = every[: FULL.seeds * len(MARKS)]
    assert {run["method"] for run in first} == {DENSE, VARIANT}
    assert {run["compression"] for run in first} == set(MARKS)


@pytest.mark.parametrize("compression", [12, 68])
def test_fraction_leaves_as_many_weights_as_the_compression_says(compression):
    sizes = (784, 300, 100, 10)
    left = 265_200 * (1 - lenet.fraction(compression, sizes)) + 1000
    assert left == pytest.approx(266_200 / compression)


def test_compression_is_reached_and_the_output_layer_counts(done):
    table = done[1]
    pruned = table[table.method != DENSE]
    assert (pruned.reached >= pruned.compression).all()
    # Counts let neurons die, and their weights of the output layer go on top.
    assert (pruned.reached < 1.5 * pruned.compression).all()
    others = pruned[pruned.method != PRODUCT]
    assert (others.reached < 1.1 * others.compression).all()
    assert (table[table.method == DENSE].weights == N_WEIGHTS).all()
    assert_allclose(table.reached, N_WEIGHTS / table.weights, rtol=1e-5)
    by_layer = table.weights_by_layer.str.split("-", expand=True).astype(int)
    assert_array_equal(by_layer.sum(axis=1), table.weights)


@pytest.mark.parametrize("method", [VARIANT, MAGNITUDE, PRODUCT, DENSE])
def test_fit_has_all_training_rows_and_all_epochs(method, monkeypatch, tmp_path):
    seen = []
    fit = PrunedMLPClassifier.fit

    def spy(self, X, y):
        seen.append((X, fit(self, X, y)))
        return self

    monkeypatch.setattr(PrunedMLPClassifier, "fit", spy)
    run = {"dataset": "digits", "method": method, "compression": 4, "seed": 1}
    (row,) = lenet.execute(run, SETTINGS, tmp_path)
    ((X, net),) = seen
    expected, X_test = np.vstack([ROWS.X, ROWS.X_val]), ROWS.X_test
    if method == DENSE:
        expected, X_test = ((part - ROWS.X.mean()) / ROWS.X.std() for part in (expected, X_test))
    assert_array_equal(np.sort(X, axis=0), np.sort(expected, axis=0))
    assert row["epochs"] == net.n_iter_ == (12 if method == DENSE else 5)
    assert row["test_accuracy"] == net.score(X_test, ROWS.y_test)
    assert net.random_state == 1
    assert len(net.pruning_history_) == (method != DENSE) * 3  # rounds that share an epoch are one


def test_learning_rate_and_dropout_fall():
    factors = [rate_factor(epoch, 20) for epoch in range(21)]
    assert factors[:13] == [1.0] * 13
    assert (np.diff(factors[12:]) < 0).all()
    assert factors[-1] == 0
    seen = []

    class Seen(FadingDropout):
        def on_epoch_begin(self, net, **kwargs):
            super().on_epoch_begin(net, **kwargs)
            seen.append((net.module_.dropout, dict(net.callbacks_)["pruner"].masks_.sparsity))

    net = PrunedMLPClassifier(
        (20,), prune_fraction=0.9, n_prune_rounds=2, max_iter=4, dropout=(0.1, 0.4),
        net_params={"callbacks": [Seen(0.5)]}, random_state=0,
    ).fit(ROWS.X, ROWS.y)  # fmt: skip
    assert net.sparsity_ >= 0.9
    assert seen[0] == ((0.1, 0.4), 0)
    for rates, sparsity in seen:
        assert_allclose(rates, np.sqrt(1 - sparsity) * np.array([0.1, 0.4]))
    assert seen[-1][1] == pytest.approx(net.sparsity_)


def test_finished_runs_are_not_done_again(done, monkeypatch):
    folder = done[0]
    before = (folder / "lenet.csv").read_bytes()
    monkeypatch.setattr(runs, "_execute", lambda *args: pytest.fail("was run again"))
    runs.do(["lenet"], SETTINGS, folder, 1, Console(quiet=True))
    assert (folder / "lenet.csv").read_bytes() == before


def test_page_has_the_figure_and_every_error(done):
    folder, table = done
    lenet.draw(table, folder)
    assert (folder / FIGURE).stat().st_size > 10_000
    text = lenet.section(table)
    assert f"(reproduction/{FIGURE})" in text
    lines = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    for method, compression in [(DENSE, 1), (VARIANT, 4), (MAGNITUDE, 8), (PRODUCT, 8)]:
        name = method if method == DENSE else f"{compression}x, {method}"
        of = table[(table.method == method) & (table.compression == compression)]
        shown = lines[f"| {name}"].split(" | ")[2].split(" ± ")
        values = 100 * (1 - of["test_accuracy"])
        assert_allclose([float(n) for n in shown], [values.mean(), values.std()], atol=0.00501)


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ((1.3, 1.31, 1.32), "yes"),
        ((1.2, 1.39, 1.5), "yes, on average"),
        ((1.3, 1.5, 1.45), "no, on average"),
        ((1.5, 1.51, 1.52), "no"),
    ],
)
def test_marks_are_for_the_mean_and_say_where_seeds_leave_doubt(done, errors, verdict):
    table = done[1]
    of = table[(table.method == VARIANT) & (table.compression == 4)].iloc[[0] * 3]
    of = of.assign(compression=12, seed=range(3), test_accuracy=1 - np.array(errors) / 100)
    (answer,) = lenet.answers(of)
    assert answer.verdict == verdict
    assert "at most 1.4 %" in answer.question
    assert answer.effect.startswith(f"{np.mean(errors):.2f} ± ")
    assert answer.effect.endswith("% (3 seeds)")


def test_the_variant_is_compared_with_magnitude_by_seed(done):
    table = done[1].copy()
    for worse, verdict in ((0.0, "yes"), (0.002, "no")):
        table["test_accuracy"] = np.where(table.method == VARIANT, 0.98 - worse, 0.98)
        found = lenet.answers(table)
        assert found[-1].verdict == verdict
        assert f"{100 * worse:+.2f} ± 0.00 at 4x" in found[-1].effect
    assert [answer.question for answer in found if DENSE in answer.question]
