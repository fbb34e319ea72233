"""Gates of neurons that are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skactprune.nets.matrices import stored_like
from skactprune.nets.recomputing import refuse_recomputing
from skactprune.pruning.probes.trained import Trained, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch.utils.hooks import RemovableHandle

    from skactprune.pruning.probes.seen import SeenPlace, SeenRun


class Gates(Trained):
    """A gate for every hidden neuron, by which its output is multiplied.

    Between steps a gate is part of the weights that its neuron feeds: the net predicts as if there
    were none. For a step of training the weights are those without the gates, and gates may be
    drawn. Where it is not known whom a neuron feeds, the gate is before its nonlinearity, and part
    of its own weights, or of those of the normalization that follows it.

    Parameters
    ----------
    predicting : callable
        Gates, a tensor of shape (n_out,), of the values of a layer.
    training : callable
        Gates, of shape (n_rows, n_out) or (n_out,), in a step of training. It gets the values,
        the number of rows and a ``torch.Generator``.
    rate : float
        Learning rate of Adam.
    limit : float, default=inf
        Largest absolute value.
    """

    def __init__(
        self,
        predicting: Callable[[torch.Tensor], torch.Tensor],
        training: Callable[[torch.Tensor, int, torch.Generator], torch.Tensor],
        rate: float,
        limit: float = np.inf,
    ) -> None:
        super().__init__(rate, limit)
        self.predicting, self.training = predicting, training
        # Parameters that hold gates as they are without, which in a step the module has itself, and
        # the gates that are in those of the module.
        self._fed: list[torch.Tensor] = []
        self._folded: list[torch.Tensor] = []
        self._in_step = False

    def start(self, values: Sequence[NDArray[Any]]) -> None:
        """Train gates from now on; the weights of now are what they multiply."""
        super().start(values)
        self._fed = [place.parameter.detach() for place in self._places()]
        self._fold()

    def hooks(self, run: SeenRun) -> list[RemovableHandle]:
        """Multiply outputs of neurons by gates in training."""
        return run.layout.gate(run.net.module_, self.multiplied)

    def _places(self) -> Sequence[SeenPlace]:
        return self._run.layout.places_of_gates(self._run.net.module_)

    def multiplied(self, depth: int, h: torch.Tensor) -> torch.Tensor:
        """Outputs of a hidden layer in training, times its gates.

        Parameters
        ----------
        depth : int
            Which layer.
        h : torch.Tensor of shape (n_rows, ..., n_out)
            Its outputs.

        Returns
        -------
        torch.Tensor
        """
        refuse_recomputing(self._run.label, "gates")
        value = self.values[depth]
        gates = self.training(value, len(h), self.generator(value.device)).to(h.dtype)
        if gates.dim() > 1:
            gates = gates.reshape(len(h), *[1] * (h.dim() - 2), -1)
        return h * gates

    def begin_batch(self, batch: Any, weight: torch.Tensor | None) -> None:
        """Give the module its parameters without the gates."""
        if not self.active:
            return
        self._in_step = True
        found, places = [], self._places()
        for place, fed in zip(places, self._fed, strict=True):
            held, gate = place.parameter.detach(), place.shaped(self._folded)
            fed = fed.to(held.device)
            # What somebody else has written in the meantime has the gate in it.
            ours = (held == fed * gate) | (gate == 0)
            found.append(stored_like(torch.where(ours, fed, held / gate), held))
        for place, value in zip(places, found, strict=True):
            place.parameter.data = value
        self._fed = []

    def end_batch(self, batch: Any, pre_activations: list[torch.Tensor]) -> None:
        """Make a step, and give the module its parameters with the gates."""
        super().end_batch(batch, pre_activations)
        self._close()

    def detach(self) -> None:
        """Give the module its parameters with the gates, wherever a step was left."""
        super().detach()
        self._close()

    def _close(self) -> None:
        # An interrupt may have come anywhere, here too.
        if self._in_step:
            if not self._fed:
                self._fed = [place.parameter.detach() for place in self._places()]
            self._fold()
            self._in_step = False

    @torch.no_grad()
    def _fold(self) -> None:
        self._folded = [self.predicting(value) for value in self.values]
        for place, fed in zip(self._places(), self._fed, strict=True):
            place.parameter.data = stored_like(fed * place.shaped(self._folded), fed)

    def stop(self) -> None:
        """Train no gates any more; those of now stay in the weights."""
        super().stop()
        self._fed, self._folded = [], []

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Forget the neurons that have left."""
        if not self.active:
            return
        super().cut(keep)
        following = [*keep[1:], None]
        self._fed = [
            stored_like(chosen(fed, *place.kept(keep[place.depth], following[place.depth])), fed)
            for place, fed in zip(self._places(), self._fed, strict=True)
        ]
        self._folded = [
            chosen(gate, kept, None) for gate, kept in zip(self._folded, keep, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays."""
        return super().state() | {
            name: [tensor.cpu().numpy().copy() for tensor in tensors]
            for name, tensors in (("fed", self._fed), ("folded", self._folded))
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        super().load(state)
        self._fed = [torch.tensor(fed) for fed in state["fed"]]
        self._folded = [torch.tensor(gate) for gate in state["folded"]]
