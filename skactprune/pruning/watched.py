"""The probes of a run, and what those of earlier fits have left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skactprune._transaction import attributes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    import numpy as np
    from numpy.typing import NDArray

    from skactprune.pruning.probes.base import Probe

    P = TypeVar("P", bound=Probe)


class Watched:
    """Probes by their names; nothing here is changed in place but the probes themselves."""

    def __init__(self) -> None:
        self._probes: dict[str, Any] = {}
        self._saved: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Probe]:
        return iter(self._probes.values())

    def get(self, name: str) -> Any:
        """Probe that is watched under a name, or None."""
        return self._probes.get(name)

    def add(self, probe: P, name: str) -> P:
        """Watch a probe, or go on with the one of that name, as `Run.watch`; give it back."""
        found = self._probes.get(name, probe)
        if name in self._saved:
            found.load(self._saved[name])
        self._saved = {key: state for key, state in self._saved.items() if key != name}
        self._probes = self._probes | {name: found}
        return found

    @property
    def hearing(self) -> list[Probe]:
        """Those that are to hear of every batch."""
        return [probe for probe in self if probe.hears_batches]

    def detach(self) -> None:
        """Let all of them watch no longer."""
        for probe in self:
            probe.detach()

    def cut(self, stayed: list[NDArray[np.bool_]]) -> None:
        """Let all of them forget the neurons of each hidden layer that have not stayed."""
        if not all(kept.all() for kept in stayed):
            for probe in self:
                probe.cut(stayed)
            # What other methods have left is cut by nobody: they would begin anew.
            self._saved = {}

    def snapshots(self) -> list[Callable[[], None]]:
        """Functions that give everything back what it holds now."""
        return [*(probe.snapshot() for probe in self), attributes_of(self)]

    def state(self) -> dict[str, Any]:
        """States of all, of those of earlier fits, too, by their names."""
        return self._saved | {name: probe.state() for name, probe in self._probes.items()}

    def load(self, states: dict[str, Any]) -> None:
        """Let probes that will be watched go on where these states were taken."""
        self._saved = dict(states)
