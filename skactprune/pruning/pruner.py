"""When to prune: a skorch callback that tells a method of the moments of a training run."""

from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from skorch.callbacks import Callback

from skactprune._warnings import warn
from skactprune.nets.accuracy import RunningAccuracy
from skactprune.nets.net import end_training
from skactprune.nets.steps import modest
from skactprune.pruning.method import Method, get_method
from skactprune.pruning.run import Run
from skactprune.pruning.schedules import cumulative_shares
from skactprune.pruning.triggers import get_trigger

STORED_PARAMS = ("method", "prune_fraction", "n_prune_rounds", "trigger", "min_neurons")
CONSTRAINTS = {
    "prune_fraction": [Interval(Real, 0, 1, closed="left")],
    "n_prune_rounds": [Interval(Integral, 0, None, closed="left")],
    "min_neurons": ["array-like", Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


class Pruner(Callback):
    """Prunes the hidden layers of a skorch net in rounds while it trains.

    It works on the linear and convolutional layers of any module. The one that the module defines
    last (the last in ``module.modules()``) is taken as the output layer and left alone; it must
    also be the one that the forward pass calls last. There it masks weights. In the multi-layer
    perceptrons of this package, whose layers it knows to be a chain, neurons that are dead also
    leave the module and the optimizer.

    Parameters
    ----------
    method : str or Method, default="firing_deviation"
        The recipe: what is scored, what leaves together, how much a round. "activation_surgeon"
        is for the nets of this package only.
    prune_fraction : float, default=0.8
        Share of the hidden weights that is gone after the last round, in [0, 1).
    n_prune_rounds : int, default=5
        Number of rounds; 0 never prunes.
    trigger : {"epoch", "accuracy"}, EpochTrigger or AccuracyTrigger, default="epoch"
        After which epochs the rounds are done. The epochs of a fit are the net's ``max_epochs``.
    min_neurons : int or sequence of int, default=1
        Neurons that every hidden layer, or each of them, keeps at least.
    sample_weight : callable, optional
        Gets a training batch and returns the weights of its rows, of shape (batch_size,), or
        None; the firing counts are weighted by it.
    random_state : int, RandomState instance or None, default=None
        For methods that draw scores or rows, and for the order of `unlabeled`; None draws a seed
        from the operating system.
    unlabeled : array, tensor or Dataset, optional
        Rows without labels, in what the net takes as ``X``, on which firing is counted instead of
        on the training rows. While rounds are still to come, each epoch is followed by a forward
        pass, in evaluation mode and in batches of the net's ``batch_size``, over as many of them
        as there are training rows. They come in random order, and in a new one whenever all have
        been counted. Where a method counts on a sample after each epoch, the sample is drawn from
        them. They weigh 1. A ``Dataset`` must take an array of indices and give ``(X, y)``, of
        which ``y`` is not looked at.

    Attributes
    ----------
    masks_ : Masks
        What is left of the hidden weights.
    history_ : list of dict
        One row a round: ``round`` (the number of rounds done by then), ``epoch``, ``sparsity``,
        ``live_neurons``, ``train_score`` (accuracy of the epoch that ended with the round),
        ``validation_score`` (None without one) and ``seconds`` (wall time of the round).

    Raises
    ------
    ValueError
        When training starts, for parameters outside their range, a module without hidden layers,
        a `prune_fraction` that cannot be reached, a method that is not for such modules, and
        `unlabeled` that is empty or given to a method that counts nothing. After the first batch,
        for a module that calls another layer after the one that it defines last.

    Warns
    -----
    ConvergenceWarning
        If not all rounds were triggered by the end of ``max_epochs`` epochs.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skactprune import Pruner
    >>> _ = torch.manual_seed(0)
    >>> module = torch.nn.Sequential(
    ...     torch.nn.Linear(4, 30), torch.nn.ReLU(), torch.nn.Linear(30, 2), torch.nn.Softmax(-1))
    >>> pruner = Pruner(prune_fraction=0.8, n_prune_rounds=3)
    >>> net = NeuralNetClassifier(module, max_epochs=10, callbacks=[pruner], verbose=0)
    >>> X = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
    >>> _ = net.fit(X, (X[:, 0] > 0).astype("int64"))
    >>> round(pruner.masks_.sparsity, 3), pruner.history_[-1]["live_neurons"]
    (0.8, [6])
    """

    def __init__(
        self,
        method="firing_deviation",
        prune_fraction=0.8,
        n_prune_rounds=5,
        trigger="epoch",
        min_neurons=1,
        sample_weight=None,
        random_state=None,
        unlabeled=None,
    ):
        self.method = method
        self.prune_fraction = prune_fraction
        self.n_prune_rounds = n_prune_rounds
        self.trigger = trigger
        self.min_neurons = min_neurons
        self.sample_weight = sample_weight
        self.random_state = random_state
        self.unlabeled = unlabeled

    def initialize(self):
        """Forget earlier training."""
        self.__dict__.pop("run_", None)
        return self

    @property
    def masks_(self):
        """What is left of the hidden weights."""
        return self.run_.masks

    @property
    def history_(self):
        """A row a round."""
        return self.run_.history

    @property
    def activation_counts_(self):
        """Firing counts in the original sizes; None where the method does not count."""
        firing = self.run_.probe("Firing")
        return None if firing is None else firing.original_counts

    @property
    def pending(self):
        """Whether rounds are still to come, or masks are still moving."""
        return self.run_.pending

    # -- schedule ---------------------------------------------------------------------------

    def prepare(self, net, state=None):
        """Look at the net and check the parameters, unless that was done before.

        Parameters
        ----------
        net : skorch.NeuralNet
            Initialized net.
        state : dict, default=None
            What `state` gave; training goes on from there, with the parameters of this object.
        """
        if hasattr(self, "run_"):
            return
        validate_parameter_constraints(CONSTRAINTS, self.get_params(deep=False), "Pruner")
        method = get_method(self.method)
        # A method notes things in training, and a parameter must not change in fit.
        method = type(method)(**method.get_params(deep=False)).validated()
        self.trigger_ = get_trigger(self.trigger)
        rounds = self.n_prune_rounds if self.prune_fraction else 0
        run = Run(net, repr(self.method), self.random_state)
        if state is not None:
            run.load(state["run"])
        run.ask(
            self.prune_fraction if rounds else 0.0,
            cumulative_shares(method.schedule, rounds),
            self.min_neurons,
        )
        if rounds:
            method.plan(run)
        self.method_, self.run_ = method, run

    def _due(self, net, epoch, accuracy):
        run = self.run_
        rounds = len(run.shares)
        if run.done == rounds:
            return rounds
        return self.trigger_.rounds_due(run.done, rounds, epoch, net.max_epochs, accuracy)

    # -- skorch's hooks ---------------------------------------------------------------------

    def hears(self, hook):
        """Whether there is anything to be done in a hook in the coming epoch."""
        if getattr(type(self), hook) is not getattr(Pruner, hook):
            return True
        run, method = self.run_, type(self.method_)
        if hook == "on_grad_computed":
            return bool(run.shares) and method.on_gradient is not Method.on_gradient
        if hook == "on_batch_begin":
            return run.watches
        if hook == "on_batch_end":
            steps = method.on_step is not Method.on_step
            return run.watches or steps or self.accuracy_ is not None
        return True

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.prepare(net)
        self.begun_ = False
        self.unlabeled_ = None if self.unlabeled is None else net.get_dataset(self.unlabeled)
        if self.unlabeled_ is not None and not len(self.unlabeled_):
            raise ValueError("unlabeled has no rows; it must have at least one, or be None.")
        self.run_.start(net)

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        if not self.begun_:
            self._begin(dataset_train)
        due = self._due(net, self.run_.epoch + 1, 0.0)
        scores = self.trigger_.needs_accuracy or due > self.run_.done
        self.accuracy_ = RunningAccuracy() if scores else None

    def _begin(self, training):
        run = self.run_
        run.see(training, self.unlabeled_)
        with run.transaction():
            self.method_.begin(run)
            run.check_unlabeled_are_used()
        self.begun_ = True

    @modest
    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.run_.begin_batch(batch, self._weights(batch))

    def on_grad_computed(self, net, **kwargs):
        self.method_.on_gradient(self.run_)

    @modest
    def on_batch_end(
        self, net, batch=None, training=False, y_pred=None, pre_activations=(), **kwargs
    ):
        if training:
            self.run_.end_batch(batch, pre_activations)
            self.method_.on_step(self.run_)
            self.run_.zero_masked()
            if self.accuracy_ is not None:
                self.accuracy_.add(y_pred, batch[1], self._weights(batch))

    def on_epoch_end(self, net, **kwargs):
        run = self.run_
        run.end_epoch()
        accuracy = float("nan") if self.accuracy_ is None else self.accuracy_.value
        if self.trigger_.needs_accuracy and np.isnan(accuracy):
            raise ValueError(f"trigger={self.trigger!r} needs integer class labels as targets.")
        self.method_.on_epoch(run)
        due = self._due(net, run.epoch, accuracy)
        if due > run.done:
            with run.round(due, accuracy) as share:
                self.method_.round(run, share)
        elif run.shares and not run.pending and self.trigger_.stops(accuracy):
            end_training(net, f"The accuracy reached the last mark of trigger={self.trigger!r}.")

    def on_train_end(self, net, X=None, y=None, **kwargs):
        run = self.run_
        run.end()
        if self.begun_:
            self.method_.end(run)
        self.unlabeled_ = run.rows = None
        if run.done < len(run.shares) and run.epoch == net.max_epochs:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({net.max_epochs}) reached and only "
                f"{run.done} of {len(run.shares)} pruning rounds were triggered: the sparsity "
                f"is {run.masks.sparsity:.3f}, not prune_fraction={self.prune_fraction!r}.",
                ConvergenceWarning,
            )

    def _weights(self, batch):
        return None if self.sample_weight is None else self.sample_weight(batch)

    # -- state ------------------------------------------------------------------------------

    def hold(self):
        """Set masked weights to zero, whatever was written into them."""
        if hasattr(self, "run_"):
            self.run_.zero_masked()

    def abandon(self):
        """Hear that training has failed, so that there is nothing to be finished."""
        self.begun_ = False

    def state(self):
        """What `prepare` needs to go on: arrays, numbers and the parameters."""
        params = self.get_params(deep=False)
        return {"params": {name: params[name] for name in STORED_PARAMS}, "run": self.run_.state()}
