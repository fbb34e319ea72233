"""What an experiment answers, for the table that leads the page."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Answer:
    """One row of the table of answers.

    Parameters
    ----------
    claim : str
        "C1" to "C7", or "-" for what the paper does not claim.
    question : str
        What was asked, as a reader who does not know the paper would ask.
    verdict : str
        "yes", "no", or "only ..." with the condition.
    effect : str
        Effect size with its interval, unit and number of seeds.
    figure : str or None
        File name of the figure that shows it.
    """

    claim: str
    question: str
    verdict: str
    effect: str
    figure: str | None = None


def by_dataset(table, answers):
    """Answers of a function of a table for each data set alone, which their questions name."""
    return [
        replace(answer, question=f"On {dataset}: {answer.question}")
        for dataset, of in table.groupby("dataset")
        for answer in answers(of)
    ]


def interval(values):
    """Mean and half the width of its 95 % interval by Student's t; NaN for one value.

    Parameters
    ----------
    values : array-like of shape (n_seeds,)
        One number a seed.

    Returns
    -------
    mean, half_width : float
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), float("nan")
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half)


def points(values):
    """Mean difference of accuracies in percentage points with its interval, as text."""
    mean, half = interval(100 * np.asarray(values, float))
    seeds = f"{len(values)} seed{'s' * (len(values) != 1)}"
    return (
        f"{mean:+.1f} points ({seeds})"
        if np.isnan(half)
        else f"{mean:+.1f} ± {half:.1f} points ({seeds})"
    )
