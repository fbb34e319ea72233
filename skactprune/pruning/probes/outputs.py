"""What the neurons of a layer put out together."""

from dataclasses import dataclass

import numpy as np

from skactprune.pruning.probes.base import Probe

# Numbers in the widest layer, or the rows, of a forward pass.
AT_ONCE = 2**21
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
        widest = max(max(shape) for shape in run.layout.shapes)
        batches = run.rows.in_batches(run.rows.sample(self.n_rows), AT_ONCE // widest)
        weight = getattr(dataset, "sample_weight", None)
        if weight is not None:
            weight = np.asarray(weight, dtype=np.float64)[np.concatenate(batches)]
            weight = weight if weight.any() else None
        outputs = [run.outputs(dataset[rows][0]) for rows in batches]
        layers = zip(*outputs, strict=True)
        return [_moments(np.concatenate(h, dtype=np.float64), weight) for h in layers]


@np.errstate(over="ignore", invalid="ignore")
def _moments(h, weight):
    """Moments of an array, which is overwritten."""
    mean = np.average(h, axis=0, weights=weight)
    h -= mean
    weighted = h if weight is None else h * weight[:, None]
    n_rows = len(h) if weight is None else weight.sum()
    # A matrix times itself takes half of a product.
    return Moments(mean, h.T @ weighted / n_rows)
