"""Which rows pruning looks at: those of training, or unlabelled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Rows:
    """Training rows and, where they were given, rows without labels.

    Parameters
    ----------
    training : Dataset
        Rows of training.
    unlabeled : Dataset or None
        Rows to look at instead.
    random_state : numpy.random.RandomState
        Draws samples, and the order of the unlabelled rows.
    batch_size : int
        Of forward passes; -1 is all rows at once, as in skorch.

    Attributes
    ----------
    watched : Dataset
        The rows that are looked at.
    """

    def __init__(
        self,
        training: Any,
        unlabeled: Any,
        random_state: np.random.RandomState,
        batch_size: int,
    ) -> None:
        self.training, self.unlabeled = training, unlabeled
        self.watched = training if unlabeled is None else unlabeled
        self._random_state, self._batch_size = random_state, batch_size
        self._order = np.arange(0)

    def sample(self, n: int) -> NDArray[np.int64]:
        """Indices of `n` of the watched rows, of all if they are fewer, in random order."""
        n = min(n, len(self.watched))
        return self._random_state.choice(len(self.watched), n, replace=False)

    def next_unlabeled(self) -> NDArray[np.int64]:
        """Indices of as many unlabelled rows as an epoch has, those whose turn it is.

        They come in random order, and in a new one whenever all have been.
        """
        n_rows, n = len(self.training), len(self.unlabeled)
        n_orders = -(-(n_rows - len(self._order)) // n)
        orders = [self._random_state.permutation(n) for _ in range(n_orders)]
        rows, self._order = np.split(np.concatenate([self._order, *orders]), [n_rows])
        return rows

    def in_batches(self, rows: NDArray[np.int64], at_least: int = 0) -> list[NDArray[np.int64]]:
        """Indices, in batches of the net's size, or of more rows where `at_least` so many."""
        size = self._batch_size
        if 0 < size < at_least:
            size = at_least
        return np.split(rows, range(size, len(rows), size))
