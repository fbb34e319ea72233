"""When everything comes together: a skorch callback that prunes in rounds."""

import math
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from skorch.callbacks import Callback

from skactprune._warnings import warn
from skactprune.methods import get_method
from skactprune.pruning.hits import hits_of_batch
from skactprune.pruning.layers import OutputLayerCheck, PrunedLayers, prunable_layers
from skactprune.pruning.schedules import cumulative_shares
from skactprune.pruning.selection import select, smallest_possible
from skactprune.pruning.triggers import get_trigger

STORED_PARAMS = ("method", "prune_fraction", "n_prune_rounds", "trigger", "min_neurons")
CONSTRAINTS = {
    "prune_fraction": [Interval(Real, 0, 1, closed="left")],
    "n_prune_rounds": [Interval(Integral, 0, None, closed="left")],
    "min_neurons": ["array-like", Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}


class StopTraining(KeyboardInterrupt):
    """Ends a skorch training loop, which swallows it as it does an interrupt by the user."""


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
        ``live_neurons``, ``train_score`` (accuracy of the epoch that ended with the round) and
        ``validation_score`` (None without one).

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
        self.__dict__.pop("layers_", None)
        return self

    @property
    def masks_(self):
        """What is left of the hidden weights."""
        return self.layers_.masks

    @property
    def activation_counts_(self):
        """Firing counts in the original sizes; None where the method does not count."""
        return self.layers_.full_counts() if self.method_.counts else None

    # -- schedule ---------------------------------------------------------------------------

    def prepare(self, net):
        """Look at the net and check the parameters, unless that was done before."""
        if not hasattr(self, "layers_"):
            self._check_parameters()
            layers = PrunedLayers(net)
            self._check_chain(net, layers.masks)
            self.layers_ = layers
            self.fraction_done_ = 0.0
            self.history_ = []
            self._plan()
            self.start_schedule()

    def start_schedule(self):
        """Count epochs and rounds from zero; rounds whose target was reached are skipped."""
        self.epoch_ = 0
        self.done_ = 0
        while self.pending and self._fraction(self.done_ + 1) <= self.fraction_done_:
            self.done_ += 1

    @property
    def pending(self):
        """Whether rounds are still to come."""
        return self.done_ < len(self.shares_)

    def _fraction(self, done):
        return self.shares_[done - 1] * self.prune_fraction

    def _due(self, net, epoch, accuracy):
        if not self.pending:
            return self.done_
        rounds = len(self.shares_)
        return self.trigger_.rounds_due(self.done_, rounds, epoch, net.max_epochs, accuracy)

    def _check_parameters(self):
        validate_parameter_constraints(CONSTRAINTS, self.get_params(deep=False), "Pruner")
        self.method_ = get_method(self.method).validated()
        self.trigger_ = get_trigger(self.trigger)
        if self.unlabeled is not None and not self.method_.counts:
            raise ValueError(
                f"method={self.method!r} does not count who fires, so that unlabeled rows "
                "(X_unlabeled of fit, unlabeled of Pruner) must be None."
            )
        given = isinstance(self.random_state, np.random.RandomState)
        self.random_state_ = (
            self.random_state if given else np.random.RandomState(self.random_state)
        )

    def _check_chain(self, net, masks):
        if self.method_.outputs and not masks.chained:
            raise ValueError(
                f"method={self.method!r} needs to know which layer feeds which, as in the nets of "
                f"PrunedMLPClassifier; for {type(net.module_).__name__} use another method, such "
                "as 'firing_deviation'."
            )

    def _plan(self):
        """Spread `prune_fraction` over the rounds, and check that it can be reached."""
        rounds = self.n_prune_rounds if self.prune_fraction else 0
        self.shares_ = cumulative_shares(self.method_.schedule, rounds)
        masks, floors = self.masks_, self._floors()
        if not rounds:
            return
        if not masks.shapes:
            raise ValueError(
                f"hidden_layer_sizes=() leaves nothing to prune; prune_fraction="
                f"{self.prune_fraction!r} needs a hidden layer (or prune_fraction=0)."
            )
        smallest = smallest_possible(
            masks.shapes,
            granularity=self.method_.granularity,
            chained=masks.chained,
            floors=floors,
        )
        whole = self.layers_.n_weights if self.method_.whole_net else masks.n_original
        highest = (masks.n_original - smallest) / whole
        if self.prune_fraction > highest + 1e-9:
            raise ValueError(
                f"prune_fraction={self.prune_fraction!r} cannot be reached: with hidden weights of "
                f"shapes {masks.shapes} and at least {floors} neurons left, it must be at most "
                f"{math.floor(highest * 1e4) / 1e4}."
            )

    def _floors(self):
        sizes = [n_out for n_out, _ in self.masks_.shapes]
        given = isinstance(self.min_neurons, Integral)
        floors = [self.min_neurons] * len(sizes) if given else list(self.min_neurons)
        if len(floors) != len(sizes) or not all(
            isinstance(floor, Integral) and 1 <= floor <= size
            for floor, size in zip(floors, sizes, strict=True)
        ):
            raise ValueError(
                f"min_neurons={self.min_neurons!r} must be an integer, or one for each hidden "
                f"layer, from 1 to the neurons of the layer: {sizes}."
            )
        return floors

    # -- skorch's hooks ---------------------------------------------------------------------

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.prepare(net)
        self.layers_.hold(net, held=not self.method_.regrow)
        self._unlabeled = None if self.unlabeled is None else net.get_dataset(self.unlabeled)
        if self._unlabeled is not None and not len(self._unlabeled):
            raise ValueError("unlabeled has no rows; it must have at least one, or be None.")
        self._order = np.arange(0)
        self._output_check = None
        if self.pending and not self.masks_.chained:
            self._output_check = OutputLayerCheck(net.module_)
        if self.shares_ and self.method_.counts:
            self.layers_.counter.attach(prunable_layers(net.module_)[:-1])
        if self.pending and self.method_.inputs and self.masks_.chained:
            self.layers_.features.add(X if self._unlabeled is None else self._unlabeled)

    def on_epoch_begin(self, net, **kwargs):
        due = self._due(net, self.epoch_ + 1, 0.0)
        self._scoring = self.trigger_.needs_accuracy or due > self.done_
        self._hits, self._rows = 0.0, 0.0

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training and self.method_.counting == "training" and self._unlabeled is None:
            self.layers_.counter.sample_weight = self._weights(batch)
            self.layers_.counter.active = True

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        self.layers_.counter.active = False
        if training:
            if self._output_check is not None:
                self._output_check.finish()
                self._output_check = None
            self.layers_.zero_masked()
            if self._scoring:
                hits, rows = hits_of_batch(y_pred, batch[1], self._weights(batch))
                self._hits += hits
                self._rows += rows

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        self.epoch_ += 1
        if self.layers_.counter.attached:
            self._count_after_epoch(net, dataset_train)
        accuracy = self._hits / self._rows if self._rows else float("nan")
        if self.trigger_.needs_accuracy and not self._rows:
            raise ValueError(f"trigger={self.trigger!r} needs integer class labels as targets.")
        due = self._due(net, self.epoch_, accuracy)
        if due > self.done_:
            self._prune(net, due, accuracy, dataset_train)
        elif not self.pending and self.shares_ and self.trigger_.stops(accuracy):
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.layers_.counter.detach()
        self.layers_.zero_masked()
        self._unlabeled = None
        if self._output_check is not None:
            self._output_check.detach()
            self._output_check = None
        if self.pending and self.epoch_ == net.max_epochs:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({net.max_epochs}) reached and only "
                f"{self.done_} of {len(self.shares_)} pruning rounds were triggered: the sparsity "
                f"is {self.masks_.sparsity:.3f}, not prune_fraction={self.prune_fraction!r}.",
                ConvergenceWarning,
            )

    def _weights(self, batch):
        return None if self.sample_weight is None else self.sample_weight(batch)

    def _count_after_epoch(self, net, dataset_train):
        """Count on rows that training's own forward passes do not count."""
        labelled = self._unlabeled is None
        dataset = dataset_train if labelled else self._unlabeled
        if not labelled and not self.pending:
            return
        if self.method_.counting == "sample":
            self._count(net, dataset, [self._sample(dataset)])
        elif not labelled:
            rows = self._next_unlabeled(len(dataset_train))
            self._count(net, dataset, _in_batches(rows, net.batch_size))

    def _next_unlabeled(self, n_rows):
        """Indices of the unlabelled rows whose turn it is."""
        n = len(self._unlabeled)
        n_orders = -(-(n_rows - len(self._order)) // n)
        orders = [self.random_state_.permutation(n) for _ in range(n_orders)]
        rows, self._order = np.split(np.concatenate([self._order, *orders]), [n_rows])
        return rows

    def _sample(self, dataset):
        """Indices of the rows on which a method looks, all of them if they are few."""
        size = min(self.method_.sample_size, len(dataset))
        return self.random_state_.choice(len(dataset), size, replace=False)

    @torch.no_grad()
    def _count(self, net, dataset, batches):
        net.module_.eval()
        self.layers_.counter.active = True
        for rows in batches:
            net.infer(dataset[rows][0])
        self.layers_.counter.active = False

    # -- a round ----------------------------------------------------------------------------

    def _prune(self, net, due, accuracy, dataset_train):
        """Prune to the target of round `due`; interrupted, it leaves everything as it was."""
        masks = self.masks_
        if self.method_.regrow:
            masks = masks.replaced([np.ones_like(mask) for mask in masks.current])
        moments = None
        if self.method_.outputs:
            dataset = dataset_train if self._unlabeled is None else self._unlabeled
            batches = _in_batches(self._sample(dataset), net.batch_size)
            moments = self.layers_.moments(net, dataset, batches)
        counted = self.method_.counts
        states = self.layers_.states(net, masks, counted, self.random_state_, moments)
        selected = select(
            [self._scores(state) for state in states],
            masks,
            granularity=self.method_.granularity,
            scope=self.method_.scope,
            floors=self._floors(),
            **self._target(self._fraction(due)),
        )
        undo, before = self.layers_.undo(net), dict(vars(self))
        try:
            self.layers_.apply(
                net,
                masks.replaced(selected),
                cut=not self.method_.regrow,
                moments=moments if self.method_.refit else None,
            )
            self.layers_.hold(net, held=not self.method_.regrow)
            if self.method_.reset_counts:
                self.layers_.counter.restart()
            self.done_ = due
            self.fraction_done_ = self._fraction(due)
            self.history_ = [*self.history_, self._row(net, accuracy)]
        except BaseException:
            undo()
            vars(self).update(before)
            raise

    def _scores(self, state):
        """What the method gives for a layer, which may be a function of the user's."""
        scores = np.asarray(self.method_.score(state))
        n_out, n_in = state.weight.shape
        if scores.shape not in ((n_out, n_in), (n_out, 1)) or scores.dtype.kind not in "biuf":
            raise ValueError(
                f"method={self.method!r} must give numbers of shape {(n_out, n_in)}, or "
                f"{(n_out, 1)}, for a layer of {n_out} neurons; it gave {scores.dtype} of shape "
                f"{scores.shape}."
            )
        if not np.isfinite(np.where(state.mask, scores, 0)).all():
            raise ValueError(
                f"method={self.method!r} must give finite scores of the weights that are left; "
                "it gave NaN or infinity."
            )
        return scores

    def _target(self, fraction):
        """How much `select` is to take until `fraction` is gone."""

        def weights(whole, fraction):
            return math.ceil(fraction * whole - 1e-9)

        if not self.method_.whole_net:
            n_original = self.masks_.n_original
            return {"n_left": n_original - weights(n_original, fraction)}
        before = 0.0 if self.method_.regrow else self.fraction_done_
        whole = self.layers_.n_weights
        return {"n_removed": weights(whole, fraction) - weights(whole, before)}

    def _row(self, net, accuracy):
        epoch = net.history[-1]
        return {
            "round": self.done_,
            "epoch": self.epoch_,
            "sparsity": self.masks_.sparsity,
            "live_neurons": [int(mask.any(axis=1).sum()) for mask in self.masks_.current],
            "train_score": accuracy,
            "validation_score": epoch.get("valid_score", epoch.get("valid_acc")),
        }

    def finalize(self, net, cut):
        """Where weights may regrow, take those that are zero at the end for the pruned ones."""
        if not self.method_.regrow or not self.history_:
            return
        masks = self.layers_.nonzero(net)
        if cut:
            self.layers_.apply(net, masks, cut=True)
        else:
            self.layers_.masks = masks

    def state(self):
        """What `restore` needs to go on, without torch objects."""
        params = self.get_params(deep=False)
        return {
            "params": {name: params[name] for name in STORED_PARAMS},
            "layers": self.layers_.state(),
            "fraction_done": self.fraction_done_,
            "history": self.history_,
            "epoch": self.epoch_,
            "done": self.done_,
        }

    def restore(self, net, state):
        """Go on where `state` was taken; parameters are those of this object."""
        self._check_parameters()
        self.layers_ = PrunedLayers(net)
        self.layers_.load(state["layers"])
        self.fraction_done_ = state["fraction_done"]
        self.history_ = state["history"]
        self.epoch_, self.done_ = state["epoch"], state["done"]
        self._plan()
        # Where more is asked for than before, the last rounds are to come again.
        self.done_ = min(self.done_, len(self.shares_))
        while self.done_ and self._fraction(self.done_) > self.fraction_done_:
            self.done_ -= 1


def _in_batches(rows, size):
    """Rows in batches; a size of -1, which is skorch's word for all rows, splits nowhere."""
    return np.split(rows, range(size, len(rows), size))
