"""Pruning by a score of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune.methods.base import CountingMethod
from skactprune.pruning.blocks import is_shape
from skactprune.pruning.method import METHODS, Method

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.methods.base import ScoredMethod
    from skactprune.pruning.probes.features import Features
    from skactprune.pruning.run import Run


@dataclass(frozen=True)
class LayerState:
    """What a score function sees of one hidden layer.

    Parameters
    ----------
    weight : ndarray of shape (n_out, n_in)
        Current weights; of a convolution, all weights into a channel in one row.
    mask : bool ndarray of shape (n_out, n_in)
        Weights not yet pruned.
    counts : ndarray of shape (n_out,)
        How often each neuron fired (z > 0), sample-weighted.
    n_counted : float
        Weight of the rows in which firing was counted, so that ``counts / n_counted`` is the
        firing rate; 0 where nothing was counted.
    input_deviation : ndarray of shape (n_in,) or None
        Standard deviation of every input: of a feature that of its values, of a neuron that of
        whether it fires. None where it is not known.
    random_state : numpy.random.RandomState
        For scores that draw.
    """

    weight: NDArray[Any]
    mask: NDArray[np.bool_]
    counts: NDArray[Any]
    n_counted: float
    input_deviation: NDArray[Any] | None
    random_state: np.random.RandomState


class ScorePruning(CountingMethod):
    """Pruning in rounds by any score.

    Parameters
    ----------
    criterion : str or callable, default="activation"
        The name of a method whose scores to take, those that it has for the same `granularity`, one
        that does nothing but score in rounds, or a
        function of a `skactprune.methods.LayerState` that returns scores of shape (n_out, n_in), or
        (n_out, 1) for scores of neurons. Low scores go first. Those of weights that are left must
        be finite.
    {granularity, scope, schedule, regrow, reset_counts}
    """

    criterion: str | Callable[[LayerState], Any] = "activation"
    features_: Features
    scorer_: ScoredMethod

    def __init__(
        self,
        criterion: str | Callable[[LayerState], Any] = "activation",
        granularity: Granularity = "neuron",
        scope: Scope = "layer",
        schedule: ScheduleLike = "geometric",
        regrow: bool = False,
        reset_counts: bool = False,
    ) -> None:
        super().__init__(granularity, scope, schedule, regrow, reset_counts)
        self.criterion = criterion

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        super().validated()
        if not callable(self.criterion):
            known = self._scorer().granularities
            unit = "block" if is_shape(self.granularity) else self.granularity
            if unit not in known:
                raise ValueError(
                    f"granularity={self.granularity!r} must be {' or '.join(map(repr, known))} "
                    f"with criterion={self.criterion!r}, whose scores tell nothing else apart."
                )
        return self

    def _scorer(self) -> ScoredMethod:
        """Method whose scores are taken."""
        names = [name for name in METHODS if _is_scorer(METHODS.look_up(name))]
        if not (isinstance(self.criterion, str) and self.criterion in names):
            raise ValueError(
                f"criterion={self.criterion!r} must be a callable, or the name of a method that "
                f"does nothing but score in rounds: {', '.join(map(repr, sorted(names)))}."
            )
        scorer = METHODS.make(self.criterion)
        if "granularity" in scorer.get_params(deep=False):
            scorer.set_params(granularity=self.granularity)
        return scorer

    def begin(self, run: Run) -> None:
        """Watch what a function may see, or what the method of a name needs."""
        from skactprune.pruning.probes import Features

        if callable(self.criterion):
            super().begin(run)
            self.features_ = run.watch(Features())
        else:
            self.scorer_ = self._scorer()
            self.scorer_.begin(run)
            self.firing_ = run.probe("Firing")
            run.hold_masks(not self.regrow)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """What the function, or the method, gives."""
        if not callable(self.criterion):
            return self.scorer_.scores(run)
        firing = self.firing_
        inputs = run.layout.per_input(self.features_.deviation, firing.deviations)
        layers = zip(
            run.weights(), run.masks.current, firing.counts, firing.seen, inputs, strict=False
        )
        return [self.criterion(LayerState(*layer, run.random_state)) for layer in layers]

    def weight_scores(self, run: Run) -> list[NDArray[Any]]:
        """What the method gives for single weights, or what the function does."""
        if callable(self.criterion):
            return super().weight_scores(run)
        return self.scorer_.weight_scores(run)


def _is_scorer(cls: type[Method]) -> bool:
    """Whether a method gives scores that need no more than what it watches."""
    hooks = ("on_gradient", "on_step", "on_epoch")
    quiet = all(getattr(cls, hook) is getattr(Method, hook) for hook in hooks)
    return quiet and hasattr(cls, "scores") and cls.when == "in rounds"
