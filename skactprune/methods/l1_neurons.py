"""Pruning neurons by the L1 norm of their weights (Li et al., ICLR 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike, Scope
    from skactprune.pruning.run import Run


@register("l1_neurons")
class L1Neurons(ScoredMethod):
    """Remove the neurons with the smallest sum of abs(w) over their incoming weights.

    The bias does not count. A channel of a convolution is a neuron, and all weights of its kernels
    count. Weights from neurons that left in earlier rounds no longer do, those from neurons that
    leave in the same one still do: the paper's independent pruning.

    Parameters
    ----------
    {scope, schedule, regrow}

    Notes
    -----
    The paper prunes each layer by itself, as "layer" does. It removes all at once and retrains
    (``schedule="one_shot"``), or goes in rounds where much is to go. With "global", layers of many
    inputs keep more, while ``Magnitude(granularity="neuron")``, with means in place of sums,
    compares single weights of different layers; within a layer both have the same order.

    References
    ----------
    Li, Kadav, Durdanovic, Samet & Graf, "Pruning filters for efficient ConvNets", ICLR 2017,
    sections 3.1, 3.3 and 3.4.
    """

    granularity = "neuron"

    def __init__(
        self, scope: Scope = "layer", schedule: ScheduleLike = "geometric", regrow: bool = False
    ) -> None:
        self.scope = scope
        self.schedule = schedule
        self.regrow = regrow

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Sum of abs(w) over the incoming weights."""
        return [np.abs(w).sum(axis=1, keepdims=True) for w in run.weights()[:-1]]
