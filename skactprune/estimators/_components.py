"""Principal components of a hidden representation, sample-weighted."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg


@dataclass(frozen=True)
class HiddenComponents:
    """The `k` directions of largest variance.

    Attributes
    ----------
    mean : ndarray of shape (n_neurons,)
        Weighted mean of the rows.
    components : ndarray of shape (k, n_neurons)
        Orthonormal directions, largest variance first; the largest loading of each is positive.
    explained_variance_ratio : ndarray of shape (k,)
        Share of the variance along each.
    """

    mean: np.ndarray
    components: np.ndarray
    explained_variance_ratio: np.ndarray

    @classmethod
    def fit(cls, hidden, sample_weight, k):
        """Learn from rows `hidden` of shape (n_samples, n_neurons), weighted or not."""
        mean = np.average(hidden, axis=0, weights=sample_weight)
        centred = (hidden - mean).astype(np.float64)
        weight = np.ones(len(hidden)) if sample_weight is None else sample_weight
        covariance = (centred * weight[:, None]).T @ centred / weight.sum(dtype=np.float64)
        n = len(covariance)
        values, vectors = linalg.eigh(covariance, subset_by_index=(n - k, n - 1))
        components = vectors.T[::-1]
        largest = np.abs(components).argmax(axis=1)
        components = components * np.sign(components[np.arange(k), largest])[:, None]
        total = np.trace(covariance)
        ratio = np.maximum(values[::-1], 0) / (total if total > 0 else 1.0)
        return cls(mean.astype(hidden.dtype), np.ascontiguousarray(components, hidden.dtype), ratio)

    def project(self, hidden):
        """Coordinates of shape (n_samples, k)."""
        return (hidden - self.mean) @ self.components.T
