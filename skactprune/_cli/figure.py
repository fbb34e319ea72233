"""The figure: accuracy against rank, singular values before and after pruning."""

from __future__ import annotations

import io
import warnings
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from skactprune._cli.experiment import (
    ACTIVATION,
    ACTIVATION_MAGNITUDE,
    AT_ONE_FRACTION,
    BOOSTING,
    COMPONENTS_AT_ONE_FRACTION,
    DEFAULT,
    DENSE,
    KERNEL_PCA,
    LDA_CLASSIFIER,
    LOGISTIC,
    MAGNITUDE,
    NCA_CLASSIFIER,
    PCA_CLASSIFIER,
    RANDOM,
    SMALL,
    WITHOUT_FRACTION,
)
from skactprune._cli.text import shown
from skactprune.inspection import SpectrumDisplay
from skactprune.inspection.display import COLORS, curve_with_band, spread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from skactprune._cli.experiment import Fit, Fits, Settings

STYLE: dict[str, dict[str, Any]] = {
    DENSE: {"color": COLORS["black"], "linestyle": "--"},
    DEFAULT: {"color": COLORS["vermilion"], "marker": "o", "zorder": 4},
    ACTIVATION: {"color": COLORS["orange"], "marker": "P"},
    ACTIVATION_MAGNITUDE: {"color": COLORS["orange"], "marker": "D"},
    MAGNITUDE: {"color": COLORS["blue"], "marker": "s"},
    RANDOM: {"color": COLORS["grey"], "marker": "x"},
    SMALL: {"color": COLORS["sky"], "marker": "<"},
    KERNEL_PCA: {"color": COLORS["green"], "marker": "^"},
    LOGISTIC: {"color": COLORS["purple"], "linestyle": ":"},
    BOOSTING: {"color": COLORS["blue"], "linestyle": "-."},
    PCA_CLASSIFIER: {"color": COLORS["purple"], "marker": "v"},
    LDA_CLASSIFIER: {"color": COLORS["purple"], "marker": "*", "markersize": 9},
    NCA_CLASSIFIER: {"color": COLORS["purple"], "marker": "d"},
}
CURVES = (DEFAULT, RANDOM, SMALL, KERNEL_PCA, PCA_CLASSIFIER)


def draw(fits: Fits, settings: Settings, title: str) -> bytes:
    """Draw the figure.

    Parameters
    ----------
    fits : dict
        From `skactprune._cli.experiment.run`.
    settings : Settings
        Those of the run.
    title : str
        Above the figure.

    Returns
    -------
    bytes
        PNG file.
    """
    n_hidden = len(settings.hidden)
    width = 5.5 + 3.5 * n_hidden
    figure = Figure(figsize=(width, 5.4), layout="constrained")
    axes = figure.subplots(1, 1 + n_hidden, width_ratios=[1.5, *[1] * n_hidden])
    for ax in axes[2:]:
        ax.sharey(axes[1])
    # The title has names of the user's, in which a dollar sign is one.
    figure.suptitle(fill(shown(title), int(13 * width)), fontsize=9, parse_math=False)
    _accuracy(axes[0], fits, settings)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8
    )
    at = settings.prune_fraction
    shown_nets = {"before": (DENSE, None), DEFAULT: (DEFAULT, at), MAGNITUDE: (MAGNITUDE, at)}
    nets = {name: fits[key][0].model for name, key in shown_nets.items()}
    for ax in SpectrumDisplay.from_estimators(nets, ax=axes[1:]).ax_:
        ax.set_title(f"{ax.get_title()}, first seed", fontsize=10)
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Characters that the font lacks become boxes, in names only.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, dpi=110, format="png")
    return file.getvalue()


def _accuracy(ax: Axes, fits: Fits, settings: Settings) -> None:
    for name in CURVES:
        fractions = sorted(f for method, f in fits if method == name and f is not None)
        # A reconstruction stands beside the pruned net whose ranks it was given.
        beside = DEFAULT if name == KERNEL_PCA else name
        x = [_mean_rank(fits[beside, f]) for f in fractions]
        means, spreads = _accuracies([fits[name, f] for f in fractions])
        curve_with_band(ax, x, means, spreads, label=name, **STYLE[name])
        if name == DEFAULT:
            _write_fractions(ax, x, means, fractions)
    at = settings.prune_fraction
    for name in (*AT_ONE_FRACTION, *COMPONENTS_AT_ONE_FRACTION):
        means, spreads = _accuracies([fits[name, at]])
        ax.errorbar(
            _mean_rank(fits[name, at]),
            means,
            spreads if settings.seeds > 1 else None,
            label=f"{name} ({at:.0%})" if name in AT_ONE_FRACTION else name,
            capsize=2,
            linestyle="none",
            **STYLE[name],
        )
    for name in WITHOUT_FRACTION:
        ax.axhline(_accuracies([fits[name, None]])[0][0], label=name, linewidth=1, **STYLE[name])
    ax.set_xlabel("rank of the last hidden layer, or components")
    ax.set_ylabel("test accuracy (%)")
    about = f": mean ± standard deviation of {settings.seeds} seeds" * (settings.seeds > 1)
    ax.set_title(f"accuracy{about}", fontsize=10)
    ax.grid(alpha=0.3)


def _accuracies(points: Iterable[list[Fit]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean test accuracy of the fits of each point, and its standard deviation."""
    scores = [[100 * fit.row["test_accuracy"] for fit in fits] for fits in points]
    return spread(scores, "deviation")


def _mean_rank(fits: list[Fit]) -> float:
    return float(np.mean([fit.ranks[-1] for fit in fits]))


def _write_fractions(ax: Axes, x: list[float], means: NDArray[Any], fractions: list[float]) -> None:
    for rank, mean, fraction in zip(x, means, fractions, strict=True):
        ax.annotate(
            f"{fraction:.0%}",
            (rank, mean),
            xytext=(4, -10),
            textcoords="offset points",
            fontsize=8,
            color=STYLE[DEFAULT]["color"],
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            zorder=5,
        )
