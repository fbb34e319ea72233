"""Layers of any module, of which it is not known whom they feed."""

from __future__ import annotations

from contextlib import nullcontext
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeAlias, cast

import numpy as np
import torch

from skactprune.nets.loading import batch_of
from skactprune.nets.matrices import matrix
from skactprune.nets.passing import PassingHook
from skactprune.nets.recomputing import recomputing
from skactprune.pruning import surgery
from skactprune.pruning.blocks import fewest_connected
from skactprune.pruning.flows import flows_of_module, importances_of_module
from skactprune.pruning.gains import root_of
from skactprune.pruning.layouts import Place, pairs
from skactprune.pruning.looks import input_sums_of_module, slopes_of_module
from skactprune.pruning.masks import all_of
from skactprune.pruning.output_layer import OutputLayerCheck
from skactprune.pruning.passes import CONVOLUTIONS, renew_statistics
from skactprune.pruning.paths import highest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray
    from skorch import NeuralNet
    from torch.utils.hooks import RemovableHandle

    from skactprune._types import Layer
    from skactprune.pruning.layouts import Feeds, Listener, Looked
    from skactprune.pruning.looks import Hear, Sums
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.probes.base import Probe
    from skactprune.pruning.surgery import Refit

    Hook: TypeAlias = tuple[torch.nn.Module, Callable[..., torch.Tensor | None]]


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
        self.shapes = pairs(shapes)
        self.names, self.output = list(names), output
        self.norms, self.learning = norms or {}, list(learning)
        self.fractions: Sequence[float | None] = fractions or [None] * len(self.shapes)
        self.traced = traced

    def of_shapes(self, shapes: Iterable[Sequence[int]]) -> Self:
        """Layout of the same kind."""
        layout = copy(self)
        layout.shapes = pairs(shapes)
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

    def activations(self, module: torch.nn.Module) -> list[None]:
        """None for each: it is not known what is applied to the outputs of hidden layers."""
        return [None] * len(self.shapes)

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
        X, _ = run.rows.of_training(np.zeros(1, dtype=int))
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
            X = run.rows.look(some)
            slopes = slopes_of_module(
                self, run.net.module_, partial(self.forward, run, X), run.signs, run.cleaning
            )
            for gram, slope in zip(grams, slopes, strict=True):
                gram += slope.T @ slope / len(rows)
        return [root_of(gram, rate) for gram, rate in zip(grams, rates, strict=True)]

    def flows(self, net: NeuralNet, dataset: Any, fit_params: dict[str, Any]) -> list[NDArray[Any]]:
        """What flows through every hidden weight, by a forward pass of a row of ones."""
        X, _ = batch_of(net, dataset, np.zeros(1, dtype=int))
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
            if not recomputing():
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
            handles += [part.register_forward_hook(PassingHook(hook)) for part, hook in hooks]
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
        surgery.replace(
            layers, surgery.optimizers_of(net), weights, masks=masks.current, names=self.names
        )
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


def layer_of(module: torch.nn.Module, name: str) -> Layer:
    """Layer of a name, of which it is known that it is pruned or an output layer."""
    # Others are not chosen.
    return cast("Layer", module.get_submodule(name))


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
