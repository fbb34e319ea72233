"""Optimal Brain Surgeon on the outputs of neurons."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.methods.base import CountingMethod
from skactprune.pruning.gains import outgoing_of_chain
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.probes.features import Features
    from skactprune.pruning.probes.outputs import InputMoments, Moments, OutputMoments
    from skactprune.pruning.run import Run

# Rows whose outputs are looked at in a round.
N_ROWS = 2000
# Rows of which slopes of outputs are taken, where it is not known who feeds whom.
N_SLOPES = 500
# Part of the mean variance that is added to the variance of every neuron: few rows overstate how
# well neurons tell each other.
RIDGE = 0.1
# Neurons that leave before what they change in the others is computed, in one product.
BLOCK = 32
# Features up to which it is asked how well others stand in for them.
MOST_FEATURES = 2000
# Matrices up to this size are inverted at once.
SMALL = 64
# Part of a number below which a difference from it has lost digits, and one that is all rounding.
CANCELLED, ROUNDING = 1e-4, 1e-12


# A net that has diverged gives infinities here without a warning: its scores are refused later.


@register("activation_surgeon")
class ActivationSurgeon(CountingMethod):
    """Remove the neurons for which the others of their layer can best stand in, and let them.

    A neuron leaves at the cost of what cannot be told of its output by a linear function of the
    others', times its outgoing weights, each with the gain of the neuron that it goes to: the
    error that is left in the logits. The lowest cost goes first, one neuron after the other. The
    outgoing weights and the biases of the next layer are refitted by ridge regression, so that
    those that stay take over. Gains are those of the firing counts: a neuron hands on what it
    gets where it fires, which is exact for ReLU. Covariances are of the outputs in evaluation mode
    on up to 2000 of the training rows at hand, or of the unlabelled ones, at each round.

    The score of a single weight, or of those of a block, is the geometric mean of ``abs(w_ij)`` and
    ``abs(w_ij) * s_i * g_j``, where s is the standard deviation of a feature, or of whether a
    neuron fires, and g the gain of a neuron, up to a factor for each layer. Nothing is refitted
    where they leave.

    With `prune_features`, features leave one after the other, too, each in units of its standard
    deviation, and the others take over. Their cost is their whole variance times their weights, as
    these have become by then, with the gains of the first neurons: nobody could tell the features
    that a net has only learned noise from, which would stay. Where more than 2000 are left, or no
    neurons leave, none takes over.

    Parameters
    ----------
    {granularity}
    scope : {"layer", "global"}, default="global"
        The same share of every layer, or the lowest scores of all layers; the cost of a neuron
        is then that for each weight that leaves with it. So narrow layers keep what they need.
    {schedule, reset_counts}

    Notes
    -----
    A round takes a forward pass over the sample and on the order of n**3 operations for a layer of
    n neurons, most of them in matrix products. The ridge is a tenth of the mean variance.

    In nets whose layers are not known to be a chain, as those of `PrunedMLPClassifier` are, nothing
    is refitted: training alone lets the others take over. A channel of a convolution is a neuron
    with a row for every position, and puts out what is positive of what its nonlinearity gets. What
    stands for outgoing weights and gains are the slopes of the output layer's outputs in that, on
    up to 500 rows, and s is the deviation of what a weight reads.

    References
    ----------
    Hassibi & Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon", NIPS
    1992 (cost and update). Dong, Chen & Pan, "Learning to prune deep neural networks via layer-wise
    Optimal Brain Surgeon", NIPS 2017 (layer-wise error). Frantar & Alistarh, "Optimal Brain
    Compression", NeurIPS 2022, and Kurtic, Frantar & Alistarh, "ZipLM: Inference-aware structured
    pruning of language models", NeurIPS 2023 (the cost of a group of weights, one group after the
    other). Tang, Wang, Thiele & Saukh, "GRAIL: Post-hoc compensation by linear reconstruction for
    compressed networks", CPAL 2026, arXiv:2602.23795 (those that stay take over by ridge
    regression). Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms
    17(1):48, 2024 (counts).
    """

    regrow = False
    outputs_: OutputMoments
    features_: Features
    inputs_: InputMoments
    moments_: list[Moments]
    outgoing_: list[NDArray[np.float64]]
    told_: tuple[NDArray[np.integer], NDArray[np.float64], Moments] | None

    def __init__(
        self,
        granularity: Granularity = "auto",
        scope: Scope = "global",
        schedule: ScheduleLike = "cubic",
        reset_counts: bool = False,
    ) -> None:
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule
        self.reset_counts = reset_counts

    @property
    def refits(self) -> bool:
        """Whether neurons leave, so that others take over."""
        return self.granularity in ("auto", "neuron")

    def begin(self, run: Run) -> None:
        """Count who fires, and see how features and outputs vary."""
        from skactprune.pruning.probes import Features, InputMoments, OutputMoments

        super().begin(run)
        self.outputs_ = run.watch(OutputMoments(N_ROWS))
        if self.granularity != "neuron":
            self.features_ = run.watch(Features())
            self.inputs_ = run.watch(InputMoments(N_ROWS))

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Costs of neurons, or scores of weights."""
        self.moments_ = self.outputs_.take(run)
        self.outgoing_ = run.outgoing(self.firing_.rates, N_SLOPES)
        if not self.refits:
            return self.weight_scores(run)
        triples = zip(self.moments_, self.outgoing_, run.masks.current, strict=True)
        return [neuron_scores(of.covariance, out, mask) for of, out, mask in triples]

    def weight_scores(self, run: Run) -> list[NDArray[Any]]:
        """Scores of single weights."""
        firing, look = self.firing_, partial(self.inputs_.deviations, run)
        inputs = run.layout.per_input(self.features_.deviation, firing.deviations, look)
        layers = zip(run.weights(), firing.rates, self.outgoing_, inputs, strict=False)
        return [weight_scores(*layer) for layer in layers]

    @np.errstate(over="ignore", invalid="ignore")
    def feature_scores(self, run: Run) -> NDArray[Any]:
        """Costs of features."""
        features, told = run.probe("Features"), np.flatnonzero(run.telling_features())
        deviation, scores = features.deviation[told], np.zeros(len(features.deviation))
        outgoing = input_weights(run.weights(), self.firing_.rates)[:, told] * deviation
        self.told_ = None
        if not 0 < len(told) <= MOST_FEATURES:
            scores[told] = np.square(outgoing).sum(axis=0)
            return scores
        moments = features.moments(run, N_ROWS, told)
        self.told_ = told, deviation, moments
        scores[told] = elimination_costs(moments.covariance, outgoing, whole=True)
        return scores

    def remove_features(self, run: Run, gone: NDArray[np.bool_]) -> None:
        """Let the others take over from features, where these are not too many."""
        if self.told_ is None or not self.refits:
            super().remove_features(run, gone)
            return
        told, deviation, moments = self.told_
        mean, mask = run.probe("Features").mean, run.masks.current[0][:, told]

        def refit(
            gone: NDArray[np.bool_], weight: NDArray[np.float64]
        ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            new, constant = np.where(gone, 0.0, weight), gone.copy()
            scaled, change = take_over(moments, gone[told], weight[:, told] * deviation, mask)
            new[:, told], constant[told] = scaled / deviation, False
            return new, change + weight[:, constant] @ mean[constant]

        run.drop_features(gone, refit)

    def remove(self, run: Run, masks: Masks) -> None:
        """Let the others take over where whole neurons leave, and keep `masks`."""
        moments = self.moments_

        def refit(
            depth: int,
            gone: NDArray[np.bool_],
            outgoing: NDArray[Any],
            mask: NDArray[np.bool_] | None,
        ) -> tuple[NDArray[Any], NDArray[Any]]:
            return take_over(moments[depth], gone, outgoing, mask)

        run.keep(masks, refit=refit if self.refits else None)


def neuron_scores(
    covariance: NDArray[Any], outgoing: NDArray[Any], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Error in the logits after the others have taken over, for each weight that leaves.

    Parameters
    ----------
    covariance, outgoing : ndarray
        As for `elimination_costs`.
    mask : bool ndarray of shape (n_out, n_in)
        Weights that are left.

    Returns
    -------
    ndarray of shape (n_out, 1)
    """
    n_weights = np.maximum(mask.sum(axis=1), 1)
    return (elimination_costs(covariance, outgoing) / n_weights)[:, None]


@np.errstate(over="ignore", invalid="ignore")
def weight_scores(
    weight: NDArray[Any],
    rate: NDArray[Any],
    outgoing: NDArray[Any],
    input_deviation: NDArray[Any] | None,
) -> NDArray[Any]:
    """abs(w) times the root of the deviation of its input and of the gain of its neuron.

    Parameters
    ----------
    weight : ndarray of shape (n_out, n_in)
        Weights.
    rate : ndarray of shape (n_out,)
        Firing rates of the neurons.
    outgoing : ndarray of shape (n_next, n_out)
        As from `outgoing_of_chain`.
    input_deviation : ndarray of shape (n_in,) or (n_out, n_in), or None
        Standard deviations of the inputs, where they are known.

    Returns
    -------
    ndarray of shape (n_out, n_in)
    """
    gain = np.sqrt(rate * np.square(outgoing).sum(axis=0))
    gain /= np.sqrt(np.mean(gain**2)) or 1.0
    score = np.sqrt(gain)[:, None] * np.abs(weight)
    return score if input_deviation is None else score * np.sqrt(input_deviation)


@np.errstate(over="ignore", invalid="ignore")
def input_weights(weights: list[NDArray[Any]], rates: list[NDArray[Any]]) -> NDArray[np.float64]:
    """Weights out of the features, each times the gain of its neuron; see `outgoing_of_chain`.

    Parameters
    ----------
    weights, rates : list of ndarray
        As for `outgoing_of_chain`.

    Returns
    -------
    ndarray of shape (n_first, n_features)
    """
    gain = np.sqrt(rates[0] * np.square(outgoing_of_chain(weights, rates)[0]).sum(axis=0))
    return gain[:, None] * weights[0].astype(np.float64)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def elimination_costs(
    covariance: NDArray[Any], outgoing: NDArray[Any], whole: bool = False
) -> NDArray[np.float64]:
    """Cost of removing neurons one after the other, always the one that costs least.

    A neuron that leaves is replaced by a linear function of those that stay, whose outgoing weights
    take it over. Its cost is what ridge regression leaves of its variance, the penalty included:
    ``1 / inv(C + λ I)[j, j] - λ``, times the squared norm of its outgoing weights (Hassibi & Stork
    1992, eq. 5, with the least-squares problem of the next layer for the loss). λ is `RIDGE` times
    the mean variance.

    Parameters
    ----------
    covariance : ndarray of shape (n, n)
        Covariances C of the outputs of the neurons.
    outgoing : ndarray of shape (n_next, n)
        Their outgoing weights.
    whole : bool, default=False
        Whether the cost is that of a whole variance of 1, times the squared norm, whatever the
        others tell of it.

    Returns
    -------
    ndarray of shape (n,)
        Costs that rise in the order in which neurons leave; NaN where anything is not finite.
    """
    n = len(covariance)
    if not (np.isfinite(covariance).all() and np.isfinite(outgoing).all()):
        return np.full(n, np.nan)
    ridge = _ridge(covariance)
    system = np.concatenate([_precision(covariance, ridge), outgoing.T], axis=1)
    left, order, costs = np.arange(n), [], []
    while len(left):
        block = _Block(system, ridge, whole)
        for _ in range(min(BLOCK, len(left))):
            costs.append(block.remove_next())
        order.append(left[block.gone])
        stays, system = block.rest()
        left = left[stays]
    # What overflows on the way is an infinite cost, or none.
    if not np.isfinite(costs).all():
        return np.full(n, np.nan)
    found = np.empty(n)
    # Later costs that are lower were not to be had before. Equal ones keep the order, but for
    # those of 0, which are as good as each other.
    found[np.concatenate(order)] = np.maximum.accumulate(costs) * (1 + 1e-9 * np.arange(n) / n)
    return found


class _Block:
    """Neurons that leave one by one, before all that they change in the others is computed.

    Only what a choice needs is kept up to date: diagonal of the precision, and norms of outgoing
    weights. The row of a neuron is brought up to date when it leaves, and those of the neurons that
    stay in `rest`, once, in one product.

    Parameters
    ----------
    system : ndarray of shape (n, n + n_next)
        A row for each neuron that is there: that of the precision, which is the inverse covariance,
        and its outgoing weights.
    ridge : float
        λ.
    whole : bool
        As for `elimination_costs`.

    Attributes
    ----------
    gone : list of int
        Which have left, in order.
    """

    def __init__(self, system: NDArray[np.float64], ridge: float, whole: bool) -> None:
        n, size = len(system), min(BLOCK, len(system))
        self._system, self._ridge, self._whole = system, ridge, whole
        self._outgoing = system[:, n:].copy()
        self._diagonal = system.diagonal().copy()
        self._half_norms = 0.5 * np.square(self._outgoing).sum(axis=1)
        self._least = CANCELLED * self._half_norms
        # Rows of those that left, and how much of these goes to each of the others.
        self._rows, self._shares = np.empty((size, system.shape[1])), np.empty((size, n))
        self._work, self._is_low = np.empty(n), np.empty(n, dtype=bool)
        self.gone: list[int] = []

    def remove_next(self) -> float:
        """Remove the neuron that costs least, and return the cost."""
        diagonal, ridge, n, k = self._diagonal, self._ridge, len(self._work), len(self.gone)
        cost = self._costs()
        j = int(cost.argmin())
        self.gone.append(j)
        is_told = not self._whole and 1 / diagonal[j] - ridge < ROUNDING * ridge
        found = 0.0 if is_told else 2 * float(cost[j])
        rows, shares = self._rows[: k + 1], self._shares[: k + 1]
        row, share = rows[k], shares[k]
        np.subtract(self._system[j], shares[:k, j] @ rows[:k], out=row)
        np.divide(row[:n], diagonal[j], out=share)
        diagonal -= np.multiply(share, row[:n], out=self._work)
        # |o - s h|² = |o|² - 2 s (o h - s |h|² / 2), where o is without what left before.
        handed = row[n:]
        before = rows[:, n:] @ handed
        before[k] *= 0.5
        change = np.dot(self._outgoing, handed, out=self._work)
        change -= before @ shares
        change *= share
        self._half_norms -= change
        # At an infinite cost it is not chosen again.
        self._half_norms[j], diagonal[j] = np.inf, 0.5 / ridge
        self._renew_low_norms()
        return found

    def _costs(self) -> NDArray[np.float64]:
        """Half of the costs, in a place that is written to again."""
        cost = self._work
        if self._whole:
            cost[:] = self._half_norms
            return cost
        np.divide(1, self._diagonal, out=cost)
        cost -= self._ridge
        cost *= self._half_norms
        return cost

    def _renew_low_norms(self) -> None:
        """Compute those norms anew that are differences of much higher ones."""
        low = np.less(self._half_norms, self._least, out=self._is_low)
        if np.count_nonzero(low):
            at, k = np.flatnonzero(low), len(self.gone)
            handed = self._rows[:k, len(low) :]
            outgoing = self._outgoing[at] - self._shares[:k, at].T @ handed
            self._half_norms[at] = 0.5 * np.square(outgoing).sum(axis=1)
            self._least[at] = 0
        least = np.multiply(self._half_norms, CANCELLED, out=self._work)
        np.maximum(self._least, least, out=self._least)

    def rest(self) -> tuple[NDArray[np.integer], NDArray[np.float64]]:
        """Which neurons stay, and their system."""
        n = len(self._system)
        stays = np.ones(self._system.shape[1], dtype=bool)
        stays[self.gone] = False
        columns = np.flatnonzero(stays)
        at = columns[: np.searchsorted(columns, n)]
        system = self._system.take(at, axis=0).take(columns, axis=1)
        system -= self._shares.take(at, axis=1).T @ self._rows.take(columns, axis=1)
        return at, system


def _precision(covariance: NDArray[Any], ridge: float) -> NDArray[Any]:
    """Inverse of the covariance, the ridge included."""
    regular = covariance + ridge * np.eye(len(covariance))
    try:
        return _inverse(regular)
    except np.linalg.LinAlgError:
        # No eigenvalue is below the ridge, but by rounding.
        values, vectors = np.linalg.eigh(regular)
        return vectors / np.maximum(values, ridge) @ vectors.T


def _inverse(matrix: NDArray[Any]) -> NDArray[Any]:
    """Inverse of a positive definite matrix by halves, mostly products.

    That is three times as fast as `numpy.linalg.inv`. scipy brings a BLAS of its own, whose threads
    and numpy's would wait for each other.
    """
    n = len(matrix)
    if n <= SMALL:
        inverse = np.linalg.inv(np.linalg.cholesky(matrix))
        return inverse.T @ inverse
    a, b = slice(n // 2), slice(n // 2, n)
    first = _inverse(matrix[a, a])
    told = matrix[b, a] @ first
    second = _inverse(matrix[b, b] - told @ matrix[a, b])
    crossed = second @ told
    inverse = np.empty_like(matrix)
    inverse[a, a] = first + told.T @ crossed
    inverse[b, a], inverse[a, b] = -crossed, -crossed.T
    inverse[b, b] = second
    return inverse


def take_over(
    moments: Moments,
    gone: NDArray[np.bool_],
    outgoing: NDArray[Any],
    mask: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Let the neurons that stay stand in for those that leave, as well as they can on average.

    Parameters
    ----------
    moments : skactprune.pruning.probes.outputs.Moments
        Of the outputs of all neurons.
    gone : bool ndarray of shape (n,)
        Those that leave.
    outgoing : ndarray of shape (n_next, n)
        Outgoing weights.
    mask : bool ndarray of shape (n_next, n), default=None
        Outgoing weights that may change; None lets all of them.

    Returns
    -------
    weights : ndarray of shape (n_next, n)
        New outgoing weights by ridge regression; those of the neurons that leave are 0.
    biases : ndarray of shape (n_next,)
        To be added to the biases of the next layer, so that its mean stays.
    """
    stays = ~gone
    covariance, lost = moments.covariance, outgoing[:, gone]
    precision = _precision(covariance[stays][:, stays], _ridge(covariance))
    change = lost @ covariance[gone][:, stays] @ precision
    if mask is not None:
        change = change * mask[:, stays]
    weights = np.where(gone, 0.0, outgoing)
    weights[:, stays] += change
    return weights, lost @ moments.mean[gone] - change @ moments.mean[stays]


def _ridge(covariance: NDArray[Any]) -> float:
    variance = np.trace(covariance) / max(len(covariance), 1)
    return RIDGE * variance or 1.0
