"""The pruning path: score against size, from one training a fold that is pruned on and on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from numbers import Integral, Real
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing, check_scalar
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, indexable

from skactprune._warnings import warn
from skactprune.estimators._checks import check_n_components, hidden_sizes
from skactprune.inspection.choosing import within_one_se
from skactprune.inspection.display import COLORS, Display, curve_with_band, spread
from skactprune.inspection.preprocessing import fitted_preprocessing, pipeline_and_net, prepared
from skactprune.inspection.rows import model_row, timed_fit
from skactprune.inspection.scoring import named_scorers
from skactprune.pruning.method import get_method
from skactprune.triggers import EpochTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import MatrixLike, ScoringLike
    from skactprune.estimators import PrunedMLPClassifier, PrunedMLPRegressor

__all__ = ["PruningPathDisplay", "pruning_path"]

FRACTIONS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
AXES = {"parameters": "parameters", "fraction": "share of the hidden weights pruned"}


def pruning_path(
    estimator: Any,
    X: MatrixLike,
    y: MatrixLike,
    *,
    fractions: Sequence[float] | NDArray[Any] | None = None,
    n_epochs: int = 20,
    groups: ArrayLike | None = None,
    cv: Any = 5,
    scoring: ScoringLike | None = None,
    n_jobs: int | None = None,
    params: dict[str, Any] | None = None,
) -> Any:
    """Score against size along one training a fold, which is pruned on and on.

    On every fold the net is fitted once, to the first of `fractions`, and then goes on, warm: an
    epoch, at whose end a round prunes to the next fraction, `n_epochs` epochs of training, and so
    forth. Every net on the way is scored on the held-out rows. It is to `prune_fraction` what
    `cost_complexity_pruning_path` of scikit-learn's trees is to ``ccp_alpha``: it shows how much
    can go, at a fraction of the cost of a grid search.

    Parameters
    ----------
    estimator : PrunedMLPClassifier, PrunedMLPRegressor or Pipeline that ends in one
        Is cloned. Its own `prune_fraction` does not matter, its `n_prune_rounds` and `trigger` for
        the first fraction only. Preprocessing is fitted once a fold.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, multilabel targets, or the targets of a regressor.
    fractions : array-like of shape (n_fractions,), default=None
        Values of `prune_fraction` on the way, rising. None is 0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85,
        0.9, 0.95 and 0.98, as far as the smallest hidden layer can lose this share of its neurons.
    n_epochs : int, default=20
        Epochs after the round of each fraction but the first, whose fit is that of `estimator`; or
        fewer, where its `tol` or early stopping ends training.
    groups : array-like of shape (n_samples,), default=None
        Groups of the rows, for splitters that keep them together.
    cv : int, splitter or iterable, default=5
        Folds, as in `sklearn.model_selection.cross_validate`.
    scoring : str, callable, list, tuple, set or dict, default=None
        Scores, as in `compare_with_pca`; None is accuracy, balanced accuracy and "neg_log_loss",
        for multilabel targets accuracy, "f1_micro" and "neg_log_loss", of all labels together, of a
        regressor "r2" and "neg_root_mean_squared_error". The first of them decides.
    n_jobs : int, default=None
        Folds at the same time.
    params : dict, default=None
        Parameters of the fits, as in `sklearn.model_selection.cross_validate`: what has a value for
        every row is split with the rows, such as ``{"sample_weight": w}``, or
        ``{"net__sample_weight": w}`` for the step "net" of a pipeline. Scores are not weighted.

    Returns
    -------
    path : Bunch
        With the attributes

        - ``rows``: a dict for every fold and fraction, fit for ``pandas.DataFrame``, with the keys
          ``fraction``, ``fold`` and those of `skactprune.inspection.model_row`: scores on training
          and held-out rows, ``sparsity``, ``live_neurons``, ``ranks``, ``parameters``, and
          ``fit_seconds`` of this step alone;
        - ``fractions``: ndarray of shape (n_fractions,);
        - ``scores``, ``sparsity``, ``live_neurons``, ``parameters``: the first of `scoring` on
          held-out rows, share of the hidden weights that is gone, hidden neurons in all, and the
          size of the net, ndarrays of shape (n_fractions, n_folds);
        - ``score_name``: name of that score;
        - ``best_fraction``: that of the best mean score;
        - ``one_se_fraction``: that of the fewest parameters whose mean score is within one
          standard error of the best, see `skactprune.inspection.smallest_within_one_se`. Both are
          NaN, with a warning, where no fraction has a score on every fold.

    Raises
    ------
    ValueError
        For parameters out of range; the message names them.
    KeyboardInterrupt
        If a fit is interrupted.

    See Also
    --------
    PruningPathDisplay : The path as a figure.
    smallest_within_one_se : The same choice in a grid search.

    Notes
    -----
    A net on the path has been trained for longer than one that is fitted to its fraction at once,
    and lost its weights in other rounds; the path tells where the score begins to fall, and fits of
    their own tell by how much. Methods that act before the first step, such as "snip", act on a
    trained net in all steps but the first, and those that go back to early weights go back in each.
    With `early_stopping`, each step draws its own validation rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skactprune import PrunedMLPClassifier, pruning_path
    >>> X, y = load_iris(return_X_y=True)
    >>> net = PrunedMLPClassifier((20,), learning_rate_init=0.02, tol=0.001, random_state=0)
    >>> model = make_pipeline(StandardScaler(), net.set_params(method="activation"))
    >>> path = pruning_path(model, X, y, fractions=[0, 0.5, 0.8], cv=3)
    >>> path.parameters.mean(axis=1)
    array([163.,  83.,  35.])
    """
    pipeline, net = pipeline_and_net(estimator, "estimator")
    fractions = _fractions(net) if fractions is None else _checked(fractions)
    _check_prunes(net, fractions)
    check_scalar(n_epochs, "n_epochs", Integral, min_val=1)
    if params is not None and not isinstance(params, Mapping):
        raise ValueError(f"params={params!r} must be a dict of parameters of fit, or None.")
    X, y, groups = indexable(X, y, groups)
    X = X if hasattr(X, "shape") else np.asarray(X)
    y = y.toarray() if issparse(y) else np.asarray(y)
    scoring = named_scorers(scoring, y, net)
    fold_path = partial(_fold_path, pipeline, net, fractions, n_epochs, scoring)
    folds = list(check_cv(cv, y, classifier=is_classifier(net)).split(X, y, groups))
    found = Parallel(n_jobs)(
        delayed(fold_path)(X, y, train, test, params or {}) for train, test in folds
    )
    return _path(found, fractions, next(iter(scoring)))


def _fractions(net: PrunedMLPClassifier | PrunedMLPRegressor) -> list[float]:
    """Those of `FRACTIONS` after which all layers have as many neurons as they must keep."""
    sizes = hidden_sizes(net)
    fewest = max(int(np.max(net.min_neurons)), *check_n_components(net, sizes, "size"), 1)
    smallest = min(sizes, default=0)
    return [f for f in FRACTIONS if (1 - f) * smallest >= fewest - 1e-9] or [0.0]


def _check_prunes(net: PrunedMLPClassifier | PrunedMLPRegressor, fractions: list[float]) -> None:
    """Raise ValueError for nets that no fraction says how much to prune of."""
    own = get_method(net.method).own_threshold
    if own is not None:
        raise ValueError(
            f"method={net.method!r} must have no threshold of its own: fractions say how much is "
            f"pruned, and {own} would not be heeded."
        )
    if net.n_prune_rounds == 0 and fractions[0]:
        raise ValueError(
            f"n_prune_rounds=0 of the estimator never prunes, so that fractions={fractions!r} must "
            "begin with 0."
        )


def _checked(fractions: Sequence[float] | NDArray[Any]) -> list[float]:
    given: list[Any] = list(fractions) if np.iterable(fractions) else []
    numbers = [f for f in given if isinstance(f, Real) and 0 <= float(f) < 1]
    rising = all(a < b for a, b in zip(numbers, numbers[1:], strict=False))
    if not numbers or len(numbers) < len(given) or not rising:
        raise ValueError(
            f"fractions={fractions!r} must be rising numbers in [0, 1), at least one of them."
        )
    return list(map(float, numbers))


def _fold_path(
    pipeline: Any,
    net: PrunedMLPClassifier | PrunedMLPRegressor,
    fractions: list[float],
    n_epochs: int,
    scoring: dict[str, Any],
    X: Any,
    y: NDArray[Any],
    train: NDArray[np.integer],
    test: NDArray[np.integer],
    params: dict[str, Any],
) -> list[dict[str, Any]]:
    """Rows of a fold, one a fraction."""
    X_train, X_test = (_safe_indexing(X, rows) for rows in (train, test))
    params = _check_method_params(X, params, train)
    prepare, fit_rows, params = fitted_preprocessing(pipeline, X_train, y[train], **params)
    splits = {
        "train": (prepared(prepare, X_train), y[train]),
        "test": (prepared(prepare, X_test), y[test]),
    }
    first, *others = fractions
    row = partial(model_row, splits=splits, scoring=scoring)
    net, seconds = timed_fit(clone(net).set_params(prune_fraction=first), *fit_rows, **params)
    found = [row(net, seconds=seconds, fraction=first)]
    # One round a step, at the end of its first epoch.
    step = {"warm_start": True, "max_iter": 1 + n_epochs, "n_prune_rounds": 1}
    net.set_params(**step, trigger=EpochTrigger(0, 0))
    for fraction in others:
        with warnings.catch_warnings():
            # It is not to converge, and to go too far is what shows how far is right.
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "(?s).*Take a lower prune_fraction")
            net, seconds = timed_fit(net.set_params(prune_fraction=fraction), *fit_rows, **params)
        found.append(row(net, seconds=seconds, fraction=fraction))
    return found


def _path(found: list[list[dict[str, Any]]], fractions: list[float], score_name: str) -> Any:
    rows = [{"fraction": None, "fold": fold, **row} for fold, of in enumerate(found) for row in of]

    def column(of: Callable[[dict[str, Any]], float]) -> NDArray[Any]:
        return np.array([[of(row) for row in fold] for fold in found]).T

    scores, parameters = (column(itemgetter(name)) for name in (f"test_{score_name}", "parameters"))
    means = scores.mean(axis=1)
    best_fraction = one_se_fraction = np.nan
    if np.isnan(means).all():
        warn(
            f"No fraction has a score {score_name!r} on every fold: best_fraction and "
            "one_se_fraction are NaN."
        )
    else:
        best_fraction = fractions[np.nanargmax(means)]
        one_se_fraction = fractions[within_one_se(scores, parameters.mean(axis=1))]
    return Bunch(
        rows=rows,
        fractions=np.array(fractions),
        scores=scores,
        sparsity=column(itemgetter("sparsity")),
        live_neurons=column(lambda row: sum(row["live_neurons"])),
        parameters=parameters,
        score_name=score_name,
        best_fraction=best_fraction,
        one_se_fraction=one_se_fraction,
    )


class PruningPathDisplay(Display):
    """A pruning path as a figure: score against size.

    Parameters
    ----------
    path : Bunch
        What `pruning_path` returns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What `plot` has drawn on.
    figure_ : matplotlib Figure
        The figure that it is in.
    line_ : matplotlib Line2D
        Mean scores.
    band_ : matplotlib PolyCollection
        One standard error of the folds around them.

    See Also
    --------
    pruning_path : The numbers.
    """

    def __init__(self, path: Any) -> None:
        self.path = path

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike,
        *,
        ax: Axes | None = None,
        x: Literal["parameters", "fraction"] = "parameters",
        **options: Any,
    ) -> Self:
        """Compute a pruning path and draw it.

        Parameters
        ----------
        estimator : PrunedMLPClassifier, PrunedMLPRegressor or Pipeline that ends in one
            See `pruning_path`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels.
        ax : matplotlib Axes, default=None
            See `plot`.
        x : {"parameters", "fraction"}, default="parameters"
            See `plot`.
        **options
            Further parameters of `pruning_path`, such as `cv`.

        Returns
        -------
        PruningPathDisplay
            ``path`` has the numbers.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        """
        _check_axis(x)
        # Before all the work.
        cls._matplotlib()
        return cls(pruning_path(estimator, X, y, **options)).plot(ax, x=x)

    def plot(
        self, ax: Axes | None = None, *, x: Literal["parameters", "fraction"] = "parameters"
    ) -> Self:
        """Draw mean scores with a band of one standard error, the best and the choice.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        x : {"parameters", "fraction"}, default="parameters"
            What the scores are drawn against: the mean number of parameters, on a logarithmic
            scale, or the fraction that was asked for.

        Returns
        -------
        PruningPathDisplay
            The same.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        ValueError
            If `x` is unknown, or no fraction has a score on every fold.
        """
        _check_axis(x)
        if np.isnan(self.path.best_fraction):
            raise ValueError(
                f"There is nothing to draw: no fraction has a score {self.path.score_name!r} on "
                "every fold."
            )
        ax, path = self._axes(ax), self.path
        at = path.parameters.mean(axis=1) if x == "parameters" else path.fractions
        means, errors = spread(path.scores)
        shown = f"mean of {path.scores.shape[1]} folds, and the share pruned"
        how: dict[str, Any] = {"color": COLORS["blue"], "marker": "o", "label": shown}
        band = "± one standard error"
        self.line_, self.band_ = curve_with_band(ax, at, means, errors, band=band, **how)
        best, chosen = (
            int(np.flatnonzero(path.fractions == fraction)[0])
            for fraction in (path.best_fraction, path.one_se_fraction)
        )
        least: dict[str, Any] = {"color": COLORS["grey"], "linestyle": "--", "linewidth": 1}
        ax.axhline(means[best] - errors[best], label="best less one error", **least)
        shown = f"smallest above it: prune_fraction={path.one_se_fraction:g}"
        star: dict[str, Any] = {"color": COLORS["vermilion"], "markersize": 15, "label": shown}
        ax.plot(at[chosen], means[chosen], "*", **star)
        above: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
        for place, mean, fraction in zip(at, means, path.fractions, strict=True):
            ax.annotate(f"{fraction:.0%}", (place, mean), xytext=(0, 8), **above)
        ax.set_xlabel(AXES[x])
        ax.set_ylabel(path.score_name.replace("_", " "))
        if x == "parameters":
            ticker = self._matplotlib()[1]
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
            ax.xaxis.set_minor_formatter(ticker.NullFormatter())
        ax.legend(loc="lower right" if x == "parameters" else "lower left")
        return self


def _check_axis(x: str) -> None:
    if x not in AXES:
        raise ValueError(f"x={x!r} must be one of {sorted(AXES)}.")
