"""
=========================================
How much can go? The pruning path
=========================================

`prune_fraction` is a parameter like ``ccp_alpha`` of scikit-learn's trees: too little leaves a
large net, too much a bad one, and where it begins to hurt differs from table to table.
:func:`skactprune.pruning_path` finds out by one training a fold, in which a net is pruned on and
on, and scored at every fraction on the way.
"""

import warnings

from matplotlib import pyplot as plt
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skactprune import PrunedMLPClassifier, pruning_path
from skactprune.inspection import PruningPathDisplay

# %%
# Two tables
# ----------
# Ten kinds of digits in 64 pixels, and two kinds of tumours in 30 measurements of cells. Scalers
# are fitted on the rows of each fold alone.

model = make_pipeline(
    StandardScaler(),
    PrunedMLPClassifier((60, 30), max_iter=40, learning_rate_init=0.005, random_state=0),
)
tables = {
    "digits": load_digits(return_X_y=True),
    "breast cancer": load_breast_cancer(return_X_y=True),
}
with warnings.catch_warnings():
    # The first fit need not converge: the net is trained on after each round.
    warnings.simplefilter("ignore", ConvergenceWarning)
    paths = {name: pruning_path(model, X, y, cv=5) for name, (X, y) in tables.items()}

# %%
# Their paths
# -----------
# The star is the smallest net whose score is within one standard error of the best.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for ax, (name, path) in zip(axes, paths.items(), strict=True):
    PruningPathDisplay(path).plot(ax)
    ax.set_title(name)
    ax.margins(y=0.1)
    ax.legend(fontsize=8, loc="lower right")
plt.show()

# %%
# Choose and fit
# --------------
# A net on the path was trained for longer than one that is fitted to its fraction at once, so the
# last word has a fit of its own.

for name, path in paths.items():
    X, y = tables[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(prunedmlpclassifier__prune_fraction=path.one_se_fraction).fit(X, y)
    layers = [coef.shape[1] for coef in model[-1].coefs_[:-1]]
    print(
        f"{name}: best at {path.best_fraction:.0%}, chosen {path.one_se_fraction:.0%}; "
        f"layers of the final net {layers}"
    )
