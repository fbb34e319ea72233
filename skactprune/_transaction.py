"""All or nothing: what was begun and failed leaves no trace, wherever an interrupt comes.

An interrupt may also come while a context is entered or left, whose end is then not heard of.
Contexts of generators are worse: they end when they are freed, at any time later. So there are none
here, and what is under way is noted where whoever catches the interrupt finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


class Context:
    """Context after which something is again as it was; it does nothing when it is just freed.

    Parameters
    ----------
    *restores : callable
        Called without arguments, in order, at the end.
    """

    def __init__(self, *restores: Any) -> None:
        self._restores = restores

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any
    ) -> None:
        if kind is not GeneratorExit:
            self.restore()

    def restore(self) -> None:
        """Put everything back, again if an interrupt comes in between."""
        insist(self._restore)

    def _restore(self) -> None:
        for restore in self._restores:
            restore()


class Transactions:
    """What is under way with an object.

    Whoever catches an interrupt, or goes on after one, calls `undo`.
    """

    def __init__(self) -> None:
        self._open: list[_Transaction] = []

    def begin(self, *restores: Callable[[], object]) -> Context:
        """Context in which an exception, an interrupt too, undoes what was done.

        Parameters
        ----------
        *restores : callable
            Called without arguments, in order, to undo it; more than once if they are interrupted.
        """
        return _Transaction(self._open, restores, only_failed=True)

    def keep(self, *restores: Callable[[], object]) -> Context:
        """Context after which, in any case, something is as it was; parameters as for `begin`."""
        return _Transaction(self._open, restores, only_failed=False)

    def undo(self) -> None:
        """Undo what is still under way."""
        while self._open:
            self._open[-1].restore()
            self._open.pop()

    def __reduce__(self) -> Any:
        # With a copy, nothing is under way.
        return Transactions, ()


class _Transaction(Context):
    def __init__(
        self,
        under_way: list[_Transaction],
        restores: tuple[Callable[..., Any], ...],
        only_failed: bool,
    ) -> None:
        super().__init__(*restores)
        self._open, self._only_failed = under_way, only_failed

    def __enter__(self) -> Self:
        self._open.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any
    ) -> None:
        if self not in self._open:
            # It was undone by somebody who caught an interrupt.
            return
        if kind is not None or not self._only_failed:
            self.restore()
        # From here on, it is done.
        del self._open[self._open.index(self) :]


def insist(action: Callable[[], object]) -> None:
    """Do what can be done more than once, and do it again if an interrupt comes in between.

    Parameters
    ----------
    action : callable
        Called without arguments.
    """
    try:
        action()
    except BaseException:
        action()
        raise


def attributes_of(obj: Any) -> Callable[[], None]:
    """Function that gives an object back the attributes that it has now.

    Only which objects these are is kept, the states of random generators and the lengths of lists,
    which may have grown: what else changes its attributes in place is not undone.
    """
    before = vars(obj).copy()
    lengths = [(value, len(value)) for value in before.values() if isinstance(value, list)]
    drawn = [(v, v.get_state()) for v in before.values() if isinstance(v, np.random.RandomState)]

    def restore() -> None:
        # At no time is an attribute missing that was there.
        vars(obj).update(before)
        for name in vars(obj).keys() - before.keys():
            vars(obj).pop(name, None)
        for value, length in lengths:
            del value[length:]
        for generator, state in drawn:
            generator.set_state(state)

    return restore


def interrupt_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Interrupt in whose handling an error was raised by accident, or None.

    What is raised from it on purpose, as by ``raise ... from``, is none.
    """
    while error is not None and not error.__suppress_context__:
        error = error.__context__
        if isinstance(error, KeyboardInterrupt):
            return error
    return None
