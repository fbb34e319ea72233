"""What belongs to the whole process, or thread, and is changed while a net is trained."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np
import sklearn
import torch

from skactprune._transaction import Context
from skactprune.nets.threads import threads_of_now

if TYPE_CHECKING:
    from collections.abc import Callable

    P = ParamSpec("P")
    T = TypeVar("T")


def same_world() -> Context:
    """Context that leaves the calling thread as it was.

    Everybody who changes something puts it back. Where an interrupt comes while that is done, in
    torch or scikit-learn for instance, nobody does.
    """
    return Context(
        partial(torch.set_grad_enabled, torch.is_grad_enabled()),
        partial(np.seterr, **np.geterr()),
        partial(sklearn.set_config, **sklearn.get_config()),
        threads_of_now(),
    )


def leaves_world(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator of a function after which the calling thread is as it was."""

    @wraps(function)
    def in_same_world(*args: P.args, **kwargs: P.kwargs) -> T:
        world = same_world()
        try:
            return function(*args, **kwargs)
        finally:
            world.restore()

    return in_same_world
