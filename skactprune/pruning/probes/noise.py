"""Noise of weights whose variance is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from skactprune.nets.passing import PassingHook
from skactprune.nets.recomputing import refuse_recomputing
from skactprune.pruning.probes.trained import Trained

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

    from skactprune._types import Layer
    from skactprune.pruning.probes.seen import SeenRun


class Noise(Trained):
    """Noise of the hidden weights: the logarithm of its variance, for each of them.

    In training, the output of a layer gets noise of the variance that independent noise of its
    weights would give it, given its input: the local reparametrization trick. Biases have none, nor
    has a weight that is pruned.

    Parameters
    ----------
    rate : float
        Learning rate of Adam.
    limit : float, default=inf
        Largest absolute value.
    """

    def hooks(self, run: SeenRun) -> list[RemovableHandle]:
        """Add noise to what the hidden layers put out."""
        for layer in run.hidden:
            mode = getattr(layer, "padding_mode", "zeros")
            if mode != "zeros":
                raise ValueError(
                    f"method={run.label} needs convolutions that pad with zeros; {layer} has "
                    f"padding_mode={mode!r}."
                )
        return [
            layer.register_forward_hook(PassingHook(_Noising(self, depth)))
            for depth, layer in enumerate(run.hidden)
        ]

    def noisy(self, depth: int, layer: Layer, h: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Output of a hidden layer in training, with noise."""
        refuse_recomputing(self._run.label, "noise")
        value = self.values[depth]
        mask = torch.from_numpy(self._run.masks.current[depth]).to(value.device)
        variance = (value.exp() * mask).reshape(layer.weight.shape).to(h.dtype)
        # A root has no slope at 0.
        deviation = _without_bias(layer, h.square(), variance).clamp_min(1e-16).sqrt()
        drawn = torch.empty_like(z).normal_(generator=self.generator(z.device))
        return z + deviation * drawn


class _Noising:
    """Forward hook of a hidden layer."""

    def __init__(self, noise: Noise, depth: int) -> None:
        self._noise, self._depth = noise, depth

    def __call__(
        self, layer: Any, inputs: tuple[torch.Tensor, ...], z: torch.Tensor
    ) -> torch.Tensor | None:
        return self._noise.noisy(self._depth, layer, inputs[0], z) if layer.training else None


def _without_bias(layer: Layer, h: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Output of a linear or convolutional layer with another weight, and without its bias."""
    if isinstance(layer, nn.Linear):
        return F.linear(h, weight)
    convolution = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()]
    return convolution(h, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
