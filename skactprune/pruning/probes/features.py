"""How much the features vary, for scores that weigh the inputs of the first layer."""

import numpy as np
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from skactprune.pruning.probes.base import Probe

CHUNK = 2048
MOMENTS = ("mean_", "var_", "scale_", "n_samples_seen_")


class Features(Probe):
    """Standard deviations of the features, over the watched rows of all fits that had rounds.

    Only in a chain of layers is it known who reads the features; elsewhere nothing is added.
    """

    reads_rows = True

    def __init__(self):
        self._scaler = StandardScaler(with_mean=False)

    def attach(self, run):
        """Add the rows of this fit, if rounds are to come."""
        if run.pending:
            self.add(run.layout.read_by_first(run.rows.watched))

    def add(self, data):
        """Add rows; anything but a table of numbers adds nothing.

        Parameters
        ----------
        data : Dataset or array
            Rows as skorch has them. Those of a `TrainingData` count with their weights.
        """
        X, weight = getattr(data, "X", data), getattr(data, "sample_weight", None)
        if not (isinstance(X, np.ndarray) or sparse.issparse(X)) or X.ndim != 2:
            return
        # In chunks, for it takes several copies of what it gets. Of what overflows, scores are not
        # finite, and refused.
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, X.shape[0], CHUNK):
                rows = slice(start, start + CHUNK)
                some = None if weight is None else weight[rows]
                self._scaler.partial_fit(X[rows], sample_weight=some)

    @property
    def deviation(self):
        """Standard deviations, of shape (n_features,); None where no rows were added."""
        return np.sqrt(self._scaler.var_) if hasattr(self._scaler, "var_") else None

    def state(self):
        """What `load` needs, as arrays; empty where no rows were added."""
        if self.deviation is None:
            return {}
        return {name: np.asarray(getattr(self._scaler, name)) for name in MOMENTS}

    def load(self, state):
        """Go on where `state` was taken."""
        self._scaler = StandardScaler(with_mean=False)
        for name, values in state.items():
            setattr(self._scaler, name, values)
