"""
======================================
Do rows without labels help to prune?
======================================

Labels are dear, and rows are cheap. Which neurons fire, and what others tell of them, can be seen
on rows that nobody has labelled, too: `fit` takes them as `X_unlabeled`, and the loss does not see
them. This is how to find out whether that helps where labels are few.
"""

import warnings

import numpy as np
from matplotlib import pyplot as plt
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skactprune import PrunedMLPClassifier

# %%
# Few labels, many rows
# ---------------------
# Of the training rows, a few keep their labels; the others are given without. Each number of labels
# is tried with several draws, and both nets of a draw start from the same weights and see the same
# labels.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
numbers = [50, 100, 200, 400]
n_draws = 8
accuracy = np.empty((2, len(numbers), n_draws))
with warnings.catch_warnings():
    # 60 epochs show it, if they are not enough to converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    for place, number in enumerate(numbers):
        for draw in range(n_draws):
            X_few, X_rest, y_few, _ = train_test_split(
                X_train, y_train, train_size=number, stratify=y_train, random_state=draw
            )
            for way, more in enumerate((None, X_rest)):
                net = PrunedMLPClassifier(
                    (100,),
                    prune_fraction=0.9,
                    learning_rate_init=0.01,
                    batch_size=50,
                    max_iter=60,
                    random_state=draw,
                )
                net.fit(X_few, y_few, X_unlabeled=more)
                accuracy[way, place, draw] = 100 * net.score(X_test, y_test)

# %%
# With, less without
# ------------------
# As draws come in pairs, their differences are what to look at: a dot is a draw, a line the mean,
# with its 95 % interval.

gain = accuracy[1] - accuracy[0]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
# Okabe and Ito's colours, which the colour-blind tell apart.
for scores, label, style, color in zip(
    accuracy, ("labelled rows", "unlabelled rows"), ("s--", "o-"), ("#000000", "#D55E00"),
    strict=True,
):  # fmt: skip
    left.plot(numbers, scores.mean(axis=1), style, color=color, label=f"counted on {label}")
left.set_ylabel(f"test accuracy, %, mean of {n_draws} draws")
left.legend()
mean = gain.mean(axis=1)
half = stats.t.ppf(0.975, n_draws - 1) * gain.std(axis=1, ddof=1) / np.sqrt(n_draws)
right.plot(np.repeat(numbers, n_draws), gain.ravel(), "o", color="#0072B2", alpha=0.4)
right.errorbar(numbers, mean, half, fmt="_", color="black", markersize=20, capsize=4)
right.axhline(0, color="#7F7F7F", linewidth=1)
right.set_ylabel("gain of a draw, points")
for ax in (left, right):
    ax.set_xscale("log")
    ax.set_xticks(numbers, numbers)
    ax.minorticks_off()
    ax.set_xlabel("labelled rows")
    ax.grid(alpha=0.3)
plt.show()

for number, value, width in zip(numbers, mean, half, strict=True):
    print(f"{number} labels: gain {value:+.1f} ± {width:.1f} points")

# %%
# Where an interval has zero in it, nothing is decided. In a pipeline, metadata routing carries the
# rows along, and scales them: :doc:`/guide/unlabeled`.
