"""The small dense net that was never large, without which no pruning claim is honest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import BeforeTraining
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.pruning.masks import Masks
    from skactprune.pruning.run import Run


@register("small_dense")
class SmallDense(BeforeTraining):
    """Train a small dense net, of the size that `prune_fraction` gives, from the start.

    Before the first step the same share of the neurons of every hidden layer leaves, until the
    fraction is reached, and all weights and biases are drawn anew for the sizes that are left: it
    is as if `hidden_layer_sizes` had been so many neurons. It is the baseline of what removes
    neurons, as `Random` is that of what removes weights.

    Notes
    -----
    Only for the nets of `PrunedMLPClassifier`, of which it is known how they are drawn; `Pruner`
    refuses others. The number of rounds and the trigger do not matter, unless there are no rounds.
    Where training goes on and more is asked for than before, the smaller net starts from random
    weights, too.
    """

    granularity = "neuron"
    scope = "layer"

    def __init__(self) -> None:
        pass

    def plan(self, run: Run) -> None:
        """Raise ValueError for a net that cannot be drawn, or cannot be as small."""
        run.require_chain()
        super().plan(run)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """The same for all neurons, which are as good as each other before they are drawn."""
        return [np.zeros((len(mask), 1)) for mask in run.masks.current]

    def remove(self, run: Run, masks: Masks) -> None:
        """Keep `masks`, and draw what is left anew."""
        super().remove(run, masks)
        run.redraw()
