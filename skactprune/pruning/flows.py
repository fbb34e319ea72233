"""What flows through every weight from a row of ones, by the absolute values of all weights."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.func import functional_call
from torch.nn.utils import parametrize

from skactprune.nets.matrices import matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from skactprune._types import Layer
    from skactprune.pruning.layouts import TappedLayout


def flows_of_chain(weights: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
    """Share of all that flows from inputs to outputs which flows through each weight.

    Parameters
    ----------
    weights : list of ndarray of shape (n_out, n_in)
        Weights of a chain of layers.

    Returns
    -------
    list of ndarray of shape (n_out, n_in)
        One for every layer, in float64, which adds up to 1.
    """
    sizes = [np.abs(weight, dtype=np.float64) for weight in weights]
    into = [np.ones(sizes[0].shape[1])]
    for size in sizes[:-1]:
        into.append(_scaled(size @ into[-1]))
    out_of = [np.ones(len(sizes[-1]))]
    for size in sizes[:0:-1]:
        out_of.append(_scaled(out_of[-1] @ size))
    flows = [
        after[:, None] * size * before
        for before, size, after in zip(into, sizes, reversed(out_of), strict=True)
    ]
    return [_scaled(flow, np.sum) for flow in flows]


def _scaled(flow: NDArray[np.float64], norm: Callable[..., Any] = np.max) -> NDArray[np.float64]:
    """Flow in units of its largest, or of its sum; one of zero, which is nothing, stays so."""
    return flow / (norm(flow) or 1.0)


def flows_of_module(
    module: nn.Module, layers: Sequence[Layer], X: Any, fit_params: dict[str, Any]
) -> list[NDArray[np.float64]]:
    """What flows through each weight of a module, up to its output layer.

    It is applied to ones, in float64 and evaluation mode, with the absolute values of its
    parameters, without biases and running means. Nothing in it is changed.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.
    layers : list of torch.nn.Module
        Hidden layers, then the output layer.
    X : array, tensor, or list or dict of them
        Rows, of which the shape is taken.
    fit_params : dict
        What the module gets besides.

    Returns
    -------
    list of ndarray of shape (n_out, n_in)
        Weight times derivative of the sum of all outputs, for every hidden layer.

    Raises
    ------
    ValueError
        If nothing flows from inputs to outputs.
    """
    heard: dict[Layer, tuple[torch.Tensor, torch.Tensor]] = {}

    def hear(layer: Any, inputs: Any, output: torch.Tensor) -> None:
        heard[layer] = layer.weight, output

    def hooks() -> list[RemovableHandle]:
        return [layer.register_forward_hook(hear) for layer in layers]

    _pass_of_ones(module, layers[-1].weight.device, X, fit_params, hooks)
    weights = [heard[layer][0] for layer in layers[:-1]]
    output = heard[layers[-1]][1]
    slopes = _slopes(module, output.sum(), weights)
    flows = [
        np.zeros(matrix(weight).shape)
        if slope is None
        else matrix(weight * slope).abs().cpu().numpy()
        for weight, slope in zip(weights, slopes, strict=True)
    ]
    _check_flows(module, flows)
    return flows


def importances_of_module(
    layout: TappedLayout,
    module: nn.Module,
    last: NDArray[Any],
    kept: Callable[[int, NDArray[Any]], NDArray[Any]],
    X: Any,
    fit_params: dict[str, Any],
) -> list[NDArray[np.float64]]:
    """Importances of hidden neurons, propagated back from what the output layer reads.

    As in `flows_of_module`, absolute values take the place of parameters, and ones of rows.

    Parameters
    ----------
    layout : Loose
        Its layers.
    module : torch.nn.Module
        Any module.
    last : ndarray of shape (n_in,)
        Importances of what the output layer reads.
    kept : callable
        Gets the number of a hidden layer and its importances, and gives those that are handed on.
    X, fit_params
        As for `flows_of_module`.

    Returns
    -------
    list of ndarray of shape (n_out,)
        One for every hidden layer, summed over positions.

    Raises
    ------
    ValueError
        If nothing flows from inputs to outputs.
    """
    output_layer = layout.layers(module)[-1]
    device = output_layer.weight.device
    hands_on: dict[int, torch.Tensor] = {}
    found = [np.zeros(n_out) for n_out in layout.widths(module)]
    given = torch.from_numpy(np.asarray(last, dtype=np.float64)).to(device)
    for _ in found:
        heard: dict[int, torch.Tensor] = {}
        read: list[torch.Tensor] = []

        def hear(
            depth: int, z: torch.Tensor, heard: dict[int, torch.Tensor] = heard
        ) -> torch.Tensor | None:
            heard.pop(depth, None)
            heard[depth] = z
            if depth in hands_on:
                axis = layout.axis(module, depth)
                return (z.movedim(axis, -1) * hands_on[depth]).movedim(-1, axis)
            return None

        def hooks(
            hear: Callable[[int, torch.Tensor], torch.Tensor | None] = hear,
            read: list[torch.Tensor] = read,
        ) -> list[RemovableHandle]:
            hook = output_layer.register_forward_pre_hook(
                lambda _, inputs: read.append(layout.rows_read(module, inputs[0]))
            )
            return [*layout.tap(module, hear), hook]

        _pass_of_ones(module, device, X, fit_params, hooks)
        ahead = [depth for depth in heard if depth not in hands_on]
        if not ahead:
            break
        depth = ahead[-1]
        total = sum(((rows * given).sum() for rows in read), given.new_zeros(()))
        (slope,) = _slopes(module, total, [heard[depth]])
        if slope is not None:
            found[depth] = layout.rows(module, depth, slope).sum(dim=0).cpu().numpy()
        hands_on[depth] = torch.from_numpy(kept(depth, found[depth]) != 0).to(given)
    _check_flows(module, found)
    return found


def _slopes(
    module: nn.Module, total: torch.Tensor, inputs: list[torch.Tensor]
) -> Sequence[torch.Tensor | None]:
    """Derivatives of a sum after `_pass_of_ones`."""
    try:
        return torch.autograd.grad(total, inputs, allow_unused=True)
    except RuntimeError as error:
        raise ValueError(
            f"{type(module).__name__} has no derivatives with other parameters ({error}); it must "
            "not compute layers again for the backward pass, as torch.utils.checkpoint does."
        ) from error


def _check_flows(module: nn.Module, flows: list[NDArray[np.float64]]) -> None:
    if not any(flow.any() for flow in flows):
        raise ValueError(
            f"nothing flows from the inputs to the outputs of {type(module).__name__}: its "
            "activations bound it too closely, or too few weights are left."
        )


def _pass_of_ones(
    module: nn.Module,
    device: torch.device,
    X: Any,
    fit_params: dict[str, Any],
    hooks: Callable[[], list[RemovableHandle]],
) -> None:
    """Forward pass of ones by the absolute values of all parameters and buffers.

    Parameters
    ----------
    module : torch.nn.Module
        Nothing in it is changed.
    device : torch.device
        Where it is.
    X, fit_params
        As for `flows_of_module`.
    hooks : callable
        Registers hooks, and returns their handles.

    Raises
    ------
    ValueError
        If the module insists on another type of numbers.
    """
    # A spectral norm has vectors there, by which the signs of weights would come back.
    buffers = {name: _positive(name, buffer) for name, buffer in module.named_buffers()}
    parameters = {
        name: _positive(name, parameter).requires_grad_()
        for name, parameter in module.named_parameters()
    }
    ones = _ones(X, device)
    args, named = ((), ones) if isinstance(ones, dict) else ((ones,), {})
    modes = [(part, part.training) for part in module.modules()]
    with ExitStack() as stack, parametrize.cached():
        for part, training in modes:
            stack.callback(setattr, part, "training", training)
        for handle in hooks():
            stack.callback(handle.remove)
        module.eval()
        try:
            functional_call(module, parameters | buffers, args, named | fit_params)
        except RuntimeError as error:
            if "dtype" not in str(error):
                raise
            raise ValueError(
                f"What flows through the weights is computed in float64, which "
                f"{type(module).__name__} does not do with parameters of that type: {error}"
            ) from error


def _positive(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Absolute values of a parameter or buffer in float64, zero where it is one that is added."""
    if not tensor.is_floating_point():
        return tensor.detach()
    shifts = name.rpartition(".")[2] in ("bias", "running_mean")
    return tensor.detach().double().abs() * (not shifts)


def _ones(X: Any, device: torch.device) -> Any:
    if isinstance(X, dict):
        return {name: _ones(part, device) for name, part in X.items()}
    if isinstance(X, (list, tuple)):
        return type(X)(_ones(part, device) for part in X)
    rows = torch.as_tensor(X, device=device)
    return torch.ones_like(rows, dtype=torch.float64 if rows.is_floating_point() else None)
