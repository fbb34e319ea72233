"""What a method sees of a training run, and what it may do to the net."""

import math
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
import torch
from skorch.utils import to_device
from torch.nn.utils import parametrize

from skactprune._transaction import Transactions, attributes_of
from skactprune._warnings import warn
from skactprune.nets.matrices import matrix
from skactprune.nets.world import same_world
from skactprune.pruning import surgery
from skactprune.pruning.best import forget_best, have_last_word, save_best
from skactprune.pruning.chain import floors_of
from skactprune.pruning.choice import found_zeros, layout_of
from skactprune.pruning.looks import require_gradients
from skactprune.pruning.masks import Masks
from skactprune.pruning.passes import check_same, outputs_of
from skactprune.pruning.probes.rows import Rows


@dataclass(frozen=True)
class Part:
    """Hidden layers that are chosen from together.

    Attributes
    ----------
    depths : list of int
        Which ones.
    masks : Masks
        Their masks.
    floors : list of int
        Neurons that each of them keeps at least.
    target : float or None
        Share of their weights that is to be gone in the end, as `Run.target`.
    n_weights : int
        Weights that methods which count all of a net count.
    n_counted : int
        Weights that `target` is a share of; see `Run.n_counted`.
    fraction_done : float
        Share of the weights that rounds were asked to remove so far.
    """

    depths: list
    masks: Masks
    floors: list
    target: float | None
    n_weights: int
    n_counted: int
    fraction_done: float


# What progress is, in a loss or a score.
TOL = 1e-4
# What belongs to one call of fit and is not kept.
OF_A_FIT = ("net", "module", "rows", "fit_params", "_held", "_world")
STATE = (
    "n_weights",
    "shares",
    "done",
    "fraction_done",
    "reached",
    "epoch",
    "n_rows_seen",
    "history",
    "moving",
    "searching",
    "holds",
    "dropped",
)


class Run:
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
        In a round, its number; rounds that are done together count as the last of them.
    fraction_done : float
        Share of the weights that rounds were asked to remove so far; where it was no share that
        was asked for, the share that was gone after the last of them.
    reached : tuple of (str or None, float)
        The last threshold of a method's own by which rounds removed, and the share of it.
    epoch : int
        Epochs of this fit, or of all calls of ``partial_fit``, that have ended.
    n_rows_seen : int
        Rows of all calls of ``partial_fit``.
    max_epochs : int
        Epochs that the fit has at most.
    history : list of dict
        A row a round.
    best : float
        Smallest loss, or negative score on validation rows, of an epoch since the last round.
    idle : int
        Epochs since then that have not brought it down by `TOL`.
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
    fit_params : dict
        What the module gets besides rows in this fit.
    """

    def __init__(self, net, label, random_state, layout=None):
        self.net, self.label, self.module = net, label, net.module_
        given = isinstance(random_state, np.random.RandomState)
        self.random_state = random_state if given else np.random.RandomState(random_state)
        self.layout = layout_of(net.module_) if layout is None else layout
        self.masks = Masks(self.layout)
        self.n_weights = sum(layer.weight.numel() for layer in self.layers)
        self.asked = self.target = self.features = 0.0
        self.own_threshold, self.reached = None, (None, 0.0)
        self.dropped = np.zeros(self.layout.shapes[0][1] if self.layout.shapes else 0, dtype=bool)
        self.floors = [1] * len(self.layout.shapes)
        self.shares, self.done, self.fraction_done = [], 0, 0.0
        self.coming = 0
        self.epoch, self.n_rows_seen, self.history = 0, 0, []
        self.best, self.idle = np.inf, 0
        self.moving, self.searching, self.share_of_epochs = False, False, 1.0
        self.holds, self.goes_on, self.in_calls = True, True, False
        self.redrawn_at = None
        self.rows = None
        self.fit_params = {}
        self._probes, self._saved = {}, {}
        self._held = []
        self._parted = False
        self.begun = False
        self._under_way, self._world = Transactions(), None

    # -- how far ----------------------------------------------------------------------------

    def ask(self, target, shares, min_neurons, own_threshold=None, features=None):
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

        Raises
        ------
        ValueError
            For `min_neurons` that do not fit the layers, rounds for a net without hidden ones, and
            a share of the features that leaves none.
        """
        if shares and not self.layout.shapes:
            name, value = ("prune_fraction", target) if target else ("prune_features", features)
            raise ValueError(
                f"hidden_layer_sizes=() leaves nothing to prune; {name}={value!r} needs a "
                f"hidden layer (or {name}=0)."
            )
        if features is not None:
            self.features = features
            self._check_features()
        self.asked, self.target, self.shares = target, self._overall(target), shares
        self.own_threshold = own_threshold
        self.floors = floors_of(self.layout.shapes, min_neurons)
        if not self.epoch and not self.history:
            self.start_schedule()
            return
        # Where more is asked for than before, the last rounds are to come again.
        self.done = min(self.done, len(shares))
        while self.done and not self._is_reached(self.done):
            self.done -= 1

    def _check_features(self):
        n_features = len(self.dropped)
        if self.features and self.n_to_drop(1.0) >= n_features:
            raise ValueError(
                f"prune_features={self.features!r} must be at most {1 - 1 / n_features:.4g}, so "
                f"that one of {n_features} features is left."
            )

    def _overall(self, asked):
        """Share of all hidden weights that is to be gone, where layers have shares of their own."""
        if asked is None or all(own is None for own in self.fractions):
            return asked
        sizes = [n_out * n_in for n_out, n_in in self.layout.shapes]
        shares = [asked if own is None else own for own in self.fractions]
        return float(np.average(shares, weights=sizes))

    def forget_factors(self):
        """Count weights that were factored as they are: training is to make others of them."""
        if any(self.masks.sizes):
            self.masks = self.masks.replaced(self.masks.current)
            self.fraction_done = self.masks.sparsity

    def start_schedule(self):
        """Count epochs and rounds from zero; rounds whose target was reached are skipped."""
        self.epoch = self.n_rows_seen = self.done = 0
        self.best, self.idle = np.inf, 0
        # While nothing is gone, rounds that remove nothing come, too: methods tell time by them.
        is_pruned = self.fraction_done or self.dropped.any()
        n_rounds = len(self.shares) if is_pruned else 0
        while self.done < n_rounds and self._is_reached(self.done + 1):
            self.done += 1

    def take_zeros(self):
        """Take what is zero in the layers for pruned, and warn of it."""
        state = surgery.what_was_cut(self.net.module_, self.layout.names)
        if state is not None:
            self.masks = self.masks.load(state)
            self.layout = self.masks.layout
        masks = found_zeros(self.net.module_, self.layout)
        self.masks = self.masks.replaced(
            [found & mask for found, mask in zip(masks, self.masks.current, strict=True)]
        )
        if not self.masks.sparsity:
            return
        self.fraction_done = self.masks.sparsity
        named = zip(self.layout.names, self.masks.full(), strict=True)
        warn(
            "Pruner takes weights that are zero when training starts for pruned before, as those "
            "that were cut out, and keeps them at zero: "
            f"{', '.join(repr(name) for name, mask in named if not mask.all())}; the sparsity is "
            f"{self.masks.sparsity:.3f}. Where they are to be trained, leave their layers out with "
            "ignored_layers or give them small values."
        )

    @property
    def pending(self):
        """Whether rounds are still to come, masks are still moving, or the net will be another."""
        return self.done < len(self.shares) or self.moving or self.searching

    @property
    def max_epochs(self):
        """Epochs that the fit has at most."""
        return self.net.max_epochs

    @property
    def horizon(self):
        """Epochs in which rounds come."""
        return max(int(self.max_epochs * self.share_of_epochs), 1)

    def fraction(self, done):
        """Share of the weights that is to be gone after `done` rounds."""
        return self.shares[done - 1] * self.target

    def _is_reached(self, done):
        """Whether what `done` rounds are to remove is gone already."""
        if self.dropped.sum() < self.n_to_drop(self.shares[done - 1]):
            return False
        if self.target is None:
            threshold, share = self.reached
            return threshold == self.own_threshold and self.shares[done - 1] <= share
        return self.fraction(done) <= self.fraction_done

    def _count_as_done(self, done):
        """Note what the rounds up to number `done` were to remove."""
        self.done = done
        if self.target is None:
            self.fraction_done = self.masks.sparsity
            self.reached = self.own_threshold, self.shares[done - 1]
        else:
            # Where a round came for features alone, more weights have gone before.
            self.fraction_done = max(self.fraction_done, self.fraction(done))

    def refuse_features(self, reason):
        """Raise ValueError: the method ``removes no features``, or whatever the reason is."""
        raise ValueError(
            f"method={self.label} {reason}, so that prune_features={self.features!r} must be 0, in "
            "fits that it goes on from, too."
        )

    def n_to_drop(self, share):
        """Number of features that are to be gone where `share` of all that is asked for is."""
        return math.ceil(share * self.features * len(self.dropped) - 1e-9)

    def counted_in_the_end(self):
        """Masks of the net before any round, as if it had never had the features that leave."""
        n_gone = max(self.n_to_drop(1.0), int(self.dropped.sum()))
        (n_out, n_in), *others = self.layout.shapes
        return Masks(self.layout.of_shapes([(n_out, n_in - n_gone), *others]))

    @property
    def n_counted(self):
        """Number of weights that `target` is a share of: the hidden ones before any round.

        Those of features that rounds have removed do not count.
        """
        return self.masks.n_original - self.layout.shapes[0][0] * int(self.dropped.sum())

    def needs_score(self, trigger):
        """Whether the score of training is to be taken in the coming epoch."""
        due = self.rounds_due(trigger, 1, 0.0, self.idle + 1)
        return trigger.needs_score is not None or due > self.done

    def rounds_due(self, trigger, ahead, score, idle):
        """Rounds that must be done `ahead` epochs from now, `idle` of them without progress."""
        n_rounds = len(self.shares)
        if self.done == n_rounds:
            return n_rounds
        reached, horizon, patience = self.epoch + ahead, self.horizon, np.inf
        if not self.in_calls:
            horizon = min(horizon, getattr(trigger, "horizon", np.inf))
            patience = getattr(trigger, "patience", np.inf)
        elif getattr(trigger, "n_samples", None) is not None:
            reached = self.n_rows_seen + ahead * len(self.rows.training)
            horizon = trigger.n_samples
        due = trigger.rounds_due(self.done, n_rounds, reached, horizon, score)
        return max(due, self.done + (idle >= patience))

    @contextmanager
    def round(self, done, train_score=float("nan")):
        """Do the rounds up to number `done`, all of it or nothing.

        Gives the share of what is asked for that is to be gone. At the end the round counts as
        done, and has a row in `history`.
        """
        start = perf_counter()
        self._parted = False
        with self.layout.threads(), self.transaction():
            self._check_finite()
            self.coming = done
            yield self.shares[done - 1]
            if not self._parted and any(own is not None for own in self.fractions):
                raise ValueError(
                    f"method={self.label} removes its own share of every layer, so that "
                    "layer_fractions must be None."
                )
            if self.dropped.sum() < self.n_to_drop(self.shares[done - 1]):
                self.refuse_features("removes no features")
            if self.epoch:
                self.layout.renew(self.net, self.rows.training, self.fit_params)
            self._count_as_done(done)
            self.best, self.idle = np.inf, 0
            epoch = self.net.history[-1]
            row = {
                "round": done,
                "epoch": self.epoch,
                "sparsity": self.masks.sparsity,
                "live_neurons": [len(live) for live in self.masks.live_neurons],
                "train_score": train_score,
                "validation_score": epoch.get("valid_score", epoch.get("valid_acc")),
                "seconds": perf_counter() - start,
            }
            self.history = [*self.history, row]

    def _check_finite(self):
        """Raise ValueError if training has diverged: no method can tell which weights matter."""
        finite = all(_is_finite(layer.weight.detach()) for layer in self.layers)
        loss = self.net.history[-1].get("train_loss") if self.net.history else None
        if not finite or (loss is not None and not np.isfinite(loss)):
            raise ValueError(
                f"Training has diverged by epoch {self.epoch}: weights or loss are not finite, so "
                "that nothing can be pruned. The input data may contain large values and need to "
                "be preprocessed, or the learning rate is too high."
            )

    def transaction(self):
        """Context: what is done to net, masks and probes in it is done entirely, or not at all.

        Where the interrupt of a fit is caught, what is under way is undone, too.
        """
        restores = [probe.snapshot() for probe in self._probes.values()]
        net = surgery.snapshot(self.net.module_, self.net.optimizer_)
        return self._under_way.begin(net, attributes_of(self), *restores)

    def cleaning(self, action):
        """Context after which something is done in any case.

        Parameters
        ----------
        action : callable
            Called without arguments; more than once if it is interrupted.
        """
        return self._under_way.keep(action)

    def undo(self):
        """Undo what an interrupt has left half done."""
        self._under_way.undo()

    def _detach(self):
        for probe in self._probes.values():
            probe.detach()

    @property
    def fractions(self):
        """For each hidden layer the share that is to go of it, None where it has no own one."""
        return getattr(self.layout, "fractions", [None] * len(self.layout.shapes))

    def parts(self, masks):
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
        frozen = self._frozen()
        own = [d for d, share in enumerate(self.fractions) if share is not None and d not in frozen]
        common = [d for d, share in enumerate(self.fractions) if share is None and d not in frozen]
        depths = [[depth] for depth in own]
        return [self._part(masks, some) for some in ([common, *depths] if common else depths)]

    def _frozen(self):
        """Layers that somebody has frozen since training began, after a warning that names them."""
        frozen = self.layout.frozen(self.net.module_)
        if frozen:
            warn(
                f"Pruner leaves alone in this round, as they were frozen since the first batch: "
                f"{', '.join(repr(self.layout.names[depth]) for depth in frozen)}."
            )
        return frozen

    def what_asked(self, part):
        """What asks for the share of a part, for messages."""
        own = self.fractions[part.depths[0]]
        if own is None:
            return f"prune_fraction={part.target!r}"
        return f"layer_fractions[{self.layout.names[part.depths[0]]!r}]={own!r}"

    def _part(self, masks, depths):
        whole = len(depths) == len(self.fractions)
        own = self.fractions[depths[0]]
        target = self.asked if own is None else own
        share = self.shares[self.done - 1] if self.done else 0.0
        done = self.fraction_done if whole or target is None else share * target
        return Part(
            depths=depths,
            masks=masks if whole else masks.part(depths),
            floors=[self.floors[depth] for depth in depths],
            target=target,
            n_weights=self.n_weights if whole else masks.part(depths).n_original,
            n_counted=self.n_counted if whole else masks.part(depths).n_original,
            fraction_done=done,
        )

    # -- what there is ----------------------------------------------------------------------

    @property
    def layers(self):
        """Hidden layers in order, then the output layer: torch modules."""
        return self.layout.layers(self.net.module_)

    @property
    def hidden(self):
        """Hidden layers: torch modules."""
        return self.layers[:-1]

    def weights(self):
        """Weights of all layers, arrays of shape (n_out, n_in), output layer last.

        On the CPU they share memory with the net.
        """
        return [matrix(layer.weight).cpu().numpy() for layer in self.layers]

    def copied_weights(self):
        """Copies of weight and bias, or None, of every layer: arrays in the layers' shapes."""
        return [
            (_copy(layer.weight), None if layer.bias is None else _copy(layer.bias))
            for layer in self.layers
        ]

    def nonzero(self):
        """Masks of the hidden weights that are not zero."""
        return self.masks.replaced([weight != 0 for weight in self.weights()[:-1]])

    @property
    def activation(self):
        """What hidden layers apply to their outputs: a `HiddenActivation`, or None if not known."""
        return self.layout.activation(self.net.module_)

    @property
    def factors(self):
        """For every hidden layer the two factors of its weights (n_out, n_in), or None."""
        probe = self.probe("Factors")
        if probe is None:
            return [None] * len(self.masks.current)
        return [found and (found.left, found.right) for found in probe.layers]

    def require_own_weights(self):
        """Raise ValueError for a layer that computes its weight from other parameters."""
        for layer in self.layers:
            if "weight" not in dict(layer.named_parameters(recurse=False)):
                names = {part: name for name, part in self.net.module_.named_modules()}
                raise ValueError(
                    f"method={self.label} sets weights, which those of {names[layer]!r} cannot be: "
                    "this layer computes them from other parameters."
                )

    def require_chain(self, what="which layer feeds which"):
        """Raise ValueError where the layers are no chain, of which it is known `what` is needed."""
        self.layout.require_chain(self.label, self.net.module_, what)

    @torch.no_grad()
    def forward(self, X):
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
    def outputs(self, X):
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
    def responses(self, X):
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

    def importances(self, last, kept):
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
    def input_sums(self, X, row_weight):
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
    def outgoing(self, rates, n_rows):
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

    def signs(self, shape):
        """Random signs, a tensor of a shape."""
        return torch.from_numpy(self.random_state.choice([-1.0, 1.0], tuple(shape)))

    def gradients(self, rows, output=False):
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
        return self._derivatives(rows, self.layers if output else self.hidden, _gradient)

    def hessian_products(self, rows, vectors):
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
        layers = self.layers[: len(vectors)]
        vectors = [
            torch.as_tensor(vector).to(layer.weight).reshape(layer.weight.shape)
            for layer, vector in zip(layers, vectors, strict=True)
        ]
        try:
            return self._derivatives(rows, layers, partial(_hessian_product, vectors=vectors))
        except RuntimeError as error:
            if "not implemented" not in str(error):
                raise
            raise ValueError(
                f"method={self.label} needs second derivatives of the loss, which torch does not "
                f"have of all that {type(self.net.module_).__name__} does: {error}"
            ) from error

    def _derivatives(self, rows, layers, derive):
        """What `derive` gives for loss and weights of batches of rows, averaged over them."""
        parameters = [p for layer in layers for p in layer.parameters()]
        frozen = [p for p in parameters if not p.requires_grad]
        self.net.module_.eval()
        with self.cleaning(partial(require_gradients, frozen, False)):
            require_gradients(frozen, True)
            # A parametrized layer would compute another tensor in every pass.
            with parametrize.cached():
                return self._averaged(rows, [layer.weight for layer in layers], derive)

    def _averaged(self, rows, weights, derive):
        net, training = self.net, self.rows.training
        row_weight = getattr(training, "sample_weight", None)
        if row_weight is None:
            row_weight = np.ones(len(training))
        sums = [torch.zeros_like(weight) for weight in weights]
        for some in self.rows.in_batches(rows):
            X, y = training[some]
            # Of a target that is an array, the loss makes a tensor.
            y = y if isinstance(y, np.ndarray) else to_device(y, net.device)
            loss = net.get_loss(net.infer(X, **self.fit_params), y, X=X, training=False)
            share = float(row_weight[some].sum() / row_weight[rows].sum())
            for total, found in zip(sums, derive(loss, weights), strict=True):
                if found is not None:
                    total.add_(found, alpha=share)
        return [matrix(total).cpu().numpy() for total in sums]

    def flows(self):
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
    def _naming_method(self):
        """Let errors about the module name the method."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"method={self.label} cannot be used: {error}") from error

    def step_gradients(self):
        """Gradients of the current step, after the backward pass: tensors (n_out, n_in).

        Those of masked weights are there, too. In the nets of this package the L2 penalty is in
        them. Where a layer is not trained they are zero.

        Raises
        ------
        ValueError
            For a layer that computes its weight from other parameters: it has no such gradient.
        """
        hidden = self.hidden
        for layer in hidden:
            if parametrize.is_parametrized(layer, "weight"):
                names = {part: name for name, part in self.net.module_.named_modules()}
                raise ValueError(
                    f"method={self.label} needs gradients, which training does not give for "
                    f"{names[layer]!r}: this layer computes its weight from other parameters."
                )
        weights = [layer.weight for layer in hidden]
        return [matrix(torch.zeros_like(w) if w.grad is None else w.grad) for w in weights]

    @property
    def shrinkage(self):
        """What the coming step leaves of a weight by decoupled decay, if it is not the optimizer's.

        In `Method.on_gradient`, the weights of the layers have shrunk already.
        """
        return getattr(self.net, "shrinkage", 1.0)

    # -- what may be done -------------------------------------------------------------------

    def watch(self, probe, name=None):
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
        name = name or type(probe).__name__
        found = self._probes.get(name, probe)
        if name in self._saved:
            found.load(self._saved[name])
        self._saved = {key: state for key, state in self._saved.items() if key != name}
        self._probes = self._probes | {name: found}
        found.attach(self)
        return found

    def probe(self, name):
        """Probe that is watched under a name, or None."""
        return self._probes.get(name)

    def check_unlabeled_are_used(self):
        """Raise ValueError if unlabelled rows were given and no probe looks at them."""
        if self.rows.unlabeled is None:
            return
        if not any(probe.reads_rows for probe in self._probes.values()):
            raise ValueError(
                f"method={self.label} does not count who fires, so that unlabeled rows "
                "(X_unlabeled of fit, unlabeled of Pruner) must be None."
            )

    def keep(self, masks, *, cut=True, hold=True, refit=None):
        """Set the weights to zero that `masks` do not have, with what the optimizer knows of them.

        Where the layers are a chain, neurons that lose all their weights are folded into the next
        biases. It is done entirely, or not at all.

        Parameters
        ----------
        masks : Masks or list of bool ndarray of shape (n_out, n_in)
            What is to be left.
        cut : bool, default=True
            Whether neurons without weights leave the layers of a chain.
        hold : bool, default=True
            Whether masked weights stay zero from now on, whatever a step of training does.
        refit : callable, optional
            How others take over from neurons that leave; see
            `skactprune.pruning.surgery.fold_and_mask`.
        """
        if not isinstance(masks, Masks):
            masks = self.masks.replaced(masks)
        with self.transaction():
            self.masks, stayed = self.layout.prune(self.net, masks, cut=cut, refit=refit)
            self._cut_probes(stayed)
            self.hold_masks(hold)

    def drop_features(self, gone, refit=None):
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
        first, mean = self.layers[0], self.probe("Features").mean
        weight = matrix(first.weight).double().cpu().numpy()
        if refit is None:
            new, change = np.where(gone, 0.0, weight), weight[:, gone] @ mean[gone]
        else:
            new, change = refit(gone, weight)
        masks = [self.masks.current[0] & ~gone, *self.masks.current[1:]]
        with self.transaction(), torch.no_grad():
            values = [torch.from_numpy(new).to(first.weight)]
            biases = [first.bias + torch.from_numpy(change).to(first.bias)]
            surgery.replace([first], self.net.optimizer_, values, biases)
            self.dropped = self.dropped | gone
            self.keep(masks, cut=False)

    def telling_features(self):
        """Which features are read and vary, a bool ndarray of shape (n_features,)."""
        features = self.probe("Features")
        if features.deviation is None:
            raise ValueError(
                f"prune_features={self.features!r} needs rows that are an array of numbers."
            )
        return features.vary & self.masks.current[0].any(axis=0)

    def hold_masks(self, holds=True):
        """Hold the masked weights of now at zero after every step, or none of them."""
        self.holds = holds
        self._held = [
            pair
            for layer, mask in zip(self.hidden, self.masks.current, strict=True)
            if holds and not mask.all()
            for pair in surgery.held_at_zero(
                layer, torch.from_numpy(mask).to(layer.weight.device).reshape(layer.weight.shape)
            )
        ]

        if holds:
            self._held += self.layout.held_besides(self.net.module_, self.masks)

    def is_held(self):
        """Whether the masked weights that are held are zero, as they are after every step.

        Where training has diverged they are NaN, which nobody has written.
        """
        held = (parameter.detach()[mask == 0] for parameter, mask in self._held)
        return not any(values[~values.isnan()].any() for values in held)

    def zero_masked(self):
        """Set the masked weights that are held to zero."""
        for parameter, mask in self._held:
            parameter.detach().mul_(mask)

    def restore(self, weights):
        """Give all layers these weights and biases, as `copied_weights` gave them."""
        layers = self.layers
        with self.transaction(), torch.no_grad():
            values = [
                torch.tensor(weight).to(layer.weight)
                for layer, (weight, _) in zip(layers, weights, strict=True)
            ]
            surgery.replace(layers, self.net.optimizer_, values)
            for layer, (_, bias) in zip(layers, weights, strict=True):
                if bias is not None:
                    layer.bias.data = torch.tensor(bias).to(layer.bias)

    def redraw(self, random_state=None):
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

    def forget_optimizer(self, masks=None):
        """Let the optimizer start anew, for all weights or, with `masks`, for single ones.

        Parameters
        ----------
        masks : list of bool ndarray of shape (n_out, n_in), default=None
            True for the hidden weights whose moments become zero.
        """
        optimizer = self.net.optimizer_
        if masks is None:
            surgery.forget(optimizer, list(self.net.module_.parameters()))
            return
        kept = [~mask for mask in masks]
        hidden = self.hidden
        surgery.replace(hidden, optimizer, [layer.weight.data for layer in hidden], masks=kept)

    def is_of(self, net):
        """Whether the module of a net is the one that was trained so far, or a copy of it."""
        never_saw_a_batch = not self.layout.traced and not self.epoch
        same = self.module in (None, net.module_) and self.layout.is_of(net.module_, self.masks)
        return same and not never_saw_a_batch

    # -- for the pruner ---------------------------------------------------------------------

    def start(self, net):
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

    def warn_if_awake(self, when):
        """Warn if somebody has written into pruned weights; they are zero again afterwards."""
        if not self.is_held():
            self.zero_masked()
            warn(
                f"{when}, weights that had been pruned were written into (by load_params, or a "
                "callback that brings weights back from before a round). They are zero again: the "
                f"sparsity is {self.masks.sparsity:.3f}, and the other weights are those that were "
                "written."
            )

    def see(self, training, unlabeled, fit_params=None):
        """Hear of the rows of this fit, and of what the module gets besides."""
        self.fit_params = fit_params or {}
        self.rows = Rows(training, unlabeled, self.random_state, self.net.batch_size)

    def begin(self, method):
        """Let a method begin, entirely or not at all."""
        with self.transaction(), self._under_way.begin(self._detach):
            method.begin(self)
            self.check_unlabeled_are_used()
            self.begun = True

    @property
    def watches(self):
        """Whether there is anything to be done for every batch."""
        return bool(self._held) or any(p.hears_batches for p in self._probes.values())

    def tallies(self):
        """Tallies of the hidden layers, where all that watches batches can be had from them.

        Returns
        -------
        list of skactprune.nets.tally.Tally or None
        """
        hearing = [probe for probe in self._probes.values() if probe.hears_batches]
        return hearing[0].tallies() if len(hearing) == 1 and not self._held else None

    def begin_batch(self, batch, weight):
        """Tell the probes of a batch of training."""
        for probe in self._probes.values():
            probe.begin_batch(batch, weight)

    def end_batch(self, batch, pre_activations):
        """Tell the probes that its step is done."""
        for probe in self._probes.values():
            probe.end_batch(batch, pre_activations)

    def end_epoch(self):
        """Tell the probes of the end of an epoch."""
        self.epoch += 1
        if self.in_calls:
            self.n_rows_seen += len(self.rows.training)
        reached = _progress_of(self.net.history[-1])
        improved = reached < self.best - TOL
        self.best, self.idle = min(self.best, reached), 0 if improved else self.idle + 1
        for probe in self._probes.values():
            probe.end_epoch(self)

    def end(self, told, checks):
        """End a fit: what belongs to it alone goes, and what an interrupt has left half done.

        Parameters
        ----------
        told : skorch.callbacks.Callback
            Callback that was told of the end.
        checks : bool
            Whether pruned weights should be zero by now.
        """
        self.undo()
        self.restore_world()
        self._detach()
        if checks:
            forget_best(self, save=True)
            self.warn_if_awake("When training ended")
        self.zero_masked()

    def finish(self, told, cut):
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
            have_last_word(self, cut=cut)
        else:
            self.last_word(cut)

    def last_word(self, cut):
        """End a fit, after `cut` where that is asked for."""
        if cut and not any(self.masks.sizes):
            self.cut()
        self.rows = None

    def cut(self):
        """Let neurons leave that do nothing, where it is known whom they feed; or all stay.

        The net predicts what it did. Where that is not so for a batch, as its module does
        something else with its layers besides calling them, it stays as it is, with a warning.
        """
        net, training = self.net, self.rows.training
        surgery.give_own_module(net)
        self.module = net.module_
        n_before = sum(p.numel() for p in net.module_.parameters())
        before = outputs_of(net, training, self.fit_params)
        try:
            with self.transaction():
                self._cut()
                check_same(before, outputs_of(net, training, self.fit_params))
        except Exception as error:
            warn(
                f"Pruner leaves the shapes of {type(net.module_).__name__} as they are, with "
                f"masked weights: without the neurons that have none it would not predict what it "
                f"does ({error})."
            )
        if sum(p.numel() for p in net.module_.parameters()) < n_before:
            surgery.note_cut(net.module_, self.layout.names, self.masks.state())
            save_best(net)

    def _cut(self):
        merge = all(probe.may_merge for probe in self._probes.values())
        self.masks, stayed = self.layout.cut(self.net, self.masks, merge)
        self._cut_probes(stayed)
        self.hold_masks(self.holds)

    def _cut_probes(self, stayed):
        if not all(kept.all() for kept in stayed):
            for probe in self._probes.values():
                probe.cut(stayed)
            # What other methods have left is cut by nobody: they would begin anew.
            self._saved = {}

    def restore_world(self):
        """Leave the calling thread as it was at the start, whatever an interrupt has left."""
        if self._world is not None:
            self._world.restore()

    def state(self):
        """What `load` needs: arrays, numbers, and lists and dicts of them."""
        probes = {name: probe.state() for name, probe in self._probes.items()}
        state = {name: getattr(self, name) for name in STATE}
        return state | {"masks": self.masks.state(), "probes": self._saved | probes}

    def load(self, state):
        """Go on where `state` was taken, with a net of the same sizes."""
        vars(self).update({name: state[name] for name in STATE})
        self.masks = self.masks.load(state["masks"])
        self.layout = self.masks.layout
        self._saved = dict(state["probes"])

    def __getstate__(self):
        return vars(self) | dict.fromkeys(OF_A_FIT)


def _gradient(loss, weights, **options):
    return torch.autograd.grad(loss, weights, allow_unused=True, **options)


def _hessian_product(loss, weights, vectors):
    gradients = _gradient(loss, weights, create_graph=True)
    # Without a graph a gradient depends on no weight.
    slopes = [
        (gradient * vector).sum()
        for gradient, vector in zip(gradients, vectors, strict=True)
        if gradient is not None and gradient.requires_grad
    ]
    return _gradient(sum(slopes), weights) if slopes else [None] * len(weights)


def _is_finite(tensor):
    if tensor.is_cpu and tensor.dtype in (torch.float32, torch.float64):
        # It takes a tenth of torch's time.
        return np.isfinite(tensor.numpy()).all()
    return tensor.isfinite().all()


def _progress_of(epoch):
    """What is to fall: the negative score on validation rows, or the loss."""
    if "valid_score" in epoch:
        return -epoch["valid_score"]
    return epoch.get("valid_loss", epoch.get("train_loss", np.inf))


def _copy(parameter):
    return np.array(parameter.detach().cpu().numpy())
