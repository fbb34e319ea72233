"""How far the training of an estimator is."""

from functools import partial

import numpy as np


def new_progress():
    """Progress of a net that has not been trained."""
    return {
        "t": 0,
        "loss_curve": [],
        "validation_scores": [],
        "best_loss": np.inf,
        "best_validation_score": -np.inf,
        "no_improvement": 0,
    }


def continued(progress):
    """Progress to go on with, and a function that takes back what was added to its lists.

    The lists are the same ones, which grow in place: streams may be long.

    Parameters
    ----------
    progress : dict
        From `new_progress`, or from here.

    Returns
    -------
    progress : dict
        A copy.
    undo : callable
        Gives the lists of both the lengths that they have now.
    """
    lists = [value for value in progress.values() if isinstance(value, list)]
    return dict(progress), partial(_cut, lists, [len(value) for value in lists])


def copied(progress):
    """Progress whose lists are others."""
    return {k: list(v) if isinstance(v, list) else v for k, v in progress.items()}


def _cut(lists, lengths):
    for value, length in zip(lists, lengths, strict=True):
        del value[length:]
