"""
==============================================
MLPClassifier, and the same net pruned
==============================================

What changes for somebody who writes :class:`skactprune.PrunedMLPClassifier` where
:class:`sklearn.neural_network.MLPClassifier` stood? Parameters have the same names and meaning, so
that nothing else has to. Accuracy, size and the time of a fit are compared here, and with them the
rival that pruning has to beat: a net that is small from the start.
"""

import warnings
from time import process_time

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from skactprune import PrunedMLPClassifier

# %%
# Three nets, a few seeds
# -----------------------
# 1797 handwritten digits of 64 pixels. The small net has the layers that the pruned one ends with,
# so it is fitted after it. Nets of this size gain nothing from a second thread, and time is
# that of the processor, so that others who use the machine count less.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
params = {"learning_rate_init": 0.005, "max_iter": 100}
names = ["MLPClassifier", "PrunedMLPClassifier", "MLPClassifier, small from the start"]
accuracy, size, seconds = ({name: [] for name in names} for _ in range(3))


def measure(name, net):
    """Fit, and note how good, how large and how slow the net was."""
    start = process_time()
    net.fit(X_train, y_train)
    seconds[name].append(process_time() - start)
    accuracy[name].append(100 * net.score(X_test, y_test))
    size[name].append(sum(array.size for array in [*net.coefs_, *net.intercepts_]))
    return net


with warnings.catch_warnings(), threadpool_limits(1):
    # 100 epochs are enough here, whether or not a net has converged.
    warnings.simplefilter("ignore", ConvergenceWarning)
    # The first fit in a process waits for torch to be imported.
    PrunedMLPClassifier((5,), max_iter=5).fit(X_train[:100], y_train[:100])
    for seed in range(5):
        measure(names[0], MLPClassifier((100, 100), random_state=seed, **params))
        pruned = measure(names[1], PrunedMLPClassifier((100, 100), random_state=seed, **params))
        layers = [coef.shape[1] for coef in pruned.coefs_[:-1]]
        measure(names[2], MLPClassifier(layers, random_state=seed, **params))

# %%
# Side by side
# ------------
# A dot is a fit, and a line the median of its kind.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True, layout="constrained")
# Okabe and Ito's colours, which the colour-blind tell apart.
colors = ["#000000", "#D55E00", "#0072B2"]
panels = {"test accuracy, %": accuracy, "parameters": size, "CPU seconds of a fit": seconds}
for ax, (label, values) in zip(axes, panels.items(), strict=True):
    for place, (name, color) in enumerate(zip(names, colors, strict=True)):
        shifts = np.linspace(-0.15, 0.15, len(values[name]))
        ax.plot(values[name], place + shifts, "o", color=color, alpha=0.6)
        ax.vlines(np.median(values[name]), place - 0.3, place + 0.3, color=color, linewidth=2)
    ax.set_xlabel(label)
    ax.grid(alpha=0.3, axis="x")
for ax in axes[1:]:
    ax.set_xlim(left=0)
axes[0].set_yticks(range(3), ["MLPClassifier", "PrunedMLPClassifier", "MLPClassifier,\nsmall"])
axes[0].set_ylim(2.5, -0.5)
plt.show()

# %%
# The same in numbers
# -------------------

for name in names:
    print(
        f"{name}: accuracy {np.median(accuracy[name]):.1f} % "
        f"({min(accuracy[name]):.1f} to {max(accuracy[name]):.1f}), "
        f"{np.median(size[name]):.0f} parameters, {np.median(seconds[name]):.2f} s"
    )
print("layers of the last pruned net:", layers)

# %%
# A quarter of one small table decides nothing between nets that are this close;
# :doc:`/tables` compares them on many tables, with intervals.
