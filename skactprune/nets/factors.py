"""Matrices that are kept as the product of two smaller ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune.spectra import numerical_rank

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# Part of the mean square that is added where rows are fitted, so that empty ones do no harm.
RIDGE = 1e-12


def n_nonzero(matrices: Iterable[NDArray[Any]]) -> int:
    """How many numbers matrices are, zeros not counted."""
    return sum(int(np.count_nonzero(matrix)) for matrix in matrices)


def fewest_numbers(
    kernel: NDArray[Any], factors: tuple[NDArray[Any], NDArray[Any]] | None = None
) -> tuple[NDArray[Any], ...]:
    """Matrices whose product is a kernel, those that are the fewest numbers.

    Parameters
    ----------
    kernel : ndarray of shape (m, n)
        Weights of a layer.
    factors : (ndarray of shape (m, r), ndarray of shape (r, n)), default=None
        Factors of it, if they are known. Others have its numerical rank, by its SVD.

    Returns
    -------
    tuple of ndarray
        The kernel alone or, where they have fewer numbers that are not zero, two factors in its
        type.
    """
    if factors is not None and _is_product(kernel, factors):
        found = tuple(factor.astype(kernel.dtype) for factor in factors)
        return found if n_nonzero(found) < n_nonzero([kernel]) else (kernel,)
    rank = numerical_rank(kernel)
    if rank * sum(kernel.shape) >= n_nonzero([kernel]):
        return (kernel,)
    left, right = halves_of_svd(kernel, rank)
    return left.astype(kernel.dtype), right.astype(kernel.dtype)


def _is_product(kernel: NDArray[Any], factors: tuple[NDArray[Any], NDArray[Any]]) -> bool:
    """Whether factors are those of a kernel, but for rounding, as `numerical_rank` takes it."""
    left, right = factors
    if (left.shape[0], right.shape[1]) != kernel.shape:
        return False
    error = np.linalg.norm(left.astype(np.float64) @ right - kernel)
    return error <= max(kernel.shape) * np.finfo(kernel.dtype).eps * np.linalg.norm(kernel)


def halves_of_svd(
    matrix: NDArray[Any], rank: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two factors of a truncated SVD, each with the roots of the singular values.

    Parameters
    ----------
    matrix : ndarray of shape (m, n)
        Any.
    rank : int
        Singular values that are kept.

    Returns
    -------
    left, right : ndarray of shape (m, rank), (rank, n), dtype float64
        Rows and columns of zeros are zeros in them, too.
    """
    U, s, Vt = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    roots = np.sqrt(s[:rank])
    left, right = U[:, :rank] * roots, roots[:, None] * Vt[:rank]
    left[~matrix.any(axis=1)] = 0
    right[:, ~matrix.any(axis=0)] = 0
    return left, right


# -- sparse factors -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sparing:
    """How much less of the rank neurons keep that matter less (SLR).

    Attributes
    ----------
    low : float
        Share of the inputs, and of the outputs, of a layer that keep less.
    keep : float
        Share of the rank that they keep.
    """

    low: float
    keep: float

    def reduced(self, rank: int) -> int:
        """Rank of the neurons that keep less, at least 1."""
        return max(1, math.ceil(self.keep * rank - 1e-9))

    def n_numbers(self, shape: tuple[int, int], rank: int) -> int:
        """How many numbers the factors of a matrix of some shape are."""
        n_low = sum(int(self.low * n) for n in shape)
        return rank * sum(shape) - (rank - self.reduced(rank)) * n_low

    def highest_rank(self, shape: tuple[int, int]) -> int:
        """Highest rank whose factors are fewer numbers than the matrix; 0 where none are."""
        rank = min(shape)
        while rank and self.n_numbers(shape, rank) >= math.prod(shape):
            rank -= 1
        return rank

    def fewest(self, shapes: Iterable[tuple[int, int]]) -> int:
        """Numbers that are left of matrices of these shapes where all have rank 1 that can."""
        return sum(min(math.prod(shape), self.n_numbers(shape, 1)) for shape in shapes)

    def ranks(self, shapes: list[tuple[int, int]], n_left: int) -> list[int | None]:
        """Ranks such that all factors have at most so many numbers.

        Parameters
        ----------
        shapes : list of (int, int)
            Shapes of the matrices.
        n_left : int
            So many, or `fewest`.

        Returns
        -------
        list of int or None
            About the same share of all numbers is left of every matrix; None where it stays whole.
        """
        ranks: list[int | None] = [None] * len(shapes)
        sizes = [math.prod(shape) for shape in shapes]
        least = [1 if self.highest_rank(shape) else None for shape in shapes]
        while sum(sizes) > n_left and ranks != least:
            shares = [
                -1.0 if rank == low else size / math.prod(shape)
                for size, shape, rank, low in zip(sizes, shapes, ranks, least, strict=True)
            ]
            at = int(np.argmax(shares))
            before = ranks[at]
            rank = self.highest_rank(shapes[at]) if before is None else before - 1
            ranks[at], sizes[at] = rank, self.n_numbers(shapes[at], rank)
        return ranks

    def factors(
        self, matrix: NDArray[Any], rank: int, of_rows: NDArray[Any], of_columns: NDArray[Any]
    ) -> SparseFactors:
        """Factors of a matrix by its truncated SVD.

        Parameters
        ----------
        matrix : ndarray of shape (m, n)
            Weights.
        rank : int
            Rank of the rows and columns that matter more.
        of_rows, of_columns : ndarray of shape (m,), (n,)
            How much each of them matters. Of equal ones the first keep less.

        Returns
        -------
        SparseFactors
        """
        left, right = halves_of_svd(matrix, rank)
        low_rows, low_columns = [
            np.isin(np.arange(len(of)), np.argsort(of, kind="stable")[: int(self.low * len(of))])
            for of in (of_rows, of_columns)
        ]
        reduced = self.reduced(rank)
        left[low_rows, reduced:] = 0
        right[reduced:, low_columns] = 0
        return SparseFactors(left, right, low_rows, low_columns, reduced)


@dataclass(frozen=True, eq=False)
class SparseFactors:
    """Two factors of a matrix, some of whose rows and columns keep less of the rank.

    Attributes
    ----------
    left, right : ndarray of shape (m, rank), (rank, n), dtype float64
        The factors.
    low_rows, low_columns : bool ndarray of shape (m,), (n,)
        True where the factors are zero beyond `reduced`.
    reduced : int
        Rank that these keep.
    """

    left: NDArray[np.float64]
    right: NDArray[np.float64]
    low_rows: NDArray[np.bool_]
    low_columns: NDArray[np.bool_]
    reduced: int

    @property
    def product(self) -> NDArray[np.float64]:
        """The matrix, in float64."""
        return self.left @ self.right

    @property
    def n_numbers(self) -> int:
        """How many numbers the factors are, those that are not held at zero."""
        rank, spared = len(self.right), len(self.right) - self.reduced
        n_low = int(self.low_rows.sum() + self.low_columns.sum())
        return rank * (len(self.left) + self.right.shape[1]) - spared * n_low

    def fitted_to(self, matrix: NDArray[Any]) -> Self:
        """Factors with the same zeros that come near to another matrix.

        By least squares, for the left factor and then for the right one. Where no row and column
        keeps less, that finds a product of such factors which the matrix is; else a part of the
        way is left, which gets shorter with every call.

        Parameters
        ----------
        matrix : ndarray of shape (m, n)
            The other one.

        Returns
        -------
        SparseFactors
        """
        matrix = matrix.astype(np.float64, copy=False)
        left = self._fitted_rows(matrix, self.right, self.low_rows)
        right = self._fitted_rows(matrix.T, left.T, self.low_columns).T
        return replace(self, left=left, right=right)

    def _fitted_rows(
        self, matrix: NDArray[np.float64], basis: NDArray[np.float64], low: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Rows of a factor that, times a basis, come nearest to those of a matrix."""
        gram, given = basis @ basis.T, basis @ matrix.T
        gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram) or 1.0
        rows = np.zeros((len(matrix), len(basis)))
        for some, rank in ((~low, len(basis)), (low, self.reduced)):
            rows[some, :rank] = np.linalg.solve(gram[:rank, :rank], given[:rank, some]).T
        return rows

    def cut(
        self, rows: NDArray[np.bool_] | slice, columns: NDArray[np.bool_] | slice
    ) -> SparseFactors:
        """Factors of the matrix without some rows and columns, given those that stay."""
        return SparseFactors(
            self.left[rows],
            self.right[:, columns],
            self.low_rows[rows],
            self.low_columns[columns],
            self.reduced,
        )
