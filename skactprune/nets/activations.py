"""One record for each activation of hidden layers, in numpy, torch and ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune._register import Register

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    import torch
    from numpy.typing import NDArray

    # Of one layer, or of all of them.
    Activations: TypeAlias = "str | HiddenActivation | tuple[str | HiddenActivation, ...]"

ACTIVATIONS = Register("activation")

# As arrays they take a third less time, for few numbers, than Python's 0 that is converted anew.
_ZEROS = {np.dtype(kind): np.zeros((), kind) for kind in (np.float32, np.float64)}


@dataclass(frozen=True)
class HiddenActivation:
    """A function that hidden layers apply to their outputs. Making one imports no torch.

    Attributes
    ----------
    name : str
        What parameters call it.
    apply : callable
        Takes an ndarray, overwrites it where it can, and returns the result.
    derivative : callable
        Takes the function's output ``h``, not its input, and returns the derivative, which
        broadcasts with ``h``; it may be bool.
    torch_name : str or None
        Name, within the package torch, of the function for tensors. What overwrites its input
        must keep the sign, for watchers look at it later. None for the identity.
    onnx_operator : str or None
        Operator of the same meaning. None for the identity.
    """

    name: str
    apply: Callable[[NDArray[Any]], NDArray[Any]]
    derivative: Callable[[NDArray[Any]], NDArray[Any]]
    torch_name: str | None
    onnx_operator: str | None

    @cached_property
    def apply_to_tensor(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Function of a tensor, which it may overwrite; the first use imports torch."""
        if self.torch_name is None:
            return _unchanged
        import torch

        return attrgetter(self.torch_name)(torch)


def add_activation(activation: HiddenActivation) -> HiddenActivation:
    """Make a `HiddenActivation` known by its name, and return it.

    Parameters
    ----------
    activation : HiddenActivation
        Record of a name that is not taken.

    Returns
    -------
    HiddenActivation

    Raises
    ------
    ValueError
        If another record has the name.
    """
    return ACTIVATIONS.add(activation.name)(activation)


def get_activation(activation: str | HiddenActivation) -> HiddenActivation:
    """Record of a name.

    Parameters
    ----------
    activation : str or HiddenActivation
        A known name, or the record itself.

    Returns
    -------
    HiddenActivation

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    """
    return ACTIVATIONS.look_up(activation)


def per_layer(activation: Activations, n_layers: int) -> list[HiddenActivation]:
    """Records of the first hidden layers of a net.

    Parameters
    ----------
    activation : str, HiddenActivation or tuple of these
        One for all hidden layers, or one for each of them.
    n_layers : int
        How many.

    Returns
    -------
    list of HiddenActivation
    """
    if isinstance(activation, tuple):
        return [get_activation(one) for one in activation[:n_layers]]
    return [get_activation(activation)] * n_layers


def _unchanged(z: Any) -> Any:
    return z


def _logistic(z: NDArray[Any]) -> NDArray[Any]:
    # The exponential of what is far below zero overflows to infinity, whose reciprocal is right.
    with np.errstate(over="ignore", under="ignore"):
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1
        return np.reciprocal(z, out=z)


def _tanh(z: NDArray[Any]) -> NDArray[Any]:
    return np.tanh(z, out=z)


def _relu(z: NDArray[Any]) -> NDArray[Any]:
    return np.maximum(z, _ZEROS.get(z.dtype, 0), out=z)


def _logistic_derivative(h: NDArray[Any]) -> NDArray[Any]:
    return h * (1 - h)


def _tanh_derivative(h: NDArray[Any]) -> NDArray[Any]:
    return 1 - h**2


def _relu_derivative(h: NDArray[Any]) -> NDArray[Any]:
    return h > 0


IDENTITY = add_activation(HiddenActivation("identity", _unchanged, np.ones_like, None, None))
LOGISTIC = add_activation(
    # torch.sigmoid_ would lose the sign.
    HiddenActivation("logistic", _logistic, _logistic_derivative, "sigmoid", "Sigmoid")
)
TANH = add_activation(HiddenActivation("tanh", _tanh, _tanh_derivative, "tanh_", "Tanh"))
RELU = add_activation(HiddenActivation("relu", _relu, _relu_derivative, "relu_", "Relu"))
