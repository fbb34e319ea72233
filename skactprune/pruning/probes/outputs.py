"""What the neurons of a layer put out together."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from skactprune.pruning.probes.base import Probe

# A net that has diverged gives infinities here without a warning: its scores are refused later.


@dataclass(frozen=True)
class Moments:
    """Moments of the outputs of a hidden layer over rows.

    Attributes
    ----------
    mean : ndarray of shape (n_out,)
        Mean output of every neuron.
    covariance : ndarray of shape (n_out, n_out)
        Covariances of the outputs, in float64.
    """

    mean: np.ndarray
    covariance: np.ndarray


class OutputMoments(Probe):
    """Moments of the outputs of the hidden layers of a chain, in evaluation mode.

    Parameters
    ----------
    n_rows : int
        They are of so many of the watched rows, drawn anew whenever they are taken.
    """

    reads_rows = True

    def __init__(self, n_rows):
        self.n_rows = n_rows

    def attach(self, run):
        """Raise ValueError where it is not known which layer feeds which."""
        run.require_chain()

    def take(self, run):
        """Moments of the weights of now.

        Parameters
        ----------
        run : Run
            The run. Rows with weights count with them.

        Returns
        -------
        list of Moments
            One for every hidden layer.
        """
        dataset = run.rows.watched
        batches = run.rows.in_batches(run.rows.sample(self.n_rows))
        weight = getattr(dataset, "sample_weight", None)
        if weight is not None:
            weight = np.asarray(weight, dtype=np.float64)[np.concatenate(batches)]
            weight = weight if weight.any() else None
        inputs, handles = [], []
        with run.cleaning(partial(_remove, handles)):
            for layer in run.layers[1:]:
                taken = []
                inputs.append(taken)
                handles.append(layer.register_forward_pre_hook(partial(_take, taken)))
            for rows in batches:
                run.forward(dataset[rows][0])
        return [_moments(torch.cat(h).cpu().double().numpy(), weight) for h in inputs]


@np.errstate(over="ignore", invalid="ignore")
def _moments(h, weight):
    mean = np.average(h, axis=0, weights=weight)
    centered = h - mean
    weighted = centered if weight is None else centered * weight[:, None]
    n_rows = len(h) if weight is None else weight.sum()
    return Moments(mean, centered.T @ weighted / n_rows)


def _take(taken, layer, inputs):
    taken.append(inputs[0])


def _remove(handles):
    for handle in handles:
        handle.remove()
