"""PrunedAutoencoder."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_sample_weight, validate_data

from skactprune._array_api import as_numpy
from skactprune._docs import shares_docs
from skactprune._validation import canonical, check_fitted
from skactprune.chunks import Chunks, checked_chunks
from skactprune.estimators._base import BasePrunedMLP
from skactprune.estimators._checks import layer_sizes
from skactprune.estimators._parameters import CONSTRAINTS
from skactprune.estimators._regression import Reconstruction
from skactprune.estimators._whole import all_or_nothing
from skactprune.nets.inference import logits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from skactprune._types import CheckedRows, MatrixLike
    from skactprune.deploy.autoencoder import CompactAutoencoder
    from skactprune.deploy.weights import CompactWeights
    from skactprune.estimators._task import LabelledRows, Net
    from skactprune.pruning.method import Method
    from skactprune.pruning.pruner import Pruner

# What is asked of hidden layers that are no code, and of nets that others have trained.
OF_OTHERS = {
    "scoring",
    "hidden_layer_sizes",
    "components",
    "transform_layer",
    "init_estimator",
    "pretrain",
    "whiten",
}
OF_OTHERS |= {"fit_inverse_transform", "inverse_alpha"}


@shares_docs
class PrunedAutoencoder(BasePrunedMLP):
    """Autoencoder that loses neurons while it learns: PCA with a net on either side.

    An encoder, a multi-layer perceptron, makes of each row a code of `n_components` numbers, and a
    decoder makes the row of the code again. Both are trained together to do so with the least
    squared error, and are pruned in rounds by a `method` that needs no labels. Codes and
    reconstructions are linear in the last layer of encoder and decoder. With
    ``encoder_layer_sizes=()`` and ``prune_fraction=0`` all is, and the best codes span what the
    first principal components do (Baldi & Hornik, 1989).

    Parameters
    ----------
    n_components : int, default=2
        Size of the code. Its units all stay; with the default method, single weights of them may
        leave.
    encoder_layer_sizes : array-like of int or int, default=(100,)
        Neurons of the encoder's hidden layers before pruning, from the features to the code.
    {activation}
    decoder_layer_sizes : array-like of int, int or None, default=None
        Neurons of the decoder's hidden layers before pruning, from the code to the features. None
        is those of the encoder in reverse.
    {method, prune_fraction, prune_features, prune_output, n_prune_rounds, trigger}
    min_neurons : int or sequence of int, default=1
        Neurons that every hidden layer of encoder and decoder, or each of them, keeps at least.
    {solver, alpha}
    weight_decay : float or "auto", default=0.0
        Decoupled weight decay (Loshchilov & Hutter, 2019): before every step, weights lose this
        share of themselves times the learning rate. "auto" is as of `PrunedMLPClassifier`; a narrow
        code leaves less to be learned by heart than labels do.
    {batch_size, learning_rate, learning_rate_init, power_t, max_iter}
    {shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum}
    early_stopping : bool, default=False
        Whether to set validation rows aside, stop on their `score`, and go back to the weights
        that did best on them after the last pruning round.
    {validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change}
    dropout : float or array-like of float, default=0.0
        Dropout rate of every hidden layer, the code included, or one rate for the input and one for
        each hidden layer; of the input alone it makes a denoising autoencoder. Firing is counted
        before dropout.
    {dtype, device, net_params}

    Attributes
    ----------
    net_ : skorch.NeuralNetRegressor
        The trained net, in its compact size.
    {coefs_, intercepts_, masks_, live_neurons_, unused_features_, factors_, sparsity_}
    {activation_counts_, firing_rates_, pruning_history_, hidden_ranks_, n_iter_, t_, loss_}
    {loss_curve_, validation_loss_curve_, best_loss_}
    validation_scores_ : list of float or None
        Score of the validation rows after every epoch; None without `early_stopping`.
    {best_validation_score_, n_layers_}
    n_outputs_ : int
        Number of features.
    out_activation_ : {"identity"}
        Activation of the output.
    {n_features_in_, feature_names_in_}

    See Also
    --------
    sklearn.decomposition.PCA : Linear, exact, and the first thing to try.

    Notes
    -----
    The error is that of all features together, as with PCA: those of large variance count most.
    Where their units differ, scale them. `loss_` is half the squared distance of a row to its
    reconstruction; what is said of hidden layers is said of the encoder's, the code and the
    decoder's, in this order.

    References
    ----------
    Baldi & Hornik, "Neural networks and principal component analysis: Learning from examples
    without local minima", Neural Networks 2(1), 1989.

    Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science
    313, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skactprune import PrunedAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> net = PrunedAutoencoder(8, tol=0.02, learning_rate_init=0.01, random_state=0)
    >>> net = net.fit(X / 16)
    >>> net.transform(X / 16).shape, round(net.sparsity_, 2)
    ((1797, 8), 0.8)
    >>> bool(net.score(X / 16) > PCA(8).fit(X).explained_variance_ratio_.sum())
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **{name: known for name, known in CONSTRAINTS.items() if name not in OF_OTHERS},
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "encoder_layer_sizes": CONSTRAINTS["hidden_layer_sizes"],
        "decoder_layer_sizes": [None, *CONSTRAINTS["hidden_layer_sizes"]],
    }
    init_estimator, pretrain, scoring = None, None, None
    whiten, fit_inverse_transform = False, False
    _lacks_components = False
    # Those of the net that was made last; parameters may have been changed since.
    _activations: tuple[str, ...] = ()
    _shown_depth: int
    n_components: int

    def __init__(
        self,
        n_components: int = 2,
        encoder_layer_sizes: ArrayLike | int = (100,),
        activation: Literal["identity", "logistic", "tanh", "relu"] = "relu",
        *,
        decoder_layer_sizes: ArrayLike | int | None = None,
        method: str | Method = "activation_surgeon",
        prune_fraction: float | None = 0.8,
        prune_features: float = 0,
        prune_output: float = 0,
        n_prune_rounds: int = 5,
        trigger: Any = "progress",
        min_neurons: int | Sequence[int] = 1,
        solver: Literal["adam", "sgd"] = "adam",
        alpha: float = 0.0001,
        weight_decay: float | Literal["auto"] = 0.0,
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
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        dropout: float | ArrayLike = 0.0,
        dtype: Literal["auto", "float32", "float64"] = "auto",
        device: Literal["cpu", "cuda", "auto"] = "cpu",
        net_params: dict[str, Any] | None = None,
    ) -> None:
        given = locals()
        for name in self._parameter_constraints:
            setattr(self, name, given[name])

    @property
    def hidden_layer_sizes(self) -> tuple[int, ...]:  # type: ignore[override]
        """Neurons of all hidden layers before pruning: encoder, code and decoder."""
        encoder = layer_sizes(self, "encoder_layer_sizes")
        decoder = encoder[::-1]
        if self.decoder_layer_sizes is not None:
            decoder = layer_sizes(self, "decoder_layer_sizes")
        return (*encoder, self.n_components, *decoder)

    @property
    def transform_layer(self) -> int:  # type: ignore[override]
        """Index of the code among the hidden layers."""
        return len(layer_sizes(self, "encoder_layer_sizes"))

    @all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train and prune.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; they should be scaled. Of a sparse matrix, a batch at a time is made
            dense.
        y : object, default=None
            Not used.
        {sample_weight}

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For parameters or data out of range, the message names them.
        """
        return self._fit(X, None, sample_weight, None, incremental=False)

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: MatrixLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on the given rows.

        Every call is one epoch of the schedule that `fit` follows in `max_iter` epochs, pruning
        rounds included.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : object, default=None
            Not used.
        {sample_weight}

        Returns
        -------
        self : object
            The estimator.
        """
        return self._fit(X, None, sample_weight, None, incremental=True)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Rows that the decoder makes of codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Reconstructed rows, dense, in the dtype of the weights.

        Raises
        ------
        ValueError
            If the codes have another number of columns.
        """
        self._check_transforms()
        first, dtype = self._shown_depth + 1, self.coefs_[0].dtype
        coefs, intercepts = self.coefs_[first:], self.intercepts_[first:]

        def decode(codes: NDArray[Any]) -> NDArray[Any]:
            return logits_of(codes, coefs, intercepts, self._activations[first:])

        return self._decoded(decode, X, len(coefs[0]), dtype)

    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """R² of the reconstruction.

        It is 1 less the sum of all squared errors over the sum of all squared distances from the
        mean row: the mean of the features' R², each weighted by its variance, so that those that
        hardly vary do not decide. On its training rows, that of `PCA` is the sum of its
        ``explained_variance_ratio_``.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.
        y : object, default=None
            Not used.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            At most 1. Where all rows are alike it is 1 without an error and 0 with one.
        """
        check_fitted(self)
        dtype = self.coefs_[0].dtype
        X, sample_weight = as_numpy(X, sample_weight)
        if isinstance(X, Chunks):
            X = checked_chunks(self, X, dtype, reset=False)
        else:
            X = canonical(validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=False))
        weight: NDArray[Any] | None = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        return self._task.score(X, self._task.outcome(self._predicted, X), weight)

    @property
    def _task(self) -> Reconstruction:
        return Reconstruction(self.n_features_in_)

    def _new_net(
        self,
        pruner: Pruner,
        dtype: DTypeLike,
        first_layers: Callable[[], tuple[list[NDArray[Any]], list[NDArray[Any]]]] | None = None,
    ) -> Net:
        self._set_activations()
        return super()._new_net(pruner, dtype, first_layers)

    def _check_goes_on(self) -> None:
        super()._check_goes_on()
        self._set_activations()

    def _set_activations(self) -> None:
        layers: list[str] = [self.activation] * len(self.hidden_layer_sizes)
        layers[self.transform_layer] = "identity"
        self._activations = tuple(layers)

    def _reconstruction_attributes(self, net: Net) -> dict[str, Any]:
        return super()._reconstruction_attributes(net) | {"_activations": self._activations}

    @property
    def _sizes(self) -> str:
        names = ("n_components", "encoder_layer_sizes", "decoder_layer_sizes")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)

    def _floors(self, sizes: list[int]) -> list[int]:
        code = self.transform_layer
        floors = super()._floors([*sizes[:code], *sizes[code + 1 :]])
        return [*floors[:code], sizes[code], *floors[code:]]

    def _check_fit_input(
        self, X: Any, y: Any, sample_weight: Any, resume: bool, incremental: bool
    ) -> LabelledRows:
        if isinstance(X, Chunks):
            raise TypeError(
                f"X={X!r} must be an array, mapped from a file or not, or a sparse matrix; "
                f"partial_fit of {type(self).__name__} takes one chunk after the other."
            )
        return super()._check_fit_input(X, y, sample_weight, resume, incremental)

    def _check_targets(
        self,
        X: CheckedRows,
        y: Any,
        sample_weight: NDArray[Any] | None,
        resume: bool,
        incremental: bool,
    ) -> tuple[Any, NDArray[Any] | None]:
        return y, sample_weight

    def _fit_components(
        self, X: CheckedRows, y: NDArray[Any], sample_weight: NDArray[Any] | None
    ) -> None:
        self._show(len(self.masks_))

    def _compacted(self, weights: CompactWeights, **about: Any) -> CompactAutoencoder:
        from skactprune.deploy.autoencoder import CompactAutoencoder

        return CompactAutoencoder.of(weights, **about)
