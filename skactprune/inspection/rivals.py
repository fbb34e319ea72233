"""What a pruned net has to stand beside: nets as small as it, and models without a net."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample

from skactprune.inspection.sizes import live_neurons
from skactprune.methods import get_method

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import MatrixLike
    from skactprune.estimators.classifier import PrunedMLPClassifier

__all__ = [
    "component_classifiers",
    "component_regressors",
    "lda_classifier",
    "nca_classifier",
    "pca_classifier",
    "plain_classifiers",
    "plain_regressors",
    "pruned_at_random",
    "small_net",
    "standardized_logistic",
    "standardized_ridge",
]

NCA_ROWS = 2000


def pruned_at_random(net: PrunedMLPClassifier) -> PrunedMLPClassifier:
    """The same net, not fitted, that removes at random.

    Parameters
    ----------
    net : PrunedMLPClassifier
        Is left as it is. With ``prune_fraction=None`` it must be fitted: as much goes as is gone.

    Returns
    -------
    PrunedMLPClassifier
        With the method `skactprune.methods.Random`, whose options (granularity, scope, schedule)
        are those of the net's own method where that has them.
    """
    own, random = get_method(net.method), get_method("random")
    asked = net.sparsity_ if net.prune_fraction is None else net.prune_fraction
    options = {name: getattr(own, name) for name in random.get_params() if hasattr(own, name)}
    options["schedule"] = own.schedule_to(asked)
    return clone(net).set_params(
        method=random.set_params(**options),
        prune_fraction=asked,
    )


def small_net(net: PrunedMLPClassifier) -> PrunedMLPClassifier:
    """A net of the sizes that pruning has left of another one, not fitted, not to be pruned.

    Parameters
    ----------
    net : PrunedMLPClassifier
        Fitted.

    Returns
    -------
    PrunedMLPClassifier
        From random weights, with the parameters of `net` otherwise; it trains for as many epochs
        as that has.
    """
    return clone(net).set_params(
        hidden_layer_sizes=tuple(max(len(live), 1) for live in live_neurons(net)),
        init_estimator=None,
        pretrain=None,
        prune_fraction=0,
        prune_features=0,
        prune_output=0,
        max_iter=net.n_iter_,
        n_iter_no_change=net.n_iter_,
    )


def standardized_logistic(with_mean: bool = True) -> Any:
    """Logistic regression on standardized columns.

    Parameters
    ----------
    with_mean : bool, default=True
        Whether to centre, which a sparse matrix cannot be.

    Returns
    -------
    Pipeline
    """
    return make_pipeline(StandardScaler(with_mean=with_mean), LogisticRegression(max_iter=1000))


def standardized_ridge(with_mean: bool = True) -> Any:
    """Ridge regression on standardized columns, its strength chosen by cross-validation.

    Parameters
    ----------
    with_mean : bool, default=True
        Whether to centre, which a sparse matrix cannot be.

    Returns
    -------
    Pipeline
    """
    return make_pipeline(StandardScaler(with_mean=with_mean), RidgeCV())


def plain_regressors(X: Any, y: Any) -> dict[str, Any]:
    """Regressors on the features themselves, not fitted, by name.

    Parameters
    ----------
    X : {array-like, sparse matrix}
        Training rows; trees take no sparse ones, and are left out then.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets; trees take no more than one.

    Returns
    -------
    dict of str to regressor
    """
    sparse = issparse(X)
    found = {"ridge regression": standardized_ridge(with_mean=not sparse)}
    if not sparse and y.ndim == 1:
        found["gradient boosting"] = HistGradientBoostingRegressor(random_state=0)
    return found


def component_regressors(
    n_components: int, X: Any, y: Any, downstream: Any = None
) -> dict[str, Any]:
    """Regressors on components of the features, not fitted, by name.

    Parameters
    ----------
    n_components : int
        Components.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows; sparse ones have components by PCA only.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their targets.
    downstream : regressor, default=None
        Is cloned. None is ridge regression on standardized components.

    Returns
    -------
    dict of str to Pipeline
    """
    downstream = standardized_ridge() if downstream is None else downstream
    found = {"PCA": pca_classifier(n_components, downstream)}
    if not issparse(X):
        found["PLS"] = _on(PLSComponents(n_components), downstream)
    return found


class PLSComponents(PLSRegression):
    """Components of partial least squares, as a step of a pipeline has them."""

    def fit_transform(self, X: ArrayLike, y: ArrayLike) -> NDArray[Any]:
        """Fit, and transform the rows alone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return self.fit(X, y).transform(X)


def plain_classifiers(X: MatrixLike) -> dict[str, Any]:
    """Classifiers on the features themselves, not fitted, by name.

    Parameters
    ----------
    X : {array-like, sparse matrix}
        Training rows; trees take no sparse ones, and are left out then.

    Returns
    -------
    dict of str to classifier
    """
    sparse = issparse(X)
    found = {"logistic regression": standardized_logistic(with_mean=not sparse)}
    if not sparse:
        found["gradient boosting"] = HistGradientBoostingClassifier(random_state=0)
    return found


def component_classifiers(
    n_components: int, X: Any, y: Any, downstream: Any = None
) -> dict[str, Any]:
    """Classifiers on components of the features, not fitted, by name.

    Parameters
    ----------
    n_components : int
        Components; LDA has at most one less than there are classes.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows; sparse ones have components by PCA only, and those that are alike in every
        class none by LDA, which divides by what varies there.
    y : array-like of shape (n_samples,)
        Their labels.
    downstream : classifier, default=None
        Is cloned. None is logistic regression on standardized components.

    Returns
    -------
    dict of str to Pipeline
    """
    found = {"PCA": pca_classifier(n_components, downstream)}
    if not issparse(X):
        most = min(n_components, len(np.unique(y)) - 1, X.shape[1])
        if vary_within_classes(X, y):
            found["LDA"] = lda_classifier(most, downstream)
        found["NCA"] = nca_classifier(n_components, downstream)
    return found


def vary_within_classes(X: NDArray[Any], y: ArrayLike) -> bool:
    """Whether any feature differs between rows of one class.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,)
        Their labels.

    Returns
    -------
    bool
    """
    y = np.asarray(y)
    return any(np.ptp(X[y == label], axis=0).any() for label in np.unique(y))


def pca_classifier(n_components: int, downstream: Any = None) -> Any:
    """A classifier on principal components, not fitted yet.

    Parameters
    ----------
    n_components : int
        Components.
    downstream : classifier, default=None
        Is cloned. None is logistic regression on standardized components.

    Returns
    -------
    Pipeline

    Examples
    --------
    >>> from skactprune.inspection import pca_classifier
    >>> [type(step).__name__ for step in pca_classifier(2)]
    ['PCA', 'Pipeline']
    """
    # Where PCA draws random directions, on large data, results must not differ from call to call.
    return _on(PCA(n_components, random_state=0), downstream)


def lda_classifier(n_components: int, downstream: Any = None) -> Any:
    """A classifier on components of linear discriminant analysis, not fitted yet.

    Parameters
    ----------
    n_components : int
        Components, fewer than there are classes and at most as many as features.
    downstream : classifier, default=None
        Is cloned. None is logistic regression on standardized components.

    Returns
    -------
    Pipeline

    Examples
    --------
    >>> from skactprune.inspection import lda_classifier
    >>> [type(step).__name__ for step in lda_classifier(2)]
    ['LinearDiscriminantAnalysis', 'Pipeline']
    """
    return _on(LinearDiscriminantAnalysis(n_components=n_components), downstream)


def nca_classifier(n_components: int, downstream: Any = None) -> Any:
    """A classifier on components of neighborhood components analysis, not fitted yet.

    Parameters
    ----------
    n_components : int
        Components, at most as many as there are features.
    downstream : classifier, default=None
        Is cloned and fitted on all rows. None is logistic regression on standardized components.

    Returns
    -------
    Pipeline
        The components are a `SampledNCA`.

    Examples
    --------
    >>> from skactprune.inspection import nca_classifier
    >>> [type(step).__name__ for step in nca_classifier(2)]
    ['SampledNCA', 'Pipeline']
    """
    return _on(SampledNCA(n_components, random_state=0), downstream)


def _on(components: Any, downstream: Any) -> Any:
    downstream = standardized_logistic() if downstream is None else clone(downstream)
    return make_pipeline(components, downstream)


class SampledNCA(NeighborhoodComponentsAnalysis):
    """Neighborhood components analysis that learns from at most 2000 rows, a stratified sample.

    Its cost grows with the square of the rows. That it stops after `max_iter` steps is no warning.
    """

    def fit(self, X: Any, y: Any) -> Any:
        """Fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : object
        """
        if len(y) > NCA_ROWS:
            X, y = resample(
                X,
                y,
                replace=False,
                n_samples=NCA_ROWS,
                stratify=y,
                random_state=self.random_state,
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().fit(X, y)
