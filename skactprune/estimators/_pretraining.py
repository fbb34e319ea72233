"""First hidden layers that an autoencoder has learned without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skactprune.chunks import FiledRows, is_chunked
from skactprune.estimators._checks import check_starts, hidden_sizes, layer_sizes, prunes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import CheckedRows
    from skactprune.estimators._parameters import MLPParameters


def check_pretrain(estimator: MLPParameters, X: CheckedRows, incremental: bool) -> None:
    """Raise ValueError for a `pretrain` that cannot start the net of an estimator.

    Parameters
    ----------
    estimator : estimator
        Its ``pretrain``, and what that has to match.
    X : {ndarray, csr_matrix, FiledRows} of shape (n_samples, n_features)
        Training rows.
    incremental : bool
        Whether these are not all.

    Raises
    ------
    ValueError
        Naming both, for what does not match.
    NotFittedError
        For one that is frozen before it is fitted.
    """
    pretrain = estimator.pretrain
    if isinstance(pretrain, type) or not hasattr(pretrain, "encoder_layer_sizes"):
        raise ValueError(
            f"pretrain={pretrain!r} must be a PrunedAutoencoder, or one that is fitted, in a "
            "FrozenEstimator, or None."
        )
    if estimator.init_estimator is not None:
        raise ValueError(
            f"pretrain={pretrain!r} must be None with init_estimator="
            f"{estimator.init_estimator!r}: both say with which weights to start."
        )
    check_starts(estimator, "pretrain")
    if isinstance(pretrain, FrozenEstimator):
        sizes = _check_fitted(estimator, pretrain)
    else:
        sizes = _check_to_be_fitted(pretrain, X, incremental)
    wanted = hidden_sizes(estimator)
    if not sizes or sizes != wanted[: len(sizes)]:
        raise ValueError(
            f"pretrain={pretrain!r} has an encoder with hidden layers of sizes {sizes}; these must "
            f"be one or more, and the first of hidden_layer_sizes={estimator.hidden_layer_sizes!r}."
        )


def pretrained(
    pretrain: Any,
    X: CheckedRows,
    sample_weight: NDArray[Any] | None,
    X_unlabeled: CheckedRows | None,
    random_state: np.random.RandomState,
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Weights of the hidden layers of an encoder, that is fitted first unless it is frozen.

    Parameters
    ----------
    pretrain : estimator
        The autoencoder, which has been checked; not changed.
    X : {ndarray, csr_matrix, FiledRows} of shape (n_samples, n_features)
        Training rows.
    sample_weight : ndarray of shape (n_samples,) or None
        Their weights.
    X_unlabeled : {ndarray, csr_matrix} of shape (n_unlabeled, n_features) or None
        Further rows, each of weight 1.
    random_state : numpy.random.RandomState
        Draws a seed where `pretrain` has none.

    Returns
    -------
    coefs, intercepts : list of ndarray
        As in scikit-learn's ``MLPClassifier``.
    """
    encoder = clone(pretrain)
    if not isinstance(encoder, FrozenEstimator):
        if encoder.random_state is None:
            encoder.set_params(random_state=random_state.randint(2**31 - 1))
        # Some rows of a file that is mapped into memory.
        X = X[:] if isinstance(X, FiledRows) else X
        if X_unlabeled is not None:
            parts = X, X_unlabeled
            if any(map(sparse.issparse, parts)):
                X = sparse.vstack(parts, format="csr")
            else:
                X = np.concatenate(parts)
            if sample_weight is not None:
                ones = np.ones(X_unlabeled.shape[0], sample_weight.dtype)
                sample_weight = np.concatenate([sample_weight, ones])
        # Inside of a fit, scikit-learn looks at the parameters of no other estimator.
        with config_context(skip_parameter_validation=False):
            encoder.fit(X, sample_weight=sample_weight)
    depth = encoder.transform_layer
    return encoder.coefs_[:depth], encoder.intercepts_[:depth]


def _check_fitted(estimator: MLPParameters, pretrain: Any) -> list[int]:
    """Sizes of the hidden layers that a fitted encoder has."""
    check_is_fitted(pretrain, msg=f"pretrain={pretrain!r} is not fitted, and so cannot be frozen.")
    if pretrain.n_features_in_ != estimator.n_features_in_:
        raise ValueError(
            f"pretrain={pretrain!r} was fitted on {pretrain.n_features_in_} features; X has "
            f"{estimator.n_features_in_}."
        )
    return [coef.shape[1] for coef in pretrain.coefs_[: pretrain.transform_layer]]


def _check_to_be_fitted(pretrain: Any, X: CheckedRows, incremental: bool) -> list[int]:
    """Sizes of the hidden layers that an encoder will have."""
    if incremental or is_chunked(X):
        where = "for partial_fit" if incremental else "where X comes in Chunks"
        raise ValueError(
            f"pretrain={pretrain!r} must be fitted {where}: it needs all rows together. Let its "
            "own partial_fit have one part of the rows after the other, and pass it in a "
            "FrozenEstimator."
        )
    if prunes(pretrain):
        raise ValueError(
            f"pretrain={pretrain!r} must have prune_fraction=0, prune_features=0 and "
            "prune_output=0: the layers that it leaves would be smaller than those of the net. The "
            "net itself is pruned."
        )
    return layer_sizes(pretrain, "encoder_layer_sizes")
