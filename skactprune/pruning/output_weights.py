"""Weights of the output layer that leave singly: how many, and which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skactprune._warnings import warn
from skactprune.nets.arrays import array_of
from skactprune.pruning import surgery
from skactprune.pruning.selection import number_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.pruning.masks import Masks
    from skactprune.pruning.state import State


def n_before(run: State) -> int:
    """Number of weights of the output layer before any round."""
    return len(run.layers[-1].weight) * run.layout.shapes[-1][0]


def n_to_stay(run: State, share: float) -> int:
    """Number of them that are to be left where `share` of all that is asked for is gone."""
    return n_before(run) - number_of(share * run.output, n_before(run))


def check_output(run: State) -> None:
    """Raise ValueError where fewer weights would be left than outputs or neurons."""
    whole, fewest = n_before(run), max(len(run.layers[-1].weight), run.floors[-1])
    if n_to_stay(run, 1.0) < fewest:
        raise ValueError(
            f"prune_output={run.output!r} must be at most {1 - fewest / whole:.4g}, so that every "
            "output, and every neuron that the last hidden layer keeps, has a weight left: "
            f"{fewest} of the {whole} weights of the output layer."
        )


def let_output_weights_go(run: State, masks: Masks) -> None:
    """Let weights of the output layer go, as many as the coming round is to; see `Run`."""
    layer, share = run.layers[-1], run.shares[run.coming - 1]
    size = np.abs(array_of(layer.weight))
    left = masks.current[-1].any(axis=1) & (True if masks.output is None else masks.output)
    left, n_left = np.broadcast_to(left, size.shape), n_to_stay(run, share)
    if left.sum() <= n_left:
        return
    found = largest(size, left, n_left)
    with run.transaction(), torch.no_grad():
        run.masks = run.masks.with_output(found)
        weight = layer.weight.detach() * torch.from_numpy(found).to(layer.weight.device)
        surgery.replace([layer], surgery.optimizers_of(run.net), [weight], masks=[found])
        run.hold_masks(run.holds)
    if share == 1 and found.sum() > n_left:
        gone = 1 - found.sum() / n_before(run)
        warn(
            f"prune_output={run.output!r} cannot be reached with what is left of the last hidden "
            f"layer, {int(left.any(axis=0).sum())} neurons: each of them keeps a weight of the "
            f"output layer, as each output does. {gone:.4g} of its weights are gone."
        )


def largest(size: NDArray[Any], left: NDArray[np.bool_], n_left: int) -> NDArray[np.bool_]:
    """Mask of the largest of what is left, and of the largest of each row and column.

    Parameters
    ----------
    size : ndarray of shape (n_out, n_in)
        Not negative.
    left : bool ndarray of shape (n_out, n_in)
        What is chosen from.
    n_left : int
        How many, or more where rows and columns need them. Of equal ones the first stay.

    Returns
    -------
    bool ndarray of shape (n_out, n_in)
    """
    size = np.where(left, size, -1.0)
    found = np.zeros(size.shape, dtype=bool)
    np.put_along_axis(found, size.argmax(axis=0)[None, :], True, axis=0)
    np.put_along_axis(found, size.argmax(axis=1)[:, None], True, axis=1)
    order = np.argsort(-np.where(found, np.inf, size), axis=None, kind="stable")
    found.flat[order[:n_left]] = True
    return found & left
