"""Pruned nets beside PCA and other rivals, fold by fold."""

from __future__ import annotations

import warnings
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils import _safe_indexing, check_scalar
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, indexable

from skactprune._validation import canonical
from skactprune.deploy.scalers import is_sampler
from skactprune.inspection.low_rank import LowRankNet
from skactprune.inspection.preprocessing import (
    fitted_preprocessing,
    pipeline_and_net,
    prepared,
    preprocessing_of,
)
from skactprune.inspection.rivals import (
    component_classifiers,
    component_regressors,
    plain_classifiers,
    plain_regressors,
    pruned_at_random,
    small_net,
    standardized_logistic,
    standardized_ridge,
)
from skactprune.inspection.rows import model_row, timed_fit
from skactprune.inspection.scoring import named_scorers

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import MatrixLike, ScoringLike
    from skactprune.estimators import PrunedMLPClassifier, PrunedMLPRegressor

    Net: TypeAlias = PrunedMLPClassifier | PrunedMLPRegressor
    # Of a model and what is told beside it.
    Row: TypeAlias = Callable[..., dict[str, Any]]

__all__ = ["compare_with_pca"]

LOW_RANK: dict[str, Literal["pca", "svd"]] = {"kernel PCA": "pca", "truncated SVD": "svd"}


def compare_with_pca(
    estimator: Any,
    X: MatrixLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    cv: Any = 5,
    scoring: ScoringLike | None = None,
    n_jobs: int | None = None,
    n_components: int | None = None,
    downstream: Any = None,
    unpruned: Any = None,
) -> list[dict[str, Any]]:
    """Compare a pruned net with nets and other models that it should be better than, PCA for one.

    On every fold, these are fitted on the training rows and scored on the held-out rows:

    - ``"pruned net"``: `estimator` itself;
    - ``"unpruned net"``: the same with nothing of it pruned;
    - ``"unpruned net, kernel PCA"``: its hidden kernels reconstructed from as many principal
      components as the pruned kernels have ranks, the baseline of the paper;
    - ``"unpruned net, truncated SVD"``: the same with the best approximation of these ranks;
    - ``"net pruned at random"``: `estimator` with the method `skactprune.methods.Random`, of the
      granularity, scope and schedule of its own method;
    - ``"small net from scratch"``: an unpruned net with hidden layers of as many neurons as are
      live in the pruned net, trained for as many epochs;
    - ``"logistic regression"``: on standardized features;
    - ``"gradient boosting"``: scikit-learn's `HistGradientBoostingClassifier`, as it is;
    - ``"PCA + classifier"``: `downstream` on principal components of `X`;
    - ``"LDA + classifier"``: `downstream` on components of linear discriminant analysis, of which
      there are at most one less than classes;
    - ``"NCA + classifier"``: `downstream` on components of neighborhood components analysis, which
      learns them from a sample of 2000 rows where there are more;
    - ``"transform + classifier"``: `downstream` on the hidden representation of the pruned net, of
      the same number of columns as PCA and NCA have.

    Of a regressor, they are "ridge regression" on standardized features, gradient boosting where
    there is one target, and "PCA + regressor", "PLS + regressor" and "transform + regressor".

    Gradient boosting, LDA, NCA and PLS are left out where `X` is sparse.

    Parameters
    ----------
    estimator : PrunedMLPClassifier, PrunedMLPRegressor or Pipeline that ends in one
        Give it an integer `random_state`, so that the pruned and the unpruned net start from the
        same weights. Preprocessing steps are fitted once a fold, for all methods. So do samplers,
        in a pipeline of imbalanced-learn: everything is fitted on the rows that they return, and
        scored on rows as they are, training rows included.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows; with ``cv="prefit"``, rows that `estimator` was not fitted on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or the targets of a regressor.
    groups : array-like of shape (n_samples,), default=None
        Groups of the rows, for splitters that keep them together, such as `GroupKFold`. With
        ``cv="prefit"``, folds keep them together.
    cv : int, splitter, iterable or "prefit", default=5
        Folds, as in `sklearn.model_selection.cross_validate`. With "prefit", `estimator` is fitted
        already and is not fitted again. `X` is then split into five folds, stratified by class, on
        which the other models and components are cross-fitted: `downstream` never sees a row whose
        label has shaped the hidden representation.
    scoring : str, callable, list, tuple, set or dict, default=None
        Scores, as in `sklearn.model_selection.cross_validate`: names of scikit-learn's scorers, or
        a dict of names or callables by the name that the score gets. A callable alone gets the
        name "score". None is accuracy, balanced accuracy, in which every class counts the same, and
        "neg_log_loss", NaN for classifiers that tell no probabilities. Classes that the training
        rows of a fold lack have the probability 0 then, clipped as by `sklearn.metrics.log_loss`.
        Of a regressor it is "r2" and "neg_root_mean_squared_error".
    n_jobs : int, default=None
        Folds at the same time, as in `sklearn.model_selection.cross_validate`. Fits that wait for
        each other take more seconds.
    n_components : int, default=None
        Number of components, for PCA and for the net, whose parameter of this name is set. None
        leaves the net as it is and takes as many principal components of `X` as `transform`
        returns columns, or all there are (of sparse rows, all but one).
    downstream : classifier or regressor, default=None
        None is logistic, or ridge, regression on standardized components.
    unpruned : estimator, default=None
        With ``cv="prefit"`` only: the unpruned counterpart of `estimator`, with hidden layers of
        the sizes that those of `estimator` had before pruning, and fitted on the same rows.
        Without it, the three rows of the unpruned net are left out. No other net is fitted then:
        there are no rows of the net pruned at random and the small net.

    Returns
    -------
    rows : list of dict
        A row for every method and fold, fit for ``pandas.DataFrame``, with the keys

        - ``method``, ``fold`` (from 0);
        - ``train_accuracy``, ``test_accuracy`` and the like for all of `scoring` (the former NaN
          for nets that were prefit);
        - ``sparsity``: share of the hidden layers' original weights that is gone; ``live_neurons``
          and ``ranks``: of every hidden layer; NaN and None without a net;
        - ``parameters``: weights that are not zero, and biases. A reconstructed kernel counts as
          the factors it can be stored as, if these are smaller (see
          `skactprune.inspection.LowRankNet`). NaN for trees, and where `downstream` is not linear;
        - ``n_components``: columns that `downstream` sees, NaN without one;
        - ``fit_seconds``: preprocessing not counted, NaN for nets that were prefit.

    Raises
    ------
    ValueError
        For parameters out of range, the message names them; and for multilabel targets, which the
        rivals do not take.
    NotFittedError
        If `estimator` is not fitted and `cv` is "prefit".
    KeyboardInterrupt
        If a fit is interrupted.

    Notes
    -----
    In cross-validation, `downstream` is fitted on representations of rows on which the net was
    fitted, too. Their classes are further apart than those of new rows, so that training accuracy
    flatters it; the test accuracy does not.

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skactprune import PrunedMLPClassifier, compare_with_pca
    >>> X, y = load_iris(return_X_y=True)
    >>> net = PrunedMLPClassifier((20, 10), learning_rate_init=0.02, tol=0.001, random_state=0)
    >>> rows = compare_with_pca(make_pipeline(StandardScaler(), net), X, y, cv=3)
    >>> for row in rows[:12]:
    ...     print(row["method"])
    pruned net
    unpruned net
    unpruned net, kernel PCA
    unpruned net, truncated SVD
    net pruned at random
    small net from scratch
    logistic regression
    gradient boosting
    PCA + classifier
    LDA + classifier
    NCA + classifier
    transform + classifier
    """
    X, y, groups = indexable(X, y, groups)
    X = canonical(X)
    _, net = pipeline_and_net(estimator, "estimator")
    regression = is_regressor(net)
    if not regression and type_of_target(y).startswith("multilabel"):
        raise ValueError(
            "y has several columns of labels; LDA, NCA, logistic regression and gradient boosting "
            "take one class a row. Compare each label alone, or use pruning_path."
        )
    X, y = X if hasattr(X, "shape") else np.asarray(X), np.asarray(y)
    if n_components is not None:
        check_scalar(n_components, "n_components", Integral, min_val=1)
    if downstream is None:
        downstream = standardized_ridge() if regression else standardized_logistic()
    scoring = named_scorers(scoring, net=net)
    if isinstance(cv, str):
        if cv != "prefit":
            raise ValueError(f"cv={cv!r} must be an integer, a splitter, an iterable or 'prefit'.")
        compare_fold = _prefit(estimator, unpruned, n_components)
        alone, grouped = (
            (KFold, GroupKFold) if regression else (StratifiedKFold, StratifiedGroupKFold)
        )
        folds = alone(5) if groups is None else grouped(5)
    else:
        if unpruned is not None:
            raise ValueError(
                f"unpruned={unpruned!r} must be None unless cv='prefit', got cv={cv!r}: "
                "cross-validation fits the unpruned net itself."
            )
        compare_fold = _cross_fit(estimator, n_components)
        folds = check_cv(cv, y, classifier=not regression)
    found = Parallel(n_jobs)(
        delayed(compare_fold)(X, y, train, test, n_components, downstream, scoring)
        for train, test in folds.split(X, y, groups)
    )
    return [
        {"method": None, "fold": fold, "n_components": np.nan, **row}
        for fold, rows in enumerate(found)
        for row in rows
    ]


def _cross_fit(estimator: Any, n_components: int | None) -> Callable[..., list[dict[str, Any]]]:
    """Function that fits everything on the training rows of a fold."""
    pipeline, net = _parts(estimator, "estimator")
    net = clone(net)
    if n_components is not None:
        net.set_params(n_components=n_components)
    return partial(_fit_fold, pipeline, net)


def _fit_fold(
    pipeline: Any,
    net: Net,
    X: Any,
    y: NDArray[Any],
    train: NDArray[np.integer],
    test: NDArray[np.integer],
    n_components: int | None,
    downstream: Any,
    scoring: dict[str, Any],
) -> list[dict[str, Any]]:
    X_train, y_train = _safe_indexing(X, train), y[train]
    prepare, fit_rows, _ = fitted_preprocessing(pipeline, X_train, y_train)
    splits = {
        "train": (prepared(prepare, X_train), y_train),
        "test": (prepared(prepare, _safe_indexing(X, test)), y[test]),
    }
    row = partial(model_row, splits=splits, scoring=scoring)
    pruned, seconds = timed_fit(clone(net), *fit_rows)
    dense, dense_seconds = timed_fit(_unpruned(net), *fit_rows)
    return [
        row(pruned, seconds=seconds, method="pruned net"),
        *_unpruned_rows(dense, dense_seconds, pruned.hidden_ranks_, row),
        *_rival_rows(net, pruned, fit_rows, row),
        *_other_rows(pruned, seconds, n_components, downstream, fit_rows, row),
    ]


def _unpruned(net: Net) -> Net:
    return clone(net).set_params(prune_fraction=0, prune_features=0, prune_output=0)


def _prefit(
    estimator: Any, unpruned: Any, n_components: int | None
) -> Callable[..., list[dict[str, Any]]]:
    """Function that fits classifiers on the training rows of a fold, beside nets as they are."""
    pipeline, net = _parts(estimator, "estimator")
    check_is_fitted(net)
    width = len(net.get_feature_names_out())
    if n_components not in (None, width):
        raise ValueError(
            f"n_components={n_components!r} must be None or {width} with cv='prefit': the fitted "
            f"net's transform returns {width} columns."
        )
    dense = None if unpruned is None else _unpruned_parts(unpruned, net)
    return partial(_score_fold, pipeline, net, dense)


def _score_fold(
    pipeline: Any,
    net: Net,
    dense: tuple[Any, Net] | None,
    X: Any,
    y: NDArray[Any],
    train: NDArray[np.integer],
    test: NDArray[np.integer],
    n_components: int | None,
    downstream: Any,
    scoring: dict[str, Any],
) -> list[dict[str, Any]]:
    # No net is fitted here, so that none has training rows.
    row = partial(model_row, scoring=scoring)
    X_train, X_test = (_safe_indexing(X, rows) for rows in (train, test))
    prepare = preprocessing_of(pipeline)
    unseen = {"train": None, "test": (prepared(prepare, X_test), y[test])}
    found = [row(net, unseen, method="pruned net")]
    if dense is not None:
        pipeline_dense, net_dense = dense
        X_dense = prepared(preprocessing_of(pipeline_dense), X_test)
        row_dense = partial(row, splits=unseen | {"test": (X_dense, y[test])})
        found += _unpruned_rows(net_dense, np.nan, net.hidden_ranks_, row_dense)
    splits = unseen | {"train": (prepared(prepare, X_train), y[train])}
    fit_rows = _resampled(pipeline, X_train, y[train])
    row = partial(row, splits=splits)
    return found + _other_rows(net, 0.0, n_components, downstream, fit_rows, row)


def _parts(estimator: Any, name: str) -> tuple[Any, Net]:
    """The pipeline or None, and the net; checks that there is one to compare with PCA."""
    pipeline, net = pipeline_and_net(estimator, name)
    if np.size(net.hidden_layer_sizes) == 0:
        raise ValueError(
            f"{name} has hidden_layer_sizes={net.hidden_layer_sizes!r}; it must have at least one "
            "hidden layer to be compared with PCA."
        )
    return pipeline, net


def _unpruned_parts(unpruned: Any, net: Net) -> tuple[Any, Net]:
    pipeline, dense = _parts(unpruned, "unpruned")
    check_is_fitted(dense)
    sizes = [coef.shape[1] for coef in dense.coefs_[:-1]]
    original = [mask.shape[1] for mask in net.masks_]
    if sizes != original:
        raise ValueError(
            f"unpruned has hidden layers of the sizes {sizes}; they must be {original}, those "
            "that the pruned net started from."
        )
    return pipeline, dense


def _resampled(pipeline: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """Rows as the samplers of a fitted pipeline give them to its last step."""
    for _, step in [] if pipeline is None else pipeline.steps[:-1]:
        if is_sampler(step):
            X, y = clone(step).fit_resample(X, y)
        elif step not in (None, "passthrough"):
            X = step.transform(X)
    return X, y


def _unpruned_rows(net: Net, seconds: float, ranks: list[int], row: Row) -> list[dict[str, Any]]:
    found = [row(net, seconds=seconds, method="unpruned net")]
    for name, kind in LOW_RANK.items():
        low = LowRankNet(net, ranks, kind)
        found.append(row(low, seconds=seconds + low.seconds_, method=f"unpruned net, {name}"))
    return found


def _rival_rows(net: Net, pruned: Any, fit_rows: tuple[Any, ...], row: Row) -> list[dict[str, Any]]:
    with warnings.catch_warnings():
        # Neither how it trains nor how far it is pruned is the rival's to choose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "(?s).*Take a lower prune_fraction")
        random, seconds = timed_fit(pruned_at_random(pruned), *fit_rows)
        small, small_seconds = timed_fit(small_net(pruned), *fit_rows)
    return [
        row(random, seconds=seconds, method="net pruned at random"),
        row(small, seconds=small_seconds, method="small net from scratch"),
    ]


def _other_rows(
    net: Net,
    net_seconds: float,
    n_components: int | None,
    downstream: Any,
    fit_rows: tuple[Any, ...],
    row: Row,
) -> list[dict[str, Any]]:
    X_train, y_train = fit_rows
    hidden = net.transform(X_train)
    # Of sparse rows, PCA has not all components.
    most = min(X_train.shape) - issparse(X_train)
    if n_components is not None and n_components > most:
        raise ValueError(
            f"n_components={n_components!r} must be at most {most}, the smaller of features and "
            f"training rows{', less one for sparse rows' * issparse(X_train)}."
        )
    found, numbers = [], is_regressor(net)
    plain = plain_regressors(X_train, y_train) if numbers else plain_classifiers(X_train)
    for method, model in plain.items():
        model, seconds = timed_fit(model, X_train, y_train)
        found.append(row(model, seconds=seconds, method=method))
    k = n_components or min(hidden.shape[1], most)
    on_components = component_regressors if numbers else component_classifiers
    kind = "regressor" if numbers else "classifier"
    for name, model in on_components(k, X_train, y_train, downstream).items():
        model, seconds = timed_fit(model, X_train, y_train)
        labels = {"method": f"{name} + {kind}", "n_components": model[0].n_components}
        found.append(row(model, seconds=seconds, **labels))
    on_hidden, seconds = timed_fit(clone(downstream), hidden, y_train)
    labels = {"method": f"transform + {kind}", "n_components": hidden.shape[1]}
    return [*found, row(make_pipeline(net, on_hidden), seconds=net_seconds + seconds, **labels)]
