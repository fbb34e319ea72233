"""What is said of the choice of a score for neurons: a part of the page."""

from benchmarks.reproduce.nets import split
from benchmarks.reproduce.tables import markdown, seeds, spread

SURGEON = "activation surgeon"
TAKEN_OVER = (
    SURGEON,
    "random",
    "‖w_in‖₁",
    "f ‖w_in‖ ‖w_out‖",
    "f Σ abs(w_in) s (firing deviation)",
    "σ ‖w_out‖",
)


def answers(table):
    """None: what was chosen here is tested elsewhere."""
    return []


def draw(table, folder):
    """No figure."""


def section(table):
    """Part of the page: how the choice was made, and the table."""
    sizes = sorted(table["size"].unique(), key=split, reverse=True)
    rows = []
    for (score, refit), of in table.groupby(["score", "refit"]):
        cells = [of.loc[of["size"] == size, "validation_accuracy"] for size in sizes]
        name = f"{score}, others take over" if refit else score
        shown = [spread(cell, 2, 100) if len(cell) else "-" for cell in cells]
        rows.append((of["validation_accuracy"].mean(), [name, *shown]))
    rows.sort(key=lambda row: -row[0])
    header = ["score", *sizes]
    text = _TEXT.format(seeds=seeds(table), rows=int(table["rows"].max()))
    return f"{text}\n\n{markdown(header, [row for _, row in rows])}\n"


_TEXT = """### How the score was chosen

Whole neurons, trained as above, {seeds}; accuracy in % on {rows} training rows that are not
trained on, best on average first. p: firing rate; f = sqrt(p (1 - p)); σ: standard deviation of the
output; s: that of an input; w_in: incoming weights; w_out: outgoing weights with their gains.
*Others take over*: the next layer is refitted by ridge regression; without it, what a neuron gives
that has lost its weights, f(b) of its bias, goes into the biases of that layer."""
