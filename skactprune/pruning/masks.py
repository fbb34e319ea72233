"""Which weights are left: boolean masks in the sizes of now, and their place in the original."""

import numpy as np


class Masks:
    """Masks of the hidden layers.

    Parameters
    ----------
    shapes : list of (int, int)
        Original shapes (n_out, n_in) of the hidden weights.
    chained : bool
        Whether the input of every layer is the output of the one before, so that neurons can
        leave.

    Attributes
    ----------
    current : list of bool ndarray
        True where a weight is left, in the sizes that the layers have now.
    live : list of int ndarray
        Original indices of the rows of `current`, a layer each.
    """

    def __init__(self, shapes, chained):
        self.shapes = [tuple(shape) for shape in shapes]
        self.chained = chained
        self.current = [np.ones(shape, dtype=bool) for shape in self.shapes]
        self.live = [np.arange(n_out) for n_out, _ in self.shapes]

    @property
    def n_original(self):
        """Number of hidden weights before any round."""
        return sum(n_out * n_in for n_out, n_in in self.shapes)

    @property
    def n_left(self):
        """Number of hidden weights that are left."""
        return sum(int(mask.sum()) for mask in self.current)

    @property
    def sparsity(self):
        """Share of the hidden weights that is gone."""
        return 1.0 - self.n_left / self.n_original if self.n_original else 0.0

    @property
    def dense(self):
        """Whether no weight of the current layers is masked."""
        return all(mask.all() for mask in self.current)

    def columns(self, depth):
        """Original indices of the columns of ``current[depth]``."""
        if depth == 0 or not self.chained:
            return np.arange(self.shapes[depth][1])
        return self.live[depth - 1]

    def full(self):
        """Masks in the original shapes: False where a weight is masked or has left."""
        full = []
        for depth, (shape, mask) in enumerate(zip(self.shapes, self.current, strict=True)):
            out = np.zeros(shape, dtype=bool)
            out[np.ix_(self.live[depth], self.columns(depth))] = mask
            full.append(out)
        return full

    def replaced(self, current):
        """The same network with other masks of the same sizes."""
        new = Masks(self.shapes, self.chained)
        new.current, new.live = list(current), self.live
        return new

    def without(self, keep):
        """Masks after the neurons whose `keep` is False have left the layers."""
        new = self.replaced(self.current)
        new.live = [live[kept] for live, kept in zip(self.live, keep, strict=True)]
        columns = [slice(None), *keep[:-1]]
        new.current = [
            mask[kept][:, kept_in]
            for mask, kept, kept_in in zip(self.current, keep, columns, strict=True)
        ]
        return new


def cascade(masks):
    """Remove what no path from input to output uses any more.

    A neuron without incoming weights loses its outgoing ones, one without outgoing weights its
    incoming ones. The output layer is taken as dense.

    Parameters
    ----------
    masks : list of bool ndarray of shape (n_out, n_in)
        Masks of a chain of hidden layers; not changed.

    Returns
    -------
    list of bool ndarray
    """
    masks = [mask.copy() for mask in masks]
    for mask, following in zip(masks[:-1], masks[1:], strict=True):
        following[:, ~mask.any(axis=1)] = False
    for mask, before in zip(masks[:0:-1], masks[-2::-1], strict=True):
        before[~mask.any(axis=0)] = False
    return masks
