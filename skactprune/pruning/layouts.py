"""What is known of layers: what others need of it, and what its kinds share."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

import numpy as np

from skactprune.pruning.probes.seen import SeenRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    import torch
    from numpy.typing import NDArray
    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from skactprune._types import Layer

    K = TypeVar("K")
    # See `ConvChain`.
    Feeds: TypeAlias = dict[int, tuple[list[str], str]]
    Listener: TypeAlias = Callable[[int, torch.Tensor], None]


class Layout(Protocol):
    """Which hidden layers there are, and what leaves with what; see `Chain` and `Loose`."""

    shapes: list[tuple[int, int]]

    def of_shapes(self, shapes: Sequence[tuple[int, int]]) -> Self: ...

    def columns(self, depth: int, live: list[NDArray[np.int64]]) -> NDArray[np.int64]: ...

    def cascade(self, masks: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]: ...

    def last_paths(
        self, ranks: list[NDArray[np.int64]], floors: Sequence[int]
    ) -> list[NDArray[np.bool_]]: ...

    def fewest_weights(self, granularity: str | tuple[int, int], floors: Sequence[int]) -> int: ...


class TappedLayout(Protocol):
    """Where the layers of any module are, and how to listen to them; see `Loose`."""

    def layers(self, module: nn.Module) -> list[Layer]: ...

    def widths(self, module: nn.Module) -> list[int]: ...

    def tap(
        self, module: nn.Module, hear: Callable[[int, torch.Tensor], torch.Tensor | None]
    ) -> list[RemovableHandle]: ...

    def rows(self, module: nn.Module, depth: int, z: torch.Tensor) -> torch.Tensor: ...

    def axis(self, module: nn.Module, depth: int) -> int: ...

    def rows_read(self, module: nn.Module, h: torch.Tensor) -> torch.Tensor: ...


class Looked(SeenRun, Protocol):
    """A run whose net is looked at."""

    def weights(self) -> list[NDArray[Any]]: ...

    def signs(self, shape: Sequence[int]) -> torch.Tensor: ...


@dataclass(frozen=True)
class Place:
    """Where the gates of a hidden layer are between steps.

    Attributes
    ----------
    depth : int
        Which layer.
    parameter : torch.nn.Parameter
        What they multiply.
    axis : int
        Along which of its axes.
    """

    depth: int
    parameter: torch.nn.Parameter
    axis: int

    def shaped(self, gates: Sequence[torch.Tensor]) -> torch.Tensor:
        """Gates of the layer, from those of all, so that they multiply the parameter."""
        shape = [1] * self.parameter.dim()
        shape[self.axis] = -1
        return gates[self.depth].to(self.parameter).reshape(shape)

    def kept(self, own: K, following: K) -> tuple[K, K | None]:
        """Rows and columns of the parameter that stay, by the neurons of the layer and the next."""
        return (following, own) if self.axis else (own, None)


def pairs(shapes: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """Shapes (n_out, n_in) as pairs of Python numbers."""
    return [(int(n_out), int(n_in)) for n_out, n_in in shapes]


def floors_of(shapes: list[tuple[int, int]], min_neurons: Any) -> list[int]:
    """Neurons that each hidden layer keeps at least, from one number for all or one for each."""
    sizes = [n_out for n_out, _ in shapes]
    given = isinstance(min_neurons, Integral)
    floors = [min_neurons] * len(sizes) if given else list(min_neurons)
    if len(floors) != len(sizes) or not all(
        isinstance(floor, Integral) and 1 <= int(floor) <= size
        for floor, size in zip(floors, sizes, strict=True)
    ):
        raise ValueError(
            f"min_neurons={min_neurons!r} must be an integer, or one for each hidden "
            f"layer, from 1 to the neurons of the layer: {sizes}."
        )
    return [int(floor) for floor in floors]
