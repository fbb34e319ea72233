"""What a training run holds, and how it changes its net: what those who serve it see of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skactprune._transaction import Transactions, attributes_of
from skactprune._warnings import warn
from skactprune.nets.arrays import array_of
from skactprune.nets.matrices import matrix
from skactprune.pruning import surgery
from skactprune.pruning.choice import layout_of
from skactprune.pruning.holding import held_at_zero
from skactprune.pruning.masks import Masks
from skactprune.pruning.selection import number_of
from skactprune.pruning.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from skorch import NeuralNet

    from skactprune._transaction import Context
    from skactprune._types import Layer
    from skactprune.pruning.choice import AnyLayout
    from skactprune.pruning.probes.rows import Rows
    from skactprune.pruning.surgery import Refit


class State:
    """What a `Run` is made of; parameters and attributes are described there."""

    module: torch.nn.Module | None
    asked: float | None
    target: float | None
    own_threshold: str | None
    reached: tuple[str | None, float]
    shares: list[float]
    history: list[dict[str, Any]]
    best: float
    redrawn_at: int | None
    rows: Rows
    fit_params: dict[str, Any]
    _held: list[tuple[torch.Tensor, torch.Tensor]]
    _world: Context | None

    def __init__(
        self,
        net: NeuralNet,
        label: str,
        random_state: int | np.random.RandomState | None,
        layout: AnyLayout | None = None,
    ) -> None:
        self.net, self.label, self.module = net, label, net.module_
        if not isinstance(random_state, np.random.RandomState):
            random_state = np.random.RandomState(random_state)
        self.random_state = random_state
        self.layout = layout_of(net.module_) if layout is None else layout
        self.masks = Masks(self.layout)
        self.n_weights = sum(layer.weight.numel() for layer in self.layers)
        self.asked = self.target = self.features = self.output = 0.0
        self.own_threshold, self.reached = None, (None, 0.0)
        self.dropped = np.zeros(self.layout.shapes[0][1] if self.layout.shapes else 0, dtype=bool)
        self.floors = [1] * len(self.layout.shapes)
        self.shares, self.done = [], 0
        self.fraction_done = self.output_done = 0.0
        self.coming = 0
        self.epoch, self.n_rows_seen, self.history = 0, 0, []
        self.epochs_before = 0
        self.best, self.idle = np.inf, 0
        self.moving, self.searching, self.share_of_epochs = False, False, 1.0
        self.holds, self.goes_on, self.in_calls = True, True, False
        self.unlabeled_served = False
        self.redrawn_at = None
        self.forget_rows()
        self.fit_params = {}
        self._watched = Watched()
        self._held = []
        self._parted = False
        self.begun = False
        self._under_way, self._world = Transactions(), None

    def forget_rows(self) -> None:
        """Forget the rows, which belong to one fit."""
        self.rows = None  # type: ignore[assignment]  # While it lasts, they are there.

    @property
    def pending(self) -> bool:
        """Whether rounds are still to come, masks are still moving, or the net will be another."""
        return self.done < len(self.shares) or self.moving or self.searching

    @property
    def max_epochs(self) -> int:
        """Epochs that the fit has at most."""
        return self.net.max_epochs

    @property
    def horizon(self) -> int:
        """Epochs in which rounds come."""
        return max(int(self.max_epochs * self.share_of_epochs), 1)

    def n_to_drop(self, share: float) -> int:
        """Number of features that are to be gone where `share` of all that is asked for is."""
        return number_of(share * self.features, len(self.dropped))

    @property
    def n_counted(self) -> int:
        """Number of weights that `target` is a share of: the hidden ones before any round.

        Those of features that rounds have removed do not count.
        """
        return self.masks.n_original - self.layout.shapes[0][0] * int(self.dropped.sum())

    def transaction(self) -> Context:
        """Context: what is done to net, masks and probes in it is done entirely, or not at all.

        Where the interrupt of a fit is caught, what is under way is undone, too.
        """
        net = surgery.snapshot(self.net.module_, surgery.optimizers_of(self.net))
        return self._under_way.begin(net, attributes_of(self), *self._watched.snapshots())

    def cleaning(self, action: Callable[[], object]) -> Context:
        """Context after which something is done in any case.

        Parameters
        ----------
        action : callable
            Called without arguments; more than once if it is interrupted.
        """
        return self._under_way.keep(action)

    def undo(self) -> None:
        """Undo what an interrupt has left half done."""
        self._under_way.undo()

    @property
    def fractions(self) -> Sequence[float | None]:
        """For each hidden layer the share that is to go of it, None where it has no own one."""
        return self.layout.fractions

    @property
    def layers(self) -> Sequence[Layer]:
        """Hidden layers in order, then the output layer: torch modules."""
        return self.layout.layers(self.net.module_)

    @property
    def hidden(self) -> Sequence[Layer]:
        """Hidden layers: torch modules."""
        return self.layers[:-1]

    def weights(self) -> list[NDArray[Any]]:
        """Weights of all layers, arrays of shape (n_out, n_in), output layer last.

        On the CPU they share memory with the net, unless that is in bfloat16.
        """
        return [array_of(matrix(layer.weight)) for layer in self.layers]

    def signs(self, shape: Sequence[int]) -> torch.Tensor:
        """Random signs, a tensor of a shape."""
        return torch.from_numpy(self.random_state.choice([-1.0, 1.0], tuple(shape)))

    def probe(self, name: str) -> Any:
        """Probe that is watched under a name, or None."""
        return self._watched.get(name)

    def keep(
        self,
        masks: Masks | list[NDArray[np.bool_]],
        *,
        cut: bool = True,
        hold: bool = True,
        refit: Refit | None = None,
    ) -> None:
        """Set the weights to zero that `masks` do not have, with what the optimizer knows of them.

        Where the layers are a chain, neurons that lose all their weights are folded into the next
        biases. It is done entirely, or not at all.

        Parameters
        ----------
        masks : Masks or list of bool ndarray of shape (n_out, n_in)
            What is to be left.
        cut : bool, default=True
            Whether neurons without weights leave the layers of a chain.
        hold : bool, default=True
            Whether masked weights stay zero from now on, whatever a step of training does.
        refit : callable, optional
            How others take over from neurons that leave; see
            `skactprune.pruning.surgery.fold_and_mask`.
        """
        if not isinstance(masks, Masks):
            shapes = [mask.shape for mask in self.masks.current]
            if [(np.shape(mask), np.asarray(mask).dtype) for mask in masks] != [
                (shape, np.dtype(bool)) for shape in shapes
            ]:
                raise ValueError(
                    f"method={self.label} must keep bool arrays of shapes {shapes}, one for every "
                    "hidden layer."
                )
            masks = self.masks.replaced(masks)
        masks = masks.with_output(self.masks.output)
        with self.transaction():
            self.masks, stayed = self.layout.prune(self.net, masks, cut=cut, refit=refit)
            self._watched.cut(stayed)
            self.hold_masks(hold)

    def hold_masks(self, holds: bool = True) -> None:
        """Hold the masked weights of now at zero after every step, or none of the hidden ones."""
        self.holds = holds
        self._held = [
            pair
            for layer, mask in zip(self.hidden, self.masks.current, strict=True)
            if holds and not mask.all()
            for pair in held_at_zero(
                layer, torch.from_numpy(mask).to(layer.weight.device).reshape(layer.weight.shape)
            )
        ]

        if holds:
            self._held += self.layout.held_besides(self.net.module_, self.masks)
        if self.masks.output is not None:
            last = self.layers[-1]
            mask = torch.from_numpy(self.masks.output).to(last.weight.device)
            self._held += held_at_zero(last, mask)

    def is_held(self) -> bool:
        """Whether the masked weights that are held are zero, as they are after every step.

        Where training has diverged they are NaN, which nobody has written.
        """
        held = (parameter.detach()[mask == 0] for parameter, mask in self._held)
        return not any(values[~values.isnan()].any() for values in held)

    def zero_masked(self) -> None:
        """Set the masked weights that are held to zero."""
        for parameter, mask in self._held:
            parameter.detach().mul_(mask)

    def warn_if_awake(self, when: str) -> None:
        """Warn if somebody has written into pruned weights; they are zero again afterwards."""
        if not self.is_held():
            self.zero_masked()
            warn(
                f"{when}, weights that had been pruned were written into (by load_params, or a "
                "callback that brings weights back from before a round). They are zero again: the "
                f"sparsity is {self.masks.sparsity:.3f}, and the other weights are those that were "
                "written."
            )

    def cut(self) -> None:
        """Let neurons leave that do nothing, where it is known whom they feed."""
        merge = all(probe.may_merge for probe in self._watched)
        self.masks, stayed = self.layout.cut(self.net, self.masks, merge)
        self._watched.cut(stayed)
        self.hold_masks(self.holds)
