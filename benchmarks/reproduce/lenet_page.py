"""What is said of LeNet-300-100: answers, figure and a part of the page."""

import numpy as np

from benchmarks.reproduce.answers import Answer, interval
from benchmarks.reproduce.figures import BLACK, BLUE, GREEN, ORANGE, RED, band, panels, save
from benchmarks.reproduce.tables import markdown, seeds, spread
from benchmarks.reproduce.verdicts import judge, paired

VARIANT, DEVIATION = "activation surgeon", "firing deviation"
MAGNITUDE, PRODUCT = "magnitude", "count x magnitude"
DENSE = "dense"
GREY = "#777777"
# Highest test error in %, by compression.
MARKS = {1: 1.2, 12: 1.4, 20: 1.5, 50: 1.9, 68: 1.92}
PUBLISHED = (
    ("Han 2015", (12, 1.59)),
    ("SNIP", (20, 1.6)),
    ("SNIP", (50, 2.4)),
    ("network surgery", (56, 1.99)),
    ("L-OBS", (67, 2.0)),
    ("variational dropout", (68, 1.92)),
)
STYLES = {
    VARIANT: {"color": RED},
    DEVIATION: {"color": ORANGE},
    MAGNITUDE: {"color": GREEN},
    PRODUCT: {"color": BLUE},
}
# A tenth of a point more counts as "no higher".
MARGIN = 0.001
FIGURE = "lenet-error.png"


def answers(table):
    """One answer for every mark, and one for the comparison with magnitude."""
    found = []
    for (method, compression), of in table.groupby(["method", "compression"]):
        if method in (DENSE, VARIANT) and (mark := MARKS.get(compression)):
            what = "dense" if method == DENSE else f"at {compression:g}x by {method}"
            question = f"LeNet-300-100 on MNIST {what}: test error at most {mark:g} %?"
            errors = 100 * (1 - of["test_accuracy"])
            found.append((compression, question, _reached(errors, mark), _errors(errors)))
    found = [Answer("-", *answer, FIGURE) for _, *answer in sorted(found)]
    name = ("method", VARIANT)
    cells = paired(table, "test_accuracy", name, MAGNITUDE, "compression", "{:g}x".format)
    if cells:
        question = (
            f"LeNet-300-100: is {VARIANT} as accurate as magnitude at the same compression "
            f"(test error at most {100 * MARGIN:g} points higher)?"
        )
        effect = "; ".join(f"{_difference(of)} at {at}" for (_, at), of in cells.items())
        found.append(Answer("-", question, judge(cells, MARGIN), effect, FIGURE))
    return found


def _reached(errors, mark):
    """Verdict on a mark for the mean over seeds, and on whether seeds leave it in doubt."""
    mean, half = interval(errors)
    doubt = ", on average" if np.isnan(half) or abs(mean - mark) <= half else ""
    return ("yes" if mean <= mark else "no") + doubt


def _errors(errors):
    mean, half = interval(errors)
    n = f"({len(errors)} seed{'s' * (len(errors) != 1)})"
    return f"{mean:.2f} % {n}" if np.isnan(half) else f"{mean:.2f} ± {half:.2f} % {n}"


def _difference(accuracies):
    mean, half = interval(-100 * accuracies)
    return f"{mean:+.2f}" if np.isnan(half) else f"{mean:+.2f} ± {half:.2f}"


def draw(table, folder):
    """Write the figure: test error by compression, with the marks and published figures."""
    title = "LeNet-300-100 on MNIST, mean ± 1 standard deviation"
    figure, axes = panels(title, 1, 1, size=(7.0, 4.0))
    ax = axes[0, 0]
    errors = table.assign(error=100 * (1 - table["test_accuracy"]))
    for method, style in STYLES.items():
        of = errors[errors.method == method]
        wide = of.pivot_table("error", "seed", "compression")
        if wide.size:
            label = f"{method}, {seeds(of)}"
            band(ax, wide.columns, wide.to_numpy(), label, marker="o", **style)
    if len(of := errors[errors.method == DENSE]):
        ax.axhline(of["error"].mean(), color=BLACK, linewidth=1, label=f"{DENSE}, {seeds(of)}")
    marks = {at: mark for at, mark in MARKS.items() if at > 1}
    ax.plot(marks.keys(), marks.values(), "k_", markersize=14, label="mark to reach")
    places = [place for _, place in PUBLISHED]
    ax.plot(*zip(*places, strict=True), "x", color=GREY, label="published")
    style = {"textcoords": "offset points", "fontsize": 7, "color": GREY, "va": "center"}
    for name, place in PUBLISHED:
        # To the left of those at the right edge.
        side = {"xytext": (5, 0)} if place[0] < 50 else {"xytext": (-5, 0), "ha": "right"}
        ax.annotate(name, place, **style, **side)
    ax.set_xscale("log")
    ticks = sorted({*marks, *table.loc[table.compression > 1, "compression"]})
    ax.set_xticks(ticks, [f"{tick:g}x" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel("all weights / weights that are not zero", fontsize=9)
    ax.set_ylabel("test error, %", fontsize=9)
    ax.grid(alpha=0.3)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    save(figure, folder / FIGURE)


def section(table):
    """Part of the page: how it was done, the table and the figure."""
    rows = []
    order = [DENSE, *STYLES]
    groups = table.groupby(["compression", "method"])
    for (compression, method), of in sorted(groups, key=lambda g: (g[0][0], order.index(g[0][1]))):
        cells = [spread(1 - of[f"{part}_accuracy"], 2, 100) for part in ("train", "test")]
        first = of.sort_values("seed").iloc[0]
        rows.append(
            [
                method if method == DENSE else f"{compression:g}x, {method}",
                *cells,
                f"{of['reached'].min():.1f}x",
                first["weights_by_layer"],
                first["live"],
                str(int(first["inputs"])),
                seeds(of),
            ]
        )
    header = ["", "train error %", "test error %", "reached by every seed", "weights by layer"]
    header += ["live neurons", "pixels used", "n"]
    return "\n\n".join([*_TEXT, markdown(header, rows), f"![Errors](reproduction/{FIGURE})"]) + "\n"


_TEXT = (
    "## LeNet-300-100: beside what others have published",
    "Layers of 300 and 100 neurons on MNIST, all 60 000 training rows, the test error of the last "
    "epoch. Compression is that of the whole net: all its weights over those that are not zero, "
    "the output layer included, which no round prunes; weights of neurons that die with the last "
    "of their own come on top. All methods take single weights, the lowest of both layers "
    "together, and are trained the same way: Adam with alpha 0.01 and learning rate 0.003, which "
    "falls to 0 as half a cosine after the last round; 20 rounds by the cubic schedule from 10 to "
    "60 % of the epochs; dropout of 0.2, 0.3 and 0.2 of the input and the hidden layers, times "
    "the cube root of the share of hidden weights that is left. The dense net has a training of "
    "its own: pixels of mean 0 and variance 1 over all of them, 2.5 times the epochs, learning "
    "rate 0.001, dropout of 0.15, 0.25 and 0.15.",
    "All of that, and the scores, was chosen on training rows that were left out for it. For the "
    "dense net it was not the first choice: with the training of the others its test error was "
    "1.31 %, with its own for as many epochs as theirs 1.24 %, 5 seeds each, which was known when "
    "longer training and scaling were tried on the rows that were left out. Weights by layer, live "
    "neurons and pixels are those of the first seed.",
)
