"""What is learned: what of an estimator depends on the kind of its targets, as one value."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from skactprune._validation import map_rows
from skactprune.estimators._reduced_rank import (
    class_directions,
    output_directions,
    target_directions,
)
from skactprune.nets.outputs import get_output, one_or_more, output_for_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from skactprune._types import CheckedRows
    from skactprune.nets.net import MLPNet, MLPRegressionNet
    from skactprune.nets.outputs import ClassOutput, Output

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


@dataclass(frozen=True)
class Classification(Task):
    """One of two or more classes for every row.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Class labels, sorted.
    """

    classes: NDArray[Any]
    score_name = "accuracy"

    @property
    def out_activation(self) -> str:
        """Name of the output's record."""
        return self.output.name

    @property
    def output(self) -> ClassOutput:
        """One output for two classes, else one for each."""
        return output_for_classes(len(self.classes))

    @property
    def n_outputs(self) -> int:
        """Units of the output layer: 1 for two classes."""
        return self.output.width(len(self.classes))

    def net(self) -> tuple[type[Net], dict[str, Any]]:
        """Class of the net, its loss and its link."""
        from skactprune.nets.losses import WeightedLogLoss, class_probabilities
        from skactprune.nets.net import MLPNet

        return MLPNet, {
            "criterion": WeightedLogLoss,
            "predict_nonlinearity": class_probabilities,
            "classes": np.arange(len(self.classes)),
        }

    def check(self, y: NDArray[Any], name: str) -> None:
        """Raise ValueError for classes that are not known."""
        from sklearn.utils.multiclass import check_classification_targets, unique_labels

        check_classification_targets(y)
        unknown = np.setdiff1d(unique_labels(self.classes, y), self.classes)
        if len(unknown):
            raise ValueError(f"{name} has the classes {unknown}; those known are {self.classes}.")

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Indices of the classes."""
        return np.searchsorted(self.classes, y)

    def predict(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Labels of the most probable classes."""
        return self.output.predict(logits, self.classes)

    def score(
        self, y: NDArray[Any], predicted: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> float:
        """Accuracy."""
        from sklearn.metrics import accuracy_score

        return accuracy_score(y, predicted, sample_weight=sample_weight)

    def chance(self, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> float:
        """Share of the most frequent class."""
        weights = np.bincount(self.encode(y), weights=sample_weight)
        return float(weights.max() / weights.sum())

    def directions(
        self,
        hidden: NDArray[Any],
        y: NDArray[Any],
        weight: NDArray[Any],
        logits: NDArray[Any],
        k: int,
    ) -> NDArray[Any]:
        """Those of a reduced-rank logistic regression."""
        return class_directions(hidden, self.encode(y), weight, logits, k)

    def can_stratify(self, encoded: NDArray[Any], fraction: float) -> bool:
        """Whether both parts can have rows of every class."""
        rows_a_class = np.bincount(encoded)
        rows_a_class = rows_a_class[rows_a_class > 0]
        smaller_part = min(fraction, 1 - fraction) * len(encoded)
        return rows_a_class.min() > 1 and len(rows_a_class) <= smaller_part


@dataclass(frozen=True)
class MultilabelClassification(Task):
    """Any number of labels for every row.

    Parameters
    ----------
    n_outputs : int
        Labels.
    """

    n_outputs: int
    score_name = "accuracy"

    @property
    def output(self) -> ClassOutput:
        """One output for each label."""
        return output_for_classes(self.n_outputs, multilabel=True)

    @property
    def out_activation(self) -> str:
        """What scikit-learn calls it, for two classes too."""
        return self.output.activation or self.output.name

    def net(self) -> tuple[type[Net], dict[str, Any]]:
        """Class of the net, its loss and its link."""
        import torch

        from skactprune.nets.losses import WeightedLabelLoss
        from skactprune.nets.net import MultilabelNet

        return MultilabelNet, {
            "criterion": WeightedLabelLoss,
            "predict_nonlinearity": torch.sigmoid,
            "classes": np.arange(self.n_outputs),
        }

    def check(self, y: NDArray[Any], name: str) -> None:
        """Raise ValueError for something else than 0 and 1."""
        others = y[(y != 0) & (y != 1)]
        if len(others):
            raise ValueError(
                f"{name} has the value {others[0].item()!r}; of several columns, each must tell by "
                "0 and 1 which rows have a label."
            )

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """Zeros and ones that take little memory."""
        return y.astype(np.uint8)

    def predict(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Which labels rows have, 0 or 1."""
        return self.output.predict(logits, np.arange(self.n_outputs))

    def score(
        self, y: NDArray[Any], predicted: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> float:
        """Share of the rows of which all labels are right."""
        from sklearn.metrics import accuracy_score

        return accuracy_score(y, predicted, sample_weight=sample_weight)

    def chance(self, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> float:
        """Share of the most frequent set of labels."""
        _, kinds = np.unique(y, axis=0, return_inverse=True)
        weights = np.bincount(kinds.ravel(), weights=sample_weight)
        return float(weights.max() / weights.sum())

    def can_stratify(self, encoded: NDArray[Any], fraction: float) -> bool:
        """Sets of labels are too many; neither does MLPClassifier."""
        return False


# Means and standard deviations of targets that nets learn at their usual rates.
LOW, HIGH = 0.1, 10.0
# Of reconstructions.
NUMBERS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Regression(Task):
    """One or more numbers for every row.

    Parameters
    ----------
    n_outputs : int
        Numbers.
    loss : {"squared_error", "absolute_error", "quantile", "poisson"}
        What is minimised.
    quantile : float or None
        Which quantile is predicted, with "quantile".
    """

    n_outputs: int
    loss: str
    quantile: float | None = None
    score_name = "R²"

    @property
    def out_activation(self) -> str:
        """Name of the output's record."""
        return "exp" if self.loss == "poisson" else "identity"

    def net(self) -> tuple[type[Net], dict[str, Any]]:
        """Class of the net, its loss and its link."""
        import torch

        from skactprune.nets import losses
        from skactprune.nets.net import MLPRegressionNet

        criteria = {
            "squared_error": losses.WeightedSquaredLoss,
            "poisson": losses.WeightedPoissonLoss,
        }
        params: dict[str, Any] = {
            "criterion": criteria.get(self.loss, losses.WeightedLinearLoss),
            "predict_nonlinearity": torch.exp if self.loss == "poisson" else None,
        }
        if self.quantile is not None:
            params |= {
                "criterion__below": self.quantile,
                "criterion__above": 1 - self.quantile,
            }
        return MLPRegressionNet, params

    def check(self, y: NDArray[Any], name: str) -> None:
        """Raise ValueError for negative numbers where there must be none."""
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(f"{name} must not be negative with loss='poisson'; it has {y.min()}.")

    def encode(self, y: NDArray[Any]) -> NDArray[Any]:
        """The targets as they are."""
        return y

    def predict(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Numbers of shape (n_samples,), or (n_samples, n_outputs) if there are several."""
        return one_or_more(self.output.link(logits))

    def score(
        self, y: NDArray[Any], predicted: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> float:
        """R²; NaN of predictions that are not finite, or of a single one."""
        from sklearn.metrics import r2_score

        return _measured(r2_score, y, predicted, sample_weight)

    def validation_score(
        self, y: NDArray[Any], predicted: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> float:
        """R², or what it is of absolute errors and the pinball loss: D²."""
        from sklearn.metrics import d2_pinball_score

        if self.loss not in ("absolute_error", "quantile"):
            return self.score(y, predicted, sample_weight)
        alpha = 0.5 if self.quantile is None else self.quantile
        return _measured(partial(d2_pinball_score, alpha=alpha), y, predicted, sample_weight)

    def chance(self, y: NDArray[Any], sample_weight: NDArray[Any] | None) -> float:
        """0, that of the mean."""
        return 0.0

    def doubt(
        self, y: NDArray[Any], sample_weight: NDArray[Any] | None, score: Callable[[], float]
    ) -> str | None:
        """That the targets are far from 0, or of another size than 1."""
        y = y.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(y, axis=0, weights=sample_weight)
            deviation = np.sqrt(np.average(np.square(y - mean), axis=0, weights=sample_weight))
        if self.loss == "poisson":
            usual, advice = (mean >= LOW) & (mean <= HIGH), "Divide them by their mean."
        else:
            usual = (deviation >= LOW) & (deviation <= HIGH) & (np.abs(mean) <= HIGH)
            advice = (
                "Scale them: sklearn.compose.TransformedTargetRegressor(regressor, "
                "transformer=StandardScaler())."
            )
        if np.all(usual) or not np.any(deviation) or not score() < 0.1:
            return None
        return (
            f"The R² on the training rows is {score():.2g}. y has the mean {mean} and the standard "
            f"deviation {deviation}; nets learn targets near 0 and of about "
            f"unit variance. {advice}"
        )

    def directions(
        self,
        hidden: NDArray[Any],
        y: NDArray[Any],
        weight: NDArray[Any],
        logits: NDArray[Any],
        k: int,
    ) -> NDArray[Any]:
        """Those of a reduced-rank regression, or, where errors are not squared, of the outputs."""
        if self.loss != "squared_error":
            return super().directions(hidden, y, weight, logits, k)
        return target_directions(hidden, y.reshape(len(y), -1), weight, k)

    def can_stratify(self, encoded: NDArray[Any], fraction: float) -> bool:
        """Numbers are not of a kind."""
        return False


@dataclass(frozen=True)
class Reconstruction(Regression):
    """The features of the rows themselves, which may be sparse."""

    loss: str = "squared_error"
    score_name = "R² of the reconstruction"

    def net(self) -> tuple[type[Net], dict[str, Any]]:
        """Class of the net and its loss."""
        from skactprune.nets.losses import ReconstructionLoss

        make, params = super().net()
        return make, params | {"criterion": ReconstructionLoss}

    def predict(self, logits: NDArray[Any]) -> NDArray[Any]:
        """The reconstruction, of shape (n_samples, n_features) for a single feature, too."""
        return logits

    def outcome(
        self, predict: Callable[[CheckedRows], NDArray[Any]], X: CheckedRows
    ) -> NDArray[Any]:
        """Squared distances of shape (n_samples,) of the rows to their reconstructions.

        A few rows at a time: neither all reconstructions nor, where `X` is sparse, all rows exist
        as dense arrays at once.
        """
        return np.concatenate(
            [
                np.square(predict(X[rows]) - dense).sum(axis=1, dtype=np.float64)
                for rows, dense in self._some_dense(X)
            ]
        )

    def evaluate(
        self,
        logits: Callable[[CheckedRows], NDArray[Any]],
        loss: Callable[[NDArray[Any], NDArray[Any], NDArray[Any] | None], float],
        X: CheckedRows,
        y: NDArray[Any],
        sample_weight: NDArray[Any] | None,
    ) -> tuple[float, NDArray[Any]]:
        """Loss and squared distances, with as few dense rows at a time as in `outcome`."""
        weight = np.ones(X.shape[0], X.dtype) if sample_weight is None else sample_weight
        total, errors = 0.0, []
        for rows, dense in self._some_dense(X):
            found = logits(X[rows])
            errors.append(np.square(found - dense).sum(axis=1, dtype=np.float64))
            if share := float(weight[rows].sum()):
                total += share * loss(found, dense, weight[rows])
        return total / float(weight.sum()), np.concatenate(errors)

    def score(
        self, y: NDArray[Any], predicted: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> float:
        """1 less the sum of the errors of `outcome` over that of the mean row."""
        from sklearn.preprocessing import StandardScaler

        weight = np.ones(y.shape[0]) if sample_weight is None else sample_weight
        scaler = StandardScaler(with_mean=False)
        for rows in self._some(y):
            if weight[rows].any():
                scaler.partial_fit(y[rows], sample_weight=weight[rows])
        variance = scaler.var_.sum()
        error = np.average(predicted, weights=weight)
        if variance == 0:
            return float(error == 0)
        return float(1 - error / variance) if np.isfinite(error) else float("nan")

    def _some(self, X: CheckedRows) -> Iterator[slice]:
        """Slices of few rows, which together are all."""
        return gen_batches(X.shape[0], max(NUMBERS_AT_ONCE // self.n_outputs, 1))

    def _some_dense(self, X: CheckedRows) -> Iterator[tuple[slice, NDArray[Any]]]:
        """The same, each with its rows as a dense array."""
        for rows in self._some(X):
            yield rows, X[rows].toarray() if issparse(X) else X[rows]

    def doubt(
        self, y: NDArray[Any], sample_weight: NDArray[Any] | None, score: Callable[[], float]
    ) -> str | None:
        """None: that few components tell little is no fault of the features."""


def _measured(
    metric: Callable[..., float],
    y: NDArray[Any],
    predicted: NDArray[Any],
    sample_weight: NDArray[Any] | None,
) -> float:
    if len(y) < 2 or not np.isfinite(predicted).all():
        return float("nan")
    y, predicted = y.astype(np.float64), predicted.astype(np.float64)
    return float(metric(y, predicted, sample_weight=sample_weight))
