"""What is said of the activation surgeon beside other scores: answers, figure, text."""

from matplotlib.ticker import LogLocator

from benchmarks.reproduce.answers import Answer
from benchmarks.reproduce.figures import BLACK, BLUE, GREEN, ORANGE, PURPLE, RED, panels, save
from benchmarks.reproduce.nets import split
from benchmarks.reproduce.tables import finished, markdown, seeds, spread
from benchmarks.reproduce.verdicts import extremes, judge, paired

VARIANT, DEVIATION = "activation surgeon", "firing deviation"
COUNT, PRODUCT = "count", "count x magnitude"
MAGNITUDE, RANDOM = "magnitude", "random"
DENSE, KERNEL_PCA, SCRATCH = "dense", "kernel PCA of the dense net", "small from scratch"
# Half a point lower counts as "as accurate".
MARGIN = 0.005
FIGURE = "variant-sizes.png"
COLORS = {
    VARIANT: RED,
    DEVIATION: "#F0E442",
    COUNT: ORANGE,
    PRODUCT: BLUE,
    MAGNITUDE: GREEN,
    RANDOM: "#777777",
    KERNEL_PCA: PURPLE,
    SCRATCH: "#56B4E9",
}
LINES = {"neuron": "-", "weight": "--", "none": ":"}
RUN = ("granularity", "method", "size", "seed")
# Points of the figure that this many points below the dense net fall out of it.
SHOWN_POINTS = 8


def answers(table):
    """One answer for every rival of each granularity; see `judge`."""
    found = []
    for granularity, whole in (("neuron", "whole neurons"), ("weight", "single weights")):
        of = table[table["granularity"].isin((granularity, "none"))]
        for rival in COLORS:
            cells = paired(of, "test_accuracy", ("method", VARIANT), rival, "size", str)
            if rival == VARIANT or not cells:
                continue
            equal = granularity == "weight" and rival in (DEVIATION, MAGNITUDE, PRODUCT)
            what = f"as accurate as {rival}" if equal else f"more accurate than {rival}"
            within = f" (at most {100 * MARGIN:g} points lower)" if equal else ""
            question = f"Removing {whole}, is {VARIANT} {what} at the same size{within}?"
            verdict = judge(cells, MARGIN * equal)
            found.append(Answer("-", question, verdict, extremes(cells), FIGURE))
    return found


def draw(table, folder):
    """Write the figure: accuracy against the sum of ranks, parameters and FLOPs."""
    table = finished(table, RUN).assign(
        rank=lambda rows: rows["ranks"].map(lambda field: sum(split(field))),
        accuracy=lambda rows: 100 * rows["test_accuracy"],
    )
    title = f"Fashion-MNIST, pruned while it trains; mean of {seeds(table)}"
    figure, axes = panels(title, 1, 3, size=(4.2, 3.6), sharey=True)
    measures = {
        "rank": "sum of the ranks of the hidden kernels",
        "weights": "weights that are not zero",
        "flops": "FLOPs a row (products of layer sizes)",
    }
    dense = table.loc[table.method == DENSE, "accuracy"].mean()
    for ax, (measure, label) in zip(axes.flat, measures.items(), strict=True):
        for granularity, line in LINES.items():
            of = table[table.granularity == granularity]
            for method, color in COLORS.items():
                means = of[of.method == method].groupby("size")[[measure, "accuracy"]].mean()
                if len(means):
                    means = means.sort_values(measure)
                    name = method if granularity == "none" else f"{method}, {granularity}s"
                    ax.plot(
                        means[measure], means["accuracy"], line, color=color, marker="o", label=name
                    )
        ax.axhline(dense, color=BLACK, linewidth=1, label=DENSE)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
        ax.set_xlabel(label, fontsize=9)
        ax.grid(alpha=0.3)
    lowest = table.loc[table.method != DENSE, "accuracy"].min()
    axes[0, 0].set_ylim(bottom=max(lowest - 0.3, dense - SHOWN_POINTS))
    axes[0, 0].set_ylabel("test accuracy, %", fontsize=9)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, fontsize=8)
    save(figure, folder / FIGURE)


def section(table):
    """Part of the page: how it was done, the tables and the figure."""
    dense = table[table.method == DENSE]
    parts = [*_TEXT, f"![Accuracy by size](reproduction/{FIGURE})"]
    header = ["", "validation %", "test %", "ranks (seed 0)", "weights", "kFLOPs", "n"]
    parts.append(markdown(header, [_row(DENSE, dense)] if len(dense) else []))
    pruned = table[table.method != DENSE]
    for size in sorted(pruned["size"].unique(), key=split, reverse=True):
        of_size = pruned[pruned["size"] == size]
        rows = []
        for granularity in LINES:
            for method in COLORS:
                of = of_size[(of_size.granularity == granularity) & (of_size.method == method)]
                if len(of):
                    name = method if granularity == "none" else f"{method}, {granularity}s"
                    rows.append(_row(name, of))
        parts += [f"### {size}", markdown(header, rows)]
    return "\n\n".join(parts) + "\n"


def _row(name, of):
    return [
        name,
        *(spread(of[f"{part}_accuracy"], 2, 100) for part in ("validation", "test")),
        of.sort_values("seed")["ranks"].iloc[0],
        f"{of['weights'].mean():.0f}",
        f"{of['flops'].mean() / 1000:.0f}",
        seeds(of),
    ]


_TEXT = (
    "## The activation surgeon beside other scores",
    'The *activation surgeon* (`method="activation_surgeon"`, the default) asks what of a neuron '
    "the others of its layer cannot say: the part of the variance of its output that no linear "
    "function of theirs tells, 1 / inv(C + λ I)_jj - λ, with C the covariance of the outputs on "
    "2000 training rows and λ, a ridge, a tenth of the mean variance. Times the squared norm of "
    "its outgoing weights, each with the gain of where it goes, this is the error that "
    "stays in the logits once the others have taken over. The lowest goes, one after the other, "
    "and the next layer is refitted by that ridge regression: Optimal Brain Surgeon (Hassibi & "
    "Stork 1992), with the outputs of a layer in place of the gradients of a loss. The squared "
    "gain g_j^2 of a neuron is its firing rate times the squared norm of its outgoing weights "
    "times the gains that they lead to.",
    "Where single weights go, nothing is refitted, and the score is |w_ij| sqrt(s_i g_j): the "
    "geometric mean of |w| and of |w| s g, what its removal does to the logits, with g relative to "
    "the root mean square of its layer, and s the standard deviation of a feature or of whether a "
    "neuron fires. *Firing deviation* is |w_ij| s_i s_j.",
    "A net with layers of 300, 200, 100 and 50 neurons is trained on few rows of Fashion-MNIST "
    "with Adam, dropout times the share of hidden weights that is left, and a learning rate that "
    "falls to 0 after the last of ten rounds of the cubic schedule, 10 to 60 % into the training. "
    "Sizes are live neurons, the same share of each layer; single weights, ranked over all layers, "
    "leave as many hidden weights. Neurons are scored by the mean over their weights where the "
    "score is one of weights, for magnitude the L1 norm. Kernel PCA is that of the dense net at "
    "these ranks (the mean added back makes them one more), small from scratch a net of the live "
    "neurons trained as long. FLOPs are those of dense products, of two factors where these are "
    "cheaper: single weights save few.",
    "Formula and training were chosen on training rows beside the 12 000; the scores of neurons "
    "that were tried are below.",
)
