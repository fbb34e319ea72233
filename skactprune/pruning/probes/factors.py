"""Layers whose weights are the product of two matrices."""

from skactprune.nets.factors import SparseFactors
from skactprune.nets.matrices import kept_inputs
from skactprune.pruning.probes.base import Probe


class Factors(Probe):
    """Factors of the weights of hidden layers.

    Attributes
    ----------
    layers : list of SparseFactors or None
        For every hidden layer those of its weights, of shape (n_out, n_in); None where these are
        no product.
    """

    def __init__(self):
        self.layers = []

    def attach(self, run):
        """Begin with no factors, or go on."""
        self.layers = self.layers or [None] * len(run.hidden)

    def cut(self, keep):
        """Forget neurons that have left."""
        inputs = [slice(None), *keep[:-1]]
        self.layers = [
            factors and factors.cut(rows, kept_inputs(columns, factors.right.shape[1]))
            for factors, rows, columns in zip(self.layers, keep, inputs, strict=True)
        ]

    def state(self):
        """What `load` needs, as arrays."""
        return {"layers": [factors and dict(vars(factors)) for factors in self.layers]}

    def load(self, state):
        """Go on where `state` was taken."""
        self.layers = [factors and SparseFactors(**factors) for factors in state["layers"]]
