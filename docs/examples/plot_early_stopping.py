"""
================================================
When to stop, and by which score
================================================

A net that trains on and on may stay as accurate while its probabilities grow too sure, so that the
loss on rows that it has not seen rises again. With `early_stopping` a fit ends when their score no
longer improves, and goes back to the best weights; `X_val` says which rows these are, and `scoring`
which score. Rounds of pruning are always finished first.
"""

import warnings

import numpy as np
from matplotlib import pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skactprune import EpochTrigger, PrunedMLPClassifier

# %%
# Rows to validate on
# -------------------
# 569 tumours, 30 measurements each. A quarter is for the test, and a quarter of the others to
# validate on. Without rows of one's own, a tenth of the training rows would be set aside.

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
X_train, X_val, y_train, y_val = train_test_split(
    X_train, y_train, test_size=0.25, stratify=y_train, random_state=0
)
scaler = StandardScaler().fit(X_train)
X_train, X_val, X_test = map(scaler.transform, (X_train, X_val, X_test))

# %%
# Three ways to end
# -----------------
# The first fit goes on to the last epoch. Of the others, one stops when accuracy on the validation
# rows no longer improves, and one when their loss no longer falls. For the figure, rounds come at
# the same epochs in all of them; by default they also depend on the score.

MAX_ITER = 150
net = PrunedMLPClassifier(
    (60,),
    trigger=EpochTrigger(0.05, 0.2),
    learning_rate_init=0.01,
    max_iter=MAX_ITER,
    random_state=0,
)
settings = {
    "no early stopping": {"n_iter_no_change": MAX_ITER},
    'scoring="accuracy"': {"early_stopping": True, "scoring": "accuracy"},
    'scoring="loss"': {"early_stopping": True, "scoring": "loss"},
}
nets = {}
with warnings.catch_warnings():
    # Whoever ends with the last epoch is told that it has not converged.
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, how in settings.items():
        rows = {"X_val": X_val, "y_val": y_val} if "early_stopping" in how else {}
        nets[name] = clone(net).set_params(**how).fit(X_train, y_train, **rows)
    # To see the losses of all epochs: never so many go by without an improvement.
    watched = clone(net).set_params(early_stopping=True, n_iter_no_change=MAX_ITER)
    watched.fit(X_train, y_train, X_val=X_val, y_val=y_val)

# %%
# Where they end
# --------------
# Scores before the last round do not count, as the net was still a larger one.

last = watched.pruning_history_[-1]["epoch"]
kept = {"no early stopping": MAX_ITER}
for name in list(nets)[1:]:
    kept[name] = last + 1 + int(np.argmax(nets[name].validation_scores_[last:]))
losses = {name: log_loss(y_test, fitted.predict_proba(X_test)) for name, fitted in nets.items()}

figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4), width_ratios=(3, 2), layout="constrained"
)
epochs = np.arange(1, watched.n_iter_ + 1)
left.plot(epochs, watched.loss_curve_, color="#7F7F7F", label="training rows")
left.plot(epochs, watched.validation_loss_curve_, color="black", label="validation rows")
for row in watched.pruning_history_:
    left.axvline(row["epoch"], color="#7F7F7F", linewidth=1, linestyle=":")
# Okabe and Ito's colours, which the colour-blind tell apart.
styles = zip(nets, ("s", "o", "^"), ("#000000", "#0072B2", "#D55E00"), strict=True)
for place, (name, marker, color) in enumerate(styles):
    at = watched.validation_loss_curve_[kept[name] - 1]
    left.plot(kept[name], at, marker, color=color, markersize=10, label=f"end: {name}")
    bar = right.barh(place, losses[name], color=color, height=0.6)
    right.bar_label(bar, [f" {losses[name]:.3f}"])
left.set_yscale("log")
left.set_ylim(top=2)
left.set_xlabel("epoch; dotted lines are rounds of pruning")
left.set_ylabel("loss")
left.legend(fontsize=8, loc="upper right")
right.set_yticks(range(len(nets)), nets)
right.invert_yaxis()
right.margins(x=0.2)
right.set_xlabel("log-loss of the test rows")
plt.show()

# %%
# The loss of a few test rows that a net is sure of and wrong about weighs more than all others; the
# accuracy does not see how sure it was.

for name, fitted in nets.items():
    print(
        f"{name}: {fitted.n_iter_} epochs, weights of epoch {kept[name]}, "
        f"test accuracy {fitted.score(X_test, y_test):.3f}, log-loss {losses[name]:.3f}"
    )

# %%
# In a pipeline, metadata routing carries the rows along and scales them: :doc:`/guide/validation`.
