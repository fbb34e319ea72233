"""Directions through which a regression, logistic or linear, predicts best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

if TYPE_CHECKING:
    from numpy.typing import NDArray

# That of LogisticRegression(C=10), on standardized features.
RIDGE = 0.1
MAX_ITER = 200
# Rows that directions are learned from; of more, evenly spaced ones.
MAX_ROWS = 10_000
TINY = np.finfo(np.float64).tiny


def class_directions(
    X: NDArray[Any], y: NDArray[np.integer], weight: NDArray[Any], logits: NDArray[Any], k: int
) -> NDArray[Any]:
    """Directions through which a reduced-rank logistic regression tells classes apart.

    Its logits are ``(X A) B + b`` with A of shape (n_features, m): all that it knows of a row is m
    numbers. ``A B`` is penalized as in a logistic regression on standardized features; L-BFGS
    begins with what tells the net's own logits best.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Centred rows, float64.
    y : ndarray of shape (n_samples,)
        Numbers of the classes.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    logits : ndarray of shape (n_samples, n_outputs)
        Of the net.
    k : int
        Directions wanted.

    Returns
    -------
    ndarray of shape (n_features, m)
        Principal axes of the logits in the order of their variance, m at most `k` and one less
        than there are classes. What rows have along them is uncorrelated.

    References
    ----------
    Yee & Hastie, "Reduced-rank vector generalized linear models", Statistical Modelling 3, 2003.
    """
    if logits.shape[1] > 1:
        # Softmax does not see what all logits have in common.
        logits = logits - logits.mean(axis=1, keepdims=True)
    axes = output_directions(X, weight, logits, k)
    m = axes.shape[1]
    if logits.shape[1] == 1 or not m:
        return axes
    share, step = weight / weight.sum(), -(-len(X) // MAX_ROWS)
    start = axes, _regressed(X @ axes, logits - share @ logits, share)
    fitted = _fit(X[::step], y[::step], weight[::step], *start)
    return principal_axes(X, share, fitted)[0][:, :m]


def target_directions(
    X: NDArray[Any], targets: NDArray[Any], weight: NDArray[Any], k: int
) -> NDArray[Any]:
    """Directions of a reduced-rank regression: it predicts targets from m numbers of a row.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Centred rows, float64.
    targets : ndarray of shape (n_samples, n_targets)
        What is to be told. Each counts as if it had unit variance.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    k : int
        Directions wanted.

    Returns
    -------
    ndarray of shape (n_features, m)
        Principal axes of what a ridge regression, on standardized features, tells of the targets;
        m is at most `k` and the number of targets.

    References
    ----------
    Izenman, "Reduced-rank regression for the multivariate linear model", Journal of Multivariate
    Analysis 5, 1975.
    """
    share = weight / weight.sum(dtype=np.float64)
    targets = targets - share @ targets
    scale = np.sqrt(share @ np.square(targets))
    ridge = RIDGE / weight.sum(dtype=np.float64)
    return output_directions(X, weight, targets / np.maximum(scale, TINY), k, ridge)


def output_directions(
    X: NDArray[Any], weight: NDArray[Any], outputs: NDArray[Any], k: int, ridge: float = 0.0
) -> NDArray[Any]:
    """Directions along which a linear function of rows tells most of their outputs.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Centred rows, float64.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    outputs : ndarray of shape (n_samples, n_outputs)
        What is to be told.
    k : int
        Directions wanted.
    ridge : float, default=0.0
        Penalty of the squares of coefficients, on standardized features.

    Returns
    -------
    ndarray of shape (n_features, m)
        Principal axes of the outputs that are told, of which there are m, at most `k`.
    """
    share, outputs = weight / weight.sum(), outputs.astype(np.float64)
    told = _regressed(X, outputs - share @ outputs, share, ridge)
    axes, variances = principal_axes(X, share, told)
    return axes[:, : min(k, (variances > 1e-10 * max(variances[0], TINY)).sum())]


def principal_axes(
    X: NDArray[Any], weight: NDArray[Any], outputs: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Directions of centred rows whose values are the principal components of their outputs.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Centred rows.
    weight : ndarray of shape (n_samples,)
        Weights of the rows.
    outputs : ndarray of shape (n_features, n_outputs)
        What the outputs ``X @ outputs`` are made with.

    Returns
    -------
    axes : ndarray of shape (n_features, n_outputs)
        Largest variance first.
    variances : ndarray of shape (n_outputs,)
        Of the outputs along each.
    """
    values = X @ outputs
    variances, axes = np.linalg.eigh((values * weight[:, None]).T @ values)
    return outputs @ axes[:, ::-1], np.maximum(variances[::-1], 0.0)


def _regressed(
    X: NDArray[Any], targets: NDArray[Any], weight: NDArray[Any], ridge: float = 0.0
) -> NDArray[Any]:
    """Ridge regression on standardized features, with as much more as rounding needs."""
    weighted = X.T * weight
    gram = weighted @ X
    least = 1e-9 * np.trace(gram) / len(gram) or 1.0
    penalty = ridge * np.diag(gram.diagonal()) + least * np.eye(len(gram))
    return np.linalg.solve(gram + penalty, weighted @ targets)


def _fit(
    X: NDArray[Any],
    y: NDArray[np.integer],
    weight: NDArray[Any],
    A: NDArray[Any],
    B: NDArray[Any],
) -> NDArray[Any]:
    """``A B`` that has the smallest penalized loss nearby, with centred rows."""
    ridge, weight = RIDGE / weight.sum(), weight / weight.sum()
    scale = np.sqrt(weight @ np.square(X))
    scale[scale <= 1e-9 * scale.max(initial=0.0)] = 1.0
    X, A = X / scale, A * scale[:, None]
    # Both factors of one size, for L-BFGS: their product does not change.
    sizes = np.sqrt(np.linalg.norm(A, axis=0) / np.maximum(np.linalg.norm(B, axis=1), TINY))
    A, B = A / sizes, B * sizes[:, None]
    rows, n, m = np.arange(len(X)), A.size, A.shape[1]

    def parts(theta: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        return theta[:n].reshape(-1, m), theta[n : n + B.size].reshape(m, -1), theta[n + B.size :]

    def loss(theta: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        A, B, b = parts(theta)
        told = X @ A
        logits = told @ B + b
        log_p = logits - logsumexp(logits, axis=1, keepdims=True)
        error = np.exp(log_p)
        error[rows, y] -= 1.0
        error *= weight[:, None]
        W = A @ B
        dW = X.T @ error + ridge * W
        gradients = dW @ B.T, A.T @ dW, error.sum(axis=0)
        penalty = 0.5 * ridge * np.vdot(W, W)
        return penalty - weight @ log_p[rows, y], np.concatenate([g.ravel() for g in gradients])

    start = np.concatenate([A.ravel(), B.ravel(), np.zeros(B.shape[1])])
    # Steps that go too far are taken back.
    with np.errstate(over="ignore", invalid="ignore"):
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": MAX_ITER}).x
    A, B, _ = parts(found)
    return A / scale[:, None] @ (B - B.mean(axis=1, keepdims=True))
