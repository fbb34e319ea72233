"""All parameters of a net in one buffer, and an optimizer's step on it in one call."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from operator import is_
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


# Bytes. Every parameter begins at a multiple of it, wherever it lies.
ALIGNMENT = 64


class FlatParameters:
    """Weights and biases of linear layers in one buffer, with gradients and moments in others.

    The layers' parameters and the optimizer's state become views of the buffers, so that whoever
    looks at them sees what is there.

    Parameters
    ----------
    layers : sequence of torch.nn.Linear
        Layers with biases, on the CPU and of one dtype.
    optimizer : torch.optim.Optimizer
        Its optimizer.
    moments : sequence of str
        Names of the entries of its state that have the shape of the parameter.
    counts_steps : bool
        Whether its state has a ``step``, too.

    Attributes
    ----------
    weights, biases : list of ndarray of shape (n_in, n_out), and (n_out,)
        Views of the parameters.
    weight_gradients, bias_gradients : list of ndarray
        Views of the gradients, likewise.
    parts : dict of (str, list of torch.Tensor)
        For "all" and, in two parts, "weights" and "biases": parameters, gradients and moments.
    steps : ndarray of shape (n_parameters,)
        Step counts, of which the optimizer's state has views.
    """

    def __init__(
        self,
        layers: Sequence[torch.nn.Linear],
        optimizer: torch.optim.Optimizer,
        moments: Sequence[str],
        counts_steps: bool,
    ) -> None:
        self._optimizer = optimizer
        self._parameters = [layer.weight for layer in layers] + [layer.bias for layer in layers]
        dtype = self._parameters[0].dtype
        block = ALIGNMENT // dtype.itemsize
        blocks = [-(-parameter.numel() // block) for parameter in self._parameters]
        *self._starts, n = np.cumsum([0, *blocks]) * block
        half = self._starts[len(layers)]
        flats = [torch.zeros(n, dtype=dtype) for _ in range(2 + len(moments))]
        self.parts = {
            "all": flats,
            "weights": [flat[:half] for flat in flats],
            "biases": [flat[half:] for flat in flats],
        }
        self._weights_in_one = flats[0][:half].numpy()
        values, gradients, *others = [self._views(flat.numpy()) for flat in flats]
        self.weights, self.biases = values[: len(layers)], values[len(layers) :]
        self.weight_gradients = gradients[: len(layers)]
        self.bias_gradients = gradients[len(layers) :]
        self._gradients = [_like_parameter(view) for view in gradients]
        self.steps = np.zeros(len(self._parameters), dtype=np.float32)
        states: list[dict[str, Any]] = [{} for _ in self._parameters]
        if counts_steps:
            self._take_over_steps(states)
        for name, views in zip(moments, others, strict=True):
            self._take_over_moments(states, name, views)
        self._put_in_place(values, states)

    def _views(self, flat: NDArray[Any]) -> list[NDArray[Any]]:
        """Part of every parameter in a buffer; weights are of shape (n_in, n_out)."""
        return [
            flat[start : start + parameter.numel()].reshape(tuple(parameter.shape)[::-1])
            for start, parameter in zip(self._starts, self._parameters, strict=True)
        ]

    def _take_over_steps(self, states: list[dict[str, Any]]) -> None:
        for at, (parameter, state) in enumerate(zip(self._parameters, states, strict=True)):
            self.steps[at] = self._optimizer.state.get(parameter, {}).get("step", 0)
            state["step"] = torch.from_numpy(self.steps[at : at + 1]).reshape(())

    def _take_over_moments(
        self, states: list[dict[str, Any]], name: str, views: list[NDArray[Any]]
    ) -> None:
        for parameter, state, view in zip(self._parameters, states, views, strict=True):
            old = self._optimizer.state.get(parameter, {}).get(name)
            state[name] = _like_parameter(view)
            # Before the first step there is none.
            if old is not None:
                state[name].copy_(old)

    def _put_in_place(self, views: list[NDArray[Any]], states: list[dict[str, Any]]) -> None:
        """Let layers and optimizer have the views."""
        values = [_like_parameter(view) for view in views]
        for parameter, value in zip(self._parameters, values, strict=True):
            value.copy_(parameter.detach())
        for parameter, value, state in zip(self._parameters, values, states, strict=True):
            parameter.data = value
            if state:
                self._optimizer.state[parameter] = state
        self._addresses = [parameter.data_ptr() for parameter in self._parameters]
        self._states = list(self._optimizer.state.values())

    def shrink(self, factor: float) -> None:
        """Multiply all weights by a factor."""
        values = self._weights_in_one
        np.multiply(values, values.dtype.type(factor), out=values)

    def in_place(self) -> bool:
        """Whether parameters and the optimizer's state still are the views."""
        states = self._optimizer.state
        return (
            len(states) == len(self._states)
            and all(map(is_, states.values(), self._states))
            and [parameter.data_ptr() for parameter in self._parameters] == self._addresses
        )

    def give_gradients(self) -> None:
        """Let the parameters have their gradients."""
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient

    def forget_gradients(self) -> None:
        """Leave the parameters without gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def have_gradients(self) -> bool:
        """Whether nobody has dropped the gradients that the parameters were given."""
        return self._parameters[0].grad is not None

    def penalize(self, penalty: float) -> None:
        """Add a multiple of all weights to their gradients."""
        weights, gradients = (part.numpy() for part in self.parts["weights"][:2])
        gradients += weights.dtype.type(penalty) * weights

    @property
    def squared_norm(self) -> float:
        """Sum of the squares of all weights."""
        weights = self.parts["weights"][0].numpy()
        return float(np.dot(weights, weights))


def _like_parameter(view: NDArray[Any]) -> torch.Tensor:
    """Tensor on the memory of an array, which a weight has the other way round."""
    return torch.from_numpy(view).t()


# -- an optimizer's step ----------------------------------------------------------------------


def _adam(
    tensors: list[torch.Tensor], steps: list[torch.Tensor], group: dict[str, Any], decay: float
) -> None:
    values, gradients, mean, square = tensors
    beta1, beta2 = group["betas"]
    _operator("adam")(
        [values], [gradients], [mean], [square], [], steps,
        lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=decay, eps=group["eps"],
        amsgrad=False, maximize=False,
    )  # fmt: skip


def _sgd(
    tensors: list[torch.Tensor], steps: list[torch.Tensor], group: dict[str, Any], decay: float
) -> None:
    values, gradients, *velocity = tensors
    # Velocities begin at zero: what torch does in a first step comes to the same.
    _operator("sgd")(
        [values], [gradients], velocity, weight_decay=decay, momentum=group["momentum"],
        lr=group["lr"], dampening=0.0, nesterov=group["nesterov"], maximize=False,
        is_first_step=False,
    )  # fmt: skip


def _operator(name: str) -> Callable[..., Any]:
    """What torch calls behind ``fused=True``. It is not public: it may change, or go."""
    return getattr(torch, f"_fused_{name}_")


@dataclass(frozen=True)
class Rule:
    """How an optimizer changes weights.

    Attributes
    ----------
    call : callable
        Takes parameters, gradients and moments, a list of tensors; the count of steps, in a list;
        the optimizer's group of parameters; and what times the parameters is added to the
        gradients.
    moments : callable
        Takes the group; returns the names of what is kept for every parameter.
    counts_steps : bool
        Whether steps are counted, too.
    """

    call: Callable[[list[torch.Tensor], list[torch.Tensor], dict[str, Any], float], None]
    moments: Callable[[dict[str, Any]], tuple[str, ...]]
    counts_steps: bool


RULES: dict[type[torch.optim.Optimizer], Rule] = {
    torch.optim.Adam: Rule(_adam, lambda group: ("exp_avg", "exp_avg_sq"), True),
    torch.optim.SGD: Rule(
        _sgd, lambda group: ("momentum_buffer",) if group["momentum"] else (), False
    ),
}


class FlatUpdate:
    """Step of an optimizer on a whole net.

    Parameters
    ----------
    layers : sequence of torch.nn.Linear
        The net.
    optimizer : torch.optim.Adam or torch.optim.SGD
        Its optimizer, with one group of parameters that had equally many steps; the options are
        read in every step.

    Attributes
    ----------
    flat : FlatParameters
        Parameters and gradients.
    """

    def __init__(
        self, layers: Sequence[torch.nn.Linear], optimizer: torch.optim.Adam | torch.optim.SGD
    ) -> None:
        self._optimizer, self._rule = optimizer, RULES[type(optimizer)]
        self._names = self._rule.moments(self._group)
        self.flat = FlatParameters(layers, optimizer, self._names, self._rule.counts_steps)
        self._steps = [torch.from_numpy(self.flat.steps[:1]).reshape(())]
        self._is_known = rule_holds(type(optimizer))  # type: ignore[arg-type]

    @property
    def _group(self) -> dict[str, Any]:
        return self._optimizer.param_groups[0]

    def __call__(self, penalty: float) -> None:
        """Take a step; `penalty` times the weights is added to their gradients."""
        flat = self.flat
        if not self._is_known:
            self._leave_to_optimizer(penalty)
            return
        if self._rule.counts_steps:
            flat.steps += 1
        group = self._group
        if not penalty:
            self._rule.call(flat.parts["all"], self._steps, group, 0.0)
            return
        self._rule.call(flat.parts["weights"], self._steps, group, penalty)
        self._rule.call(flat.parts["biases"], self._steps, group, 0.0)

    def is_current(self) -> bool:
        """Whether nobody has put others in the place of parameters, state or options."""
        return self._names == self._rule.moments(self._group) and self.flat.in_place()

    def _leave_to_optimizer(self, penalty: float) -> None:
        if penalty:
            self.flat.penalize(penalty)
        self.flat.give_gradients()
        self._optimizer.step()


@cache
def rule_holds(kind: type[torch.optim.Adam | torch.optim.SGD]) -> bool:
    """Whether a `Rule` does what the optimizer does, tried out in three steps.

    Parameters
    ----------
    kind : type
        ``torch.optim.Adam`` or ``torch.optim.SGD``.
    """
    rule = RULES[kind]
    options: dict[str, Any] = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    theirs = torch.nn.Parameter(torch.linspace(-1.0, 1.0, 40))
    optimizer = kind([theirs], lr=0.1, fused=True, **options)
    group = optimizer.param_groups[0]
    ours = theirs.detach().clone()
    gradient, step = torch.linspace(2.0, 1.0, 40), torch.zeros(())
    moments = [torch.zeros(40) for _ in rule.moments(group)]
    try:
        for _ in range(3):
            theirs.grad = gradient + 0.5 * theirs.detach()
            optimizer.step()
            step += 1
            rule.call([ours, gradient, *moments], [step], group, 0.5)
    except (AttributeError, TypeError, RuntimeError):
        return False
    return torch.allclose(theirs.detach(), ours, rtol=1e-5, atol=1e-6)
