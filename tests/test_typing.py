"""What type checkers see: the names of the package, and signatures with all types."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import skactprune

ROOT = Path(skactprune.__file__).parent


def public_modules():
    found = (module.name for module in pkgutil.iter_modules(skactprune.__path__))
    names = [f"skactprune.{name}" for name in found if not name.startswith("_")]
    # Of these folders, the documentation lists nothing.
    return ["skactprune", *(n for n in names if n not in ("skactprune.nets", "skactprune.pruning"))]


def functions_of(value):
    """A function, or the public methods and the constructor of a class that is ours."""
    if inspect.isfunction(value):
        yield value
    if inspect.isclass(value):
        for cls in value.__mro__:
            for name, member in vars(cls).items():
                if isinstance(member, property):
                    member = member.fget
                member = inspect.unwrap(getattr(member, "__func__", member))
                if inspect.isfunction(member) and (name == "__init__" or name[0] != "_"):
                    yield member


def public_functions():
    found = {}
    for name in public_modules():
        module = importlib.import_module(name)
        for member in module.__all__:
            for function in functions_of(getattr(module, member)):
                home = function.__module__
                if home.startswith("skactprune."):
                    found[f"{home}.{function.__qualname__}"] = function
    return found


FUNCTIONS = public_functions()


@pytest.mark.parametrize("name", public_modules())
def test_public_modules_say_what_they_export(name):
    module = importlib.import_module(name)
    assert module.__all__
    assert [member for member in module.__all__ if not hasattr(module, member)] == []


def test_checkers_see_the_names_of_the_package():
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    imported = {
        alias.asname: getattr(importlib.import_module(node.module), alias.name)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {name: getattr(skactprune, name) for name in skactprune.__all__}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_have_all_types(name):
    function = FUNCTIONS[name]
    parameters = list(inspect.signature(function).parameters)
    described = [p for p in parameters if p not in ("self", "cls")] + ["return"]
    assert [p for p in described if p not in function.__annotations__] == []
