"""What flows through every weight from a row of ones, by the absolute values of all weights."""

from contextlib import ExitStack

import numpy as np
import torch
from torch.func import functional_call
from torch.nn.utils import parametrize

from skactprune.nets.matrices import matrix


def flows_of_chain(weights):
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


def _scaled(flow, norm=np.max):
    """Flow in units of its largest, or of its sum; one of zero, which is nothing, stays so."""
    return flow / (norm(flow) or 1.0)


def flows_of_module(module, layers, X, fit_params):
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
    device = layers[-1].weight.device
    buffers = {name: _unshifted(name, buffer) for name, buffer in module.named_buffers()}
    parameters = {
        name: _unshifted(name, parameter).abs().requires_grad_()
        for name, parameter in module.named_parameters()
    }
    ones = _ones(X, device)
    args, named = ((), ones) if isinstance(ones, dict) else ((ones,), {})
    heard, modes = {}, [(part, part.training) for part in module.modules()]

    def hear(layer, inputs, output):
        heard[layer] = layer.weight, output

    with ExitStack() as stack, parametrize.cached():
        for part, training in modes:
            stack.callback(setattr, part, "training", training)
        for layer in layers:
            stack.callback(layer.register_forward_hook(hear).remove)
        module.eval()
        functional_call(module, parameters | buffers, args, named | fit_params)
    *weights, (_, output) = (heard[layer] for layer in layers)
    weights = [weight for weight, _ in weights]
    slopes = torch.autograd.grad(output.sum(), weights, allow_unused=True)
    flows = [
        np.zeros(matrix(weight).shape)
        if slope is None
        else matrix(weight * slope).abs().cpu().numpy()
        for weight, slope in zip(weights, slopes, strict=True)
    ]
    if not any(flow.any() for flow in flows):
        raise ValueError(
            f"nothing flows from the inputs to the outputs of {type(module).__name__}: its "
            "activations bound it too closely, or too few weights are left."
        )
    return flows


def _unshifted(name, tensor):
    """Parameter or buffer in float64, zero where it is one that is added."""
    if not tensor.is_floating_point():
        return tensor.detach()
    shifts = name.rpartition(".")[2] in ("bias", "running_mean")
    return tensor.detach().double() * (not shifts)


def _ones(X, device):
    if isinstance(X, dict):
        return {name: _ones(part, device) for name, part in X.items()}
    if isinstance(X, (list, tuple)):
        return type(X)(_ones(part, device) for part in X)
    rows = torch.as_tensor(X, device=device)
    return torch.ones_like(rows, dtype=torch.float64 if rows.is_floating_point() else None)
