"""What is said of dimensionality reduction: answers and a part of the page."""

from benchmarks.reproduce.answers import Answer
from benchmarks.reproduce.reduction_figures import (
    DENSE,
    MEASURES,
    PRUNED,
    SMALL,
    STYLES,
    has_maps,
)
from benchmarks.reproduce.tables import markdown, seeds, spread
from benchmarks.reproduce.verdicts import extremes, judge, paired

# Half a point lower counts as equally good beside the rivals that are nets.
MARGIN = 0.005
QUESTIONS = (
    (
        "PCA",
        0.0,
        "logistic_test_accuracy",
        "better to classify by than k principal components of the pixels",
    ),
    (
        "LDA",
        0.0,
        "logistic_test_accuracy",
        "better to classify by than k discriminants of LDA, up to all",
    ),
    (DENSE, MARGIN, "logistic_test_accuracy", "as good to classify by as k of the unpruned net"),
    (
        SMALL,
        MARGIN,
        "logistic_test_accuracy",
        "as good to classify by as k neurons of a small net from scratch",
    ),
    ("PCA", 0.0, "trustworthiness", "truer to which images are neighbours than those of PCA"),
)


def differences(table, rival, measure):
    """Pruned net less rival, where both have as many components; see `paired`."""
    return paired(table, measure, ("model", PRUNED), rival, "k", "k = {}".format)


def answers(table):
    """Verdicts by the 95 % intervals of the paired differences, see `judge`."""
    found = []
    for rival, margin, measure, text in QUESTIONS:
        cells = differences(table, rival, measure)
        if not cells:
            continue
        within = f" (at most {100 * margin:g} points lower)" if margin else ""
        found.append(
            Answer(
                "-",
                f"Are k components of the pruned net's `transform` {text}{within}?",
                judge(cells, margin),
                extremes(cells),
                f"reduction-scores-{next(iter(cells))[0]}.png",
            )
        )
    return found


def section(table):
    """Part of the page: how it was done, tables and figures."""
    parts = [
        "## `transform` as dimensionality reduction",
        "An image becomes k numbers; how much do they still tell? The *pruned net* is "
        '`PrunedMLPClassifier((300, 200, 100, 50), method="activation", prune_fraction=0.8, '
        "n_components=k)` with the estimator's other defaults (Adam) and few epochs: k principal "
        "components of its last hidden layer, which keeps at least k neurons. The last layer is "
        "the estimator's default "
        "for what is to be classified; the *first layer* is shown beside it. Rivals: *dense net + "
        "PCA*, the same without pruning; *small net from scratch*, a dense net with the pruned "
        "net's sizes and k neurons in its last hidden layer, which are taken as they are; *PCA*, "
        "*LDA* (at most one component less than classes), *random projection* of the pixels; "
        "*NCA* on a part of the training rows "
        "(its cost grows with their square) and on 50 principal components of the pixels.",
        "All are scored by the same two classifiers: logistic regression on standardized "
        "components of all training rows, and the 5 nearest neighbours among a random part of "
        "them, another one for each seed. Nets, LDA and NCA have seen the labels of the training "
        "rows, whose classes are further apart for them than those of new rows. The classifiers "
        "learn from these rows, so that training accuracy flatters the nets and test accuracy, if "
        "anything, suffers from it. Trustworthiness (5 neighbours, 1000 random test rows; 100 %: "
        "neighbours on the components are neighbours in the pixels) does not ask for classes: a "
        "net that puts a class in one place loses it on purpose. "
        f"Tables show mean ± standard deviation over {seeds(table)}.",
    ]
    for dataset, rows in table.groupby("dataset"):
        parts.append(f"### {dataset}")
        parts += [_by_components(rows, measure) for measure in MEASURES]
        parts.append(f"![Scores by components](reproduction/reduction-scores-{dataset}.png)")
        if has_maps(rows):
            parts.append(f"![Two components](reproduction/reduction-maps-{dataset}.png)")
        parts.append(_all_accuracies(rows))
    return "\n\n".join(parts) + "\n"


def _by_components(rows, measure):
    counts = sorted(rows["k"].unique())
    name, unit = MEASURES[measure]
    lines = []
    for model, of_model in _by_model(rows):
        cells = {k: spread(at[measure], scale=100) for k, at in of_model.groupby("k")}
        lines.append([model, *(cells.get(k, "") for k in counts)])
    return markdown([f"{name}: {unit}", *(f"k = {k}" for k in counts)], lines)


def _all_accuracies(rows):
    """Training, validation and test accuracies of everything, folded away."""
    header = ["%", "k"]
    columns = []
    for prefix, name in (
        ("logistic", "logistic"),
        ("neighbors", "neighbours"),
        ("own", "itself"),
    ):
        for part in ("train", "validation", "test"):
            header.append(f"{name}, {part}")
            columns.append(f"{prefix}_{part}_accuracy")
    lines = []
    for model, of_model in _by_model(rows):
        for k, at in of_model.groupby("k"):
            known = (column in at and at[column].notna().all() for column in columns)
            cells = [
                spread(at[column], scale=100) if has else ""
                for column, has in zip(columns, known, strict=True)
            ]
            lines.append([model, str(k), *cells])
    summary = "Training, validation and test accuracy (itself: the net's own prediction)"
    table = markdown(header, lines)
    return f"<details><summary>{summary}</summary>\n\n{table}\n\n</details>"


def _by_model(rows):
    for model in STYLES:
        of_model = rows[rows.model == model]
        if len(of_model):
            yield model, of_model
