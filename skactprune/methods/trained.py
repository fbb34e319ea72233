"""Methods that train something besides the weights, which says what is to go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from skactprune.methods.base import ScoredMethod

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from skactprune.pruning.probes.trained import Trained
    from skactprune.pruning.run import Run


class TrainedMethod(ScoredMethod):
    """Train something besides the weights until all is gone that is asked for; a base class.

    Subclasses give `probe`, `first_values`, `penalty` and `scores`. Rounds are the clock: what is
    annealed follows `progress`, and no epoch counts as idle, for the loss does not tell whether the
    rest still learns.
    """

    trained_: Trained

    def probe(self) -> Trained:
        """The `skactprune.pruning.probes.Trained` that holds what is trained."""
        raise NotImplementedError(f"{type(self).__name__} must define probe().")

    def first_values(self, run: Run) -> list[NDArray[Any]]:
        """What is trained, in the beginning: an array for every hidden layer."""
        raise NotImplementedError(f"{type(self).__name__} must define first_values(run).")

    def penalty(self, run: Run) -> torch.Tensor:
        """What is added to the mean loss of a batch, a scalar tensor."""
        raise NotImplementedError(f"{type(self).__name__} must define penalty(run).")

    def begin(self, run: Run) -> None:
        """Train from now on, or go on with it, unless all is gone that is asked for."""
        super().begin(run)
        self.trained_ = run.watch(self.probe())
        if progress_of_target(run) == 1:
            self.trained_.stop()
        elif not self.trained_.active:
            self.trained_.start(self.first_values(run))

    def own(self, name: str) -> str | None:
        """Option that is a threshold of the method's own, as `Method.own_threshold` gives it."""
        value = getattr(self, name)
        return None if value is None else f"{name}={value!r}"

    def acts_on(self, hook: Literal["on_gradient", "on_step"]) -> bool:
        """Whether a hook does anything: while something is trained; see `Method.acts_on`."""
        return self.trained_.active and super().acts_on(hook)

    def on_gradient(self, run: Run) -> None:
        """Add the gradient of the penalty."""
        if self.trained_.active:
            self.penalty(run).backward()

    def on_epoch(self, run: Run) -> None:
        """Do not let a round come early."""
        if self.trained_.active:
            run.idle = 0

    def round(self, run: Run, share: float) -> None:
        """Remove the lowest scores; when all is gone, train the rest as it is."""
        if not self.trained_.active:
            # Some schedules have all of it gone before the last round.
            return
        super().round(run, share)
        if share == 1:
            self.trained_.stop()


def progress_of_target(run: Run) -> float:
    """Share of what is asked for that is gone; 1 where nothing is asked for."""
    if not run.shares:
        return 1.0
    return run.shares[run.done - 1] if run.done else 0.0


def annealing(run: Run) -> float:
    """Clock of what is annealed: from 0 before the first round to 1 before the last one.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    float
        1 where there is but one round.
    """
    return min(run.done / (len(run.shares) - 1), 1.0) if len(run.shares) > 1 else 1.0


def n_rows(run: Run) -> float:
    """Number of training rows, or the sum of their weights."""
    weight = getattr(run.rows.training, "sample_weight", None)
    return run.rows.n_training if weight is None else float(weight.sum())
