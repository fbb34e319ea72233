"""Numbers over seeds and tables for the page."""

import numpy as np


def spread(values, digits=1, scale=1.0):
    """Mean and standard deviation over seeds as text; the mean alone for one seed."""
    values = scale * np.asarray(values, float)
    if len(values) < 2:
        return f"{values.mean():.{digits}f}"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"


def markdown(header, rows):
    """Table whose first column is text and whose other columns are numbers."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def seeds(table):
    """Number of seeds of a table as text, such as ``"5 seeds"``."""
    n = table["seed"].nunique()
    return f"{n} seed{'s' * (n != 1)}"


def finished(table, fields):
    """Rows of the seeds with as many runs as any seed has.

    Parameters
    ----------
    table : DataFrame
        Of an experiment whose seeds are run one after the other.
    fields : sequence of str
        Columns that say which run a row is of.

    Returns
    -------
    DataFrame
    """
    n_runs = table[list(fields)].drop_duplicates().groupby("seed").size()
    return table[table["seed"].isin(n_runs.index[n_runs == n_runs.max()])]
