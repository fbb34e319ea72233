"""The experiment on nuclear norms, on digits."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from reproduce_digits import all_runs, digits_rows
from rich.console import Console

from benchmarks.reproduce import nuclear, nuclear_effects, protocol
from benchmarks.reproduce.moments import Moments, unpack
from benchmarks.reproduce.nets import split
from benchmarks.reproduce.nuclear_effects import compare, matched, profile
from benchmarks.reproduce.protocol import Rows, estimator
from benchmarks.reproduce.runs import do
from benchmarks.reproduce.settings import Settings
from skactprune.methods import Activation
from skactprune.pruning.triggers import EpochTrigger
from skactprune.spectra import singular_values

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = Settings(
    "tiny", 2, spectra_datasets=("digits",), spectra_epochs=15, nuclear_rounds=(1, 5)
)
ROWS = digits_rows(320, 180)


@pytest.fixture(scope="module", autouse=True)
def digits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "load", lambda name, n_rows: ROWS)
        patch.setattr(protocol, "HIDDEN", (40, 30, 20, 10))
        # Few rows: by the authors' steps they would not reach the accuracy of the first penalty.
        for module in (protocol, nuclear_effects):
            patch.setattr(module, "RATE", 0.05)
            patch.setattr(module, "BATCH", 8)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder and table of all runs."""
    folder = tmp_path_factory.mktemp("nuclear")
    table = all_runs(nuclear, SETTINGS, folder)
    return folder, table


@pytest.fixture(scope="module")
def effects():
    """A round of a small net, and what it and an epoch with penalties do."""
    moments = Moments()
    estimator(
        ROWS, 0, Activation(), 0.4, 1, max_iter=3, trigger=EpochTrigger(0.5, 0.5),
        callbacks=[moments], hidden_layer_sizes=(20, 15),
    ).fit(ROWS.X, ROWS.y)  # fmt: skip
    (moment,) = moments.rounds_
    return moment, pd.DataFrame(compare(moment, ROWS, 0, 100.0))


def test_a_round_is_described_by_its_weights(effects):
    moment, table = effects
    rows = table[table.effect == "round"]
    for (_, row), before, after in zip(
        rows.iterrows(), moment["before"][0], moment["after"][0], strict=False
    ):
        assert row["norm_before"] == pytest.approx(np.linalg.norm(before, "nuc"), rel=1e-5)
        assert row["norm_after"] == pytest.approx(np.linalg.norm(after, "nuc"), rel=1e-5)
        (ratios,) = unpack([row["profile"]])
        s, left = singular_values(before), singular_values(after)
        assert ratios[0] == pytest.approx(left[0] / s[0], rel=1e-3)
        assert ratios[-1] == (0 if len(left) < len(s) else ratios[-1])


def test_penalties_leave_as_much_as_the_round(effects):
    _, table = effects
    norms = table.groupby("effect")[["norm_before", "norm_after"]].sum()
    left = norms["norm_after"] / norms["norm_before"]
    assert left["linear"] == pytest.approx(left["round"], abs=0.02)
    assert left["uniform"] == pytest.approx(left["round"], abs=0.02)
    assert 0.3 < left["round"] < 0.9 < left["training"]
    assert left["paper"] < 0.01


def test_weights_grow_along_the_spectrum(effects):
    _, table = effects
    lower = table.groupby("effect")["lower_half"].mean()
    assert lower["linear"] > lower["uniform"] + 0.1


@pytest.mark.parametrize("slopes", ["linear", "uniform"])
def test_strength_where_the_loss_pulls_back(slopes):
    plain = [np.linspace(2, 0.5, 10), np.linspace(1, 0.2, 6)]
    slope = {"linear": lambda n: np.arange(1, n + 1), "uniform": np.ones}[slopes]
    asked = []

    def penalized(alpha):
        asked.append(alpha)
        # Half of what the penalty alone would do.
        half = 0.5 * 50 * nuclear_effects.RATE * alpha
        return [np.maximum(s - half * slope(len(s)), 0) for s in plain]

    alpha, before, after = matched(plain, 0.6, slopes, 50, penalized)
    assert before is plain and alpha in asked and len(asked) <= 5
    assert sum(map(np.sum, after)) / sum(map(np.sum, plain)) == pytest.approx(0.6, abs=0.01)


def test_profile_of_a_fall_in_the_lower_half():
    row = profile(np.array([4.0, 3.0, 2.0, 1.0]), np.array([4.0, 3.0, 1.0]))
    assert row["norm_before"] == 10 and row["norm_after"] == 8 and row["lower_half"] == 1
    assert_allclose(np.unique(unpack([row["profile"]])), [0, 0.5, 1])
    row = profile(np.array([4.0, 3.0, 2.0, 1.0]), np.array([2.0, 3.0, 2.0, 1.0]))
    assert row["lower_half"] == 0
    assert np.isnan(profile(np.ones(3), np.ones(3))["lower_half"])


def test_all_runs_are_there(done):
    _, table = done
    ends = table[table.effect == "end"]
    assert len(ends) == 2 * (1 + 1 + len(SETTINGS.nuclear_alphas))
    assert table["round"].value_counts().to_dict() == {1: 2 * 5 * 4, 5: 2 * 5 * 4}
    assert all(max(split(ranks)) <= 40 for ranks in ends["ranks"])
    dense = ends[(ends.part == "penalty") & (ends.alpha == 0)]
    strong = ends[(ends.part == "penalty") & (ends.alpha == 1)]
    assert strong["effective_share"].max() < 0.5 < 0.8 < dense["effective_share"].min()


def test_a_run_gives_the_same_rows_again(done):
    _, table = done
    run = {"dataset": "digits", "part": "rounds", "alpha": 0.0, "seed": 1}
    again = pd.DataFrame(nuclear.execute(run, SETTINGS, None))
    stored = table[(table.part == "rounds") & (table.seed == 1)]
    assert list(again["profile"].dropna()) == list(stored["profile"].dropna())
    assert_allclose(again["strength"].dropna(), stored["strength"].dropna(), rtol=1e-5)


def test_figures_and_page(done):
    folder, table = done
    nuclear.draw(table, folder)
    page = nuclear.section(table)
    links = [part.split(")")[0] for part in page.split("(reproduction/")[1:]]
    assert len(links) == 2
    for name in links:
        assert (folder / name).stat().st_size > 10_000
    found = nuclear.answers(table)
    assert [answer.claim for answer in found] == ["C4", "C4", "-", "-"]
    assert {answer.figure for answer in found} == set(links)
    assert "nan" not in page


def test_one_seed_decides_nothing(done):
    _, table = done
    for answer in nuclear.answers(table[table.seed == 0]):
        assert answer.verdict == "not decided by 1 seed"
        assert "nan" not in answer.effect


def test_distances_by_hand():
    profiles = {("round", 0): [1, 0], ("round", 1): [0, 0], ("round", 2): [1, 1],
                ("linear", 0): [1, 1], ("linear", 1): [0, 0], ("linear", 2): [0, 0]}  # fmt: skip
    table = pd.DataFrame(
        [
            {"dataset": "d", "round": 1, "layer": 1, "seed": seed, "effect": effect,
             "profile": " ".join(map(str, values))}
            for (effect, seed), values in profiles.items()
        ]
    )  # fmt: skip
    to_penalty, to_seeds = nuclear.distances(table, "linear")
    assert_allclose(to_penalty, [0.5, 0, 1])
    assert_allclose(to_seeds, [0.5, 0.75, 0.75])


@pytest.mark.parametrize(
    ("to_penalty", "verdict"),
    [([0.1, 0.11, 0.1], "yes"), ([0.4, 0.41, 0.4], "no"), ([0.1, 0.5, 0.2], "not decided by 3")],
)
def test_verdict_on_profiles(to_penalty, verdict):
    found = nuclear.verdict(np.array(to_penalty), np.array([0.2, 0.21, 0.2]))
    assert found.startswith(verdict)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [([0.1, 0.2, 0.1], "yes"), ([-3, -3.1, -3], "no"), ([-3, 3, 0], "not decided by 3 seeds")],
)
def test_verdict_on_accuracy(differences, verdict):
    assert nuclear._as_accurate(np.array(differences)) == verdict


def test_seeds_under_way_are_left_out(done, tmp_path):
    _, table = done
    first = table[table.seed == 0]
    under_way = table[(table.seed == 0) | (table.part == "penalty")]
    assert nuclear.section(under_way) == nuclear.section(first)
    under_way = table[(table.part == "penalty")]
    assert nuclear.answers(under_way) == []
    assert "No seed is finished" in nuclear.section(under_way)
    nuclear.draw(under_way, tmp_path)
    assert not list(tmp_path.iterdir())


def test_finished_runs_are_not_done_again(done):
    folder, _ = done
    before = (folder / "nuclear.csv").stat().st_mtime_ns
    do(["nuclear"], SETTINGS, folder, 1, Console(stderr=True))
    assert (folder / "nuclear.csv").stat().st_mtime_ns == before
