"""How much the outputs of a net change when those of its hidden neurons do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@np.errstate(over="ignore", invalid="ignore")
def outgoing_of_chain(
    weights: list[NDArray[Any]], rates: list[NDArray[Any]]
) -> list[NDArray[np.float64]]:
    """Weights out of the neurons of every hidden layer, each times the gain of where it goes.

    The gain of a neuron is the root mean square of how much the logits change, over rows, when its
    pre-activation does, as it is with ReLU: it hands on all where it fires and nothing where it
    does not. Paths are taken as uncorrelated.

    Parameters
    ----------
    weights : list of ndarray of shape (n_out, n_in)
        Weights of the hidden layers and the output layer.
    rates : list of ndarray of shape (n_out,)
        Firing rates of the hidden layers.

    Returns
    -------
    list of ndarray of shape (n_next, n_out)
        One for every hidden layer, in float64; the squared norm of a column is the mean squared
        gain of the output of a neuron.
    """
    gain = np.ones(len(weights[-1]))
    found = []
    for weight, rate in zip(reversed(weights[1:]), reversed(rates), strict=True):
        found.append(gain[:, None] * weight.astype(np.float64))
        gain = np.sqrt(rate * np.square(found[-1]).sum(axis=0))
    return found[::-1]


@np.errstate(over="ignore", invalid="ignore")
def root_of(gram: NDArray[Any], rates: NDArray[Any]) -> NDArray[np.float64]:
    """Matrix that stands for outgoing weights, of which only products are known.

    Parameters
    ----------
    gram : ndarray of shape (n_out, n_out)
        Mean products of the slopes of the outputs in the pre-activations of two neurons: where one
        of them does not fire, there is none.
    rates : ndarray of shape (n_out,)
        Firing rates.

    Returns
    -------
    ndarray of shape (n_out, n_out)
        Products of its columns are those means where neurons fire; NaN where anything is not
        finite.
    """
    rates = np.where(rates > 0, rates, np.inf)
    gram = gram / np.sqrt(np.multiply.outer(rates, rates))
    if not np.isfinite(gram).all():
        return np.full(gram.shape, np.nan)
    values, vectors = np.linalg.eigh(gram)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
