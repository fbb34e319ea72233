"""Which rows pruning looks at: those of training, or unlabelled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.nets.loading import batch_of, n_rows_of

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
    net : skorch.NeuralNet
        Whose loader puts rows together, in forward passes in batches of its size.

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
        net: Any,
    ) -> None:
        self.training, self.unlabeled = training, unlabeled
        self.watched = training if unlabeled is None else unlabeled
        self._random_state, self._net = random_state, net
        self._order = np.arange(0)

    @property
    def n_training(self) -> int:
        """Number of training rows."""
        return n_rows_of(self.training)

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""
        n_rows_of(self.training)
        return len(self._net.get_iterator(self.training, training=True))

    @property
    def n_watched(self) -> int:
        """Number of the rows that are looked at."""
        return n_rows_of(self.watched)

    def of_training(self, rows: NDArray[np.int64]) -> tuple[Any, Any]:
        """Some training rows and their targets, put together as for training."""
        return batch_of(self._net, self.training, rows)

    def look(self, rows: NDArray[np.int64]) -> Any:
        """Some of the watched rows, put together as for training."""
        return batch_of(self._net, self.watched, rows)[0]

    def sample(self, n: int) -> NDArray[np.int64]:
        """Indices of `n` of the watched rows, of all if they are fewer, in random order."""
        n_watched = self.n_watched
        return self._random_state.choice(n_watched, min(n, n_watched), replace=False)

    def next_unlabeled(self) -> NDArray[np.int64]:
        """Indices of as many unlabelled rows as an epoch has, those whose turn it is.

        They come in random order, and in a new one whenever all have been.
        """
        n_rows, n = self.n_training, self.n_watched
        n_orders = -(-(n_rows - len(self._order)) // n)
        orders = [self._random_state.permutation(n) for _ in range(n_orders)]
        rows, self._order = np.split(np.concatenate([self._order, *orders]), [n_rows])
        return rows

    def in_batches(self, rows: NDArray[np.int64], at_least: int = 0) -> list[NDArray[np.int64]]:
        """Indices, in batches of the net's size, or of more rows where `at_least` so many."""
        # -1 is all rows at once, as in skorch.
        size = self._net.batch_size
        if 0 < size < at_least:
            size = at_least
        return np.split(rows, range(size, len(rows), size))
