"""
=====================================
A pruning method of your own
=====================================

Someone has an idea which neurons could go. With :func:`skactprune.register` it is one class, and
then a value of `method` like any other: in grid searches, pickles and displays. This one removes
neurons that are nearly copies of another: those whose weights point in the direction in which the
weights of a neighbour point.
"""

import warnings

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skactprune import PrunedMLPClassifier, register
from skactprune.checks import check_method, method_checks
from skactprune.methods import ScoredMethod

# %%
# The idea, in one hook
# ---------------------
# `scores` is asked at each round. ``run.weights()`` has the matrices, a row for each neuron; the
# weights with the lowest scores leave, by whole neurons unless `granularity` says otherwise. How
# many, when, and what becomes of the biases is not its concern.


@register("no_copies")
class NoCopies(ScoredMethod):
    """Remove the neurons whose incoming weights are most similar to those of another.

    Parameters
    ----------
    {granularity}
    {scope}
    {schedule}
    {regrow}
    """

    def scores(self, run):
        """One less the largest cosine of a neuron with another, for each of its weights."""
        scores = []
        for weight in run.weights()[:-1]:
            unit = weight / np.maximum(np.linalg.norm(weight, axis=1, keepdims=True), 1e-12)
            # With those before it alone: of two copies one may stay.
            score = 1 - np.tril(unit @ unit.T, -1).max(axis=1, keepdims=True)
            scores.append(np.broadcast_to(score, weight.shape))
        return scores


# %%
# Does it do what every method must?
# ----------------------------------
# ``check_method`` knows that: it meets the fraction, survives pickles and interrupts, takes nothing
# that was not asked for, and so on. In a test suite, ``pytest.mark.parametrize`` takes
# ``method_checks()`` one by one.

check_method("no_copies")
print(f"{len(method_checks())} checks passed")

# %%
# Is it any good?
# ---------------
# Any idea must first beat the removal of random neurons.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
fractions = [0.6, 0.8, 0.9, 0.95]
n_seeds = 4
accuracy = {}
with warnings.catch_warnings():
    # 60 epochs are enough to tell them apart, if not to converge.
    warnings.simplefilter("ignore", ConvergenceWarning)
    for method in ("no_copies", "random", "activation", "activation_surgeon"):
        accuracy[method] = np.empty((len(fractions), n_seeds))
        for seed in range(n_seeds):
            net = PrunedMLPClassifier(
                (100,), method=method, learning_rate_init=0.005, max_iter=60, random_state=seed
            )
            for place, fraction in enumerate(fractions):
                net.set_params(prune_fraction=fraction).fit(X_train, y_train)
                accuracy[method][place, seed] = 100 * net.score(X_test, y_test)

# %%
# Mean, lowest and highest of the seeds
# -------------------------------------

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
# Okabe and Ito's colours, which the colour-blind tell apart.
styles = {
    "no_copies": ("o-", "#D55E00"),
    "random": ("x:", "#7F7F7F"),
    "activation": ("^--", "#0072B2"),
    "activation_surgeon": ("s-.", "#009E73"),
}
for shift, (method, (style, color)) in enumerate(styles.items()):
    scores = accuracy[method]
    mean = scores.mean(axis=1)
    spread = [mean - scores.min(axis=1), scores.max(axis=1) - mean]
    places = np.arange(len(fractions)) + 0.06 * (shift - 1.5)
    ax.errorbar(places, mean, spread, fmt=style, color=color, capsize=3, label=method)
ax.set_xticks(range(len(fractions)), [f"{fraction:.0%}" for fraction in fractions])
ax.set_xlabel("hidden weights pruned")
ax.set_ylabel("test accuracy, %")
ax.set_title(f"digits, one layer of 100 neurons, {n_seeds} seeds")
ax.margins(x=0.08)
ax.legend(loc="lower left")
ax.grid(alpha=0.3)
plt.show()

for method, scores in accuracy.items():
    print(method, dict(zip(fractions, scores.mean(axis=1).round(1).tolist(), strict=True)))

# %%
# :doc:`/guide/extending` tells of methods that act at other moments than rounds.
