"""Hooks of modules for the time of a fit, that copies and pickles of these do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class PassingHook:
    """Hook of a module that is there while a fit lasts.

    A module may be copied or pickled in between, by a callback, or after an error that nobody tells
    callbacks of. There it does nothing: what it serves is not in the copy.

    Parameters
    ----------
    hook : callable
        What the module is to call.
    """

    def __init__(self, hook: Callable[..., Any]) -> None:
        self._hook = hook

    def __call__(self, *args: Any) -> Any:
        return self._hook(*args)

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _idle, ()


def _idle() -> Callable[..., None]:
    return _do_nothing


def _do_nothing(*args: Any) -> None:
    """Hook that leaves everything as it is."""
