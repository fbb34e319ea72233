"""Layers that compute their weight: how they are given one, and whether zeros stay in it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _WeightNorm

from skactprune.nets.matrices import stored_like

if TYPE_CHECKING:
    from skactprune._types import Layer

ELSEWHERE = " Pruner leaves layers alone that are named in ignored_layers."


def assign(layer: Layer, weight: torch.Tensor, mask: torch.Tensor | None, name: str) -> None:
    """Give a layer a weight, through its parametrization where it has one."""
    if not parametrize.is_parametrized(layer, "weight"):
        _check_own_weight(layer, name)
        layer.weight.data = stored_like(weight, layer.weight)
        return
    try:
        _set_computed(layer, weight, mask)
    except (NotImplementedError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{name} computes its weight from other parameters in a way that cannot be inverted, "
            f"so that it cannot be pruned.{ELSEWHERE}"
        ) from error
    if torch.allclose(layer.weight, weight, rtol=1e-3, atol=1e-6):
        return
    # What scales its weight, as a spectral norm does, holds zeros, if not these values.
    if mask is not None:
        for parameter, held in held_at_zero(layer, mask):
            parameter.data = stored_like(parameter.data * held, parameter)
    if mask is None or not _is_zero(layer, mask):
        raise ValueError(
            f"{name} computes its weight from other parameters and cannot hold pruned "
            f"weights.{ELSEWHERE}"
        )


def _check_own_weight(layer: torch.nn.Module, name: str) -> None:
    """Refuse weights that a hook computes anew for every forward pass."""
    if "weight" not in dict(layer.named_parameters(recurse=False)):
        raise ValueError(
            f"{name} has its weight computed by a hook before every forward pass, as "
            "torch.nn.utils.weight_norm, spectral_norm and prune do it, so that it cannot be "
            f"pruned.{ELSEWHERE}"
        )


def _set_computed(layer: Layer, weight: torch.Tensor, mask: torch.Tensor | None) -> None:
    """Give a parametrized layer a weight."""
    norm = _weight_norm(layer)
    left = weight if mask is None else weight * mask
    dead = (left == 0).flatten(1).all(dim=1)
    if norm is None or not dead.any():
        layer.weight = weight
        return
    # A norm of zero has no direction: that of a dead neuron is any, its length zero.
    rows = dead.reshape(-1, *[1] * (weight.dim() - 1))
    layer.weight = torch.where(rows, torch.ones_like(weight), weight)
    norm.original0.data = torch.where(rows, 0.0, norm.original0.data)


@torch.no_grad()
def takes_any_weight(layer: Layer) -> bool:
    """Whether a layer has whatever weight it is given, as a copy of it shows."""
    if not parametrize.is_parametrized(layer, "weight"):
        return True
    # What is between weights that it has, a layer may be bound to have.
    copied, wanted = copy.deepcopy(layer), 0.5 * layer.weight.detach()
    try:
        _set_computed(copied, wanted, None)
    except (NotImplementedError, RuntimeError, ValueError):
        return False
    return torch.allclose(copied.weight, wanted, rtol=1e-3, atol=1e-6)


def _weight_norm(layer: Layer) -> Any:
    """Parametrization that gives every neuron a direction and a length; None for others."""
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    found: Any = layer.get_submodule("parametrizations.weight")
    alone = len(found) == 1 and isinstance(found[0], _WeightNorm)
    return found if alone and found[0].dim == 0 else None


def held_at_zero(layer: Layer, mask: torch.Tensor) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
    """What to multiply by what, after a step, so that masked weights stay zero.

    Parameters
    ----------
    layer : torch.nn.Module
        A layer.
    mask : torch.Tensor of bool
        False where its weight is to be zero, in the shape of that.

    Returns
    -------
    list of (torch.nn.Parameter, torch.Tensor)
        Parameters, and masks in their dtype and shape.
    """
    norm = _weight_norm(layer)
    if norm is not None:
        alive = mask.flatten(1).any(dim=1).reshape(-1, *[1] * (mask.dim() - 1))
        length, direction = norm.original0, norm.original1
        pairs = [(length, alive), (direction, mask | ~alive)]
    else:
        pairs = [(p, mask) for p in layer.parameters() if p.shape == mask.shape]
    return [(p, stored_like(held.to(p), p)) for p, held in pairs]


@torch.no_grad()
def check_maskable(layer: Layer, name: str) -> None:
    """Raise ValueError, naming the layer, if what a mask takes would not stay zero in training.

    Parameters
    ----------
    layer : torch.nn.Module
        A layer; it is not changed.
    name : str
        Its name.
    """
    if not parametrize.is_parametrized(layer, "weight"):
        _check_own_weight(layer, repr(name))
        return
    twin = copy.deepcopy(layer)
    # Without structure, as products of masked factors may have zeros of a pattern; besides, some
    # neurons are dead, and some inputs are not used.
    drawn = torch.rand(twin.weight.shape, generator=torch.Generator().manual_seed(0))
    mask = (drawn < 0.5).to(twin.weight.device)
    mask[: len(mask) // 2] = False
    mask[:, : mask.shape[1] // 4] = False
    assign(twin, twin.weight * mask, mask, repr(name))
    # As if a step had been made.
    for parameter in twin.parameters():
        wave = torch.arange(parameter.numel()).sin().reshape(parameter.shape)
        parameter.add_(wave.to(parameter), alpha=0.01)
    for parameter, held in held_at_zero(twin, mask):
        parameter.mul_(held)
    if not _is_zero(twin, mask):
        raise ValueError(
            f"{name!r} computes its weight from other parameters, and training would bring pruned "
            f"weights back.{ELSEWHERE}"
        )


def _is_zero(layer: Layer, mask: torch.Tensor) -> bool:
    weight = layer.weight
    return bool(weight.isfinite().all()) and not weight[~mask].any()
