"""What must stay so that something of every layer stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def highest(rank: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """True for the `n` last units in the order of an array of ranks."""
    found = np.zeros(rank.shape, dtype=bool)
    if n:
        found.reshape(-1)[np.argpartition(rank, -n, axis=None)[-n:]] = True
    return found


def widest_paths(ranks: list[NDArray[np.int64]], floors: Sequence[int]) -> list[NDArray[np.bool_]]:
    """True on paths that keep the wanted number of neurons connected to input and output.

    The path whose lowest rank is highest is the last one that removal in order would cut, so
    that keeping it is the same as never removing the last path.

    Parameters
    ----------
    ranks : list of int ndarray of shape (n_out, n_in)
        Position of every weight in the order of removal, -1 for what has gone.
    floors : list of int
        Neurons that each layer keeps at least.

    Returns
    -------
    list of bool ndarray
    """
    protected = [np.zeros(rank.shape, dtype=bool) for rank in ranks]
    never = np.iinfo(np.int64).max
    to_input = [np.full(ranks[0].shape[1], never)]
    for rank in ranks:
        to_input.append(np.minimum(rank, to_input[-1]).max(axis=1))
    to_output = [np.full(ranks[-1].shape[0], never)]
    for rank in reversed(ranks):
        to_output.append(np.minimum(rank, to_output[-1][:, None]).max(axis=0))
    to_output.reverse()

    wide = [depth for depth, floor in enumerate(floors, start=1) if floor > 1] or [1]
    for middle in wide:
        width = np.minimum(to_input[middle], to_output[middle])
        for neuron in np.argsort(-width, kind="stable")[: floors[middle - 1]]:
            j = neuron
            for depth in range(middle - 1, -1, -1):
                i = int(np.minimum(ranks[depth][j], to_input[depth]).argmax())
                protected[depth][j, i] = True
                j = i
            i = neuron
            for depth in range(middle, len(ranks)):
                j = int(np.minimum(ranks[depth][:, i], to_output[depth + 1]).argmax())
                protected[depth][j, i] = True
                i = j
    return protected
