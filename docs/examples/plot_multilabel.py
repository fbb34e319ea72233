"""
=====================================
Many labels a row
=====================================

A picture with two digits has two labels. Where rows may have any number of labels, `y` has a column
of 0 and 1 for each, as for scikit-learn's `MLPClassifier`, and a pruned net answers in the same
way. Nothing has to be set.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MultiLabelBinarizer

from skactprune import PrunedMLPClassifier

# %%
# Two digits on one sheet
# -----------------------
# Two of scikit-learn's digits are laid over each other, shifted apart by a few pixels. The pictures
# of test sheets are of digits that are on no training sheet.

N_SHEETS, SHIFT = 4000, 3
digits, numbers = load_digits(return_X_y=True)
digits = digits.reshape(-1, 8, 8) / 16


def sheets(of, n_sheets, random_state):
    """Pictures of two digits, and which digits are on each."""
    rng = np.random.default_rng(random_state)
    left, right = rng.choice(of, (2, n_sheets))
    pictures = np.zeros((n_sheets, 8, 8 + SHIFT))
    pictures[:, :, :8] = digits[left]
    pictures[:, :, SHIFT:] = np.maximum(pictures[:, :, SHIFT:], digits[right])
    pairs = np.stack([numbers[left], numbers[right]], axis=1)
    return pictures.reshape(n_sheets, -1), pairs


train, test = train_test_split(np.arange(len(digits)), stratify=numbers, random_state=0)
X_train, pairs_train = sheets(train, N_SHEETS, random_state=0)
X_test, pairs_test = sheets(test, N_SHEETS // 4, random_state=1)
binarizer = MultiLabelBinarizer(classes=range(10))
Y_train, Y_test = map(binarizer.fit_transform, (pairs_train, pairs_test))

# %%
# One net for all labels
# ----------------------
# `score` is strict: the share of sheets of which every label is right. The F1 score counts labels.

nets = {}
for name, fraction in (("dense", 0), ("pruned", 0.8)):
    net = PrunedMLPClassifier(
        (200,), prune_fraction=fraction, learning_rate_init=0.005, tol=0.001, random_state=0
    )
    nets[name] = net.fit(X_train, Y_train)
    print(
        f"{name}: {net.coefs_[0].shape[1]} neurons, "
        f"all labels right {net.score(X_test, Y_test):.3f}, "
        f"F1 {f1_score(Y_test, net.predict(X_test), average='micro'):.3f}"
    )

# %%
# What the pruned net sees
# ------------------------
# ``predict_proba`` has the probability of every label, which need not sum to 1. Dots mark the
# digits that are on the sheet.

probabilities = nets["pruned"].predict_proba(X_test)
figure, axes = plt.subplots(2, 5, figsize=(10, 3.8), sharey="row", layout="constrained")
for column, (picture, bar) in enumerate(axes.T):
    picture.imshow(X_test[column].reshape(8, 8 + SHIFT), cmap="gray_r")
    picture.set_title(" and ".join(map(str, np.unique(pairs_test[column]))))
    picture.set_xticks([])
    picture.set_yticks([])
    bar.bar(range(10), probabilities[column], color="#0072B2")
    there = np.flatnonzero(Y_test[column])
    bar.plot(there, np.full(len(there), 1.1), "o", color="#D55E00", markersize=5)
    bar.set_xticks(range(10))
    bar.set_xlabel("digit")
    bar.set_ylim(0, 1.2)
axes[1, 0].set_ylabel("probability")
plt.show()
