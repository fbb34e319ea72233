"""The comparison itself: fits of nets and of PCA, spread over the CPU's cores."""

import math
import warnings
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from joblib import Parallel, cpu_count, delayed
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skactprune._cli.arguments import CURVE_FRACTIONS
from skactprune._cli.errors import UserError
from skactprune.estimators import PrunedMLPClassifier
from skactprune.inspection import LowRankNet, n_parameters, timed_fit
from skactprune.pruning.selection import smallest_possible

DENSE = "dense MLP"
ACTIVATION = "activation-pruned"
ACTIVATION_MAGNITUDE = "activation x magnitude"
ACTIVATION_SURGEON = "activation surgeon (default)"
MAGNITUDE = "magnitude-pruned"
KERNEL_PCA = "dense MLP, kernels by PCA"
PCA_CLASSIFIER = "PCA + logistic regression"
METHODS = {
    DENSE: "activation",
    ACTIVATION: "activation",
    ACTIVATION_MAGNITUDE: "activation_magnitude",
    ACTIVATION_SURGEON: "activation_surgeon",
    MAGNITUDE: "magnitude",
}
# Fitted at the fraction of the table only; the figure has ACTIVATION at further ones.
AT_ONE_FRACTION = (ACTIVATION_MAGNITUDE, ACTIVATION_SURGEON, MAGNITUDE)


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    Parameters
    ----------
    hidden : tuple of int
        Sizes of the hidden layers.
    prune_fraction : float
        Of the table; the figure has further ones.
    rounds : int
        Pruning rounds.
    epochs : int
        Epochs of every net, pruned or not.
    seeds : int
        Number of fits of everything.
    """

    hidden: tuple[int, ...]
    prune_fraction: float
    rounds: int
    epochs: int
    seeds: int


@dataclass(frozen=True)
class Fit:
    """One fitted model and how it did.

    Parameters
    ----------
    train, test : float
        Accuracies.
    parameters : int
        Numbers to store.
    seconds : float
        To fit, on one thread.
    sparsity : float
        Share of the hidden weights that is gone; NaN without hidden weights.
    live, ranks : list of int
        Neurons and rank of every hidden layer; empty without.
    net : PrunedMLPClassifier or None
        The net.
    """

    train: float
    test: float
    parameters: int
    seconds: float
    sparsity: float = math.nan
    live: list[int] = field(default_factory=list)
    ranks: list[int] = field(default_factory=list)
    net: PrunedMLPClassifier | None = None


def batch_size(n_rows):
    """A tenth of the rows, from 16 to 200: a small table needs its steps, too."""
    return min(max(n_rows // 10, 16), 200, n_rows)


def default_epochs(n_rows):
    """Epochs for about 1500 steps of the optimizer, between 20 and 200."""
    steps = math.ceil(n_rows / batch_size(n_rows))
    return min(max(math.ceil(1500 / steps), 20), 200)


def fractions(settings, n_features):
    """Fractions for the figure, that of the table among them.

    Raises
    ------
    UserError
        If the layers are too small for that of the table.
    """
    sizes = [n_features, *settings.hidden]
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    floors = [1] * len(shapes)
    smallest = smallest_possible(shapes, granularity="neuron", chained=True, floors=floors)
    highest = 1 - smallest / sum(n_out * n_in for n_out, n_in in shapes)
    if settings.prune_fraction > highest:
        raise UserError(
            f"--prune-fraction {settings.prune_fraction} cannot be reached with --hidden "
            f"{' '.join(map(str, settings.hidden))}: it must be at most "
            f"{math.floor(highest * 100) / 100}."
        )
    wanted = {settings.prune_fraction, *CURVE_FRACTIONS}
    return sorted(fraction for fraction in wanted if fraction <= highest)


def run(data, settings, jobs, advance):
    """Fit everything.

    Parameters
    ----------
    data : Data
        Rows.
    settings : Settings
        Sizes and numbers.
    jobs : int or None
        Processes; None is one a core.
    advance : callable
        Told the share of the work done, what was done last, after every fit.

    Returns
    -------
    dict
        Fits of all seeds by (method, fraction); fraction is that of the activation-pruned net
        that a PCA was matched with, and None for the dense net.
    """
    at = fractions(settings, data.splits[0].X_train.shape[1])
    nets = [(DENSE, None), *((ACTIVATION, fraction) for fraction in at)]
    nets += [(name, settings.prune_fraction) for name in AT_ONE_FRACTION]
    seeds = range(settings.seeds)
    net_jobs = [(seed, *net) for seed in seeds for net in nets]
    total = len(net_jobs) + len(at) * len(data.splits)
    done = {}

    def collect(parallel, tasks):
        for key, fit in parallel(tasks):
            done[key] = fit
            advance(len(done) / total)

    workers = min(jobs or cpu_count(), total)
    with Parallel(workers, return_as="generator_unordered") as parallel:
        collect(
            parallel,
            (
                delayed(_fit_net)((name, fraction, seed), data.split(seed), settings)
                for seed, name, fraction in net_jobs
            ),
        )
        collect(
            parallel,
            (
                delayed(_fit_pca)(
                    (PCA_CLASSIFIER, fraction, split),
                    data.splits[split],
                    done[ACTIVATION, fraction, split].live[-1],
                )
                for split in range(len(data.splits))
                for fraction in at
            ),
        )
    fits = {net: [done[(*net, seed)] for seed in seeds] for net in nets}
    for fraction in at:
        fits[PCA_CLASSIFIER, fraction] = [
            done[PCA_CLASSIFIER, fraction, seed % len(data.splits)] for seed in seeds
        ]
        pairs = zip(fits[DENSE, None], fits[ACTIVATION, fraction], strict=True)
        fits[KERNEL_PCA, fraction] = [
            _reconstructed(dense, pruned.ranks, data.split(seed))
            for seed, (dense, pruned) in enumerate(pairs)
        ]
    return fits


def _fit_net(key, split, settings):
    name, fraction, seed = key
    net = PrunedMLPClassifier(
        settings.hidden,
        method=METHODS[name],
        prune_fraction=fraction or 0,
        n_prune_rounds=settings.rounds,
        max_iter=settings.epochs,
        batch_size=batch_size(len(split.X_train)),
        # All nets train for the same number of epochs.
        tol=0,
        n_iter_no_change=np.inf,
        random_state=seed,
    )
    seconds = _timed_fit(net, split)
    return key, Fit(
        *_accuracies(net, split),
        parameters=n_parameters(net),
        seconds=seconds,
        sparsity=net.sparsity_,
        live=[len(live) for live in net.live_neurons_],
        ranks=net.hidden_ranks_,
        net=net,
    )


def _fit_pca(key, split, n_components):
    k = min(n_components, *split.X_train.shape)
    model = make_pipeline(
        PCA(k, random_state=0), StandardScaler(), LogisticRegression(max_iter=1000)
    )
    seconds = _timed_fit(model, split)
    return key, Fit(
        *_accuracies(model, split),
        parameters=n_parameters(model),
        seconds=seconds,
        ranks=[k],
    )


def _timed_fit(model, split):
    # One thread a fit: the cores are taken by other fits, and seconds can be compared.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return timed_fit(model, split.X_train, split.y_train)[1]


def _accuracies(model, split):
    return tuple(
        float(np.mean(model.predict(X) == y))
        for X, y in ((split.X_train, split.y_train), (split.X_test, split.y_test))
    )


def _reconstructed(dense, ranks, split):
    start = perf_counter()
    model = LowRankNet(dense.net, ranks, "pca")
    seconds = dense.seconds + perf_counter() - start
    return Fit(
        *_accuracies(model, split),
        parameters=n_parameters(model),
        seconds=seconds,
        sparsity=dense.sparsity,
        live=dense.live,
        ranks=model.hidden_ranks_,
    )
