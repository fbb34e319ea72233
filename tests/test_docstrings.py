"""The parameters that public docstrings describe are those that there are."""

import importlib
import inspect
import pkgutil

import pytest
from numpydoc.validate import validate

import skactprune

# Parameters undocumented, unknown or in another order; sections unknown to numpydoc or in disorder.
CHECKED = {"PR01", "PR02", "PR03", "PR10", "GL06", "GL07"}


def public_objects():
    """Return the dotted names of classes and functions that a module lists in ``__all__``."""
    names = set()
    for info in pkgutil.walk_packages(skactprune.__path__, "skactprune."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", []):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                names.add(f"{value.__module__}.{value.__qualname__}")
    return sorted(names)


@pytest.mark.parametrize("name", public_objects())
def test_docstring_describes_the_parameters(name):
    assert [error for error in validate(name)["errors"] if error[0] in CHECKED] == []
