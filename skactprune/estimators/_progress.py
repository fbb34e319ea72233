"""How far the training of an estimator is."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict, get_args

import numpy as np

Curve: TypeAlias = Literal["loss_curve", "validation_scores", "validation_loss_curve"]
CURVES: tuple[Curve, ...] = get_args(Curve)


class Progress(TypedDict):
    """What is known of the epochs so far, of all calls together."""

    t: int
    loss_curve: list[float]
    validation_scores: list[float]
    validation_loss_curve: list[float]
    scoring: Any
    best_loss: float
    best_validation_score: float
    no_improvement: int


def new_progress() -> Progress:
    """Progress of a net that has not been trained."""
    return {
        "t": 0,
        "loss_curve": [],
        "validation_scores": [],
        "validation_loss_curve": [],
        "scoring": None,
        "best_loss": np.inf,
        "best_validation_score": -np.inf,
        "no_improvement": 0,
    }


def without_best(progress: Progress) -> Progress:
    """Progress of a net of which nothing is the best so far; its lists are the same."""
    new = new_progress() | {"t": progress["t"]}
    for name in CURVES:
        new[name] = progress[name]
    return new


def copied(progress: Progress) -> Progress:
    """Progress whose lists are others."""
    new = progress.copy()
    for name in CURVES:
        new[name] = progress[name].copy()
    return new
