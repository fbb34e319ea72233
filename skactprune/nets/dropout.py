"""Masks of dropout: which inputs of a layer a step of training leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

# A random integer of 64 bits decides about several inputs, each of which is kept if its own bits
# are below a threshold: several times as fast as a draw for each, as `bernoulli_` does it.
BITS = 16
PER_DRAW = 64 // BITS
LOWEST = -(2**63)


def threshold_and_factor(rate: float) -> tuple[int, float]:
    """Below what 16 random bits, read as an integer with a sign, keep an input, and its factor.

    Parameters
    ----------
    rate : float
        Share of the inputs that are left out, above 0 and below 1. It is rounded to a multiple of
        ``2 ** -16``, of which at least one is left out and at least one is kept.

    Returns
    -------
    threshold : int
        What is below it is kept.
    factor : float
        One over the share that is kept, so that the expected input is that without dropout.
    """
    n_values = 2**BITS
    n_kept = min(max(round((1.0 - rate) * n_values), 1), n_values - 1)
    return n_kept - n_values // 2, n_values / n_kept


def draw(h: torch.Tensor, rate: float, generator: torch.Generator | None) -> torch.Tensor:
    """Factors of a layer's inputs: 0, or one over the share of them that is kept.

    Parameters
    ----------
    h : torch.Tensor
        Inputs of a layer.
    rate : float
        Share of them that is left out, see `threshold_and_factor`.
    generator : torch.Generator or None
        Draws, on the device of `h`.

    Returns
    -------
    torch.Tensor
        Of the shape, dtype and device of `h`.
    """
    threshold, factor = threshold_and_factor(rate)
    bits = torch.empty(_n_draws(h.numel()), dtype=torch.int64, device=h.device)
    bits.random_(LOWEST, None, generator=generator)
    kept = bits.view(torch.int16)[: h.numel()].lt(threshold)
    return kept.view(h.shape).to(h.dtype).mul_(factor)


def _n_draws(n: int) -> int:
    return -(-n // PER_DRAW)


class Dropout:
    """Dropout of one layer's inputs in numpy, on buffers that stay, with the masks of `draw`.

    Parameters
    ----------
    rate : float
        Share of the inputs that are left out, see `threshold_and_factor`.
    shape : tuple of (int, int)
        Rows and inputs.
    dtype : dtype
        Of the inputs.
    """

    def __init__(self, rate: float, shape: tuple[int, int], dtype: DTypeLike) -> None:
        n = shape[0] * shape[1]
        self._draws = torch.empty(_n_draws(n), dtype=torch.int64)
        self._bits = self._draws.view(torch.int16).numpy()[:n].reshape(shape)
        self._threshold, factor = threshold_and_factor(rate)
        self._kept = np.empty(shape, bool)
        self._factors, self._out = np.empty(shape, dtype), np.empty(shape, dtype)
        self._factor = self._factors.dtype.type(factor)

    def forward(self, h: NDArray[Any], generator: torch.Generator | None) -> NDArray[Any]:
        """What is left of the inputs of a layer."""
        self._draws.random_(LOWEST, None, generator=generator)
        np.less(self._bits, self._threshold, out=self._kept)
        np.multiply(self._kept, self._factor, out=self._factors)
        return np.multiply(h, self._factors, out=self._out)

    def backward(self, gradient: NDArray[Any]) -> None:
        """Turn the gradient of what was left into that of what came."""
        np.multiply(gradient, self._factors, out=gradient)
