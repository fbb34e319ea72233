"""When: after which epochs the rounds are done."""

from __future__ import annotations

from typing import Protocol, Self

from sklearn.base import BaseEstimator

from skactprune._constructors import NamedConstructor
from skactprune._html import LinksToDocs
from skactprune._options import COUNT, SHARE, check_options
from skactprune._register import Register

TRIGGERS = Register("trigger")
# Rounds come at ends of epochs, and each has an entry in lists.
MOST_ROUNDS = 10_000


class Trigger(Protocol):
    """What `get_trigger` takes and gives."""

    needs_score: str | None

    def rounds_due(
        self, done: int, n_rounds: int, epoch: int, max_epochs: int, score: float
    ) -> int: ...

    def stops(self, score: float) -> bool: ...


class _BetweenTwoShares(NamedConstructor, LinksToDocs, BaseEstimator):
    """What the triggers share: two shares, which are checked when they are used."""

    def __init__(self, start: float, stop: float) -> None:
        self.start = start
        self.stop = stop

    def validated(self) -> Self:
        """Return self after checking the parameters.

        Raises
        ------
        ValueError
            Naming the parameters, their values and what is allowed.
        """
        check_options(self, start=SHARE, stop=SHARE)
        if self.start > self.stop:
            raise ValueError(
                f"start={self.start!r} and stop={self.stop!r} of {type(self).__name__} must "
                "satisfy 0 <= start <= stop <= 1."
            )
        return self


@TRIGGERS.add("epoch")
class EpochTrigger(_BetweenTwoShares):
    """Rounds evenly spaced between two epochs, given in shares of the epochs of the fit.

    Where a fit has too few epochs for separate rounds, those that fall on one epoch are done
    together. The cost of a fit is known beforehand, which a grid search needs.

    Parameters
    ----------
    start : float, default=0.1
        Share of the epochs before the first round, in [0, 1].
    stop : float, default=0.6
        Share of the epochs before the last round, in [start, 1].
    """

    needs_score: str | None = None

    def __init__(self, start: float = 0.1, stop: float = 0.6) -> None:
        super().__init__(start, stop)

    def epochs(self, n_rounds: int, max_epochs: int) -> list[int]:
        """Epoch (counted from 1) at whose end each round is done, non-decreasing."""
        start = float(self.start)
        step = (float(self.stop) - start) / max(n_rounds - 1, 1)
        shares = [start + i * step for i in range(n_rounds)]
        return [min(max(round(share * max_epochs), 1), max_epochs) for share in shares]

    def rounds_due(
        self, done: int, n_rounds: int, epoch: int, max_epochs: int, score: float
    ) -> int:
        """Rounds that must be done by the end of `epoch`, `done` of them before it."""
        return max(done, sum(at <= epoch for at in self.epochs(n_rounds, max_epochs)))

    def stops(self, score: float) -> bool:
        """Whether training ends here once all rounds are done."""
        return False


@TRIGGERS.add("progress")
class ProgressTrigger(EpochTrigger):
    """Rounds as of `EpochTrigger`, but sooner where there are many epochs or no progress.

    So the number of epochs is a limit: where it is high, training does not wait for its share of
    it. There is no progress where the best value of `patience` epochs is not better by 1e-4 than
    that since the last round: of the score on validation rows, of the loss on those, or of the
    loss of training, whichever is there first. Calls of ``partial_fit`` may be of few rows each:
    where `n_samples` says how many rows are to be expected of all of them, the rounds come by the
    rows seen; else the calls are counted as by `EpochTrigger`.

    Parameters
    ----------
    start : float, default=0.1
        Share of the epochs before the first round, in [0, 1].
    stop : float, default=0.6
        Share of the epochs before the last round, in [start, 1].
    horizon : int, default=200
        Epochs that shares are taken of, if the fit has more.
    patience : int, default=3
        Epochs without progress after which the next round comes.
    n_samples : int or None, default=None
        Rows that all calls of ``partial_fit`` together are expected to bring; it does not matter
        to `fit`. None: there are as many calls as a fit has epochs at most.
    """

    def __init__(
        self,
        start: float = 0.1,
        stop: float = 0.6,
        horizon: int = 200,
        patience: int = 3,
        n_samples: int | None = None,
    ) -> None:
        super().__init__(start, stop)
        self.horizon = horizon
        self.patience = patience
        self.n_samples = n_samples

    def validated(self) -> Self:
        """Return self after checking the parameters; see `EpochTrigger`."""
        check_options(self, horizon=COUNT, patience=COUNT, n_samples=(COUNT, None))
        return super().validated()


@TRIGGERS.add("score")
class ScoreTrigger(_BetweenTwoShares):
    """A round, at most one an epoch, whenever the training score reaches the next mark.

    Round i of K (from 0) waits for ``start + i * (stop - start) / K``. After the last round,
    training ends when the score reaches `stop`. It is the accuracy, or R² of a regressor, of
    training's own forward passes over the epoch, weighted as the loss is.

    Parameters
    ----------
    start : float, default=0.80
        Score of the first round, in [0, 1].
    stop : float, default=0.98
        Score that ends training, in [start, 1].

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.
    """

    needs_score: str | None = "score"

    def __init__(self, start: float = 0.80, stop: float = 0.98) -> None:
        super().__init__(start, stop)

    def rounds_due(
        self, done: int, n_rounds: int, epoch: int, max_epochs: int, score: float
    ) -> int:
        """Rounds that must be done by the end of `epoch`, `done` of them before it."""
        mark = self.start + done * (self.stop - self.start) / n_rounds
        return done + (done < n_rounds and score >= mark)

    def stops(self, score: float) -> bool:
        """Whether training ends here once all rounds are done."""
        return score >= self.stop


@TRIGGERS.add("accuracy")
class AccuracyTrigger(ScoreTrigger):
    """As `ScoreTrigger`, for classes alone: the score is the accuracy.

    Parameters
    ----------
    start : float, default=0.80
        Accuracy of the first round, in [0, 1].
    stop : float, default=0.98
        Accuracy that ends training, in [start, 1].
    """

    needs_score = "accuracy"


def get_trigger(trigger: str | Trigger) -> Trigger:
    """Trigger of a name, or the trigger itself.

    Parameters
    ----------
    trigger : str or object
        A name, or an object with `rounds_due`, `stops` and `needs_score`, the last of which says
        what is to be taken in every epoch: None, "accuracy", or "score", which is the R² where
        there are no classes. Three attributes are heeded where
        it has them: in a fit `horizon`, the most epochs that it is told a fit has, and `patience`,
        after so many epochs without progress a round is due; in calls of ``partial_fit``
        `n_samples`, the rows that it is told instead of epochs, which are those seen then.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        For an unknown name (the message lists the known ones), shares out of range, or an object
        without the methods and the attribute of a trigger, or with another value of that.
    """
    found = TRIGGERS.make(trigger)
    if not all(hasattr(found, name) for name in ("rounds_due", "stops", "needs_score")):
        raise ValueError(
            f"trigger={trigger!r} must be one of {sorted(TRIGGERS)}, an object of "
            "skactprune.triggers, or one with rounds_due, stops and needs_score."
        )
    if found.needs_score not in (None, "accuracy", "score"):
        raise ValueError(
            f"trigger={trigger!r} has needs_score={found.needs_score!r}; it must be None, "
            "'accuracy' or 'score'."
        )
    return found.validated() if hasattr(found, "validated") else found
