"""The hidden representation as a transformer, and its principal components."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError

from skactprune._validation import check_fitted, map_rows
from skactprune.nets.inference import hidden_representation

EPSILON = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class HiddenComponents:
    """Directions of a hidden layer; what rows have along them is uncorrelated.

    Attributes
    ----------
    mean : ndarray of shape (n_neurons,)
        Weighted mean of the rows.
    components : ndarray of shape (k, n_neurons)
        Directions of length 1; the largest loading of each is positive.
    explained_variance_ratio : ndarray of shape (k,)
        Share of the variance of all neurons that each explains.
    """

    mean: np.ndarray
    components: np.ndarray
    explained_variance_ratio: np.ndarray

    @classmethod
    def fit(cls, hidden, sample_weight, k, predictive=None):
        """Learn from rows.

        Parameters
        ----------
        hidden : ndarray of shape (n_samples, n_neurons)
            The rows.
        sample_weight : ndarray of shape (n_samples,) or None
            Their weights.
        k : int
            How many.
        predictive : callable, optional
            Gets the centred rows, their weights and k, and returns the first directions, at most
            k, as columns. Those after them, or all, are the principal components of what the
            first leave unexplained.

        Returns
        -------
        HiddenComponents

        Raises
        ------
        ValueError
            If the rows have no finite covariance.
        """
        weight = np.ones(len(hidden)) if sample_weight is None else sample_weight
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(hidden.astype(np.float64), axis=0, weights=weight)
            centred = hidden - mean
            covariance = (centred * weight[:, None]).T @ centred / weight.sum(dtype=np.float64)
        if not np.isfinite(covariance).all():
            raise ValueError(
                f"n_components={k} components cannot be computed: the hidden representation has "
                "values whose squares are not finite. The input data, or the sample weights, may "
                "contain large values and need to be preprocessed."
            )
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
        crossed = components @ covariance
        variance = np.einsum("ij,ij->i", crossed, components)
        shares = np.square(crossed).sum(axis=1) / np.maximum(variance, EPSILON)
        ratio = np.where(variance > 0, shares, 0) / max(np.trace(covariance), EPSILON)
        return cls(mean.astype(hidden.dtype), np.ascontiguousarray(components, hidden.dtype), ratio)

    def project(self, hidden):
        """Coordinates of shape (n_samples, k)."""
        return (hidden - self.mean) @ self.components.T


def _regression(covariance, directions):
    """Coefficients of shape (m, n) of all neurons on the values along m directions."""
    crossed = covariance @ directions
    return np.linalg.pinv(directions.T @ crossed, hermitian=True) @ crossed.T


class HiddenTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of the estimators: `transform` shows a hidden layer, or components of it."""

    @property
    def _n_features_out(self):
        check_fitted(self)
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
            Output of the live neurons of the hidden layer `transform_layer`, or `n_components`
            components of it; see the parameter `components`. In the dtype of the weights.
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

    def _fit_components(self, X, y, sample_weight):
        self._shown_depth = self._transform_depth(self.coefs_[:-1]) if self.masks_ else None
        self._components = None
        for name in ("components_", "explained_variance_ratio_"):
            self.__dict__.pop(name, None)
        if self.n_components is not None:
            predictive = None
            if self.components == "predictive":

                def predictive(hidden, weight, k):
                    return self._task.directions(hidden, y, weight, map_rows(self._logits, X), k)

            k, hidden = int(self.n_components), map_rows(self._hidden, X)
            self._components = HiddenComponents.fit(hidden, sample_weight, k, predictive)
            self.components_ = self._components.components
            self.explained_variance_ratio_ = self._components.explained_variance_ratio
