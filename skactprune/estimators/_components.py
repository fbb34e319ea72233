"""The hidden representation as a transformer, and its principal components."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError

from skactprune._validation import check_fitted, map_rows
from skactprune.nets.inference import hidden_representation


@dataclass(frozen=True)
class HiddenComponents:
    """The `k` directions of largest variance, sample-weighted.

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
        """Learn from rows `hidden` of shape (n_samples, n_neurons), weighted or not.

        Raises
        ------
        ValueError
            If the rows have no finite covariance.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(hidden, axis=0, weights=sample_weight)
            centred = (hidden - mean).astype(np.float64)
            weight = np.ones(len(hidden)) if sample_weight is None else sample_weight
            covariance = (centred * weight[:, None]).T @ centred / weight.sum(dtype=np.float64)
        if not np.isfinite(covariance).all():
            raise ValueError(
                f"n_components={k} components cannot be computed: the hidden representation has "
                "values whose squares are not finite. The input data, or the sample weights, may "
                "contain large values and need to be preprocessed."
            )
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


class HiddenTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of the estimators: `transform` shows a hidden layer, or components of it."""

    @property
    def _n_features_out(self):
        check_is_fitted(self)
        if self._shown_depth is None:
            raise AttributeError("There is no hidden layer to show.")
        if self._components is not None:
            return len(self._components.components)
        return self.coefs_[self._shown_depth].shape[1]

    def transform(self, X):
        """Hidden representation of the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            Output of the live neurons of the hidden layer `transform_layer`, or its
            `n_components` principal components, largest first. In the dtype of the weights.
        """
        self._check_transforms()
        return self._of_rows(self._shown, X)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Not used.

        Returns
        -------
        ndarray of str objects
            The lowercased class name with a number, from 0.
        """
        self._check_transforms()
        return super().get_feature_names_out(input_features)

    def _check_transforms(self):
        """Raise an error where there is nothing that `transform` could show."""
        check_fitted(self)
        if self._shown_depth is None:
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} has no hidden layer to show."
            )
        if self._components is None and self.n_components is not None:
            raise NotFittedError(
                f"n_components={self.n_components!r} components are learned in fit; "
                "from_sklearn alone does not learn them."
            )

    def _shown(self, X):
        hidden = self._hidden(X)
        return hidden if self._components is None else self._components.project(hidden)

    def _hidden(self, X):
        stop = self._shown_depth + 1
        return hidden_representation(
            X, self.coefs_[:stop], self.intercepts_[:stop], self.activation
        )

    def _transform_depth(self, sizes):
        """Index of the hidden layer that `transform` shows."""
        if not -len(sizes) <= self.transform_layer < len(sizes):
            raise ValueError(
                f"transform_layer={self.transform_layer!r} must be in [{-len(sizes)}, "
                f"{len(sizes) - 1}] with {len(sizes)} hidden layers."
            )
        return int(self.transform_layer) % len(sizes)

    def _fit_components(self, X, sample_weight):
        self._shown_depth = self._transform_depth(self.coefs_[:-1]) if self.masks_ else None
        self._components = None
        for name in ("components_", "explained_variance_ratio_"):
            self.__dict__.pop(name, None)
        if self.n_components is not None:
            hidden = map_rows(self._hidden, X)
            self._components = HiddenComponents.fit(hidden, sample_weight, int(self.n_components))
            self.components_ = self._components.components
            self.explained_variance_ratio_ = self._components.explained_variance_ratio
