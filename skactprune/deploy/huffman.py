"""Canonical Huffman codes: numbers as few bits, and back.

A code is given by its lengths alone: words are numbered by length, and by symbol where these are
equal (Schwartz & Kallick, "Generating a canonical prefix encoding", CACM 1964).
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So that a table of what all beginnings of this length mean is small.
LONGEST = 16
# Symbols that are encoded, and bytes that are decoded, at once: both take many times their size.
AT_ONCE = 2**16


def code_lengths(counts: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Lengths of the words of a code that takes the fewest bits.

    Parameters
    ----------
    counts : int ndarray of shape (n_symbols,)
        How often each symbol comes.

    Returns
    -------
    uint8 ndarray of shape (n_symbols,)
        At most `LONGEST`; 0 for symbols that do not come. One symbol alone has a word of one bit.
    """
    counts = np.asarray(counts, dtype=np.int64)
    lengths = np.zeros(len(counts), dtype=np.uint8)
    used = np.flatnonzero(counts)
    if len(used) == 1:
        lengths[used] = 1
    if len(used) < 2:
        return lengths
    found = _depths([int(count) for count in counts[used]])
    while max(found) > LONGEST:
        # Counts that differ less give words that do.
        counts = (counts + 1) // 2
        found = _depths([int(count) for count in counts[used]])
    lengths[used] = found
    return lengths


def _depths(counts: list[int]) -> list[int]:
    """Depth of every leaf of a Huffman tree."""
    heap = [(count, leaf) for leaf, count in enumerate(counts)]
    heapq.heapify(heap)
    parents = [0] * (2 * len(counts) - 1)
    for node in range(len(counts), len(parents)):
        (a, one), (b, other) = heapq.heappop(heap), heapq.heappop(heap)
        parents[one] = parents[other] = node
        heapq.heappush(heap, (a + b, node))
    depths = [0] * len(parents)
    for node in range(len(parents) - 2, -1, -1):
        depths[node] = depths[parents[node]] + 1
    return depths[: len(counts)]


def in_order(lengths: NDArray[np.integer]) -> NDArray[np.intp]:
    """Symbols in the order of their words; those without one are left out."""
    lengths = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(lengths, kind="stable")
    return order[lengths[order] > 0]


def check_lengths(lengths: NDArray[np.uint8]) -> None:
    """Raise ValueError if no code that `code_lengths` gives has these lengths.

    Parameters
    ----------
    lengths : uint8 ndarray of shape (n_symbols,)
        The lengths.
    """
    used = lengths[lengths > 0].astype(np.int64)
    if used.max(initial=0) > LONGEST:
        raise ValueError("its codes are too long")
    share = (2 ** (LONGEST - used)).sum()
    if share not in (0, 2**LONGEST) and used.tolist() != [1]:
        raise ValueError("its codes are not complete")


def encoded(symbols: NDArray[np.integer], lengths: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Words of symbols, one after the other.

    Parameters
    ----------
    symbols : int ndarray of shape (n,)
        Each has a word.
    lengths : uint8 ndarray of shape (n_symbols,)
        From `code_lengths`.

    Returns
    -------
    uint8 ndarray
        A bit an entry, the most significant one of each word first.
    """
    order = in_order(lengths)
    wide = lengths.astype(np.int64)
    # The beginnings of words, as fractions of LONGEST bits, rise by the share of each.
    shares = 2 ** (LONGEST - wide[order])
    words = np.zeros(len(lengths), dtype=np.int64)
    words[order] = (np.cumsum(shares) - shares) >> (LONGEST - wide[order])
    parts = [np.zeros(0, dtype=np.uint8)]
    for start in range(0, len(symbols), AT_ONCE):
        some = symbols[start : start + AT_ONCE]
        ends = np.cumsum(wide[some])
        to_come = np.repeat(ends, wide[some]) - np.arange(1, ends[-1] + 1)
        parts.append((np.repeat(words[some], wide[some]) >> to_come & 1).astype(np.uint8))
    return np.concatenate(parts)


def decoded(
    code: NDArray[np.uint8], start: int, n: int, lengths: NDArray[np.uint8]
) -> tuple[NDArray[np.uint16], int]:
    """Symbols from their words.

    Parameters
    ----------
    code : uint8 ndarray of shape (n_bytes,)
        Bits, eight in each, the most significant first.
    start : int
        Bit at which the first word begins.
    n : int
        Number of symbols.
    lengths : uint8 ndarray of shape (n_symbols,)
        Lengths of the words, which were checked.

    Returns
    -------
    symbols : uint16 ndarray of shape (n,)
        The symbols.
    end : int
        Bit after the last word.

    Raises
    ------
    ValueError
        If the bits end too early, or are no words.
    """
    order, longest = in_order(lengths), int(lengths.max(initial=0))
    repeats = 2 ** (longest - lengths[order].astype(np.int64))
    # What a beginning of `longest` bits means: symbol and length; of one symbol alone, half of all.
    rest = 2**longest - int(repeats.sum())
    meaning = np.append(np.repeat(order, repeats), np.full(rest, -1))
    steps = np.append(np.repeat(lengths[order], repeats), np.full(rest, 1, np.uint8))
    parts, at, n_left = [np.zeros(0, dtype=np.uint16)], start, n
    while n_left:
        first = at // 8
        windows = _windows(code[first : first + AT_ONCE + 3], longest)
        places, at = _walk(steps[windows].tolist(), at - 8 * first, n_left)
        if not places:
            raise ValueError("its code ends too early")
        symbols = meaning[windows[places]]
        if symbols.min() < 0:
            raise ValueError("its code has bits that mean nothing")
        parts.append(symbols.astype(np.uint16))
        at, n_left = at + 8 * first, n_left - len(places)
    if at > 8 * len(code):
        raise ValueError("its code ends too early")
    return np.concatenate(parts), at


def _windows(some: NDArray[np.uint8], longest: int) -> NDArray[Any]:
    """For every bit the number that it and the following ones make, `longest` in all."""
    n_bytes = min(len(some), AT_ONCE)
    some = np.append(some, np.zeros(3, dtype=np.uint8)).astype(np.uint32)
    words = np.bitwise_or.reduce([some[i : n_bytes + i] << (24 - 8 * i) for i in range(4)])
    shifted = words[:, None] << np.arange(8, dtype=np.uint32)
    return (shifted >> np.uint32(32 - longest)).ravel()


def _walk(steps: list[int], at: int, n: int) -> tuple[list[int], int]:
    """Places of up to `n` words, each a step from the one before, and the place after them."""
    places: list[int] = []
    end = len(steps)
    while at < end and len(places) < n:
        places.append(at)
        at += steps[at]
    return places, at
