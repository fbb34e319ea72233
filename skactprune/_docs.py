"""Documentation that classes share with their bases."""

from __future__ import annotations

import re
from inspect import cleandoc, isclass, signature
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    T = TypeVar("T", bound=type)

SHARED = re.compile(r"^\{([\w, ]+)\}$", re.MULTILINE)


def shares_docs(cls: T) -> T:
    """Fill the names that stand in braces in docstrings with what base classes say of them.

    Parameters
    ----------
    cls : type
        In the sections of its docstring, and of those of its methods, a line such as
        ``{alpha, tol}`` stands for these entries, with the defaults that the class itself has. What
        arguments of `fit` mean, the docstring of `_fit` of the bases says.

    Returns
    -------
    type
        The class itself.
    """
    bases = cls.__mro__[:0:-1]
    _fill(cls, bases)
    for method in vars(cls).values():
        if callable(method):
            _fill(method, _fits_of(bases))
    return cls


def _fill(described: Any, sources: Iterable[Any]) -> None:
    docstring = cleandoc(described.__doc__ or "")
    if not SHARED.search(docstring):
        return
    known: dict[str, str] = {}
    defaults = _defaults_of(described)
    for source in sources:
        before = _defaults_of(source)
        for name, entry in _entries(cleandoc(source.__doc__ or "")).items():
            default = defaults.get(name)
            if default != before.get(name):
                shown = repr(default).replace("'", '"')
                new = f"default={shown}"
                entry = re.sub("default=.*", lambda _, new=new: new, entry)  # type: ignore[misc]
            known[name] = entry
    described.__doc__ = SHARED.sub(
        lambda names: "\n".join(known.get(name, f"{{{name}}}") for name in names[1].split(", ")),
        docstring,
    )


def _defaults_of(described: Any) -> dict[str, Any]:
    parameters = signature(described.__init__ if isclass(described) else described).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def _fits_of(bases: Iterable[type]) -> list[Any]:
    return [vars(base)["_fit"] for base in bases if "_fit" in vars(base)]


def _entries(docstring: str) -> dict[str, str]:
    """Entries of the sections of a class's docstring, by their names."""
    found: dict[str, str] = {}
    name = None
    for line in docstring.splitlines():
        # Of several names, the first.
        if entry := re.match(r"(\w+)[\w, ]* : ", line):
            name = entry[1]
            found[name] = line
        elif name and line.startswith("    "):
            found[name] += "\n" + line
        else:
            name = None
    return found
