"""Documentation that classes share with their bases."""

import re
from inspect import cleandoc

SHARED = re.compile(r"^\{([\w, ]+)\}$", re.MULTILINE)


def shares_docs(cls):
    """Fill the names that stand in braces in docstrings with what base classes say of them.

    Parameters
    ----------
    cls : type
        In the sections of its docstring, and of those of its methods, a line such as
        ``{alpha, tol}`` stands for these entries. What arguments of `fit` mean, the docstring of
        `_fit` of the bases says.

    Returns
    -------
    type
        The class itself.
    """
    bases = cls.__mro__[:0:-1]
    methods = [method for method in vars(cls).values() if callable(method)]
    for described, sources in ((cls, bases), *((m, _fits_of(bases)) for m in methods)):
        if described.__doc__ is not None:
            known = {}
            for source in sources:
                known |= _entries(cleandoc(source.__doc__ or ""))
            described.__doc__ = _filled(cleandoc(described.__doc__), known)
    return cls


def _fits_of(bases):
    return [vars(base)["_fit"] for base in bases if "_fit" in vars(base)]


def _filled(docstring, known):
    return SHARED.sub(
        lambda names: "\n".join(known[name] for name in names[1].split(", ")), docstring
    )


def _entries(docstring):
    """Entries of the sections of a class's docstring, by their names."""
    found, name = {}, None
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
