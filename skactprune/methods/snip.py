"""SNIP: pruning before training (Lee, Ajanthan & Torr, ICLR 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import OnSample
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity, Scope
    from skactprune.pruning.run import Run


@register("snip")
class SNIP(OnSample):
    """Remove, before the first step, the weights whose presence matters least to the loss.

    Let every weight be multiplied by an m of 1: its score is abs(dL/dm), which is
    ``abs(w * dL/dw)`` (equation 6 of the paper, whose division by the sum of all scores does not
    change their order). L is the loss of a sample of the training rows, with their sample weights,
    in evaluation mode and without the L2 penalty. All of `prune_fraction` goes at once: the number
    of rounds and the trigger do not matter, unless there are no rounds. Where training goes on,
    nothing is pruned unless more is asked for than before; then the rest goes by the weights and
    rows of that moment.

    Parameters
    ----------
    {n_rows, granularity, scope}

    Notes
    -----
    The authors take one batch, which has 100 rows for MNIST. Scores of different layers differ in
    size. Where few weights are to be left, "global" may leave hardly any of a layer, above all with
    ``granularity="neuron"``, which the paper does not have.

    References
    ----------
    Lee, Ajanthan & Torr, "SNIP: Single-shot network pruning based on connection sensitivity",
    ICLR 2019.
    """

    def __init__(
        self, n_rows: int | None = 100, granularity: Granularity = "weight", scope: Scope = "global"
    ) -> None:
        super().__init__(n_rows, granularity, scope)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w * dL/dw)."""
        pairs = zip(run.weights(), run.gradients(self.sample(run)), strict=False)
        return [np.abs(weight * gradient) for weight, gradient in pairs]
