"""
=================================================
Back from components to pictures
=================================================

The first components of a pruned net say which digit a row is. What else do they keep? With
``fit_inverse_transform=True``, a linear map back from components to features is learned, as in
:class:`sklearn.decomposition.KernelPCA`: it draws the picture that the components still tell of.
PCA, which wants nothing but to keep the picture, is the best that a linear map can do.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skactprune import PrunedMLPTransformer

# %%
# Two kinds of components
# -----------------------
# Up to nine components are those that tell ten classes best (``components="predictive"``); further
# ones are the principal components of what these leave of the hidden layer.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
sizes = [2, 9, 18]
pictures, errors = {"test row": [X_test] * len(sizes)}, {}
for size in sizes:
    net = PrunedMLPTransformer(
        (100,),
        n_components=size,
        fit_inverse_transform=True,
        learning_rate_init=0.005,
        tol=0.001,
        random_state=0,
    )
    for name, way in (("pruned net", net), ("PCA", PCA(size, random_state=0))):
        way.fit(X_train, y_train)
        drawn = way.inverse_transform(way.transform(X_test))
        lost = np.square(X_test - drawn).sum() / np.square(X_test - X_test.mean(axis=0)).sum()
        pictures.setdefault(name, []).append(drawn)
        errors.setdefault(name, []).append(lost)

# %%
# What they draw
# --------------
# One test row of each digit.

shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
rows = [("test rows", X_test)]
for place, size in enumerate(sizes):
    for name in errors:
        rows.append((f"{name}, {size}", pictures[name][place]))
figure, axes = plt.subplots(len(rows), len(shown), figsize=(8, 6), layout="constrained")
for line, (name, images) in zip(axes, rows, strict=True):
    for ax, row in zip(line, shown, strict=True):
        ax.imshow(images[row].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set_xticks([])
        ax.set_yticks([])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
figure.suptitle("Test rows, and what is drawn from their components")
plt.show()

# %%
# In numbers
# ----------

for name, lost in errors.items():
    for size, share in zip(sizes, lost, strict=True):
        print(f"{name}, {size} components: {share:.0%} of the variance of the test rows is lost")

# %%
# Where the map back draws a typical digit and not this one, the net has put aside how it was
# written: that does not help to tell which it is. To keep the pictures, take PCA, or
# an autoencoder, which is trained for it.
