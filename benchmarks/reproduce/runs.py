"""Runs that are done once: several at a time, each stored as soon as it is finished."""

import json
import os
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits


class Table:
    """The CSV file of one experiment: the rows of every finished run.

    Parameters
    ----------
    path : pathlib.Path
        Where it lies.
    fields : sequence of str
        Columns that say which run a row is of.
    """

    def __init__(self, path, fields):
        self.path = path
        self._fields = list(fields)
        self.rows = pd.read_csv(path) if path.exists() else pd.DataFrame()

    def put(self, run, rows):
        """Add the rows of a finished run; a kill in the middle leaves the old file."""
        self.rows = pd.concat([self.rows, pd.DataFrame([run | row for row in rows])])
        self.rows = self.rows.sort_values(self._fields, kind="stable", ignore_index=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".tmp")
        self.rows.to_csv(new, index=False, float_format="%.6g")
        os.replace(new, self.path)

    def finished(self):
        """Keys of the runs that are finished."""
        if self.rows.empty:
            return set()
        fields = self.rows[self._fields].drop_duplicates()
        return {key(run) for run in fields.to_dict("records")}


def key(run):
    """One string for the fields of a run, however a file has written its numbers."""
    numbers = {k: float(v) if isinstance(v, int | float) else v for k, v in run.items()}
    return json.dumps(numbers, sort_keys=True)


def two_seeds_first(run):
    """Order of the runs of most experiments: two seeds of everything, then more."""
    return (run["seed"] >= 2, run["seed"])


def do(experiments, settings, folder, jobs, console):
    """Do all runs that are not in the tables yet.

    Parameters
    ----------
    experiments : list of str
        Modules of this package with ``FIELDS``, ``runs(settings)`` and
        ``execute(run, settings, folder)``.
    settings : Settings
        How much.
    folder : pathlib.Path
        For the tables.
    jobs : int
        Processes, of one thread each; 0 does no run.
    console : rich.console.Console
        Where progress is told.

    Returns
    -------
    dict of str to DataFrame
        The rows of every experiment.

    Raises
    ------
    RuntimeError
        If runs failed; the others are done and stored before.
    """
    modules = {name: import_module(f"benchmarks.reproduce.{name}") for name in experiments}
    tables = {name: Table(folder / f"{name}.csv", m.FIELDS) for name, m in modules.items()}
    every = [(name, run) for name, m in modules.items() for run in m.runs(settings)]
    every.sort(key=lambda pair: modules[pair[0]].stage(pair[1]))
    finished = {name: table.finished() for name, table in tables.items()}
    todo = [(name, run) for name, run in every if key(run) not in finished[name]]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    if not jobs:
        return {name: table.rows for name, table in tables.items()}
    failed = []
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _one_thread)
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("runs", total=len(every), completed=len(every) - len(todo))
        try:
            futures = {
                pool.submit(_execute, name, run, settings, folder): (name, run)
                for name, run in todo
            }
            for future in as_completed(futures):
                name, run = futures[future]
                if error := future.exception():
                    failed.append(f"{name} {run}: {error!r}")
                    console.print(failed[-1])
                else:
                    tables[name].put(run, future.result())
                bar.advance(task)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(todo)} runs failed, the first: {failed[0]}")
    return {name: table.rows for name, table in tables.items()}


def _one_thread():
    """Processes share the cores; small nets gain nothing from several threads each."""
    threadpool_limits(1)
    torch.set_num_threads(1)


def _execute(name, run, settings, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return import_module(f"benchmarks.reproduce.{name}").execute(run, settings, Path(folder))
