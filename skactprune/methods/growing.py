"""Growing by structured continuous sparsification (Yuan, Savarese & Maire, ICLR 2021)."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils._param_validation import Interval

from skactprune._options import FRACTION, NOT_NEGATIVE, POSITIVE, check_options
from skactprune.methods.base import given
from skactprune.methods.trained import TrainedMethod, annealing
from skactprune.pruning.method import register
from skactprune.pruning.selection import number_of

if TYPE_CHECKING:
    from typing import TypeVar

    import torch
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike, Scope
    from skactprune.pruning.probes.gates import Gates
    from skactprune.pruning.run import Run

    Number = TypeVar("Number", float, torch.Tensor)

# abs(s) in the beginning, and at most: beyond, masks would soon have no slope.
FIRST = LIMIT = 1.0


@register("growing")
class Growing(TrainedMethod):
    """Start with few neurons, open and close others by soft masks, remove the closed ones.

    The output of neuron j of a hidden layer is multiplied by ``sigmoid(beta * s_j)``, and s is
    trained. beta rises from 1 before the first round to `sharpness` before the last one, so that
    masks become 0 or 1. The size of the net is the share of the hidden weights that soft masks
    leave: those into a layer are the sum of its masks times that of the layer before. Added to the
    loss is ``strength / 2 * (size - budget) ** 2``, whose slope opens masks while the net is too
    small and closes them where it is too large. The budget goes from the size in the beginning to
    ``1 - prune_fraction``, or `budget`, with beta.

    Parameters
    ----------
    seed_fraction : float, default=0.2
        Share of the neurons of each layer, drawn at random and at least one, whose masks are open
        in the beginning, in (0, 1).
    sharpness : float, default=30.0
        beta before the last round, at least 1; it rises by the same factor from round to round.
    strength : float, default=100.0
        Of the penalty.
    rate : float, default=0.05
        Learning rate of s, whose optimizer is Adam in any case.
    budget : float or None, default=None
        In (0, 1): share of the hidden weights that is aimed at; the neurons with negative s leave,
        however many they are. `prune_fraction` must be None with it, and given without it.
    {scope, schedule}

    Notes
    -----
    s is 1 where a mask is open in the beginning and -1 elsewhere, and stays between the two.
    `hidden_layer_sizes` are the widths that layers may grow to: memory and time are those of the
    whole net. The paper also grows the depth, draws for every step which of the masks take part,
    which is where it saves time, and gives every mask a beta of its own that follows how often it
    was drawn; its penalty has no square, but a weight that follows how far the net is from its
    budget. At the last round the lowest s go until `prune_fraction` is met, few of them open, if
    any; then masks stay as they are, as part of the weights, and the net is trained on. A net that
    has been pruned before starts with all masks open. Rounds come at the epochs of the trigger,
    whatever its patience.

    References
    ----------
    Yuan, Savarese & Maire, "Growing efficient deep networks by structured continuous
    sparsification", ICLR 2021. Savarese, Silva & Maire, "Winning the lottery with continuous
    sparsification", NeurIPS 2020 (masks and beta).
    """

    granularity = "neuron"
    run_: Run

    def __init__(
        self,
        seed_fraction: float = 0.2,
        sharpness: float = 30.0,
        strength: float = 100.0,
        rate: float = 0.05,
        budget: float | None = None,
        scope: Scope = "global",
        schedule: ScheduleLike = "last",
    ) -> None:
        self.seed_fraction = seed_fraction
        self.sharpness = sharpness
        self.strength = strength
        self.rate = rate
        self.budget = budget
        self.scope = scope
        self.schedule = schedule

    @property
    def own_threshold(self) -> str | None:
        """The budget, if there is one; see `Method.own_threshold`."""
        return self.own("budget")

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, seed_fraction=FRACTION, budget=(FRACTION, None))
        check_options(self, sharpness=Interval(Real, 1, None, closed="left"))
        check_options(self, strength=NOT_NEGATIVE, rate=POSITIVE)
        return super().validated()

    def probe(self) -> Gates:
        """Gates of the neurons."""
        from skactprune.pruning.probes import Gates

        return Gates(self.mask, self.mask_in_training, self.rate, LIMIT)

    def begin(self, run: Run) -> None:
        """Begin to grow, or go on."""
        self.run_ = run
        super().begin(run)

    def end(self, run: Run) -> None:
        """Forget what belongs to the fit."""
        self.__dict__.pop("run_", None)

    def first_values(self, run: Run) -> list[NDArray[Any]]:
        """Open some masks, chosen at random; all those of a net that has been pruned."""
        values = []
        for mask in run.masks.current:
            n_open = self.n_open(len(mask), run)
            value = np.full(len(mask), -FIRST)
            value[run.random_state.choice(len(mask), n_open, replace=False)] = FIRST
            values.append(value)
        return values

    def n_open(self, n_out: int, run: Run) -> int:
        """Number of neurons of a layer that are open in the beginning."""
        return n_out if run.fraction_done else number_of(self.seed_fraction, n_out)

    def mask(self, value: torch.Tensor) -> torch.Tensor:
        """Soft masks."""
        return (value * float(self.sharpness) ** annealing(self.run_)).sigmoid()

    def mask_in_training(
        self, value: torch.Tensor, n_rows: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Soft masks, which are the same for all rows."""
        return self.mask(value)

    def penalty(self, run: Run) -> torch.Tensor:
        """How far the size is from the budget, squared, times `strength` / 2."""
        found = size(run, [self.mask(value).sum() for value in self.trained_.values])
        return 0.5 * float(self.strength) * (found - self.wanted_size(run)) ** 2

    def wanted_size(self, run: Run) -> float:
        """Share of the hidden weights that the masks are to leave now."""
        low, high = 1 / (1 + math.exp(FIRST)), 1 / (1 + math.exp(-FIRST))
        n_open = [(self.n_open(n_out, run), n_out) for n_out in map(len, run.masks.current)]
        first = size(run, [high * n + low * (n_out - n) for n, n_out in n_open])
        budget = self.budget
        last = 1 - given("prune_fraction", run.target) if budget is None else float(budget)
        return first + (last - first) * annealing(run)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """The values of s."""
        return [value[:, None] for value in self.trained_.arrays()]

    def cutoffs(self, run: Run, share: float) -> list[float]:
        """Where masks are open: above 0, once all is to leave."""
        return [0.0 if share == 1 else -math.inf] * len(run.hidden)


def size(run: Run, widths: list[Number]) -> Number:
    """Share of the hidden weights that are left if hidden layers have so many neurons.

    Parameters
    ----------
    run : Run
        The run.
    widths : list of float or torch.Tensor
        Sums of masks.

    Returns
    -------
    float or torch.Tensor
    """
    return run.layout.size(widths) / run.masks.n_original
