"""Supervised components of a net beside principal components: score against their number."""

from __future__ import annotations

import warnings
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.pipeline import make_pipeline
from sklearn.utils import _safe_indexing, check_scalar, indexable
from sklearn.utils.parallel import Parallel, delayed

from skactprune.inspection.display import COLORS, Display, curve_with_band, spread
from skactprune.inspection.preprocessing import fitted_preprocessing, pipeline_and_net, prepared
from skactprune.inspection.rivals import (
    pca_classifier,
    standardized_logistic,
    standardized_ridge,
)
from skactprune.inspection.rows import model_row, timed_fit
from skactprune.inspection.scoring import named_scorers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import MatrixLike, ScoringLike
    from skactprune.estimators import PrunedMLPClassifier, PrunedMLPRegressor

__all__ = ["PCAComparisonDisplay"]

# Numbers of components.
USUAL = (2, 4, 8, 16)
STYLES = [
    {"color": COLORS["vermilion"], "marker": "o"},
    {"color": COLORS["blue"], "marker": "s", "linestyle": "--"},
    {"color": COLORS["green"], "marker": "^", "linestyle": "-."},
    {"color": COLORS["purple"], "marker": "D", "linestyle": ":"},
]


class PCAComparisonDisplay(Display):
    """Score of a classifier or regressor on k components, of a pruned net and of PCA, against k.

    Parameters
    ----------
    rows : list of dict
        A row for every method, number of components and fold, with ``method``, ``n_components``,
        ``fold`` and the scores, such as those that `compare_with_pca` returns for several
        `n_components`. Rows whose ``n_components`` is NaN are left out.
    score_name : str, default="accuracy"
        The score to draw, the column ``test_{score_name}``.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What `plot` has drawn on.
    figure_ : matplotlib Figure
        The figure that it is in.
    lines_ : dict of str to matplotlib Line2D
        Mean scores, by method.
    bands_ : dict of str to matplotlib PolyCollection
        One standard error of the folds around them.

    See Also
    --------
    skactprune.compare_with_pca : One number of components, beside many other models.

    Notes
    -----
    Nets for different k are different fits: each keeps at least k neurons in the layer that
    `transform` shows.

    Examples
    --------
    >>> from skactprune.inspection import PCAComparisonDisplay
    >>> about = {"method": "PCA + classifier", "n_components": 2}
    >>> rows = [{**about, "fold": fold, "test_accuracy": 0.9} for fold in range(3)]
    >>> display = PCAComparisonDisplay(rows).plot()  # doctest: +SKIP
    """

    def __init__(self, rows: list[dict[str, Any]], score_name: str = "accuracy") -> None:
        self.rows = rows
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike,
        *,
        n_components: ArrayLike | None = None,
        downstream: Any = None,
        groups: ArrayLike | None = None,
        cv: Any = 5,
        scoring: ScoringLike | None = None,
        n_jobs: int | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Fit nets and PCA with every number of components on every fold, and draw their scores.

        Parameters
        ----------
        estimator : PrunedMLPClassifier or the like, or a pipeline that ends in one
            Is cloned, and its `n_components` set.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        n_components : array-like of int, default=None
            Numbers of components, at most those of the rows of a fold and of the columns that the
            net gets. None is those of 2, 4, 8 and 16 that are no more.
        downstream : estimator, default=None
            What predicts from components. None is logistic regression on standardized ones, or
            ridge regression for a regressor.
        groups : array-like of shape (n_samples,), default=None
            Groups of the rows, for splitters that keep them together.
        cv : int, splitter or iterable, default=5
            Folds, as in `sklearn.model_selection.cross_validate`.
        scoring : str, callable, list, tuple, set or dict, default=None
            As in `compare_with_pca`; None is accuracy, or R² for a regressor. The first of several
            is drawn.
        n_jobs : int, default=None
            Folds at the same time.
        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        PCAComparisonDisplay
            ``rows`` has the numbers.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        ValueError
            For parameters out of range; the message names them.
        """
        # Before all the work.
        cls._matplotlib()
        pipeline, net = pipeline_and_net(estimator, "estimator")
        numbers = None if n_components is None else _checked(n_components)
        X, y, groups = indexable(X, y, groups)
        X, y = X if hasattr(X, "shape") else np.asarray(X), np.asarray(y)
        usual = "r2" if is_regressor(net) else "accuracy"
        scoring = named_scorers(usual if scoring is None else scoring)
        if downstream is None:
            downstream = standardized_ridge() if is_regressor(net) else standardized_logistic()
        fold_rows = partial(_fold_rows, pipeline, net, numbers, downstream, scoring)
        folds = check_cv(cv, y, classifier=not is_regressor(net)).split(X, y, groups)
        found = Parallel(n_jobs)(delayed(fold_rows)(X, y, *fold) for fold in folds)
        rows = [{"fold": fold, **row} for fold, of in enumerate(found) for row in of]
        return cls(rows, next(iter(scoring))).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the mean score of each method against the number of components.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        PCAComparisonDisplay
            The same.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        ValueError
            If there are no rows with components.
        """
        scores = self._scores()
        if not scores:
            raise ValueError("rows must have some with n_components, got none.")
        ax = self._axes(ax)
        ticker = self._matplotlib()[1]
        self.lines_, self.bands_ = {}, {}
        n_folds = 1
        for number, (method, by_k) in enumerate(scores.items()):
            spreads = [spread([of]) for of in by_k.values()]
            means, errors = np.concatenate(spreads, axis=1)
            style = STYLES[number % len(STYLES)]
            line, band = curve_with_band(ax, list(by_k), means, errors, label=method, **style)
            self.lines_[method], self.bands_[method] = line, band
            n_folds = max(n_folds, *map(len, by_k.values()))
        ticks = _ticks({k for by_k in scores.values() for k in by_k})
        if len(ticks) > 1:
            ax.set_xscale("log", base=2)
        ax.set_xticks(ticks, [f"{k:g}" for k in ticks])
        ax.xaxis.set_minor_locator(ticker.NullLocator())
        ax.set_xlabel("components")
        ax.set_ylabel(self.score_name.replace("_", " "))
        title = f"mean of {n_folds} folds ± one standard error" if n_folds > 1 else ""
        ax.legend(fontsize=9, title=title, title_fontsize=8)
        ax.grid(alpha=0.3)
        return self

    def _scores(self) -> dict[str, dict[int, list[float]]]:
        """Scores of the folds, by method and number of components."""
        column = f"test_{self.score_name}"
        rows = [row for row in self.rows if not np.isnan(row["n_components"])]
        lacking = next((row for row in rows if column not in row), None)
        if lacking is not None:
            known = [name[len("test_") :] for name in lacking if name.startswith("test_")]
            raise ValueError(f"score_name={self.score_name!r} must be one of {known}.")
        found: dict[str, dict[int, dict[int, float]]] = {}
        for number, row in enumerate(sorted(rows, key=lambda row: row["n_components"])):
            # Whoever has no more components than these was fitted again to the same rows.
            of_folds = found.setdefault(row["method"], {}).setdefault(row["n_components"], {})
            of_folds.setdefault(row.get("fold", number), row[column])
        return {
            method: {k: [*of_folds.values()] for k, of_folds in by_k.items()}
            for method, by_k in found.items()
        }


def _ticks(numbers: set[int]) -> list[int]:
    """Numbers that are far enough from each other on a logarithmic axis."""
    ticks: list[int] = []
    ratio = (max(numbers) / min(numbers)) ** (1 / 12)
    for number in sorted(numbers):
        if not ticks or number >= ratio * ticks[-1]:
            ticks.append(number)
    return ticks


def _checked(n_components: ArrayLike, most: int | None = None) -> list[int]:
    numbers = sorted({*np.ravel(n_components).tolist()})
    for number in numbers:
        check_scalar(number, "n_components", Integral, min_val=1, max_val=most)
    if not numbers:
        raise ValueError(f"n_components={n_components!r} must have at least one number.")
    return numbers


def _fold_rows(
    pipeline: Any,
    net: PrunedMLPClassifier | PrunedMLPRegressor,
    numbers: list[int] | None,
    downstream: Any,
    scoring: dict[str, Any],
    X: Any,
    y: NDArray[Any],
    train: NDArray[np.integer],
    test: NDArray[np.integer],
) -> list[dict[str, Any]]:
    X_train, y_train = _safe_indexing(X, train), y[train]
    prepare, fit_rows, _ = fitted_preprocessing(pipeline, X_train, y_train)
    splits: dict[str, tuple[Any, NDArray[Any]]] = {
        "train": (prepared(prepare, X_train), y_train),
        "test": (prepared(prepare, _safe_indexing(X, test)), y[test]),
    }
    most = min(splits["train"][0].shape)
    usual = [k for k in USUAL if k <= most] or [most]
    numbers = usual if numbers is None else _checked(numbers, most)
    row = partial(model_row, splits=splits, scoring=scoring)
    kind = "regressor" if is_regressor(net) else "classifier"
    found = []
    for number in numbers:
        with warnings.catch_warnings():
            # How far a net is trained and pruned is not this curve's to judge.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted, seconds = timed_fit(clone(net).set_params(n_components=number), *fit_rows)
        on_hidden, more = timed_fit(clone(downstream), fitted.transform(fit_rows[0]), fit_rows[1])
        models = {"transform": (make_pipeline(fitted, on_hidden), seconds + more)}
        models["PCA"] = timed_fit(pca_classifier(number, downstream), *fit_rows)
        for name, (model, took) in models.items():
            about: dict[str, Any] = {"method": f"{name} + {kind}", "n_components": number}
            found.append(row(model, seconds=took, **about))
    return found
