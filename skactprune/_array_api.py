"""Arrays of others than numpy: in at the door, and out again as the rows came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import get_config
from sklearn.externals.array_api_compat import is_array_api_obj, is_numpy_array
from sklearn.utils._array_api import get_namespace_and_device, move_to

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_numpy(*arrays: Any) -> Any:
    """What is passed to an estimator, with arrays of other libraries as ndarrays.

    Parameters
    ----------
    *arrays : object
        Tensors and the like are copied from their device, if need be, where scikit-learn is
        configured with ``array_api_dispatch=True``; columns of pandas with nullable integers or
        bools, of which none is missing, become what they are in numpy. All else is left to
        scikit-learn's checks.

    Returns
    -------
    object or list
        One for each; a list for several.
    """
    found = [_as_numpy(array) for array in arrays]
    return found[0] if len(found) == 1 else found


def _as_numpy(array: Any) -> Any:
    if _is_foreign(array):
        return move_to(array, xp=np, device="cpu")
    dtype = getattr(getattr(array, "dtype", None), "numpy_dtype", None)
    if dtype is not None and dtype.kind in "biu" and not array.isna().any():
        return array.to_numpy(dtype)
    return array


def like(X: Any, array: NDArray[Any]) -> Any:
    """What is computed of rows, as these came.

    Parameters
    ----------
    X : object
        The rows, as they were passed.
    array : ndarray
        What was computed of them in numpy.

    Returns
    -------
    object
        Numbers in the namespace and on the device of `X`, floats in its dtype if it has floats,
        where `as_numpy` converts `X`; else, and strings in any case, `array`.
    """
    if not _is_foreign(X) or array.dtype.kind not in "biuf":
        return array
    xp, _, device = get_namespace_and_device(X)
    moved = move_to(array, xp=xp, device=device)
    floats = all(xp.isdtype(dtype, "real floating") for dtype in (X.dtype, moved.dtype))
    return xp.astype(moved, X.dtype, copy=False) if floats else moved


def _is_foreign(array: Any) -> bool:
    """Whether an array is of another library, and scikit-learn is to look after such."""
    if not get_config()["array_api_dispatch"]:
        return False
    return is_array_api_obj(array) and not is_numpy_array(array)
