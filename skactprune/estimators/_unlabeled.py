"""Checks of rows without labels."""

import numpy as np
from sklearn.utils.validation import _check_feature_names, _get_feature_names, check_array

from skactprune._warnings import warn
from skactprune.nets.batches import TrainingData


def check_unlabeled(estimator, X_unlabeled, dtype, n_rows):
    """Rows without labels, as the net takes them.

    Parameters
    ----------
    estimator : estimator
        Has seen the training rows.
    X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, n_features)
        The rows.
    dtype : numpy dtype
        That of the training rows.
    n_rows : int or None
        Number of the training rows that were passed to `fit`, which `n_unlabeled` must not be;
        None allows any.

    Returns
    -------
    TrainingData
        Its targets are placeholders.

    Raises
    ------
    ValueError
        For rows that scikit-learn would not take as ``X`` of a fitted estimator, and for `n_rows`
        of them.
    """
    known, found = getattr(estimator, "feature_names_in_", None), _get_feature_names(X_unlabeled)
    if (known is None) != (found is None):
        named, other = ("X_unlabeled", "X") if known is None else ("X", "X_unlabeled")
        warn(f"{named} has feature names, but {other} has none.")
    try:
        if known is not None and found is not None:
            _check_feature_names(estimator, X_unlabeled, reset=False)
        X_unlabeled = check_array(X_unlabeled, accept_sparse="csr", dtype=dtype, order="C")
    except (TypeError, ValueError) as error:
        raise ValueError(f"X_unlabeled is not valid. {error}") from error
    n_unlabeled, n_features = X_unlabeled.shape
    if n_features != estimator.n_features_in_:
        raise ValueError(
            f"X_unlabeled has {n_features} features; it must have those of X, "
            f"{estimator.n_features_in_}."
        )
    if n_unlabeled == n_rows:
        raise ValueError(
            f"X_unlabeled must not have as many rows as X, {n_rows}. An argument of fit with as "
            "many rows as the data is split with the data by scikit-learn's cross-validation, so "
            "that this may be a part of what was passed. Pass another number of rows; leaving one "
            "out is enough."
        )
    return TrainingData(X_unlabeled, np.zeros(n_unlabeled))
