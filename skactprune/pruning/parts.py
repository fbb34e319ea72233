"""What is chosen from together in a round: all hidden layers, or those with shares of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from skactprune._warnings import warn

if TYPE_CHECKING:
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.state import State


@dataclass(frozen=True)
class Part:
    """Hidden layers that are chosen from together.

    Attributes
    ----------
    depths : list of int
        Which ones.
    masks : Masks
        Their masks.
    floors : list of int
        Neurons that each of them keeps at least.
    target : float or None
        Share of their weights that is to be gone in the end, as `Run.target`.
    n_weights : int
        Weights that methods which count all of a net count.
    n_counted : int
        Weights that `target` is a share of; see `Run.n_counted`.
    fraction_done : float
        Share of the weights that rounds were asked to remove so far.
    """

    depths: list[int]
    masks: Masks
    floors: list[int]
    target: float | None
    n_weights: int
    n_counted: int
    fraction_done: float


def parts_of(run: State, masks: Masks) -> list[Part]:
    """Layers that are chosen from together, with what is to go of them; see `Run.parts`."""
    frozen = _frozen(run)
    own = [d for d, share in enumerate(run.fractions) if share is not None and d not in frozen]
    common = [d for d, share in enumerate(run.fractions) if share is None and d not in frozen]
    depths = [[depth] for depth in own]
    return [_part(run, masks, some) for some in ([common, *depths] if common else depths)]


def _frozen(run: State) -> list[int]:
    """Layers that somebody has frozen since training began, after a warning that names them."""
    frozen = run.layout.frozen(run.net.module_)
    if frozen:
        warn(
            f"Pruner leaves alone in this round, as they were frozen since the first batch: "
            f"{', '.join(repr(run.layout.names[depth]) for depth in frozen)}."
        )
    return frozen


def _part(run: State, masks: Masks, depths: list[int]) -> Part:
    whole = len(depths) == len(run.fractions)
    own = run.fractions[depths[0]]
    target = run.asked if own is None else own
    share = run.shares[run.done - 1] if run.done else 0.0
    done = run.fraction_done if whole or target is None else share * target
    return Part(
        depths=depths,
        masks=masks if whole else masks.part(depths),
        floors=[run.floors[depth] for depth in depths],
        target=target,
        n_weights=run.n_weights if whole else masks.part(depths).n_original,
        n_counted=run.n_counted if whole else masks.part(depths).n_original,
        fraction_done=done,
    )
