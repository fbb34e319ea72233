"""Claims C1-C3: accuracy and rank of pruned nets beside their rivals."""

from dataclasses import replace

from benchmarks.reproduce.accuracy_page import PAPER, answers, draw, section
from benchmarks.reproduce.nets import (
    RECONSTRUCTIONS,
    describe,
    fitted,
    kept,
    low_rank,
    retrained,
    split,
)
from benchmarks.reproduce.protocol import DeadlineTrigger, Rows, estimator
from skactprune.methods import Activation, ActivationMagnitude, Ganguli2024, Magnitude, Random

__all__ = ["FIELDS", "answers", "draw", "execute", "runs", "section", "stage"]

FIELDS = ("dataset", "method", "fraction", "rounds", "seed")
# "exact": prune_fraction is what is gone in the end, weights that die with their neuron included.
METHODS = {
    "count": Ganguli2024(),
    "count x magnitude": Ganguli2024(criterion="activation_magnitude"),
    "count, exact": Activation("weight", "global"),
    "count, exact, layer": Activation("neuron", "layer"),
    "count x magnitude, exact": ActivationMagnitude("weight", "global"),
    "magnitude, global": Magnitude(scope="global", schedule="geometric"),
    "magnitude, layer": Magnitude(scope="layer", schedule="geometric"),
    "random": Random(),
}
# What the verdicts rest on: more seeds than the rest, and some with other numbers of rounds, too.
CENTRAL = (*PAPER, "magnitude, global")
DECIDING = (*CENTRAL, "count, exact", "count x magnitude, exact")
THOROUGH_SEEDS = 2


def runs(settings):
    """Yield all runs: the dense net, and methods at every fraction and number of rounds."""
    for seed in range(settings.seeds):
        methods = METHODS if seed < THOROUGH_SEEDS else DECIDING
        for dataset in settings.datasets:
            yield _run(dataset, "dense", 0.0, 0, seed)
            for rounds in settings.rounds:
                for fraction in settings.fractions:
                    for method in methods:
                        if rounds > min(settings.rounds) and method not in CENTRAL:
                            continue
                        yield _run(dataset, method, fraction, rounds, seed)


def _run(*values):
    return dict(zip(FIELDS, values, strict=True))


def stage(run):
    """Order of the runs: two seeds of everything, five rounds first, then more seeds."""
    return (
        run["seed"] >= 2 and run["rounds"] > 5,
        run["seed"] >= 2,
        run["rounds"] > 5,
        run["seed"],
    )


def execute(run, settings, folder):
    """Rows of a run: the net itself and, for the paper's methods, its rivals of the same size."""
    rows = Rows.load(run["dataset"], settings.n_rows)
    seed = run["seed"]
    params = {"max_iter": settings.max_epochs, "trigger": _trigger(settings)}
    cache_name = f"{settings.name}-{run['dataset']}-{seed}.npz"
    coefs, intercepts, more = kept(
        folder / ".dense" / cache_name, estimator(rows, seed, **params), rows
    )
    if run["method"] == "dense":
        return [describe(rows, coefs, intercepts, model="dense", **more)]
    method = METHODS[run["method"]]
    net = estimator(rows, seed, method, run["fraction"], run["rounds"], **params)
    net, more = fitted(net, rows)
    found = [describe(rows, net.coefs_, net.intercepts_, model="pruned", **more)]
    found[0]["sparsity"] = net.sparsity_
    epochs = net.n_iter_ - net.pruning_history_[0]["epoch"]
    thorough = (
        run["method"] in PAPER and run["rounds"] == min(settings.rounds) and seed < THOROUGH_SEEDS
    )
    for name in RECONSTRUCTIONS:
        kernels, size = low_rank(name, coefs, split(found[0]["ranks"]))
        found.append(describe(rows, kernels, intercepts, model=name, **size))
        if thorough:
            *trained, took = retrained(rows, kernels, intercepts, epochs, seed)
            size["epochs"] = took
            found.append(describe(rows, *trained, model=f"{name}, retrained", **size))
    if thorough:
        sizes = [coef.shape[1] for coef in net.coefs_[:-1]]
        small = estimator(rows, seed, hidden_layer_sizes=sizes, **params)
        small, more = fitted(small, rows)
        found.append(
            describe(rows, small.coefs_, small.intercepts_, model="small from scratch", **more)
        )
    return found


def _trigger(settings):
    trigger = DeadlineTrigger()
    return replace(trigger, deadline=min(trigger.deadline, settings.max_epochs * 3 // 5))
