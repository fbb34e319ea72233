"""Deep Compression: prune, then share weights (Han, Mao & Dally, ICLR 2016)."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils._param_validation import Interval

from skactprune._options import SHARE, check_options
from skactprune.deploy.sharing import clustered, means_of
from skactprune.methods.base import ScoredMethod
from skactprune.nets.matrices import cut
from skactprune.pruning.method import register
from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike, Scope
    from skactprune.pruning.run import Run

# Epochs without progress after which weights are shared.
PATIENCE = 10


@register("deep_compression")
class DeepCompression(ScoredMethod):
    """Remove the smallest abs(w), then let the weights that are left share few values.

    After the last round training goes on for a while. Then the weights of every layer that are not
    zero, those of the output layer included, are put into ``2 ** bits`` clusters by k-means, with
    centres that begin evenly spaced from the smallest to the largest weight. From then on those of
    a cluster have one value: the gradients of all of them are summed, and the value is trained.
    ``compact("codebook")`` of the fitted estimator keeps the values exactly, and writes Huffman
    codes of their indices.

    Parameters
    ----------
    bits : int, default=6
        Of an index; 1 to 8. The authors take 6 for LeNet-300-100.
    retrain : float, default=0.5
        Share of the epochs after the last round, in [0, 1], before weights are shared. It is sooner
        where 10 epochs bring no progress, as `ProgressTrigger` sees it.
    {scope, schedule}

    Notes
    -----
    The paper prunes by a threshold for each layer, a multiple of the standard deviation of its
    weights; here the threshold is such that `prune_fraction` is met. As elsewhere in this package,
    the output layer is not pruned. Biases are not shared; a fit that prunes nothing shares nothing.
    Neither early stopping nor `tol` ends training before weights are shared. In `partial_fit` an
    epoch is a call, and `max_iter` says how many there are. Where training goes on, clusters stay
    as they are, unless more is to be pruned: then all weights are trained singly again, up to the
    last round. Values are rounded to float32 at the end, the type in which codebooks are kept.

    References
    ----------
    Han, Mao & Dally, "Deep compression: Compressing deep neural networks with pruning, trained
    quantization and Huffman coding", ICLR 2016.
    """

    granularity = "weight"
    regrow = False
    shared_: SharedWeights

    def __init__(
        self,
        bits: int = 6,
        retrain: float = 0.5,
        scope: Scope = "layer",
        schedule: ScheduleLike = "cubic",
    ) -> None:
        self.bits = bits
        self.retrain = retrain
        self.scope = scope
        self.schedule = schedule

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, bits=Interval(Integral, 1, 8, closed="both"), retrain=SHARE)
        return super().validated()

    def begin(self, run: Run) -> None:
        """Train shared weights on, or wait for the last round and share them some time after it."""
        super().begin(run)
        run.require_own_weights()
        self.shared_ = run.watch(SharedWeights())
        if run.done < len(run.shares):
            self.shared_.labels = None
        run.moving = bool(run.shares) and self.shared_.labels is None

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w)."""
        return [np.abs(weight) for weight in run.weights()[:-1]]

    def on_epoch(self, run: Run) -> None:
        """Share weights, if it is time."""
        if not run.moving or run.done < len(run.shares):
            return
        last = run.history[-1]["epoch"] if run.history else 0
        due = last + float(self.retrain) * (run.horizon - last)
        if run.epoch >= due or run.idle >= PATIENCE:
            self._share(run)

    def on_gradient(self, run: Run) -> None:
        """Sum the gradients of weights that share a value."""
        if self.shared_.labels is not None:
            for layer, labels in zip(run.layers, self.shared_.labels, strict=True):
                if layer.weight.grad is not None:
                    _changed(layer.weight.grad, summed, labels)

    def on_step(self, run: Run) -> None:
        """Give weights that share a value the same bits: an optimizer may round differently."""
        if self.shared_.labels is not None:
            for layer, labels in zip(run.layers, self.shared_.labels, strict=True):
                _changed(layer.weight, averaged, labels)

    def end(self, run: Run) -> None:
        """Share weights, if there was no time before; let values be those of a codebook."""
        if run.goes_on or not run.history:
            return
        shared = self._share(run) if self.shared_.labels is None else self.shared_.labels
        pairs = zip(run.copied_weights(), shared, strict=True)
        run.restore([(averaged(w, labels).astype(np.float32), b) for (w, b), labels in pairs])

    def _share(self, run: Run) -> list[NDArray[np.integer]]:
        with run.transaction():
            copies = run.copied_weights()
            self.shared_.labels = shared = [self._labels(weight) for weight, _ in copies]
            pairs = zip(copies, shared, strict=True)
            run.restore([(averaged(weight, labels), bias) for (weight, bias), labels in pairs])
            # Moments of single weights would move them apart.
            run.forget_optimizer()
            run.moving = False
        return shared

    def _labels(self, weight: NDArray[Any]) -> NDArray[np.integer]:
        """Clusters of the weights of a layer, numbered from 1; those that are zero have 0."""
        labels = np.zeros(weight.shape, dtype=np.int64)
        left = weight != 0
        if left.any():
            labels[left] = 1 + clustered(weight[left], 2 ** int(self.bits))
        return labels


class SharedWeights(Probe):
    """Which weights share a value.

    Attributes
    ----------
    labels : list of int ndarray or None
        For the weight of every layer, output layer last, in its shape, the number of its cluster,
        0 for those that stay zero; None before they share anything.
    """

    def __init__(self) -> None:
        self.labels: list[NDArray[np.integer]] | None = None

    @property
    def may_merge(self) -> bool:  # type: ignore[override]  # computed, not set
        """Whether no values are shared yet, which sums would not be among."""
        return self.labels is None

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Forget the weights of neurons that have left."""
        if self.labels is not None:
            every = [*keep, np.ones(len(self.labels[-1]), dtype=bool)]
            self.labels = cut(self.labels, every)

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays."""
        return {} if self.labels is None else {"labels": self.labels}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.labels = state.get("labels")


def averaged(weight: NDArray[Any], labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Weights replaced by the means of their clusters.

    Parameters
    ----------
    weight : ndarray
        Weights.
    labels : int ndarray
        Of the same shape.

    Returns
    -------
    ndarray, dtype float64
        Of the same shape.
    """
    return means_of(weight.ravel(), labels.ravel()).reshape(labels.shape)


def summed(gradient: NDArray[Any], labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Gradients replaced by the sums over their clusters, and by 0 in cluster 0; as `averaged`."""
    sums = np.bincount(labels.ravel(), gradient.ravel())
    sums[0] = 0
    return sums[labels]


def _changed(
    tensor: torch.Tensor,
    change: Callable[[NDArray[Any], NDArray[np.integer]], NDArray[np.float64]],
    labels: NDArray[np.integer],
) -> None:
    """Put what `change` makes of its values and the labels into a tensor."""
    import torch

    with torch.no_grad():
        values = change(tensor.detach().double().cpu().numpy(), labels)
        tensor.copy_(torch.from_numpy(values))
