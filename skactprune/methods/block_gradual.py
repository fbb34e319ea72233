"""The block-sparse pruning of WaveRNN (Kalchbrenner et al., ICML 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.blocks import is_shape
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity
    from skactprune.pruning.run import Run


@register("block_gradual")
class BlockGradual(ScoredMethod):
    """Remove blocks of 16 by 1 weights, fast first and slowly at the end, alike in all layers.

    A block is what one input gives to 16 neurons that follow each other, so that a product with
    the matrix reads a single input for 16 outputs. In every layer the blocks whose mean abs(w) is
    smallest go, the same share of each, by the schedule of Zhu & Gupta.

    Parameters
    ----------
    block_shape : (int, int), default=(16, 1)
        Neurons and inputs of a block. The last block of a column has fewer neurons where their
        number is no multiple.

    Notes
    -----
    The authors also have blocks of 4 by 4, which ``block_shape=(4, 4)`` gives, and prune every few
    hundred steps; here rounds come when `trigger` says.

    References
    ----------
    Kalchbrenner et al., "Efficient neural audio synthesis", ICML 2018, section 3. Zhu & Gupta, "To
    prune, or not to prune: exploring the efficacy of pruning for model compression", 2017.
    """

    removes = "blocks"
    scope = "layer"
    schedule = "cubic"
    regrow = False

    def __init__(self, block_shape: tuple[int, int] = (16, 1)) -> None:
        self.block_shape = block_shape

    @property
    def granularity(self) -> Granularity:  # type: ignore[override]  # computed, not set
        """The shape of the blocks."""
        return self.block_shape

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        if not is_shape(self.block_shape):
            raise ValueError(
                f"block_shape={self.block_shape!r} of {type(self).__name__} must be two positive "
                "integers."
            )
        return super().validated()

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w)."""
        return [np.abs(weight) for weight in run.weights()[:-1]]
