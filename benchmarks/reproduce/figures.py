"""Figures: panels of curves, means over seeds with their spread."""

from io import BytesIO

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from skactprune.inspection import display

ORDER = ("vermilion", "blue", "green", "orange", "purple", "sky", "black", "grey")
COLORS = [display.COLORS[name] for name in ORDER]
# All colours; then the same again, dashed.
STYLES = [{"color": color, "linestyle": line} for line in ("-", "--") for color in COLORS]


def panels(title, n_rows, n_columns, size=(3.4, 2.8), **kwargs):
    """Figure with a title and a grid of axes, always two-dimensional."""
    width, height = size[0] * n_columns, size[1] * n_rows + 0.6
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, **kwargs)
    for ax in axes.flat:
        ax.tick_params(labelsize=8)
        ax.grid(alpha=0.3)
    return figure, axes


def curves(table, x, y, hue, row=None, col=None, *, title, xlabel, ylabel, marker="o", **kwargs):
    """Figure of a column `y` against `x`: mean over seeds, one standard deviation to each side.

    There is a line for each value of `hue`, and a panel for each of `row` and of `col`. Other
    arguments are those of `panels`. Returns the figure and a dict of axes by values of `row` and
    `col`, None where there is no such column.
    """
    rows, columns, names = (_values(table, of) for of in (row, col, hue))
    about = f"{title}\nlines: mean over seeds, bands: ± 1 standard deviation"
    figure, axes = panels(about, len(rows), len(columns), **kwargs)
    placed = {}
    for i, at_row in enumerate(rows):
        for j, at_column in enumerate(columns):
            ax = placed[at_row, at_column] = axes[i, j]
            part = table if row is None else table[table[row] == at_row]
            part = part if col is None else part[part[col] == at_column]
            for name, style in zip(names, STYLES, strict=False):
                values = part[part[hue] == name].pivot_table(y, "seed", x, observed=True)
                mean, std = values.mean(), values.std().fillna(0.0)
                how = {"label": name, "marker": marker, "markersize": 4, **style}
                display.curve_with_band(ax, mean.index, mean, std, **how)
            ax.set_title(", ".join(str(at) for at in (at_row, at_column) if at is not None), size=9)
    for ax in axes[-1]:
        ax.set_xlabel(xlabel, size=9)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel, size=9)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=min(2 * len(columns), 5), fontsize=8)
    return figure, placed


def _values(table, column):
    """Values of a column in the order of its categories, or of the table."""
    if column is None:
        return [None]
    values = pd.unique(table[column])
    return list(values.sort_values()) if isinstance(values, pd.Categorical) else list(values)


def log_scale(axes, ticks):
    """Make the horizontal axes logarithmic, with these ticks."""
    for ax in axes.values():
        ax.set_xscale("log")
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()


def stacked(rows, measures):
    """Rows once for each of some measures, whose name is in ``of`` and whose values in ``y``."""
    return pd.concat([rows.assign(of=name, y=values) for name, values in measures.items()])


def ordered(values, order):
    """Column whose values come in this order in tables and figures."""
    return pd.Categorical(values, list(order))


def save(figure, path):
    """Write a figure as PNG of 256 colours, which takes a fraction of the room."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=100)
    Image.open(buffer).convert("RGB").quantize(256).save(path, optimize=True)
