"""The same search in one process, in several, and on a cluster: ``python -m benchmarks.backends``.

Writes ``docs/scaling.csv`` and the table of ``docs/guide/scaling.md``. It takes two cores, and one
BLAS thread a worker.
"""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from benchmarks.pages import markdown, write
from benchmarks.timing import alternate, clock, threads
from skactprune import PrunedMLPClassifier

DOCS = Path(__file__).parents[1] / "docs"
N_WORKERS = 2
NET = PrunedMLPClassifier((100,), max_iter=20, random_state=0)
GRID = {"prune_fraction": [0.5, 0.8], "learning_rate_init": [0.001, 0.002, 0.005]}
BACKENDS = {
    "n_jobs=1": nullcontext,
    "loky": lambda: parallel_config("loky", n_jobs=N_WORKERS, inner_max_num_threads=1),
    "threading": lambda: parallel_config("threading", n_jobs=N_WORKERS),
    "dask": lambda: parallel_config("dask"),
}


def searches(X, y):
    """A search for every backend, and a function that runs it."""
    found = {name: GridSearchCV(clone(NET), GRID, cv=2, refit=False) for name in BACKENDS}

    def side(name):
        def run():
            with BACKENDS[name]():
                found[name].fit(X, y)

        return clock(run)

    return found, {name: side(name) for name in BACKENDS}


def measured(alternations=3):
    """Rows of the table: seconds of every backend, and whether its scores are the same bits."""
    X, y = load_digits(return_X_y=True)
    cluster = LocalCluster(n_workers=N_WORKERS, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster), threads(1):
        found, sides = searches((X / 16).astype(np.float32), y)
        seconds = alternate(sides, alternations)
    scores = {name: search.cv_results_["mean_test_score"] for name, search in found.items()}
    ratios = {name: np.divide(values, seconds["n_jobs=1"]) for name, values in seconds.items()}
    return pd.DataFrame(
        {
            "backend": list(seconds),
            "seconds, median": [f"{np.median(values):.2f}" for values in seconds.values()],
            "of n_jobs=1, median": [f"{np.median(values):.2f}" for values in ratios.values()],
            "lowest": [f"{min(values):.2f}" for values in ratios.values()],
            "highest": [f"{max(values):.2f}" for values in ratios.values()],
            "same scores": [
                "yes" if np.array_equal(values, scores["n_jobs=1"]) else "no"
                for values in scores.values()
            ],
        }
    )


if __name__ == "__main__":
    table = measured()
    table.to_csv(DOCS / "scaling.csv", index=False)
    write(DOCS / "guide" / "scaling.md", {"backends": markdown(table)}, DOCS / "guide")
