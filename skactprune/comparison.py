"""Pruned nets beside PCA, fold by fold."""

from numbers import Integral
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing, check_scalar
from sklearn.utils.validation import check_is_fitted, indexable

from skactprune._measures import (
    LowRankNet,
    load_optimizers,
    n_linear_parameters,
    n_parameters,
    n_representation_parameters,
    timed_fit,
)
from skactprune.estimators import PrunedMLPClassifier

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
        same weights. Preprocessing steps are fitted once a fold, for all methods.
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
          the factors it can be stored as, if these are smaller. NaN where `downstream` is not
          linear;
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
    pruned net [4, 4]
    unpruned net [4, 10]
    unpruned net, kernel PCA [4, 5]
    unpruned net, truncated SVD [4, 4]
    PCA + classifier None
    transform + classifier [4, 4]
    """
    X, y = indexable(X, y)
    X, y = X if hasattr(X, "shape") else np.asarray(X), np.asarray(y)
    if n_components is not None:
        check_scalar(n_components, "n_components", Integral, min_val=1)
    if downstream is None:
        downstream = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    if isinstance(cv, str):
        if cv != "prefit":
            raise ValueError(f"cv={cv!r} must be an integer, a splitter, an iterable or 'prefit'.")
        return _compare_prefit(estimator, unpruned, X, y, n_components, downstream)
    if unpruned is not None:
        raise ValueError(
            f"unpruned={unpruned!r} must be None unless cv='prefit', got cv={cv!r}: "
            "cross-validation fits the unpruned net itself."
        )
    before, net = _parts(estimator, "estimator")
    load_optimizers()
    net = clone(net)
    if n_components is not None:
        net.set_params(n_components=n_components)
    rows = []
    for fold, (train, test) in enumerate(check_cv(cv, y, classifier=True).split(X, y)):
        rows_train, y_train = _safe_indexing(X, train), y[train]
        prepare = None if before is None else timed_fit(clone(before), rows_train, y_train)[0]
        Z_train, Z_test = (
            _prepared(prepare, rows_train),
            _prepared(prepare, _safe_indexing(X, test)),
        )
        split = (Z_train, y_train, Z_test, y[test])
        pruned, pruned_seconds = timed_fit(clone(net), Z_train, y_train)
        dense, seconds = timed_fit(clone(net).set_params(prune_fraction=0), Z_train, y_train)
        nets = [
            _net_row("pruned net", pruned, pruned_seconds, split),
            _net_row("unpruned net", dense, seconds, split),
            *_low_rank_rows(dense, pruned.hidden_ranks_, seconds, split),
        ]
        classifiers = _classifier_rows(pruned, pruned_seconds, n_components, downstream, split)
        rows += [{**row, "fold": fold} for row in (*nets, *classifiers)]
    return rows


def _compare_prefit(estimator, unpruned, X, y, n_components, downstream):
    before, net = _parts(estimator, "estimator")
    check_is_fitted(net)
    width = len(net.get_feature_names_out())
    if n_components not in (None, width):
        raise ValueError(
            f"n_components={n_components!r} must be None or {width} with cv='prefit': the fitted "
            f"net's transform returns {width} columns."
        )
    Z = _prepared(before, X)
    if unpruned is not None:
        before_dense, dense = _parts(unpruned, "unpruned")
        check_is_fitted(dense)
        sizes = [coef.shape[1] for coef in dense.coefs_[:-1]]
        original = [mask.shape[1] for mask in net.masks_]
        if sizes != original:
            raise ValueError(
                f"unpruned has hidden layers of the sizes {sizes}; they must be {original}, those "
                "that the pruned net started from."
            )
        Z_dense = _prepared(before_dense, X)
    rows = []
    for fold, (train, test) in enumerate(StratifiedKFold(5).split(X, y)):
        split = _safe_indexing(Z, train), y[train], _safe_indexing(Z, test), y[test]
        # No net was fitted here, so that none has training rows.
        unseen = (None, None, *split[2:])
        nets = [_net_row("pruned net", net, np.nan, unseen)]
        if unpruned is not None:
            unseen = None, None, _safe_indexing(Z_dense, test), y[test]
            nets.append(_net_row("unpruned net", dense, np.nan, unseen))
            nets += _low_rank_rows(dense, net.hidden_ranks_, np.nan, unseen)
        classifiers = _classifier_rows(net, 0.0, n_components, downstream, split)
        rows += [{**row, "fold": fold} for row in (*nets, *classifiers)]
    return rows


def _parts(estimator, name):
    """Preprocessing or None, and the net; checks that there is one to compare with PCA."""
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
    has_steps = isinstance(estimator, Pipeline) and len(estimator) > 1
    return (estimator[:-1] if has_steps else None), net


def _prepared(preprocessing, X):
    return X if preprocessing is None else preprocessing.transform(X)


def _row(method, model, seconds, split, **columns):
    X_train, y_train, X_test, y_test = split
    known = {"sparsity": np.nan, "live_neurons": None, "ranks": None, "n_components": np.nan}
    return {
        "method": method,
        "fold": None,
        "train_accuracy": (
            np.nan if X_train is None else accuracy_score(y_train, model.predict(X_train))
        ),
        "test_accuracy": accuracy_score(y_test, model.predict(X_test)),
        **known,
        **columns,
        "fit_seconds": seconds,
    }


def _net_columns(net):
    return {
        "sparsity": net.sparsity_,
        "live_neurons": [len(live) for live in net.live_neurons_],
        "ranks": net.hidden_ranks_,
    }


def _net_row(method, net, seconds, split):
    parameters = n_parameters(net.coefs_, net.intercepts_)
    return _row(method, net, seconds, split, **_net_columns(net), parameters=parameters)


def _low_rank_rows(net, ranks, seconds, split):
    rows = []
    for method, kind in (("kernel PCA", "pca"), ("truncated SVD", "svd")):
        start = perf_counter()
        model = LowRankNet(net, ranks, kind)
        total = seconds + perf_counter() - start
        columns = {**_net_columns(net), "ranks": model.ranks, "parameters": model.n_parameters}
        rows.append(_row(f"unpruned net, {method}", model, total, split, **columns))
    return rows


def _classifier_rows(net, net_seconds, n_components, downstream, split):
    X_train, y_train, X_test, y_test = split
    hidden_train, hidden_test = net.transform(X_train), net.transform(X_test)
    most = min(X_train.shape)
    if n_components is not None and n_components > most:
        raise ValueError(
            f"n_components={n_components!r} must be at most {most}, the smaller of features and "
            "training rows."
        )
    k = n_components or min(hidden_train.shape[1], most)
    # Where PCA draws random directions, on large data, results must not differ from call to call.
    pca, seconds = timed_fit(
        make_pipeline(PCA(k, random_state=0), clone(downstream)), X_train, y_train
    )
    pca_parameters = k * X_train.shape[1] + X_train.shape[1] + n_linear_parameters(pca[-1])
    on_hidden, hidden_seconds = timed_fit(clone(downstream), hidden_train, y_train)
    return [
        _row("PCA + classifier", pca, seconds, split, parameters=pca_parameters, n_components=k),
        _row(
            "transform + classifier",
            on_hidden,
            net_seconds + hidden_seconds,
            (hidden_train, y_train, hidden_test, y_test),
            **_net_columns(net),
            parameters=n_representation_parameters(net) + n_linear_parameters(on_hidden),
            n_components=hidden_train.shape[1],
        ),
    ]
