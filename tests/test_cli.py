"""``python -m skactprune compare``: what it prints and writes, and how it tells of mistakes."""

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest

from skactprune.__main__ import main
from skactprune._cli import compare as compare_module
from skactprune._cli.data import table_data
from skactprune._cli.errors import UserError
from skactprune._cli.experiment import Settings, default_epochs, fractions

TINY = ["--hidden", "20", "10", "--max-iter", "3", "--rounds", "2"]
ROWS = [
    "dense MLP",
    "activation_surgeon",
    "activation",
    "activation_magnitude",
    "magnitude",
    "random",
    "small MLP from scratch",
    "dense MLP, kernels by PCA",
    "logistic regression",
    "gradient boosting",
    "PCA + logistic regression",
    "LDA + logistic regression",
    "NCA + logistic regression",
]

pytestmark = pytest.mark.usefixtures("quick_rivals")


@pytest.fixture
def table(tmp_path):
    """CSV file whose label hangs on a category; numbers, strings, truth values, gaps, an id."""
    rng = np.random.default_rng(0)
    n = 120
    colour = rng.choice(["red", "green", "blue"], n)
    frame = pd.DataFrame(
        {
            "id": [f"row {i}" for i in range(n)],
            "length": rng.normal(5, 2, n).round(2),
            "colour": colour,
            "open": rng.choice([True, False], n).astype(object),
            "nothing": np.nan,
            "label": np.where(colour == "red", "yes", "no"),
        }
    )
    frame.loc[::7, "length"] = np.nan
    frame.loc[3::11, "open"] = np.nan
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False)
    return path


def markdown_rows(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def run(argv, folder):
    """Rows of the table without its header by column, what is printed, what is told of progress."""
    printed, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told):
        assert main(["compare", *argv, "--output", str(folder)]) == 0
    header, *rows = markdown_rows(folder / "comparison.md")
    return (
        [dict(zip(header, row, strict=True)) for row in rows],
        printed.getvalue(),
        told.getvalue(),
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory, quick_rivals):
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    return folder, *run([*TINY, "--seeds", "2", "--jobs", "1"], folder)


def test_demo_prints_and_writes_table_and_figure(demo):
    folder, rows, printed, told = demo
    assert [row["method"] for row in rows] == ROWS
    assert all(name in printed for name in ROWS)
    assert "1347 training and 450 test rows" in printed
    assert "fitting nets: 100%" in told
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    for row in rows:
        for accuracy in ("train accuracy %", "test accuracy %", "balanced accuracy %"):
            assert re.fullmatch(r"\d+\.\d ± \d+\.\d", row[accuracy])
        assert re.fullmatch(r"\d+\.\d{3} ± \d+\.\d{3}", row["log loss"])
    by_name = {row["method"]: row for row in rows}
    assert by_name["dense MLP"]["parameters"] == str(64 * 20 + 20 + 210 + 110)
    assert by_name["dense MLP"]["live neurons"] == "20, 10"
    assert by_name["dense MLP"]["sparsity"] == "0%"
    live = by_name["activation_surgeon"]["live neurons"]
    for name in ("PCA", "NCA"):
        # As many as the net of the first seed has, beside the mean over seeds.
        rank = int(by_name[f"{name} + logistic regression"]["rank"])
        assert abs(rank - int(live.split(", ")[-1])) <= 1
    assert int(by_name["LDA + logistic regression"]["rank"]) <= 9
    # Four of the 64 pixels are the same in all training rows.
    assert by_name["logistic regression"]["parameters"] == str(60 * 10 + 10)
    assert by_name["gradient boosting"]["parameters"] == "-"
    small = by_name["small MLP from scratch"]
    assert small["live neurons"] == live
    assert small["sparsity"] == "0%"
    for name in ROWS[1:6]:
        assert int(by_name[name]["sparsity"][:-1]) >= 80


def test_two_processes_give_what_one_gives(table, tmp_path):
    def found(jobs):
        argv = [str(table), "--target", "label", *TINY, "--seeds", "2", "--jobs", jobs]
        return [row | {"seconds": None} for row in run(argv, tmp_path / jobs)[0]]

    assert found("2") == found("1")


def test_own_table(table, tmp_path):
    argv = [str(table), "--target", "label", "--hidden", "20", "--max-iter", "60"]
    rows, printed, _ = run([*argv, "--seeds", "2", "--jobs", "1"], tmp_path)
    assert "data.csv: 90 training and 30 test rows" in printed
    assert "nets 6-20-1 before pruning" in " ".join(printed.split())
    assert [row["method"] for row in rows] == ROWS
    assert float(rows[0]["train accuracy %"].split(" ± ")[0]) > 95


def test_without_output_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    argv = ["compare", "--hidden", "8", "--max-iter", "2", "--seeds", "1", "--jobs", "1"]
    assert main(argv) == 0
    assert list(tmp_path.iterdir()) == []
    out = capsys.readouterr().out
    assert "--output DIR" in out
    assert "±" not in out.split("accuracy: mean")[0]


def test_preprocessing_knows_training_rows_only(table):
    splits = table_data(str(table), "label", 3).splits
    assert len(splits) == 3
    assert not np.array_equal(splits[0].y_test, splits[1].y_test)
    for split in splits:
        np.testing.assert_allclose(split.X_train[:, 0].mean(), 0, atol=1e-6)
        np.testing.assert_allclose(split.X_train[:, 0].std(), 1, atol=1e-6)
        assert abs(split.X_test[:, 0].mean()) > 1e-3
        assert np.isfinite(split.X_train).all()
        assert np.isfinite(split.X_test).all()
        # Length, two truth values, three colours; the ids and the empty column are gone.
        assert split.X_train.shape[1] == 1 + 2 + 3


def test_rows_without_a_label_are_left_out(table):
    frame = pd.read_csv(table)
    frame.loc[:9, "label"] = np.nan
    frame.to_csv(table, index=False)
    data = table_data(str(table), "label", 1)
    assert len(data.splits[0].y_train) + len(data.splits[0].y_test) == 110
    assert data.said[0] == "'label': target, 2 classes; 10 rows without a label are left out"


BAD_TABLES = {
    "empty": ("", "is empty"),
    "header": ("a,label\n", "has a header but no rows"),
    "one class": ("a,label\n" + "1,x\n" * 9, "needs at least two classes; it has only 'x'"),
    "no label": ("a,label\n" + "1,\n" * 9, "needs at least two classes; it has no label at all"),
    "few rows": ("a,label\n" + "1,x\n" * 9 + "2,y\n" * 3, "such as 'y' with 3"),
    "regression": ("a,label\n" + "1,0.5\n2,1.5\n" * 9, "no integers; compare classifies"),
    "label only": ("label\n" + "x\ny\n" * 9, "no column with values besides"),
    "infinite": ("a,label\n" + "inf,x\n1,y\n" * 9, "column 'a' holds infinite values"),
    "unknown column": ("a,b\n1,x\n", "'label' is no column of .*, which has 'a', 'b'"),
    "ragged": ("a,label\n1,x\n1,2,3,4\n", "cannot be read as a CSV file"),
    "twice": ("label,a,label\n" + "x,1,x\ny,2,y\n" * 9, "several columns 'label'; each needs"),
    "row numbers only": (",label\n" + "1,x\n2,y\n" * 9, "no column with values besides"),
    "constant": ("a,b,label\n" + "3,u,x\n3,,y\n" * 9, "no column but the target 'label' whose"),
    "huge": ("a,label\n" + "1e300,x\n2,y\n" * 9, r"'a' of '.*' holds values as large as 1e\+300"),
    "huge and gaps": (
        "b,a,label\n" + "1,1.7e308,x\n2,,y\n3,1.6e308,x\n" * 9,
        "'a' of .* large as 1.7e",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_told_of_in_one_line(case, tmp_path, capsys):
    content, message = BAD_TABLES[case]
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")
    assert main(["compare", str(path), "--target", "label"]) == 2
    assert_is_one_line(capsys.readouterr().err, message)


def test_files_that_are_no_tables(tmp_path, capsys):
    binary = tmp_path / "image.csv"
    binary.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    for path, message in (
        (tmp_path / "none.csv", "cannot be read: No such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (binary, "cannot be read as a CSV file"),
    ):
        assert_one_line(["compare", str(path), "--target", "label"], message, capsys)


@pytest.mark.parametrize("ending", ["zip", "gz", "bz2", "xz", "zst"])
def test_files_that_are_not_compressed_as_they_say(ending, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / f"data.csv.{ending}"
    path.write_text("a,label\n1,x\n", encoding="utf-8")
    assert_one_line(["compare", str(path), "--target", "label"], "cannot be read", capsys)


@pytest.mark.parametrize("times_written", [1, 2, 3])
def test_row_numbers_are_no_feature(times_written, table):
    plain = table_data(str(table), "label", 1).splits[0]
    for _ in range(times_written):
        pd.read_csv(table).to_csv(table)
    with_numbers = table_data(str(table), "label", 1)
    np.testing.assert_array_equal(with_numbers.splits[0].X_train, plain.X_train)
    assert "without a name, of row numbers or names, is left out" in with_numbers.said[0]


def test_columns_whose_names_look_repeated_are_not(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,a.1,,,label\n" + "1,2,3,4,x\n2,1,4,3,y\n" * 9, encoding="utf-8")
    assert table_data(str(path), "label", 1).splits[0].X_train.shape[1] == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_table_from_a_pipe(table, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[table.read_bytes()])
    writer.start()
    split = table_data(str(pipe), "label", 1).splits[0]
    writer.join()
    expected = table_data(str(table), "label", 1).splits[0]
    np.testing.assert_array_equal(split.X_train, expected.X_train)


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="no folder that refuses root")
def test_folder_that_cannot_be_written_is_told_before_anything_is_fitted(monkeypatch, capsys):
    monkeypatch.setattr(compare_module, "run", None)
    assert_one_line(["compare", "--output", "/proc"], "'/proc' cannot be written to", capsys)


def test_files_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "comparison.png").mkdir()
    argv = ["compare", "--hidden", "8", "--max-iter", "2", "--seeds", "1", "--jobs", "1"]
    assert main([*argv, "--output", str(tmp_path)]) == 2
    told = capsys.readouterr().err.splitlines(keepends=True)[-1]
    assert_is_one_line(told, "cannot be written to: its comparison.png is no file")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--hidden", "2", "--prune-fraction", "0.9"], r"--hidden 2: it must be at most 0\.5"),
        (["--output", __file__], "--output .* cannot be made"),
    ],
)
def test_settings_that_cannot_be(argv, message, capsys):
    assert_one_line(["compare", *argv], message, capsys)


def test_data_that_is_not_there(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SKACTPRUNE_DATA", str(tmp_path / "none"))
    assert_one_line(["compare", "--dataset", "mnist"], "must name an existing folder", capsys)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required: command"),
        (["compare", "data.csv"], "a table needs --target"),
        (["compare", "--target", "label"], "--target needs a table"),
        (["compare", "a.csv", "--target", "b", "--dataset", "digits"], "either a table or"),
        (["compare", "", "--target", "label"], "argument table: must be a path, got ''"),
        (["compare", "--output", ""], "argument --output: must be a path, got ''"),
        (["compare", "--dataset", "cifar"], "invalid choice: 'cifar'"),
        (["compare", "--seeds", "0"], "--seeds: must be an integer >= 1, got '0'"),
        (["compare", "--hidden", "-3"], "--hidden"),
        (["compare", "--hidden", "a"], "--hidden: must be an integer >= 1, got 'a'"),
        (["compare", "--max-iter", "1"], "--max-iter: must be an integer >= 2, got '1'"),
        (["compare", "--prune-fraction", "1"], "must be a number between 0 and 1, got '1'"),
        (["compare", "--prune-fraction", "x"], "must be a number between 0 and 1, got 'x'"),
    ],
)
def test_arguments_are_checked(argv, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
    assert_is_one_line(capsys.readouterr().err, message)


def test_missing_extras(monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "rich" else find_spec(name)
    )
    assert_one_line(["compare"], r"compare needs rich: pip install skactprune\[compare\]$", capsys)


def test_interrupt(monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_module, "run", interrupted)
    assert main(["compare"]) == 130
    assert_is_one_line(capsys.readouterr().err, "interrupted")


def test_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "skactprune", "compare", "none.csv", "--target", "label"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert_is_one_line(done.stderr, "'none.csv' cannot be read: No such file")


def test_fractions_of_the_figure_are_those_that_can_be_reached():
    def reached(hidden, fraction=0.6):
        settings = Settings(hidden, fraction, rounds=1, epochs=2, seeds=1)
        return fractions(settings, n_features=4)

    assert reached((100,)) == [0.5, 0.6, 0.8, 0.9, 0.95]
    assert reached((4,)) == [0.5, 0.6]
    with pytest.raises(UserError, match="at most 0.5"):
        reached((2,))


@pytest.mark.parametrize(("n_rows", "epochs"), [(10, 200), (1347, 137), (60_000, 20)])
def test_epochs_follow_from_the_number_of_rows(n_rows, epochs):
    assert default_epochs(n_rows) == epochs


def assert_one_line(argv, message, capsys):
    assert main(argv) == 2
    assert_is_one_line(capsys.readouterr().err, message)


def assert_is_one_line(err, message):
    assert err.count("\n") == 1
    assert err.startswith("skactprune")
    assert re.search(message, err.rstrip())
