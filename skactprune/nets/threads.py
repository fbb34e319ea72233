"""Torch's thread pool, kept from waiting for that of numpy."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self

import torch
from threadpoolctl import ThreadpoolController

from skactprune._transaction import Context

if TYPE_CHECKING:
    from collections.abc import Callable


class one_torch_thread(Context):
    """Context in which torch's own loops use one thread, where the calling thread runs them.

    After a product, the threads of numpy's BLAS wait in a loop for the next one, and a parallel
    region of torch waits for the cores that they hold: together they are several times slower than
    either alone.

    `torch.set_num_threads` would also set what other threads begin with. The count of OpenMP
    belongs to the thread that sets it, so that nobody else hears of this.
    """

    def __init__(self) -> None:
        super().__init__(threads_of_now())

    def __enter__(self) -> Self:
        for pool in _torch_pools():
            pool.set_num_threads(1)
        return self


def threads_of_now() -> Callable[[], None]:
    """Function that gives the calling thread back the number of torch's threads that it has now."""
    # Torch sets the count in every thread that uses it for the first time: now, not later.
    torch.get_num_threads()
    restores = [partial(pool.set_num_threads, pool.num_threads) for pool in _torch_pools()]

    def restore() -> None:
        for set_back in restores:
            set_back()

    return restore


@cache
def _torch_pools() -> list[Any]:
    """The OpenMP libraries, one or none, whose count is torch's."""
    pools = ThreadpoolController().lib_controllers
    return [pool for pool in pools if pool.user_api == "openmp" and _is_torchs(pool)]


def _is_torchs(pool: Any) -> bool:
    before = pool.num_threads
    asked = torch.get_num_threads() + 1
    pool.set_num_threads(asked)
    try:
        return torch.get_num_threads() == asked
    finally:
        pool.set_num_threads(before)
