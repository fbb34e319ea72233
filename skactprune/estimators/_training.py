"""One epoch after the other: loss curve, learning rate, early stopping, interruption."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from skactprune._transaction import insist
from skactprune._warnings import warn
from skactprune.estimators._progress import CURVES, Curve, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from skactprune.estimators._task import Net
    from skactprune.estimators._tasks import FitTasks
    from skactprune.nets.batches import TrainingData
    from skactprune.pruning.pruner import Pruner

ASKED = "A callback of scikit-learn asked for it."


@dataclass(frozen=True)
class Reached:
    """What all epochs so far have come to; another one takes its place, whole, with each of them.

    Attributes
    ----------
    n_iter : int
        Epochs.
    progress : dict
        See `TrainingControl`.
    best : list of torch.Tensor or None
        Parameters that did best on the validation rows.
    """

    n_iter: int
    progress: Progress
    best: list[torch.Tensor] | None = None


class TrainingControl(Callback):
    """Does after every epoch what scikit-learn's ``MLPClassifier`` does.

    It differs in one point: while pruning rounds are still to come, neither `tol` nor early
    stopping ends the training, and no weights are remembered as the best.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.
    pruner : Pruner
        Knows whether rounds are to come.
    progress : dict
        What earlier calls left; see `skactprune.estimators._progress`. Its lists grow.
    validate : callable or None
        Returns loss and score of the net on the validation rows.
    tasks : FitTasks
        Told of the end of every epoch, before pruning; training ends where it asks for that.
    """

    reached_: Reached
    begun_at_: dict[Curve, int]

    def __init__(
        self,
        params: dict[str, Any],
        pruner: Pruner,
        progress: Progress,
        validate: Callable[[Net], tuple[float, float]] | None,
        tasks: FitTasks,
    ) -> None:
        self.params = params
        self.pruner = pruner
        self.progress = progress
        self.validate = validate
        self.tasks = tasks

    def initialize(self) -> Self:
        """Start counting epochs."""
        self.reached_ = Reached(0, self.progress)
        self.begun_at_ = {name: len(self.progress[name]) for name in CURVES}
        return self

    @property
    def n_iter_(self) -> int:
        """Epochs that have ended."""
        return self.reached_.n_iter

    def on_train_begin(self, net: Net, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Start with the weights that earlier calls found best: they ended with these."""
        if self.validate is not None and np.isfinite(self.progress["best_validation_score"]):
            self.reached_ = Reached(0, self.progress, _parameters_of(net))

    def on_epoch_end(self, net: Net, dataset_train: TrainingData, **kwargs: Any) -> None:
        params = self.params
        before = self.reached_.progress
        progress = before | {"t": before["t"] + len(dataset_train)}
        progress["loss_curve"].append(net.epoch_loss_)
        if self.validate is not None:
            loss, score = self.validate(net)
            progress["validation_loss_curve"].append(loss)
            progress["validation_scores"].append(score)
            net.history.record("valid_score", score)
        if self.pruner.pending:
            # Whatever did best before, and for how long, was another net.
            best = None
            progress |= {"best_validation_score": -np.inf, "no_improvement": 0}
        else:
            best = self._improved(net, progress)
        # From here on the epoch counts, with all that is known of it.
        self.reached_ = Reached(self.n_iter_ + 1, progress, best)
        self.say(self._told_of_epoch(progress))
        self._update_learning_rate(net, progress["t"])
        if progress["no_improvement"] > params["n_iter_no_change"]:
            self._react_to_no_improvement(net)
        if self.tasks.end_epoch():
            net.stopping_ = ASKED

    def settled(self) -> Progress:
        """Progress of the epochs that have ended; an interrupted one leaves the curves."""
        progress = self.reached_.progress
        for name, n_before in self.begun_at_.items():
            del progress[name][n_before + self.n_iter_ :]
        return progress

    def on_train_end(self, net: Net, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Go back to the weights that did best on the validation rows."""
        reached = self.reached_
        if reached.best is not None:
            for parameter, best in zip(net.module_.parameters(), reached.best, strict=True):
                parameter.data = best
            self.reached_ = Reached(reached.n_iter, reached.progress)

    def _improved(self, net: Net, progress: Progress) -> list[torch.Tensor] | None:
        """Count epochs without improvement by `tol`; return the best validated weights."""
        tol, best = self.params["tol"], self.reached_.best
        if self.validate is None:
            loss = progress["loss_curve"][-1]
            improved = loss <= progress["best_loss"] - tol
            progress["best_loss"] = min(loss, progress["best_loss"])
            # Of other weights than those that go on.
            progress["best_validation_score"] = -np.inf
        else:
            score = progress["validation_scores"][-1]
            improved = score >= progress["best_validation_score"] + tol
            if score > progress["best_validation_score"]:
                progress["best_validation_score"] = score
                best = _parameters_of(net)
        progress["no_improvement"] = 0 if improved else progress["no_improvement"] + 1
        return best

    def _update_learning_rate(self, net: Net, t: int) -> None:
        if self.params["solver"] == "sgd" and self.params["learning_rate"] == "invscaling":
            rate = self.params["learning_rate_init"] / (t + 1) ** self.params["power_t"]
            _set_rate(net, rate)

    def _react_to_no_improvement(self, net: Net) -> None:
        """Divide an adaptive learning rate by 5; stop where it is none or too small."""
        what = "Training loss" if self.validate is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={self.params['tol']:f} for "
            f"{self.params['n_iter_no_change']} consecutive epochs."
        )
        adaptive = self.params["solver"] == "sgd" and self.params["learning_rate"] == "adaptive"
        rate = net.optimizer_.param_groups[0]["lr"]
        if adaptive and rate > 1e-6:
            _set_rate(net, rate / 5.0)
            self.reached_.progress["no_improvement"] = 0
            self.say(f"{message} Setting learning rate to {rate / 5.0:f}")
            return
        self.say(f"{message} Stopping.")
        net.stopping_ = message

    def _told_of_epoch(self, progress: Progress) -> str:
        told = f"Iteration {self.n_iter_}, loss = {progress['loss_curve'][-1]:.8f}"
        if np.isfinite(self.pruner.train_score):
            told += f", train score = {self.pruner.train_score:.6f}"
        if self.validate is not None:
            told += f", validation score = {progress['validation_scores'][-1]:.6f}"
        return told

    def say(self, message: str) -> None:
        """Print a line, where the estimator is to be verbose."""
        if self.params["verbose"]:
            print(message)


class RoundControl(Callback):
    """Tells of pruning rounds when they are done: whoever is told of an epoch was told before.

    Parameters
    ----------
    control : TrainingControl
        Knows what it tells of.
    """

    n_told_: int

    def __init__(self, control: TrainingControl) -> None:
        self.control = control

    def initialize(self) -> Self:
        """Start with the rounds to come."""
        self.n_told_ = len(self.control.pruner.history_)
        return self

    def on_epoch_begin(self, net: Net, **kwargs: Any) -> None:
        # There are methods that prune before training.
        self._tell()
        self.control.tasks.begin_epoch(self._most, self.control.pruner.epochs_until_round)

    def on_epoch_end(self, net: Net, **kwargs: Any) -> None:
        if self.control.tasks.end_round(self._tell(), self._most):
            net.stopping_ = ASKED

    @property
    def _most(self) -> int:
        """Epochs that may still come."""
        return self.control.params["max_iter"] - self.control.n_iter_

    def _tell(self) -> bool:
        """Print what is new; return whether there is something."""
        pruner, n_told = self.control.pruner, self.n_told_
        self.n_told_ = len(pruner.history_)
        for row in pruner.history_[n_told:]:
            neurons = "-".join(map(str, row["live_neurons"]))
            self.control.say(
                f"Round {row['round']} of {len(pruner.run_.shares)}: {row['sparsity']:.1%} of the "
                f"hidden weights gone, live neurons {neurons}, {row['seconds']:.2f} s"
            )
        return self.n_told_ > n_told


def _parameters_of(net: Net) -> list[torch.Tensor]:
    """Copies of the parameters of a net."""
    return [parameter.detach().clone() for parameter in net.module_.parameters()]


def _set_rate(net: Net, rate: float) -> None:
    """Change the learning rate; MLPClassifier's velocities hold the old one, torch's do not."""
    optimizer, changed = net.optimizer_, []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            velocity = optimizer.state.get(parameter, {}).get("momentum_buffer")
            if velocity is not None:
                changed.append((velocity, velocity * (group["lr"] / rate)))

    def change() -> None:
        for velocity, scaled in changed:
            velocity.copy_(scaled)
        for group in optimizer.param_groups:
            group["lr"] = rate

    insist(change)


def train(net: Net, data: TrainingData, pruner: Pruner, epochs: int, complete: bool) -> None:
    """Train `net` for at most `epochs` epochs; it is consistent afterwards, come what may.

    Parameters
    ----------
    net : skactprune.nets.net.LeanLoop
        Initialized net with a `TrainingControl`, which ends the training, and `pruner` among its
        callbacks.
    data : TrainingData
        Rows to train on.
    pruner : Pruner
        Prunes.
    epochs : int
        Upper limit.
    complete : bool
        Whether reaching it is worth a ConvergenceWarning.
    """
    interrupted = False
    net.notify("on_train_begin", X=data, y=None)
    try:
        try:
            net.fit_loop(data, epochs=epochs)
        except KeyboardInterrupt:
            interrupted = True
            warn("Training interrupted by user.")
    except BaseException:
        if not interrupted:
            pruner.abandon()
        # What failed is told, and not what follows from it.
        with suppress(Exception):
            net.notify("on_train_end", X=data, y=None)
        raise
    net.notify("on_train_end", X=data, y=None)
    # Of rounds that did not come, the pruner has told.
    if complete and not interrupted and net.stopping_ is None and not pruner.pending:
        warn(
            f"Stochastic Optimizer: Maximum iterations ({epochs}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
        )
