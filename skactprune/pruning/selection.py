"""Which ones: from scores to masks, with exactly as much gone as was asked for.

All surviving units (weights, neurons or blocks) of all hidden layers are put into one order, lowest
first. The scope only decides that order: "global" compares scores across layers, "layer" takes
the same share of every layer. Then as short a beginning of the order as reaches the target goes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from skactprune.pruning.blocks import n_tiles, sums, tiles
from skactprune.pruning.paths import highest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from skactprune.pruning.masks import Masks

    # Scores of the units of a layer, which of them are left, and how many there were.
    _Scored: TypeAlias = tuple[NDArray[np.float64], NDArray[np.bool_], int]

GRANULARITIES = ("neuron", "weight", "block")
SCOPES = ("layer", "global")


def number_of(share: float, whole: int) -> int:
    """Smallest number that is at least this share of a whole, but for rounding."""
    return math.ceil(share * whole - 1e-9)


def floored(share: float) -> float:
    """Share in four digits, of which no more is asked than of the share, for messages."""
    return math.floor(share * 1e4 + 1e-9) / 1e4


def select(
    scores: Sequence[NDArray[Any]],
    masks: Masks,
    *,
    granularity: str | tuple[int, int],
    scope: str,
    floors: Sequence[int],
    n_left: int | None = None,
    n_removed: int | None = None,
    cutoffs: Sequence[float] | None = None,
) -> list[NDArray[np.bool_]]:
    """Masks after the lowest-scored units have gone.

    Ties are broken by position: the earlier layer, neuron and input goes first.

    Parameters
    ----------
    scores : list of ndarray of shape (n_out, n_in) or (n_out, 1)
        Scores of the weights of every hidden layer; low goes first. The score of a
        neuron is the mean over its surviving incoming weights, that of a block over its surviving
        weights.
    masks : Masks
        What is left; not changed.
    granularity : {"neuron", "weight", "block"} or (int, int)
        What leaves together; two numbers are the outputs and inputs of a block.
    scope : {"layer", "global"}
        What is compared.
    floors : list of int
        Neurons that each layer keeps at least.
    n_left : int, optional
        Remove units until at most so many weights are left, those counted that lose their last
        path to the input or the output.
    n_removed : int, optional
        Instead of `n_left`: remove just so many weights, not counting any others.
    cutoffs : list of float, optional
        Instead of `n_left`: remove all units whose score is below the number of their layer,
        except what must stay.

    Returns
    -------
    list of bool ndarray
        The new masks, a subset of the old; weights without a path are still in it.
    """
    ranks, n_low = _ranks(scores, masks, granularity, scope, cutoffs)
    if granularity == "neuron":
        protected = [highest(rank, floor) for rank, floor in zip(ranks, floors, strict=True)]
    else:
        protected = masks.layout.last_paths(ranks, floors)
    ranks, is_protected = _without_protected(ranks, protected)
    n_candidates = int(np.count_nonzero(~is_protected))

    def first_gone(k: int) -> list[NDArray[np.bool_]]:
        return [mask & (rank >= k) for mask, rank in zip(masks.current, ranks, strict=True)]

    if cutoffs is not None:
        return first_gone(int(np.count_nonzero(~is_protected[:n_low])))
    if n_removed is not None:
        return first_gone(min(n_removed, n_candidates))

    if n_left is None:
        raise TypeError("n_left, n_removed or cutoffs must be given.")

    def left(k: int) -> int:
        return sum(int(mask.sum()) for mask in masks.layout.cascade(first_gone(k)))

    low, high = 0, n_candidates
    if granularity == "weight":
        high = min(high, max(masks.n_left - n_left, 0))
    while low < high:
        middle = (low + high) // 2
        if left(middle) <= n_left:
            high = middle
        else:
            low = middle + 1
    return first_gone(low)


def lowest_features(
    scores: NDArray[Any], masks: Masks, floors: Sequence[int], n: int
) -> NDArray[np.bool_]:
    """Features that leave, those with the lowest scores.

    Parameters
    ----------
    scores : ndarray of shape (n_features,)
        Scores; ties are broken by position, and those that have left have infinite ones.
    masks : Masks
        What is left of a chain of layers.
    floors : list of int
        Neurons that each layer keeps at least, connected to input and output.
    n : int
        How many leave.

    Returns
    -------
    bool ndarray of shape (n_features,)
        Fewer than `n` where that many connections would not be left.
    """
    order = np.argsort(scores, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    first, *others = masks.current
    ranks = [np.where(first, rank, -1), *(np.where(mask, len(rank), -1) for mask in others)]
    needed = np.any(masks.layout.last_paths(ranks, floors)[0], axis=0)
    gone = np.zeros(len(rank), dtype=bool)
    gone[order[~needed[order] & np.isfinite(scores[order])][:n]] = True
    return gone


def _ranks(
    scores: Sequence[NDArray[Any]],
    masks: Masks,
    granularity: str | tuple[int, int],
    scope: str,
    cutoffs: Sequence[float] | None,
) -> tuple[list[NDArray[np.int64]], int]:
    """Position of every surviving unit in the order of removal, -1 for what has gone.

    With `cutoffs`, all units below them come first; how many there are is returned, too.
    """
    keys, given = [], []
    places, candidates = [], []
    start = 0
    units, spread = _units(scores, masks, granularity)
    for score, candidate, n_units in units:
        key = score[candidate]
        order = _stable_order(key)
        if scope == "layer":
            keys.append((n_units - len(key) + np.arange(len(key)) + 0.5) / n_units)
        else:
            keys.append(key[order])
        places.append(start + order)
        start += len(key)
        given.append(key)
        candidates.append(candidate)
    flat = np.empty(start, dtype=np.int64)
    # Sorted runs, which this kind only merges.
    merged = np.argsort(np.concatenate(keys), kind="stable")
    flat[np.concatenate(places)[merged]] = np.arange(start)
    n_low = 0
    if cutoffs is not None:
        low = np.concatenate([key < cut for key, cut in zip(given, cutoffs, strict=True)])
        flat, n_low = _low_first(flat, low), int(np.count_nonzero(low))
    ranks = []
    start = 0
    for key, candidate in zip(given, candidates, strict=True):
        rank = np.full(candidate.shape, -1, dtype=np.int64)
        rank[candidate] = flat[start : start + len(key)]
        start += len(key)
        ranks.append(rank)
    return spread(ranks), n_low


def _units(
    scores: Sequence[NDArray[Any]], masks: Masks, granularity: str | tuple[int, int]
) -> tuple[list[_Scored], Callable[[list[NDArray[np.int64]]], list[NDArray[np.int64]]]]:
    """Units of every layer: their scores, which of them are left, and how many there were.

    A function is returned, too, that spreads their ranks over the weights, or neurons.
    """
    scores = [np.asarray(score, dtype=np.float64) for score in scores]
    layers = list(zip(scores, masks.current, masks.shapes, strict=True))
    if granularity == "neuron":
        return [_neurons(*layer) for layer in layers], list
    if granularity == "weight":
        return [
            (np.broadcast_to(score, mask.shape), mask, n_out * n_in)
            for score, mask, (n_out, n_in) in layers
        ], list
    numbers = tiles(masks, granularity)

    def spread(ranks: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        every = zip(ranks, numbers, masks.current, strict=True)
        return [np.where(mask, rank[tile], -1) for rank, tile, mask in every]

    blocks = [
        _blocks(score, mask, tile, n_tiles(shape, granularity))
        for (score, mask, shape), tile in zip(layers, numbers, strict=True)
    ]
    return blocks, spread


def _neurons(
    score: NDArray[np.float64], mask: NDArray[np.bool_], shape: tuple[int, int]
) -> _Scored:
    if score.shape[1] > 1:
        live = mask.sum(axis=1, keepdims=True)
        total = np.where(mask, score, 0).sum(axis=1, keepdims=True)
        score = total / np.maximum(live, 1)
    return score, np.any(mask, axis=1, keepdims=True), shape[0]


def _blocks(
    score: NDArray[np.float64], mask: NDArray[np.bool_], tile: NDArray[np.int64], n: int
) -> _Scored:
    live = sums(mask.astype(float), tile, n)
    total = sums(np.where(mask, score, 0), tile, n)
    return total / np.maximum(live, 1), live > 0, n


def _low_first(positions: NDArray[np.int64], low: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Positions after those of `low` have moved to the beginning, in the same order."""
    in_order = np.empty_like(low)
    in_order[positions] = low
    moved = np.empty_like(positions)
    moved[np.argsort(~in_order, kind="stable")] = np.arange(len(positions))
    return moved[positions]


def _stable_order(key: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices that sort an array without NaN, equal values by position.

    Where few are equal this is several times as fast as ``argsort(kind="stable")``.
    """
    many = len(key) // 4
    if np.count_nonzero(key[1:] == key[:-1]) > many:
        return np.argsort(key, kind="stable")
    order = np.argsort(key)
    ordered = key[order]
    new = np.append(True, ordered[1:] != ordered[:-1])
    # Those that are equal to the one before or after them.
    tied = np.flatnonzero(~(new & np.append(new[1:], True)))
    if len(tied) > many:
        return np.argsort(key, kind="stable")
    among = order[tied]
    order[tied] = among[np.lexsort((among, np.cumsum(new)[tied]))]
    return order


def _without_protected(
    ranks: list[NDArray[np.int64]], protected: list[NDArray[np.bool_]]
) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Close the gaps that protected units leave in the order, and put those units at its end."""
    n_units = 1 + max(int(rank.max()) for rank in ranks)
    is_protected = np.zeros(n_units, dtype=bool)
    for rank, keep in zip(ranks, protected, strict=True):
        is_protected[rank[keep]] = True
    closed = np.arange(n_units) - np.cumsum(is_protected)
    closed[is_protected] = n_units
    closed = np.append(closed, -1)
    return [closed[rank] for rank in ranks], is_protected
