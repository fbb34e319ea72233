"""PrunedMLPRegressor."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import Interval, StrOptions

from skactprune._docs import shares_docs
from skactprune.estimators._base import BasePrunedMLP
from skactprune.estimators._parameters import CONSTRAINTS
from skactprune.estimators._regression import Regression
from skactprune.estimators._whole import all_or_nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import CheckedRows, MatrixLike
    from skactprune.chunks import Chunks
    from skactprune.deploy.regressor import CompactMLPRegressor
    from skactprune.deploy.weights import CompactWeights
    from skactprune.pruning.method import Method


@shares_docs
class PrunedMLPRegressor(RegressorMixin, BasePrunedMLP):
    """Multi-layer perceptron regressor that loses neurons while it learns.

    It trains as :class:`sklearn.neural_network.MLPRegressor` does, and is pruned as
    :class:`PrunedMLPClassifier` is. As a transformer it gives its hidden representation.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "quantile", "poisson"}, default="squared_error"
        What is minimised: half the squared error; the absolute error; the pinball loss of the
        `quantile`, as in :class:`sklearn.linear_model.QuantileRegressor`; or half the Poisson
        deviance, for targets that are not negative, whose logarithm the net then gives.
    {hidden_layer_sizes, activation, method, prune_fraction, prune_features, prune_output}
    {n_prune_rounds, trigger, min_neurons, n_components}
    components : {"predictive", "pca"}, default="predictive"
        Which components. "predictive": first, with the squared error, the directions through which
        a reduced-rank regression tells the targets best, each as if of unit variance; with another
        loss those that tell the outputs of the net. There are as many as targets at most. Then the
        principal components of what these leave unexplained. "pca": the principal components,
        which do not look at the targets. Along either, rows of training are uncorrelated.
    {transform_layer, whiten, fit_inverse_transform, inverse_alpha, solver, alpha, weight_decay}
    {batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle, random_state, tol}
    {verbose, warm_start, momentum, nesterovs_momentum}
    early_stopping : bool, default=False
        Whether to set validation rows aside, unless `fit` gets some, stop on their score, and go
        back to the weights that did best on them after the last pruning round. The score is R²; for
        "absolute_error" and "quantile" the same of these errors, D²; or another `scoring`.
    {scoring, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change}
    quantile : float, default=None
        Which quantile is predicted, in (0, 1); with, and only with, ``loss="quantile"``.
    {dropout, dtype, device, net_params}
    init_estimator : estimator, default=None
        Fitted MLPRegressor, in a :class:`sklearn.frozen.FrozenEstimator`, whose weights to start
        from instead of random ones; `hidden_layer_sizes` is then taken from it. See
        `from_sklearn`.
    {pretrain}

    Attributes
    ----------
    net_ : skorch.NeuralNetRegressor
        The trained net, in its compact size.
    {coefs_, intercepts_, masks_, live_neurons_, unused_features_, factors_, sparsity_}
    {activation_counts_, firing_rates_, pruning_history_, hidden_ranks_, n_components_}
    {components_, mean_}
    {explained_variance_, explained_variance_ratio_, singular_values_, inverse_coef_}
    {inverse_intercept_, n_iter_, t_, loss_, loss_curve_, best_loss_}
    {validation_scores_, validation_loss_curve_, best_validation_score_, n_layers_}
    n_outputs_ : int
        Number of targets.
    out_activation_ : {"identity", "exp"}
        Activation of the output; the latter for "poisson".
    {n_features_in_, feature_names_in_}

    See Also
    --------
    sklearn.compose.TransformedTargetRegressor : Scales targets, as a net wants them.

    Notes
    -----
    As those of MLPRegressor, the weights are of a size for targets near 0 and of about unit
    variance. Where others are not learned, `fit` warns. `compact` takes the advice's
    ``TransformedTargetRegressor(net, transformer=StandardScaler())``, too.

    As in MLPRegressor, the sum of the losses over several targets is minimised, and `loss_` is
    their mean, except that it is their sum for "poisson".

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from sklearn.model_selection import train_test_split
    >>> from skactprune import PrunedMLPRegressor
    >>> X, y = make_friedman1(400, random_state=0)
    >>> y = (y - y.mean()) / y.std()
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> net = PrunedMLPRegressor(learning_rate_init=0.01, tol=0.001, random_state=0)
    >>> net = net.fit(X_train, y_train)
    >>> len(net.live_neurons_[0]), round(net.sparsity_, 2)
    (20, 0.8)
    >>> net.score(X_test, y_test) > 0.8
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **CONSTRAINTS,
        "loss": [StrOptions({"squared_error", "absolute_error", "quantile", "poisson"})],
        "quantile": [None, Interval(Real, 0, 1, closed="neither")],
    }
    _targets_allowed = {"multi_output": True, "y_numeric": True}
    _starts_from, _of_targets = "MLPRegressor", ("out_activation_",)
    # What of the parameters says what is minimised, as of the last fit.
    _learned: dict[str, Any]
    out_activation_: Literal["identity", "exp"]

    def __init__(
        self,
        loss: Literal["squared_error", "absolute_error", "quantile", "poisson"] = "squared_error",
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
        quantile: float | None = None,
        dropout: float | ArrayLike = 0.0,
        dtype: Literal["auto", "float32", "float64"] = "auto",
        device: Literal["cpu", "cuda", "auto"] = "cpu",
        net_params: dict[str, Any] | None = None,
        init_estimator: Any = None,
        pretrain: Any = None,
    ) -> None:
        shared = locals()
        super().__init__(**{name: shared[name] for name in CONSTRAINTS})
        self.loss = loss
        self.quantile = quantile

    @classmethod
    def from_sklearn(cls, mlp: Any, **params: Any) -> Self:
        """Start from the weights of a fitted MLPRegressor.

        Parameters
        ----------
        mlp : sklearn.neural_network.MLPRegressor
            Is copied. Its parameters are taken over, except that "lbfgs" becomes "adam".
        **params
            Parameters of this class, `prune_fraction` for instance; not `hidden_layer_sizes`,
            `init_estimator` and `pretrain`: layers and weights are those of `mlp`.

        Returns
        -------
        PrunedMLPRegressor
            Fitted: it predicts what `mlp` predicts. `fit` starts from these weights and prunes;
            clones of it do, too.

        Raises
        ------
        NotFittedError
            If `mlp` is not fitted.
        TypeError
            If `mlp` is something else.
        ValueError
            For parameters that follow from it, and a `loss` for another output activation.
        """
        from sklearn.neural_network import MLPRegressor

        return cls._from_sklearn(mlp, MLPRegressor, params)

    @all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: MatrixLike | Chunks,
        y: ArrayLike,
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
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; they should be scaled, too. They are converted to the dtype of the weights.
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
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_unlabeled: MatrixLike | None = None,
    ) -> Self:
        """Train for one epoch on the given rows.

        Every call is one epoch of the schedule that `fit` follows in `max_iter` epochs, pruning
        rounds included.

        Parameters
        ----------
        {X}
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        {sample_weight}
        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, n_features), default=None
            Rows on which firing is counted instead of on those of `X`, as in `fit`, in a new
            order in every call. It may have any number of rows.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._fit(X, y, sample_weight, X_unlabeled, incremental=True)

    def predict(self, X: MatrixLike | Chunks) -> NDArray[Any]:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Numbers in the dtype of the weights, of one dimension where there is one target.
        """
        return self._of_rows(self._predicted, X)

    @property
    def _task(self) -> Regression:
        return Regression(self.n_outputs_, **self._learned)

    def _check_targets(
        self,
        X: CheckedRows,
        y: Any,
        sample_weight: NDArray[Any] | None,
        resume: bool,
        incremental: bool,
    ) -> tuple[NDArray[Any], NDArray[Any] | None]:
        y = self._as_targets(y)
        if y.dtype.kind not in "biuf":
            raise ValueError(f"y must be numbers; its dtype is {y.dtype}.")
        with np.errstate(over="ignore"):
            y = y.astype(X.dtype)
        if not np.isfinite(y).all():
            raise ValueError(
                f"y has values that are too large for {X.dtype}, the type of the weights."
            )
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        known = self if resume else self.init_estimator
        if known is not None and known.n_outputs_ != n_outputs:
            raise ValueError(
                f"y must have {known.n_outputs_} targets as in the earlier fit or of "
                f"init_estimator; it has {n_outputs}."
            )
        self._set_learned(known)
        self.n_outputs_ = n_outputs
        self._task.check(y, "y")
        return y, sample_weight

    def _set_learned(self, known: Any) -> None:
        """Take on what is to be minimised; `known` has weights to go on from, or is None."""
        if (self.loss == "quantile") != (self.quantile is not None):
            raise ValueError(
                f"quantile={self.quantile!r} with loss={self.loss!r}: it must be a number in "
                "(0, 1) with loss='quantile', and None with others."
            )
        plain = self._plain()
        learned = {"loss": plain.loss, "quantile": plain.quantile}
        ours = Regression(1, **learned).out_activation
        if known is not None and known.out_activation_ != ours:
            raise ValueError(
                f"loss={self.loss!r} needs the output activation {ours!r}; the weights to start "
                f"from are for {known.out_activation_!r}."
            )
        self._learned = learned

    def _take_targets(self, mlp: Any) -> None:
        self.n_outputs_ = mlp.n_outputs_
        self._set_learned(mlp)

    def _compacted(self, weights: CompactWeights, **about: Any) -> CompactMLPRegressor:
        from skactprune.deploy.regressor import CompactMLPRegressor

        return CompactMLPRegressor.of(weights, self.out_activation_, **about)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
