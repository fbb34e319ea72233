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
    """

    def __init__(self, sizes):
        self.totals = [torch.zeros(size, dtype=torch.float64) for size in sizes]
        self._buffers = [None] * len(sizes)
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
        self._buffers = [None] * len(self.totals)
        self.active, self.sample_weight = False, None

    @property
    def counts(self):
        """Counts, an array of shape (n_neurons,) a layer: int64, or float64 if weighted."""
        dtype = np.float64 if self.weighted else np.int64
        return [total.cpu().numpy().astype(dtype) for total in self.totals]

    def restart(self):
        """Count from zero."""
        self.totals = [torch.zeros_like(total) for total in self.totals]

    def cut(self, kept):
        """Forget the neurons for which the boolean arrays `kept` are False."""
        self.totals = [
            total[torch.from_numpy(rows).to(total.device)]
            for total, rows in zip(self.totals, kept, strict=True)
        ]

    def _hook(self, depth):
        def count(module, inputs, z):
            if not self.active:
                return
            z = z.detach()
            if isinstance(module, CONVOLUTIONS):
                z = z.movedim(1, -1)
            n_positions = z.shape[1:-1].numel()
            z = z.reshape(-1, z.shape[-1])
            weight = self.sample_weight
            exact = torch.float32 if weight is None and len(z) < EXACT_IN_FLOAT32 else torch.float64
            buffer = self._buffers[depth]
            if (
                buffer is None
                or len(buffer[0]) < len(z)
                or buffer[0].shape[1] != z.shape[1]
                or buffer[0].dtype != exact
            ):
                buffer = (
                    torch.empty(z.shape, dtype=exact, device=z.device),
                    torch.ones(len(z), dtype=exact, device=z.device),
                )
                self._buffers[depth] = buffer
            fires, ones = buffer[0][: len(z)], buffer[1][: len(z)]
            torch.gt(z, 0, out=fires)
            if weight is not None:
                self.weighted = True
                ones = weight.to(exact).repeat_interleave(n_positions)
            self.totals[depth].add_(torch.mv(fires.t(), ones))

        return count
