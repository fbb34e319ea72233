"""Movement pruning (Sanh, Wolf & Rush, NeurIPS 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skactprune.methods.base import ScoredMethod
from skactprune.nets.modest import modest
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.pruning.probes.weights import WeightSums
    from skactprune.pruning.run import Run


@register("movement")
class Movement(ScoredMethod):
    """Remove the weights that training moves towards zero, or the least away from it.

    The score of a weight is ``-sum_t w_t * g_t`` over all steps of training so far, w_t its value
    before step t and g_t the gradient there (equation 3 of the paper, without its learning rate of
    the scores, a factor that changes no order). A small weight that grows stays, a large one that
    shrinks goes. The sums run on through all fits of a net that goes on; they are never begun anew.

    Parameters
    ----------
    {granularity, scope, schedule, regrow}

    Notes
    -----
    The gradients are those that the optimizer gets: with the L2 penalty of the estimators, which
    moves weights, too, but not with a ``weight_decay`` of torch's optimizers. In the paper, a
    pruned weight keeps its value, its score goes on and it may come back. Here it is zero and adds
    nothing to its score; with `regrow` it is trained on from zero, and may stay at the next round.
    The paper has both scopes and finds them alike; the default of its code is "layer".

    Weights of a feature that is always zero move by the penalty alone: their sums stay near zero,
    above those of all that training moves towards zero, so that they are kept in place of better
    ones. Remove such features first, for instance by scikit-learn's ``VarianceThreshold``.

    References
    ----------
    Sanh, Wolf & Rush, "Movement pruning: Adaptive sparsity by fine-tuning", NeurIPS 2020.
    """

    movement_: WeightSums

    def __init__(
        self,
        granularity: Granularity = "weight",
        scope: Scope = "global",
        schedule: ScheduleLike = "cubic",
        regrow: bool = False,
    ) -> None:
        super().__init__(granularity, scope, schedule, regrow)

    def begin(self, run: Run) -> None:
        """Sum from now on, or go on with that."""
        from skactprune.pruning.probes import WeightSums

        super().begin(run)
        self.movement_ = run.watch(WeightSums())

    @modest
    def on_gradient(self, run: Run) -> None:
        """Add ``-w * g`` of the coming step."""
        pairs = zip(run.hidden, run.step_gradients(), strict=True)
        self.movement_.add(
            [
                # In float64, as products of two small numbers may not be in a half precision.
                -layer.weight.detach().reshape(gradient.shape).double() * gradient
                for layer, gradient in pairs
            ]
        )

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """The sums."""
        return self.movement_.arrays()
