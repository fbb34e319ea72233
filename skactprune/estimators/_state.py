"""Fitted state: what a net and its pruner hold, besides weights, as numpy arrays; and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.estimators._task import Net
    from skactprune.pruning.pruner import Pruner

# Epochs of earlier calls that a net that goes on remembers in its history.
KEPT_EPOCHS = 1000


def state_of(net: Net, pruner: Pruner) -> dict[str, Any]:
    """What training goes on from, besides the weights, without any torch object.

    Parameters
    ----------
    net : skactprune.nets.net.LeanLoop
        Initialized net.
    pruner : Pruner
        Its pruner, prepared.

    Returns
    -------
    dict
        Arrays, numbers, strings, and lists and dicts of them.
    """
    optimizer = net.optimizer_
    generator = net.module_.generator_
    return {
        "optimizer": {
            "name": type(optimizer).__name__,
            # Schedulers of learning rates begin with `initial_lr` where they go on.
            "rates": {
                name: value
                for name, value in optimizer.param_groups[0].items()
                if name in ("lr", "initial_lr")
            },
            "state": [
                {name: _array(value) for name, value in optimizer.state.get(p, {}).items()}
                for p in _parameters(net)
            ],
        },
        "generator": None if generator is None else _array(generator.get_state()),
        "pruner": pruner.state(),
        "history": list(net.history),
    }


def load_state(net: Net, state: dict[str, Any], *, with_optimizer: bool) -> None:
    """Let a net that has its weights go on where `state` was taken.

    Parameters
    ----------
    net : skactprune.nets.net.LeanLoop
        Initialized net with the weights.
    state : dict
        From `state_of`.
    with_optimizer : bool
        Whether moments and learning rate are taken over, too; they are not where the optimizer is
        of another kind.
    """
    optimizer = net.optimizer_
    if with_optimizer and state["optimizer"]["name"] == type(optimizer).__name__:
        fused = optimizer.param_groups[0].get("fused")
        for parameter, values in zip(_parameters(net), state["optimizer"]["state"], strict=True):
            if values:
                optimizer.state[parameter] = {
                    name: _tensor(value, parameter, fused) for name, value in values.items()
                }
        for group in optimizer.param_groups:
            group.update(state["optimizer"]["rates"])
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    generator = net.module_.generator_
    if generator is not None and state["generator"] is not None and generator.device.type == "cpu":
        generator.set_state(torch.tensor(state["generator"]))
    # The next epoch empties the last row.
    net.history_.extend(dict(row) for row in state["history"][-KEPT_EPOCHS:])


@torch.no_grad()
def load_weights(net: Net, coefs: list[NDArray[Any]], intercepts: list[NDArray[Any]]) -> None:
    """Put weights of shape (n_in, n_out) and biases into a net of these sizes.

    Parameters
    ----------
    net : skactprune.nets.net.LeanLoop
        Initialized net.
    coefs, intercepts : list of ndarray
        As in scikit-learn's ``MLPClassifier``.

    Raises
    ------
    ValueError
        If the sizes are not the net's.
    """
    found = [coefs[0].shape[0], *(coef.shape[1] for coef in coefs)]
    wanted = list(net.module__layer_sizes)
    if found != wanted:
        raise ValueError(f"init_estimator has layers of sizes {found}, the data needs {wanted}.")
    for layer, coef, intercept in zip(net.module_.layers, coefs, intercepts, strict=True):
        layer.weight.copy_(torch.tensor(coef.T))
        layer.bias.copy_(torch.tensor(intercept))


def _parameters(net: Net) -> list[torch.Tensor]:
    """Weights and biases in order; a weight that is computed from others is no parameter."""
    return [parameter for layer in net.module_.layers for parameter in (layer.weight, layer.bias)]


def _array(value: Any) -> Any:
    return value.detach().cpu().numpy().copy() if torch.is_tensor(value) else value


def _tensor(value: Any, parameter: torch.Tensor, fused: bool | None) -> Any:
    """Value of an optimizer's state: moments as the parameter, of fused ones all on its device."""
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.tensor(value)
    if value.shape == parameter.shape and tensor.is_floating_point():
        # In the order of the parameter in memory, which fused optimizers take for granted.
        return torch.empty_like(parameter).copy_(tensor)
    return tensor.to(parameter.device) if fused else tensor
