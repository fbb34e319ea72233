"""Weights of a net at the moments that matter, and what the tables keep of their spectra."""

import numpy as np
import torch
from skorch.callbacks import Callback

SHOWN = 40
# Below this share of the largest, a singular value is rounding, and so is a ratio to it.
ROUNDING = 1e-4
# Where the values of `thin` come from: 0 is the first, 1 the last.
POSITIONS = np.linspace(0, 1, SHOWN)


class Moments(Callback):
    """Keeps the weights before and after every round and at the end of training.

    Comes after the pruner. ``rounds_`` has a dict a round: ``round`` (the number of rounds done by
    then), ``epoch``, and ``before`` and ``after``, each a pair ``(coefs, intercepts)`` of lists of
    arrays, the output layer last; ``end_`` is such a pair, before neurons that regrew are cut.
    """

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.rounds_ = []

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        self.left_ = -(-len(dataset_train) // net.batch_size)

    def on_batch_end(self, net, training=False, **kwargs):
        self.left_ -= training
        if training and not self.left_:
            self.last_ = weights(net)

    def on_epoch_end(self, net, **kwargs):
        history = dict(net.callbacks_)["pruner"].history_
        if len(history) > len(self.rounds_):
            at = {name: history[-1][name] for name in ("round", "epoch")}
            self.rounds_.append(at | {"before": self.last_, "after": weights(net)})

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.end_, self.last_ = weights(net), None


class Start(Callback):
    """Begins training with given weights of shape (n_in, n_out) and biases."""

    def __init__(self, coefs, intercepts):
        self.coefs = coefs
        self.intercepts = intercepts

    @torch.no_grad()
    def on_train_begin(self, net, X=None, y=None, **kwargs):
        pairs = zip(self.coefs, self.intercepts, strict=True)
        new = [array for coef, bias in pairs for array in (coef.T, bias)]
        for parameter, array in zip(net.module_.parameters(), new, strict=True):
            parameter.copy_(torch.from_numpy(array))


def weights(net):
    """Copies of the weights of shape (n_in, n_out) and of the biases of a chain of layers."""
    arrays = [parameter.detach().numpy().T.copy() for parameter in net.module_.parameters()]
    return arrays[::2], arrays[1::2]


def thin(values):
    """`SHOWN` of some values, evenly spaced from the first to the last; few are repeated."""
    return values[np.round(POSITIONS * (len(values) - 1)).astype(int)]


def pack(values):
    """Numbers in one field of a table, to 4 significant digits."""
    return " ".join(f"{value:.4g}" for value in values)


def unpack(column):
    """Matrix with a row for every field of a column that `pack` wrote."""
    return np.array([np.array(field.split(), float) for field in column])


def exploded(rows, column):
    """Rows with a number each of a column that `pack` wrote, at its ``position`` in per cent."""
    values = unpack(rows[column])
    return rows.loc[rows.index.repeat(SHOWN)].assign(
        **{"position": np.tile(100 * POSITIONS, len(rows)), column: values.ravel()}
    )
