"""The table, for the terminal and as Markdown."""

import numpy as np
from rich import box
from rich.table import Table

from skactprune._cli.experiment import (
    ACTIVATION,
    AT_ONE_FRACTION,
    DENSE,
    KERNEL_PCA,
    PCA_CLASSIFIER,
    batch_size,
)

HEADER = (
    "",
    "train accuracy %",
    "test accuracy %",
    "sparsity",
    "live neurons",
    "rank",
    "parameters",
    "seconds",
)


def heading(data, settings):
    """What was compared, in one sentence."""
    X_train, X_test, y_train, _ = data.splits[0]
    n_classes = len(np.unique(y_train))
    n_outputs = 1 if n_classes == 2 else n_classes
    layers = "-".join(map(str, (X_train.shape[1], *settings.hidden, n_outputs)))
    return (
        f"{data.name}: {len(X_train)} training and {len(X_test)} test rows, {X_train.shape[1]} "
        f"features, {n_classes} classes; nets {layers} before pruning, {settings.epochs} epochs "
        f"in batches of {batch_size(len(X_train))}, {settings.prune_fraction:.0%} of the hidden "
        f"weights pruned in {settings.rounds} round{'s' * (settings.rounds != 1)}."
    )


def notes(data, settings):
    """How to read the table."""
    split = "the same split" if len(data.splits) == 1 else "another split each time"
    return [
        f"accuracy: mean ± standard deviation over {settings.seeds} "
        f"seed{'s' * (settings.seeds != 1)}, {split}; all else are means.",
        "sparsity: share of the hidden weights that is gone.",
        "live neurons, rank: of each hidden layer; of PCA, its components, as many as the "
        "activation-pruned net has live neurons in its last hidden layer (at most all).",
        "kernels by PCA: each hidden kernel of the dense net rebuilt from as many components as "
        "the activation-pruned one has ranks; its mean row can add one.",
        "parameters: biases and weights that are not zero; of a kernel rebuilt by PCA, its two "
        "factors where they are smaller.",
        "seconds: one fit on one CPU thread, while other fits use the other cores.",
    ]


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
    """Table for a terminal of `width` columns; from 80 on, numbers are not broken."""
    roomy = width >= 105
    table = Table(box=box.SIMPLE_HEAD, padding=(0, int(roomy)), pad_edge=False, header_style="bold")
    table.add_column(HEADER[0], overflow="fold")
    for name in HEADER[1:]:
        # Two words stand below one another.
        table.add_column(name.replace(" ", "\n", 1), justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def markdown(title, rows, remarks, figure):
    """Page with the table, how to read it, and the figure."""
    lines = [
        "# Pruned nets beside PCA",
        "",
        title,
        "",
        "| " + " | ".join(HEADER) + " |",
        "|---|" + "---:|" * (len(HEADER) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *(f"- {remark}" for remark in remarks),
        "",
        f"![Accuracy against rank, and singular values before and after pruning]({figure})",
        "",
    ]
    return "\n".join(lines)
