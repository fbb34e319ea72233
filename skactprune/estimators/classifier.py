"""PrunedMLPClassifier."""

from copy import deepcopy
from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    unique_labels,
)
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_is_fitted,
    validate_data,
)

from skactprune.estimators._base import CONSTRAINTS, BasePrunedMLP
from skactprune.estimators._checks import check_init_estimator
from skactprune.estimators._task import Classification
from skactprune.estimators._whole import all_or_nothing


class PrunedMLPClassifier(ClassifierMixin, BasePrunedMLP):
    """Multi-layer perceptron classifier that loses neurons while it learns.

    It trains as :class:`sklearn.neural_network.MLPClassifier` does. In `n_prune_rounds` rounds a
    `method` removes neurons, or single weights, until `prune_fraction` of the hidden weights is
    gone, and the net trains on; by default those neurons leave for which the others of their layer
    can best stand in, and single weights where a layer has become narrow. What remains is smaller,
    faster and of lower rank. As a transformer it gives its hidden representation.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(100,)
        Neurons of every hidden layer before pruning.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation of the hidden layers.
    method : str or Method, default="activation_surgeon"
        How to prune: the name of a class in `skactprune.methods`, or of one added with
        `skactprune.register`, with its default options; or an object with options such as
        ``Activation(granularity="weight")``, which nest in a grid as ``method__granularity``.
        The names are those in ``list(skactprune.methods.METHODS)``.
    prune_fraction : float or None, default=0.8
        Share of the hidden layers' weights that is gone after the last round, in [0, 1). Weights
        of the output layer do not count and are not pruned, except that those of removed
        neurons leave with them. 0 is an ordinary multi-layer perceptron. None only, and always,
        where the method has a threshold of its own set, which decides then.
    prune_features : float, default=0
        Share of the input features that no weight reads after the last round, in [0, 1), rounded
        up; at least one stays. They leave in the same rounds, each just before neurons or weights
        do, and those that never vary go first. The net then computes what it did on rows in which
        they had their mean, unless other features take over, as with "activation_surgeon". They
        are counted apart: `prune_fraction` is then the share that is gone of the weights of the
        features that stay, as if the net had never had the others; `sparsity_` counts these as
        gone, too. `predict` takes rows with all features; `get_support` tells which are left, and
        `compact` makes models for rows of these alone. Which go is up to the `method`; those that
        let weights come back, or count on all weights of the net, refuse.
    n_prune_rounds : int, default=5
        Number of rounds; 0 is an ordinary multi-layer perceptron, too.
    trigger : {"progress", "epoch", "accuracy"} or trigger, default="progress"
        When the rounds are done. "progress": as "epoch", but of 200 epochs at most, so that
        `max_iter` is a limit and no schedule; and a round comes sooner where neither loss nor,
        with `early_stopping`, validation score improves. "epoch": evenly spaced from 10 % to 60 %
        of `max_iter`. Rounds that fall on the same epoch are done together. "accuracy": when the
        training accuracy reaches marks from 0.80 to 0.98. Options are those of
        `skactprune.triggers`.
    min_neurons : int or sequence of int, default=1
        Neurons that every hidden layer, or each of them, keeps at least.
    n_components : int, default=None
        Number of components of the hidden representation that `transform` returns; the layer then
        keeps at least as many neurons. None returns the neurons themselves.
    components : {"predictive", "pca"}, default="predictive"
        Which components. "predictive": first the directions through which a reduced-rank
        logistic regression tells the classes best, one less than there are classes at most; then
        the principal components of what these leave unexplained. They are learned from up to
        10 000 evenly spaced rows. "pca": the principal components, which do not look at the
        classes. Along either, rows of training are uncorrelated.
    transform_layer : int, default=-1
        Index of the hidden layer that `transform` shows.
    solver : {"adam", "sgd"}, default="adam"
        Optimizer. The "lbfgs" of MLPClassifier has no epochs between which to prune; it is
        refused, and `max_fun`, which only "lbfgs" reads, is not a parameter here.
    alpha : float, default=0.0001
        Strength of the L2 penalty: ½ alpha ‖W‖² over the sum of the sample weights of the batch
        is added to the loss, weights only.
    weight_decay : float or "auto", default="auto"
        Decoupled weight decay (Loshchilov & Hutter, 2019): before every step, weights lose this
        share of themselves times the learning rate. "auto" is ``min(0.5, 1000 / n_samples)``, for
        `partial_fit` of all rows so far, where a net is pruned and trained by "adam"; elsewhere
        it is 0, as in MLPClassifier. What a wide net learns of single rows of a small or noisy
        table, pruning hands on to a narrow one, which is then sure of what is wrong.
    batch_size : int or "auto", default="auto"
        Rows a batch, at most all of them; "auto" is ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        As in MLPClassifier; for "sgd" only.
    learning_rate_init : float, default=0.001
        Initial learning rate.
    power_t : float, default=0.5
        Exponent of ``learning_rate="invscaling"``.
    max_iter : int, default=200
        Epochs at most.
    shuffle : bool, default=True
        Whether to shuffle the rows before every epoch.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, validation split, shuffling, dropout, random scores, the order
        of unlabelled rows and samples of rows. None takes a seed from the operating system;
        numpy's and torch's global generators are neither read nor changed.
    tol : float, default=1e-4
        Training stops when loss, or validation score with `early_stopping`, has not improved by
        `tol` for `n_iter_no_change` epochs after the last pruning round.
    verbose : bool, default=False
        Whether to print the loss of every epoch.
    warm_start : bool, default=False
        Whether `fit` continues with the fitted net. The fraction refers to the original net, so
        that nothing is pruned twice.
    momentum : float, default=0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to set validation rows aside, stop on their accuracy, and go back to the weights
        that did best on them after the last pruning round. They are stratified wherever both
        parts can have rows of every class. MLPClassifier documents the same, but as of 1.9 it
        stratifies two classes only, and refuses to split where one of them has a single row.
    validation_fraction : float, default=0.1
        Share of the rows set aside by `early_stopping`.
    beta_1 : float, default=0.9
        Decay rate of the first moment in "adam".
    beta_2 : float, default=0.999
        Decay rate of the second moment in "adam".
    epsilon : float, default=1e-8
        Numerical stability in "adam".
    n_iter_no_change : int, default=10
        See `tol`.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, not negative, multiplied into the sample weights.
    dropout : float or array-like of float, default=0.0
        Dropout rate of every hidden layer, or one rate for the input and one for each hidden
        layer. Firing is counted before dropout.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Type of weights and computation; "auto" is that of `X` where it is one of these, else
        float64. float32 is about twice as fast.
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where to train; "auto" takes CUDA where there is one. Prediction is done in numpy.
    net_params : dict, default=None
        Further parameters of the skorch net, such as ``{"callbacks": [...]}`` or
        ``{"optimizer": torch.optim.AdamW}``.
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
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of the compact net.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of the compact net.
    masks_ : list of bool ndarray of shape (n_in, n_out)
        For every hidden layer in its original size: which weights are left.
        ``coefs_[l]`` aligns with ``masks_[l][np.ix_(live_neurons_[l - 1], live_neurons_[l])]``.
    live_neurons_ : list of int ndarray
        Indices of the neurons that are left, in the original hidden layers.
    unused_features_ : ndarray of int
        Indices of the features that no live path reads.
    factors_ : list of {(ndarray of shape (n_in, r), ndarray of shape (r, n_out)), None}
        For each hidden layer two matrices whose product its weights are, where the method keeps
        them; None elsewhere.
    sparsity_ : float
        Share of the hidden layers' original weights that is gone, or that `factors_` save.
    activation_counts_ : list of ndarray or None
        For every hidden layer in its original size: how often each neuron fired in training,
        or on `X_unlabeled` until the last round; int64, or float64 where training rows with
        sample or class weights were counted. None where the method does not count.
    pruning_history_ : list of dict
        One row a round: round, epoch, sparsity, live_neurons, train_score, validation_score.
    hidden_ranks_ : list of int
        Numerical rank of every hidden weight matrix; computed on first use.
    components_ : ndarray of shape (n_components, n_neurons)
        Directions of length 1 that `transform` projects on; only with `n_components`.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance of the hidden representation that each explains, in their order, by
        which "predictive" ones are not sorted; only with `n_components`.
    n_iter_ : int
        Epochs of the last fit.
    t_ : int
        Training rows seen.
    loss_ : float
        Loss of the last epoch. The L2 part of it is taken at the end of the epoch.
    loss_curve_ : list of float
        Loss of every epoch.
    best_loss_ : float or None
        Lowest loss after the last round; None with `early_stopping`, or where the last round ended
        the fit or did not come.
    validation_scores_ : list of float or None
        Validation accuracy of every epoch; None without `early_stopping`.
    best_validation_score_ : float or None
        Best of them after the last round; None without `early_stopping`, or where the last round
        ended the fit or did not come.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of outputs; 1 for two classes.
    out_activation_ : {"logistic", "softmax"}
        Activation of the output.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where `X` has names that are all strings.

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skactprune import PrunedMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = PrunedMLPClassifier(max_iter=100, early_stopping=True, random_state=0)
    >>> clf = clf.fit(X_train, y_train)
    >>> len(clf.live_neurons_[0]), round(clf.sparsity_, 2)
    (20, 0.8)
    >>> clf.score(X_test, y_test) > 0.9
    True
    >>> clf.transform(X_test).shape
    (450, 20)
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.method = method
        self.prune_fraction = prune_fraction
        self.prune_features = prune_features
        self.n_prune_rounds = n_prune_rounds
        self.trigger = trigger
        self.min_neurons = min_neurons
        self.n_components = n_components
        self.components = components
        self.transform_layer = transform_layer
        self.solver = solver
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.dropout = dropout
        self.dtype = dtype
        self.device = device
        self.net_params = net_params
        self.init_estimator = init_estimator

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
        PrunedMLPClassifier
            Fitted: it predicts what `mlp` predicts. `fit` starts from these weights and prunes;
            clones of it do, too.

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

        if not isinstance(mlp, MLPClassifier):
            raise TypeError(f"mlp must be a fitted MLPClassifier, not {type(mlp).__name__}.")
        check_is_fitted(mlp)
        if mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1:
            raise ValueError("mlp is a multilabel classifier; only single labels are supported.")
        for name in {"hidden_layer_sizes", "init_estimator"} & set(params):
            raise ValueError(f"{name}={params[name]!r} must be left out: it follows from mlp.")
        shared = {k: v for k, v in mlp.get_params().items() if k in cls._get_param_names()}
        if shared["solver"] == "lbfgs":
            shared["solver"] = "adam"
        est = cls(**{**shared, **params, "init_estimator": FrozenEstimator(deepcopy(mlp))})
        est._load(mlp)
        return est

    @all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        """Train and prune.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        classes : array-like of shape (n_classes,), default=None
            All classes; needed in the first call.
        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, n_features), default=None
            Rows on which firing is counted instead of on those of `X`, as in `fit`, in a new
            order in every call. It may have any number of rows.

        Returns
        -------
        self : object
            The estimator.
        """
        if _check_partial_fit_first_call(self, classes):
            vars(self).pop("_state", None)
        return self._fit(X, y, sample_weight, X_unlabeled, incremental=True)

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
        return self._of_rows(self._predicted, X)

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
        return self._of_rows(lambda rows: self._task.output.link(self._logits(rows)), X)

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
        return self._of_rows(lambda rows: self._task.output.log_link(self._logits(rows)), X)

    def compact(self, dtype=None, *, features="all"):
        """Small, frozen model without torch that predicts the same.

        Parameters
        ----------
        dtype : {"float64", "float32", "float16", "int8", "codebook"}, default=None
            Type of the weights in pickles and files; see :func:`skactprune.compact`.
        features : {"all", "used"}, default="all"
            What the rows of the model have: all features, or those of `get_support` alone.

        Returns
        -------
        CompactMLPClassifier
            Model of the net as it is now.
        """
        from skactprune.deploy.base import check_features
        from skactprune.deploy.classifier import CompactMLPClassifier
        from skactprune.deploy.weights import CompactWeights

        check_is_fitted(self)
        check_features(features)
        shown, components = {}, self._components
        if components is not None:
            shown = {"components": components.components, "mean": components.mean}
        if components is not None or self.n_components is None:
            shown["transform_layer"] = self._shown_depth
        weights = CompactWeights.of(
            self.coefs_,
            self.intercepts_,
            activation=self.activation,
            storage=dtype,
            factors=self.factors_,
            **shown,
        )
        names = getattr(self, "feature_names_in_", None)
        model = CompactMLPClassifier.of(
            weights,
            self.classes_.copy(),
            output_prefix=type(self).__name__.lower(),
            feature_names=None if names is None else names.copy(),
        )
        if features == "used":
            model = model.with_features(self.get_support(indices=True))
        return model.set_output(**getattr(self, "_sklearn_output_config", {}))

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
        from skactprune.deploy.onnx import to_onnx

        return to_onnx(self, path, input_dtype=input_dtype)

    @property
    def _task(self):
        return Classification(self.classes_)

    def _fit(self, X, y, sample_weight, X_unlabeled, incremental):
        check_init_estimator(self.init_estimator)
        resume = self._resumes(incremental)
        n_rows = None if X_unlabeled is None or incremental else _num_samples(X)
        X, y, weight = self._check_fit_input(X, y, sample_weight, resume, incremental)
        X_unlabeled = self._checked_unlabeled(X_unlabeled, X.dtype, n_rows)
        return self._train(X, y, weight, X_unlabeled, incremental=incremental, resume=resume)

    def _check_fit_input(self, X, y, sample_weight, resume, incremental):
        """Return X, y and the weights (or None) of the rows that count; set the classes."""
        dtype = (np.float64, np.float32) if self.dtype == "auto" else self.dtype
        if resume and self.dtype == "auto":
            dtype = self.coefs_[0].dtype
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=dtype, order="C", reset=not resume
        )
        check_classification_targets(y)
        self._set_classes(unique_labels(y), resume, incremental)
        self.n_outputs_, self.out_activation_ = self._task.n_outputs, self._task.out_activation
        weight = self._row_weights(X, y, sample_weight, incremental)
        if weight is not None and not weight.all():
            if not weight.any():
                raise ValueError(
                    f"class_weight={self.class_weight!r} leaves no row of y with a positive weight."
                )
            kept = np.flatnonzero(weight)
            X, y, weight = X[kept], y[kept], weight[kept]
        return X, y, weight

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
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=X.dtype, ensure_non_negative=True, copy=True
            )
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

    def _load(self, mlp):
        """Become fitted with the weights of `mlp`."""
        self.classes_ = np.asarray(mlp.classes_)
        self.n_outputs_, self.out_activation_ = mlp.n_outputs_, mlp.out_activation_
        self.n_features_in_ = mlp.n_features_in_
        if hasattr(mlp, "feature_names_in_"):
            self.feature_names_in_ = mlp.feature_names_in_
        self._load_weights(mlp.coefs_[0].dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        return tags
