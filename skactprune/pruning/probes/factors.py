"""Layers whose weights are the product of two matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skactprune.nets.factors import SparseFactors
from skactprune.nets.matrices import kept_inputs
from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from skactprune.pruning.probes.seen import SeenRun


class Factors(Probe):
    """Factors of the weights of hidden layers.

    Attributes
    ----------
    layers : list of SparseFactors or None
        For every hidden layer those of its weights, of shape (n_out, n_in); None where these are
        no product.
    """

    def __init__(self) -> None:
        self.layers: list[SparseFactors | None] = []

    def attach(self, run: SeenRun) -> None:
        """Begin with no factors, or go on."""
        self.layers = self.layers or [None] * len(run.hidden)

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Forget neurons that have left."""
        inputs: list[NDArray[np.bool_] | slice] = [slice(None), *keep[:-1]]
        self.layers = [
            factors and factors.cut(rows, kept_inputs(columns, factors.right.shape[1]))
            for factors, rows, columns in zip(self.layers, keep, inputs, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays."""
        return {"layers": [factors and dict(vars(factors)) for factors in self.layers]}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.layers = [factors and SparseFactors(**factors) for factors in state["layers"]]
