"""The experiment on dimensionality reduction, on digits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reproduce_digits import X, all_runs, digits_rows, y
from rich.console import Console
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.reproduce import reduction, runs
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.reduction_figures import DENSE, FIRST, PRUNED, SMALL, pack, unpack
from benchmarks.reproduce.reduction_page import differences
from benchmarks.reproduce.settings import QUICK
from benchmarks.reproduce.verdicts import extremes, judge

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = replace(
    QUICK,
    seeds=2,
    datasets=("digits",),
    adam_epochs=5,
    components=(2, 12),
    nca_rows=60,
    neighbor_rows=200,
)
ROWS = digits_rows(500, 100, 200)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder and table of all runs."""
    folder = tmp_path_factory.mktemp("reduction")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "load", lambda name, n_rows: ROWS)
        patch.setattr(reduction, "HIDDEN", (60, 16))
        patch.setattr(reduction, "NCA_ITERATIONS", 5)
        table = all_runs(reduction, SETTINGS, folder)
    return folder, table


def test_every_method_has_every_number_of_components_that_it_can_have(done):
    counts = done[1].groupby("model")["k"].agg(lambda k: sorted(set(k)))
    assert counts.pop("LDA") == [2, 9]
    assert set(counts.index) == {"PCA", "NCA", "random projection", PRUNED, FIRST, SMALL, DENSE}
    assert all(k == [2, 12] for k in counts)


def test_pca_is_scored_as_by_hand(done):
    table = done[1]
    row = table[(table.model == "PCA") & (table.k == 12) & (table.seed == 1)].iloc[0]
    by_hand = make_pipeline(PCA(12, svd_solver="full"), StandardScaler(), LogisticRegression())
    by_hand.fit(X[:500].astype(float), y[:500])
    assert row["logistic_train_accuracy"] == pytest.approx(by_hand.score(X[:500], y[:500]))
    assert row["logistic_validation_accuracy"] == pytest.approx(
        by_hand.score(X[500:600], y[500:600])
    )
    assert row["logistic_test_accuracy"] == pytest.approx(by_hand.score(X[600:800], y[600:800]))
    few = np.random.default_rng(1).choice(500, 200, replace=False)
    neighbors = KNeighborsClassifier().fit(by_hand[0].transform(X[few]), y[few])
    for part, at in (("train", few), ("test", slice(600, 800))):
        score = neighbors.score(by_hand[0].transform(X[at]), y[at])
        assert row[f"neighbors_{part}_accuracy"] == pytest.approx(score)
    # All 200 test rows are judged, so that the draw does not matter.
    expected = trustworthiness(X[600:800], by_hand[0].transform(X[600:800]))
    assert row["trustworthiness"] == pytest.approx(expected, abs=1e-5)


def test_the_net_keeps_as_many_neurons_as_components(monkeypatch):
    monkeypatch.setattr(reduction, "HIDDEN", (60, 16))
    of = {(model, k): transform for model, k, transform, _ in reduction._pruned(ROWS, SETTINGS, 0)}
    for k in (2, 12):
        assert np.linalg.matrix_rank(of[PRUNED, k](X).astype(float)) == k
        small = of[SMALL, k].__self__
        assert small.coefs_[0].shape == of[PRUNED, k].__self__.coefs_[0].shape
        assert small.coefs_[1].shape[1] == k
        assert small.sparsity_ == 0


def test_first_components_are_those_of_fewer_components(monkeypatch):
    monkeypatch.setattr(reduction, "HIDDEN", (60, 16))
    for method in (reduction._dense, reduction._pruned_first):
        (_, _, two, _), (_, _, twelve, _) = method(ROWS, SETTINGS, 0)
        params = {"prune_fraction": 0} if method is reduction._dense else {"transform_layer": 0}
        net = reduction._fitted(ROWS, SETTINGS, 0, n_components=2, **params)
        assert two(X).shape == (len(X), 2)
        # The product has other last bits with more columns.
        assert_allclose(two(X), net.transform(X), atol=1e-5)
        assert_array_equal(two(X), twelve(X)[:, :2])


def test_runs_are_determined_by_the_seed(done, monkeypatch):
    monkeypatch.setattr(Rows, "load", lambda name, n_rows: ROWS)
    run = {"dataset": "digits", "method": "random projection", "seed": 1}
    again = pd.DataFrame(reduction.execute(run, SETTINGS, done[0]))
    table = done[1]
    first = table[(table.method == run["method"]) & (table.seed == 1)]
    assert len(again) == len(first)
    for column in again.columns.drop("model"):
        assert_allclose(again[column], first[column], rtol=1e-5)


def test_finished_runs_are_not_done_again(done, monkeypatch):
    folder = done[0]
    before = (folder / "reduction.csv").read_bytes()
    monkeypatch.setattr(runs, "_execute", lambda *args: pytest.fail("was run again"))
    runs.do(["reduction"], SETTINGS, folder, 1, Console(quiet=True))
    assert (folder / "reduction.csv").read_bytes() == before


def test_points_survive_the_file():
    Z = np.random.default_rng(0).normal(size=(20, 2))
    labels = np.arange(20) % 10
    points, read = unpack(pack(Z, labels))
    assert_array_equal(read, labels)
    assert_allclose(points, (Z - Z.min(axis=0)) / np.ptp(Z, axis=0), atol=1e-3)
    flat, _ = unpack(pack(np.zeros((20, 2)), labels))
    assert_array_equal(flat, 0)


def test_page_has_figures_and_every_accuracy(done):
    folder, table = done
    reduction.draw(table, folder)
    text = reduction.section(table)
    for name in ("reduction-scores-digits.png", "reduction-maps-digits.png"):
        assert (folder / name).stat().st_size > 10_000
        assert f"(reproduction/{name})" in text
    of = table[(table.model == PRUNED) & (table.k == 12)]
    line = next(line for line in text.splitlines() if line.startswith(f"| {PRUNED} | 12 |"))
    cells = line.strip("| ").split(" | ")
    columns = [f"{p}_{q}_accuracy" for p in ("logistic", "neighbors", "own")
               for q in ("train", "validation", "test")]  # fmt: skip
    # Numbers such as 49.75 may be rounded either way.
    for cell, column in zip(cells[2:], columns, strict=True):
        values = 100 * of[column]
        shown = [float(part) for part in cell.split(" ± ")]
        assert_allclose(shown, [values.mean(), values.std()], atol=0.0501)
    assert "2 seeds" in text


def test_page_without_maps_where_two_components_were_not_asked_for(done, tmp_path):
    rows = done[1].drop(columns="points")
    reduction.draw(rows[rows.k != 2], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["reduction-scores-digits.png"]
    assert "maps" not in reduction.section(rows)


def test_answers_follow_from_paired_differences(done):
    table = done[1].copy()
    cells = differences(table, "PCA", "logistic_test_accuracy")
    wide = table[table.k == 12].pivot(index="seed", columns="model")["logistic_test_accuracy"]
    assert_allclose(cells["digits", "k = 12"], wide[PRUNED] - wide["PCA"])
    pruned = table.model == PRUNED
    for value, verdict in ((1.0, "yes"), (0.0, "no")):
        table.loc[pruned, ["logistic_test_accuracy", "trustworthiness"]] = value
        table.loc[~pruned, ["logistic_test_accuracy", "trustworthiness"]] = 0.5
        assert [answer.verdict for answer in reduction.answers(table)] == [verdict] * 5


def test_no_answer_without_the_rival(done):
    table = done[1]
    assert reduction.answers(table[table.model != PRUNED]) == []


BETTER, WORSE, OPEN = [0.02, 0.021], [-0.02, -0.021], [0.05, -0.05]


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ({("a", "k = 2"): BETTER, ("a", "k = 5"): BETTER}, "yes"),
        ({("a", "k = 2"): WORSE, ("a", "k = 5"): WORSE}, "no"),
        ({("a", "k = 2"): OPEN, ("b", "k = 2"): [0.3]}, "not decided"),
        ({("a", "k = 2"): BETTER, ("a", "k = 5"): WORSE}, "only on a k = 2"),
        (
            {("a", "k = 2"): BETTER, ("a", "k = 5"): BETTER, ("b", "k = 2"): OPEN},
            "only on a k = 2, k = 5; not decided on b k = 2",
        ),
        ({("a", "k = 2"): WORSE, ("b", "k = 2"): OPEN}, "no on a k = 2; not decided on b k = 2"),
    ],
)
def test_verdicts(cells, verdict):
    assert judge(cells) == verdict


def test_margin_lets_slightly_lower_pass():
    slightly = {("a", "k = 2"): [-0.003, -0.0031]}
    assert judge(slightly) == "no"
    assert judge(slightly, 0.005) == "yes"


def test_extremes_are_the_lowest_and_highest_means():
    text = extremes({("a", "x"): BETTER, ("a", "y"): WORSE, ("a", "z"): OPEN})
    assert text.startswith("lowest -2.0 ± 0.6 points (2 seeds) on a y, highest +2.0 ± 0.6")
