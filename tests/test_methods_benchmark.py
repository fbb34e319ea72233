"""The benchmark of all methods: what is run, what is measured, what the page says of it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks.methods import __main__, choose, lenet, page, published, settings
from benchmarks.reproduce.lenet import fraction
from skactprune import load
from skactprune.methods import METHODS, get_method

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TINY = {"dataset": "digits", "n_rows": 300, "hidden": (16, 12), "epochs": 3}
TINY |= {"compressions": (3.0,), "seeds": 1, "only": ("magnitude", "snip")}
SIZES = (64, 16, 12, 10)


def test_every_registered_method_is_run_at_every_compression():
    runs = list(lenet.runs(lenet.FULL))
    assert len(set(runs)) == len(runs)
    wanted = {(name, at, 0) for name in METHODS for at in (5, 10, 20, 50)}
    assert wanted <= {(name, at, seed) for name, _, at, seed in runs}
    asked = {mark.run_at: mark.method for mark in published.MARKS}
    for at in set(asked) - {5, 10, 20, 50}:
        assert {name for name, _, compression, _ in runs if compression == at} == {asked[at]}
    assert {seed for *_, seed in runs} == set(range(5))


def test_own_parameters_are_those_of_the_estimator_and_of_methods():
    for name, params in settings.lineup().items():
        net = settings.estimator(lenet.QUICK, 0.5, 0, params)
        method = get_method(net.method)
        assert isinstance(method, type(get_method(name.partition(",")[0])))
        for option, value in params.items():
            if option.startswith("method__"):
                assert method.get_params()[option.removeprefix("method__")] == value
    assert set(settings.OWN) <= set(settings.lineup())


def test_a_row_tells_what_the_net_is(tmp_path):
    of = lenet.QUICK.but(**TINY)
    (row,) = lenet.execute(of, tmp_path, "magnitude", "", 4.0, 0)
    assert 4 <= row["reached"] < 4.2
    assert row["weights"] == pytest.approx((64 * 16 + 16 * 12 + 120) / row["reached"])
    live = [int(n) for n in row["live"].split("-")]
    assert row["parameters"] == row["weights"] + sum(live) + 10
    assert row["flops"] == 2 * (64 * live[0] + live[0] * live[1] + live[1] * 10)
    assert 0 < row["inputs"] < 64 and row["epochs"] == 3 and row["note"] == "-"
    assert row["bytes_int8"] < row["bytes_float32"]
    assert row["error_float32"] == pytest.approx(row["test_error"])


def test_factors_count_where_they_are_fewer_operations():
    first, second, last = np.ones((8, 6)), np.ones((6, 4)), np.ones((4, 3))
    factors = [(np.ones((8, 1)), np.ones((1, 6))), (np.ones((6, 3)), np.ones((3, 4)))]
    net = SimpleNamespace(coefs_=[first, second, last], factors_=factors)
    assert lenet.flops(net) == 2 * (14 + 24 + 12)
    net.factors_ = [None, None]
    assert lenet.flops(net) == 2 * (48 + 24 + 12)


def test_bytes_are_those_of_a_file(tmp_path):
    of = lenet.QUICK.but(**TINY)
    rows = lenet.Rows.load("digits", 300)
    net, _, _ = lenet.fitted(of, 0.5, 0, {"method": "magnitude"}, rows)
    path = tmp_path / "model"
    net.compact("int8").save(path)
    error = 1 - load(path).score(rows.X_test, rows.y_test)
    assert lenet.stored(net, "int8", rows) == (path.stat().st_size, pytest.approx(error))


def test_what_a_method_cannot_do_is_done_as_far_as_it_can(tmp_path):
    of = lenet.QUICK.but(**TINY)
    (row,) = lenet.execute(of, tmp_path, "magnitude, neurons", "", 8.0, 0)
    assert row["note"].startswith("at most 0.9") and row["live"] == "1-1"
    assert row["asked"] == fraction(8.0, SIZES) > 0.95
    net, seconds, note = lenet.fitted(of, 0.5, 0, {"batch_size": 0}, lenet.Rows.load("digits", 300))
    assert net is None and np.isnan(seconds) and note.startswith("refused: ")


def test_a_tiny_run_writes_the_page_and_is_done_once(tmp_path, monkeypatch):
    monkeypatch.setattr(lenet, "QUICK", lenet.QUICK.but(**TINY))
    start = ["--quick", "--jobs", "1", "--output", str(tmp_path), "--only", "magnitude", "snip"]
    assert __main__.main(start) == 0
    rows = pd.read_csv(tmp_path / "lenet.csv")
    assert set(rows["method"]) == {"dense", "magnitude", "snip"}
    text = (tmp_path / "methods.md").read_text()
    assert text.startswith("# All methods beside each other")
    assert text.index("Han et al. 2015") < text.index("67 % of the weights gone, 3x")
    assert not {"nan", "None", "<NA>"} & set(text.replace("|", " ").split())
    before = (tmp_path / "lenet.csv").read_bytes()
    monkeypatch.setattr(lenet, "execute", lambda *args, **run: pytest.fail("run again"))
    assert __main__.main(start) == 0
    assert (tmp_path / "lenet.csv").read_bytes() == before


SNIP = next(mark for mark in published.MARKS if mark.system.startswith("SNIP"))


def rows_of(method, compression, errors, **columns):
    """Rows of some seeds, as `lenet.execute` gives them."""
    return pd.DataFrame(
        {
            "method": method,
            "options": settings.told(settings.lineup()[method]),
            "compression": float(compression),
            "seed": seed,
            "device": "cpu",
            "test_error": error / 100,
            "reached": compression + 0.1,
        }
        | columns
        for seed, error in enumerate(errors)
    )


def test_rows_of_other_parameters_do_not_count():
    rows = rows_of("snip", 20, [1.0, 1.2])
    rows.loc[1, "options"] = "method__n_rows=7"
    assert list(page.current(rows).index) == [0]
    with pytest.raises(FileNotFoundError, match="no rows of the present settings"):
        page.text(rows.iloc[1:], lenet.QUICK)


def test_what_was_refused_is_told():
    of = lenet.QUICK.but(**TINY)
    (dense,) = lenet.execute(of, None, "dense", "-", 1.0, 0)
    (refused,) = rows_of("magnitude", 20, [1.0]).to_dict("records")
    refused |= {"test_error": np.nan, "reached": np.nan, "note": "refused: a | b"}
    (row,) = rows_of("snip", 20, [1.0]).to_dict("records")
    dense |= {"method": "dense", "options": "-", "compression": 1.0, "seed": 0}
    rows = pd.DataFrame([dense, dense | refused, dense | row | {"note": "-"}])
    of_magnitude = [name for name in dense if name not in (*lenet.FIELDS, "device", "note")]
    rows.loc[1, of_magnitude] = np.nan
    text = page.text(rows, of)
    (line,) = (line for line in text.splitlines() if "refused" in line)
    assert line.startswith("| magnitude |  |") and line.endswith("| refused: a / b |")
    assert not {"nan", "None", "<NA>"} & set(text.replace("|", " ").split())
    assert text.index("| snip |") < text.index("| magnitude |  |")


def test_times_are_those_of_the_dense_net_on_the_same_device():
    of = lenet.QUICK.but(**TINY)
    (dense,) = lenet.execute(of, None, "dense", "-", 1.0, 0)
    dense |= {"method": "dense", "options": "-", "compression": 1.0, "seed": 0, "seconds": 10.0}
    pruned = dense | {
        "method": "magnitude",
        "options": settings.told(settings.lineup()["magnitude"]),
    }
    pruned |= {"compression": 20.0, "seconds": 5.0}
    nets = [dense, pruned, dense | {"device": "cuda", "seconds": 4.0}, pruned | {"device": "cuda"}]
    for kept, mean in (
        (nets[:2], "0.50"),
        (nets[:2] + nets[3:], "0.50"),
        ([dense, nets[3]], ""),
        (nets, "0.88"),
    ):
        (_, table), *_ = page.tables(pd.DataFrame(kept))
        row = table.set_index("method").loc["magnitude"]
        assert row["device"] == ", ".join(sorted({net["device"] for net in kept[1:]}))
        assert row["time"].split(" ")[0] == mean


@pytest.mark.parametrize(
    ("errors", "columns", "said"),
    [
        ([1.50, 1.51, 1.52], {}, "yes"),
        ([1.50, 1.66], {}, "yes, on average"),
        ([1.80, 1.81, 1.82], {}, "no, 0.21 points more"),
        ([1.50, 1.51], {"reached": 12.0}, "not at that compression"),
    ],
)
def test_published_figures_are_met_or_not(errors, columns, said):
    rows = rows_of(SNIP.method, SNIP.run_at, errors, **{"reached": 20.1} | columns)
    answers = page.answers(rows).to_dict("records")
    row = next(row for row in answers if row["published"].startswith("SNIP"))
    assert row["at most the published error?"] == said
    assert row["our error %"].startswith(f"{np.mean(errors):.2f} ± ")
    best = "" if columns else f"{row['our error %']}, {SNIP.method}"
    assert row["best of all here, at least as small"] == best


def test_reasons_are_those_of_full_runs():
    rows = rows_of(SNIP.method, SNIP.run_at, [1.80, 1.81, 1.82], reached=20.1)
    assert SNIP.why and SNIP.why in set(page.answers(rows)["why"])
    assert set(page.answers(rows, reasons=False)["why"]) == {""}
    met = rows_of(SNIP.method, SNIP.run_at, [1.0, 1.1], reached=20.1)
    assert page.answers(met)["why"].eq("").all()


def test_ways_of_marks_alone_are_in_no_table():
    of = lenet.QUICK.but(**TINY | {"only": None})
    names = {name for name, _, at, _ in lenet.runs(of) if at == 3}
    assert names == set(settings.lineup()) - set(settings.AT_MARKS)
    asked_for = lenet.QUICK.but(**TINY | {"only": ("snip, longer",)})
    assert ("snip, longer", 3.0) in {(name, at) for name, _, at, _ in lenet.runs(asked_for)}
    (dense,) = rows_of("magnitude", 1, [1.0]).to_dict("records")
    dense |= {"method": "dense", "options": "-"}
    # Neither at their compressions nor, with those of the same method, at others.
    nets = [rows_of(mark.method, mark.run_at, [1.0]) for mark in published.MARKS]
    nets += [rows_of(settings.system(mark.method), mark.run_at, [1.0]) for mark in published.MARKS]
    rows = pd.concat([pd.DataFrame([dense]), *nets]).drop_duplicates(["method", "compression"])
    assert list(page.tables(rows)) == []


def test_marks_in_bytes_say_how_many_weights_are_pruned():
    assert all(mark.asked for mark in published.MARKS if mark.unit == "bytes")


def test_bytes_have_figures_of_their_own():
    mark = published.Mark("", "snip", 40, 1.58, "bytes", asked=16)
    whole = 4 * (784 * 300 + 300 * 100 + 100 * 10)
    at = mark.run_at
    columns = {"bytes_codebook": whole / 41, "error_codebook": 0.015}
    rows = rows_of("snip", at, [1.9, 1.9], **columns)
    errors, ratios = page._measured(rows, mark)
    assert errors.tolist() == pytest.approx([1.5] * 2)
    assert ratios.tolist() == pytest.approx([41] * 2)
    assert len(page._measured(rows_of("snip", at, [1.9]), mark)[0]) == 0


def test_settings_are_chosen_on_validation_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choose, "QUICK", choose.QUICK.but(**TINY))
    start = ["choose", "--quick", "--jobs", "1", "--output", str(tmp_path)]
    assert __main__.main([*start, "--variant", "grasp=dict(method__n_rows=7)"]) == 0
    rows = pd.read_csv(tmp_path / "choose.csv")
    assert list(rows["options"]) == ["-", "method__n_rows=7"]
    assert not [name for name in rows if "test" in name]
    shown = capsys.readouterr().out
    assert "| grasp | method__n_rows=7 |" in shown and "nan" not in shown
    for text in ("snap=dict(alpha=1)", "snip=dict(method__n=1)", "snip=print(1)", "snip"):
        with pytest.raises(ValueError, match="A variant must be NAME=dict"):
            __main__.main([*start, "--variant", text])
