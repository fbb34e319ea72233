"""Lottery tickets: iterative magnitude pruning with rewinding (Frankle & Carbin, ICLR 2019)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from skactprune._options import COUNT_OR_ZERO, check_options
from skactprune.methods.base import ScoredMethod, given
from skactprune.methods.scores import ScorePruning
from skactprune.pruning.method import register
from skactprune.pruning.probes.base import Probe
from skactprune.pruning.schedules import Geometric, cumulative_shares

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.methods.scores import LayerState
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.probes.weights import EarlyWeights
    from skactprune.pruning.run import Run


def same_share(done: int, n_rounds: int, target: float = 0.0) -> float:
    """Schedule of the paper: every round removes the same share of the weights that are left.

    After `done` rounds the density is ``(1 - target) ** (done / n_rounds)``.

    Parameters
    ----------
    done, n_rounds : int
        Rounds done, and rounds in all.
    target : float, default=0.0
        Share of the weights that is to be gone in the end, in [0, 1). No schedule is told of it,
        so that `LotteryTicket` gives it; without it the steps are equal, as for small targets.

    Returns
    -------
    float
        Share of `target` that is gone after `done` rounds.
    """
    return Geometric((1.0 - target) ** (1.0 / n_rounds))(done, n_rounds)


@register("lottery_ticket")
class LotteryTicket(ScoredMethod):
    """Remove the smallest abs(w), and give what is left its early values back.

    In every round the weights that are smallest after training go. All others, the biases and the
    output layer included, are rewound to their values of the beginning or, stabilised, of the end
    of an early epoch, and the optimizer starts anew.

    Parameters
    ----------
    {granularity, scope}
    schedule : {"geometric", "cubic", "linear", "one_shot"} or callable, default=same_share
        Share of `prune_fraction` that is gone after each round. With `same_share` each of n
        rounds removes the share ``1 - (1 - prune_fraction) ** (1 / n)`` of what is left.
    rewind_epoch : int, default=0
        Epoch at whose end the values are taken that are gone back to; 0 is before the first step.
        It must not be later than the first round.
    criterion : str or callable, default="magnitude"
        What is smallest, by the scores of a method or of a function; see `ScorePruning`.

    Raises
    ------
    ValueError
        In `fit`, if a round comes before the end of epoch `rewind_epoch`.

    Notes
    -----
    The paper trains to the end between rounds; here all rounds are in one fit, at the epochs that
    the trigger says, and the epochs after the last one train the ticket. Give `EpochTrigger` and
    `max_iter` so that rounds are far enough apart: n rounds of k epochs each, and k for the ticket,
    are ``max_iter=(n + 1) * k`` and ``EpochTrigger(1 / (n + 1), n / (n + 1))``. What is not a
    weight of the net goes on: the order of the rows, dropout, and the learning rate where it
    depends on the epoch.

    A neuron without incoming weights is a constant, which is added to the next biases as it is in
    the rewound net. Neurons leave the layers at the end of `fit` only. `partial_fit` and warm
    starts go back to the values of the first fit in which there was something to prune; when this
    fit began `rewind_epoch` epochs late, to those of its beginning.

    References
    ----------
    Frankle & Carbin, "The Lottery Ticket Hypothesis: finding sparse, trainable neural networks",
    ICLR 2019, section 1 (iterative pruning) and appendix G (20 % of each layer a round). Frankle,
    Dziugaite, Roy & Carbin, "Stabilizing the lottery ticket hypothesis", 2019, and "Linear mode
    connectivity and the lottery ticket hypothesis", ICML 2020 (`rewind_epoch`).
    """

    regrow = False
    scorer_: ScorePruning
    early_: EarlyWeights
    others_: EarlyOthers

    def __init__(
        self,
        granularity: Granularity = "weight",
        scope: Scope = "layer",
        schedule: ScheduleLike = same_share,
        rewind_epoch: int = 0,
        criterion: str | Callable[[LayerState], Any] = "magnitude",
    ) -> None:
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule
        self.rewind_epoch = rewind_epoch
        self.criterion = criterion

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, rewind_epoch=COUNT_OR_ZERO)
        super().validated()
        self._scorer().validated()
        return self

    def _scorer(self) -> ScorePruning:
        return ScorePruning(self.criterion, self.granularity)

    def schedule_to(self, target: float | None) -> ScheduleLike:
        """The schedule, told of the target where it is `same_share`."""
        if self.schedule is same_share:
            return partial(same_share, target=given("prune_fraction", target))
        return self.schedule

    def plan(self, run: Run) -> None:
        """Raise ValueError if the target cannot be reached, or no epoch is early enough."""
        super().plan(run)
        if self.rewind_epoch > run.max_epochs:
            raise ValueError(
                f"rewind_epoch={self.rewind_epoch!r} of {type(self).__name__} must be at most "
                f"{run.max_epochs}, the epochs of the fit, and not later than the first round."
            )
        shares = cumulative_shares(self.schedule_to(run.target), len(run.shares))
        run.ask(run.asked, shares, run.floors, run.own_threshold)

    def begin(self, run: Run) -> None:
        """Take the weights of the beginning, if they are what is gone back to."""
        from skactprune.pruning.probes import EarlyWeights

        super().begin(run)
        if run.shares:
            run.require_settable_weights()
        self.scorer_ = self._scorer()
        self.scorer_.begin(run)
        self.early_ = run.watch(EarlyWeights())
        self.others_ = run.watch(EarlyOthers())
        self.take_early(run)

    def on_epoch(self, run: Run) -> None:
        """Take the weights of an early epoch, if they are what is gone back to."""
        self.take_early(run)

    def take_early(self, run: Run) -> None:
        """Take the weights of now, if it is time and it has not been done before."""
        if run.shares and self.early_.weights is None and self.is_time(run):
            self.take(run)

    def is_time(self, run: Run) -> bool:
        """Whether the epoch has come whose weights are gone back to."""
        return run.epoch >= self.rewind_epoch

    def take(self, run: Run) -> None:
        """Take the weights of now."""
        self.early_.take(run)
        self.others_.take(run)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """abs(w) after training, or what else the criterion is."""
        return self.scorer_.scores(run)

    def weight_scores(self, run: Run) -> list[NDArray[Any]]:
        """Those of single weights."""
        return self.scorer_.weight_scores(run)

    def remove(self, run: Run, masks: Masks) -> None:
        """Rewind, then keep `masks`, so that constants are those of the rewound net."""
        weights = self.early_.weights
        if weights is None:
            raise ValueError(
                f"rewind_epoch={self.rewind_epoch!r} of {type(self).__name__} must not be later "
                f"than the first round, which came at the end of epoch {run.epoch}."
            )
        # By the sizes of after training, too.
        run.prune_output(masks)
        run.restore(weights)
        self.others_.put_back(run)
        if run.dropped.any():
            # Their weights are there again, at first.
            run.drop_features(run.dropped)
        run.keep(masks, cut=False)
        run.forget_optimizer()
        # With the constants of dead neurons in its biases: those may leave without being missed.
        self.early_.take(run)

    def end(self, run: Run) -> None:
        """Let neurons without weights leave, unless the net may be rewound again."""
        if run.history and not run.goes_on:
            run.keep(run.masks)


class EarlyOthers(Probe):
    """What a module holds besides its linear and convolutional layers, as it was once.

    Batch normalization, for instance, parameters and running statistics. The nets of this package
    have nothing of the kind, so that none of it belongs to a neuron that may leave.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Values by name.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}

    def take(self, run: Run) -> None:
        """Take the values of now."""
        self.arrays = {name: value.cpu().numpy().copy() for name, (value, _) in others(run).items()}

    def put_back(self, run: Run) -> None:
        """Give the module its early values back; what a value is held in is new, for rollback."""
        for name, (value, put) in others(run).items():
            put(value.new_tensor(self.arrays[name]))

    def state(self) -> dict[str, Any]:
        """What `load` needs, as arrays."""
        return dict(self.arrays)

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.arrays = dict(state)


def others(run: Run) -> dict[str, tuple[torch.Tensor, Callable[[torch.Tensor], None]]]:
    """Parameters and buffers that belong to no layer of a run.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    dict of str to (torch.Tensor, callable)
        For each name the values, and a function that puts a tensor in their place.
    """
    of_layers = {part for layer in run.layers for part in layer.modules()}
    found: dict[str, tuple[torch.Tensor, Callable[[torch.Tensor], None]]] = {}
    for prefix, part in run.net.module_.named_modules():
        if part in of_layers:
            continue
        for name, parameter in part.named_parameters(recurse=False):
            put = partial(setattr, parameter, "data")
            found[f"{prefix}.{name}"] = parameter.detach(), put
        for name, buffer in part.named_buffers(recurse=False):
            found[f"{prefix}.{name}"] = buffer, partial(setattr, part, name)
    return found
