"""Wanda: pruning by weights and activations (Sun et al., ICLR 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike
    from skactprune.pruning.probes.outputs import InputMoments
    from skactprune.pruning.run import Run

# Rows that inputs are looked at in, at each round.
N_ROWS = 2000


@register("wanda")
class Wanda(ScoredMethod):
    """Remove, of each neuron, the weights with the smallest abs(w) times the norm of their input.

    The importance of the weight from i to j is ``abs(w_ij) * norm(h_i)``, and h_i the values of
    input i, a feature or the output of a neuron, in evaluation mode on up to 2000 of the training
    rows at hand, or of the unlabelled ones, at each round. The norm is Euclidean; rows with weights
    count with them. Importances are compared among the weights into one neuron only, so that each
    neuron loses the same share of its weights.

    Parameters
    ----------
    {schedule, regrow}

    Notes
    -----
    Each importance is taken as its rank among those of its neuron, in which weights that have gone
    come first. The paper prunes a trained net
    at once, and does not train it again, which is ``Wanda("one_shot")`` with
    ``trigger=EpochTrigger(1, 1)``; in rounds, training makes up for what is lost. What a weight of
    a convolution reads are the values at all positions, zeros of the padding included.

    References
    ----------
    Sun, Liu, Bair & Kolter, "A simple and effective pruning approach for large language models",
    ICLR 2024, equation 1 and section 3.
    """

    granularity = "weight"
    # All neurons of as many weights have the same ranks.
    granularities = ("weight",)
    scope = "layer"
    inputs_: InputMoments

    def __init__(self, schedule: ScheduleLike = "cubic", regrow: bool = False) -> None:
        self.schedule = schedule
        self.regrow = regrow

    def begin(self, run: Run) -> None:
        """Have a look at the inputs of the layers at each round."""
        from skactprune.pruning.probes import InputMoments

        super().begin(run)
        self.inputs_ = run.watch(InputMoments(N_ROWS))

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Share of the weights of its neuron of less abs(w) times the norm of their input."""
        return [
            within_rows(np.where(weight == 0, -1.0, np.abs(weight) * norm)) / weight.shape[1]
            for weight, norm in zip(run.weights(), self.inputs_.norms(run), strict=False)
        ]


def within_rows(importance: NDArray[Any]) -> NDArray[np.int64]:
    """Ranks within each row: 0 for the lowest; of equals, the first comes first."""
    order = np.argsort(importance, axis=1, kind="stable")
    return np.argsort(order, axis=1)
