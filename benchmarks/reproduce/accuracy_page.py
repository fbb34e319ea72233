"""Figures, tables and answers of `accuracy`."""

import numpy as np
import pandas as pd

from benchmarks.reproduce.answers import Answer
from benchmarks.reproduce.figures import BLACK, BLUE, GREEN, ORANGE, RED, band, panels, save
from benchmarks.reproduce.tables import markdown, seeds, spread
from benchmarks.reproduce.verdicts import extremes, judge, paired

PAPER = ("count", "count x magnitude")
EXACT = ("count, exact", "count x magnitude, exact")
MARGIN = 0.005
SHOWN_POINTS = 8
ACCURACIES = ("train_accuracy", "validation_accuracy", "test_accuracy")
STYLES = {
    "count": {"color": RED},
    "count, exact": {"color": RED, "linestyle": "--"},
    "count, exact, layer": {"color": RED, "linestyle": ":"},
    "count x magnitude": {"color": BLUE},
    "count x magnitude, exact": {"color": BLUE, "linestyle": "--"},
    "magnitude, global": {"color": GREEN},
    "magnitude, layer": {"color": GREEN, "linestyle": ":"},
    "random": {"color": ORANGE},
}
RIVALS = (
    "pruned",
    "kernel PCA",
    "truncated SVD",
    "kernel PCA, retrained",
    "truncated SVD, retrained",
    "small from scratch",
)


def draw(table, folder):
    """Two figures: accuracy by fraction, and rivals at the ranks of the pruned nets."""
    draw_fractions(table, STYLES, SHOWN_POINTS, folder / "accuracy-fractions.png")
    _draw_rivals(fewest_rounds(table), sorted(table["dataset"].unique()), folder)


def draw_fractions(table, styles, shown_points, path):
    """Figure of test accuracy by fraction, a panel a data set.

    Parameters
    ----------
    table : DataFrame
        With a row for every pruned net and for dense ones.
    styles : dict of str to dict
        Style of the line of each method.
    shown_points : float
        How far below the dense net the panels reach, in percentage points.
    path : pathlib.Path
        File to write.
    """
    pruned = fewest_rounds(table)
    pruned = pruned[pruned["model"] == "pruned"]
    datasets = sorted(table["dataset"].unique())
    figure, axes = panels(
        "Test accuracy of pruned nets (mean and spread over seeds)", 1, len(datasets), (4.6, 3.6)
    )
    for ax, dataset in zip(axes.flat, datasets, strict=True):
        of = pruned[pruned["dataset"] == dataset]
        for method, style in styles.items():
            wide = of[of["method"] == method].pivot(
                index="seed", columns="fraction", values="test_accuracy"
            )
            if wide.size:
                band(ax, 100 * wide.columns, 100 * wide.to_numpy(), method, marker="o", **style)
        dense = table[(table["dataset"] == dataset) & (table["method"] == "dense")]
        if len(dense):
            top = 100 * dense["test_accuracy"].mean()
            ax.axhline(top, color=BLACK, linewidth=1, label="dense")
            # A net that has collapsed would leave no room for the differences of the others.
            ax.set_ylim(bottom=top - shown_points)
        ax.set(title=dataset, xlabel="weights pruned [%]", ylabel="test accuracy [%]")
        ax.text(0.02, 0.01, "what leaves below is in the table", fontsize=7, transform=ax.transAxes)
    handles = axes.flat[-1].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=5, fontsize=8)
    save(figure, path)


def _draw_rivals(table, datasets, folder):
    figure, axes = panels(
        "The pruned net and dense nets of the same hidden ranks", len(datasets), 2, (4.8, 3.0)
    )
    for row, dataset in zip(axes, datasets, strict=True):
        for ax, method in zip(row, PAPER, strict=True):
            of = table[(table["dataset"] == dataset) & (table["method"] == method)]
            wide = of.pivot_table("test_accuracy", "fraction", "model").reindex(columns=RIVALS)
            width = 0.8 / len(RIVALS)
            colors = (RED, BLUE, GREEN, "#56B4E9", "#7FC97F", ORANGE)
            for i, (model, color) in enumerate(zip(RIVALS, colors, strict=True)):
                x = np.arange(len(wide)) + (i - len(RIVALS) / 2 + 0.5) * width
                ax.plot(x, 100 * wide[model], "o", label=model, color=color)
                seeds_of = of[of["model"] == model]
                places = {fraction: at for fraction, at in zip(wide.index, x, strict=True)}
                ax.plot(
                    seeds_of["fraction"].map(places),
                    100 * seeds_of["test_accuracy"],
                    "k.",
                    markersize=2,
                )
            ax.set_xticks(range(len(wide)), [f"{100 * f:.0f} %" for f in wide.index])
            ax.set(title=f"{dataset}, {method}", xlabel="weights pruned", ylabel="test acc. [%]")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    save(figure, folder / "accuracy-rivals.png")


def section(table):
    """Part of the page on claims C1 and C3."""
    five = fewest_rounds(table)
    parts = [
        "## Accuracy at 80, 85 and 90 %",
        "",
        "*Count* and *count x magnitude* are the authors' two scores, ranked over all hidden "
        "layers, with the authors' accounting: the fraction is one of all weights of the net and "
        "leaves out the weights that die with their neuron. That cascade takes much more than was "
        "asked for. *Exact* counts it in, so that the fraction is what is gone in the end. "
        "Magnitude and random are exact in any case; random removes whole neurons, the same share "
        "of each layer.",
        "",
        "![Accuracy by fraction](reproduction/accuracy-fractions.png)",
        "",
        methods_table(table),
        "",
        "### At the same ranks",
        "",
        "The hidden kernels of the dense net of the same seed, reconstructed by PCA (rows are "
        "inputs, full solver, mean added back, so that the rank is one more) or by truncated SVD "
        "at the ranks of the pruned net; the same two trained on in factored form for at most as "
        "many epochs as the pruned net had since its first round, and no further than the same "
        "training accuracy; and a dense net of the pruned net's "
        "live neurons trained from scratch. Test accuracy in %.",
        "",
        "![Rivals of the same ranks](reproduction/accuracy-rivals.png)",
        "",
        rivals_table(five, PAPER, RIVALS),
    ]
    return "\n".join(parts)


def answers(table):
    """Claims C1 and C3, one answer for each score."""
    five = fewest_rounds(table)
    found = []
    for method in (*PAPER, *EXACT):
        differences = paired(
            five[five["model"] == "pruned"],
            "test_accuracy",
            ("method", method),
            "magnitude, global",
            "fraction",
            percent,
        )
        if differences:
            question = f"Is {method} as accurate as global magnitude at the same fraction?"
            found.append(_answer("C1", question, differences, MARGIN, "accuracy-fractions.png"))
    for method in PAPER:
        for rival in ("kernel PCA", "kernel PCA, retrained"):
            differences = paired(
                five[five["method"] == method],
                "test_accuracy",
                ("model", "pruned"),
                rival,
                "fraction",
                percent,
            )
            if differences:
                question = (
                    f"Does the net pruned by {method} beat the dense net with its kernels "
                    f"reconstructed by PCA at the same ranks{rival.removeprefix('kernel PCA')}?"
                )
                found.append(_answer("C3", question, differences, 0.0, "accuracy-rivals.png"))
    return found


def _answer(claim, question, differences, margin, figure):
    return Answer(claim, question, judge(differences, margin), extremes(differences), figure)


def methods_table(table):
    """Table of the nets themselves: accuracies, sizes and epochs by method, fraction, rounds."""
    rows = []
    pruned = table[table["model"].isin(["pruned", "dense"])]
    keys = ["dataset", "rounds", "fraction", "method"]
    for (dataset, rounds, fraction, method), of in pruned.groupby(keys):
        rows.append(
            [
                f"{dataset}, {method}",
                percent(fraction) if fraction else "-",
                f"{rounds:.0f}" if rounds else "-",
                *(spread(of[name], 1, 100) for name in ACCURACIES),
                f"{100 * of['sparsity'].mean():.1f}" if fraction else "0",
                of["live"].iloc[0],
                of["ranks"].iloc[0],
                spread(of["epochs"], 0),
                seeds(of),
            ]
        )
    header = ["data, method", "fraction", "rounds", "train %", "validation %", "test %"]
    header += ["hidden weights gone %", "live neurons (seed 0)", "ranks (seed 0)", "epochs"]
    return markdown([*header, "n"], rows)


def rivals_table(table, methods, models):
    """Table of the test accuracies of these models beside the nets pruned by some methods."""
    rows = []
    for (dataset, method, fraction), of in table[table["method"].isin(methods)].groupby(
        ["dataset", "method", "fraction"]
    ):
        cells = [of[of["model"] == model]["test_accuracy"] for model in models]
        rows.append(
            [
                f"{dataset}, {method}",
                percent(fraction),
                of["ranks"].iloc[0],
                *(spread(cell, 1, 100) if len(cell) else "" for cell in cells),
                seeds(of),
            ]
        )
    return markdown(["data, method", "fraction", "ranks (seed 0)", *models, "n"], rows)


def fewest_rounds(table):
    """Rows of dense nets and of the smallest number of rounds that there is."""
    rounds = pd.to_numeric(table["rounds"])
    return table[(rounds == rounds[rounds > 0].min()) | (rounds == 0)]


def percent(fraction):
    """A share for a table."""
    return f"{100 * fraction:.0f} %"
