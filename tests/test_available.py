"""The list of methods is what the register and the classes say."""

import subprocess
import sys

import pandas as pd
import pytest

from skactprune.methods import METHODS, BlockGradual, SynFlow, available
from skactprune.pruning.method import WHEN

ROWS = {row["name"]: row for row in available()}


def test_every_registered_method_has_a_row():
    assert [row["name"] for row in available()] == sorted(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_row_says_what_the_class_says(name):
    row, cls = ROWS[name], METHODS.look_up(name)
    assert list(row) == ["name", "what", "removes", "when", "reference"]
    assert row["what"] in " ".join(cls.__doc__.split()) and row["what"].endswith(".")
    assert row["when"] == cls.when and row["when"] in WHEN
    assert row["removes"].split(", ")[0] == METHODS.make(name).removes
    assert row["reference"] in " ".join(cls.__doc__.split())
    assert bool(row["reference"]) == ("References" in cls.__doc__)


def test_rows_of_some_methods():
    assert ROWS["snip"] == {
        "name": "snip",
        "what": "Remove, before the first step, the weights whose presence matters least to the "
        "loss.",
        "removes": "weights, neurons, blocks",
        "when": "before training",
        "reference": 'Lee, Ajanthan & Torr, "SNIP: Single-shot network pruning based on '
        'connection sensitivity", ICLR 2019.',
    }
    assert ROWS["activation"]["removes"].startswith("neurons, weights")
    assert ROWS["ganguli2024"]["removes"] == ROWS["rigl"]["removes"] == "weights"
    assert ROWS["rigl"]["when"] == "while training"
    assert ROWS["movement"]["when"] == "in rounds"
    assert ROWS["random"]["reference"] == ""
    assert ROWS["apoz"]["reference"].endswith("2016, sections 3.1 and 3.2.")


def test_pandas_takes_the_rows():
    table = pd.DataFrame(available())
    assert table["name"].tolist() == sorted(METHODS)
    assert list(table) == ["name", "what", "removes", "when", "reference"]


def test_it_prints_readably():
    text = str(available())
    assert text == repr(available())
    assert max(map(len, text.splitlines())) <= 100
    assert [line.split(":")[0] for line in text.splitlines() if line[0] != " "] == sorted(METHODS)
    assert "random: Remove at random. Removes neurons, weights or blocks in rounds." in " ".join(
        text.replace("\n    ", " ").splitlines()
    )


OUTSIDE = '''
from skactprune import register
from skactprune.methods import Method, available

@register("a_blocky_one")
class Blocky(Method):
    """Remove blocks."""

    when = "after training"
    removes = "blocks"

print(available()[0])
'''


def test_methods_of_others_are_there():
    ran = subprocess.run([sys.executable, "-c", OUTSIDE], capture_output=True, text=True)
    assert ran.stdout.strip() == str(
        {
            "name": "a_blocky_one",
            "what": "Remove blocks.",
            "removes": "blocks",
            "when": "after training",
            "reference": "",
        }
    ), ran.stderr


def test_defaults_that_the_papers_name():
    assert SynFlow().n_rounds == 100
    assert (BlockGradual().scope, BlockGradual().schedule) == ("layer", "cubic")
    assert BlockGradual().block_shape == (16, 1)
