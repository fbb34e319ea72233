"""
=================================
Who fires, and who is removed
=================================

A hidden neuron *fires* for a row if its pre-activation is positive. Activation-based pruning counts
that in the forward passes that training does anyway.
:class:`skactprune.inspection.FiringDisplay` draws the firing rate of every neuron, and marks those
that were pruned.
"""

import warnings

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skactprune import PrunedMLPClassifier
from skactprune.inspection import FiringDisplay

# %%
# Two criteria on the same counts
# -------------------------------
# "activation" removes those that fire least. "activation_surgeon" asks what the others of the layer
# cannot tell: a neuron that always fires may tell nothing that they do not.

X, y = load_digits(return_X_y=True)
X /= 16
nets = {}
for method in ("activation", "activation_surgeon"):
    net = PrunedMLPClassifier(
        (80,), method=method, max_iter=40, learning_rate_init=0.005, random_state=0
    )
    with warnings.catch_warnings():
        # 40 epochs show it, if they are not enough to converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        nets[method] = net.fit(X, y)

# %%
# The rates
# ---------
# Rates are sorted, and end where a neuron left. With ``sort=False`` they stay in their order.

figure, axes = plt.subplots(2, 1, figsize=(8, 5.5), layout="constrained")
for ax, (method, net) in zip(axes, nets.items(), strict=True):
    FiringDisplay.from_estimator(net, ax=ax)
    ax.set_title(method)
plt.show()

# %%
# ``firing_rates_`` has the numbers, and ``live_neurons_`` those that are left:

for method, net in nets.items():
    rates, live = net.firing_rates_[0], net.live_neurons_[0]
    gone = np.setdiff1d(np.arange(len(rates)), live)
    print(
        f"{method}: mean firing rate of the {len(live)} that stayed {rates[live].mean():.0%}, "
        f"of the {len(gone)} that left {rates[gone].mean():.0%}"
    )
