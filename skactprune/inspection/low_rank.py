"""Nets that are only arrays, and nets whose hidden kernels are rebuilt at a low rank."""

from __future__ import annotations

from numbers import Integral
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import (
    ClassifierTags,
    RegressorTags,
    Tags,
    TargetTags,
    check_array,
    gen_batches,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skactprune.inspection.sizes import live_neurons
from skactprune.nets.factors import fewest_numbers, n_nonzero
from skactprune.nets.inference import hidden_outputs, logits_of
from skactprune.nets.outputs import (
    MULTILABEL,
    get_output,
    is_multilabel_net,
    one_or_more,
    output_of_classifier,
)
from skactprune.spectra import (
    numerical_rank,
    pca_reconstruct,
    svd_truncate,
    whitened_truncate,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import MatrixLike
    from skactprune.nets.outputs import ClassOutput

__all__ = ["ArrayNet", "LowRankNet"]

RECONSTRUCTIONS: dict[str, Callable[..., NDArray[Any]]] = {
    "pca": pca_reconstruct,
    "svd": svd_truncate,
    "whitened": whitened_truncate,
}
BATCH = 10_000


class ArrayNet:
    """A fitted net made of its weights, wherever these are from.

    Parameters
    ----------
    coefs : list of ndarray of shape (n_in, n_out)
        Kernels in scikit-learn's orientation, the output layer last.
    intercepts : list of ndarray of shape (n_out,)
        Biases.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Of the hidden layers.
    classes : array-like, default=None
        Class labels; None numbers them from 0.
    multilabel : bool, default=False
        Whether a row has any number of the classes, rather than one.
    out_activation : {"identity", "exp"}, default=None
        Of a net that predicts numbers; None stands for one that predicts classes.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        As given.
    classes_ : ndarray
        Class labels; only of a net that predicts classes.
    multilabel_ : bool
        As given.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.inspection import ArrayNet
    >>> net = ArrayNet([np.eye(2), np.eye(2)], [np.zeros(2), np.zeros(2)])
    >>> print(net.predict([[3.0, 1.0], [0.0, 2.0]]))
    [0 1]
    """

    def __init__(
        self,
        coefs: list[NDArray[Any]],
        intercepts: list[NDArray[Any]],
        activation: Literal["identity", "logistic", "tanh", "relu"] = "relu",
        classes: ArrayLike | None = None,
        multilabel: bool = False,
        out_activation: Literal["identity", "exp"] | None = None,
    ) -> None:
        self.coefs_ = list(coefs)
        self.intercepts_ = list(intercepts)
        self.activation = activation
        self.multilabel_, self.out_activation = multilabel, out_activation
        if out_activation is None:
            # One output decides between two classes.
            n_classes = max(2, self.coefs_[-1].shape[1])
            self.classes_ = np.arange(n_classes) if classes is None else np.asarray(classes)

    def predict(self, X: MatrixLike) -> NDArray[Any]:
        """Class labels, or numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs)
            The latter of several numbers and, of 0 and 1, of a multilabel net.
        """
        logits = self._logits(X)
        if self.out_activation is not None:
            return one_or_more(get_output(self.out_activation).link(logits))
        return self._output.predict(logits, self.classes_)

    @property
    def out_activation_(self) -> str | None:
        """Of a net that predicts numbers; None of one that predicts classes."""
        return self.out_activation

    @available_if(lambda net: net.out_activation is None)
    def predict_proba(self, X: MatrixLike) -> NDArray[Any]:
        """Class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._output.link(self._logits(X))

    def _logits(self, X: MatrixLike) -> NDArray[Any]:
        return logits_of(self._checked(X), *self._weights)

    @property
    def _output(self) -> ClassOutput:
        return MULTILABEL if self.multilabel_ else output_of_classifier(self.coefs_[-1].shape[1])

    def _checked(self, X: MatrixLike) -> Any:
        return _checked_rows(self, X)

    @property
    def _weights(self) -> tuple[list[NDArray[Any]], list[NDArray[Any]], str]:
        return self.coefs_, self.intercepts_, self.activation

    def __sklearn_tags__(self) -> Any:
        # For scikit-learn's scorers.
        if self.out_activation is not None:
            return Tags("regressor", TargetTags(required=True), regressor_tags=RegressorTags())
        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(multi_label=self.multilabel_),
        )


class LowRankNet(ArrayNet):
    """A fitted net whose hidden kernels are rebuilt from a few components each.

    Parameters
    ----------
    net : estimator
        A fitted net, such as `PrunedMLPClassifier`, `PrunedMLPRegressor`, `ArrayNet` or one of
        scikit-learn's MLPs; not changed.
    ranks : list of int
        Components to keep of every hidden kernel.
    kind : {"pca", "svd", "whitened"}, default="pca"
        "pca" rebuilds a kernel from principal components and its mean row, as the authors of
        activation-based pruning did; "svd" is its best approximation of that rank; "whitened" is
        that which changes the layer's output least for the rows `X`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
        Rows, those of training for instance, for "whitened" only. Of every layer, the inputs are
        those that it has in `net`, before anything is rebuilt.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Kernels multiplied out, the output layer as it was; biases as they were.
    classes_ : ndarray
        Class labels.
    hidden_ranks_ : list of int
        Ranks of the hidden kernels; PCA adds the mean row back, which can be one more than
        `ranks`.
    kernel_sizes_ : list of int
        Numbers that each kernel must be stored as; see the notes.
    live_neurons_ : list of int ndarray
        Those of `net`.
    sparsity_ : float
        That of `net`; NaN where it has none.
    seconds_ : float
        What the reconstruction took.

    Raises
    ------
    ValueError
        If `kind` is unknown, `ranks` has not one number for every hidden layer, or `X` is missing
        for "whitened" or given for another kind.
    NotFittedError, TypeError
        If `net` is not fitted, or no net.

    See Also
    --------
    skactprune.spectra.pca_reconstruct : The reconstruction of one kernel.
    skactprune.spectra.whitened_truncate : That which looks at the inputs.

    Notes
    -----
    A kernel of shape (m, n) is counted as the fewest numbers that hold it: its weights that are
    not zero; two factors of its rank r, r (m + n); or, from k principal components, the factors
    and the mean row, k (m + n) + n. The last is less than two factors of rank k + 1, since the
    column that multiplies the mean row is all ones and need not be stored.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.inspection import ArrayNet, LowRankNet, n_parameters
    >>> rng = np.random.default_rng(0)
    >>> net = ArrayNet([rng.normal(size=(20, 10)), np.eye(10)], [np.zeros(10), np.zeros(10)])
    >>> for kind in ("pca", "svd"):
    ...     small = LowRankNet(net, [3], kind)
    ...     print(small.hidden_ranks_, small.kernel_sizes_, n_parameters(small))
    [4] [100, 10] 130
    [3] [90, 10] 120
    """

    def __init__(
        self,
        net: Any,
        ranks: list[int],
        kind: Literal["pca", "svd", "whitened"] = "pca",
        X: MatrixLike | None = None,
    ) -> None:
        if kind not in RECONSTRUCTIONS:
            raise ValueError(f"kind={kind!r} must be one of {sorted(RECONSTRUCTIONS)}.")
        if not hasattr(net, "coefs_"):
            if hasattr(net, "fit"):
                check_is_fitted(net)
            raise TypeError(f"net={net!r} must be a net with coefs_ and activation.")
        *kernels, last = net.coefs_
        if np.ndim(ranks) != 1 or len(ranks) != len(kernels):
            raise ValueError(
                f"ranks={ranks!r} must have {len(kernels)} numbers, one for every hidden layer."
            )
        if not all(isinstance(rank, Integral) and rank >= 0 for rank in ranks):
            raise ValueError(f"ranks={ranks!r} must be integers, not negative.")
        if (X is None) == (kind == "whitened"):
            needed = "must be rows" if X is None else "must be None"
            raise ValueError(f"X={X!r} {needed} for kind={kind!r}.")
        start = perf_counter()
        moments = [] if X is None else [input_moments(net, X)]
        rebuilt = [RECONSTRUCTIONS[kind](*of) for of in zip(kernels, *moments, ranks, strict=True)]
        self.seconds_ = perf_counter() - start
        classes = getattr(net, "classes_", None)
        about = _activations(net), classes, classes is not None and is_multilabel_net(net)
        # Compact models without classes have outputs as they are.
        numbers: Any = None if classes is not None else getattr(net, "out_activation_", "identity")
        super().__init__([*rebuilt, last], net.intercepts_, *about, numbers)
        self.ranks, self.kind = list(ranks), kind
        self.hidden_ranks_ = [numerical_rank(kernel) for kernel in rebuilt]
        self.kernel_sizes_ = [*map(self._stored_size, rebuilt, self.ranks), n_nonzero([last])]
        self.live_neurons_ = live_neurons(net)
        self.sparsity_ = getattr(net, "sparsity_", np.nan)

    def _stored_size(self, kernel: NDArray[Any], n_components: int) -> int:
        m, n = kernel.shape
        size = n_nonzero(fewest_numbers(kernel))
        return min(size, n_components * (m + n) + n) if self.kind == "pca" else size


def _activations(net: Any) -> Any:
    """Activation of the hidden layers of a fitted net, or those of each, as an autoencoder has."""
    names = ("_activations", "activation", "activation_")
    found = next((getattr(net, name) for name in names if hasattr(net, name)), None)
    if found is None:
        raise ValueError(f"net={net!r} must be a fitted net with coefs_ and activation.")
    return found


def _checked_rows(net: Any, X: MatrixLike) -> Any:
    X = check_array(X, accept_sparse="csr", dtype=net.coefs_[0].dtype)
    n_features = len(net.coefs_[0])
    if X.shape[1] != n_features:
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(net).__name__} is expecting {n_features} "
            "features as input."
        )
    return X


def input_moments(net: Any, X: MatrixLike) -> list[NDArray[Any]]:
    """Second moment of what every hidden layer of a net gets for some rows, without a mean.

    Parameters
    ----------
    net : estimator
        A fitted net, with ``coefs_``, ``intercepts_`` and ``activation``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    list of ndarray of shape (n_in, n_in), dtype float64
    """
    X = _checked_rows(net, X)
    before_last = net.coefs_[:-2], net.intercepts_[:-2], _activations(net)
    moments = [np.zeros((len(coef), len(coef))) for coef in net.coefs_[:-1]]
    for rows in gen_batches(X.shape[0], BATCH):
        for moment, h in zip(
            moments, (X[rows], *hidden_outputs(X[rows], *before_last)), strict=True
        ):
            h = h.astype(np.float64)
            product = h.T @ h
            moment += product.toarray() if issparse(product) else product
    return [moment / X.shape[0] for moment in moments]
