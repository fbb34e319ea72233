"""Who feeds whom: layers that are a chain, and layers of which that is not known."""

from __future__ import annotations

from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, cast

import numpy as np
import torch

from skactprune.nets.activations import per_layer
from skactprune.nets.inference import hidden_outputs
from skactprune.nets.matrices import matrix
from skactprune.nets.plain import is_plain
from skactprune.nets.threads import one_torch_thread
from skactprune.pruning import surgery
from skactprune.pruning.blocks import fewest_connected
from skactprune.pruning.flows import flows_of_chain, flows_of_module, importances_of_module
from skactprune.pruning.gains import outgoing_of_chain, root_of
from skactprune.pruning.looks import input_sums_of_module, remove_all, slopes_of_module
from skactprune.pruning.masks import cascade
from skactprune.pruning.passes import CONVOLUTIONS, PRUNABLE, renew_statistics
from skactprune.pruning.paths import highest, widest_paths
from skactprune.pruning.probes.base import Probe
from skactprune.pruning.probes.seen import SeenRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import TypeAlias, TypeVar

    from numpy.typing import NDArray
    from skorch import NeuralNet
    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from skactprune._types import Layer
    from skactprune.nets.activations import HiddenActivation
    from skactprune.nets.mlp import MLP
    from skactprune.pruning.looks import Hear, Sums
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.surgery import Refit

    K = TypeVar("K")
    Hook: TypeAlias = tuple[torch.nn.Module, Callable[..., torch.Tensor | None]]
    Layout: TypeAlias = "Chain | Loose"
    # See `ConvChain`.
    Feeds: TypeAlias = dict[int, tuple[list[str], str]]
    Listener: TypeAlias = Callable[[int, torch.Tensor], None]

# Numbers in the widest layer, or the rows, of a forward pass.
AT_ONCE = 2**21


class Looked(SeenRun, Protocol):
    """A run whose net is looked at."""

    def weights(self) -> list[NDArray[Any]]: ...

    def signs(self, shape: Sequence[int]) -> torch.Tensor: ...


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
        self.shapes = _pairs(shapes)

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

    def activation(self, module: torch.nn.Module) -> HiddenActivation:
        """What the first hidden layer applies to its outputs, a `HiddenActivation`."""
        return per_layer(_mlp(module).activation, 1)[0]

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
        return [f.register_forward_pre_hook(partial(hook, depth=depth)) for depth, f in fed]

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
            layers, masks.current, module.activate, refit
        )
        keep: list[NDArray[np.bool_]] = [np.any(mask, axis=1) | (not cut) for mask in final]
        left = masks.replaced(final).without(keep)
        if cut:
            # Before they get their weights: normalized ones cannot be those of a dead neuron.
            cutters = surgery.cutters(layers, keep)
            weights = [cutter(weight) for cutter, weight in zip(cutters, weights, strict=True)]
            biases = [cutter(bias) for cutter, bias in zip(cutters, biases, strict=True)]
            surgery.cut(layers, net.optimizer_, keep)
        surgery.replace(layers, net.optimizer_, weights, biases, left.current)
        return left, keep


@dataclass(frozen=True)
class Place:
    """Where the gates of a hidden layer are between steps.

    Attributes
    ----------
    depth : int
        Which layer.
    parameter : torch.nn.Parameter
        What they multiply.
    axis : int
        Along which of its axes.
    """

    depth: int
    parameter: torch.nn.Parameter
    axis: int

    def shaped(self, gates: Sequence[torch.Tensor]) -> torch.Tensor:
        """Gates of the layer, from those of all, so that they multiply the parameter."""
        shape = [1] * self.parameter.dim()
        shape[self.axis] = -1
        return gates[self.depth].to(self.parameter).reshape(shape)

    def kept(self, own: K, following: K) -> tuple[K, K | None]:
        """Rows and columns of the parameter that stay, by the neurons of the layer and the next."""
        return (following, own) if self.axis else (own, None)


class Loose:
    """Linear and convolutional layers of any module, of which only the order is known.

    Neurons do not leave: nothing is known of who would miss them.

    Parameters
    ----------
    shapes : list of (int, int)
        Shapes (n_out, n_in) of the hidden weights.
    names : list of str, default=()
        Names, in the module, of the hidden layers; not needed for masks alone.
    output : str, default=""
        Name of its output layer.
    norms : dict of int to str, default=None
        Names of the normalizations that get what hidden layers put out, by depth.
    learning : list of str, default=()
        Names of the normalizations with running statistics.
    fractions : list of float or None, default=None
        For each hidden layer the share that is to go of it, None where it has none of its own.
    traced : bool, default=True
        Whether a batch has told which layer is the output layer.
    """

    feeds: Feeds = {}

    def __init__(
        self,
        shapes: Iterable[Sequence[int]],
        names: Sequence[str] = (),
        output: str = "",
        norms: dict[int, str] | None = None,
        learning: Sequence[str] = (),
        fractions: Sequence[float | None] | None = None,
        traced: bool = True,
    ) -> None:
        self.shapes = _pairs(shapes)
        self.names, self.output = list(names), output
        self.norms, self.learning = norms or {}, list(learning)
        self.fractions: Sequence[float | None] = fractions or [None] * len(self.shapes)
        self.traced = traced

    def of_shapes(self, shapes: Iterable[Sequence[int]]) -> Self:
        """Layout of the same kind."""
        layout = copy(self)
        layout.shapes = _pairs(shapes)
        return layout

    def part(self, depths: list[int]) -> Loose:
        """Layout of some of the hidden layers."""
        return Loose(
            [self.shapes[depth] for depth in depths],
            [self.names[depth] for depth in depths],
            self.output,
        )

    def layers(self, module: torch.nn.Module) -> list[Layer]:
        """Hidden layers in order of definition, then the output layer."""
        return [layer_of(module, name) for name in (*self.names, self.output)]

    def widths(self, module: torch.nn.Module) -> list[int]:
        """Numbers of neurons that the hidden layers have now."""
        return [len(layer.weight) for layer in self.layers(module)[:-1]]

    def is_of(self, module: torch.nn.Module, masks: Masks) -> bool:
        """Whether a module has these layers, in the shapes of masks."""
        parts = dict(module.named_modules())
        if not all(name in parts for name in (*self.names, self.output)):
            return False
        found = [matrix(layer.weight).shape for layer in self.layers(module)[:-1]]
        return [tuple(shape) for shape in found] == [mask.shape for mask in masks.current]

    def columns(self, depth: int, live: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Original indices of the inputs of layer `depth`."""
        return np.arange(self.shapes[depth][1])

    def cascade(self, masks: list[NDArray[np.bool_]]) -> list[NDArray[np.bool_]]:
        """The masks: nothing is known of paths."""
        return masks

    def last_paths(
        self, ranks: list[NDArray[np.int64]], floors: Sequence[int]
    ) -> list[NDArray[np.bool_]]:
        """True for the highest weight of every layer."""
        return [highest(rank, 1) for rank in ranks]

    def fewest_weights(self, granularity: str | tuple[int, int], floors: Sequence[int]) -> int:
        """Number of weights that selection never removes, as in `Chain`."""
        if granularity != "neuron":
            return fewest_connected(self.shapes, granularity, floors)
        return sum(floor * n_in for floor, (_, n_in) in zip(floors, self.shapes, strict=True))

    def activation(self, module: torch.nn.Module) -> None:
        """None: it is not known what is applied to the outputs of hidden layers."""
        return None

    def read_by_first(self, rows: Any) -> None:
        """Nothing: it is not known which layer reads the features."""
        return None

    def per_input(
        self,
        features: NDArray[Any] | None,
        neurons: list[NDArray[Any]],
        look: Callable[[], list[NDArray[Any]]] | None = None,
    ) -> Sequence[NDArray[Any] | None]:
        """What a look at the inputs tells; None for every layer without one."""
        return [None] * len(self.shapes) if look is None else look()

    def threads(self) -> AbstractContextManager[Any]:
        """Context for rounds: nothing is changed, as torch trains."""
        return nullcontext()

    def require_chain(self, method: str, module: torch.nn.Module, what: str) -> NoReturn:
        """Raise ValueError for a `method` that must know `what` is known of a chain."""
        raise ValueError(
            f"method={method} needs to know {what}, as in the nets of PrunedMLPClassifier; for "
            f"{type(module).__name__} use another method, such as 'activation_surgeon'."
        )

    def forward(self, run: Looked, X: Any) -> list[torch.Tensor]:
        """Forward pass in evaluation mode; listeners hear of the pre-activations in it."""
        run.net.infer(X, **run.fit_params)
        return []

    def at_least(self) -> int:
        """0: batches are those of the net, as nothing is known of what its layers put out."""
        return 0

    def outputs(self, run: Looked, X: Any) -> list[NDArray[Any]]:
        """What hidden neurons put out where they fire, 0 elsewhere; a row for every position."""
        got: list[list[NDArray[Any]]] = [[np.zeros((0, n))] for n in self.widths(run.net.module_)]
        removes: list[Callable[[], None]] = []

        def hear(depth: int, z: torch.Tensor) -> None:
            got[depth].append(z.clamp_min(0).double().cpu().numpy())

        with run.cleaning(lambda: [remove() for remove in removes]):
            removes += self.watch(run.net.module_, hear)
            self.forward(run, X)
        return [np.concatenate(h) for h in got]

    def responses(self, run: Looked, X: Any) -> NDArray[Any]:
        """What the output layer reads, as in `Chain`; each position of a convolution has a row."""
        module, got = run.net.module_, []
        hook = self.layers(module)[-1].register_forward_pre_hook(
            lambda _, inputs: got.append(self.rows_read(module, inputs[0]).double().cpu().numpy())
        )
        with run.cleaning(hook.remove):
            self.forward(run, X)
        return np.concatenate(got)

    def importances(
        self, run: Looked, last: NDArray[Any], kept: Callable[[int, NDArray[Any]], NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Importances of hidden neurons; see `importances_of_module`."""
        X, _ = run.rows.training[np.zeros(1, dtype=int)]
        return importances_of_module(self, run.net.module_, last, kept, X, run.fit_params)

    def input_sums(self, run: Looked, X: Any, row_weight: NDArray[Any]) -> list[Sums]:
        """Sums over rows of inputs and their squares; see `input_sums_of_module`."""
        hidden = self.layers(run.net.module_)[:-1]
        return input_sums_of_module(hidden, lambda: self.forward(run, X), row_weight, run.cleaning)

    def outgoing(
        self, run: Looked, rates: list[NDArray[Any]], n_rows: int
    ) -> list[NDArray[np.float64]]:
        """Matrices that stand for outgoing weights, which are not known.

        Columns have the products that the slopes of the outputs in what two neurons put out have on
        average, over rows where they fire.
        """
        rows = run.rows.sample(n_rows)
        grams = [np.zeros((n, n)) for n in self.widths(run.net.module_)]
        for some in run.rows.in_batches(rows):
            X = run.rows.watched[some][0]
            slopes = slopes_of_module(
                self, run.net.module_, partial(self.forward, run, X), run.signs, run.cleaning
            )
            for gram, slope in zip(grams, slopes, strict=True):
                gram += slope.T @ slope / len(rows)
        return [root_of(gram, rate) for gram, rate in zip(grams, rates, strict=True)]

    def flows(self, net: NeuralNet, dataset: Any, fit_params: dict[str, Any]) -> list[NDArray[Any]]:
        """What flows through every hidden weight, by a forward pass of a row of ones."""
        X, _ = dataset[np.zeros(1, dtype=int)]
        return flows_of_module(net.module_, self.layers(net.module_), X, fit_params)

    def watch(self, module: torch.nn.Module, listener: Listener) -> list[Callable[[], None]]:
        """Call ``listener(depth, z)`` with the pre-activations of hidden layers, as rows.

        A channel of a convolution is a neuron with a row for every position. Where a layer is
        followed by a normalization, they are what that puts out, which the nonlinearity sees.

        Parameters
        ----------
        module : torch.nn.Module
            The module.
        listener : callable
            Called at once, before the module may overwrite them.

        Returns
        -------
        list of callable
            Each ends it for a layer.
        """

        def hear(depth: int, z: torch.Tensor) -> None:
            listener(depth, self.rows(module, depth, z.detach()))

        return [handle.remove for handle in self.tap(module, hear)]

    def tap(self, module: torch.nn.Module, hear: Hear) -> list[RemovableHandle]:
        """Call ``hear(depth, z)`` as `watch`, but with what it is, and put in place what it gives.

        Parameters
        ----------
        module : torch.nn.Module
            The module.
        hear : callable
            What it returns takes the place of the pre-activations, unless it is None.

        Returns
        -------
        list of torch.utils.hooks.RemovableHandle
        """
        handles = []
        for depth, layer in enumerate(self.layers(module)[:-1]):
            listening = _Listening(depth, hear)
            hooks: list[Hook] = [(layer, listening)]
            if depth in self.norms:
                norm = module.get_submodule(self.norms[depth])
                hooks = _through_norm(layer, listening, norm)
            handles += [part.register_forward_hook(hook) for part, hook in hooks]
        return handles

    def rows(self, module: torch.nn.Module, depth: int, z: torch.Tensor) -> torch.Tensor:
        """Outputs of a layer as rows, one for every position at which its neurons fire or not."""
        return _rows(z, self.axis(module, depth))

    def axis(self, module: torch.nn.Module, depth: int) -> int:
        """Axis of the neurons in what a hidden layer puts out."""
        return _axis(module.get_submodule(self.names[depth]))

    def rows_read(self, module: torch.nn.Module, h: torch.Tensor) -> torch.Tensor:
        """What the output layer reads as rows, one for every position."""
        return _rows(h, _axis(self.layers(module)[-1]))

    def places_of_gates(self, module: torch.nn.Module) -> list[Place]:
        """Where gates are between steps: in what gives a neuron its pre-activations.

        Raises
        ------
        ValueError
            Naming a normalization that has no weights of its own for the neurons of a layer.
        """
        places = []
        for depth, layer in enumerate(self.layers(module)[:-1]):
            part: Any = layer
            if depth in self.norms:
                part = module.get_submodule(self.norms[depth])
                weight = getattr(part, "weight", None)
                alone = list(self.norms.values()).count(self.norms[depth]) == 1
                if not alone or weight is None or weight.shape != (len(layer.weight),):
                    raise ValueError(
                        f"gates need a weight for each neuron of {self.names[depth]!r}, which the "
                        f"normalization after it, {self.norms[depth]!r}, does not have."
                    )
            parameters = [part.weight, part.bias]
            places += [Place(depth, p, 0) for p in parameters if p is not None]
        return places

    def gate(
        self, module: torch.nn.Module, multiplied: Callable[[int, torch.Tensor], torch.Tensor]
    ) -> list[RemovableHandle]:
        """Put ``multiplied(depth, z)`` in place of what nonlinearities get; as in `Chain`."""
        layers = self.layers(module)

        def hear(depth: int, z: torch.Tensor) -> torch.Tensor | None:
            if not layers[depth].training:
                return None
            axis = self.axis(module, depth)
            return multiplied(depth, z.movedim(axis, -1)).movedim(-1, axis)

        return self.tap(module, hear)

    def weights_of_neurons(self, module: torch.nn.Module) -> list[int]:
        """Number of weights into a neuron of each hidden layer; nothing is known of others."""
        return [matrix(layer.weight).shape[1] for layer in self.layers(module)[:-1]]

    def size(self, widths: Sequence[Any]) -> Any:
        """Number of hidden weights if the hidden layers have so many neurons."""
        return sum(width * n_in for width, (_, n_in) in zip(widths, self.shapes, strict=True))

    def checks(self) -> list[Probe]:
        """Probes that make sure that the module is what it is taken for."""
        return [] if self.traced else [OutputLayerCheck()]

    def renew(self, net: NeuralNet, dataset: Any, fit_params: dict[str, Any]) -> None:
        """Bring the running statistics of normalizations up to the weights of now."""
        renew_statistics(net, dataset, self.learning, fit_params)

    def prune(
        self, net: NeuralNet, masks: Masks, *, cut: bool, refit: Refit | None = None
    ) -> tuple[Masks, list[NDArray[np.bool_]]]:
        """Mask weights; parameters and return values as in `Chain`."""
        layers = self.layers(net.module_)[:-1]
        with torch.no_grad():
            weights = [
                layer.weight * torch.from_numpy(mask).to(layer.weight).reshape(layer.weight.shape)
                for layer, mask in zip(layers, masks.current, strict=True)
            ]
        surgery.replace(layers, net.optimizer_, weights, masks=masks.current, names=self.names)
        for bias, alive in self._idle_biases(net.module_, masks):
            bias.data = bias.data * alive
        return masks, all_of(masks)

    def cut(
        self, net: NeuralNet, masks: Masks, merge: bool = True
    ) -> tuple[Masks, list[NDArray[np.bool_]]]:
        """Cut nothing: it is not known who would miss it."""
        return masks, all_of(masks)

    def frozen(self, module: torch.nn.Module) -> list[int]:
        """Depths of the hidden layers that are not trained now."""
        hidden = enumerate(self.layers(module)[:-1])
        return [d for d, layer in hidden if not any(p.requires_grad for p in layer.parameters())]

    def held_besides(
        self, module: torch.nn.Module, masks: Masks
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """What is to be multiplied by what after a step, besides masked weights.

        A neuron without weights puts out its bias. A batch normalization after it subtracts that
        and divides by next to nothing: whatever a step makes of such a bias, which has no gradient
        but rounding, would be blown up in evaluation mode, where the mean lags behind.
        """
        return [
            (bias, torch.maximum(alive, (bias.detach() != 0).to(alive)))
            for bias, alive in self._idle_biases(module, masks)
        ]

    def _idle_biases(
        self, module: torch.nn.Module, masks: Masks
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Biases that a batch normalization subtracts again, and 0 for neurons without weights."""
        for depth, layer in enumerate(self.layers(module)[:-1]):
            alive = masks.current[depth].any(axis=1)
            if self.norms.get(depth) in self.learning and layer.bias is not None:
                if not alive.all():
                    yield layer.bias, torch.from_numpy(alive).to(layer.bias)


class OutputLayerCheck(Probe):
    """Refuses a module that calls another layer after the one that is taken for its output.

    It watches the first batch of a training that is to prune.
    """

    _handles: Sequence[RemovableHandle] = ()
    _called: torch.nn.Module | None
    _module: torch.nn.Module | None
    _output: torch.nn.Module | None

    def attach(self, run: SeenRun) -> None:
        """Watch from now on."""
        self._called, self._module = None, run.net.module_
        self._output = run.layers[-1]
        self._handles = []
        for part in self._module.modules():
            if isinstance(part, PRUNABLE) and run.pending:
                self._handles.append(part.register_forward_hook(self._note))

    def _note(self, layer: torch.nn.Module, inputs: Any, output: Any) -> None:
        self._called = layer

    def detach(self) -> None:
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._called, self._module, self._output = [], None, None, None

    def end_batch(self, batch: Any, pre_activations: list[torch.Tensor]) -> None:
        """Raise ValueError if another layer was called last."""
        if not self._handles:
            return
        called, module, defined = self._called, self._module, self._output
        self.detach()
        if module is not None and called not in (None, defined):
            names = {layer: name for name, layer in module.named_modules()}
            raise ValueError(
                f"Pruner takes the layer that a module defines last, here {names[defined]!r}, for "
                f"its output layer, but {names[called]!r} is called after it. Define the "
                f"output layer of {type(module).__name__} last."
            )


def _mlp(module: torch.nn.Module) -> MLP:
    # No other module has a `Chain`.
    return cast("MLP", module)


def layer_of(module: torch.nn.Module, name: str) -> Layer:
    """Layer of a name, of which it is known that it is pruned or an output layer."""
    # Others are not chosen.
    return cast("Layer", module.get_submodule(name))


def all_of(masks: Masks) -> list[NDArray[np.bool_]]:
    """True for each neuron of each hidden layer."""
    return [np.ones(len(mask), dtype=bool) for mask in masks.current]


def _pairs(shapes: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    return [(int(n_out), int(n_in)) for n_out, n_in in shapes]


def _axis(layer: torch.nn.Module) -> int:
    return 1 if isinstance(layer, CONVOLUTIONS) else -1


def _rows(z: torch.Tensor, axis: int) -> torch.Tensor:
    z = z.movedim(axis, -1)
    return z.reshape(-1, z.shape[-1])


class _Listening:
    """Forward hook of a layer, or of what follows it, that hands its output on."""

    def __init__(self, depth: int, hear: Hear) -> None:
        self._depth, self._hear = depth, hear

    def __call__(
        self, module: torch.nn.Module, inputs: Any, z: torch.Tensor
    ) -> torch.Tensor | None:
        return self._hear(self._depth, z)


def _through_norm(
    layer: torch.nn.Module, listening: _Listening, norm: torch.nn.Module
) -> list[Hook]:
    """Hooks that hand on what a normalization makes of the output of a layer."""
    outputs: list[torch.Tensor | None] = [None]

    def remember(module: torch.nn.Module, inputs: Any, z: torch.Tensor) -> None:
        outputs[0] = z

    def hear(
        module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], z: torch.Tensor
    ) -> torch.Tensor | None:
        # Others may use it, too.
        of_layer = inputs and inputs[0] is outputs[0]
        outputs[0] = None
        return listening(module, inputs, z) if of_layer else None

    return [(layer, remember), (norm, hear)]


def floors_of(shapes: list[tuple[int, int]], min_neurons: Any) -> list[int]:
    """Neurons that each hidden layer keeps at least, from one number for all or one for each."""
    sizes = [n_out for n_out, _ in shapes]
    given = isinstance(min_neurons, Integral)
    floors = [min_neurons] * len(sizes) if given else list(min_neurons)
    if len(floors) != len(sizes) or not all(
        isinstance(floor, Integral) and 1 <= int(floor) <= size
        for floor, size in zip(floors, sizes, strict=True)
    ):
        raise ValueError(
            f"min_neurons={min_neurons!r} must be an integer, or one for each hidden "
            f"layer, from 1 to the neurons of the layer: {sizes}."
        )
    return [int(floor) for floor in floors]
