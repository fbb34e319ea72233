"""The experiment on the estimator's defaults, on digits."""

import pandas as pd
import pytest
from reproduce_digits import all_runs, digits_rows

from benchmarks.reproduce import defaults, nets
from benchmarks.reproduce.defaults_page import DEFAULT, FIGURE, QUESTIONS, RIVALS, STYLES
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.settings import Settings
from skactprune import PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = Settings(
    "tiny", 2, ("digits",), fractions=(0.5, 0.7), rounds=(2, 3), default_epochs=12
)  # fmt: skip
ROWS = digits_rows(500, 100, 200)
SIZES = (24, 16)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder and table of all runs."""
    folder = tmp_path_factory.mktemp("defaults")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "load", lambda name, n_rows: ROWS)
        patch.setattr(defaults, "HIDDEN", SIZES)
        return folder, all_runs(defaults, SETTINGS, folder)


def test_every_method_at_every_fraction(done):
    pruned = done[1][done[1]["model"] == "pruned"]
    for rounds, methods in ((2, set(STYLES)), (3, {DEFAULT})):
        for _, of in pruned[pruned["rounds"] == rounds].groupby(["fraction", "seed"]):
            assert set(of["method"]) == methods
    assert (pruned["sparsity"] >= pruned["fraction"] - 1e-6).all()


def test_rows_are_those_of_the_estimators_defaults(done):
    row = done[1].query("method == @DEFAULT and fraction == 0.7 and rounds == 3 and seed == 1")
    net = PrunedMLPClassifier(
        SIZES, prune_fraction=0.7, n_prune_rounds=3, max_iter=12, random_state=1
    ).fit(ROWS.X, ROWS.y)
    (accuracy,) = row["test_accuracy"]
    assert accuracy == pytest.approx(net.score(ROWS.X_test, ROWS.y_test), rel=1e-5)
    assert nets.split(row["live"].iloc[0]) == [len(live) for live in net.live_neurons_]


def test_rivals_have_the_ranks_and_sizes_of_the_default(done):
    of = done[1].query("method == @DEFAULT and fraction == 0.7 and rounds == 2 and seed == 0")
    assert sorted(of["model"]) == sorted(RIVALS)
    of = of.set_index("model")
    assert of.loc["truncated SVD", "ranks"] == of.loc["pruned", "ranks"]
    assert of.loc["small from scratch", "live"] == of.loc["pruned", "live"]


def test_answers_follow_the_differences(done):
    table = done[1].copy()
    pruned = (table["model"] == "pruned") & (table["rounds"] == 2)
    ours = table[pruned & (table["method"] == DEFAULT)].set_index(["fraction", "seed"])
    for rival, gain in (("magnitude", 0.004), ("random", -0.01)):
        of = pruned & (table["method"] == rival)
        runs = pd.MultiIndex.from_frame(table.loc[of, ["fraction", "seed"]])
        table.loc[of, "test_accuracy"] = ours["test_accuracy"].loc[runs].to_numpy() + gain
    of = (table["model"] == "kernel PCA") & (table["rounds"] == 2)
    table.loc[of, "test_accuracy"] = ours["test_accuracy"].to_numpy() + 0.01
    found = {answer.question: answer.verdict for answer in defaults.answers(table)}
    for (_, rival, _, text), verdict in zip(
        QUESTIONS, ("yes", None, "yes", None, "no"), strict=True
    ):
        if verdict:
            assert found[f"Is a net pruned by the estimator's defaults {text}?"] == verdict, rival


def test_section_and_figure(done):
    folder, table = done
    defaults.draw(table, folder)
    assert (folder / FIGURE).stat().st_size > 10_000
    text = defaults.section(table)
    assert "nan" not in text
    assert f"(reproduction/{FIGURE})" in text
    assert "at most 12 epochs" in text
