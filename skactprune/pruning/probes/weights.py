"""A number for every weight that methods keep: sums, and weights as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skactprune.nets.matrices import cut, matrix
from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from skactprune.pruning.probes.seen import SeenRun


class WeightSums(Probe):
    """Sums over the steps of training, one for every hidden weight.

    Attributes
    ----------
    sums : list of torch.Tensor of shape (n_out, n_in)
        The sums, float64, on the device of the weights.
    """

    def __init__(self) -> None:
        self.sums: list[torch.Tensor] = []

    def attach(self, run: SeenRun) -> None:
        """Begin at zero, or go on."""
        if not self.sums:
            shapes = [matrix(layer.weight).shape for layer in run.hidden]
            self.sums = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
        self.sums = [
            total.to(layer.weight.device)
            for total, layer in zip(self.sums, run.hidden, strict=True)
        ]

    @torch.no_grad()
    def add(self, terms: Sequence[torch.Tensor]) -> None:
        """Add one tensor of shape (n_out, n_in) for every hidden layer."""
        for total, term in zip(self.sums, terms, strict=True):
            total.add_(term)

    def arrays(self) -> list[NDArray[np.float64]]:
        """The sums as arrays."""
        return [total.cpu().numpy() for total in self.sums]

    def restart(self) -> None:
        """Sum from zero."""
        self.sums = [torch.zeros_like(total) for total in self.sums]

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Forget the weights of neurons that have left."""
        self.sums = [
            torch.from_numpy(rest).to(total.device)
            for rest, total in zip(cut(self.arrays(), keep), self.sums, strict=True)
        ]

    def snapshot(self) -> Callable[[], None]:
        """Function that gives back the sums of now; from here on, copies are added to."""
        restore = super().snapshot()
        self.sums = [total.clone() for total in self.sums]
        return restore

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays."""
        return {"sums": [total.copy() for total in self.arrays()]}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.sums = [torch.tensor(total) for total in state["sums"]]


class EarlyWeights(Probe):
    """Weights and biases of all layers as they were when they were taken.

    Attributes
    ----------
    weights : list of (ndarray, ndarray or None) or None
        Weight, in the shape of the layer's, and bias of every layer, output layer last; None where
        nothing was taken yet.
    """

    def __init__(self) -> None:
        self.weights: list[tuple[NDArray[Any], NDArray[Any] | None]] | None = None

    def take(self, run: SeenRun) -> None:
        """Take the weights of now."""
        self.weights = run.copied_weights()

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Forget the weights of neurons that have left."""
        if self.weights is None:
            return
        every = [*keep, np.ones(len(self.weights[-1][0]), dtype=bool)]
        matrices = cut([weight for weight, _ in self.weights], every)
        self.weights = [
            (matrix, None if bias is None else bias[kept])
            for matrix, (_, bias), kept in zip(matrices, self.weights, every, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays."""
        if self.weights is None:
            return {}
        return {
            "weights": [weight for weight, _ in self.weights],
            "biases": [np.zeros(0) if bias is None else bias for _, bias in self.weights],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        if state:
            biases = [bias if bias.size else None for bias in state["biases"]]
            self.weights = list(zip(state["weights"], biases, strict=True))
