"""What estimators that learn classes share, whether they predict them or not."""

from numbers import Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    unique_labels,
)

from skactprune.estimators._base import BasePrunedMLP
from skactprune.estimators._parameters import CONSTRAINTS
from skactprune.estimators._task import Classification
from skactprune.estimators._whole import all_or_nothing


class LearnsClasses(BasePrunedMLP):
    """Base class of the estimators whose targets are classes; not for direct use.

    Parameters
    ----------
    trigger : {"progress", "epoch", "accuracy"} or trigger, default="progress"
        When the rounds are done. "progress": as "epoch", but of 200 epochs at most, so that
        `max_iter` is a limit and no schedule; and a round comes sooner where neither loss nor,
        with `early_stopping`, validation score improves. "epoch": evenly spaced from 10 % to 60 %
        of `max_iter`. Rounds that fall on the same epoch are done together. "accuracy": when the
        training accuracy reaches marks from 0.80 to 0.98. Options are those of
        `skactprune.triggers`.
    components : {"predictive", "pca"}, default="predictive"
        Which components. "predictive": first the directions through which a reduced-rank
        logistic regression tells the classes best, one less than there are classes at most; then
        the principal components of what these leave unexplained. They are learned from up to
        10 000 evenly spaced rows. "pca": the principal components, which do not look at the
        classes. Along either, rows of training are uncorrelated.
    early_stopping : bool, default=False
        Whether to set validation rows aside, stop on their accuracy, and go back to the weights
        that did best on them after the last pruning round. They are stratified wherever both
        parts can have rows of every class. MLPClassifier documents the same, but as of 1.9 it
        stratifies two classes only, and refuses to split where one of them has a single row.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, not negative, multiplied into the sample weights.
    init_estimator : estimator, default=None
        Fitted MLPClassifier, in a :class:`sklearn.frozen.FrozenEstimator`, whose weights to start
        from instead of random ones; `hidden_layer_sizes` is then taken from it. See
        `from_sklearn`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    net_ : skorch.NeuralNetClassifier
        The trained net, in its compact size.
    validation_scores_ : list of float or None
        Validation accuracy of every epoch; None without `early_stopping`.
    n_outputs_ : int
        Number of outputs; 1 for two classes.
    out_activation_ : {"logistic", "softmax"}
        Activation of the output.
    """

    _parameter_constraints: dict = {
        **CONSTRAINTS,
        "class_weight": [None, dict, StrOptions({"balanced"})],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        method="activation_surgeon",
        prune_fraction=0.8,
        prune_features=0,
        n_prune_rounds=5,
        trigger="progress",
        min_neurons=1,
        n_components=None,
        components="predictive",
        transform_layer=-1,
        whiten=False,
        fit_inverse_transform=False,
        inverse_alpha=1.0,
        solver="adam",
        alpha=0.0001,
        weight_decay="auto",
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        class_weight=None,
        dropout=0.0,
        dtype="auto",
        device="cpu",
        net_params=None,
        init_estimator=None,
    ):
        shared = locals()
        super().__init__(**{name: shared[name] for name in CONSTRAINTS})
        self.class_weight = class_weight

    @classmethod
    def from_sklearn(cls, mlp, **params):
        """Start from the weights of a fitted MLPClassifier.

        Parameters
        ----------
        mlp : sklearn.neural_network.MLPClassifier
            Fitted on two or more classes; it is copied. Its parameters are taken over, except
            that "lbfgs" becomes "adam".
        **params
            Parameters of this class, `prune_fraction` for instance; not `hidden_layer_sizes` and
            `init_estimator`, which are those of `mlp`.

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
            If `mlp` is a multilabel classifier, or for parameters that follow from it.
        """
        from sklearn.neural_network import MLPClassifier

        return cls._from_sklearn(mlp, MLPClassifier, params)

    @all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        """Train and prune.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Training rows; they should be scaled.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative, in the loss, the firing counts and the covariances
            of "activation_surgeon". Rows of weight 0 are left out.
        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, n_features), default=None
            Rows of the same distribution, scaled as `X`, on which firing is counted instead of
            on the training rows; each weighs 1. Until the last round is done, each epoch is
            followed by a forward pass without dropout over as many of them as there are training
            rows. They come in random order, and in a new one whenever all have been counted.
            ``Ganguli2024(counting="sample")`` and "activation_surgeon" draw their samples from
            them. They are converted to the dtype of `X`; the loss does not see them. Without rounds
            (``prune_fraction=0``), nothing is counted.

            `n_unlabeled` must not be the number of rows of `X`: scikit-learn's cross-validation
            takes an argument with as many rows as the data to hold one value a row, and splits
            it with the data.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For parameters or data out of range, the message names them; and for `X_unlabeled`
            with a method that counts nothing.
        """
        return self._fit(X, y, sample_weight, X_unlabeled, incremental=False)

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None, X_unlabeled=None):
        """Train for one epoch on the given rows.

        Every call is one epoch of the schedule that `fit` follows in `max_iter` epochs, pruning
        rounds included.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        classes : array-like of shape (n_classes,), default=None
            All classes. A classifier needs them in the first call; a transformer else takes those
            that are in the `y` of that.
        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, n_features), default=None
            Rows on which firing is counted instead of on those of `X`, as in `fit`, in a new
            order in every call. It may have any number of rows.

        Returns
        -------
        self : object
            The estimator.
        """
        if _check_partial_fit_first_call(self, self._classes_to_come(classes, y)):
            vars(self).pop("_state", None)
        return self._fit(X, y, sample_weight, X_unlabeled, incremental=True)

    def _classes_to_come(self, classes, y):
        """What `partial_fit` takes for all classes; None where they are known, or missing."""
        return classes

    @property
    def _task(self):
        return Classification(self.classes_)

    def _check_targets(self, X, y, sample_weight, resume, incremental):
        check_classification_targets(y)
        self._set_classes(unique_labels(y), resume, incremental)
        weight = self._row_weights(X, y, sample_weight, incremental)
        if weight is not None and not weight.any():
            raise ValueError(
                f"class_weight={self.class_weight!r} leaves no row of y with a positive weight."
            )
        return y, weight

    def _set_classes(self, present, resume, incremental):
        if resume or incremental:
            known = self.classes_
        else:
            known = present if self.init_estimator is None else self.init_estimator.classes_
        if len(known) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes; y has only one class: "
                f"{known.tolist()[0]!r}."
            )
        self.classes_ = np.asarray(known)
        unknown = np.setdiff1d(present, self.classes_)
        if len(unknown) or (resume and not incremental and len(present) < len(self.classes_)):
            raise ValueError(
                f"y must have the classes of the earlier fit or of init_estimator, {self.classes_}"
                f"; it has {present}."
            )

    def _row_weights(self, X, y, sample_weight, incremental):
        if self.class_weight is None:
            return sample_weight
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} is not supported by partial_fit, which does "
                "not see all rows; give a dict of weights."
            )
        if isinstance(self.class_weight, dict) and not all(
            isinstance(weight, Real) and 0 <= weight < np.inf
            for weight in self.class_weight.values()
        ):
            raise ValueError(
                f"class_weight={self.class_weight!r} must have finite weights that are not "
                "negative."
            )
        counted = slice(None) if sample_weight is None else sample_weight > 0
        present = self.classes_ if isinstance(self.class_weight, dict) else np.unique(y[counted])
        weights = np.zeros(len(self.classes_))
        weights[np.searchsorted(self.classes_, present)] = compute_class_weight(
            self.class_weight,
            classes=present,
            y=y[counted],
            sample_weight=None if sample_weight is None else sample_weight[counted],
        )
        weights = weights[self._task.encode(y)].astype(X.dtype)
        return weights if sample_weight is None else weights * sample_weight

    def _take_targets(self, mlp):
        if mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1:
            raise ValueError("mlp is a multilabel classifier; only single labels are supported.")
        self.classes_ = np.asarray(mlp.classes_)
