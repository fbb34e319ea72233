"""Who fired, added up as training goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL_BYTE = 255


class Tally:
    """Counts, for every neuron of a layer, the rows in which it fires.

    A byte for every neuron and place in a batch: the bytes of a batch are added to those before
    it, and are summed over the places only when they are full. numpy does both several times as
    fast as torch, and torch's own sum of a batch takes longer than all of this.

    Parameters
    ----------
    size : int
        Neurons.

    Attributes
    ----------
    n_rows : int
        Rows since the last `take`.
    """

    def __init__(self, size: int) -> None:
        self._fires = np.empty((0, size), bool)
        self._sums = np.empty((0, size), np.uint8)
        self._counts = np.zeros(size, np.int64)
        self._n_added, self.n_rows = 0, 0

    def add(self, z: NDArray[Any]) -> None:
        """Add a batch.

        Parameters
        ----------
        z : ndarray of shape (n_rows, n_neurons)
            Pre-activations, or bool where they are positive.
        """
        n_rows = len(z)
        if n_rows > len(self._sums) or self._n_added == FULL_BYTE:
            self._sum(z.shape)
        if z.dtype != bool:
            z = np.greater(z, 0, out=self._fires[:n_rows])
        sums = self._sums[:n_rows]
        np.add(sums, z.view(np.uint8), out=sums)
        self._n_added += 1
        self.n_rows += n_rows

    def take(self) -> tuple[NDArray[np.int64], int]:
        """Counts, an int64 array of shape (n_neurons,), and rows since the last call."""
        self._sum(self._sums.shape)
        taken = self._counts, self.n_rows
        self._counts, self.n_rows = np.zeros_like(self._counts), 0
        return taken

    def _sum(self, shape: tuple[int, ...]) -> None:
        """Empty the bytes, of which there are to be as many as in `shape` at least."""
        self._counts += self._sums.sum(axis=0, dtype=np.int64)
        if shape[0] > len(self._sums):
            self._fires = np.empty(shape, bool)
            self._sums = np.zeros(shape, np.uint8)
        else:
            self._sums[:] = 0
        self._n_added = 0
