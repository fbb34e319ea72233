"""What the figures of spectra share."""

import pandas as pd
from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind tell apart.
BLACK, ORANGE, GREEN, BLUE, RED = "#000000", "#E69F00", "#009E73", "#0072B2", "#D55E00"
PURPLE = "#CC79A7"


def panels(title, n_rows, n_columns, size=(3.0, 2.6), **kwargs):
    """Figure with a title and a grid of axes, always two-dimensional."""
    width, height = size[0] * n_columns, size[1] * n_rows + 0.6
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, **kwargs)
    for ax in axes.flat:
        ax.tick_params(labelsize=8)
    return figure, axes


def band(ax, x, values, label, **style):
    """Mean over seeds as a line, with one standard deviation to each side.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    x : array-like of shape (n_points,)
        Positions.
    values : ndarray of shape (n_seeds, n_points)
        NaN where a seed has no value.
    label : str or None
        For the legend.
    **style
        Of the line.
    """
    table = pd.DataFrame(values)
    mean, std = table.mean(), table.std().fillna(0.0)
    (line,) = ax.plot(x, mean, label=label, **style)
    ax.fill_between(x, mean - std, mean + std, color=line.get_color(), alpha=0.2, linewidth=0)


def save(figure, path):
    """Write a figure as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
