"""Sparse low rank factors of trained layers (Swaminathan et al., Neurocomputing 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from skactprune._options import COUNT, SHARE, check_options
from skactprune.methods.base import given
from skactprune.nets.factors import Sparing
from skactprune.pruning.method import Method, register
from skactprune.pruning.schedules import cumulative_shares
from skactprune.pruning.selection import floored, number_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike
    from skactprune.nets.factors import SparseFactors
    from skactprune.pruning.probes.factors import Factors
    from skactprune.pruning.probes.outputs import Outputs
    from skactprune.pruning.run import Run

# Until factors are those of given weights.
MOST_FITS = 200
SIGNIFICANCE = ("weight", "activation", "cost")


@register("slr")
class SLR(Method):
    """Replace hidden weights by a truncated SVD, of less rank for neurons that matter less.

    In every round the weights W of each hidden layer become the product of two matrices,
    ``U sqrt(S)`` and ``sqrt(S) V^T`` of its SVD with the r largest singular values. The rows of
    these that belong to the less significant outputs and inputs of the layer are set to zero beyond
    the rank ``keep * r``. Training goes on with weights that stay such a product, with the same
    zeros: after every step of the optimizer the factors are fitted to the new weights by least
    squares, first one and then the other.

    No weight is zero and no neuron leaves. `prune_fraction` is the share of the hidden weights that
    the factors save: one minus their numbers that are not zero over the weights before. That is
    what ``sparsity_`` tells, while all of ``masks_`` is True. The factors are ``factors_``; compact
    models keep them where they are fewer numbers than the weights.

    Parameters
    ----------
    significance : {"weight", "activation", "cost"}, default="weight"
        What matters: the mean of abs(w) of an input or output; of the absolute activations; or what
        the loss changes, to first order, where the weights of that input or output are zero.
    low : float, default=0.5
        Share of the inputs, and of the outputs, of a layer that keep less of the rank, in [0, 1].
    keep : float, default=0.5
        Share of the rank that they keep, in [0, 1], but at least 1.
    n_rows : int, default=2000
        Size of the sample of training rows, or of unlabelled ones for "activation", of which
        activation and cost are taken; drawn at each round.
    schedule : {"geometric", "cubic", "linear", "one_shot"} or callable, default="cubic"
        Share of `prune_fraction` that is saved after each round.

    Notes
    -----
    Ranks are such that about the same share of each layer is saved, where the paper takes them by
    explained variance or by accuracy. The paper compresses a trained net and trains it no more;
    give ``trigger=EpochTrigger(1.0, 1.0)`` and ``n_prune_rounds=1`` for that, or take
    `skactprune.compact_low_rank` of a fitted estimator. It computes the loss anew without each
    neuron for "cost". Weights that were pruned singly cannot be factored.

    References
    ----------
    Swaminathan, Garg, Kannan & Andres, "Sparse low rank factorization for deep neural network
    compression", Neurocomputing 398, 2020.
    """

    removes = "ranks"
    keeps_factors = True
    factors_: Factors
    outputs_: Outputs

    def __init__(
        self,
        significance: Literal["weight", "activation", "cost"] = "weight",
        low: float = 0.5,
        keep: float = 0.5,
        n_rows: int = 2000,
        schedule: ScheduleLike = "cubic",
    ) -> None:
        self.significance = significance
        self.low = low
        self.keep = keep
        self.n_rows = n_rows
        self.schedule = schedule

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        cumulative_shares(self.schedule, 1)
        check_options(self, significance=SIGNIFICANCE, low=SHARE, keep=SHARE, n_rows=COUNT)
        return self

    def plan(self, run: Run) -> None:
        """Raise ValueError if the target cannot be reached, or is one of single layers."""
        run.refuse_fractions()
        n_original = run.masks.n_original
        highest = 1 - self._sparing.fewest(run.masks.shapes) / n_original
        if given("prune_fraction", run.target) > highest + 1e-9:
            raise ValueError(
                f"prune_fraction={run.target!r} cannot be reached: two factors of rank 1 of hidden "
                f"weights of shapes {run.masks.shapes} save {floored(highest)} of "
                "them."
            )

    def begin(self, run: Run) -> None:
        """Go on with the factors that there are."""
        from skactprune.pruning.probes import Factors, Outputs

        if self.significance == "activation":
            run.require_chain()
            self.outputs_ = run.watch(Outputs(int(self.n_rows)))
        run.require_own_weights()
        if run.shares and not all(mask.all() for mask in run.masks.current):
            raise ValueError(
                f"method={run.label} cannot factor weights some of which are pruned singly."
            )
        self.factors_ = run.watch(Factors())

    def round(self, run: Run, share: float) -> None:
        """Factor the weights anew, at lower ranks."""
        n_original = run.masks.n_original
        n_left = n_original - number_of(share * given("prune_fraction", run.target), n_original)
        weights = run.weights()[:-1]
        ranks = self._sparing.ranks([weight.shape for weight in weights], n_left)
        significances = getattr(self, f"_by_{self.significance}")(run)
        triples = zip(weights, ranks, significances, strict=True)
        factors = self._sparing.factors
        self._put(
            run, [factors(weight, rank, *of) if rank else None for weight, rank, of in triples]
        )
        run.forget_optimizer()

    def on_step(self, run: Run) -> None:
        """Bring the weights back to what is a product of such factors."""
        import torch

        self.factors_.layers = self._fitted(run)
        with torch.no_grad():
            for layer, factors in zip(run.hidden, self.factors_.layers, strict=True):
                if factors is not None:
                    product = torch.from_numpy(factors.product)
                    layer.weight.copy_(product.reshape(layer.weight.shape))

    def end(self, run: Run) -> None:
        """Have factors of the weights of now, which may be those of an earlier epoch."""
        layers = self.factors_.layers
        if not any(layers):
            return
        for _ in range(MOST_FITS):
            before, layers = layers, self._fitted(run, layers)
            if all(map(_are_near, before, layers)):
                break
        self._put(run, layers)

    @property
    def _sparing(self) -> Sparing:
        return Sparing(float(self.low), float(self.keep))

    def _fitted(
        self, run: Run, layers: list[SparseFactors | None] | None = None
    ) -> list[SparseFactors | None]:
        """Factors that are fitted to the weights of now, from these or those that there are."""
        pairs = zip(run.weights(), layers or self.factors_.layers, strict=False)
        return [factors and factors.fitted_to(weight) for weight, factors in pairs]

    def _put(self, run: Run, layers: list[SparseFactors | None]) -> None:
        """Have weights that are the products of factors."""
        with run.transaction():
            self.factors_.layers = layers
            sizes = [None if found is None else found.n_numbers for found in layers]
            run.masks = run.masks.factored(sizes)
            weights = run.copied_weights()
            for depth, factors in enumerate(layers):
                if factors is not None:
                    weight, bias = weights[depth]
                    weights[depth] = factors.product.reshape(weight.shape), bias
            run.restore(weights)

    def _by_weight(self, run: Run) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Mean abs(w) of every output and input of the hidden layers."""
        sizes = [np.abs(weight) for weight in run.weights()[:-1]]
        return [(size.mean(axis=1), size.mean(axis=0)) for size in sizes]

    def _by_cost(self, run: Run) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """What the loss changes to first order where an output, or input, has no weights."""
        n_training = run.rows.n_training
        rows = run.random_state.choice(n_training, min(self.n_rows, n_training), replace=False)
        changes = [w * g for w, g in zip(run.weights(), run.gradients(rows), strict=False)]
        return [tuple(np.abs(change.sum(axis=axis)) for axis in (1, 0)) for change in changes]

    def _by_activation(self, run: Run) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Mean absolute activation of every output and input of the hidden layers."""
        batches, weight = self.outputs_.sample(run)
        features = self.outputs_.features(run, batches)
        means = [
            np.average(np.abs(h), axis=0, weights=weight)
            for h in [features, *self.outputs_.of(run, batches)]
        ]
        return list(zip(means[1:], means[:-1], strict=True))


def _are_near(one: SparseFactors | None, other: SparseFactors | None) -> bool:
    """Whether products are the same but for rounding; nothing tells layers without them apart."""
    if one is None or other is None:
        return True
    change = np.linalg.norm(one.product - other.product)
    return bool(change <= 1e-9 * np.linalg.norm(one.product))
