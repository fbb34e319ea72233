"""Numbers too small for full precision, which processors take many times longer to multiply."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import hardshrink

if TYPE_CHECKING:
    from torch.optim import Optimizer


@torch.no_grad()
def flush_subnormals(optimizer: Optimizer) -> None:
    """Set what is subnormal to zero, in parameters and in what the optimizer keeps of them.

    A penalty on weights that no gradient reaches, as those of inputs that are always zero, takes
    them below the smallest normal number and not much further. It makes no difference to what the
    net puts out, but products with them can take several times as long. `torch.set_flush_denormal`
    is no cure: only the thread that calls it multiplies faster.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        An optimizer; its parameters and its state are written into.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            kept = optimizer.state.get(parameter, {}).values()
            for values in (parameter, *kept):
                if torch.is_tensor(values) and values.is_floating_point():
                    info = torch.finfo(values.dtype)
                    # By the largest of them, in one pass.
                    values.copy_(hardshrink(values, info.tiny * (1 - info.eps)))
