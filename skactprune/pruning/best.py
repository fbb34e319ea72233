"""Callbacks that bring the best weights back: what was best before a round is so no longer."""

import numpy as np
from skorch.callbacks import Checkpoint, EarlyStopping


def forget_best(run, *, save):
    """Let callbacks that bring weights back forget those from before a round of the last epoch.

    The best are those of the epochs after the last round: what a round leaves does worse than the
    net before, as a rule, and would never be chosen. Callbacks other than skorch's are not known.

    Parameters
    ----------
    run : Run
        The run.
    save : bool
        Whether checkpoints keep the net of now, so that there is something to go back to.
    """
    if not run.history or run.history[-1]["epoch"] != run.epoch:
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


def _worst(callback):
    return np.inf if callback.lower_is_better else -np.inf
