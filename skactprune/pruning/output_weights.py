"""Weights of the output layer that leave singly: how many, and which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skactprune._warnings import warn
from skactprune.nets.arrays import array_of
from skactprune.pruning import surgery
from skactprune.pruning.selection import floored, number_of

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
            f"prune_output={run.output!r} must be at most {floored(1 - fewest / whole)}, so that "
            "every output, and every neuron that the last hidden layer keeps, has a weight left: "
            f"{fewest} of the {whole} weights of the output layer."
        )


def let_output_weights_go(run: State, masks: Masks) -> None:
    """Let weights of the output layer go, if it is time; see `Run.prune_output`."""
    share = run.shares[run.coming - 1] if run.coming else 0.0
    if share * run.output <= run.output_done:
        return
    layer, n_left = run.layers[-1], n_to_stay(run, share)
    size = np.abs(array_of(layer.weight))
    had = np.ones(size.shape, dtype=bool) if masks.output is None else masks.output
    # What neurons without weights give to the outputs is folded into biases when they leave.
    dead = ~run.layout.cascade(masks.current)[-1].any(axis=1)
    left = had & ~dead
    with run.transaction(), torch.no_grad():
        run.output_done = share * run.output
        if left.sum() <= n_left:
            return
        found = largest(size, left, n_left)
        kept = found | (had & dead)
        run.masks = run.masks.with_output(kept)
        weight = layer.weight.detach() * torch.from_numpy(kept).to(layer.weight.device)
        surgery.replace([layer], surgery.optimizers_of(run.net), [weight], masks=[kept])
        run.hold_masks(run.holds)
    if share == 1 and found.sum() > n_left:
        warn(
            f"prune_output={run.output!r} cannot be reached with what is left of the last hidden "
            f"layer, {int(left.any(axis=0).sum())} neurons: each of them keeps a weight of the "
            f"output layer, as each output does. {1 - found.sum() / n_before(run):.4g} of its "
            "weights are gone."
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
    # Rows and columns of which nothing is left have no largest.
    found &= left
    order = np.argsort(-np.where(found, np.inf, size), axis=None, kind="stable")
    found.flat[order[:n_left]] = True
    return found & left
