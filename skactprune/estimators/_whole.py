"""Fits that are done entirely or not at all."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from skactprune._transaction import attributes_of, interrupt_behind

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")


def all_or_nothing(method: Callable[..., T]) -> Callable[..., T]:
    """Decorator of a method that, where it raises, leaves its object as it was.

    The thread is left as it was in any case. An interrupt stays one, whatever is raised by those
    whom it finds half begun.
    """

    @wraps(method)
    def method_or_undo(self: object, *args: Any, **kwargs: Any) -> T:
        import torch

        from skactprune.nets.world import same_world

        undo, world = attributes_of(self), same_world()
        try:
            try:
                # Whatever the caller has switched off, nets learn.
                with torch.inference_mode(False), torch.enable_grad():
                    result = method(self, *args, **kwargs)
                world.restore()
                return result
            except BaseException as error:
                undo()
                world.restore()
                interrupt = interrupt_behind(error)
                if interrupt is not None:
                    raise interrupt from None
                raise
        except BaseException:
            # The latter may have been interrupted.
            undo()
            world.restore()
            raise

    return method_or_undo
