"""Which layers of a module are pruned, and why others are not."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from skactprune._warnings import warn
from skactprune.nets.matrices import matrix
from skactprune.nets.mlp import MLP
from skactprune.pruning.chain import Chain
from skactprune.pruning.conv_chain import ConvChain, feeds_of
from skactprune.pruning.holding import check_maskable
from skactprune.pruning.loose import Loose
from skactprune.pruning.passes import NORMS, PRUNABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from skactprune._types import Layer
    from skactprune.pruning.passes import Trace

    AnyLayout: TypeAlias = Chain | Loose
    # Layers to leave alone, by their names or as themselves, and what holds a parameter.
    Given: TypeAlias = str | nn.Module | Sequence[str | nn.Module] | None
    _Holder: TypeAlias = tuple[str, nn.Parameter]

N_NAMED = 12


def is_chain(module: nn.Module) -> TypeGuard[MLP]:
    """Whether it is known, without looking at a batch, which layer feeds which."""
    return isinstance(module, MLP)


def layout_of(
    module: nn.Module,
    trace: Trace | None = None,
    ignored_layers: Given = (),
    layer_fractions: dict[Any, float] | None = None,
) -> AnyLayout:
    """Layout of the layers of a module that are to be pruned.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.
    trace : Trace or None, default=None
        What it does with a batch; None where that is not known: all layers are taken as called
        then, and the one that is defined last as the output layer.
    ignored_layers : sequence of str or torch.nn.Module, default=()
        Layers, or modules with layers in them, to leave alone.
    layer_fractions : dict, default=None
        Shares for layers, or modules with layers in them, of their own.

    Returns
    -------
    Chain, Loose or ConvChain

    Raises
    ------
    ValueError
        If there is no hidden layer, for layers that are not there or cannot be pruned; a
        multi-layer perceptron of this package may have no hidden layer.

    Warns
    -----
    UserWarning
        Naming what is left alone though nobody asked for it.
    """
    if is_chain(module):
        for name, value in (
            ("ignored_layers", ignored_layers),
            ("layer_fractions", layer_fractions),
        ):
            if value:
                raise ValueError(
                    f"{name}={value!r} must be empty for {type(module).__name__}, a multi-layer "
                    "perceptron of this package, of which all hidden layers are pruned."
                )
        return Chain([matrix(layer.weight).shape for layer in module.layers[:-1]])
    return _Choice(module, trace, ignored_layers, layer_fractions or {}).layout()


class _Choice:
    """Layers of a module by what becomes of them."""

    def __init__(
        self,
        module: nn.Module,
        trace: Trace | None,
        ignored_layers: Given,
        layer_fractions: dict[Any, float],
    ) -> None:
        self._module, self._trace = module, trace
        self._layers: dict[str, Layer] = {
            name: part for name, part in module.named_modules() if isinstance(part, PRUNABLE)
        }
        # What is given may name modules that hold layers, or other weights.
        self._ignored = self._inside(_listed(ignored_layers), "ignored_layers", ignored_layers)
        self._reasons: dict[str, str] = {}
        self._outputs = self._found_outputs()
        for name in self._layers:
            reason = self._why_not(name)
            if reason:
                self._reasons[name] = reason
        self._leave_shared()
        self._given = layer_fractions
        self._fractions = self._of_layers(layer_fractions)

    def layout(self) -> Loose:
        """The layout, after a warning of what is left alone though nobody asked for it."""
        names = [name for name in self._layers if name not in self._reasons]
        if not names:
            raise ValueError(self._nothing())
        for name in names:
            check_maskable(self._layers[name], name)
        self._tell(names)
        feeds = feeds_of(self._module, self._trace, names, self._outputs[-1])
        kind: Callable[..., Loose] = partial(ConvChain, feeds=feeds) if feeds else Loose
        return kind(
            [matrix(self._layers[name].weight).shape for name in names],
            names,
            self._outputs[-1],
            norms=self._norms(names),
            learning=self._learning(),
            fractions=[self._fractions.get(name) for name in names],
            traced=self._trace is not None,
        )

    # -- what becomes of a layer ------------------------------------------------------------

    def _found_outputs(self) -> list[str]:
        if not self._layers:
            raise ValueError(self._nothing())
        if self._trace is None:
            return list(self._layers)[-1:]
        names: dict[nn.Module, str] = {layer: name for name, layer in self._layers.items()}
        return [names[layer] for layer in self._trace.outputs]

    def _why_not(self, name: str) -> str | None:
        """Why a layer is not pruned; None where it is."""
        layer = self._layers[name]
        if name in self._outputs:
            return "an output layer"
        if name in self._ignored:
            return "in ignored_layers"
        if self._trace is not None and layer not in self._trace.called:
            return "never called as a module"
        if any(map(is_lazy, layer.parameters())):
            return "without weights yet, which the first batch gives it"
        if not any(p.requires_grad for p in _matrices(layer)):
            return "frozen"
        return None

    def _leave_shared(self) -> None:
        """One weight in several layers is pruned once; what others need is left alone."""
        holders: dict[int, list[_Holder]] = {}
        for prefix, part in self._module.named_modules():
            # Leaves of a parametrization lie below their layer.
            owner = prefix.partition(".parametrizations")[0]
            for parameter in part.parameters(recurse=False):
                if not is_lazy(parameter) and parameter.dim() > 1:
                    holders.setdefault(parameter.data_ptr(), []).append((owner, parameter))
        for name, layer in self._layers.items():
            if name in self._reasons:
                continue
            for parameter in _matrices(layer):
                if parameter.dim() > 1:
                    self._look_at_holders(name, parameter, holders[parameter.data_ptr()])

    def _look_at_holders(self, name: str, parameter: nn.Parameter, holders: list[_Holder]) -> None:
        for owner, held in holders:
            if owner == name:
                continue
            if owner in self._layers and owner not in self._reasons and held is parameter:
                if list(self._layers).index(owner) > list(self._layers).index(name):
                    self._reasons[owner] = "the same as another"
            elif self._reasons.get(owner) != "the same as another":
                self._reasons[name] = f"shares its weight with {owner!r}"

    def _of_layers(self, fractions: Any) -> dict[str, float]:
        """Share for each layer that has one of its own; the innermost name counts."""
        if not isinstance(fractions, dict):
            raise ValueError(
                f"layer_fractions={fractions!r} must be a dict of names and shares, or None."
            )
        found: dict[str, float] = {}
        named = [(self._name(key, "layer_fractions", fractions), key) for key in fractions]
        for name, key in sorted(named, key=lambda pair: len(pair[0])):
            share = fractions[key]
            if isinstance(share, bool) or not (isinstance(share, Real) and 0 <= float(share) < 1):
                raise ValueError(
                    f"layer_fractions={fractions!r} must have values in [0, 1); {name!r} has "
                    f"{share!r}."
                )
            inside = [layer for layer in self._layers if _within(layer, name)]
            pruned = [layer for layer in inside if layer not in self._reasons]
            if not pruned:
                why = {layer: self._reasons[layer] for layer in inside}
                raise ValueError(
                    f"layer_fractions={fractions!r} must name layers that are pruned; there is "
                    f"none in {name!r}{f': {_joined(why)}' if why else ''}."
                )
            found.update(dict.fromkeys(pruned, float(share)))
        return found

    # -- names ------------------------------------------------------------------------------

    def _name(self, given: Any, parameter: str, value: Any) -> str:
        """Name of a module that was given by it or as itself."""
        known = {name: part for name, part in self._module.named_modules() if name}
        if isinstance(given, str) and given in known:
            return given
        for name, part in known.items():
            if part is given:
                return name
        raise ValueError(
            f"{parameter}={value!r} must name modules of {type(self._module).__name__}, or hold "
            f"them; it has none {given!r}. Its layers: {', '.join(map(repr, self._layers))}."
        )

    def _inside(self, given: Iterable[Any], parameter: str, value: Any) -> set[str]:
        """Names of all modules that are given or lie within them."""
        outer = [self._name(one, parameter, value) for one in given]
        return {
            name
            for name, _ in self._module.named_modules()
            if any(_within(name, one) for one in outer)
        }

    # -- what the layout knows besides ------------------------------------------------------

    def _norms(self, names: list[str]) -> dict[int, str]:
        if self._trace is None:
            return {}
        parts = {part: name for name, part in self._module.named_modules()}
        return {
            depth: parts[self._trace.norms[self._layers[name]]]
            for depth, name in enumerate(names)
            if self._layers[name] in self._trace.norms
        }

    def _learning(self) -> list[str]:
        if self._trace is None:
            return []
        return [n for n, part in self._module.named_modules() if part in self._trace.learning]

    # -- messages ---------------------------------------------------------------------------

    def _nothing(self) -> str:
        message = (
            "Pruner needs a module with at least one hidden layer before its output layer; "
            f"{type(self._module).__name__} has {len(self._layers)} linear or convolutional layers"
        )
        return f"{message}: {_joined(self._reasons)}." if self._layers else f"{message}."

    def _tell(self, names: list[str]) -> None:
        silent = ("an output layer", "in ignored_layers", "the same as another")
        left = {n: reason for n, reason in self._reasons.items() if reason not in silent}
        left |= dict.fromkeys(self._other_weights(), "no weight of a linear or convolutional layer")
        if left:
            warn(
                f"Pruner leaves alone: {_joined(left)}. Sparsity and prune_fraction are shares of "
                f"what it prunes: {', '.join(map(repr, names))}. Name what is meant to be left "
                "alone in ignored_layers."
            )

    def _other_weights(self) -> Iterator[str]:
        """Trained weights that belong to no layer of the kinds that are pruned."""
        known = {id(p) for layer in self._layers.values() for p in layer.parameters()}
        for prefix, part in self._module.named_modules():
            if isinstance(part, NORMS) or prefix in self._ignored:
                continue
            for name, p in part.named_parameters(prefix, recurse=False):
                if id(p) not in known and p.requires_grad and not is_lazy(p) and p.dim() > 1:
                    yield name


def found_zeros(module: nn.Module, layout: AnyLayout) -> list[NDArray[np.bool_]]:
    """Masks of what is zero in the layers of a module as if it had been pruned before.

    Parameters
    ----------
    module : torch.nn.Module
        Its layers.
    layout : Loose
        Which of them are pruned.

    Returns
    -------
    list of bool ndarray
        A layer in which single weights, or all, are zero is taken as not pruned.
    """
    masks = [(matrix(layer.weight) != 0).cpu().numpy() for layer in layout.layers(module)[:-1]]
    for mask in masks:
        n_zero = mask.size - int(mask.sum())
        if n_zero < max(2, 0.01 * mask.size) or n_zero == mask.size:
            mask[:] = True
    return masks


def _listed(given: Given) -> tuple[str | nn.Module, ...]:
    """Layers that were given, one or many."""
    if given is None:
        return ()
    return (given,) if isinstance(given, (str, nn.Module)) else tuple(given)


def _within(name: str, outer: str) -> bool:
    return name == outer or name.startswith(f"{outer}.")


def _matrices(layer: Layer) -> list[nn.Parameter]:
    """Parameters of a layer that its weight is, or is computed from."""
    if parametrize.is_parametrized(layer, "weight"):
        return list(layer.get_submodule("parametrizations.weight").parameters())
    return [p for p in layer.parameters(recurse=False) if p.dim() > 1]


def _joined(reasons: dict[str, str]) -> str:
    named = [f"{name!r} ({reason})" for name, reason in list(reasons.items())[:N_NAMED]]
    more = len(reasons) - N_NAMED
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
