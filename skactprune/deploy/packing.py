"""Weight matrices as few bytes, and back."""

import numpy as np

STORAGES = ("float64", "float32", "float16", "int8")
LOSSY = ("float16", "int8")
GAP_DTYPES = (np.uint8, np.uint16, np.uint32)


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


def pack(values):
    """Describe a matrix by whichever takes fewer bytes: all entries, or those that are not zero.

    Entries that are not zero are stored with the number of zeros before each, in the smallest
    type that holds the longest such run. At 10 % of the entries that is a byte for an index, and
    less than a bit mask (1.25 bytes); deflate brings both to about 0.65.

    Parameters
    ----------
    values : ndarray of shape (n_in, n_out)
        From `quantize`.

    Returns
    -------
    dict of str to ndarray
        "values", and "gaps" where only the entries that are not zero are kept.
    """
    positions = np.flatnonzero(values)
    gaps = np.diff(positions, prepend=-1) - 1
    dtype = np.min_scalar_type(gaps.max(initial=0))
    if len(positions) * (values.itemsize + dtype.itemsize) < values.nbytes:
        return {"values": values.ravel()[positions], "gaps": gaps.astype(dtype)}
    return {"values": values}


def unpack(packed, shape, storage):
    """Matrix that `pack` described.

    Parameters
    ----------
    packed : dict of str to ndarray
        From `pack`.
    shape : tuple of int
        Its shape.
    storage : {"float64", "float32", "float16", "int8"}
        Its type.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If `packed` is no such matrix.
    """
    values, gaps = packed["values"], packed.get("gaps")
    if values.dtype != np.dtype(storage):
        raise ValueError(f"weights are of type {values.dtype} instead of {storage}")
    if gaps is None:
        if values.shape != shape:
            raise ValueError(f"weights are of shape {values.shape} instead of {shape}")
        return values
    if gaps.dtype not in GAP_DTYPES or gaps.ndim != 1 or values.shape != gaps.shape:
        raise ValueError("positions of sparse weights are malformed")
    positions = np.cumsum(gaps, dtype=np.int64)
    positions += np.arange(len(gaps))
    if len(gaps) and positions[-1] >= np.prod(shape, dtype=float):
        raise ValueError(f"positions of sparse weights lie outside of shape {shape}")
    dense = np.zeros(shape, values.dtype)
    dense.ravel()[positions] = values
    return dense
