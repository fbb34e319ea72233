"""
==============================================
Which method, and how much? Accuracy and size
==============================================

There are many ways to prune a net, and which one suits a table nobody knows beforehand. As
`method` and `prune_fraction` are parameters of the estimator, a grid search tries them all. It ends
in two numbers for every candidate, accuracy and size, and the question which pair to take: the
candidates than which no other is both smaller and more accurate are the *Pareto front*, and the
*one-standard-error rule* takes from it the smallest net that is about as good as the best.
"""

import warnings

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skactprune import PrunedMLPClassifier
from skactprune.inspection import n_parameters, smallest_within_one_se

# %%
# The table and the net
# ---------------------
# 1797 handwritten digits of 64 pixels. The last quarter is put aside for the very end. Rows stay in
# their order, here and in the folds of the search: neighbours are by the same hand, and what counts
# is how well a net reads those that it has not seen.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, shuffle=False)
net = PrunedMLPClassifier((64, 32), max_iter=60, learning_rate_init=0.005, random_state=0)
model = Pipeline([("scale", MinMaxScaler()), ("net", net)])

# %%
# The search
# ----------
# Two scores: accuracy, and the number of parameters that are left, for which
# :func:`skactprune.inspection.n_parameters` is a scorer. The dense net is a candidate, too. With
# ``refit=smallest_within_one_se`` the search ends with the smallest net whose mean accuracy over
# the folds is within one standard error of the best.

grid = [
    {"net__prune_fraction": [0]},
    {
        "net__method": ["activation_surgeon", "firing_deviation", "magnitude", "snip", "random"],
        "net__prune_fraction": [0.5, 0.7, 0.8, 0.9, 0.95],
    },
]
search = GridSearchCV(
    model,
    grid,
    scoring={"accuracy": "accuracy", "n_parameters": n_parameters},
    refit=smallest_within_one_se,
    cv=4,
    n_jobs=2,
)
with warnings.catch_warnings():
    # 60 epochs are enough here, if not to converge; and some candidates are pruned too far.
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", "(?s).*Take a lower prune_fraction")
    search.fit(X_train, y_train)
    dense = clone(model).set_params(net__prune_fraction=0).fit(X_train, y_train)

# %%
# The Pareto front
# ----------------
# From the smallest net to the largest, a candidate is on the front if it is more accurate than all
# that are smaller.

results = search.cv_results_
accuracy, size = results["mean_test_accuracy"], results["mean_test_n_parameters"]
methods = np.array([params.get("net__method", "dense") for params in results["params"]])
front = []
for candidate in np.lexsort((-accuracy, size)):
    if not front or accuracy[candidate] > accuracy[front[-1]]:
        front.append(candidate)
best, chosen = np.argmax(accuracy), search.best_index_
folds = [results[f"split{fold}_test_accuracy"][best] for fold in range(search.n_splits_)]
standard_error = np.std(folds, ddof=1) / np.sqrt(len(folds))

figure, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
# Okabe and Ito's colours, which the colour-blind tell apart.
styles = {
    "dense": ("s", "#000000"),
    "activation_surgeon": ("o", "#D55E00"),
    "firing_deviation": ("D", "#E69F00"),
    "magnitude": ("^", "#0072B2"),
    "snip": ("v", "#009E73"),
    "random": ("x", "#7F7F7F"),
}
for method, (marker, color) in styles.items():
    of = methods == method
    ax.plot(size[of], 100 * accuracy[of], marker, color=color, alpha=0.8, label=method)
ax.step(
    size[front],
    100 * accuracy[front],
    where="post",
    color="#CC79A7",
    zorder=0,
    label="Pareto front",
)
ax.axhline(
    100 * (accuracy[best] - standard_error),
    color="black",
    linestyle="--",
    linewidth=1,
    label="best, less one standard error",
)
ax.plot(
    size[chosen],
    100 * accuracy[chosen],
    "*",
    color="none",
    markeredgecolor="black",
    markersize=16,
    label="smallest above it: the choice",
)
ax.set_xscale("log")
ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
ax.xaxis.set_minor_formatter(NullFormatter())
# Who is far below the others would leave no room for their differences.
ax.set_ylim(bottom=max(100 * accuracy.min() - 1, 100 * accuracy[best] - 15))
ax.set_xlabel("parameters that are left")
ax.set_ylabel("accuracy, mean of the folds, %")
ax.set_title("Every point a candidate of the search: a method at a share of its weights")
ax.legend(fontsize=8, loc="lower right")
ax.grid(alpha=0.3)
plt.show()

# %%
# The choice
# ----------
# The test rows have had no part in it.

print(f"chosen: {search.best_params_}")
for name, fitted in (("dense", dense), ("chosen", search.best_estimator_)):
    print(
        f"{name}: {n_parameters(fitted)} parameters, "
        f"test accuracy {100 * fitted.score(X_test, y_test):.1f} %"
    )

# %%
# The front tells what each step to a smaller net costs; the rule is one sensible place to stop, and
# ``functools.partial(smallest_within_one_se, score=...)`` applies it to another score. To look at
# one method alone, :func:`skactprune.pruning_path` tells the same of many fractions in less time.
