"""Singular values of weight matrices, and the low-rank reconstructions pruning is compared with.

Everything here takes plain arrays, in either orientation unless a function says otherwise, computes
in float64 and needs no torch.
"""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.linalg import eigh, svd, svdvals
from scipy.special import entr
from sklearn.utils import check_scalar

__all__ = [
    "effective_rank",
    "nuclear_norm",
    "numerical_rank",
    "pca_reconstruct",
    "singular_values",
    "spectrum_summary",
    "stable_rank",
    "svd_truncate",
    "whitened_truncate",
]


def singular_values(W: ArrayLike) -> NDArray[np.float64]:
    """Singular values of a matrix, largest first, computed in float64.

    Parameters
    ----------
    W : array-like of shape (m, n)
        Real, finite matrix, such as one entry of ``coefs_``.

    Returns
    -------
    s : ndarray of shape (min(m, n),), dtype float64
        Singular values in descending order.

    Raises
    ------
    ValueError
        If `W` is not a non-empty matrix of finite real numbers.

    Examples
    --------
    >>> from skactprune.spectra import singular_values
    >>> print(singular_values([[3.0, 0.0], [0.0, -4.0]]))
    [4. 3.]
    """
    return _unscaled(*_scaled_values(_check_matrix(W, "W")))


def numerical_rank(W: ArrayLike, dtype: DTypeLike | None = None) -> int:
    """Rank of a matrix, as far as the precision of its entries can tell.

    Singular values above ``s_max * max(m, n) * eps(dtype)`` are counted (the rule of
    `numpy.linalg.matrix_rank`). The singular values are always computed in float64, but the
    tolerance follows the type in which the weights are *stored*: rounding a matrix of rank 30 to
    float32 makes it one of full rank for a float64 tolerance.

    Parameters
    ----------
    W : array-like of shape (m, n)
        Real, finite matrix.
    dtype : floating dtype, default=None
        The type the entries were stored in. None takes the type of `W` itself, and float64 when
        that is no floating type. Give it when the array was converted on its way here.

    Returns
    -------
    rank : int
        Between 0 (a zero matrix) and min(m, n).

    Raises
    ------
    ValueError
        If `W` is not a non-empty matrix of finite real numbers, or `dtype` is no floating type.

    References
    ----------
    W. H. Press et al., Numerical Recipes, 3rd edition, 2007, section 15.4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.spectra import numerical_rank
    >>> rng = np.random.default_rng(0)
    >>> W = (rng.normal(size=(50, 3)) @ rng.normal(size=(3, 40))).astype(np.float32)
    >>> numerical_rank(W), numerical_rank(W.astype(np.float64))
    (3, 40)
    """
    W = _check_matrix(W, "W")
    return _rank(_relative(*_scaled_values(W)), W.shape, _storage_eps(W, dtype))


def effective_rank(W: ArrayLike) -> float:
    """Exponential of the entropy of the normalised singular values.

    A matrix with k equal singular values and no others has effective rank k; the more unequal they
    are, the smaller it is.

    Parameters
    ----------
    W : array-like of shape (m, n)
        Real, finite matrix.

    Returns
    -------
    effective_rank : float
        Between 1 and min(m, n); 0 for a zero matrix (a choice, the entropy is undefined there).

    Raises
    ------
    ValueError
        If `W` is not a non-empty matrix of finite real numbers.

    References
    ----------
    O. Roy and M. Vetterli, The effective rank: a measure of effective dimensionality, EUSIPCO 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.spectra import effective_rank
    >>> round(effective_rank(np.diag([1.0, 1.0, 0.0])), 6)
    2.0
    """
    return _effective_rank(_relative(*_scaled_values(_check_matrix(W, "W"))))


def stable_rank(W: ArrayLike) -> float:
    """Squared Frobenius norm over squared spectral norm, ``||W||_F**2 / ||W||_2**2``.

    Parameters
    ----------
    W : array-like of shape (m, n)
        Real, finite matrix.

    Returns
    -------
    stable_rank : float
        Between 1 and the rank of `W`; 0 for a zero matrix (a choice).

    Raises
    ------
    ValueError
        If `W` is not a non-empty matrix of finite real numbers.

    References
    ----------
    M. Rudelson and R. Vershynin, Sampling from large matrices: an approach through geometric
    functional analysis, Journal of the ACM 54(4), 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.spectra import stable_rank
    >>> stable_rank(np.diag([2.0, 1.0, 0.0]))
    1.25
    """
    return _stable_rank(_relative(*_scaled_values(_check_matrix(W, "W"))))


def nuclear_norm(W: ArrayLike) -> float:
    """Sum of the singular values.

    Parameters
    ----------
    W : array-like of shape (m, n)
        Real, finite matrix.

    Returns
    -------
    nuclear_norm : float
        Non-negative; 0 for a zero matrix only.

    Raises
    ------
    ValueError
        If `W` is not a non-empty matrix of finite real numbers.

    Examples
    --------
    >>> from skactprune.spectra import nuclear_norm
    >>> nuclear_norm([[3.0, 0.0], [0.0, -4.0]])
    7.0
    """
    return float(singular_values(W).sum())


def pca_reconstruct(kernel: ArrayLike, n_components: int) -> NDArray[Any]:
    """Reconstruct a layer's kernel from its leading principal components.

    The baseline of the activation-pruning paper: the rows of the kernel (one per input) are the
    samples, PCA keeps `n_components` of them and is inverted; the layer's bias is left as it is.

    Parameters
    ----------
    kernel : array-like of shape (n_in, n_out)
        Weights in scikit-learn's orientation, as in ``coefs_`` (a torch weight is its transpose).
    n_components : int
        Number of components kept, at least 0. More than min(n_in, n_out) are the same as
        min(n_in, n_out): the kernel comes back unchanged but for rounding. With 0 every row
        becomes the mean row.

    Returns
    -------
    reconstruction : ndarray of shape (n_in, n_out)
        In the kernel's floating type (float64 for integers).

    Raises
    ------
    ValueError
        If `kernel` is not a non-empty matrix of finite real numbers, or `n_components` is negative.
    TypeError
        If `n_components` is not an integer.

    See Also
    --------
    svd_truncate : Best approximation of rank exactly r, without a mean.

    Notes
    -----
    PCA adds the mean row back, so that the result can have rank ``n_components + 1``.

    References
    ----------
    T. Ganguli and E. K. P. Chong, Activation-Based Pruning of Neural Networks, Algorithms 17(1),
    48, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.spectra import numerical_rank, pca_reconstruct
    >>> kernel = np.random.default_rng(0).normal(size=(20, 10))
    >>> numerical_rank(pca_reconstruct(kernel, 3))
    4
    """
    from sklearn.decomposition import PCA

    kernel = _check_matrix(kernel, "kernel")
    check_scalar(n_components, "n_components", Integral, min_val=0)
    work = kernel.astype(np.float64)
    if n_components == 0 or work.shape[0] == 1:
        # sklearn's PCA inverts neither an empty projection nor, without warning, that of one row.
        reconstruction = np.broadcast_to(work.mean(axis=0), work.shape)
    else:
        pca = PCA(min(n_components, *work.shape), svd_solver="full")
        # Equal rows have no variance, and PCA divides by it for a ratio that is not used here.
        with np.errstate(invalid="ignore"):
            reconstruction = pca.inverse_transform(pca.fit_transform(work))
    return reconstruction.astype(_floating(kernel))


def svd_truncate(kernel: ArrayLike, rank: int) -> NDArray[Any]:
    """Best approximation of a matrix by one of a given rank: its truncated SVD.

    Parameters
    ----------
    kernel : array-like of shape (m, n)
        Real, finite matrix.
    rank : int
        Number of singular values kept, at least 0 (the zero matrix). More than min(m, n) are the
        same as min(m, n): the kernel comes back unchanged but for rounding.

    Returns
    -------
    approximation : ndarray of shape (m, n)
        In the kernel's floating type (float64 for integers).

    Raises
    ------
    ValueError
        If `kernel` is not a non-empty matrix of finite real numbers, or `rank` is negative.
    TypeError
        If `rank` is not an integer.

    See Also
    --------
    pca_reconstruct : The same about the mean row, as the activation-pruning paper did it.
    whitened_truncate : Best approximation of what the matrix gives for some inputs.

    References
    ----------
    C. Eckart and G. Young, The approximation of one matrix by another of lower rank,
    Psychometrika 1, 1936.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.spectra import svd_truncate
    >>> print(svd_truncate(np.diag([3.0, 2.0, 1.0]), 1).round(6).tolist())
    [[3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    kernel = _check_matrix(kernel, "kernel")
    check_scalar(rank, "rank", Integral, min_val=0)
    U, s, Vt = svd(kernel.astype(np.float64), full_matrices=False, check_finite=False)
    return ((U[:, :rank] * s[:rank]) @ Vt[:rank]).astype(_floating(kernel))


def whitened_truncate(kernel: ArrayLike, moment: ArrayLike, rank: int) -> NDArray[Any]:
    """Matrix of a given rank that gives most nearly the same outputs for inputs of some moment.

    Of all matrices K of rank `rank` it has the lowest ``sum ||x @ kernel - x @ K||**2`` over the
    rows x whose second moment is given. ``svd_truncate`` has that for white inputs only: it spends
    ranks on directions of the inputs that hardly occur.

    Parameters
    ----------
    kernel : array-like of shape (n_in, n_out)
        Weights in scikit-learn's orientation, as in ``coefs_``.
    moment : array-like of shape (n_in, n_in)
        Second moment of the inputs, ``X.T @ X / len(X)``, symmetric and without negative
        eigenvalues; those that rounding has made negative count as 0.
    rank : int
        Number of directions kept, at least 0 (the zero matrix). More than min(n_in, n_out) are the
        same as min(n_in, n_out).

    Returns
    -------
    approximation : ndarray of shape (n_in, n_out)
        In the kernel's floating type (float64 for integers).

    Raises
    ------
    ValueError
        If `kernel` or `moment` is not a non-empty matrix of finite real numbers, their shapes do
        not fit, or `rank` is negative.
    TypeError
        If `rank` is not an integer.

    See Also
    --------
    svd_truncate : The same without regard to the inputs.

    Notes
    -----
    With ``U S V.T`` the singular value decomposition of ``moment**(1/2) @ kernel``, the optimum is
    ``moment**(-1/2) @ U_r S_r V_r.T``. That is ``kernel @ V_r @ V_r.T``, the outputs projected on
    their principal directions without a mean, which needs no inverse.

    References
    ----------
    X. Wang, Y. Zheng, Z. Wan and M. Zhang, SVD-LLM: Truncation-aware singular value decomposition
    for large language model compression, ICLR 2025. P. Chen et al., DRONE: Data-aware low-rank
    compression for large NLP models, NeurIPS 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.spectra import whitened_truncate
    >>> kernel, moment = np.diag([3.0, 2.0]), np.diag([1.0, 100.0])
    >>> print(whitened_truncate(kernel, moment, 1).round(6).tolist())
    [[0.0, 0.0], [0.0, 2.0]]
    """
    kernel, moment = _check_matrix(kernel, "kernel"), _check_matrix(moment, "moment")
    check_scalar(rank, "rank", Integral, min_val=0)
    if moment.shape != (len(kernel), len(kernel)):
        raise ValueError(
            f"moment must have the shape {(len(kernel), len(kernel))} for a kernel of shape "
            f"{kernel.shape}, got {moment.shape}."
        )
    work = kernel.astype(np.float64)
    values, vectors = eigh(moment.astype(np.float64), check_finite=False)
    # A root of the moment; all of them have the same V.
    root = np.sqrt(np.maximum(values, 0))[:, np.newaxis] * vectors.T
    V = svd(root @ work, full_matrices=False, check_finite=False)[2][:rank].T
    return (work @ V @ V.T).astype(_floating(kernel))


def spectrum_summary(
    coefs: Iterable[ArrayLike], dtype: DTypeLike | None = None
) -> list[dict[str, Any]]:
    """Describe the spectrum of every layer, from one decomposition each.

    Parameters
    ----------
    coefs : iterable of array-like of shape (n_in, n_out)
        The kernels, first layer first, such as ``coefs_``.
    dtype : floating dtype, default=None
        The type the weights were stored in, as for `numerical_rank`.

    Returns
    -------
    rows : list of dict
        One per layer, fit for ``pandas.DataFrame``, with the keys ``layer`` (from 0), ``n_in``,
        ``n_out``, ``rank``, ``effective_rank``, ``stable_rank``, ``nuclear_norm`` and
        ``spectral_norm`` (the largest singular value).

    Raises
    ------
    ValueError
        If a kernel is not a non-empty matrix of finite real numbers, or `dtype` is no floating
        type.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.spectra import spectrum_summary
    >>> [row["rank"] for row in spectrum_summary([np.eye(4, 3), np.ones((3, 2))])]
    [3, 1]
    """
    rows = []
    for layer, kernel in enumerate(coefs):
        kernel = _check_matrix(kernel, f"coefs[{layer}]")
        scaled = _scaled_values(kernel)
        s, relative = _unscaled(*scaled), _relative(*scaled)
        rows.append(
            {
                "layer": layer,
                "n_in": kernel.shape[0],
                "n_out": kernel.shape[1],
                "rank": _rank(relative, kernel.shape, _storage_eps(kernel, dtype)),
                "effective_rank": _effective_rank(relative),
                "stable_rank": _stable_rank(relative),
                "nuclear_norm": float(s.sum()),
                "spectral_norm": float(s[0]),
            }
        )
    return rows


def _scaled_values(W: NDArray[Any]) -> tuple[NDArray[np.float64], int]:
    """Singular values over a power of two, and its exponent: those of huge entries overflow."""
    W = W.astype(np.float64)
    exponent = int(np.frexp(np.abs(W).max())[1])
    return svdvals(np.ldexp(W, -exponent), check_finite=False), exponent


@np.errstate(over="ignore")
def _unscaled(scaled: NDArray[np.float64], exponent: int) -> NDArray[np.float64]:
    return np.ldexp(scaled, exponent)


# The three measures depend on ratios of singular values only. Taken relative to the largest they
# neither overflow nor underflow, and a zero matrix needs no case of its own below.
def _relative(scaled: NDArray[np.float64], exponent: int) -> NDArray[np.float64]:
    return scaled / scaled[0] if scaled[0] > 0 else scaled


def _rank(relative: NDArray[np.float64], shape: tuple[int, ...], eps: float) -> int:
    return int(np.count_nonzero(relative > max(shape) * eps))


def _effective_rank(relative: NDArray[np.float64]) -> float:
    if relative[0] == 0:
        return 0.0
    return float(np.exp(entr(relative / relative.sum()).sum()))


def _stable_rank(relative: NDArray[np.float64]) -> float:
    return float(np.square(relative).sum())


def _check_matrix(a: ArrayLike, name: str) -> NDArray[Any]:
    a = np.asarray(a)
    if a.ndim != 2 or a.size == 0:
        raise ValueError(
            f"{name} must be a matrix with at least one row and one column, got shape {a.shape}."
        )
    if a.dtype.kind not in "buif":
        raise ValueError(f"{name} must hold real numbers, got dtype {a.dtype}.")
    if not np.isfinite(a).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity.")
    return a


def _floating(a: NDArray[Any]) -> np.dtype[Any]:
    return a.dtype if a.dtype.kind == "f" else np.dtype(np.float64)


def _storage_eps(W: NDArray[Any], dtype: DTypeLike | None) -> float:
    stored = _floating(W) if dtype is None else np.dtype(dtype)
    if stored.kind != "f":
        raise ValueError(f"dtype must be a floating type such as 'float32', got {stored}.")
    return float(np.finfo(stored).eps)
