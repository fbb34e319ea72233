"""One epoch after the other: loss curve, learning rate, early stopping, interruption."""

from dataclasses import dataclass

from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from skactprune._transaction import insist
from skactprune._warnings import warn

CURVES = ("loss_curve", "validation_scores", "validation_loss_curve")


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
    progress: dict
    best: list | None = None


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
    on_epoch : callable
        Called at the end of every epoch; training ends where it returns True.
    """

    def __init__(self, params, pruner, progress, validate, on_epoch):
        self.params = params
        self.pruner = pruner
        self.progress = progress
        self.validate = validate
        self.on_epoch = on_epoch

    def initialize(self):
        """Start counting epochs."""
        self.reached_ = Reached(0, self.progress)
        self.begun_at_ = {name: len(self.progress[name]) for name in CURVES}
        return self

    @property
    def n_iter_(self):
        """Epochs that have ended."""
        return self.reached_.n_iter

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        params = self.params
        before = self.reached_.progress
        progress = before | {"t": before["t"] + len(dataset_train)}
        progress["loss_curve"].append(net.epoch_loss_)
        if self.validate is not None:
            loss, score = self.validate(net)
            progress["validation_loss_curve"].append(loss)
            progress["validation_scores"].append(score)
            net.history.record("valid_score", score)
        best = self.reached_.best if self.pruner.pending else self._improved(net, progress)
        # From here on the epoch counts, with all that is known of it.
        self.reached_ = Reached(self.n_iter_ + 1, progress, best)
        self._say(f"Iteration {self.n_iter_}, loss = {net.epoch_loss_:.8f}")
        if self.validate is not None:
            self._say(f"Validation score: {score:f}")
        self._update_learning_rate(net, progress["t"])
        if progress["no_improvement"] > params["n_iter_no_change"]:
            self._react_to_no_improvement(net)
        if self.on_epoch(net):
            net.stopping_ = "A callback of scikit-learn asked for it."

    def settled(self):
        """Progress of the epochs that have ended; an interrupted one leaves the curves."""
        progress = self.reached_.progress
        for name, n_before in self.begun_at_.items():
            del progress[name][n_before + self.n_iter_ :]
        return progress

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Go back to the weights that did best on the validation rows."""
        reached = self.reached_
        if reached.best is not None:
            for parameter, best in zip(net.module_.parameters(), reached.best, strict=True):
                parameter.data = best
            self.reached_ = Reached(reached.n_iter, reached.progress)

    def _improved(self, net, progress):
        """Count epochs without improvement by `tol`; return the best validated weights."""
        tol, best = self.params["tol"], self.reached_.best
        if self.validate is None:
            loss = progress["loss_curve"][-1]
            improved = loss <= progress["best_loss"] - tol
            progress["best_loss"] = min(loss, progress["best_loss"])
        else:
            score = progress["validation_scores"][-1]
            improved = score >= progress["best_validation_score"] + tol
            if score > progress["best_validation_score"]:
                progress["best_validation_score"] = score
                best = [p.detach().clone() for p in net.module_.parameters()]
        progress["no_improvement"] = 0 if improved else progress["no_improvement"] + 1
        return best

    def _update_learning_rate(self, net, t):
        if self.params["solver"] == "sgd" and self.params["learning_rate"] == "invscaling":
            rate = self.params["learning_rate_init"] / (t + 1) ** self.params["power_t"]
            _set_rate(net, rate)

    def _react_to_no_improvement(self, net):
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
            self._say(f"{message} Setting learning rate to {rate / 5.0:f}")
            return
        self._say(f"{message} Stopping.")
        net.stopping_ = message

    def _say(self, message):
        if self.params["verbose"]:
            print(message)


def _set_rate(net, rate):
    """Change the learning rate; MLPClassifier's velocities hold the old one, torch's do not."""
    optimizer, changed = net.optimizer_, []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            velocity = optimizer.state.get(parameter, {}).get("momentum_buffer")
            if velocity is not None:
                changed.append((velocity, velocity * (group["lr"] / rate)))

    def change():
        for velocity, scaled in changed:
            velocity.copy_(scaled)
        for group in optimizer.param_groups:
            group["lr"] = rate

    insist(change)


def train(net, data, pruner, epochs, complete):
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
        net.fit_loop(data, epochs=epochs)
    except KeyboardInterrupt:
        interrupted = True
        warn("Training interrupted by user.")
    except BaseException:
        pruner.abandon()
        raise
    finally:
        net.notify("on_train_end", X=data, y=None)
    # Of rounds that did not come, the pruner has told.
    if complete and not interrupted and net.stopping_ is None and not pruner.pending:
        warn(
            f"Stochastic Optimizer: Maximum iterations ({epochs}) reached and the optimization "
            "hasn't converged yet.",
            ConvergenceWarning,
        )
