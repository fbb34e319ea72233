"""Who fires: counts z > 0 in the forward passes that happen anyway."""

from functools import partial

import numpy as np
import torch

from skactprune.nets.mlp import WatchedLinear

HELD_VALUES = 2**17
FULL_BYTE = 255
CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


class ActivationCounter:
    """Counts, for every neuron of some layers, the (weighted) rows in which it fires.

    A neuron fires where its pre-activation z, the output of its linear or convolutional layer,
    is positive. A channel of a convolution is a neuron that may fire once a position.

    Parameters
    ----------
    sizes : list of int
        Neurons of each layer.

    Attributes
    ----------
    active : bool
        Whether forward passes are counted now.
    sample_weight : torch.Tensor of shape (batch_size,) or None
        Weights of the rows of the next forward pass.
    weighted : bool
        Whether any row was counted with a weight.
    """

    def __init__(self, sizes):
        self._totals = [torch.zeros(size, dtype=torch.float64) for size in sizes]
        self._tallies = [_Tally(size) for size in sizes]
        self._seen = [0.0] * len(sizes)
        self._outputs = []
        self._held, self._held_rows = [], 0
        self._detach = []
        self.active = False
        self.sample_weight = None
        self.weighted = False

    def attach(self, layers):
        """Count the outputs of these torch modules from now on."""
        self.detach()
        self._width = sum(map(len, self._totals))
        for depth, layer in enumerate(layers):
            self._totals[depth] = self._totals[depth].to(layer.weight.device)
        if all(isinstance(layer, WatchedLinear) for layer in layers):
            self._detach = [layer.unwatch for layer in layers]
            for layer in layers:
                layer.watch = self._end_of_forward if layer is layers[-1] else self._outputs.append
            return
        for depth, layer in enumerate(layers):
            hook = partial(self._count_at_once, depth)
            self._detach.append(layer.register_forward_hook(hook).remove)

    @property
    def attached(self):
        """Whether outputs of layers are being watched."""
        return bool(self._detach)

    def detach(self):
        """Stop counting; the counts stay."""
        for detach in self._detach:
            detach()
        self._detach = []
        self._take_all()
        # What an interrupted forward pass has left, and buffers of the size of a batch.
        self._outputs = []
        self._tallies = [_Tally(len(total)) for total in self._totals]
        self.active, self.sample_weight = False, None

    @property
    def seen(self):
        """Weight of all rows (and positions) that were counted in each layer, a list of float."""
        self._take_all()
        return self._seen

    @seen.setter
    def seen(self, seen):
        self._seen = seen

    @property
    def totals(self):
        """The counts as float64 tensors, which hold whole numbers exactly up to 2 ** 53."""
        self._take_all()
        return self._totals

    @totals.setter
    def totals(self, totals):
        self._held, self._held_rows = [], 0
        self._totals = totals
        self._tallies = [_Tally(len(total)) for total in totals]

    @property
    def counts(self):
        """Counts, an array of shape (n_neurons,) a layer: int64, or float64 if weighted."""
        dtype = np.float64 if self.weighted else np.int64
        return [total.cpu().numpy().astype(dtype) for total in self.totals]

    def restart(self):
        """Count from zero."""
        self.totals = [torch.zeros_like(total) for total in self.totals]
        self.seen = [0.0] * len(self.totals)

    def cut(self, kept):
        """Forget the neurons for which the boolean arrays `kept` are False."""
        self.totals = [
            total[torch.from_numpy(rows).to(total.device)]
            for total, rows in zip(self.totals, kept, strict=True)
        ]

    def _end_of_forward(self, z):
        """Take the outputs of all layers; few are left until there are more, which is faster."""
        outputs = (*self._outputs, z)
        self._outputs.clear()
        if not self.active:
            return
        if self.sample_weight is not None:
            for depth, output in enumerate(outputs):
                self._count_weighted(depth, output.detach())
            return
        self._held.append(outputs)
        self._held_rows += len(z)
        if self._held_rows * self._width >= HELD_VALUES:
            self._count_held()

    def _count_at_once(self, depth, module, inputs, z):
        """Count before a module that is not ours may overwrite its pre-activations."""
        if not self.active:
            return
        z = z.detach()
        if z.dim() != 2:
            z = _rows(module, z)
        if self.sample_weight is None:
            self._count(depth, [z.detach()])
        else:
            self._count_weighted(depth, z)

    def _count(self, depth, outputs):
        n_rows = sum(map(len, outputs))
        if outputs[0].device.type != "cpu":
            self._totals[depth].add_(sum((z > 0).sum(dim=0) for z in outputs))
            self._seen[depth] += n_rows
            return
        if not self._tallies[depth].has_room(n_rows):
            self._take(depth)
        self._tallies[depth].add(outputs, n_rows)

    def _count_weighted(self, depth, z):
        self.weighted = True
        weight = self.sample_weight.to(z.device, torch.float64)
        weight = weight.repeat_interleave(len(z) // len(weight))
        self._totals[depth].add_((z > 0).to(torch.float64).t() @ weight)
        self._seen[depth] += float(weight.sum())

    def _count_held(self):
        held, self._held, self._held_rows = self._held, [], 0
        for depth, outputs in enumerate(zip(*held, strict=True)):
            self._count(depth, [z.detach() for z in outputs])

    def _take(self, depth):
        counts, n_rows = self._tallies[depth].take()
        self._totals[depth].add_(torch.from_numpy(counts).to(self._totals[depth].device))
        self._seen[depth] += n_rows

    def _take_all(self):
        self._count_held()
        for depth in range(len(self._tallies)):
            self._take(depth)


class _Tally:
    """Who fired in the last batches, a byte for every neuron and place in a group of batches.

    The bytes of a group are added to those before it, and are summed over the places only when
    they are full: numpy does both several times as fast as torch, and torch's own sum of a batch
    takes longer than all of this.

    Parameters
    ----------
    size : int
        Neurons.
    """

    def __init__(self, size):
        self._fires = np.empty((0, size), bool)
        self._sums = np.empty((0, size), np.uint8)
        self._n_added, self._n_rows = 0, 0

    def has_room(self, n_rows):
        """Whether a group of so many rows can be added before `take`."""
        return n_rows <= len(self._sums) and self._n_added < FULL_BYTE

    def add(self, outputs, n_rows):
        """Add a group of pre-activations, `n_rows` rows in all."""
        if n_rows > len(self._sums):
            self._fires = np.empty((n_rows, self._sums.shape[1]), bool)
            self._sums = np.zeros(self._fires.shape, np.uint8)
        start = 0
        for z in outputs:
            stop = start + len(z)
            np.greater(_array(z), 0, out=self._fires[start:stop])
            start = stop
        sums = self._sums[:n_rows]
        np.add(sums, self._fires[:n_rows].view(np.uint8), out=sums)
        self._n_added += 1
        self._n_rows += n_rows

    def take(self):
        """Counts, an int64 array of shape (n_neurons,), and rows since the last call."""
        counts, n_rows = self._sums.sum(axis=0, dtype=np.int64), self._n_rows
        self._sums[:] = 0
        self._n_added, self._n_rows = 0, 0
        return counts, n_rows


def _array(z):
    """CPU tensor as an array, which knows no bfloat16."""
    return (z.float() if z.dtype == torch.bfloat16 else z).numpy()


def _rows(module, z):
    """Outputs of a layer as rows, one for every position at which its neurons fire or not."""
    if isinstance(module, CONVOLUTIONS):
        z = z.movedim(1, -1)
    return z.reshape(-1, z.shape[-1])
