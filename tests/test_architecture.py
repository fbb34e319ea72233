"""Imports run one way, from what users hold down to what knows least; there is no circle."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skactprune

ROOT = Path(skactprune.__file__).parent
# Every part may import what stands before it. Files at the top count as a part of their own.
FLOORS = [
    {"__init__", "_docs", "_options", "_register", "_transaction", "_types", "_warnings"}
    | {"_array_api", "_validation", "chunks", "datasets", "spectra"},
    {"_constructors", "_html", "_support"},
    {"nets"},
    {"deploy"},
    {"pruning"},
    {"methods", "penalties", "schedules", "triggers"},
    {"estimators"},
    {"_skl2onnx", "checks", "inspection"},
    {"_cli"},
    {"__main__"},
]


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("skactprune", *(parts[:-1] if parts[-1] == "__init__" else parts)))


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def imported(name):
    """Files of the package that a file imports, in functions, too."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in FILES else node.module)
    return {other for other in found if other in FILES}


def floor(name):
    part = (name.split(".") + ["__init__"])[1]
    at = [n for n, parts in enumerate(FLOORS) if part in parts]
    assert at, f"{name} is on no floor: add {part} to FLOORS"
    return at[0]


def folder(name):
    """Folder of a file; a file at the top stands for itself."""
    if FILES[name].name == "__init__.py" or FILES[name].parent == ROOT:
        return name
    return name.rpartition(".")[0]


def test_every_part_is_there():
    parts = {(name.split(".") + ["__init__"])[1] for name in FILES}
    assert parts == set().union(*FLOORS)


@pytest.mark.parametrize("name", FILES)
def test_nothing_imports_from_a_higher_floor(name):
    assert [other for other in imported(name) if floor(other) > floor(name)] == []


def test_no_circle_of_files():
    TopologicalSorter({name: imported(name) for name in FILES}).prepare()


def test_no_circle_of_folders():
    graph = {}
    for name in FILES:
        inside = graph.setdefault(folder(name), set())
        inside |= {folder(other) for other in imported(name)} - {folder(name)}
    TopologicalSorter(graph).prepare()


def test_circles_are_found():
    # The test of the tests: a graph with a circle is no order.
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
