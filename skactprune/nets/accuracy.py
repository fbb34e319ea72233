"""Training accuracy or R², from the predictions that training makes anyway."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from sklearn.base import is_classifier, is_regressor

from skactprune.nets.arrays import array_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class RunningAccuracy:
    """Accuracy over the batches of an epoch, weighted as the loss is.

    Parameters
    ----------
    threshold : float or None, default=None
        Output above which a net with one output tells the second of two classes, for targets that
        are floats 0 and 1; None where these are no classes. With integer targets it is 0 then.

    Attributes
    ----------
    value : float
        Share of the weight of all rows that is classified rightly, of several labels in all of
        them; NaN where no batch had class labels as targets.
    """

    # What triggers may take it for.
    names = ("score", "accuracy")

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = threshold
        self._hits, self._rows = 0.0, 0.0

    @property
    def value(self) -> float:
        return self._hits / self._rows if self._rows else float("nan")

    def add(
        self,
        y_pred: torch.Tensor | tuple[Any, ...],
        target: torch.Tensor | tuple[Any, ...],
        weight: torch.Tensor | None,
    ) -> None:
        """Add a batch.

        Parameters
        ----------
        y_pred : torch.Tensor of shape (n_rows,) or (n_rows, n_outputs), or tuple that begins with \
it
            Output of the net.
        target : torch.Tensor of shape (n_rows,) or (n_rows, n_outputs), or tuple that begins with \
it
            Targets; of the latter shape integers 0 and 1 are labels.
        weight : torch.Tensor of shape (n_rows,) or None
            Weights of the rows.
        """
        right = self._right(_first(y_pred), _first(target))
        if right is None:
            return
        if weight is None:
            self._hits += int(np.count_nonzero(right))
            self._rows += len(right)
            return
        weights = array_of(weight)
        self._hits += float((right * weights).sum())
        self._rows += float(weights.sum())

    def _right(self, logits: Any, y: Any) -> NDArray[np.bool_] | None:
        """Which rows are classified rightly; None where the targets are no classes."""
        if not (torch.is_tensor(logits) and torch.is_tensor(y)):
            return None
        # numpy is several times as fast with few rows; it knows no half precision of all kinds.
        logits, y = array_of(logits), array_of(y)
        one_output = logits[:1].size <= 1
        if y.dtype.kind == "f":
            y = y.reshape(len(y), -1)
            classes = self.threshold is not None and one_output and y.shape[1] == 1
            if not classes or not ((y == 0) | (y == 1)).all():
                return None
            y = y[:, 0]
        if y.ndim == 2 and y.shape == logits.shape and ((y == 0) | (y == 1)).all():
            # Labels, all of which must be right.
            return ((logits > (self.threshold or 0.0)) == y).all(axis=1)
        if y.ndim != 1:
            return None
        if one_output:
            return (logits.reshape(-1) > (self.threshold or 0.0)) == y
        return logits.argmax(axis=1) == y


class RunningR2:
    """R² over the batches of an epoch, the mean over outputs, weighted as the loss is.

    Parameters
    ----------
    link : callable, default=None
        What makes predictions of outputs; None where these are the predictions.
    multioutput : {"uniform_average", "variance_weighted"}, default="uniform_average"
        What the mean over outputs is; the latter with the errors of those that do not vary.

    Attributes
    ----------
    value : float
        As of `sklearn.metrics.r2_score`; NaN where no batch had numbers of such a shape as targets.
    """

    names = ("score",)

    def __init__(
        self,
        link: Callable[..., Any] | None = None,
        multioutput: Literal["uniform_average", "variance_weighted"] = "uniform_average",
    ) -> None:
        self.link, self.multioutput = link, multioutput
        # Sums of weights, of weighted targets and their squares, and of squared errors. Targets
        # are taken from the first one, or what is far from 0 would have no variance by rounding.
        self._sums: NDArray[np.float64] | None = None
        self._first: NDArray[np.float64] | float = 0.0

    @property
    @np.errstate(over="ignore", invalid="ignore")
    def value(self) -> float:
        if self._sums is None:
            return float("nan")
        total, first, second, error = self._sums
        spread = second - np.square(first) / total
        if self.multioutput == "variance_weighted":
            spread, error = spread.sum(), error.sum()
        known = np.where(spread > 0, 1.0 - error / np.where(spread > 0, spread, 1.0), error == 0)
        return float(known.mean())

    @np.errstate(over="ignore", invalid="ignore")
    def add(
        self,
        y_pred: torch.Tensor | tuple[Any, ...],
        target: torch.Tensor | tuple[Any, ...],
        weight: torch.Tensor | None,
    ) -> None:
        """Add a batch; see `RunningAccuracy.add`."""
        outputs, y = _first(y_pred), _first(target)
        if not (torch.is_tensor(outputs) and torch.is_tensor(y)) or outputs.numel() != y.numel():
            return
        predicted = outputs if self.link is None else self.link(outputs.detach())
        y = array_of(y).astype(np.float64).reshape(len(y), -1)
        predicted = array_of(predicted).reshape(y.shape)
        weights = np.ones(len(y)) if weight is None else array_of(weight).astype(np.float64)
        if self._sums is None:
            self._sums, self._first = np.zeros((4, y.shape[1])), y[0]
        y, error = y - self._first, np.square(y - predicted)
        parts = (np.ones_like(y), y, np.square(y), error)
        self._sums += np.stack([weights @ part for part in parts])


def score_of(net: Any) -> RunningAccuracy | RunningR2:
    """Running score of the outputs of a skorch net in training.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized net.

    Returns
    -------
    RunningAccuracy or RunningR2
        The latter for regressors.
    """
    if not is_regressor(net):
        return accuracy_of(net)
    link = net.predict_nonlinearity if callable(net.predict_nonlinearity) else None
    return RunningR2(link, getattr(net.criterion_, "multioutput", "uniform_average"))


def accuracy_of(net: Any) -> RunningAccuracy:
    """`RunningAccuracy` of the outputs of a skorch net in training.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized net.

    Returns
    -------
    RunningAccuracy
    """
    if not is_classifier(net):
        return RunningAccuracy()
    share = getattr(net, "threshold", 0.5)
    if isinstance(net.criterion_, torch.nn.BCELoss):
        return RunningAccuracy(share)
    # What training sees are logits.
    inside = 0 < share < 1
    return RunningAccuracy(math.log(share / (1 - share)) if inside else math.inf * (share - 0.5))


def _first(values: Any) -> Any:
    """The first of several outputs or targets."""
    return values[0] if isinstance(values, (tuple, list)) else values
