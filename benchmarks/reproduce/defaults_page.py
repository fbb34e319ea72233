"""What is said of the estimator's defaults: answers, figure and a part of the page."""

from benchmarks.reproduce.accuracy_page import (
    draw_fractions,
    fewest_rounds,
    methods_table,
    percent,
    rivals_table,
)
from benchmarks.reproduce.answers import Answer
from benchmarks.reproduce.figures import BLUE, GREEN, ORANGE, PURPLE, RED
from benchmarks.reproduce.tables import seeds
from benchmarks.reproduce.verdicts import extremes, judge, paired
from skactprune import PrunedMLPClassifier

DENSE, DEFAULT = "dense", PrunedMLPClassifier().method
RIVALS = ("pruned", "kernel PCA", "truncated SVD", "small from scratch")
# By name of the method, each with its default options.
STYLES = {
    "activation": {"color": RED},
    "activation_magnitude": {"color": BLUE},
    "magnitude": {"color": GREEN},
    "random": {"color": ORANGE},
} | {DEFAULT: {"color": PURPLE, "linewidth": 2}}
# Half a point lower counts as equally accurate.
MARGIN = 0.005
SHOWN_POINTS = 3
FIGURE = "defaults-fractions.png"
QUESTIONS = (
    ("method", "magnitude", MARGIN, "as accurate as magnitude pruning of single weights"),
    ("method", "activation", 0.0, "more accurate than without the neurons that fire least"),
    ("method", "random", 0.0, "more accurate than without random neurons"),
    ("model", "small from scratch", 0.0, "more accurate than a net of its sizes from scratch"),
    ("model", "kernel PCA", 0.0, "more accurate than the dense net with kernels by PCA"),
)


def answers(table):
    """Verdicts by the 95 % intervals of the paired differences, see `judge`."""
    nets = fewest_rounds(table)
    # Of each column: what the rows beside the default's have in common with them, and its value.
    compared = {
        "method": (nets[nets["model"] == "pruned"], DEFAULT),
        "model": (nets[nets["method"] == DEFAULT], "pruned"),
    }
    found = []
    for column, rival, margin, text in QUESTIONS:
        rows, name = compared[column]
        cells = paired(rows, "test_accuracy", (column, name), rival, "fraction", percent)
        if cells:
            question = f"Is a net pruned by the estimator's defaults {text}?"
            found.append(Answer("-", question, judge(cells, margin), extremes(cells), FIGURE))
    return found


def draw(table, folder):
    """Write the figure: accuracy by fraction."""
    draw_fractions(table, STYLES, SHOWN_POINTS, folder / FIGURE)


def section(table):
    """Part of the page: how it was done, the figure and tables."""
    epochs = int(table["epochs"].max())
    return "\n\n".join(
        [
            "## The estimator's defaults",
            "The same rows and layers as above, but everything else as `PrunedMLPClassifier` has "
            "it: Adam, batches of 200, rounds at fixed epochs "
            f"(method={DEFAULT!r}), at most {epochs} epochs. The other methods, too, have their "
            "default options: magnitude removes single weights, the others whole neurons. Mean ± "
            f"standard deviation over {seeds(table)}.",
            f"![Accuracy by fraction](reproduction/{FIGURE})",
            methods_table(table),
            "Beside dense nets of the same seed whose kernels were reconstructed at the ranks of "
            "the net pruned by the default, and a dense net of its sizes trained from scratch for "
            "as many epochs; test accuracy in %:",
            rivals_table(fewest_rounds(table), (DEFAULT,), RIVALS),
        ]
    )
