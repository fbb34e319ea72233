"""Verdicts on paired differences under several conditions."""

from benchmarks.reproduce.answers import interval, points


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
    above, below, undecided = [], [], []
    for condition, values in differences.items():
        mean, half = interval(values)
        if mean - half > -margin:
            above.append(condition)
        elif mean + half < -margin:
            below.append(condition)
        else:
            undecided.append(condition)
    if len(above) == len(differences):
        return "yes"
    if len(below) == len(differences):
        return "no"
    if not (above or below):
        return "not decided"
    verdict = f"only {_listed(above)}" if above else f"no {_listed(below)}"
    return verdict + (f"; not decided {_listed(undecided)}" if undecided else "")


def extremes(differences):
    """Lowest and highest mean difference in percentage points, with intervals, as text."""
    order = sorted(differences, key=lambda condition: interval(differences[condition])[0])
    lowest, highest = (
        f"{points(differences[condition])} {_listed([condition])}"
        for condition in (order[0], order[-1])
    )
    return lowest if len(order) == 1 else f"lowest {lowest}, highest {highest}"


def _listed(conditions):
    by_dataset = {}
    for dataset, condition in conditions:
        by_dataset.setdefault(dataset, []).append(condition)
    return "; ".join(f"on {dataset} {', '.join(of)}" for dataset, of in by_dataset.items())
