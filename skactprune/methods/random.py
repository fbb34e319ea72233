"""Random pruning, without which no pruning claim is honest."""

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register


@register("random")
class Random(ScoredMethod):
    """Remove at random.

    Parameters
    ----------
    {granularity, scope, schedule, regrow}
    """

    def scores(self, run):
        """Uniform noise, drawn anew in every round."""
        return [run.random_state.uniform(size=mask.shape) for mask in run.masks.current]
