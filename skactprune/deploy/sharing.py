"""Weights that share few values."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from numpy.typing import NDArray


def clustered(values: NDArray[Any], n_clusters: int) -> NDArray[np.integer]:
    """Which cluster each value is in, by k-means.

    Centres begin evenly spaced from the lowest to the highest value, so that large weights, which
    are few, get centres of their own (Han, Mao & Dally, "Deep compression", ICLR 2016, section 3.2:
    linear initialization).

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite numbers.
    n_clusters : int
        Clusters; there may come out fewer.

    Returns
    -------
    int ndarray of shape (n,)
        Number of the cluster of every value.
    """
    distinct, labels = np.unique(values, return_inverse=True)
    if len(distinct) <= n_clusters:
        return labels
    from sklearn.cluster import KMeans

    # In a range whose squares no type overflows.
    points = (values / np.abs(values).max()).astype(np.float64)[:, None]
    centres = np.linspace(points.min(), points.max(), n_clusters)[:, None]
    # With several threads the sums would come in any order. Some centres may find no values.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(n_clusters, init=centres, n_init=1).fit(points).labels_


def means_of(values: NDArray[Any], labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Values replaced by the means of their clusters.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Values.
    labels : int ndarray of shape (n,)
        Number of the cluster of each.

    Returns
    -------
    ndarray of shape (n,), dtype float64
    """
    counts = np.maximum(np.bincount(labels), 1)
    return (np.bincount(labels, values) / counts)[labels]
