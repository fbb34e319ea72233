"""The estimator's own defaults in place of the authors' protocol: accuracy beside rivals."""

from benchmarks.reproduce.defaults_page import (
    DEFAULT,
    DENSE,
    RIVALS,
    STYLES,
    answers,
    draw,
    section,
)
from benchmarks.reproduce.nets import RECONSTRUCTIONS, describe, fitted, kept, low_rank, split
from benchmarks.reproduce.protocol import HIDDEN, Rows
from benchmarks.reproduce.runs import two_seeds_first
from skactprune import PrunedMLPClassifier

__all__ = ["FIELDS", "answers", "draw", "execute", "runs", "section", "stage"]

FIELDS = ("dataset", "method", "fraction", "rounds", "seed")
stage = two_seeds_first


def runs(settings):
    """Yield all runs: the dense net, and every method; more rounds for the default only."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            yield _run(dataset, DENSE, 0.0, 0, seed)
            for fraction in settings.fractions:
                for rounds in settings.rounds:
                    for method in STYLES:
                        if method == DEFAULT or rounds == min(settings.rounds):
                            yield _run(dataset, method, fraction, rounds, seed)


def _run(*values):
    return dict(zip(FIELDS, values, strict=True))


def execute(run, settings, folder):
    """Rows of a run: the net itself and, beside the default, its rivals of the same size."""
    rows = Rows.load(run["dataset"], settings.n_rows)
    seed, epochs = run["seed"], settings.default_epochs
    cache_name = f"{settings.name}-defaults-{run['dataset']}-{seed}.npz"
    coefs, intercepts, more = kept(
        folder / ".dense" / cache_name, _net(epochs, seed, prune_fraction=0), rows
    )
    if run["method"] == DENSE:
        return [describe(rows, coefs, intercepts, model="dense", **more)]
    net = _net(
        epochs,
        seed,
        method=run["method"],
        prune_fraction=run["fraction"],
        n_prune_rounds=run["rounds"],
    )
    net, more = fitted(net, rows)
    found = [describe(rows, net.coefs_, net.intercepts_, model="pruned", **more)]
    found[0]["sparsity"] = net.sparsity_
    if run["method"] != DEFAULT or run["rounds"] > min(settings.rounds):
        return found
    for name in RECONSTRUCTIONS:
        kernels, size = low_rank(name, coefs, split(found[0]["ranks"]))
        found.append(describe(rows, kernels, intercepts, model=name, **size))
    sizes = [coef.shape[1] for coef in net.coefs_[:-1]]
    small, more = fitted(_net(epochs, seed, hidden_layer_sizes=sizes, prune_fraction=0), rows)
    found.append(describe(rows, small.coefs_, small.intercepts_, model=RIVALS[-1], **more))
    return found


def _net(epochs, seed, **params):
    return PrunedMLPClassifier(
        **{"hidden_layer_sizes": HIDDEN, "max_iter": epochs, "random_state": seed} | params
    )
