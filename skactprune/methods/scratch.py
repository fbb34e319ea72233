"""The pruned architecture, trained from scratch (Liu, Sun, Zhou, Huang & Darrell, ICLR 2019)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skactprune._options import check_options
from skactprune._warnings import warn
from skactprune.methods.base import given
from skactprune.pruning.method import METHODS, Method, get_method, register
from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.pruning.run import Run

BUDGETS = ("epochs", "compute")
# Times the epochs of the search that what was found is trained, at most.
MOST = 2.0


@register("scratch")
class Scratch(Method):
    """Prune, keep nothing but the architecture, and train it from new random weights.

    A fit is two: in the first `h` of its epochs another method prunes, just as in a fit of ``h``
    epochs of its own. Then all weights and biases are drawn anew in the sizes, and under the masks,
    that it has left, and are trained for the other epochs with an optimizer that starts anew.

    Parameters
    ----------
    finder : str or Method, default="activation_surgeon"
        The method that finds the architecture; its schedule is the one of the rounds, and it must
        have no threshold of its own, for `prune_fraction` says how much goes, and not remove ranks,
        which are no architecture.
    budget : {"epochs", "compute"}, default="epochs"
        How long what was found is trained, the paper's Scratch-E and Scratch-B: for as many epochs
        as the search took, or for as many as cost as much as the search of a net of all weights,
        but not more than twice as many.

    Raises
    ------
    ValueError
        In `fit`, for a fit of a single epoch that is to prune.

    Warns
    -----
    ConvergenceWarning
        If training ends before the net is drawn anew.

    Notes
    -----
    The epochs of a fit are `max_iter` in all, so that `h` is half of them, or ``1 / (1 + r)`` for
    "compute", rounded down: r is the number of all weights to those left in the end, those of the
    output layer counted as they were, as what will be left of it is not known beforehand. To train
    from scratch for as long as another method trains in all, give twice its `max_iter`. Shares of
    the epochs in a trigger are shares of h; where its last round is later, the net is drawn
    anew then. Until that, neither early stopping nor `tol` ends training, as while rounds are still
    to come. What is not a weight goes on: the order of the rows, dropout, and the learning rate
    where it depends on the epoch.

    Weights are drawn as those of a new net of the sizes that are left; where single weights have
    been pruned, the others are not drawn larger for that. Only for the nets of
    `PrunedMLPClassifier`, of which it is known how they are drawn; `Pruner` refuses others. Where
    training goes on, nothing is searched for unless more is asked for than before.

    References
    ----------
    Liu, Sun, Zhou, Huang & Darrell, "Rethinking the value of network pruning", ICLR 2019,
    section 3.
    """

    registers = {"finder": METHODS}
    finder_: Method
    phase_: Phase

    def __init__(
        self,
        finder: str | Method = "activation_surgeon",
        budget: Literal["epochs", "compute"] = "epochs",
    ) -> None:
        self.finder = finder
        self.budget = budget

    @property
    def schedule(self) -> ScheduleLike:  # type: ignore[override]  # computed, not set
        """That of the method that finds the architecture."""
        return get_method(self.finder).schedule

    def schedule_to(self, target: float | None) -> ScheduleLike:
        """That of the method that finds the architecture."""
        return get_method(self.finder).schedule_to(target)

    @property
    def granularity(self) -> Granularity:
        """What the method that finds the architecture removes together, where it says so."""
        finder: Any = get_method(self.finder)
        return finder.granularity

    @property
    def scope(self) -> Scope:
        """From where that takes it, where it says so."""
        finder: Any = get_method(self.finder)
        return finder.scope

    @property
    def removes(self) -> str:
        """What the method that finds the architecture removes."""
        return get_method(self.finder).removes

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        try:
            finder = get_method(self.finder).validated()
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"finder={self.finder!r} of {type(self).__name__}: {error}"
            ) from error
        if isinstance(finder, Scratch):
            raise ValueError(f"finder={self.finder!r} must be another method than Scratch.")
        if finder.own_threshold is not None:
            raise ValueError(
                f"finder={self.finder!r} must have no threshold of its own: prune_fraction says "
                f"how much is pruned, and {finder.own_threshold} would not be heeded."
            )
        if finder.removes == "ranks":
            raise ValueError(
                f"finder={self.finder!r} must remove neurons, weights or blocks: a net of low "
                "ranks has the sizes of the one before, so nothing smaller could be drawn anew."
            )
        check_options(self, budget=list(BUDGETS))
        return self

    def plan(self, run: Run) -> None:
        """Set aside epochs for training from scratch; raise ValueError where there are none."""
        run.require_chain("how all weights are drawn")
        if run.max_epochs < 2 and run.done < len(run.shares):
            raise ValueError(
                f"method={run.label} needs two epochs or more, to prune and to train from "
                f"scratch; the fit has {run.max_epochs}."
            )
        self.finder_ = self._new_finder()
        self.finder_.plan(run)
        run.share_of_epochs = 1 / (1 + self._times_as_long(run))

    def plan_features(self, run: Run) -> None:
        """Raise ValueError where the method that finds the architecture cannot remove features."""
        get_method(self.finder).plan_features(run)

    def plan_output(self, run: Run) -> None:
        """Raise ValueError where the method that finds the architecture cannot do it."""
        get_method(self.finder).plan_output(run)

    def _new_finder(self) -> Method:
        finder = get_method(self.finder)
        return type(finder)(**finder.get_params(deep=False))

    def _times_as_long(self, run: Run) -> float:
        if self.budget == "epochs":
            return 1.0
        n_counted = run.counted_in_the_end().n_left
        n_hidden = (1 - given("prune_fraction", run.target)) * n_counted
        n_left = n_hidden + run.n_weights - run.masks.n_original
        return min(run.n_weights / n_left, MOST)

    # -- the search -------------------------------------------------------------------------

    def begin(self, run: Run) -> None:
        """Let the search begin, unless it is over."""
        self.phase_ = run.watch(Phase(), "scratch")
        if run.done < len(run.shares) or self.phase_.seed < 0:
            self.phase_.start(run)
        if self.phase_.redrawn:
            run.hold_masks()
            return
        self.finder_ = getattr(self, "finder_", None) or self._new_finder()
        self.finder_.begin(run)
        run.searching = bool(run.shares)

    def acts_on(self, hook: Literal["on_gradient", "on_step"]) -> bool:
        """Whether the search acts on it."""
        return not self.phase_.redrawn and self.finder_.acts_on(hook)

    def on_gradient(self, run: Run) -> None:
        """Let the search act."""
        if not self.phase_.redrawn:
            self.finder_.on_gradient(run)

    def on_step(self, run: Run) -> None:
        """Let the search act."""
        if not self.phase_.redrawn:
            self.finder_.on_step(run)

    def on_epoch(self, run: Run) -> None:
        """Let the search act, and end it if it is time."""
        if self.phase_.redrawn:
            return
        self.finder_.on_epoch(run)
        if run.shares and run.done == len(run.shares):
            self._redraw_if_due(run)

    def round(self, run: Run, share: float) -> None:
        """Let the search prune; if it is late, end it with its last round."""
        if self.phase_.redrawn:
            return
        self.finder_.round(run, share)
        # Before weights are drawn that tell nothing.
        run.prune_output(run.masks)
        if share == 1:
            self._redraw_if_due(run)

    def _redraw_if_due(self, run: Run) -> None:
        """End the search, and draw what it has found anew, if there is time to train that."""
        over = run.epoch >= run.max_epochs and not run.in_calls
        if run.epoch < run.horizon or over:
            return
        goes_on = run.goes_on
        with run.transaction():
            run.goes_on = False
            self.finder_.end(run)
            run.goes_on = goes_on
            run.keep(run.masks)
            run.redraw(np.random.RandomState(self.phase_.seed))
            run.moving = run.searching = False
            self.phase_.redrawn = True

    def end(self, run: Run) -> None:
        """End the search if it is not over, and say so where it should be."""
        if self.phase_.redrawn:
            return
        self.finder_.end(run)
        if run.shares and run.done == len(run.shares) and not run.goes_on:
            warn(
                f"Training ended after {run.epoch} of {run.max_epochs} epochs, before "
                f"method={run.label} drew the net anew: its weights are those that were pruned.",
                ConvergenceWarning,
            )


class Phase(Probe):
    """Whether the architecture has been found.

    Attributes
    ----------
    redrawn : bool
        Whether the net has been drawn anew.
    seed : int
        What it is drawn by; -1 before there is a search.
    """

    def __init__(self) -> None:
        self.redrawn, self.seed = False, -1

    def start(self, run: Run) -> None:
        """Hear that a search begins, or goes on."""
        if self.redrawn or self.seed < 0:
            # Before training, in which rows of more weight draw less than repeated ones; and of a
            # copy, so that the search is the same as without what follows.
            self.seed = copy.deepcopy(run.random_state).randint(2**31 - 1)
        self.redrawn = False

    @property
    def reads_rows(self) -> bool:  # type: ignore[override]  # computed, not set
        """Whether the search, which may have looked at unlabelled rows, is over."""
        return self.redrawn

    def state(self) -> dict[str, Any]:
        """What `load` needs."""
        return {"redrawn": self.redrawn, "seed": self.seed}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.redrawn, self.seed = state["redrawn"], state["seed"]
