"""How far a run is: what was asked for, which rounds are done, and which are due."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune.pruning.layouts import floors_of
from skactprune.pruning.output_weights import check_output
from skactprune.pruning.requirements import check_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skactprune.pruning.state import State

# What progress is, in a loss or a score.
TOL = 1e-4


def ask(
    run: State,
    target: float | None,
    shares: list[float],
    min_neurons: int | Sequence[int],
    own_threshold: str | None = None,
    features: float | None = None,
    output: float | None = None,
) -> None:
    """Set what is to be reached, and in which steps; see `Run.ask`."""
    if shares and not run.layout.shapes:
        others = {"prune_features": features, "prune_output": output}
        name, value = "prune_fraction", target
        if not target:
            name, value = next((pair for pair in others.items() if pair[1]), (name, value))
        raise ValueError(
            f"hidden_layer_sizes=() leaves nothing to prune; {name}={value!r} needs a "
            f"hidden layer (or {name}=0)."
        )
    if features is not None:
        run.features = features
        check_features(features, run.n_to_drop(1.0), len(run.dropped))
    run.asked, run.target, run.shares = target, _overall(run, target), shares
    run.own_threshold = own_threshold
    run.floors = floors_of(run.layout.shapes, min_neurons)
    if output is not None:
        run.output = output
    if run.output:
        check_output(run)
    if not run.epoch and not run.history:
        start_schedule(run)
        return
    # Where more is asked for than before, the last rounds are to come again.
    run.done = min(run.done, len(shares))
    while run.done and not _is_reached(run, run.done):
        run.done -= 1


def _overall(run: State, asked: float | None) -> float | None:
    """Share of all hidden weights that is to be gone, where layers have shares of their own."""
    if asked is None or all(own is None for own in run.fractions):
        return asked
    sizes = [n_out * n_in for n_out, n_in in run.layout.shapes]
    shares = [asked if own is None else own for own in run.fractions]
    return float(np.average(shares, weights=sizes))


def start_schedule(run: State) -> None:
    """Count epochs and rounds from zero; rounds whose target was reached are skipped."""
    run.epochs_before += run.epoch
    run.epoch = run.n_rows_seen = run.done = 0
    run.best, run.idle = np.inf, 0
    # While nothing is gone, rounds that remove nothing come, too: methods tell time by them.
    is_pruned = run.fraction_done or run.dropped.any() or run.output_done
    n_rounds = len(run.shares) if is_pruned else 0
    while run.done < n_rounds and _is_reached(run, run.done + 1):
        run.done += 1


def _fraction(run: State, done: int, target: float) -> float:
    """Share of the weights that is to be gone after `done` rounds."""
    return run.shares[done - 1] * target


def _is_reached(run: State, done: int) -> bool:
    """Whether what `done` rounds are to remove is gone already."""
    if run.dropped.sum() < run.n_to_drop(run.shares[done - 1]):
        return False
    if run.shares[done - 1] * run.output > run.output_done:
        return False
    if run.target is None:
        threshold, share = run.reached
        return threshold == run.own_threshold and run.shares[done - 1] <= share
    return _fraction(run, done, run.target) <= run.fraction_done


def count_as_done(run: State, done: int) -> None:
    """Note what the rounds up to number `done` were to remove."""
    run.done = done
    if run.target is None:
        run.fraction_done = run.masks.sparsity
        run.reached = run.own_threshold, run.shares[done - 1]
    else:
        # Where a round came for features alone, more weights have gone before.
        run.fraction_done = max(run.fraction_done, _fraction(run, done, run.target))


def triggers_rounds(run: State) -> bool:
    """Whether rounds are, or were, the trigger's to begin: not all came before the first epoch."""
    came = run.done == len(run.shares)
    return bool(run.shares) and (not came or any(row["epoch"] for row in run.history))


def needs_score(run: State, trigger: Any) -> bool:
    """Whether the score of training is to be taken in the coming epoch."""
    due = rounds_due(run, trigger, 1, 0.0, run.idle + 1)
    asked_for = trigger.needs_score is not None and triggers_rounds(run)
    return asked_for or due > run.done


def rounds_due(run: State, trigger: Any, ahead: int, score: float, idle: int) -> int:
    """Rounds that must be done `ahead` epochs from now, `idle` of them without progress."""
    n_rounds = len(run.shares)
    if run.done == n_rounds:
        return n_rounds
    reached, patience = run.epoch + ahead, np.inf
    horizon: float = run.horizon
    if not run.in_calls:
        horizon = min(horizon, getattr(trigger, "horizon", np.inf))
        patience = getattr(trigger, "patience", np.inf)
    elif getattr(trigger, "n_samples", None) is not None:
        reached = run.n_rows_seen + ahead * len(run.rows.training)
        horizon = trigger.n_samples
    due: Any = trigger.rounds_due(run.done, n_rounds, reached, horizon, score)
    if not isinstance(due, Integral) or int(due) > n_rounds:
        raise ValueError(
            f"trigger={trigger!r} returned {due!r} from rounds_due; it must return an integer, at "
            f"most n_rounds, {n_rounds}."
        )
    return max(int(due), run.done + (idle >= patience))


def count_epoch(run: State) -> None:
    """Note that an epoch has ended, and whether it has brought the loss down."""
    run.epoch += 1
    if run.in_calls:
        run.n_rows_seen += len(run.rows.training)
    reached = _progress_of(run.net.history[-1])
    improved = reached < run.best - TOL
    run.best, run.idle = min(run.best, reached), 0 if improved else run.idle + 1


def _progress_of(epoch: dict[str, Any]) -> float:
    """What is to fall: the negative score on validation rows, or the loss."""
    if "valid_score" in epoch:
        return -epoch["valid_score"]
    return epoch.get("valid_loss", epoch.get("train_loss", np.inf))
