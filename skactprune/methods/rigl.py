"""RigL: sparse from the start, with masks that move (Evci et al., ICML 2020)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from skactprune._options import COUNT, FRACTION, POSITIVE_SHARE, check_options
from skactprune.methods.base import ScoredMethod, given
from skactprune.nets.modest import modest
from skactprune.pruning.method import register
from skactprune.pruning.paths import highest
from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from skactprune.pruning.run import Run

# Before it is scaled and capped: how many weights a layer has, by the shape of its weight.
DISTRIBUTIONS: dict[str, Callable[[Iterable[int]], int]] = {
    "erdos_renyi": sum,
    "uniform": math.prod,
}


@register("rigl")
class RigL(ScoredMethod):
    """Train a sparse net: drop the smallest abs(w), grow where the gradient is largest.

    Before the first step a random part of the hidden weights is taken, so that the net has its
    final sparsity throughout. Every `update_every` steps, in each layer, the share
    ``drop_fraction / 2 * (1 + cos(pi * t / T))`` of its weights goes, those with the smallest
    abs(w), and as many come that are not there, those with the largest abs(gradient) on the batch.
    Here t counts steps from 1, and T is the share `stop` of the steps of the fit. New weights
    start at zero with fresh optimizer state.

    Parameters
    ----------
    distribution : {"erdos_renyi", "uniform"}, default="erdos_renyi"
        Density of the layers: in proportion to ``(n_in + n_out) / (n_in * n_out)`` and, of
        convolutions, with the sizes of the kernel in both (the paper's ERK), at most 1; or the same
        for all hidden layers, the first included, which the paper leaves dense.
    update_every : int, default=100
        Steps from one update of the masks to the next.
    drop_fraction : float, default=0.3
        Share of the weights that the first updates replace, in (0, 1); alpha in the paper.
    stop : float, default=0.75
        Share of the steps of the fit in which masks move, in (0, 1].

    Notes
    -----
    As in algorithm 1 of the paper, an update takes the place of the optimizer's step, and what
    has just been dropped may come back, if its gradient is among the largest. As in the authors'
    code, it then keeps its value. Shares are rounded down. Unlike there, ties are broken by
    position instead of noise, there is no update at step 0, the optimizer forgets dropped weights,
    too, and the last paths from input to output are never dropped: they are part of the first
    masks.

    All is removed at once, before the first epoch: `n_prune_rounds` and the trigger have no effect,
    except that ``n_prune_rounds=0`` prunes nothing. A fit of fewer than ``update_every / stop``
    steps trains a fixed random net.

    Weights on no path from input to output count like all others while they may be joined again.
    At the end of `fit`, but not of `partial_fit`, their neurons leave, which may leave a little
    less than was asked for. In `partial_fit` an epoch has the steps of the call, and the fit
    `max_iter` epochs. In a warm start masks stay as they are; where more is asked for, the smallest
    abs(w) go at once, in place of a random choice, and then masks move again.

    References
    ----------
    Evci, Gale, Menick, Castro & Elsen, "Rigging the lottery: making all tickets winners", ICML
    2020, section 3 and algorithm 1.
    """

    when = "while training"
    granularity = "weight"
    scope = "layer"
    schedule = "one_shot"
    regrow = False
    gradients_: list[NDArray[Any]] | None
    moves_: Moves
    n_steps_: int

    def __init__(
        self,
        distribution: Literal["erdos_renyi", "uniform"] = "erdos_renyi",
        update_every: int = 100,
        drop_fraction: float = 0.3,
        stop: float = 0.75,
    ) -> None:
        self.distribution = distribution
        self.update_every = update_every
        self.drop_fraction = drop_fraction
        self.stop = stop

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        names = list(DISTRIBUTIONS)
        check_options(self, distribution=names, update_every=COUNT)
        check_options(self, drop_fraction=FRACTION, stop=POSITIVE_SHARE)
        return super().validated()

    def plan_features(self, run: Run) -> None:
        """Raise ValueError: masks that move bring features back."""
        run.refuse_features("lets weights come back")

    def plan_output(self, run: Run) -> None:
        """Raise ValueError: neurons may come back, which would have none to feed."""
        run.refuse_output("lets weights come back")

    # -- before training --------------------------------------------------------------------

    def begin(self, run: Run) -> None:
        """Take away what is too much, and see how long masks are to move."""
        super().begin(run)
        if run.shares:
            run.require_settable_weights()
        self.gradients_ = None
        self.moves_ = run.watch(Moves())
        if run.done < len(run.shares):
            with run.round(len(run.shares)) as share:
                self.round(run, share)
        if run.shares:
            steps = run.rows.n_batches
            self.n_steps_ = int(float(self.stop) * run.horizon * steps)
            self._go_on(run)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w); of a net that has not been pruned before, random numbers."""
        if run.fraction_done:
            return [np.abs(weight) for weight in run.weights()[:-1]]
        return [run.random_state.uniform(size=mask.shape) for mask in run.masks.current]

    def round(self, run: Run, share: float) -> None:
        """Take away all but as many weights of every layer as the distribution says."""
        shapes = [tuple(layer.weight.shape) for layer in run.hidden]
        left = [int(mask.sum()) for mask in run.masks.current]
        fewest = run.layout.fewest_weights(self.granularity, run.floors) // len(left)
        counts = allotted(
            [DISTRIBUTIONS[self.distribution](shape) for shape in shapes],
            least=np.minimum(fewest, left),
            most=left,
            total=self.amount(run, share * given("prune_fraction", run.target))["n_left"],
        )
        masks = kept_highest(run, self.scores(run), counts)
        # Not run.keep: nothing is folded and no neuron taken for dead that may be joined again.
        weights = run.copied_weights()
        for (weight, _), mask in zip(weights, masks, strict=False):
            weight *= mask.reshape(weight.shape)
        run.restore(weights)
        self._set(run, masks)
        self.moves_.restart()

    # -- in training ------------------------------------------------------------------------

    @modest
    def on_gradient(self, run: Run) -> None:
        """Where masks are updated, keep the gradients and leave none for the optimizer."""
        if run.moving and (self.moves_.step + 1) % int(self.update_every) == 0:
            self.gradients_ = [g.abs().double().cpu().numpy() for g in run.step_gradients()]
            run.skip_step()

    def on_step(self, run: Run) -> None:
        """Count the step, and let masks move if it was one of an update."""
        if not run.moving:
            return
        gradients, self.gradients_ = self.gradients_, None
        self.moves_.step += 1
        self._go_on(run)
        if gradients is not None and run.moving:
            share = cosine_share(self.moves_.step, self.n_steps_, float(self.drop_fraction))
            with run.transaction():
                self._set(run, moved(run, gradients, share))

    def _go_on(self, run: Run) -> None:
        """Let masks move until their last step, and never again after it."""
        self.moves_.ended = self.moves_.ended or self.moves_.step >= self.n_steps_
        run.moving = not self.moves_.ended

    def _set(self, run: Run, masks: list[NDArray[np.bool_]]) -> None:
        """Hold other masks; the optimizer forgets whatever comes or goes."""
        changed = [old ^ new for old, new in zip(run.masks.current, masks, strict=True)]
        run.masks = run.masks.replaced(masks)
        run.hold_masks()
        run.forget_optimizer(changed)

    def end(self, run: Run) -> None:
        """Let neurons without weights leave, unless they may be joined again."""
        self.gradients_ = None
        if run.history and not run.goes_on:
            run.keep(run.masks)


class Moves(Probe):
    """How long the masks have been moving.

    Attributes
    ----------
    step : int
        Steps since they were drawn, while they could move.
    ended : bool
        Whether they no longer move, or have not been drawn.
    """

    def __init__(self) -> None:
        self.step, self.ended = 0, True

    def restart(self) -> None:
        """Let masks move from now on."""
        self.step, self.ended = 0, False

    def state(self) -> dict[str, Any]:
        """What `load` needs."""
        return {"step": self.step, "ended": self.ended}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.step, self.ended = state["step"], state["ended"]


def cosine_share(step: int, n_steps: int, first: float) -> float:
    """Share of the weights that an update replaces (paper, section 3).

    Parameters
    ----------
    step : int
        Number of the step.
    n_steps : int
        Step at which the share is 0.
    first : float
        Share at step 0.

    Returns
    -------
    float
    """
    return first / 2 * (1 + math.cos(math.pi * step / n_steps))


def allotted(
    sizes: list[int],
    least: list[int] | NDArray[np.integer],
    most: list[int],
    total: int,
) -> NDArray[np.integer]:
    """Whole numbers in proportion to `sizes`, within bounds, that add up to `total`.

    Parameters
    ----------
    sizes, least, most : sequence of int
        One for every layer.
    total : int
        The sum; where bounds do not allow it, what is nearest to it.

    Returns
    -------
    int ndarray
    """
    wanted = np.asarray(sizes, dtype=float)
    low, high = 0.0, float(np.max(most / wanted))
    for _ in range(200):
        middle = (low + high) / 2
        enough = np.clip(middle * wanted, least, most).sum() >= total
        low, high = (low, middle) if enough else (middle, high)
    exact = np.clip(high * wanted, least, most)
    counts = np.floor(exact + 1e-9).astype(int)
    # What rounding down leaves goes to those that it took most from.
    for layer in np.argsort(counts - exact, kind="stable")[: max(total - counts.sum(), 0)]:
        counts[layer] += 1
    return np.minimum(counts, most)


def in_order(
    scores: list[NDArray[Any]], candidates: list[NDArray[np.bool_]]
) -> list[NDArray[np.int64]]:
    """Position of every candidate by its score, of all layers together, and -1 for the others.

    Of equal scores, the first in position comes last, so that it is the one to be chosen.

    Parameters
    ----------
    scores : list of ndarray of shape (n_out, n_in)
        High ones come last.
    candidates : list of bool ndarray of shape (n_out, n_in)
        What has a position.

    Returns
    -------
    list of int ndarray of shape (n_out, n_in)
    """
    flat = np.concatenate([s[c] for s, c in zip(scores, candidates, strict=True)])[::-1]
    position = np.empty(len(flat), dtype=np.int64)
    position[np.argsort(flat, kind="stable")] = np.arange(len(flat))
    ranks = [np.full(candidate.shape, -1, dtype=np.int64) for candidate in candidates]
    ends = np.cumsum([candidate.sum() for candidate in candidates])[:-1]
    for rank, candidate, positions in zip(
        ranks, candidates, np.split(position[::-1], ends), strict=True
    ):
        rank[candidate] = positions
    return ranks


def kept_highest(
    run: Run, scores: list[NDArray[Any]], counts: Iterable[int]
) -> list[NDArray[np.bool_]]:
    """Masks of so many weights of each layer, those of highest score and those of the last paths.

    Parameters
    ----------
    run : Run
        The run; only what its masks have is kept.
    scores : list of ndarray of shape (n_out, n_in)
        One for every hidden layer.
    counts : sequence of int
        Weights that each keeps; more where the last paths need more.

    Returns
    -------
    list of bool ndarray of shape (n_out, n_in)
    """
    ranks = in_order(scores, run.masks.current)
    paths = run.masks.layout.last_paths(ranks, run.floors)
    never = run.masks.n_left
    return [
        highest(np.where(path, never, rank), max(int(count), int(path.sum())))
        for rank, path, count in zip(ranks, paths, counts, strict=True)
    ]


def moved(run: Run, gradients: list[NDArray[Any]], share: float) -> list[NDArray[np.bool_]]:
    """Masks after a share of the weights of each layer has gone and as many have come.

    Parameters
    ----------
    run : Run
        The run.
    gradients : list of ndarray of shape (n_out, n_in)
        Their absolute values.
    share : float
        Share that goes.

    Returns
    -------
    list of bool ndarray of shape (n_out, n_in)
    """
    before = [int(mask.sum()) for mask in run.masks.current]
    magnitudes = [np.abs(weight) for weight in run.weights()[:-1]]
    kept = kept_highest(run, magnitudes, [n - int(share * n) for n in before])
    ranks = in_order(gradients, [~mask for mask in kept])
    return [
        mask | highest(rank, n - int(mask.sum()))
        for mask, rank, n in zip(kept, ranks, before, strict=True)
    ]
