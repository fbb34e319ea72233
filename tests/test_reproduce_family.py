"""What all experiments have in common, on digits; and the committed page."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console
from skorch.callbacks import Callback

from benchmarks import pages
from benchmarks.reproduce import EXPERIMENTS, page, runner
from benchmarks.reproduce.figures import save
from skactprune import PrunedMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DOCS = Path(__file__).parents[1] / "docs"
QUIET = Console(quiet=True)
SMALL = {"datasets": ("digits",), "n_rows": 300, "seeds": 2, "hidden": (16, 12)}
TINY = {
    "accuracy": SMALL | {"epochs": 3, "fractions": (0.5,), "rounds": (1,)},
    "defaults": SMALL | {"epochs": 3, "fractions": (0.5,), "rounds": (1,)},
    "whitened": SMALL | {"epochs": 3, "fractions": (0.5,), "rounds": (1,)},
    "spectra": SMALL | {"hidden": (20, 15, 10), "epochs": 9},
    "nuclear": SMALL | {"epochs": 9, "rate": 0.05, "batch": 20, "rounds": (1, 5)},
    "reduction": SMALL
    | {"hidden": (60, 16), "epochs": 3, "components": (2, 12), "neighbor_rows": 100, "nca_rows": 60}
    | {"nca_iterations": 3},
    "unlabeled": SMALL | {"epochs": {0.1: 4, 1.0: 3}},
    "variant": SMALL | {"hidden": (20, 15, 10, 5), "n_train": 200, "epochs": 4, "shares": (0.4,)},
    "scores": SMALL | {"hidden": (20, 15, 10, 5), "n_train": 200, "epochs": 4, "shares": (0.4,)},
    "lenet": SMALL | {"hidden": (30, 20), "epochs": 4, "compressions": (4, 8)},
}


@pytest.fixture(scope="module", params=EXPERIMENTS)
def done(request, tmp_path_factory):
    """An experiment, its settings, folder and rows after all of its runs."""
    experiment = EXPERIMENTS[request.param]
    settings = experiment.QUICK.but(**TINY[request.param])
    folder = tmp_path_factory.mktemp(request.param)
    runner.run(experiment, settings, folder, 1, QUIET)
    return experiment, settings, folder, runner.Table(experiment, folder).rows


def test_every_run_has_rows_and_is_done_once(done, monkeypatch):
    experiment, settings, folder, rows = done
    wanted = list(experiment.runs(settings))
    assert len(set(wanted)) == len(wanted)
    assert set(rows[list(experiment.FIELDS)].itertuples(index=False, name=None)) == set(wanted)
    (file,) = folder.glob("*.csv")
    before = file.read_bytes()
    monkeypatch.setattr(experiment, "execute", lambda *args, **run: pytest.fail("run again"))
    runner.run(experiment, settings, folder, 1, QUIET)
    assert file.read_bytes() == before


def test_a_run_gives_the_same_rows_again(done):
    experiment, settings, folder, rows = done
    run = list(experiment.runs(settings))[-1]
    again = pd.DataFrame(
        experiment.execute(settings, folder, **dict(zip(experiment.FIELDS, run, strict=True)))
    )
    fields = list(experiment.FIELDS)
    stored = rows.set_index(fields).sort_index().loc[[run], list(again)].reset_index(drop=True)
    stored = stored.drop(columns="seconds", errors="ignore")
    pd.testing.assert_frame_equal(again[list(stored)], stored, check_dtype=False, rtol=1e-5)


def test_accuracies_are_shares_of_rows(done):
    accuracies = done[3].filter(like="accuracy")
    assert accuracies.size
    assert accuracies.min().min() >= 0 and accuracies.max().max() <= 1


def test_tables_figures_and_answers_belong_together(done, tmp_path):
    experiment, _, folder, rows = done
    tables = dict(experiment.tables(rows))
    for table in tables.values():
        text = pages.markdown(table)
        assert len(table) and not {"nan", "None"} & set(text.split())
    drawn = dict(experiment.figures(rows, folder))
    for figure in drawn.values():
        assert all(ax.has_data() for ax in figure.axes if ax.get_visible())
    for file, figure in list(drawn.items())[-1:]:
        save(figure, tmp_path / file)
        assert (tmp_path / file).stat().st_size > 5_000
    for answer in experiment.answers(rows):
        assert answer.answer.startswith(("yes", "no", "only"))
        assert answer.question.endswith("?") and "nan" not in answer.effect
        assert answer.figure in ("", *drawn)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_full_settings_have_what_the_quick_ones_have(name):
    experiment = EXPERIMENTS[name]
    assert vars(experiment.FULL).keys() == vars(experiment.QUICK).keys()
    full, quick = (len(list(experiment.runs(s))) for s in (experiment.FULL, experiment.QUICK))
    assert full > quick > 0


def test_the_committed_page_is_that_of_the_committed_rows(monkeypatch):
    monkeypatch.chdir(DOCS.parent)
    text = (DOCS / page.NAME).read_text("utf-8")
    tables = page.results(EXPERIMENTS, DOCS / "reproduction", draw=False)
    # A place without a table is of an experiment that was not run; the prose does not rest on it.
    rows = {file.stem for file in DOCS.glob("reproduction/*.csv")}
    not_run = {f"{name}-" for name in set(EXPERIMENTS) - rows}
    for place in set(pages.places(text)) ^ set(tables):
        assert place.startswith(tuple(not_run))
        assert f"<!-- table: {place} -->\nNot run yet.\n<!-- end -->" in text
    assert pages.fill(text, tables) == text
    links = {line.split("](")[1].rstrip(")") for line in text.splitlines() if line[:2] == "!["}
    assert {Path(link).name for link in links} == {f.name for f in DOCS.glob("reproduction/*.png")}


@pytest.mark.filterwarnings("ignore:Training interrupted")
def test_nets_of_interrupted_fits_are_no_rows(tmp_path):
    class Interrupt(Callback):
        def on_epoch_begin(self, net, **kwargs):
            raise KeyboardInterrupt

    def execute(settings, folder, seed):
        stopped = {"callbacks": [Interrupt()]} if seed == 1 else {}
        net = PrunedMLPClassifier((4,), prune_fraction=0.5, max_iter=3, net_params=stopped).fit(
            [[0.0], [1.0]], [0, 1]
        )
        return [{"epochs": net.n_iter_}]

    experiment = SimpleNamespace(
        __name__="stopped",
        FIELDS=("seed",),
        runs=lambda settings: [(seed,) for seed in range(3)],
        execute=execute,
    )
    with pytest.raises(KeyboardInterrupt):
        runner.run(experiment, None, tmp_path, 1, QUIET)
    assert list(runner.Table(experiment, tmp_path).rows["seed"]) == [0]


def test_failed_runs_do_not_stop_the_others(tmp_path, monkeypatch):
    experiment = EXPERIMENTS["scores"]
    settings = experiment.QUICK.but(**TINY["scores"])

    def execute(settings, folder, seed, **run):
        if seed:
            raise ValueError("no rows")
        return [{"validation_accuracy": 0.5}]

    monkeypatch.setattr(experiment, "execute", execute)
    with pytest.raises(RuntimeError, match="7 of 14 runs failed.*no rows"):
        runner.run(experiment, settings, tmp_path, 1, QUIET)
    assert len(runner.Table(experiment, tmp_path).rows) == 7


def test_only_what_has_a_place_is_filled():
    text = "a\n<!-- table: x -->\nold\n<!-- end -->\nb\n<!-- table: y -->\n<!-- end -->\n"
    assert pages.places(text) == ["x", "y"]
    filled = pages.fill(text, {"x": "new\\1", "z": "?"})
    assert filled == text.replace("old", "new\\1")
