"""
==============================================
Codes of an autoencoder, and of PCA beside it
==============================================

PCA makes of each row a code of a few numbers, from which the row can be made again with the least
squared error, as far as both ways are linear. `PrunedAutoencoder` does the same with a net on
either side, needs no labels, and loses most of its weights while it learns. How much better are its
codes, to rebuild the rows and to tell classes by? And what does pruning cost?
"""

import warnings

import numpy as np
from matplotlib import pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skactprune import PrunedAutoencoder
from skactprune.inspection import n_weights

# %%
# Three ways to a code
# --------------------
# 1797 handwritten digits of 64 pixels in [0, 1]; a quarter is put aside. The labels of the others
# are seen by the classifier on the codes alone. An autoencoder has one hidden layer of 100 neurons
# on either side of the code, as by default.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
net = PrunedAutoencoder(learning_rate_init=0.005, max_iter=200, random_state=0)
ways = {
    "PCA": PCA(random_state=0),
    "autoencoder, dense": clone(net).set_params(prune_fraction=0),
    "autoencoder, 80 % pruned": net,
}
sizes = [2, 4, 8, 16, 32]

# %%
# Rebuild the rows, and tell the classes
# --------------------------------------
# The error is the share of the variance that the reconstruction lacks: 1 less the `score` of an
# autoencoder. For classes, logistic regression gets the codes, standardised.


def error(reducer):
    """Share of the variance of the test rows that is not in their reconstruction."""
    rest = X_test - reducer.inverse_transform(reducer.transform(X_test))
    return np.square(rest).sum() / np.square(X_test - X_test.mean(axis=0)).sum()


errors, accuracies, weights = {}, {}, {}
for name, way in ways.items():
    for size in sizes:
        reducer = clone(way).set_params(n_components=size)
        model = make_pipeline(reducer, StandardScaler(), LogisticRegression(max_iter=1000))
        with warnings.catch_warnings():
            # More epochs would gain little.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X_train, y_train)
        errors.setdefault(name, []).append(error(model[0]))
        accuracies.setdefault(name, []).append(model.score(X_test, y_test))
        if name != "PCA":
            weights.setdefault(name, []).append(n_weights(model[0]))

# %%
# Side by side
# ------------

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
# Okabe and Ito's colours, which the colour-blind tell apart.
styles = dict(zip(ways, (("s--", "#000000"), ("^:", "#0072B2"), ("o-", "#D55E00")), strict=True))
for name, (style, color) in styles.items():
    left.plot(sizes, errors[name], style, color=color, label=name)
    right.plot(sizes, 100 * np.array(accuracies[name]), style, color=color, label=name)
left.set_ylabel("variance that is lost, test rows")
left.set_yscale("log")
right.set_ylabel("accuracy of logistic regression, %")
for ax in (left, right):
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, sizes)
    ax.set_xlabel("numbers in the code")
    ax.grid(alpha=0.3)
right.legend(fontsize=8)
figure.suptitle("Digits, coded without labels")
plt.show()

# %%
# What is left of the nets
# ------------------------
# Neurons of encoder and decoder leave; the code keeps its size.

for size, dense, pruned in zip(sizes, *weights.values(), strict=True):
    print(f"code of {size}: {pruned} of {dense} weights are left")
print("lost, by size:", {name: np.round(lost, 3).tolist() for name, lost in errors.items()})

# %%
# PCA takes no training to speak of, and its codes are nested: the first numbers of a longer one are
# the shorter one. Those of a net are in no order, and each size is another net.
