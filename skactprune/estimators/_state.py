"""Fitted state: a net and its pruner as numpy arrays, and back; keeping it where a fit fails."""

from functools import wraps

import numpy as np
import torch


def all_or_nothing(fit):
    """Decorator of a method that, where it raises, leaves the estimator as it was."""

    @wraps(fit)
    def fit_or_undo(self, *args, **kwargs):
        before = vars(self).copy()
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return fit_or_undo


def dump(net, pruner):
    """State of a net and its pruner without any torch object.

    Parameters
    ----------
    net : MLPNet
        Initialized net.
    pruner : Pruner
        Its pruner, after training began once.

    Returns
    -------
    dict
        Arrays, numbers, strings, and lists and dicts of them.
    """
    layers = net.module_.layers
    optimizer = net.optimizer_
    generator = net.module_.generator_
    return {
        "layer_sizes": [layers[0].in_features, *(layer.out_features for layer in layers)],
        "parameters": [_array(p) for p in net.module_.parameters()],
        "optimizer": {
            "name": type(optimizer).__name__,
            "lr": optimizer.param_groups[0]["lr"],
            "state": [
                {name: _array(value) for name, value in optimizer.state.get(p, {}).items()}
                for p in net.module_.parameters()
            ],
        },
        "generator": None if generator is None else _array(generator.get_state()),
        "pruner": pruner.state(),
        "history": list(net.history),
    }


def restore(net, pruner, state, *, with_optimizer):
    """Put a dumped state into a net that was initialized with the state's layer sizes.

    Parameters
    ----------
    net : MLPNet
        Net to continue with.
    pruner : Pruner
        Its pruner.
    state : dict
        From `dump`.
    with_optimizer : bool
        Whether moments and learning rate are taken over, too; they are not where the optimizer is
        of another kind.
    """
    _load_parameters(net, state["parameters"])
    optimizer = net.optimizer_
    if with_optimizer and state["optimizer"]["name"] == type(optimizer).__name__:
        fused = optimizer.param_groups[0].get("fused")
        for parameter, values in zip(
            net.module_.parameters(), state["optimizer"]["state"], strict=True
        ):
            if values:
                optimizer.state[parameter] = {
                    name: _tensor(value, parameter, fused) for name, value in values.items()
                }
        for group in optimizer.param_groups:
            group["lr"] = state["optimizer"]["lr"]
    generator = net.module_.generator_
    if generator is not None and state["generator"] is not None and generator.device.type == "cpu":
        generator.set_state(torch.tensor(state["generator"]))
    pruner.restore(net, state["pruner"])
    net.history_.extend(state["history"])


def load_weights(net, coefs, intercepts):
    """Put weights of shape (n_in, n_out) and biases into a net of these sizes.

    Parameters
    ----------
    net : MLPNet
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
    pairs = zip(coefs, intercepts, strict=True)
    _load_parameters(net, [array for coef, bias in pairs for array in (coef.T, bias)])


@torch.no_grad()
def _load_parameters(net, arrays):
    for parameter, array in zip(net.module_.parameters(), arrays, strict=True):
        parameter.copy_(torch.tensor(array))


def _array(value):
    return value.detach().cpu().numpy().copy() if torch.is_tensor(value) else value


def _tensor(value, parameter, fused):
    """Value of an optimizer's state on its device: a fused one keeps step counts there, too."""
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.tensor(value)
    return tensor.to(parameter.device) if fused or value.shape == parameter.shape else tensor
