"""How the authors train: network, optimizer, rounds and the end of training."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from skorch.callbacks import Callback
from torch.nn import functional as F

from skactprune import PrunedMLPClassifier
from skactprune.datasets import load_dataset
from skactprune.pruning.pruner import StopTraining
from skactprune.pruning.triggers import AccuracyTrigger

HIDDEN = (300, 200, 100, 50)
MAX_EPOCHS = 50
RATE, BATCH = 0.01, 32
END_ACCURACY = 0.98
TICKS, TICK_RATIO = 3, 1.1


@dataclass(frozen=True)
class Rows:
    """Rows to train on, to choose by and to report: the first tenth of the training set validates.

    Parameters
    ----------
    name : {"mnist", "fashion-mnist"}
        Which images.
    X, y : ndarray
        Training rows and labels.
    X_val, y_val : ndarray
        Validation rows and labels.
    X_test, y_test : ndarray
        Test rows and labels.
    """

    name: str
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
        data = load_dataset(name)
        tenth = len(data.X_train) // 10
        parts = [
            data.X_train[tenth:][:n_rows],
            data.y_train[tenth:][:n_rows],
        ]
        few = None if n_rows is None else max(n_rows // 6, 100)
        for X, y in (
            (data.X_train[:tenth], data.y_train[:tenth]),
            (data.X_test, data.y_test),
        ):
            parts += [X[:few], y[:few]]
        return cls(name, *map(np.ascontiguousarray, parts))

    def accuracies(self, predict):
        """Shares of rightly classified rows, given a function from rows to labels."""
        return {
            "train_accuracy": float(np.mean(predict(self.X) == self.y)),
            "validation_accuracy": float(np.mean(predict(self.X_val) == self.y_val)),
            "test_accuracy": float(np.mean(predict(self.X_test) == self.y_test)),
        }


@dataclass(frozen=True)
class DeadlineTrigger(AccuracyTrigger):
    """The authors' accuracy-based rounds, each done by a last epoch even below its mark.

    Without one, a net whose accuracy no longer reaches the next mark would keep its weights.

    Parameters
    ----------
    deadline : int, default=30
        Epoch by which the last round is done; that of round i of K (from 1) is i / K of it.
    """

    deadline: int = 30

    def rounds_due(self, done, n_rounds, epoch, max_epochs, accuracy):
        """Rounds that must be done by the end of `epoch`."""
        due = super().rounds_due(done, n_rounds, epoch, max_epochs, accuracy)
        last = min(self.deadline, max_epochs)
        return max(due, min(n_rounds, epoch * n_rounds // last))


class Ending(Callback):
    """Ends training at an accuracy, or by the authors' ticks of the validation loss.

    A tick is an epoch whose validation loss is above 1.1 times its minimum and rising. Epochs
    before the last round do not tick: a round raises the loss and is no overfitting.

    Parameters
    ----------
    X_val, y_val : ndarray
        Validation rows and labels.
    """

    def __init__(self, X_val, y_val):
        self.X_val = X_val
        self.y_val = y_val

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.lowest_, self.previous_, self.ticks_ = np.inf, np.inf, 0

    def on_epoch_begin(self, net, **kwargs):
        self._right, self._rows = 0, 0

    def on_batch_end(self, net, batch=None, y_pred=None, **kwargs):
        self._right += int((y_pred.argmax(dim=1) == batch[1]).sum())
        self._rows += len(y_pred)

    def on_epoch_end(self, net, **kwargs):
        if dict(net.callbacks_)["pruner"].pending:
            return
        if self._right >= END_ACCURACY * self._rows or self._ticked(validation_loss(net, self)):
            raise StopTraining

    def _ticked(self, loss):
        self.lowest_ = min(loss, self.lowest_)
        self.ticks_ += loss > TICK_RATIO * self.lowest_ and loss > self.previous_
        self.previous_ = loss
        return self.ticks_ >= TICKS


@torch.no_grad()
def validation_loss(net, rows):
    """Mean cross-entropy of a skorch net, or of a torch module, on validation rows."""
    module = getattr(net, "module_", net).eval()
    logits = module(torch.from_numpy(rows.X_val))
    return float(F.cross_entropy(logits, torch.from_numpy(rows.y_val)))


def estimator(rows, seed, method="activation", fraction=0.0, n_rounds=0, **params):
    """`PrunedMLPClassifier` with the authors' settings.

    Parameters
    ----------
    rows : Rows
        Their validation part ends training.
    seed : int
        For the initial weights and the order of the rows.
    method : str or Method, default="activation"
        How to prune.
    fraction : float, default=0.0
        Share of the weights to prune.
    n_rounds : int, default=0
        In so many rounds.
    **params
        Other parameters of the estimator; ``callbacks`` come after those of the protocol.

    Returns
    -------
    PrunedMLPClassifier
    """
    callbacks = [Ending(rows.X_val, rows.y_val), *params.pop("callbacks", [])]
    return PrunedMLPClassifier(
        **{
            "hidden_layer_sizes": HIDDEN,
            "method": method,
            "prune_fraction": fraction,
            "n_prune_rounds": n_rounds,
            "trigger": DeadlineTrigger(),
            "solver": "sgd",
            "momentum": 0.0,
            "alpha": 0.0,
            "learning_rate_init": RATE,
            "batch_size": BATCH,
            "max_iter": MAX_EPOCHS,
            "tol": 0.0,
            "n_iter_no_change": np.inf,
            "random_state": seed,
            "net_params": {"callbacks": callbacks},
        }
        | params
    )
