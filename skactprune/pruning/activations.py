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
    seen : list of float
        Weight of all rows (and positions) that were counted in each layer.
    """

    def __init__(self, sizes):
        self._totals = [torch.zeros(size, dtype=torch.float64) for size in sizes]
        self._recent = {}
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
            self._totals[depth] = self._totals[depth].to(layer.weight.device)
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
        self._add_recent()
        self._buffers = {}
        self.active, self.sample_weight = False, None

    @property
    def totals(self):
        """The counts as float64 tensors, which hold whole numbers exactly up to 2 ** 53."""
        self._add_recent()
        return self._totals

    @totals.setter
    def totals(self, totals):
        self._totals = totals
        self._recent = {}

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
            if self.sample_weight is None and len(z) < EXACT_IN_FLOAT32:
                self._count_rows(depth, z)
            else:
                self._count_weighted_rows(depth, z)

        return count

    def _count_rows(self, depth, z):
        # One pass that writes the numbers 0 and 1, and a product that sums them and adds them up:
        # converting booleans costs several times as much, and so does summing them.
        key = depth, z.shape
        if key not in self._buffers:
            if len(self._buffers) > 4 * len(self._totals):
                self._buffers.clear()
            fires = torch.empty(z.shape, device=z.device)
            self._buffers[key] = fires, fires.t(), torch.ones(len(z), device=z.device)
        fires, transposed, ones = self._buffers[key]
        recent = self._recent.get(depth)
        if recent is None or recent[1] + len(z) > EXACT_IN_FLOAT32:
            self._add_recent()
            recent = self._recent[depth] = [torch.zeros(z.shape[1], device=z.device), 0]
        torch.gt(z, 0, out=fires)
        recent[0].addmv_(transposed, ones)
        recent[1] += len(z)
        self.seen[depth] += len(z)

    def _count_weighted_rows(self, depth, z):
        weight = self.sample_weight
        if weight is None:
            weight = torch.ones(len(z), dtype=torch.float64, device=z.device)
        else:
            self.weighted = True
            weight = weight.to(z.device, torch.float64).repeat_interleave(len(z) // len(weight))
        self.totals[depth].add_((z > 0).to(torch.float64).t() @ weight)
        self.seen[depth] += float(weight.sum())

    def _add_recent(self):
        """Add what float32 could hold exactly to the totals."""
        for depth, (count, _) in self._recent.items():
            self._totals[depth].add_(count)
        self._recent = {}


def _rows(module, z):
    """Outputs of a layer as rows, one for every position at which its neurons fire or not."""
    if isinstance(module, CONVOLUTIONS):
        z = z.movedim(1, -1)
    return z.reshape(-1, z.shape[-1])
