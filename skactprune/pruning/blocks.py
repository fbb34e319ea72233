"""Tiles of weight matrices, which leave together."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from skactprune.pruning.masks import Masks

# What the granularity "block" is.
BLOCK = (4, 4)


def block_of(granularity: str | tuple[int, int]) -> tuple[int, int] | None:
    """Shape of the tiles of a granularity: outputs and inputs of a layer; None for neurons.

    Parameters
    ----------
    granularity : {"neuron", "weight", "block"} or (int, int)
        What leaves together.

    Returns
    -------
    (int, int) or None
    """
    return None if granularity == "neuron" else _tile_of(granularity)


def _tile_of(granularity: str | tuple[int, int]) -> tuple[int, int]:
    named = {"weight": (1, 1), "block": BLOCK}
    n_out, n_in = named[granularity] if isinstance(granularity, str) else granularity
    return int(n_out), int(n_in)


def is_shape(value: Any) -> bool:
    """Whether a value is two positive integers."""
    pair = isinstance(value, (tuple, list)) and len(value) == 2
    return pair and all(
        not isinstance(n, bool) and isinstance(n, Integral) and int(n) >= 1 for n in value
    )


def tiles(masks: Masks, granularity: str | tuple[int, int]) -> list[NDArray[np.int64]]:
    """Number of the tile that every weight is in, by its place in the original matrix.

    Tiles begin with the first neuron and the first input; the last ones are smaller where sizes
    are no multiples. Neurons that have left leave the others where they were.

    Parameters
    ----------
    masks : Masks
        Masks of the layers.
    granularity : "block" or (int, int)
        The tiles.

    Returns
    -------
    list of int ndarray of shape (n_out, n_in)
    """
    height, width = _tile_of(granularity)
    found = []
    for depth, (_, n_in) in enumerate(masks.shapes):
        rows = masks.live[depth] // height
        columns = masks.layout.columns(depth, masks.live) // width
        found.append(rows[:, None] * -(-n_in // width) + columns)
    return found


def n_tiles(shape: tuple[int, int], granularity: str | tuple[int, int]) -> int:
    """Number of tiles of a matrix of shape (n_out, n_in)."""
    (n_out, n_in), (height, width) = shape, _tile_of(granularity)
    return -(-n_out // height) * -(-n_in // width)


def sums(values: NDArray[Any], tile: NDArray[np.int64], n: int) -> NDArray[Any]:
    """Sum of the values in each of `n` tiles."""
    return np.bincount(tile.ravel(), weights=values.ravel(), minlength=n)


def fewest_connected(
    shapes: Sequence[tuple[int, int]], granularity: str | tuple[int, int], floors: Sequence[int]
) -> int:
    """Number of weights, at most, in the tiles that the last paths go through.

    Parameters
    ----------
    shapes : list of (int, int)
        Shapes (n_out, n_in) of the matrices.
    granularity : {"weight", "block"} or (int, int)
        The tiles.
    floors : list of int
        Neurons that each layer keeps at least.

    Returns
    -------
    int
    """
    n_paths = max(1, sum(floor for floor in floors if floor > 1))
    height, width = _tile_of(granularity)
    return sum(
        min(n_paths * min(height, n_out) * min(width, n_in), n_out * n_in) for n_out, n_in in shapes
    )
