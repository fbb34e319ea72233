"""Sparse variational dropout (Molchanov, Ashukha & Vetrov, ICML 2017)."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune._options import FINITE, NOT_NEGATIVE, POSITIVE, check_options
from skactprune.methods.base import given
from skactprune.methods.trained import TrainedMethod, annealing, n_rows
from skactprune.pruning.method import register

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.pruning.probes.noise import Noise
    from skactprune.pruning.run import Run

K1, K2, K3 = 0.63576, 1.87320, 1.48695
# Of log alpha, beyond which the authors' code has no slope.
LIMIT = 8.0
SMALL = 1e-8


@register("variational_dropout")
class VariationalDropout(TrainedMethod):
    """Remove the weights that noise drowns most: those of the largest log alpha.

    Every hidden weight is a normal variable of mean w and variance sigma^2, which are both trained:
    in training, the output of a layer, given its input h, gets noise of the variance
    ``h^2 @ sigma^2`` (the local reparametrization trick; biases have no noise). Added to the loss
    is the divergence from a log-uniform prior, divided by the number of rows, of which the negative
    is, for each weight, up to a constant ::

        k1 * sigmoid(k2 + k3 * log alpha) - 0.5 * log(1 + 1 / alpha) - k1

    with log alpha = log sigma^2 - log w^2 (equation 14 of the paper). The net that predicts has the
    means for weights.

    Parameters
    ----------
    log_variance : float, default=-8.0
        log sigma^2 of all weights in the beginning.
    rate : float, default=0.05
        Learning rate of log sigma^2, whose optimizer is Adam in any case.
    strength : float, default=1.0
        What the divergence is multiplied by; 1 is that of a variational bound.
    threshold : float or None, default=None
        Positive: weights of a larger log alpha leave, 3 in the paper. `prune_fraction` must be None
        with it, and given without it.
    {granularity, scope, schedule}

    Notes
    -----
    As in the paper, the divergence comes in slowly: its weight rises from 0 before the first round
    to `strength` before the last one, in equal steps from round to round. At the last round weights
    are dropped, those of the largest log alpha until `prune_fraction` is met, or all beyond
    `threshold`; then noise and divergence end, and the net is trained on as it is. Rounds before
    it, if a schedule gives them a share, apply the threshold over that share. The output layer,
    which is not pruned, has no noise. Rounds come at the epochs of the trigger, whatever its
    patience.

    References
    ----------
    Molchanov, Ashukha & Vetrov, "Variational dropout sparsifies deep neural networks", ICML 2017.
    Kingma, Salimans & Welling, "Variational dropout and the local reparameterization trick",
    NeurIPS 2015.
    """

    def __init__(
        self,
        log_variance: float = -8.0,
        rate: float = 0.05,
        strength: float = 1.0,
        threshold: float | None = None,
        granularity: Granularity = "weight",
        scope: Scope = "global",
        schedule: ScheduleLike = "last",
    ) -> None:
        self.log_variance = log_variance
        self.rate = rate
        self.strength = strength
        self.threshold = threshold
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule

    @property
    def own_threshold(self) -> str | None:
        """The threshold, if there is one; see `Method.own_threshold`."""
        return self.own("threshold")

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, log_variance=FINITE, rate=POSITIVE, strength=NOT_NEGATIVE)
        check_options(self, threshold=(POSITIVE, None))
        return super().validated()

    def probe(self) -> Noise:
        """Noise of the weights."""
        from skactprune.pruning.probes import Noise

        return Noise(self.rate)

    def first_values(self, run: Run) -> list[NDArray[Any]]:
        """The same log sigma^2 for all weights."""
        return [np.full(mask.shape, float(self.log_variance)) for mask in run.masks.current]

    def penalty(self, run: Run) -> torch.Tensor:
        """Divergence from the prior, of the weights that are left."""
        values = self.trained_.values
        masks = (v.new_tensor(m) for v, m in zip(values, run.masks.current, strict=True))
        # By a product with the mask: to take elements out costs more than all the rest.
        parts = (
            (divergence(log_alpha(value, layer.weight.reshape(value.shape))) * kept).sum()
            for layer, value, kept in zip(run.hidden, values, masks, strict=True)
        )
        return reduce(add, parts) * (float(self.strength) * annealing(run) / n_rows(run))

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """-log alpha."""
        weights = (weight.astype(np.float64) for weight in run.weights()[:-1])
        return [
            np.log(np.square(weight) + SMALL) - log_variance
            for weight, log_variance in zip(weights, self.trained_.arrays(), strict=True)
        ]

    def cutoffs(self, run: Run, share: float) -> list[float]:
        """The same log alpha for all layers."""
        cutoff = -float(given("threshold", self.threshold)) / share if share else -np.inf
        return [cutoff] * len(run.hidden)


def log_alpha(log_variance: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Log sigma^2 - log w^2, a tensor within the limits."""
    return (log_variance - (weight.square() + SMALL).log()).clamp(-LIMIT, LIMIT)


def divergence(log_alpha: torch.Tensor) -> torch.Tensor:
    """Divergence of a weight from a log-uniform prior, approximately, without its constant.

    Parameters
    ----------
    log_alpha : torch.Tensor
        Logarithms of alpha.

    Returns
    -------
    torch.Tensor
        Of the same shape; 0 where alpha is infinite.
    """
    # log(1 + 1 / alpha) is -log sigmoid(log alpha).
    return K1 - K1 * (K2 + K3 * log_alpha).sigmoid() - 0.5 * log_alpha.sigmoid().log()
