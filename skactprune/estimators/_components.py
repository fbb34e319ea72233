"""The hidden representation as a transformer, its principal components, and the way back."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError

from skactprune._validation import ROWS, check_fitted, map_rows
from skactprune.chunks import FiledRows
from skactprune.estimators._checks import shown_layer
from skactprune.nets.components import HiddenComponents, LinearInverse, ShowsComponents
from skactprune.nets.inference import shown_representation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import CheckedRows, MatrixLike
    from skactprune.chunks import Chunks

EPSILON = np.finfo(np.float64).tiny


@np.errstate(over="ignore", invalid="ignore")
def learn_components(
    hidden: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    n_components: float,
    *,
    predictive: Callable[..., NDArray[Any]] | None = None,
    whiten: bool = False,
) -> HiddenComponents:
    """Learn components of a hidden representation from rows.

    Parameters
    ----------
    hidden : ndarray of shape (n_samples, n_neurons)
        The rows.
    sample_weight : ndarray of shape (n_samples,) or None
        Their weights.
    n_components : int or float
        How many; or, of all, the first that explain more than this share of the variance.
    predictive : callable, optional
        Gets the centred rows, their weights and a number, and returns the first directions, at
        most so many, as columns. Those after them, or all, are the principal components of what
        the first leave unexplained.
    whiten : bool, default=False
        Whether what rows have along them shall have variance 1.

    Returns
    -------
    HiddenComponents
        The largest loading of each is positive.

    Raises
    ------
    ValueError
        If the rows have no finite covariance.
    """
    weight = _weights(sample_weight, len(hidden))
    mean = np.average(hidden.astype(np.float64), axis=0, weights=weight)
    centred = hidden - mean
    covariance = (centred * weight[:, None]).T @ centred / weight.sum()
    _check_finite([covariance], n_components, "whose squares are not finite")
    is_number = isinstance(n_components, Integral)
    components = _directions(
        centred, weight, covariance, int(n_components) if is_number else len(covariance), predictive
    )
    crossed = components @ covariance
    variance = np.einsum("ij,ij->i", crossed, components)
    varies = variance > _rounding(variance.max(), mean, hidden.dtype)
    variance = np.where(varies, variance, 0.0)
    told, whole = np.square(crossed).sum(axis=1), max(np.trace(covariance), EPSILON)
    ratio = np.divide(told, variance, out=np.zeros_like(variance), where=varies) / whole
    kept = slice(None if is_number else _n_needed(ratio, float(n_components)))
    unbiased = _unbiased(weight)
    spread = np.sqrt(variance * unbiased)
    scale = np.where(spread > 0, spread, 1.0) if whiten else 1.0
    found = HiddenComponents(
        projection=(components.T / scale)[:, kept],
        mean=mean,
        explained_variance=ratio[kept] * whole * unbiased,
        explained_variance_ratio=ratio[kept],
        singular_values=np.sqrt(variance * weight.sum())[kept] if predictive is None else None,
    ).mapped(lambda array: np.ascontiguousarray(array, hidden.dtype))
    too_far = f"that are too large or too small for {hidden.dtype}"
    _check_finite(found.arrays().values(), n_components, too_far)
    return found


def _check_finite(arrays: Iterable[NDArray[Any]], n_components: float, what: str) -> None:
    """Raise ValueError unless all is finite."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(
            f"n_components={n_components!r} components cannot be computed: the hidden "
            f"representation has values {what}. The input data, or the sample weights, may contain "
            "large values and need to be preprocessed."
        )


def learn_inverse(
    shown: NDArray[Any], X: Any, sample_weight: NDArray[Any] | None, alpha: float
) -> LinearInverse:
    """Learn to tell rows by what `transform` returns for them, by ridge regression.

    With an intercept, in primal form: KernelPCA solves the same problem, without intercept, for a
    coefficient of every training row, which it keeps.

    Parameters
    ----------
    shown : ndarray of shape (n_samples, n_columns)
        What `transform` returns.
    X : {ndarray, csr_matrix, FiledRows} of shape (n_samples, n_features)
        The rows.
    sample_weight : ndarray of shape (n_samples,) or None
        Their weights.
    alpha : float
        Penalty of squared coefficients, over the sum of the weighted squared errors.

    Returns
    -------
    LinearInverse

    Raises
    ------
    ValueError
        If it would not be finite.
    """
    weight = _weights(sample_weight, len(shown))
    with np.errstate(over="ignore", invalid="ignore"):
        share = weight / weight.sum()
        mean = share @ shown
        centred = shown - mean
        weighted = centred * weight[:, None]
        gram = weighted.T @ centred
        gram.flat[:: len(gram) + 1] += alpha
        told, intercept = _products(X, weighted, share)
        crossed = told.T
        if np.isfinite(gram).all() and np.isfinite(crossed).all():
            # Columns that do not vary have no say, even without a penalty.
            smallest = len(gram) * np.finfo(shown.dtype).eps
            coef = linalg.lstsq(gram, crossed, cond=smallest)[0]
            inverse = LinearInverse(coef, intercept - mean @ coef)
            inverse = inverse.mapped(lambda array: np.ascontiguousarray(array, shown.dtype))
            if all(np.isfinite(array).all() for array in inverse.arrays().values()):
                return inverse
    raise ValueError(
        "fit_inverse_transform=True finds no finite coefficients. The input data, or the sample "
        "weights, may contain large values and need to be preprocessed."
    )


def _products(X: Any, *factors: NDArray[Any]) -> list[NDArray[Any]]:
    """``X.T @ factor`` for each; rows in files are read once, some at a time."""
    if not isinstance(X, FiledRows):
        return [X.T @ factor for factor in factors]
    sums: list[Any] = [0.0] * len(factors)
    for start in range(0, len(X), ROWS):
        some = slice(start, start + ROWS)
        rows = X[some]
        sums = [so_far + rows.T @ f[some] for so_far, f in zip(sums, factors, strict=True)]
    return sums


def _weights(sample_weight: NDArray[Any] | None, n_rows: int) -> NDArray[Any]:
    return np.ones(n_rows) if sample_weight is None else sample_weight.astype(np.float64)


def _directions(
    centred: NDArray[Any],
    weight: NDArray[Any],
    covariance: NDArray[Any],
    k: int,
    predictive: Callable[..., NDArray[Any]] | None,
) -> NDArray[Any]:
    """Directions of length 1, an ndarray of shape (k, n_neurons)."""
    first = np.empty((len(covariance), 0))
    if predictive is not None:
        first = predictive(centred, weight, k)
    n, m = len(covariance), k - first.shape[1]
    if m:
        told = _regression(covariance, first)
        left = covariance - covariance @ first @ told
        rest = linalg.eigh(left, subset_by_index=(n - m, n - 1))[1][:, ::-1]
        first = np.hstack([first, rest - first @ told @ rest])
    components = first.T.copy()
    components /= np.maximum(np.linalg.norm(components, axis=1, keepdims=True), EPSILON)
    largest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(k), largest])[:, None]
    return components


def _regression(covariance: NDArray[Any], directions: NDArray[Any]) -> NDArray[Any]:
    """Coefficients of shape (m, n) of all neurons on the values along m directions."""
    crossed = covariance @ directions
    return np.linalg.pinv(directions.T @ crossed, hermitian=True) @ crossed.T


def _rounding(variance: float, mean: NDArray[Any], dtype: np.dtype[Any]) -> float:
    """What rounding may leave of no variance, of rows of a type or of their covariance."""
    squared = np.finfo(dtype).eps ** 2
    of_mean, of_variance = 64 * squared, max(np.finfo(np.float64).eps, squared)
    return max(len(mean) * (of_mean * np.square(mean).max() + of_variance * variance), EPSILON)


def _n_needed(ratio: NDArray[Any], share: float) -> int:
    """How many are needed to explain more than a share; 1 where there is nothing to explain."""
    if not ratio.any():
        return 1
    return min(int(np.searchsorted(np.cumsum(ratio), share, side="right")) + 1, len(ratio))


def _unbiased(weight: NDArray[Any]) -> float:
    """What makes of a mean square a variance, with the degrees of freedom of ``numpy.cov``.

    Whole numbers are counts of rows, others tell how much a row counts beside others.
    """
    total = weight.sum()
    lost = 1.0 if np.array_equal(weight, np.rint(weight)) else np.square(weight).sum() / total
    # One row does not vary.
    return total / (total - lost) if total - lost > 1e-9 * total else 0.0


class HiddenTransformer(ShowsComponents, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of the estimators: `transform` shows hidden layers, or components of them."""

    _shown_depth: int | Literal["all"] | None

    @property
    def _n_features_out(self) -> int:
        try:
            self._check_transforms()
        except ValueError as error:
            raise AttributeError(str(error)) from error
        if self._components is not None:
            return self._components.projection.shape[1]
        widths = [coef.shape[1] for coef in self.coefs_[:-1]]
        return widths[self._shown_depth] if isinstance(self._shown_depth, int) else sum(widths)

    def transform(self, X: MatrixLike | Chunks) -> NDArray[Any]:
        """Hidden representation of the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, `n_components_`)
            Output of the live neurons of the hidden layer `transform_layer`, or `n_components`
            components of it; see the parameter `components`. In the dtype of the weights.
        """
        self._check_transforms()
        return self._of_rows(self._shown, X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the features, which are only checked.

        Returns
        -------
        ndarray of str objects
            The lowercased class name with a number, from 0.
        """
        self._check_transforms()
        return super().get_feature_names_out(input_features)

    def _check_transforms(self) -> None:
        check_fitted(self)
        if self._shown_depth is None:
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} has no hidden layer to show."
            )
        if self._lacks_components:
            raise NotFittedError(
                f"n_components={self.n_components!r} components are learned in fit, but have not "
                "been: call it. Neither from_sklearn learns them, nor setting n_components."
            )

    @property
    def _lacks_components(self) -> bool:
        """Whether components were asked for and have not been learned."""
        return self._components is None and self.n_components is not None

    def _shown(self, X: CheckedRows) -> NDArray[Any]:
        hidden = self._hidden(X)
        return hidden if self._components is None else self._components.project(hidden)

    def _hidden(self, X: CheckedRows) -> NDArray[Any]:
        # That there is a layer has been checked.
        depth = cast("int | Literal['all']", self._shown_depth)
        coefs, intercepts = self.coefs_[:-1], self.intercepts_[:-1]
        return shown_representation(X, coefs, intercepts, self._activations, depth)

    def _show(self, n_layers: int) -> None:
        """Show the neurons of so many hidden layers, as `transform_layer` says."""
        self._shown_depth = shown_layer(self, n_layers) if n_layers else None
        self._components = self._inverse = None

    def _fit_components(
        self, X: CheckedRows, y: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> None:
        self._show(len(self.masks_))
        if self.n_components is None and not self.fit_inverse_transform:
            return
        shown = map_rows(self._hidden, X)
        if self.n_components is not None:

            def predictive(hidden: NDArray[Any], weight: NDArray[Any], k: int) -> NDArray[Any]:
                return self._task.directions(hidden, y, weight, map_rows(self._logits, X), k)

            how = {"whiten": self.whiten}
            if self.components == "predictive":
                how["predictive"] = predictive
            self._components = learn_components(shown, sample_weight, self.n_components, **how)
            shown = self._components.project(shown)
        if self.fit_inverse_transform:
            self._inverse = learn_inverse(shown, X, sample_weight, float(self.inverse_alpha))
