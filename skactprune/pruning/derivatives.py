"""Derivatives of the loss in the weights of a run's net: of rows, and of the step of now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from skorch.utils import to_device
from torch.nn.utils import parametrize

from skactprune.nets.matrices import matrix
from skactprune.pruning.looks import require_gradients
from skactprune.pruning.requirements import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from skactprune._types import Layer
    from skactprune.pruning.probes.seen import SeenRun

    Derive: TypeAlias = Callable[
        [torch.Tensor, Sequence[torch.Tensor]], Sequence[torch.Tensor | None]
    ]


def mean_gradients(
    run: SeenRun, rows: NDArray[np.int64], layers: Sequence[Layer]
) -> list[NDArray[Any]]:
    """Gradient of the mean loss of rows in the weights of some layers; see `Run.gradients`."""
    return _derivatives(run, rows, layers, _gradient)


def mean_products(
    run: SeenRun, rows: NDArray[np.int64], vectors: Sequence[NDArray[Any]]
) -> list[NDArray[Any]]:
    """Hessian of that loss, times a vector; see `Run.hessian_products`."""
    layers = run.layers[: len(vectors)]
    tensors = [
        torch.as_tensor(vector).to(layer.weight).reshape(layer.weight.shape)
        for layer, vector in zip(layers, vectors, strict=True)
    ]
    try:
        return _derivatives(run, rows, layers, partial(_hessian_product, vectors=tensors))
    except RuntimeError as error:
        if "not implemented" not in str(error):
            raise
        raise ValueError(
            f"method={run.label} needs second derivatives of the loss, which torch does not "
            f"have of all that {type(run.net.module_).__name__} does: {error}"
        ) from error


def gradients_of_step(run: SeenRun) -> list[torch.Tensor]:
    """Gradients after the backward pass of a step; see `Run.step_gradients`."""
    hidden = run.hidden
    for layer in hidden:
        if parametrize.is_parametrized(layer, "weight"):
            raise ValueError(
                f"method={run.label} needs gradients, which training does not give for "
                f"{name_of(layer, run.net.module_)!r}: this layer computes its weight from other "
                "parameters."
            )
    weights = [layer.weight for layer in hidden]
    return [matrix(torch.zeros_like(w) if w.grad is None else w.grad) for w in weights]


def _derivatives(
    run: SeenRun, rows: NDArray[np.int64], layers: Sequence[Layer], derive: Derive
) -> list[NDArray[Any]]:
    """What `derive` gives for loss and weights of batches of rows, averaged over them."""
    parameters = [p for layer in layers for p in layer.parameters()]
    frozen = [p for p in parameters if not p.requires_grad]
    run.net.module_.eval()
    with run.cleaning(partial(require_gradients, frozen, False)):
        require_gradients(frozen, True)
        # A parametrized layer would compute another tensor in every pass.
        with parametrize.cached():
            return _averaged(run, rows, [layer.weight for layer in layers], derive)


def _averaged(
    run: SeenRun, rows: NDArray[np.int64], weights: Sequence[torch.Tensor], derive: Derive
) -> list[NDArray[Any]]:
    net = run.net
    row_weight = getattr(run.rows.training, "sample_weight", None)
    if row_weight is None:
        row_weight = np.ones(run.rows.n_training)
    # Numbers of few bits would tie, and not all of them are numpy's.
    sums = [torch.zeros_like(weight, dtype=torch.float64) for weight in weights]
    for some in run.rows.in_batches(rows):
        X, y = run.rows.of_training(some)
        y = to_device(y, net.device)
        loss = net.get_loss(net.infer(X, **run.fit_params), y, X=X, training=False)
        share = float(row_weight[some].sum() / row_weight[rows].sum())
        for total, found in zip(sums, derive(loss, weights), strict=True):
            if found is not None:
                total.add_(found, alpha=share)
    return [matrix(total).cpu().numpy() for total in sums]


def _gradient(
    loss: torch.Tensor, weights: Sequence[torch.Tensor], create_graph: bool = False
) -> Sequence[torch.Tensor | None]:
    return torch.autograd.grad(loss, weights, create_graph=create_graph, allow_unused=True)


def _hessian_product(
    loss: torch.Tensor, weights: Sequence[torch.Tensor], vectors: Sequence[torch.Tensor]
) -> Sequence[torch.Tensor | None]:
    gradients = _gradient(loss, weights, create_graph=True)
    # Without a graph a gradient depends on no weight.
    slopes = [
        (gradient * vector).sum()
        for gradient, vector in zip(gradients, vectors, strict=True)
        if gradient is not None and gradient.requires_grad
    ]
    return _gradient(sum(slopes[1:], slopes[0]), weights) if slopes else [None] * len(weights)
