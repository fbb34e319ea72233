"""Numbers over seeds: spreads, intervals, paired differences, and the verdicts they allow."""

from typing import NamedTuple

import numpy as np
from scipy import stats


class Answer(NamedTuple):
    """One row of a table of answers."""

    claim: str
    """"C1" to "C7", or "-" for what the paper does not claim."""
    question: str
    """What was asked, as a reader who does not know the paper would ask."""
    answer: str
    """"yes", "no", "not decided", or "only ..." with the condition."""
    effect: str
    """Effect size with its interval, unit and number of seeds."""
    figure: str = ""
    """File name of the figure that shows it."""


def by_dataset(rows, answers):
    """Answers of a function of rows for each data set alone, which their questions name."""
    return [
        answer._replace(question=f"On {dataset}: {answer.question}")
        for dataset, of in rows.groupby("dataset")
        for answer in answers(of)
    ]


def interval(values):
    """Mean and half the width of its 95 % interval by Student's t; NaN for one value."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def side(values, margin=0.0):
    """1 where the interval of differences lies above ``-margin``, -1 where below, else 0."""
    mean, half = interval(values)
    return int(mean - half > -margin) - int(mean + half < -margin)


def with_interval(values, digits=2, sign=""):
    """Mean and half its interval as text; the mean alone for one value."""
    mean, half = interval(values)
    return f"{mean:{sign}.{digits}f}" + ("" if np.isnan(half) else f" ± {half:.{digits}f}")


def points(values):
    """Mean difference of shares in percentage points with its interval, as text."""
    n = len(values)
    return f"{with_interval(100 * np.asarray(values), 1, '+')} points ({n} seed{'s' * (n != 1)})"


def seeds(numbers):
    """Number of different seeds as text, such as ``"5 seeds"``."""
    n = numbers.nunique()
    return f"{n} seed{'s' * (n != 1)}"


def mean_sd(digits=1, scale=100):
    """Function from values to the text of their mean and standard deviation over seeds.

    The mean alone for one value, and nothing for none or where one is NaN.
    """

    def text(values):
        values = scale * np.asarray(values, float)
        if not len(values) or np.isnan(values).any():
            return ""
        spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
        return f"{values.mean():.{digits}f}{spread}"

    return text


def accuracies(name="{} accuracy %", digits=1, parts=("train", "validation", "test")):
    """Columns of accuracies of a table, for ``DataFrameGroupBy.agg``."""
    return {name.format(part): (f"{part}_accuracy", mean_sd(digits)) for part in parts}


def paired(rows, measure, column, name, rival, condition, label):
    """Differences of a measure between two values of a column, paired by seed.

    A dict of arrays, a number a seed each, by data set and value of the column `condition` as
    `label` writes it, where both have values.
    """
    wide = rows.pivot_table(measure, ["dataset", condition, "seed"], column)
    if not {name, rival} <= set(wide):
        return {}
    differences = (wide[name] - wide[rival]).dropna()
    return {
        (dataset, label(value)): of.to_numpy()
        for (dataset, value), of in differences.groupby(["dataset", condition])
    }


def judge(differences, margin=0.0):
    """Verdict on whether differences, as `paired` gives them, lie above ``-margin``.

    "yes" where all 95 % intervals lie above, "no" where all lie below, else "only ..." with the
    conditions under which they lie above, and those that are not decided because ``-margin`` lies
    inside their interval, or because there is one seed only.
    """
    sides = {condition: side(values, margin) for condition, values in differences.items()}
    above, below, undecided = ([c for c, of in sides.items() if of == i] for i in (1, -1, 0))
    if len(undecided) == len(sides):
        return "not decided"
    if len(sides) in (len(above), len(below)):
        return "yes" if above else "no"
    verdict = f"only {_listed(above)}" if above else f"no {_listed(below)}"
    return verdict + (f"; not decided {_listed(undecided)}" if undecided else "")


def extremes(differences):
    """Lowest and highest mean difference in percentage points, with intervals, as text."""
    order = sorted(differences.items(), key=lambda item: interval(item[1])[0])
    lowest, highest = (f"{points(of)} {_listed([at])}" for at, of in (order[0], order[-1]))
    return lowest if len(order) == 1 else f"lowest {lowest}, highest {highest}"


def compared(claim, question, differences, margin, figure):
    """Answer to whether differences lie above ``-margin``, in a list; none without differences."""
    if not differences:
        return []
    return [Answer(claim, question, judge(differences, margin), extremes(differences), figure)]


def _listed(conditions):
    by_dataset = {}
    for dataset, condition in conditions:
        by_dataset.setdefault(dataset, []).append(condition)
    return "; ".join(f"on {dataset} {', '.join(of)}" for dataset, of in by_dataset.items())
