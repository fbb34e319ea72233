"""Pruned nets beside PCA, fold by fold."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import _safe_indexing, check_scalar
from sklearn.utils.validation import check_is_fitted, indexable

from skactprune.deploy.scalers import is_sampler, without_samplers
from skactprune.estimators import PrunedMLPClassifier
from skactprune.inspection.low_rank import LowRankNet
from skactprune.inspection.rows import (
    model_row,
    pca_classifier,
    standardized_logistic,
    timed_fit,
)

__all__ = ["compare_with_pca"]


def compare_with_pca(estimator, X, y, *, cv=5, n_components=None, downstream=None, unpruned=None):
    """Compare a pruned net with low-rank reconstructions of the unpruned net and with PCA.

    On every fold, these are fitted on the training rows and scored on the held-out rows:

    - ``"pruned net"``: `estimator` itself;
    - ``"unpruned net"``: the same with ``prune_fraction=0``;
    - ``"unpruned net, kernel PCA"``: its hidden kernels reconstructed from as many principal
      components as the pruned kernels have ranks, the baseline of the paper;
    - ``"unpruned net, truncated SVD"``: the same with the best approximation of these ranks;
    - ``"PCA + classifier"``: `downstream` on principal components of `X`;
    - ``"transform + classifier"``: `downstream` on the hidden representation of the pruned net, of
      the same number of columns.

    Parameters
    ----------
    estimator : PrunedMLPClassifier or Pipeline that ends in one
        Give it an integer `random_state`, so that the pruned and the unpruned net start from the
        same weights. Preprocessing steps are fitted once a fold, for all methods. So do samplers,
        in a pipeline of imbalanced-learn: everything is fitted on the rows that they return, and
        scored on rows as they are, training rows included.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows; with ``cv="prefit"``, rows that `estimator` was not fitted on.
    y : array-like of shape (n_samples,)
        Class labels.
    cv : int, splitter, iterable or "prefit", default=5
        Folds, as in `sklearn.model_selection.cross_validate`. With "prefit", `estimator` is fitted
        already and is not fitted again. `X` is then split into five stratified folds, on which PCA
        and the classifiers are cross-fitted: `downstream` never sees a row whose label has shaped
        the hidden representation.
    n_components : int, default=None
        Number of components, for PCA and for the net, whose parameter of this name is set. None
        leaves the net as it is and takes as many principal components of `X` as `transform`
        returns columns, or all there are.
    downstream : classifier, default=None
        None is logistic regression on standardized components.
    unpruned : estimator, default=None
        With ``cv="prefit"`` only: the unpruned counterpart of `estimator`, with hidden layers of
        the sizes that those of `estimator` had before pruning, and fitted on the same rows.
        Without it, the three rows of the unpruned net are left out.

    Returns
    -------
    rows : list of dict
        A row for every method and fold, fit for ``pandas.DataFrame``, with the keys

        - ``method``, ``fold`` (from 0);
        - ``train_accuracy``, ``test_accuracy`` (the former NaN for nets that were prefit);
        - ``sparsity``: share of the hidden layers' original weights that is gone; ``live_neurons``
          and ``ranks``: of every hidden layer; NaN and None for PCA;
        - ``parameters``: weights that are not zero, and biases. A reconstructed kernel counts as
          the factors it can be stored as, if these are smaller (see
          `skactprune.inspection.LowRankNet`). NaN where `downstream` is not linear;
        - ``n_components``: columns that `downstream` sees, NaN without one;
        - ``fit_seconds``: preprocessing not counted, NaN for nets that were prefit.

    Raises
    ------
    ValueError
        For parameters out of range; the message names them.
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
    >>> for row in rows[:6]:
    ...     print(row["method"], row["ranks"])
    pruned net [4, 5]
    unpruned net [4, 10]
    unpruned net, kernel PCA [4, 6]
    unpruned net, truncated SVD [4, 5]
    PCA + classifier None
    transform + classifier [4, 5]
    """
    X, y = indexable(X, y)
    X, y = X if hasattr(X, "shape") else np.asarray(X), np.asarray(y)
    if n_components is not None:
        check_scalar(n_components, "n_components", Integral, min_val=1)
    if downstream is None:
        downstream = standardized_logistic()
    if isinstance(cv, str):
        if cv != "prefit":
            raise ValueError(f"cv={cv!r} must be an integer, a splitter, an iterable or 'prefit'.")
        return _compare_prefit(estimator, unpruned, X, y, n_components, downstream)
    if unpruned is not None:
        raise ValueError(
            f"unpruned={unpruned!r} must be None unless cv='prefit', got cv={cv!r}: "
            "cross-validation fits the unpruned net itself."
        )
    pipeline, net = _parts(estimator, "estimator")
    net = clone(net)
    if n_components is not None:
        net.set_params(n_components=n_components)
    rows = []
    for fold, (train, test) in enumerate(check_cv(cv, y, classifier=True).split(X, y)):
        X_train, y_train = _safe_indexing(X, train), y[train]
        prepare, fit_rows = _fitted_preprocessing(pipeline, X_train, y_train)
        splits = {
            "train": (_prepared(prepare, X_train), y_train),
            "test": (_prepared(prepare, _safe_indexing(X, test)), y[test]),
        }
        pruned, seconds = timed_fit(clone(net), *fit_rows)
        dense, dense_seconds = timed_fit(clone(net).set_params(prune_fraction=0), *fit_rows)
        found = [
            model_row(pruned, splits, seconds=seconds, method="pruned net"),
            *_unpruned_rows(dense, dense_seconds, pruned.hidden_ranks_, splits),
            *_classifier_rows(pruned, seconds, n_components, downstream, fit_rows, splits),
        ]
        rows += _of_fold(fold, found)
    return rows


def _compare_prefit(estimator, unpruned, X, y, n_components, downstream):
    pipeline, net = _parts(estimator, "estimator")
    check_is_fitted(net)
    width = len(net.get_feature_names_out())
    if n_components not in (None, width):
        raise ValueError(
            f"n_components={n_components!r} must be None or {width} with cv='prefit': the fitted "
            f"net's transform returns {width} columns."
        )
    Z = _prepared(_preprocessing(pipeline), X)
    if unpruned is not None:
        pipeline_dense, dense = _unpruned_parts(unpruned, net)
        Z_dense = _prepared(_preprocessing(pipeline_dense), X)
    rows = []
    for fold, (train, test) in enumerate(StratifiedKFold(5).split(X, y)):
        # No net was fitted here, so that none has training rows.
        unseen = {"train": None, "test": (_safe_indexing(Z, test), y[test])}
        found = [model_row(net, unseen, method="pruned net")]
        if unpruned is not None:
            unseen_dense = unseen | {"test": (_safe_indexing(Z_dense, test), y[test])}
            found += _unpruned_rows(dense, np.nan, net.hidden_ranks_, unseen_dense)
        splits = unseen | {"train": (_safe_indexing(Z, train), y[train])}
        fit_rows = _resampled(pipeline, _safe_indexing(X, train), y[train])
        found += _classifier_rows(net, 0.0, n_components, downstream, fit_rows, splits)
        rows += _of_fold(fold, found)
    return rows


def _parts(estimator, name):
    """The pipeline or None, and the net; checks that there is one to compare with PCA."""
    net = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(net, PrunedMLPClassifier):
        raise ValueError(
            f"{name}={estimator!r} must be a PrunedMLPClassifier or a Pipeline that ends in one."
        )
    if np.size(net.hidden_layer_sizes) == 0:
        raise ValueError(
            f"{name} has hidden_layer_sizes={net.hidden_layer_sizes!r}; it must have at least one "
            "hidden layer to be compared with PCA."
        )
    return (estimator if isinstance(estimator, Pipeline) else None), net


def _unpruned_parts(unpruned, net):
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


class _Rows(ClassifierMixin, BaseEstimator):
    """Keeps the rows that a pipeline fits its last step on."""

    def fit(self, X, y):
        """Keep them."""
        self.rows_ = X, y
        return self


def _fitted_preprocessing(pipeline, X, y):
    """Preprocessing, fitted, and the rows that the pipeline fits its last step on.

    Only the pipeline itself knows these: its transformers may treat rows to fit on unlike others,
    and its samplers add rows or leave some out.
    """
    if pipeline is None:
        return None, (X, y)
    name, _ = pipeline.steps[-1]
    fitted, _ = timed_fit(clone(pipeline).set_params(**{name: _Rows()}), X, y)
    return _preprocessing(fitted), fitted[-1].rows_


def _preprocessing(pipeline):
    """What a fitted pipeline does to rows before its last step predicts, or None."""
    steps = [] if pipeline is None else list(without_samplers(pipeline.steps[:-1]))
    return Pipeline(steps) if steps else None


def _prepared(preprocessing, X):
    return X if preprocessing is None else preprocessing.transform(X)


def _resampled(pipeline, X, y):
    """Rows as the samplers of a fitted pipeline give them to its last step."""
    for _, step in [] if pipeline is None else pipeline.steps[:-1]:
        if is_sampler(step):
            X, y = clone(step).fit_resample(X, y)
        elif step not in (None, "passthrough"):
            X = step.transform(X)
    return X, y


def _of_fold(fold, rows):
    return [{"method": None, "fold": fold, "n_components": np.nan, **row} for row in rows]


def _unpruned_rows(net, seconds, ranks, splits):
    rows = [model_row(net, splits, seconds=seconds, method="unpruned net")]
    for name, kind in (("kernel PCA", "pca"), ("truncated SVD", "svd")):
        low = LowRankNet(net, ranks, kind)
        method, total = f"unpruned net, {name}", seconds + low.seconds_
        rows.append(model_row(low, splits, seconds=total, method=method))
    return rows


def _classifier_rows(net, net_seconds, n_components, downstream, fit_rows, splits):
    X_train, y_train = fit_rows
    hidden = net.transform(X_train)
    most = min(X_train.shape)
    if n_components is not None and n_components > most:
        raise ValueError(
            f"n_components={n_components!r} must be at most {most}, the smaller of features and "
            "training rows."
        )
    k = n_components or min(hidden.shape[1], most)
    pca, seconds = timed_fit(pca_classifier(k, downstream), X_train, y_train)
    on_hidden, hidden_seconds = timed_fit(clone(downstream), hidden, y_train)
    return [
        model_row(pca, splits, seconds=seconds, method="PCA + classifier", n_components=k),
        model_row(
            make_pipeline(net, on_hidden),
            splits,
            seconds=net_seconds + hidden_seconds,
            method="transform + classifier",
            n_components=hidden.shape[1],
        ),
    ]
