"""What compact models of all tasks have in common: a value that they compute with, and no fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from skactprune._html import LinksToDocs
from skactprune._support import FeatureSupport
from skactprune._validation import check_fitted, map_checked_rows
from skactprune.deploy.files import save
from skactprune.deploy.onnx import to_onnx
from skactprune.deploy.weights import CompactWeights
from skactprune.nets.components import ShowsComponents

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import onnx
    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import MatrixLike
    from skactprune.chunks import Chunks
    from skactprune.nets.components import HiddenComponents, LinearInverse


def check_holds_model(model: Any) -> None:
    """Raise a NotFittedError that says what makes compact models, if this one is empty."""
    check_fitted(
        model,
        msg="This %(name)s holds no model. Get one from compact of a fitted estimator, "
        "skactprune.compact or skactprune.load.",
    )


def check_features(features: Any) -> None:
    """Raise ValueError for something else than "all" or "used"."""
    if not (isinstance(features, str) and features in ("all", "used")):
        raise ValueError(f"features={features!r} must be 'all' or 'used'.")


class BaseCompactMLP(
    FeatureSupport,
    ShowsComponents,
    LinksToDocs,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Frozen model around `CompactWeights`; what it predicts with them is left to subclasses.

    They define `add_to_onnx`, and for files `file_metadata` and `of_file`.

    Attributes
    ----------
    weights_ : skactprune.deploy.weights.CompactWeights
        All that it computes with; other attributes show parts of it.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights. Those of a hidden layer of low rank are kept and computed with as two factors,
        where these are fewer numbers; this is their product.
    kernel_sizes_ : list of int
        Numbers that the weights of every layer are kept as, zeros not counted.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases.
    activation_ : {"identity", "logistic", "tanh", "relu"}
        Activation of the hidden layers.
    storage_ : {"float64", "float32", "float16", "int8", "codebook"}
        Type in which pickles and files hold the weights. The last three are computed with in
        float32.
    nbytes_ : int
        Size of the arrays in pickles and, before compression, in files.
    transform_layer_ : int, "all" or None
        Index of the hidden layer that `transform` shows, or all of them; None without hidden
        layers.
    n_components_ : int
        Number of columns of `transform`.
    components_, mean_, explained_variance_, explained_variance_ratio_, singular_values_ : ndarray
        Those of the original, where it has them.
    inverse_coef_, inverse_intercept_ : ndarray
        The same, of the features that the rows of this model have.
    projection_ : ndarray of shape (n_neurons, n_components) or None
        What `transform` multiplies the hidden representation with.
    projection_offset_ : ndarray of shape (n_components,) or None
        What `transform` adds to the product.
    unused_features_ : ndarray of int
        Indices of the features that have no weight.
    n_layers_ : int
        Number of layers, input and output included.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where the original has them.
    output_prefix_ : str
        What the names of the columns of `transform` begin with.
    """

    # Whether it is the same where rows are scaled within: not if it makes rows, too.
    folds_scalers = True

    def with_weights(
        self, weights: CompactWeights, feature_names: NDArray[Any] | None = None
    ) -> Any:
        """Same model with other weights.

        Parameters
        ----------
        weights : skactprune.deploy.weights.CompactWeights
            With as many outputs.
        feature_names : ndarray of shape (n_features,), default=None
            Names of the features.

        Returns
        -------
        object
            New model of the same class.
        """
        model: Any = type(self)()
        attributes = model.__dict__
        attributes.update(vars(self) | {"weights_": weights})
        attributes.pop("feature_names_in_", None)
        # A copy of its own: what is set for one model is not set for the other.
        settings = attributes.pop("_sklearn_output_config", {})
        if feature_names is not None:
            model.feature_names_in_ = feature_names
        return model.set_output(**settings)

    # -- frozen -----------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Do nothing: the model is frozen.

        Parameters
        ----------
        X : object
            Ignored.
        y : object, default=None
            Ignored.
        **fit_params : dict
            Ignored.

        Returns
        -------
        self : object
            The model as it was.

        Raises
        ------
        NotFittedError
            If the model was made by its constructor.
        """
        check_holds_model(self)
        return self

    def __sklearn_clone__(self) -> Self:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_")

    def compact(
        self,
        dtype: Literal["float64", "float32", "float16", "int8", "codebook"] | None = None,
        *,
        features: Literal["all", "used"] = "all",
    ) -> Any:
        """Same model, its weights stored in another type, or for shorter rows.

        Parameters
        ----------
        dtype : {"float64", "float32", "float16", "int8", "codebook"}, default=None
            Type of the weights in pickles and files; None keeps it.
        features : {"all", "used"}, default="all"
            What the rows of the new model have: all features, or those of `get_support` alone.

        Returns
        -------
        object
            New model of the same class.
        """
        check_holds_model(self)
        check_features(features)
        weights = self.weights_.stored_as(dtype or self.storage_)
        model = self.with_weights(weights, getattr(self, "feature_names_in_", None))
        return model if features == "all" else model.with_features(model.get_support(indices=True))

    def with_features(self, columns: NDArray[np.integer]) -> Any:
        """Same model for shorter rows.

        Parameters
        ----------
        columns : int ndarray
            Features that they have; all that are used are among them.

        Returns
        -------
        object
            New model of the same class.
        """
        names = getattr(self, "feature_names_in_", None)
        return self.with_weights(
            self.weights_.with_features(columns), None if names is None else names[columns]
        )

    # -- hidden representation --------------------------------------------------------------

    def transform(self, X: MatrixLike | Chunks) -> NDArray[Any]:
        """Hidden representation of the rows, as of the original estimator.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            Output of the hidden layer `transform_layer_`, or components of it.
        """
        return self._of_rows(lambda rows: self.weights_.represent(rows), X)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Checked against `feature_names_in_`, otherwise not used.

        Returns
        -------
        ndarray of str objects
            Those of the original estimator, so that the model can take its place.
        """
        self._check_transforms()
        names = super().get_feature_names_out(input_features)
        return np.array([f"{self.output_prefix_}{i}" for i in range(len(names))], dtype=object)

    def _check_transforms(self) -> None:
        check_holds_model(self)
        self.weights_.check_shows()

    @property
    def _components(self) -> HiddenComponents | None:  # type: ignore[override]
        return self.weights_.components

    @property
    def _inverse(self) -> LinearInverse | None:  # type: ignore[override]
        return self.weights_.inverse

    # -- files ------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file; see :func:`skactprune.save`.

        Parameters
        ----------
        path : str or path-like
            File to write.
        """
        save(self, path)

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        input_dtype: Literal["float32", "float64"] | None = None,
    ) -> onnx.ModelProto:
        """Convert to ONNX; see :func:`skactprune.to_onnx`.

        Parameters
        ----------
        path : str or path-like, default=None
            File to write; None writes none.
        input_dtype : {"float32", "float64"}, default=None
            Type of the input; None takes that of the weights.

        Returns
        -------
        onnx.ModelProto
            The ONNX model.
        """
        check_holds_model(self)
        return to_onnx(self, path, input_dtype=input_dtype)

    # -- state ------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        weights = state.pop("weights_", None)
        if weights is not None:
            state["arrays"], state["metadata"] = weights.to_arrays(), weights.metadata()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "arrays" in state:
            arrays, metadata = state.pop("arrays"), state.pop("metadata")
            state["weights_"] = CompactWeights.from_arrays(arrays, **metadata)
        super().__setstate__(state)

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        return self.weights_.coefs

    @property
    def kernel_sizes_(self) -> list[int]:
        return self.weights_.kernel_sizes

    @property
    def intercepts_(self) -> list[NDArray[Any]]:
        return self.weights_.intercepts

    @property
    def activation_(self) -> str | tuple[str, ...]:
        return self.weights_.activation

    @property
    def storage_(self) -> str:
        return self.weights_.storage

    @property
    def nbytes_(self) -> int:
        return self.weights_.nbytes

    @property
    def transform_layer_(self) -> Any:
        return self.weights_.transform_layer

    @property
    def projection_(self) -> NDArray[Any] | None:
        return None if self._components is None else self._components.projection

    @property
    def projection_offset_(self) -> NDArray[Any] | None:
        return None if self._components is None else self._components.offset

    @property
    def unused_features_(self) -> NDArray[Any]:
        return self.weights_.unused_features

    @property
    def n_layers_(self) -> int:
        return len(self.intercepts_) + 1

    @property
    def n_outputs_(self) -> int:
        return self.weights_.n_outputs

    @property
    def n_features_in_(self) -> int:  # type: ignore[override]
        return self.weights_.n_features

    @property
    def _n_features_out(self) -> int:
        if self.weights_.transform_layer is None:
            raise AttributeError("There is no hidden layer to transform to.")
        return self.weights_.n_components

    def _of_rows(
        self, function: Callable[[Any], NDArray[Any]], X: MatrixLike | Chunks
    ) -> NDArray[Any]:
        """What `function` returns for rows, which are checked; nor is it called without a model."""
        check_holds_model(self)
        return map_checked_rows(function, self, X, self.weights_.dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        is_fitted = self.__sklearn_is_fitted__()
        dtype = self.weights_.dtype.name if is_fitted else "float64"
        tags.transformer_tags.preserves_dtype = [dtype]
        return tags
