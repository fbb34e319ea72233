"""What the command line shows and writes: the user's text, terminals of all kinds, both files."""

import io
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss
from threadpoolctl import threadpool_limits

import skactprune  # noqa: F401  named in the code that the page prints
from skactprune import PrunedMLPClassifier
from skactprune.__main__ import main
from skactprune._cli import compare as compare_module
from skactprune._cli.text import markdown_text, shown
from skactprune.datasets import load_dataset
from skactprune.inspection import rivals
from skactprune.methods import METHODS

pytestmark = pytest.mark.usefixtures("quick_rivals")

TINY = ["--hidden", "8", "--max-iter", "2", "--seeds", "1", "--jobs", "1"]
HOSTILE = {
    "rich markup": "[bold red]x[/]",
    "unbalanced markup": "x[/nothing]",
    "emoji code": ":smile:",
    "formula": "$\\frac{1}{$",
    "escape": "\x1b[31mx\x1b[0m\x07",
    "line break": "a\nb\rc",
    "HTML": "<img src=x onerror=alert(1)>&amp;",
    "cells": "a|b",
    "Markdown": "*a* _b_ `c` ![d](e) # f",
    "list": "- a",
    "other direction": "a\u202eb",
    "letters that the font lacks": "\u6f22\u5b57",
    "not UTF-8": "a\udcffb",
    "none of Latin": "\u0430\u0431",
}


def write_table(folder, text):
    """Table with the text for its own name, a column and a label."""
    cell = '"' + text.replace('"', '""') + '"'
    rows = [f"{i % 5},{cell if i % 2 else 'other'},{i % 7}" for i in range(40)]
    # Names of files have neither of these.
    path = folder / f"{text.replace('/', ' ')}.csv"
    content = "\n".join([f"{cell},label,b", *rows]).encode("utf-8", "surrogatepass")
    path.write_bytes(content)
    return path


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


@pytest.mark.skipif(os.name != "posix", reason="names that other systems refuse")
@pytest.mark.parametrize(
    "text",
    [
        "[bold red]x[/] $\\frac{1}{$ *a* _b_ `c` ![d](e) # f",
        "- x[/nothing] :smile: a|b\nb\rc \u6f22\u5b57",
        "\x1b[31mx\x1b[0m\x07 <img src=x onerror=alert(1)>&amp; a\u202eb",
    ],
)
def test_the_users_text_is_text(text, tmp_path, capsys):
    path = write_table(tmp_path, text)
    argv = ["compare", str(path), "--target", "label", *TINY, "--output", str(tmp_path / text)]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    assert "".join(shown(path.name).split()) in "".join(out.split())
    for printed in (out, err):
        assert all(char.isprintable() or char == "\n" for char in printed)
    page = (tmp_path / text / "comparison.md").read_text(encoding="utf-8")
    assert all(char.isprintable() or char == "\n" for char in page)
    assert (tmp_path / text / "comparison.png").read_bytes().startswith(b"\x89PNG")
    tags = Tags()
    tags.feed(page)
    assert tags.found == []
    title = page.splitlines()[2]
    assert title.startswith(markdown_text(path.name))
    # Nothing but what is escaped could mean something.
    bare = re.sub(r"\\.|&\w+;", "", markdown_text(text))
    assert not set(bare) & set("\\`*_[]<>|~$#&")
    assert not re.match(r"[-+]|\d+[.)]", bare)


@pytest.mark.parametrize("case", HOSTILE)
def test_errors_are_one_line_of_text(case, capsys):
    text = HOSTILE[case]
    assert main(["compare", f"none{text}", "--target", text]) == 2
    with pytest.raises(SystemExit):
        main(["compare", "--seeds", text])
    with pytest.raises(SystemExit):
        main(["compare", f"--{text}"])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("skactprune")
        assert line.isprintable()


@pytest.mark.parametrize("width", ["10", "40", "80", "200"])
def test_no_number_is_broken_on_any_terminal(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setattr(compare_module, "PLAIN_WIDTH", int(width))
    layers = ["--hidden", "12", "11", "10", "--max-iter", "2", "--seeds", "2", "--jobs", "1"]
    assert main(["compare", *layers]) == 0
    out = capsys.readouterr().out
    assert "\u2026" not in out
    accuracies = re.findall(r"\d+\.\d ±\s+\d+\.\d", out)
    assert len(accuracies) == 13 * 3
    # A table in two halves, or in one; else a list.
    tables = {"10": 0, "40": 0, "80": 2, "200": 1}
    assert len(re.findall(r"^ ?dense MLP .*\d", out, re.MULTILINE)) == tables[width]
    if width != "10":
        assert len(re.findall(r"(?<!\()12, 11, 10", out)) == 3


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_terminals_that_are_not_utf_8(encoding, tmp_path, monkeypatch):
    path, written = write_table(tmp_path, "\u0430 ±"), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    assert main(["compare", *TINY, str(path), "--target", "label", "--seeds", "2"]) == 0
    sys.stdout.flush()
    out = written.getvalue().decode(encoding)
    assert ("±" in out) == (encoding != "ascii")
    assert re.search(r"\d (±|\+-) \d", out)
    assert ("\u0430" in out) == (encoding == "utf-16")


def test_no_colour_where_none_is_wanted(tmp_path, monkeypatch, capsys):
    for name, value in (("NO_COLOR", "1"), ("FORCE_COLOR", "1"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    assert main(["compare", *TINY, str(write_table(tmp_path, "a")), "--target", "label"]) == 0
    out = capsys.readouterr().out
    assert "dense MLP" in out
    assert not re.search(r"\x1b\[(?:\d+;)*(3\d|9\d)", out)


@pytest.mark.skipif(os.name != "posix", reason="pipes of another kind")
def test_files_are_there_where_nobody_reads_the_table(tmp_path):
    table = [
        str(write_table(tmp_path, "a")),
        "--target",
        "label",
        "--output",
        str(tmp_path / "new"),
    ]
    command = [sys.executable, "-m", "skactprune", "compare", *TINY, *table]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 128 + signal.SIGPIPE
    assert "Error" not in done.stderr
    written = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert written == ["comparison.md", "comparison.png"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device")
def test_a_full_disk_is_told_of(tmp_path, monkeypatch, capsys):
    # As at the end of a program, what is left is written when the file is closed.
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["compare", *TINY, str(write_table(tmp_path, "a")), "--target", "label"]) == 2
    error = "skactprune: error: the output cannot be written: No space left"
    assert error in capsys.readouterr().err


@pytest.fixture
def second_write_fails(monkeypatch):
    """Lets the second file fail as on a full disk; returns the names that were tried."""
    tried, write = [], compare_module.write_atomically

    def fails(path, content):
        tried.append(path.name)
        if len(tried) == 2:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(compare_module, "write_atomically", fails)
    return tried


@pytest.mark.parametrize("before", [{}, {"comparison.md": b"old", "comparison.png": b"old, too"}])
def test_both_files_are_written_or_none(before, second_write_fails, tmp_path, capsys):
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    assert main(["compare", *TINY, "--output", str(tmp_path)]) == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    out, err = capsys.readouterr()
    assert "No space left on device" in err
    # Hours of fits are not lost.
    assert "activation_surgeon" in out
    assert second_write_fails[:2] == ["comparison.png", "comparison.md"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError(5, "broken")])
def test_folders_that_were_made_for_nothing_go(failure, monkeypatch, tmp_path):
    def fails(*args):
        raise failure

    monkeypatch.setattr(compare_module, "run", fails)
    argv = ["compare", *TINY, "--output", str(tmp_path / "new" / "folder")]
    if failure is KeyboardInterrupt:
        assert main(argv) == 130
    else:
        with pytest.raises(OSError, match="broken"):
            main(argv)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_cannot_be_used_makes_no_folder(tmp_path):
    argv = ["compare", "none.csv", "--target", "a", "--output", str(tmp_path / "new")]
    assert main(argv) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["comparison.md", "comparison.png"])
def test_what_stands_in_the_way_is_told_before_anything_is_fitted(
    name, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(compare_module, "run", None)
    (tmp_path / name).mkdir()
    assert main(["compare", "--output", str(tmp_path)]) == 2
    assert f"its {name} is no file" in capsys.readouterr().err


def cells_of(page):
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line[:2] == "| "]
    return {row[0]: dict(zip(rows[0][2:], row[2:], strict=True)) for row in rows[1:]}


WITHOUT_NET = {
    "logistic regression": "standardized_logistic()",
    "gradient boosting": "HistGradientBoostingClassifier(random_state=0)",
    "PCA + logistic regression": "pca_classifier(k)",
    "LDA + logistic regression": "lda_classifier(k)",
    "NCA + logistic regression": "nca_classifier(k)",
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_can_be_repeated_from_what_is_printed(tmp_path):
    hidden = ["--hidden", "30", "20", "--max-iter", "15", "--prune-fraction", "0.7"]
    assert main(["compare", *hidden, "--seeds", "1", "--jobs", "1", "--output", str(tmp_path)]) == 0
    page = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    rows = cells_of(page)
    net, data = re.search(r"each pruned net: `(.*?)`, on `(.*?)`", page).groups()
    assert {"learning_rate_init", "alpha", "batch_size", "max_iter"} < set(
        re.findall(r"(\w+)=", net)
    )
    X_train, X_test, y_train, y_test = eval(data)

    def repeated(name, **params):
        if name in WITHOUT_NET:
            assert f"`{WITHOUT_NET[name]}`" in page
            k = int(rows[name]["rank"]) if "+" in name else None
            model = eval(WITHOUT_NET[name], vars(rivals), {"k": k})
        else:
            method = name if name in METHODS else "activation_surgeon"
            model = eval(net, globals(), {"method": method, "seed": 0})
            model.set_params(**params)
        with threadpool_limits(1):
            return model.fit(X_train, y_train)

    default = repeated("activation_surgeon")
    sizes = [len(live) for live in default.live_neurons_]
    params = {
        "dense MLP": {"prune_fraction": 0},
        "small MLP from scratch": {"prune_fraction": 0, "hidden_layer_sizes": sizes},
    }
    for name, row in rows.items():
        if "by PCA" in name:
            continue
        model = repeated(name, **params.get(name, {}))
        predicted, probabilities = model.predict(X_test), model.predict_proba(X_test)
        balanced = 100 * balanced_accuracy_score(y_test, predicted)
        assert row["test accuracy %"] == f"{100 * np.mean(predicted == y_test):.1f}"
        assert row["balanced accuracy %"] == f"{balanced:.1f}"
        assert row["log loss"] == f"{log_loss(y_test, probabilities):.3f}"
        if isinstance(model, PrunedMLPClassifier):
            live = ", ".join(str(len(live)) for live in model.live_neurons_)
            assert row["live neurons"] == live
    assert set(WITHOUT_NET) | set(params) | {"random"} < set(rows)
    np.testing.assert_array_equal(X_train, load_dataset("digits").X_train)


def test_one_seed_has_no_deviation(tmp_path, capsys):
    assert main(["compare", *TINY, "--output", str(tmp_path)]) == 0
    for text in (capsys.readouterr().out, (tmp_path / "comparison.md").read_text("utf-8")):
        assert "±" not in text
        assert "accuracy: of one fit, seed 0." in text
        assert "over" not in text.split("accuracy: of")[1].split("sparsity:")[0]
