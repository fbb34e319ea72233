"""Numbers over tables: differences paired by table, their intervals, ranks, and Holm's p."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.reproduce.statistics import mean_sd, side, with_interval
from benchmarks.tables import data


class Measure(NamedTuple):
    """How differences of a measure are told; 1 is the sign where more is better, else -1."""

    better: str
    as_good: str
    sign: int
    tie: float
    scale: int
    digits: int
    unit: str


# A difference below the tie is none.
MEASURES = {
    "accuracy": Measure("more accurate than", "as accurate as", 1, 0.005, 100, 1, " points"),
    "logloss": Measure("of lower log-loss than", "of as low log-loss as", -1, 0.01, 1, 3, ""),
    "epochs": Measure("trained in fewer epochs than", "", -1, 0.5, 1, 0, " epochs"),
    "seconds": Measure("trained in less time than", "", -1, 0.01, 1, 2, " s"),
}
# Columns of a table of answers.
HEAD = ["question", "answer", "effect", "won / tied / lost", "on confirming tables alone", "p"]


def paired(rows, column, name, rival, model="model"):
    """Differences of a column between two models: their mean by table, a Series.

    Pairs have the table, the seed, and whatever else of size both have in common: a dense net has
    no fraction, a linear model no layers.
    """
    ours, others = rows[rows[model] == name], rows[rows[model] == rival]
    keys = ["table", "seed"] + [
        key for key in ("net", "fraction", "k") if key in rows and set(ours[key]) & set(others[key])
    ]
    both = ours.merge(others, on=keys, suffixes=("", "_rival"))
    return (both[column] - both[f"{column}_rival"]).groupby(both["table"]).mean()


def told(differences, measure):
    """Mean difference with its interval and the measure's unit, as text."""
    how = MEASURES[measure]
    return with_interval(how.scale * differences, how.digits, "+") + how.unit


def counts(differences, measure):
    """Tables won, tied and lost, as text."""
    how = MEASURES[measure]
    tied = differences.abs() < how.tie
    won = (how.sign * differences > 0) & ~tied
    return f"{won.sum()} / {tied.sum()} / {(~won & ~tied).sum()}"


def p_value(differences, margin=0.0):
    """Two-sided p of a mean of ``-margin``, by Student's t; 1 for one difference."""
    if len(differences) < 2:
        return 1.0
    if np.ptp(differences) == 0:
        return float(differences.iloc[0] == -margin)
    return float(stats.ttest_1samp(differences, -margin).pvalue)


def holm(p):
    """Adjust p for as many tests as there are, by Holm's method."""
    p = np.asarray(p, float)
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(steps[np.argsort(order)], 1.0)


def compared(what, rows, measure, name, rival, as_good=False, *, lead=False, **how):
    """Answer to whether a model is better than a rival, or as good, a dict; None without pairs.

    The page begins with it if `lead`. ``part="validation"`` takes those rows instead of the test
    rows, and ``model`` is the column that has both names. p is not adjusted.
    """
    told_by = MEASURES[measure]
    column = measure if measure in rows else f"{how.pop('part', 'test')}_{measure}"
    differences = paired(rows, column, name, rival, **how)
    if differences.empty:
        return None
    margin = told_by.tie if as_good else 0.0
    gains = told_by.sign * differences
    within = f" (at most {told_by.scale * margin:g}{told_by.unit} worse)" if margin else ""
    words = told_by.as_good if as_good else told_by.better
    confirm = differences[[data.role(table) == "confirm" for table in differences.index]]
    cells = (
        f"Is {what} {words} {rival}{within}?",
        {1: "yes", 0: "not decided", -1: "no"}[side(gains, margin)],
        told(differences, measure),
        counts(differences, measure),
        told(confirm, measure) if len(confirm) else "",
        p_value(gains, margin),
    )
    return dict(zip(HEAD, cells, strict=True)) | {"lead": lead}


SHOWN = {
    "accuracy %": ("test_accuracy", 100, 1),
    "balanced %": ("test_balanced", 100, 1),
    "log-loss": ("test_logloss", 1, 3),
    "calibration error %": ("test_ece", 100, 1),
    "weights": ("weights", 1, 0),
    "epochs": ("epochs", 1, 0),
    "seconds": ("seconds", 1, 2),
}


def ranks(rows, ranked=True, shown=SHOWN):
    """Table of the models' means over tables, and mean ranks by accuracy and log-loss.

    Only tables that have all models count, so that a table of unfinished runs compares, too.
    """
    complete = rows.groupby("table")["model"].nunique() == rows["model"].nunique()
    rows = rows[rows["table"].map(complete)]
    by_table = rows.groupby(["model", "table"])[[column for column, *_ in shown.values()]].mean()
    means = by_table.groupby("model").mean()
    table = pd.DataFrame(index=means.index)
    for name in ("accuracy %", "log-loss") if ranked else ():
        wide = by_table[shown[name][0]].unstack("model")
        places = wide.rank(axis=1, ascending=name == "log-loss").mean()
        table[f"mean rank, {name.split()[0]}"] = places.map("{:.1f}".format)
    for name, (column, scale, digits) in shown.items():
        table[name] = [mean_sd(digits, scale)([mean]) for mean in means[column]]
    if ranked:
        table = table.sort_values("mean rank, accuracy", key=pd.to_numeric)
    return table.reset_index()
