"""Methods that score weights, and remove those with the lowest scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune._docs import shares_docs
from skactprune._options import COUNT, check_options
from skactprune.pruning.blocks import is_shape, tiles
from skactprune.pruning.method import Method
from skactprune.pruning.schedules import cumulative_shares
from skactprune.pruning.selection import (
    GRANULARITIES,
    SCOPES,
    floored,
    lowest_features,
    number_of,
    select,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import Granularity, ScheduleLike, Scope
    from skactprune.pruning.masks import Masks
    from skactprune.pruning.parts import Part
    from skactprune.pruning.probes.firing import Firing
    from skactprune.pruning.run import Run

# A layer with so many neurons, or as many as the narrowest layer, outputs included, loses none with
# "auto": one that is narrower has no room for what single weights could still tell.
NARROW = 16


def check_granularity(granularity: Any, allowed: tuple[str, ...], owner: str) -> None:
    """Raise ValueError for what is neither one of some names nor the shape of a block."""
    if not (isinstance(granularity, str) and granularity in allowed):
        raise ValueError(
            f"granularity={granularity!r} of {owner} must be one of {list(allowed)}, or the shape "
            "of a block, two positive integers in a tuple."
        )


def given(name: str, value: float | None) -> float:
    """A number that must be given, as nothing else says how much is pruned.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : float or None
        Its value.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If it is None.
    """
    if value is None:
        raise ValueError(f"{name}=None must be a number: nothing else says how much is pruned.")
    return value


class ScoredMethod(Method):
    """Score every weight, remove the lowest. Base class; `scores` is for its subclasses to give.

    Parameters
    ----------
    granularity : {"auto", "neuron", "weight", "block"} or (int, int), default="neuron"
        What leaves together. "auto" is neurons, but single weights where layers have become
        narrow: no whole neurons leave a layer of 16, or of as many as the narrowest has, the output
        layer included, if these are more. The score of a neuron is the mean over its incoming
        weights, that of a block over its weights. Blocks are tiles of so many neurons and inputs, 4
        by 4 for "block".
    scope : {"layer", "global"}, default="layer"
        The same share of every layer, or the lowest scores of all layers.
    schedule : {"geometric", "cubic", "linear", "one_shot", "last"} or callable, default="geometric"
        Share of `prune_fraction` that is gone after each round.
    regrow : bool, default=False
        Whether pruned weights, set to zero, may be learned again. What is still zero goes first.
    """

    # What holds for a subclass that has no such parameter.
    granularity: Granularity = "neuron"
    granularities: tuple[str, ...] = ("auto", *GRANULARITIES)
    scope: Scope = "layer"
    regrow = False

    def __init__(
        self,
        granularity: Granularity = "neuron",
        scope: Scope = "layer",
        schedule: ScheduleLike = "geometric",
        regrow: bool = False,
    ) -> None:
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule
        self.regrow = regrow

    @property
    def removes(self) -> str:
        """What leaves together, in the plural."""
        return "blocks" if is_shape(self.granularity) else super().removes

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        shares_docs(cls)

    def scores(self, run: Run) -> list[NDArray[Any]]:
        """Scores of the hidden weights; low ones go first.

        Parameters
        ----------
        run : Run
            The run; a round is about to be done.

        Returns
        -------
        list of ndarray of shape (n_out, n_in) or (n_out, 1)
            One for every hidden layer, in the sizes of now; those of weights that are left must be
            finite. With shape (n_out, 1) all weights into a neuron share one score.
        """
        raise NotImplementedError(f"{type(self).__name__} must define scores(run).")

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        cumulative_shares(self.schedule, 1)
        if not is_shape(self.granularity):
            check_granularity(self.granularity, self.granularities, type(self).__name__)
        if self.granularity == "auto" and self.own_threshold is not None:
            raise ValueError(
                f"granularity='auto' of {type(self).__name__} is for a prune_fraction, not for "
                f"{self.own_threshold}; take 'neuron', 'weight' or 'block'."
            )
        check_options(self, scope=SCOPES, regrow=(True, False))
        return self

    def check_option(self, name: str, allowed: Any) -> None:
        """Raise ValueError if an option has none of the allowed values."""
        check_options(self, **{name: allowed})

    def weight_scores(self, run: Run) -> list[NDArray[Any]]:
        """Scores of single weights, for narrow layers of which neurons are to stay.

        They are those of `scores` and, where it scores neurons, these times abs(w).

        Parameters
        ----------
        run : Run
            The run; `scores` was called before.

        Returns
        -------
        list of ndarray of shape (n_out, n_in)
            One for every hidden layer.
        """
        found = zip(self.checked_scores(run, run.masks), run.weights(), strict=False)
        return [s if s.shape == w.shape else s * np.abs(w) for s, w in found]

    def n_counted(self, run: Run | Part) -> int:
        """Number of weights that the fraction is taken of: the hidden ones before any round.

        Parameters
        ----------
        run : Run or Part
            The run, or what is chosen from together.

        Returns
        -------
        int
        """
        return run.masks.n_original

    def cutoffs(self, run: Run, share: float) -> list[float]:
        """Scores below which weights leave, where `Method.own_threshold` is set.

        A neuron, whose score is a mean, leaves below the cutoff of its layer, too. The last
        neurons and paths stay whatever their scores.

        Parameters
        ----------
        run : Run
            The run; `scores` was called before.
        share : float
            Share of the threshold that the round is to apply, in (0, 1].

        Returns
        -------
        list of float
            One for every hidden layer.
        """
        raise NotImplementedError(f"{type(self).__name__} must define cutoffs(run, share).")

    def plan(self, run: Run) -> None:
        """Raise ValueError if the target cannot be reached."""
        if run.target is None:
            return
        finest = "weight" if self.granularity == "auto" else self.granularity
        for part in run.parts(run.counted_in_the_end()):
            layout = part.masks.layout
            fewest = layout.fewest_weights(finest, part.floors)
            highest = (part.masks.n_original - fewest) / self.n_counted(part)
            if part.target is not None and part.target > highest + 1e-9:
                raise ValueError(
                    f"{run.what_asked(part)} cannot be reached: with hidden weights of "
                    f"shapes {layout.shapes} and at least {part.floors} neurons left, it must be "
                    f"at most {floored(highest)}."
                )

    def plan_features(self, run: Run) -> None:
        """Raise ValueError where weights may regrow: they would bring features back."""
        if self.regrow:
            run.refuse_features("lets weights come back (regrow=True)")

    def plan_output(self, run: Run) -> None:
        """Raise ValueError where weights may regrow: their neurons would have none to feed."""
        if self.regrow:
            run.refuse_output("lets weights come back (regrow=True)")

    def begin(self, run: Run) -> None:
        """Watch what the scores need, if anything; hold pruned weights unless they may regrow."""
        run.hold_masks(not self.regrow)
        if run.features or run.dropped.any():
            from skactprune.pruning.probes import Features

            run.watch(Features())

    def round(self, run: Run, share: float) -> None:
        """Remove the lowest scores, until `share` of the target is gone; features before that."""
        self.drop_features(run, run.n_to_drop(share) - int(run.dropped.sum()))
        masks = run.masks.regrown() if self.regrow else run.masks
        self.remove(run, masks.replaced(self.selected(run, masks, share)))

    def selected(self, run: Run, masks: Masks, share: float) -> list[NDArray[np.bool_]]:
        """Masks of what is to be left of `masks`, by scores."""
        scores = self.checked_scores(run, masks)
        whole = "neuron" if self.granularity == "auto" else self.granularity
        scores = self._zeros_first(run, scores, masks, whole)
        left = list(masks.current)
        cutoffs: list[float] = self.cutoffs(run, share) if run.target is None else []
        for part in run.parts(masks):
            how: dict[str, Any]
            if part.target is None:
                how = {"cutoffs": [cutoffs[depth] for depth in part.depths]}
            else:
                how = self.amount(part, share * part.target)
            found = self.chosen(run, part, [scores[depth] for depth in part.depths], how)
            for depth, mask in zip(part.depths, found, strict=True):
                left[depth] = mask
        return left

    def drop_features(self, run: Run, n: int) -> None:
        """Remove `n` features: at first those that nothing reads, or that never vary.

        Parameters
        ----------
        run : Run
            The run.
        n : int
            How many; nothing is done where it is not positive.
        """
        if n <= 0:
            return
        tell = run.telling_features()
        scores = self.feature_scores(run)
        if not np.isfinite(scores[tell]).all():
            raise ValueError(
                f"method={run.label} must give finite scores of the features that are left; the "
                "input data may contain large values and need to be preprocessed."
            )
        least = np.finfo(np.float64).min
        scores = np.where(run.dropped, np.inf, np.where(tell, scores, least))
        gone = lowest_features(scores, run.masks, run.floors, n)
        if gone.sum() < n:
            raise ValueError(
                f"prune_features={run.features!r} cannot be reached with at least {run.floors} "
                "neurons left in the hidden layers, which read different features."
            )
        self.remove_features(run, gone)

    def feature_scores(self, run: Run) -> NDArray[Any]:
        """Scores of the input features; low ones go first.

        They are the sums of what `scores` gives for the weights that are left. Where it scores
        neurons, they are sums of abs(w), times the standard deviation of the feature.

        Parameters
        ----------
        run : Run
            The run; a round is about to be done.

        Returns
        -------
        ndarray of shape (n_features,)
            Those of features that are read and vary must be finite.
        """
        mask = run.masks.current[0]
        scores = self.checked_scores(run, run.masks)[0]
        if scores.shape == mask.shape:
            return np.where(mask, scores, 0.0).sum(axis=0)
        weight = np.abs(run.weights()[0], dtype=np.float64)
        return np.where(mask, weight, 0.0).sum(axis=0) * run.probe("Features").deviation

    def remove_features(self, run: Run, gone: NDArray[np.bool_]) -> None:
        """Remove these features, a bool ndarray of shape (n_features,)."""
        run.drop_features(gone)

    def chosen(
        self, run: Run, part: Part, scores: list[NDArray[Any]], how: dict[str, Any]
    ) -> list[NDArray[np.bool_]]:
        """Masks of what is to be left of layers that are chosen from together.

        Parameters
        ----------
        run : Run
            The run.
        part : Part
            The layers.
        scores : list of ndarray
            Their scores.
        how : dict
            How much is to go, as keyword arguments of `select`.

        Returns
        -------
        list of bool ndarray of shape (n_out, n_in)
        """
        how = how | {"scope": self.scope}
        if self.granularity != "auto":
            floors = part.floors
            return select(scores, part.masks, granularity=self.granularity, floors=floors, **how)
        widths = [n_out for n_out, _ in run.layout.shapes]
        narrow = max(NARROW, min(len(run.weights()[-1]), *widths))
        live = map(len, part.masks.live_neurons)
        floors = [min(max(floor, narrow), n) for floor, n in zip(part.floors, live, strict=True)]
        found = select(scores, part.masks, granularity="neuron", floors=floors, **how)
        masks = part.masks.replaced(part.masks.layout.cascade(found))
        if masks.n_left <= how["n_left"]:
            return found
        scores = self._zeros_first(run, self.weight_scores(run), masks, "weight")
        scores = [scores[depth] for depth in part.depths]
        return select(scores, masks, granularity="weight", floors=part.floors, **how)

    def _zeros_first(
        self, run: Run, scores: list[NDArray[Any]], masks: Masks, granularity: Granularity
    ) -> list[NDArray[Any]]:
        """Scores by which that leaves first which is zero: to keep it would be to keep nothing."""
        if not self.regrow:
            return scores
        used = [weight != 0 for weight in run.weights()[:-1]]
        if granularity == "neuron":
            used = [some.any(axis=1, keepdims=True) for some in used]
        elif granularity != "weight":
            numbers = tiles(masks, granularity)
            used = [np.isin(tile, tile[some]) for tile, some in zip(numbers, used, strict=True)]
        return [np.where(some, score, -np.inf) for score, some in zip(scores, used, strict=True)]

    def amount(self, run: Run | Part, fraction: float) -> dict[str, int]:
        """How much `select` is to take until `fraction` is gone, as its keyword argument.

        Parameters
        ----------
        run : Run or Part
            The run, or what is chosen from together.
        fraction : float
            Share of the weights.

        Returns
        -------
        dict
        """
        whole = run.n_counted
        return {"n_left": whole - number_of(fraction, whole)}

    def remove(self, run: Run, masks: Masks) -> None:
        """Keep `masks`; neurons leave for good unless they may regrow."""
        run.keep(masks, cut=not self.regrow, hold=not self.regrow)

    def checked_scores(self, run: Run, masks: Masks) -> list[NDArray[Any]]:
        """The scores, which may come from a function of the user's."""
        # What overflows is not finite, and said to be so.
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.scores(run)
        n_layers = len(masks.current)
        by_layer = list(found) if np.iterable(found) else [found]
        if len(by_layer) != n_layers:
            raise ValueError(
                f"method={run.label} must give a list of {n_layers} arrays, one for every hidden "
                f"layer; its scores are {len(by_layer)}, of type {type(found).__name__}."
            )
        return [
            self._checked(scores, mask, run.label)
            for scores, mask in zip(by_layer, masks.current, strict=True)
        ]

    def _checked(self, given: Any, mask: NDArray[np.bool_], label: str) -> NDArray[Any]:
        scores = np.asarray(given)
        n_out, n_in = mask.shape
        if scores.shape not in ((n_out, n_in), (n_out, 1)) or scores.dtype.kind not in "biuf":
            raise ValueError(
                f"method={label} must give numbers of shape {(n_out, n_in)}, or "
                f"{(n_out, 1)}, for a layer of {n_out} neurons; it gave {scores.dtype} of shape "
                f"{scores.shape}."
            )
        if not np.isfinite(np.where(mask, scores, 0)).all():
            raise ValueError(
                f"method={label} must give finite scores of the weights that are left; "
                "it gave NaN or infinity. The input data may contain large values and need to be "
                "preprocessed."
            )
        return scores

    def end(self, run: Run) -> None:
        """Where weights may regrow, take those that are zero at the end for the pruned ones."""
        if not self.regrow or not run.history:
            return
        if run.goes_on:
            run.masks = run.nonzero()
        else:
            run.keep(run.nonzero(), hold=False)


class CountingMethod(ScoredMethod):
    """Base class of methods whose scores need to know who fires.

    Parameters
    ----------
    {granularity, scope, schedule, regrow}
    reset_counts : bool, default=False
        Whether counts restart after each round instead of running on through the fit.
    """

    reset_counts = False
    firing_: Firing

    def __init__(
        self,
        granularity: Granularity = "neuron",
        scope: Scope = "layer",
        schedule: ScheduleLike = "geometric",
        regrow: bool = False,
        reset_counts: bool = False,
    ) -> None:
        super().__init__(granularity, scope, schedule, regrow)
        self.reset_counts = reset_counts

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, reset_counts=(True, False))
        return super().validated()

    def begin(self, run: Run) -> None:
        """Count who fires."""
        from skactprune.pruning.probes import Firing

        super().begin(run)
        self.firing_ = run.watch(Firing())

    def round(self, run: Run, share: float) -> None:
        """Remove the lowest scores; start counting anew where that is asked for."""
        super().round(run, share)
        if self.reset_counts and self.firing_ is not None:
            self.firing_.restart()


class BeforeTraining(ScoredMethod):
    """Base class of methods that prune before the first step, and let the rest learn.

    All of `prune_fraction` goes at once: the number of rounds and the trigger do not matter, unless
    there are no rounds. Where training goes on, nothing is pruned unless more is asked for than
    before; then the rest goes by the net of that moment.

    Parameters
    ----------
    {granularity, scope}
    """

    when = "before training"
    schedule = "one_shot"
    regrow = False

    def __init__(self, granularity: Granularity = "weight", scope: Scope = "global") -> None:
        self.granularity = granularity
        self.scope = scope

    def begin(self, run: Run) -> None:
        """Prune, if anything is left to be pruned."""
        super().begin(run)
        if run.pending:
            with run.round(len(run.shares)) as share:
                self.round(run, share)


class OnSample(BeforeTraining):
    """Base class of methods that prune before the first step, by the loss of a sample of rows.

    Parameters
    ----------
    n_rows : int or None, default=100
        Size of the sample of training rows, which is drawn at random, whatever the targets; all
        rows for None, or where there are fewer.
    {granularity, scope}
    """

    def __init__(
        self, n_rows: int | None = 100, granularity: Granularity = "weight", scope: Scope = "global"
    ) -> None:
        super().__init__(granularity, scope)
        self.n_rows = n_rows

    def validated(self) -> Self:
        """Return self after checking the options; see `Method.validated`."""
        check_options(self, n_rows=(COUNT, None))
        return super().validated()

    def sample(self, run: Run) -> NDArray[np.int64]:
        """Draw the rows.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        int ndarray of shape (n_rows,)
            Which rows of ``run.rows.training``.
        """
        # Not `run.rows.sample`: a loss needs targets, which unlabelled rows do not have.
        n_training = run.rows.n_training
        n_rows = n_training if self.n_rows is None else min(self.n_rows, n_training)
        return run.random_state.choice(n_training, n_rows, replace=False)
