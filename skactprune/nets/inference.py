"""Forward pass in numpy: what a fitted network computes, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from skactprune.nets.activations import per_layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from skactprune._types import Kernel
    from skactprune.nets.activations import Activations


def hidden_outputs(
    X: Any,
    coefs: Sequence[Kernel],
    intercepts: Sequence[NDArray[Any]],
    activation: Activations,
) -> Iterator[NDArray[Any]]:
    """Outputs of the given hidden layers, one after the other.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Input rows, in the dtype of the weights.
    coefs : list of ndarray of shape (n_in, n_out), or of (ndarray, ndarray)
        Weights of hidden layers, in order; of a pair it is the product.
    intercepts : list of ndarray of shape (n_out,)
        Biases.
    activation : str, HiddenActivation or tuple of these
        Hidden activation: a record of `skactprune.nets.activations`, or its name, for all hidden
        layers or for each of them.

    Yields
    ------
    ndarray of shape (n_samples, n_out)
    """
    h = X
    layers = per_layer(activation, len(coefs))
    for coef, intercept, layer in zip(coefs, intercepts, layers, strict=True):
        h = _times(h, coef)
        h += intercept
        h = layer.apply(h)
        yield h


def hidden_representation(
    X: Any,
    coefs: Sequence[Kernel],
    intercepts: Sequence[NDArray[Any]],
    activation: Activations,
) -> Any:
    """Output of the last of the given hidden layers, `X` if there is none; as above."""
    return _as_rows(_through(_quickest(X), coefs, intercepts, activation))


def shown_representation(
    X: Any,
    coefs: Sequence[Kernel],
    intercepts: Sequence[NDArray[Any]],
    activation: Activations,
    shown: int | Literal["all"],
) -> NDArray[Any]:
    """Output of the hidden layer of index `shown`, or for "all" of all of them, side by side."""
    if shown == "all":
        outputs = hidden_outputs(_quickest(X), coefs, intercepts, activation)
        return _as_rows(np.concatenate(list(outputs), axis=-1))
    stop = shown + 1
    return hidden_representation(X, coefs[:stop], intercepts[:stop], activation)


def logits_of(
    X: Any,
    coefs: Sequence[Kernel],
    intercepts: Sequence[NDArray[Any]],
    activation: Activations,
) -> NDArray[Any]:
    """Input of the output activation; parameters as above, output layer last."""
    hidden = _through(_quickest(X), coefs[:-1], intercepts[:-1], activation)
    logits = hidden.dot(coefs[-1])
    logits += intercepts[-1]
    return _as_rows(logits)


def _through(
    h: Any,
    coefs: Sequence[Kernel],
    intercepts: Sequence[NDArray[Any]],
    activation: Activations,
) -> Any:
    for output in hidden_outputs(h, coefs, intercepts, activation):
        h = output
    return h


def _times(h: Any, coef: Kernel) -> NDArray[Any]:
    if isinstance(coef, tuple):
        left, right = coef
        return h.dot(left).dot(right)
    return h.dot(coef)


def _quickest(X: Any) -> Any:
    """Rows; one alone as a vector, which takes numpy less time than a matrix."""
    return X[0] if X.shape[0] == 1 and isinstance(X, np.ndarray) else X


def _as_rows(h: Any) -> Any:
    return h[np.newaxis] if h.ndim == 1 else h
