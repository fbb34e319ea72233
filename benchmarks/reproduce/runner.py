"""Runs that are done once: several at a time, each stored as soon as it is finished."""

import os
import warnings
from types import SimpleNamespace

import joblib
import pandas as pd
import torch
from rich.progress import track
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits


class Settings(SimpleNamespace):
    """How much an experiment runs, an attribute each."""

    def but(self, **changes):
        """Return the same settings with other values of some."""
        return Settings(**vars(self) | changes)


# What most experiments share; the layers are those of the authors' network.
FULL = Settings(
    seeds=5, datasets=("fashion-mnist", "mnist"), n_rows=None, hidden=(300, 200, 100, 50)
)
QUICK = {"seeds": 2, "datasets": ("fashion-mnist",), "n_rows": 10_000}


class Table:
    """The CSV file of one experiment: the rows of every finished run.

    Parameters
    ----------
    experiment : module
        With ``FIELDS``, the columns that say which run a row is of.
    folder : pathlib.Path
        Where the file lies.
    """

    def __init__(self, experiment, folder):
        self.name = experiment.__name__.rpartition(".")[2]
        self.path, self._fields = folder / f"{self.name}.csv", list(experiment.FIELDS)
        exists = self.path.exists()
        self.rows = pd.read_csv(self.path) if exists else pd.DataFrame(columns=self._fields)

    def put(self, run, rows):
        """Add the rows of a finished run; a kill in the middle leaves the old file."""
        new = pd.DataFrame([dict(zip(self._fields, run, strict=True)) | row for row in rows])
        self.rows = pd.concat([self.rows, new]) if len(self.rows) else new
        self.rows = self.rows.sort_values(self._fields, kind="stable", ignore_index=True)
        replace(self.path, lambda path: self.rows.to_csv(path, index=False, float_format="%.6g"))

    def missing(self, runs):
        """Those of some runs that are not finished, in their order."""
        finished = set(self.rows[self._fields].itertuples(index=False, name=None))
        return [run for run in runs if run not in finished]


def replace(path, write):
    """Let `write` make a file beside `path`, and put it in its place once it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    write(new)
    os.replace(new, path)


def run(experiment, settings, folder, jobs, console):
    """Do all runs of an experiment that are not in its table yet, in `jobs` processes.

    The experiment has ``FIELDS``; ``runs(settings)``, which yields tuples of their values, and
    ``execute(settings, folder, **run)``, which returns rows.

    Raises
    ------
    RuntimeError
        If runs failed; the others are done and stored before.
    """
    table = Table(experiment, folder)
    todo = table.missing(experiment.runs(settings))
    # As they come, so that nothing finished is lost.
    done = joblib.Parallel(jobs, return_as="generator_unordered")(
        joblib.delayed(_execute)(experiment.execute, experiment.FIELDS, values, settings, folder)
        for values in todo
    )
    failed = []
    for values, rows, error in track(done, table.name, len(todo), console=console):
        if error:
            failed.append(f"{values}: {error}")
        else:
            table.put(values, rows)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(todo)} runs failed, the first: {failed[0]}")


def _execute(execute, fields, values, settings, folder):
    """Values of a run, its rows, and what went wrong, which must not end the runs beside it."""
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        # An interrupt reaches every process; a net that is half trained is no row.
        warnings.filterwarnings("error", message="Training interrupted")
        # Processes share the cores; small nets gain nothing from several threads each.
        torch.set_num_threads(1)
        try:
            rows = execute(settings, folder, **dict(zip(fields, values, strict=True)))
            return values, rows, None
        except Exception as error:
            return values, [], repr(error)
