"""How the authors train: rows, optimizer, rounds and the end of training."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from skorch.callbacks import Callback
from torch.nn import functional as F

from skactprune import PrunedMLPClassifier
from skactprune.datasets import load_dataset
from skactprune.triggers import AccuracyTrigger

RATE, BATCH = 0.01, 32
END_ACCURACY = 0.98
TICKS, TICK_RATIO = 3, 1.1


@dataclass(frozen=True)
class Rows:
    """Rows to train on, to choose by and to report: the first tenth of the training set validates.

    Attributes
    ----------
    X, X_val, X_test : ndarray
        Images.
    y, y_val, y_test : ndarray
        Their labels.
    """

    X: np.ndarray
    y: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @classmethod
    @cache
    def load(cls, name, n_rows=None):
        """Rows of a data set; `n_rows` limits those of training and, to a sixth, the others."""
        X, X_test, y, y_test = load_dataset(name)
        tenth = len(X) // 10
        few = None if n_rows is None else max(n_rows // 6, 100)
        trained = X[tenth:][:n_rows], y[tenth:][:n_rows]
        return cls(*trained, X[:tenth][:few], y[:tenth][:few], X_test[:few], y_test[:few])

    def splits(self):
        """Rows and labels by name of the part."""
        validation, test = (self.X_val, self.y_val), (self.X_test, self.y_test)
        return {"train": (self.X, self.y), "validation": validation, "test": test}

    def accuracies(self, predict):
        """Shares of rightly classified rows, given a function from rows to labels."""
        parts = self.splits().items()
        return {f"{name}_accuracy": float(np.mean(predict(X) == y)) for name, (X, y) in parts}


class DeadlineTrigger(AccuracyTrigger):
    """The authors' accuracy-based rounds, round i of K done by epoch i / K of `deadline`.

    Without that, a net whose accuracy no longer reaches the next mark would keep its weights.
    """

    def __init__(self, start=0.80, stop=0.98, deadline=30):
        super().__init__(start, stop)
        self.deadline = deadline

    def rounds_due(self, done, n_rounds, epoch, max_epochs, accuracy):
        """Rounds that must be done by the end of `epoch`."""
        due = super().rounds_due(done, n_rounds, epoch, max_epochs, accuracy)
        last = min(self.deadline, max_epochs)
        return max(due, min(n_rounds, epoch * n_rounds // last))


class Ending(Callback):
    """Ends training at an accuracy, or by the authors' ticks of the loss of validation rows.

    A tick is an epoch whose validation loss is above 1.1 times its minimum and rising. Epochs
    before the last round do not tick: a round raises the loss and is no overfitting.
    """

    def __init__(self, X_val, y_val):
        self.X_val = X_val
        self.y_val = y_val

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.lowest_, self.previous_, self.ticks_ = np.inf, np.inf, 0

    def on_epoch_begin(self, net, **kwargs):
        self.right_, self.rows_ = 0, 0

    def on_batch_end(self, net, batch=None, y_pred=None, **kwargs):
        self.right_ += int((y_pred.argmax(dim=1) == batch[1]).sum())
        self.rows_ += len(y_pred)

    def on_epoch_end(self, net, **kwargs):
        if dict(net.callbacks_)["pruner"].pending:
            return
        if self.right_ >= END_ACCURACY * self.rows_:
            net.stopping_ = "training accuracy reached"
        elif self.ticked(validation_loss(net, self)):
            net.stopping_ = "validation loss rising"

    def ticked(self, loss):
        """Whether this loss makes the last tick."""
        self.lowest_ = min(loss, self.lowest_)
        self.ticks_ += loss > TICK_RATIO * self.lowest_ and loss > self.previous_
        self.previous_ = loss
        return self.ticks_ >= TICKS


@torch.no_grad()
def validation_loss(net, rows):
    """Mean cross-entropy of a skorch net on validation rows."""
    logits = net.module_.eval()(torch.from_numpy(rows.X_val))
    return float(F.cross_entropy(logits, torch.from_numpy(rows.y_val)))


def estimator(rows, hidden, epochs, seed, callbacks=(), **params):
    """`PrunedMLPClassifier` as the authors train, on at most so many epochs.

    The validation part of `rows` ends training; the last round is done by three fifths of the
    epochs. `callbacks` come after that of the protocol. Without other parameters of the estimator,
    nothing is pruned.
    """
    how = {
        "prune_fraction": 0.0,
        "trigger": DeadlineTrigger(deadline=max(epochs * 3 // 5, 1)),
        "solver": "sgd",
        "momentum": 0.0,
        "alpha": 0.0,
        "learning_rate_init": RATE,
        "batch_size": BATCH,
        "max_iter": epochs,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "random_state": seed,
        "net_params": {"callbacks": [Ending(rows.X_val, rows.y_val), *callbacks]},
    }
    return PrunedMLPClassifier(hidden, **how | params)
