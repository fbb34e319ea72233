"""The table, for the terminal and as Markdown."""

import numpy as np
from rich import box
from rich.table import Table

from skactprune._cli.experiment import (
    ACTIVATION,
    AT_ONE_FRACTION,
    DENSE,
    DESCRIPTIONS,
    KERNEL_PCA,
    PCA_CLASSIFIER,
    batch_size,
    net_parameters,
)
from skactprune._cli.text import markdown_text

HEADER = (
    "method",
    "train accuracy %",
    "test accuracy %",
    "sparsity",
    "live neurons",
    "rank",
    "parameters",
    "seconds",
)
NAME_WIDTH = 10
"""Fewer characters of a method's name in a line would not be readable."""


def heading(data, settings, escape):
    """What was compared, in one sentence; `escape` is for the user's own text."""
    X_train, X_test, y_train, _ = data.splits[0]
    n_classes = len(np.unique(y_train))
    n_outputs = 1 if n_classes == 2 else n_classes
    layers = "-".join(map(str, (X_train.shape[1], *settings.hidden, n_outputs)))
    return (
        f"{escape(data.name)}: {len(X_train)} training and {len(X_test)} test rows, "
        f"{X_train.shape[1]} features, {n_classes} classes; nets {layers} before pruning, "
        f"{settings.epochs} epochs in batches of {batch_size(len(X_train))}, "
        f"{settings.prune_fraction:.0%} of the hidden weights pruned in {settings.rounds} "
        f"round{'s' * (settings.rounds != 1)}."
    )


def notes(data, settings):
    """How to read the table, and how to repeat a row of it."""
    shared = net_parameters(settings, len(data.splits[0].X_train))
    given = ", ".join(f"{name}={value!r}" for name, value in shared.items())
    fraction = settings.prune_fraction
    return [
        _accuracy_note(data, settings),
        f"each pruned net: `PrunedMLPClassifier(method=method, prune_fraction={fraction!r}, "
        f"{given}, random_state=seed)`, on `{data.code}`; the dense MLP has prune_fraction=0.",
        "sparsity: share of the hidden weights that is gone.",
        "live neurons, rank: of each hidden layer; of PCA, its components, as many as the "
        "net pruned by activation has live neurons in its last hidden layer (at most all).",
        "kernels by PCA: each hidden kernel of the dense net rebuilt from as many components as "
        "the one pruned by activation has ranks; its mean row can add one.",
        "parameters: biases and weights that are not zero; of a kernel rebuilt by PCA, its two "
        "factors where they are smaller.",
        "seconds: one fit on one CPU thread, while other fits use the other cores.",
    ]


def _accuracy_note(data, settings):
    if settings.seeds == 1:
        return "accuracy: of one fit, seed 0."
    split = "the same split" if len(data.splits) == 1 else "another split each time"
    return (
        f"accuracy: mean ± standard deviation over {settings.seeds} seeds, 0 to "
        f"{settings.seeds - 1}, {split}; all else are means."
    )


def descriptions(rows):
    """What the rows are, in one line."""
    return "method: " + ", ".join(f"{name} ({DESCRIPTIONS[name]})" for name, *_ in rows) + "."


def table_rows(fits, settings):
    """Cells of the table, a tuple of strings for every method."""
    at = settings.prune_fraction
    others = (ACTIVATION, *AT_ONE_FRACTION, KERNEL_PCA, PCA_CLASSIFIER)
    order = [(DENSE, None), *((name, at) for name in others)]
    return [(key[0], *_cells(fits[key])) for key in order]


def _cells(fits):
    rows = [fit.row for fit in fits]
    sparsity = np.mean([row["sparsity"] for row in rows])
    return (
        _mean_and_deviation([row["train_accuracy"] for row in rows]),
        _mean_and_deviation([row["test_accuracy"] for row in rows]),
        "-" if np.isnan(sparsity) else f"{sparsity:.0%}",
        _per_layer([row["live_neurons"] or [] for row in rows]),
        _per_layer([fit.ranks for fit in fits]),
        f"{np.mean([row['parameters'] for row in rows]):.0f}",
        f"{np.mean([row['fit_seconds'] for row in rows]):.2f}",
    )


def _mean_and_deviation(shares):
    mean = f"{100 * np.mean(shares):.1f}"
    return mean if len(shares) == 1 else f"{mean} ± {100 * np.std(shares, ddof=1):.1f}"


def _per_layer(numbers):
    return ", ".join(f"{mean:.0f}" for mean in np.mean(numbers, axis=0)) or "-"


def rich_table(rows, width):
    """Table for a terminal of `width` columns, which breaks names but no numbers."""
    roomy = width >= 105
    table = Table(box=box.SIMPLE_HEAD, padding=(0, int(roomy)), pad_edge=False, header_style="bold")
    table.add_column(HEADER[0], overflow="fold")
    for name in HEADER[1:]:
        # Two words stand below one another.
        table.add_column(name.replace(" ", "\n", 1), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def fits_in(rows, width):
    """Whether a terminal has the room for such a table."""
    columns = zip(*[HEADER, *rows], strict=True)
    next(columns)
    longest = [max(map(len, (*header.split(), *cells))) for header, *cells in columns]
    return sum(longest) + len(HEADER) + 1 + NAME_WIDTH <= width


def listing(rows):
    """The table's cells below one another."""
    lines = []
    for name, *cells in rows:
        lines.append(name)
        lines += [f"  {head}: {cell}" for head, cell in zip(HEADER[1:], cells, strict=True)]
    return "\n".join(lines)


def markdown(data, settings, rows, figure):
    """Page with the table, how to read it, what was done with the data, and the figure."""
    lines = [
        "# Pruned nets beside PCA",
        "",
        heading(data, settings, markdown_text),
        "",
        "| " + " | ".join((HEADER[0], "", *HEADER[1:])) + " |",
        "|---|---|" + "---:|" * (len(HEADER) - 1),
        *(f"| {' | '.join((row[0], DESCRIPTIONS[row[0]], *row[1:]))} |" for row in rows),
        "",
        *(f"- {remark}" for remark in notes(data, settings)),
        "",
        *(f"- {markdown_text(line)}" for line in data.said),
        *[""] * bool(data.said),
        f"![Accuracy against rank, and singular values before and after pruning]({figure})",
        "",
    ]
    return "\n".join(lines)
