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

from benchmarks.tables import data
from benchmarks.tables.accuracy import FULL as ACCURACY
from benchmarks.tables.accuracy import QUICK as FEW
from benchmarks.tables.models import ours, scores
from benchmarks.tables.statistics import compared, ranks

FIELDS = ("table", "model", "seed")
FULL = ACCURACY.but(components=(2, 5, 10))
QUICK = FULL.but(only=FEW.only, seeds=FEW.seeds, components=(2, 5))
HIDDEN, FRACTION, PRUNED = 100, 0.8, "pruned net"
LDA = LinearDiscriminantAnalysis


def runs(settings):
    """Yield all runs: every way to reduce, for all numbers of components."""
    for seed in range(settings.seeds):
        for table in data.names(settings):
            yield from ((table, model, seed) for model in MODELS)


def execute(settings, folder, table, model, seed):
    """A row for each number of components; ``components`` is how many there could be."""
    parts = data.split(table, settings.csv_folder, seed)
    found = []
    for k in settings.components:
        with warnings.catch_warnings():
            # Where PLS has told all there is to tell, its further components are 0.
            warnings.filterwarnings("ignore", "y residual is constant", UserWarning)
            transform = MODELS[model](parts, k, seed)
        Z = parts._replace(
            **{name: transform(getattr(parts, name)) for name in ("X", "X_val", "X_test")}
        )
        row = {"k": k, "components": Z.X.shape[1]}
        for prefix, classifier in (
            ("logistic_", make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))),
            ("neighbors_", KNeighborsClassifier()),
        ):
            row |= scores(classifier.fit(Z.X, Z.y), Z, prefix)
        found.append(row)
    return found


# -- functions of parts, k and seed, which return a function from rows to components -----------


def _pruned(parts, k, seed):
    return ours((HIDDEN,), FRACTION, seed, n_components=k).fit(parts.X, parts.y).transform


def _dense(parts, k, seed):
    return ours((HIDDEN,), 0.0, seed, n_components=k).fit(parts.X, parts.y).transform


def _bottleneck(parts, k, seed):
    return ours((HIDDEN, k), 0.0, seed).fit(parts.X, parts.y).transform


def _pca(parts, k, seed):
    return PCA(min(k, *parts.X.shape), random_state=seed).fit(parts.X).transform


def _lda(parts, k, seed):
    lda = LDA().fit(parts.X, parts.y)
    return lambda X: lda.transform(X)[:, :k]


def _shrunk_lda(parts, k, seed):
    lda = LDA(solver="eigen", shrinkage="auto").fit(parts.X, parts.y)
    return lambda X: lda.transform(X)[:, :k]


def _nca(parts, k, seed):
    nca = NeighborhoodComponentsAnalysis(min(k, parts.X.shape[1]), random_state=seed)
    return nca.fit(parts.X, parts.y).transform


def _pls(parts, k, seed):
    one_hot = np.eye(parts.y.max() + 1)[parts.y]
    return PLSRegression(min(k, *parts.X.shape)).fit(parts.X, one_hot).transform


MODELS = {
    PRUNED: _pruned,
    "dense net": _dense,
    "bottleneck net": _bottleneck,
    "PCA": _pca,
    "LDA": _lda,
    "LDA, shrunk": _shrunk_lda,
    "NCA": _nca,
    "PLS": _pls,
}


# -- what is made of them -----------------------------------------------------------------------


def answers(rows):
    """The pruned net beside all others, by number of components and measure."""
    for k, of in rows.groupby("k"):
        for measure in ("accuracy", "logloss"):
            for rival in MODELS:
                if rival != PRUNED:
                    what = f"{k} components of a pruned net, with logistic regression"
                    lead = k == 5 and measure == "accuracy"
                    how = {"part": "logistic_test", "lead": lead}
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
        yield f"Reduction to {k} components", ranks(of, "model", shown=shown)
