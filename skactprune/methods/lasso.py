"""Channel pruning by LASSO and least squares (He, Zhang & Sun, ICCV 2017), for neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune._options import COUNT, check_options
from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.probes.outputs import Outputs
    from skactprune.pruning.run import Run

# Part of the mean variance that keeps neurons apart that put out the same.
RIDGE = 1e-6


@register("lasso")
class Lasso(ScoredMethod):
    """Keep the neurons that reconstruct the next layer best, and refit that by least squares.

    With h_i the outputs of neuron i on sample rows and w_i its outgoing weights, numbers b are
    sought that minimize ``|y - sum_i b_i h_i w_i|^2 / 2 + penalty * sum_i |b_i|``, where y is what
    all neurons together give to the next layer (equation 1 of the paper). The penalty is raised
    until the wanted number of b_i is left. Then least squares refits the outgoing weights of these
    neurons and the biases of the next layer, one layer after the other: from what the pruned net
    puts out to what the net before the round gave to the next layer.

    Parameters
    ----------
    n_rows : int, default=5000
        Size of the sample, which is drawn at each round from the training rows, or the unlabelled
        ones.
    {schedule}

    Notes
    -----
    Only for nets whose layers are a chain, which those of `PrunedMLPClassifier` are; `Pruner`
    refuses others. The same share of every layer goes. The b are not multiplied into the weights,
    as least squares finds these anew. Where several weights fit equally well, as with fewer rows
    than neurons, those nearest to the weights of before are taken. A neuron whose coefficient goes
    to zero again at a lower penalty, which happens where neurons are alike, keeps the place that it
    has by the highest. Differences from the authors'
    code: every neuron of the next layer has an intercept of its own, the whole path of the LASSO is
    computed instead of a search for one penalty, and it is that of the net at the beginning of the
    round for all layers, where the paper chooses in each layer with those before it pruned.

    References
    ----------
    He, Zhang & Sun, "Channel pruning for accelerating very deep neural networks", ICCV 2017.
    """

    granularity = "neuron"
    scope = "layer"
    regrow = False
    outputs_: Outputs
    batches_: list[NDArray[np.int64]]
    weight_: NDArray[np.float64] | None
    given_: list[NDArray[np.float64]]

    def __init__(self, n_rows: int = 5000, schedule: ScheduleLike = "cubic") -> None:
        self.n_rows = n_rows
        self.schedule = schedule

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, n_rows=COUNT)
        return super().validated()

    def begin(self, run: Run) -> None:
        """Look at the outputs of neurons."""
        from skactprune.pruning.probes import Outputs

        run.require_chain()
        super().begin(run)
        self.outputs_ = run.watch(Outputs(int(self.n_rows)))

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Highest penalty of the LASSO at which a neuron takes part."""
        from skactprune.pruning.probes.outputs import moments_of

        self.batches_, self.weight_ = self.outputs_.sample(run)
        outputs = self.outputs_.of(run, self.batches_)
        following = [weight.astype(np.float64) for weight in run.weights()[1:]]
        with np.errstate(over="ignore", invalid="ignore"):
            self.given_ = [h @ weight.T for h, weight in zip(outputs, following, strict=True)]
        moments = [moments_of(h, self.weight_) for h in outputs]
        pairs = zip(moments, following, strict=True)
        return [highest_penalties(of.covariance, weight)[:, None] for of, weight in pairs]

    def remove(self, run: Run, masks: Masks) -> None:
        """Take neurons out of one layer after the other, and refit what follows each."""
        for depth, mask in enumerate(masks.current):
            current = list(run.masks.current)
            current[depth] = current[depth] & mask
            run.keep(current, cut=False, refit=self._refit(run, depth))
        run.keep(run.masks)
        del self.given_

    def _refit(self, run: Run, depth: int) -> Callable[..., tuple[NDArray[Any], NDArray[Any]]]:
        """What `Run.keep` calls to have the others take over in one layer."""

        def refit(
            at: int, gone: NDArray[np.bool_], outgoing: NDArray[Any], mask: NDArray[np.bool_] | None
        ) -> tuple[NDArray[Any], NDArray[Any]]:
            if at != depth:
                return np.where(gone, 0.0, outgoing), np.zeros(len(outgoing))
            h = self.outputs_.of(run, self.batches_)[depth]
            return refitted(h, self.given_[depth], gone, outgoing, self.weight_, mask)

        return refit


@np.errstate(over="ignore", invalid="ignore")
def highest_penalties(covariance: NDArray[Any], outgoing: NDArray[Any]) -> NDArray[Any]:
    """Highest penalty at which each neuron has a coefficient in the LASSO of the next layer.

    Parameters
    ----------
    covariance : ndarray of shape (n, n)
        Covariances of the outputs of the neurons.
    outgoing : ndarray of shape (n_next, n)
        Their outgoing weights.

    Returns
    -------
    ndarray of shape (n,)
        0 for those that the next layer never needs; NaN where anything is not finite.
    """
    from sklearn.linear_model import lars_path_gram

    gram = covariance * (outgoing.T @ outgoing)
    given = gram.sum(axis=1)
    scale = np.trace(gram) / len(gram)
    if not (np.isfinite(gram).all() and np.isfinite(given).all()):
        return np.full(len(gram), np.nan)
    if not scale > 0:
        return np.zeros(len(gram))
    penalties, _, path = lars_path_gram(
        given / scale,
        gram / scale + RIDGE * np.eye(len(gram)),
        n_samples=1,
        max_iter=8 * len(gram),
        method="lasso",
    )
    # Coefficients leave zero from one knot of the path to the next.
    first = (path != 0).argmax(axis=1)
    return np.where(first, penalties[first - 1], 0.0)


def refitted(
    h: NDArray[Any],
    given: NDArray[Any],
    gone: NDArray[np.bool_],
    outgoing: NDArray[Any],
    weight: NDArray[Any] | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Outgoing weights of the neurons that stay, by least squares.

    Parameters
    ----------
    h : ndarray of shape (n_rows, n)
        Outputs of all neurons.
    given : ndarray of shape (n_rows, n_next)
        What the next layer is to get, without its biases.
    gone : bool ndarray of shape (n,)
        Neurons that leave.
    outgoing : ndarray of shape (n_next, n)
        Outgoing weights of before.
    weight : ndarray of shape (n_rows,), default=None
        Weights of the rows.
    mask : bool ndarray of shape (n_next, n), default=None
        Outgoing weights that may change; None lets all of them.

    Returns
    -------
    weights : ndarray of shape (n_next, n)
        New ones, 0 for the neurons that leave.
    biases : ndarray of shape (n_next,)
        To be added to the biases of the next layer.
    """
    stays = ~gone
    h, before = h[:, stays], outgoing[:, stays]
    missing = given - h @ before.T
    root = np.sqrt(np.ones(len(h)) if weight is None else weight)[:, None]
    means = [np.average(a, axis=0, weights=weight) for a in (h, missing)]
    change = np.linalg.lstsq(root * (h - means[0]), root * (missing - means[1]), rcond=None)[0].T
    if mask is not None:
        change *= mask[:, stays]
    weights = np.where(gone, 0.0, outgoing)
    weights[:, stays] += change
    return weights, means[1] - change @ means[0]
