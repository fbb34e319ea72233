"""What compact models compute with, read from arrays that may be anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from skactprune.deploy.packing import take
from skactprune.deploy.storages import STORAGES, get_storage
from skactprune.nets.activations import ACTIVATIONS
from skactprune.nets.components import HiddenComponents, LinearInverse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def read(
    arrays: dict[str, NDArray[Any]],
    *,
    activation: str | Sequence[str],
    storage: str,
    layer_sizes: list[int],
    transform_layer: int | Literal["all"] | None,
    ranks: list[int | None] | None,
    most_bytes: int | None,
) -> dict[str, Any]:
    """What `skactprune.deploy.weights.CompactWeights` is made of, once it is known to be sound.

    Parameters
    ----------
    arrays : dict of str to ndarray
        State; emptied.
    activation, storage, layer_sizes, transform_layer, ranks, most_bytes
        As for `CompactWeights.from_arrays`.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If the arrays are not those of such a net.
    """
    _check_metadata(activation, storage, layer_sizes, transform_layer)
    _check_ranks(ranks, len(layer_sizes) - 1)
    n_features, *widths = layer_sizes
    kept = get_storage(storage)
    dtype = kept.compute_dtype
    shapes = _shapes_of(layer_sizes, ranks)
    if most_bytes is not None:
        _check_nbytes(shapes, dtype, most_bytes)
    intercepts = take(arrays, "intercepts", dtype, (sum(widths),))
    width = shown_width(widths, transform_layer)
    components = _taken_components(arrays, dtype, width)
    if components is not None:
        width = components.projection.shape[1]
    inverse = _taken_inverse(arrays, dtype, (width, n_features))
    input_scale = None
    if "input_scale" in arrays:
        input_scale = take(arrays, "input_scale", dtype, (n_features,))
        if not (input_scale > 0).all():
            raise ValueError("its input_scale is not positive")
    stored = kept.unpack(arrays, shapes)
    if arrays:
        raise ValueError(f"it has unknown arrays: {', '.join(sorted(arrays))}")
    return {
        "activation": activation if isinstance(activation, str) else tuple(activation),
        "storage": storage,
        "stored": stored,
        "intercepts": np.split(intercepts, np.cumsum(widths[:-1])),
        "input_scale": input_scale,
        "transform_layer": transform_layer,
        "components": components,
        "inverse": inverse,
        "ranks": tuple(ranks or ()),
    }


def shown_width(widths: list[int], shown: int | Literal["all"] | None) -> int:
    """Neurons of the hidden layers that are shown, of layers of these widths, output last."""
    if shown is None:
        return 0
    return sum(widths[:-1]) if shown == "all" else widths[shown]


def _taken_components(
    arrays: dict[str, NDArray[Any]], dtype: np.dtype[Any], width: int
) -> HiddenComponents | None:
    """Components, their arrays taken out of `arrays`; None where there are none."""
    if "projection" not in arrays:
        return None
    projection = take(arrays, "projection", dtype, (width, None))
    k = projection.shape[1]
    # Earlier files have the offset instead of the mean, and do not say what is explained.
    if "mean" not in arrays:
        offset = take(arrays, "projection_offset", dtype, (k,))
        return HiddenComponents(projection, projection_offset=offset)
    mean = take(arrays, "mean", dtype, (width,))
    explained = ("explained_variance", "explained_variance_ratio", "singular_values")
    of_each = {name: take(arrays, name, dtype, (k,)) for name in explained if name in arrays}
    return HiddenComponents(projection, mean, **of_each)


def _taken_inverse(
    arrays: dict[str, NDArray[Any]], dtype: np.dtype[Any], shape: tuple[int, int]
) -> LinearInverse | None:
    if "inverse_coef" not in arrays:
        return None
    coef = take(arrays, "inverse_coef", dtype, shape)
    return LinearInverse(coef, take(arrays, "inverse_intercept", dtype, shape[1:]))


def _check_nbytes(shapes: list[tuple[int, int]], dtype: np.dtype[Any], most: int) -> None:
    n_bytes = sum(n_in * n_out for n_in, n_out in shapes) * dtype.itemsize
    if n_bytes > most:
        raise ValueError(f"its layer_sizes demand {n_bytes} bytes, more than such a file can hold")


def _shapes_of(layer_sizes: list[int], ranks: list[int | None] | None) -> list[tuple[int, int]]:
    """Shapes of the matrices that are kept, two for a layer with a rank."""
    shapes = []
    for n_in, n_out, rank in zip(
        layer_sizes, layer_sizes[1:], ranks or [None] * len(layer_sizes), strict=False
    ):
        shapes += [(n_in, n_out)] if rank is None else [(n_in, rank), (rank, n_out)]
    return shapes


def _check_ranks(ranks: Any, n_layers: int) -> None:
    if ranks is None:
        return
    right = isinstance(ranks, list) and len(ranks) == n_layers and ranks[-1] is None
    if not right or not all(r is None or type(r) is int and r > 0 for r in ranks) or not any(ranks):
        raise ValueError("its ranks are invalid")


def _are_known(activation: Any, n_hidden: int) -> bool:
    if isinstance(activation, list):
        return len(activation) == n_hidden and all(_are_known(one, 0) for one in activation)
    return isinstance(activation, str) and activation in ACTIVATIONS


def _check_metadata(activation: Any, storage: Any, layer_sizes: Any, transform_layer: Any) -> None:
    are_sizes = isinstance(layer_sizes, list) and all(type(n) is int and n > 0 for n in layer_sizes)
    n_hidden = len(layer_sizes) - 2 if are_sizes else -1
    is_layer = type(transform_layer) is int and 0 <= transform_layer < n_hidden
    shows_all = isinstance(transform_layer, str) and transform_layer == "all" and n_hidden > 0
    valid = {
        "layer_sizes": n_hidden >= 0,
        "activation": _are_known(activation, n_hidden),
        "storage": storage in STORAGES,
        "transform_layer": is_layer or transform_layer is None or shows_all,
    }
    for name, is_valid in valid.items():
        if not is_valid:
            raise ValueError(f"its {name} is invalid")
