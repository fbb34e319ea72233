"""Components of a hidden representation, and the way back to the features, as values."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_array

from skactprune._array_api import as_numpy, like
from skactprune._validation import map_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, DTypeLike, NDArray


@dataclass(frozen=True, eq=False)
class _Arrays:
    """Base of values that hold arrays, or None where there is none."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that there are, by their names."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in found.items() if array is not None}

    def mapped(self, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        """The same with what `function` returns for each array."""
        return replace(self, **{name: function(a) for name, a in self.arrays().items()})


@dataclass(frozen=True, eq=False)
class HiddenComponents(_Arrays):
    """Directions of a hidden representation; what rows have along them is uncorrelated.

    Attributes
    ----------
    projection : ndarray of shape (n_neurons, k)
        What centred rows are multiplied with.
    mean : ndarray of shape (n_neurons,) or None
        Weighted mean of the rows.
    projection_offset : ndarray of shape (k,) or None
        What is added to the product of rows that are not centred, where `mean` is not known.
    explained_variance, explained_variance_ratio : ndarray of shape (k,) or None
        How much of the variance of all neurons each explains, and which share.
    singular_values : ndarray of shape (k,) or None
        Those of the centred rows, where the directions are their principal axes.
    """

    projection: NDArray[Any]
    mean: NDArray[Any] | None = None
    projection_offset: NDArray[Any] | None = None
    explained_variance: NDArray[Any] | None = None
    explained_variance_ratio: NDArray[Any] | None = None
    singular_values: NDArray[Any] | None = None

    def project(self, hidden: NDArray[Any]) -> NDArray[Any]:
        """Coordinates of shape (n_samples, k) of rows of shape (n_samples, n_neurons)."""
        if self.mean is None:
            return hidden @ self.projection + self.projection_offset
        return (hidden - self.mean) @ self.projection

    @property
    def offset(self) -> NDArray[Any]:
        """What the product of rows that are not centred lacks, of shape (k,)."""
        if self.mean is not None:
            return -self.mean @ self.projection
        # It is known where the mean is not.
        return self.projection_offset  # type: ignore[return-value]

    @property
    def components(self) -> NDArray[Any]:
        """Directions of length 1, of shape (k, n_neurons)."""
        lengths = np.linalg.norm(self.projection, axis=0)
        lengths = np.maximum(lengths, np.finfo(lengths.dtype).tiny)
        return np.ascontiguousarray((self.projection / lengths).T)


@dataclass(frozen=True, eq=False)
class LinearInverse(_Arrays):
    """Rows that are told by what `transform` returns for them.

    Attributes
    ----------
    inverse_coef : ndarray of shape (n_columns, n_features)
        What columns are multiplied with.
    inverse_intercept : ndarray of shape (n_features,)
        What is added.
    """

    inverse_coef: NDArray[Any]
    inverse_intercept: NDArray[Any]

    def rows(self, shown: NDArray[Any]) -> NDArray[Any]:
        """Rows of shape (n_samples, n_features) of columns of shape (n_samples, n_columns)."""
        return shown @ self.inverse_coef + self.inverse_intercept

    def scaled(self, mean: NDArray[Any], scale: NDArray[Any]) -> LinearInverse:
        """The same for rows of which `mean` was subtracted before they were divided by `scale`."""
        coef, intercept = self.inverse_coef, self.inverse_intercept
        back = LinearInverse(coef * scale, intercept * scale + mean)
        return back.mapped(lambda array: array.astype(coef.dtype))

    def of_features(self, columns: NDArray[np.integer] | NDArray[np.bool_]) -> LinearInverse:
        """The same for rows that have these features only."""
        return self.mapped(lambda array: array[..., columns])


def _shown(value: str, name: str) -> property:
    """Property: an array of one of the values, absent where there is none."""

    def get(self: Any) -> NDArray[Any]:
        found = getattr(getattr(self, value, None), name, None)
        if found is None:
            raise AttributeError(
                f"This {type(self).__name__} has no {name}_; see its documentation for when there "
                "is one."
            )
        return found

    return property(get)


class ShowsComponents:
    """Mixin of estimators that have, or have not, `_components` and an `_inverse`.

    What these hold has the names of scikit-learn's PCA.
    """

    _components: HiddenComponents | None
    _inverse: LinearInverse | None

    components_ = _shown("_components", "components")
    mean_ = _shown("_components", "mean")
    explained_variance_ = _shown("_components", "explained_variance")
    explained_variance_ratio_ = _shown("_components", "explained_variance_ratio")
    singular_values_ = _shown("_components", "singular_values")
    inverse_coef_ = _shown("_inverse", "inverse_coef")
    inverse_intercept_ = _shown("_inverse", "inverse_intercept")

    @property
    def n_components_(self) -> int:
        return self._n_features_out  # type: ignore[attr-defined]

    def _check_transforms(self) -> None:
        """Raise an error where there is nothing that `transform` could show."""
        raise NotImplementedError

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Rows of features that `transform` could have had, as `fit_inverse_transform` learned it.

        Parameters
        ----------
        X : array-like of shape (n_samples, `n_components_`)
            Rows as `transform` returns them.

        Returns
        -------
        ndarray of shape (n_samples, `n_features_in_`)
            Rows of features, told by a ridge regression; in the dtype of the weights.

        Raises
        ------
        NotFittedError
            If it was not learned.
        ValueError
            If `X` has another number of columns.
        """
        self._check_transforms()
        if self._inverse is None:
            raise NotFittedError(
                f"inverse_transform of this {type(self).__name__} is not there: it is learned in "
                "fit where fit_inverse_transform=True."
            )
        coef = self.inverse_coef_
        return self._decoded(self._inverse.rows, X, len(coef), coef.dtype)

    def _decoded(
        self,
        decode: Callable[[NDArray[Any]], NDArray[Any]],
        X: ArrayLike,
        n_columns: int,
        dtype: DTypeLike,
    ) -> NDArray[Any]:
        """What a function makes of rows as `transform` returns them, which are checked."""
        rows = check_array(as_numpy(X), dtype=dtype, input_name="X", estimator=self)
        if rows.shape[1] != n_columns:
            raise ValueError(
                f"X has {rows.shape[1]} columns, and inverse_transform of this "
                f"{type(self).__name__} takes {n_columns}, as many as transform returns."
            )
        return like(X, map_rows(decode, rows))
