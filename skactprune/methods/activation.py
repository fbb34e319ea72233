"""Activation-based pruning (Ganguli & Chong, Algorithms 17(1):48, 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skactprune.methods.base import CountingMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.pruning.run import Run


@register("activation")
class Activation(CountingMethod):
    """Remove what fired least often in training.

    All weights into a neuron have the neuron's count as their score, so that in a round a
    granularity of "weight" differs from "neuron" only in the one neuron that is cut in the middle.
    In later rounds it counts weights that left with neurons of the layer before as pruned.

    Parameters
    ----------
    {granularity, scope, schedule, regrow, reset_counts}

    Notes
    -----
    The paper ranks the weights of all hidden layers together, one by one: `Ganguli2024`, or here
    ``granularity="weight", scope="global"``.

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.
    """

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Firing count of the neuron (first score of the paper)."""
        return [counts[:, None] for counts in self.firing_.counts]
