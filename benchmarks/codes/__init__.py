"""PrunedAutoencoder beside PCA at the same size of the code: errors, and classes by codes."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import pages
from benchmarks.reproduce import runner
from benchmarks.reproduce.statistics import with_interval
from benchmarks.tables.data import split
from skactprune import PrunedAutoencoder
from skactprune.datasets import load_dataset

FIELDS = ("data", "model", "k", "seed")
FASHION = "fashion-mnist"
FULL = runner.Settings(
    seeds={"digits": 5, "vehicle": 5, FASHION: 3},
    n_rows=5000,
    components=(2, 10),
    epochs={"digits": 300, "vehicle": 300, FASHION: 40},
    csv_folder=None,
)
PRINCIPAL, DENSE, PRUNED, SMALL = "PCA", "dense", "pruned", "small from scratch"
MODELS = (PRINCIPAL, DENSE, PRUNED, SMALL)
CLASSIFIERS = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    "neighbors": make_pipeline(StandardScaler(), KNeighborsClassifier()),
}
SHOWN = {
    "R², training": ("train_r2", 1, 3),
    "R², test": ("test_r2", 1, 3),
    "logistic regression %": ("logistic", 100, 1),
    "5 neighbours %": ("neighbors", 100, 1),
    "parameters": ("parameters", 1, 0),
}


def runs(settings):
    """Yield all runs: every model with every size of the code."""
    for name, seeds in settings.seeds.items():
        if name == "vehicle" and settings.csv_folder is None:
            continue
        for seed in range(seeds):
            for k in settings.components:
                yield from ((name, model, k, seed) for model in MODELS)


def rows_of(name, settings, seed):
    """Training rows, their labels, and the same for testing; pixels in [0, 1], others scaled."""
    if name == "vehicle":
        found = split(name, settings.csv_folder, seed)
        return found.X, found.y, found.X_test, found.y_test
    X, X_test, y, y_test = load_dataset(name)
    return X[: settings.n_rows], y[: settings.n_rows], X_test, y_test


def fitted(model, X, k, epochs, seed):
    """PCA or an autoencoder; the defaults but for one learning rate, number of epochs and width."""
    if model == PRINCIPAL:
        return PCA(k, random_state=seed).fit(X)
    net = PrunedAutoencoder(k, (128,), learning_rate_init=0.005, max_iter=epochs, random_state=seed)
    if model == DENSE:
        return net.set_params(prune_fraction=0).fit(X)
    net.fit(X)
    if model == PRUNED:
        return net
    # As wide as what pruning has left, and never pruned.
    encoder, _, decoder, _ = (coef.shape[1] for coef in net.coefs_)
    sizes = {"encoder_layer_sizes": encoder, "decoder_layer_sizes": decoder}
    return clone(net).set_params(prune_fraction=0, **sizes).fit(X)


def execute(settings, folder, data, model, k, seed):
    """A row of measures."""
    X, y, X_test, y_test = rows_of(data, settings, seed)
    reduce = fitted(model, X, k, settings.epochs[data], seed)
    codes, test_codes = reduce.transform(X), reduce.transform(X_test)
    row = {
        "train_r2": r2(X, reduce.inverse_transform(codes)),
        "test_r2": r2(X_test, reduce.inverse_transform(test_codes)),
        "parameters": n_parameters(reduce),
    }
    for name, classifier in CLASSIFIERS.items():
        row[name] = classifier.fit(codes, y).score(test_codes, y_test)
    return [row]


def r2(X, reconstruction):
    """Share of the variance of all features together that a reconstruction has."""
    error = np.square(X - reconstruction).sum(dtype=float)
    return 1 - error / np.square(X - X.mean(axis=0)).sum(dtype=float)


def n_parameters(reduce):
    """Numbers that are kept to code and decode."""
    if isinstance(reduce, PCA):
        return reduce.components_.size + reduce.mean_.size
    arrays = (*reduce.coefs_, *reduce.intercepts_)
    return sum(int(np.count_nonzero(array)) for array in arrays)


def tables(rows):
    """Means over seeds with 95 % intervals, a table for each data set, as Markdown by name."""
    found = {}
    for name, of in rows.groupby("data"):
        grouped = of.assign(model=of["model"].astype("category").cat.set_categories(MODELS))
        grouped = grouped.groupby(["k", "model"], observed=True)
        told = {
            title: grouped[column].agg(lambda v, s=scale, d=digits: with_interval(s * v, d))
            for title, (column, scale, digits) in SHOWN.items()
        }
        found[name] = pages.markdown(pd.DataFrame(told).reset_index(), texts=2)
    return found
