"""What a method sees of a training run, and what it may do to the net."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch

from skactprune.nets.arrays import array_of
from skactprune.nets.world import same_world
from skactprune.pruning import surgery
from skactprune.pruning.best import forget_best, have_last_word
from skactprune.pruning.cutting import cut_or_leave
from skactprune.pruning.derivatives import gradients_of_step, mean_gradients, mean_products
from skactprune.pruning.features import (
    let_features_go,
    telling_features,
    without_features,
)
from skactprune.pruning.output_weights import let_output_weights_go
from skactprune.pruning.parts import parts_of
from skactprune.pruning.probes.rows import Rows
from skactprune.pruning.progress import ask, count_as_done, count_epoch
from skactprune.pruning.requirements import (
    check_finite,
    check_own_weights,
    check_same_features,
    check_settable_weights,
    check_unlabeled_are_used,
    name_of,
)
from skactprune.pruning.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from numpy.typing import NDArray
    from skorch import NeuralNet
    from skorch.callbacks import Callback

    from skactprune.nets.activations import HiddenActivation
    from skactprune.nets.tally import Tally
    from skactprune.pruning.features import FeatureRefit
    from skactprune.pruning.looks import Sums
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.parts import Part
    from skactprune.pruning.probes.base import Probe

    P = TypeVar("P", bound=Probe)

# What belongs to one call of fit and is not kept.
OF_A_FIT = ("net", "module", "rows", "fit_params", "_held", "_world")
STATE = (
    "n_weights",
    "shares",
    "done",
    "fraction_done",
    "output_done",
    "reached",
    "epoch",
    "epochs_before",
    "n_rows_seen",
    "history",
    "moving",
    "searching",
    "holds",
    "dropped",
)


class Run(State):
    """One run of training and pruning: masks, probes, rows, and how far it is.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized net.
    label : str
        How the user named the method, for messages.
    random_state : int, RandomState instance or None
        Draws whatever a method draws; None takes a seed from the operating system.
    layout : Chain or Loose, default=None
        Who feeds whom; None is what the module alone tells.

    Attributes
    ----------
    net : skorch.NeuralNet
        The net in training; gone between fits.
    asked : float or None
        Share of the weights that is to be gone, in the end, of layers without one of their own.
    target : float or None
        Share of all hidden weights that is to be gone in the end; 0 where nothing is to be pruned,
        None where a threshold of the method's own decides.
    own_threshold : str or None
        That threshold, as `Method.own_threshold`.
    features : float
        Share of the input features that is to be gone in the end.
    output : float
        Share of the weights of the output layer that is to be gone in the end.
    dropped : bool ndarray of shape (n_features,)
        Features that rounds have removed; not those that no weight reads any more by itself.
    layout : Chain or Loose
        Who feeds whom.
    masks : Masks
        What is left.
    floors : list of int
        Neurons that each hidden layer keeps at least.
    rows : Rows
        Rows of training and unlabelled ones; there from the first step of a fit on.
    n_weights : int
        Weights of the whole net before pruning, output layer included.
    shares : list of float
        Share of `target` that is to be gone after each round.
    done : int
        Rounds done.
    coming : int
        In a round, its number, 0 elsewhere; rounds done together count as the last of them.
    fraction_done : float
        Share of the weights that rounds were asked to remove so far; where it was no share that
        was asked for, the share that was gone after the last of them.
    output_done : float
        Share of the weights of the output layer that rounds were asked to remove so far.
    reached : tuple of (str or None, float)
        The last threshold of a method's own by which rounds removed, and the share of it.
    epoch : int
        Epochs of this fit, or of all calls of ``partial_fit``, that have ended.
    epochs_before : int
        Epochs of the fits before this one that it goes on from.
    n_rows_seen : int
        Rows of all calls of ``partial_fit``.
    max_epochs : int
        Epochs that the fit has at most.
    history : list of dict
        A row a round.
    best : float
        Smallest loss, or negative score on validation rows, of an epoch since the last round.
    idle : int
        Epochs since then that have not brought it down by 1e-4.
    moving : bool
        Whether masks change between rounds, too. While they do, neither early stopping nor `tol`
        ends training, and no weights are remembered as the best. A method whose masks move sets it
        in `Method.begin`, every time.
    searching : bool
        Whether the net of now only shows what is to be trained later, which a method says in
        `Method.begin`. Training ends as little as where masks move.
    share_of_epochs : float
        Share of the epochs of a fit in which rounds come. A method that needs the others says so in
        `Method.plan`.
    redrawn_at : int or None
        Epoch of this fit at whose end weights were drawn anew.
    holds : bool
        Whether masked weights are held at zero.
    begun : bool
        Whether a method has begun in this fit.
    in_calls : bool
        Whether epochs are calls of ``partial_fit``, of which only the number is known.
    goes_on : bool
        Whether more training may follow on this one: neurons that may regrow stay then.
    unlabeled_served : bool
        Whether unlabelled rows have been learned from already, and need not be counted on.
    fit_params : dict
        What the module gets besides rows in this fit.
    """

    # -- how far ----------------------------------------------------------------------------

    def ask(
        self,
        target: float | None,
        shares: list[float],
        min_neurons: int | Sequence[int],
        own_threshold: str | None = None,
        features: float | None = None,
        output: float | None = None,
    ) -> None:
        """Set what is to be reached, and in which steps; where the run is already, it goes on.

        Parameters
        ----------
        target : float or None
            Share of the hidden weights that is to be gone in the end.
        shares : list of float
            Share of it that is to be gone after each round.
        min_neurons : int or sequence of int
            Neurons that every hidden layer, or each of them, keeps at least.
        own_threshold : str, default=None
            What decides instead where `target` is None. Rounds come again when it is another one.
        features : float, default=None
            Share of the input features that is to be gone in the end; None leaves it as it is.
        output : float, default=None
            Share of the weights of the output layer that is to be gone in the end; None leaves it
            as it is.

        Raises
        ------
        ValueError
            For `min_neurons` that do not fit the layers, rounds for a net without hidden ones, a
            share of the features that leaves none, and one of the output layer that leaves an
            output none.
        """
        ask(self, target, shares, min_neurons, own_threshold, features, output)

    def refuse_features(self, reason: str) -> NoReturn:
        """Raise ValueError: the method ``removes no features``, or whatever the reason is."""
        raise ValueError(
            f"method={self.label} {reason}, so that prune_features={self.features!r} must be 0, in "
            "fits that it goes on from, too."
        )

    def refuse_fractions(self) -> None:
        """Raise ValueError where layers have shares of their own: the method heeds none."""
        own = {
            name: share
            for name, share in zip(self.layout.names, self.fractions, strict=False)
            if share is not None
        }
        if own:
            raise ValueError(
                f"method={self.label} removes its own share of every layer, so that "
                f"layer_fractions must be None, not {own!r}."
            )

    def refuse_output(self, reason: str) -> NoReturn:
        """Raise ValueError: the method ``lets weights come back``, or whatever the reason is."""
        raise ValueError(
            f"method={self.label} {reason}, so that prune_output={self.output!r} must be 0."
        )

    def counted_in_the_end(self) -> Masks:
        """Masks of the net before any round, as if it had never had the features that leave."""
        n_gone = max(self.n_to_drop(1.0), int(self.dropped.sum()))
        return without_features(self.layout, n_gone)

    @contextmanager
    def round(self, done: int, train_score: float = float("nan")) -> Iterator[float]:
        """Do the rounds up to number `done`, all of it or nothing.

        Gives the share of what is asked for that is to be gone. At the end the round counts as
        done, and has a row in `history`.
        """
        start = perf_counter()
        self._parted = False
        with self.layout.threads(), self.transaction():
            check_finite(self)
            self.coming = done
            yield self.shares[done - 1]
            if not self._parted:
                self.refuse_fractions()
            if self.dropped.sum() < self.n_to_drop(self.shares[done - 1]):
                self.refuse_features("removes no features")
            self.prune_output(self.masks)
            if self.epoch:
                self.layout.renew(self.net, self.rows.training, self.fit_params)
            count_as_done(self, done)
            self.best, self.idle = np.inf, 0
            epoch = self.net.history[-1]
            row = {
                "round": done,
                "epoch": self.epoch,
                "total_epoch": self.epochs_before + self.epoch,
                "sparsity": self.masks.sparsity,
                "live_neurons": [len(live) for live in self.masks.live_neurons],
                "train_score": train_score,
                "validation_score": epoch.get("valid_score", epoch.get("valid_acc")),
                "seconds": perf_counter() - start,
            }
            self.history = [*self.history, row]
            self.coming = 0

    def parts(self, masks: Masks) -> list[Part]:
        """Layers that are chosen from together, with what is to go of them.

        Parameters
        ----------
        masks : Masks
            Masks of all hidden layers.

        Returns
        -------
        list of Part
            One, unless layers have shares of their own.
        """
        self._parted = True
        return parts_of(self, masks)

    def what_asked(self, part: Part) -> str:
        """What asks for the share of a part, for messages."""
        own = self.fractions[part.depths[0]]
        if own is None:
            return f"prune_fraction={part.target!r}"
        return f"layer_fractions[{self.layout.names[part.depths[0]]!r}]={own!r}"

    # -- what there is ----------------------------------------------------------------------

    def copied_weights(self) -> list[tuple[NDArray[Any], NDArray[Any] | None]]:
        """Copies of weight and bias, or None, of every layer: arrays in the layers' shapes."""
        return [
            (_copy(layer.weight), None if layer.bias is None else _copy(layer.bias))
            for layer in self.layers
        ]

    def nonzero(self) -> Masks:
        """Masks of the hidden weights that are not zero."""
        return self.masks.replaced([weight != 0 for weight in self.weights()[:-1]])

    @property
    def activations(self) -> Sequence[HiddenActivation | None]:
        """What each hidden layer applies to its outputs, None where that is not known."""
        return self.layout.activations(self.net.module_)

    @property
    def factors(self) -> list[tuple[NDArray[Any], NDArray[Any]] | None]:
        """For every hidden layer the two factors of its weights (n_out, n_in), or None."""
        probe = self.probe("Factors")
        if probe is None:
            return [None] * len(self.masks.current)
        return [found and (found.left, found.right) for found in probe.layers]

    def require_own_weights(self) -> None:
        """Raise ValueError for a layer that computes its weight from other parameters."""
        check_own_weights(self)

    def require_settable_weights(self) -> None:
        """Raise ValueError for a layer that cannot be given any weights."""
        check_settable_weights(self)

    def require_chain(self, what: str = "which layer feeds which") -> None:
        """Raise ValueError where the layers are no chain, of which it is known `what` is needed."""
        self.layout.require_chain(self.label, self.net.module_, what)

    @torch.no_grad()
    def forward(self, X: Any) -> list[torch.Tensor]:
        """Forward pass of a batch in evaluation mode.

        Parameters
        ----------
        X : tensor or array of shape (batch_size, ...)
            Rows.

        Returns
        -------
        list of torch.Tensor of shape (n_rows, n_out)
            Pre-activations of the hidden layers, or what has their signs; empty where the net does
            not give them and probes hear them through hooks.
        """
        self.net.module_.eval()
        return self.layout.forward(self, X)

    @torch.no_grad()
    def outputs(self, X: Any) -> list[NDArray[Any]]:
        """Outputs of the hidden layers for a batch, in evaluation mode.

        Parameters
        ----------
        X : tensor or array of shape (batch_size, ...)
            Rows.

        Returns
        -------
        list of ndarray of shape (n_rows, n_out)
            Where the layers are no chain, of which it is not known what is applied to their
            outputs, these are the pre-activations where they are positive, and 0 elsewhere; each
            position of a channel of a convolution has a row.
        """
        self.net.module_.eval()
        return self.layout.outputs(self, X)

    @torch.no_grad()
    def responses(self, X: Any) -> NDArray[Any]:
        """What the output layer reads of a batch, in evaluation mode.

        Parameters
        ----------
        X : tensor or array of shape (batch_size, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows, n_in)
        """
        self.net.module_.eval()
        return self.layout.responses(self, X)

    def importances(
        self, last: NDArray[Any], kept: Callable[[int, NDArray[Any]], NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Importances of the hidden neurons, propagated back by the absolute values of weights.

        Parameters
        ----------
        last : ndarray of shape (n_in,)
            Importances of what the output layer reads.
        kept : callable
            ``kept(depth, importances)`` gives those that a hidden layer hands on.

        Returns
        -------
        list of ndarray of shape (n_out,)
            One for every hidden layer.

        Raises
        ------
        ValueError
            In modules that are no chain, where nothing gets from inputs to outputs.
        """
        with self._naming_method():
            return self.layout.importances(self, last, kept)

    @torch.no_grad()
    def input_sums(self, X: Any, row_weight: NDArray[Any]) -> list[Sums]:
        """Sums over a batch of what the hidden weights read, in evaluation mode.

        Parameters
        ----------
        X : tensor or array of shape (batch_size, ...)
            Rows.
        row_weight : ndarray of shape (batch_size,)
            Their weights.

        Returns
        -------
        list of (ndarray, ndarray, float)
            For each hidden layer the sums of its inputs and of their squares, of shape (n_in,) or
            (n_out, n_in), and that of the weights of all rows (and positions).
        """
        self.net.module_.eval()
        return self.layout.input_sums(self, X, row_weight)

    @torch.no_grad()
    def outgoing(self, rates: list[NDArray[Any]], n_rows: int) -> list[NDArray[np.float64]]:
        """Outgoing weights of the hidden neurons, each times the gain of where it goes.

        Parameters
        ----------
        rates : list of ndarray of shape (n_out,)
            Firing rates of the hidden layers.
        n_rows : int
            Rows that are looked at where the layers are no chain: there, what stands for outgoing
            weights comes from the slopes of the outputs.

        Returns
        -------
        list of ndarray of shape (n_next, n_out)
            One for every hidden layer, in float64; the squared norm of a column is the mean squared
            gain of the output of a neuron.
        """
        self.net.module_.eval()
        return self.layout.outgoing(self, rates, n_rows)

    def gradients(self, rows: NDArray[np.int64], output: bool = False) -> list[NDArray[Any]]:
        """Gradient of the mean loss of training rows in the hidden weights, in evaluation mode.

        Rows of a `TrainingData` count with their weights. Weights that are not trained have a
        gradient, too; those that the loss does not depend on have one of zero.

        Parameters
        ----------
        rows : int ndarray of shape (n_rows,)
            Which rows of ``run.rows.training``; they are taken in batches of the net's size.
        output : bool, default=False
            Whether to give that in the weights of the output layer, too.

        Returns
        -------
        list of ndarray of shape (n_out, n_in)
            One for every hidden layer, and for the output layer last where that is asked for, in
            the dtype of the weights.
        """
        return mean_gradients(self, rows, self.layers if output else self.hidden)

    def hessian_products(
        self, rows: NDArray[np.int64], vectors: list[NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Hessian of the loss of `gradients`, times a vector.

        Parameters
        ----------
        rows : int ndarray of shape (n_rows,)
            Which rows of ``run.rows.training``.
        vectors : list of ndarray of shape (n_out, n_in)
            Parts of the vector, one for every hidden layer, or for the output layer last, too.

        Returns
        -------
        list of ndarray of shape (n_out, n_in)
            Parts of the product, for as many layers: the Hessian is that in their weights.

        Raises
        ------
        ValueError
            Where torch has no second derivative of something in the module.
        """
        return mean_products(self, rows, vectors)

    def flows(self) -> list[NDArray[Any]]:
        """What flows through every hidden weight from a row of ones, by absolute values of weights.

        Returns
        -------
        list of ndarray of shape (n_out, n_in)
            One for every hidden layer, up to a factor that is the same for all; see
            `skactprune.pruning.flows`.

        Raises
        ------
        ValueError
            In modules that are no chain, where nothing gets from inputs to outputs.
        """
        with self._naming_method():
            return self.layout.flows(self.net, self.rows.training, self.fit_params)

    @contextmanager
    def _naming_method(self) -> Iterator[None]:
        """Let errors about the module name the method."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"method={self.label} cannot be used: {error}") from error

    def step_gradients(self) -> list[torch.Tensor]:
        """Gradients of the current step, after the backward pass: tensors (n_out, n_in).

        Those of masked weights are there, too. In the nets of this package the L2 penalty is in
        them. Where a layer is not trained they are zero.

        Raises
        ------
        ValueError
            For a layer that computes its weight from other parameters: it has no such gradient.
        """
        return gradients_of_step(self)

    @property
    def shrinkage(self) -> float:
        """What the coming step leaves of a weight by decoupled decay, if it is not the optimizer's.

        In `Method.on_gradient`, the weights of the layers have shrunk already.
        """
        return getattr(self.net, "shrinkage", 1.0)

    # -- what may be done -------------------------------------------------------------------

    def watch(self, probe: P, name: str | None = None) -> P:
        """Watch a probe from now on, or go on with the one that is watched under its name.

        A method watches what it needs in `Method.begin`, which is called whenever training starts,
        and keeps what is returned.

        Parameters
        ----------
        probe : Probe
            What to watch.
        name : str, default=None
            Its name in the run; None is the name of its class.

        Returns
        -------
        Probe
            `probe`, or the one that the run has already.
        """
        found = self._watched.add(probe, name or type(probe).__name__)
        found.attach(self)
        return found

    def drop_features(self, gone: NDArray[np.bool_], refit: FeatureRefit | None = None) -> None:
        """Let features go for good: no weight reads them any more.

        What is left of the net puts out, for any row, what it did where these features were at
        their mean, unless others take over. It is done entirely, or not at all.

        Parameters
        ----------
        gone : bool ndarray of shape (n_features,)
            Features that leave, or have left and may have weights again.
        refit : callable, optional
            ``refit(gone, weight)`` says how the others take over: it gets the weights of the first
            layer in float64, of shape (n_out, n_features), and returns new ones, zero for `gone`,
            and what is to be added to the biases. Only weights that are left are heeded.
        """
        let_features_go(self, gone, refit)

    def prune_output(self, masks: Masks) -> None:
        """Remove the smallest weights of the output layer, as many as this round is to.

        Where that is done already, and outside rounds, nothing is. It is done at the end of every
        round in any case; a method that gives weights other values in it calls this before.

        Parameters
        ----------
        masks : Masks
            What is left of the hidden weights. The weights of neurons that have none leave first;
            every other neuron of the last layer keeps at least its largest.
        """
        let_output_weights_go(self, masks)

    def telling_features(self) -> NDArray[np.bool_]:
        """Which features are read and vary, a bool ndarray of shape (n_features,)."""
        return telling_features(self)

    def restore(self, weights: list[tuple[NDArray[Any], NDArray[Any] | None]]) -> None:
        """Give all layers these weights and biases, as `copied_weights` gave them.

        Weights of the output layer that have left stay zero.
        """
        layers = self.layers
        with self.transaction(), torch.no_grad():
            values = [
                torch.tensor(weight).to(layer.weight)
                for layer, (weight, _) in zip(layers, weights, strict=True)
            ]
            if self.masks.output is not None:
                values[-1] *= torch.from_numpy(self.masks.output).to(values[-1].device)
            names = [name_of(layer, self.net.module_) for layer in layers]
            surgery.replace(layers, surgery.optimizers_of(self.net), values, names=names)
            for layer, (_, bias) in zip(layers, weights, strict=True):
                if bias is not None and layer.bias is not None:
                    layer.bias.data = torch.tensor(bias).to(layer.bias)

    def redraw(self, random_state: np.random.RandomState | None = None) -> None:
        """Draw all weights and biases anew, as of a new net of the sizes of now.

        Masked weights are zero, and the optimizer starts anew. Only where layers are a chain.

        Parameters
        ----------
        random_state : numpy.random.RandomState, default=None
            Draws them; None is that of the run.
        """
        self.require_chain()
        with self.transaction():
            drawn = list(self.net.module_.drawn(random_state or self.random_state))
            for (weight, _), mask in zip(drawn, self.masks.current, strict=False):
                weight *= mask
            self.restore(drawn)
            self.forget_optimizer()
            self.redrawn_at = self.epoch

    def forget_optimizer(self, masks: list[NDArray[np.bool_]] | None = None) -> None:
        """Let the optimizer start anew, for all weights or, with `masks`, for single ones.

        Parameters
        ----------
        masks : list of bool ndarray of shape (n_out, n_in), default=None
            True for the hidden weights whose moments become zero.
        """
        optimizers = surgery.optimizers_of(self.net)
        if masks is None:
            surgery.forget(optimizers, self.net.module_.parameters())
            return
        kept = [~mask for mask in masks]
        hidden = self.hidden
        surgery.replace(hidden, optimizers, [layer.weight.data for layer in hidden], masks=kept)

    def skip_step(self) -> None:
        """Leave no gradients, so that the coming step of the optimizer changes nothing."""
        for optimizer in surgery.optimizers_of(self.net):
            optimizer.zero_grad()

    def is_of(self, net: NeuralNet) -> bool:
        """Whether the module of a net is the one that was trained so far, or a copy of it."""
        never_saw_a_batch = not self.layout.traced and not self.epoch
        same = self.module in (None, net.module_) and self.layout.is_of(net.module_, self.masks)
        return same and not never_saw_a_batch

    # -- for the pruner ---------------------------------------------------------------------

    def start(self, net: NeuralNet) -> None:
        """Begin a fit with `net`."""
        self.undo()
        self._world = same_world()
        self.begun = False
        self.net, self.module = net, net.module_
        # Whoever moves masks says so in `Method.begin`; the last method may have been another.
        self.moving = self.searching = False
        self.redrawn_at = None
        self.hold_masks(self.holds)
        self.warn_if_awake("Before training")
        for probe in self.layout.checks():
            self.watch(probe)

    def see(self, training: Any, unlabeled: Any, fit_params: dict[str, Any] | None = None) -> None:
        """Hear of the rows of this fit, and of what the module gets besides."""
        check_same_features(self.layers, training, unlabeled)
        self.fit_params = fit_params or {}
        self.rows = Rows(training, unlabeled, self.random_state, self.net.batch_size)

    def begin(self, begin: Callable[[Run], None]) -> None:
        """Let a method begin, entirely or not at all.

        Parameters
        ----------
        begin : callable
            Its hook.
        """
        with self.transaction(), self._under_way.begin(self._watched.detach):
            begin(self)
            check_unlabeled_are_used(self, self._watched)
            self.begun = True

    @property
    def watches(self) -> bool:
        """Whether there is anything to be done for every batch."""
        return bool(self._held or self._watched.hearing)

    def tallies(self) -> list[Tally] | None:
        """Tallies of the hidden layers, where all that watches batches can be had from them.

        Returns
        -------
        list of skactprune.nets.tally.Tally or None
        """
        hearing = self._watched.hearing
        return hearing[0].tallies() if len(hearing) == 1 and not self._held else None

    def begin_batch(self, batch: Any, weight: torch.Tensor | None) -> None:
        """Tell the probes of a batch of training."""
        for probe in self._watched:
            probe.begin_batch(batch, weight)

    def end_batch(self, batch: Any, pre_activations: list[torch.Tensor]) -> None:
        """Tell the probes that its step is done."""
        for probe in self._watched:
            probe.end_batch(batch, pre_activations)

    def end_epoch(self) -> None:
        """Tell the probes of the end of an epoch."""
        count_epoch(self)
        for probe in self._watched:
            probe.end_epoch(self)

    def end(self, checks: bool) -> None:
        """End a fit: what belongs to it alone goes, and what an interrupt has left half done.

        Parameters
        ----------
        checks : bool
            Whether pruned weights should be zero by now.
        """
        self.undo()
        self.restore_world()
        self._watched.detach()
        if checks:
            forget_best(self, save=True)
            self.warn_if_awake("When training ended")
        self.zero_masked()

    def finish(self, told: Callback, cut: bool) -> None:
        """Have the last word when all callbacks were told of the end of a fit.

        Parameters
        ----------
        told : skorch.callbacks.Callback
            Callback that was told of the end.
        cut : bool
            Whether training is over, so that neurons leave of which it is known whom they feed.
        """
        cut = bool(cut and self.begun and self.layout.feeds and self.history and not self.pending)
        if self.net.callbacks_[-1][1] is not told and (self._held or cut):
            have_last_word(self.net, partial(self._have_last_word, cut))
        else:
            self.last_word(cut)

    def _have_last_word(self, cut: bool) -> None:
        self.warn_if_awake("When training ended")
        self.last_word(cut)

    def last_word(self, cut: bool) -> None:
        """End a fit, after `cut` where that is asked for."""
        if cut and not any(self.masks.sizes):
            cut_or_leave(self)
        self.forget_rows()

    def restore_world(self) -> None:
        """Leave the calling thread as it was at the start, whatever an interrupt has left."""
        if self._world is not None:
            self._world.restore()

    def state(self) -> dict[str, Any]:
        """What `load` needs: arrays, numbers, and lists and dicts of them."""
        state = {name: getattr(self, name) for name in STATE}
        return state | {"masks": self.masks.state(), "probes": self._watched.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, with a net of the same sizes."""
        vars(self).update({name: state[name] for name in STATE if name in state})
        self.masks = self.masks.load(state["masks"])
        self.layout = self.layout.of_shapes(self.masks.shapes)
        self._watched.load(state["probes"])

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | dict.fromkeys(OF_A_FIT)


def _copy(parameter: torch.Tensor) -> NDArray[Any]:
    return np.array(array_of(parameter))
