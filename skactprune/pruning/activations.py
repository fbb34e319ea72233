"""Who fires: counts z > 0 in the forward passes that happen anyway."""

import numpy as np
import torch

EXACT_IN_FLOAT32 = 2**24
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
    totals : list of torch.Tensor
        The counts in float64, which holds whole numbers exactly up to 2 ** 53.
    seen : list of float
        Weight of all rows (and positions) that were counted in each layer.
    """

    def __init__(self, sizes):
        self.totals = [torch.zeros(size, dtype=torch.float64) for size in sizes]
        self.seen = [0.0] * len(sizes)
        self._buffers = {}
        self._handles = []
        self.active = False
        self.sample_weight = None
        self.weighted = False

    def attach(self, layers):
        """Count the outputs of these torch modules from now on."""
        self.detach()
        for depth, layer in enumerate(layers):
            self.totals[depth] = self.totals[depth].to(layer.weight.device)
            self._handles.append(layer.register_forward_hook(self._hook(depth)))

    @property
    def attached(self):
        """Whether outputs of layers are being watched."""
        return bool(self._handles)

    def detach(self):
        """Stop counting; the counts stay."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._buffers = {}
        self.active, self.sample_weight = False, None

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
        self._buffers = {}
        self.totals = [
            total[torch.from_numpy(rows).to(total.device)]
            for total, rows in zip(self.totals, kept, strict=True)
        ]

    def _hook(self, depth):
        def count(module, inputs, z):
            if not self.active:
                return
            z = z.detach()
            if z.dim() != 2:
                z = _rows(module, z)
            weight = self.sample_weight
            fires, ones = self._buffers.get((depth, z.shape, weight is None)) or self._new_buffers(
                depth, z, weight is None
            )
            # One pass that writes the numbers 0 and 1: converting a boolean costs several times
            # as much, and so does summing one.
            torch.gt(z, 0, out=fires)
            if weight is None:
                self.seen[depth] += len(z)
            else:
                self.weighted = True
                self.seen[depth] += float(weight.sum(dtype=torch.float64)) * len(z) / len(weight)
                ones = weight.to(z.device, torch.float64)
                ones = ones.repeat_interleave(len(z) // len(weight))
            self.totals[depth].add_(torch.mv(fires.t(), ones))

        return count

    def _new_buffers(self, depth, z, whole_numbers):
        if len(self._buffers) > 4 * len(self.totals):
            self._buffers.clear()
        small = whole_numbers and len(z) < EXACT_IN_FLOAT32
        like = {"dtype": torch.float32 if small else torch.float64, "device": z.device}
        buffers = torch.empty(z.shape, **like), torch.ones(len(z), **like)
        self._buffers[depth, z.shape, whole_numbers] = buffers
        return buffers


def _rows(module, z):
    """Outputs of a layer as rows, one for every position at which its neurons fire or not."""
    if isinstance(module, CONVOLUTIONS):
        z = z.movedim(1, -1)
    return z.reshape(-1, z.shape[-1])
