"""Training and test rows, from a named data set or from a table of the user's own."""

import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skactprune._cli.errors import UserError
from skactprune.datasets import Dataset, load_dataset

# A stratified quarter of fewer rows may hold none of a class.
MIN_ROWS_PER_CLASS = 4


@dataclass(frozen=True)
class Data:
    """Rows to learn from and to test on.

    Parameters
    ----------
    name : str
        For headings.
    splits : list of Dataset
        One for every seed, or one for all of them.
    """

    name: str
    splits: list[Dataset]

    def split(self, seed):
        """Rows for a seed."""
        return self.splits[seed % len(self.splits)]


def named_data(name):
    """One of the package's data sets in its customary split.

    Raises
    ------
    UserError
        If it is not on this machine and cannot be downloaded.
    """
    try:
        return Data(name, [load_dataset(name)])
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error


def table_data(path, target, n_splits):
    """The user's table, split and preprocessed once for every seed.

    Parameters
    ----------
    path : str
        CSV file with a header.
    target : str
        Column with the class labels.
    n_splits : int
        Number of stratified splits, a quarter of the rows for testing. Preprocessing is fitted on
        the training rows of each.

    Raises
    ------
    UserError
        For a file or a column that cannot be used.
    """
    X, y = _features_and_labels(_read(path), target, path)
    splits = []
    for seed in range(n_splits):
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.25, stratify=y, random_state=seed
        )
        try:
            with np.errstate(over="raise"):
                preprocessing = _preprocessing(X).fit(X_train)
                parts = [preprocessing.transform(part) for part in (X_train, X_test)]
                prepared = [part.astype(np.float32) for part in parts]
        except FloatingPointError as error:
            largest = X.select_dtypes("number").abs().max()
            raise UserError(
                f"column {largest.idxmax()!r} of {path!r} holds values as large as "
                f"{largest.max():.3g}, too large to compute with."
            ) from error
        splits.append(Dataset(*prepared, y_train, y_test))
    return Data(Path(path).name, splits)


def _read(path):
    try:
        # Read once: a pipe has nothing left for a second look at the header.
        content = Path(path).read_bytes() if Path(path).is_fifo() else None

        def read(**options):
            return pd.read_csv(path if content is None else io.BytesIO(content), **options)

        frame = read()
        names = read(header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{path!r} is empty.") from error
    except OSError as error:
        raise UserError(f"{path!r} cannot be read: {error.strerror or error}.") from error
    # What decompressors raise has no base in common.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path!r} cannot be read as a CSV file: {reason}") from error
    if frame.empty:
        raise UserError(f"{path!r} has a header but no rows.")
    if (repeated := names.duplicated() & (names != "")).any():
        # pandas would call the second "label" "label.1", which gives the label away.
        raise UserError(
            f"{path!r} has several columns {names[repeated].iloc[0]!r}; each needs its own name."
        )
    return _without_row_numbers(frame)


def _without_row_numbers(frame):
    """Leave out the unnamed first column that pandas and R write, also if it was read before."""
    numbers = [name for name in frame.columns if re.fullmatch(r"Unnamed: 0(\.\d+)*", name)]
    if numbers:
        print("The column without a name, of row numbers or names, is left out.", file=sys.stderr)
    return frame.drop(columns=numbers)


def _features_and_labels(frame, target, path):
    if target not in frame.columns:
        columns = ", ".join(map(repr, frame.columns[:20])) + ", ..." * (len(frame.columns) > 20)
        raise UserError(f"--target {target!r} is no column of {path!r}, which has {columns}.")
    labelled = frame[target].notna()
    labels = frame.loc[labelled, target]
    frame = frame[labelled].drop(columns=target).dropna(axis=1, how="all")
    if pd.api.types.is_float_dtype(labels) and (labels % 1 != 0).any():
        raise UserError(
            f"--target {target!r} holds numbers that are no integers; compare classifies: it needs "
            "a column of class labels."
        )
    y = labels.astype(str).to_numpy(dtype=str)
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2:
        found = f"only {str(classes[0])!r}" if len(classes) else "no label at all"
        raise UserError(f"--target {target!r} needs at least two classes; it has {found}.")
    if (small := counts < MIN_ROWS_PER_CLASS).any():
        raise UserError(
            f"--target {target!r} needs at least {MIN_ROWS_PER_CLASS} rows of every class; "
            f"{small.sum()} of its {len(classes)} classes have fewer, "
            f"such as {str(classes[small][0])!r} with {counts[small][0]}."
        )
    if frame.shape[1] == 0:
        raise UserError(f"{path!r} has no column with values besides the target {target!r}.")
    if frame.nunique().max() == 1:
        raise UserError(f"{path!r} has no column but the target {target!r} whose values differ.")
    if not labelled.all():
        print(f"{(~labelled).sum()} rows without a label are left out.", file=sys.stderr)
    return _plain_columns(frame), y


def _plain_columns(frame):
    """Columns of floats, and of strings or NaN."""
    columns = {}
    for name, column in frame.items():
        if pd.api.types.is_numeric_dtype(column):
            columns[name] = column.astype(np.float64)
            if np.isinf(columns[name]).any():
                raise UserError(f"column {name!r} holds infinite values.")
        else:
            columns[name] = column.astype(object).map(str, na_action="ignore").astype(object)
            columns[name] = columns[name].where(column.notna(), np.nan)
    return pd.DataFrame(columns)


def _preprocessing(X):
    numeric = X.select_dtypes("number").columns
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    # A column of names or numbers of rows must not become as many features as there are rows.
    categories = make_pipeline(
        SimpleImputer(strategy="most_frequent", keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore", max_categories=50, sparse_output=False),
    )
    return ColumnTransformer(
        [("numbers", numbers, numeric), ("categories", categories, X.columns.difference(numeric))]
    )
