"""Layers in ``nn.Sequential``: whom each feeds is known, so that channels can be cut out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from skactprune.nets.matrices import matrix
from skactprune.pruning import surgery
from skactprune.pruning.loose import Loose, layer_of
from skactprune.pruning.masks import all_of
from skactprune.pruning.passes import CONVOLUTIONS, PRUNABLE, same_modes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeGuard, TypeVar

    from numpy.typing import NDArray
    from skorch import NeuralNet

    from skactprune._types import Layer
    from skactprune.pruning.layouts import Feeds
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.passes import Trace

    Matrix = TypeVar("Matrix", NDArray[Any], torch.Tensor)

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
AVERAGES = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
POOLS = (
    *AVERAGES,
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)
# Each entry by itself, the same for all, or left alone in evaluation mode.
ELEMENTWISE = (
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Softplus, nn.Softsign, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Threshold),
    *(nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink),
)
# What has an entry for every channel besides the layers.
SIZED = (*BATCH_NORMS, nn.PReLU)


class ConvChain(Loose):
    """Layers of a module, some of which are known to feed the next and nothing else.

    They are masked as in `Loose` while the net trains. When training is over, channels and neurons
    leave that have no weight left or that nothing reads: `cut`.

    Parameters
    ----------
    shapes, names, output, **known
        As for `Loose`.
    feeds : dict of int to (list of str, str)
        For the depth of a hidden layer that feeds the next one, or the last of them the output
        layer: names of what lies in between, and of the layer that is fed.
    """

    def __init__(
        self,
        shapes: Iterable[Sequence[int]],
        names: Sequence[str] = (),
        output: str = "",
        *,
        feeds: Feeds,
        **known: Any,
    ) -> None:
        super().__init__(shapes, names, output, **known)
        self.feeds = feeds

    def columns(self, depth: int, live: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Original indices of the inputs that layer `depth` has now."""
        n_in = self.shapes[depth][1]
        if depth - 1 not in self.feeds:
            return np.arange(n_in)
        left = np.isin(np.arange(self.shapes[depth - 1][0]), live[depth - 1])
        return np.flatnonzero(np.repeat(left, n_in // len(left)))

    @torch.no_grad()
    def cut(
        self, net: NeuralNet, masks: Masks, merge: bool = True
    ) -> tuple[Masks, list[NDArray[np.bool_]]]:
        """Cut out, of module and optimizer, channels that have no weight or are read by none.

        A channel without weights puts out a constant. What the next layer makes of it is added to
        the bias of that, or taken from the running mean of a batch normalization that follows it.
        Neither can be where zeros are padded to a constant, or the next layer has no bias: then one
        of these channels stays, with the sum of what the next layer made of all of them.

        Parameters
        ----------
        net : skorch.NeuralNet
            Its module and optimizer are changed, so that the module puts out what it did before,
            in evaluation mode.
        masks : Masks
            What is left.
        merge : bool, default=True
            Whether weights of several channels may be added up; otherwise these channels stay.

        Returns
        -------
        masks : Masks
            What is left then.
        keep : list of bool ndarray of shape (n_out,)
            Channels of each hidden layer that stayed; one of each does in any case.
        """
        layers = self.layers(net.module_)
        used = self._used(layers, masks)
        current = [mask.copy() for mask in masks.current]
        keep = all_of(masks)
        for depth in sorted(self.feeds):
            gone: NDArray[np.bool_] = ~np.any(used[depth], axis=1)
            gone[0] &= not gone.all()
            if not gone.any():
                continue
            link = self._link(net.module_, layers, depth)
            stays, merged = link.hand_on(gone, merge)
            keep[depth] = ~gone | stays
            for mask in (*current[depth + 1 : depth + 2], *used[depth + 1 : depth + 2]):
                inputs = _by_neuron(mask, len(gone))
                if merged is not None:
                    inputs[:, stays] = merged
                inputs[:, ~keep[depth]] = False
        for depth in self.feeds:
            if not keep[depth].all():
                self._link(net.module_, layers, depth).cut(surgery.optimizers_of(net), keep[depth])
        return masks.replaced(current).without(keep), keep

    def _used(self, layers: Sequence[Layer], masks: Masks) -> list[NDArray[np.bool_]]:
        """Weights that are not masked, or not zero, and that something reads."""
        used = [
            mask | (matrix(layer.weight) != 0).cpu().numpy()
            for mask, layer in zip(masks.current, layers, strict=False)
        ]
        for depth in sorted(self.feeds, reverse=True):
            for following in used[depth + 1 : depth + 2]:
                used[depth][~_by_neuron(following, len(used[depth])).any(axis=(0, 2))] = False
        return used

    def _link(self, module: torch.nn.Module, layers: Sequence[Layer], depth: int) -> _Link:
        between, reader = self.feeds[depth]
        after = self.feeds.get(depth + 1, ([], ""))[0]
        following = module.get_submodule(after[0]) if after else None
        parts = [module.get_submodule(name) for name in between]
        return _Link(layers[depth], parts, layer_of(module, reader), following)


class _Link:
    """A layer, what lies between it and the layer that it feeds, that one, and what follows it."""

    def __init__(
        self, layer: Layer, between: list[nn.Module], reader: Layer, following: nn.Module | None
    ) -> None:
        self._layer, self._between, self._reader = layer, between, reader
        self._norm = following if isinstance(following, BATCH_NORMS) else None

    def hand_on(
        self, gone: NDArray[np.bool_], merge: bool
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
        """Let the reader have without some neurons what these constants gave it.

        Parameters
        ----------
        gone : bool ndarray of shape (n_out,)
            Neurons of the layer that have no weight.
        merge : bool
            See `ConvChain.cut`.

        Returns
        -------
        stays : bool ndarray of shape (n_out,)
            Those of them without which that cannot be.
        merged : bool ndarray of shape (n_next, 1, n_each) or None
            Where the reader has weights for the one that stays for all, if there is such a one.
        """
        weight = _by_neuron(matrix(self._reader.weight).double(), len(gone))
        constants, even = self._constants()
        carried = (weight * constants).cpu().numpy()
        needed = gone & carried.any(axis=(0, 2))
        nothing = np.zeros_like(gone)
        if not needed.any() or (even and self._absorb(carried[:, needed].sum(axis=(1, 2)))):
            return nothing, None
        if not (merge and even and constants.shape[1] == 1) or needed.sum() == 1:
            return needed, None
        # The largest, so that nothing is divided by something small.
        sizes = np.where(needed, constants[:, 0].abs().cpu().numpy(), -1)
        stays = nothing.copy()
        stays[sizes.argmax()] = True
        some = torch.from_numpy(needed).to(weight.device)
        total = (weight * constants)[:, some].sum(dim=1) / constants[sizes.argmax()]
        weight = weight.clone()
        weight[:, sizes.argmax()] = total
        self._reader.weight.data = weight.to(self._reader.weight).reshape(self._reader.weight.shape)
        return stays, (total != 0).unsqueeze(1).cpu().numpy()

    def _constants(self) -> tuple[torch.Tensor, bool]:
        """What gets to the reader from each neuron if it has no weight, and whether everywhere.

        Returns
        -------
        constants : torch.Tensor of shape (n_out, 1) or (n_out, n_positions)
            In float64.
        even : bool
            Whether it is the same at all positions before it is flattened.
        """
        layer, even = self._layer, True
        bias = layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias
        # Two rows, as some normalizations take means over them.
        h = bias.detach().reshape(1, -1, *[1] * (layer.weight.dim() - 2)).repeat_interleave(2, 0)
        for part in self._between:
            if isinstance(part, POOLS):
                even &= _keeps_constants(part)
            elif isinstance(part, nn.Flatten):
                h = h.flatten(1)
            else:
                more = max(_size(part), h.shape[1]) // h.shape[1]
                with same_modes(part):
                    h = part.eval()(h.repeat_interleave(more, dim=1))
        return h[0].double().reshape(len(bias), -1), even

    def _absorb(self, shift: NDArray[Any]) -> bool:
        """Add something to all that the reader puts out, if that can be; whether it could."""
        reader, norm = self._reader, self._norm
        if _pads_zeros(reader):
            return False
        if reader.bias is not None:
            reader.bias.data = reader.bias.data + torch.from_numpy(shift).to(reader.bias)
            return True
        if norm is not None and norm.running_mean is not None:
            norm.running_mean = norm.running_mean - torch.from_numpy(shift).to(norm.running_mean)
        # One that has no such mean takes that of the rows.
        return norm is not None

    def cut(self, optimizers: Sequence[torch.optim.Optimizer], kept: NDArray[np.bool_]) -> None:
        """Cut neurons out of the layer, of what follows it, and of the inputs of the reader."""
        surgery.cut_axis(self._layer, optimizers, 0, kept)
        for part in self._between:
            if _size(part) >= len(kept):
                surgery.cut_axis(part, optimizers, 0, np.repeat(kept, _size(part) // len(kept)))
        inputs = np.repeat(kept, self._reader.weight.shape[1] // len(kept))
        surgery.cut_axis(self._reader, optimizers, 1, inputs)


def _by_neuron(matrix: Matrix, n_before: int) -> Matrix:
    """Weights (n_out, n_in) as (n_out, n_before, n_each): those of the inputs that one gives."""
    return matrix.reshape(len(matrix), n_before, -1)


def _size(part: nn.Module) -> int:
    """Number of entries that a part has for channels, 0 where it has none or one for all."""
    if isinstance(part, nn.PReLU):
        return part.num_parameters if part.num_parameters > 1 else 0
    return part.num_features if isinstance(part, BATCH_NORMS) else 0


def _keeps_constants(pool: nn.Module) -> bool:
    """Whether a pooling puts out the constant that it gets, at the borders too."""
    if not isinstance(pool, AVERAGES):
        return True
    padded = pool.padding if isinstance(pool.padding, int) else any(pool.padding)
    return not (padded and pool.count_include_pad) and getattr(pool, "divisor_override", 0) is None


def _pads_zeros(layer: Layer) -> bool:
    if not isinstance(layer, CONVOLUTIONS) or layer.padding_mode != "zeros":
        return False
    if isinstance(layer.padding, str):
        return layer.padding == "same" and max(layer.kernel_size) > 1
    return any(layer.padding)


# -- who feeds whom ------------------------------------------------------------------------------


def feeds_of(module: nn.Module, trace: Trace | None, names: list[str], output: str) -> Feeds:
    """Which hidden layers feed nothing but the next one, or the last of them the output layer.

    That is known where both are in an ``nn.Sequential``, or in such that are nested, that is the
    module or is called by it, where each of its layers is called once whenever the whole is; where
    what lies between them treats channels one by one; and where nobody else has their parameters.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.
    trace : Trace or None
        What it does with a batch; None where that is not known, and nothing is found.
    names : list of str
        Names of the hidden layers, in the order of their definition.
    output : str
        Name of the output layer.

    Returns
    -------
    dict of int to (list of str, str)
        As `ConvChain` takes it.
    """
    if trace is None:
        return {}
    return _Feeds(module, trace, [*names, output]).found()


class _Feeds:
    """Goes through the sequences in a module."""

    def __init__(self, module: nn.Module, trace: Trace, names: list[str]) -> None:
        self._module, self._trace = module, trace
        self._depths = {name: depth for depth, name in enumerate(names)}
        self._holders = Counter(
            p.data_ptr()
            for part in module.modules()
            for p in part.parameters(recurse=False)
            if not isinstance(p, UninitializedParameter)
        )

    def found(self) -> Feeds:
        """What `feeds_of` gives."""
        feeds: Feeds = {}
        within = None
        for name, part in self._module.named_modules():
            if not _is_sequence(part) or (within is not None and name.startswith(within)):
                continue
            within = f"{name}." if name else ""
            parts = list(_flattened(part, name))
            calls, times = self._trace.calls, Counter(id(inner) for _, inner in parts)
            layers = [inner for _, inner in parts if isinstance(inner, PRUNABLE)]
            once = all(times[id(layer)] == 1 and calls[layer] == calls[part] for layer in layers)
            if calls[part] and once:
                feeds |= self._along(parts, times)
        return feeds

    def _along(self, parts: list[tuple[str, nn.Module]], times: Counter[int]) -> Feeds:
        """Links along a sequence."""
        feeds: Feeds = {}
        start: tuple[str, Layer] | None = None
        between: list[tuple[str, nn.Module]] = []
        for name, part in parts:
            if isinstance(part, PRUNABLE):
                if start and self._is_link(start[1], [p for _, p in between], part):
                    depth, reader = self._depths[start[0]], self._depths.get(name)
                    if reader == depth + 1:
                        feeds[depth] = [n for n, _ in between], name
                start, between = (name, part) if name in self._depths else None, []
            elif not _treats_channels_alone(part):
                start = None
            elif type(part) in SIZED and not (self._is_free(part) and times[id(part)] == 1):
                start = None
            else:
                between.append((name, part))
        return feeds

    def _is_link(self, layer: Layer, between: list[nn.Module], reader: Layer) -> bool:
        """Whether a layer feeds another through what is in between, channel by channel."""
        if not (self._is_plain(layer) and self._is_plain(reader)):
            return False
        flat = type(layer) is nn.Linear
        for part in between:
            # Other inputs than rows of channels are taken for a single row.
            if type(part) in POOLS and flat:
                return False
            flat = flat or type(part) is nn.Flatten
        return flat == (type(reader) is nn.Linear)

    def _is_plain(self, layer: Layer) -> bool:
        """Whether nothing is special about a layer, and it puts out rows of neurons or channels."""
        n_positions = layer.weight.dim() - 2
        return (
            type(layer) in PRUNABLE
            and getattr(layer, "groups", 1) == 1
            and self._trace.dims[layer] == n_positions + 2
            and self._is_free(layer)
        )

    def _is_free(self, part: nn.Module) -> bool:
        """Whether nobody else has the parameters of a part."""
        return all(self._holders[p.data_ptr()] == 1 for p in part.parameters())


def _is_sequence(part: nn.Module) -> TypeGuard[nn.Sequential]:
    return isinstance(part, nn.Sequential) and type(part).forward is nn.Sequential.forward


def _flattened(sequence: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """Names and parts of a sequence, and of those in it, in the order of their calls."""
    for key, part in sequence.named_modules(remove_duplicate=False):
        name = f"{prefix}.{key}" if prefix else key
        if not key or "." in key:
            continue
        if _is_sequence(part):
            yield from _flattened(part, name)
        else:
            yield name, part


def _treats_channels_alone(part: nn.Module) -> bool:
    if type(part) in SIZED:
        return True
    if type(part) is nn.Flatten:
        return part.start_dim == 1 and part.end_dim == -1
    if type(part) in POOLS:
        return not getattr(part, "return_indices", False)
    return type(part) in ELEMENTWISE
