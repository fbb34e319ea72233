"""Magnitude pruning, without which no pruning claim is honest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.pruning.run import Run


@register("magnitude")
class Magnitude(ScoredMethod):
    """Remove the smallest abs(w).

    Parameters
    ----------
    {granularity, scope, schedule, regrow}

    References
    ----------
    Zhu & Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model
    compression", 2017 (score and cubic schedule). Han et al., "Learning both weights and
    connections for efficient neural networks", 2015 (score).
    """

    def __init__(
        self,
        granularity: Granularity = "weight",
        scope: Scope = "layer",
        schedule: ScheduleLike = "cubic",
        regrow: bool = False,
    ) -> None:
        super().__init__(granularity, scope, schedule, regrow)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w)."""
        return [np.abs(weight) for weight in run.weights()[:-1]]
