"""Scores of a comparison, under the names that scikit-learn has for them."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.metrics import check_scoring, log_loss
from sklearn.utils.multiclass import type_of_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from skactprune._types import MatrixLike, ScoringLike

__all__ = ["SCORING", "named_scorers", "neg_log_loss", "scores_of"]


def neg_log_loss(model: Any, X: MatrixLike, y: ArrayLike) -> float:
    """Scorer: scikit-learn's "neg_log_loss", where that has no answer, too.

    Parameters
    ----------
    model : classifier
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels. Some classes of the model may be missing, as in folds of few rows or by groups; to
        those that the model does not know it gives the probability 0, clipped as by `log_loss`. Of
        multilabel targets, losses of the labels are added up.

    Returns
    -------
    float
        NaN if the model tells no probabilities.
    """
    if not hasattr(model, "predict_proba"):
        return np.nan
    found = model.predict_proba(X)
    if np.ndim(y) == 2:
        pairs = zip(np.transpose(y), found.T, strict=True)
        return -sum(log_loss(label, p, labels=[0, 1]) for label, p in pairs)
    labels = np.union1d(model.classes_, y)
    probabilities = np.zeros((len(found), len(labels)), dtype=found.dtype)
    probabilities[:, np.searchsorted(labels, model.classes_)] = found
    return -log_loss(y, probabilities, labels=labels)


SCORING = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "neg_log_loss": neg_log_loss,
}
"""What is told where nothing is asked for."""

MULTILABEL_SCORING = {
    "accuracy": "accuracy",
    "f1_micro": "f1_micro",
    "neg_log_loss": neg_log_loss,
}
"""The same for multilabel targets."""

REGRESSION_SCORING = {name: name for name in ("r2", "neg_root_mean_squared_error")}
"""The same of nets that predict numbers."""


def named_scorers(
    scoring: ScoringLike | None,
    y: ArrayLike | None = None,
    net: Any = None,
) -> dict[str, Any]:
    """Names and scorers, checked.

    Parameters
    ----------
    scoring : str, callable, list, tuple, set, dict or None
        As `scoring` of `sklearn.model_selection.cross_validate`. A name alone is that of its
        score, a callable alone has the name "score", and None is `SCORING`, or
        `MULTILABEL_SCORING` or, for a regressor, `REGRESSION_SCORING`.
    y : array-like, default=None
        Targets that are scored; None stands for classes.
    net : estimator, default=None
        What is scored; None stands for a classifier.

    Returns
    -------
    dict
        Names, or callables, by name.

    Raises
    ------
    ValueError
        For anything else.
    """
    if scoring is None:
        if net is not None and is_regressor(net):
            return REGRESSION_SCORING
        labels = y is not None and type_of_target(y) == "multilabel-indicator"
        return MULTILABEL_SCORING if labels else SCORING
    check_scoring(scoring=scoring)
    if isinstance(scoring, dict):
        return scoring
    if callable(scoring):
        return {"score": scoring}
    names = [scoring] if isinstance(scoring, str) else scoring
    return {name: name for name in names}


def scores_of(
    model: Any,
    splits: Mapping[str, tuple[Any, ...] | None],
    scoring: ScoringLike | None,
) -> dict[str, Any]:
    """Scores of a fitted model on each split.

    Parameters
    ----------
    model : classifier
        Fitted.
    splits : dict of str to (X, y) or None
        Rows by name; without rows scores are NaN.
    scoring : str, callable, list, tuple, set, dict or None
        See `named_scorers`.

    Returns
    -------
    dict
        Scores by ``{split}_{score}``.

    Raises
    ------
    ValueError
        If a scorer returns anything but a number.
    """
    scorers = named_scorers(scoring)
    score = check_scoring(scoring=scorers)
    found: dict[str, Any] = {}
    for split, rows in splits.items():
        scores = dict.fromkeys(scorers, np.nan) if rows is None else score(model, *rows)
        for name in scorers:
            if not isinstance(scores[name], Real):
                raise ValueError(
                    f"The scorer {name!r} returned {scores[name]!r}; it must return one number. "
                    "Several scores are given as a dict of scorers."
                )
            found[f"{split}_{name}"] = float(scores[name])
    return found
