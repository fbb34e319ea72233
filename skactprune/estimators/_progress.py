"""How far the training of an estimator is."""

import numpy as np


def new_progress():
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


def without_best(progress):
    """Progress of a net of which nothing is the best so far; its lists are the same."""
    kept = ("t", "loss_curve", "validation_scores", "validation_loss_curve")
    return new_progress() | {name: progress[name] for name in kept}


def copied(progress):
    """Progress whose lists are others."""
    return {k: list(v) if isinstance(v, list) else v for k, v in progress.items()}
