"""Activation-based pruning, second score (Ganguli & Chong, Algorithms 17(1):48, 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import CountingMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.pruning.run import Run


@register("activation_magnitude")
class ActivationMagnitude(CountingMethod):
    """Remove the lowest products of firing count and abs(w).

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
        """Firing count of the neuron times abs(w) (second score of the paper)."""
        pairs = zip(self.firing_.counts, run.weights(), strict=False)
        return [counts[:, None] * np.abs(weight) for counts, weight in pairs]
