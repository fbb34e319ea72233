"""What the columns of a table are: numbers, categories, or nothing to learn from."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from skactprune._cli.errors import UserError
from skactprune._cli.text import listed, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

# What people write where they have no number. In a column of words these may be words.
PLACEHOLDERS = frozenset(
    "? - -- \u2013 \u2014 . .. * na n/a n.a. #n/a #na <na> nan -nan null none nil nd n.d. missing "
    "#div/0! #value! #ref! #num! #name? #null!".split()
)
MANY_CATEGORIES = 50
DATE = "date"
# Of a day.
MICROSECONDS = 86_400_000_000
GROUPING = " '\u2019\u00a0\u202f"


def _number_pattern(decimal: str, grouping: str) -> re.Pattern[str]:
    mark = re.escape(decimal)
    plain = rf"(?:[0-9]+{mark}?[0-9]*|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    grouped = rf"[1-9][0-9]{{0,2}}([{grouping}])[0-9]{{3}}(?:\1[0-9]{{3}})*(?:{mark}[0-9]*)?"
    return re.compile(rf"[+-]?(?:{grouped}|{plain}|(?i:inf|infinity))")


OTHER = {".": ",", ",": "."}
PATTERNS = {".": _number_pattern(".", "," + GROUPING), ",": _number_pattern(",", "." + GROUPING)}


@dataclass(frozen=True)
class Cells:
    """Cells of a column, every text once.

    Parameters
    ----------
    codes : int array of shape (n_rows,)
        Index of every row's text, -1 where it is missing.
    texts : list of str
        Texts that occur.
    """

    codes: NDArray[np.integer]
    texts: list[str]

    @classmethod
    def of(cls, column: NDArray[np.object_], na: Collection[str]) -> Self:
        """From strings and None; blanks around a text are no part of it."""
        codes, written = pd.factorize(column)
        stripped = [text.strip() for text in written]
        kept = [None if text == "" or text in na else text for text in stripped]
        # Texts that differed by blanks are one now; None has the code -1 in both.
        merged, texts = pd.factorize(np.array([*kept, None], dtype=object))
        return cls(merged[codes], list(texts))

    def at(self, rows: NDArray[np.integer]) -> Cells:
        """The cells of some rows."""
        codes, used = pd.factorize(np.where(self.codes[rows] < 0, np.nan, self.codes[rows]))
        return Cells(codes, [self.texts[int(i)] for i in used])

    @property
    def n_missing(self) -> int:
        """Number of rows without a text."""
        return int((self.codes < 0).sum())

    def rows_of(self, chosen: Sequence[bool]) -> int:
        """Number of rows that hold one of the chosen texts, a boolean for each."""
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))
        return int(counts[np.asarray(chosen, dtype=bool)].sum())

    def rows(self, values: NDArray[Any], missing: Any) -> NDArray[Any]:
        """Value of every row, from one for each text."""
        return np.append(values, missing)[self.codes]


@dataclass(frozen=True)
class Numbers:
    """A column's texts as numbers.

    Parameters
    ----------
    values : float array
        One for each text, NaN for what is no number.
    decimal : {".", ",", "date"}
        How they were read.
    placeholders : list of str
        Texts that stand for missing numbers.
    others : list of str
        Texts that are neither; the column is one of numbers if there are none.
    """

    values: NDArray[np.float64]
    decimal: str
    placeholders: list[str]
    others: list[str]

    @property
    def fit(self) -> bool:
        """Whether this is a column of numbers."""
        return not self.others and not np.isnan(self.values).all()


def as_numbers(texts: list[str], decimal: str) -> Numbers:
    """Read texts as numbers.

    Parameters
    ----------
    texts : list of str
        All different.
    decimal : {".", ","}
        Mark before decimals; the other one, a blank or an apostrophe may stand between thousands.

    Returns
    -------
    Numbers
    """
    is_placeholder = [text.lower() in PLACEHOLDERS for text in texts]
    candidates = [t for t, other in zip(texts, is_placeholder, strict=True) if not other]
    # 5 and 5 % are not the same: in one column, one of them is a slip.
    percent = bool(candidates) and all(text.endswith("%") for text in candidates)
    values = np.array([_number(text, decimal, percent) for text in texts], dtype=np.float64)
    unread = np.isnan(values)
    return Numbers(
        values,
        decimal,
        [texts[i] for i in np.flatnonzero(unread) if is_placeholder[i]],
        [texts[i] for i in np.flatnonzero(unread) if not is_placeholder[i]],
    )


def _number(text: str, decimal: str, percent: bool) -> float:
    text = text.replace("\u2212", "-")
    if percent:
        text = text.removesuffix("%").rstrip()
    match = PATTERNS[decimal].fullmatch(text)
    if match is None:
        return math.nan
    if match[1]:
        text = text.replace(match[1], "")
    return float(text.replace(decimal, "."))


def as_dates(texts: list[str]) -> Numbers | None:
    """Read texts as days, if all are dates as ISO 8601 has them; else None.

    Other ways to write dates leave open what is the day and what is the month.
    """
    dates = [text for text in texts if text.lower() not in PLACEHOLDERS]
    if not dates or not all(re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) for text in dates):
        return None
    try:
        days = pd.to_datetime(pd.Series(dates), format="ISO8601", utc=True)
    except ValueError:
        return None
    # Nanoseconds would end in the year 2262.
    days = days.dt.as_unit("us").astype("int64") / MICROSECONDS
    values = dict(zip(dates, days, strict=True))
    placeholders = [text for text in texts if text not in values]
    return Numbers(
        np.array([values.get(text, np.nan) for text in texts]), DATE, placeholders, others=[]
    )


def decimal_mark(columns: Iterable[list[str]], sep: str | None) -> str | None:
    """How to read the numbers that can be read in two ways, such as 1,234.

    Parameters
    ----------
    columns : list of list of str
        Texts of all columns.
    sep : str or None
        Character between cells.

    Returns
    -------
    {".", ","} or None
        The mark of those that can be read in one way only. Where these tell nothing, or contradict
        each other: the point where commas stand between cells, else None.
    """
    usual = "." if sep in (",", None) else None
    # Most tables have no comma in any number, and columns are many.
    if not any("," in text or text.count(".") > 1 for texts in columns for text in texts):
        return "."
    found = set()
    for texts in columns:
        fitting = [way.decimal for way in (as_numbers(texts, d) for d in PATTERNS) if way.fit]
        if len(fitting) == 1:
            found.update(fitting)
    return found.pop() if len(found) == 1 else usual


def read_numbers(texts: list[str], given: str | None, mark: str | None) -> tuple[Numbers, bool]:
    """Read a column's texts as numbers, in the way that fits.

    Parameters
    ----------
    texts : list of str
        All different.
    given : {".", ","} or None
        What the user says.
    mark : {".", ","} or None
        See `decimal_mark`; None takes the only mark that there is for that of decimals.

    Returns
    -------
    numbers : Numbers
        In the best way.
    doubtful : bool
        Whether there is another way that fits, with other numbers.
    """
    if mark is None:
        mark = "," if any("," in text for text in texts) else "."
    first = as_numbers(texts, given or mark)
    other = OTHER[first.decimal]
    if given or (first.fit and not any(other in text for text in texts)):
        return first, False
    second = as_numbers(texts, other)
    if first.fit and second.fit:
        return first, not np.array_equal(first.values, second.values, equal_nan=True)
    return min(first, second, key=lambda way: len(way.others)), False


@dataclass(frozen=True)
class Column:
    """What became of a column.

    Parameters
    ----------
    name : str
        As in the table.
    values : array of shape (n_rows,) or None
        Floats, or strings, with NaN where they are missing; None if it is left out.
    said : str
        What was done with it, in one line.
    plain : bool
        Whether there was nothing to remark.
    """

    name: str
    values: NDArray[Any] | None
    said: str
    plain: bool

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.values is not None and self.values.dtype.kind == "f"


def read_column(name: str, cells: Cells, given: str | None, mark: str | None) -> Column:
    """Decide what a column is.

    Parameters
    ----------
    name : str
        Of the column.
    cells : Cells
        Its cells.
    given, mark : {".", ","} or None
        See `read_numbers`.

    Returns
    -------
    Column

    Raises
    ------
    UserError
        If it holds infinite numbers.
    """
    numbers, doubtful = read_numbers(cells.texts, given, mark)
    if not numbers.fit and (dates := as_dates(cells.texts)) is not None:
        numbers, doubtful = dates, False
    if nothing := _nothing_to_learn(cells, numbers):
        return Column(name, None, f"left out, {nothing}", False)
    if numbers.fit:
        return _numeric(name, cells, numbers, doubtful)
    return _categorical(name, cells, numbers, given)


def _nothing_to_learn(cells: Cells, numbers: Numbers) -> str | None:
    """Why a column tells nothing, or None."""
    if not cells.texts:
        return "empty"
    known = numbers.values[~np.isnan(numbers.values)]
    if len(known if numbers.fit else cells.texts) == 1:
        return "one value only"
    if numbers.fit and known.min() == known.max():
        # Such as long IDs, or 1 and 1.0.
        return "the same number in all rows, as far as numbers have digits"
    return None


def _numeric(name: str, cells: Cells, numbers: Numbers, doubtful: bool) -> Column:
    if np.isinf(numbers.values).any():
        raise UserError(f"column {quoted(name)} holds infinite values.")
    values = cells.rows(numbers.values, np.nan)
    notes = [_style(cells.texts, numbers, doubtful)]
    if missing := int(np.isnan(values).sum()):
        marks = f" (among them {listed(numbers.placeholders, 5)})" * bool(numbers.placeholders)
        notes.append(f"{missing} missing{marks}: filled with the mean")
    known = values[~np.isnan(values)]
    all_differ = len(cells.texts) - len(numbers.placeholders) == len(known)
    if all_differ and (known % 1 == 0).all() and numbers.decimal != DATE:
        notes.append("whole and all different, as IDs are: if they are some, remove the column")
    notes = [note for note in notes if note]
    kind = "dates, as days" if numbers.decimal == DATE else "numbers"
    return Column(name, values, "; ".join([kind, *notes]), not notes)


def _style(texts: list[str], numbers: Numbers, doubtful: bool) -> str:
    """How numbers are written, where it is not the plain way."""
    if numbers.decimal == DATE:
        return ""
    read = [t for t, value in zip(texts, numbers.values, strict=True) if not np.isnan(value)]
    found = []
    if numbers.decimal == "," and any("," in text for text in read):
        found.append("with decimal commas")
    matches = (PATTERNS[numbers.decimal].match(text) for text in read)
    if marks := {match[1] for match in matches if match and match[1]}:
        found.append(f"with {listed(sorted(marks), 4)} between thousands")
    if read[0].endswith("%"):
        found.append("in percent")
    if doubtful:
        found.append(f"--decimal {OTHER[numbers.decimal]} reads them otherwise")
    return ", ".join(found)


def _categorical(name: str, cells: Cells, numbers: Numbers, given: str | None) -> Column:
    notes = []
    n_rows = len(cells.codes) - cells.n_missing
    others = set(numbers.others)
    other_rows = cells.rows_of([text in others for text in cells.texts])
    if given and as_numbers(cells.texts, OTHER[given]).fit:
        notes.append(f"numbers by --decimal {OTHER[given]}")
    elif others and other_rows <= n_rows / 2:
        notes.append(
            f"almost numbers, but for {listed(numbers.others, 5)} in {other_rows} of {n_rows} rows "
            "(--na makes texts missing)"
        )
    elif words := [text for text in cells.texts if text.lower() in PLACEHOLDERS]:
        notes.append(f"{listed(words, 5)} among them (--na makes texts missing)")
    if len(cells.texts) == n_rows:
        said = "; ".join(["left out, all values differ, as names and IDs do", *notes])
        return Column(name, None, said, False)
    if cells.n_missing:
        notes.append(f"{cells.n_missing} missing: filled with the most frequent")
    if len(cells.texts) > MANY_CATEGORIES:
        notes.append(f"the rarest taken together, {MANY_CATEGORIES} in all")
    said = "; ".join([f"{len(cells.texts)} categories", *notes])
    values = cells.rows(np.array(cells.texts, dtype=object), np.nan)
    return Column(name, values, said, not notes)


def read_labels(
    name: str, cells: Cells, given: str | None, mark: str | None
) -> tuple[NDArray[np.object_], str]:
    """Class label of every row.

    Parameters
    ----------
    name : str
        Of the target.
    cells : Cells
        Its cells.
    given, mark : {".", ","} or None
        See `read_numbers`.

    Returns
    -------
    labels : object array of shape (n_rows,)
        Strings; None for rows without a label.
    said : str
        What was done, in one line.

    Raises
    ------
    UserError
        If the target holds numbers that are no integers.
    """
    numbers, _ = read_numbers(cells.texts, given, mark)
    texts: list[str | None] = [*cells.texts]
    notes = []
    if numbers.fit:
        texts = [_whole(*pair, name) for pair in zip(cells.texts, numbers.values, strict=True)]
    elif words := [text for text in cells.texts if text.lower() in PLACEHOLDERS]:
        notes.append(f"{listed(words, 5)} among them (--na makes texts missing)")
    labels = cells.rows(np.array(texts, dtype=object), None)
    n_classes = len({text for text in texts if text is not None})
    if numbers.fit and n_classes > 20:
        notes.append("all of them numbers: compare classifies, and predicts no quantity")
    if missing := int(pd.isna(labels).sum()):
        marks = f" ({listed(numbers.placeholders, 5)})" * bool(numbers.fit and numbers.placeholders)
        notes.append(f"{missing} rows without a label{marks} are left out")
    return labels, "; ".join([f"target, {n_classes} classes", *notes])


def _whole(text: str, number: float, name: str) -> str | None:
    """Label of a number: the same however it is written, and exact however large."""
    if math.isnan(number):
        return None
    if not number.is_integer():
        raise UserError(
            f"--target {name!r} holds numbers that are no integers; compare classifies: it needs "
            "a column of class labels."
        )
    return str(int(text)) if re.fullmatch("[+-]?[0-9]{1,300}", text) else str(int(number))
