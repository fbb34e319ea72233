"""The protocol of Ganguli & Chong (Algorithms 17(1):48, 2024), as they ran it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from skactprune._options import check_options
from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register
from skactprune.pruning.selection import number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from skactprune.pruning.parts import Part
    from skactprune.pruning.probes.firing import Firing
    from skactprune.pruning.run import Run

SCORES: dict[str, Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]] = {
    "activation": lambda counts, weight: counts[:, None],
    "activation_magnitude": lambda counts, weight: counts[:, None] * np.abs(weight),
}


@register("ganguli2024")
class Ganguli2024(ScoredMethod):
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
    {regrow}

    Notes
    -----
    Counts are compared over all layers, so that one whose neurons fire seldom may lose nearly all
    of them where much is asked for, and with it what was learned: a fit warns of that. `Activation`
    takes the same share of every layer.

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.
    """

    granularity = "weight"
    scope = "global"
    schedule = "geometric"
    firing_: Firing

    def __init__(
        self,
        criterion: Literal["activation", "activation_magnitude"] = "activation",
        counting: Literal["training", "sample"] = "training",
        regrow: bool = False,
    ) -> None:
        self.criterion = criterion
        self.counting = counting
        self.regrow = regrow

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, criterion=list(SCORES), counting=("training", "sample"))
        return super().validated()

    def plan_features(self, run: Run) -> None:
        """Raise ValueError: the fraction is one of the whole net, features included."""
        run.refuse_features("counts on all weights of the net")

    def begin(self, run: Run) -> None:
        """Count who fires."""
        from skactprune.pruning.probes import Firing

        super().begin(run)
        self.firing_ = run.watch(Firing(self.counting))

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Firing count of the neuron, times abs(w) for the second score."""
        score = SCORES[self.criterion]
        return [score(*pair) for pair in zip(self.firing_.counts, run.weights(), strict=False)]

    def n_counted(self, run: Run | Part) -> int:
        """Number of weights that the fraction is taken of: all of the net before any round."""
        return run.n_weights

    def amount(self, run: Run | Part, fraction: float) -> dict[str, int]:
        """How many weights are ranked out, not counting those that die of it."""
        before = 0.0 if self.regrow else run.fraction_done
        whole = run.n_weights
        return {"n_removed": number_of(fraction, whole) - number_of(before, whole)}
