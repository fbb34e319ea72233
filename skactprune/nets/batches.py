"""Whole-tensor batches: one indexing operation a batch instead of one a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse
from skorch.dataset import Dataset

from skactprune.chunks import FiledRows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from numpy.typing import NDArray

    # What a loss gets: targets, or these and sample weights.
    Target: TypeAlias = torch.Tensor | tuple[torch.Tensor, torch.Tensor]
    Batch: TypeAlias = tuple[torch.Tensor, Target]


class TrainingData(Dataset):
    """Rows, encoded targets and weights, kept as they came.

    Parameters
    ----------
    X : {ndarray, csr_matrix, FiledRows} of shape (n_samples, n_features)
        Read-only and memory-mapped arrays are fine: only the rows of a batch are copied.
    y : ndarray of shape (n_samples, ...), or `X` itself
        Targets in the dtype that the loss wants.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights in the dtype of `X`.
    """

    def __init__(self, X: Any, y: Any, sample_weight: NDArray[Any] | None = None) -> None:
        self.X, self.y, self.sample_weight = X, y, sample_weight

    def __len__(self) -> int:
        return self.X.shape[0]

    def __getitem__(self, rows: NDArray[np.integer]) -> Batch:
        """Batch of `rows`: ``(X, y)`` or, with weights, ``(X, (y, sample_weight))``."""
        if sparse.issparse(self.X):
            X = self.X[rows].toarray()
        else:
            X = self.X.take(rows, axis=0)
        X = torch.from_numpy(X)
        y = X if self.y is self.X else torch.from_numpy(self.y.take(rows, axis=0))
        if self.sample_weight is None:
            return X, y
        return X, (y, torch.from_numpy(self.sample_weight.take(rows)))


class _Place:
    """Where batches of one size of a `TrainingData` are put, one after another."""

    def __init__(self, data: TrainingData, n_rows: int) -> None:
        given = [a for a in (data.X, data.y, data.sample_weight) if a is not None]
        places = {id(a): (a, np.empty((n_rows, *a.shape[1:]), a.dtype)) for a in given}
        X, y, *weight = [torch.from_numpy(places[id(a)][1]) for a in given]
        pairs = places.values()
        self._batch: Batch = (X, (y, weight[0]) if weight else y)
        self._dense = [(a, out) for a, out in pairs if not sparse.issparse(a)]
        self._sparse = [(a, out) for a, out in pairs if sparse.issparse(a)]

    def __call__(self, rows: NDArray[np.integer]) -> Batch:
        for array, out in self._dense:
            # The indices are valid; looking costs a copy.
            array.take(rows, 0, out, "clip")
        for matrix, out in self._sparse:
            matrix[rows].toarray(out=out)
        return self._batch


class BatchIterator:
    """Iterator over the batches of a `TrainingData`, for skorch's ``iterator_train``.

    Parameters
    ----------
    dataset : TrainingData
        What to iterate over.
    batch_size : int
        Rows a batch; the last batch may be smaller.
    shuffle : bool
        Whether to permute the rows before every epoch.
    random_state : numpy.random.RandomState or None
        Draws the permutations, one an epoch and in the order in which scikit-learn's
        ``MLPClassifier`` draws them. Without it, rows stay in order.
    """

    def __init__(
        self,
        dataset: TrainingData,
        batch_size: int,
        shuffle: bool,
        random_state: np.random.RandomState | None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.random_state = random_state
        self._order = np.arange(len(dataset))
        self._places: dict[int, _Place] = {}

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for rows in self._rows():
            yield self.dataset[rows]

    def in_place(self) -> Iterator[Batch]:
        """Give the same batches; each takes the place of the last one of its size in memory."""
        for rows in self._rows():
            n_rows = len(rows)
            if n_rows not in self._places:
                self._places[n_rows] = _Place(self.dataset, n_rows)
            yield self._places[n_rows](rows)

    def _rows(self) -> Iterator[NDArray[np.integer]]:
        """Indices of the rows of every batch."""
        if self.shuffle and self.random_state is not None:
            self._order = self._order[self.random_state.permutation(len(self.dataset))]
            if isinstance(getattr(self.dataset, "X", None), FiledRows):
                self._order = self.dataset.X.reading_order(self._order, self.random_state)
        for start in range(0, len(self.dataset), self.batch_size):
            yield self._order[start : start + self.batch_size]


def batch_weight(batch: Batch) -> torch.Tensor | None:
    """Sample weights of a batch, or None where every row weighs the same."""
    target = batch[1]
    return target[1] if isinstance(target, (tuple, list)) else None
