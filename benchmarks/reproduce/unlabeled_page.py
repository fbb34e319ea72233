"""What is said of unlabelled rows: answers, figure and a part of the page."""

import numpy as np

from benchmarks.reproduce.answers import Answer, interval, points
from benchmarks.reproduce.figures import BLACK, BLUE, ORANGE, RED, panels, save
from benchmarks.reproduce.tables import markdown, seeds, spread
from benchmarks.reproduce.verdicts import extremes, judge, paired

LABELED, UNLABELED = "count on labelled rows", "count on unlabelled rows"
RANDOM, DENSE = "random neurons", "dense"
FRACTION, ROUNDS = 0.8, 5
# Share of the training rows that never have a label.
POOL = 0.1
# Half a point lower counts as "as well".
MARGIN = 0.005
STYLES = {
    LABELED: {"color": BLUE, "marker": "s"},
    UNLABELED: {"color": RED, "marker": "o"},
    RANDOM: {"color": ORANGE, "marker": "v"},
    DENSE: {"color": BLACK, "marker": "D"},
}
FIGURE = "unlabeled-accuracy.png"
COLUMNS = {f"{part} accuracy %": f"{part}_accuracy" for part in ("train", "validation", "test")}


def differences(table, method, rival):
    """Test accuracy of a method less that of a rival; see `paired`."""
    return paired(table, "test_accuracy", ("method", method), rival, "share", _share)


def averages(table):
    """Unlabelled less labelled counting, averaged over data sets and shares of labels.

    Parameters
    ----------
    table : DataFrame
        Of the experiment.

    Returns
    -------
    ndarray of shape (n_seeds,)
        Of the seeds that have both everywhere.
    """
    both = table[table.method.isin((LABELED, UNLABELED))]
    wide = both.pivot_table("test_accuracy", "seed", ["method", "dataset", "share"]).dropna()
    if wide.columns.levels[0].size < 2:
        return np.array([])
    return (wide[UNLABELED] - wide[LABELED]).mean(axis=1).to_numpy()


def answers(table):
    """Verdicts by the 95 % intervals of the paired differences, see `judge`."""
    question = "Does counting on unlabelled rows work as well as on labelled ones"
    within = f"(test accuracy at most {100 * MARGIN:g} points lower)?"
    found = []
    if len(average := averages(table)):
        verdict = judge({("all", "on average"): average}, MARGIN)
        text = f"{question}, on average {within}"
        found.append(Answer("C6", text, verdict, points(average), FIGURE))
    for claim, text, rival, margin in (
        ("C6", f"{question}, whatever the share of labels {within}", LABELED, MARGIN),
        ("-", "Is counting on unlabelled rows better than removing random neurons?", RANDOM, 0.0),
    ):
        if cells := differences(table, UNLABELED, rival):
            found.append(Answer(claim, text, judge(cells, margin), extremes(cells), FIGURE))
    return found


def draw(table, folder):
    """Write the figure: accuracies, and differences from counting on labelled rows.

    Parameters
    ----------
    table : DataFrame
        Of the experiment.
    folder : pathlib.Path
        Where the figure goes.
    """
    datasets = sorted(table["dataset"].unique())
    title = (
        f"{_percent(FRACTION)} of the hidden weights pruned by firing, counted on labelled or on "
        f"unlabelled rows; {seeds(table)}"
    )
    figure, axes = panels(title, len(datasets), 2, size=(4.8, 3.1))
    for row, dataset in zip(axes, datasets, strict=True):
        rows = table[table.dataset == dataset]
        shares = sorted(rows["share"].unique())
        _accuracies(row[0], rows, shares)
        _differences(row[1], rows, shares)
        for ax in row:
            ax.set_xticks(range(len(shares)), [_percent(share) for share in shares])
            ax.set_xlabel("share of the training rows whose label is known", fontsize=9)
            ax.grid(axis="y", alpha=0.3)
        row[0].set_title(f"{dataset}: mean ± 1 standard deviation", fontsize=10)
        row[1].set_title(f"{dataset}: mean with its 95 % interval", fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    save(figure, folder / FIGURE)


def _accuracies(ax, rows, shares):
    for i, (method, style) in enumerate(STYLES.items()):
        values = [
            100 * rows[(rows.method == method) & (rows.share == share)]["test_accuracy"]
            for share in shares
        ]
        _points(ax, i, [v.mean() for v in values], [v.std() for v in values], method, style)
    ax.set_ylabel("test accuracy, %", fontsize=9)


def _differences(ax, rows, shares):
    for i, (method, style) in enumerate(STYLES.items()):
        if method in (LABELED, DENSE):
            continue
        cells = differences(rows, method, LABELED)
        means, halves = zip(*(interval(100 * values) for values in cells.values()), strict=True)
        _points(ax, i, means, halves, method, style)
    ax.axhline(0, color=STYLES[LABELED]["color"], linewidth=1)
    ax.axhline(-100 * MARGIN, color="#777777", linewidth=1, linestyle="--")
    ax.set_ylabel(
        f"points above {LABELED}\n(dashed: {100 * MARGIN:g} points lower, still “as well”)",
        fontsize=8,
    )
    ax.set_xlim(-0.5, len(shares) - 0.5)


def _points(ax, i, middle, half, method, style):
    x = np.arange(len(middle)) + 0.1 * (i - 1.5)
    ax.errorbar(x, middle, np.nan_to_num(half), label=method, linestyle="", capsize=3, **style)


def section(table):
    """Part of the page: how it was done, tables and the figure."""
    dense = table[table.method == DENSE]
    parts = [
        "## Counting on rows without labels",
        f"{_percent(POOL)} of the training rows never have a label; of the others, a share "
        "keeps it, drawn anew for each seed, in proportion to the classes. `fit(X, y, "
        "X_unlabeled=...)` counts firing on rows without a label, in each epoch until the last "
        "round on as many as there are training rows; no training row is among them, not even "
        "where all of the others have labels. Everything else is the estimator's default with "
        f"layers of 300, 200, 100 and 50 neurons and {_percent(FRACTION)} of the hidden "
        f"weights pruned in {ROUNDS} rounds; fewer rows get more epochs. The methods "
        "share initial weights and labelled rows by seed. Training accuracy is that on the "
        "labelled rows; validation rows take no part.",
        f"*As well* means that the 95 % interval of the paired difference of test accuracies lies "
        f"above -{100 * MARGIN:g} points. Random neurons say how much the choice matters at all. "
        "*Same neurons*: of the quarter of each hidden layer of the dense net that fires most on "
        "the labelled rows, share that is also in the quarter that fires most on the unlabelled "
        f"ones (by chance 25 %). Tables show mean ± standard deviation over {seeds(table)}.",
    ]
    for dataset, rows in table.groupby("dataset"):
        parts += [f"### {dataset}", _accuracy_table(rows)]
        header = ["dense net", "labelled rows", "unlabelled rows", "same neurons %"]
        lines = [
            [
                _share(share),
                *(str(int(of[column].iloc[0])) for column in ("labeled", "unlabeled")),
                spread(of["agreement"], scale=100),
            ]
            for share, of in dense[dense.dataset == dataset].groupby("share")
        ]
        parts.append(markdown(header, lines))
    parts.append(f"![Accuracy and paired differences](reproduction/{FIGURE})")
    return "\n\n".join(parts) + "\n"


def _accuracy_table(rows):
    lines = []
    for share, of_share in rows.groupby("share"):
        for method in STYLES:
            of = of_share[of_share.method == method]
            if len(of):
                cells = [spread(of[column], scale=100) for column in COLUMNS.values()]
                sparsity = spread(of["sparsity"], 0, 100)
                lines.append([f"{_share(share)}, {method}", *cells, sparsity])
    return markdown(["", *COLUMNS, "sparsity %"], lines)


def _share(share):
    return f"{_percent(share)} labels"


def _percent(share):
    return f"{100 * share:g} %"
