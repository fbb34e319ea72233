"""What comes before the net in a pipeline, fitted once for several nets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline

from skactprune.deploy.scalers import without_samplers
from skactprune.estimators import PrunedMLPClassifier, PrunedMLPRegressor
from skactprune.inspection.rows import timed_fit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["fitted_preprocessing", "pipeline_and_net", "prepared", "preprocessing_of"]


def pipeline_and_net(
    estimator: Any, name: str
) -> tuple[Any, PrunedMLPClassifier | PrunedMLPRegressor]:
    """Take a pipeline apart.

    Parameters
    ----------
    estimator : PrunedMLPClassifier, PrunedMLPRegressor or Pipeline that ends in one
        Need not be fitted.
    name : str
        What errors call it.

    Returns
    -------
    pipeline : Pipeline or None
        `estimator`, if it is one.
    net : PrunedMLPClassifier or PrunedMLPRegressor

    Raises
    ------
    ValueError
        For anything else.
    """
    net = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(net, (PrunedMLPClassifier, PrunedMLPRegressor)):
        raise ValueError(
            f"{name}={estimator!r} must be a PrunedMLPClassifier, a PrunedMLPRegressor or a "
            "Pipeline that ends in one."
        )
    return (estimator if isinstance(estimator, Pipeline) else None), net


class _Rows(ClassifierMixin, BaseEstimator):
    """Keeps the rows that a pipeline fits its last step on, which is `net` otherwise."""

    def __init__(self, net: Any = None) -> None:
        self.net = net

    def get_metadata_routing(self) -> Any:
        """Those of the net, for pipelines that route."""
        return self.net.get_metadata_routing()

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Keep them."""
        self.rows_, self.params_ = (X, y), params
        return self


def fitted_preprocessing(
    pipeline: Any, X: ArrayLike, y: ArrayLike, **params: Any
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Preprocessing, fitted, and the rows that the pipeline fits its last step on.

    Only the pipeline itself knows these: its transformers may treat rows to fit on unlike others,
    and its samplers add rows or leave some out.

    Parameters
    ----------
    pipeline : Pipeline or None
        Not changed.
    X, y : array-like
        Training rows and labels.
    **params
        Parameters of the fit of `pipeline`, such as ``net__sample_weight``.

    Returns
    -------
    prepare : Pipeline or None
        Prepares rows to predict.
    rows : tuple
        X and y for the last step.
    params : dict
        Parameters of the fit of the last step.
    """
    if pipeline is None:
        return None, (X, y), params
    name, net = pipeline.steps[-1]
    fitted, _ = timed_fit(clone(pipeline).set_params(**{name: _Rows(net)}), X, y, **params)
    return preprocessing_of(fitted), fitted[-1].rows_, fitted[-1].params_


def preprocessing_of(pipeline: Any) -> Any:
    """What a fitted pipeline does to rows before its last step predicts.

    Parameters
    ----------
    pipeline : Pipeline or None
        Fitted.

    Returns
    -------
    Pipeline or None
    """
    steps = [] if pipeline is None else list(without_samplers(pipeline.steps[:-1]))
    return Pipeline(steps) if steps else None


def prepared(preprocessing: Any, X: ArrayLike) -> ArrayLike:
    """Rows as the net gets them.

    Parameters
    ----------
    preprocessing : Pipeline or None
        From `preprocessing_of`.
    X : array-like
        Rows.

    Returns
    -------
    array-like
    """
    return X if preprocessing is None else preprocessing.transform(X)
