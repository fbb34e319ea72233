"""Who fires: counts z > 0 in the forward passes that happen anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from skactprune.nets.arrays import array_of
from skactprune.nets.tally import Tally
from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from skactprune.pruning.probes.seen import SeenRun


class Firing(Probe):
    """Counts, for every hidden neuron, the (weighted) rows in which it fires.

    A neuron fires where its pre-activation z, the output of its linear or convolutional layer,
    is positive. A channel of a convolution is a neuron that may fire once a position. Where
    unlabelled rows are given, each epoch in which rounds are to come is followed by a forward pass
    in evaluation mode over as many of them as there are training rows. They weigh 1.

    Parameters
    ----------
    counting : {"training", "sample"}, default="training"
        Count in training's own forward passes, or on `n_rows` rows, drawn anew, after each epoch.
    n_rows : int, default=32
        Rows of a sample.

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.
    """

    reads_rows = True
    _tallies: list[Tally]
    _live: list[NDArray[np.int64]]
    _seen: list[float]
    _last: list[NDArray[np.float64]]
    _last_seen: list[NDArray[np.float64]]
    _in_training: bool
    _weighted_rows: bool
    _sample_weight: torch.Tensor | None
    _fires: list[torch.Tensor] | None
    _signs: list[NDArray[np.bool_]]

    def __init__(
        self, counting: Literal["training", "sample"] = "training", n_rows: int = 32
    ) -> None:
        self.counting, self.n_rows = counting, n_rows
        self._totals: list[torch.Tensor] = []
        self._detach: Sequence[Callable[[], object]] = []
        self._active = False
        self._weighted = False

    # -- what it found ----------------------------------------------------------------------

    @property
    def counts(self) -> list[NDArray[Any]]:
        """Counts, an array of shape (n_out,) a layer: int64, or float64 if weighted."""
        return [self._typed(total.cpu().numpy()) for total in self._settled()]

    @property
    def seen(self) -> list[float]:
        """Weight of all rows (and positions) that were counted in each layer, a list of float."""
        self._settled()
        return self._seen

    @property
    def rates(self) -> list[NDArray[np.float64]]:
        """Share of the rows in which each neuron fires; 0 where nothing was counted."""
        return [
            firing_rate(counts, seen) for counts, seen in zip(self.counts, self.seen, strict=True)
        ]

    @property
    def deviations(self) -> list[NDArray[np.float64]]:
        """Standard deviations of whether each neuron fires, an array of shape (n_out,) a layer."""
        return [
            deviation_of_firing(counts, seen)
            for counts, seen in zip(self.counts, self.seen, strict=True)
        ]

    @property
    def original_counts(self) -> list[NDArray[Any]]:
        """Counts in the original sizes; a neuron that has left keeps its last count."""
        return [self._typed(count) for count in self._merged()]

    @property
    def original_rates(self) -> list[NDArray[np.float64]]:
        """Rates in the original sizes; of a neuron that has left, those of when it did."""
        return list(map(firing_rate, self._merged(), self._merged_seen()))

    def _typed(self, counts: NDArray[np.float64]) -> NDArray[Any]:
        return counts.astype(np.float64 if self._weighted else np.int64)

    def restart(self) -> None:
        """Count from zero."""
        self._begin([torch.zeros_like(total) for total in self._settled()])
        self._seen = [0.0] * len(self._totals)

    # -- as a probe -------------------------------------------------------------------------

    def attach(self, run: SeenRun) -> None:
        """Count from now on, if there are rounds to count for."""
        if not self._totals:
            self._live = run.masks.live
            self._seen = [0.0] * len(self._live)
            self._last = [np.zeros(n_out) for n_out, _ in run.layout.shapes]
            self._last_seen = [np.zeros(n_out) for n_out, _ in run.layout.shapes]
            self._begin([torch.zeros(len(live), dtype=torch.float64) for live in self._live])
        devices = [layer.weight.device for layer in run.hidden]
        self._begin([total.to(at) for total, at in zip(self._totals, devices, strict=True)])
        self._in_training = (
            bool(run.shares) and self.counting == "training" and run.rows.unlabeled is None
        )
        self._weighted_rows = getattr(run.rows.training, "sample_weight", None) is not None
        if run.shares:
            self._detach = run.layout.watch(run.net.module_, self._hear)

    def detach(self) -> None:
        """Stop counting; the counts stay."""
        for detach in self._detach:
            detach()
        self._detach = []
        if self._totals:
            # Buffers of the size of a batch go.
            self._begin(self._settled())
        self._active, self._sample_weight = False, None

    @property
    def hears_batches(self) -> bool:
        """Whether it counts in training."""
        return self._in_training

    def tallies(self) -> list[Tally] | None:
        """Tallies, where rows of one weight are counted in training on the CPU."""
        plain = not self._weighted_rows and all(total.is_cpu for total in self._totals)
        return self._tallies if self._in_training and plain else None

    def begin_batch(self, batch: Any, weight: torch.Tensor | None) -> None:
        """Count the coming forward pass."""
        self._active, self._sample_weight = self._in_training, weight

    def end_batch(self, batch: Any, pre_activations: list[torch.Tensor]) -> None:
        """Count the pre-activations, if they were not heard of before."""
        if self._active and pre_activations:
            self._take(pre_activations)
        self._active = False

    def end_epoch(self, run: SeenRun) -> None:
        """Count on rows that training's own forward passes do not count."""
        if not run.shares or self._in_training:
            return
        if run.rows.unlabeled is not None and not run.pending:
            return
        if self.counting == "sample":
            batches = [run.rows.sample(self.n_rows)]
        else:
            batches = run.rows.in_batches(run.rows.next_unlabeled())
        self._active, self._sample_weight = True, None
        for rows in batches:
            pre_activations = run.forward(run.rows.look(rows))
            if pre_activations:
                self._take(pre_activations)
        self._active = False

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Forget neurons; their last counts stay in `original_counts`."""
        last, last_seen, totals = self._merged(), self._merged_seen(), self._settled()
        self._begin(
            [
                total[torch.from_numpy(kept).to(total.device)]
                for total, kept in zip(totals, keep, strict=True)
            ]
        )
        self._last, self._last_seen = last, last_seen
        self._live = [live[kept] for live, kept in zip(self._live, keep, strict=True)]

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays."""
        return {
            "totals": [total.cpu().numpy() for total in self._settled()],
            "seen": list(self._seen),
            "weighted": self._weighted,
            "last": self._merged(),
            "last_seen": self._merged_seen(),
            "live": self._live,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._begin([torch.tensor(total) for total in state["totals"]])
        self._seen, self._weighted = list(state["seen"]), state["weighted"]
        self._last, self._last_seen = state["last"], state["last_seen"]
        self._live = state["live"]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_detach": []}

    def snapshot(self) -> Callable[[], None]:
        """Function that gives back the counts of now; from here on, copies are counted on."""
        totals = self._settled()
        restore = super().snapshot()
        self._begin([total.clone() for total in totals])
        self._seen = list(self._seen)
        return restore

    # -- counting ---------------------------------------------------------------------------

    def _begin(self, totals: list[torch.Tensor]) -> None:
        """Go on from these totals, with empty buffers."""
        self._tallies = [Tally(len(total)) for total in totals]
        self._totals = totals
        self._fires, self._signs = None, []

    def _settled(self) -> list[torch.Tensor]:
        """The totals, as float64 tensors, which hold whole numbers exactly up to 2 ** 53."""
        for depth, tally in enumerate(self._tallies):
            if not tally.n_rows:
                continue
            counts, n_rows = tally.take()
            self._totals[depth].add_(torch.from_numpy(counts).to(self._totals[depth].device))
            self._seen[depth] += n_rows
        return self._totals

    def _merged(self) -> list[NDArray[np.float64]]:
        merged = [count.copy() for count in self._last]
        for count, live, total in zip(merged, self._live, self._settled(), strict=True):
            count[live] = total.cpu().numpy()
        return merged

    def _merged_seen(self) -> list[NDArray[np.float64]]:
        merged = [seen.copy() for seen in self._last_seen]
        for of_neurons, live, seen in zip(merged, self._live, self.seen, strict=True):
            of_neurons[live] = seen
        return merged

    def _hear(self, depth: int, z: torch.Tensor) -> None:
        """Count the output of one layer, which may not be there later."""
        if self._active:
            self._count(depth, z)

    def _take(self, pre_activations: list[torch.Tensor]) -> None:
        """Count the outputs of all layers."""
        if self._sample_weight is None and pre_activations[0].dtype == torch.bool:
            self._add_signs(pre_activations)
            return
        for depth, z in enumerate(pre_activations):
            self._count(depth, z.detach())

    def _add_signs(self, fires: list[torch.Tensor]) -> None:
        """Count signs that a step gives in the same tensors, on the CPU, every time."""
        if fires is not self._fires:
            self._fires, self._signs = fires, [signs.numpy() for signs in fires]
        for tally, signs in zip(self._tallies, self._signs, strict=True):
            tally.add(signs)

    def _count(self, depth: int, z: torch.Tensor) -> None:
        if self._sample_weight is not None:
            self._count_weighted(depth, z, self._sample_weight)
        elif z.device.type != "cpu":
            self._totals[depth].add_((z > 0).sum(dim=0))
            self._seen[depth] += len(z)
        else:
            self._tallies[depth].add(array_of(z))

    def _count_weighted(self, depth: int, z: torch.Tensor, weight: torch.Tensor) -> None:
        self._weighted = True
        weight = weight.to(z.device, torch.float64)
        weight = weight.repeat_interleave(len(z) // len(weight))
        fires = (z > 0).to(torch.float64)
        if z.device.type == "cpu":
            # Not by torch: its threads would wait for those of numpy in training.
            self._totals[depth].numpy()[:] += weight.numpy() @ fires.numpy()
        else:
            self._totals[depth].add_(fires.t() @ weight)
        self._seen[depth] += float(weight.sum())


def firing_rate(
    counts: NDArray[Any], n_counted: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of the rows in which a neuron fires; 0 where nothing was counted."""
    # The sums of weights behind them round differently, and 1 must not be exceeded.
    return np.minimum(counts / np.where(n_counted, n_counted, 1.0), 1.0)


def deviation_of_firing(
    counts: NDArray[Any], n_counted: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Standard deviation sqrt(p (1 - p)) of whether a neuron with firing rate p fires."""
    rate = firing_rate(counts, n_counted)
    return np.sqrt(rate * (1.0 - rate))
