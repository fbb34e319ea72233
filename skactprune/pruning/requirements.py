"""What must be so that a run can go on: each raises a ValueError that says what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch.dataset import Dataset

from skactprune.pruning.holding import ELSEWHERE, takes_any_weight
from skactprune.pruning.selection import floored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from skactprune.pruning.probes.base import Probe
    from skactprune.pruning.state import State


def check_features(share: float, n_to_drop: int, n_features: int) -> None:
    """Raise ValueError where no feature would be left."""
    if share and n_to_drop >= n_features:
        raise ValueError(
            f"prune_features={share!r} must be at most {floored(1 - 1 / n_features)}, so "
            f"that one of {n_features} features is left."
        )


def check_not_compiled(module: torch.nn.Module) -> None:
    """Raise ValueError for a module that calls its layers without their hooks."""
    for name, part in module.named_modules():
        in_place = getattr(part, "_compiled_call_impl", None)
        if hasattr(part, "_orig_mod") or in_place is not None:
            raise ValueError(
                f"Pruner listens to layers by hooks, which {name or 'the module'!r}, compiled by "
                "torch, does not call: compile must be False. What is left after a fit can be "
                "compiled, torch.compile(net.module_)."
            )


def check_finite(run: State) -> None:
    """Raise ValueError if training has diverged: no method can tell which weights matter."""
    finite = all(_is_finite(layer.weight.detach()) for layer in run.layers)
    loss = run.net.history[-1].get("train_loss") if run.net.history else None
    if not finite or (loss is not None and not np.isfinite(loss)):
        raise ValueError(
            f"Training has diverged by epoch {run.epoch}: weights or loss are not finite, so "
            "that nothing can be pruned. The input data may contain large values and need to "
            "be preprocessed, or the learning rate is too high."
        )


def check_batch_weight(weight: Any, n_rows: int) -> None:
    """Raise ValueError for what cannot be the weights of the rows of a batch."""
    is_like_rows = isinstance(weight, torch.Tensor) and weight.shape == (n_rows,)
    if not is_like_rows or not bool((weight.isfinite() & (weight >= 0)).all()):
        told = f"a {type(weight).__name__} {getattr(weight, 'shape', '')}"
        if is_like_rows:
            told = f"weights from {float(weight.min())} to {float(weight.max())}"
        raise ValueError(
            f"sample_weight of Pruner returned {told}; it must return None or, for a batch of "
            f"{n_rows} rows, a tensor of shape ({n_rows},) of finite numbers, none negative."
        )


def check_own_weights(run: State) -> None:
    """Raise ValueError for a layer that computes its weight from other parameters."""
    for layer in run.layers:
        if "weight" not in dict(layer.named_parameters(recurse=False)):
            raise ValueError(
                f"method={run.label} sets weights, which those of "
                f"{name_of(layer, run.net.module_)!r} cannot be: this layer computes them from "
                "other parameters."
            )


def check_settable_weights(run: State) -> None:
    """Raise ValueError for a layer that cannot be given any weights."""
    for layer in run.layers:
        if not takes_any_weight(layer):
            raise ValueError(
                f"method={run.label} gives layers weights, which "
                f"{name_of(layer, run.net.module_)!r} cannot keep: this layer computes its weight "
                f"from other parameters.{ELSEWHERE}"
            )


def check_unlabeled_are_used(run: State, probes: Iterable[Probe]) -> None:
    """Raise ValueError if unlabelled rows were given and none of the probes looks at them."""
    is_open = run.rows.unlabeled is not None and not run.unlabeled_served
    if is_open and not any(probe.reads_rows for probe in probes):
        raise ValueError(
            f"method={run.label} does not count who fires, so that unlabeled rows "
            "(X_unlabeled of fit, unlabeled of Pruner) must be None."
        )


def check_same_features(layers: Sequence[Any], training: Any, unlabeled: Any) -> None:
    """Raise ValueError for unlabelled rows of another number of features, where that is known."""
    known, found = map(_n_features, (training, unlabeled))
    first = layers[0]
    is_read = isinstance(first, torch.nn.Linear) and first.in_features == known
    if is_read and found not in (known, None):
        raise ValueError(
            f"unlabeled has rows of {found} features; they must have those of the training rows, "
            f"{known}."
        )


def _n_features(dataset: Any) -> int | None:
    """Columns of the rows of a dataset of skorch's; None of others, which may change them."""
    while type(dataset) is torch.utils.data.Subset:
        dataset = dataset.dataset
    if not isinstance(dataset, Dataset) or type(dataset).__getitem__ is not Dataset.__getitem__:
        return None
    shape: Any = getattr(dataset.X, "shape", ())
    return int(shape[1]) if len(shape) == 2 else None


def name_of(layer: torch.nn.Module, module: torch.nn.Module) -> str:
    """Name that a layer has in a module."""
    return {part: name for name, part in module.named_modules()}[layer]


def _is_finite(tensor: torch.Tensor) -> bool:
    if tensor.is_cpu and tensor.dtype in (torch.float32, torch.float64):
        # It takes a tenth of torch's time.
        return bool(np.isfinite(tensor.numpy()).all())
    return bool(tensor.isfinite().all())
