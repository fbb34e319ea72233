"""When to prune: a skorch callback that tells a method of the moments of a training run."""

from __future__ import annotations

import copy
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from skorch.callbacks import Callback
from skorch.dataset import get_len

from skactprune._register import TakesNames
from skactprune.nets.accuracy import score_of
from skactprune.nets.modest import is_modest, modest, modest_if
from skactprune.nets.net import LeanLoop, end_training, refuse_silence
from skactprune.nets.world import leaves_world
from skactprune.pruning.best import forget_best
from skactprune.pruning.choice import is_chain
from skactprune.pruning.ending import Ending
from skactprune.pruning.method import METHODS
from skactprune.pruning.passes import traced
from skactprune.pruning.planning import hook_matters, planned, step_tallies, unlabeled_rows
from skactprune.pruning.progress import needs_score, rounds_due, triggers_rounds
from skactprune.pruning.requirements import check_batch_weight
from skactprune.pruning.triggers import TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch
    from numpy.typing import NDArray
    from skorch import NeuralNet

    from skactprune.nets.accuracy import RunningAccuracy, RunningR2
    from skactprune.nets.tally import Tally
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.method import Method
    from skactprune.pruning.passes import Trace
    from skactprune.pruning.run import Run

STORED_PARAMS = (
    "method",
    "prune_fraction",
    "n_prune_rounds",
    "trigger",
    "min_neurons",
    "prune_features",
    "prune_output",
)


class Pruner(TakesNames, Callback):
    """Prunes the hidden layers of a skorch net in rounds while it trains.

    It works on the linear and convolutional layers of any module, and masks weights there. What it
    takes for hidden layers is found with the first batch, from two more forward passes over it:
    those that are called and feed another such layer. Layers that feed none, the heads, are left
    alone. Neurons fire where the nonlinearity gets a positive value: where a layer is followed by
    a normalization, that is the output of the latter. After a round, running statistics of
    normalizations are taken anew, from a forward pass over the training rows.

    In the multi-layer perceptrons of this package, whose layers it knows to be a chain, neurons
    that are dead also leave the module and the optimizer. From ``nn.Sequential``, they leave once,
    when the fit is over; see Notes.

    Parameters
    ----------
    method : str or Method, default="activation_surgeon"
        The recipe: what is scored, what leaves together, how much a round. The default is that of
        `PrunedMLPClassifier`, but for what needs to know who feeds whom: no weights take over from
        neurons that leave other nets than those of this package.
    prune_fraction : float or None, default=0.8
        Share of the weights of the layers that are pruned, biases not counted, that is gone after
        the last round, in [0, 1). None only, and always, where the method has a threshold of its
        own set, which decides then.
    n_prune_rounds : int, default=5
        Number of rounds, at most 10000; 0 never prunes.
    trigger : {"epoch", "progress", "score", "accuracy"} or trigger, default="epoch"
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
        them. They weigh 1. A ``Dataset`` must have a length and give ``(X, y)`` for an index; ``y``
        is not looked at.
    ignored_layers : list of str or torch.nn.Module, default=()
        Names, as in ``module.named_modules()``, of layers to leave alone, or of modules with such
        layers in them; or these modules themselves, which does not survive ``clone``.
    layer_fractions : dict, default=None
        Shares of their own for some layers, in [0, 1): names or modules as above, and what is to
        be gone of them in place of `prune_fraction`, whatever the scope of the method. Only for
        methods that choose by scores.
    prune_features : float, default=0
        Share of the input features that is gone after the last round, in [0, 1); see
        `PrunedMLPClassifier`. Only for the multi-layer perceptrons of this package.
    prune_output : float, default=0
        Share of the weights of the output layer that is gone after the last round, in [0, 1); see
        `PrunedMLPClassifier`. Only for the multi-layer perceptrons of this package.
    cut : bool, default=True
        Whether channels and neurons that do nothing any more leave the module and the optimizer
        when a fit is over, where it is known whom they feed: in ``nn.Sequential``. Otherwise all
        stay, masked, and the module keeps its shapes.

    Attributes
    ----------
    masks_ : Masks
        What is left of the weights of the layers that are pruned; `layer_names_` says which.
    layer_names_ : list of str or None
        Names of the layers that are pruned, in the order of `masks_`; None for the nets of this
        package, of which all hidden layers are.
    history_ : list of dict
        One row a round: ``round`` (the number of rounds done by then), ``epoch`` of the fit,
        ``total_epoch`` of all fits that it goes on from, ``sparsity``, ``live_neurons``,
        ``train_score`` (accuracy or R² of the epoch that ended with the round),
        ``validation_score`` (None without one) and ``seconds`` (wall time of the round).

    Raises
    ------
    ValueError
        Before the first step, for parameters outside their range, names of layers that are not
        there, a module without hidden layers, a `prune_fraction` that cannot be reached, layers
        that cannot hold zeros (naming them), a method that is not for such modules, modules that
        torch has compiled, which call no hooks, and `unlabeled` that is empty, has other features,
        or is given to a method that counts nothing. At a round, if training
        has diverged. In an epoch, where rows have no numbers and a method looks at single ones, and
        where the net does not notify ``on_grad_computed`` and a method acts on gradients.

    Warns
    -----
    ConvergenceWarning
        If training ends before the last round, at ``max_epochs`` epochs or before, whoever ended
        it.
    UserWarning
        Naming layers and other weights that are left alone though nobody asked for it: what is
        frozen or never called as a module, what shares its weight with something that is not
        pruned, weights of attention and of recurrent layers. If weights are zero when training
        starts: they are taken for pruned before. If somebody wrote into pruned weights.

    Notes
    -----
    A weight that several layers share is pruned, and counted, once. Layers that compute their
    weight from other parameters are pruned where zeros can be kept (``weight_norm`` and
    ``spectral_norm`` of ``torch.nn.utils.parametrizations``) and refused otherwise
    (``orthogonal``, and what computes weights by hooks, as in ``torch.nn.utils.prune``).

    Parameters that are changed after a fit hold in the next one, which begins anew: it takes the
    weights that are zero for pruned.

    skorch sets parameters of a callback, but not those of what a callback holds: in a grid, options
    of a method are in objects, ``callbacks__pruner__method=[SNIP(n_rows=50), SNIP(n_rows=500)]``.

    In an ``nn.Sequential`` of linear and convolutional layers, batch normalizations, elementwise
    activations, dropout, max and average pooling, and ``nn.Flatten``, it is known which layer feeds
    which. When a fit reaches its end and no rounds are to come, channels without weights, and those
    that nothing reads, are cut out of the layers, of the normalizations after them, of the inputs
    of the next layers, and of the optimizer's state. What the net predicts stays the same: the
    constant that a channel without weights puts out goes into the next bias. Where zeros are padded
    to it, which no bias can stand for, one such channel stays in place of all. `masks_` tells by
    ``live`` which channels are left; weights that leave with them count as gone. The sequence may
    be the module or part of it, as long as the module calls it as a whole; around branches,
    grouped convolutions, other normalizations and parametrized or shared weights, channels stay.
    The net, pickled, keeps its new shapes. A new net, and one that is cloned, has the old ones, so
    that ``load_params`` of one does not fit the other; take ``cut=False`` where it must. If
    ``module`` is an instance, ``net.module_`` is a copy of it from then on, and ``net.module`` is
    masked.

    What ``EarlyStopping`` and ``Checkpoint`` of skorch bring back with ``load_best=True`` are the
    best weights after the last round: they forget at each round what was best before.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from skorch import NeuralNetClassifier
    >>> from skactprune import Pruner
    >>> _ = torch.manual_seed(0)
    >>> module = torch.nn.Sequential(
    ...     torch.nn.Linear(4, 30), torch.nn.ReLU(), torch.nn.Linear(30, 2), torch.nn.Softmax(-1))
    >>> pruner = Pruner(prune_fraction=0.8, n_prune_rounds=3, random_state=0)
    >>> net = NeuralNetClassifier(module, max_epochs=10, callbacks=[pruner], verbose=0)
    >>> X = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
    >>> _ = net.fit(X, (X[:, 0] > 0).astype("int64"))
    >>> round(pruner.masks_.sparsity, 3), pruner.history_[-1]["live_neurons"]
    (0.8, [14])
    """

    registers = {"method": METHODS, "trigger": TRIGGERS}
    run_: Run
    method_: Method
    score_: RunningAccuracy | RunningR2 | None

    def __init__(
        self,
        method: str | Method = "activation_surgeon",
        prune_fraction: float | None = 0.8,
        n_prune_rounds: int = 5,
        trigger: Any = "epoch",
        min_neurons: int | Sequence[int] = 1,
        sample_weight: Callable[[Any], Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        unlabeled: Any = None,
        ignored_layers: str | torch.nn.Module | Sequence[str | torch.nn.Module] | None = (),
        layer_fractions: Mapping[Any, float] | None = None,
        prune_features: float = 0,
        prune_output: float = 0,
        cut: bool = True,
    ) -> None:
        self.method = method
        self.prune_fraction = prune_fraction
        self.n_prune_rounds = n_prune_rounds
        self.trigger = trigger
        self.min_neurons = min_neurons
        self.sample_weight = sample_weight
        self.random_state = random_state
        self.unlabeled = unlabeled
        self.ignored_layers = ignored_layers
        self.layer_fractions = layer_fractions
        self.prune_features = prune_features
        self.prune_output = prune_output
        self.cut = cut

    def initialize(self) -> Self:
        """Forget earlier training."""
        self.__dict__.pop("run_", None)
        self.ending_ = Ending()
        self.in_training_ = False
        self.score_ = self.training_ = self.unlabeled_ = None
        return self

    @property
    def masks_(self) -> Masks:
        """What is left of the hidden weights."""
        return self.run_.masks

    @property
    def history_(self) -> list[dict[str, Any]]:
        """A row a round."""
        return self.run_.history

    @property
    def layer_names_(self) -> list[str] | None:
        """Names of the layers that are pruned."""
        return self.run_.layout.names or None

    @property
    def activation_counts_(self) -> list[NDArray[Any]] | None:
        """Firing counts in the original sizes; None where the method does not count."""
        firing = self.run_.probe("Firing")
        return None if firing is None else firing.original_counts

    @property
    def firing_rates_(self) -> list[NDArray[Any]] | None:
        """Shares of the counted rows in which neurons fired; None where nothing counts."""
        firing = self.run_.probe("Firing")
        return None if firing is None else firing.original_rates

    @property
    def pending(self) -> bool:
        """Whether rounds are still to come, or masks are still moving."""
        return self.run_.pending

    @property
    def train_score(self) -> float:
        """Score of training in the last epoch; NaN where it was not taken."""
        return float("nan") if self.score_ is None else self.score_.value

    @property
    def n_rounds_left(self) -> int:
        """Rounds that are still to come."""
        return len(self.run_.shares) - self.run_.done

    def epochs_until_round(self, most: int) -> int:
        """Epochs to come until the next round, at the latest; `most` where none comes in these."""
        run = self.run_
        ahead = range(1, most) if self.n_rounds_left else ()
        due = (n for n in ahead if rounds_due(run, self.trigger_, n, 0.0, 0) > run.done)
        return next(due, most)

    # -- schedule ---------------------------------------------------------------------------

    def prepare(
        self, net: NeuralNet, state: dict[str, Any] | None = None, trace: Trace | None = None
    ) -> None:
        """Look at the net and check the parameters, unless that was done before.

        Parameters
        ----------
        net : skorch.NeuralNet
            Initialized net.
        state : dict, default=None
            What `state` gave; training goes on from there, with the parameters of this object.
        trace : Trace, default=None
            What the module does with a batch, where that is known.
        """
        if not self.looked_:
            params = self.get_params(deep=False)
            self.method_, self.trigger_, self.run_ = planned(net, params, state, trace)
            self.planned_ = self._params_of_now()

    @property
    def looked_(self) -> bool:
        """Whether it is known what the layers of the net are."""
        return hasattr(self, "run_")

    # -- skorch's hooks ---------------------------------------------------------------------

    def hears(self, hook: str) -> bool:
        """Whether there is anything to be done in a hook in the coming epoch."""
        moment = self.method_, self.run_, self.score_
        return self._overrides(hook) or hook_matters(hook, *moment, self.tallies())

    def tallies(self) -> list[Tally] | None:
        """Tallies of the hidden layers for the steps of `LeanLoop`; None where batches are heard.

        Returns
        -------
        list of skactprune.nets.tally.Tally or None
        """
        if self._overrides("on_batch_begin") or self._overrides("on_batch_end"):
            return None
        return step_tallies(self.method_, self.run_, self.score_, self.sample_weight)

    def _overrides(self, hook: str) -> bool:
        return getattr(type(self), hook) is not getattr(Pruner, hook)

    @leaves_world
    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if not hasattr(net, "module_"):
            raise ValueError(
                f"Pruner prunes the module_ of a net, which {type(net).__name__} does not have."
            )
        if self.looked_ and not (self.run_.is_of(net) and self._is_as_planned()):
            self.initialize()
        self.in_training_ = True
        self.unlabeled_ = unlabeled_rows(net, self.unlabeled)
        self.ending_.start(self.run_.epoch if self.looked_ else 0)
        if self.looked_ or is_chain(net.module_):
            self._look(net)

    def _is_as_planned(self) -> bool:
        """Whether the parameters are those of the run."""
        now = self._params_of_now()
        return now.keys() == self.planned_.keys() and all(
            _are_same(now[name], value) for name, value in self.planned_.items()
        )

    def _params_of_now(self) -> dict[str, Any]:
        """The parameters, those of the method too; but not unlabelled rows, which a fit has."""
        params = self.get_params(deep=True).items()
        return {name: _noted(value) for name, value in params if name != "unlabeled"}

    def _look(self, net: NeuralNet, batch: Any = None) -> None:
        """Find out what the layers are. Of some nets it takes a batch to tell who feeds whom."""
        trace = None if batch is None else traced(net, batch, self.ending_.fit_params)
        self.prepare(net, trace=trace)
        self.run_.start(net)

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, **kwargs: Any) -> None:
        if not self.in_training_:
            # A loop of the net was called by itself.
            self.on_train_begin(net)
        self.ending_.begin_epoch(net)
        self.training_ = dataset_train
        if self.looked_:
            self._begin()
        # Explicit steps tell those who hear.
        self.had_gradients_, self.had_batches_ = isinstance(net, LeanLoop), False
        scores = not self.looked_ or needs_score(self.run_, self.trigger_)
        self.score_ = score_of(net) if scores else None

    def _begin(self) -> None:
        run = self.run_
        forget_best(run, save=False)
        if run.begun:
            return
        run.see(self.training_, self.unlabeled_, self.ending_.fit_params)
        run.begin(self.method_.begin)

    @modest
    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        if training and not self.looked_:
            self._look(net, batch)
            self._begin()
        if training:
            self.run_.begin_batch(batch, self._weights(batch))

    @modest_if(lambda pruner: is_modest(pruner.method_.on_gradient))
    def on_grad_computed(self, net: NeuralNet, **kwargs: Any) -> None:
        self.had_gradients_ = True
        self.method_.on_gradient(self.run_)

    @modest
    def on_batch_end(
        self,
        net: NeuralNet,
        batch: Any = None,
        training: bool = False,
        y_pred: Any = None,
        pre_activations: Sequence[torch.Tensor] = (),
        **kwargs: Any,
    ) -> None:
        if training:
            self.had_batches_ = True
            self.run_.end_batch(batch, list(pre_activations))
            self.method_.on_step(self.run_)
            self.run_.zero_masked()
            if self.score_ is not None:
                self.score_.add(y_pred, batch[1], self._weights(batch))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.ending_.end_epoch()
        if not (self.looked_ and self.run_.begun):
            return
        run = self.run_
        deaf = self.had_batches_ and not self.had_gradients_
        if deaf and run.shares and self.method_.acts_on("on_gradient"):
            refuse_silence(net, f"method={run.label}")
        run.end_epoch()
        score, was_pending = self._score(), run.pending
        self.method_.on_epoch(run)
        due = rounds_due(run, self.trigger_, 0, score, run.idle)
        if due > run.done:
            with run.round(due, score) as share:
                self.method_.round(run, share)
            forget_best(run, save=True)
        elif run.redrawn_at == run.epoch:
            forget_best(run, save=True)
        elif not was_pending and triggers_rounds(run) and self.trigger_.stops(score):
            end_training(net, f"The score reached the last mark of trigger={self.trigger!r}.")

    def _score(self) -> float:
        """Score of training in this epoch, NaN where it was not taken."""
        score = self.train_score
        needed = self.trigger_.needs_score
        names = () if self.score_ is None else self.score_.names
        if not triggers_rounds(self.run_):
            return score
        if needed is not None and (np.isnan(score) or needed not in names):
            numbers = ", or numbers and a regressor," if needed == "score" else ""
            raise ValueError(f"trigger={self.trigger!r} needs class labels{numbers} as targets.")
        return score

    def on_train_end(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        try:
            self._end(net)
        finally:
            if self.looked_:
                self.run_.restore_world()

    def _end(self, net: NeuralNet) -> None:
        if not self.looked_:
            # There was no batch.
            self._look(net)
        self.in_training_ = False
        run = self.run_
        run.end(checks=not self.ending_.within_epoch)
        if run.begun:
            self.method_.end(run)
        self.unlabeled_ = self.training_ = None
        over = self.ending_.reaches_end(net) and not self.ending_.within_epoch
        run.finish(self, cut=over and self.cut)
        missed = f"not prune_fraction={self.prune_fraction!r}"
        if run.target is None:
            missed = f"not yet what {run.own_threshold} leaves"
        for name in ("prune_features", "prune_output"):
            if share := getattr(self, name):
                missed = f"{missed}, with {name}={share!r}"
        self.ending_.tell(net, run, missed)

    def _weights(self, batch: Any) -> Any:
        if self.sample_weight is None:
            return None
        weight = self.sample_weight(batch)
        if weight is not None:
            check_batch_weight(weight, get_len(batch[0]))
        return weight

    # -- state ------------------------------------------------------------------------------

    def hold(self) -> None:
        """Set masked weights to zero, whatever was written into them."""
        if self.looked_:
            self.run_.zero_masked()

    def abandon(self) -> None:
        """Hear that training has failed, so that there is nothing to be finished."""
        if self.looked_:
            self.run_.undo()
            self.run_.begun = False
        self.ending_.abandon()

    def state(self) -> dict[str, Any]:
        """What `prepare` needs to go on: arrays, numbers and the parameters."""
        params = {name: getattr(self, name) for name in STORED_PARAMS}
        return {"params": params, "run": self.run_.state()}


def _noted(value: Any) -> Any:
    """A parameter, so that it can be told later whether it was changed."""
    # Of what has parameters, these tell.
    if hasattr(value, "get_params"):
        return type(value)
    return copy.copy(value) if isinstance(value, (list, dict, np.ndarray)) else value


def _are_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    plain = (Real, str, np.bool_, list, tuple, dict)
    return isinstance(one, plain) and isinstance(other, plain) and bool(one == other)
