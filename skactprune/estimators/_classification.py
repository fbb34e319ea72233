"""Targets that are classes, one for every row or any number of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.estimators._reduced_rank import (
    class_directions,
)
from skactprune.estimators._task import Task
from skactprune.nets.outputs import output_for_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.estimators._task import Net
    from skactprune.nets.outputs import ClassOutput


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
