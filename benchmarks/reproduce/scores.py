"""How the score of the activation surgeon was chosen: scores of neurons, on validation rows."""

from dataclasses import replace

import numpy as np
from skactprune.pruning.criteria import Criterion, deviation_of_firing, firing_rate, surgeon_neuron

from benchmarks.reproduce.nets import fitted, join, split
from benchmarks.reproduce.protocol import HIDDEN, Rows
from benchmarks.reproduce.scores_page import SURGEON, TAKEN_OVER, answers, draw, section
from benchmarks.reproduce.variant import DATASET, hidden_weights, variant_net
from skactprune import Method

__all__ = ["FIELDS", "answers", "draw", "execute", "runs", "section", "stage"]

FIELDS = ("dataset", "score", "refit", "size", "seed")


class Scored(Method):
    """Whole neurons of every layer by a score; with `refit` the others take over.

    Parameters
    ----------
    name : str
        A key of `SCORES`.
    refit : bool
        Whether the others take over.
    """

    schedule = "cubic"
    sample_size = 2000

    def __init__(self, name, refit):
        self.name = name
        self.refit = refit

    @property
    def criterion(self):
        """The score, one for each neuron."""
        score = SCORES[self.name]
        return Criterion(lambda layer: score(layer)[:, None], outputs=True)


def _rate(layer):
    return firing_rate(layer.counts, layer.n_counted)


def _firing(layer):
    return deviation_of_firing(layer.counts, layer.n_counted)


def _deviation(layer):
    return np.sqrt(np.diag(layer.covariance))


def _incoming(layer, order=2):
    return np.linalg.norm(layer.weight * layer.mask, ord=order, axis=1)


def _outgoing(layer):
    return np.linalg.norm(layer.outgoing, axis=0)


def _inputs(layer):
    deviation = 1.0 if layer.input_deviation is None else layer.input_deviation
    return np.abs(layer.weight * layer.mask * deviation).sum(axis=1)


SCORES = {
    SURGEON: lambda la: surgeon_neuron(la)[:, 0],
    "random": lambda la: la.random_state.uniform(size=len(la.weight)),
    "p": _rate,
    "f": _firing,
    "σ": _deviation,
    "‖w_in‖₁": lambda la: _incoming(la, 1),
    "‖w_in‖": _incoming,
    "‖w_out‖": _outgoing,
    "‖w_in‖ ‖w_out‖": lambda la: _incoming(la) * _outgoing(la),
    "p ‖w_in‖ ‖w_out‖": lambda la: _rate(la) * _incoming(la) * _outgoing(la),
    "f ‖w_in‖ ‖w_out‖": lambda la: _firing(la) * _incoming(la) * _outgoing(la),
    "f Σ abs(w_in) s (firing deviation)": lambda la: _firing(la) * _inputs(la),
    "σ ‖w_out‖": lambda la: _deviation(la) * _outgoing(la),
}


def stage(run):
    """Order of the runs: seed by seed, after the two first seeds of the other experiments."""
    return (True, run["seed"])


def runs(settings):
    """Yield all runs; the better scores with and without taking over."""
    for seed in range(settings.score_seeds):
        for share in settings.variant_shares:
            size = join(max(round(share * width), 1) for width in HIDDEN)
            for score in SCORES:
                for refit in (0, 1) if score in TAKEN_OVER else (0,):
                    yield dict(zip(FIELDS, (DATASET, score, refit, size, seed), strict=True))


def execute(run, settings, folder):
    """The row of a run. All rows that are not trained on validate; test rows are not looked at."""
    rows, n = Rows.load(run["dataset"], settings.n_rows), settings.variant_rows
    X_val = np.concatenate([rows.X_val, rows.X[n:]])
    y_val = np.concatenate([rows.y_val, rows.y[n:]])
    rows = replace(rows, X=rows.X[:n], y=rows.y[:n])
    live = split(run["size"])
    n_features = rows.X.shape[1]
    left = hidden_weights(n_features, live) / hidden_weights(n_features, HIDDEN)
    method = Scored(run["score"], bool(run["refit"]))
    net = variant_net(settings, HIDDEN, run["seed"], method=method, prune_fraction=1 - left)
    net, _ = fitted(net, rows)
    return [
        {
            "validation_accuracy": net.score(X_val, y_val),
            "rows": len(X_val),
            "live": join(coef.shape[1] for coef in net.coefs_[:-1]),
        }
    ]
