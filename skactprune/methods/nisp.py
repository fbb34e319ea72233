"""NISP: neuron importance score propagation (Yu et al., CVPR 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune._options import SHARE, check_options
from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.probes.outputs import Outputs
    from skactprune.pruning.run import Run

# Rows whose outputs are looked at in a round.
N_ROWS = 2000
# Share of the spectral radius that paths of any length are summed up with.
FACTOR = 0.9


@register("nisp")
class NISP(ScoredMethod):
    """Remove the neurons that matter least to the important outputs of the last hidden layer.

    The importance s of the neurons of the last hidden layer is that of infinite feature selection
    (Inf-FS) of their outputs. It is propagated back, ``s_{l-1} = abs(W_l)^T s_l``, after the
    neurons of layer l that leave in this round have been given a score of zero. Outputs are those
    in evaluation mode on up to 2000 of the training rows at hand, or of the unlabelled ones, at
    each round.

    Inf-FS takes the neurons for the nodes of a graph with the edges
    ``alpha * max(d_i, d_j) + (1 - alpha) * (1 - abs(r_ij))``, where d is the standard deviation of
    a neuron and r the rank correlation (Spearman) of two. With A the matrix of the edges, the score
    of a neuron is the sum of its row in ``sum_k (c A)^k = (I - c A)^-1 - I``: of all paths that
    begin at it.

    Parameters
    ----------
    alpha : float, default=0.5
        How much deviations count against correlations, in [0, 1].
    {schedule}

    Notes
    -----
    The paper leaves the options of Inf-FS open. As in the paper on that, c is 0.9 divided by the
    spectral radius of A; as in its authors' code, the matrix of deviations is scaled to [0, 1]. The
    edges of a neuron that puts out the same for all rows, which has no correlation, are zero here.
    Rows with weights count with them. The same share of the neurons of each layer leaves, as scores
    of different layers cannot be compared.

    In nets whose layers are not known to be a chain, the scores of Inf-FS are those of all values
    that the output layer reads, which takes on the order of n**3 operations for n of them. They are
    propagated back by the slopes of a pass of ones through the net of the absolute values of all
    parameters, skipped connections and normalizations included, and summed over the positions of a
    channel.

    References
    ----------
    Yu, Li, Chen, Lai, Morariu, Han, Gao, Lin & Davis, "NISP: Pruning networks using neuron
    importance score propagation", CVPR 2018, section 3. Roffo, Melzi & Cristani,
    "Infinite feature selection", ICCV 2015.
    """

    granularity = "neuron"
    scope = "layer"
    regrow = False
    outputs_: Outputs
    left_: list[int] | None
    importance_: NDArray[np.floating]

    def __init__(self, alpha: float = 0.5, schedule: ScheduleLike = "geometric") -> None:
        self.alpha = alpha
        self.schedule = schedule

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, alpha=SHARE)
        return super().validated()

    def begin(self, run: Run) -> None:
        """Have a look at the outputs at each round."""
        from skactprune.pruning.probes import Outputs

        super().begin(run)
        self.outputs_ = run.watch(Outputs(N_ROWS))
        self.left_ = None

    def selected(self, run: Run, masks: Masks, share: float) -> list[NDArray[np.bool_]]:
        """Masks of what is to be left: first how many of each layer, then which."""
        # All scores take the same share of each layer.
        left = super().selected(run, masks, share)
        self.left_ = [int(mask.any(axis=1).sum()) for mask in left]
        left = super().selected(run, masks, share)
        self.left_ = None
        return left

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Importances, propagated back from those that will be left, once that is known."""
        left = self.left_
        if left is None:
            h, weight = self.outputs_.responses(run)
            self.importance_ = infinite_selection(h, weight, float(self.alpha))
            left = [len(mask) for mask in run.masks.current]

        def kept(depth: int, scores: NDArray[Any]) -> NDArray[Any]:
            return without_lowest(scores, left[depth])

        return [score[:, None] for score in run.importances(self.importance_, kept)]


def infinite_selection(
    h: NDArray[Any], weight: NDArray[Any] | None, alpha: float
) -> NDArray[np.floating]:
    """Scores of infinite feature selection.

    Parameters
    ----------
    h : ndarray of shape (n_rows, n_out)
        Columns to be scored.
    weight : ndarray of shape (n_rows,) or None
        Weights of the rows.
    alpha : float
        How much deviations count against correlations.

    Returns
    -------
    ndarray of shape (n_out,)
    """
    weight = np.ones(len(h)) if weight is None else weight
    h, weight = h[weight > 0], weight[weight > 0]
    varies = np.ptp(h, axis=0) > 0
    if not varies.any():
        return np.zeros(len(varies))
    deviation = np.sqrt(np.diagonal(covariance(h, weight)))
    edges = alpha * scaled(np.maximum.outer(deviation, deviation))
    rank_covariance = covariance(weighted_ranks(h, weight), weight)
    spread = np.where(varies, np.sqrt(np.diagonal(rank_covariance)), 1.0)
    correlation = np.minimum(np.abs(rank_covariance / np.outer(spread, spread)), 1.0)
    edges += (1 - alpha) * (1 - correlation)
    edges *= np.outer(varies, varies)
    radius = np.linalg.eigvalsh(edges)[-1]
    paths = np.eye(len(edges)) - FACTOR / (radius or 1.0) * edges
    return np.linalg.solve(paths, np.ones(len(edges))) - 1


def weighted_ranks(h: NDArray[Any], weight: NDArray[Any]) -> NDArray[np.float64]:
    """Share of the rows below each value of a column, those of equal values counted half.

    Parameters
    ----------
    h : ndarray of shape (n_rows, n_out)
        Values.
    weight : ndarray of shape (n_rows,)
        Weights of the rows.

    Returns
    -------
    ndarray of shape (n_rows, n_out)
    """
    ranks = np.empty(h.shape)
    for column, rank in zip(h.T, ranks.T, strict=True):
        _, of_row = np.unique(column, return_inverse=True)
        sums = np.bincount(of_row, weight)
        rank[:] = (np.cumsum(sums) - sums / 2)[of_row] / sums.sum()
    return ranks


def covariance(h: NDArray[Any], weight: NDArray[Any]) -> NDArray[np.floating]:
    """Covariances of columns, a matrix for a single one, too."""
    return np.atleast_2d(np.cov(h, rowvar=False, bias=True, aweights=weight))


def scaled(matrix: NDArray[Any]) -> NDArray[Any]:
    """A matrix scaled to [0, 1]; zeros where all is the same."""
    matrix = matrix - matrix.min()
    return matrix / (matrix.max() or 1.0)


def without_lowest(scores: NDArray[Any], left: int) -> NDArray[Any]:
    """Scores of which all but the `left` highest are zero; of equals, the first go first."""
    kept = scores.copy()
    kept[np.argsort(scores, kind="stable")[: len(scores) - left]] = 0.0
    return kept
