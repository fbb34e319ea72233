"""The table, for the terminal and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.table import Table

from skactprune._cli.experiment import (
    DEFAULT,
    DESCRIPTIONS,
    WITHOUT_FRACTION,
    batch_size,
    net_parameters,
)
from skactprune._cli.text import markdown_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray
    from rich.console import RenderableType

    from skactprune._cli.data import Data
    from skactprune._cli.experiment import Fit, Fits, Settings

    Cells: TypeAlias = tuple[str, ...]

HEADER = (
    "method",
    "train accuracy %",
    "test accuracy %",
    "balanced accuracy %",
    "log loss",
    "sparsity",
    "live neurons",
    "rank",
    "parameters",
    "seconds",
)
SCORES = 5
"""Columns of the first half, where a terminal has no room for all."""
PERCENT = ("train_accuracy", "test_accuracy", "test_balanced_accuracy")
NAME_WIDTH = 10
"""Fewer characters of a method's name in a line would not be readable."""


def heading(data: Data, settings: Settings, escape: Callable[[str], str]) -> str:
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


def notes(data: Data, settings: Settings) -> list[str]:
    """How to read the table, and how to repeat a row of it."""
    shared = net_parameters(settings, len(data.splits[0].X_train))
    given = ", ".join(f"{name}={value!r}" for name, value in shared.items())
    fraction = settings.prune_fraction
    return [
        _accuracy_note(data, settings),
        "balanced accuracy, log loss: of the test rows. In the former every class counts the same, "
        "so that it falls when a small one is lost; the lower the latter, the better.",
        f"each pruned net: `PrunedMLPClassifier(method=method, prune_fraction={fraction!r}, "
        f"{given}, random_state=seed)`, on `{data.code}`; the dense MLP has prune_fraction=0, and "
        "the small MLP from scratch besides hidden_layer_sizes=[len(live) for live in "
        f"net.live_neurons_], where net is that of {DEFAULT}.",
        "without a net: `standardized_logistic()`, `pca_classifier(k)`, `lda_classifier(k)` and "
        "`nca_classifier(k)` of skactprune.inspection, where k is in the column of ranks, and "
        "scikit-learn's `HistGradientBoostingClassifier(random_state=0)`; NCA learns from at most "
        "2000 training rows.",
        "sparsity: share of the hidden weights that is gone.",
        "live neurons, rank: of each hidden layer; of PCA and NCA, components, as many as the net "
        f"pruned by {DEFAULT} has live neurons in its last hidden layer (at most all); LDA has at "
        "most one less than there are classes.",
        "kernels by PCA: each hidden kernel of the dense net rebuilt from as many components as "
        f"the one pruned by {DEFAULT} has ranks; its mean row can add one.",
        "parameters: biases and weights that are not zero; of a kernel rebuilt by PCA, its two "
        "factors where they are smaller.",
        "seconds: one fit on one CPU thread, while other fits use the other cores.",
    ]


def _accuracy_note(data: Data, settings: Settings) -> str:
    if settings.seeds == 1:
        return "accuracy: of one fit, seed 0."
    split = "the same split" if len(data.splits) == 1 else "another split each time"
    return (
        f"accuracy: mean ± standard deviation over {settings.seeds} seeds, 0 to "
        f"{settings.seeds - 1}, {split}; all else are means."
    )


def descriptions(rows: Sequence[Cells]) -> str:
    """What the rows are, in one line."""
    return "method: " + ", ".join(f"{name} ({DESCRIPTIONS[name]})" for name, *_ in rows) + "."


def table_rows(fits: Fits, settings: Settings) -> list[Cells]:
    """Cells of the table, a tuple of strings for every method."""
    at = settings.prune_fraction
    order = [(name, None if name in WITHOUT_FRACTION else at) for name in DESCRIPTIONS]
    return [(key[0], *_cells(fits[key])) for key in order]


def _cells(fits: list[Fit]) -> Cells:
    columns = {name: [fit.row[name] for fit in fits] for name in fits[0].row}
    percent = {name: 100 * np.array(columns[name]) for name in PERCENT}
    return (
        *(_mean_and_deviation(percent[name], 1) for name in PERCENT),
        _mean_and_deviation(-np.array(columns["test_neg_log_loss"]), 3),
        _mean(columns["sparsity"], ".0%"),
        _per_layer([live or [] for live in columns["live_neurons"]]),
        _per_layer([fit.ranks for fit in fits]),
        _mean(columns["parameters"], ".0f"),
        _mean(columns["fit_seconds"], ".2f"),
    )


def _mean(numbers: list[float], digits: str) -> str:
    return "-" if np.isnan(numbers).any() else format(np.mean(numbers), digits)


def _mean_and_deviation(numbers: NDArray[Any], digits: int) -> str:
    mean = f"{np.mean(numbers):.{digits}f}"
    return mean if len(numbers) == 1 else f"{mean} ± {np.std(numbers, ddof=1):.{digits}f}"


def _per_layer(numbers: list[list[int]]) -> str:
    return ", ".join(f"{mean:.0f}" for mean in np.mean(numbers, axis=0)) or "-"


def rich_tables(rows: Sequence[Cells], width: int) -> list[RenderableType]:
    """Tables for a terminal of `width` columns, which breaks names but no numbers.

    One; or two, of which the first has the scores; or none, where it has no room for these.
    """
    table = [HEADER, *rows]
    halves = [[row[:SCORES] for row in table], [row[:1] + row[SCORES:] for row in table]]
    for tables in ([table], halves):
        room = [width - _least_width(part) for part in tables]
        if min(room) >= 0:
            return [_rich_table(*pair) for pair in zip(tables, room, strict=True)]
    return []


def _rich_table(table: Sequence[Cells], room: int) -> Table:
    header, *rows = table
    # Names come first, blanks around numbers second.
    roomy = room >= NAME_WIDTH + 2 * len(header)
    found = Table(box=box.SIMPLE_HEAD, padding=(0, int(roomy)), pad_edge=False, header_style="bold")
    found.add_column(header[0], overflow="fold")
    for name in header[1:]:
        # Two words stand below one another.
        found.add_column(name.replace(" ", "\n", 1), justify="right", no_wrap=True)
    for row in rows:
        found.add_row(*row)
    return found


def _least_width(table: Sequence[Cells]) -> int:
    columns = zip(*table, strict=True)
    next(columns)
    longest = [max(map(len, (*header.split(), *cells))) for header, *cells in columns]
    return sum(longest) + len(table[0]) + 1 + NAME_WIDTH


def listing(rows: Sequence[Cells]) -> str:
    """The table's cells below one another."""
    lines = []
    for name, *cells in rows:
        lines.append(name)
        lines += [f"  {head}: {cell}" for head, cell in zip(HEADER[1:], cells, strict=True)]
    return "\n".join(lines)


def markdown(data: Data, settings: Settings, rows: Sequence[Cells], figure: str) -> str:
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
