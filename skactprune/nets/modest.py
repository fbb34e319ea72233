"""Marks of hooks that need no autograd; without torch, so that methods can be read anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")


def modest(hook: T) -> T:
    """Mark a hook of a callback, or of a method, that explicit steps may tell of their batches.

    Of what it is given it does not read ``loss``, and keeps nothing past its end; for the next
    batch may take its place. It reads gradients only if it is told of them, and then may change
    them where they are, or drop them all. A class that overrides the hook must mark its own.
    """
    return modest_if(lambda owner: True)(hook)


def modest_if(condition: Callable[[Any], bool]) -> Callable[[T], T]:
    """Mark a hook that is as `modest` says where a condition holds for its object."""

    def mark(hook: T) -> T:
        hook.modest_if = condition  # type: ignore[attr-defined]
        return hook

    return mark


def is_modest(hook: Callable[..., Any]) -> bool:
    """Whether a hook, bound to its object, is marked with `modest`."""
    condition = getattr(hook, "modest_if", None)
    return condition is not None and condition(getattr(hook, "__self__", None))
