"""Layers that are a chain: each feeds the next and nothing else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch

from skactprune.nets.activations import per_layer
from skactprune.nets.inference import hidden_outputs
from skactprune.nets.matrices import matrix
from skactprune.nets.passing import PassingHook
from skactprune.nets.plain import is_plain
from skactprune.nets.threads import one_torch_thread
from skactprune.pruning import surgery
from skactprune.pruning.blocks import fewest_connected
from skactprune.pruning.flows import flows_of_chain
from skactprune.pruning.gains import outgoing_of_chain
from skactprune.pruning.layouts import Place, pairs
from skactprune.pruning.looks import remove_all
from skactprune.pruning.masks import all_of, cascade
from skactprune.pruning.paths import widest_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray
    from skorch import NeuralNet
    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from skactprune.nets.activations import HiddenActivation
    from skactprune.nets.mlp import MLP
    from skactprune.pruning.layouts import Feeds, Listener, Looked
    from skactprune.pruning.looks import Sums
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.probes.base import Probe
    from skactprune.pruning.surgery import Refit

# Numbers in the widest layer, or the rows, of a forward pass.
AT_ONCE = 2**21


class Chain:
    """Layers each of which feeds the next, so that neurons can leave.

    Parameters
    ----------
    shapes : list of (int, int)
        Original shapes (n_out, n_in) of the hidden weights.
    """

    traced = True
    # Neurons leave with each round, and none is left to leave in the end.
    feeds: Feeds = {}
    names: list[str] = []

    def __init__(self, shapes: Iterable[Sequence[int]]) -> None:
        self.shapes = pairs(shapes)

    @property
    def fractions(self) -> Sequence[float | None]:
        """No hidden layer has a share of its own."""
        return [None] * len(self.shapes)

    def of_shapes(self, shapes: Iterable[Sequence[int]]) -> Self:
        """Layout of the same kind."""
        return type(self)(shapes)

    @staticmethod
    def layers(module: torch.nn.Module) -> list[nn.Linear]:
        """Hidden layers in order, then the output layer."""
        return list(_mlp(module).layers)

    def columns(self, depth: int, live: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Original indices of the inputs that layer `depth` has now."""
        return live[depth - 1] if depth else np.arange(self.shapes[0][1])

    def cascade(self, masks: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
        """Masks without what no path from input to output uses."""
        return cascade(masks)

    def last_paths(
        self, ranks: list[NDArray[np.int64]], floors: Sequence[int]
    ) -> list[NDArray[np.bool_]]:
        """True for the weights that must stay so that `floors` neurons stay connected."""
        return widest_paths(ranks, floors)

    def fewest_weights(self, granularity: str | tuple[int, int], floors: Sequence[int]) -> int:
        """Number of weights that selection never removes.

        Parameters
        ----------
        granularity : {"neuron", "weight", "block"} or (int, int)
            What leaves together.
        floors : list of int
            Neurons that each layer keeps at least.

        Returns
        -------
        int
        """
        if granularity != "neuron":
            return fewest_connected(self.shapes, granularity, floors)
        fan_in = [self.shapes[0][1], *floors[:-1]] if self.shapes else []
        return sum(floor * n_in for floor, n_in in zip(floors, fan_in, strict=True))

    def threads(self) -> AbstractContextManager[Any]:
        """Context for rounds: numpy's threads, which trained, would wait for torch's."""
        return one_torch_thread()

    def cut(
        self, net: NeuralNet, masks: Masks, merge: bool = True
    ) -> tuple[Masks, list[NDArray[np.bool_]]]:
        """Cut nothing: neurons leave in `prune`."""
        return masks, all_of(masks)

    def require_chain(self, method: str, module: torch.nn.Module, what: str) -> None:
        """Raise nothing: this is one."""

    def activations(self, module: torch.nn.Module) -> list[HiddenActivation]:
        """What each hidden layer applies to its outputs."""
        return list(per_layer(_mlp(module).activation, len(self.shapes)))

    def read_by_first(self, rows: Any) -> Any:
        """What the first hidden layer reads of rows: their features."""
        return rows

    def per_input(
        self,
        features: NDArray[Any] | None,
        neurons: list[NDArray[Any]],
        look: Callable[[], list[NDArray[Any]]] | None = None,
    ) -> Sequence[NDArray[Any] | None]:
        """What is known of the inputs of each hidden layer.

        Parameters
        ----------
        features : ndarray of shape (n_features,) or None
            A value for each feature.
        neurons : list of ndarray of shape (n_out,)
            A value for each neuron of each hidden layer.
        look : callable, default=None
            Gives the values where it is not known whose outputs the inputs are.

        Returns
        -------
        list of ndarray of shape (n_in,) or None
            All None where nothing is known of the features.
        """
        return [None] * len(neurons) if features is None else [features, *neurons[:-1]]

    def forward(self, run: Looked, X: Any) -> list[torch.Tensor]:
        """Forward pass in evaluation mode; returns the pre-activations of the hidden layers."""
        trace: list[torch.Tensor] = []
        run.net.infer(X, trace=trace)
        return trace

    def at_least(self) -> int:
        """Rows of a batch of a forward pass in evaluation mode, at least."""
        return AT_ONCE // max(max(shape) for shape in self.shapes)

    def outputs(self, run: Looked, X: Any) -> list[NDArray[Any]]:
        """Outputs of the hidden layers in evaluation mode, an array of shape (n_rows, n_out) each.

        Of a module that does nothing else numpy computes them, in half the time.
        """
        net, module = run.net, run.net.module_
        if is_plain(module) and torch.is_tensor(X) and X.dtype == module.layers[0].weight.dtype:
            (*coefs, _), (*intercepts, _) = module.numpy_parameters()
            with np.errstate(all="ignore"):
                return list(hidden_outputs(X.numpy(), coefs, intercepts, module.activation))
        got: list[torch.Tensor] = []
        handles: list[RemovableHandle] = []
        with run.cleaning(partial(remove_all, handles)):
            for layer in self.layers(module)[1:]:
                hook = layer.register_forward_pre_hook(lambda _, inputs: got.append(inputs[0]))
                handles.append(hook)
            net.infer(X)
        return [h.cpu().numpy() for h in got]

    def responses(self, run: Looked, X: Any) -> NDArray[Any]:
        """What the output layer reads in evaluation mode, an array of shape (n_rows, n_in)."""
        return self.outputs(run, X)[-1]

    def importances(
        self, run: Looked, last: NDArray[Any], kept: Callable[[int, NDArray[Any]], NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Importances of hidden neurons; see `importances_of_module`."""
        found = [last]
        for depth in range(len(self.shapes) - 1, 0, -1):
            size = np.abs(run.weights()[depth]).astype(np.float64)
            found.insert(0, size.T @ kept(depth, found[0]))
        return found

    def input_sums(self, run: Looked, X: Any, row_weight: NDArray[Any]) -> list[Sums]:
        """Sums over rows of inputs and their squares; see `input_sums_of_module`."""
        inputs = [np.asarray(X), *self.outputs(run, X)[:-1]]
        inputs = [np.asarray(h, dtype=np.float64) for h in inputs]
        n = float(row_weight.sum())
        with np.errstate(over="ignore", invalid="ignore"):
            return [(row_weight @ h, row_weight @ np.square(h), n) for h in inputs]

    def outgoing(
        self, run: Looked, rates: list[NDArray[Any]], n_rows: int
    ) -> list[NDArray[np.float64]]:
        """Outgoing weights of the hidden neurons; see `outgoing_of_chain`."""
        return outgoing_of_chain(run.weights(), rates)

    def flows(self, net: NeuralNet, dataset: Any, fit_params: dict[str, Any]) -> list[NDArray[Any]]:
        """What flows through every hidden weight."""
        weights = [matrix(layer.weight).cpu().numpy() for layer in self.layers(net.module_)]
        return flows_of_chain(weights)[:-1]

    def watch(self, module: torch.nn.Module, listener: Listener) -> list[Callable[[], None]]:
        """Tell a listener of nothing: what it would hear comes with the step."""
        return []

    def places_of_gates(self, module: torch.nn.Module) -> list[Place]:
        """Where gates are between steps: in the weights that neurons feed."""
        fed = enumerate(self.layers(module)[1:])
        return [Place(depth, following.get_parameter("weight"), 1) for depth, following in fed]

    def gate(
        self, module: torch.nn.Module, multiplied: Callable[[int, torch.Tensor], torch.Tensor]
    ) -> list[RemovableHandle]:
        """Put ``multiplied(depth, h)`` in place of the outputs of hidden layers, in training.

        Parameters
        ----------
        module : torch.nn.Module
            The module.
        multiplied : callable
            Gets outputs of shape (n_rows, ..., n_out).

        Returns
        -------
        list of torch.utils.hooks.RemovableHandle
        """

        def hook(
            layer: torch.nn.Module, inputs: tuple[torch.Tensor, ...], depth: int
        ) -> tuple[torch.Tensor, ...] | None:
            return (multiplied(depth, inputs[0]), *inputs[1:]) if layer.training else None

        fed = enumerate(self.layers(module)[1:])
        return [
            f.register_forward_pre_hook(PassingHook(partial(hook, depth=depth))) for depth, f in fed
        ]

    def weights_of_neurons(self, module: torch.nn.Module) -> list[int]:
        """Number of weights that go with a neuron of each hidden layer."""
        layers = self.layers(module)
        pairs = zip(layers, layers[1:], strict=False)
        return [layer.in_features + following.out_features for layer, following in pairs]

    def size(self, widths: Sequence[Any]) -> Any:
        """Number of hidden weights if the hidden layers have so many neurons."""
        widths = [self.shapes[0][1], *widths]
        return sum(a * b for a, b in zip(widths, widths[1:], strict=False))

    def checks(self) -> list[Probe]:
        """Probes that make sure that the module is what it is taken for."""
        return []

    def is_of(self, module: torch.nn.Module, masks: Masks) -> bool:
        """Whether a module has such layers; cutting keeps them in step."""
        return True

    def renew(self, net: NeuralNet, dataset: Any, fit_params: dict[str, Any]) -> None:
        """Do nothing: there is no normalization."""

    def held_besides(
        self, module: torch.nn.Module, masks: Masks
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Nothing is held besides weights."""
        return []

    def frozen(self, module: torch.nn.Module) -> list[int]:
        """None: all layers are pruned together."""
        return []

    def prune(
        self, net: NeuralNet, masks: Masks, *, cut: bool, refit: Refit | None = None
    ) -> tuple[Masks, list[NDArray[np.bool_]]]:
        """Mask weights, fold dead neurons into biases, and `cut` them out.

        Parameters
        ----------
        net : skorch.NeuralNet
            Its module and optimizer are changed.
        masks : Masks
            What is to be left.
        cut : bool
            Whether neurons without weights leave the layers.
        refit : callable, optional
            See `skactprune.pruning.surgery.fold_and_mask`.

        Returns
        -------
        masks : Masks
            What is left.
        keep : list of bool ndarray
            Neurons that stayed in the layers.
        """
        layers, module = self.layers(net.module_), net.module_
        weights, biases, final = surgery.fold_and_mask(
            layers, masks.current, module.activate, refit, masks.output
        )
        keep: list[NDArray[np.bool_]] = [np.any(mask, axis=1) | (not cut) for mask in final]
        left = masks.replaced(final).without(keep)
        if cut:
            # Before they get their weights: normalized ones cannot be those of a dead neuron.
            cutters = surgery.cutters(layers, keep)
            weights = [cutter(weight) for cutter, weight in zip(cutters, weights, strict=True)]
            biases = [cutter(bias) for cutter, bias in zip(cutters, biases, strict=True)]
            surgery.cut(layers, surgery.optimizers_of(net), keep)
        every = left.current if left.output is None else [*left.current, left.output]
        surgery.replace(layers, surgery.optimizers_of(net), weights, biases, every)
        return left, keep


def _mlp(module: torch.nn.Module) -> MLP:
    # No other module has a `Chain`.
    return cast("MLP", module)
