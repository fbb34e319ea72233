"""The examples of the README run, and print what it says they do."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from skactprune import PrunedMLPClassifier
from skactprune.methods import available

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


def table_of_methods():
    """Markdown table of all methods, as they describe themselves."""
    lines = ["| `method=` | what it does | removes | when |", "|---|---|---|---|"]
    for row in available():
        default = " (default)" * (row["name"] == PrunedMLPClassifier().method)
        what = row["what"].removesuffix(".").replace("|", "\\|")
        cells = [f'`"{row["name"]}"`{default}', what, row["removes"], row["when"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(text):
    """The README with this table in place of the one in its section on methods."""
    before, heading, after = text.partition("\n## Methods\n")
    after = re.sub(r"(?m)^\|.*\|$(?:\n\|.*\|$)*", lambda _: table_of_methods(), after, count=1)
    return before + heading + after


def test_table_of_methods_is_up_to_date():
    text = README.read_text(encoding="utf-8")
    assert '`"activation_surgeon"` (default) |' in text
    assert text == with_table(text), "python tests/test_readme.py writes the table of methods anew"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
