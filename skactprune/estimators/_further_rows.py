"""Checks of rows that come besides the training rows: without labels, and to validate on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import (
    _check_feature_names,
    _check_sample_weight,
    _get_feature_names,
    check_array,
)

from skactprune._validation import canonical
from skactprune._warnings import warn
from skactprune.chunks import Chunks
from skactprune.nets.batches import TrainingData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike, NDArray

    from skactprune._types import CheckedRows, MatrixLike
    from skactprune.estimators._parameters import MLPParameters
    from skactprune.estimators._task import LabelledRows


def check_further_rows(
    estimator: MLPParameters,
    name: str,
    rows: MatrixLike,
    dtype: DTypeLike,
    n_rows: int | None,
    least: int = 1,
) -> CheckedRows:
    """Rows that are to be like the training rows, as an array.

    Parameters
    ----------
    estimator : estimator
        Has seen the training rows.
    name : str
        Of the argument of `fit`.
    rows : {array-like, sparse matrix} of shape (n, n_features)
        The rows.
    dtype : numpy dtype
        That of the training rows.
    n_rows : int or None
        Number of the training rows that were passed to `fit`, which n must not be; None allows any.
    least : int, default=1
        Rows that there must be.

    Returns
    -------
    {ndarray, csr_matrix} of shape (n, n_features)

    Raises
    ------
    ValueError
        For rows that scikit-learn would not take as ``X`` of a fitted estimator, for `n_rows` of
        them, and for `Chunks`.
    """
    known, found = getattr(estimator, "feature_names_in_", None), _get_feature_names(rows)
    if (known is None) != (found is None):
        named, other = (name, "X") if known is None else ("X", name)
        warn(f"{named} has feature names, but {other} has none.")
    try:
        if isinstance(rows, Chunks):
            raise TypeError("Only X may be Chunks; these must be rows in memory.")
        if known is not None and found is not None:
            _check_feature_names(estimator, rows, reset=False)
        how = {"accept_sparse": "csr", "dtype": dtype, "order": "C", "ensure_min_samples": least}
        rows = canonical(check_array(rows, **how))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is not valid. {error}") from error
    n, n_features = rows.shape
    if n_features != estimator.n_features_in_:
        raise ValueError(
            f"{name} has {n_features} features; it must have those of X, "
            f"{estimator.n_features_in_}."
        )
    if n == n_rows:
        raise ValueError(
            f"{name} must not have as many rows as X, {n_rows}. An argument of fit with as "
            "many rows as the data is split with the data by scikit-learn's cross-validation, so "
            "that this may be a part of what was passed. Pass another number of rows; leaving one "
            "out is enough."
        )
    return rows


def check_unlabeled(
    estimator: MLPParameters, X_unlabeled: MatrixLike, dtype: DTypeLike, n_rows: int | None
) -> TrainingData:
    """Rows without labels, as the net takes them; parameters and errors as above.

    Returns
    -------
    TrainingData
        Its targets are placeholders.
    """
    rows = check_further_rows(estimator, "X_unlabeled", X_unlabeled, dtype, n_rows)
    return TrainingData(rows, np.zeros(rows.shape[0]))


def check_validation(
    estimator: MLPParameters,
    given: Sequence[Any],
    check_targets: Callable[[Any], NDArray[Any]],
    dtype: DTypeLike,
    n_rows: int | None,
) -> LabelledRows:
    """Rows to validate on.

    Parameters
    ----------
    estimator : estimator
        Has seen the training rows and their targets.
    given : tuple
        `X_val`, `y_val` and `sample_weight_val` as they were passed to `fit`.
    check_targets : callable
        Returns targets as those of training are; raises a ValueError where they are not like them.
    dtype : numpy dtype
        Type of the training rows.
    n_rows : int
        Number of the training rows that were passed to `fit`.

    Returns
    -------
    tuple
        Rows, targets and weights, or None for these, without rows of weight 0.

    Raises
    ------
    ValueError
        For one of them without the others, without early stopping, and for rows and targets that
        are not like those of training.
    """
    X_val, y_val, weight = given
    names = {"X_val": X_val, "y_val": y_val}
    for missing in (name for name, value in names.items() if value is None):
        there = next(n for n, v in (names | {"sample_weight_val": weight}).items() if v is not None)
        raise ValueError(f"{there} is provided, but {missing} was not provided.")
    if not estimator.early_stopping:
        raise ValueError(
            f"X_val and y_val are passed to fit with early_stopping={estimator.early_stopping!r}; "
            "they are what early stopping goes by. Set early_stopping=True."
        )
    X_val = check_further_rows(estimator, "X_val", X_val, dtype, n_rows, least=2)
    try:
        y_val = check_targets(y_val)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y_val is not valid. {error}") from error
    n_val = X_val.shape[0]
    if len(y_val) != n_val:
        raise ValueError(f"y_val has {len(y_val)} rows; it must have as many as X_val, {n_val}.")
    if weight is None:
        return X_val, y_val, None
    try:
        weight = _check_sample_weight(weight, X_val, dtype=dtype, ensure_non_negative=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight_val is not valid. {error}") from error
    kept = np.flatnonzero(weight)
    if len(kept) < 2:
        raise ValueError(
            f"sample_weight_val leaves {len(kept)} rows with a positive weight; it must leave 2."
        )
    return X_val[kept], y_val[kept], weight[kept]
