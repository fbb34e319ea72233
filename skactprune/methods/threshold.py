"""Pruning below a threshold for each layer (Han et al., NIPS 2015)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune._options import POSITIVE, check_options
from skactprune.methods.base import ScoredMethod, given
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity, ScheduleLike
    from skactprune.pruning.run import Run


@register("threshold")
class Threshold(ScoredMethod):
    """Remove the weights below a threshold for each layer, retrain, and again.

    The threshold of a layer is `quality` times the standard deviation of its weights. The last of
    n rounds applies all of it, those before it the shares that `schedule` says. With a
    `prune_fraction` in place of `quality`, the lowest ``abs(w) / std(W_l)`` of all layers go until
    it is met, which is one quality for all layers, found in every round. Neurons without incoming
    or outgoing weights leave.

    Parameters
    ----------
    quality : float or None, default=None
        Positive, and the same for all layers. `prune_fraction` must be None with it, and given
        without it.
    {granularity, schedule}

    Notes
    -----
    Weights that are gone count as zeros in the standard deviation, as in the authors' matrices, so
    that it falls as a layer gets sparse. Without them it would rise, and every round with the same
    quality would take most of what the round before had left. The authors choose a quality for each
    layer by its sensitivity, regularize with L1 or L2, and retrain with less dropout and a lower
    learning rate; here training just goes on.

    References
    ----------
    Han, Pool, Tran & Dally, "Learning both weights and connections for efficient neural networks",
    NIPS 2015, section 3.
    """

    scope = "global"
    regrow = False

    def __init__(
        self,
        quality: float | None = None,
        granularity: Granularity = "weight",
        schedule: ScheduleLike = "cubic",
    ) -> None:
        self.quality = quality
        self.granularity = granularity
        self.schedule = schedule

    @property
    def own_threshold(self) -> str | None:
        """The quality, if there is one; see `Method.own_threshold`."""
        return None if self.quality is None else f"quality={self.quality!r}"

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, quality=(POSITIVE, None))
        return super().validated()

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w) over the standard deviation of the weights of its layer."""
        pairs = zip(run.weights(), run.layout.shapes, strict=False)
        return [np.abs(weight) / deviation(weight, math.prod(shape)) for weight, shape in pairs]

    def cutoffs(self, run: Run, share: float) -> list[float]:
        """The same number of standard deviations for all layers."""
        return [share * float(given("quality", self.quality))] * len(run.hidden)


def deviation(weight: NDArray[Any], n_original: int) -> float:
    """Standard deviation of the weights of a layer, those that have left it taken as zero.

    Parameters
    ----------
    weight : ndarray of shape (n_out, n_in)
        What is there.
    n_original : int
        Number of weights before anything left.

    Returns
    -------
    float
        1 where all are alike, so that one may divide by it.
    """
    weight = weight.astype(np.float64)
    mean = weight.sum() / n_original
    gone = n_original - weight.size
    squares = np.square(weight - mean).sum() + gone * mean**2
    return float(np.sqrt(squares / n_original)) or 1.0
