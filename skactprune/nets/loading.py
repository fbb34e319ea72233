"""Chosen rows of a dataset, put together as a net puts its batches together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from skorch.dataset import unpack_data
from torch.utils.data import DataLoader, IterableDataset, default_collate

from skactprune.nets.batches import TrainingData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from skorch import NeuralNet


def batch_of(net: NeuralNet, dataset: Any, rows: NDArray[np.integer]) -> tuple[Any, Any]:
    """Batch of some rows, as training would have it.

    Parameters
    ----------
    net : skorch.NeuralNet
        Whose loader of training says how rows become a batch.
    dataset : Dataset
        Gives one row for an index; only a `TrainingData` is asked for all at once.
    rows : int ndarray of shape (n_rows,)
        Which rows.

    Returns
    -------
    X, y
        What the net takes, and its targets.

    Raises
    ------
    ValueError
        For datasets that can only be read from one end to the other.
    """
    if isinstance(dataset, TrainingData):
        return dataset[rows]
    if isinstance(dataset, IterableDataset):
        raise _no_rows(dataset)
    loader = net.get_iterator(dataset, training=True)
    together: dict[str, Any] = {"batch_sampler": [rows.tolist()]}
    if getattr(loader, "batch_sampler", loader) is None:
        # The dataset makes the batches.
        together = {"sampler": [rows.tolist()], "batch_size": None}
    chosen: DataLoader[Any] = DataLoader(
        dataset,
        collate_fn=getattr(loader, "collate_fn", default_collate),
        # Of its own: whatever training draws stays the same.
        generator=torch.Generator(),
        **together,
    )
    return unpack_data(next(iter(chosen)))


def n_rows_of(dataset: Any) -> int:
    """Number of rows of a dataset; ValueError for one that does not know it."""
    try:
        return len(dataset)
    except (TypeError, NotImplementedError) as error:
        raise _no_rows(dataset) from error


def _no_rows(dataset: Any) -> ValueError:
    return ValueError(
        f"This method looks at rows by their number, which {type(dataset).__name__} does not give; "
        "it needs a dataset with __len__ and __getitem__, or take a method that does without, such "
        "as 'activation' or 'magnitude'."
    )
