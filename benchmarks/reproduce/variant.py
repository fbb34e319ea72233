"""The activation surgeon beside other scores: accuracy against rank, parameters and FLOPs."""

from dataclasses import replace

import numpy as np

from benchmarks.reproduce.nets import describe, fitted, join, kept, low_rank, split
from benchmarks.reproduce.protocol import HIDDEN, Rows
from benchmarks.reproduce.training import FIRST_ROUND, LAST_ROUND, callbacks, faded
from benchmarks.reproduce.variant_page import (
    COUNT,
    DENSE,
    DEVIATION,
    KERNEL_PCA,
    MAGNITUDE,
    PRODUCT,
    RANDOM,
    SCRATCH,
    VARIANT,
    answers,
    draw,
    section,
)
from skactprune import EpochTrigger, PrunedMLPClassifier
from skactprune.methods import (
    Activation,
    ActivationMagnitude,
    ActivationSurgeon,
    FiringDeviation,
    Magnitude,
    Random,
)

__all__ = ["FIELDS", "answers", "draw", "execute", "runs", "section", "stage"]

FIELDS = ("dataset", "granularity", "method", "size", "seed")
DATASET = "fashion-mnist"
BATCH, ROUNDS, DROPOUT = 128, 10, (0.1, 0.2, 0.2, 0.1, 0.1)
# Of the dropout, see `faded`.
FADING = 1.0
METHODS = {
    "neuron": {
        VARIANT: ActivationSurgeon(),
        DEVIATION: FiringDeviation(schedule="cubic"),
        COUNT: Activation(schedule="cubic"),
        PRODUCT: ActivationMagnitude(schedule="cubic"),
        MAGNITUDE: Magnitude("neuron"),
        RANDOM: Random(schedule="cubic"),
    },
    "weight": {
        VARIANT: ActivationSurgeon("weight", "global"),
        DEVIATION: FiringDeviation("weight", "global", "cubic"),
        PRODUCT: ActivationMagnitude("weight", "global", "cubic"),
        MAGNITUDE: Magnitude("weight", "global"),
    },
    "none": (KERNEL_PCA, SCRATCH),
}


def stage(run):
    """Order of the runs: seed by seed."""
    return (run["seed"],)


def runs(settings):
    """Yield all runs: the dense net, and every method at every size."""
    for seed in range(settings.seeds):
        yield _run("none", DENSE, join(HIDDEN), seed)
        for share in settings.variant_shares:
            size = join(max(round(share * width), 1) for width in HIDDEN)
            for granularity, methods in METHODS.items():
                for method in methods:
                    yield _run(granularity, method, size, seed)


def _run(granularity, method, size, seed):
    return dict(zip(FIELDS, (DATASET, granularity, method, size, seed), strict=True))


def hidden_weights(n_features, sizes):
    """Weights of hidden layers of these sizes."""
    return sum(n_in * n_out for n_in, n_out in zip((n_features, *sizes[:-1]), sizes, strict=True))


def execute(run, settings, folder):
    """The row of a run; single weights leave as many hidden weights as whole neurons would."""
    rows = Rows.load(run["dataset"], settings.n_rows)
    rows = replace(rows, X=rows.X[: settings.variant_rows], y=rows.y[: settings.variant_rows])
    method, seed, live = run["method"], run["seed"], split(run["size"])
    if method in (DENSE, KERNEL_PCA):
        path = folder / ".dense" / f"{settings.name}-variant-{run['dataset']}-{seed}.npz"
        coefs, intercepts, more = kept(path, variant_net(settings, HIDDEN, seed), rows)
        if method == KERNEL_PCA:
            coefs, smaller = low_rank("kernel PCA", coefs, live)
            more |= smaller
        return [describe(rows, coefs, intercepts, **more)]
    n_features = rows.X.shape[1]
    left = hidden_weights(n_features, live) / hidden_weights(n_features, HIDDEN)
    if method == SCRATCH:
        # The dropout that a pruned net of this size ends with.
        net = variant_net(settings, live, seed, dropout=faded(DROPOUT, left, FADING))
    else:
        how = {"method": METHODS[run["granularity"]][method], "prune_fraction": 1 - left}
        net = variant_net(settings, HIDDEN, seed, **how)
    net, more = fitted(net, rows)
    return [describe(rows, net.coefs_, net.intercepts_, **more)]


def variant_net(settings, sizes, seed, method="magnitude", prune_fraction=0.0, dropout=DROPOUT):
    """Estimator of the experiment: layers of these sizes, and how they are pruned."""
    epochs = settings.variant_epochs
    return PrunedMLPClassifier(
        sizes,
        method=method,
        prune_fraction=prune_fraction,
        n_prune_rounds=ROUNDS,
        trigger=EpochTrigger(FIRST_ROUND, LAST_ROUND),
        batch_size=BATCH,
        dropout=dropout,
        max_iter=epochs,
        n_iter_no_change=np.inf,
        random_state=seed,
        net_params={"callbacks": callbacks(epochs, FADING)},
    )
