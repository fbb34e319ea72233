"""What methods there are, as they say it themselves."""

from __future__ import annotations

import inspect
import re
from textwrap import fill
from typing import TYPE_CHECKING

from sklearn.base import clone

from skactprune.pruning.method import METHODS
from skactprune.pruning.selection import GRANULARITIES

if TYPE_CHECKING:
    from skactprune.pruning.method import Method

WIDTH = 100
FIRST_REFERENCE = re.compile(r".*?\b(?:19|20)\d\d\b.*?\.(?= |$)")


class Listing(list[dict[str, str]]):
    """Rows of `available`, which print readably."""

    def __str__(self) -> str:
        return "\n".join(map(_paragraph, self))

    __repr__ = __str__


def available() -> Listing:
    """List the methods that ``method=`` takes by name, those registered elsewhere, too.

    Returns
    -------
    list of dict
        A row a method, by name, which prints as text and which `pandas.DataFrame` takes. Its keys
        are "name", "what" (one line), "removes" ("neurons", "weights" and the like, by default the
        first of them), "when" ("before training", "while training", "in rounds" or "after
        training") and "reference" (empty where there is none).

    Examples
    --------
    >>> from skactprune.methods import available
    >>> [row["name"] for row in available() if row["when"] == "before training"][-1]
    'synflow'
    >>> print(next(row for row in available() if row["name"] == "random")["what"])
    Remove at random.
    """
    return Listing(_row(name) for name in sorted(METHODS))


def _row(name: str) -> dict[str, str]:
    method = METHODS.make(name)
    described = inspect.getdoc(type(method)) or ""
    _, _, references = described.partition("\nReferences\n----------\n")
    references = " ".join(references.split("\n\n")[0].split())
    first = FIRST_REFERENCE.match(references)
    return {
        "name": name,
        "what": " ".join(described.split("\n\n")[0].split()),
        "removes": ", ".join(_removed(method)),
        "when": method.when,
        "reference": first.group() if first else references,
    }


def _removed(method: Method) -> list[str]:
    """What can leave together, first what does by default."""
    found = [method.removes]
    if "granularity" not in method.get_params(deep=False):
        return found
    for granularity in GRANULARITIES:
        other = clone(method).set_params(granularity=granularity)
        try:
            found.append(other.validated().removes)
        except ValueError:
            continue
    return list(dict.fromkeys(found))


def _paragraph(row: dict[str, str]) -> str:
    text = f"{row['what']} Removes {' or '.join(row['removes'].rsplit(', ', 1))} {row['when']}."
    head = fill(f"{row['name']}: {text}", WIDTH, subsequent_indent="    ")
    reference = fill(row["reference"], WIDTH, initial_indent="    ", subsequent_indent="    ")
    return f"{head}\n{reference}" if row["reference"] else head
