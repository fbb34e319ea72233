"""Claim C6: firing counted on unlabelled rows, beside labelled ones, chance and no pruning."""

from dataclasses import replace

import numpy as np
from sklearn.model_selection import train_test_split

from benchmarks.reproduce.nets import describe
from benchmarks.reproduce.protocol import HIDDEN, Rows
from benchmarks.reproduce.runs import two_seeds_first
from benchmarks.reproduce.unlabeled_page import (
    DENSE,
    FRACTION,
    LABELED,
    POOL,
    RANDOM,
    ROUNDS,
    UNLABELED,
    answers,
    draw,
    section,
)
from skactprune import PrunedMLPClassifier
from skactprune.nets.inference import hidden_representation

__all__ = ["FIELDS", "answers", "draw", "execute", "runs", "section", "stage"]

FIELDS = ("dataset", "share", "method", "seed")
METHODS = {LABELED: "activation", UNLABELED: "activation", RANDOM: "random", DENSE: "activation"}
stage = two_seeds_first


def runs(settings):
    """Yield all runs: every method with every share of the labels."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            for share in settings.label_shares:
                for method in METHODS:
                    yield dict(zip(FIELDS, (dataset, share, method, seed), strict=True))


def parts(y, share, seed):
    """Which training rows keep their labels, and which others are there without.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels of all training rows.
    share : float
        Share of the labels that are known, in (0, 1].
    seed : int
        For the choice, which is stratified.

    Returns
    -------
    labeled, unlabeled : ndarray of int
        `POOL` of the rows never have a label, so that there are unlabelled rows for every share;
        `share` is that of the others.
    """
    others, pool = train_test_split(
        np.arange(len(y)), test_size=POOL, stratify=y, random_state=seed
    )
    if share == 1:
        return others, pool
    labeled, hidden = train_test_split(
        others, train_size=share, stratify=y[others], random_state=seed
    )
    return labeled, np.concatenate([pool, hidden])


def execute(run, settings, folder):
    """The row of a run; training accuracy is that on the rows with labels."""
    rows = Rows.load(run["dataset"], settings.n_rows)
    labeled, unlabeled = parts(rows.y, run["share"], run["seed"])
    X_unlabeled = rows.X[unlabeled]
    rows = replace(rows, X=rows.X[labeled], y=rows.y[labeled])
    epochs = dict(zip(settings.label_shares, settings.label_epochs, strict=True))
    net = PrunedMLPClassifier(
        HIDDEN,
        method=METHODS[run["method"]],
        prune_fraction=0.0 if run["method"] == DENSE else FRACTION,
        n_prune_rounds=ROUNDS,
        max_iter=epochs[run["share"]],
        random_state=run["seed"],
    )
    net.fit(rows.X, rows.y, X_unlabeled=X_unlabeled if run["method"] == UNLABELED else None)
    more = {"labeled": len(labeled), "unlabeled": len(unlabeled), "epochs": net.n_iter_}
    if run["method"] == DENSE:
        more["agreement"] = agreement(net, rows.X, X_unlabeled)
    return [describe(rows, net.coefs_, net.intercepts_, sparsity=net.sparsity_, **more)]


def agreement(net, X, X_other):
    """How far two sets of rows name the same neurons as those that fire most.

    Parameters
    ----------
    net : PrunedMLPClassifier
        Fitted.
    X, X_other : ndarray of shape (n_samples, n_features)
        The rows.

    Returns
    -------
    float
        Of the quarter of each hidden layer that fires most on `X`, share that is also in the
        quarter that fires most on `X_other`; mean of the layers. Chance would give 0.25.
    """
    shares = []
    for depth in range(1, len(net.coefs_)):
        parameters = net.coefs_[:depth], net.intercepts_[:depth]
        top = [
            np.argsort(-(hidden_representation(Z, *parameters, "relu") > 0).mean(axis=0))
            for Z in (X, X_other)
        ]
        quarter = max(len(top[0]) // 4, 1)
        shares.append(len(np.intersect1d(*(order[:quarter] for order in top))) / quarter)
    return float(np.mean(shares))
