"""Losses and links: what training minimises, in torch and in numpy, and what logits stand for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import xlogy
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.nets.batches import Target


class WeightedLogLoss(nn.Module):
    """Cross-entropy of logits, averaged with the sample weights of the batch.

    One output column is the logit of the second of two classes, several are class logits.
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        y, weight = target if isinstance(target, (tuple, list)) else (target, None)
        reduction = "mean" if weight is None else "none"
        if logits.shape[1] == 1:
            loss = F.binary_cross_entropy_with_logits(
                logits.squeeze(1), y.to(logits.dtype), reduction=reduction
            )
        else:
            loss = F.cross_entropy(logits, y, reduction=reduction)
        return loss if weight is None else (loss * weight).sum() / weight.sum()


class WeightedLabelLoss(nn.Module):
    """Cross-entropy of the logits of labels, each of which a row has or has not.

    It is the sum over the labels, averaged with the sample weights of the batch, as in
    ``MLPClassifier``. Targets are 0 and 1, of shape (n_rows, n_labels).
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        y, weight = target if isinstance(target, (tuple, list)) else (target, None)
        losses = F.binary_cross_entropy_with_logits(logits, y.to(logits.dtype), reduction="none")
        loss = losses.sum(dim=1)
        return loss.mean() if weight is None else (loss * weight).sum() / weight.sum()


class TargetLoss(nn.Module):
    """Loss of outputs that are numbers, averaged with the sample weights of the batch; base class.

    Targets are of shape (n_rows,) or (n_rows, n_outputs). Its gradient is that of the sum over the
    outputs, while its value is their mean where `averages` says so: as of ``MLPRegressor``.
    """

    averages = True

    def forward(self, outputs: torch.Tensor, target: Target) -> torch.Tensor:
        y, weight = target if isinstance(target, (tuple, list)) else (target, None)
        loss = self.points(outputs, y.reshape(outputs.shape)).sum(dim=1)
        loss = loss.mean() if weight is None else (loss * weight).sum() / weight.sum()
        if not self.averages or outputs.shape[1] == 1:
            return loss
        return loss - (1 - 1 / outputs.shape[1]) * loss.detach()

    def points(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Loss of every output of every row, of shape (n_rows, n_outputs)."""
        raise NotImplementedError(f"{type(self).__name__} must define points.")


class WeightedSquaredLoss(TargetLoss):
    """Half the squared distance from outputs to targets."""

    def points(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return 0.5 * (outputs - y).square()


class ReconstructionLoss(WeightedSquaredLoss):
    """Half the squared distance of rows to their reconstructions, which features share."""

    averages = False
    multioutput = "variance_weighted"


class WeightedPoissonLoss(TargetLoss):
    """Half the Poisson deviance of targets from the exponentials of outputs."""

    averages = False

    def points(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.xlogy(y, y) - y * outputs - y + torch.exp(outputs)


class WeightedLinearLoss(TargetLoss):
    """Distance from outputs to targets, each side of which has its own weight.

    Parameters
    ----------
    below, above : float, default=1.0
        Weights of outputs that are too small, and too large: 1 and 1 for the absolute error, q and
        1 - q for the pinball loss of the quantile q.
    """

    def __init__(self, below: float = 1.0, above: float = 1.0) -> None:
        super().__init__()
        self.below, self.above = below, above

    def points(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        error = outputs - y
        return self.above * error.relu() + self.below * (-error).relu()


def class_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Probabilities of shape (n_samples, n_classes) from the logits of an `MLP`."""
    if logits.shape[1] == 1:
        positive = torch.sigmoid(logits)
        return torch.cat([1.0 - positive, positive], dim=1)
    return torch.softmax(logits, dim=1)


# -- the same in numpy ------------------------------------------------------------------------


class NumpyLoss:
    """Loss of batches of one size and its gradient; base class.

    Outputs of the net come as (n_outputs, n_rows), for reductions over the first axis of few rows
    are the fastest. What the losses of the rows are made of is small, and is kept until an epoch
    is over.

    Parameters
    ----------
    criterion : torch.nn.Module
        What it is the twin of.
    n_rows : int
        Rows that come.
    dtype : numpy dtype
        Their dtype.
    """

    def __init__(self, criterion: torch.nn.Module, n_rows: int, dtype: np.dtype[Any]) -> None:
        self.criterion: Any = criterion
        self.dtype = dtype

    def backward(
        self,
        outputs: NDArray[Any],
        y: NDArray[Any],
        factor: float | NDArray[Any],
        gradient: NDArray[Any],
    ) -> tuple[NDArray[Any], ...]:
        """Write the gradient of the weighted sum of the rows' losses.

        Parameters
        ----------
        outputs : ndarray of shape (n_outputs, n_rows)
            Outputs of the net; not changed.
        y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
            Targets.
        factor : float or ndarray of shape (n_rows,)
            Weights of the rows, in the dtype of the outputs.
        gradient : ndarray of shape (n_outputs, n_rows)
            Is overwritten.

        Returns
        -------
        tuple of ndarray of shape (n_rows,)
            New arrays of which `rows` makes the losses.
        """
        raise NotImplementedError

    @staticmethod
    def rows(*parts: Any) -> NDArray[np.float64]:
        """Losses of rows, in float64, from what `backward` gave, all batches one after another."""
        raise NotImplementedError

    @staticmethod
    def fits(y: NDArray[Any], n_outputs: int) -> bool:
        """Whether all targets are such that torch gives the same."""
        raise NotImplementedError


class SoftmaxLoss(NumpyLoss):
    """Cross-entropy of class logits; the targets are class indices."""

    def __init__(self, criterion: torch.nn.Module, n_rows: int, dtype: np.dtype[Any]) -> None:
        super().__init__(criterion, n_rows, dtype)
        self._columns = np.arange(n_rows)
        self._at = np.empty(n_rows, dtype=np.intp)
        self._n_rows = n_rows

    def backward(
        self,
        outputs: NDArray[Any],
        y: NDArray[Any],
        factor: float | NDArray[Any],
        gradient: NDArray[Any],
    ) -> tuple[NDArray[Any], ...]:
        np.multiply(y, self._n_rows, out=self._at)
        np.add(self._at, self._columns, out=self._at)
        np.subtract(outputs, np.maximum.reduce(outputs, axis=0), out=gradient)
        flat = gradient.reshape(-1)
        chosen = flat.take(self._at)
        np.exp(gradient, out=gradient)
        total = np.add.reduce(gradient, axis=0)
        np.multiply(gradient, factor / total, out=gradient)
        flat[self._at] -= factor
        return total, chosen

    @staticmethod
    def rows(total: NDArray[Any], chosen: NDArray[Any]) -> NDArray[np.float64]:
        return np.log(total, dtype=np.float64) - chosen

    @staticmethod
    def fits(y: NDArray[Any], n_outputs: int) -> bool:
        return y.dtype == np.int64 and y.ndim == 1 and 0 <= y.min() and y.max() < n_outputs


class LogisticLoss(NumpyLoss):
    """Cross-entropy of the logit of the second of two classes, or of each label.

    The targets are 0 and 1, of shape (n_rows,) or (n_rows, n_labels).
    """

    def backward(
        self,
        outputs: NDArray[Any],
        y: NDArray[Any],
        factor: float | NDArray[Any],
        gradient: NDArray[Any],
    ) -> tuple[NDArray[Any], ...]:
        target = y.astype(self.dtype).reshape(outputs.shape[::-1])
        logits = outputs.T.copy()
        np.negative(outputs, out=gradient)
        np.exp(gradient, out=gradient)
        np.add(gradient, 1, out=gradient)
        np.reciprocal(gradient, out=gradient)
        np.subtract(gradient, target.T, out=gradient)
        np.multiply(gradient, factor, out=gradient)
        return logits, target

    @staticmethod
    def rows(logits: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float64]:
        logits = logits.astype(np.float64)
        return (np.logaddexp(0.0, logits) - logits * target).sum(axis=1)

    @staticmethod
    def fits(y: NDArray[Any], n_outputs: int) -> bool:
        return y.dtype.kind in "iuf" and y.size == len(y) * n_outputs


class NumpyTargetLoss(NumpyLoss):
    """Twin of a `TargetLoss`: sums over outputs are minimised, and their means are told."""

    def backward(
        self,
        outputs: NDArray[Any],
        y: NDArray[Any],
        factor: float | NDArray[Any],
        gradient: NDArray[Any],
    ) -> tuple[NDArray[Any], ...]:
        y = y.reshape(outputs.shape[::-1]).T
        loss = self._points(outputs, y, gradient)
        np.multiply(gradient, factor, out=gradient)
        return (loss / len(outputs) if self.criterion.averages else loss,)

    def _points(
        self, outputs: NDArray[Any], y: NDArray[Any], gradient: NDArray[Any]
    ) -> NDArray[Any]:
        """Write the gradient of each output's loss; return sums of losses, (n_rows,)."""
        raise NotImplementedError

    @staticmethod
    def rows(loss: NDArray[Any]) -> NDArray[np.float64]:
        return loss.astype(np.float64)

    @staticmethod
    def fits(y: NDArray[Any], n_outputs: int) -> bool:
        return y.dtype.kind == "f" and math.prod(y.shape[1:]) == n_outputs


class SquaredLoss(NumpyTargetLoss):
    """Half the squared distance from outputs to targets."""

    def _points(
        self, outputs: NDArray[Any], y: NDArray[Any], gradient: NDArray[Any]
    ) -> NDArray[Any]:
        np.subtract(outputs, y, out=gradient)
        return 0.5 * np.einsum("ij,ij->j", gradient, gradient)


class PoissonLoss(NumpyTargetLoss):
    """Half the Poisson deviance of targets from the exponentials of outputs."""

    def _points(
        self, outputs: NDArray[Any], y: NDArray[Any], gradient: NDArray[Any]
    ) -> NDArray[Any]:
        np.exp(outputs, out=gradient)
        np.subtract(gradient, y, out=gradient)
        return (gradient + xlogy(y, y) - y * outputs).sum(axis=0)


class LinearLoss(NumpyTargetLoss):
    """Distance from outputs to targets, each side of which has its own weight."""

    def _points(
        self, outputs: NDArray[Any], y: NDArray[Any], gradient: NDArray[Any]
    ) -> NDArray[Any]:
        error = outputs - y
        np.multiply(error > 0, self.dtype.type(self.criterion.above), out=gradient)
        np.subtract(gradient, self.dtype.type(self.criterion.below), out=gradient, where=error < 0)
        return np.einsum("ij,ij->j", gradient, error)


TWINS: dict[type[nn.Module], type[NumpyLoss]] = {
    WeightedSquaredLoss: SquaredLoss,
    ReconstructionLoss: SquaredLoss,
    WeightedPoissonLoss: PoissonLoss,
    WeightedLinearLoss: LinearLoss,
}


def numpy_loss(criterion: torch.nn.Module, n_outputs: int) -> type[NumpyLoss] | None:
    """Class of the `NumpyLoss` that is a criterion's twin.

    Parameters
    ----------
    criterion : torch.nn.Module
        Criterion of a net.
    n_outputs : int
        Outputs of the net.

    Returns
    -------
    type or None
        None where there is none.
    """
    if type(criterion) is WeightedLogLoss:
        return LogisticLoss if n_outputs == 1 else SoftmaxLoss
    if type(criterion) is WeightedLabelLoss:
        return LogisticLoss
    return TWINS.get(type(criterion))
