"""What a case gets: sizes, data, a folder for files, processes, and the way to compare sides."""

import json
import os
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.timing import alternate
from skactprune.datasets import load_dataset

ROOT = Path(__file__).parents[1]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Bench:
    """Workbench of the cases: how large everything is, and a folder for files."""

    def __init__(self, settings, folder):
        self.settings, self.folder = settings, folder

    def alternate(self, sides, warm_up=True, alternations=None):
        """Measure sides in turn; see `benchmarks.timing.alternate`."""
        return alternate(sides, alternations or self.settings.alternations, warm_up)

    # -- rows to train on -------------------------------------------------------------------

    @cached_property
    def images(self):
        """Training rows and labels, rows to predict for, and the name of the data.

        Fashion-MNIST, or noise of the same shape where it is not at hand.
        """
        settings = self.settings
        n_rows = max(settings.image_rows, settings.shrink_rows, settings.model_rows)
        try:
            X, X_test, y, _ = load_dataset("fashion-mnist")
        # Offline, and pandas may be missing with which scikit-learn reads the download.
        except (OSError, ImportError):
            X, y = table(n_rows + 10_000, 784)
            return X[:n_rows], y[:n_rows], X[n_rows:], "noise of the shape of Fashion-MNIST"
        return np.ascontiguousarray(X[:n_rows]), y[:n_rows], X_test, "Fashion-MNIST"

    def training_images(self, n_rows):
        """The first `n_rows` training rows and labels."""
        X, y, _, _ = self.images
        return X[:n_rows], y[:n_rows]

    def on_images(self, hidden, batch=128, *more):
        """Where something is measured: images, a net of these hidden sizes, and what else."""
        return name(self.images[3], (784, *hidden, 10), batch, *more)

    # -- processes of their own, for what cannot be measured beside others -------------------

    def run_child(self, *arguments):
        """Run ``python -m benchmarks.child`` in the folder and return what it measured."""
        command = [sys.executable, "-m", "benchmarks.child", *map(str, arguments)]
        how = {"cwd": self.folder, "env": self._environment, "check": True}
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, **how).stdout)

    def time_script(self, code):
        """Seconds that a new Python takes for `code`, its start included."""
        start = perf_counter()
        subprocess.run([sys.executable, "-c", code], env=self._environment, check=True)
        return perf_counter() - start

    @property
    def _environment(self):
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        n = self.settings.threads
        threads = {} if n is None else dict.fromkeys(THREAD_VARIABLES, str(n))
        return os.environ | threads | {"PYTHONPATH": path}


def name(source, sizes, batch, *more):
    """Data, net and batches for a table, and what else there is to say."""
    return ", ".join([source, "-".join(map(str, sizes)), f"batch {batch}", *more])


def count(n, unit):
    """A number of things, such as ``"5 rounds"``."""
    return f"{n} {unit}{'s' * (n != 1)}"


def table(n_rows, n_features, seed=0):
    """Synthetic rows of 10 classes that a net can learn: the largest of 10 random projections."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    teacher = np.random.default_rng(1).standard_normal((n_features, 10), dtype=np.float32)
    return X, (X @ teacher).argmax(axis=1)
