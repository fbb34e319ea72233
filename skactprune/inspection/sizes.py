"""How many numbers a fitted model is: the one definition that every comparison uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import FeatureUnion, Pipeline

from skactprune.deploy.scalers import is_sampler
from skactprune.estimators._checks import shown_layer
from skactprune.nets.factors import fewest_numbers, n_nonzero
from skactprune.spectra import numerical_rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where the steps are that prepare columns, and those that project rows on their `components_`.
PROJECTING = ("sklearn.decomposition.", "sklearn.random_projection", "sklearn.neighbors.")
PREPARING = ("sklearn.preprocessing.", "sklearn.impute.", "sklearn.feature_selection.")

__all__ = ["hidden_ranks", "live_neurons", "n_parameters", "n_weights", "net_of"]


def n_parameters(model: Any, X: Any = None, y: Any = None) -> float:
    """Numbers that must be stored to predict with a fitted model.

    Weights that are not zero, or two factors of a hidden kernel of low rank where these are fewer
    numbers, as compact models keep them, and biases. In front of the last step of a pipeline, LDA,
    PLS, NCA and decompositions with ``components_``, as PCA, count with these and their mean, and
    a net with the part of it that `transform` needs. Scalers do not count: they can be multiplied
    into the weights. Nor does what else of scikit-learn prepares columns, encoders, imputers and
    selectors, as it is the same for every net, nor do samplers, which act in fits only.

    Parameters
    ----------
    model : estimator
        A fitted net (with ``coefs_`` and ``intercepts_``), a fitted linear classifier, a pipeline
        that ends in one of them, a TransformedTargetRegressor around one, or a search that has
        chosen one.
    X, y : object
        Not looked at. They make this a scorer, as in ``scoring={"accuracy": "accuracy",
        "n_parameters": n_parameters}``.

    Returns
    -------
    int or float
        NaN for all other models, and behind all other steps.

    See Also
    --------
    smallest_within_one_se : Choice in a search that has both scores.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skactprune.inspection import n_parameters, pca_classifier
    >>> n_parameters(pca_classifier(2).fit(*load_iris(return_X_y=True)))  # 2 * 4 + 4 + 2 * 3 + 3
    21
    """
    if isinstance(model, Pipeline):
        *before, last = (step for _, step in model.steps)
        return sum(map(_n_transform_parameters, before)) + n_parameters(last)
    if isinstance(model, TransformedTargetRegressor):
        return n_parameters(model.regressor_)
    if hasattr(model, "best_estimator_"):
        return n_parameters(model.best_estimator_)
    if hasattr(model, "coefs_"):
        return n_weights(model) + sum(intercept.size for intercept in model.intercepts_)
    if hasattr(model, "coef_"):
        biases = np.size(model.intercept_) if getattr(model, "fit_intercept", True) else 0
        return int(coo_array(model.coef_).count_nonzero()) + biases
    return np.nan


def n_weights(net: Any) -> int:
    """Numbers that must be stored of a net's kernels: its parameters without the biases.

    Parameters
    ----------
    net : estimator
        A fitted net, with ``coefs_``; its own ``kernel_sizes_`` count where it has them, as a
        `LowRankNet` has.

    Returns
    -------
    int

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.inspection import ArrayNet, n_weights
    >>> n_weights(ArrayNet([np.eye(4), np.ones((4, 3))], [np.zeros(4), np.zeros(3)]))
    16
    """
    return sum(_kernel_sizes(net))


def _kernel_sizes(net: Any) -> list[int]:
    own = getattr(net, "kernel_sizes_", None)
    if own is not None:
        return own
    *hidden, last = net.coefs_
    known = getattr(net, "factors_", None) or [None] * len(hidden)
    return [n_nonzero(matrices) for matrices in [*map(fewest_numbers, hidden, known), (last,)]]


def _n_transform_parameters(step: Any) -> float:
    if step in (None, "passthrough", "drop") or is_sampler(step):
        return 0
    if isinstance(step, (Pipeline, FeatureUnion, ColumnTransformer)):
        return sum(map(_n_transform_parameters, _parts(step)))
    if _is_of(PREPARING, step):
        return 0
    if isinstance(step, PLSRegression):
        return step.x_rotations_.size + step.n_features_in_
    if isinstance(step, LinearDiscriminantAnalysis):
        return step.n_features_in_ * (len(step.get_feature_names_out()) + 1)
    if hasattr(step, "transform_layer") or getattr(step, "transform_layer_", None) is not None:
        return _n_representation_parameters(step)
    if _is_of(PROJECTING, step) and hasattr(step, "components_"):
        mean = getattr(step, "mean_", None)
        return step.components_.size + (0 if mean is None else np.size(mean))
    return np.nan


def _is_of(modules: tuple[str, ...], step: Any) -> bool:
    return any(base.__module__.startswith(modules) for base in type(step).__mro__)


def _parts(step: Any) -> list[Any]:
    if isinstance(step, ColumnTransformer):
        return [part for _, part, _ in step.transformers_]
    return [
        part for _, part in (step.steps if isinstance(step, Pipeline) else step.transformer_list)
    ]


def _n_representation_parameters(net: Any) -> int:
    n_hidden = len(net.coefs_) - 1
    # A compact model knows the one, an estimator is told it.
    shown = getattr(net, "transform_layer_", None)
    shown = shown_layer(net, n_hidden) if shown is None else shown
    stop = n_hidden if shown == "all" else shown + 1
    number = sum(_kernel_sizes(net)[:stop]) + sum(b.size for b in net.intercepts_[:stop])
    if hasattr(net, "components_"):
        number += net.components_.size + net.components_.shape[1]
    return number


def net_of(model: Any) -> Any:
    """Find the net of a fitted model.

    Parameters
    ----------
    model : estimator
        A net, a pipeline with one, a TransformedTargetRegressor around one of these, a search that
        has chosen one, or any other.

    Returns
    -------
    estimator or None
        The first step with ``coefs_``, or the model itself if it has them.
    """
    if isinstance(model, Pipeline):
        found = (net_of(step) for _, step in model.steps)
        return next((net for net in found if net is not None), None)
    if isinstance(model, TransformedTargetRegressor):
        return net_of(model.regressor_)
    if hasattr(model, "best_estimator_"):
        return net_of(model.best_estimator_)
    return model if hasattr(model, "coefs_") else None


def live_neurons(net: Any) -> list[NDArray[np.integer]]:
    """Indices of the neurons of every hidden layer that have an incoming weight.

    Parameters
    ----------
    net : estimator
        A fitted net. Where it has ``masks_``, or ``live_neurons_``, indices are those of the
        original layers; else they are those in its kernels.

    Returns
    -------
    list of int ndarray
    """
    # Between calls of partial_fit, neurons that may regrow are in the layers without any weights.
    if hasattr(net, "masks_"):
        return [np.flatnonzero(mask.any(axis=0)) for mask in net.masks_]
    if hasattr(net, "live_neurons_"):
        return net.live_neurons_
    return [np.flatnonzero(coef.any(axis=0)) for coef in net.coefs_[:-1]]


def hidden_ranks(net: Any) -> list[int]:
    """Numerical rank of every hidden kernel of a fitted net.

    Parameters
    ----------
    net : estimator
        A fitted net. Its own ``hidden_ranks_`` is returned where it has one.

    Returns
    -------
    list of int
    """
    if hasattr(net, "hidden_ranks_"):
        return net.hidden_ranks_
    return [numerical_rank(coef) for coef in net.coefs_[:-1]]
