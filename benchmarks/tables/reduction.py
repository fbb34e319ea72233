"""k numbers instead of all features: `transform` beside PCA, LDA, NCA, PLS and a bottleneck."""

import warnings

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.tables import accuracy, data
from benchmarks.tables.models import ours, scores
from benchmarks.tables.statistics import compared, ranks

FIELDS = ("table", "model", "seed")
FULL = accuracy.FULL.but(components=(2, 5, 10))
QUICK = FULL.but(only=accuracy.FEW, seeds=1, components=(2, 5))
PRUNED, LDA, SHRUNK, PLS = "pruned net", "LDA", "LDA, shrunk", "PLS"
# Functions of the number of components and the seed.
MODELS = {
    PRUNED: lambda k, seed: ours((100,), 0.8, seed, n_components=k),
    "dense net": lambda k, seed: ours((100,), 0.0, seed, n_components=k),
    "bottleneck net": lambda k, seed: ours((100, k), 0.0, seed),
    "PCA": lambda k, seed: PCA(k, random_state=seed),
    LDA: lambda k, seed: LinearDiscriminantAnalysis(n_components=k),
    SHRUNK: lambda k, seed: LinearDiscriminantAnalysis("eigen", "auto", n_components=k),
    "NCA": lambda k, seed: NeighborhoodComponentsAnalysis(k, random_state=seed),
    PLS: lambda k, seed: PLSRegression(k),
}
CLASSIFIERS = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)),
    "neighbors": KNeighborsClassifier(),
}


def runs(settings):
    """Yield all runs: every way to reduce, for all numbers of components."""
    for seed in range(settings.seeds):
        for table in data.names(settings):
            yield from ((table, model, seed) for model in MODELS)


def execute(settings, folder, table, model, seed):
    """A row for each number of components; ``components`` is how many there could be."""
    parts = data.split(table, settings.csv_folder, seed)
    one_hot = np.eye(parts.y.max() + 1)[parts.y]
    limit = np.inf if model.endswith("net") else min(parts.X.shape)
    limit = min(limit, one_hot.shape[1] - 1) if model in (LDA, SHRUNK) else limit
    rows = []
    for k in settings.components:
        with warnings.catch_warnings():
            # Where PLS has told all there is to tell, its further components are 0.
            warnings.filterwarnings("ignore", "[Yy] residual is constant", UserWarning)
            reduce = MODELS[model](min(k, limit), seed)
            reduce.fit(parts.X, one_hot if model == PLS else parts.y)
        found = {name: reduce.transform(getattr(parts, name)) for name in ("X", "X_val", "X_test")}
        Z = parts._replace(**found)
        row = {"k": k, "components": Z.X.shape[1]}
        for name, classifier in CLASSIFIERS.items():
            row |= scores(classifier.fit(Z.X, Z.y), Z, f"{name}_")
        rows.append(row)
    return rows


def answers(rows):
    """The pruned net beside all others, by number of components and measure."""
    for k, of in rows.groupby("k"):
        for measure in ("accuracy", "logloss"):
            what = f"logistic regression on {k} components of a pruned net"
            how = {"part": "logistic_test", "lead": k == 5 and measure == "accuracy"}
            for rival in list(MODELS)[1:]:
                yield compared(what, of, measure, PRUNED, rival, **how)


def tables(rows):
    """Yield for each number of components: means over tables, and mean ranks."""
    shown = {
        "accuracy %": ("logistic_test_accuracy", 100, 1),
        "log-loss": ("logistic_test_logloss", 1, 3),
        "5-NN accuracy %": ("neighbors_test_accuracy", 100, 1),
        "5-NN log-loss": ("neighbors_test_logloss", 1, 3),
        "components": ("components", 1, 1),
    }
    for k, of in rows.groupby("k"):
        yield f"Logistic regression and neighbours on {k} components", ranks(of, shown=shown)
