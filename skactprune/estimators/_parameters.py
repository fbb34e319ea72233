"""Parameters that the estimators share: their constructor, constraints and documentation."""

from __future__ import annotations

from numbers import Integral, Real
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from skactprune._constructors import NamedConstructor
from skactprune._html import LinksToDocs
from skactprune._register import TakesNames
from skactprune.pruning.method import METHODS, Method
from skactprune.pruning.triggers import MOST_ROUNDS, TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
    "method": [str, Method],
    "prune_fraction": [Interval(Real, 0, 1, closed="left"), None],
    "prune_features": [Interval(Real, 0, 1, closed="left")],
    "prune_output": [Interval(Real, 0, 1, closed="left")],
    "n_prune_rounds": [Interval(Integral, 0, MOST_ROUNDS, closed="both")],
    "trigger": [str, HasMethods(["rounds_due", "stops"])],
    "components": [StrOptions({"predictive", "pca"})],
    "min_neurons": ["array-like", Interval(Integral, 1, None, closed="left")],
    "n_components": [
        None,
        Interval(Integral, 1, None, closed="left"),
        Interval(Real, 0, 1, closed="neither"),
    ],
    "transform_layer": [Integral, StrOptions({"all"})],
    "whiten": ["boolean"],
    "fit_inverse_transform": ["boolean"],
    "inverse_alpha": [Interval(Real, 0, None, closed="left")],
    "solver": [StrOptions({"sgd", "adam"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "scoring": [str, callable, None],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
    "device": [StrOptions({"cpu", "cuda", "auto"})],
    "net_params": [None, dict],
    "init_estimator": [None, HasMethods(["predict"])],
    "pretrain": [None, HasMethods(["fit", "inverse_transform"])],
}


class MLPParameters(TakesNames, NamedConstructor, LinksToDocs, BaseEstimator):
    """Base class of the estimators, with what they share of parameters and attributes.

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
        of the output layer do not count; those of removed neurons leave with them, others with
        `prune_output`. 0 is an ordinary multi-layer perceptron. None only, and always,
        where the method has a threshold of its own set, which decides then.
    prune_features : float, default=0
        Share of the input features that no weight reads after the last round, in [0, 1), rounded
        up; one that leaves no feature is refused. They leave in the same rounds, each just before
        neurons or weights do, and those that never vary go first. The net then computes what it did
        on rows in which they had their mean, unless other features take over, as with
        "activation_surgeon". They are counted apart: `prune_fraction` is then the share that is
        gone of the weights of the features that stay, as if the net had never had the others;
        `sparsity_` counts these as gone, too. `predict` takes rows with all features; `get_support`
        tells which are left, and `compact` makes models for rows of these alone. Which go is up to
        the `method`; those that let weights come back, or count on all weights of the net, refuse.
    prune_output : float, default=0
        Share of the weights of the output layer that is gone after the last round, in [0, 1),
        those of removed neurons included. The smallest go, by absolute value, whatever the
        `method` and its granularity, at the end of each round that has not removed as many of them
        in other ways; where a round rewinds weights, before that. Every output, and every neuron
        that is left of the last hidden layer, keeps its largest weight then, with a warning where
        fewer could go for that; an output may lose its own with the neuron later. `prune_fraction`
        and `sparsity_` do not count them, the number of parameters and compact models do. Worth it
        where there are many outputs, as of an autoencoder, or where hardly any other weights are
        left. Methods that let weights come back refuse.
    n_prune_rounds : int, default=5
        Number of rounds, at most 10000; 0 is an ordinary multi-layer perceptron, too.
    trigger : {"progress", "epoch", "score", "accuracy"} or trigger, default="progress"
        When the rounds are done. "progress": as "epoch", but of 200 epochs at most, so that
        `max_iter` is a limit and no schedule; and a round comes sooner where neither loss nor,
        with `early_stopping`, validation score improves. "epoch": evenly spaced from 10 % to 60 %
        of `max_iter`. Rounds that fall on the same epoch are done together. "score": when the
        accuracy in training, or R² where there are no classes, reaches marks from 0.80 to 0.98;
        "accuracy" is the same for classes alone. Options are those of `skactprune.triggers`.
    min_neurons : int or sequence of int, default=1
        Neurons that every hidden layer, or each of them, keeps at least.
    n_components : int or float, default=None
        Number of components of the hidden representation that `transform` returns; the layer then
        keeps at least as many neurons. Or a share in (0, 1): of all components the first, as many
        as explain more than this of the variance of the neurons that are left, as in PCA; how many
        neurons stay it does not say. None returns the neurons themselves.
    transform_layer : int or "all", default=-1
        Index of the hidden layer that `transform` shows. "all" shows all of them side by side,
        first layer first; each then keeps its part of `n_components` neurons.
    whiten : bool, default=False
        Whether each component is divided by its standard deviation over the training rows, as in
        PCA, except those that do not vary; only with `n_components`.
    fit_inverse_transform : bool, default=False
        Whether to learn `inverse_transform`, as in KernelPCA: by a ridge regression of the
        training rows on what `transform` returns for them, here a linear one with an intercept,
        which needs no more than a coefficient for each of its columns and each feature, and keeps
        no training row.
    inverse_alpha : float, default=1.0
        Strength of its penalty, the `alpha` of KernelPCA and Ridge.
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
        Whether to print a line an epoch, with its loss, the score of training where a round may
        need it and that on validation rows, and a line a pruning round.
    warm_start : bool, default=False
        Whether `fit` continues with the fitted net. The fraction refers to the original net, so
        that nothing is pruned twice.
    momentum : float, default=0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    scoring : str, callable or None, default=None
        What `early_stopping` goes by, the higher the better. None: see there. "loss": the negative
        loss. A name of ``sklearn.metrics.get_scorer_names()``, or a function
        ``scorer(estimator, X, y)``, is called with an estimator that predicts with the weights of
        now, and with ``sample_weight``, where rows have weights and the scorer takes them. A
        net whose loss of these rows is not finite has the score NaN.
    validation_fraction : float, default=0.1
        Share of the rows set aside by `early_stopping`.
    beta_1 : float, default=0.9
        Decay rate of the first moment in "adam".
    beta_2 : float, default=0.999
        Decay rate of the second moment in "adam".
    epsilon : float, default=1e-8
        Numerical stability in "adam", added to the root of the second moment after its bias has
        been corrected, as torch does; scikit-learn adds it before.
    n_iter_no_change : int, default=10
        See `tol`.
    dropout : float or array-like of float, default=0.0
        Dropout rate of every hidden layer, or one rate for the input and one for each hidden
        layer. Firing is counted before dropout.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Type of weights and computation; "auto" is that of `X` where it is one of these, else
        float64. float32 is about twice as fast.
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where to train; "auto" takes CUDA where there is one. Prediction is done in numpy. With
        ``sklearn.set_config(array_api_dispatch=True)``, arrays of other libraries are taken too,
        and what is computed of such rows comes back in their namespace, on their device, and
        floats in their dtype; attributes are always arrays of numpy.
    net_params : dict, default=None
        Further parameters of the skorch net, such as ``{"callbacks": [...]}`` or
        ``{"optimizer": torch.optim.AdamW}``.
    pretrain : PrunedAutoencoder, default=None
        Autoencoder whose encoder's hidden layers the first hidden layers start as, instead of
        randomly (Hinton & Salakhutdinov, 2006). Before each new net is trained, a clone is fitted
        on the rows of `X`, those set aside to validate on included, and of `X_unlabeled`; it gets a
        seed from `random_state` where it has none. One that is fitted, in a
        :class:`sklearn.frozen.FrozenEstimator`, is taken as it is, as `partial_fit` and rows that
        are read from files need it. `activation` must be the same, the sizes of these layers the
        first of `hidden_layer_sizes`, and ``prune_fraction=0`` where it is yet to be fitted. Code
        and decoder are left behind.

    Attributes
    ----------
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
    firing_rates_ : list of ndarray or None
        The same as shares of the (weighted) rows that were counted; for a neuron that has left, of
        those until then. Methods that count anew after each round tell of the rows since the last.
    pruning_history_ : list of dict
        One row a round: round, epoch of the fit, total_epoch of all fits that it goes on from,
        sparsity, live_neurons, train_score, validation_score, seconds.
    hidden_ranks_ : list of int
        Numerical rank of every hidden weight matrix; computed on first use.
    n_components_ : int
        Number of columns of `transform`, neurons or components.
    components_ : ndarray of shape (`n_components_`, n_neurons)
        Directions of length 1 that `transform` projects on; this and what follows, as far as
        `singular_values_`, only with `n_components`, and learned by `partial_fit` from its own
        rows.
    mean_ : ndarray of shape (n_neurons,)
        Mean of the hidden representation, which `transform` subtracts.
    explained_variance_ : ndarray of shape (`n_components_`,)
        Variance of the hidden representation that each explains: of all neurons together, what a
        regression on this component tells. Their order is that of `components_`; "predictive" ones
        are not sorted by it. Degrees of freedom are those of PCA, and with sample weights those of
        ``numpy.cov``, where whole numbers count rows and others weigh them.
    explained_variance_ratio_ : ndarray of shape (`n_components_`,)
        Its share of the variance of all neurons.
    singular_values_ : ndarray of shape (`n_components_`,)
        Singular values of the centred hidden representation; only with ``components="pca"``: the
        others are no singular vectors.
    inverse_coef_ : ndarray of shape (`n_components_`, `n_features_in_`)
        What `inverse_transform` multiplies with; only with `fit_inverse_transform`.
    inverse_intercept_ : ndarray of shape (`n_features_in_`,)
        What it adds.
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
        Validation score of every epoch; None without `early_stopping`.
    validation_loss_curve_ : list of float or None
        Loss of the validation rows after every epoch, without the L2 penalty, which the loss of
        the training rows contains; None without `early_stopping`.
    best_validation_score_ : float or None
        Best of them after the last round; None without `early_stopping`, or where the last round
        ended the fit or did not come.
    n_layers_ : int
        Number of layers, input and output included.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `X` has names that are all strings.
    """

    _parameter_constraints: dict[str, list[Any]] = CONSTRAINTS
    registers = {"method": METHODS, "trigger": TRIGGERS}
    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    masks_: list[NDArray[np.bool_]]
    live_neurons_: list[NDArray[np.integer]]
    unused_features_: NDArray[np.integer]
    factors_: list[tuple[NDArray[Any], NDArray[Any]] | None]
    sparsity_: float
    pruning_history_: list[dict[str, Any]]
    n_iter_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

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
        dropout: float | ArrayLike = 0.0,
        dtype: Literal["auto", "float32", "float64"] = "auto",
        device: Literal["cpu", "cuda", "auto"] = "cpu",
        net_params: dict[str, Any] | None = None,
        init_estimator: Any = None,
        pretrain: Any = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.method = method
        self.prune_fraction = prune_fraction
        self.prune_features = prune_features
        self.prune_output = prune_output
        self.n_prune_rounds = n_prune_rounds
        self.trigger = trigger
        self.min_neurons = min_neurons
        self.n_components = n_components
        self.components = components
        self.transform_layer = transform_layer
        self.whiten = whiten
        self.fit_inverse_transform = fit_inverse_transform
        self.inverse_alpha = inverse_alpha
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
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.dropout = dropout
        self.dtype = dtype
        self.device = device
        self.net_params = net_params
        self.init_estimator = init_estimator
        self.pretrain = pretrain

    def _plain(self) -> SimpleNamespace:
        """The parameters as Python's own numbers: torch and JSON know no others."""
        constraints = self._parameter_constraints
        values = {name: getattr(self, name) for name in constraints}
        for name, value in values.items():
            if isinstance(value, (bool, np.bool_)):
                values[name] = bool(value)
            elif isinstance(value, Real):
                # Where a real number is allowed, an integer becomes one.
                real = any(isinstance(c, Interval) and c.type is Real for c in constraints[name])
                values[name] = (
                    int(value) if isinstance(value, Integral) and not real else float(value)
                )
        return SimpleNamespace(**values)
