"""Forward passes within backward ones, as activation checkpointing makes them."""

from __future__ import annotations

from typing import Any

import torch


def recomputing() -> bool:
    """Whether a backward pass is on its way, in which layers are called a second time."""
    # torch.utils.checkpoint asks the same.
    engine: Any = torch._C  # noqa: SLF001
    return engine._current_graph_task_id() != -1  # noqa: SLF001


def refuse_recomputing(label: str, what: str) -> None:
    """Raise ValueError in such a pass, where a method draws `what` for every pass.

    Parameters
    ----------
    label : str
        How the user named the method.
    what : str
        What is drawn.
    """
    if recomputing():
        raise ValueError(
            f"method={label} draws {what} in a forward pass, which one that is made again for the "
            "backward pass would not have: the module must not use torch.utils.checkpoint."
        )
