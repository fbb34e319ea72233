"""Gradual magnitude pruning (Zhu & Gupta, 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.pruning.run import Run


@register("gradual_magnitude")
class GradualMagnitude(ScoredMethod):
    """Remove the smallest abs(w) of each layer, many at first and few in the end.

    After round i of n, the share ``s_n * (1 - (1 - i / n) ** 3)`` of the weights of each hidden
    layer is gone (equation 1 of the paper, from an initial sparsity of zero), and s_n is
    `prune_fraction`. It is ``Magnitude()``, whose defaults are these, without options.

    Notes
    -----
    The paper prunes every 100 to 1000 steps of training; here n is `n_prune_rounds`, and the
    trigger says when: ``EpochTrigger(start, stop)`` evenly from the share `start` of the epochs to
    the share `stop`. What is pruned stays so. In the authors' code a pruned weight keeps its value
    and may come back, when others have fallen below it.

    References
    ----------
    Zhu & Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model
    compression", 2017, section 3.
    """

    granularity = "weight"
    scope = "layer"
    schedule = "cubic"
    regrow = False

    def __init__(self) -> None:
        pass

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w)."""
        return [np.abs(weight) for weight in run.weights()[:-1]]
