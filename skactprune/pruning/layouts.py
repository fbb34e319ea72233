"""What is known of layers: the parts of it that masks, flows and looks at a module need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from skactprune._types import Layer


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
