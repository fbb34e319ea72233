"""How training went: losses, and what pruning did on the way."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import is_classifier, is_regressor

from skactprune.inspection.display import COLORS, Display, fitted_net, layer_styles
from skactprune.inspection.sizes import live_neurons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike, NDArray

__all__ = ["LossCurveDisplay", "PruningHistoryDisplay"]


class LossCurveDisplay(Display):
    """Loss of the training rows, and of the validation rows, over the epochs.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Loss of the training rows.
    validation_loss_curve : array-like of shape (n_epochs,), default=None
        Loss of the validation rows, if there were any.
    round_epochs : array-like of int, default=()
        Epochs at whose end neurons or weights were pruned.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What `plot` has drawn on.
    figure_ : matplotlib Figure
        The figure that it is in.
    lines_ : list of matplotlib Line2D
        The losses: training, and validation if there is one.

    See Also
    --------
    PruningHistoryDisplay : The loss beside what was pruned.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skactprune import PrunedMLPClassifier
    >>> from skactprune.inspection import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = PrunedMLPClassifier((20,), max_iter=30, tol=0.1, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(net)  # doctest: +SKIP
    """

    def __init__(
        self,
        loss_curve: ArrayLike,
        validation_loss_curve: ArrayLike | None = None,
        round_epochs: ArrayLike = (),
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.round_epochs = round_epochs

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None) -> Self:
        """Draw the losses of a fitted net.

        Parameters
        ----------
        estimator : estimator
            A fitted net with ``loss_curve_``, one of scikit-learn's for instance, or a pipeline
            with one. Validation losses are drawn where it has ``validation_loss_curve_``.
        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        ImportError
            If there is no matplotlib.
        NotFittedError, ValueError
            If there is no fitted net with a loss curve.
        """
        net = fitted_net(estimator, "loss_curve_")
        validation = getattr(net, "validation_loss_curve_", None)
        return cls(net.loss_curve_, validation, _round_epochs(net)).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the losses, with a thin line at each pruning round.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        LossCurveDisplay
            The same.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        """
        ax = self._axes(ax)
        self.lines_ = _draw_losses(ax, self.loss_curve, self.validation_loss_curve)
        _mark_rounds(ax, np.ravel(self.round_epochs), label="pruning round")
        _finish(ax, "loss")
        ax.set_xlabel("epoch")
        return self


class PruningHistoryDisplay(Display):
    """Loss, score, sparsity and live neurons over the epochs, with the pruning rounds.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Loss of the training rows.
    rounds : list of dict
        A row a round, with ``total_epoch``, ``sparsity``, ``live_neurons`` and ``train_score``, as
        in ``pruning_history_``.
    sizes : list of int
        Neurons of the hidden layers before pruning.
    live_neurons : list of int
        The same in the end.
    sparsity : float
        Share of the hidden weights that is gone in the end.
    validation_loss_curve, validation_scores : array-like of shape (n_epochs,), default=None
        Loss and score of the validation rows, if there were any.
    score_name : str, default="score"
        What the scores are, other than the names of the other panels. There is no panel of them
        where none is known.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        The panels: loss, score, sparsity, live neurons.
    figure_ : matplotlib Figure
        The figure that they are in.
    lines_ : dict of str to list of matplotlib Line2D
        What was drawn in each panel, by its label.

    See Also
    --------
    LossCurveDisplay : The losses alone.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skactprune import PrunedMLPClassifier
    >>> from skactprune.inspection import PruningHistoryDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = PrunedMLPClassifier((20,), max_iter=30, tol=0.1, random_state=0).fit(X, y)
    >>> display = PruningHistoryDisplay.from_estimator(net)  # doctest: +SKIP
    """

    def __init__(
        self,
        loss_curve: ArrayLike,
        rounds: list[dict[str, Any]],
        *,
        sizes: list[int],
        live_neurons: list[int],
        sparsity: float,
        validation_loss_curve: ArrayLike | None = None,
        validation_scores: ArrayLike | None = None,
        score_name: str = "score",
    ) -> None:
        self.loss_curve = loss_curve
        self.rounds = rounds
        self.sizes = sizes
        self.live_neurons = live_neurons
        self.sparsity = sparsity
        self.validation_loss_curve = validation_loss_curve
        self.validation_scores = validation_scores
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | NDArray[Any] | None = None) -> Self:
        """Draw the history of a fitted net.

        Parameters
        ----------
        estimator : PrunedMLPClassifier or the like, or a pipeline with one
            Fitted.
        ax : matplotlib Axes or array of them, default=None
            See `plot`.

        Returns
        -------
        PruningHistoryDisplay

        Raises
        ------
        ImportError
            If there is no matplotlib.
        NotFittedError, ValueError
            If there is no fitted net with a history, or `ax` does not fit.
        """
        net = fitted_net(estimator, "loss_curve_", "pruning_history_", "masks_")
        scoring = getattr(net, "scoring", None)
        # Training rows have the estimator's own score; beside another it would mislead.
        unknown = {} if scoring is None else {"train_score": np.nan}
        rounds = [row | unknown for row in net.pruning_history_]
        return cls(
            net.loss_curve_,
            rounds,
            sizes=[mask.shape[1] for mask in net.masks_],
            live_neurons=[len(live) for live in live_neurons(net)],
            sparsity=net.sparsity_,
            validation_loss_curve=getattr(net, "validation_loss_curve_", None),
            validation_scores=getattr(net, "validation_scores_", None),
            score_name=_score_name(net, scoring),
        ).plot(ax)

    def plot(self, ax: Axes | NDArray[Any] | None = None) -> Self:
        """Draw the panels, one above the other.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Where to draw: an Axes a panel, or one that is divided; None makes a figure. There are
            three panels, and a fourth where scores are known.

        Returns
        -------
        PruningHistoryDisplay
            The same.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        ValueError
            If `ax` has another number of Axes, or is one that cannot be divided.
        """
        draw: dict[str, Callable[[Axes], list[Line2D]]]
        draw = {"loss": self._draw_losses}
        if self.validation_scores is not None or self._train_scores():
            draw[self.score_name] = self._draw_scores
        draw |= {"sparsity": self._draw_sparsity, "live neurons": self._draw_neurons}
        axes = self._panels(ax, len(draw), 1, size=(6.4, 1.7), sharex=True)
        self.lines_ = {}
        for panel, (label, draw_on) in zip(axes, draw.items(), strict=True):
            self.lines_[label] = draw_on(panel)
            name = None if len(self.lines_) > 1 else "pruning round"
            _mark_rounds(panel, [_epoch_of(row) for row in self.rounds], label=name)
            _finish(panel, label)
        axes[-1].set_xlabel("epoch")
        self.figure_.align_ylabels(list(axes))
        return self

    def _draw_losses(self, ax: Axes) -> list[Line2D]:
        return _draw_losses(ax, self.loss_curve, self.validation_loss_curve)

    def _train_scores(self) -> list[tuple[int, float]]:
        scores = [(_epoch_of(row), row["train_score"]) for row in self.rounds]
        return [(epoch, score) for epoch, score in scores if score is not None and score == score]

    def _draw_scores(self, ax: Axes) -> list[Line2D]:
        lines: list[Line2D] = []
        if self.validation_scores is not None:
            lines += _draw_curve(ax, self.validation_scores, "validation", COLORS["blue"])
        if found := self._train_scores():
            how: dict[str, Any] = {
                "color": COLORS["vermilion"],
                "label": "training, before a round",
            }
            lines += ax.plot(*zip(*found, strict=True), "o", **how)
        return lines

    def _draw_sparsity(self, ax: Axes) -> list[Line2D]:
        ax.set_ylim(-0.04, 1.04)
        ax.yaxis.set_major_formatter(self._matplotlib()[1].PercentFormatter(1, decimals=0))
        levels = [0.0, *(row["sparsity"] for row in self.rounds), self.sparsity]
        return ax.step(self._moments(), levels, where="post", color=COLORS["vermilion"])

    def _draw_neurons(self, ax: Axes) -> list[Line2D]:
        levels = [self.sizes, *(row["live_neurons"] for row in self.rounds), self.live_neurons]
        lines: list[Line2D] = []
        styles = layer_styles(len(self.sizes))
        for depth, (level, style) in enumerate(zip(zip(*levels, strict=True), styles, strict=True)):
            label = f"layer {depth + 1}"
            lines += ax.step(self._moments(), level, where="post", label=label, **style)
        ax.set_ylim(bottom=0)
        return lines

    def _moments(self) -> list[int]:
        return [0, *(_epoch_of(row) for row in self.rounds), np.size(self.loss_curve)]


def _epoch_of(row: dict[str, Any]) -> int:
    """Epoch of a round; those of other nets, and of models of earlier versions, are of one fit."""
    return row.get("total_epoch", row["epoch"])


def _round_epochs(net: Any) -> list[int]:
    return [_epoch_of(row) for row in getattr(net, "pruning_history_", [])]


def _score_name(net: Any, scoring: Any) -> str:
    if scoring == "loss":
        return "negative loss"
    if scoring is not None:
        return scoring.replace("_", " ") if isinstance(scoring, str) else "score"
    return "accuracy" if is_classifier(net) else "R²" if is_regressor(net) else "score"


def _draw_losses(ax: Axes, training: ArrayLike, validation: ArrayLike | None) -> list[Line2D]:
    lines = _draw_curve(ax, training, "training", COLORS["vermilion"])
    if validation is not None:
        lines += _draw_curve(ax, validation, "validation", COLORS["blue"], linestyle="--")
    return lines


def _draw_curve(ax: Axes, values: ArrayLike, label: str, color: str, **style: Any) -> list[Line2D]:
    return ax.plot(np.arange(1, np.size(values) + 1), values, label=label, color=color, **style)


def _mark_rounds(ax: Axes, epochs: Iterable[int], label: str | None) -> None:
    for number, epoch in enumerate(epochs):
        how: dict[str, Any]
        how = {"label": label if number == 0 else None, "color": COLORS["grey"], "zorder": 0}
        ax.axvline(epoch, linewidth=0.8, linestyle=":", **how)


def _finish(ax: Axes, label: str) -> None:
    ax.set_ylabel(fill(label, 16))
    if n_entries := len(ax.get_legend_handles_labels()[0]):
        ax.legend(fontsize=8, ncols=1 + (n_entries - 1) // 4)
