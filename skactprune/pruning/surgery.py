"""Changes weights, and cuts neurons out: layers and optimizer, all their tensors, together.

Nothing here writes into a tensor that was there before: new ones take the place of the old, so that
`snapshot` keeps the old state without copying it.
"""

from __future__ import annotations

import copy
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skactprune.nets.matrices import matrix, stored_like
from skactprune.pruning.holding import assign
from skactprune.pruning.masks import cascade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray
    from skorch import NeuralNet

    from skactprune._types import Layer

    # How others take over from neurons that leave; see `fold_and_mask`.
    Refit: TypeAlias = Callable[
        [int, NDArray[np.bool_], NDArray[Any], NDArray[np.bool_] | None],
        tuple[NDArray[Any], NDArray[Any]],
    ]
    Change: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
    Optimizers: TypeAlias = Sequence[torch.optim.Optimizer]

# Where layers and normalizations keep how many entries their tensors have, of outputs and inputs.
SIZES = (
    {"out_features", "out_channels", "num_features", "num_parameters"},
    {"in_features", "in_channels"},
)


@torch.no_grad()
def fold_and_mask(
    layers: Sequence[torch.nn.Linear],
    masks: list[NDArray[np.bool_]],
    activate: Callable[[torch.Tensor, int], torch.Tensor],
    refit: Refit | None = None,
    output: NDArray[np.bool_] | None = None,
) -> tuple[list[torch.Tensor], list[torch.Tensor], list[NDArray[np.bool_]]]:
    """Weights and biases of a masked chain after its constants have been folded.

    A neuron without incoming weights gives the constant f(b). Its outgoing weights are removed
    and what they carried is added to the biases of the next layer, the output layer included.

    Parameters
    ----------
    layers : list of torch.nn.Linear
        Hidden layers and output layer; not changed.
    masks : list of bool ndarray of shape (n_out, n_in)
        Masks of the hidden layers.
    activate : callable
        ``activate(z, depth)`` is the activation of a hidden layer, on a tensor that it may change.
    refit : callable, optional
        Instead of folding, ``refit(depth, gone, outgoing, mask)`` says how the neurons that stay
        take over from those that are `gone`, a bool ndarray of shape (n_out,): it gets their
        outgoing weights in float64, of shape (n_next, n_out), and the mask of these or None where
        the output layer has none, and returns new ones and what is to be added to the next biases.
    output : bool ndarray of shape (n_outputs, n_in), default=None
        Mask of the output layer; None is one of which all is True.

    Returns
    -------
    weights, biases : list of torch.Tensor
        New tensors.
    masks : list of bool ndarray
        Masks without the weights that lie on no path from input to output.
    """
    device = layers[0].weight.device
    # In the order in memory of the weights, where products of both are several times as fast.
    tensors = [
        stored_like(torch.from_numpy(mask).to(device), layer.weight)
        for layer, mask in zip(layers, masks, strict=False)
    ]
    weights = [
        layer.weight.clone() if given.all() else layer.weight * mask
        for layer, mask, given in zip(layers, tensors, masks, strict=False)
    ]
    weights.append(layers[-1].weight.clone())
    biases = [layer.bias.clone() for layer in layers]
    for depth, mask in enumerate(tensors):
        constant = ~mask.any(dim=1)
        if constant.any():
            outgoing, bias = weights[depth + 1], biases[depth + 1]
            if refit is None:
                bias += outgoing[:, constant] @ activate(biases[depth][constant], depth)
                outgoing[:, constant] = 0
            else:
                gone = constant.cpu().numpy()
                allowed = masks[depth + 1] if depth + 1 < len(masks) else output
                new, change = refit(depth, gone, outgoing.double().cpu().numpy(), allowed)
                outgoing.copy_(torch.from_numpy(new))
                bias += torch.from_numpy(change).to(bias)
            if depth + 1 < len(tensors):
                tensors[depth + 1][:, constant] = False
    final = cascade([mask.cpu().numpy() for mask in tensors])
    for weight, left, given in zip(weights, final, masks, strict=False):
        if not np.array_equal(left, given):
            weight *= stored_like(torch.from_numpy(left).to(device), weight)
    if output is not None:
        weights[-1] *= torch.from_numpy(output).to(device)
    return weights, biases, final


@torch.no_grad()
def replace(
    layers: Sequence[Layer],
    optimizers: Optimizers,
    weights: Sequence[torch.Tensor],
    biases: Sequence[torch.Tensor] | None = None,
    masks: Sequence[NDArray[np.bool_]] = (),
    names: Sequence[str] = (),
) -> None:
    """Give layers other weights and biases.

    Moments of masked weights are cleared, so that momentum does not revive them. Where an
    optimizer keeps statistics of another shape than the parameter, which cannot be masked, it
    starts anew for that parameter.

    Parameters
    ----------
    layers : list of torch.nn.Module
        Layers with a ``weight``; their parameters keep their identity.
    optimizers : sequence of torch.optim.Optimizer
        Their per-parameter state of the shape of a weight is masked likewise.
    weights : list of torch.Tensor
        What the layers hold afterwards, in the shape of their weights.
    biases : list of torch.Tensor, default=None
        None leaves the biases as they are.
    masks : list of bool ndarray, default=()
        Masks of the first of them, with as many entries as these; other layers have none.
    names : list of str, default=()
        Names of the layers, for messages.

    Raises
    ------
    ValueError
        For a layer that computes its weight from other tensors and cannot hold the weights that it
        is given, or, where it has a mask, weights that are zero there.
    """
    for depth, layer in enumerate(layers):
        shape = layer.weight.shape
        mask = None
        if depth < len(masks) and not masks[depth].all():
            mask = torch.from_numpy(masks[depth]).to(layer.weight.device).reshape(shape)
            mask = stored_like(mask, layer.weight)
        assign(layer, weights[depth], mask, repr(names[depth]) if names else str(layer))
        if biases is not None:
            layer.get_parameter("bias").data = biases[depth]
        for parameter in layer.parameters():
            parameter.grad = None
            _map_state(optimizers, parameter, partial(_masked, mask=mask, shape=shape))
            _store_state_like(optimizers, parameter)


def _masked(value: torch.Tensor, mask: torch.Tensor | None, shape: torch.Size) -> torch.Tensor:
    return value * mask if mask is not None and value.shape == shape else value


@torch.no_grad()
def cut(
    layers: Sequence[torch.nn.Linear],
    optimizers: Optimizers,
    keep: list[NDArray[np.bool_]],
) -> None:
    """Cut neurons out of a chain of layers: every tensor that has an entry for each of them.

    Parameters
    ----------
    layers : list of torch.nn.Linear
        Hidden layers and output layer; their parameters keep their identity.
    optimizers : sequence of torch.optim.Optimizer
        Their per-parameter state of the shape of a parameter is cut likewise.
    keep : list of bool ndarray of shape (n_out,)
        True for the neurons of each hidden layer that stay.
    """
    for layer, cutter in zip(layers, cutters(layers, keep), strict=True):
        _cut_layer(layer, optimizers, cutter)


def cutters(layers: Sequence[torch.nn.Linear], keep: list[NDArray[np.bool_]]) -> list[_Cutter]:
    """Functions, one for each layer of a chain, of a tensor that cut it as `cut` cuts the layer."""
    device = layers[0].weight.device
    hidden = [
        None if kept.all() else torch.from_numpy(np.flatnonzero(kept)).to(device) for kept in keep
    ]
    rows, columns = [*hidden, None], [None, *hidden]
    return [_Cutter(*of_layer) for of_layer in zip(layers, rows, columns, strict=True)]


def _cut_layer(layer: torch.nn.Linear, optimizers: Optimizers, cutter: _Cutter) -> None:
    _cut_tensors(layer, optimizers, cutter)
    layer.out_features, layer.in_features = cutter.n_out, cutter.n_in


@torch.no_grad()
def cut_axis(
    part: torch.nn.Module, optimizers: Optimizers, axis: int, kept: NDArray[np.bool_]
) -> None:
    """Cut entries out of all tensors of a part of a module, and of its optimizer state.

    Parameters
    ----------
    part : torch.nn.Module
        A layer that has its own weight, or anything with an entry for each of its channels.
    optimizers : sequence of torch.optim.Optimizer
        Their per-parameter state of the shape of a parameter is cut likewise.
    axis : {0, 1}
        Whether outputs or inputs leave.
    kept : bool ndarray of shape (n,)
        True for those that stay.
    """
    index = torch.from_numpy(np.flatnonzero(kept))

    def cutter(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() <= axis or tensor.shape[axis] != len(kept):
            return tensor
        return tensor.index_select(axis, index.to(tensor.device))

    _cut_tensors(part, optimizers, cutter)
    for name in vars(part).keys() & SIZES[axis]:
        setattr(part, name, len(index))


def _cut_tensors(layer: torch.nn.Module, optimizers: Optimizers, cutter: Change) -> None:
    for parameter in layer.parameters():
        _map_state(optimizers, parameter, cutter)
        parameter.grad = None
        parameter.data = stored_like(cutter(parameter.data), parameter)
        _store_state_like(optimizers, parameter)
    for module in layer.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, cutter(buffer))


class _Cutter:
    """Takes rows and columns out of the tensors of a layer, by their shapes.

    Parameters
    ----------
    layer : torch.nn.Linear
        Layer that is to be cut.
    rows, columns : int tensor or None
        Which stay; None for all.

    Attributes
    ----------
    n_out, n_in : int
        Sizes afterwards.
    """

    def __init__(
        self, layer: torch.nn.Linear, rows: torch.Tensor | None, columns: torch.Tensor | None
    ) -> None:
        self._sizes = layer.out_features, layer.in_features
        self._rows, self._columns = rows, columns
        self.n_out, self.n_in = (
            size if kept is None else len(kept)
            for size, kept in zip(self._sizes, (rows, columns), strict=True)
        )

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 2 and tensor.t().is_contiguous():
            # In the order in memory that it has.
            return self._cut(tensor.t(), (1, 0)).t()
        return self._cut(tensor, (0, 1))

    def _cut(self, tensor: torch.Tensor, axes: tuple[int, int]) -> torch.Tensor:
        (n_out, n_in), shape = self._sizes, tuple(tensor.shape)
        of_rows, of_columns = axes
        if shape[of_rows : of_rows + 1] == (n_out,):
            tensor = _chosen(tensor, of_rows, self._rows)
        elif shape == (n_in,):
            return _chosen(tensor, 0, self._columns)
        if shape[of_columns : of_columns + 1] == (n_in,):
            tensor = _chosen(tensor, of_columns, self._columns)
        return tensor


def _chosen(tensor: torch.Tensor, axis: int, kept: torch.Tensor | None) -> torch.Tensor:
    return tensor if kept is None else tensor.index_select(axis, kept)


def _map_state(optimizers: Optimizers, parameter: torch.nn.Parameter, change: Change) -> None:
    """Change what optimizers keep for every entry of a parameter."""
    for optimizer in optimizers:
        before = optimizer.state.get(parameter)
        if not before:
            continue
        if not all(_belongs(value, parameter) for value in before.values()):
            optimizer.state.pop(parameter)
            continue
        has_entries = {
            n for n, v in before.items() if torch.is_tensor(v) and v.shape == parameter.shape
        }
        optimizer.state[parameter] = {
            name: change(value) if name in has_entries else value for name, value in before.items()
        }


def _store_state_like(optimizers: Optimizers, parameter: torch.nn.Parameter) -> None:
    """Store what optimizers keep in the order of its parameter: fused ones go by memory."""
    _map_state(
        optimizers,
        parameter,
        lambda value: (
            value
            if value.stride() == parameter.stride()
            else torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        ),
    )


def _belongs(value: object, parameter: torch.nn.Parameter) -> bool:
    """Whether a piece of optimizer state is a number or has an entry for every weight."""
    return not torch.is_tensor(value) or value.numel() == 1 or value.shape == parameter.shape


def optimizers_of(net: NeuralNet) -> list[torch.optim.Optimizer]:
    """The optimizer of a net, and others that a subclass gives it, alone or several in one."""
    found: list[Any] = []
    for value in vars(net).values():
        if isinstance(value, (list, tuple)):
            found += value
        else:
            found += value.values() if isinstance(value, dict) else [value]
    optimizers = [value for value in found if isinstance(value, torch.optim.Optimizer)]
    # Several names may be those of one.
    return list({id(optimizer): optimizer for optimizer in optimizers}.values())


def forget(optimizers: Optimizers, parameters: Iterable[torch.nn.Parameter]) -> None:
    """Let optimizers start anew for these parameters."""
    for optimizer, parameter in product(optimizers, list(parameters)):
        optimizer.state.pop(parameter, None)


def note_cut(module: torch.nn.Module, names: list[str], state: dict[str, Any]) -> None:
    """Note on a module that neurons were cut out of its layers, for a pruner that begins anew.

    Parameters
    ----------
    module : torch.nn.Module
        The module.
    names : list of str
        Names of its layers that were pruned.
    state : dict
        Their masks, as `Masks.state` gives them.
    """
    vars(module)["pruned_"] = {"names": names, "masks": state}


def what_was_cut(module: torch.nn.Module, names: list[str]) -> dict[str, Any] | None:
    """What `note_cut` noted of these layers of a module, if it is so still; None otherwise."""
    noted = getattr(module, "pruned_", None)
    if noted is None or noted["names"] != names:
        return None
    layers: list[Any] = [module.get_submodule(name) for name in names]
    shapes = [matrix(layer.weight).shape for layer in layers]
    masks = noted["masks"]
    return masks if shapes == [mask.shape for mask in masks["current"]] else None


def give_own_module(net: NeuralNet) -> None:
    """Give a net a copy of its module, with the optimizer state, where it is a parameter itself.

    What is done to it then does not change the parameter ``module``, which `clone` copies.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized net.
    """
    if net.module is not net.module_:
        return
    module = copy.deepcopy(net.module_)
    twins = dict(zip(net.module_.parameters(), module.parameters(), strict=True))
    for optimizer in optimizers_of(net):
        for group in optimizer.param_groups:
            group["params"] = [twins.get(parameter, parameter) for parameter in group["params"]]
        for parameter in twins.keys() & optimizer.state.keys():
            optimizer.state[twins[parameter]] = optimizer.state.pop(parameter)
    net.module_ = module


def snapshot(module: torch.nn.Module, optimizers: Optimizers) -> Callable[[], None]:
    """Function that gives a module and its optimizers back what they hold now.

    Nothing is copied, as surgery puts new tensors in place of the old.

    Parameters
    ----------
    module : torch.nn.Module
        Module under surgery.
    optimizers : sequence of torch.optim.Optimizer
        Its optimizers.

    Returns
    -------
    callable
    """
    parameters = [(p, p.data) for p in module.parameters()]
    states = [(o, p, o.state.get(p)) for o in optimizers for p, _ in parameters]
    buffers = [
        (part, name, buffer)
        for part in module.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    sizes = [
        (part, {name: vars(part)[name] for name in vars(part).keys() & set().union(*SIZES)})
        for part in module.modules()
    ]

    def restore() -> None:
        for parameter, data in parameters:
            parameter.grad = None
            parameter.data = data
        for optimizer, parameter, state in states:
            optimizer.state.pop(parameter, None)
            if state is not None:
                optimizer.state[parameter] = state
        for part, name, buffer in buffers:
            setattr(part, name, buffer)
        for part, numbers in sizes:
            vars(part).update(numbers)

    return restore
