"""Rows to train on."""

import numpy as np
from sklearn.datasets import load_digits

from skactprune.datasets import load_dataset

N_PIXELS = 784


def images(n_rows):
    """Fashion-MNIST, or noise of the same shape where it is not at hand.

    Parameters
    ----------
    n_rows : int
        Training rows.

    Returns
    -------
    X_train, y_train, X_test : ndarray
        float32 rows, int64 labels, and rows to predict for.
    source : str
        Which of the two it is.
    """
    try:
        data = load_dataset("fashion-mnist")
    # Offline, and pandas may be missing with which scikit-learn reads the download.
    except (OSError, ImportError):
        X, y = table(n_rows + 10_000, N_PIXELS)
        return X[:n_rows], y[:n_rows], X[n_rows:], "noise of the shape of Fashion-MNIST"
    return (
        np.ascontiguousarray(data.X_train[:n_rows]),
        data.y_train[:n_rows],
        data.X_test,
        "Fashion-MNIST",
    )


def digits():
    """All 1797 digits, float32 in [0, 1], and their labels."""
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y.astype(np.int64)


def table(n_rows, n_features, seed=0):
    """Synthetic rows of 10 classes that a net can learn: the largest of 10 random projections."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    teacher = np.random.default_rng(1).standard_normal((n_features, 10), dtype=np.float32)
    return X, (X @ teacher).argmax(axis=1)
