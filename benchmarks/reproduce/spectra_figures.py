"""Figures of the experiment on spectra."""

from io import BytesIO

import numpy as np
from matplotlib import colormaps
from PIL import Image

from benchmarks.reproduce.figures import BLACK, BLUE, GREEN, ORANGE, RED, band, panels, save
from benchmarks.reproduce.moments import ROUNDING, positions, unpack
from benchmarks.reproduce.pictures import LEVELS, PICTURED, picture_name

STYLES = {
    "count": {"color": RED, "linestyle": "-"},
    "count, exact": {"color": ORANGE, "linestyle": "--"},
    "count x magnitude": {"color": GREEN, "linestyle": "-."},
    "magnitude": {"color": BLUE, "linestyle": ":", "linewidth": 2.2},
}
SPREAD = "{}; lines: mean of {}, bands: ± 1 standard deviation"


def draw_finished(table, folder):
    """Write the figures of every data set, from seeds that are finished.

    Parameters
    ----------
    table : DataFrame
        Of the experiment.
    folder : pathlib.Path
        Where the runs left their pictures, and where the figures go.
    """
    for dataset, rows in table.groupby("dataset"):
        for name, figure in (
            ("ranks", _ranks(rows)),
            ("ratios", _ratios(rows)),
            ("end", _ends(rows)),
        ):
            save(figure, folder / f"spectra-{name}-{dataset}.png")
        _save_grey(_weights(dataset, folder), folder / f"spectra-weights-{dataset}.png")


def _save_grey(figure, path):
    """Write a grey figure in 16 levels: noise in full colour would make the largest file by far."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=110)
    Image.open(buffer).convert("L").quantize(16).save(path, optimize=True)


def _spread(rows):
    n = rows["seed"].nunique()
    return SPREAD.format(rows["dataset"].iloc[0], f"{n} seed{'s' * (n != 1)}")


def _ranks(rows):
    """Rank and effective rank through the rounds, without and with regrowth."""
    rounds = int(rows["round"].max())
    title = "Rank of the hidden matrices while 80 % of their weights are pruned in rounds"
    figure, axes = panels(
        f"{title}\n{_spread(rows)}", 2, 2, size=(5.0, 2.9), sharex=True, sharey=True
    )
    for i, measure in enumerate(("rank", "effective_rank")):
        for regrow in (0, 1):
            ax = axes[i, regrow]
            for method, style in STYLES.items():
                part = rows[(rows.method == method) & (rows.regrow == regrow)]
                share = 100 * part[measure] / part["full"]
                x = part["round"].where(part.moment != "end", rounds + 0.6)
                x = x + part.moment.map({"before": -0.15, "after": 0.15, "end": 0.0})
                grouped = share.groupby([part["seed"], x]).mean().unstack()
                band(ax, grouped.columns, grouped.to_numpy(), method, **style)
            ax.grid(alpha=0.3)
            what = "pruned weights may regrow" if regrow else "pruned weights stay zero"
            ax.set_title(f"{measure.replace('_', ' ')}, {what}", fontsize=9)
    for ax in axes[:, 0]:
        ax.set_ylabel("% of full rank,\nmean of the hidden layers", fontsize=9)
    for ax in axes[1]:
        ax.set_xticks([*range(1, rounds + 1), rounds + 0.6], [*range(1, rounds + 1), "end"])
        ax.set_xlabel("pruning round (left: before it, right: after it), end of training")
    axes[0, 0].set_ylim(0, 105)
    axes[0, 0].legend(fontsize=8)
    return figure


def _ratios(rows):
    """What is left of every singular value after a round."""
    methods = ("count", "count x magnitude", "magnitude")
    layers, rounds = sorted(rows["layer"].unique()), sorted(rows["round"].unique())
    title = "What a pruning round leaves of each singular value (1: unchanged, 0: gone)"
    figure, axes = panels(
        f"{title}\n{_spread(rows)}", len(methods), len(layers), sharex=True, sharey=True
    )
    colors = colormaps["viridis"](np.linspace(0, 0.9, len(rounds)))
    for row, method in zip(axes, methods, strict=True):
        for ax, layer in zip(row, layers, strict=True):
            part = rows[(rows.method == method) & (rows.regrow == 0) & (rows.layer == layer)]
            for i, color in zip(rounds, colors, strict=True):
                before, after = (
                    unpack(part[(part["round"] == i) & (part.moment == moment)].singular_values)
                    for moment in ("before", "after")
                )
                if len(before):
                    known = before > ROUNDING * before[:, :1]
                    ratio = np.divide(after, before, out=np.full_like(after, np.nan), where=known)
                    band(ax, 100 * positions(), ratio, f"round {i}", color=color)
            ax.grid(alpha=0.3)
        row[0].set_ylabel(f"{method}\nσ after / σ before", fontsize=9)
    for ax, layer in zip(axes[0], layers, strict=True):
        ax.set_title(f"hidden layer {layer}", fontsize=9)
    for ax in axes[-1]:
        ax.set_xlabel("position in the spectrum, %\n(0: largest σ)", fontsize=9)
    axes[0, 0].set_ylim(0, 1.05)
    axes[0, -1].legend(fontsize=7)
    return figure


def _ends(rows):
    """Spectra at the end of training, without and with regrowth."""
    layers = sorted(rows["layer"].unique())
    title = "Singular values of the hidden matrices after pruning and retraining"
    figure, axes = panels(f"{title}\n{_spread(rows)}", 2, len(layers), sharex=True, sharey="col")
    for regrow, row in enumerate(axes):
        for ax, layer in zip(row, layers, strict=True):
            here = rows[(rows.regrow == regrow) & (rows.layer == layer)]
            first = here[(here.moment == "before") & (here["round"] == 1)]
            first = first[first.method == "magnitude"]
            x = 100 * positions()
            dense = {"color": BLACK, "linewidth": 1, "linestyle": (0, (6, 2))}
            band(ax, x, unpack(first.singular_values), "before the first round", **dense)
            for method, style in STYLES.items():
                end = here[(here.method == method) & (here.moment == "end")]
                band(ax, x, unpack(end.singular_values), method, **style)
            ax.grid(alpha=0.3)
        what = "may regrow" if regrow else "stay zero"
        row[0].set_ylabel(f"pruned weights {what}\nsingular value σ", fontsize=9)
    for ax, layer in zip(axes[0], layers, strict=True):
        ax.set_title(f"hidden layer {layer}", fontsize=9)
        ax.set_ylim(bottom=0)
    for ax in axes[1]:
        ax.set_xlabel("position in the spectrum, %\n(0: largest σ)", fontsize=9)
    axes[0, -1].legend(fontsize=7)
    return figure


def _weights(dataset, folder):
    """Weights of two hidden layers that are left at the end, first seed."""
    title = f"{dataset}: weights left after pruning 80 % (white: zero; dark: large), first seed"
    figure, axes = panels(title, 2, len(PICTURED), size=(3.4, 3.2))
    for column, method in zip(axes.T, PICTURED, strict=True):
        with np.load(folder / picture_name(dataset, method)) as picture:
            for ax, layer in zip(column, (1, 3), strict=True):
                levels = picture[f"layer{layer}"]
                ax.imshow(levels, "Greys", vmin=0, vmax=LEVELS, aspect="auto")
                left = 100 * np.count_nonzero(levels) / levels.size
                ax.set_title(f"{method}, hidden layer {layer}: {left:.0f} % left", fontsize=9)
                ax.set_xlabel("neuron", fontsize=9)
    for ax in axes[:, 0]:
        ax.set_ylabel("input of the neuron", fontsize=9)
    return figure
