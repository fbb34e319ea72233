"""The two baselines without which no pruning claim is honest, magnitude and chance."""

from skactprune.methods.base import Method, register


@register("magnitude")
class Magnitude(Method):
    """Remove the smallest abs(w).

    Parameters
    ----------
    granularity : {"weight", "neuron"}, default="weight"
        What leaves together. The score of a neuron is the mean over its incoming weights.
    scope : {"layer", "global"}, default="layer"
        The same share of every layer, or the lowest scores of all layers.
    schedule : {"cubic", "geometric", "linear", "one_shot"} or callable, default="cubic"
        Share of `prune_fraction` that is gone after each round.
    regrow : bool, default=False
        Whether pruned weights, set to zero, may be learned again.

    References
    ----------
    Zhu & Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model
    compression", 2017 (score and cubic schedule).
    """

    criterion = "magnitude"

    def __init__(self, granularity="weight", scope="layer", schedule="cubic", regrow=False):
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule
        self.regrow = regrow


@register("random")
class Random(Method):
    """Remove at random.

    Parameters
    ----------
    granularity : {"neuron", "weight"}, default="neuron"
        What leaves together.
    scope : {"layer", "global"}, default="layer"
        The same share of every layer, or of all layers together.
    schedule : {"geometric", "cubic", "linear", "one_shot"} or callable, default="geometric"
        Share of `prune_fraction` that is gone after each round.
    regrow : bool, default=False
        Whether pruned weights, set to zero, may be learned again.
    """

    criterion = "random"

    def __init__(self, granularity="neuron", scope="layer", schedule="geometric", regrow=False):
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule
        self.regrow = regrow
