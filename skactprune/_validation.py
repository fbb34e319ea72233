"""Rows to predict for: validated as scikit-learn does it, and handled some at a time."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from skactprune._array_api import as_numpy, like
from skactprune.chunks import Chunks, FiledRows, check_some, each_chunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from skactprune._types import MatrixLike

# Rows at a time: few enough to take little memory, and no fewer, because the threads of a BLAS wait
# for each other at the end of every product, for long where other processes run, too.
ROWS = 16384


def check_fitted(estimator: Any, msg: str | None = None) -> None:
    """Raise the error of ``check_is_fitted`` where the estimator is not fitted; else return sooner.

    Parameters
    ----------
    estimator : estimator
        Has ``__sklearn_is_fitted__``.
    msg : str, default=None
        Message of the error, as for ``sklearn.utils.validation.check_is_fitted``.
    """
    if not estimator.__sklearn_is_fitted__():
        check_is_fitted(estimator, msg=msg)


def map_rows(function: Callable[..., Any], X: Any) -> NDArray[Any]:
    """``function(X)``, called with some rows at a time, so that it takes little memory.

    Parameters
    ----------
    function : callable
        Takes rows; returns an ndarray with an entry for each, which depends on that row alone.
    X : {ndarray, csr_matrix, FiledRows} of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    ndarray of shape (n_samples, ...)
    """
    n_rows = X.shape[0]
    if n_rows <= ROWS and not isinstance(X, FiledRows):
        return function(X)
    first = function(X[:ROWS])
    results = np.empty((n_rows, *first.shape[1:]), first.dtype)
    results[:ROWS] = first
    for start in range(ROWS, n_rows, ROWS):
        rows = slice(start, start + ROWS)
        results[rows] = function(X[rows])
    return results


def canonical(X: Any) -> Any:
    """Rows whose sparse entries are there once, in order; a copy where they were not.

    scikit-learn's variances of columns take each for a row of its own.
    """
    if issparse(X) and X.format == "csr" and not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def map_checked_rows(
    function: Callable[..., Any], estimator: Any, X: MatrixLike | Chunks, dtype: DTypeLike
) -> NDArray[Any]:
    """As `map_rows`, with rows that ``sklearn.utils.validation.validate_data`` has checked.

    For one row, scikit-learn's validation takes several times as long as a small net. A plain array
    of the right type and shape, for an estimator that knows no feature names, is searched for NaN
    and infinity as it is used. Whatever is found there, and everything else, is left to
    scikit-learn, its messages too.

    Parameters
    ----------
    function : callable
        As for `map_rows`.
    estimator : estimator
        Fitted; has ``n_features_in_``.
    X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
        Rows.
    dtype : dtype
        Type that they shall have.

    Returns
    -------
    ndarray of shape (n_samples, ...)
        Or, where scikit-learn is configured with ``array_api_dispatch=True``, an array like `X`.
    """
    if (
        type(X) is np.ndarray
        and X.dtype == dtype
        and X.ndim == 2
        and X.shape[1] == estimator.n_features_in_
        and X.size
        and not hasattr(estimator, "feature_names_in_")
    ):
        try:
            return map_rows(_of_finite_rows(function), X)
        except _DoubtfulError:
            pass
    if isinstance(X, Chunks):

        def of_chunk(chunk: Any) -> NDArray[Any] | None:
            return (
                map_checked_rows(function, estimator, chunk, dtype) if _num_samples(chunk) else None
            )

        found = [part for part in each_chunk(of_chunk, X) if part is not None]
        check_some(len(found), X)
        return np.concatenate(found)
    how = {"accept_sparse": "csr", "dtype": dtype, "reset": False}
    return like(X, map_rows(function, validate_data(estimator, as_numpy(X), **how)))


class _DoubtfulError(Exception):
    """Rows may have NaN or infinity."""


def _of_finite_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    if get_config()["assume_finite"]:
        return function

    def checked(rows: Any) -> Any:
        # The sum of squares takes half as long as the sum. NaN and infinity remain in it, and it
        # may overflow, of which vdot does not warn; then scikit-learn looks at every number.
        flat = rows.ravel(order="K")
        if not isfinite(np.vdot(flat, flat)):
            raise _DoubtfulError
        return function(rows)

    return checked
