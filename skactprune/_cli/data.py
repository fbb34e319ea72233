"""Training and test rows, from a named data set or from a table of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skactprune._cli.columns import (
    MANY_CATEGORIES,
    Cells,
    Column,
    decimal_mark,
    read_column,
    read_labels,
)
from skactprune._cli.errors import UserError
from skactprune._cli.table import Reading, read_table
from skactprune._cli.text import listed, quoted
from skactprune.datasets import Dataset, load_dataset

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

# A stratified quarter of fewer rows may hold none of a class.
MIN_ROWS_PER_CLASS = 4
# A wide table gets a line for these many columns, those with something to remark first.
MAX_LINES = 30


@dataclass(frozen=True)
class Data:
    """Rows to learn from and to test on.

    Parameters
    ----------
    name : str
        For headings.
    splits : list of Dataset
        One for every seed, or one for all of them.
    said : tuple of str
        What was done with the table and each of its columns, line by line.
    code : str
        Python that gives the same training and test rows.
    """

    name: str
    splits: list[Dataset]
    said: tuple[str, ...] = ()
    code: str = "train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)"

    def split(self, seed: int) -> Dataset:
        """Rows for a seed."""
        return self.splits[seed % len(self.splits)]


def named_data(name: str) -> Data:
    """One of the package's data sets in its customary split.

    Raises
    ------
    UserError
        If it is not on this machine and cannot be downloaded.
    """
    try:
        return Data(name, [load_dataset(name)], code=f"skactprune.datasets.load_dataset({name!r})")
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error


def table_data(path: str, target: str, n_splits: int, reading: Reading | None = None) -> Data:
    """The user's table, split and preprocessed once for every seed.

    Parameters
    ----------
    path : str
        CSV or Parquet file.
    target : str
        Column with the class labels.
    n_splits : int
        Number of stratified splits, a quarter of the rows for testing. Preprocessing is fitted on
        the training rows of each.
    reading : Reading, default=None
        How the table is written; None leaves everything to be seen.

    Returns
    -------
    Data

    Raises
    ------
    UserError
        For a file or a column that cannot be used.
    """
    reading = reading or Reading()
    table = read_table(path, target, reading)
    cells = {
        name: Cells.of(column, reading.na)
        for name, column in zip(table.names, table.cells.T, strict=True)
    }
    labels, label_said = _labels(target, cells.pop(target), table.sep, reading)
    labelled = np.flatnonzero(~pd.isna(labels))
    y = labels[labelled].astype(str)
    _check_classes(target, y)
    if len(labelled) < len(labels):
        cells = {name: column.at(labelled) for name, column in cells.items()}
    columns = _features(path, target, cells, table.sep, reading)
    said = _lines(columns, f"{quoted(target)}: {label_said}")
    return Data(Path(path).name, _splits(path, columns, y, n_splits), (*table.remarks, *said))


def _labels(
    target: str, cells: Cells, sep: str | None, reading: Reading
) -> tuple[NDArray[np.object_], str]:
    return read_labels(target, cells, reading.decimal, decimal_mark([cells.texts], sep))


def _check_classes(target: str, y: NDArray[np.str_]) -> None:
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2:
        found = f"only {quoted(classes[0])}" if len(classes) else "no label at all"
        raise UserError(f"--target {target!r} needs at least two classes; it has {found}.")
    if (small := counts < MIN_ROWS_PER_CLASS).any():
        raise UserError(
            f"--target {target!r} needs at least {MIN_ROWS_PER_CLASS} rows of every class; "
            f"{small.sum()} of its {len(classes)} classes have fewer, "
            f"such as {quoted(classes[small][0])} with {counts[small][0]}."
        )


def _features(
    path: str, target: str, cells: dict[str, Cells], sep: str | None, reading: Reading
) -> list[Column]:
    if not any(column.texts for column in cells.values()):
        raise UserError(f"{path!r} has no column with values besides the target {target!r}.")
    mark = decimal_mark([column.texts for column in cells.values()], sep)
    columns = [read_column(name, column, reading.decimal, mark) for name, column in cells.items()]
    if all(column.values is None for column in columns):
        if all(len(column.texts) < 2 for column in cells.values()):
            raise UserError(
                f"{path!r} has no column but the target {target!r} whose values differ."
            )
        reasons = listed([f"{column.name}: {column.said}" for column in columns], 3)
        raise UserError(f"{path!r} has no column to learn from: {reasons}.")
    return columns


def _lines(columns: list[Column], label_line: str) -> list[str]:
    """A line for every column; of a wide table, the plain ones are counted instead."""
    remarkable = [column for column in columns if not column.plain]
    single = columns if len(columns) <= MAX_LINES else remarkable[:MAX_LINES]
    lines = [f"{quoted(column.name)}: {column.said}" for column in single]
    if len(columns) > len(single):
        others = [column for column in columns if column.plain]
        numeric = sum(column.numeric for column in others)
        kinds = {
            "of numbers": numeric,
            "of categories": len(others) - numeric,
            "with such remarks": len(remarkable) - len(single),
        }
        counted = ", ".join(f"{n} {kind}" for kind, n in kinds.items() if n)
        lines.append(f"further columns: {counted}")
    return [label_line, *lines]


def _splits(path: str, columns: list[Column], y: NDArray[np.str_], n_splits: int) -> list[Dataset]:
    numeric = [column for column in columns if column.numeric]
    numbers = _matrix(numeric, len(y), float)
    others = [column for column in columns if column.values is not None and not column.numeric]
    categories = _matrix(others, len(y), object)
    splits = []
    for seed in range(n_splits):
        train, test = train_test_split(
            np.arange(len(y)), test_size=0.25, stratify=y, random_state=seed
        )
        try:
            with np.errstate(over="raise"):
                blocks = [
                    *_prepared(_for_numbers(), numbers, train, test),
                    *_prepared(_for_categories(), categories, train, test),
                ]
        except FloatingPointError as error:
            largest = np.nanmax(np.abs(numbers), axis=0)
            raise UserError(
                f"column {quoted(numeric[largest.argmax()].name)} of {path!r} holds values as "
                f"large as {largest.max():.3g}, too large to compute with."
            ) from error
        X_train, X_test = (
            np.hstack(parts, dtype=np.float32) for parts in zip(*blocks, strict=True)
        )
        splits.append(Dataset(X_train, X_test, y[train], y[test]))
    return splits


def _matrix(columns: list[Column], n_rows: int, dtype: DTypeLike) -> NDArray[Any]:
    matrix = np.empty((n_rows, len(columns)), dtype=dtype)
    for i, column in enumerate(columns):
        matrix[:, i] = column.values
    return matrix


def _prepared(
    preprocessing: Pipeline,
    block: NDArray[Any],
    train: NDArray[np.integer],
    test: NDArray[np.integer],
) -> list[list[NDArray[Any]]]:
    """Training and test part of some columns, as a pair in a list; no pair without columns."""
    if block.shape[1] == 0:
        return []
    preprocessing.fit(block[train])
    return [[preprocessing.transform(block[rows]) for rows in (train, test)]]


def _for_numbers() -> Pipeline:
    return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())


def _for_categories() -> Pipeline:
    # A column of names must not become as many features as there are rows.
    return make_pipeline(
        SimpleImputer(strategy="most_frequent", keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore", max_categories=MANY_CATEGORIES, sparse_output=False),
    )
