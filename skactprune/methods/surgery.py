"""Dynamic network surgery: pruning with splicing (Guo, Yao & Chen, NIPS 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune._options import FINITE, NOT_NEGATIVE, check_options
from skactprune.methods.base import ScoredMethod, given
from skactprune.nets.matrices import cut
from skactprune.pruning.method import register
from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike
    from skactprune.pruning.run import Run

# What is there goes below the first part of a threshold; what has gone comes above the second.
PRUNE, SPLICE = 0.9, 1.1


@register("surgery")
class Surgery(ScoredMethod):
    """Prune small weights while the net trains, and splice those that grow again.

    From the first round on every weight is trained, but only those of a mask take part in the net:
    gradients are taken at the masked weights, and the optimizer's step is done with all of them. A
    weight leaves the mask when abs(w) falls to 0.9 t, and comes back, with the value that it has by
    then, when it rises above 1.1 t. The threshold of a layer is ``t = max(mean + c * std, 0)``,
    with mean and standard deviation of abs(w) at the first round. In step i a layer moves its mask
    with probability ``(1 + gamma * i) ** -power``. With the last round masks come to rest, and only
    the weights in them train on: with a single round, nothing is ever spliced.

    Parameters
    ----------
    c : float or None, default=None
        Standard deviations from the mean to the threshold, negative ones too. `prune_fraction` must
        be None with it, and given without it: at the end of every epoch that c is taken then with
        which as much is gone as is asked for.
    gamma : float, default=0.0001
        How fast masks come to rest, not negative.
    power : float, default=1.0
        Likewise.
    {schedule}

    Notes
    -----
    The authors begin with a trained net and all of the threshold; here rounds say when masks move
    first and last, and `schedule` which share of the threshold, or of the fraction, each applies:
    all for "one_shot". With a fraction, what is ranked is ``(abs(w) / f - mean) / std`` of all
    layers together, f being 0.9 for weights of the mask and 1.1 for others, so that the two
    thresholds remain. Unlike in the authors' code biases are not pruned, and the last paths from
    input to output always stay. The L2 penalty, being part of the gradient, is that of the masked
    weights.

    Weights on no path from input to output count like all others while they may be joined again;
    neurons leave when masks rest. Between calls of `partial_fit` the net is the masked one.

    References
    ----------
    Guo, Yao & Chen, "Dynamic network surgery for efficient DNNs", NIPS 2016, section 3 and
    algorithm 1; the form of probability and threshold is that of the authors' code.
    """

    when = "while training"
    granularity = "weight"
    scope = "global"
    regrow = False
    outside_: Outside

    def __init__(
        self,
        c: float | None = None,
        gamma: float = 0.0001,
        power: float = 1.0,
        schedule: ScheduleLike = "cubic",
    ) -> None:
        self.c = c
        self.gamma = gamma
        self.power = power
        self.schedule = schedule

    @property
    def own_threshold(self) -> str | None:
        """The c, if there is one; see `Method.own_threshold`."""
        return None if self.c is None else f"c={self.c!r}"

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, c=(FINITE, None), gamma=NOT_NEGATIVE, power=NOT_NEGATIVE)
        return super().validated()

    def plan_features(self, run: Run) -> None:
        """Raise ValueError: weights that are spliced bring features back."""
        run.refuse_features("lets weights come back")

    def plan_output(self, run: Run) -> None:
        """Raise ValueError: neurons may come back, which would have none to feed."""
        run.refuse_output("lets weights come back")

    def begin(self, run: Run) -> None:
        """Go on with masks that move, or let them rest where no round is to come."""
        super().begin(run)
        # Refuses layers that compute their weights.
        run.step_gradients()
        self.outside_ = run.watch(Outside())
        run.moving = bool(self.outside_.weights)
        if run.moving and run.done == len(run.shares):
            self._rest(run)

    def on_gradient(self, run: Run) -> None:
        """Let the step be done with all weights."""
        if run.moving:
            for layer, weight in zip(run.hidden, self.outside_.weights, strict=True):
                more = layer.weight.new_tensor(weight).reshape(layer.weight.shape)
                layer.weight.data.add_(more, alpha=run.shrinkage)

    def on_step(self, run: Run) -> None:
        """Let masks move, and keep what is outside of them; it is taken out after this."""
        if not run.moving:
            return
        outside, current, weights = self.outside_, run.masks.current, run.weights()[:-1]
        with run.transaction():
            outside.step += 1
            chance = chance_of_change(outside.step, float(self.gamma), float(self.power))
            moves = run.random_state.uniform(size=len(current)) < chance
            masks = [
                (relative(weight, mask) > limit) | must if moves_now else mask
                for weight, mask, limit, must, moves_now in zip(
                    weights, current, outside.limits, outside.musts, moves, strict=True
                )
            ]
            outside.weights = [
                np.where(mask, 0, weight) for mask, weight in zip(masks, weights, strict=True)
            ]
            run.masks = run.masks.replaced(masks)
            run.hold_masks()

    def on_epoch(self, run: Run) -> None:
        """Prune as much as is asked for by now."""
        if run.moving and run.done:
            with run.transaction():
                self._choose(run, run.shares[run.done - 1])

    def round(self, run: Run, share: float) -> None:
        """Let masks move from the first round on, and rest after the last."""
        if not run.moving:
            self.outside_.start(run)
            run.moving = True
        self._choose(run, share)
        if run.coming == len(run.shares):
            self._hold(run)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """How many deviations weights are from the mean, with those of the mask ahead."""
        outside = self.outside_
        pairs = zip(self._all_weights(run), run.masks.current, strict=True)
        ranked = [relative(*pair) for pair in pairs]
        layers = zip(ranked, outside.means, outside.deviations, strict=True)
        return [(rank - mean) / std for rank, mean, std in layers]

    def cutoffs(self, run: Run, share: float) -> list[float]:
        """The c of the round."""
        outside = self.outside_
        layers = zip(self._thresholds(share), outside.means, outside.deviations, strict=True)
        return [(threshold - mean) / std for threshold, mean, std in layers]

    def end(self, run: Run) -> None:
        """Let masks rest, unless training may go on."""
        if run.moving and not run.goes_on:
            self._rest(run)

    def _thresholds(self, share: float) -> list[float]:
        c = float(given("c", self.c))
        layers = zip(self.outside_.means, self.outside_.deviations, strict=True)
        return [share * max(mean + c * std, 0.0) for mean, std in layers]

    def _all_weights(self, run: Run) -> list[NDArray[Any]]:
        """The hidden weights, those outside of the masks too."""
        pairs = zip(run.weights()[:-1], self.outside_.weights, strict=True)
        return [weight + outside for weight, outside in pairs]

    def _choose(self, run: Run, share: float) -> None:
        """Set masks, and the thresholds from which they move on."""
        weights, current = self._all_weights(run), run.masks.current
        frozen = run.layout.frozen(run.net.module_)
        every = [mask if d in frozen else np.ones_like(mask) for d, mask in enumerate(current)]
        masks = self.selected(run, run.masks.replaced(every), share)
        ranked = [relative(weight, mask) for weight, mask in zip(weights, current, strict=True)]
        limits = (
            [rank[~mask].max(initial=0.0) for rank, mask in zip(ranked, masks, strict=True)]
            if run.target is not None
            else self._thresholds(share)
        )
        self.outside_.limits = [float(limit) for limit in limits]
        self.outside_.musts = [
            mask & (rank <= limit) for mask, rank, limit in zip(masks, ranked, limits, strict=True)
        ]
        self.outside_.weights = [
            np.where(mask, 0, weight) for mask, weight in zip(masks, weights, strict=True)
        ]
        inside = run.copied_weights()
        for (into, _), mask, weight in zip(inside, masks, weights, strict=False):
            into[...] = np.where(mask, weight, 0).reshape(into.shape)
        run.restore(inside)
        run.masks = run.masks.replaced(masks)
        run.hold_masks()

    def _rest(self, run: Run) -> None:
        """Prune as much as is asked for by now, and let masks rest."""
        with run.transaction():
            if run.done:
                self._choose(run, run.shares[run.done - 1])
            self._hold(run)

    def _hold(self, run: Run) -> None:
        """Let the masks of now be the last, and neurons without weights leave."""
        run.keep(run.masks)
        self.outside_.stop()
        run.moving = False


class Outside(Probe):
    """Weights that are trained without being part of the net, and what moves them in and out.

    Attributes
    ----------
    weights : list of ndarray of shape (n_out, n_in)
        Those weights, zero where a weight is part of the net; empty where masks rest.
    means, deviations : list of float
        Mean and standard deviation of abs(w) of every layer when masks began to move.
    limits : list of float
        Threshold of every layer.
    musts : list of bool ndarray of shape (n_out, n_in)
        Weights that stay whatever the threshold.
    step : int
        Steps since masks began to move.
    """

    weights: list[NDArray[Any]]
    means: list[float]
    deviations: list[float]
    limits: list[float]
    musts: list[NDArray[np.bool_]]
    step: int

    def __init__(self) -> None:
        self.stop()

    def start(self, run: Run) -> None:
        """Begin with the weights of now."""
        pairs = list(zip(run.weights()[:-1], run.masks.current, strict=True))
        left = [np.abs(weight[mask]).astype(np.float64) for weight, mask in pairs]
        self.weights = [np.zeros_like(weight) for weight, _ in pairs]
        self.means = [float(some.mean()) for some in left]
        self.deviations = [float(some.std()) or 1.0 for some in left]
        self.step = 0

    def stop(self) -> None:
        """Forget all."""
        self.weights, self.means, self.deviations = [], [], []
        self.limits, self.musts, self.step = [], [], 0

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Forget the weights of neurons that have left."""
        if self.weights:
            self.weights, self.musts = cut(self.weights, keep), cut(self.musts, keep)

    def state(self) -> dict[str, Any]:
        """What `load` needs."""
        return dict(vars(self)) if self.weights else {}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        vars(self).update(state)


def chance_of_change(step: int, gamma: float, power: float) -> float:
    """Probability that the mask of a layer is brought up to date in a step, the first being 1."""
    return (1 + gamma * step) ** -power


def relative(weight: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """abs(w) over the part of the threshold that is its own.

    Parameters
    ----------
    weight : ndarray of shape (n_out, n_in)
        All weights, those outside of the mask too.
    mask : bool ndarray of shape (n_out, n_in)
        Those that are in the net.

    Returns
    -------
    ndarray of shape (n_out, n_in)
        What is above t stays, or comes back.
    """
    return np.abs(weight, dtype=np.float64) / np.where(mask, PRUNE, SPLICE)
