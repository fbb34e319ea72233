"""A training run: how far it is, its rounds, and what the pruner tells it of a fit."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from skactprune.nets.world import same_world
from skactprune.pruning.access import NetAccess
from skactprune.pruning.best import forget_best, have_last_word
from skactprune.pruning.cutting import cut_or_leave
from skactprune.pruning.features import without_features
from skactprune.pruning.parts import parts_of
from skactprune.pruning.probes.rows import Rows
from skactprune.pruning.progress import ask, count_as_done, count_epoch
from skactprune.pruning.requirements import (
    check_finite,
    check_same_features,
    check_unlabeled_are_used,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    import torch
    from skorch import NeuralNet
    from skorch.callbacks import Callback

    from skactprune.nets.tally import Tally
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


class Run(NetAccess):
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
        self.rows = Rows(training, unlabeled, self.random_state, self.net)

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
