"""Activation-based pruning (Ganguli & Chong, Algorithms 17(1):48, 2024)."""

from skactprune.methods.base import Method, register


@register("activation")
class Activation(Method):
    """Remove what fired least often in training.

    Parameters
    ----------
    granularity : {"neuron", "weight"}, default="neuron"
        What leaves together. All weights into a neuron have the neuron's count as their score,
        so that "weight" differs from "neuron" only in the one neuron that is cut in the middle.
    scope : {"layer", "global"}, default="layer"
        The same share of every layer, or the lowest counts of all layers.
    schedule : {"geometric", "cubic", "linear", "one_shot"} or callable, default="geometric"
        Share of `prune_fraction` that is gone after each round.
    regrow : bool, default=False
        Whether pruned weights, set to zero, may be learned again.
    reset_counts : bool, default=False
        Whether counts restart after each round instead of running on through the fit.

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.
    """

    def __init__(
        self,
        granularity="neuron",
        scope="layer",
        schedule="geometric",
        regrow=False,
        reset_counts=False,
    ):
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule
        self.regrow = regrow
        self.reset_counts = reset_counts


@register("activation_magnitude")
class ActivationMagnitude(Activation):
    """Remove the lowest products of firing count and abs(w).

    Parameters
    ----------
    granularity : {"neuron", "weight"}, default="neuron"
        What leaves together. The score of a neuron is the mean over its incoming weights.
    scope : {"layer", "global"}, default="layer"
        The same share of every layer, or the lowest scores of all layers.
    schedule : {"geometric", "cubic", "linear", "one_shot"} or callable, default="geometric"
        Share of `prune_fraction` that is gone after each round.
    regrow : bool, default=False
        Whether pruned weights, set to zero, may be learned again.
    reset_counts : bool, default=False
        Whether counts restart after each round instead of running on through the fit.

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.
    """

    criterion = "activation_magnitude"


@register("firing_deviation")
class FiringDeviation(Activation):
    """Remove the lowest products of abs(w) and how much its input and its neuron vary.

    The score of the weight from i to j is ``abs(w_ij) * s_i * s_j``. For a neuron with firing rate
    p, s is the standard deviation of whether it fires, ``sqrt(p * (1 - p))``; for a feature it is
    the standard deviation of its values. What hardly ever fires does nothing, what always fires
    is linear, and what is constant is a bias: none of it tells one row from another. The counts
    are those of "activation".

    Parameters
    ----------
    granularity : {"neuron", "weight"}, default="neuron"
        What leaves together. The score of a neuron is the mean over its incoming weights.
    scope : {"layer", "global"}, default="layer"
        The same share of every layer, or the lowest scores of all layers.
    schedule : {"geometric", "cubic", "linear", "one_shot"} or callable, default="geometric"
        Share of `prune_fraction` that is gone after each round.
    regrow : bool, default=False
        Whether pruned weights, set to zero, may be learned again.
    reset_counts : bool, default=False
        Whether counts restart after each round instead of running on through the fit.
    """

    criterion = "firing_deviation"


@register("ganguli2024")
class Ganguli2024(Method):
    """The authors' ranking and counting: all hidden weights together, the fraction of the net.

    `prune_fraction` is a share of all weights of the net, output layer included, and counts the
    weights that were ranked out. Weights of neurons that died of it go on top, so that
    ``sparsity_``, the share of the hidden weights, ends above `prune_fraction`.

    Parameters
    ----------
    criterion : {"activation", "activation_magnitude"}, default="activation"
        The first or the second score of the paper.
    counting : {"training", "sample"}, default="training"
        Count in training's own forward passes, as the paper says, or on 32 random training rows
        after each epoch, as the authors' code does.
    regrow : bool, default=False
        Whether pruned weights, set to zero, may be learned again.

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.
    """

    granularity = "weight"
    scope = "global"
    whole_net = True

    def __init__(self, criterion="activation", counting="training", regrow=False):
        self.criterion = criterion
        self.counting = counting
        self.regrow = regrow

    def validated(self):
        """Return self after checking the options; see `Method.validated`."""
        allowed = ["activation", "activation_magnitude"]
        if self.criterion not in allowed:
            raise ValueError(
                f"criterion={self.criterion!r} of Ganguli2024 must be one of {allowed}."
            )
        return super().validated()
