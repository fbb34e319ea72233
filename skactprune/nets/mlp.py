"""The torch module: a multi-layer perceptron that can lose neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

import numpy as np
import torch
from torch import nn

from skactprune.nets.activations import per_layer
from skactprune.nets.dropout import draw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    class Linears(nn.ModuleList):
        """What a list of linear layers gives."""

        @overload
        def __getitem__(self, idx: slice) -> Linears: ...
        @overload
        def __getitem__(self, idx: int) -> nn.Linear: ...
        def __getitem__(self, idx: int | slice) -> Any: ...
        def __iter__(self) -> Iterator[nn.Linear]: ...


class MLP(nn.Module):
    """Multi-layer perceptron with a linear output (logits).

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of every layer, input and output included.
    activation : {"identity", "logistic", "tanh", "relu"} or tuple of these
        Activation of the hidden layers, or of each of them.
    dropout : sequence of float
        Dropout rate of the input and of every hidden layer, ``len(layer_sizes) - 1`` values.
    dtype : torch.dtype
        Type of the parameters.
    random_state : numpy.random.RandomState or None
        Draws the initial weights, as scikit-learn's ``MLPClassifier`` does, and the seed of the
        dropout masks. Torch's global generator is never used. None leaves the weights unset, for
        a net whose weights are loaded.

    Attributes
    ----------
    layers : torch.nn.ModuleList of torch.nn.Linear
        Hidden layers in order, then the output layer. Their weights are stored in the order of
        (n_in, n_out), transposed.
    """

    layers: Linears
    generator_: torch.Generator | None

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: Literal["identity", "logistic", "tanh", "relu"] | tuple[str, ...],
        dropout: Sequence[float],
        dtype: torch.dtype,
        random_state: np.random.RandomState | None,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.dropout = tuple(dropout)
        layers = (
            _unset_linear(n_in, n_out, dtype)
            for n_in, n_out in zip(layer_sizes[:-1], layer_sizes[1:], strict=True)
        )
        self.layers = cast("Linears", nn.ModuleList(layers))
        self.generator_ = torch.Generator() if any(self.dropout) else None
        if random_state is not None:
            self._initialize(random_state)

    def drawn(
        self, random_state: np.random.RandomState
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Weights and biases of a new net of these sizes, as scikit-learn draws them.

        Parameters
        ----------
        random_state : numpy.random.RandomState
            Draws them.

        Yields
        ------
        weight : ndarray of shape (n_out, n_in)
            Weights of a layer, in order.
        bias : ndarray of shape (n_out,)
            Its biases.
        """
        factor = 2.0 if "logistic" in np.atleast_1d(self.activation) else 6.0
        for layer in self.layers:
            bound = np.sqrt(factor / (layer.in_features + layer.out_features))
            weight = random_state.uniform(-bound, bound, (layer.in_features, layer.out_features))
            yield weight.T, random_state.uniform(-bound, bound, layer.out_features)

    @torch.no_grad()
    def _initialize(self, random_state: np.random.RandomState) -> None:
        for layer, (weight, bias) in zip(self.layers, self.drawn(random_state), strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        if self.generator_ is not None:
            self.generator_.manual_seed(int(random_state.randint(2**31 - 1)))

    def to(self, device: torch.device | str) -> Self:  # type: ignore[override]  # No types.
        """Move the parameters, and continue the dropout masks with a generator on `device`."""
        if self.generator_ is not None and self.generator_.device != torch.device(device):
            generator = torch.Generator(device)
            generator.manual_seed(self.generator_.initial_seed())
            self.generator_ = generator
        return super().to(device)

    def activate(self, z: torch.Tensor, depth: int = 0) -> torch.Tensor:
        """Apply the activation of hidden layer `depth` to `z`, in place where it can."""
        return per_layer(self.activation, depth + 1)[depth].apply_to_tensor(z)

    def numpy_parameters(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Weights of shape (n_in, n_out) and biases as arrays; on the CPU they share memory."""
        weights = [layer.weight.detach().cpu().numpy().T for layer in self.layers]
        return weights, [layer.bias.detach().cpu().numpy() for layer in self.layers]

    def forward(self, X: torch.Tensor, trace: list[torch.Tensor] | None = None) -> torch.Tensor:
        """Logits of the rows `X`.

        Parameters
        ----------
        X : torch.Tensor of shape (n_rows, n_features)
            Rows.
        trace : list, default=None
            The pre-activations of every hidden layer, of shape (n_rows, n_out), are appended to
            it. The activation may have overwritten them; their signs are right.

        Returns
        -------
        torch.Tensor of shape (n_rows, n_outputs)
        """
        *hidden, output = self.layers
        rates = self.dropout if self.training else (0.0,) * len(self.dropout)
        h = X * draw(X, rates[0], self.generator_) if rates[0] else X
        for depth, (layer, rate) in enumerate(zip(hidden, rates[1:], strict=True)):
            z = layer(h)
            if trace is not None:
                trace.append(z)
            h = self.activate(z, depth)
            if rate:
                h = h * draw(h, rate, self.generator_)
        return output(h)


def _unset_linear(n_in: int, n_out: int, dtype: torch.dtype) -> nn.Linear:
    """Linear layer with any weights, stored as (n_in, n_out), made without torch's drawing some."""
    layer = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(layer)
    layer.in_features, layer.out_features = n_in, n_out
    layer.weight = nn.Parameter(torch.empty((n_in, n_out), dtype=dtype).t())
    layer.bias = nn.Parameter(torch.empty(n_out, dtype=dtype))
    return layer
