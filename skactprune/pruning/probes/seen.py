"""What probes see of a run; see `skactprune.pruning.run.Run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from skactprune._transaction import Context
    from skactprune._types import Layer
    from skactprune.pruning.probes.rows import Rows


class SeenMasks(Protocol):
    """Which weights are left."""

    current: list[NDArray[np.bool_]]
    live: list[NDArray[np.int64]]


class SeenPlace(Protocol):
    """Where the gates of a hidden layer are between steps."""

    @property
    def depth(self) -> int: ...

    @property
    def parameter(self) -> torch.nn.Parameter: ...

    def shaped(self, gates: list[torch.Tensor]) -> torch.Tensor: ...

    def kept(
        self, own: NDArray[np.bool_], following: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]: ...


class SeenLayout(Protocol):
    """Who feeds whom."""

    shapes: list[tuple[int, int]]

    def at_least(self) -> int: ...

    def read_by_first(self, rows: Any) -> Any: ...

    def watch(
        self, module: nn.Module, listener: Callable[[int, torch.Tensor], None]
    ) -> Sequence[Callable[[], object]]: ...

    def gate(
        self, module: nn.Module, multiplied: Callable[[int, torch.Tensor], torch.Tensor]
    ) -> list[RemovableHandle]: ...

    def places_of_gates(self, module: nn.Module) -> Sequence[SeenPlace]: ...


class SeenRun(Protocol):
    """A run."""

    net: Any
    label: str
    random_state: np.random.RandomState
    shares: list[float]
    rows: Rows
    fit_params: dict[str, Any]

    @property
    def layout(self) -> SeenLayout: ...

    @property
    def masks(self) -> SeenMasks: ...

    @property
    def pending(self) -> bool: ...

    @property
    def layers(self) -> Sequence[Layer]: ...

    @property
    def hidden(self) -> Sequence[Layer]: ...

    def forward(self, X: Any) -> list[torch.Tensor]: ...

    def outputs(self, X: Any) -> list[NDArray[Any]]: ...

    def responses(self, X: Any) -> NDArray[Any]: ...

    def input_sums(
        self, X: Any, row_weight: NDArray[Any]
    ) -> list[tuple[NDArray[Any], NDArray[Any], float]]: ...

    def step_gradients(self) -> list[torch.Tensor]: ...

    def copied_weights(self) -> list[tuple[NDArray[Any], NDArray[Any] | None]]: ...

    def cleaning(self, action: Callable[[], object]) -> Context: ...
