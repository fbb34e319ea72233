"""How much the features vary, for criteria that weigh the inputs of the first layer."""

import numpy as np
from scipy import sparse
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

CHUNK = 2048


def feature_deviation(data):
    """Standard deviation of every feature.

    Parameters
    ----------
    data : Dataset or array
        Training rows as skorch has them. The rows of a `TrainingData` count with their weights.

    Returns
    -------
    ndarray of shape (n_features,) or None
        None for anything but a table of numbers.
    """
    X = getattr(data, "X", data)
    if not (isinstance(X, np.ndarray) or sparse.issparse(X)) or X.ndim != 2 or not len(data):
        return None
    weight = getattr(data, "sample_weight", None)
    scaler = StandardScaler(with_mean=False)
    # In chunks, for it takes several copies of what it gets.
    for rows in gen_batches(X.shape[0], CHUNK):
        scaler.partial_fit(X[rows], sample_weight=None if weight is None else weight[rows])
    return np.sqrt(scaler.var_)
