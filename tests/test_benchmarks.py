"""The harness of the benchmarks runs from end to end on tiny sizes; no time is judged."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import channels, pages, report
from benchmarks.__main__ import run
from benchmarks.cases import CASES, LINUX
from benchmarks.results import Result, Store, elsewhere
from benchmarks.settings import FULL, QUICK
from benchmarks.timing import alternate

DOCS = Path(__file__).parents[1] / "docs"
QUIET = Console(quiet=True)
TINY = replace(
    QUICK,
    alternations=2,
    image_rows=300,
    shrink_rows=300,
    model_rows=300,
    digits_epochs=1,
    table_epochs=1,
    search_rows=200,
    search_epochs=(1, 1),
    wide_rows=300,
    predict_rows=10,
    one_row_calls=2,
    widths=(8,),
    width_rows=128,
    table_rows=(200,),
    rounds=(1, 2),
)
# The others start processes, which import torch anew each time.
IN_THIS_PROCESS = [name for name in CASES if name not in (*LINUX, "start", "search")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.bench.load_dataset", _offline)
        run(TINY, folder, IN_THIS_PROCESS, fresh=False, console=QUIET)
    return folder


def _offline(name):
    raise OSError(f"{name} is not here")


def test_both_files_hold_every_case(folder):
    stored = json.loads((folder / "benchmarks.json").read_text("utf-8"))
    assert list(stored["cases"]) == IN_THIS_PROCESS
    text = (folder / "benchmarks.md").read_text("utf-8")
    assert all(f"## {name}\n" in text for name in IN_THIS_PROCESS)


def test_every_side_is_measured_in_every_alternation(folder):
    stored = json.loads((folder / "benchmarks.json").read_text("utf-8"))
    for name, case in stored["cases"].items():
        for result in case["results"]:
            n = len(result["values"])
            assert n == {"size": 1, "counting": 4}.get(name, 2), result
            assert result["others"] is None or len(result["others"]) == n
            assert all(0 < value < math.inf for value in result["values"])


def test_finished_cases_are_not_run_again(folder, monkeypatch):
    def fail(bench):
        raise AssertionError("was run again")

    for name in IN_THIS_PROCESS:
        monkeypatch.setitem(CASES, name, fail)
    run(TINY, folder, IN_THIS_PROCESS, fresh=False, console=QUIET)
    with pytest.raises(AssertionError, match="was run again"):
        run(TINY, folder, ["size"], fresh=True, console=QUIET)


def test_cases_of_other_settings_are_not_mixed_in(folder):
    machine = json.loads((folder / "benchmarks.json").read_text("utf-8"))["machine"]
    assert Store(folder, TINY, machine).has("fit")
    other = Store(folder, replace(TINY, alternations=3), machine)
    assert other.discarded
    assert not other.has("fit")


def test_targets_are_judged_by_the_median_ratio():
    about = {"side": "ours", "values": [1.0, 1.0, 9.0], "against": "theirs", "target": 0.6}
    met = Result("a", "b", others=[2.0, 2.0, 2.0], **about)
    missed = Result("c", "d", others=[1.0, 1.0, 90.0], **about)
    assert met.ratio == pytest.approx((0.5, 0.5, 2.5))
    assert met.met and not missed.met
    first, second = report.targets([met, missed]).splitlines()[2:]
    assert first.endswith("| 0.5 [0.5, 2.5] | 1 s : 2 s | met |")
    assert second.endswith("| **missed** |")


def test_the_committed_page_is_that_of_the_committed_measurements():
    machine = json.loads((DOCS / "benchmarks.json").read_text("utf-8"))["machine"]
    tables = report.tables(Store(DOCS, FULL, machine), elsewhere(DOCS, FULL))
    text = (DOCS / "benchmarks.md").read_text("utf-8")
    assert pages.places(text) == list(tables) and pages.fill(text, tables) == text


def test_sides_take_turns_at_being_first():
    order = []
    sides = {name: lambda name=name: order.append(name) or 1.0 for name in "abc"}
    values = alternate(sides, alternations=3, warm_up=False)
    assert order == list("abc" + "bca" + "cab")
    assert values == {"a": [1.0] * 3, "b": [1.0] * 3, "c": [1.0] * 3}


def test_the_page_of_channels_is_that_of_its_figures():
    docs = Path(__file__).parents[1] / "docs"
    found = json.loads((docs / "channels.json").read_text("utf-8"))
    assert (docs / "channels.md").read_text("utf-8") == channels.text(found) + "\n"
    dense, masked, cut = found["rows"]
    assert dense["multiply_adds"] == 784 * 32 * 9 + 196 * 64 * 32 * 9 + 49 * 64 * 10
    assert cut["multiply_adds"] < dense["multiply_adds"] == masked["multiply_adds"]
    assert cut["accuracy"] == masked["accuracy"] and cut["from_masked"] < 1e-5
