"""Whether a module does what its parameters say and nothing else, so that numpy may do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules import module as global_hooks

from skactprune.nets.mlp import MLP

if TYPE_CHECKING:
    from collections.abc import Sequence

GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)


def is_plain(module: torch.nn.Module) -> bool:
    """Whether a module is an `MLP` of linear layers with biases, on the CPU and without hooks.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.

    Returns
    -------
    bool
    """
    if type(module) is not MLP or has_hooks((module, module.layers, *module.layers)):
        return False
    dtype = module.layers[0].weight.dtype
    return dtype in (torch.float32, torch.float64) and all(
        # A parametrized layer is of another class.
        type(layer) is nn.Linear
        and layer.bias is not None
        and all(p.dtype == dtype and p.is_cpu for p in (layer.weight, layer.bias))
        for layer in module.layers
    )


def has_hooks(parts: Sequence[torch.nn.Module]) -> bool:
    """Whether modules have hooks, or functions of their own for forward passes.

    Parameters
    ----------
    parts : sequence of torch.nn.Module
        Looked at without what is inside them.

    Returns
    -------
    bool
    """
    if any(getattr(global_hooks, name, None) for name in GLOBAL_HOOKS):
        return True
    return any(_has_hooks(vars(part)) for part in parts)


def _has_hooks(attributes: dict[str, Any]) -> bool:
    return bool(
        attributes["_forward_hooks"]
        or attributes["_forward_pre_hooks"]
        or attributes["_backward_hooks"]
        or attributes["_backward_pre_hooks"]
        or "forward" in attributes
    )
