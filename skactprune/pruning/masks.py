"""Which weights are left: boolean masks in the sizes of now, and their place in the original."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.nets.matrices import cut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from skactprune.pruning.layouts import Layout


class Masks:
    """Masks of the hidden layers.

    Parameters
    ----------
    layout : skactprune.pruning.chain.Chain or Loose
        Original shapes of the hidden weights, and who feeds whom.

    Attributes
    ----------
    current : list of bool ndarray of shape (n_out, n_in)
        True where a weight is left, in the sizes that the layers have now.
    live : list of int ndarray of shape (n_out,)
        Original indices of the rows of `current`, a layer each.
    sizes : list of {int, None}
        Numbers that the weights of each layer are factored into, where they are.
    output : bool ndarray of shape (n_outputs, n_in) or None
        True where a weight of the output layer is left, in the sizes of now; None while all are.
    """

    output: NDArray[np.bool_] | None = None

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.current = [np.ones(shape, dtype=bool) for shape in layout.shapes]
        self.live = [np.arange(n_out) for n_out, _ in layout.shapes]
        self.sizes: list[int | None] = [None] * len(self.current)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Original shapes (n_out, n_in)."""
        return self.layout.shapes

    @property
    def n_original(self) -> int:
        """Number of hidden weights before any round."""
        return sum(n_out * n_in for n_out, n_in in self.shapes)

    @property
    def n_left(self) -> int:
        """Number of hidden weights that are left, or of those that they are factored into."""
        return sum(
            int(mask.sum()) if size is None else size
            for mask, size in zip(self.current, self.sizes, strict=True)
        )

    @property
    def sparsity(self) -> float:
        """Share of the weights that need not be kept, of the layers that are pruned.

        They are gone, or factors of the weights are fewer numbers. Other layers do not count.
        """
        return 1.0 - self.n_left / self.n_original if self.n_original else 0.0

    @property
    def live_neurons(self) -> list[NDArray[np.int64]]:
        """Original indices of the neurons that have a weight left, a layer each."""
        return [live[mask.any(axis=1)] for live, mask in zip(self.live, self.current, strict=True)]

    def full(self) -> list[NDArray[np.bool_]]:
        """Masks in the original shapes: False where a weight is masked or has left."""
        full = []
        for depth, (shape, mask) in enumerate(zip(self.shapes, self.current, strict=True)):
            out = np.zeros(shape, dtype=bool)
            out[np.ix_(self.live[depth], self.layout.columns(depth, self.live))] = mask
            full.append(out)
        return full

    def replaced(self, current: Iterable[NDArray[np.bool_]]) -> Masks:
        """The same network with other masks of the same sizes, nothing of it factored."""
        new = Masks(self.layout)
        new.current, new.live, new.output = list(current), self.live, self.output
        return new

    def with_output(self, output: NDArray[np.bool_] | None) -> Masks:
        """The same masks, and another one of the output layer."""
        new = self.factored(self.sizes)
        new.output = output
        return new

    def factored(self, sizes: Iterable[int | None]) -> Masks:
        """The same masks of weights that are factored into so many numbers, None where not."""
        new = self.replaced(self.current)
        new.sizes = list(sizes)
        return new

    def part(self, depths: list[int]) -> Masks:
        """Masks of some of the layers, where these are no chain."""
        # A `Chain` has no parts: its layers are chosen from together.
        new = Masks(self.layout.part(depths))  # type: ignore[attr-defined]
        new.current = [self.current[depth] for depth in depths]
        new.live = [self.live[depth] for depth in depths]
        return new

    def regrown(self) -> Masks:
        """The same network with every weight that its layers have now."""
        return self.replaced([np.ones_like(mask) for mask in self.current])

    def without(self, keep: list[NDArray[np.bool_]]) -> Masks:
        """Masks after the neurons whose `keep` is False have left the layers."""
        new = self.replaced(self.current)
        new.live = [live[kept] for live, kept in zip(self.live, keep, strict=True)]
        new.current = cut(self.current, keep)
        if self.output is not None:
            new.output = self.output[:, keep[-1]]
        return new

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays."""
        return {
            "shapes": self.shapes,
            "current": self.current,
            "live": self.live,
            "sizes": self.sizes,
            "output": self.output,
        }

    def load(self, state: dict[str, Any]) -> Masks:
        """Masks of the same layers as they were where `state` was taken."""
        new = Masks(self.layout.of_shapes(state["shapes"]))
        new.current, new.live = list(state["current"]), list(state["live"])
        new.sizes = list(state.get("sizes", new.sizes))
        new.output = state.get("output")
        return new


def cascade(masks: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
    """Remove what no path from input to output uses any more.

    A neuron without incoming weights loses its outgoing ones, one without outgoing weights its
    incoming ones. The output layer is taken as dense.

    Parameters
    ----------
    masks : list of bool ndarray of shape (n_out, n_in)
        Masks of a chain of hidden layers; not changed.

    Returns
    -------
    list of bool ndarray
    """
    masks = [mask.copy() for mask in masks]
    for mask, following in zip(masks[:-1], masks[1:], strict=True):
        following[:, ~mask.any(axis=1)] = False
    for mask, before in zip(masks[:0:-1], masks[-2::-1], strict=True):
        before[~mask.any(axis=0)] = False
    return masks


def all_of(masks: Masks) -> list[NDArray[np.bool_]]:
    """True for each neuron of each hidden layer."""
    return [np.ones(len(mask), dtype=bool) for mask in masks.current]
