"""What is learned: what of an estimator depends on the kind of its targets, as one value."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from skactprune._validation import map_rows
from skactprune.estimators._reduced_rank import (
    output_directions,
)
from skactprune.nets.outputs import get_output

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from skactprune._types import CheckedRows
    from skactprune.nets.net import MLPNet, MLPRegressionNet
    from skactprune.nets.outputs import Output

    Net: TypeAlias = MLPNet | MLPRegressionNet
    # Targets are the rows themselves where there are no others.
    LabelledRows: TypeAlias = tuple[CheckedRows, Any, NDArray[Any] | None]


class Task(ABC):
    """Targets, loss and score of an estimator. One object for each kind of estimator and targets.

    Attributes
    ----------
    out_activation : str
        Name of the record in `skactprune.nets.outputs` that says what logits stand for.
    n_outputs : int
        Units of the output layer.
    score_name : str
        What `score` is, for messages.
    """

    score_name: str
    if TYPE_CHECKING:

        @property
        def out_activation(self) -> str: ...
        @property
        def n_outputs(self) -> int: ...

    @property
    def output(self) -> Output:
        """What logits stand for: links in numpy and ONNX."""
        return get_output(self.out_activation)

    @abstractmethod
    def net(self) -> tuple[type[Net], dict[str, Any]]:
        """Class of the skorch net, and its parameters that depend on the task; imports torch.

        Returns
        -------
        net : type
            A `skactprune.nets.net.LeanLoop` and ``skorch.NeuralNet``.
        params : dict
            Among them ``criterion`` and ``predict_nonlinearity``.
        """

    def check(self, y: NDArray[Any], name: str) -> None:
        """Raise ValueError for targets, of such a name, that are not like those that are known."""
        return None

    @abstractmethod
    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Targets as the loss wants them, an ndarray of shape (n_samples, ...)."""

    @abstractmethod
    def predict(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Predictions of shape (n_samples, ...) from logits of shape (n_samples, n_outputs)."""

    def outcome(
        self, predict: Callable[[CheckedRows], NDArray[Any]], X: CheckedRows
    ) -> NDArray[Any]:
        """What `score` looks at for rows, where a function predicts: predictions.

        Parameters
        ----------
        predict : callable
            Takes some rows, returns predictions.
        X : {ndarray, csr_matrix} of shape (n_samples, n_features)
            All rows.

        Returns
        -------
        ndarray of shape (n_samples, ...)
        """
        return map_rows(predict, X)

    def evaluate(
        self,
        logits: Callable[[CheckedRows], NDArray[Any]],
        loss: Callable[[NDArray[Any], NDArray[Any], NDArray[Any] | None], float],
        X: CheckedRows,
        y: NDArray[Any],
        sample_weight: NDArray[Any] | None,
    ) -> tuple[float, NDArray[Any]]:
        """Loss of rows, and what `score` looks at for them.

        Parameters
        ----------
        logits : callable
            Takes some rows, returns their logits.
        loss : callable
            Takes logits, encoded targets and weights, or None; returns the weighted mean loss.
        X : {ndarray, csr_matrix} of shape (n_samples, n_features)
            All rows.
        y : ndarray of shape (n_samples, ...)
            Their targets.
        sample_weight : ndarray of shape (n_samples,) or None
            Their weights.

        Returns
        -------
        loss : float
        outcome : ndarray of shape (n_samples, ...)
            As of `outcome`.
        """
        found = map_rows(logits, X)
        return loss(found, self.encode(y), sample_weight), self.predict(found)

    @abstractmethod
    def score(
        self, y: NDArray[Any], predicted: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> float:
        """Score of predictions, the higher the better."""

    def validation_score(
        self, y: NDArray[Any], predicted: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> float:
        """Score by which early stopping goes."""
        return self.score(y, predicted, sample_weight)

    @abstractmethod
    def chance(self, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> float:
        """Score of the best constant prediction."""

    def doubt(
        self, y: NDArray[Any], sample_weight: NDArray[Any] | None, score: Callable[[], float]
    ) -> str | None:
        """What of the targets may be why a net has learned nothing, or None.

        Parameters
        ----------
        y : ndarray of shape (n_samples, ...)
            Targets of the training rows.
        sample_weight : ndarray of shape (n_samples,) or None
            Weights of the rows.
        score : callable
            Returns the score on these rows.

        Returns
        -------
        str or None
        """
        return None

    def directions(
        self,
        hidden: NDArray[Any],
        y: NDArray[Any],
        weight: NDArray[Any],
        logits: NDArray[Any],
        k: int,
    ) -> NDArray[Any]:
        """Directions of a hidden layer that tell most of the targets; here, of the outputs.

        Parameters
        ----------
        hidden : ndarray of shape (n_samples, n_neurons)
            Centred rows, float64.
        y : ndarray of shape (n_samples, ...)
            Their targets.
        weight : ndarray of shape (n_samples,)
            Weights of the rows.
        logits : ndarray of shape (n_samples, n_outputs)
            Of the net.
        k : int
            Directions wanted.

        Returns
        -------
        ndarray of shape (n_neurons, m)
            At most `k`; what rows have along them is uncorrelated.
        """
        return output_directions(hidden, weight, logits, k)

    @abstractmethod
    def can_stratify(self, encoded: NDArray[Any], fraction: float) -> bool:
        """Whether rows can be split so that both parts have rows of every kind of target."""

    def split(
        self, y: NDArray[Any], fraction: float, random_state: np.random.RandomState
    ) -> list[NDArray[np.integer]]:
        """Choose rows to validate on.

        Parameters
        ----------
        y : ndarray of shape (n_samples, ...)
            Targets.
        fraction : float
            Share of the rows to validate on, rounded up.
        random_state : numpy.random.RandomState
            Chooses.

        Returns
        -------
        rows, validation_rows : ndarray of int
            Indices of the rows to train on and of those to validate on; stratified where it can be.

        Raises
        ------
        ValueError
            If fewer than 2 rows would be left for validation, or none to train on.
        """
        from sklearn.model_selection import train_test_split

        n_rows = y.shape[0]
        n_validation = math.ceil(fraction * n_rows)
        if not 2 <= n_validation < n_rows:
            raise ValueError(
                f"validation_fraction={fraction!r} of {n_rows} rows sets {n_validation} "
                "aside for validation; with early_stopping=True these must be at least 2, but not "
                "all."
            )
        encoded = self.encode(y)
        return train_test_split(
            np.arange(n_rows),
            random_state=random_state,
            test_size=fraction,
            stratify=encoded if self.can_stratify(encoded, fraction) else None,
        )


def measured(
    metric: Callable[..., float],
    y: NDArray[Any],
    predicted: NDArray[Any],
    sample_weight: NDArray[Any] | None,
) -> float:
    """What a metric of scikit-learn says; NaN where it can say nothing."""
    if len(y) < 2 or not np.isfinite(predicted).all():
        return float("nan")
    y, predicted = y.astype(np.float64), predicted.astype(np.float64)
    return float(metric(y, predicted, sample_weight=sample_weight))
