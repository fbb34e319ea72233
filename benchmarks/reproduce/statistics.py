"""Numbers over seeds: spreads, intervals, paired differences, and the verdicts they allow."""

from typing import NamedTuple

import numpy as np
from scipy import stats


class Answer(NamedTuple):
    """One row of a table of answers.

    Parameters
    ----------
    claim : str
        "C1" to "C7", or "-" for what the paper does not claim.
    question : str
        What was asked, as a reader who does not know the paper would ask.
    answer : str
        "yes", "no", "not decided", or "only ..." with the condition.
    effect : str
        Effect size with its interval, unit and number of seeds.
    figure : str
        File name of the figure that shows it; empty without one.
    """

    claim: str
    question: str
    answer: str
    effect: str
    figure: str = ""


def by_dataset(table, answers):
    """Answers of a function of a table for each data set alone, which their questions name."""
    return [
        answer._replace(question=f"On {dataset}: {answer.question}")
        for dataset, of in table.groupby("dataset")
        for answer in answers(of)
    ]


def interval(values):
    """Mean and half the width of its 95 % interval by Student's t; NaN for one value."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def with_interval(values, form, joined=" ± ", plain="{:.2f}"):
    """Mean and half its interval in a format; the mean alone for one value."""
    mean, half = interval(values)
    return form.format(mean) if np.isnan(half) else form.format(mean) + joined + plain.format(half)


def points(values):
    """Mean difference of shares in percentage points with its interval, as text."""
    shown = with_interval(100 * np.asarray(values, float), "{:+.1f}", plain="{:.1f}")
    return f"{shown} points ({_seeds(len(values))})"


def seeds(numbers):
    """Number of different seeds as text, such as ``"5 seeds"``."""
    return _seeds(numbers.nunique())


def _seeds(n):
    return f"{n} seed{'s' * (n != 1)}"


def mean_sd(digits=1, scale=100):
    """Function from values to the text of their mean and standard deviation over seeds.

    The mean alone for one value, and nothing for none.
    """

    def text(values):
        values = scale * np.asarray(values, float)
        if not len(values) or np.isnan(values).any():
            return ""
        spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
        return f"{values.mean():.{digits}f}{spread}"

    return text


def paired(table, measure, name, rival, condition, label):
    """Differences between two rows of a column, paired by seed.

    Parameters
    ----------
    table : DataFrame
        With ``dataset`` and ``seed``.
    measure : str
        Column whose values are compared.
    name, rival : (str, str) and str
        Column that says what a row is of, with the value that is compared; and the value that
        it is compared with.
    condition : str
        Column under whose values they are compared one by one.
    label : callable
        Name of a condition, given its value.

    Returns
    -------
    dict of (str, str) to ndarray of shape (n_seeds,)
        For every data set and condition where both have values; empty where there is none.
    """
    column, name = name
    wide = table.pivot_table(measure, ["dataset", condition, "seed"], column)
    if not {name, rival} <= set(wide):
        return {}
    differences = (wide[name] - wide[rival]).dropna()
    return {
        (dataset, label(value)): of.to_numpy()
        for (dataset, value), of in differences.groupby(["dataset", condition])
    }


def judge(differences, margin=0.0):
    """Verdict on whether differences lie above ``-margin``, by their 95 % intervals.

    Parameters
    ----------
    differences : dict of (str, str) to array-like of shape (n_seeds,)
        Paired differences of shares, for every data set and condition such as ``"k = 2"``.
    margin : float, default=0.0
        How much lower still counts as equally good, as a share.

    Returns
    -------
    str
        "yes" where all intervals lie above ``-margin``, "no" where all lie below, else "only ..."
        with the conditions under which they lie above, and those that are not decided because
        ``-margin`` lies inside their interval, or because there is one seed only.
    """
    side = {condition: _side(values, margin) for condition, values in differences.items()}
    above, below, undecided = (
        [condition for condition, found in side.items() if found == wanted] for wanted in (1, -1, 0)
    )
    if len(undecided) == len(side):
        return "not decided"
    verdict = f"only {_listed(above)}" if above else f"no {_listed(below)}"
    if len(above) == len(side) or len(below) == len(side):
        return "yes" if above else "no"
    return verdict + (f"; not decided {_listed(undecided)}" if undecided else "")


def _side(values, margin):
    """1 where the interval lies above ``-margin``, -1 where it lies below, else 0."""
    mean, half = interval(values)
    return int(mean - half > -margin) - int(mean + half < -margin)


def extremes(differences):
    """Lowest and highest mean difference in percentage points, with intervals, as text."""
    order = sorted(differences, key=lambda condition: interval(differences[condition])[0])
    lowest, highest = (
        f"{points(differences[condition])} {_listed([condition])}"
        for condition in (order[0], order[-1])
    )
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
