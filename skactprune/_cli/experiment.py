"""The comparison itself: fits of nets and of PCA, spread over the CPU's cores."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from joblib import Parallel, cpu_count, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from skactprune._cli.arguments import CURVE_FRACTIONS
from skactprune._cli.errors import UserError
from skactprune.estimators import PrunedMLPClassifier
from skactprune.inspection import LowRankNet, model_row, timed_fit
from skactprune.inspection.rivals import (
    component_classifiers,
    plain_classifiers,
    small_net,
    vary_within_classes,
)
from skactprune.pruning.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from skactprune._cli.data import Data
    from skactprune.datasets import Dataset

DENSE = "dense MLP"
ACTIVATION = "activation"
ACTIVATION_MAGNITUDE = "activation_magnitude"
ACTIVATION_SURGEON = "activation_surgeon"
MAGNITUDE = "magnitude"
RANDOM = "random"
SMALL = "small MLP from scratch"
KERNEL_PCA = "dense MLP, kernels by PCA"
LOGISTIC = "logistic regression"
BOOSTING = "gradient boosting"
PCA_CLASSIFIER = "PCA + logistic regression"
LDA_CLASSIFIER = "LDA + logistic regression"
NCA_CLASSIFIER = "NCA + logistic regression"
DESCRIPTIONS = {
    DENSE: "prune_fraction=0",
    ACTIVATION_SURGEON: "the default: neurons go that others can stand in for",
    ACTIVATION: "neurons go that fire least",
    ACTIVATION_MAGNITUDE: "neurons go by firing times weights",
    MAGNITUDE: "the smallest weights go",
    RANDOM: "any neurons go",
    SMALL: "as large as what the default leaves, never pruned",
    KERNEL_PCA: "hidden matrices rebuilt from principal components",
    LOGISTIC: "no net",
    BOOSTING: "no net, trees",
    PCA_CLASSIFIER: "no net",
    LDA_CLASSIFIER: "no net, components that know the classes",
    NCA_CLASSIFIER: "no net, components that know the classes",
}
"""What the rows are, in their order; those of pruned nets have the names that ``method=`` takes."""
DEFAULT = PrunedMLPClassifier().method
"""The method whose sizes and ranks others are given."""
AT_ONE_FRACTION = (ACTIVATION, ACTIVATION_MAGNITUDE, MAGNITUDE)
"""Fitted at the fraction of the table only; the figure has others at further ones."""
COMPONENTS_AT_ONE_FRACTION = (LDA_CLASSIFIER, NCA_CLASSIFIER)
WITHOUT_FRACTION = (DENSE, LOGISTIC, BOOSTING)
"""All that has nothing to do with what is pruned."""


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
    def ranks(self) -> list[int]:
        """Ranks of the hidden layers, or what PCA and the like have instead: components."""
        first: Any = self.model[0] if isinstance(self.model, Pipeline) else None
        components = [first.n_components] if hasattr(first, "n_components") else []
        return self.row["ranks"] or components


# Method, fraction and seed or split of a fit; of all seeds, the fits by the first two.
Key: TypeAlias = tuple[str, float | None, int]
Fits: TypeAlias = dict[tuple[str, float | None], list[Fit]]


def batch_size(n_rows: int) -> int:
    """A tenth of the rows, from 16 to 200: a small table needs its steps, too."""
    return min(max(n_rows // 10, 16), 200, n_rows)


def default_epochs(n_rows: int) -> int:
    """Epochs for about 1500 steps of the optimizer, between 20 and 200."""
    steps = math.ceil(n_rows / batch_size(n_rows))
    return min(max(math.ceil(1500 / steps), 20), 200)


def fractions(settings: Settings, n_features: int) -> list[float]:
    """Fractions for the figure, that of the table among them.

    Raises
    ------
    UserError
        If the layers are too small for that of the table.
    """
    highest = _highest_fraction((n_features, *settings.hidden))
    if not highest:
        raise UserError(
            f"--hidden {' '.join(map(str, settings.hidden))} leaves nothing to prune, as every "
            "layer keeps a neuron; it must have more than 1 in some layer."
        )
    if settings.prune_fraction > highest:
        raise UserError(
            f"--prune-fraction {settings.prune_fraction} cannot be reached with --hidden "
            f"{' '.join(map(str, settings.hidden))}: it must be at most "
            f"{math.floor(highest * 100) / 100}."
        )
    wanted = {settings.prune_fraction, *CURVE_FRACTIONS}
    return sorted(fraction for fraction in wanted if fraction <= highest)


def _highest_fraction(sizes: Sequence[int]) -> float:
    chain = Chain(list(zip(sizes[1:], sizes[:-1], strict=True)))
    fewest = chain.fewest_weights("neuron", [1] * len(chain.shapes))
    return 1 - fewest / sum(n_out * n_in for n_out, n_in in chain.shapes)


def run(
    data: Data, settings: Settings, jobs: int | None, advance: Callable[[float], object]
) -> Fits:
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
        Fits of all seeds by (method, fraction); fraction is that of the net that others were
        matched with, and None for `WITHOUT_FRACTION`.
    """
    if not all(vary_within_classes(split.X_train, split.y_train) for split in data.splits):
        raise UserError(
            "no column varies among the rows of a class, so that there is nothing to compare: each "
            "row tells its class outright. Is a column a copy of the target?"
        )
    at = fractions(settings, data.splits[0].X_train.shape[1])
    one = settings.prune_fraction
    pruned = [(name, fraction) for name in (DEFAULT, RANDOM) for fraction in at]
    nets = [(DENSE, None), *pruned, *((name, one) for name in AT_ONE_FRACTION)]
    small = [(SMALL, fraction) for fraction in at]
    others = [(BOOSTING, None), (LOGISTIC, None), *((PCA_CLASSIFIER, f) for f in at)]
    others += [(name, one) for name in COMPONENTS_AT_ONE_FRACTION]
    seeds, splits = range(settings.seeds), range(len(data.splits))
    total = len(seeds) * (len(nets) + len(small)) + len(splits) * len(others)
    done: dict[Key, Fit] = {}

    def fit(parallel: Parallel, keys: list[Key], make: Callable[[Key], Any]) -> None:
        tasks = (delayed(_fit)(key, make(key), data.split(key[-1])) for key in keys)
        for key, fitted in parallel(tasks):
            done[key] = fitted
            advance(len(done) / total)

    with Parallel(min(jobs or cpu_count(), total), return_as="generator_unordered") as parallel:
        keys = [(*net, seed) for seed in seeds for net in nets]
        fit(parallel, keys, lambda key: _net(*key, data, settings))
        # No seed plays a part in what is no net: one fit a split.
        keys = [(*key, split) for key in others for split in splits]
        keys += [(*key, seed) for seed in seeds for key in small]
        fit(parallel, keys, lambda key: _beside(done, *key, one, data))
    fits = {net: [done[(*net, seed)] for seed in seeds] for net in (*nets, *small)}
    fits |= {key: [done[(*key, seed % len(splits))] for seed in seeds] for key in others}
    for fraction in at:
        fits[KERNEL_PCA, fraction] = [
            _reconstructed(done[DENSE, None, seed], pruned, data.split(seed))
            for seed, pruned in enumerate(fits[DEFAULT, fraction])
        ]
    return fits


def net_parameters(settings: Settings, n_rows: int) -> dict[str, Any]:
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


def _net(
    name: str, fraction: float | None, seed: int, data: Data, settings: Settings
) -> PrunedMLPClassifier:
    pruning: dict[str, Any] = {"prune_fraction": 0}
    if name != DENSE:
        pruning = {"method": name, "prune_fraction": fraction}
    shared = net_parameters(settings, len(data.split(seed).X_train))
    return PrunedMLPClassifier(**pruning, **shared, random_state=seed)


def _beside(
    done: dict[Key, Fit],
    name: str,
    fraction: float | None,
    index: int,
    fraction_of_table: float,
    data: Data,
) -> Any:
    """A small net, or no net, beside a net of the default method."""
    pruned = done[DEFAULT, fraction or fraction_of_table, index]
    if name == SMALL:
        return small_net(pruned.model)
    X, _, y, _ = data.split(index)
    n_components = min(pruned.row["live_neurons"][-1], *X.shape)
    components = component_classifiers(n_components, X, y)
    rivals = {f"{kind} + {LOGISTIC}": model for kind, model in components.items()}
    return (rivals | plain_classifiers(X))[name]


def _fit(key: Key, model: Any, split: Dataset) -> tuple[Key, Fit]:
    # One thread a fit: the cores are taken by other fits, and seconds can be compared.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # The table shows how it went.
        warnings.filterwarnings("ignore", "(?s).*Take a lower prune_fraction")
        model, seconds = timed_fit(model, split.X_train, split.y_train)
    return key, Fit(_row(model, split, seconds), model)


def _row(model: Any, split: Dataset, seconds: float) -> dict[str, Any]:
    rows: dict[str, tuple[Any, ...] | None] = {
        "train": (split.X_train, split.y_train),
        "test": (split.X_test, split.y_test),
    }
    return model_row(model, rows, scoring=None, seconds=seconds)


def _reconstructed(dense: Fit, pruned: Fit, split: Dataset) -> Fit:
    net = LowRankNet(dense.model, pruned.row["ranks"], "pca")
    return Fit(_row(net, split, dense.row["fit_seconds"] + net.seconds_), net)
