#!/usr/bin/env -S uv run --script

# /// script
# dependencies = ["nox>=2025.2.9"]
# ///

"""What `make` does, for those who prefer nox: one session each, in environments of its own."""

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PARALLEL = ["--numprocesses", "auto", "--dist", "loadfile"]


def group(name):
    """Requirements of a dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def lint(session):
    """Check style, format, docstrings, types and spelling."""
    # mypy reads the types of what the package imports.
    session.install("--constraint", "constraints.txt", "--editable", ".", *group("dev"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    modules = session.run("git", "ls-files", "skactprune/*.py", external=True, silent=True)
    session.run("python", "-m", "numpydoc", "lint", *modules.split())
    session.run("mypy")
    session.run("codespell")


@nox.session(python=PYTHONS)
def tests(session):
    """Run all tests with the newest dependencies."""
    session.install("--editable", ".", *group("test"))
    session.run("pytest", *PARALLEL, *session.posargs, env=ONE_THREAD)


@nox.session(python="3.11", default=False)
def oldest(session):
    """Run all tests with the oldest dependencies."""
    constraints = ("--constraint", "constraints-oldest.txt")
    session.install(*constraints, "--editable", ".", *group("test"))
    session.run("pytest", *PARALLEL, *session.posargs, env=ONE_THREAD)


@nox.session(default=False)
def build(session):
    """Build wheel and sdist."""
    session.install("build", "twine")
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", *[f"dist/{kind}" for kind in ("*.whl", "*.tar.gz")])


if __name__ == "__main__":
    nox.main()
