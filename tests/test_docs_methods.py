"""The table of methods is what the methods say of themselves."""

import re
from pathlib import Path

from skactprune import PrunedMLPClassifier
from skactprune.methods import available

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "methods.md"


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
    """The page with this table in place of the one between its comments."""
    return re.sub(
        r"(<!-- methods -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{table_of_methods()}\n{found[2]}",
        text,
        flags=re.DOTALL,
    )


def test_table_of_methods_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert '`"activation_surgeon"` (default) |' in text
    assert text == with_table(text), (
        "python tests/test_docs_methods.py writes the table of methods anew"
    )


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
