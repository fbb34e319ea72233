"""The lowest versions that the tests are run with are those that are promised."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def test_oldest_versions_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    allowed = [Requirement(text) for group in groups for text in group]
    lowest = {r.name: Version(next(iter(r.specifier)).version) for r in allowed if r.specifier}
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and line[0] != "#"]
    oldest = {r.name: Version(next(iter(r.specifier)).version) for r in pinned}
    assert len(lowest) > 10
    assert {name: oldest.get(name) for name in lowest} == lowest
