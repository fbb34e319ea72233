"""Whether pruning went further than the net could bear."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from skactprune._warnings import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from skactprune.estimators._parameters import MLPParameters

FEW, ENOUGH = 2, 4


def warn_of_collapse(
    estimator: MLPParameters, name: str, score: Callable[[], float], chance: Callable[[], float]
) -> None:
    """Warn where a fit has left a layer hardly any neuron, or has lost what it had learned.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    name : str
        What the score is.
    score : callable
        Returns it on the training rows now.
    chance : callable
        Returns that of the best constant prediction.
    """
    history = estimator.pruning_history_
    if not history:
        return
    sizes = [mask.shape[1] for mask in estimator.masks_]
    asked, n_features = estimator.prune_fraction, estimator.n_features_in_
    if asked is not None:
        n_features = max(round(n_features * (1 - float(estimator.prune_features))), 1)
    gone = estimator.sparsity_ if asked is None else float(asked)
    share = _even_share([n_features, *sizes], gone)
    left = [len(live) for live in estimator.live_neurons_]
    alike = [round(size * share) for size in sizes]
    advice = (
        "Take a lower prune_fraction or threshold, a method or a granularity that keeps more of "
        "each layer (scope='layer'), more rounds, or more epochs between them (max_iter)."
    )
    if any(n <= FEW and even >= ENOUGH for n, even in zip(left, alike, strict=True)):
        warn(
            f"method={estimator.method!r} has left {left} neurons of {sizes} in the hidden layers; "
            f"layers pruned alike would have kept about {alike}. {advice}"
        )
        return
    before = history[0]["train_score"]
    if not before > 0:
        return
    learned = before - chance()
    if learned > 0.1 and score() - chance() < 0.2 * learned:
        warn(
            f"The {name} on the training rows was {before:.2f} before the first pruning round, "
            f"is {score():.2f} now, and that of a constant prediction is {chance():.2f}. "
            f"{advice}"
        )


def _even_share(sizes: list[int], fraction: float) -> float:
    """Share of its neurons that each hidden layer keeps where all lose the same share."""
    first, *others = (a * b for a, b in itertools.pairwise(sizes))
    # Weights between two hidden layers go with the square: first * s + others * s ** 2.
    left, second = (1 - fraction) * (first + sum(others)), sum(others)
    if not second:
        return left / first
    return (np.sqrt(first**2 + 4 * second * left) - first) / (2 * second)
