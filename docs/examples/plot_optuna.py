"""
==================================================
A search by Optuna that gives up on hopeless nets
==================================================

A grid trains every candidate to the end. Optuna draws candidates, and *prunes trials*: it asks for
a score while a net trains, and ends a fit that is behind the others at the same epoch. A callback
of scikit-learn's tells it the score; fits hear of the answer when it returns True at the end of an
epoch. (``pip install optuna``; that it says *prune* of trials has nothing to do with neurons.)
"""

import warnings

import numpy as np
import optuna
from matplotlib import pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skactprune import PrunedMLPClassifier
from skactprune.inspection import n_parameters

# %%
# Digits in [0, 1]. The validation rows decide about candidates, the test rows come at the very end.

X, y = load_digits(return_X_y=True)
X_rest, X_test, y_rest, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
X_train, X_valid, y_train, y_valid = train_test_split(
    X_rest, y_rest, stratify=y_rest, random_state=0
)
net = PrunedMLPClassifier((64, 32), max_iter=40, random_state=0)

# %%
# The callback
# ------------
# ``fitted_estimator`` is the net as it is at the end of the epoch. Nets are all alike bad at first
# and lose accuracy in a pruning round: trials are compared from epoch 10 on, and the median of
# `WARMUP` finished ones is what a trial is held against.

WARMUP = 5


class TellsTrial:
    """Tells an Optuna trial the validation score of every epoch, and stops hopeless fits."""

    def __init__(self, trial):
        self.trial, self.scores, self.stopped = trial, [], False

    def setup(self, estimator, context):
        """Nothing has to be prepared."""

    def teardown(self, estimator, context):
        """Nothing has to be put away."""

    def on_fit_task_begin(self, estimator, context, **kwargs):
        """Epochs matter when they end."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **kwargs):
        """Return True, which ends the fit, where the trial is to be pruned."""
        if context.task_name != "epoch":
            return False
        self.scores.append(fitted_estimator.score(X_valid, y_valid))
        self.trial.report(self.scores[-1], step=len(self.scores))
        self.stopped = self.trial.should_prune()
        return self.stopped


# %%
# The search
# ----------
# A candidate is a method, a share of the weights and a learning rate. A fit that was stopped is an
# ordinary fitted net; that the trial does not count is what ``TrialPruned`` says.

curves = {}


def objective(trial):
    told = TellsTrial(trial)
    candidate = clone(net).set_params(
        method=trial.suggest_categorical("method", ["activation_surgeon", "magnitude", "random"]),
        prune_fraction=trial.suggest_float("prune_fraction", 0.5, 0.95),
        learning_rate_init=trial.suggest_float("learning_rate_init", 1e-4, 1e-1, log=True),
    )
    with warnings.catch_warnings():
        # A fit that was stopped has not converged, and not done all of its rounds.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "(?s).*Take a lower prune_fraction")
        candidate.set_callbacks(told).fit(X_train, y_train)
    curves[trial.number] = told.scores
    if told.stopped:
        raise optuna.TrialPruned
    return candidate.score(X_valid, y_valid)


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=WARMUP, n_warmup_steps=10),
)
study.optimize(objective, n_trials=25)

# %%
# What was saved
# --------------

pruned = [trial.number for trial in study.trials if trial.state.name == "PRUNED"]
n_epochs = sum(map(len, curves.values()))
print(f"{len(pruned)} of {len(study.trials)} trials were pruned")
print(f"{n_epochs} epochs in place of {net.max_iter * len(study.trials)}")

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for number, scores in curves.items():
    best, stopped = number == study.best_trial.number, number in pruned
    color = "#D55E00" if best else "#7F7F7F" if stopped else "#0072B2"
    ax.plot(np.arange(1, len(scores) + 1), scores, color=color, alpha=1.0 if best else 0.5)
    if stopped:
        ax.plot(len(scores), scores[-1], "x", color=color)
ax.set_xlabel("epoch")
ax.set_ylabel("accuracy on the validation rows")
ax.set_title("Pruned trials end in a cross; the best one is orange")
plt.show()

# %%
# The best candidate, fitted again to all rows but those of the test.

best = clone(net).set_params(**study.best_params)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    best.fit(X_rest, y_rest)
print(study.best_params)
print(f"{n_parameters(best)} parameters, test accuracy {best.score(X_test, y_test):.3f}")

# %%
# Trials run side by side, on many machines too, where they share the storage of a study:
# ``optuna.create_study(storage=..., study_name=..., load_if_exists=True)`` in each of them.
