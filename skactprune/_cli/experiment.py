"""The comparison itself: fits of nets and of PCA, spread over the CPU's cores."""

import math
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

from joblib import Parallel, cpu_count, delayed
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skactprune._cli.arguments import CURVE_FRACTIONS
from skactprune._cli.errors import UserError
from skactprune.estimators import PrunedMLPClassifier
from skactprune.inspection import LowRankNet, model_row, pca_classifier, timed_fit
from skactprune.pruning.chain import Chain

DENSE = "dense MLP"
ACTIVATION = "activation"
ACTIVATION_MAGNITUDE = "activation_magnitude"
ACTIVATION_SURGEON = "activation_surgeon"
MAGNITUDE = "magnitude"
KERNEL_PCA = "dense MLP, kernels by PCA"
PCA_CLASSIFIER = "PCA + logistic regression"
DESCRIPTIONS = {
    DENSE: "prune_fraction=0",
    ACTIVATION: "neurons go that fire least",
    ACTIVATION_MAGNITUDE: "neurons go by firing times weights",
    ACTIVATION_SURGEON: "the default: neurons go that others can stand in for",
    MAGNITUDE: "the smallest weights go",
    KERNEL_PCA: "hidden matrices rebuilt from principal components",
    PCA_CLASSIFIER: "no net",
}
"""What the rows are; those of pruned nets have the names that ``method=`` takes."""
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


class Fit(NamedTuple):
    """A fitted model and its row of the comparison.

    Parameters
    ----------
    row : dict
        See `skactprune.inspection.model_row`.
    model : classifier
        The model.
    """

    row: dict[str, Any]
    model: Any

    @property
    def ranks(self):
        """Ranks of the hidden layers, or what PCA has instead: its components."""
        return self.row["ranks"] or [self.model["pca"].n_components_]


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
    highest = _highest_fraction((n_features, *settings.hidden))
    if settings.prune_fraction > highest:
        raise UserError(
            f"--prune-fraction {settings.prune_fraction} cannot be reached with --hidden "
            f"{' '.join(map(str, settings.hidden))}: it must be at most "
            f"{math.floor(highest * 100) / 100}."
        )
    wanted = {settings.prune_fraction, *CURVE_FRACTIONS}
    return sorted(fraction for fraction in wanted if fraction <= highest)


def _highest_fraction(sizes):
    chain = Chain(list(zip(sizes[1:], sizes[:-1], strict=True)))
    fewest = chain.fewest_weights("neuron", [1] * len(chain.shapes))
    return 1 - fewest / sum(n_out * n_in for n_out, n_in in chain.shapes)


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
        Fits of all seeds by (method, fraction); fraction is that of the net pruned by activation
        that a PCA was matched with, and None for the dense net.
    """
    at = fractions(settings, data.splits[0].X_train.shape[1])
    nets = [(DENSE, None), *((ACTIVATION, fraction) for fraction in at)]
    nets += [(name, settings.prune_fraction) for name in AT_ONE_FRACTION]
    seeds, splits = range(settings.seeds), range(len(data.splits))
    total = len(seeds) * len(nets) + len(splits) * len(at)
    done = {}

    def fit(parallel, keys, make):
        tasks = (delayed(_fit)(key, make(key), data.split(key[-1])) for key in keys)
        for key, fitted in parallel(tasks):
            done[key] = fitted
            advance(len(done) / total)

    with Parallel(min(jobs or cpu_count(), total), return_as="generator_unordered") as parallel:
        keys = [(*net, seed) for seed in seeds for net in nets]
        fit(parallel, keys, lambda key: _net(*key, data, settings))
        # No seed plays a part in a PCA: one fit a split.
        keys = [(PCA_CLASSIFIER, fraction, split) for split in splits for fraction in at]
        fit(parallel, keys, lambda key: _pca(done[ACTIVATION, *key[1:]], data.split(key[-1])))
    fits = {net: [done[(*net, seed)] for seed in seeds] for net in nets}
    for fraction in at:
        fits[PCA_CLASSIFIER, fraction] = [
            done[PCA_CLASSIFIER, fraction, seed % len(splits)] for seed in seeds
        ]
        fits[KERNEL_PCA, fraction] = [
            _reconstructed(done[DENSE, None, seed], pruned, data.split(seed))
            for seed, pruned in enumerate(fits[ACTIVATION, fraction])
        ]
    return fits


def net_parameters(settings, n_rows):
    """Parameters that all nets share, for so many training rows."""
    defaults = PrunedMLPClassifier()
    return {
        "hidden_layer_sizes": settings.hidden,
        "n_prune_rounds": settings.rounds,
        "max_iter": settings.epochs,
        "batch_size": batch_size(n_rows),
        "learning_rate_init": defaults.learning_rate_init,
        "alpha": defaults.alpha,
        # All nets train for the same number of epochs.
        "tol": 0,
        "n_iter_no_change": settings.epochs,
    }


def _net(name, fraction, seed, data, settings):
    pruning = {"prune_fraction": 0}
    if name != DENSE:
        pruning = {"method": name, "prune_fraction": fraction}
    shared = net_parameters(settings, len(data.split(seed).X_train))
    return PrunedMLPClassifier(**pruning, **shared, random_state=seed)


def _pca(beside, split):
    # As many components as the net beside it has neurons.
    return pca_classifier(min(beside.row["live_neurons"][-1], *split.X_train.shape))


def _fit(key, model, split):
    # One thread a fit: the cores are taken by other fits, and seconds can be compared.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model, seconds = timed_fit(model, split.X_train, split.y_train)
    return key, Fit(model_row(model, _rows_of(split), seconds=seconds), model)


def _reconstructed(dense, pruned, split):
    net = LowRankNet(dense.model, pruned.row["ranks"], "pca")
    seconds = dense.row["fit_seconds"] + net.seconds_
    return Fit(model_row(net, _rows_of(split), seconds=seconds), net)


def _rows_of(split):
    return {"train": (split.X_train, split.y_train), "test": (split.X_test, split.y_test)}
