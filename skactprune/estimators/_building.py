"""From the parameters of an estimator to the skorch net that it trains."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch.dataset import Dataset

from skactprune.estimators._checks import check_in_range_of
from skactprune.estimators._net_params import check_net_params
from skactprune.nets.batches import BatchIterator, TrainingData
from skactprune.nets.mlp import MLP

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import SimpleNamespace

    from numpy.typing import ArrayLike, DTypeLike
    from skorch.callbacks import Callback

    from skactprune.estimators._task import Net, Task

TORCH_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}
# What torch can count.
MOST_WEIGHTS = 2**60
OF_PARAMS = (AttributeError, LookupError, TypeError, ValueError)


def new_net(
    params: SimpleNamespace,
    name: str,
    task: Task,
    layer_sizes: list[int],
    dtype: DTypeLike,
    callbacks: list[tuple[str, Callback]],
    random_state: np.random.RandomState,
    *,
    draw: bool,
    weight_decay: float,
) -> Net:
    """Initialized net.

    Parameters
    ----------
    params : types.SimpleNamespace
        Parameters of the estimator, as Python's own numbers.
    name : str
        Of the estimator, for messages.
    task : Task
        What is learned.
    layer_sizes : list of int
        Units of every layer, input and output included.
    dtype : numpy dtype
        float32 or float64.
    callbacks : list of (str, skorch.callbacks.Callback)
        Ours; those of ``net_params`` come after them.
    random_state : numpy.random.RandomState
        Draws the order of the rows, and the weights if `draw`.
    draw : bool
        Whether weights are drawn; otherwise they are loaded later.
    weight_decay : float
        Decoupled weight decay.

    Returns
    -------
    skactprune.nets.net.LeanLoop

    Raises
    ------
    ValueError
        For dropout rates out of range, and ``net_params`` that the net cannot be made with.
    """
    of_solver = _optimizer(params)
    defaults = {"optimizer": of_solver["optimizer"], "iterator_valid": torch.utils.data.DataLoader}
    net_params, of_user = check_net_params(params.net_params, name, defaults, params.early_stopping)
    callbacks = [*callbacks, *of_user]
    check_in_range_of(dtype, params)
    make, of_task = task.net()
    of_net = {
        "module": MLP,
        "module__layer_sizes": tuple(layer_sizes),
        "module__activation": params.activation,
        "module__dropout": _dropout_rates(params.dropout, len(layer_sizes) - 2),
        "module__dtype": TORCH_DTYPES[np.dtype(dtype)],
        "module__random_state": random_state if draw else None,
        "lr": params.learning_rate_init,
        "alpha": params.alpha,
        "weight_decay": weight_decay,
        "max_epochs": params.max_iter,
        "dataset": _dataset,
        "iterator_train": BatchIterator,
        "iterator_train__shuffle": params.shuffle,
        "iterator_train__random_state": random_state,
        "iterator_valid": _batches_in_order,
        "train_split": None,
        "callbacks": callbacks,
        # Callbacks that print ask for it.
        "verbose": bool(of_user),
        "device": _torch_device(params.device),
        **of_task,
        **({} if "optimizer" in net_params else of_solver),
        **net_params,
    }
    try:
        return make(**of_net).initialize()
    except Exception as error:
        reason = _reason_of(error, params, layer_sizes)
        if reason is None:
            raise
        raise ValueError(reason) from error


def _reason_of(error: Exception, params: SimpleNamespace, layer_sizes: list[int]) -> str | None:
    """What of the parameters it is that no net can be made with, or None."""
    n_weights = sum(a * b for a, b in itertools.pairwise(layer_sizes))
    if isinstance(error, MemoryError) or "alloc" in str(error) or n_weights >= MOST_WEIGHTS:
        return (
            f"{params.sizes} asks for {n_weights} weights with "
            f"{layer_sizes[0]} features and {layer_sizes[-1]} outputs, which do not fit into "
            "memory."
        )
    if params.net_params and isinstance(error, OF_PARAMS):
        return f"net_params={params.net_params!r}: no net can be made with them. {error}"
    return None


def _batches_in_order(dataset: Dataset, batch_size: int, **kwargs: Any) -> Iterable[Any]:
    """Batches to validate and predict on: whole tensors of our own rows, skorch's of others."""
    if isinstance(dataset, TrainingData):
        size = len(dataset) if batch_size < 0 else batch_size
        return BatchIterator(dataset, size, shuffle=False, random_state=None)
    return torch.utils.data.DataLoader(dataset, batch_size=batch_size, **kwargs)


def _dataset(X: Any, y: Any = None) -> Dataset:
    """What skorch makes of rows that go to the net itself; `BatchIterator` wants tensors."""
    arrays = isinstance(y, np.ndarray) and not torch.is_tensor(X)
    return TrainingData(X, y) if arrays else Dataset(X, y)


def _optimizer(params: SimpleNamespace) -> dict[str, Any]:
    if params.solver == "adam":
        return {
            "optimizer": torch.optim.Adam,
            "optimizer__betas": (params.beta_1, params.beta_2),
            "optimizer__eps": params.epsilon,
            "optimizer__fused": True,
        }
    return {
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": params.momentum,
        "optimizer__nesterov": params.nesterovs_momentum and params.momentum > 0,
        "optimizer__fused": True,
    }


def _dropout_rates(dropout: float | ArrayLike, n_hidden: int) -> tuple[float, ...]:
    """Rates of the input and of every hidden layer."""
    try:
        rates = np.asarray(dropout, dtype=np.float64)
    except (TypeError, ValueError):
        rates = np.array([np.nan])
    if rates.ndim == 0:
        rates = np.array([0.0, *[float(rates)] * n_hidden]) if n_hidden else np.array([rates * 0])
    if rates.shape != (n_hidden + 1,) or not ((rates >= 0) & (rates < 1)).all():
        raise ValueError(
            f"dropout={dropout!r} must be one rate in [0, 1), or one for the input and one for "
            f"each of the {n_hidden} hidden layers."
        )
    return tuple(rates.tolist())


def check_device(device: str) -> None:
    """Raise ValueError for ``device="cuda"`` where there is none.

    Only `fit` insists on it: what was fitted there and pickled can be loaded anywhere.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' needs a CUDA device; use 'cpu' or 'auto' here.")


def _torch_device(device: str) -> str:
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
