"""The lowest versions that the tests are run with are those that are promised."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

import skactprune

ROOT = Path(__file__).parents[1]


def test_oldest_versions_are_the_lower_bounds():
    contents = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, groups = contents["project"], contents["dependency-groups"]
    parts = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *groups.values(),
    ]
    # A group that includes another is a table.
    allowed = [Requirement(text) for part in parts for text in part if isinstance(text, str)]
    lowest = {r.name: Version(next(iter(r.specifier)).version) for r in allowed if r.specifier}
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and line[0] != "#"]
    oldest = {r.name: Version(next(iter(r.specifier)).version) for r in pinned}
    assert len(lowest) > 10
    assert {name: oldest.get(name) for name in lowest} == lowest


def test_the_recipe_needs_what_the_package_needs():
    contents = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    recipe = (ROOT / "conda" / "meta.yaml").read_text(encoding="utf-8")
    run = recipe[recipe.index("  run:") : recipe.index("test:")]
    listed = {line.strip()[2:].replace("pytorch", "torch") for line in run.splitlines()[2:]}
    wanted = {text.replace(">=", " >=") for text in contents["project"]["dependencies"]}
    assert {line for line in listed if line} == wanted


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    recipe = (ROOT / "conda" / "meta.yaml").read_text(encoding="utf-8")
    assert skactprune.__version__ == version
    assert f"\nversion: {version}\n" in citation and f'version = "{version}"' in recipe
