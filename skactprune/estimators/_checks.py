"""Checks of parameters that a single constraint cannot state."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from skactprune._options import COUNT

if TYPE_CHECKING:
    from types import SimpleNamespace

    from numpy.typing import DTypeLike, NDArray

    from skactprune.estimators._parameters import MLPParameters

# The automatic weight decay is the first, or the second over the rows, whichever is less.
MOST_DECAY, DECAY_OF_ROWS = 0.5, 1000


def hidden_sizes(params: MLPParameters) -> list[int]:
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
    if params.init_estimator is not None:
        return [int(coef.shape[1]) for coef in params.init_estimator.coefs_[:-1]]
    return layer_sizes(params, "hidden_layer_sizes")


def layer_sizes(params: MLPParameters, name: str) -> list[int]:
    """Sizes of layers, as a list of int, from a parameter that is one of them or a sequence.

    Parameters
    ----------
    params : estimator
        Where it is read.
    name : str
        Of the parameter.

    Raises
    ------
    ValueError
        For sizes that are not positive integers.
    """
    given = getattr(params, name)
    sizes = list(given) if np.iterable(given) else [given]
    if not all(map(COUNT.is_satisfied_by, sizes)):
        raise ValueError(f"{name}={given!r} must be integers > 0.")
    return [int(size) for size in sizes]


def shown_layer(params: MLPParameters, n_layers: int) -> int | Literal["all"]:
    """Index of the hidden layer that `transform` shows, or "all".

    Parameters
    ----------
    params : estimator
        Its ``transform_layer``.
    n_layers : int
        Number of hidden layers.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    layer = params.transform_layer
    if isinstance(layer, str):
        return "all"
    if not -n_layers <= layer < n_layers:
        raise ValueError(
            f"transform_layer={layer!r} must be in [{-n_layers}, {n_layers - 1}] with {n_layers} "
            "hidden layers."
        )
    return int(layer) % n_layers


def check_n_components(params: MLPParameters, sizes: list[int], sizes_are: str) -> list[int]:
    """Neurons that each hidden layer must have for the components that are asked for.

    Parameters
    ----------
    params : estimator
        Its ``n_components``, of which a share asks for no more than one neuron, and what goes with
        it.
    sizes : list of int
        Sizes of the hidden layers.
    sizes_are : str
        What these are, for the message.

    Returns
    -------
    list of int
        Of layers shown together each has the share that it has of their neurons, rounded up.

    Raises
    ------
    ValueError
        If there are not as many neurons, or no hidden layer, or nothing to whiten.
    """
    k = params.n_components
    if k is None and params.whiten:
        raise ValueError(f"whiten={params.whiten!r} needs n_components, which is None.")
    if not sizes:
        for name in ("n_components", "fit_inverse_transform"):
            if getattr(params, name):
                raise ValueError(
                    f"{name}={getattr(params, name)!r} needs a hidden layer; "
                    f"hidden_layer_sizes={params.hidden_layer_sizes!r} has none."
                )
        return []
    layer = shown_layer(params, len(sizes))
    shown = slice(None) if layer == "all" else slice(layer, layer + 1)
    least = int(k) if isinstance(k, Integral) else 1
    n_neurons = sum(sizes[shown])
    if least > n_neurons:
        raise ValueError(
            f"n_components={k!r} must be at most {n_neurons}, the {sizes_are} of "
            f"{'all hidden layers' if layer == 'all' else f'hidden layer {layer}'}, which "
            f"transform_layer={params.transform_layer!r} names."
        )
    least_of = [1] * len(sizes)
    least_of[shown] = [-(-least * size // n_neurons) for size in sizes[shown]]
    return least_of


def check_init_estimator(init_estimator: Any, kind: str, needed: tuple[str, ...]) -> None:
    """Raise ValueError for an `init_estimator` that is not fitted, or not of the kind.

    Parameters
    ----------
    init_estimator : object
        What is looked at; None is fine.
    kind : str
        Name of the class of scikit-learn's that it should be.
    needed : tuple of str
        Attributes that it must have besides weights.
    """
    if init_estimator is not None and not all(
        hasattr(init_estimator, name) for name in ("coefs_", "intercepts_", *needed)
    ):
        raise ValueError(
            f"init_estimator={init_estimator!r} must be a fitted {kind}, in a "
            "FrozenEstimator so that clones stay fitted, or None."
        )


def check_starts(estimator: MLPParameters, name: str) -> None:
    """Raise ValueError for another's weights that would mean something else in a net.

    Parameters
    ----------
    estimator : estimator
        Knows its features.
    name : str
        Of the parameter that holds the other estimator.

    Raises
    ------
    ValueError
        For one of another activation, or that was fitted on features of other names.
    """
    other = getattr(estimator, name)
    if getattr(other, "activation", estimator.activation) != estimator.activation:
        raise ValueError(
            f"{name}={other!r} has activation={other.activation!r}; it must be that of the net, "
            f"{estimator.activation!r}."
        )
    ours, theirs = (getattr(est, "feature_names_in_", None) for est in (estimator, other))
    if ours is not None and theirs is not None and list(ours) != list(theirs):
        raise ValueError(
            f"{name}={other!r} was fitted on features of the names {list(theirs)}; X has "
            f"{list(ours)}."
        )


def check_weights(weight: NDArray[Any]) -> None:
    """Raise ValueError for weights of rows whose mean is no number in their dtype."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(weight.sum())
    if not finite or 0 < weight.max() < np.finfo(weight.dtype).tiny:
        raise ValueError(
            f"sample_weight and class_weight give rows weights up to {weight.max()!s}, whose sum, "
            f"or reciprocal, is more than {weight.dtype} has. Scale them."
        )


def weight_decay_of(params: SimpleNamespace, n_rows: int) -> float:
    """Decoupled weight decay.

    Parameters
    ----------
    params : types.SimpleNamespace
        Parameters of the estimator, as Python's own numbers.
    n_rows : int
        Rows to learn from: the more there are, the less a net can learn single ones by heart.

    Returns
    -------
    float
    """
    if params.weight_decay != "auto":
        return params.weight_decay
    # The steps of "adam" are of one size; with "sgd" it would be an L2 penalty of this strength.
    by_adam = params.solver == "adam" and "optimizer" not in (params.net_params or {})
    return min(MOST_DECAY, DECAY_OF_ROWS / n_rows) if prunes(params) and by_adam else 0.0


def prunes(params: MLPParameters | SimpleNamespace) -> bool:
    """Whether parameters, of an estimator or plain ones, ask for a net to be pruned."""
    asked = params.prune_fraction != 0 or params.prune_features or params.prune_output
    return bool(asked and params.n_prune_rounds)


def check_in_range_of(dtype: DTypeLike, params: SimpleNamespace) -> None:
    """Raise ValueError for a number that the type of the weights cannot hold."""
    largest = float(np.finfo(dtype).max)
    for name, value in vars(params).items():
        if isinstance(value, float) and np.isfinite(value) and abs(value) > largest:
            raise ValueError(
                f"{name}={value!r} must be at most {largest:.3g}, the largest number of "
                f"{np.dtype(dtype).name}, the type of the weights."
            )
