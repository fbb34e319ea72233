"""Targets that are numbers, those of the rows themselves among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches

from skactprune.estimators._reduced_rank import (
    target_directions,
)
from skactprune.estimators._task import Task, measured
from skactprune.nets.outputs import one_or_more

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from skactprune._types import CheckedRows
    from skactprune.estimators._task import Net


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

        return measured(r2_score, y, predicted, sample_weight)

    def validation_score(
        self, y: NDArray[Any], predicted: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> float:
        """R², or what it is of absolute errors and the pinball loss: D²."""
        from sklearn.metrics import d2_pinball_score

        if self.loss not in ("absolute_error", "quantile"):
            return self.score(y, predicted, sample_weight)
        alpha = 0.5 if self.quantile is None else self.quantile
        return measured(partial(d2_pinball_score, alpha=alpha), y, predicted, sample_weight)

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
