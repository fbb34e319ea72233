"""Checks of ``net_params``: what of a skorch net is the user's to set, and how."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from skorch import NeuralNet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

SET_BY_ESTIMATOR = (
    "module",
    "criterion",
    "batch_size",
    "max_epochs",
    "lr",
    "device",
    "classes",
    "alpha",
    "weight_decay",
    "iterator_train",
    "train_split",
    "predict_nonlinearity",
    "warm_start",
    "dataset",
)
RESERVED_CALLBACKS = ("control", "pruner")
# Callbacks of skorch that cannot do here what they are for, and why.
REFUSED_CALLBACKS = {
    "Freezer": "neurons cannot leave from between layers that must not change",
    "Unfreezer": "no layer is frozen",
    "InputShapeSetter": "the estimator knows the sizes of its layers",
    "Pruner": "the estimator has one, whose parameters are its own: method, prune_fraction, ...",
}
# Optimizers that cannot train here, and why.
REFUSED_OPTIMIZERS = {
    torch.optim.LBFGS: "it needs several passes a step over a net that stays as it is",
    torch.optim.SparseAdam: "it takes sparse gradients only",
}


def check_net_params(
    net_params: dict[str, Any] | None, name: str, defaults: dict[str, Any], validates: bool
) -> tuple[dict[str, Any], list[Any]]:
    """Check further parameters of the net, and take the callbacks from them.

    Parameters
    ----------
    net_params : dict or None
        What the user gave.
    name : str
        Of the estimator.
    defaults : dict
        What the net gets where `net_params` says nothing: ``optimizer`` and ``iterator_valid``.
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
        For names that are no strings, that nobody knows or that the estimator sets itself, for
        callbacks that are none or that have the name of one of the estimator's own, and for
        optimizers that cannot be used.
    """
    net_params = dict(net_params or {})
    callbacks = net_params.pop("callbacks", None) or []
    if not isinstance(callbacks, (list, tuple)):
        raise ValueError(
            f"net_params['callbacks']={callbacks!r} must be a list of callbacks, or of pairs of a "
            "name and a callback."
        )
    for callback in callbacks:
        _check_callback(callback, name, validates)
    for key in net_params:
        if not isinstance(key, str):
            raise ValueError(f"net_params has the key {key!r}; keys must be names of parameters.")
        if key.partition("__")[0] in SET_BY_ESTIMATOR:
            raise ValueError(
                f"net_params[{key!r}] cannot be set: {name} itself sets "
                f"{', '.join(SET_BY_ESTIMATOR)}."
            )
    if net_params.get("compile"):
        raise ValueError(
            f"net_params['compile']={net_params['compile']!r} is not supported: layers change "
            "their sizes in training, and the net would be compiled again each time."
        )
    parts = {part: net_params.get(part, default) for part, default in defaults.items()}
    _check_optimizer(parts["optimizer"])
    names = _callback_names(callbacks)
    for key in net_params:
        _check_key(key, parts, names, name)
    return net_params, list(callbacks)


def _check_key(key: str, parts: dict[str, Any], callbacks: dict[str, Any], name: str) -> None:
    """Raise ValueError for a key that nothing in the net would read."""
    first, separator, rest = key.partition("__")
    if not separator:
        allowed = _parameters(NeuralNet) - {*SET_BY_ESTIMATOR, "compile"}
        _require(key, key in {*allowed, "compile"}, "the net", allowed)
    elif first == "callbacks":
        called, _, parameter = rest.partition("__")
        if called in RESERVED_CALLBACKS:
            raise ValueError(
                f"net_params[{key!r}] cannot be set: this callback is {name}'s own. Its parameters "
                f"are those of {name}."
            )
        _require(key, called in callbacks, "net_params['callbacks']", callbacks)
        if parameter and callbacks[called] is not None:
            allowed = _parameters(callbacks[called])
            _require(key, parameter.partition("__")[0] in allowed, f"{called!r}", allowed)
    else:
        _require(key, first in parts, "the net", [f"{part}__..." for part in (*parts, "callbacks")])
        allowed = _parameters(parts[first]) - {"params", "dataset", "batch_size"}
        if first == "optimizer":
            allowed |= {"param_groups"}
        _require(key, _takes(parts[first], rest, allowed), f"{first!r}", allowed)


def _require(key: str, known: bool, what: str, allowed: Collection[str]) -> None:
    if not known:
        found = ", ".join(sorted(allowed)) or "none"
        raise ValueError(f"net_params[{key!r}] is unknown; of {what}, these can be set: {found}.")


def _takes(function: Callable[..., Any], name: str, names: Collection[str]) -> bool:
    kinds = {parameter.kind for parameter in _signature(function).values()}
    return name in names or (bool(name) and inspect.Parameter.VAR_KEYWORD in kinds)


def _parameters(called: Any) -> set[str]:
    """Names that a class, a function, or the class of a callback takes."""
    return {
        name
        for name, parameter in _signature(called).items()
        if parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    }


def _signature(called: Any) -> Mapping[str, inspect.Parameter]:
    if hasattr(called, "get_params") and not isinstance(called, type):
        called = type(called)
    return inspect.signature(called).parameters


def _check_optimizer(optimizer: Any) -> None:
    if not callable(optimizer):
        raise ValueError(
            f"net_params['optimizer']={optimizer!r} must be a class of torch.optim, or a function "
            "that makes an optimizer of parameters."
        )
    for refused, reason in REFUSED_OPTIMIZERS.items():
        if isinstance(optimizer, type) and issubclass(optimizer, refused):
            raise ValueError(
                f"net_params['optimizer']={optimizer.__name__} is not supported: {reason}. Use a "
                "first-order optimizer for dense weights."
            )


def _callback_names(callbacks: Sequence[Any]) -> dict[str, Any]:
    """Callbacks by the names that they have in the net, as skorch gives them.

    Raises
    ------
    ValueError
        If one is named as another.
    """
    pairs = [
        c if isinstance(c, tuple) else (getattr(c, "__name__", type(c).__name__), c)
        for c in callbacks
    ]
    counts = Counter(name for name, _ in pairs)
    given = {c[0] for c in callbacks if isinstance(c, tuple)}
    seen: Counter[str] = Counter()
    named: dict[str, Any] = {}
    for name, callback in pairs:
        seen[name] += 1
        unique = name if counts[name] == 1 else f"{name}_{seen[name]}"
        if (counts[name] > 1 and name in given) or unique in named:
            raise ValueError(
                f"net_params['callbacks'] has more than one of the name {name!r}; names must "
                "differ."
            )
        named[unique] = callback
    return named


def _check_callback(callback: Any, name: str, validates: bool) -> None:
    named = isinstance(callback, tuple) and len(callback) == 2
    if named and (not isinstance(callback[0], str) or callback[0] in RESERVED_CALLBACKS):
        raise ValueError(
            f"net_params['callbacks'] has one of the name {callback[0]!r}; it must be a string, "
            f"and {name} itself has callbacks of the names {', '.join(RESERVED_CALLBACKS)}."
        )
    found = callback[1] if named else callback
    if not (hasattr(found, "on_epoch_end") and hasattr(found, "initialize")):
        raise ValueError(
            f"net_params['callbacks'] has {callback!r}; it must be a skorch callback, or a pair of "
            "a name and a callback."
        )
    kinds = [kind.__name__ for kind in (found if isinstance(found, type) else type(found)).__mro__]
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


def _needs_validation(callback: Any, kinds: list[str]) -> bool:
    """Whether one of skorch's callbacks can do nothing without validation rows."""
    monitor = _value_of(callback, "monitor")
    if isinstance(monitor, str) and monitor.startswith("valid_"):
        return True
    scores = {"EpochScoring", "BatchScoring", "PassthroughScoring"} & set(kinds)
    return bool(scores) and not _value_of(callback, "on_train")


def _value_of(callback: Any, name: str) -> Any:
    """Value of a parameter; that of a class is its default."""
    if not isinstance(callback, type):
        return getattr(callback, name, None)
    parameter = inspect.signature(callback).parameters.get(name)
    return None if parameter is None else parameter.default
