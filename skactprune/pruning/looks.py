"""Looks at the layers of any module in evaluation mode: what they read, and what hangs on it."""

import numpy as np
import torch
from torch.nn.utils import parametrize

from skactprune.nets.matrices import matrix


def input_sums_of_module(layers, forward, row_weight, cleaning):
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
    found = [[np.zeros(matrix(layer.weight).shape) for _ in range(2)] + [0.0] for layer in layers]

    def hear(depth, layer, inputs):
        x = inputs[0].detach()
        weight = torch.as_tensor(row_weight).to(x).repeat_interleave(len(x) // len(row_weight))
        weight = weight.reshape(-1, *[1] * (x.dim() - 1))
        with torch.enable_grad():
            for power in (1, 2):
                # Without hooks. Of a sum of outputs, this is the slope in a weight.
                z = layer.forward(weight * x**power)
                (total,) = torch.autograd.grad(z.sum(), layer.weight)
                found[depth][power - 1] += matrix(total).double().cpu().numpy()
        found[depth][2] += float(weight.sum()) * z.numel() / (len(z) * len(layer.weight))

    frozen = [p for layer in layers for p in layer.parameters() if not p.requires_grad]
    handles = []

    def clean():
        require_gradients(frozen, False)
        for handle in handles:
            handle.remove()

    with cleaning(clean), parametrize.cached():
        require_gradients(frozen, True)
        for depth, layer in enumerate(layers):
            hook = layer.register_forward_pre_hook(
                lambda layer, inputs, depth=depth: hear(depth, layer, inputs)
            )
            handles.append(hook)
        forward()
    return [tuple(sums) for sums in found]


def slopes_of_module(layout, module, forward, draw, cleaning):
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
    heard, outputs, handles = [], [], []

    def hear(depth, z):
        z = z if z.requires_grad else z.detach().requires_grad_()
        heard.append((depth, z))
        # What comes after it may overwrite it.
        return z.clone()

    with cleaning(lambda: [handle.remove() for handle in handles]), torch.enable_grad():
        handles += layout.tap(module, hear)
        output_layer = layout.layers(module)[-1]
        hook = output_layer.register_forward_hook(lambda _, inputs, z: outputs.append(z.clone()))
        handles.append(hook)
        forward()
        total = sum((z * draw(z.shape).to(z)).sum() for z in outputs)
        found = torch.autograd.grad(total, [z for _, z in heard], allow_unused=True)
    slopes = [[np.zeros((0, n_out))] for n_out in layout.widths(module)]
    for (depth, z), slope in zip(heard, found, strict=True):
        rows = layout.rows(module, depth, torch.zeros_like(z) if slope is None else slope)
        slopes[depth].append(rows.double().cpu().numpy())
    return [np.concatenate(of_layer) for of_layer in slopes]


def require_gradients(parameters, required):
    """Let autograd give gradients in these parameters, or not."""
    for parameter in parameters:
        parameter.requires_grad_(required)
