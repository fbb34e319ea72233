"""Arrays of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray


def array_of(tensor: torch.Tensor) -> NDArray[Any]:
    """Array of a tensor on any device; float32 of bfloat16, which numpy has not.

    On the CPU it shares memory with the tensor, if it is of the same type.
    """
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
