"""Block-sparse weights (Gray, Radford & Kingma, 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.blocks import is_shape
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.pruning.run import Run


@register("block")
class Block(ScoredMethod):
    """Remove square blocks of weights, those whose mean abs(w) is smallest.

    Blocks are tiles of the matrix of a layer, which begin at its first neuron and first input; the
    last ones are smaller where sizes are no multiples. Every other method removes blocks with
    ``granularity="block"``, by the mean of its own scores.

    Parameters
    ----------
    block_shape : int or (int, int), default=4
        Neurons and inputs of a block; one number for both.
    {scope, schedule, regrow}

    Notes
    -----
    The authors give kernels for matrices whose pattern of blocks is fixed before training, and no
    score: the mean is a choice. Their blocks are of 8, 16 and 32, for layers of thousands of
    neurons; such a block holds much of a layer of the nets here.

    References
    ----------
    Gray, Radford & Kingma, "GPU kernels for block-sparse weights", 2017.
    """

    removes = "blocks"

    def __init__(
        self,
        block_shape: int | tuple[int, int] = 4,
        scope: Scope = "layer",
        schedule: ScheduleLike = "geometric",
        regrow: bool = False,
    ) -> None:
        self.block_shape = block_shape
        self.scope = scope
        self.schedule = schedule
        self.regrow = regrow

    @property
    def granularity(self) -> Granularity:  # type: ignore[override]  # computed, not set
        """The shape of the blocks, as two numbers."""
        shape = self.block_shape
        return shape if isinstance(shape, (tuple, list)) else (shape, shape)

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        if not is_shape(self.granularity):
            raise ValueError(
                f"block_shape={self.block_shape!r} of {type(self).__name__} must be a positive "
                "integer or two."
            )
        return super().validated()

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w)."""
        return [np.abs(weight) for weight in run.weights()[:-1]]
