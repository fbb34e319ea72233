"""The examples of the README run, and print what it says they do."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from skactprune import PrunedMLPClassifier
from skactprune.methods import get_method

README = Path(__file__).parents[1] / "README.md"
NUMBER = r"\d+\.\d+"


def test_examples_print_what_the_readme_says():
    examples = re.findall(
        r"```python\n(.*?)```\n\n```text\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(examples) == 4
    namespace = {}
    for code, expected in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        found = printed.getvalue()
        assert re.sub(NUMBER, "#", found) == re.sub(NUMBER, "#", expected)
        # Accuracy may differ by some rows between processors and numbers of threads.
        numbers = [float(number) for number in re.findall(NUMBER, found)]
        assert numbers == pytest.approx(
            [float(number) for number in re.findall(NUMBER, expected)], abs=0.015
        )


def test_methods_are_known():
    section = README.read_text(encoding="utf-8").split("## Methods")[1]
    names = re.findall(r'^\| `"(\w+)"` ', section, re.MULTILINE)
    assert {"activation", PrunedMLPClassifier().method} < set(names)
    for name in names:
        get_method(name)
