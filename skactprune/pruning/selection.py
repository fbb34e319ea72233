"""Which ones: from scores to masks, with exactly as much gone as was asked for.

All surviving units (weights or neurons) of all hidden layers are put into one order, lowest
first. The scope only decides that order: "global" compares scores across layers, "layer" takes
the same share of every layer. Then as short a beginning of the order as reaches the target goes.
"""

import numpy as np

from skactprune.pruning.masks import cascade

GRANULARITIES = ("neuron", "weight")
SCOPES = ("layer", "global")


def smallest_possible(shapes, *, granularity, chained, floors):
    """Number of weights that selection never removes.

    Parameters
    ----------
    shapes : list of (int, int)
        Shapes (n_out, n_in) of the hidden layers.
    granularity : {"neuron", "weight"}
        What leaves together.
    chained : bool
        Whether each layer feeds the next.
    floors : list of int
        Neurons that each layer keeps at least.

    Returns
    -------
    int
    """
    if granularity == "weight":
        return max(1, sum(floor for floor in floors if floor > 1)) * len(shapes)
    if not chained:
        return sum(floor * n_in for floor, (_, n_in) in zip(floors, shapes, strict=True))
    fan_in = [shapes[0][1], *floors[:-1]] if shapes else []
    return sum(floor * n_in for floor, n_in in zip(floors, fan_in, strict=True))


def select(scores, masks, *, granularity, scope, floors, n_left=None, n_removed=None):
    """Masks after the lowest-scored units have gone.

    Ties are broken by position: the earlier layer, neuron and input goes first.

    Parameters
    ----------
    scores : list of ndarray of shape (n_out, n_in) or (n_out, 1)
        Scores of the weights of every hidden layer; low goes first. A neuron's score is the mean
        over its surviving incoming weights.
    masks : Masks
        What is left; not changed.
    granularity : {"neuron", "weight"}
        What leaves together.
    scope : {"layer", "global"}
        What is compared.
    floors : list of int
        Neurons that each layer keeps at least.
    n_left : int, optional
        Remove units until at most so many weights are left, those counted that lose their last
        path to the input or the output.
    n_removed : int, optional
        Instead of `n_left`: remove just so many weights, not counting any others.

    Returns
    -------
    list of bool ndarray
        The new masks, a subset of the old; weights without a path are still in it.
    """
    ranks = _ranks(scores, masks, granularity, scope)
    if granularity == "neuron":
        protected = [_highest(rank, floor) for rank, floor in zip(ranks, floors, strict=True)]
    elif masks.chained:
        protected = _widest_paths(ranks, floors)
    else:
        protected = [_highest(rank, 1) for rank in ranks]
    ranks, n_candidates = _without_protected(ranks, protected)

    def first_gone(k):
        return [mask & (rank >= k) for mask, rank in zip(masks.current, ranks, strict=True)]

    if n_removed is not None:
        return first_gone(min(n_removed, n_candidates))

    def left(k):
        new = first_gone(k)
        return sum(int(mask.sum()) for mask in (cascade(new) if masks.chained else new))

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


def _ranks(scores, masks, granularity, scope):
    """Position of every surviving unit in the order of removal, -1 for what has gone."""
    keys, candidates = [], []
    for score, mask, (n_out, n_in) in zip(scores, masks.current, masks.shapes, strict=True):
        score = np.asarray(score, dtype=np.float64)
        if granularity == "neuron":
            candidate = mask.any(axis=1, keepdims=True)
            if score.shape[1] > 1:
                live = mask.sum(axis=1, keepdims=True)
                total = np.where(mask, score, 0).sum(axis=1, keepdims=True)
                score = total / np.maximum(live, 1)
            n_units = n_out
        else:
            candidate = mask
            score = np.broadcast_to(score, mask.shape)
            n_units = n_out * n_in
        key = score[candidate]
        if scope == "layer":
            position = np.empty(len(key))
            position[_stable_order(key)] = np.arange(len(key))
            key = (n_units - len(key) + position + 0.5) / n_units
        keys.append(key)
        candidates.append(candidate)
    order = _stable_order(np.concatenate(keys))
    flat = np.empty(len(order), dtype=np.int64)
    flat[order] = np.arange(len(order))
    ranks = []
    start = 0
    for key, candidate in zip(keys, candidates, strict=True):
        rank = np.full(candidate.shape, -1, dtype=np.int64)
        rank[candidate] = flat[start : start + len(key)]
        start += len(key)
        ranks.append(rank)
    return ranks


def _stable_order(key):
    """Stable argsort; several times as fast on large arrays as numpy's own."""
    order = np.argsort(key)
    in_order = key[order]
    group = np.concatenate([[0], np.cumsum(in_order[1:] != in_order[:-1])])[: len(key)]
    return np.sort(group * len(key) + order) % max(len(key), 1)


def _highest(rank, n):
    """True for the `n` last units in the order."""
    protected = np.zeros(rank.shape, dtype=bool)
    if n:
        last = np.argpartition(rank, -n, axis=None)[-n:]
        protected.reshape(-1)[last] = True
    return protected


def _widest_paths(ranks, floors):
    """True on paths that keep the wanted number of neurons connected to input and output.

    The path whose lowest rank is highest is the last one that removal in order would cut, so
    that keeping it is the same as never removing the last path.
    """
    protected = [np.zeros(rank.shape, dtype=bool) for rank in ranks]
    never = np.iinfo(np.int64).max
    to_input = [np.full(ranks[0].shape[1], never)]
    for rank in ranks:
        to_input.append(np.minimum(rank, to_input[-1]).max(axis=1))
    to_output = [np.full(ranks[-1].shape[0], never)]
    for rank in reversed(ranks):
        to_output.append(np.minimum(rank, to_output[-1][:, None]).max(axis=0))
    to_output.reverse()

    wide = [depth for depth, floor in enumerate(floors, start=1) if floor > 1] or [1]
    for middle in wide:
        width = np.minimum(to_input[middle], to_output[middle])
        for neuron in np.argsort(-width, kind="stable")[: floors[middle - 1]]:
            j = neuron
            for depth in range(middle - 1, -1, -1):
                i = int(np.minimum(ranks[depth][j], to_input[depth]).argmax())
                protected[depth][j, i] = True
                j = i
            i = neuron
            for depth in range(middle, len(ranks)):
                j = int(np.minimum(ranks[depth][:, i], to_output[depth + 1]).argmax())
                protected[depth][j, i] = True
                i = j
    return protected


def _without_protected(ranks, protected):
    """Close the gaps that protected units leave in the order, and put those units at its end."""
    n_units = 1 + max(int(rank.max()) for rank in ranks)
    is_protected = np.zeros(n_units, dtype=bool)
    for rank, keep in zip(ranks, protected, strict=True):
        is_protected[rank[keep]] = True
    closed = np.arange(n_units) - np.cumsum(is_protected)
    closed[is_protected] = n_units
    closed = np.append(closed, -1)
    return [closed[rank] for rank in ranks], n_units - int(is_protected.sum())
