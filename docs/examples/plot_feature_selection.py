"""
===========================================
Which features does a net need at all?
===========================================

A selector such as `SelectKBest` scores each feature before any net has seen it. With
`prune_features`, features leave while the net learns, in the same rounds as neurons, and what a
feature is good for is judged together with all others. Afterwards the net has ``get_support``, as
scikit-learn's selectors have it, and :func:`skactprune.compact` makes a model that wants the
remaining columns only.
"""

import warnings

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.model_selection import train_test_split

from skactprune import PrunedMLPClassifier, compact

# %%
# Pixels that stay
# ----------------
# Features are pixels here, so that a selection can be looked at. Some are blank in all rows: they
# leave in any case.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
fractions = [0.5, 0.7, 0.8, 0.9]
params = {"hidden_layer_sizes": (100,), "learning_rate_init": 0.005, "tol": 0.001}
kept, accuracy = {"SelectKBest": [], "prune_features": []}, {}
for fraction in fractions:
    net = PrunedMLPClassifier(prune_features=fraction, random_state=0, **params)
    net.fit(X_train, y_train)
    support = net.get_support()
    kept["prune_features"].append(support)
    accuracy.setdefault("prune_features", []).append(net.score(X_test, y_test))

    selector = SelectKBest(f_classif, k=support.sum())
    with warnings.catch_warnings():
        # Blank pixels have no score.
        warnings.filterwarnings("ignore", "Features .* are constant|invalid value")
        selector.fit(X_train, y_train)
    kept["SelectKBest"].append(selector.get_support())
    other = PrunedMLPClassifier(random_state=0, **params)
    other.fit(selector.transform(X_train), y_train)
    accuracy.setdefault("SelectKBest", []).append(other.score(selector.transform(X_test), y_test))

# %%
# Drawn on the mean digit
# -----------------------
# Squares are the pixels that are left. A score of each pixel alone does not know that a neighbour
# may say the same; a net that looks at all of them together has no use for the second.

figure, axes = plt.subplots(2, len(fractions), figsize=(9, 5), layout="constrained")
for line, (name, supports) in zip(axes, kept.items(), strict=True):
    for ax, support, score in zip(line, supports, accuracy[name], strict=True):
        ax.imshow(X_train.mean(axis=0).reshape(8, 8), cmap="gray_r", vmin=0, vmax=1.5)
        rows, columns = np.divmod(np.flatnonzero(support), 8)
        ax.plot(columns, rows, "s", color="#D55E00", markersize=11, fillstyle="none", mew=2)
        ax.set_title(f"{support.sum()} pixels: {score:.1%} right", fontsize=10)
        ax.set_xticks([])
        ax.set_yticks([])
    line[0].set_ylabel(name)
plt.show()

# %%
# Rows that are shorter
# ---------------------
# What is deployed need not be told the rest.

small = compact(net, features="used")
print(f"features: {net.n_features_in_} in training, {small.n_features_in_} when deployed")
print("the same answers:", np.array_equal(small.predict(X_test[:, support]), net.predict(X_test)))

# %%
# Neurons have left besides: 80 % of the hidden weights, as by default, counted without those of the
# features that are gone.
