"""One epoch after the other: loss curve, learning rate, early stopping, interruption."""

from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from skactprune._warnings import warn


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
        What earlier calls left: ``t``, ``loss_curve``, ``validation_scores``, ``best_loss``,
        ``best_validation_score``, ``no_improvement``. Updated in place.
    validate : callable or None
        Returns the score of the net on the validation rows.
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
        self.n_iter_ = 0
        self.best_ = None
        return self

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        progress, params = self.progress, self.params
        self.n_iter_ += 1
        progress["t"] += len(dataset_train)
        progress["loss_curve"].append(net.epoch_loss_)
        self._say(f"Iteration {self.n_iter_}, loss = {progress['loss_curve'][-1]:.8f}")
        if self.validate is not None:
            score = self.validate(net)
            progress["validation_scores"].append(score)
            net.history.record("valid_score", score)
            self._say(f"Validation score: {score:f}")
        if not self.pruner.pending:
            self._update_improvement(net)
        self._update_learning_rate(net, progress["t"])
        if progress["no_improvement"] > params["n_iter_no_change"]:
            self._react_to_no_improvement(net)
        if self.on_epoch(net):
            net.stopping_ = "A callback of scikit-learn asked for it."

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Go back to the weights that did best on the validation rows."""
        if self.best_ is not None:
            for parameter, best in zip(net.module_.parameters(), self.best_, strict=True):
                parameter.data = best
            self.best_ = None

    def _update_improvement(self, net):
        """Count epochs without improvement by `tol`; remember the best validated weights."""
        progress, tol = self.progress, self.params["tol"]
        if self.validate is None:
            loss = progress["loss_curve"][-1]
            improved = loss <= progress["best_loss"] - tol
            progress["best_loss"] = min(loss, progress["best_loss"])
        else:
            score = progress["validation_scores"][-1]
            improved = score >= progress["best_validation_score"] + tol
            if score > progress["best_validation_score"]:
                progress["best_validation_score"] = score
                self.best_ = [p.detach().clone() for p in net.module_.parameters()]
        progress["no_improvement"] = 0 if improved else progress["no_improvement"] + 1

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
            self.progress["no_improvement"] = 0
            self._say(f"{message} Setting learning rate to {rate / 5.0:f}")
            return
        self._say(f"{message} Stopping.")
        net.stopping_ = message

    def _say(self, message):
        if self.params["verbose"]:
            print(message)


def _set_rate(net, rate):
    """Change the learning rate; MLPClassifier's velocities hold the old one, torch's do not."""
    optimizer = net.optimizer_
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            velocity = optimizer.state.get(parameter, {}).get("momentum_buffer")
            if velocity is not None:
                velocity.mul_(group["lr"] / rate)
        group["lr"] = rate


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
    try:
        net.notify("on_train_begin", X=data, y=None)
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
