"""Callbacks that bring the best weights back: what was best before a round is so no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from skorch.callbacks import Callback, Checkpoint, EarlyStopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from skorch import NeuralNet

    from skactprune.pruning.state import State

# What a checkpoint keeps that has the shapes of the module.
SHAPED = ("f_params", "f_optimizer")


def forget_best(run: State, *, save: bool) -> None:
    """Let callbacks that bring weights back forget those from before a round of the last epoch.

    The best are those of the epochs after the last round: what a round leaves does worse than the
    net before, as a rule, and would never be chosen. The same holds where weights were drawn anew.
    Callbacks other than skorch's are not known.

    Parameters
    ----------
    run : Run
        The run.
    save : bool
        Whether checkpoints keep the net of now, so that there is something to go back to.
    """
    if run.epoch not in (run.redrawn_at, *(row["epoch"] for row in run.history[-1:])):
        return
    net = run.net
    restoring = [cb for _, cb in net.callbacks_ if getattr(cb, "load_best", False)]
    for callback in restoring:
        if isinstance(callback, EarlyStopping):
            callback.best_model_weights_ = None
            callback.dynamic_threshold_ = _worst(callback)
        elif isinstance(callback, Checkpoint) and save:
            # The name of a file may hold the epoch of the last event.
            if callback.event_name is not None:
                net.history.record(callback.event_name, True)
            callback.save_model(net)
    if any(isinstance(callback, Checkpoint) for callback in restoring):
        for _, callback in net.callbacks_:
            if hasattr(callback, "best_score_") and hasattr(callback, "lower_is_better"):
                callback.best_score_ = _worst(callback)


def save_best(net: NeuralNet) -> None:
    """Let checkpoints that brought the best weights back keep them in the shapes of now.

    Parameters
    ----------
    net : skorch.NeuralNet
        Net whose module has lost neurons when training was over.
    """
    for _, callback in net.callbacks_:
        if isinstance(callback, Checkpoint) and callback.load_best:
            files = callback.get_formatted_files(net)
            files = {name: file for name, file in files.items() if file and name in SHAPED}
            net.save_params(**files, use_safetensors=callback.use_safetensors)


def have_last_word(net: NeuralNet, action: Callable[[], None]) -> None:
    """Have something done when all callbacks were told of the end.

    Those that come after the pruner may bring weights back, too.

    Parameters
    ----------
    net : skorch.NeuralNet
        Its training has ended, and callbacks are being told.
    action : callable
        Called without arguments.
    """
    # skorch goes through the list itself, so that what is added meanwhile comes last.
    net.callbacks_.append(("_last_word", LastWord(action)))


class LastWord(Callback):
    """Does something once, and is gone."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def on_train_end(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        net.callbacks_ = [pair for pair in net.callbacks_ if not isinstance(pair[1], LastWord)]
        self.action()


def _worst(callback: Callback) -> float:
    return np.inf if callback.lower_is_better else -np.inf
