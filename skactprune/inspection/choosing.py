"""Which of several nets to take: the smallest that is about as good as the best."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.inspection.sizes import n_parameters

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SIZE", "smallest_within_one_se", "within_one_se"]

SIZE = n_parameters.__name__
"""Name of the score that tells sizes."""
# Parameters besides `prune_fraction` that decide how large a net is.
OTHER_SIZES = (
    "hidden_layer_sizes",
    "encoder_layer_sizes",
    "decoder_layer_sizes",
    "n_components",
    "init_estimator",
    "prune_features",
    "prune_output",
)


def within_one_se(scores: ArrayLike, sizes: ArrayLike) -> int:
    """Index of the smallest candidate whose mean score is within one standard error of the best.

    Parameters
    ----------
    scores : array-like of shape (n_candidates, n_folds)
        Scores, more is better. A candidate with NaN is not taken.
    sizes : array-like of shape (n_candidates,)
        Sizes; among equal ones the better mean decides, then the first.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If every candidate has a NaN among its scores, or the size of one to choose from is NaN.

    See Also
    --------
    smallest_within_one_se : The same for a search of scikit-learn.

    Notes
    -----
    The standard error is that of the best candidate: the standard deviation of its scores over the
    folds, with n - 1 below, over the square root of n; 0 for a single fold. Folds share training
    rows, so that the true one is larger.

    References
    ----------
    Breiman, Friedman, Olshen & Stone, "Classification and regression trees", 1984, section 3.4.3.
    Hastie, Tibshirani & Friedman, "The elements of statistical learning", 2009, section 7.10.

    Examples
    --------
    >>> from skactprune.inspection.choosing import within_one_se
    >>> within_one_se([[0.92, 0.96], [0.91, 0.95], [0.80, 0.84]], [100, 20, 5])
    1
    """
    scores, sizes = np.asarray(scores, float), np.asarray(sizes, float)
    means = scores.mean(axis=1)
    if np.isnan(means).all():
        raise ValueError("scores must be finite for at least one candidate; all have a NaN.")
    best = int(np.nanargmax(means))
    n_folds = scores.shape[1]
    error = scores[best].std(ddof=1) / np.sqrt(n_folds) if n_folds > 1 else 0.0
    # Rounding must not cut off what lies on the edge.
    good = np.flatnonzero(means >= means[best] - error - 1e-12)
    unknown = good[np.isnan(sizes[good])]
    if len(unknown):
        raise ValueError(
            f"sizes must be known of all candidates that are about as good as the best; those of "
            f"{unknown.tolist()} are NaN."
        )
    return int(good[np.lexsort((-means[good], sizes[good]))[0]])


def smallest_within_one_se(
    cv_results: dict[str, Any], score: str | None = None, size: str | None = None
) -> int:
    """Choose the smallest net within one standard error of the best mean score.

    For `refit` of a search of scikit-learn, as in ``GridSearchCV(net, grid, scoring={"accuracy":
    "accuracy", "n_parameters": n_parameters}, refit=smallest_within_one_se)``. Options are given by
    `functools.partial`. Searches by successive halving do not call what `refit` is.

    Parameters
    ----------
    cv_results : dict
        ``cv_results_`` of the search.
    score : str, default=None
        Name of the score that decides. None is the only one there is, besides "n_parameters".
    size : str, default=None
        Column of `cv_results` that tells the size of a net, such as "mean_score_time". None takes
        the mean of the score "n_parameters" where there is one that is known of all candidates:
        `n_parameters` counts what is left of the nets that were fitted. Else "prune_fraction", in
        pipelines too, stands for the size: more of it is a smaller net. This holds among nets that
        start from the same layers, so that it is refused where other parameters that decide about
        sizes are searched, too, such as `hidden_layer_sizes` or `prune_features`.

    Returns
    -------
    int
        Index of the candidate, for ``best_index_``.

    Raises
    ------
    ValueError
        If there is no such score, none or several to choose from, no size, or no candidate that was
        fitted on all folds.

    See Also
    --------
    pruning_path : Scores and sizes at many fractions from one training a fold.

    Notes
    -----
    See `skactprune.inspection.choosing.within_one_se` for the standard error. Like any choice by
    the scores of folds, it makes these scores flatter the candidate; nested cross-validation tells
    how good it is. scikit-learn ranks "n_parameters" as it does any score, more first: its column
    ``rank_test_n_parameters`` begins with the largest net.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import Pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skactprune import PrunedMLPClassifier
    >>> from skactprune.inspection import n_parameters, smallest_within_one_se
    >>> net = PrunedMLPClassifier((20,), learning_rate_init=0.02, tol=0.001, random_state=0)
    >>> search = GridSearchCV(
    ...     Pipeline([("scale", StandardScaler()), ("net", net)]),
    ...     {"net__prune_fraction": [0, 0.5, 0.8]},
    ...     scoring={"accuracy": "accuracy", "n_parameters": n_parameters},
    ...     refit=smallest_within_one_se,
    ...     cv=3,
    ... )
    >>> search.fit(*load_wine(return_X_y=True)).best_params_
    {'net__prune_fraction': 0.8}
    """
    score = _score_of(cv_results, score)
    column = re.compile(rf"split\d+_test_{re.escape(score)}")
    folds = sorted(filter(column.fullmatch, cv_results))
    scores = np.column_stack([cv_results[key] for key in folds])
    return within_one_se(scores, _sizes(cv_results, size, ~np.isnan(scores).any(axis=1)))


def _score_of(cv_results: dict[str, Any], score: str | None) -> str:
    known = [key.removeprefix("mean_test_") for key in cv_results if key.startswith("mean_test_")]
    deciding = [name for name in known if name != SIZE]
    if score is None and len(deciding) == 1:
        return deciding[0]
    if score not in known:
        raise ValueError(
            f"score={score!r} must be one of the scores of the search, {deciding}: give it by "
            "refit=functools.partial(smallest_within_one_se, score=...)."
        )
    return score


def _sizes(
    cv_results: dict[str, Any], size: str | None, scored: NDArray[np.bool_]
) -> NDArray[np.float64]:
    if size is not None:
        if size not in cv_results:
            raise ValueError(f"size={size!r} must be one of the columns {sorted(cv_results)}.")
        try:
            return np.asarray(cv_results[size], float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"size={size!r} must be a column of numbers.") from error
    counted = cv_results.get(f"mean_test_{SIZE}")
    if counted is not None and not (np.isnan(counted) & scored).any():
        return np.asarray(counted, float)
    why = _why_no_order(cv_results)
    if why is None:
        (key,) = _searched(cv_results)["prune_fraction"]
        return 1 - np.asarray(cv_results[key], float)
    if counted is not None:
        raise ValueError(
            f"The score {SIZE!r} is NaN, as nobody can tell how large such a model is, and {why}. "
            "Name a column of sizes: refit=functools.partial(smallest_within_one_se, size=...)."
        )
    raise ValueError(
        f"size=None needs the score {SIZE!r} where {why}: add "
        f"{{{SIZE!r}: skactprune.inspection.{SIZE}}} to scoring, or name a column of sizes."
    )


def _searched(cv_results: dict[str, Any]) -> dict[str, list[str]]:
    """Columns of the parameters that were searched, by their names without those of steps."""
    found: dict[str, list[str]] = {}
    for key in cv_results:
        if key.startswith("param_"):
            name = key.removeprefix("param_").rpartition("__")[2]
            found.setdefault(name, []).append(key)
    return found


def _why_no_order(cv_results: dict[str, Any]) -> str | None:
    """Why `prune_fraction` does not tell which net is smaller, or None where it does."""
    searched = _searched(cv_results)
    for name in OTHER_SIZES:
        if any(len(set(map(repr, cv_results[key]))) > 1 for key in searched.get(name, [])):
            return f"{name!r} varies"
    if any(0 in list(cv_results[key]) for key in searched.get("n_prune_rounds", [])):
        return "n_prune_rounds=0 prunes nothing"
    columns = searched.get("prune_fraction", [])
    if len(columns) > 1:
        return "there are several prune_fraction"
    fractions = cv_results[columns[0]] if columns else [None]
    if np.ma.is_masked(fractions) or None in list(fractions):
        return "not every candidate has prune_fraction"
    return None
