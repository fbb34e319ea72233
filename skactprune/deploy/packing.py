"""Weight matrices as few bytes, and back."""

import numpy as np

STORAGES = ("float64", "float32", "float16", "int8")
LOSSY = ("float16", "int8")


def compute_dtype(storage):
    """Floating type in which weights kept as `storage` are computed with."""
    return np.dtype("float32" if storage in LOSSY else storage)


def quantize(W, storage, scales=None):
    """Round a matrix to what its storage can hold.

    Parameters
    ----------
    W : ndarray of shape (n_in, n_out)
        Weights.
    storage : {"float64", "float32", "float16", "int8"}
        Type to round to; "int8" is symmetric with a scale for each column, the largest
        absolute weight of the column being 127.
    scales : ndarray of shape (n_out,), default=None
        Scales of "int8" to use instead.

    Returns
    -------
    values : ndarray of shape (n_in, n_out), dtype `storage`
        Rounded weights.
    scales : ndarray of shape (n_out,) or None
        What the columns of `values` are to be multiplied with; for "int8" only.

    Raises
    ------
    ValueError
        If a weight is too large for `storage`.
    """
    if storage == "int8":
        if scales is None:
            scales = (np.abs(W).max(axis=0) / 127).astype(compute_dtype(storage))
            scales[scales == 0] = 1
        values = np.clip(np.rint(W / scales), -127, 127).astype(np.int8)
    else:
        with np.errstate(over="ignore"):
            values = W.astype(storage)
    if not (np.isfinite(values).all() and (scales is None or np.isfinite(scales).all())):
        raise ValueError(
            f"dtype={storage!r} cannot hold the weights, the largest of which is "
            f"{np.abs(W).max():.3g}."
        )
    return values, scales


def dequantize(values, scales):
    """Weights to compute with, from what `quantize` returned."""
    W = values.astype(compute_dtype(values.dtype.name), order="C")
    return W if scales is None else np.multiply(W, scales, out=W)


def pack(matrices):
    """Describe matrices by whichever takes fewer bytes: all entries, or those that are not zero.

    Entries that are not zero are stored with the number of zeros before each, a byte for it; a
    longer run is broken by zeros that are stored. At 10 % of the entries a byte for an index is
    less than a bit mask (1.25 bytes); deflate brings both to about 0.65.

    Parameters
    ----------
    matrices : list of ndarray of shape (n_in, n_out)
        Of one type, from `quantize`.

    Returns
    -------
    dict of str to ndarray
        "values", one array of all entries in order; or "values" of the stored ones, and "gaps".
        One array for all layers, because small ones cost more in a file than they hold.
    """
    values = np.concatenate([matrix.ravel() for matrix in matrices])
    positions = _within_reach(np.flatnonzero(values))
    if len(positions) * (values.itemsize + 1) < values.nbytes:
        gaps = np.diff(positions, prepend=-1) - 1
        return {"values": values[positions], "gaps": gaps.astype(np.uint8)}
    return {"values": values}


def _within_reach(positions):
    """Positions with further ones between them, of zeros, so that gaps fit into a byte."""
    gaps = np.diff(positions, prepend=-1) - 1
    steps = gaps // 256
    nth = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps) + 1
    between = np.repeat(positions - gaps - 1, steps) + 256 * nth
    return np.sort(np.concatenate([positions, between]))


def unpack(packed, shapes, storage):
    """Matrices that `pack` described.

    Parameters
    ----------
    packed : dict of str to ndarray
        From `pack`.
    shapes : list of tuple of int
        Their shapes.
    storage : {"float64", "float32", "float16", "int8"}
        Their type.

    Returns
    -------
    list of ndarray

    Raises
    ------
    ValueError
        If `packed` is no such matrices.
    """
    values, gaps = packed["values"], packed.get("gaps")
    sizes = [n_in * n_out for n_in, n_out in shapes]
    total = sum(sizes)
    if values.dtype != np.dtype(storage) or values.ndim != 1:
        raise ValueError(f"the weights are no list of {storage}")
    if gaps is not None:
        if gaps.dtype != np.uint8 or gaps.shape != values.shape:
            raise ValueError("the positions of the weights are malformed")
        positions = np.cumsum(gaps, dtype=np.int64)
        positions += np.arange(len(gaps))
        if len(gaps) and positions[-1] >= total:
            raise ValueError("the positions of the weights lie outside of the layers")
        dense = np.zeros(total, values.dtype)
        dense[positions] = values
        values = dense
    if len(values) != total:
        raise ValueError(f"there are {len(values)} weights instead of {total}")
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
