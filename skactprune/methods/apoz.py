"""Network trimming: pruning by the average percentage of zeros (Hu et al., 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike, Scope
    from skactprune.nets.activations import HiddenActivation
    from skactprune.pruning.probes.zeros import Zeros
    from skactprune.pruning.run import Run


@register("apoz")
class APoZ(ScoredMethod):
    """Remove the neurons that put out zero most often.

    The score of a neuron is ``1 - APoZ``, and APoZ, its average percentage of zeros, the share of
    the rows for which it puts out ``h == 0`` (equation 1 of the paper; of a channel of a
    convolution, the share of rows and positions). It is taken at each round, of the weights of
    that moment, in evaluation mode, in a pass over all training rows with their sample weights, or
    over all unlabelled ones. Then training goes on from the weights of those that stay.

    Parameters
    ----------
    {scope, schedule, regrow}

    Raises
    ------
    ValueError
        In `fit`, for an activation that never is zero, such as "tanh", "logistic" and "identity".

    Notes
    -----
    The paper removes in one step what is more than a standard deviation above the mean of its
    layer, from a few layers at a time, and takes APoZ on validation rows. "activation" has nearly
    the same statistic, but sums it up in training, over weights that change, and takes any
    activation. In other nets than those of this package, it is not known what follows a layer: a
    ReLU is taken for granted, so that a zero is where the layer, or its normalization, puts out no
    positive number.

    References
    ----------
    Hu, Peng, Tai & Tang, "Network trimming: A data-driven neuron pruning approach towards efficient
    deep architectures", 2016, sections 3.1 and 3.2.
    """

    granularity = "neuron"
    zeros_: Zeros

    def __init__(
        self, scope: Scope = "layer", schedule: ScheduleLike = "geometric", regrow: bool = False
    ) -> None:
        self.scope = scope
        self.schedule = schedule
        self.regrow = regrow

    def begin(self, run: Run) -> None:
        """Have a look at the rows at each round; raise ValueError if nothing ever is zero."""
        from skactprune.pruning.probes import Zeros

        super().begin(run)
        self.zeros_ = run.watch(Zeros())
        if run.shares:
            layers = zip(run.activations, run.floors, run.layout.shapes, strict=True)
            # Of a layer that keeps all of its neurons, nothing has to be known.
            for activation in {of for of, floor, (n_out, _) in layers if of and floor < n_out}:
                _check(activation, run.label)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Share of the rows for which the neuron does not put out zero."""
        return [(1 - share)[:, None] for share in self.zeros_.take(run)]


def _check(activation: HiddenActivation, label: str) -> None:
    if activation.apply(np.array([-2.0, -1.0])).any():
        raise ValueError(
            f"method={label} looks at how often neurons put out zero, which with "
            f"activation={activation.name!r} never happens. It must be one that is zero for "
            "negative numbers, such as 'relu'; method='activation' takes any."
        )
