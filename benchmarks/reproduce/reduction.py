"""`transform` as dimensionality reduction, beside PCA, LDA, NCA and random projections."""

import warnings
from dataclasses import replace

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from benchmarks.reproduce.protocol import HIDDEN, Rows
from benchmarks.reproduce.reduction_figures import DENSE, FIRST, PRUNED, SMALL, draw, pack
from benchmarks.reproduce.reduction_page import answers, section
from benchmarks.reproduce.runs import two_seeds_first
from skactprune import PrunedMLPClassifier

__all__ = ["FIELDS", "answers", "draw", "execute", "runs", "section", "stage"]

FIELDS = ("dataset", "method", "seed")
FRACTION = 0.8
JUDGED_ROWS, SHOWN_ROWS = 1000, 500
NCA_FEATURES, NCA_ITERATIONS = 50, 50
stage = two_seeds_first


def runs(settings):
    """Yield all runs: every method on all numbers of components."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            for method in METHODS:
                yield dict(zip(FIELDS, (dataset, method, seed), strict=True))


def execute(run, settings, folder):
    """Rows of a run: one for every number of components that the method can have."""
    rows = Rows.load(run["dataset"], settings.n_rows)
    seed = run["seed"]
    found = []
    for model, k, transform, predict in METHODS[run["method"]](rows, settings, seed):
        row = {"model": model, "k": k} | _scores(rows, transform, settings, seed, k == 2)
        if predict is not None:
            own = rows.accuracies(predict)
            row |= {f"own_{name}": value for name, value in own.items()}
        found.append(row)
    return found


# -- representations: (model, k, transform, predict or None) ---------------------------------


def _first(model, settings, transform, limit, predict=None):
    """The first k of `limit` components, where they do not depend on how many there are."""
    for k in settings.components:
        if k <= limit:
            yield model, k, lambda X, k=k: transform(X)[:, :k], predict


def _pca(rows, settings, seed):
    pca = PCA(max(settings.components), svd_solver="covariance_eigh").fit(rows.X)
    yield from _first("PCA", settings, pca.transform, pca.n_components_)


def _lda(rows, settings, seed):
    lda = LinearDiscriminantAnalysis().fit(rows.X, rows.y)
    limit = len(lda.classes_) - 1
    # As many as there are, where the next number of components would be more.
    counts = {min(k, limit) for k in settings.components}
    yield from _first("LDA", replace(settings, components=sorted(counts)), lda.transform, limit)


def _nca(rows, settings, seed):
    few = np.random.default_rng(seed).choice(
        len(rows.X), min(settings.nca_rows, len(rows.X)), replace=False
    )
    pca = PCA(NCA_FEATURES, svd_solver="covariance_eigh").fit(rows.X)
    for k in settings.components:
        nca = NeighborhoodComponentsAnalysis(k, max_iter=NCA_ITERATIONS, random_state=seed)
        nca.fit(pca.transform(rows.X[few]), rows.y[few])
        yield "NCA", k, make_pipeline(pca, nca).transform, None


def _random(rows, settings, seed):
    for k in settings.components:
        projection = GaussianRandomProjection(k, random_state=seed).fit(rows.X)
        yield "random projection", k, projection.transform, None


def _pruned(rows, settings, seed):
    """The pruned net, and a dense net of its size whose last layer has k neurons."""
    for k in settings.components:
        net = _fitted(rows, settings, seed, n_components=k)
        yield PRUNED, k, net.transform, net.predict
        sizes = [len(live) for live in net.live_neurons_[:-1]]
        small = _fitted(rows, settings, seed, hidden_layer_sizes=[*sizes, k], prune_fraction=0)
        yield SMALL, k, small.transform, small.predict


def _pruned_first(rows, settings, seed):
    k = max(settings.components)
    net = _fitted(rows, settings, seed, n_components=k, transform_layer=0)
    yield from _first(FIRST, settings, net.transform, k, net.predict)


def _dense(rows, settings, seed):
    k = max(settings.components)
    net = _fitted(rows, settings, seed, n_components=k, prune_fraction=0)
    yield from _first(DENSE, settings, net.transform, k, net.predict)


def _fitted(rows, settings, seed, **params):
    net = PrunedMLPClassifier(
        **{
            "hidden_layer_sizes": HIDDEN,
            "method": "activation",
            "prune_fraction": FRACTION,
            "max_iter": settings.adam_epochs,
            "random_state": seed,
        }
        | params
    )
    return net.fit(rows.X, rows.y)


METHODS = {
    "PCA": _pca,
    "LDA": _lda,
    "NCA": _nca,
    "random projection": _random,
    PRUNED: _pruned,
    FIRST: _pruned_first,
    DENSE: _dense,
}


# -- how good they are -----------------------------------------------------------------------


def _scores(rows, transform, settings, seed, show):
    """Accuracies of both classifiers, trustworthiness, and a picture of the first seed."""
    rng = np.random.default_rng(seed)
    few = rng.choice(len(rows.X), min(settings.neighbor_rows, len(rows.X)), replace=False)
    judged = rng.choice(len(rows.X_test), min(JUDGED_ROWS, len(rows.X_test)), replace=False)
    # In float64: rounding in float32 can keep lbfgs from converging.
    Z = replace(
        rows,
        **{
            part: transform(getattr(rows, part)).astype(np.float64)
            for part in ("X", "X_val", "X_test")
        },
    )
    some = replace(Z, X=Z.X[few], y=Z.y[few])
    row = {}
    for name, classifier, Z_fit in (
        ("logistic", make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)), Z),
        ("neighbors", KNeighborsClassifier(), some),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            classifier.fit(Z_fit.X, Z_fit.y)
        scores = Z_fit.accuracies(classifier.predict)
        row |= {f"{name}_{score}": value for score, value in scores.items()}
    row["trustworthiness"] = float(trustworthiness(rows.X_test[judged], Z.X_test[judged]))
    if show and seed == 0:
        shown = judged[:SHOWN_ROWS]
        row["points"] = pack(Z.X_test[shown], rows.y_test[shown])
    return row
