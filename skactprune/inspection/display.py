"""What the figures of this folder share: axes, colours, curves with bands."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skactprune.inspection.sizes import net_of

if TYPE_CHECKING:
    from types import ModuleType

    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike, NDArray

__all__ = ["COLORS", "Display", "curve_with_band", "fitted_net", "layer_styles", "spread"]

COLORS = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "grey": "#7F7F7F",
}
"""Okabe and Ito's colours, which the colour-blind tell apart, and a grey."""


class Display:
    """Base class of displays.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of them where there are several panels
        What `plot` has drawn on.
    figure_ : matplotlib Figure
        The figure that they are in.
    """

    ax_: Any
    figure_: Any

    @classmethod
    def _matplotlib(cls) -> tuple[ModuleType, ModuleType]:
        """Return pyplot and ticker, or say what to install."""
        try:
            from matplotlib import pyplot, ticker
        except ImportError as error:
            raise ImportError(
                f"{cls.__name__} needs matplotlib: pip install skactprune[compare]"
            ) from error
        return pyplot, ticker

    def _axes(self, ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
        """Axes to draw on: those given, or a new figure's."""
        pyplot, _ = self._matplotlib()
        if ax is None:
            _, ax = pyplot.subplots(figsize=size, layout="constrained")
        elif not hasattr(ax, "get_subplotspec"):
            raise ValueError(f"ax={ax!r} must be one matplotlib Axes, or None.")
        self.ax_, self.figure_ = ax, ax.figure
        return ax

    def _panels(
        self, ax: Any, n_panels: int, n_columns: int, *, size: tuple[float, float], **shared: Any
    ) -> NDArray[Any]:
        """Axes for several panels in rows of `n_columns`, each new one of some size."""
        pyplot, _ = self._matplotlib()
        shape = -(-n_panels // n_columns), min(n_columns, n_panels)
        how = {"squeeze": False, **shared}
        if ax is None:
            inches = size[0] * shape[1], size[1] * shape[0] + 0.4
            _, axes = pyplot.subplots(*shape, figsize=inches, layout="constrained", **how)
        elif not hasattr(ax, "get_subplotspec"):
            axes = np.array(ax, dtype=object)
            if axes.size != n_panels:
                raise ValueError(f"ax must be one Axes or {n_panels} of them, got {axes.size}.")
        elif n_panels == 1:
            axes = np.array([ax], dtype=object)
        elif ax.get_subplotspec() is None:
            raise ValueError(
                f"ax={ax!r} must be part of a grid, as pyplot.subplots makes it, to be divided "
                f"into {n_panels} panels; or give {n_panels} Axes."
            )
        else:
            ax.set_axis_off()
            axes = ax.get_subplotspec().subgridspec(*shape).subplots(**how)
        axes = axes.ravel()
        for left_over in axes[n_panels:]:
            left_over.remove()
        self.ax_, self.figure_ = axes[:n_panels], axes[0].figure
        return self.ax_


def fitted_net(estimator: Any, *attributes: Any) -> Any:
    """Find the net to be drawn.

    Parameters
    ----------
    estimator : estimator
        A fitted net, or a pipeline with one.
    *attributes : str
        What it must have.

    Returns
    -------
    estimator

    Raises
    ------
    NotFittedError
        If it is not fitted.
    ValueError
        If there is no net, or one that lacks an attribute.
    """
    if not hasattr(estimator, "coefs_"):
        check_is_fitted(estimator)
    net = net_of(estimator)
    lacking = ["coefs_"] if net is None else [a for a in attributes if not hasattr(net, a)]
    if lacking:
        raise ValueError(
            f"estimator={estimator!r} must be, or have as a step, a net with {lacking[0]}, such as "
            "a PrunedMLPClassifier."
        )
    return net


def spread(
    scores: ArrayLike, of: Literal["error", "deviation"] = "error"
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and spread of repeated scores.

    Parameters
    ----------
    scores : array-like of shape (n_points, n_repeats)
        Scores.
    of : {"error", "deviation"}, default="error"
        One standard error of the mean, or one standard deviation.

    Returns
    -------
    means : ndarray of shape (n_points,)
    spreads : ndarray of shape (n_points,)
        0 where there are no repeats.
    """
    scores = np.asarray(scores, dtype=float)
    n_repeats = scores.shape[1]
    deviations = scores.std(axis=1, ddof=1) if n_repeats > 1 else np.zeros(len(scores))
    return scores.mean(axis=1), deviations / (np.sqrt(n_repeats) if of == "error" else 1)


def curve_with_band(
    ax: Axes,
    x: ArrayLike,
    means: ArrayLike,
    spreads: ArrayLike,
    *,
    color: str,
    band: str | None = None,
    **style: Any,
) -> tuple[Line2D, PolyCollection]:
    """Draw a curve, and a band around it; around a point alone it is a bar.

    Parameters
    ----------
    ax : matplotlib Axes
        Where.
    x, means, spreads : array-like of shape (n_points,)
        The curve, and half the height of the band.
    color : str
        Of both.
    band : str, default=None
        Label of the band.
    **style
        Of the line, its label for instance.

    Returns
    -------
    line : matplotlib Line2D
    band : matplotlib PolyCollection
    """
    means, spreads = np.asarray(means), np.asarray(spreads)
    (line,) = ax.plot(x, means, color=color, **style)
    if len(means) == 1:
        # A band of no width is not seen.
        ax.errorbar(x, means, spreads, color=color, capsize=3)
    edges = means - spreads, means + spreads
    return line, ax.fill_between(x, *edges, color=color, alpha=0.15, linewidth=0, label=band)


def layer_styles(n_layers: int) -> list[dict[str, Any]]:
    """Line styles of layers, which differ in colour and dashes.

    Parameters
    ----------
    n_layers : int
        Number of layers.

    Returns
    -------
    list of dict
    """
    colors = cycle(COLORS[name] for name in ("vermilion", "blue", "green", "purple", "orange"))
    dashes = cycle(["-", "--", "-.", ":"])
    return [
        {"color": color, "linestyle": dash}
        for _, color, dash in zip(range(n_layers), colors, dashes, strict=False)
    ]
