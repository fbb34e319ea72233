"""Cuts neurons out of a chain of layers: what they gave goes to the biases, or to others."""

import numpy as np
import torch

from skactprune.pruning.masks import cascade
from skactprune.pruning.outputs import take_over


@torch.no_grad()
def fold_and_mask(layers, masks, activate, moments=None):
    """Weights and biases of a masked chain after its constants have been folded.

    A neuron without incoming weights gives the constant f(b). Its outgoing weights are removed
    and what they carried is added to the biases of the next layer, the output layer included.
    With `moments` the others of its layer take over what it gave before it lost its weights.

    Parameters
    ----------
    layers : list of torch.nn.Linear
        Hidden layers and output layer; not changed.
    masks : list of bool ndarray of shape (n_out, n_in)
        Masks of the hidden layers.
    activate : callable
        Hidden activation, on a tensor that it may change.
    moments : list of skactprune.pruning.outputs.Moments, optional
        Of the outputs of the hidden layers as they are.

    Returns
    -------
    weights, biases : list of torch.Tensor
        New tensors.
    masks : list of bool ndarray
        Masks without the weights that lie on no path from input to output.
    """
    device = layers[0].weight.device
    tensors = [torch.from_numpy(mask).to(device) for mask in masks]
    weights = [layer.weight * mask for layer, mask in zip(layers, tensors, strict=False)]
    weights.append(layers[-1].weight.clone())
    biases = [layer.bias.clone() for layer in layers]
    for depth, mask in enumerate(tensors):
        constant = ~mask.any(dim=1)
        if constant.any():
            outgoing, bias = weights[depth + 1], biases[depth + 1]
            if moments is None:
                bias += outgoing[:, constant] @ activate(biases[depth][constant])
                outgoing[:, constant] = 0
            else:
                gone = constant.cpu().numpy()
                mask = masks[depth + 1] if depth + 1 < len(masks) else None
                refitted = take_over(moments[depth], gone, outgoing.double().cpu().numpy(), mask)
                outgoing.copy_(torch.from_numpy(refitted[0]))
                bias += torch.from_numpy(refitted[1]).to(bias)
            if depth + 1 < len(tensors):
                tensors[depth + 1][:, constant] = False
    masks = cascade([mask.cpu().numpy() for mask in tensors])
    for weight, mask in zip(weights, masks, strict=False):
        weight *= torch.from_numpy(mask).to(device)
    return weights, biases, masks


@torch.no_grad()
def replace_parameters(layers, optimizer, weights, biases, masks, keep):
    """Give layers and optimizer new weights, cut to the neurons that stay.

    Moments of masked weights are cleared, so that momentum does not revive them. Where an
    optimizer keeps statistics of another shape than the parameter, which cannot be cut, it starts
    anew for that parameter.

    Parameters
    ----------
    layers : list of torch.nn.Linear
        Hidden layers and output layer; their parameters keep their identity.
    optimizer : torch.optim.Optimizer
        Its per-parameter state of the shape of the parameter is masked and cut likewise.
    weights, biases : list of torch.Tensor
        What the layers hold afterwards, before the cut.
    masks : list of bool ndarray
        Masks of the hidden weights, before the cut.
    keep : list of bool ndarray
        True for the neurons of each hidden layer that stay.
    """
    device = layers[0].weight.device
    rows = [torch.from_numpy(np.flatnonzero(kept)).to(device) for kept in keep]
    rows.append(torch.arange(layers[-1].out_features, device=device))
    columns = [torch.arange(layers[0].in_features, device=device), *rows[:-1]]
    changes = []
    for depth, layer in enumerate(layers):
        mask = torch.from_numpy(masks[depth]).to(device) if depth < len(masks) else None
        for parameter, new in ((layer.weight, weights[depth]), (layer.bias, biases[depth])):
            cut = _cutter(new.dim(), rows[depth], columns[depth])
            state = {}
            before = optimizer.state.get(parameter, {})
            if not all(_belongs(value, parameter) for value in before.values()):
                before = {}
            for name, value in before.items():
                if torch.is_tensor(value) and value.shape == parameter.shape:
                    moment = value * mask if mask is not None and value.dim() == 2 else value
                    value = cut(moment)
                state[name] = value
            changes.append((parameter, cut(new), state))
    for parameter, new, state in changes:
        parameter.grad = None
        parameter.data = new
        if state:
            optimizer.state[parameter] = state
        else:
            optimizer.state.pop(parameter, None)
    for layer in layers:
        layer.out_features, layer.in_features = layer.weight.shape


@torch.no_grad()
def mask_parameters(layers, optimizer, masks):
    """Set masked weights of any layers, and their moments in the optimizer, to zero in place.

    Parameters
    ----------
    layers : list of torch.nn.Module
        Layers with a ``weight``, hidden ones first.
    optimizer : torch.optim.Optimizer
        Its per-parameter state of the shape of a weight is masked likewise.
    masks : list of bool ndarray of shape (n_out, n_in)
        Masks of the hidden weights.
    """
    for layer, mask in zip(layers, masks, strict=False):
        weight = layer.weight
        mask = torch.from_numpy(mask).to(weight).reshape(weight.shape)
        weight.mul_(mask)
        for value in optimizer.state.get(weight, {}).values():
            if torch.is_tensor(value) and value.shape == weight.shape:
                value.mul_(mask)


def snapshot(layers, optimizer):
    """Function that gives layers and optimizer back what they hold now.

    Nothing is copied: `replace_parameters` puts new tensors in place of the old.
    """
    parameters = [p for layer in layers for p in layer.parameters()]
    before = [(p, p.data, optimizer.state.get(p)) for p in parameters]
    sizes = [
        (layer, layer.in_features, layer.out_features)
        for layer in layers
        if isinstance(layer, torch.nn.Linear)
    ]

    def restore():
        for parameter, data, state in before:
            parameter.grad = None
            parameter.data = data
            optimizer.state.pop(parameter, None)
            if state is not None:
                optimizer.state[parameter] = state
        for layer, n_in, n_out in sizes:
            layer.in_features, layer.out_features = n_in, n_out

    return restore


def _belongs(value, parameter):
    """Whether a piece of optimizer state is a number or has an entry for every weight."""
    return not torch.is_tensor(value) or value.numel() == 1 or value.shape == parameter.shape


def _cutter(dim, rows, columns):
    if dim == 1:
        return lambda tensor: tensor.index_select(0, rows)
    return lambda tensor: tensor.index_select(0, rows).index_select(1, columns)
