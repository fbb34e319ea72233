"""What the neurons of a layer put out together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from skactprune.pruning.probes.seen import SeenRun

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

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


class _Sample(Probe):
    """A sample of the watched rows."""

    reads_rows = True

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows

    def sample(self, run: SeenRun) -> tuple[list[NDArray[np.int64]], NDArray[np.float64] | None]:
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
        batches = run.rows.in_batches(run.rows.sample(self.n_rows), run.layout.at_least())
        weight = getattr(run.rows.watched, "sample_weight", None)
        if weight is None:
            return batches, None
        weight = np.asarray(weight, dtype=np.float64)[np.concatenate(batches)]
        return batches, weight if weight.any() else None

    def weighted_batches(
        self, run: SeenRun
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64] | None]]:
        """Draw rows: pairs of a batch of indices and the weights of its rows, or None."""
        batches, weight = self.sample(run)
        if weight is None:
            return [(rows, None) for rows in batches]
        ends = np.cumsum([len(rows) for rows in batches])
        return list(zip(batches, np.split(weight, ends[:-1]), strict=True))


class Outputs(_Sample):
    """Outputs of the hidden layers, in evaluation mode; see `Run.outputs`.

    Parameters
    ----------
    n_rows : int
        They are of so many of the watched rows, drawn anew whenever they are taken.
    """

    def take(self, run: SeenRun) -> tuple[list[NDArray[np.float64]], NDArray[np.float64] | None]:
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

    def of(self, run: SeenRun, batches: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float64]]:
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
        layers = zip(*(run.outputs(run.rows.look(rows)) for rows in batches), strict=True)
        return [np.concatenate(h, dtype=np.float64) for h in layers]

    def responses(self, run: SeenRun) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the output layer reads, by the weights of now.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        responses : ndarray of shape (n_rows, n_in)
            In float64.
        weight : ndarray of shape (n_rows,)
            Weights of the rows.
        """
        found, weights = [], []
        for rows, weight in self.weighted_batches(run):
            found.append(run.responses(run.rows.look(rows)))
            weight = np.ones(len(rows)) if weight is None else weight
            weights.append(np.repeat(weight, len(found[-1]) // len(rows)))
        return np.concatenate(found, dtype=np.float64), np.concatenate(weights)

    def features(self, run: SeenRun, batches: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """What the first layer reads of such rows, a float64 ndarray (n_rows, n_features)."""
        return np.concatenate([run.rows.look(rows) for rows in batches], dtype=np.float64)


class OutputMoments(_Sample):
    """Moments of the outputs of the hidden layers, in evaluation mode; see `Run.outputs`.

    Parameters
    ----------
    n_rows : int
        They are of so many of the watched rows, drawn anew whenever they are taken.
    """

    def take(self, run: SeenRun) -> list[Moments]:
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
        found: list[list[tuple[float, Moments]]] = [[] for _ in run.masks.current]
        for rows, weight in self.weighted_batches(run):
            for of_layer, h in zip(found, run.outputs(run.rows.look(rows)), strict=True):
                of_positions, total = None, float(len(h))
                if weight is not None:
                    of_positions = np.repeat(weight, len(h) // len(rows))
                    total = float(of_positions.sum())
                if total:
                    h = np.array(h, dtype=np.float64)
                    of_layer.append((total, moments_of(h, of_positions)))
        sizes = map(len, run.masks.current)
        return [pooled(parts, n_out) for parts, n_out in zip(found, sizes, strict=True)]


class InputMoments(_Sample):
    """Moments of what the hidden weights read, in evaluation mode; see `Run.input_sums`.

    Parameters
    ----------
    n_rows : int
        They are of so many of the watched rows, drawn anew whenever they are taken.
    """

    def norms(self, run: SeenRun) -> list[NDArray[np.float64]]:
        """Root of the mean square of what each weight reads, by the weights of now.

        Parameters
        ----------
        run : Run
            The run. Rows with weights count with them.

        Returns
        -------
        list of ndarray of shape (n_in,) or (n_out, n_in)
            One for every hidden layer.
        """
        return [np.sqrt(square) for _, square in self._means(run)]

    def deviations(self, run: SeenRun) -> list[NDArray[np.float64]]:
        """Standard deviation of what each weight reads; as `norms`."""
        return [np.sqrt(np.maximum(s - np.square(mean), 0.0)) for mean, s in self._means(run)]

    def _means(self, run: SeenRun) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        totals = [(np.zeros(()), np.zeros(()), 0.0) for _ in run.masks.current]
        for rows, weight in self.weighted_batches(run):
            weight = np.ones(len(rows)) if weight is None else weight
            sums = run.input_sums(run.rows.look(rows), weight)
            totals = [
                (first + more, second + more_squared, n + more_rows)
                for (first, second, n), (more, more_squared, more_rows) in zip(
                    totals, sums, strict=True
                )
            ]
        return [(first / (n or 1.0), second / (n or 1.0)) for first, second, n in totals]


@np.errstate(over="ignore", invalid="ignore")
def moments_of(h: NDArray[np.float64], weight: NDArray[np.float64] | None) -> Moments:
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


def pooled(parts: Sequence[tuple[float, Moments]], n_out: int) -> Moments:
    """Moments of all rows, from those of some of them each.

    Parameters
    ----------
    parts : list of (float, Moments)
        Sums of the weights of the rows, and their moments.
    n_out : int
        Number of columns.

    Returns
    -------
    Moments
        Zeros where there are no rows.
    """
    if len(parts) == 1:
        return parts[0][1]
    whole = sum(weight for weight, _ in parts) or 1.0
    mean = sum((weight / whole * of.mean for weight, of in parts), np.zeros(n_out))
    covariance = np.zeros((n_out, n_out))
    for weight, of in parts:
        apart = of.mean - mean
        covariance += weight / whole * (of.covariance + np.multiply.outer(apart, apart))
    return Moments(mean, covariance)
