"""
==============================
The net that is left, to scale
==============================

What is asked for is a share of the hidden weights; how many neurons that leaves in which layer, the
`method` decides. :class:`skactprune.inspection.ArchitectureDisplay` draws the layers before and
after, with the input, from which features can leave as well (`prune_features`).
"""

import warnings

from matplotlib import pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skactprune import PrunedMLPClassifier
from skactprune.inspection import ArchitectureDisplay

# %%
# Three ways of losing 80 %
# -------------------------

X, y = load_digits(return_X_y=True)
X /= 16
net = PrunedMLPClassifier((100, 60, 40), max_iter=40, learning_rate_init=0.005, random_state=0)
settings = {
    "activation_surgeon": {},
    "activation_surgeon, half of the features": {"prune_features": 0.5},
    "magnitude": {"method": "magnitude"},
}
with warnings.catch_warnings():
    # 40 epochs show it, if they are not enough to converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    nets = {name: clone(net).set_params(**how).fit(X, y) for name, how in settings.items()}

# %%
# Their layers
# ------------
# Where single weights are removed, a layer loses a neuron only when all weights that enter it are
# gone: parameters fall, and the layers stay nearly as they were.

figure, axes = plt.subplots(len(nets), 1, figsize=(7.5, 10), layout="constrained")
for ax, (name, net) in zip(axes, nets.items(), strict=True):
    ArchitectureDisplay.from_estimator(net, ax=ax)
    ax.set_title(f"{name}: {ax.get_title()}", fontsize=10)
plt.show()

# %%
# In a notebook, a fitted net says the same in a line below its name.

for name, net in nets.items():
    print(
        f"{name}: {net.get_support().sum()} features, layers of {list(map(len, net.live_neurons_))}"
    )

nets["activation_surgeon"]
