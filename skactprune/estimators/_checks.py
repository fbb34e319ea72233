"""Checks of parameters that a single constraint cannot state."""

from numbers import Integral, Real
from types import SimpleNamespace

import numpy as np
from sklearn.utils._param_validation import Interval

RESERVED_CALLBACKS = ("control", "pruner")
# Callbacks of skorch that cannot do here what they are for, and why.
REFUSED_CALLBACKS = {
    "Freezer": "neurons cannot leave from between layers that must not change",
    "Unfreezer": "no layer is frozen",
    "InputShapeSetter": "the estimator knows the sizes of its layers",
}


def hidden_sizes(params):
    """Sizes of the hidden layers before pruning, as a list of int.

    Parameters
    ----------
    params : estimator
        Its ``hidden_layer_sizes``, or the sizes of its ``init_estimator``.

    Raises
    ------
    ValueError
        For sizes that are not positive integers.
    """
    sizes = params.hidden_layer_sizes
    if params.init_estimator is not None:
        sizes = [coef.shape[1] for coef in params.init_estimator.coefs_[:-1]]
    sizes = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if not all(isinstance(size, Integral) and size > 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes={params.hidden_layer_sizes!r} must be integers > 0.")
    return [int(size) for size in sizes]


def check_init_estimator(init_estimator):
    """Raise ValueError for an `init_estimator` that lacks the attributes of a fitted classifier."""
    if init_estimator is not None and not all(
        hasattr(init_estimator, name) for name in ("coefs_", "intercepts_", "classes_")
    ):
        raise ValueError(
            f"init_estimator={init_estimator!r} must be a fitted MLPClassifier, in a "
            "FrozenEstimator so that clones stay fitted, or None."
        )


def plain_parameters(estimator, constraints):
    """Parameters of an estimator as Python's own numbers: torch and JSON know no others.

    Parameters
    ----------
    estimator : estimator
        Where they are read; not changed.
    constraints : dict of str to list
        Constraints of scikit-learn; where a real number is allowed, an integer becomes one.

    Returns
    -------
    types.SimpleNamespace
        One attribute for each parameter.
    """
    values = {name: getattr(estimator, name) for name in constraints}
    for name, value in values.items():
        if isinstance(value, (bool, np.bool_)):
            values[name] = bool(value)
        elif isinstance(value, Real):
            real = any(isinstance(c, Interval) and c.type is Real for c in constraints[name])
            whole = isinstance(value, Integral) and not real
            values[name] = int(value) if whole else float(value)
    return SimpleNamespace(**values)


def check_in_range_of(dtype, params):
    """Raise ValueError for a number that the type of the weights cannot hold."""
    largest = float(np.finfo(dtype).max)
    for name, value in vars(params).items():
        if isinstance(value, float) and np.isfinite(value) and abs(value) > largest:
            raise ValueError(
                f"{name}={value!r} must be at most {largest:.3g}, the largest number of "
                f"{np.dtype(dtype).name}, the type of the weights."
            )


def check_net_params(net_params, name, reserved, validates):
    """Check further parameters of the net, and take the callbacks from them.

    Parameters
    ----------
    net_params : dict or None
        What the user gave.
    name : str
        Of the estimator.
    reserved : sequence of str
        Names of parameters that the estimator sets itself.
    validates : bool
        Whether the net has validation rows.

    Returns
    -------
    net_params : dict
        The parameters without the callbacks.
    callbacks : list
        The callbacks.

    Raises
    ------
    ValueError
        For names that are no strings or that the estimator sets itself, and for callbacks that
        are none or that have the name of one of the estimator's own.
    """
    net_params = dict(net_params or {})
    callbacks = net_params.pop("callbacks", None) or []
    for key in net_params:
        if not isinstance(key, str):
            raise ValueError(f"net_params has the key {key!r}; keys must be names of parameters.")
        first, _, rest = key.partition("__")
        if first in reserved:
            raise ValueError(
                f"net_params[{key!r}] cannot be set: {name} itself sets {', '.join(reserved)}."
            )
        if first == "callbacks" and rest.partition("__")[0] in RESERVED_CALLBACKS:
            raise ValueError(
                f"net_params[{key!r}] cannot be set: this callback is {name}'s own. Its parameters "
                f"are those of {name}."
            )
    if not isinstance(callbacks, (list, tuple)):
        raise ValueError(
            f"net_params['callbacks']={callbacks!r} must be a list of callbacks, or of pairs of a "
            "name and a callback."
        )
    for callback in callbacks:
        _check_callback(callback, name, validates)
    if net_params.get("compile"):
        raise ValueError(
            f"net_params['compile']={net_params['compile']!r} is not supported: layers change "
            "their sizes in training, and the net would be compiled again each time."
        )
    return net_params, list(callbacks)


def _check_callback(callback, name, validates):
    named = isinstance(callback, tuple) and len(callback) == 2
    if named and callback[0] in RESERVED_CALLBACKS:
        raise ValueError(
            f"net_params['callbacks'] has one of the name {callback[0]!r}; {name} itself has a "
            "callback of this name."
        )
    found = callback[1] if named else callback
    if not (hasattr(found, "on_epoch_end") and hasattr(found, "initialize")):
        raise ValueError(
            f"net_params['callbacks'] has {callback!r}; it must be a skorch callback, or a pair of "
            "a name and a callback."
        )
    kinds = [kind.__name__ for kind in type(found).__mro__]
    for kind in kinds:
        if kind in REFUSED_CALLBACKS:
            raise ValueError(
                f"net_params['callbacks'] has a {kind}, which is not supported: "
                f"{REFUSED_CALLBACKS[kind]}."
            )
    if not validates and _needs_validation(found, kinds):
        raise ValueError(
            f"net_params['callbacks'] has a {kinds[0]} that looks at validation rows; there are "
            "some with early_stopping=True only."
        )


def _needs_validation(callback, kinds):
    """Whether one of skorch's callbacks can do nothing without validation rows."""
    monitor = getattr(callback, "monitor", None)
    if isinstance(monitor, str) and monitor.startswith("valid_"):
        return True
    scores = {"EpochScoring", "BatchScoring", "PassthroughScoring"} & set(kinds)
    return bool(scores) and not callback.on_train
