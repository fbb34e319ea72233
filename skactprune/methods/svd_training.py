"""SVD training: singular values are trained to vanish (Yang et al., CVPR workshops 2020)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from skactprune._options import FRACTION, NOT_NEGATIVE, check_options
from skactprune.methods.base import given
from skactprune.nets.factors import Sparing, SparseFactors, halves_of_svd
from skactprune.pruning.method import Method, register
from skactprune.pruning.schedules import cumulative_shares
from skactprune.pruning.selection import floored, number_of

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from skactprune._types import ScheduleLike
    from skactprune.pruning.probes.factors import Factors
    from skactprune.pruning.probes.singular import Singular
    from skactprune.pruning.run import Run

SPARSITIES = ("hoyer", "l1")
# Two full factors of a layer.
FULL = Sparing(0.0, 1.0)


@register("svd_training")
class SVDTraining(Method):
    """Train hidden weights as ``U diag(s) V^T``, and drop the smallest singular values.

    U, s and V begin as the SVD of the weights and are trained in place of them, at full rank. Added
    to the loss is, for every layer, ``orthogonality`` times
    ``(norm(U^T U - I)^2 + norm(V^T V - I)^2) / r^2``, r the rank and the norms those of Frobenius,
    and ``strength`` times the sum of abs(s), over their Euclidean norm for "hoyer". A round drops
    the smallest s of each layer, with their vectors, so that the share 1 - e of ``sum(s^2)`` is
    kept, with one e for all layers: `energy`, or the smallest that meets `prune_fraction`.

    No weight is zero and no neuron leaves. `prune_fraction` is the share of the hidden weights that
    two factors save, ``U diag(sqrt(s))`` and ``diag(sqrt(s)) V^T``: one minus their numbers over
    the weights before, where a layer whose factors are not fewer numbers counts with its weights.
    That is what ``sparsity_`` tells, while all of ``masks_`` is True. The factors are
    ``factors_``; compact models keep them.

    Parameters
    ----------
    sparsity : {"hoyer", "l1"}, default="hoyer"
        Penalty of the singular values.
    strength : float, default=0.1
        Of that penalty.
    orthogonality : float, default=1.0
        Of the penalty of U and V.
    energy : float or None, default=None
        e, in (0, 1). `prune_fraction` must be None with it, and given without it.
    schedule : {"geometric", "cubic", "linear", "one_shot", "last"} or callable, default="last"
        Share of `prune_fraction` that is saved after each round.

    Notes
    -----
    After the last round, factors are trained on without penalties, as in the paper. An optimizer
    of the kind of the net's, with its learning rate, trains them; the L2 penalty and the weight
    decay of the estimators are those of the product. The paper decomposes the kernels of
    convolutions in two ways; here each is a matrix with a row for each channel. Weights that were
    pruned singly cannot be factored. Rounds come at the epochs of the trigger, whatever its
    patience.

    References
    ----------
    Yang, Tang, Wen, Yan, Hu, Li, Cheng & Chen, "Learning low-rank deep neural networks via singular
    vector orthogonality regularization and singular value sparsification", CVPR workshops 2020.
    """

    removes = "ranks"
    keeps_factors = True
    factors_: Factors
    trained_: Singular

    def __init__(
        self,
        sparsity: Literal["hoyer", "l1"] = "hoyer",
        strength: float = 0.1,
        orthogonality: float = 1.0,
        energy: float | None = None,
        schedule: ScheduleLike = "last",
    ) -> None:
        self.sparsity = sparsity
        self.strength = strength
        self.orthogonality = orthogonality
        self.energy = energy
        self.schedule = schedule

    @property
    def own_threshold(self) -> str | None:
        """The energy, if there is one; see `Method.own_threshold`."""
        return None if self.energy is None else f"energy={self.energy!r}"

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        cumulative_shares(self.schedule, 1)
        check_options(self, sparsity=SPARSITIES, energy=(FRACTION, None))
        check_options(self, strength=NOT_NEGATIVE, orthogonality=NOT_NEGATIVE)
        return self

    def plan(self, run: Run) -> None:
        """Raise ValueError if the target cannot be reached, or is one of single layers."""
        run.refuse_fractions()
        if run.target is None:
            return
        highest = 1 - FULL.fewest(run.masks.shapes) / run.masks.n_original
        if run.target > highest + 1e-9:
            raise ValueError(
                f"prune_fraction={run.target!r} cannot be reached: two factors of rank 1 of hidden "
                f"weights of shapes {run.masks.shapes} save {floored(highest)} of "
                "them."
            )

    def begin(self, run: Run) -> None:
        """Train factors from now on, or go on with those that there are."""
        from skactprune.pruning.probes import Factors, Singular

        run.require_own_weights()
        if run.shares and not all(mask.all() for mask in run.masks.current):
            raise ValueError(
                f"method={run.label} cannot factor weights some of which are pruned singly."
            )
        self.factors_ = run.watch(Factors())
        self.trained_ = run.watch(Singular())
        if run.shares and not (self.trained_.active and self.trained_.are_factors()):
            pairs = zip(run.weights(), self.factors_.layers, strict=False)
            ranks = ((w, None if found is None else len(found.right)) for w, found in pairs)
            self.trained_.start([part for pair in ranks for part in triple_of(*pair)])

    def acts_on(self, hook: Literal["on_gradient", "on_step"]) -> bool:
        """Whether factors are trained."""
        return self.trained_.active and super().acts_on(hook)

    def on_gradient(self, run: Run) -> None:
        """Hand the gradients on to the factors, with those of the penalties."""
        self.trained_.take_gradients()
        if not self.is_over(run):
            for triple in self.trained_.triples():
                self.penalty(*triple).backward()

    def penalty(self, U: torch.Tensor, s: torch.Tensor, V: torch.Tensor) -> torch.Tensor:
        """What a layer adds to the loss."""
        grams = (vectors.T @ vectors for vectors in (U, V))
        left, right = ((gram - gram.new_ones(len(s)).diag()).square().sum() for gram in grams)
        sparsity = s.abs().sum()
        if self.sparsity == "hoyer":
            sparsity = sparsity / s.norm().clamp_min(1e-12)
        apart = float(self.orthogonality) * (left + right) / len(s) ** 2
        return apart + float(self.strength) * sparsity

    @staticmethod
    def is_over(run: Run) -> bool:
        """Whether all is saved that is asked for."""
        return bool(run.done) and run.shares[run.done - 1] == 1

    def on_epoch(self, run: Run) -> None:
        """Do not let a round come early."""
        if not self.is_over(run):
            run.idle = 0

    def round(self, run: Run, share: float) -> None:
        """Drop the smallest singular values."""
        triples = [[part.detach() for part in triple] for triple in self.trained_.triples()]
        order = [np.argsort(-s.abs().cpu().numpy(), kind="stable") for _, s, _ in triples]
        values = [np.abs(s.cpu().numpy())[at] for (_, s, _), at in zip(triples, order, strict=True)]
        if run.target is None:
            lost = share * given("energy", self.energy)
            ranks = [max(int((tails_of(s) > lost).sum()), 1) for s in values]
        else:
            n_original = run.masks.n_original
            n_left = n_original - number_of(share * run.target, n_original)
            ranks = ranks_of(values, run.masks.shapes, n_left)
        parts = [
            np.ascontiguousarray(part[..., at[:rank].copy()].cpu().numpy())
            for triple, at, rank in zip(triples, order, ranks, strict=True)
            for part in triple
        ]
        self.trained_.start(parts)
        self.trained_.put()
        self.show(run, ranks)

    def show(self, run: Run, ranks: list[int]) -> None:
        """Let it be known what the factors of the weights are, where they are fewer numbers."""
        layers = []
        for weight, rank in zip(run.weights(), ranks, strict=False):
            m, n = weight.shape
            fewer = FULL.n_numbers((m, n), rank) < m * n
            low = np.zeros(m, bool), np.zeros(n, bool)
            layers.append(
                SparseFactors(*halves_of_svd(weight, rank), *low, rank) if fewer else None
            )
        self.factors_.layers = layers
        sizes = [None if found is None else found.n_numbers for found in layers]
        run.masks = run.masks.factored(sizes)

    def end(self, run: Run) -> None:
        """Have factors of the weights of now, which may be those of an earlier epoch."""
        if any(self.factors_.layers):
            self.show(run, [len(s) for _, s, _ in self.trained_.triples()])


def triple_of(weight: NDArray[Any], rank: int | None) -> list[NDArray[np.float64]]:
    """U, s and V of a matrix by its SVD, of a rank or of the full one."""
    U, s, Vt = np.linalg.svd(weight.astype(np.float64), full_matrices=False)
    return [np.ascontiguousarray(part) for part in (U[:, :rank], s[:rank], Vt[:rank].T)]


def tails_of(values: NDArray[Any]) -> NDArray[np.float64]:
    """Share of the squares of descending values that goes with each and those behind it."""
    squares = np.square(values.astype(np.float64))
    return np.cumsum(squares[::-1])[::-1] / (squares.sum() or 1.0)


def ranks_of(values: list[NDArray[Any]], shapes: list[tuple[int, int]], n_left: int) -> list[int]:
    """Ranks of layers that keep the same share of their squared singular values.

    Parameters
    ----------
    values : list of ndarray of shape (r,)
        Singular values of each layer, the highest first.
    shapes : list of (int, int)
        Shapes of their weights.
    n_left : int
        Numbers that weights or factors have at most, if all layers can have rank 1.

    Returns
    -------
    list of int
    """
    ranks = [len(s) for s in values]
    tails = [tails_of(s) for s in values]
    order = sorted(
        ((tail[k], depth, k) for depth, tail in enumerate(tails) for k in range(1, len(tail))),
        key=lambda entry: (entry[0], entry[1], -entry[2]),
    )

    def n_numbers() -> int:
        pairs = zip(shapes, ranks, strict=True)
        return sum(min(math.prod(shape), FULL.n_numbers(shape, rank)) for shape, rank in pairs)

    for _, depth, k in order:
        if n_numbers() <= n_left:
            break
        ranks[depth] = k
    return ranks
