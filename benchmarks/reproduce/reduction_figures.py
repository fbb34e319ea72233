"""Figures of the experiment on dimensionality reduction."""

import numpy as np

from benchmarks.reproduce.figures import BLACK, BLUE, GREEN, ORANGE, RED, band, panels, save
from benchmarks.reproduce.tables import seeds

# The other two of Okabe and Ito's colours, and grey.
SKY, PINK, GREY = "#56B4E9", "#CC79A7", "#777777"
PRUNED, FIRST = "pruned net", "pruned net, first layer"
SMALL, DENSE = "small net from scratch", "dense net + PCA"
STYLES = {
    PRUNED: {"color": RED, "marker": "o", "linewidth": 2.2},
    FIRST: {"color": ORANGE, "marker": "o", "linestyle": "--"},
    DENSE: {"color": BLACK, "marker": "s"},
    SMALL: {"color": PINK, "marker": "D", "linestyle": "-."},
    "PCA": {"color": BLUE, "marker": "^"},
    "LDA": {"color": GREEN, "marker": "v"},
    "NCA": {"color": SKY, "marker": "<", "linestyle": "--"},
    "random projection": {"color": GREY, "marker": "x", "linestyle": ":"},
}
MEASURES = {
    "logistic_test_accuracy": ("logistic regression", "test accuracy, %"),
    "neighbors_test_accuracy": ("5 nearest neighbours", "test accuracy, %"),
    "trustworthiness": ("neighbourhoods of the pixels kept", "trustworthiness, %"),
}
# Tol's muted scheme, which the colour-blind tell apart.
CLASS_COLORS = (
    "#332288",
    "#88CCEE",
    "#44AA99",
    "#117733",
    "#999933",
    "#DDCC77",
    "#CC6677",
    "#882255",
    "#AA4499",
    "#AAAAAA",
)
STEPS = 999
NAMES = {
    "fashion-mnist": "0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, "
    "7 sneaker, 8 bag, 9 ankle boot",
}


def pack(Z, y):
    """Points of shape (n, 2) in steps of the range of each axis, with their classes, as text."""
    low, high = Z.min(axis=0), Z.max(axis=0)
    steps = np.rint(STEPS * (Z - low) / np.where(high > low, high - low, 1)).astype(int)
    return ";".join(f"{a} {b} {label}" for (a, b), label in zip(steps, y, strict=True))


def unpack(text):
    """Points in [0, 1] and classes of a text that `pack` wrote."""
    rows = np.array([part.split() for part in text.split(";")], int)
    return rows[:, :2] / STEPS, rows[:, 2]


def has_maps(rows):
    """Whether points on two components are among the rows."""
    return "points" in rows and rows["points"].notna().any()


def draw(table, folder):
    """Write the figures of every data set.

    Parameters
    ----------
    table : DataFrame
        Of the experiment.
    folder : pathlib.Path
        Where the figures go.
    """
    for dataset, rows in table.groupby("dataset"):
        save(_scores(dataset, rows), folder / f"reduction-scores-{dataset}.png")
        if has_maps(rows):
            save(_maps(dataset, rows), folder / f"reduction-maps-{dataset}.png")


def _scores(dataset, rows):
    title = (
        f"{dataset}: what k numbers an image still tell, by how they were found\n"
        f"lines: mean of {seeds(rows)}, bands: ± 1 standard deviation"
    )
    figure, axes = panels(title, 1, len(MEASURES), size=(4.2, 3.8))
    for ax, (measure, (name, unit)) in zip(axes[0], MEASURES.items(), strict=True):
        for model, style in STYLES.items():
            values = rows[rows.model == model].pivot_table(measure, "seed", "k")
            if len(values):
                band(ax, values.columns, 100 * values.to_numpy(), model, markersize=5, **style)
        ax.set_xscale("log")
        counts = sorted(rows.loc[rows.model == "PCA", "k"].unique())
        ax.set_xticks(counts, [str(k) for k in counts])
        ax.minorticks_off()
        ax.set_xlabel("k, components an image is reduced to", fontsize=9)
        ax.set_ylabel(unit, fontsize=9)
        ax.set_title(name, fontsize=10)
        ax.grid(alpha=0.3)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def _maps(dataset, rows):
    shown = rows[rows["points"].notna()].set_index("model")
    models = [model for model in STYLES if model in shown.index]
    title = (
        f"{dataset}: {len(unpack(shown['points'].iloc[0])[1])} test images on two components\n"
        "colour and number: class, the number at the median of its images; %: test accuracy of "
        "logistic regression on them; first seed"
    )
    if dataset in NAMES:
        title += f"\n{NAMES[dataset]}"
    n_columns = (len(models) + 1) // 2
    figure, axes = panels(title, 2, n_columns, size=(3.1, 3.0))
    for ax in axes.flat[len(models) :]:
        ax.set_visible(False)
    for ax, model in zip(axes.flat, models, strict=False):
        Z, y = unpack(shown.loc[model, "points"])
        ax.scatter(*Z.T, c=[CLASS_COLORS[label % 10] for label in y], s=9, linewidth=0)
        for label in np.unique(y):
            ax.text(
                *np.median(Z[y == label], axis=0),
                str(label),
                ha="center",
                va="center",
                fontsize=10,
                fontweight="bold",
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.7},
            )
        ax.set_title(f"{model}: {shown.loc[model, 'logistic_test_accuracy']:.0%}", fontsize=10)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel("component 1", fontsize=8)
        ax.set_ylabel("component 2", fontsize=8)
    return figure
