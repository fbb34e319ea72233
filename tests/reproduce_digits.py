"""Digits in place of images, for the tests of benchmarks.reproduce."""

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.runs import Table

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)


def digits_rows(n_train, n_validation, n_test=None):
    """Rows of digits in their order; None takes all that are left for the test."""
    start, end = n_train + n_validation, None if n_test is None else n_train + n_validation + n_test
    return Rows(
        "digits", X[:n_train], y[:n_train], X[n_train:start], y[n_train:start],
        X[start:end], y[start:end],
    )  # fmt: skip


def all_runs(module, settings, folder):
    """Table of all runs of an experiment, as a file gives it back."""
    path = folder / f"{module.__name__.rpartition('.')[2]}.csv"
    table = Table(path, module.FIELDS)
    for run in module.runs(settings):
        table.put(run, module.execute(run, settings, folder))
    return pd.read_csv(path)
