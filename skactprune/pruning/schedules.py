"""How much: the share of `prune_fraction` that is gone after each round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from skactprune._html import LinksToDocs
from skactprune._options import POSITIVE, check_options
from skactprune._register import Register

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEDULES = Register("schedule")


@SCHEDULES.add("geometric")
class Geometric(LinksToDocs, BaseEstimator):
    """Every round removes `ratio` times what the round before removed.

    Parameters
    ----------
    ratio : float, default=0.8
        Positive; below 1 the steps shrink, and 0.8 is the published value.

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.
    """

    def __init__(self, ratio: float = 0.8) -> None:
        self.ratio = ratio

    def __call__(self, done: int, n_rounds: int) -> float:
        """Share that is gone after `done` of `n_rounds` rounds."""
        check_options(self, ratio=POSITIVE)
        ratio = float(self.ratio)
        if ratio == 1:
            return done / n_rounds
        if ratio > 1:
            # As below, in powers that do not overflow.
            return (ratio ** (done - n_rounds) - ratio**-n_rounds) / (1 - ratio**-n_rounds)
        return (1 - ratio**done) / (1 - ratio**n_rounds)


@SCHEDULES.add("cubic")
class Cubic(LinksToDocs, BaseEstimator):
    """Fast first, slow at the end: ``1 - (1 - done / n_rounds) ** 3``.

    References
    ----------
    Zhu & Gupta, "To prune, or not to prune", 2017, equation 1.
    """

    def __call__(self, done: int, n_rounds: int) -> float:
        """Share that is gone after `done` of `n_rounds` rounds."""
        return 1 - (1 - done / n_rounds) ** 3


@SCHEDULES.add("linear")
class Linear(LinksToDocs, BaseEstimator):
    """Every round removes the same amount."""

    def __call__(self, done: int, n_rounds: int) -> float:
        """Share that is gone after `done` of `n_rounds` rounds."""
        return done / n_rounds


@SCHEDULES.add("one_shot")
class OneShot(LinksToDocs, BaseEstimator):
    """The first round removes everything, later rounds nothing."""

    def __call__(self, done: int, n_rounds: int) -> float:
        """Share that is gone after `done` of `n_rounds` rounds."""
        return float(done > 0)


@SCHEDULES.add("last")
class Last(LinksToDocs, BaseEstimator):
    """The last round removes everything, earlier rounds nothing."""

    def __call__(self, done: int, n_rounds: int) -> float:
        """Share that is gone after `done` of `n_rounds` rounds."""
        return float(done == n_rounds)


def cumulative_shares(schedule: str | Callable[[int, int], float], n_rounds: int) -> list[float]:
    """Shares of `prune_fraction` gone after rounds 1 .. `n_rounds`.

    Parameters
    ----------
    schedule : {"geometric", "cubic", "linear", "one_shot", "last"} or callable
        A callable gets ``(done, n_rounds)`` and returns the share that is gone by then.
    n_rounds : int
        Number of rounds.

    Returns
    -------
    list of float
        Non-decreasing, within [0, 1], the last value 1.

    Raises
    ------
    ValueError
        For an unknown name, options out of range, or a callable whose shares are no numbers,
        decrease or do not end at 1.
    """
    function = SCHEDULES.make(schedule)
    if not callable(function):
        raise ValueError(f"schedule={schedule!r} must be a name or a callable.")
    given = [function(done, n_rounds) for done in range(1, n_rounds + 1)]
    shares = [_number(share) for share in given]
    # Of NaN, no comparison holds.
    rises = all(b - a >= -1e-9 for a, b in zip([0.0, *shares], shares, strict=False))
    if shares and not (rises and abs(shares[-1] - 1) <= 1e-9):
        raise ValueError(
            f"schedule={schedule!r} must not decrease and must end at 1; "
            f"it gives {given} for {n_rounds} rounds."
        )
    return shares[:-1] + [1.0] * bool(shares)


def _number(share: Any) -> float:
    try:
        return float(share)
    except (TypeError, ValueError):
        return float("nan")
