"""Forward passes besides those of training, and what they find: who is called, who feeds whom."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from sklearn.utils import check_random_state
from skorch.dataset import unpack_data
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from skactprune._transaction import Context

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch.autograd.graph import Node
    from torch.utils.hooks import RemovableHandle

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
PRUNABLE = (nn.Linear, *CONVOLUTIONS)
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Trace:
    """What a module does with a batch.

    Attributes
    ----------
    called : set of torch.nn.Module
        Linear and convolutional layers that were called, in training or in evaluation mode.
    outputs : list of torch.nn.Module
        Those that feed no other of them, the one that is called last at the end.
    norms : dict of torch.nn.Module to torch.nn.Module
        Normalization that gets what a layer puts out, by layer.
    learning : set of torch.nn.Module
        Normalizations that keep running statistics, and update them in training.
    calls : Counter
        How often layers, and ``nn.Sequential``, were called, in both modes together.
    dims : dict of torch.nn.Module to int
        Number of dimensions of what a layer puts out, by layer.
    """

    called: set[nn.Module]
    outputs: list[nn.Module]
    norms: dict[nn.Module, nn.Module]
    learning: set[nn.Module]
    calls: Counter[nn.Module]
    dims: dict[nn.Module, int]


def traced(net: Any, batch: Any, fit_params: dict[str, Any]) -> Trace | None:
    """Trace of a batch.

    It takes a forward pass in each mode, after which modes, buffers and random generators are as
    they were.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized net.
    batch : tuple
        Batch of training.
    fit_params : dict
        What the module gets besides.

    Returns
    -------
    Trace or None
        None where the net does not call its module in the usual way, or never calls a layer.
    """
    module, seen = net.module_, _Seen()
    listeners = (
        (PRUNABLE, seen.hear_layer),
        (NORMS, seen.hear_norm),
        (nn.Sequential, seen.hear_call),
    )
    handles: list[RemovableHandle] = []

    def remove() -> None:
        for handle in handles:
            handle.remove()

    try:
        with Context(remove):
            for kind, hear in listeners:
                for part in module.modules():
                    if isinstance(part, kind):
                        handles.append(part.register_forward_hook(hear))
            for training in (False, True):
                _pass(net, batch, fit_params, training)
    except Exception:
        # A net may call its module otherwise; what is wrong for all of them is told in training.
        return None
    return seen.trace() if seen.called else None


def _pass(net: Any, batch: Any, fit_params: dict[str, Any], training: bool) -> None:
    module = net.module_
    # With gradients: their graph tells who feeds whom.
    with _same_draws(net), same_modes(module), _same_buffers(module), torch.enable_grad():
        module.train(training)
        net.infer(unpack_data(batch)[0], **fit_params)


class _Seen:
    """What hooks hear."""

    def __init__(self) -> None:
        self.called: dict[nn.Module, bool] = {}
        self._nodes: dict[Node, nn.Module] = {}
        self._outputs: list[tuple[nn.Module, torch.Tensor]] = []
        self._norms: dict[nn.Module, nn.Module] = {}
        self._learning: set[nn.Module] = set()
        self._calls: Counter[nn.Module] = Counter()
        self._dims: dict[nn.Module, int] = {}

    def hear_call(self, part: nn.Module, inputs: Any, output: Any) -> None:
        self._calls[part] += 1

    def hear_layer(self, layer: nn.Module, inputs: Any, z: torch.Tensor) -> None:
        self._calls[layer] += 1
        self._dims[layer] = z.dim()
        self.called.pop(layer, None)
        self.called[layer] = True
        if z.grad_fn is not None:
            self._nodes[z.grad_fn] = layer
        self._outputs.append((layer, z))

    def hear_norm(self, norm: nn.Module, inputs: Any, z: Any) -> None:
        if norm.training and getattr(norm, "running_mean", None) is not None:
            self._learning.add(norm)
        for layer, output in self._outputs:
            if inputs and inputs[0] is output:
                self._norms[layer] = norm

    def trace(self) -> Trace:
        """What was seen, once the passes are over."""
        feeding = self._feeding()
        # What has no graph, in checkpoints for instance, may feed anything.
        known = set(self._nodes.values())
        outputs = [layer for layer in self.called if layer in known and layer not in feeding]
        return Trace(
            set(self.called),
            outputs or list(self.called)[-1:],
            self._norms,
            self._learning,
            self._calls,
            self._dims,
        )

    def _feeding(self) -> set[nn.Module]:
        """Layers that feed another one: those that are met on the way back from it."""
        feeding: set[nn.Module] = set()
        seen: set[Node] = set()
        ahead = [before for node in self._nodes for before, _ in node.next_functions]
        while ahead:
            node = ahead.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if node in self._nodes:
                feeding.add(self._nodes[node])
            else:
                ahead.extend(before for before, _ in node.next_functions)
        return feeding


def renew_statistics(
    net: Any, dataset: Any, names: Sequence[str], fit_params: dict[str, Any]
) -> None:
    """Running statistics of the net of now: means over one pass through the rows of training.

    Only the named normalizations are in training mode in it. Modes and random generators are as
    they were afterwards; new tensors take the place of the old statistics.

    Parameters
    ----------
    net : skorch.NeuralNet
        Net in training.
    dataset : Dataset
        Rows of training.
    names : list of str
        Normalizations of its module.
    fit_params : dict
        What the module gets besides.
    """
    module = net.module_
    norms = [module.get_submodule(name) for name in names]
    if not norms:
        return
    momenta = [partial(setattr, norm, "momentum", norm.momentum) for norm in norms]
    with _same_draws(net), same_modes(module), Context(*momenta), torch.no_grad():
        module.eval()
        for norm in norms:
            for name in STATISTICS:
                setattr(norm, name, getattr(norm, name).clone())
            norm.reset_running_stats()
            # Which makes them plain means.
            norm.training, norm.momentum = True, None
        for batch in net.get_iterator(dataset, training=True):
            net.infer(unpack_data(batch)[0], **fit_params)


def outputs_of(net: Any, dataset: Any, fit_params: dict[str, Any]) -> list[torch.Tensor]:
    """What a module puts out for the first batch of a dataset, in evaluation mode.

    Modes, buffers and random generators are as they were afterwards.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized net.
    dataset : Dataset
        Rows.
    fit_params : dict
        What the module gets besides.

    Returns
    -------
    list of torch.Tensor
        All of them, if it puts out a tuple, a list or a dict.
    """
    module = net.module_
    with _same_draws(net), same_modes(module), _same_buffers(module), torch.no_grad():
        module.eval()
        batch = next(iter(net.get_iterator(dataset, training=False)))
        return list(_tensors(net.infer(unpack_data(batch)[0], **fit_params)))


def check_same(before: Sequence[torch.Tensor], after: Sequence[torch.Tensor]) -> None:
    """Raise ValueError unless outputs are the same but for rounding.

    Parameters
    ----------
    before, after : list of torch.Tensor
        As `outputs_of` gives them.
    """
    if len(before) != len(after):
        raise ValueError("the number of outputs is another one")
    for old, new in zip(before, after, strict=True):
        if old.shape != new.shape:
            raise ValueError(f"outputs of shape {tuple(old.shape)} are of {tuple(new.shape)}")
        if not old.is_floating_point() or not old.numel():
            continue
        difference, largest = (old - new).abs().max(), old.abs().max()
        if not difference <= largest * torch.finfo(old.dtype).eps ** 0.5:
            raise ValueError(f"outputs up to {largest:.3g} would differ by {difference:.3g}")


def _tensors(found: Any) -> Iterator[torch.Tensor]:
    if torch.is_tensor(found):
        yield found
    elif isinstance(found, (list, tuple, dict)):
        for part in found.values() if isinstance(found, dict) else found:
            yield from _tensors(part)


def _same_draws(net: Any) -> Context:
    """Random generators that what a user wrote may draw from are as before, afterwards."""
    lazy = any(map(is_lazy, net.module_.parameters()))
    device = torch.device(net.device or "cpu")
    on_device = torch.get_device_module(device) if device.type != "cpu" else None
    shared = check_random_state(None)
    restores = [
        partial(shared.set_state, shared.get_state()),
        partial(random.setstate, random.getstate()),
    ]
    # Unless layers draw their first weights.
    if not lazy:
        restores.append(partial(torch.set_rng_state, torch.get_rng_state()))
        if on_device:
            there = on_device.get_rng_state(device)
            restores.append(partial(on_device.set_rng_state, there, device))
    return Context(*restores)


def same_modes(module: nn.Module) -> Context:
    """Every part is in the mode that it was in, afterwards."""
    return Context(
        *(partial(setattr, part, "training", part.training) for part in module.modules())
    )


def _same_buffers(module: nn.Module) -> Context:
    """Whatever writes into buffers writes into copies."""
    before = [
        (part, name, buffer)
        for part in module.modules()
        for name, buffer in part.named_buffers(recurse=False)
        if not is_lazy(buffer)
    ]
    context = Context(*(partial(setattr, *place) for place in before))
    for part, name, buffer in before:
        setattr(part, name, buffer.clone())
    return context
