"""What the neurons of a layer put out together."""

from dataclasses import dataclass

import numpy as np

from skactprune.pruning.probes.base import Probe

# Numbers in the widest layer, or the rows, of a forward pass.
AT_ONCE = 2**21
# A net that has diverged gives infinities here without a warning: its scores are refused later.


@dataclass(frozen=True)
class Moments:
    """Moments of the outputs of a hidden layer, or of features, over rows.

    Attributes
    ----------
    mean : ndarray of shape (n_out,)
        Mean output of every neuron.
    covariance : ndarray of shape (n_out, n_out)
        Covariances of the outputs, in float64.
    """

    mean: np.ndarray
    covariance: np.ndarray


class Outputs(Probe):
    """Outputs of the hidden layers of a chain, in evaluation mode.

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
        """Outputs by the weights of now.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        outputs : list of ndarray of shape (n_rows, n_out)
            Of every hidden layer, in float64.
        weight : ndarray of shape (n_rows,) or None
            Weights of the rows; None where all count alike.
        """
        batches, weight = self.sample(run)
        return self.of(run, batches), weight

    def of(self, run, batches):
        """Outputs of rows that were drawn before, by the weights of now.

        Parameters
        ----------
        run : Run
            The run.
        batches : list of int ndarray
            As from `sample`.

        Returns
        -------
        list of ndarray of shape (n_rows, n_out)
            Of every hidden layer, in float64.
        """
        layers = zip(*(run.outputs(run.rows.watched[rows][0]) for rows in batches), strict=True)
        return [np.concatenate(h, dtype=np.float64) for h in layers]

    def sample(self, run):
        """Draw rows.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        batches : list of int ndarray
            Indices of the rows, in batches.
        weight : ndarray of shape (n_rows,) or None
            Weights of the rows; None where all count alike.
        """
        widest = max(max(shape) for shape in run.layout.shapes)
        batches = run.rows.in_batches(run.rows.sample(self.n_rows), AT_ONCE // widest)
        weight = getattr(run.rows.watched, "sample_weight", None)
        if weight is None:
            return batches, None
        weight = np.asarray(weight, dtype=np.float64)[np.concatenate(batches)]
        return batches, weight if weight.any() else None

    def features(self, run, batches):
        """What the first layer reads of such rows, a float64 ndarray (n_rows, n_features)."""
        watched = run.rows.watched
        return np.concatenate([watched[rows][0] for rows in batches], dtype=np.float64)


class OutputMoments(Outputs):
    """Moments of the outputs of the hidden layers of a chain, in evaluation mode.

    Parameters
    ----------
    n_rows : int
        They are of so many of the watched rows, drawn anew whenever they are taken.
    """

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
        outputs, weight = super().take(run)
        return [moments_of(h, weight) for h in outputs]


class InputNorms(Outputs):
    """Norms of the inputs of the hidden layers of a chain, in evaluation mode.

    Parameters
    ----------
    n_rows : int
        They are of so many of the watched rows, drawn anew whenever they are taken.
    """

    def take(self, run):
        """Norms by the weights of now.

        Parameters
        ----------
        run : Run
            The run. Rows with weights count with them.

        Returns
        -------
        list of ndarray of shape (n_in,)
            For every hidden layer the root of the mean square of each input over the rows.
        """
        batches, weight = self.sample(run)
        ends = np.cumsum([len(rows) for rows in batches])
        weight = np.ones(ends[-1]) if weight is None else weight
        squares = [np.zeros(mask.shape[1]) for mask in run.masks.current]
        for rows, of_rows in zip(batches, np.split(weight, ends[:-1]), strict=True):
            X = run.rows.watched[rows][0]
            inputs = [np.asarray(X), *run.outputs(X)[:-1]]
            for total, h in zip(squares, inputs, strict=True):
                total += of_rows @ np.square(h, dtype=np.float64)
        return [np.sqrt(square / weight.sum()) for square in squares]


@np.errstate(over="ignore", invalid="ignore")
def moments_of(h, weight):
    """Moments of the columns of an array, which is overwritten.

    Parameters
    ----------
    h : ndarray of shape (n_rows, n_out)
        Outputs, in float64.
    weight : ndarray of shape (n_rows,) or None
        Weights of the rows.

    Returns
    -------
    Moments
    """
    mean = np.average(h, axis=0, weights=weight)
    h -= mean
    weighted = h if weight is None else h * weight[:, None]
    n_rows = len(h) if weight is None else weight.sum()
    # A matrix times itself takes half of a product.
    return Moments(mean, h.T @ weighted / n_rows)
