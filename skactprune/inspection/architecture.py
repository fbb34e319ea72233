"""The layers of a net before and after pruning, to scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune.estimators._summary import sizes_before_and_after
from skactprune.inspection.display import COLORS, Display, fitted_net
from skactprune.inspection.sizes import n_parameters

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

__all__ = ["ArchitectureDisplay"]

BAR = 0.36


class ArchitectureDisplay(Display):
    """A net before and after pruning: layers as bars, their heights to scale.

    Parameters
    ----------
    before : list of int
        Neurons of every layer before pruning, input and output included.
    after : list of int
        The same after pruning.
    n_parameters : tuple of int, default=None
        Parameters before and after, for the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What `plot` has drawn on.
    figure_ : matplotlib Figure
        The figure that it is in.
    before_, after_ : list of matplotlib Rectangle
        The bars.

    See Also
    --------
    skactprune.inspection.n_parameters : What counts as a parameter.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skactprune import PrunedMLPClassifier
    >>> from skactprune.inspection import ArchitectureDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = PrunedMLPClassifier((20,), max_iter=30, tol=0.1, random_state=0).fit(X, y)
    >>> display = ArchitectureDisplay.from_estimator(net)  # doctest: +SKIP
    """

    def __init__(
        self, before: list[int], after: list[int], n_parameters: tuple[float, ...] | None = None
    ) -> None:
        self.before = before
        self.after = after
        self.n_parameters = n_parameters

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None) -> Self:
        """Draw a fitted net.

        Parameters
        ----------
        estimator : PrunedMLPClassifier or the like, or a pipeline with one
            Fitted.
        ax : matplotlib Axes, default=None
            See `plot`.

        Returns
        -------
        ArchitectureDisplay

        Raises
        ------
        ImportError
            If there is no matplotlib.
        NotFittedError, ValueError
            If there is no fitted net that knows its sizes before pruning.
        """
        net = fitted_net(estimator, "masks_", "live_neurons_", "unused_features_")
        before, after = sizes_before_and_after(net)
        dense = sum((n_in + 1) * n_out for n_in, n_out in zip(before, before[1:], strict=False))
        return cls(before, after, (dense, n_parameters(net))).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw outlines of what was before, and in them what is left.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ArchitectureDisplay
            The same.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        """
        n_layers = len(self.before)
        ax = self._axes(ax, (max(1.5 * n_layers, 4.5), 3.8))
        outline = {
            "facecolor": "none",
            "edgecolor": COLORS["grey"],
            "linestyle": "--",
        }
        filled = {"facecolor": COLORS["blue"], "edgecolor": COLORS["blue"]}
        self.before_ = _layers(ax, self.before, label="before", zorder=3, **outline)
        self.after_ = _layers(ax, self.after, label="after", zorder=2, **filled)
        _flows(ax, self.before, color=COLORS["grey"], alpha=0.12)
        _flows(ax, self.after, color=COLORS["blue"], alpha=0.25)
        names = ["input", *(f"hidden {depth}" for depth in range(1, n_layers - 1)), "output"]
        changes = [
            f"{one:,}" if one == other else f"{one:,} → {other:,}"
            for one, other in zip(self.before, self.after, strict=True)
        ]
        labels = [f"{name}\n{change}" for name, change in zip(names, changes, strict=True)]
        ax.set_xticks(range(n_layers), labels, fontsize=9)
        ax.tick_params(axis="x", length=0)
        ax.set_yticks([])
        ax.set_ylabel("neurons, to scale")
        half = max(self.before) / 2
        ax.set_xlim(-0.5, n_layers - 0.5)
        # Room for the legend.
        ax.set_ylim(-1.06 * half, 1.3 * half)
        ax.spines[["top", "right", "bottom", "left"]].set_visible(False)
        ax.legend(loc="upper right", ncols=2, fontsize=8, frameon=False)
        if self.n_parameters is not None:
            ax.set_title("{:,} → {:,} parameters".format(*self.n_parameters), fontsize=10)
        return self


def _layers(ax: Axes, sizes: list[int], **style: Any) -> list[Rectangle]:
    at = np.arange(len(sizes))
    return list(ax.bar(at, sizes, width=BAR, bottom=-np.array(sizes) / 2, **style))


def _flows(ax: Axes, sizes: list[int], **style: Any) -> None:
    """Join neighbours by bands."""
    for depth in range(len(sizes) - 1):
        halves = np.array(sizes[depth : depth + 2]) / 2
        edges = [depth + BAR / 2, depth + 1 - BAR / 2]
        ax.fill_between(edges, -halves, halves, linewidth=0, **style)
