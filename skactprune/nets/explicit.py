"""One step of training, forward and backward written out in numpy on buffers that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from skactprune.nets.activations import per_layer
from skactprune.nets.dropout import Dropout
from skactprune.nets.flat import FlatUpdate
from skactprune.nets.losses import numpy_loss
from skactprune.nets.results import Settled, StepResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike, NDArray

    from skactprune.nets.batches import Batch
    from skactprune.nets.flat import FlatParameters
    from skactprune.nets.losses import NumpyLoss
    from skactprune.nets.mlp import MLP

# Rows of which losses are kept in parts before they are summed.
KEPT_ROWS = 2**16
# Numbers in an array that stays in the processor's cache.
SMALL = 2**16


class ExplicitStep:
    """What `AutogradStep` does, without autograd: several times as fast where nets are small.

    It is for nets of which `skactprune.nets.steps.why_autograd` has nothing to say.

    Parameters
    ----------
    net : skactprune.nets.net.LeanLoop
        Initialized net; parameters and the optimizer's state become views of flat buffers.
    """

    def __init__(self, net: Any) -> None:
        self._net = net
        module: MLP = net.module_
        self._made_for = _parts_of(net)
        self._update = FlatUpdate(list(module.layers), net.optimizer_)
        self._flat = self._update.flat
        loss = numpy_loss(net.criterion_, module.layers[-1].out_features)
        if loss is None:
            raise TypeError(f"criterion_={net.criterion_!r} is none of those known in numpy.")
        self._loss = loss
        self._buffers: dict[int, Buffers] = {}
        self._forget_losses()
        self.begin(watched=True, on_gradient=None)

    def begin(self, watched: bool, on_gradient: Callable[[Batch], None] | None) -> None:
        """Prepare for the batches of an epoch.

        Parameters
        ----------
        watched : bool
            Whether somebody looks at what a step gives back.
        on_gradient : callable or None
            Called with the batch between the backward pass and the optimizer's step.
        """
        self._watched, self._on_gradient = watched, on_gradient
        self._flat.forget_gradients()

    def is_current(self) -> bool:
        """Whether parameters and optimizer's state are still those that are stepped."""
        return self._flat.in_place()

    def belongs_to(self, net: Any) -> bool:
        """Whether it can go on with a net as it is now."""
        return self._made_for == _parts_of(net) and self._update.is_current()

    def __call__(self, batch: Batch) -> StepResult:
        """Train on a batch, and return a `StepResult`, which the next step overwrites."""
        net = self._net
        net.set_training_mode()
        X, target = batch
        targets, weight = target if isinstance(target, tuple) else (target, None)
        y, n_rows = targets.numpy(), len(targets)
        buffers = self._buffers.get(n_rows)
        if buffers is None:
            buffers = self._buffers[n_rows] = Buffers(net, self._loss, n_rows)
        with np.errstate(all="ignore"):
            buffers.forward(X, self._flat, self._watched or bool(net.tallies_))
            for tallies in net.tallies_:
                for tally, fires in zip(tallies, buffers.fires, strict=True):
                    tally.add(fires)
            total: float = n_rows
            factor = buffers.dtype.type(1.0 / n_rows)
            if weight is not None:
                weights = weight.numpy()
                total = float(weights.sum())
                factor = weights * buffers.dtype.type(1.0 / total)
            self._parts.append(buffers.backward(y, factor, self._flat))
            penalty = net.alpha / total
            if net.weight_decay:
                self._flat.shrink(net.shrinkage)
        self._step(batch, penalty)
        if weight is not None:
            self._factors.append(factor * n_rows)
        self._penalty_sum += n_rows * penalty
        self._n_rows += n_rows
        if self._n_rows - self._n_summed > KEPT_ROWS:
            self._sum_losses()
        return buffers.result

    def _step(self, batch: Batch, penalty: float) -> None:
        """Change the weights, after those who want to know were told of the gradients."""
        if self._on_gradient is not None:
            if penalty:
                with np.errstate(all="ignore"):
                    self._flat.penalize(penalty)
            self._flat.give_gradients()
            self._on_gradient(batch)
            if not self._flat.have_gradients():
                return
            penalty = 0.0
        with np.errstate(all="ignore"):
            self._update(penalty)

    # -- losses -----------------------------------------------------------------------------

    def _forget_losses(self) -> None:
        self._loss_sum, self._penalty_sum = 0.0, 0.0
        self._n_rows = self._n_summed = 0
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._factors: list[NDArray[Any]] = []

    def _sum_losses(self) -> None:
        """Add up what was kept of the rows' losses."""
        if not self._parts:
            return
        with np.errstate(all="ignore"):
            parts = (np.concatenate(part) for part in zip(*self._parts, strict=True))
            losses = self._loss.rows(*parts)
            if self._factors:
                losses *= np.concatenate(self._factors)
            self._loss_sum += float(losses.sum())
        self._parts, self._factors, self._n_summed = [], [], self._n_rows

    def squared_norm(self) -> float:
        """Sum of the squares of all weights."""
        with np.errstate(all="ignore"):
            if self._flat.in_place():
                return self._flat.squared_norm
            # Somebody has put others in their place, after the last step.
            weights, _ = self._net.module_.numpy_parameters()
            return sum(float(np.vdot(weight, weight)) for weight in weights)

    def settle(self) -> Settled:
        """Sums of the losses since the last call, a `Settled`."""
        self._sum_losses()
        settled = Settled(self._loss_sum, self._penalty_sum, self._n_rows)
        self._forget_losses()
        return settled


def _parts_of(net: Any) -> tuple[Any, ...]:
    module, criterion = net.module_, net.criterion_
    return net, module, net.optimizer_, criterion, module.activation, module.dropout


class Buffers:
    """All that a step on batches of one size writes into, and how it does.

    Parameters
    ----------
    net : skactprune.nets.net.LeanLoop
        Initialized net.
    loss : type
        Class of a `NumpyLoss`.
    n_rows : int
        Rows of the batches.

    Attributes
    ----------
    result : StepResult
        What listeners may see of a step.
    fires : list of bool ndarray of shape (n_rows, n_out)
        Where the inputs of the hidden activations were positive, if anybody wants to know.
    """

    def __init__(self, net: Any, loss: type[NumpyLoss], n_rows: int) -> None:
        self._module = module = cast("MLP", net.module_)
        layers = module.layers
        dtype = torch.empty(0, dtype=layers[0].weight.dtype).numpy().dtype
        sizes = [layers[0].in_features, *(layer.out_features for layer in layers)]
        n_outputs = sizes.pop()

        def one_a_layer(kind: DTypeLike = dtype) -> list[NDArray[Any]]:
            return [np.empty((n_rows, size), kind) for size in sizes[1:]]

        self.dtype = dtype
        records = per_layer(module.activation, len(layers) - 1)
        self._activations = [IN_PLACE[record.name] for record in records]
        self._hidden, self._gradients = one_a_layer(), one_a_layer()
        self.fires = one_a_layer(bool)
        self._zeros = _zeros_like(self._hidden, dtype)
        self._drops = [
            Dropout(rate, (n_rows, size), dtype) if rate else None
            for rate, size in zip(module.dropout, sizes, strict=True)
        ]
        self._inputs: list[Any] = [None] * len(layers)
        self._outputs = np.empty((n_outputs, n_rows), dtype)
        self._output_gradient = np.empty((n_outputs, n_rows), dtype)
        self._ones = np.ones(n_rows, dtype)
        self._loss = loss(net.criterion_, n_rows, dtype)
        self.result = StepResult(
            None,
            torch.from_numpy(self._outputs).t(),
            [torch.from_numpy(fires) for fires in self.fires],
        )

    def forward(self, X: torch.Tensor, flat: FlatParameters, watched: bool) -> None:
        """Fill `_inputs`, the inputs of all layers, and `_outputs`."""
        h = X.numpy()
        for depth, (z, activation) in enumerate(zip(self._hidden, self._activations, strict=True)):
            drop = self._drops[depth]
            h = self._inputs[depth] = (
                h if drop is None else drop.forward(h, self._module.generator_)
            )
            np.dot(h, flat.weights[depth], z)
            np.add(z, flat.biases[depth], out=z)
            if watched or activation.needs_signs:
                np.greater(z, 0, out=self.fires[depth])
            activation.forward(z, self._zeros[depth])
            h = z
        drop = self._drops[-1]
        h = self._inputs[-1] = h if drop is None else drop.forward(h, self._module.generator_)
        np.dot(flat.weights[-1].T, h.T, self._outputs)
        np.add(self._outputs, flat.biases[-1][:, None], out=self._outputs)

    def backward(
        self, y: NDArray[Any], factor: NDArray[Any] | float, flat: FlatParameters
    ) -> tuple[NDArray[Any], ...]:
        """Fill the gradients of `flat`; returns the parts of the loss."""
        parts = self._loss.backward(self._outputs, y, factor, self._output_gradient)
        gradient = self._output_gradient.T
        np.dot(self._output_gradient, self._ones, flat.bias_gradients[-1])
        for depth in range(len(self._hidden), -1, -1):
            np.dot(self._inputs[depth].T, gradient, flat.weight_gradients[depth])
            if not depth:
                return parts
            into = self._gradients[depth - 1]
            np.dot(gradient, flat.weights[depth].T, into)
            drop = self._drops[depth]
            if drop is not None:
                drop.backward(into)
            gradient = into
            activation = self._activations[depth - 1]
            activation.backward(gradient, self._hidden[depth - 1], self.fires[depth - 1])
            np.dot(self._ones, gradient, flat.bias_gradients[depth - 1])
        return parts


# -- activations, in place --------------------------------------------------------------------


class Identity:
    """Hidden activation; ``h`` is its output, ``fires`` where its input was positive."""

    needs_signs = False

    @staticmethod
    def forward(z: NDArray[Any], zeros: NDArray[Any]) -> None:
        """Overwrite the input with the output."""

    @staticmethod
    def backward(gradient: NDArray[Any], h: NDArray[Any], fires: NDArray[np.bool_]) -> None:
        """Multiply the gradient by the derivative; the output is not needed afterwards."""


class Logistic(Identity):
    @staticmethod
    def forward(z: NDArray[Any], zeros: NDArray[Any]) -> None:
        np.negative(z, out=z)
        np.exp(z, out=z)
        np.add(z, 1, out=z)
        np.reciprocal(z, out=z)

    @staticmethod
    def backward(gradient: NDArray[Any], h: NDArray[Any], fires: NDArray[np.bool_]) -> None:
        np.multiply(gradient, h, out=gradient)
        np.subtract(1, h, out=h)
        np.multiply(gradient, h, out=gradient)


class Tanh(Identity):
    @staticmethod
    def forward(z: NDArray[Any], zeros: NDArray[Any]) -> None:
        np.tanh(z, out=z)

    @staticmethod
    def backward(gradient: NDArray[Any], h: NDArray[Any], fires: NDArray[np.bool_]) -> None:
        np.multiply(h, h, out=h)
        np.subtract(1, h, out=h)
        np.multiply(gradient, h, out=gradient)


class ReLU(Identity):
    needs_signs = True

    @staticmethod
    def forward(z: NDArray[Any], zeros: NDArray[Any]) -> None:
        np.maximum(z, zeros, out=z)

    @staticmethod
    def backward(gradient: NDArray[Any], h: NDArray[Any], fires: NDArray[np.bool_]) -> None:
        # Numbers times bools would be converted anew, which takes longer.
        np.copyto(h, fires)
        np.multiply(gradient, h, out=gradient)


def _zeros_like(arrays: Sequence[NDArray[Any]], dtype: np.dtype[Any]) -> list[Any]:
    """Zeros for every array: of its shape where it is small, which halves the time of a maximum."""
    sizes = [array.size for array in arrays if array.size <= SMALL]
    zeros = np.zeros(max(sizes, default=0), dtype)
    return [
        zeros[: array.size].reshape(array.shape) if array.size <= SMALL else dtype.type(0)
        for array in arrays
    ]


IN_PLACE: dict[str, type[Identity]] = {
    "identity": Identity,
    "logistic": Logistic,
    "tanh": Tanh,
    "relu": ReLU,
}
