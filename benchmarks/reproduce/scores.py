"""How the score of the activation surgeon was chosen: scores of neurons, on validation rows."""

from dataclasses import replace

import numpy as np

from benchmarks.reproduce import variant
from benchmarks.reproduce.nets import join, split
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.statistics import mean_sd
from skactprune import ScorePruning
from skactprune.methods import ActivationSurgeon

FIELDS = ("dataset", "score", "refit", "size", "seed")
FULL = variant.FULL.but(seeds=2)
QUICK = variant.QUICK.but(seeds=1)


def _firing(layer):
    """Standard deviation f = sqrt(p (1 - p)) of whether a neuron fires."""
    rate = layer.counts / layer.n_counted
    return np.sqrt(rate * (1 - rate))


def _incoming(layer, order=2, scale=1.0):
    """Norms of the incoming weights."""
    return np.linalg.norm(layer.weight * layer.mask * scale, ord=order, axis=1)


SURGEON = "activation surgeon"
SCORES = {
    "random": lambda layer: layer.random_state.uniform(size=len(layer.weight)),
    "p": lambda layer: layer.counts / layer.n_counted,
    "f": _firing,
    "‖w_in‖₁": lambda layer: _incoming(layer, 1),
    "‖w_in‖": _incoming,
    "f Σ abs(w_in) s (firing deviation)": lambda layer: (
        _firing(layer) * _incoming(layer, 1, layer.input_deviation)
    ),
}


def runs(settings):
    """Yield all runs: the surgeon, where others take over (1), and scores where none does (0)."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            for left in variant.sizes(settings):
                yield dataset, SURGEON, 1, left, seed
                for score in SCORES:
                    yield dataset, score, 0, left, seed


def method(score):
    """Method of a score: whole neurons of every layer."""
    if score == SURGEON:
        return ActivationSurgeon("neuron", "layer")
    return ScorePruning(lambda layer: SCORES[score](layer)[:, None], schedule="cubic")


def execute(settings, folder, dataset, score, refit, size, seed):
    """The row of a run. All rows that are not trained on validate; test rows are not looked at."""
    rows, n = Rows.load(dataset, settings.n_rows), settings.n_train
    X_val = np.concatenate([rows.X_val, rows.X[n:]])
    y_val = np.concatenate([rows.y_val, rows.y[n:]])
    rows = replace(rows, X=rows.X[:n], y=rows.y[:n])
    left = variant.left_of(rows, settings, split(size))
    net = variant.estimator(settings, seed, method=method(score), prune_fraction=1 - left)
    net.fit(rows.X, rows.y)
    return [
        {
            "validation_accuracy": net.score(X_val, y_val),
            "rows": len(X_val),
            "live": join(coef.shape[1] for coef in net.coefs_[:-1]),
        }
    ]


def tables(rows):
    """Yield accuracies by score and size, best on average first."""
    then = rows["refit"].map({0: "", 1: ", others take over"})
    rows = rows.assign(score=rows["score"] + then)
    table = rows.groupby(["score", "size"])["validation_accuracy"].agg(mean_sd(2)).unstack()
    table = table[sorted(table, key=split, reverse=True)].fillna("-")
    best = rows.groupby("score")["validation_accuracy"].mean().sort_values(ascending=False)
    yield "validation", table.loc[best.index].reset_index()


def figures(rows, folder):
    """No figure."""
    return ()


def answers(rows):
    """None: what was chosen here is tested elsewhere."""
    return []
