"""When everything comes together: a skorch callback that prunes in rounds."""

import math

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import nn

from skactprune.methods import get_method
from skactprune.nets.mlp import MLP
from skactprune.pruning.activations import ActivationCounter
from skactprune.pruning.compaction import (
    fold_and_mask,
    mask_parameters,
    replace_parameters,
    snapshot,
)
from skactprune.pruning.criteria import LayerState
from skactprune.pruning.masks import Masks
from skactprune.pruning.schedules import cumulative_shares
from skactprune.pruning.selection import select, smallest_possible
from skactprune.pruning.triggers import get_trigger

PRUNABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class StopTraining(KeyboardInterrupt):
    """Ends a skorch training loop, which swallows it as it does an interrupt by the user."""


class Pruner(Callback):
    """Prunes the hidden layers of a skorch net in rounds while it trains.

    It works on the linear and convolutional layers of any module, the last of which is taken as
    the output layer and left alone. There it masks weights. In the multi-layer perceptrons of
    this package, whose layers it knows to be a chain, neurons that are dead also leave the module
    and the optimizer.

    Parameters
    ----------
    method : str or Method, default="activation"
        The recipe: what is scored, what leaves together, how much a round.
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
        For methods that draw; None draws a seed from the operating system.

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
        and a `prune_fraction` that cannot be reached.

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
        method="activation",
        prune_fraction=0.8,
        n_prune_rounds=5,
        trigger="epoch",
        min_neurons=1,
        sample_weight=None,
        random_state=None,
    ):
        self.method = method
        self.prune_fraction = prune_fraction
        self.n_prune_rounds = n_prune_rounds
        self.trigger = trigger
        self.min_neurons = min_neurons
        self.sample_weight = sample_weight
        self.random_state = random_state

    def initialize(self):
        """Forget earlier training."""
        for name in ("masks_", "counter_", "history_"):
            self.__dict__.pop(name, None)
        return self

    # -- schedule ---------------------------------------------------------------------------

    @property
    def pending(self):
        """Whether rounds are still to come."""
        return self.done_ < len(self.shares_)

    def start_schedule(self):
        """Count epochs and rounds from zero; rounds whose target is met already are skipped."""
        self.epoch_ = 0
        self.done_ = 0
        while self.pending and self._target_met(self.shares_[self.done_]):
            self.done_ += 1

    def _target_met(self, share):
        if self.method_.whole_net:
            return self._n_ranked_out(share) <= self.n_removed_
        return not self.method_.regrow and self.masks_.n_left <= self._n_left(share)

    def _n_left(self, share):
        n_original = self.masks_.n_original
        return n_original - math.ceil(share * self.prune_fraction * n_original - 1e-9)

    def _n_ranked_out(self, share):
        return math.ceil(share * self.prune_fraction * self.n_weights_ - 1e-9)

    # -- skorch's hooks ---------------------------------------------------------------------

    def prepare(self, net):
        """Look at the net and check the parameters, unless that was done before."""
        if not hasattr(self, "masks_"):
            self._set_up(net, self._layers(net))
            self.plan()
            self.start_schedule()

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.prepare(net)
        layers = self._layers(net)
        if self.shares_ and self.method_.counts:
            self.counter_.attach(layers[:-1])

    def on_epoch_begin(self, net, **kwargs):
        due = self._due(net, self.epoch_ + 1, 0.0)
        self._scoring = self.trigger_.needs_accuracy or due > self.done_
        self._hits, self._rows = 0.0, 0.0

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training and self.method_.counting == "training":
            weight = None if self.sample_weight is None else self.sample_weight(batch)
            self.counter_.active, self.counter_.sample_weight = True, weight

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        self.counter_.active = False
        if training and self.mask_tensors_:
            self.apply_masks()
        if training and self._scoring:
            weight = None if self.sample_weight is None else self.sample_weight(batch)
            hits, rows = _hits(y_pred, batch[1], weight)
            self._hits += hits
            self._rows += rows

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        self.epoch_ += 1
        if self.counter_.attached and self.method_.counting == "sample":
            self._count_sample(net, dataset_train)
        accuracy = self._hits / self._rows if self._rows else float("nan")
        if self.trigger_.needs_accuracy and not self._rows:
            raise ValueError(f"trigger={self.trigger!r} needs integer class labels as targets.")
        due = self._due(net, self.epoch_, accuracy)
        if due > self.done_:
            self._prune(net, due, accuracy)
        elif not self.pending and self.shares_ and self.trigger_.stops(accuracy):
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.counter_.detach()

    # -- the parts --------------------------------------------------------------------------

    def _layers(self, net):
        if isinstance(net.module_, MLP):
            return list(net.module_.layers)
        layers = [module for module in net.module_.modules() if isinstance(module, PRUNABLE)]
        if len(layers) < 2:
            raise ValueError(
                "Pruner needs a module with at least one hidden layer before its output layer; "
                f"{type(net.module_).__name__} has {len(layers)} linear or convolutional layers."
            )
        return layers

    def _set_up(self, net, layers):
        if not 0 <= self.prune_fraction < 1:
            raise ValueError(f"prune_fraction={self.prune_fraction!r} must be in [0, 1).")
        if self.n_prune_rounds != int(self.n_prune_rounds) or self.n_prune_rounds < 0:
            raise ValueError(f"n_prune_rounds={self.n_prune_rounds!r} must be an integer >= 0.")
        self.method_ = get_method(self.method).validated()
        self.trigger_ = get_trigger(self.trigger)
        shapes = [_matrix(layer.weight).shape for layer in layers[:-1]]
        self.masks_ = Masks(shapes, chained=isinstance(net.module_, MLP))
        self.counter_ = ActivationCounter([n_out for n_out, _ in shapes])
        self.counts_ = [np.zeros(n_out, dtype=np.int64) for n_out, _ in shapes]
        self.n_weights_ = sum(layer.weight.numel() for layer in layers)
        self.random_state_ = (
            self.random_state
            if isinstance(self.random_state, np.random.RandomState)
            else np.random.RandomState(self.random_state)
        )
        self.mask_tensors_ = []
        self.history_ = []
        self.n_removed_ = 0

    def plan(self):
        """Take over `prune_fraction` and `n_prune_rounds` as they are now, and check them."""
        rounds = self.n_prune_rounds if self.prune_fraction else 0
        self.shares_ = cumulative_shares(self.method_.schedule, rounds)
        if not rounds:
            return
        if not self.masks_.shapes:
            raise ValueError(
                f"hidden_layer_sizes=() leaves nothing to prune; prune_fraction="
                f"{self.prune_fraction!r} needs a hidden layer (or prune_fraction=0)."
            )
        smallest = smallest_possible(
            self.masks_.shapes,
            granularity=self.method_.granularity,
            chained=self.masks_.chained,
            floors=self._floors(),
        )
        whole = self.n_weights_ if self.method_.whole_net else self.masks_.n_original
        highest = (self.masks_.n_original - smallest) / whole
        if self.prune_fraction > highest + 1e-9:
            raise ValueError(
                f"prune_fraction={self.prune_fraction!r} cannot be reached: with hidden weights of "
                f"shapes {self.masks_.shapes} and at least {self._floors()} neurons left, it must "
                f"be at most {math.floor(highest * 1e4) / 1e4}."
            )

    def _floors(self):
        n_layers = len(self.masks_.shapes)
        if np.ndim(self.min_neurons) == 0:
            return [int(self.min_neurons)] * n_layers
        return [int(n) for n in self.min_neurons]

    def _due(self, net, epoch, accuracy):
        if not self.pending:
            return self.done_
        rounds = len(self.shares_)
        return self.trigger_.rounds_due(self.done_, rounds, epoch, net.max_epochs, accuracy)

    @torch.no_grad()
    def _count_sample(self, net, dataset):
        size = min(self.method_.sample_size, len(dataset))
        rows = self.random_state_.choice(len(dataset), size, replace=False)
        net.module_.eval()
        self.counter_.active, self.counter_.sample_weight = True, None
        net.infer(dataset[rows][0])
        self.counter_.active = False

    def _prune(self, net, due, accuracy):
        layers = self._layers(net)
        hidden = layers[:-1]
        counts = self.counter_.counts if self.method_.counts else [None] * len(hidden)
        masks = self.masks_
        if self.method_.regrow:
            masks = masks.replaced([np.ones_like(mask) for mask in masks.current])
        scores = [
            self.method_.score(
                LayerState(_matrix(layer.weight).cpu().numpy(), mask, count, self.random_state_)
            )
            for layer, mask, count in zip(hidden, masks.current, counts, strict=True)
        ]
        share = self.shares_[due - 1]
        target = (
            {"n_removed": self._n_ranked_out(share) - self.n_removed_}
            if self.method_.whole_net
            else {"n_left": self._n_left(share)}
        )
        selected = select(
            scores,
            masks,
            granularity=self.method_.granularity,
            scope=self.method_.scope,
            floors=self._floors(),
            **target,
        )
        restore, before = snapshot(layers, net.optimizer_), dict(vars(self))
        totals = self.counter_.totals
        try:
            self._apply(net, masks.replaced(selected), cut=not self.method_.regrow)
            self._record(net, due, accuracy)
        except BaseException:
            restore()
            self.counter_.totals = totals
            vars(self).update(before)
            raise

    def _apply(self, net, masks, cut):
        """Mask the weights and, where the layers are a chain, fold and cut dead neurons."""
        layers = self._layers(net)
        if not masks.chained:
            self._set_masks(net, masks)
            mask_parameters(layers, net.optimizer_, masks.current)
            return
        weights, biases, final = fold_and_mask(layers, masks.current, net.module_.activate)
        masks = masks.replaced(final)
        keep = [mask.any(axis=1) | (not cut) for mask in final]
        replace_parameters(layers, net.optimizer_, weights, biases, final, keep)
        for full, live, count in zip(self.counts_, masks.live, self.counter_.counts, strict=True):
            full[live] = count
        self.counter_.cut(keep)
        self._set_masks(net, masks.without(keep))

    def _set_masks(self, net, masks):
        self.masks_ = masks
        self.enforce(net)

    def enforce(self, net):
        """Hold the masks from now on: masked weights are zeroed after every step."""
        held = [] if self.method_.regrow else self.masks_.current
        layers = self._layers(net)
        self.mask_tensors_ = [
            (layer.weight, torch.from_numpy(mask).to(layer.weight).reshape(layer.weight.shape))
            for layer, mask in zip(layers, held, strict=False)
            if not mask.all()
        ]

    @torch.no_grad()
    def apply_masks(self):
        """Set masked weights to zero."""
        for weight, mask in self.mask_tensors_:
            weight.mul_(mask)

    def finalize(self, net, cut):
        """Where weights may regrow, take those that are zero at the end for the pruned ones."""
        if not self.method_.regrow or not self.history_:
            return
        layers = self._layers(net)[:-1]
        masks = self.masks_.replaced([(_matrix(la.weight) != 0).cpu().numpy() for la in layers])
        if cut:
            self._apply(net, masks, cut=True)
        else:
            self._set_masks(net, masks)

    def state(self):
        """What `restore` needs to go on, without torch objects."""
        masks = self.masks_
        return {
            "shapes": masks.shapes,
            "current": masks.current,
            "live": masks.live,
            "counts": self.counts_,
            "totals": [total.cpu().numpy() for total in self.counter_.totals],
            "weighted": self.counter_.weighted,
            "n_weights": self.n_weights_,
            "n_removed": self.n_removed_,
            "history": self.history_,
            "epoch": self.epoch_,
            "done": self.done_,
        }

    def restore(self, net, state):
        """Go on where `state` was taken; parameters are those of this object."""
        self._set_up(net, self._layers(net))
        masks = Masks(state["shapes"], self.masks_.chained)
        masks.current, masks.live = state["current"], state["live"]
        self.counts_ = state["counts"]
        self.n_weights_, self.n_removed_ = state["n_weights"], state["n_removed"]
        self.history_ = state["history"]
        self.epoch_, self.done_ = state["epoch"], state["done"]
        self.counter_.totals = [torch.tensor(total) for total in state["totals"]]
        self.counter_.weighted = state["weighted"]
        self._set_masks(net, masks)
        self.plan()

    @property
    def activation_counts_(self):
        """Firing counts in the original sizes; a removed neuron keeps its last count."""
        if not self.method_.counts:
            return None
        counts = self.counter_.counts
        full = [old.astype(new.dtype) for old, new in zip(self.counts_, counts, strict=True)]
        for count, live, new in zip(full, self.masks_.live, counts, strict=True):
            count[live] = new
        return full

    def _record(self, net, due, accuracy):
        if self.method_.whole_net and not self.method_.regrow:
            self.n_removed_ = self._n_ranked_out(self.shares_[due - 1])
        if self.method_.reset_counts:
            self.counter_.totals = [torch.zeros_like(total) for total in self.counter_.totals]
        self.done_ = due
        epoch = net.history[-1]
        row = {
            "round": due,
            "epoch": self.epoch_,
            "sparsity": self.masks_.sparsity,
            "live_neurons": [int(mask.any(axis=1).sum()) for mask in self.masks_.current],
            "train_score": accuracy,
            "validation_score": epoch.get("valid_score", epoch.get("valid_acc")),
        }
        self.history_ = [*self.history_, row]


def _matrix(weight):
    """Weights as (n_out, n_in), all weights into a channel of a convolution in one row."""
    return weight.detach().reshape(len(weight), -1)


def _hits(y_pred, target, weight):
    """Weight of the rows that are classified rightly, and of all rows."""
    y = target[0] if isinstance(target, (tuple, list)) else target
    logits = y_pred[0] if isinstance(y_pred, tuple) else y_pred
    if y.is_floating_point() or y.dim() != 1:
        return 0.0, 0.0
    y = y.to(logits.device)
    right = logits.argmax(dim=1) == y if logits.shape[1:].numel() > 1 else (logits[:, 0] > 0) == y
    if weight is None:
        return float(right.sum()), float(len(y))
    return float((right * weight).sum()), float(weight.sum())
