"""Which rows early stopping sets aside."""

import math

import numpy as np
from sklearn.model_selection import train_test_split


def split_rows(classes, validation_fraction, random_state):
    """Choose rows to validate on, stratified where both parts can have rows of every class.

    Parameters
    ----------
    classes : ndarray of int of shape (n_samples,)
        Index of the class of every row.
    validation_fraction : float
        Share of the rows to validate on, rounded up.
    random_state : numpy.random.RandomState
        Chooses.

    Returns
    -------
    rows, validation_rows : ndarray of int
        Indices of the rows to train on and of those to validate on.

    Raises
    ------
    ValueError
        If fewer than 2 rows would be left for validation, or none to train on.
    """
    n_rows = len(classes)
    n_validation = math.ceil(validation_fraction * n_rows)
    if not 2 <= n_validation < n_rows:
        raise ValueError(
            f"validation_fraction={validation_fraction!r} of {n_rows} rows sets {n_validation} "
            "aside for validation; with early_stopping=True these must be at least 2, but not all."
        )
    rows_a_class = np.bincount(classes)
    rows_a_class = rows_a_class[rows_a_class > 0]
    smaller_part = min(validation_fraction, 1 - validation_fraction) * n_rows
    can_stratify = rows_a_class.min() > 1 and len(rows_a_class) <= smaller_part
    return train_test_split(
        np.arange(n_rows),
        random_state=random_state,
        test_size=validation_fraction,
        stratify=classes if can_stratify else None,
    )
