"""CompactMLPClassifier."""

from copy import copy

import numpy as np
from scipy.sparse import issparse
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from skactprune._validation import check_rows
from skactprune.deploy.packing import (
    LOSSY,
    STORAGES,
    compute_dtype,
    dequantize,
    pack,
    quantize,
    unpack,
)
from skactprune.nets.inference import (
    class_indices,
    class_log_probabilities,
    class_probabilities,
    hidden_representation,
)


class CompactMLPClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator
):
    """What a fitted PrunedMLPClassifier predicts with, in a few small arrays and without torch.

    Made by :meth:`skactprune.PrunedMLPClassifier.compact`, :func:`skactprune.compact` or
    :func:`skactprune.load`, not by its constructor. It is frozen, as with
    :class:`sklearn.frozen.FrozenEstimator`: `fit` does nothing and `sklearn.base.clone` returns
    the model itself, so that it can take part in pipelines, ensembles and cross-validation
    without being trained again. Neither importing, unpickling nor using it imports torch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights, as computed with.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases.
    activation_ : {"identity", "logistic", "tanh", "relu"}
        Activation of the hidden layers.
    out_activation_ : {"logistic", "softmax"}
        Activation of the output.
    storage_ : {"float64", "float32", "float16", "int8"}
        Type in which pickles and files hold the weights. "float16" and "int8" are computed
        with in float32.
    nbytes_ : int
        Size of the arrays in pickles and, before compression, in files.
    transform_layer_ : int or None
        Index of the hidden layer that `transform` shows; None without hidden layers.
    projection_ : ndarray of shape (n_neurons, n_components) or None
        What `transform` multiplies the hidden representation with.
    projection_offset_ : ndarray of shape (n_components,) or None
        What `transform` adds to the product.
    unused_features_ : ndarray of int
        Indices of the features that have no weight.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of outputs; 1 for two classes.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the original has them.

    Notes
    -----
    Most of the time of a prediction for few rows is validation of the input.
    ``sklearn.config_context(assume_finite=True)`` saves the search for NaN and infinity; the
    methods `predict_unchecked`, `predict_proba_unchecked` and `transform_unchecked` do not look
    at the input at all.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skactprune import PrunedMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = PrunedMLPClassifier(max_iter=60, tol=0.05, random_state=0).fit(X / 16, y)
    >>> model = clf.compact("int8")
    >>> model.predict(X[:3] / 16)
    array([0, 1, 2])
    >>> model.nbytes_ < clf.compact().nbytes_ / 5
    True
    """

    # -- frozen -----------------------------------------------------------------------------

    def fit(self, X, y=None, **fit_params):
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
        self._check_fitted()
        return self

    def __sklearn_clone__(self):
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coefs_")

    def _check_fitted(self):
        check_is_fitted(
            self,
            msg="This %(name)s holds no model. Get one from PrunedMLPClassifier.compact, "
            "skactprune.compact or skactprune.load.",
        )

    def compact(self, dtype=None):
        """Same model, its weights stored in another type.

        Parameters
        ----------
        dtype : {"float64", "float32", "float16", "int8"}, default=None
            Type of the weights in pickles and files; None keeps it.

        Returns
        -------
        CompactMLPClassifier
            New model.
        """
        self._check_fitted()
        model = copy(self)
        model._set_weights(self.coefs_, dtype or self.storage_)
        return model

    # -- prediction -------------------------------------------------------------------------

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        return self.predict_unchecked(self._check_X(X))

    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`, in the dtype of the weights.
        """
        return self.predict_proba_unchecked(self._check_X(X))

    def predict_log_proba(self, X):
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        X, coefs = self._rows_and_coefs(self._check_X(X))
        return class_log_probabilities(X, coefs, self.intercepts_, self.activation_)

    def transform(self, X):
        """Hidden representation of the rows, as of the original estimator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            Output of the hidden layer `transform_layer_`, or its principal components.
        """
        return self.transform_unchecked(self._check_X(X))

    def predict_unchecked(self, X):
        """Predict class labels of rows that are known to be valid, as fast as possible.

        Nothing is checked: not the type, shape or content of `X`, nor that the model is fitted.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Finite rows, best C-contiguous and in the dtype of ``coefs_[0]``.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        X, coefs = self._rows_and_coefs(X)
        return self.classes_[class_indices(X, coefs, self.intercepts_, self.activation_)]

    def predict_proba_unchecked(self, X):
        """Predict class probabilities of rows that are known to be valid.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            As for `predict_unchecked`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities.
        """
        X, coefs = self._rows_and_coefs(X)
        return class_probabilities(X, coefs, self.intercepts_, self.activation_)

    def transform_unchecked(self, X):
        """Hidden representation of rows that are known to be valid.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            As for `predict_unchecked`.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            As of `transform`, but always an array.
        """
        depth = self._depth()
        X, coefs = self._rows_and_coefs(X)
        hidden = hidden_representation(X, coefs[:depth], self.intercepts_[:depth], self.activation_)
        if self.projection_ is None:
            return hidden
        hidden = hidden @ self.projection_
        hidden += self.projection_offset_
        return hidden

    def get_feature_names_out(self, input_features=None):
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
        self._check_fitted()
        names = super().get_feature_names_out(input_features)
        return np.array([f"{self._prefix}{i}" for i in range(len(names))], dtype=object)

    def compression_report(self, reference, X, y=None):
        """Compare with the model that this one was made from.

        Parameters
        ----------
        reference : classifier
            The original, or a compact model of it with more precise weights; with the same
            classes.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to compare on.
        y : array-like of shape (n_samples,), default=None
            Their labels, where known.

        Returns
        -------
        dict
            "storage" and "nbytes" of this model; "max_probability_change" and
            "mean_probability_change", absolute; "changed_predictions", a share of the rows; and
            with `y` "accuracy" and "reference_accuracy".

        Raises
        ------
        ValueError
            If `reference` has other classes.
        """
        if not np.array_equal(reference.classes_, self.classes_):
            raise ValueError(
                f"reference has the classes {reference.classes_}, this model {self.classes_}."
            )
        before, after = reference.predict_proba(X), self.predict_proba(X)
        change = np.abs(after.astype(np.float64) - before)
        old, new = reference.predict(X), self.predict(X)
        report = {
            "storage": self.storage_,
            "nbytes": self.nbytes_,
            "max_probability_change": float(change.max()),
            "mean_probability_change": float(change.mean()),
            "changed_predictions": float(np.mean(old != new)),
        }
        if y is not None:
            report["accuracy"] = float(accuracy_score(y, new))
            report["reference_accuracy"] = float(accuracy_score(y, old))
        return report

    # -- files ------------------------------------------------------------------------------

    def save(self, path):
        """Write the model to a file; see :func:`skactprune.save`.

        Parameters
        ----------
        path : str or path-like
            File to write.
        """
        from skactprune.deploy.storage import save

        save(self, path)

    def to_onnx(self, path=None, *, input_dtype=None):
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
        from skactprune.deploy.onnx_export import to_onnx

        self._check_fitted()
        return to_onnx(self, path, input_dtype=input_dtype)

    # -- state ------------------------------------------------------------------------------

    def _set_weights(self, coefs, storage):
        """Hold weights, rounded to `storage`."""
        if storage not in STORAGES:
            raise ValueError(f"dtype={storage!r} must be one of {', '.join(STORAGES)}.")
        dtype = compute_dtype(storage)
        if self._input_scale is not None:
            self._input_scale = self._input_scale.astype(dtype)
        self.storage_ = storage
        rounded = [quantize(W, storage) for W in self._as_stored(coefs)]
        self._scales = [scales for _, scales in rounded] if storage == "int8" else None
        self._use(self._as_computed([dequantize(*pair) for pair in rounded]))
        self.intercepts_ = [b.astype(dtype) for b in self.intercepts_]
        if self.projection_ is not None:
            self.projection_ = self.projection_.astype(dtype)
            self.projection_offset_ = self.projection_offset_.astype(dtype)

    def _use(self, coefs):
        """Compute with these weights, without the features that have none if those are many."""
        self.coefs_ = coefs
        used = np.flatnonzero(coefs[0].any(axis=1))
        # Measured: below half, picking the columns costs less than multiplying zeros.
        self._used = used if 2 * len(used) <= len(coefs[0]) else None
        self._first_coef = coefs[0] if self._used is None else coefs[0][used]

    def _rows_and_coefs(self, X):
        if self._used is None or issparse(X):
            return X, self.coefs_
        return X.take(self._used, axis=1), [self._first_coef, *self.coefs_[1:]]

    # Features of unlike scales in one column would leave few bits for some of them. What is
    # rounded are therefore the weights without the scale of a folded scaler.
    def _as_stored(self, coefs):
        if self._input_scale is None or self.storage_ not in LOSSY:
            return coefs
        return [coefs[0] / self._input_scale[:, None], *coefs[1:]]

    def _as_computed(self, coefs):
        if self._input_scale is None or self.storage_ not in LOSSY:
            return coefs
        return [coefs[0] * self._input_scale[:, None], *coefs[1:]]

    def _packed(self):
        """Weights as `pack` describes them, and the "scales" of int8."""
        stored = self._as_stored(self.coefs_)
        if self._scales is None:
            return pack([quantize(W, self.storage_)[0] for W in stored])
        # Rounding what has been rounded before finds the same values again.
        pairs = zip(stored, self._scales, strict=True)
        packed = pack([quantize(W, self.storage_, scales)[0] for W, scales in pairs])
        return packed | {"scales": np.concatenate(self._scales)}

    def _unpack(self, packed):
        """Set the weights that `_packed` described; the rest of the state must be set."""
        sizes = [self.n_features_in_, *(len(b) for b in self.intercepts_)]
        shapes = list(zip(sizes, sizes[1:], strict=False))
        values = unpack(packed, shapes, self.storage_)
        self._scales = None
        if "scales" in packed:
            self._scales = np.split(packed["scales"], np.cumsum(sizes[1:-1]))
        scales = self._scales or [None] * len(values)
        self._use(self._as_computed(list(map(dequantize, values, scales))))

    def __getstate__(self):
        state = super().__getstate__().copy()
        if "coefs_" in state:
            for derived in ("_scales", "_used", "_first_coef"):
                del state[derived]
            state["coefs_"] = self._packed()
        return state

    def __setstate__(self, state):
        state = dict(state)
        packed = state.pop("coefs_", None)
        super().__setstate__(state)
        if packed is not None:
            self._unpack(packed)

    @property
    def nbytes_(self):
        arrays = [*self._packed().values(), *self.intercepts_]
        optional = (self.projection_, self.projection_offset_, self._input_scale)
        return sum(array.nbytes for array in [*arrays, *optional] if array is not None)

    @property
    def unused_features_(self):
        return np.flatnonzero(~self.coefs_[0].any(axis=1))

    @property
    def n_layers_(self):
        return len(self.coefs_) + 1

    @property
    def n_outputs_(self):
        return len(self.intercepts_[-1])

    @property
    def out_activation_(self):
        return "logistic" if self.n_outputs_ == 1 else "softmax"

    @property
    def _n_features_out(self):
        if self.projection_ is not None:
            return self.projection_.shape[1]
        return self.coefs_[self._depth() - 1].shape[1]

    def _depth(self):
        """Number of layers that `transform` computes."""
        if self.transform_layer_ is None:
            raise ValueError("There is no hidden layer to transform to.")
        return self.transform_layer_ + 1

    def _check_X(self, X):
        self._check_fitted()
        return check_rows(self, X, self.coefs_[0].dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = False
        dtype = "float64" if not hasattr(self, "coefs_") else self.coefs_[0].dtype.name
        tags.transformer_tags.preserves_dtype = [dtype]
        return tags
