"""
=========================================
Few labels, and many rows without labels
=========================================

Rows are cheap and labels are not. Three ways let a net learn from the rows that nobody labelled:
`fit` takes them as `X_unlabeled`, and the rounds of pruning count on them which neurons fire;
``pretrain=PrunedAutoencoder(...)`` learns from them what the first layers begin as; and
scikit-learn's :class:`~sklearn.semi_supervised.SelfTrainingClassifier` lets any classifier label
them itself. What is each worth, and how does that depend on the number of labels?
"""

import time
import warnings

import numpy as np
from matplotlib import pyplot as plt
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import SelfTrainingClassifier

from skactprune import PrunedAutoencoder, PrunedMLPClassifier

# %%
# Five ways to learn
# ------------------
# Two learn from labels alone, dense and pruned by 80 %; the others prune as much, and know the rows
# without labels. All have the same two hidden layers and as many epochs at most. The autoencoder
# has these layers as its encoder; its code and its decoder are dropped when the classifier begins.

net = PrunedMLPClassifier(
    (100, 100), learning_rate_init=0.005, max_iter=40, batch_size=50, tol=0.01, random_state=0
)
encoder = PrunedAutoencoder(
    32, (100, 100), prune_fraction=0, learning_rate_init=0.005, max_iter=20, random_state=0
)
DENSE, PRUNED, COUNTED, PRETRAINED, SELF = (
    "labels only, dense",
    "labels only, pruned",
    "counting on unlabelled rows",
    "pretrained on unlabelled rows, too",
    "SelfTrainingClassifier",
)
ways = {
    DENSE: clone(net).set_params(prune_fraction=0),
    PRUNED: net,
    COUNTED: net,
    PRETRAINED: clone(net).set_params(pretrain=encoder),
    SELF: SelfTrainingClassifier(net, threshold=0.9, max_iter=2),
}
WITH_ROWS = (COUNTED, PRETRAINED)

# %%
# One curve for each
# ------------------
# 1797 handwritten digits; 500 are put aside to test on. Of the others, so many have a label. Each
# repetition draws anew who is tested on and who is labelled, for all ways alike. Self-training
# takes all rows in one array, those without a label with the label -1; `X_unlabeled` is an argument
# of its own, so that `y` has labels alone, and regression can have it as well.

X, y = load_digits(return_X_y=True)
N_LABELS, REPETITIONS = [50, 100, 200, 400], 5


def fitted(name, X_labeled, y_labeled, X_unlabeled):
    """One of the ways, fitted."""
    way = clone(ways[name])
    if name == SELF:
        rows = np.concatenate([X_labeled, X_unlabeled])
        return way.fit(rows, np.concatenate([y_labeled, np.full(len(X_unlabeled), -1)]))
    return way.fit(
        X_labeled, y_labeled, **({"X_unlabeled": X_unlabeled} if name in WITH_ROWS else {})
    )


accuracy = {name: np.empty((REPETITIONS, len(N_LABELS))) for name in ways}
seconds = dict.fromkeys(ways, 0.0)
for repetition in range(REPETITIONS):
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=500, stratify=y, random_state=repetition
    )
    for column, n_labels in enumerate(N_LABELS):
        X_few, X_rest, y_few, _ = train_test_split(
            X_train, y_train, train_size=n_labels, stratify=y_train, random_state=repetition
        )
        for name in ways:
            begun = time.perf_counter()
            with warnings.catch_warnings():
                # Not all that have had their epochs have a loss that stands still.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = fitted(name, X_few, y_few, X_rest)
            seconds[name] += time.perf_counter() - begun
            accuracy[name][repetition, column] = model.score(X_test, y_test)

# %%
# Side by side
# ------------
# On the left the means; on the right how much more each has than labels alone give the same pruned
# net, repetition by repetition, with 95 % t intervals of the mean. Test rows of repetitions
# overlap, and the intervals do not know.

t = stats.t.ppf(0.975, REPETITIONS - 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
# Okabe and Ito's colours, which the colour-blind tell apart.
styles = [("s--", "#000000"), ("D-", "#56B4E9"), ("v-", "#009E73"), ("o-", "#D55E00")]
styles = dict(zip(ways, [*styles, ("^:", "#0072B2")], strict=True))
gains = {}
for shift, (name, (style, color)) in zip(np.linspace(0.96, 1.04, 5), styles.items(), strict=True):
    at = np.array(N_LABELS) * shift
    left.plot(N_LABELS, 100 * accuracy[name].mean(axis=0), style, color=color, label=name)
    gains[name] = 100 * (accuracy[name] - accuracy[PRUNED])
    if name != PRUNED:
        half = t * gains[name].std(axis=0, ddof=1) / np.sqrt(REPETITIONS)
        right.errorbar(at, gains[name].mean(axis=0), half, fmt=style, color=color, capsize=2)
left.set_ylabel("accuracy on test rows, %")
left.legend(fontsize=8)
right.axhline(0, color=styles[PRUNED][1], linewidth=1)
right.set_ylabel("points more than labels only, pruned")
for ax in (left, right):
    ax.set_xscale("log")
    ax.set_xticks(N_LABELS, N_LABELS)
    ax.minorticks_off()
    ax.set_xlabel("labels")
    ax.grid(alpha=0.3)
figure.suptitle("Digits, of which few have labels")
plt.show()

# %%
# What it costs
# -------------
# Counting adds a forward pass to the epochs before the last round, pretraining the epochs of the
# autoencoder on all rows, and self-training trains the net anew in each of its rounds.

for name in ways:
    mean, spread = 100 * accuracy[name].mean(axis=0), 100 * accuracy[name].std(axis=0, ddof=1)
    table = ", ".join(f"{m:.1f} ± {s:.1f}" for m, s in zip(mean, spread, strict=True))
    print(f"{name}: {table} % ({seconds[name] / accuracy[name].size:.2f} s a fit)")

# %%
# Epochs and rates are the same for each number of labels, and were not chosen by the accuracy here.
# With a few dozen labels nobody has rows to spare to choose them by, and a gain that needs them
# chosen well is none.
