"""Figures of the experiment on nuclear norms."""

from benchmarks.reproduce.figures import BLACK, BLUE, GREEN, ORANGE, RED, band, panels, save
from benchmarks.reproduce.moments import positions, unpack

EFFECTS = {
    "round": ("pruning round", {"color": BLACK, "linewidth": 2}),
    "training": ("an epoch without penalty", {"color": GREEN, "linestyle": (0, (1, 1))}),
    "linear": ("penalty λ Σ i σ_i, as strong", {"color": ORANGE, "linestyle": "--"}),
    "uniform": ("penalty λ Σ σ_i, as strong", {"color": BLUE, "linestyle": "-."}),
    "paper": ("penalty λ Σ i σ_i, λ of the paper", {"color": RED, "linestyle": ":"}),
}
MARKERS = "o^vDPX"


def draw_finished(table, folder):
    """Write the figures of every data set, from seeds that are finished.

    Parameters
    ----------
    table : DataFrame
        Of the experiment.
    folder : pathlib.Path
        Where the figures go.
    """
    for dataset, rows in table.groupby("dataset"):
        save(_profiles(rows), folder / f"nuclear-profiles-{dataset}.png")
        save(_rivals(rows[rows.effect == "end"]), folder / f"nuclear-rivals-{dataset}.png")


def rivals(ends):
    """Yield name and rows of every net that was trained to the end."""
    for alpha, rows in ends[ends.part == "penalty"].groupby("alpha"):
        yield f"λ Σ i σ_i, λ = {alpha:g}" if alpha else "dense", rows
    yield "pruned by count", ends[ends.part == "rounds"]


def _profiles(rows):
    """Ratios of singular values after a round and after an epoch with penalties."""
    n = rows["seed"].nunique()
    rounds, layers = (
        sorted(rows["round"].dropna().unique()),
        sorted(rows["layer"].dropna().unique()),
    )
    title = (
        "Share of each singular value that is left: by a pruning round, and by a nuclear norm in "
        f"the loss\n{rows['dataset'].iloc[0]}; "
        f"lines: mean of {n} seed{'s' * (n != 1)}, bands: ± 1 standard deviation"
    )
    figure, axes = panels(title, len(rounds), len(layers), sharex=True, sharey=True)
    for i, row in zip(rounds, axes, strict=True):
        for layer, ax in zip(layers, row, strict=True):
            for effect, (label, style) in EFFECTS.items():
                here = (rows["round"] == i) & (rows["layer"] == layer) & (rows.effect == effect)
                band(ax, 100 * positions(), unpack(rows[here]["profile"]), label, **style)
            ax.grid(alpha=0.3)
        row[0].set_ylabel(f"round {i:.0f}\nσ after / σ before", fontsize=9)
    for layer, ax in zip(layers, axes[0], strict=True):
        ax.set_title(f"hidden layer {layer:.0f}", fontsize=9)
    for ax in axes[-1]:
        ax.set_xlabel("position in the spectrum, %\n(0: largest σ)", fontsize=9)
    axes[0, 0].set_ylim(-0.05, 1.25)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _rivals(ends):
    """Test accuracy against effective rank of nets that were trained to the end."""
    n = ends["seed"].nunique()
    title = (
        "Accuracy and rank: pruned, and trained with a nuclear norm\n"
        f"{ends['dataset'].iloc[0]}; mean ± 1 standard deviation of {n} seed{'s' * (n != 1)}"
    )
    figure, axes = panels(title, 1, 1, size=(6.0, 3.6))
    ax = axes[0, 0]
    colors = (BLACK, ORANGE, RED, GREEN)
    for k, (name, rows) in enumerate(rivals(ends)):
        columns = [100 * rows[column] for column in ("effective_share", "test_accuracy")]
        (x, dx), (y, dy) = ((values.mean(), values.std()) for values in columns)
        color = BLUE if name == "pruned by count" else colors[k % len(colors)]
        style = {"marker": MARKERS[k % len(MARKERS)], "color": color, "linestyle": "none"}
        ax.errorbar(x, y, dy, dx, capsize=2, markersize=8, label=name, **style)
    ax.set_xlabel("effective rank, % of full rank, mean of the hidden layers")
    ax.set_ylabel("test accuracy, %")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    return figure
