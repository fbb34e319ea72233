"""What neurons without weights do when training is over: they leave, if nobody can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skactprune._warnings import warn
from skactprune.pruning import surgery
from skactprune.pruning.best import save_best
from skactprune.pruning.passes import check_same, outputs_of

if TYPE_CHECKING:
    from skactprune.pruning.state import State


def cut_or_leave(run: State) -> None:
    """Let neurons leave that do nothing, where it is known whom they feed; or all stay.

    The net predicts what it did. Where that is not so for a batch, as its module does something
    else with its layers besides calling them, it stays as it is, with a warning.
    """
    net, training = run.net, run.rows.training
    surgery.give_own_module(net)
    run.module = net.module_
    n_before = sum(p.numel() for p in net.module_.parameters())
    before = outputs_of(net, training, run.fit_params)
    try:
        with run.transaction():
            run.cut()
            check_same(before, outputs_of(net, training, run.fit_params))
    except Exception as error:
        warn(
            f"Pruner leaves the shapes of {type(net.module_).__name__} as they are, with "
            f"masked weights: without the neurons that have none it would not predict what it "
            f"does ({error})."
        )
    if sum(p.numel() for p in net.module_.parameters()) < n_before:
        surgery.note_cut(net.module_, run.layout.names, run.masks.state())
        save_best(net)
