"""Optimal Brain Surgeon on the outputs of neurons."""

from skactprune.methods.base import Method, register


@register("activation_surgeon")
class ActivationSurgeon(Method):
    """Remove the neurons for which the others of their layer can best stand in, and let them.

    A neuron leaves at the cost of what cannot be told of its output by a linear function of the
    others', times its outgoing weights, each with the gain of the neuron that it goes to: the
    error that is left in the logits. The lowest cost goes first, one neuron after the other. The
    outgoing weights and the biases of the next layer are refitted by ridge regression, so that
    those that stay take over. Gains are those of the firing counts: a neuron hands on what it
    gets where it fires, which is exact for ReLU. Covariances are of the outputs in evaluation mode
    on up to 2000 of the training rows at hand, or of the unlabelled ones, at each round.

    With ``granularity="weight"`` nothing is refitted: the score is the geometric mean of
    ``abs(w_ij)`` and ``abs(w_ij) * s_i * g_j``, where s is the standard deviation of a feature, or
    of whether a neuron fires, and g the gain of a neuron, up to a factor for each layer.

    Parameters
    ----------
    granularity : {"neuron", "weight"}, default="neuron"
        What leaves together.
    scope : {"layer", "global"}, default="layer"
        The same share of every layer, or the lowest scores of all layers; the cost of a neuron
        is then that for each weight that leaves with it.
    schedule : {"cubic", "geometric", "linear", "one_shot"} or callable, default="cubic"
        Share of `prune_fraction` that is gone after each round.
    reset_counts : bool, default=False
        Whether counts restart after each round instead of running on through the fit.

    Notes
    -----
    Only for nets whose layers are a chain, which those of `PrunedMLPClassifier` are; `Pruner`
    refuses others. A round takes a forward pass over the sample and on the order of n**3
    operations for a layer of n neurons. Above 256 neurons, ``g = ceil(n / 256)`` of the 4 g that
    cost least leave before all costs are taken anew. The ridge is a tenth of the mean variance.

    References
    ----------
    Hassibi & Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon", NIPS
    1992 (cost and update). Dong, Chen & Pan, "Learning to prune deep neural networks via layer-wise
    Optimal Brain Surgeon", NIPS 2017 (layer-wise error). Ganguli & Chong, "Activation-Based
    Pruning of Neural Networks", Algorithms 17(1):48, 2024 (counts).
    """

    sample_size = 2000

    def __init__(self, granularity="neuron", scope="layer", schedule="cubic", reset_counts=False):
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule
        self.reset_counts = reset_counts

    @property
    def refit(self):
        """Whether others take over, which is where whole neurons leave."""
        return self.granularity == "neuron"

    @property
    def criterion(self):
        """Costs of neurons, or scores of weights."""
        return "surgeon_neuron" if self.granularity == "neuron" else "surgeon_weight"
