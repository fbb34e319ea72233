"""How well a net in training does on rows that it does not learn from."""

from __future__ import annotations

from inspect import signature
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.metrics import check_scoring, get_scorer_names
from skorch.utils import to_device

from skactprune._validation import ROWS
from skactprune.chunks import Chunks, FiledRows
from skactprune.nets.batches import TrainingData
from skactprune.nets.inference import logits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from skactprune.estimators._parameters import MLPParameters
    from skactprune.estimators._task import LabelledRows, Net, Task


class Validation:
    """Loss and score on validation rows.

    Parameters
    ----------
    estimator : estimator
        Its ``scoring``: None, "loss", the name of a scorer or a scorer.
    task : Task
        What is learned.
    as_of_now : callable
        Takes a net; returns an estimator that predicts as it does, for scorers.
    activations : str or tuple of str
        Those of the hidden layers.
    rows : tuple
        Rows, targets and weights, or None for these.

    Attributes
    ----------
    data : TrainingData
        The rows.
    """

    _score: Callable[[Net], Any]

    def __init__(
        self,
        estimator: MLPParameters,
        task: Task,
        as_of_now: Callable[[Net], MLPParameters],
        activations: str | tuple[str, ...],
        rows: LabelledRows,
    ) -> None:
        X, y, sample_weight = rows
        self.data = TrainingData(X, task.encode(y), sample_weight)
        self._task, self._rows = task, rows
        self._activations, self._scoring = activations, estimator.scoring
        if self._scoring not in (None, "loss"):
            scorer = check_scoring(estimator, self._scoring)
            weighted = sample_weight is not None and _takes_weights(scorer)
            how = {"sample_weight": sample_weight} if weighted else {}
            X = _in_chunks(X) if isinstance(X, FiledRows) else X
            self._score = lambda net: scorer(as_of_now(net), X, y, **how)

    def __call__(self, net: Net) -> tuple[float, float]:
        """Loss, without penalties, and score of a net as it is now, two floats.

        Where the loss is not finite, the score is NaN: there are metrics that refuse what such a
        net predicts, and others that take it for the first class.

        Raises
        ------
        ValueError
            For a score that is no number.
        """
        parameters = net.module_.numpy_parameters()
        with np.errstate(over="ignore", invalid="ignore"):
            loss, outcome = self._task.evaluate(
                lambda rows: logits_of(rows, *parameters, self._activations),
                lambda *numbers: _loss(net, *numbers),
                *self._rows,
            )
            if not np.isfinite(loss):
                return loss, float("nan")
            if self._scoring is None:
                _, y, sample_weight = self._rows
                return loss, self._task.validation_score(y, outcome, sample_weight)
        if self._scoring == "loss":
            return loss, -loss
        score = self._score(net)
        if not isinstance(score, Real):
            raise ValueError(
                f"scoring={self._scoring!r} returned {score!r}; it must return one number."
            )
        return loss, float(score)


def _loss(
    net: Net, logits: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[Any] | None
) -> float:
    """Loss of the net for what it has put out."""
    arrays = (logits, y) if sample_weight is None else (logits, y, sample_weight)
    outputs, *target = (torch.from_numpy(array) for array in arrays)
    if net.device != "cpu":
        outputs, target = to_device((outputs, target), net.device)
    with torch.no_grad():
        return float(net.criterion_(outputs, target[0] if len(target) == 1 else target))


def check_scorer(scoring: str | Callable[..., Any] | None) -> None:
    """Raise ValueError for the name of a scorer that scikit-learn does not know."""
    names = get_scorer_names()
    if isinstance(scoring, str) and scoring not in ("loss", *names):
        raise ValueError(
            f"scoring={scoring!r} must be None, 'loss', a scorer, or the name of one: "
            f"{', '.join(names)}."
        )


def _in_chunks(rows: FiledRows) -> Chunks:
    """Rows that are not in memory, as estimators take them."""
    starts = range(0, len(rows), ROWS)
    return Chunks(rows.__getitem__, [slice(start, start + ROWS) for start in starts])


def _takes_weights(scorer: Callable[..., Any]) -> bool:
    """Whether a scorer, or the metric that it is made of, takes the weights of rows."""
    return "sample_weight" in signature(getattr(scorer, "_score_func", scorer)).parameters
