"""Stabilised lottery tickets: rewinding to an early epoch (Frankle et al., 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from skactprune._options import FRACTION, check_options
from skactprune.methods.lottery_ticket import LotteryTicket, same_share
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.methods.scores import LayerState
    from skactprune.pruning.run import Run


@register("late_rewinding")
class LateRewinding(LotteryTicket):
    """Remove the smallest abs(w), and give what is left the values of an early epoch back.

    It is "lottery_ticket", but goes back to the end of an early epoch instead of the beginning.
    The epoch is a share of those of the fit, so that it suits short fits, too, and never later than
    the first round.

    Parameters
    ----------
    {granularity, scope}
    schedule : {"geometric", "cubic", "linear", "one_shot"} or callable, default=same_share
        Share of `prune_fraction` that is gone after each round; see `LotteryTicket`.
    rewind_share : float, default=0.05
        Share of the epochs of the fit after which the values are taken, in (0, 1); rounded to whole
        epochs, at least 1, at most those before the first round.
    criterion : str or callable, default="magnitude"
        What is smallest, by the scores of a method or of a function; see `ScorePruning`.

    Notes
    -----
    The papers go back to between 0.1 % and 7 % of training, which works for deep nets for which
    going back to the beginning does not. Where a round comes sooner than the epoch, it goes back to
    the values of its own moment, and later ones do, too. In `partial_fit` the share is of
    `max_iter` calls. For one epoch of your choice, which is refused if it is too late, see
    ``LotteryTicket(rewind_epoch=...)``; the notes there hold here, too.

    References
    ----------
    Frankle, Dziugaite, Roy & Carbin, "Stabilizing the lottery ticket hypothesis", 2019, section 3,
    and "Linear mode connectivity and the lottery ticket hypothesis", ICML 2020.
    """

    rewind_epoch = 1

    def __init__(
        self,
        granularity: Granularity = "weight",
        scope: Scope = "layer",
        schedule: ScheduleLike = same_share,
        rewind_share: float = 0.05,
        criterion: str | Callable[[LayerState], Any] = "magnitude",
    ) -> None:
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule
        self.rewind_share = rewind_share
        self.criterion = criterion

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, rewind_share=FRACTION)
        return super().validated()

    def is_time(self, run: Run) -> bool:
        """Whether the share of the epochs has passed."""
        return run.epoch >= max(1, round(float(self.rewind_share) * run.horizon))

    def round(self, run: Run, share: float) -> None:
        """Remove the lowest scores, and rewind the rest, here at the latest to values of now."""
        if self.early_.weights is None:
            self.take(run)
        super().round(run, share)
