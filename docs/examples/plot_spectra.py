"""
=====================================
Low rank: spectra before and after
=====================================

Whoever removes a neuron removes a column of one weight matrix and a row of the next, so that their
ranks fall; whoever removes single weights scatters zeros, and ranks stay.
:class:`skactprune.inspection.SpectrumDisplay` draws the singular values of the hidden matrices of
several nets side by side.
"""

import warnings

from matplotlib import pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skactprune import PrunedMLPClassifier
from skactprune.inspection import SpectrumDisplay
from skactprune.spectra import spectrum_summary

# %%
# Three nets
# ----------
# A pruned net does not keep what it was. Its dense twin, from the same initial weights and trained
# for as long, shows what it would have become.

X, y = load_digits(return_X_y=True)
X /= 16
net = PrunedMLPClassifier((100, 50), max_iter=40, learning_rate_init=0.005, random_state=0)
settings = {
    "dense": {"prune_fraction": 0},
    "activation_surgeon": {"method": "activation_surgeon"},
    "magnitude": {"method": "magnitude"},
}
with warnings.catch_warnings():
    # 40 epochs show it, if they are not enough to converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    nets = {name: clone(net).set_params(**how).fit(X, y) for name, how in settings.items()}

# %%
# Their spectra
# -------------
# A line ends where the rank does.

display = SpectrumDisplay.from_estimators(nets)
display.figure_.suptitle("80 % of the hidden weights are gone, in two ways")
plt.show()

# %%
# The same in numbers
# -------------------
# The effective rank counts large singular values for more than small ones.

for name, net in nets.items():
    rows = spectrum_summary(net.coefs_[:-1])
    ranks = ", ".join(f"{row['rank']} (effectively {row['effective_rank']:.0f})" for row in rows)
    print(f"{name}: sparsity {net.sparsity_:.0%}, ranks {ranks}")

# %%
# The command ``python -m skactprune compare`` draws these spectra for a table of yours.
