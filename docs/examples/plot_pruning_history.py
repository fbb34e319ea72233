"""
====================================
What happens while a net is pruned
====================================

A net is pruned in rounds while it trains. After each, it has to learn again what it lost, and how
much that is depends on the `method`. :class:`skactprune.inspection.PruningHistoryDisplay` draws
loss, accuracy, sparsity and live neurons over the epochs, with a line at each round.
"""

import warnings

from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skactprune import PrunedMLPClassifier
from skactprune.inspection import LossCurveDisplay, PruningHistoryDisplay

# %%
# Two methods
# -----------
# 1797 handwritten digits of 64 pixels. "activation" removes the neurons that fire least;
# "activation_surgeon", the default, those that others can stand in for, and lets these take over.
# With `early_stopping`, accuracy on validation rows is known after every epoch.

X, y = load_digits(return_X_y=True)
X /= 16
nets = {}
for method in ("activation", "activation_surgeon"):
    net = PrunedMLPClassifier(
        (100, 50),
        method=method,
        max_iter=40,
        learning_rate_init=0.005,
        early_stopping=True,
        random_state=0,
    )
    with warnings.catch_warnings():
        # 40 epochs show it, if they are not enough to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        nets[method] = net.fit(X, y)

# %%
# Their histories
# ---------------
# A display that has several panels divides the axes that it is given.

figure, axes = plt.subplots(1, 2, figsize=(11, 7), layout="constrained")
for ax, (method, net) in zip(axes, nets.items(), strict=True):
    display = PruningHistoryDisplay.from_estimator(net, ax=ax)
    display.ax_[0].set_title(method)
plt.show()

# %%
# What is drawn is in ``pruning_history_``, ``loss_curve_`` and ``validation_scores_``:

for row in nets["activation_surgeon"].pruning_history_:
    print(
        f"round {row['round']}, epoch {row['epoch']}: sparsity {row['sparsity']:.0%}, "
        f"live neurons {row['live_neurons']}"
    )

# %%
# The losses alone
# ----------------
# :class:`skactprune.inspection.LossCurveDisplay` takes nets of scikit-learn, too. Both can be drawn
# on the same axes. Validation rows have a dashed line.

_, ax = plt.subplots(layout="constrained")
colors = {"activation": "#0072B2", "activation_surgeon": "#D55E00"}
for method, net in nets.items():
    display = LossCurveDisplay.from_estimator(net, ax=ax)
    for line, rows in zip(display.lines_, ("", ", validation rows"), strict=True):
        line.set(label=method + rows, color=colors[method])
ax.set_yscale("log")
ax.legend(handles=[line for line in ax.lines if line.get_label().startswith("activation")])
plt.show()
