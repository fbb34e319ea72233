"""How often neurons put out nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from skactprune.pruning.probes.seen import SeenRun


class Zeros(Probe):
    """Share of all watched rows for which a neuron is not positive, in evaluation mode.

    For a ReLU, these are the rows for which it puts out zero. Each position of a channel of a
    convolution is a row.
    """

    reads_rows = True

    def take(self, run: SeenRun) -> list[NDArray[np.float64]]:
        """Shares of the weights of now.

        Parameters
        ----------
        run : Run
            The run. Rows with weights count with them.

        Returns
        -------
        list of ndarray of shape (n_out,)
            One for every hidden layer, in [0, 1].
        """
        n_rows = run.rows.n_watched
        weight = getattr(run.rows.watched, "sample_weight", None)
        weight = np.ones(n_rows) if weight is None else np.asarray(weight, np.float64)
        zeros = [np.zeros(len(mask)) for mask in run.masks.current]
        seen = np.zeros(len(zeros))

        def hear(depth: int, z: torch.Tensor) -> None:
            of_rows = np.repeat(weight[rows], len(z) // len(rows))
            zeros[depth] += of_rows @ (z <= 0).cpu().numpy()
            seen[depth] += of_rows.sum()

        removes: list[Callable[[], object]] = []
        with run.cleaning(lambda: [remove() for remove in removes]):
            removes += run.layout.watch(run.net.module_, hear)
            for rows in run.rows.in_batches(np.arange(n_rows)):
                for depth, z in enumerate(run.forward(run.rows.look(rows))):
                    hear(depth, z)
        return [count / (total or 1.0) for count, total in zip(zeros, seen, strict=True)]
