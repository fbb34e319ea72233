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

from benchmarks.reproduce import runner
from benchmarks.reproduce.figures import curves, log_scale, ordered, panels, stacked
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.statistics import compared, mean_sd, paired
from skactprune import PrunedMLPClassifier

FIELDS = ("dataset", "method", "seed")
FULL = runner.FULL.but(
    epochs=10, components=(2, 5, 10, 20, 50), neighbor_rows=10_000, nca_rows=1000, nca_iterations=50
)
QUICK = FULL.but(**runner.QUICK, components=(2, 10), neighbor_rows=2000, nca_rows=500)
FRACTION = 0.8
JUDGED_ROWS, SHOWN_ROWS, NCA_FEATURES = 1000, 500, 50
PRUNED, FIRST = "pruned net", "pruned net, first layer"
SMALL, DENSE = "small net from scratch", "dense net + PCA"
# In the order of the tables.
MODELS = (PRUNED, FIRST, DENSE, SMALL, "PCA", "LDA", "NCA", "random projection")
NEIGHBOURHOODS = "neighbourhoods of the pixels kept: trustworthiness, %"
MEASURES = {
    "logistic": ("logistic_test_accuracy", "logistic regression: test accuracy, %"),
    "neighbors": ("neighbors_test_accuracy", "5 nearest neighbours: test accuracy, %"),
    "trustworthiness": ("trustworthiness", NEIGHBOURHOODS),
}
# Half a point lower counts as equally good beside the rivals that are nets.
MARGIN = 0.005
QUESTIONS = (
    ("PCA", 0.0, "logistic", "better to classify by than k principal components of the pixels"),
    ("LDA", 0.0, "logistic", "better to classify by than k discriminants of LDA, up to all"),
    (DENSE, MARGIN, "logistic", "as good to classify by as k of the unpruned net"),
    (SMALL, MARGIN, "logistic", "as good to classify by as k neurons of a small net from scratch"),
    ("PCA", 0.0, "trustworthiness", "truer to which images are neighbours than those of PCA"),
)
# Points on the maps are stored in so many steps of the range of each axis.
STEPS = 999


def runs(settings):
    """Yield all runs: every method on all numbers of components."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            for method in METHODS:
                yield dataset, method, seed


def execute(settings, folder, dataset, method, seed):
    """Rows of a run: one for every number of components that the method can have."""
    rows = Rows.load(dataset, settings.n_rows)
    found = []
    for model, k, transform, predict in METHODS[method](rows, settings, seed):
        row = {"model": model, "k": k} | scores(rows, transform, settings, seed, k == 2)
        if predict is not None:
            row |= {f"own_{name}": value for name, value in rows.accuracies(predict).items()}
        found.append(row)
    return found


# -- representations: (model, k, transform, predict or None) ----------------------------------


def _first(model, components, transform, predict=None):
    """The first k components, where they do not depend on how many there are."""
    for k in components:
        yield model, k, lambda X, k=k: transform(X)[:, :k], predict


def _pca(rows, settings, seed):
    pca = PCA(max(settings.components), svd_solver="covariance_eigh").fit(rows.X)
    yield from _first("PCA", settings.components, pca.transform)


def _lda(rows, settings, seed):
    lda = LinearDiscriminantAnalysis().fit(rows.X, rows.y)
    limit = len(lda.classes_) - 1
    # As many as there are, where the next number of components would be more.
    counts = {min(k, limit) for k in settings.components}
    yield from _first("LDA", sorted(counts), lda.transform)


def _nca(rows, settings, seed):
    few = _few(np.random.default_rng(seed), rows.X, settings.nca_rows)
    pca = PCA(NCA_FEATURES, svd_solver="covariance_eigh").fit(rows.X)
    how = {"max_iter": settings.nca_iterations, "random_state": seed}
    for k in settings.components:
        nca = NeighborhoodComponentsAnalysis(k, **how)
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
        small = _fitted(rows, settings.but(hidden=[*sizes, k]), seed, prune_fraction=0)
        yield SMALL, k, small.transform, small.predict


def _pruned_first(rows, settings, seed):
    k = max(settings.components)
    net = _fitted(rows, settings, seed, n_components=k, transform_layer=0)
    yield from _first(FIRST, settings.components, net.transform, net.predict)


def _dense(rows, settings, seed):
    net = _fitted(rows, settings, seed, n_components=max(settings.components), prune_fraction=0)
    yield from _first(DENSE, settings.components, net.transform, net.predict)


def _fitted(rows, settings, seed, **params):
    how = {"method": "activation", "prune_fraction": FRACTION, "max_iter": settings.epochs}
    net = PrunedMLPClassifier(settings.hidden, random_state=seed, **how | params)
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


# -- how good they are ------------------------------------------------------------------------


def _few(rng, rows, n):
    return rng.choice(len(rows), min(n, len(rows)), replace=False)


def scores(rows, transform, settings, seed, show):
    """Accuracies of both classifiers, trustworthiness, and points to show of the first seed."""
    rng = np.random.default_rng(seed)
    few, judged = _few(rng, rows.X, settings.neighbor_rows), _few(rng, rows.X_test, JUDGED_ROWS)
    # In float64: rounding in float32 can keep lbfgs from converging.
    parts = ("X", "X_val", "X_test")
    Z = replace(rows, **{part: transform(getattr(rows, part)).astype(float) for part in parts})
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    row = {}
    for name, classifier, fitted_on in (
        ("logistic", logistic, Z),
        ("neighbors", KNeighborsClassifier(), replace(Z, X=Z.X[few], y=Z.y[few])),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            classifier.fit(fitted_on.X, fitted_on.y)
        accuracies = fitted_on.accuracies(classifier.predict)
        row |= {f"{name}_{part}": value for part, value in accuracies.items()}
    row["trustworthiness"] = float(trustworthiness(rows.X_test[judged], Z.X_test[judged]))
    if show and seed == 0:
        shown = judged[:SHOWN_ROWS]
        row["points"] = pack(Z.X_test[shown], rows.y_test[shown])
    return row


def pack(Z, y):
    """Points of shape (n, 2) in steps of the range of each axis, with their classes, as text."""
    low, high = Z.min(axis=0), Z.max(axis=0)
    steps = np.rint(STEPS * (Z - low) / np.where(high > low, high - low, 1)).astype(int)
    return ";".join(f"{a} {b} {label}" for (a, b), label in zip(steps, y, strict=True))


def unpack(text):
    """Points in [0, 1] and classes of a text that `pack` wrote."""
    rows = np.array([part.split() for part in text.split(";")], int)
    return rows[:, :2] / STEPS, rows[:, 2]


# -- what is made of them ---------------------------------------------------------------------


def tables(rows):
    """Yield for each data set: every measure by number of components, and all accuracies."""
    rows = rows.assign(model=ordered(rows["model"], MODELS))
    for dataset, of in rows.groupby("dataset"):
        by_k = of.groupby(["model", "k"], observed=True)
        for name, (column, title) in MEASURES.items():
            table = by_k[column].agg(mean_sd()).unstack().fillna("").add_prefix("k = ")
            table.columns.name = None
            yield f"{name}-{dataset}", table.rename_axis(title).reset_index()
        classifiers = {"logistic": "logistic", "neighbors": "neighbours", "own": "itself"}
        columns = {
            f"{name}, {part}": (f"{prefix}_{part}_accuracy", mean_sd())
            for prefix, name in classifiers.items()
            for part in ("train", "validation", "test")
        }
        yield f"all-{dataset}", by_k.agg(**columns).reset_index().rename(columns={"model": "%"})


def answers(rows):
    """Answers by the 95 % intervals of the paired differences."""
    found, first = [], rows["dataset"].min()
    for rival, margin, measure, text in QUESTIONS:
        pair = "model", PRUNED, rival
        cells = paired(rows, MEASURES[measure][0], *pair, "k", "k = {}".format)
        within = f" (at most {100 * margin:g} points lower)" if margin else ""
        question = f"Are k components of the pruned net's `transform` {text}{within}?"
        found += compared("-", question, cells, margin, f"reduction-scores-{first}.png")
    return found


def figures(rows, folder):
    """Yield for each data set: every measure by number of components, and maps of two."""
    rows = rows.assign(model=ordered(rows["model"], MODELS))
    for dataset, of in rows.groupby("dataset"):
        measures = {title: 100 * of[column] for column, title in MEASURES.values()}
        figure, axes = curves(
            stacked(of, measures),
            *("k", "y", "model", None, "of"),
            title=f"{dataset}: what k numbers an image still tell, by how they were found",
            xlabel="k, components an image is reduced to",
            ylabel="%",
            size=(4.2, 3.8),
        )
        log_scale(axes, sorted(of.loc[of["model"] == "PCA", "k"].unique()))
        yield f"reduction-scores-{dataset}.png", figure
        if "points" in of:
            yield f"reduction-maps-{dataset}.png", _maps(dataset, of[of["points"].notna()])


def _maps(dataset, rows):
    title = (
        f"{dataset}: test images on two components, first seed\ncolour and number: class, the "
        "number at the median of its images; %: test accuracy of logistic regression on them"
    )
    figure, axes = panels(title, 2, (len(rows) + 1) // 2, size=(3.1, 3.0))
    white = {"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.7}
    for row, ax in zip(rows.sort_values("model").itertuples(), axes.flat, strict=False):
        Z, y = unpack(row.points)
        ax.scatter(*Z.T, c=y, cmap="tab10", s=9, linewidth=0)
        for label in np.unique(y):
            place = np.median(Z[y == label], axis=0)
            ax.text(*place, str(label), ha="center", va="center", fontweight="bold", bbox=white)
        ax.set_title(f"{row.model}: {row.logistic_test_accuracy:.0%}", fontsize=10)
        ax.set(xticks=[], yticks=[], xlabel="component 1", ylabel="component 2")
    return figure
