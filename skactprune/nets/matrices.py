"""Weights of layers as matrices, a row for each neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def matrix(weight: torch.Tensor) -> torch.Tensor:
    """Weights as (n_out, n_in), all weights into a channel of a convolution in one row."""
    return weight.detach().reshape(len(weight), -1)


def stored_like(tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Tensor of the same values, in the order in memory of another one if that is a matrix.

    The weights of our own nets are stored as (n_in, n_out), like scikit-learn's, and what takes
    their place is, too; the last bits of products depend on it.
    """
    if other.dim() == tensor.dim() == 2 and other.t().is_contiguous():
        return tensor.t().contiguous().t()
    return tensor


def cut(matrices: list[NDArray[Any]], keep: list[NDArray[np.bool_]]) -> list[NDArray[Any]]:
    """Matrices of a chain of layers without the rows and columns of neurons that leave.

    Parameters
    ----------
    matrices : list of ndarray of shape (n_out, n_in)
        One for every hidden layer.
    keep : list of bool ndarray of shape (n_out,)
        True for the neurons of each hidden layer that stay.

    Returns
    -------
    list of ndarray
        New arrays.
    """
    columns: list[Any] = [slice(None), *keep[:-1]]
    return [
        matrix[kept][:, kept_inputs(kept_in, matrix.shape[1])]
        for matrix, kept, kept_in in zip(matrices, keep, columns, strict=True)
    ]


def kept_inputs(kept: NDArray[np.bool_] | slice, n_in: int) -> NDArray[np.bool_] | slice:
    """Which inputs a layer keeps, of which each neuron before it gives as many.

    Parameters
    ----------
    kept : bool ndarray of shape (n_before,) or slice
        True for the neurons of the layer before that stay.
    n_in : int
        Number of inputs; a multiple of ``n_before`` where any of these leaves.

    Returns
    -------
    bool ndarray of shape (n_in,) or slice
    """
    if isinstance(kept, slice) or kept.all():
        return slice(None)
    return np.repeat(kept, n_in // len(kept))
