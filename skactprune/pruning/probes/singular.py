"""Singular values and vectors that are trained in place of weights."""

from __future__ import annotations

import math
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch

from skactprune.nets.matrices import stored_like
from skactprune.pruning.probes.trained import Trained

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch.utils.hooks import RemovableHandle

    from skactprune.pruning.probes.seen import SeenRun


class Singular(Trained):
    """Factors U, s and V of every hidden layer, whose weights are ``U diag(s) V^T``.

    They are trained in place of the weights, by an optimizer of the same kind. `values` has the
    three of the first layer, of shapes (n_out, r), (r,) and (n_in, r), then those of the next.
    """

    n_of_layer = 3

    def __init__(self) -> None:
        # The rate is that of the net's optimizer.
        super().__init__(math.nan)

    def new_optimizer(self) -> torch.optim.Optimizer:
        """Optimizer of the kind of the net's."""
        own = self._run.net.optimizer_
        closure = signature(type(own).step).parameters.get("closure")
        if closure is not None and closure.default is closure.empty:
            raise ValueError(
                f"method={self._run.label} trains factors by an optimizer of the kind of the "
                f"net's, and cannot make steps of {type(own).__name__}, which need a closure."
            )
        # Not all defaults are parameters; fused ones want their states elsewhere.
        known = signature(type(own)).parameters.keys() - {"fused"}
        options = {name: value for name, value in own.defaults.items() if name in known}
        return type(own)(self.values, **options)

    def hooks(self, run: SeenRun) -> list[RemovableHandle]:
        """No hooks: what takes part in a forward pass is the product."""
        return []

    def triples(self) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """U, s and V of every layer."""
        return list(zip(self.values[::3], self.values[1::3], self.values[2::3], strict=True))

    @torch.no_grad()
    def products(self) -> list[torch.Tensor]:
        """Weights of every layer, of shape (n_out, n_in)."""
        return [(U * s) @ V.T for U, s, V in self.triples()]

    def are_factors(self) -> bool:
        """Whether the weights of now are the products, but for rounding."""
        pairs = zip(self._run.hidden, self.products(), strict=True)
        return all(_are_near(layer.weight.detach(), product) for layer, product in pairs)

    @torch.no_grad()
    def take_gradients(self) -> None:
        """Hand the gradients of the weights on to the factors."""
        layers = zip(self._run.hidden, self._run.step_gradients(), self.triples(), strict=True)
        for layer, gradient, (U, s, V) in layers:
            G = gradient.to(s)
            GV = G @ V
            U.grad, V.grad = GV * s, G.T @ (U * s)
            s.grad = (U * GV).sum(dim=0)
            # So that the optimizer of the net leaves the weight alone.
            layer.weight.grad = None

    @torch.no_grad()
    def end_batch(self, batch: Any, pre_activations: list[torch.Tensor]) -> None:
        """Make a step; the weights become the products."""
        if self._optimizer is None:
            return
        net = self._run.net
        for _, s, _ in self.triples():
            s.mul_(getattr(net, "shrinkage", 1.0))
        for group in self._optimizer.param_groups:
            group["lr"] = net.optimizer_.param_groups[0]["lr"]
        super().end_batch(batch, pre_activations)
        self.put()

    @torch.no_grad()
    def put(self) -> None:
        """Give the layers the products for weights."""
        for layer, product in zip(self._run.hidden, self.products(), strict=True):
            weight = layer.weight
            weight.data = stored_like(product.reshape(weight.shape).to(weight), weight)

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Train nothing more: no neuron leaves a net that trains factors."""
        self.stop()


def _are_near(weight: torch.Tensor, product: torch.Tensor) -> bool:
    difference = (weight.reshape(product.shape) - product).norm()
    return bool(difference <= torch.finfo(product.dtype).eps ** 0.5 * product.norm())
