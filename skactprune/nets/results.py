"""What steps of training tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step has seen. It is the step's own: whoever wants to keep it copies it.

    Attributes
    ----------
    loss : torch.Tensor of shape () or None
        Loss of the batch, without the L2 penalty. None from a step that keeps losses to itself
        until they are settled.
    logits : torch.Tensor of shape (n_rows, n_outputs)
        Output of the net before the step.
    pre_activations : list of torch.Tensor of shape (n_rows, n_out)
        Of every hidden layer, or anything that is positive where they are, boolean even.
    """

    loss: torch.Tensor | None
    logits: torch.Tensor
    pre_activations: list[torch.Tensor]


@dataclass(frozen=True, slots=True)
class Settled:
    """Sums over steps.

    Attributes
    ----------
    loss : float
        Sum of the losses of the batches, without the L2 penalty, times their rows.
    penalty : float
        Sum, likewise, of the factors of ½ ‖W‖² in what was minimised: alpha over the weight of
        the batch.
    n_rows : int
        Rows.
    """

    loss: float
    penalty: float
    n_rows: int

    def __add__(self, other: Settled) -> Settled:
        return Settled(
            self.loss + other.loss, self.penalty + other.penalty, self.n_rows + other.n_rows
        )
