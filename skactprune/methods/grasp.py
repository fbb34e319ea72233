"""GraSP: pruning before training, for the flow of gradients (Wang, Zhang & Grosse, ICLR 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import OnSample
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity, Scope
    from skactprune.pruning.run import Run


@register("grasp")
class GraSP(OnSample):
    """Remove, before the first step, the weights without which gradients are the largest.

    With g the gradient of the loss and H its Hessian, the removal of a weight changes the squared
    norm of g by ``-w * (H g)``, up to a factor of 2 and higher orders. Where that is highest the
    weight goes, for training gains by it, and where it is lowest, which is below zero, it stays; no
    absolute value is taken (equation 8 and algorithm 2 of the paper). The loss is that of a sample
    of the training rows, with their sample weights, in evaluation mode and without the L2 penalty.
    All of `prune_fraction` goes at once: the number of rounds and the trigger do not matter, unless
    there are no rounds. Where training goes on, nothing is pruned unless more is asked for than
    before; then the rest goes by the weights and rows of that moment.

    Parameters
    ----------
    {n_rows, granularity, scope}

    Raises
    ------
    ValueError
        In `fit`, where something in the net has no second derivative in torch.

    Notes
    -----
    As in the authors' code, g and H are of the weights of all layers, the output layer included,
    and not of the biases; the output layer is not pruned, though. The authors take 10 rows of every
    class, or 25. Unlike their code, and as in the paper, logits are not divided by 200 before
    the loss. ``granularity="neuron"``, which the paper does not have, goes by the mean over a
    neuron's incoming weights; their sum is the same first-order change for all of them together.

    References
    ----------
    Wang, Zhang & Grosse, "Picking winning tickets before training by preserving gradient flow",
    ICLR 2020.
    """

    def __init__(
        self, n_rows: int | None = 100, granularity: Granularity = "weight", scope: Scope = "global"
    ) -> None:
        super().__init__(n_rows, granularity, scope)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """``w * (H g)``, of which the lowest goes."""
        rows = self.sample(run)
        products = run.hessian_products(rows, run.gradients(rows, output=True))
        pairs = zip(run.weights(), products[:-1], strict=False)
        return [np.multiply(weight, product, dtype=np.float64) for weight, product in pairs]
