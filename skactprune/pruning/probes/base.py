"""What a probe is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skactprune._transaction import attributes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from skactprune.nets.tally import Tally
    from skactprune.pruning.probes.seen import SeenRun


class Probe:
    """Watches a training run; attached, cut, rolled back and saved by it. Does nothing itself.

    Whatever has an entry for every neuron or every weight belongs into a probe: when neurons leave,
    `cut` is called, and the entries stay aligned with the layers. A probe without parameters is
    known to the run by the name of its class.

    Attributes
    ----------
    reads_rows : bool
        Whether what it learns comes from the rows that pruning looks at, which may be unlabelled
        ones.
    may_merge : bool
        Whether weights that read several constants may be added up; see `ConvChain.cut`.
    """

    reads_rows = False
    may_merge = True

    def attach(self, run: SeenRun) -> None:
        """Begin to watch. Called whenever training starts, after `load` where it goes on.

        Parameters
        ----------
        run : Run
            The run.
        """

    def detach(self) -> None:
        """Watch no longer; what was learned stays."""

    @property
    def hears_batches(self) -> bool:
        """Whether `begin_batch` or `end_batch` has anything to do in the coming epoch."""
        kind = type(self)
        return kind.begin_batch is not Probe.begin_batch or kind.end_batch is not Probe.end_batch

    def tallies(self) -> list[Tally] | None:
        """Tallies of the hidden layers that steps of the nets of this package add to.

        Returns
        -------
        list of skactprune.nets.tally.Tally or None
            None where it must hear of the batches instead.
        """
        return None

    def begin_batch(self, batch: Any, weight: torch.Tensor | None) -> None:
        """Hear of a batch of training before its forward pass.

        Nothing of it is there after `end_batch`: the next batch may take its place in memory.

        Parameters
        ----------
        batch : tuple
            Rows and targets.
        weight : torch.Tensor of shape (batch_size,) or None
            Weights of its rows.
        """

    def end_batch(self, batch: Any, pre_activations: list[torch.Tensor]) -> None:
        """Hear of a batch of training after its step.

        Parameters
        ----------
        batch : tuple
            Rows and targets.
        pre_activations : list of torch.Tensor of shape (n_rows, n_out)
            Of the hidden layers, or anything that is positive where they are, boolean even; empty
            where the net does not give them and they were heard through hooks.
        """

    def end_epoch(self, run: SeenRun) -> None:
        """Hear of the end of an epoch, before a round that may follow."""

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Forget neurons that have left; new arrays take the place of the old.

        Parameters
        ----------
        keep : list of bool ndarray of shape (n_out,)
            True for the neurons of each hidden layer that stay.
        """

    def state(self) -> dict[str, Any]:
        """What `load` needs: arrays, numbers, and lists and dicts of them."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""

    def snapshot(self) -> Callable[[], None]:
        """Function that gives the probe back what it holds now."""
        return attributes_of(self)
