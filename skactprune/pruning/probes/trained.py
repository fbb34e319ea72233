"""What is trained besides the weights: tensors with an entry for every neuron or every weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.utils import parametrize

from skactprune.nets.matrices import kept_inputs
from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch.utils.hooks import RemovableHandle

    from skactprune.pruning.probes.seen import SeenRun


class Trained(Probe):
    """Tensors that are trained besides the weights, one for every hidden layer; a base class.

    They are leaves of autograd: what a forward pass makes of them, through hooks of the layers,
    and what a penalty asks of them goes into their gradients, and an optimizer of their own makes
    a step after that of the net. Between steps, and in evaluation mode, the layers are those of the
    net that predicts; whatever is drawn is drawn in training mode only.

    Parameters
    ----------
    rate : float
        Learning rate of Adam.
    limit : float, default=inf
        Largest absolute value.

    Attributes
    ----------
    values : list of torch.Tensor of shape (n_out,) or (n_out, n_in)
        The tensors; empty while none is trained.
    n_of_layer : int
        How many of them a layer has.
    """

    n_of_layer = 1
    _run: SeenRun

    def __init__(self, rate: float, limit: float = np.inf) -> None:
        self.rate, self.limit = rate, limit
        self.values: list[torch.Tensor] = []
        self._states: list[dict[str, Any]] = []
        self._handles: list[RemovableHandle] = []
        self._generators: dict[torch.device, torch.Generator] = {}
        self._optimizer: torch.optim.Optimizer | None = None

    @property
    def active(self) -> bool:
        """Whether anything is trained."""
        return bool(self.values)

    @property
    def hears_batches(self) -> bool:
        """Whether anything is trained."""
        return self.active

    # -- begin and end ----------------------------------------------------------------------

    def attach(self, run: SeenRun) -> None:
        """Train on, where anything is trained."""
        self._run = run
        if self.active:
            self._begin(self.values, self._states)

    def start(self, values: Sequence[NDArray[Any]]) -> None:
        """Train tensors from now on.

        Parameters
        ----------
        values : list of ndarray of shape (n_out,) or (n_out, n_in)
            What they are in the beginning.
        """
        self._begin([torch.tensor(value) for value in values], [{} for _ in values])

    def stop(self) -> None:
        """Train nothing from now on, and forget what was trained."""
        self.detach()
        self.values, self._states, self._optimizer = [], [], None

    def detach(self) -> None:
        """Take the hooks away; the tensors stay."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._generators = [], {}

    def _begin(self, values: list[torch.Tensor], states: list[dict[str, Any]]) -> None:
        """Train tensors with what their optimizer knows of them."""
        self.detach()
        names = {part: name for name, part in self._run.net.module_.named_modules()}
        for layer in self._run.hidden:
            if parametrize.is_parametrized(layer, "weight"):
                raise ValueError(
                    f"method={self._run.label} cannot train {names[layer]!r}: this layer computes "
                    "its weight from other parameters."
                )
        self._set(values, states)
        self._handles = self.hooks(self._run)

    def _set(self, values: list[torch.Tensor], states: list[dict[str, Any]]) -> None:
        layers = [layer for layer in self._run.hidden for _ in range(self.n_of_layer)]
        like = [self._like(layer.weight) for layer in layers]
        self._states = [
            {k: v.to(at["device"]) if has_shape(v, value) else v for k, v in state.items()}
            for value, state, at in zip(values, states, like, strict=True)
        ]
        self.values = [
            value.detach().clone().to(**at).requires_grad_()
            for value, at in zip(values, like, strict=True)
        ]
        self._optimizer = self.new_optimizer()
        # The same dicts: the optimizer fills them.
        self._optimizer.state.update(zip(self.values, self._states, strict=True))

    def new_optimizer(self) -> torch.optim.Optimizer:
        """Optimizer of the values."""
        return torch.optim.Adam(self.values, lr=float(self.rate))

    @staticmethod
    def _like(weight: torch.Tensor) -> dict[str, Any]:
        """Where, and in what, the numbers of a layer are trained: never in a half precision."""
        short = weight.dtype in (torch.float16, torch.bfloat16)
        return {"device": weight.device, "dtype": torch.float32 if short else weight.dtype}

    def hooks(self, run: SeenRun) -> list[RemovableHandle]:
        """Register the hooks through which the tensors take part in a forward pass.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        list of torch.utils.hooks.RemovableHandle
        """
        raise NotImplementedError(f"{type(self).__name__} must define hooks(run).")

    def generator(self, device: torch.device) -> torch.Generator:
        """Generator for draws on a device, seeded by the run when it is first asked for."""
        if device not in self._generators:
            seed = int(self._run.random_state.randint(2**31 - 1))
            self._generators[device] = torch.Generator(device).manual_seed(seed)
        return self._generators[device]

    # -- as a probe -------------------------------------------------------------------------

    @torch.no_grad()
    def end_batch(self, batch: Any, pre_activations: list[torch.Tensor]) -> None:
        """Make a step."""
        if self._optimizer is not None:
            self._optimizer.step()
            self._optimizer.zero_grad()
            for value in self.values:
                value.clamp_(-self.limit, self.limit)

    def arrays(self) -> list[NDArray[np.float64]]:
        """Values as arrays of their own, in float64."""
        return [value.detach().double().cpu().numpy().copy() for value in self.values]

    def cut(self, keep: list[NDArray[np.bool_]]) -> None:
        """Forget the neurons that have left."""
        if not self.active:
            return
        values, states = [], []
        for value, state, *kept in zip(
            self.values, self._states, keep, [None, *keep[:-1]], strict=True
        ):
            shape = value.shape
            values.append(chosen(value, *kept))
            states.append(
                {k: chosen(v, *kept) if v.shape == shape else v for k, v in state.items()}
            )
        self._set(values, states)

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays."""
        return {
            "values": [value.detach().cpu().numpy().copy() for value in self.values],
            "states": [
                {k: v.cpu().numpy().copy() for k, v in state.items() if torch.is_tensor(v)}
                for state in self._states
            ],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.values = [torch.tensor(value) for value in state["values"]]
        self._states = [
            {name: torch.tensor(value) for name, value in of_layer.items()}
            for of_layer in state["states"]
        ]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_run": None, "_handles": [], "_generators": {}, "_optimizer": None}


def has_shape(value: Any, other: torch.Tensor) -> bool:
    """Whether a piece of an optimizer's state has an entry for each of a tensor."""
    return torch.is_tensor(value) and value.shape == other.shape


def chosen(
    tensor: torch.Tensor, rows: NDArray[np.bool_] | None, columns: NDArray[np.bool_] | None
) -> torch.Tensor:
    """Rows, and columns of a matrix, of a tensor; bool arrays, or None for all."""
    if rows is not None:
        tensor = tensor[_indices(rows, len(tensor), tensor.device)]
    if columns is not None and tensor.dim() > 1 and not columns.all():
        n = tensor.shape[1]
        tensor = tensor[:, _indices(kept_inputs(columns, n), n, tensor.device)]
    return tensor


def _indices(kept: NDArray[np.bool_] | slice, n: int, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.arange(n)[kept]).to(device)
