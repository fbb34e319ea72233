"""How important: a score for every weight of a layer; the lowest scores go first.

A criterion is a function of a `LayerState`. It returns an array of the shape of the weights, or
of shape (n_out, 1) where all weights into a neuron share one score. A new criterion is one
function here and one line in `CRITERIA`; users may pass a function of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skactprune.pruning._lookup import look_up
from skactprune.pruning.outputs import elimination_costs


@dataclass(frozen=True)
class LayerState:
    """What a criterion sees of one hidden layer.

    Attributes
    ----------
    weight : ndarray of shape (n_out, n_in)
        Current weights; of a convolution, all weights into a channel in one row.
    mask : bool ndarray of shape (n_out, n_in)
        Weights not yet pruned.
    counts : ndarray of shape (n_out,) or None
        How often each neuron fired (z > 0), sample-weighted; None for a criterion that is
        registered as not using it.
    n_counted : float
        Weight of the rows in which firing was counted, so that ``counts / n_counted`` is the
        firing rate; 0 where nothing was counted.
    input_deviation : ndarray of shape (n_in,) or None
        Standard deviation of every input: of a feature that of its values, of a neuron that of
        whether it fires. None where it is not known, or for a criterion that is registered as not
        using it.
    random_state : numpy.random.RandomState
        For criteria that draw.
    covariance : ndarray of shape (n_out, n_out), default=None
        Covariances of the outputs of the neurons, in evaluation mode. Like `outgoing` only for a
        `Criterion` that says that it needs ``outputs``.
    outgoing : ndarray of shape (n_next, n_out), default=None
        Weights out of the neurons, each times the gain of where it goes; see
        `skactprune.pruning.outputs.outgoing_weights`.
    """

    weight: np.ndarray
    mask: np.ndarray
    counts: np.ndarray | None
    n_counted: float
    input_deviation: np.ndarray | None
    random_state: np.random.RandomState
    covariance: np.ndarray | None = None
    outgoing: np.ndarray | None = None


@dataclass(frozen=True)
class Criterion:
    """A score function, and what it needs.

    Parameters
    ----------
    score : callable
        Gets a `LayerState`.
    counts : bool, default=True
        Whether it needs counts of who fires.
    inputs : bool, default=True
        Whether it needs deviations of the inputs.
    outputs : bool, default=False
        Whether it needs covariances of the outputs and outgoing weights, which only a chain of
        layers has, and which take `counts`.

    Raises
    ------
    ValueError
        For `outputs` without `counts`.
    """

    score: Callable
    counts: bool = True
    inputs: bool = True
    outputs: bool = False

    def __post_init__(self):
        if self.outputs and not self.counts:
            raise ValueError("outputs=True needs counts=True: gains are those of who fires.")

    def __call__(self, layer):
        return self.score(layer)


def activation(layer):
    """Firing count of the neuron (Ganguli & Chong 2024, first score)."""
    return layer.counts[:, None]


def activation_magnitude(layer):
    """Firing count of the neuron times abs(w) (Ganguli & Chong 2024, second score)."""
    return layer.counts[:, None] * np.abs(layer.weight)


def firing_rate(counts, n_counted):
    """Share of the rows in which a neuron fires; 0 where nothing was counted."""
    # The sums of weights behind them round differently, and 1 must not be exceeded.
    return np.minimum(counts / (n_counted or 1.0), 1.0)


def deviation_of_firing(counts, n_counted):
    """Standard deviation sqrt(p (1 - p)) of whether a neuron with firing rate p fires."""
    rate = firing_rate(counts, n_counted)
    return np.sqrt(rate * (1.0 - rate))


def firing_deviation(layer):
    """abs(w) times the deviations of what it connects: its input, and the firing of its neuron.

    A neuron that never fires does nothing, one that always fires is linear, and a constant
    input is a bias: what does not vary tells nothing.
    """
    score = deviation_of_firing(layer.counts, layer.n_counted)[:, None] * np.abs(layer.weight)
    return score if layer.input_deviation is None else score * layer.input_deviation


def surgeon_neuron(layer):
    """Error in the logits after the others have taken over, for each weight that leaves."""
    n_weights = np.maximum(layer.mask.sum(axis=1), 1)
    return (elimination_costs(layer.covariance, layer.outgoing) / n_weights)[:, None]


@np.errstate(over="ignore", invalid="ignore")
def surgeon_weight(layer):
    """abs(w) times the root of the deviation of its input and of the gain of its neuron."""
    rate = firing_rate(layer.counts, layer.n_counted)
    gain = np.sqrt(rate * np.square(layer.outgoing).sum(axis=0))
    gain /= np.sqrt(np.mean(gain**2)) or 1.0
    score = np.sqrt(gain)[:, None] * np.abs(layer.weight)
    deviation = layer.input_deviation
    return score if deviation is None else score * np.sqrt(deviation)


def magnitude(layer):
    """abs(w) (Han et al. 2015; Zhu & Gupta 2017)."""
    return np.abs(layer.weight)


def random(layer):
    """Uniform noise, drawn anew in every round: the baseline of every pruning claim."""
    return layer.random_state.uniform(size=layer.weight.shape)


CRITERIA = {
    "activation": Criterion(activation, inputs=False),
    "activation_magnitude": Criterion(activation_magnitude, inputs=False),
    "firing_deviation": Criterion(firing_deviation),
    "magnitude": Criterion(magnitude, counts=False, inputs=False),
    "random": Criterion(random, counts=False, inputs=False),
    "surgeon_neuron": Criterion(surgeon_neuron, inputs=False, outputs=True),
    "surgeon_weight": Criterion(surgeon_weight, outputs=True),
}


def get_criterion(criterion):
    """Criterion of a name, or of a callable that takes a `LayerState`.

    Parameters
    ----------
    criterion : str or callable
        A name in `CRITERIA`, or a function of a `LayerState`.

    Returns
    -------
    Criterion

    Raises
    ------
    ValueError
        For an unknown name (the message lists the known ones) or anything else.
    """
    found = look_up(criterion, CRITERIA, "criterion")
    if not callable(found):
        raise ValueError(f"criterion={criterion!r} must be a name or a callable.")
    return found if isinstance(found, Criterion) else Criterion(found)
