"""
==============================================
Digits on a plane: PCA, LDA and a pruned net
==============================================

To see a table, one wants two numbers a row. PCA takes the two directions along which rows differ
most, whatever the labels say; linear discriminant analysis those that separate the classes best,
as far as straight lines go; :class:`skactprune.PrunedMLPTransformer` bends the space first, by a
hidden layer that has learned the classes and been pruned. It stands where `PCA` stands in a
pipeline, and has its attributes.
"""

from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skactprune import PrunedMLPTransformer

# %%
# Three ways to two numbers
# -------------------------
# All learn from three quarters of the rows. The others, which none of them has seen, are drawn, so
# that no map looks better than it is.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
ways = {
    "PCA": PCA(n_components=2),
    "LDA": LinearDiscriminantAnalysis(n_components=2),
    "PrunedMLPTransformer": PrunedMLPTransformer(
        (100,), n_components=2, learning_rate_init=0.005, tol=0.001, random_state=0
    ),
}
maps, scores = {}, {}
for name, way in ways.items():
    train_map = way.fit_transform(X_train, y_train)
    maps[name] = way.transform(X_test)
    neighbors = KNeighborsClassifier(10).fit(train_map, y_train)
    scores[name] = neighbors.score(maps[name], y_test)

# %%
# The maps
# --------
# The digits tell the classes, for nobody can tell ten colours apart in every place.

figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), layout="constrained")
# Paul Tol's muted colours, and black.
colors = "#332288 #88CCEE #44AA99 #117733 #999933 #DDAA33 #CC6677 #882255 #AA4499 #000000".split()
for ax, (name, points) in zip(axes, maps.items(), strict=True):
    for point, digit in zip(points, y_test, strict=True):
        ax.text(*point, str(digit), color=colors[digit], fontsize=8, ha="center", va="center")
    ax.update_datalim(points)
    ax.autoscale_view()
    ax.set_title(f"{name}\n10 nearest neighbours: {scores[name]:.0%} right", fontsize=11)
    ax.set_xlabel("first component")
    ax.set_xticks([])
    ax.set_yticks([])
axes[0].set_ylabel("second component")
figure.suptitle("Test rows, each drawn as its digit")
plt.show()

# %%
# What PCA has, it has
# --------------------
# Components are directions in the hidden layer that is left, along which training rows are not
# correlated.

net, pca = ways["PrunedMLPTransformer"], ways["PCA"]
for name in ("components_", "mean_", "explained_variance_ratio_"):
    print(f"{name}: shape {getattr(net, name).shape}, of PCA {getattr(pca, name).shape}")
print(f"neurons left: {len(net.live_neurons_[0])} of {net.hidden_layer_sizes[0]}")
print("columns:", list(net.set_output(transform="pandas").transform(X_test).columns))

# %%
# LDA can give no more than nine components here, one less than there are classes, and PCA no more
# than there are features; a net as many as it has neurons left. What is near on such a map need not
# be near in the table: it shows how the classes are told apart, and not how rows lie.
