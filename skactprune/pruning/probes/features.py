"""How the features are distributed, for scores of what reads them, and of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from skactprune.chunks import is_table
from skactprune.pruning.probes.base import Probe
from skactprune.pruning.probes.outputs import Moments, moments_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.pruning.probes.seen import SeenRun

CHUNK = 2048
# Part of its mean below which the deviation of a feature is the rounding of a constant.
ROUNDING = 1e-10
# Of sparse rows, scikit-learn takes the weight of all for a number of rows, which has 64 bits.
MOST_WEIGHT = 2.0**60
MOMENTS = ("mean_", "var_", "scale_", "n_samples_seen_")


class Features(Probe):
    """Means and deviations of the features, over the watched rows of all fits that had rounds.

    Only in a chain of layers is it known who reads the features; elsewhere nothing is added.
    """

    reads_rows = True

    def __init__(self) -> None:
        self._scaler = StandardScaler(with_mean=False)

    def attach(self, run: SeenRun) -> None:
        """Add the rows of this fit, if rounds are to come."""
        if run.pending:
            self.add(run.layout.read_by_first(run.rows.watched))

    def add(self, data: Any) -> None:
        """Add rows; anything but a table of numbers adds nothing.

        Parameters
        ----------
        data : Dataset or array
            Rows as skorch has them. Those of a `TrainingData` count with their weights.
        """
        X, weight = getattr(data, "X", data), getattr(data, "sample_weight", None)
        if not is_table(X):
            return
        if weight is not None and weight.sum(dtype=np.float64) > MOST_WEIGHT:
            weight = weight / weight.max()
        # In chunks, for it takes several copies of what it gets. Of what overflows, scores are not
        # finite, and refused.
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, X.shape[0], CHUNK):
                rows = slice(start, start + CHUNK)
                some = None if weight is None else weight[rows]
                # Of sparse rows it would compute in their type.
                table = X[rows].astype(np.float64) if sparse.issparse(X) else X[rows]
                self._scaler.partial_fit(table, sample_weight=some)

    @property
    def deviation(self) -> NDArray[np.float64] | None:
        """Standard deviations, of shape (n_features,); None where no rows were added."""
        return self._deviation() if hasattr(self._scaler, "var_") else None

    @property
    def mean(self) -> NDArray[np.float64] | None:
        """Means, of shape (n_features,); None where no rows were added."""
        return getattr(self._scaler, "mean_", None)

    @property
    def vary(self) -> NDArray[np.bool_]:
        """Which features are no constants, a bool ndarray of shape (n_features,)."""
        # What is not finite is no constant: scores are refused because of it.
        return ~(self._deviation() <= ROUNDING * np.abs(self._scaler.mean_))

    def _deviation(self) -> NDArray[np.float64]:
        # Of a constant, the variance may be a little less than 0.
        return np.sqrt(np.maximum(self._scaler.var_, 0.0))

    def moments(self, run: SeenRun, n_rows: int, columns: NDArray[np.int64]) -> Moments:
        """Moments of features in units of their deviations.

        Parameters
        ----------
        run : Run
            The run; covariances are of a sample of its watched rows, which is drawn anew.
        n_rows : int
            Size of the sample.
        columns : int ndarray
            Which features; they must vary.

        Returns
        -------
        Moments
        """
        watched, rows = run.rows.watched, run.rows.sample(n_rows)
        X, weight = watched.X[rows][:, columns], getattr(watched, "sample_weight", None)
        if weight is not None:
            weight = weight[rows].astype(np.float64)
            weight = weight if weight.any() else None
        scale = self._deviation()[columns]
        with np.errstate(over="ignore", invalid="ignore"):
            X = (X.toarray() if sparse.issparse(X) else X) / scale
        return Moments(self._scaler.mean_[columns] / scale, moments_of(X, weight).covariance)

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays; empty where no rows were added."""
        if self.deviation is None:
            return {}
        return {name: np.asarray(getattr(self._scaler, name)) for name in MOMENTS}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._scaler = StandardScaler(with_mean=False)
        for name, values in state.items():
            setattr(self._scaler, name, values)
