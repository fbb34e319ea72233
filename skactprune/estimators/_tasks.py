"""What scikit-learn's callbacks are told of: a fit, its rounds, the epochs of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class FitTasks:
    """Tasks of a fit, each a context of ``sklearn.callback``: "fit", "round", "epoch".

    A round is what is trained until a pruning round, and that; the last one is what is trained
    after all of these. One that an interrupt ends, or a callback, ends with what was reached. An
    epoch that is not over when training ends does not count, and has no fitted estimator.

    Parameters
    ----------
    begin : callable, default=None
        Begins the fit, gets the most rounds that it may have, and returns its context; None tells
        nobody of anything.
    told : dict
        What hooks are told of a task: ``estimator``, ``X``, ``y`` and ``metadata``.
    fitted : callable
        Returns the attributes of an estimator that predicts and transforms with the net of now.
    """

    def __init__(
        self,
        begin: Callable[[int], Any] | None = None,
        told: dict[str, Any] | None = None,
        fitted: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self._begin, self._told, self._fitted = begin, told or {}, fitted
        # The fit and what is under way in it, outermost first.
        self._open: list[Any] = []
        self._n_rounds = self._n_left = 0

    def __reduce__(self) -> tuple[type[FitTasks], tuple[()]]:
        # A copy of a net in training is of no fit that anybody is told of.
        return FitTasks, ()

    def begin_fit(self, most_rounds: int) -> None:
        """Tell of the fit; there may be fewer rounds."""
        if self._begin is not None:
            self._open = [self._begin(most_rounds)]

    def begin_epoch(self, most: int, most_of_round: Callable[[int], int]) -> None:
        """Tell of an epoch, and of the round that it is the first of.

        Parameters
        ----------
        most : int
            The most epochs that there may be from now on, with this one.
        most_of_round : callable
            Gets `most`, and returns how many of these come before the next round at most.
        """
        if len(self._open) == 1:
            self._n_rounds += 1
            self._n_left = most if self._is_last else most_of_round(most)
            self._subtask("round", self._n_left)
        if self._open:
            self._subtask("epoch")

    def end_epoch(self) -> bool:
        """Tell of the end of an epoch; True asks to end training."""
        if len(self._open) < 3:
            return False
        self._n_left -= 1
        return self._end(self._fitted)

    def end_round(self, done: bool, most: int) -> bool:
        """Tell of the end of a round, where there is one.

        Parameters
        ----------
        done : bool
            Whether weights were pruned.
        most : int
            The most epochs that may follow. If some may, a round also ends when it has had all
            that it was to have: a trigger may not do what it said.

        Returns
        -------
        bool
            Whether somebody asks to end training.
        """
        if len(self._open) == 2 and not self._is_last and (done or (most and not self._n_left)):
            return self._end(self._fitted)
        return False

    @property
    def _is_last(self) -> bool:
        """Whether this round is to be the last, however many come."""
        return self._n_rounds == self._open[0].max_subtasks

    def end_training(self) -> None:
        """Tell of the end of what is still under way in the fit."""
        if len(self._open) == 3:
            self._end(None)
        if len(self._open) == 2:
            self._end(self._fitted)

    def _subtask(self, name: str, most: int = 0) -> None:
        task = self._open[-1].subcontext(task_name=name, max_subtasks=most)
        self._open.append(task)
        task.call_on_fit_task_begin(**self._told)

    def _end(self, fitted: Callable[[], dict[str, Any]] | None) -> bool:
        return self._open.pop().call_on_fit_task_end(**self._told, reconstruction_attributes=fitted)
