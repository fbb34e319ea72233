"""Weight matrices as few bytes, and back; and arrays that must be what they are said to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray


def take(
    arrays: dict[str, NDArray[Any]], name: str, dtype: DTypeLike, shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """Take an array out of `arrays` when it is what it must be.

    Parameters
    ----------
    arrays : dict of str to ndarray
        The array is removed from it.
    name : str
        Its name.
    dtype : dtype
        Its type.
    shape : tuple of {int, None}
        Its shape; None fits any length but 0.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If it is missing, or something else.
    """
    if name not in arrays:
        raise ValueError(f"{name} is missing")
    array = arrays.pop(name)
    fits = len(shape) == array.ndim and array.size > 0
    if not fits or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} has the shape {array.shape} instead of {shape}")
    if array.dtype != dtype:
        raise ValueError(f"{name} is of type {array.dtype} instead of {np.dtype(dtype)}")
    return array


def pack(matrices: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Describe matrices by whichever takes fewer bytes: all entries, or those that are not zero.

    Entries that are not zero are stored with the number of zeros before each, a byte for it; a
    longer run is broken by zeros that are stored, also at the end: what takes memory when it is
    read takes room in the file. At 10 % of the entries a byte for an index is
    less than a bit mask (1.25 bytes); deflate brings both to about 0.65.

    Parameters
    ----------
    matrices : list of ndarray of shape (n_in, n_out)
        Of one type.

    Returns
    -------
    dict of str to ndarray
        "values", one array of all entries in order; or "values" of the stored ones, and "gaps".
        One array for all layers, because small ones cost more in a file than they hold.
    """
    values = np.concatenate([matrix.ravel() for matrix in matrices])
    positions = within_reach(np.flatnonzero(values), len(values))
    if len(positions) * (values.itemsize + 1) < values.nbytes:
        gaps = np.diff(positions, prepend=-1) - 1
        return {"values": values[positions], "gaps": gaps.astype(np.uint8)}
    return {"values": values}


def within_reach(
    positions: NDArray[np.integer], total: int, reach: int = 256
) -> NDArray[np.integer]:
    """Positions with further ones between them, so that no gap is longer than allowed.

    Parameters
    ----------
    positions : int ndarray of shape (n,)
        Positions of what is stored, rising.
    total : int
        Where the last gap ends.
    reach : int, default=256
        All gaps are shorter.

    Returns
    -------
    int ndarray
        Rising.
    """
    positions = np.append(positions, total)
    gaps = np.diff(positions, prepend=-1) - 1
    steps = gaps // reach
    nth = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps) + 1
    between = np.repeat(positions - gaps - 1, steps) + reach * nth
    return np.sort(np.concatenate([positions[:-1], between]))


def spread(values: NDArray[Any], gaps: NDArray[Any], total: int) -> NDArray[Any]:
    """Entries with zeros between them.

    Parameters
    ----------
    values : ndarray of shape (n_stored,)
        Entries.
    gaps : ndarray of shape (n_stored,)
        Zeros before each of them.
    total : int
        Entries in all.

    Returns
    -------
    ndarray of shape (total,)

    Raises
    ------
    ValueError
        If there are more.
    """
    positions = np.cumsum(gaps, dtype=np.int64)
    positions += np.arange(len(gaps))
    if len(gaps) and positions[-1] >= total:
        raise ValueError("the positions of the weights lie outside of the layers")
    dense = np.zeros(total, values.dtype)
    dense[positions] = values
    return dense


def unpack(
    values: NDArray[Any], gaps: NDArray[Any] | None, shapes: list[tuple[int, int]], dtype: DTypeLike
) -> list[NDArray[Any]]:
    """Matrices that `pack` described.

    Parameters
    ----------
    values : ndarray of shape (n_stored,)
        Entries.
    gaps : ndarray of shape (n_stored,) or None
        Zeros before each of them; None where all entries are stored.
    shapes : list of tuple of int
        Shapes of the matrices.
    dtype : dtype
        Their type.

    Returns
    -------
    list of ndarray

    Raises
    ------
    ValueError
        If these are no such matrices.
    """
    sizes = [n_in * n_out for n_in, n_out in shapes]
    total = sum(sizes)
    if values.dtype != dtype or values.ndim != 1:
        raise ValueError(f"the weights are no list of {np.dtype(dtype)}")
    if gaps is not None:
        if gaps.dtype != np.uint8 or gaps.shape != values.shape or len(gaps) > total:
            raise ValueError("the positions of the weights are malformed")
        values = spread(values, gaps, total)
    if len(values) != total:
        raise ValueError(f"there are {len(values)} weights instead of {total}")
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
