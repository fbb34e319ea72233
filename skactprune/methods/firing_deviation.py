"""Pruning by how much a weight's two ends vary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import CountingMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.pruning.probes.features import Features
    from skactprune.pruning.run import Run


@register("firing_deviation")
class FiringDeviation(CountingMethod):
    """Remove the lowest products of abs(w) and how much its input and its neuron vary.

    The score of the weight from i to j is ``abs(w_ij) * s_i * s_j``. For a neuron with firing rate
    p, s is the standard deviation of whether it fires, ``sqrt(p * (1 - p))``; for a feature it is
    the standard deviation of its values. What hardly ever fires does nothing, what always fires
    is linear, and what is constant is a bias: none of it tells one row from another. The counts
    are those of "activation". Where it is not known which layer feeds which, s_i is left out.

    Parameters
    ----------
    {granularity, scope, schedule, regrow, reset_counts}
    """

    features_: Features

    def begin(self, run: Run) -> None:
        """Count who fires, and see how much the features vary."""
        from skactprune.pruning.probes import Features

        super().begin(run)
        self.features_ = run.watch(Features())

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w) times the deviations of what it connects: its input, and its neuron's firing."""
        firing = self.firing_.deviations
        inputs = run.layout.per_input(self.features_.deviation, firing)
        return [
            of_weight(weight, of_neuron, of_input)
            for weight, of_neuron, of_input in zip(run.weights(), firing, inputs, strict=False)
        ]


def of_weight(
    weight: NDArray[Any], of_neuron: NDArray[Any], of_input: NDArray[Any] | None
) -> NDArray[Any]:
    """Score of the weights of a layer; where nothing is known of its input, without it."""
    score = of_neuron[:, None] * np.abs(weight)
    return score if of_input is None else score * of_input
