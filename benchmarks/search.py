"""How long a grid search takes."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from benchmarks import peers
from benchmarks.bench import count, table
from benchmarks.peers import OURS, SKLEARN
from benchmarks.results import held_against
from benchmarks.timing import clock

GRID = {"alpha": [1e-5, 1e-4, 1e-3, 1e-2], "learning_rate_init": [5e-4, 1e-3, 2e-3]}
N_JOBS, N_FOLDS = 2, 5


def grids(bench):
    """Search with the default method and rounds, and with MLPClassifier, in as many epochs."""
    on_table, on_digits = bench.settings.search_epochs
    X, y = load_digits(return_X_y=True)
    results = []
    for data, (rows, labels), epochs in (
        ("digits", ((X / 16).astype(np.float32), y), on_digits),
        ("synthetic table", table(bench.settings.search_rows, 30), on_table),
    ):
        pruned = peers.ours((100,), "auto", epochs, prune_fraction=0.8)
        sides = {OURS: pruned, SKLEARN: peers.sklearn_net((100,), "auto", epochs)}
        how = {"cv": N_FOLDS, "n_jobs": N_JOBS}
        searches = {
            side: clock(GridSearchCV(net, GRID, **how).fit, rows, labels)
            for side, net in sides.items()
        }
        values = bench.alternate(searches, alternations=min(3, bench.settings.alternations))
        where = f"{data}, {rows.shape[1]}-100-10, {len(rows)} rows, {count(epochs, 'epoch')}"
        about = {"what": "search, 12 candidates x 5 folds, n_jobs=2", "where": where}
        results += held_against(values, OURS, {SKLEARN: 0.5}, **about)
    return results
