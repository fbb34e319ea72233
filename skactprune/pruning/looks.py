"""Looks at the layers of any module in evaluation mode: what they read, and what hangs on it."""

from __future__ import annotations

from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.utils import parametrize

from skactprune.nets.matrices import matrix
from skactprune.nets.recomputing import recomputing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray
    from torch.utils.hooks import RemovableHandle

    from skactprune._transaction import Context
    from skactprune._types import Layer
    from skactprune.pruning.layouts import TappedLayout

    Cleaning: TypeAlias = Callable[[Callable[[], object]], Context]
    # What takes the place of the pre-activations of a hidden layer, if anything.
    Hear: TypeAlias = Callable[[int, torch.Tensor], torch.Tensor | None]
    # Of what the weights of a layer read, of its squares, and of the weights of all rows.
    Sums: TypeAlias = tuple[NDArray[Any], NDArray[Any], float]


def input_sums_of_module(
    layers: Sequence[Layer],
    forward: Callable[[], object],
    row_weight: NDArray[Any],
    cleaning: Cleaning,
) -> list[Sums]:
    """Sums over rows of what each weight of some layers reads, and of its square.

    A weight of a convolution reads at every position, padding included.

    Parameters
    ----------
    layers : list of torch.nn.Module
        Linear and convolutional layers.
    forward : callable
        Makes a forward pass of a batch.
    row_weight : ndarray of shape (n_rows,)
        Weights of its rows.
    cleaning : callable
        That of a run; see `Run.cleaning`.

    Returns
    -------
    list of (ndarray of shape (n_out, n_in), ndarray of shape (n_out, n_in), float)
        For each layer both sums, and that of the weights of all rows and positions.
    """
    found = [[np.zeros(matrix(layer.weight).shape) for _ in range(2)] for layer in layers]
    n = [0.0] * len(layers)

    def hear(depth: int, layer: Layer, inputs: tuple[torch.Tensor, ...]) -> None:
        x = inputs[0].detach()
        weight = torch.as_tensor(row_weight).to(x).repeat_interleave(len(x) // len(row_weight))
        weight = weight.reshape(-1, *[1] * (x.dim() - 1))
        with torch.enable_grad():
            for power in (1, 2):
                # Without hooks. Of a sum of outputs, this is the slope in a weight.
                z = layer.forward(weight * x**power)
                (total,) = torch.autograd.grad(z.sum(), layer.weight)
                found[depth][power - 1] += matrix(total).double().cpu().numpy()
        n[depth] += float(weight.sum()) * z.numel() / (len(z) * len(layer.weight))

    frozen = [p for layer in layers for p in layer.parameters() if not p.requires_grad]
    handles: list[RemovableHandle] = []

    def clean() -> None:
        require_gradients(frozen, False)
        remove_all(handles)

    with cleaning(clean), parametrize.cached():
        require_gradients(frozen, True)
        for depth, layer in enumerate(layers):
            hook = layer.register_forward_pre_hook(
                lambda layer, inputs, depth=depth: hear(depth, layer, inputs)
            )
            handles.append(hook)
        forward()
    return [(sums, squares, total) for (sums, squares), total in zip(found, n, strict=True)]


def slopes_of_module(
    layout: TappedLayout,
    module: torch.nn.Module,
    forward: Callable[[], object],
    draw: Callable[[Sequence[int]], torch.Tensor],
    cleaning: Cleaning,
) -> list[NDArray[np.float64]]:
    """Slopes of random sums of the outputs of a module in what its hidden neurons put out.

    The expected products of two slopes are the sums, over outputs, of the products of those of each
    output.

    Parameters
    ----------
    layout : Loose
        Its layers.
    module : torch.nn.Module
        In evaluation mode; its output layer puts out what is summed.
    forward : callable
        Makes a forward pass of a batch.
    draw : callable
        Gives a tensor of random signs, of a shape.
    cleaning : callable
        That of a run; see `Run.cleaning`.

    Returns
    -------
    list of ndarray of shape (n_rows, n_out)
        One for each hidden layer, in float64; a row for every position.
    """
    heard: list[tuple[int, torch.Tensor]] = []
    outputs: list[torch.Tensor] = []
    handles: list[RemovableHandle] = []

    def hear(depth: int, z: torch.Tensor) -> torch.Tensor:
        z = z if z.requires_grad else z.detach().requires_grad_()
        if not recomputing():
            heard.append((depth, z))
        # What comes after it may overwrite it.
        return z.clone()

    with cleaning(partial(remove_all, handles)), torch.enable_grad():
        handles += layout.tap(module, hear)
        output_layer = layout.layers(module)[-1]
        hook = output_layer.register_forward_hook(lambda _, inputs, z: outputs.append(z.clone()))
        handles.append(hook)
        forward()
        total = reduce(add, [(z * draw(z.shape).to(z)).sum() for z in outputs])
        found: Sequence[torch.Tensor | None] = torch.autograd.grad(
            total, [z for _, z in heard], allow_unused=True
        )
    slopes = [[np.zeros((0, n_out))] for n_out in layout.widths(module)]
    for (depth, z), slope in zip(heard, found, strict=True):
        rows = layout.rows(module, depth, torch.zeros_like(z) if slope is None else slope)
        slopes[depth].append(rows.double().cpu().numpy())
    return [np.concatenate(of_layer) for of_layer in slopes]


def remove_all(handles: Iterable[RemovableHandle]) -> None:
    """Remove hooks."""
    for handle in handles:
        handle.remove()


def require_gradients(parameters: Iterable[torch.nn.Parameter], required: bool) -> None:
    """Let autograd give gradients in these parameters, or not."""
    for parameter in parameters:
        parameter.requires_grad_(required)
