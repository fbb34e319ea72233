"""What estimators that learn classes share, whether they predict them or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from skactprune._array_api import as_numpy
from skactprune._docs import shares_docs
from skactprune._options import NOT_NEGATIVE
from skactprune.estimators._base import BasePrunedMLP
from skactprune.estimators._classification import Classification, MultilabelClassification
from skactprune.estimators._parameters import CONSTRAINTS
from skactprune.estimators._whole import all_or_nothing
from skactprune.nets.outputs import is_multilabel_net

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import CheckedRows, MatrixLike
    from skactprune.chunks import Chunks
    from skactprune.pruning.method import Method


@shares_docs
class LearnsClasses(BasePrunedMLP):
    """Base class of the estimators whose targets are classes; not for direct use.

    Parameters
    ----------
    components : {"predictive", "pca"}, default="predictive"
        Which components. "predictive": first the directions through which a reduced-rank
        logistic regression tells the classes best, one less than there are classes at most; then
        the principal components of what these leave unexplained. They are learned from up to
        10 000 evenly spaced rows. With multilabel targets, those through which the net tells its
        own logits come first. "pca": the principal components, which do not look at the
        classes. Along either, rows of training are uncorrelated.
    early_stopping : bool, default=False
        Whether to set validation rows aside, unless `fit` gets some, stop on their accuracy or
        other `scoring`, and go back to the weights that did best on them after the last pruning
        round. They are stratified wherever both parts can have rows of every class, of multilabel
        targets not. MLPClassifier documents the same, but as of 1.9 it stratifies two classes only,
        and refuses to split where one of them has a single row.
    class_weight : dict, list of dict, "balanced" or None, default=None
        Weights of the classes, not negative, multiplied into the sample weights, those of
        `sample_weight_val` excepted. For multilabel targets a list of one dict for each label, of
        weights of 0 and 1; those of all labels of a row are multiplied, as in
        :func:`sklearn.utils.class_weight.compute_sample_weight`.
    init_estimator : estimator, default=None
        Fitted MLPClassifier, in a :class:`sklearn.frozen.FrozenEstimator`, whose weights to start
        from instead of random ones; `hidden_layer_sizes` is then taken from it. See
        `from_sklearn`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel targets the numbers of their columns.
    multilabel_ : bool
        Whether it was fitted to multilabel targets.
    net_ : skorch.NeuralNetClassifier
        The trained net, in its compact size.
    n_outputs_ : int
        Number of outputs; 1 for two classes.
    out_activation_ : {"logistic", "softmax"}
        Activation of the output; "logistic" for two classes and for multilabel targets.
    """

    _targets_allowed = {"multi_output": True}
    _parameter_constraints: dict[str, list[Any]] = {
        **CONSTRAINTS,
        "class_weight": [None, dict, list, StrOptions({"balanced"})],
    }
    classes_: NDArray[Any]
    multilabel_: bool
    _sparse_labels: bool

    def __init__(
        self,
        hidden_layer_sizes: ArrayLike | int = (100,),
        activation: Literal["identity", "logistic", "tanh", "relu"] = "relu",
        *,
        method: str | Method = "activation_surgeon",
        prune_fraction: float | None = 0.8,
        prune_features: float = 0,
        prune_output: float = 0,
        n_prune_rounds: int = 5,
        trigger: Any = "progress",
        min_neurons: int | Sequence[int] = 1,
        n_components: float | None = None,
        components: Literal["predictive", "pca"] = "predictive",
        transform_layer: int | Literal["all"] = -1,
        whiten: bool = False,
        fit_inverse_transform: bool = False,
        inverse_alpha: float = 1.0,
        solver: Literal["adam", "sgd"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        scoring: str | Callable[..., Any] | None = None,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        class_weight: dict[Any, float] | list[dict[Any, float]] | Literal["balanced"] | None = None,
        dropout: float | ArrayLike = 0.0,
        dtype: Literal["auto", "float32", "float64"] = "auto",
        device: Literal["cpu", "cuda", "auto"] = "cpu",
        net_params: dict[str, Any] | None = None,
        init_estimator: Any = None,
        pretrain: Any = None,
    ) -> None:
        shared = locals()
        super().__init__(**{name: shared[name] for name in CONSTRAINTS})
        self.class_weight = class_weight

    @classmethod
    def from_sklearn(cls, mlp: Any, **params: Any) -> Any:
        """Start from the weights of a fitted MLPClassifier.

        Parameters
        ----------
        mlp : sklearn.neural_network.MLPClassifier
            Fitted on two or more classes, or on labels; it is copied. Its parameters are taken
            over, except that "lbfgs" becomes "adam".
        **params
            Parameters of this class, `prune_fraction` for instance; not `hidden_layer_sizes`,
            `init_estimator` and `pretrain`: layers and weights are those of `mlp`.

        Returns
        -------
        object
            Fitted: its net computes what `mlp` computes. `fit` starts from these weights and
            prunes; clones of it do, too.

        Raises
        ------
        NotFittedError
            If `mlp` is not fitted.
        TypeError
            If `mlp` is something else.
        ValueError
            For parameters that follow from it.
        """
        from sklearn.neural_network import MLPClassifier

        return cls._from_sklearn(mlp, MLPClassifier, params)

    @all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: MatrixLike | Chunks,
        y: MatrixLike,
        sample_weight: ArrayLike | None = None,
        X_unlabeled: MatrixLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train and prune.

        Parameters
        ----------
        {X}
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_classes)
            Class labels; or, for any number of labels a row, 0 and 1 in a column for each label.
        {sample_weight, X_unlabeled, X_val, y_val, sample_weight_val}

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For parameters or data out of range, the message names them; for `X_unlabeled` with a
            method that counts nothing and no `pretrain` to be fitted; and for `X_val` without
            `y_val` or ``early_stopping=True``.
        """
        validation = X_val, y_val, sample_weight_val
        return self._fit(X, y, sample_weight, X_unlabeled, incremental=False, validation=validation)

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: MatrixLike | Chunks,
        y: MatrixLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        X_unlabeled: MatrixLike | None = None,
    ) -> Self:
        """Train for one epoch on the given rows.

        Every call is one epoch of the schedule that `fit` follows in `max_iter` epochs, pruning
        rounds included.

        Parameters
        ----------
        {X}
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_classes)
            Class labels; or, for any number of labels a row, 0 and 1 in a column for each label.
        {sample_weight}
        classes : array-like of shape (n_classes,), default=None
            All classes, or the numbers of all columns of `y`. A classifier needs them in the first
            call; a transformer else takes those that are in the `y` of that.
        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, n_features), default=None
            Rows on which firing is counted instead of on those of `X`, as in `fit`, in a new
            order in every call. It may have any number of rows.

        Returns
        -------
        self : object
            The estimator.
        """
        y, classes = as_numpy(y, classes)
        if _check_partial_fit_first_call(self, self._classes_to_come(classes, y)):
            self.__dict__.pop("_state", None)
        return self._fit(X, y, sample_weight, X_unlabeled, incremental=True)

    def _classes_to_come(self, classes: Any, y: MatrixLike) -> Any:
        """What `partial_fit` takes for all classes; None where they are known, or missing."""
        return classes

    @property
    def _task(self) -> Classification | MultilabelClassification:
        if self.multilabel_:
            return MultilabelClassification(len(self.classes_))
        return Classification(self.classes_)

    def _check_targets(
        self,
        X: CheckedRows,
        y: Any,
        sample_weight: NDArray[Any] | None,
        resume: bool,
        incremental: bool,
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        kind = type_of_target(y, input_name="y")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y has several columns of classes, which are not supported. Give each column to a "
                "classifier of its own, as sklearn.multioutput.MultiOutputClassifier does; or give "
                "a column of 0 and 1 for each label."
            )
        check_classification_targets(y)
        given, y = y, self._as_targets(y)
        self._sparse_labels = issparse(given) and y.ndim == 2
        self._set_classes(y, resume, incremental)
        if self.multilabel_:
            self._task.check(y, "y")
        weight = self._row_weights(X, y, sample_weight, incremental)
        if weight is not None and not weight.any():
            raise ValueError(
                f"class_weight={self.class_weight!r} leaves no row of y with a positive weight."
            )
        return y, weight

    def _set_classes(self, y: NDArray[Any], resume: bool, incremental: bool) -> None:
        known, present = self if resume else self.init_estimator, unique_labels(y)
        if known is not None and is_multilabel_net(known) != (y.ndim == 2):
            which = "labels" if y.ndim == 1 else "classes"
            raise ValueError(
                f"y has the shape {y.shape}; the net of the earlier fit or of init_estimator "
                f"tells {which}, and needs targets like those that it had."
            )
        self.multilabel_ = y.ndim == 2
        classes = self.classes_ if incremental else present if known is None else known.classes_
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes; y has only one class: "
                f"{classes.tolist()[0]!r}."
            )
        self.classes_ = np.asarray(classes)
        unknown = np.setdiff1d(present, self.classes_)
        all_needed = self.multilabel_ or (resume and not incremental)
        if len(unknown) or (all_needed and len(present) < len(self.classes_)):
            whose = "the earlier fit or of init_estimator"
            if incremental:
                whose = "the earlier fit, or of classes in the first call of partial_fit"
            raise ValueError(
                f"y must have the classes of {whose}, {self.classes_}; it has {present}."
            )

    def _row_weights(
        self,
        X: CheckedRows,
        y: NDArray[Any],
        sample_weight: NDArray[Any] | None,
        incremental: bool,
    ) -> NDArray[Any] | None:
        """Weights of the rows times those of their classes: of labels, of all of them."""
        if self.class_weight is None:
            return sample_weight
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} is not supported by partial_fit, which does "
                "not see all rows; give a dict of weights."
            )
        columns, classes = [y], self.classes_
        if self.multilabel_:
            columns, classes = list(y.T), np.arange(2)
        weights = np.ones(len(y), X.dtype)
        with np.errstate(over="ignore"):
            for of_classes, column in zip(self._class_weights(), columns, strict=True):
                encoded = np.searchsorted(classes, column)
                weights *= _class_weights(of_classes, column, classes, sample_weight)[encoded]
            if sample_weight is not None:
                weights *= sample_weight
        if not np.isfinite(weights).all():
            raise ValueError(
                f"class_weight={self.class_weight!r} gives rows weights that are too large for "
                f"{X.dtype}, the type of the weights of the net."
            )
        return weights

    def _class_weights(self) -> Sequence[dict[Any, float] | Literal["balanced"]]:
        """One `class_weight` for classes, or one for each label."""
        given, n_labels = self.class_weight, len(self.classes_)
        if isinstance(given, str):
            return [given] * (n_labels if self.multilabel_ else 1)
        if isinstance(given, list) != self.multilabel_:
            needed = "a list of a dict for each label" if self.multilabel_ else "one dict"
            raise ValueError(f"class_weight={given!r} must be {needed}, or 'balanced', for this y.")
        dicts: Sequence[Any] = given if isinstance(given, list) else [given]
        if len(dicts) != (n_labels if self.multilabel_ else 1):
            raise ValueError(
                f"class_weight={given!r} must have {n_labels} dicts, one for each label."
            )
        if not all(
            isinstance(weights, dict) and all(map(NOT_NEGATIVE.is_satisfied_by, weights.values()))
            for weights in dicts
        ):
            raise ValueError(
                f"class_weight={given!r} must have finite weights that are not negative."
            )
        return dicts

    def _take_targets(self, mlp: Any) -> None:
        self.classes_ = np.asarray(mlp.classes_)
        self.multilabel_, self._sparse_labels = is_multilabel_net(mlp), False


def _class_weights(
    class_weight: dict[Any, float] | Literal["balanced"],
    y: NDArray[Any],
    classes: NDArray[Any],
    sample_weight: NDArray[Any] | None,
) -> NDArray[Any]:
    """Weights of classes; 0 for those that are not there to be balanced."""
    counted = slice(None) if sample_weight is None else sample_weight > 0
    present = classes if isinstance(class_weight, dict) else np.unique(y[counted])
    weights = np.zeros(len(classes))
    weights[np.searchsorted(classes, present)] = compute_class_weight(
        class_weight,
        classes=present,
        y=y[counted],
        sample_weight=None if sample_weight is None else sample_weight[counted],
    )
    return weights
