"""CompactMLPClassifier."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin

from skactprune._array_api import as_numpy
from skactprune._docs import shares_docs
from skactprune.deploy.base import BaseCompactMLP, check_holds_model
from skactprune.deploy.files import FORMATS
from skactprune.nets.outputs import is_multilabel_net, output_for_classes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import MatrixLike
    from skactprune.chunks import Chunks
    from skactprune.deploy.onnx import Graph
    from skactprune.deploy.weights import CompactWeights
    from skactprune.nets.outputs import ClassOutput


@FORMATS.add("skactprune.CompactMLPClassifier")
@shares_docs
class CompactMLPClassifier(ClassifierMixin, BaseCompactMLP):
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
    multilabel_ : bool
        Whether rows have any number of labels, rather than one class.
    {weights_, coefs_, kernel_sizes_, intercepts_, activation_}
    out_activation_ : {"logistic", "softmax"}
        Activation of the output.
    {storage_, nbytes_, transform_layer_, n_components_, components_, inverse_coef_, projection_}
    {projection_offset_, unused_features_, n_layers_}
    n_outputs_ : int
        Number of outputs; 1 for two classes.
    {n_features_in_, feature_names_in_, output_prefix_}

    Notes
    -----
    Rows are validated soonest as a plain array in the dtype of ``coefs_[0]``, and where the model
    knows no feature names.

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

    # -- made of weights --------------------------------------------------------------------

    @classmethod
    def of(
        cls,
        weights: CompactWeights,
        classes: NDArray[Any],
        *,
        output_prefix: str,
        feature_names: NDArray[Any] | None = None,
        multilabel: bool = False,
    ) -> Self:
        """Model that computes with the given weights.

        Parameters
        ----------
        weights : skactprune.deploy.weights.CompactWeights
            What it computes with.
        classes : ndarray of shape (n_classes,)
            Class labels, two or more; the labels of its outputs.
        output_prefix : str
            What the names of the columns of `transform` begin with.
        feature_names : ndarray of shape (n_features,), default=None
            Names of the features.
        multilabel : bool, default=False
            Whether rows have any number of labels.

        Returns
        -------
        CompactMLPClassifier

        Raises
        ------
        ValueError
            If there is another number of outputs than such classes have.
        """
        n_classes, n_outputs = len(classes), weights.n_outputs
        if n_outputs != output_for_classes(n_classes, multilabel).width(n_classes):
            raise ValueError(f"{n_classes} classes do not fit {n_outputs} outputs")
        model = cls()
        model.classes_, model.output_prefix_ = classes, output_prefix
        model.multilabel_ = multilabel
        return model.with_weights(weights, feature_names)

    # -- in files ---------------------------------------------------------------------------

    def file_metadata(self) -> dict[str, Any]:
        """What files hold of it besides its weights.

        Returns
        -------
        dict
            Fit for JSON.

        Raises
        ------
        NotFittedError
            If it holds no model.
        ValueError
            If the class labels are not integers, bools, finite floats or strings.
        """
        check_holds_model(self)
        # Where it is not said, each row has one class.
        labels = {"multilabel": True} if self.multilabel_ else {}
        return {"classes": _described(self.classes_)} | labels

    @classmethod
    def of_file(cls, weights: CompactWeights, metadata: dict[str, Any]) -> Self:
        """Model of what a file holds, which is checked.

        Parameters
        ----------
        weights : skactprune.deploy.weights.CompactWeights
            What it computes with.
        metadata : dict
            Contains what `file_metadata` gave.

        Returns
        -------
        CompactMLPClassifier

        Raises
        ------
        ValueError
            If it gave no such classes, or there is another number of outputs.
        """
        classes = metadata["classes"]
        if not isinstance(classes, dict) or set(classes) != {"dtype", "values"}:
            raise ValueError("its classes is invalid")
        multilabel = metadata.get("multilabel", False)
        if not isinstance(multilabel, bool):
            raise ValueError("its multilabel is invalid")
        return cls.of(weights, _restored(**classes), output_prefix="", multilabel=multilabel)

    def add_to_onnx(self, graph: Graph, rows: str) -> None:
        """Add what is predicted for rows to an ONNX graph.

        Parameters
        ----------
        graph : skactprune.deploy.onnx.Graph
            Graph.
        rows : str
            Name of the rows in it.

        Raises
        ------
        ValueError
            If the class labels neither are strings nor have the same value as an int64.
        """
        graph.classify(rows, self.weights_, self._output, self.classes_)

    # -- prediction -------------------------------------------------------------------------

    def predict(self, X: MatrixLike | Chunks) -> NDArray[Any]:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Labels; of a multilabel net 0 or 1 for each, never sparse.
        """
        return self._of_rows(
            lambda rows: self._output.predict(self.weights_.logits(rows), self.classes_), X
        )

    def predict_proba(self, X: MatrixLike | Chunks) -> NDArray[Any]:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`, in the dtype of the weights; of a
            multilabel net those of each label.
        """
        return self._of_rows(lambda rows: self._output.link(self.weights_.logits(rows)), X)

    def predict_log_proba(self, X: MatrixLike | Chunks) -> NDArray[Any]:
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return self._of_rows(lambda rows: self._output.log_link(self.weights_.logits(rows)), X)

    def compression_report(
        self, reference: Any, X: MatrixLike | Chunks, y: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Compare with the model that this one was made from.

        Parameters
        ----------
        reference : classifier
            The original, or a compact model of it with more precise weights; with the same
            classes.
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
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
        from sklearn.metrics import accuracy_score

        X, y = as_numpy(X, y)
        alike = is_multilabel_net(reference) == self.multilabel_
        if not (alike and np.array_equal(reference.classes_, self.classes_)):
            raise ValueError(
                f"reference has the classes {reference.classes_}, this model {self.classes_}."
            )
        before, after = reference.predict_proba(X), self.predict_proba(X)
        change = np.abs(after.astype(np.float64) - before)
        old, new = _dense(reference.predict(X)), self.predict(X)
        changed = old != new
        report = {
            "storage": self.storage_,
            "nbytes": self.nbytes_,
            "max_probability_change": float(change.max()),
            "mean_probability_change": float(change.mean()),
            "changed_predictions": float(changed.reshape(len(new), -1).any(axis=1).mean()),
        }
        if y is not None:
            report["accuracy"] = float(accuracy_score(y, new))
            report["reference_accuracy"] = float(accuracy_score(y, old))
        return report

    @property
    def out_activation_(self) -> str:
        return self._output.activation or self._output.name

    @property
    def _output(self) -> ClassOutput:
        return output_for_classes(len(self.classes_), self.multilabel_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # A frozen model predicts what it has learned, one or the other.
        tags.classifier_tags.multi_label = getattr(self, "multilabel_", False)
        return tags


def _dense(labels: Any) -> NDArray[Any]:
    return labels.toarray() if issparse(labels) else labels


def _described(classes: NDArray[Any]) -> dict[str, Any]:
    """Class labels, fit for JSON."""
    values = classes.tolist()
    is_object = classes.dtype == object and all(type(value) is str for value in values)
    described = {"dtype": "object" if is_object else classes.dtype.str, "values": values}
    try:
        _restored(**described)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"Class labels must be integers, bools, floats or strings to be saved, none twice, "
            f"all finite, and not much shorter than their dtype allows, got dtype {classes.dtype}: "
            f"{classes!r}."
        ) from error
    return described


def _restored(dtype: Any, values: Any) -> NDArray[Any]:
    """Class labels that `_described` described."""
    types = _types_of(dtype)
    if not isinstance(values, list) or any(type(value) not in types for value in values):
        raise ValueError("its classes are invalid")
    if len(set(values)) != len(values) or not _fit(dtype, values):
        raise ValueError("its classes are invalid")
    if len(values) < 2:
        raise ValueError("it has fewer than two classes")
    classes = np.array(values, dtype=dtype)
    # Not where a type is too small for its values, or says another thing than it is.
    if classes.tolist() != values or dtype not in ("object", classes.dtype.str):
        raise ValueError("its classes are invalid")
    return classes


def _types_of(dtype: Any) -> tuple[type, ...]:
    """Types in Python of what an array of labels has; none where it can be no array of labels."""
    if dtype == "object":
        return (str,)
    kinds = {"b": bool, "i": int, "u": int, "f": float, "U": str}
    found = re.fullmatch("[<>|=]([biufU])[0-9]{1,9}", dtype) if isinstance(dtype, str) else None
    return (kinds[found[1]],) if found else ()


def _fit(dtype: str, values: list[Any]) -> bool:
    """Whether labels are finite, and take not much more memory as an array than they have."""
    if dtype == "object" or dtype[1] != "U":
        return all(np.isfinite(value) for value in values if type(value) is float)
    return int(dtype[2:]) * len(values) <= max(2**20, 256 * sum(map(len, values)))
