"""Rows that stay in files: read a chunk at a time, or mapped into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from skactprune._array_api import as_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray

    T = TypeVar("T")

__all__ = ["Chunks"]


class Chunks:
    """Rows that come in chunks, such as the row groups of a file that is larger than memory.

    Where an estimator takes one as `X`, it reads a chunk whenever it needs rows of it, and keeps
    the last one; what is learned of the rows is what an array of all of them gives. `fit` reads all
    chunks once to check them and once an epoch, and those with rows of a sample wherever a method
    draws one. With ``shuffle=True``, chunks come in another order in every epoch, and the rows of
    each in random order; an array is shuffled as a whole. `y` and `sample_weight` are arrays.

    Parameters
    ----------
    read : callable
        Gets one of `sources` and returns a chunk: an array-like of shape (n_rows, n_features), or
        a DataFrame of numbers, with the same columns in every chunk. It is called again for the
        same source, and must return the same rows then.
    sources : iterable
        One for every chunk, in the order of the rows: file names, numbers of row groups, slices.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune import Chunks, PrunedMLPClassifier
    >>> X = np.random.default_rng(0).normal(size=(1000, 5))
    >>> chunks = Chunks(lambda start: X[start : start + 300], range(0, 1000, 300))
    >>> [len(chunk) for chunk in chunks]
    [300, 300, 300, 100]
    >>> net = PrunedMLPClassifier((20,), tol=0.01, learning_rate_init=0.01, random_state=0)
    >>> bool(net.fit(chunks, X[:, 0] > 0).score(chunks, X[:, 0] > 0) > 0.9)
    True
    """

    def __init__(self, read: Callable[..., Any], sources: Iterable[Any]) -> None:
        if not callable(read):
            raise TypeError(
                f"read, of type {type(read).__name__}, must be a function that returns the rows of "
                "a source."
            )
        self.read, self.sources = read, list(sources)
        if not self.sources:
            raise ValueError("sources is empty; there must be one for every chunk.")

    def __iter__(self) -> Iterator[Any]:
        """Chunks, one after the other, as they are read."""
        return map(self.chunk, self.sources)

    def chunk(self, source: Any) -> Any:
        """Chunk of a source, where it is an array one of numpy."""
        return as_numpy(self.read(source))


class FiledRows:
    """Rows that are not in memory, with what the nets need of an ndarray.

    Attributes
    ----------
    shape : tuple of int
        Number of rows and of features.
    dtype : numpy.dtype
        Their type.
    """

    ndim = 2
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Rows of a slice, or of indices, as an ndarray."""
        return self.take(np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows)

    def take(
        self,
        rows: Any,
        axis: int = 0,
        out: NDArray[Any] | None = None,
        mode: Literal["raise", "wrap", "clip"] = "clip",
    ) -> NDArray[Any]:
        """Rows of indices from 0, as ``ndarray.take`` gives them."""
        raise NotImplementedError

    def reading_order(
        self, order: NDArray[Any], random_state: np.random.RandomState
    ) -> NDArray[Any]:
        """Rows in the order in which they are shuffled, rearranged so that few reads are needed."""
        return order


class ChunkedRows(FiledRows):
    """`Chunks` whose rows are checked.

    Parameters
    ----------
    chunks : Chunks
        The chunks.
    n_rows : sequence of int
        Rows of each.
    n_features : int
        Columns.
    dtype : numpy.dtype
        Type that rows shall have.
    """

    def __init__(
        self, chunks: Chunks, n_rows: Sequence[int], n_features: int, dtype: np.dtype[Any]
    ) -> None:
        self.chunks, self.dtype = chunks, np.dtype(dtype)
        self.starts = np.cumsum([0, *n_rows])
        self.shape = int(self.starts[-1]), n_features
        self._last: tuple[int | None, Any] = None, None

    def take(
        self,
        rows: Any,
        axis: int = 0,
        out: NDArray[Any] | None = None,
        mode: Literal["raise", "wrap", "clip"] = "clip",
    ) -> NDArray[Any]:
        rows = np.asarray(rows)
        where = self._chunk_of(rows)
        if out is None:
            out = np.empty((len(rows), self.shape[1]), self.dtype)
        numbers = np.unique(where)
        if len(numbers) == 1:
            self._read(numbers[0]).take(rows - self.starts[numbers[0]], 0, out, mode)
            return out
        # What was read last is still there.
        for number in sorted(numbers, key=lambda number: number != self._last[0]):
            inside = np.flatnonzero(where == number)
            out[inside] = self._read(number)[rows[inside] - self.starts[number]]
        return out

    def reading_order(
        self, order: NDArray[Any], random_state: np.random.RandomState
    ) -> NDArray[Any]:
        turn = random_state.permutation(len(self.starts) - 1)
        return order[np.argsort(turn[self._chunk_of(order)], kind="stable")]

    def _chunk_of(self, rows: NDArray[Any]) -> NDArray[Any]:
        return np.searchsorted(self.starts, rows, side="right") - 1

    def _read(self, number: int) -> NDArray[Any]:
        if self._last[0] != number:
            self._last = None, None
            chunk = self.chunks.chunk(self.chunks.sources[number])
            chunk = np.ascontiguousarray(np.asarray(chunk), self.dtype)
            expected = self.starts[number + 1] - self.starts[number], self.shape[1]
            if chunk.shape != expected:
                raise ValueError(
                    f"Chunk {number} of X, {self.chunks.sources[number]!r}, has the shape "
                    f"{chunk.shape}; when it was checked it had {tuple(map(int, expected))}."
                )
            self._last = number, chunk
        return self._last[1]


class SomeRows(FiledRows):
    """Some of the rows that are in files.

    Parameters
    ----------
    table : {ndarray, FiledRows} of shape (n_samples, n_features)
        All.
    rows : int ndarray of shape (n_rows,)
        Which.
    """

    def __init__(self, table: NDArray[Any] | FiledRows, rows: NDArray[np.integer]) -> None:
        self.table: Any = table
        self.rows, self.dtype = rows, table.dtype
        self.shape = len(rows), table.shape[1]

    def take(
        self,
        rows: Any,
        axis: int = 0,
        out: NDArray[Any] | None = None,
        mode: Literal["raise", "wrap", "clip"] = "clip",
    ) -> NDArray[Any]:
        return self.table.take(self.rows[rows], 0, out, mode)

    def reading_order(
        self, order: NDArray[Any], random_state: np.random.RandomState
    ) -> NDArray[Any]:
        if not isinstance(self.table, FiledRows):
            return order
        place = np.empty(len(self.table), int)
        place[self.rows] = np.arange(len(self))
        return place[self.table.reading_order(self.rows[order], random_state)]


def is_table(X: Any) -> bool:
    """Whether `X` is two-dimensional and something that the nets read rows of."""
    return (isinstance(X, (np.ndarray, FiledRows)) or sparse.issparse(X)) and X.ndim == 2


def is_chunked(X: Any) -> bool:
    """Whether rows are read from `Chunks`, all or some of them."""
    while isinstance(X, SomeRows):
        X = X.table
    return isinstance(X, ChunkedRows)


def some_rows(X: Any, rows: NDArray[np.integer]) -> Any:
    """Rows of a table by their indices, which are copied only where they are in memory.

    Parameters
    ----------
    X : {ndarray, csr_matrix, FiledRows} of shape (n_samples, n_features)
        The table.
    rows : int ndarray of shape (n_rows,)
        Which; none comes twice.

    Returns
    -------
    {ndarray, csr_matrix, FiledRows} of shape (n_rows, n_features)
    """
    return SomeRows(X, rows) if isinstance(X, FiledRows) or _is_mapped(X) else X[rows]


def checked_chunks(
    estimator: Any, chunks: Chunks, dtype: DTypeLike | Sequence[DTypeLike], reset: bool
) -> ChunkedRows:
    """Read all chunks, and let scikit-learn check each as the `X` of an estimator.

    Parameters
    ----------
    estimator : estimator
        Learns number and names of the features, or knows them.
    chunks : Chunks
        The chunks.
    dtype : dtype or sequence of dtype
        Type that rows shall have, or types of which they may have any; else it is the first.
    reset : bool
        Whether the features are learned from the first chunk.

    Returns
    -------
    ChunkedRows

    Raises
    ------
    ValueError, TypeError
        Naming the chunk, for rows that scikit-learn refuses, and where there are none.
    """
    n_rows: list[int] = []
    dtypes: list[np.dtype[Any]] = []

    def check(chunk: Any) -> None:
        how = {"dtype": dtype, "reset": reset and not n_rows, "ensure_min_samples": 0}
        checked = validate_data(estimator, chunk, **how)
        n_rows.append(len(checked))
        dtypes.append(checked.dtype)

    each_chunk(check, chunks)
    check_some(sum(n_rows), chunks)
    return ChunkedRows(chunks, n_rows, estimator.n_features_in_, np.result_type(*dtypes))


def each_chunk(function: Callable[[Any], T], chunks: Chunks) -> list[T]:
    """What a function returns for every chunk; its TypeErrors and ValueErrors name the chunk."""
    found = []
    for number, chunk in enumerate(chunks):
        try:
            found.append(function(chunk))
        except (TypeError, ValueError) as error:
            source = chunks.sources[number]
            raise type(error)(f"Chunk {number} of X, {source!r}, is not valid. {error}") from error
    return found


def check_some(n_rows: int, chunks: Chunks) -> None:
    """Raise ValueError where chunks have no rows."""
    if not n_rows:
        raise ValueError(f"X has no rows in {len(chunks.sources)} chunks; at least one is needed.")


def _is_mapped(X: Any) -> bool:
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return False
