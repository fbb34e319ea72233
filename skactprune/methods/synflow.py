"""SynFlow: pruning before training, without data (Tanaka, Kunin, Yamins & Ganguli, 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from skactprune._options import COUNT, check_options
from skactprune.methods.base import BeforeTraining, given
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity, Scope
    from skactprune.pruning.run import Run


@register("synflow")
class SynFlow(BeforeTraining):
    """Remove, before the first step and without data, the weights through which least flows.

    Let 1 flow into every feature, through the absolute values of all weights: what comes out is
    ``R = 1^T |W_L| ... |W_1| 1``, without biases and activations. The score of a weight is
    ``w * dR/dw``, the sum over all paths through it of the product of their weights; the output
    layer counts, though it is not pruned. In round k of n, the density is brought down to
    ``d^(k / n)`` by removing the lowest scores, where d is the density in the end, and what is left
    is scored anew. All rounds are done at once: `n_prune_rounds` and the trigger do not matter,
    unless there are no rounds. Where training goes on, nothing is pruned unless more is asked for
    than before; then the rest goes in the same way, from the density and by the weights of that
    moment.

    Parameters
    ----------
    n_rounds : int, default=100
        Rounds, at least 1; in one round, layers may be cut down to a single path.
    {granularity, scope}

    Raises
    ------
    ValueError
        In `fit` of a net with a `Pruner`, if nothing gets from its inputs to its outputs.

    Notes
    -----
    In the nets of `PrunedMLPClassifier`, the scores of every layer add up to R, so that each is
    scaled to the sum 1: in float64 nothing overflows, however deep and wide the net. Through other
    modules flows what they make of a row of ones, in float64 and evaluation mode, as in the
    authors' code: with the absolute values of all parameters, but without biases and means, up to
    the output layer. Their activations are applied; where these bound what flows, as tanh does,
    that is all that is seen. Of the training rows only the shape is taken, so that unlabelled ones
    are refused. ``granularity="neuron"``, which the paper does not have, goes by the mean over a
    neuron's incoming weights.

    References
    ----------
    Tanaka, Kunin, Yamins & Ganguli, "Pruning neural networks without any data by iteratively
    conserving synaptic flow", NeurIPS 2020, algorithm 1.
    """

    def __init__(
        self, n_rounds: int = 100, granularity: Granularity = "weight", scope: Scope = "global"
    ) -> None:
        super().__init__(granularity, scope)
        self.n_rounds = n_rounds

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, n_rounds=COUNT)
        return super().validated()

    def round(self, run: Run, share: float) -> None:
        """Remove the lowest scores in rounds, until `share` of the target is gone."""
        target = given("prune_fraction", run.target)
        if not target:
            # Features may leave even so, by the same scores.
            super().round(run, share)
            return
        dense, sparse = 1 - run.fraction_done, 1 - share * target
        for done in range(1, self.n_rounds + 1):
            density = dense * (sparse / dense) ** (done / self.n_rounds)
            super().round(run, share if done == self.n_rounds else (1 - density) / target)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Flow through every weight."""
        return run.flows()
