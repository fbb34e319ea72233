"""Random pruning, without which no pruning claim is honest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.pruning.run import Run


@register("random")
class Random(ScoredMethod):
    """Remove at random.

    Parameters
    ----------
    {granularity, scope, schedule, regrow}
    """

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Uniform noise, drawn anew in every round."""
        return [run.random_state.uniform(size=mask.shape) for mask in run.masks.current]
