"""The source distribution has all that its tests, pages and benchmarks need."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
# Made by running things, or by installing.
MADE = (".*", "__pycache__", "*.egg-info", "build", "dist", "demo", "bench", "reproduce", "*.pyc")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Unpacked source distribution of a clean copy."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("sdist")
    copy = folder / "copy"
    made = shutil.ignore_patterns(*MADE)

    # benchmarks/reproduce is no result, unlike the folder of that name beside it.
    def ignored(where, names):
        found = made(where, names)
        return found if Path(where) == ROOT else found - {"reproduce"}

    shutil.copytree(ROOT, copy, ignore=ignored)
    command = [sys.executable, "-c", BUILD, str(folder)]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    name = done.stdout.splitlines()[-1]
    with tarfile.open(folder / name) as archive:
        # Early releases of Python 3.11 have no filters.
        archive.extractall(folder, **{"filter": "data"} if hasattr(tarfile, "data_filter") else {})
    return copy, folder / name.removesuffix(".tar.gz")


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_sdist_has_every_file_of_the_repository(sdist):
    copy, unpacked = sdist
    made = {name for name in files(copy) if ".egg-info/" in name}
    assert files(copy) - made - files(unpacked) == set()
    assert {
        "CHANGELOG.md",
        "Makefile",
        "MANIFEST.in",
        "constraints-oldest.txt",
        "docs/benchmarks.md",
        "benchmarks/__main__.py",
        "benchmarks/reproduce/__init__.py",
        "tests/conftest.py",
        "tests/compact_nets.py",
        "tests/data/version-1-int8.npz",
        "tests/fuzz/__main__.py",
        "tests/fuzz/files.py",
        "tests/fuzz/interrupts.py",
        "tests/fuzz/fits.py",
        "skactprune/py.typed",
    } <= files(unpacked)


def test_sdist_has_nothing_else(sdist):
    copy, unpacked = sdist
    more = files(unpacked) - files(copy) - {"PKG-INFO", "setup.cfg"}
    assert more == set()
