"""Types that annotations of several parts name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import nn

# Any, because scipy has no types of its own: no checker knows a sparse matrix.
MatrixLike: TypeAlias = ArrayLike | Any
# Weights of a layer, of shape (n_in, n_out): as they are, or two factors of them.
Kernel: TypeAlias = NDArray[Any] | tuple[NDArray[Any], NDArray[Any]]
# What checks make of it: an ndarray, a CSR matrix or `FiledRows`; Any, as there.
CheckedRows: TypeAlias = Any
# As scikit-learn's cross_validate takes it.
ScoringLike: TypeAlias = (
    str | Callable[..., Any] | list[str] | tuple[str, ...] | set[str] | dict[str, Any]
)
# What leaves together, what is compared, and the share that is gone after so many of all rounds.
Granularity: TypeAlias = Literal["auto", "neuron", "weight", "block"] | tuple[int, int]
Scope: TypeAlias = Literal["layer", "global"]
ScheduleLike: TypeAlias = str | Callable[[int, int], float]
# What is pruned, and output layers.
Layer: TypeAlias = "nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d"
