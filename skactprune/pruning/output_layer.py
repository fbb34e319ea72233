"""Which layer of a module is called last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skactprune.nets.passing import PassingHook
from skactprune.nets.recomputing import recomputing
from skactprune.pruning.passes import PRUNABLE
from skactprune.pruning.probes.base import Probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch.utils.hooks import RemovableHandle

    from skactprune.pruning.probes.seen import SeenRun


class OutputLayerCheck(Probe):
    """Refuses a module that calls another layer after the one that is taken for its output.

    It watches the first batch of a training that is to prune.
    """

    _handles: Sequence[RemovableHandle] = ()
    _called: torch.nn.Module | None
    _module: torch.nn.Module | None
    _output: torch.nn.Module | None

    def attach(self, run: SeenRun) -> None:
        """Watch from now on."""
        self._called, self._module = None, run.net.module_
        self._output = run.layers[-1]
        self._handles = []
        for part in self._module.modules():
            if isinstance(part, PRUNABLE) and run.pending:
                self._handles.append(part.register_forward_hook(PassingHook(self._note)))

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_handles": []}

    def _note(self, layer: torch.nn.Module, inputs: Any, output: Any) -> None:
        if not recomputing():
            self._called = layer

    def detach(self) -> None:
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._called, self._module, self._output = [], None, None, None

    def end_batch(self, batch: Any, pre_activations: list[torch.Tensor]) -> None:
        """Raise ValueError if another layer was called last."""
        if not self._handles:
            return
        called, module, defined = self._called, self._module, self._output
        self.detach()
        if module is not None and called not in (None, defined):
            names = {layer: name for name, layer in module.named_modules()}
            raise ValueError(
                f"Pruner takes the layer that a module defines last, here {names[defined]!r}, for "
                f"its output layer, but {names[called]!r} is called after it. Define the "
                f"output layer of {type(module).__name__} last."
            )
