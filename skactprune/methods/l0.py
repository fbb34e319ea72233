"""L0 regularization by hard concrete gates (Louizos, Welling & Kingma, ICLR 2018)."""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Self

from skactprune._options import FRACTION, NOT_NEGATIVE, POSITIVE, check_options
from skactprune.methods.base import given
from skactprune.methods.trained import TrainedMethod, n_rows
from skactprune.pruning.method import register

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike, Scope
    from skactprune.pruning.probes.gates import Gates
    from skactprune.pruning.run import Run

GAMMA, ZETA, BETA = -0.1, 1.1, 2.0 / 3.0
# Of log alpha, as in the authors' code.
LIMIT = math.log(100.0)
# At which a gate that predicts is all but 1.
OPEN = math.log((1 - GAMMA) / (ZETA - 1))


@register("l0")
class L0(TrainedMethod):
    """Remove the neurons whose gates, which are trained to close, are open least.

    The output of every hidden neuron is multiplied by a gate, in training a random one for each
    row, that is exactly 0 or 1 with some probability::

        gate = clamp(sigmoid((log u - log(1 - u) + log alpha) / beta) * (zeta - gamma) + gamma)

    to [0, 1], with u uniform, gamma = -0.1, zeta = 1.1 and beta = 2 / 3 (equations 10 and 11 of the
    paper). Added to the loss is, for each gate, the probability that it is not 0,
    ``sigmoid(log alpha - beta * log(-gamma / zeta))``, times the number of weights that go with its
    neuron, times ``strength / n_rows``. To predict, a gate is
    ``clamp(sigmoid(log alpha) * (zeta - gamma) + gamma)``, and part of the weights that its neuron
    feeds.

    Parameters
    ----------
    strength : float, default=0.03
        Of the penalty; lambda of the paper, for each weight, which takes 0.1 for MNIST.
    drop_rate : float, default=0.5
        Probability, in the beginning, that the underlying gate is closed: sigmoid(-log alpha).
    rate : float, default=0.05
        Learning rate of log alpha, whose optimizer is Adam in any case.
    threshold : float or None, default=None
        In (0, 1): neurons whose gate, when the net predicts, is smaller leave. `prune_fraction`
        must be None with it, and given without it.
    {scope, schedule}

    Notes
    -----
    The paper lets gates close by themselves, and the penalty alone says how many; that is a small
    `threshold`. With `prune_fraction` the lowest log alpha go until it is met. Then gates stay as
    they are, as part of the weights, and the net is trained on. A net that has been pruned before
    starts with open gates, whatever `drop_rate`. The paper also has gates for the
    features, and an L2 penalty that counts only where gates are open; that of the estimators counts
    in any case. Rounds come at the epochs of the trigger, whatever its patience.

    Where it is not known whom a neuron feeds, in nets other than those of `PrunedMLPClassifier`,
    gates are before nonlinearities, as in the authors' code for convolutions, the weights that go
    with a neuron are those into it, and a normalization after it needs a weight for each neuron.

    References
    ----------
    Louizos, Welling & Kingma, "Learning sparse neural networks through L0 regularization", ICLR
    2018.
    """

    granularity = "neuron"

    def __init__(
        self,
        strength: float = 0.03,
        drop_rate: float = 0.5,
        rate: float = 0.05,
        threshold: float | None = None,
        scope: Scope = "global",
        schedule: ScheduleLike = "last",
    ) -> None:
        self.strength = strength
        self.drop_rate = drop_rate
        self.rate = rate
        self.threshold = threshold
        self.scope = scope
        self.schedule = schedule

    @property
    def own_threshold(self) -> str | None:
        """The threshold, if there is one; see `Method.own_threshold`."""
        return self.own("threshold")

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, strength=NOT_NEGATIVE, rate=POSITIVE)
        check_options(self, drop_rate=FRACTION, threshold=(FRACTION, None))
        return super().validated()

    def probe(self) -> Gates:
        """Gates of the neurons."""
        from skactprune.pruning.probes import Gates

        return Gates(expected_gate, drawn_gate, self.rate, LIMIT)

    def first_values(self, run: Run) -> list[NDArray[Any]]:
        """Log alpha of the drop rate, and a little noise so that no two are alike."""
        mean = math.log(1 - self.drop_rate) - math.log(self.drop_rate)
        if run.fraction_done:
            mean = OPEN
        return [run.random_state.normal(mean, 0.01, len(mask)) for mask in run.masks.current]

    def penalty(self, run: Run) -> torch.Tensor:
        """Expected number of weights that are used, times `strength` / `n_rows`."""
        sizes = run.layout.weights_of_neurons(run.net.module_)
        pairs = zip(self.trained_.values, sizes, strict=True)
        parts = (probability_open(value).sum() * n_weights for value, n_weights in pairs)
        return reduce(add, parts) * (float(self.strength) / n_rows(run))

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Log alpha."""
        return [value[:, None] for value in self.trained_.arrays()]

    def cutoffs(self, run: Run, share: float) -> list[float]:
        """The log alpha of a gate, the same for all layers."""
        gate = (share * given("threshold", self.threshold) - GAMMA) / (ZETA - GAMMA)
        return [math.log(gate / (1 - gate)) if share else -math.inf] * len(run.hidden)


def expected_gate(log_alpha: torch.Tensor) -> torch.Tensor:
    """Gate that predicts; see `L0`."""
    return (log_alpha.sigmoid() * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def drawn_gate(log_alpha: torch.Tensor, n_rows: int, generator: torch.Generator) -> torch.Tensor:
    """Random gates of training, a tensor of shape (n_rows, n_out); see `L0`."""
    u = log_alpha.new_empty((n_rows, len(log_alpha))).uniform_(1e-6, 1 - 1e-6, generator=generator)
    concrete = ((u.logit() + log_alpha) / BETA).sigmoid()
    return (concrete * (ZETA - GAMMA) + GAMMA).clamp(0, 1)


def probability_open(log_alpha: torch.Tensor) -> torch.Tensor:
    """Probability that a gate of training is not 0; see `L0`."""
    return (log_alpha - BETA * math.log(-GAMMA / ZETA)).sigmoid()
