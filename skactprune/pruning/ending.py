"""How training was begun, and whether it ended before the last round."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from sklearn.exceptions import ConvergenceWarning

from skactprune._warnings import warn

if TYPE_CHECKING:
    from skorch import NeuralNet

    from skactprune.pruning.run import Run


class Ending:
    """Tells, when a call of ``fit`` or ``partial_fit`` ends, of rounds that did not come.

    Calls of ``partial_fit`` that are asked for fewer epochs than a fit has are steps of a longer
    training: only that which ends at ``max_epochs``, or beyond, tells.

    Attributes
    ----------
    fit_params : dict
        What the module gets besides rows in this call.
    """

    fit_params: dict[str, Any]
    _asked: int | None
    _max_epochs: int | None

    def __init__(self) -> None:
        self._max_epochs = None
        self.start(0)

    def start(self, epoch: int) -> None:
        """Hear that a call begins after so many epochs of training."""
        self._start, self._asked, self._open, self._failed = epoch, None, False, False
        self.fit_params = {}

    def begin_epoch(self, net: NeuralNet) -> None:
        """Hear that an epoch begins; the first time, see how many there are to be."""
        self._open = True
        if self._asked is None:
            asked, self.fit_params = _call_of(net)
            self._asked = net.max_epochs if asked is None else asked

    def end_epoch(self) -> None:
        """Hear that an epoch has ended."""
        self._open = False

    def abandon(self) -> None:
        """Hear that the call has failed."""
        self._failed = True

    @property
    def within_epoch(self) -> bool:
        """Whether the call ends in the middle of something: of an epoch, or by an error."""
        return self._open or self._failed

    def reaches_end(self, net: NeuralNet) -> bool:
        """Whether the call was asked for all epochs that a fit has, or those that were missing."""
        limit = net.max_epochs
        return self._start + (limit if self._asked is None else self._asked) >= limit

    def tell(self, net: NeuralNet, run: Run, missed: str) -> None:
        """Warn if rounds are missing and no further call is to be expected.

        Parameters
        ----------
        net : skorch.NeuralNet
            The net.
        run : Run
            Its run.
        missed : str
            What was asked for and is not there.
        """
        limit = net.max_epochs
        before, self._max_epochs = self._max_epochs or limit, limit
        n_asked = limit if self._asked is None else self._asked
        has_told = self._start >= max(limit, before) and n_asked < limit
        missing = run.done < len(run.shares)
        if self._failed or not missing or not self.reaches_end(net) or has_told:
            return
        reached = (
            f"Stochastic Optimizer: Maximum iterations ({limit}) reached"
            if run.epoch >= limit
            else f"Stochastic Optimizer: Training ended after {run.epoch} of {limit} epochs"
        )
        warn(
            f"{reached} and only {run.done} of {len(run.shares)} pruning rounds were triggered: "
            f"the sparsity is {run.masks.sparsity:.3f}, {missed}.",
            ConvergenceWarning,
        )


def _call_of(net: NeuralNet) -> tuple[int | None, dict[str, Any]]:
    """Epochs that the loop of a net was asked for, or None, and what its module gets besides.

    Callbacks are told of neither, and skorch swallows the interrupts that end a loop early. So
    look at the call itself.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "fit_loop" and frame.f_locals.get("self") is net:
            return frame.f_locals.get("epochs"), dict(frame.f_locals.get("fit_params") or {})
        frame = frame.f_back
    return None, {}
