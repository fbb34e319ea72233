"""The user's table as it is written: names and cells, of which nothing is interpreted yet."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skactprune._cli.errors import UserError
from skactprune._cli.text import listed, quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from numpy.typing import NDArray

    Source: TypeAlias = Callable[[], Path | io.BytesIO]
    # Names, cells, separator and remarks.
    Parts: TypeAlias = tuple[list[str], NDArray[np.object_], str | None, list[str]]

SEPARATORS = (",", ";", "\t", "|", " ")
# Longest first: that of UTF-32 starts with that of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
PARQUET, PARQUET_ENDINGS = b"PAR1", (".parquet", ".pq")
# No table has it, so that lines stay whole.
NO_SEPARATOR = "\x1f"
GZIP = b"\x1f\x8b"
# What begins so, by its first characters, unless its name says that pandas is to unpack it.
OTHERS = {
    b"PK\x03\x04": "a zip archive, as Excel's .xlsx is; save the table as CSV.",
    GZIP: "compressed by gzip; let its name end in .gz.",
}
COMPRESSED = (".gz", ".bz2", ".zip", ".xz", ".zst", ".tar")


@dataclass(frozen=True)
class Reading:
    """How the user says that the table is written; None and nothing where it is to be seen.

    Parameters
    ----------
    sep : str, default=None
        Character between cells.
    decimal : {".", ","}, default=None
        Mark before decimals.
    na : tuple of str, default=()
        What stands for a missing value, besides the empty cell.
    encoding : str, default=None
        Of the characters.
    """

    sep: str | None = None
    decimal: str | None = None
    na: tuple[str, ...] = ()
    encoding: str | None = None


@dataclass(frozen=True)
class Table:
    """Cells as text.

    Parameters
    ----------
    names : list of str
        Of the columns, all different.
    cells : object array of shape (n_rows, n_columns)
        Strings, or None where a file can say so.
    sep : str or None
        Character that was found between cells.
    remarks : list of str
        What the user should know of how it was read.
    """

    names: list[str]
    cells: NDArray[np.object_]
    sep: str | None
    remarks: list[str]


def read_table(path: str, target: str, reading: Reading) -> Table:
    """Read a file.

    Parameters
    ----------
    path : str
        CSV file with a header, compressed or not, or Parquet file.
    target : str
        Name of a column, by which a separator is recognized.
    reading : Reading
        What the user says of the file.

    Returns
    -------
    Table

    Raises
    ------
    UserError
        For a file that cannot be read, or is no table.
    """
    if re.match("[A-Za-z][A-Za-z0-9+.-]+://", path):
        raise UserError(f"{path!r} is a URL; compare reads files only: download it first.")
    start, source = _start_and_source(path)
    kind = next((kind for mark, kind in OTHERS.items() if start.startswith(mark)), None)
    if kind and not path.lower().endswith(COMPRESSED):
        raise UserError(f"{path!r} is {kind}")
    if start == PARQUET or path.lower().endswith(PARQUET_ENDINGS):
        names, cells, sep, remarks = _parquet(path, source, reading)
    else:
        names, cells, sep, remarks = _csv(path, start, source, target, reading)
    if len(cells) == 0:
        raise UserError(f"{path!r} has a header but no rows.")
    _refuse_repeated(names, path)
    return _without_row_numbers(Table(names, cells, sep, remarks), target)


def _start_and_source(path: str) -> tuple[bytes, Source]:
    """The file's first bytes, and a function that returns what pandas reads all of it from."""
    try:
        if Path(path).is_fifo():
            # A pipe can be read once only.
            content = Path(path).read_bytes()
            return content[:4], lambda: io.BytesIO(content)
        with open(path, "rb") as file:
            return file.read(4), lambda: Path(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path!r} cannot be read: {reason}.") from error


def _parquet(path: str, source: Source, reading: Reading) -> Parts:
    if reading.sep or reading.encoding:
        raise UserError(f"--sep and --encoding are for CSV files; {path!r} is Parquet.")
    try:
        frame = pd.read_parquet(source())
    except ImportError as error:
        raise UserError(
            f"{path!r} is Parquet, which pandas reads by pyarrow: pip install pyarrow"
        ) from error
    except Exception as error:
        raise _unreadable(path, "Parquet", error) from error
    # pandas keeps an index in the file; only one with names was a column to somebody.
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    columns = [column.map(str, na_action="ignore") for _, column in frame.items()]
    cells = np.empty(frame.shape, dtype=object)
    for i, column in enumerate(columns):
        cells[:, i] = np.where(column.isna(), None, column.astype(object))
    return [str(name).strip() for name in frame.columns], cells, None, []


def _csv(path: str, start: bytes, source: Source, target: str, reading: Reading) -> Parts:
    by_mark = next((name for mark, name in MARKS.items() if start.startswith(mark)), "utf-8-sig")
    # The last has a character for nearly every byte. Which one does not matter to a comparison.
    encodings = [reading.encoding] if reading.encoding else [by_mark, "cp1252"]
    for encoding in encodings:
        try:
            names, cells, sep, remarks = _decoded(source, target, reading.sep, encoding)
            begins = "" if start.startswith(GZIP) else start.decode(encoding, "ignore")
        except UnicodeError as error:
            reason = error
            continue
        except pd.errors.EmptyDataError as error:
            raise UserError(f"{path!r} is empty.") from error
        except UserError as error:
            raise UserError(f"{path!r} {error}") from error
        # What decompressors raise has no base in common.
        except Exception as error:
            raise _unreadable(path, "CSV", error) from error
        # pandas before 3 ends a cell at such a character. Of what is compressed, the start tells
        # nothing.
        if any("\x00" in text for text in (begins, *names)):
            raise UserError(
                f"{path!r} cannot be read as a CSV file: it holds NUL characters. It may be no "
                "text, or be in --encoding utf-16-le or utf-16-be."
            )
        if encoding not in (reading.encoding, "utf-8-sig"):
            remarks.append(f"Read as {encoding}, as it is no UTF-8; --encoding says otherwise.")
        return names, cells, sep, remarks
    raise _unreadable(path, "CSV", reason)


def _unreadable(path: str, kind: str, error: Exception) -> UserError:
    return UserError(f"{path!r} cannot be read as a {kind} file: {' '.join(str(error).split())}")


def _decoded(source: Source, target: str, sep: str | None, encoding: str) -> Parts:
    common: dict[str, Any] = {"dtype": object, "na_filter": False, "encoding": encoding}
    lines = common | {"sep": NO_SEPARATOR, "quoting": csv.QUOTE_NONE, "header": None}
    header = pd.read_csv(source(), nrows=1, **lines).iloc[0, 0]
    if match := re.fullmatch('"?sep=(.)"?', header.strip()):
        raise UserError(f"begins with {match[0]!r}, for Excel; remove that line: --sep says it.")
    sep = sep or _separator(header, target)
    common |= {"sep": sep, "skipinitialspace": True}
    remarks = [f"Read with {sep!r} between cells; --sep says otherwise."] * (sep != ",")
    try:
        frame = _read(source, header=None, **common)
    except pd.errors.ParserError:
        names = _fields(header, sep)
        frame = _with_row_names(source, names, common)
        if frame is None:
            raise
        remarks.append("The first cell of each row, for which there is no name, is left out.")
        cells = frame.to_numpy()
    else:
        names, cells = frame.iloc[0].tolist(), frame.to_numpy()[1:]
    return [name.strip() for name in names], cells, sep, remarks


def _read(source: Source, **how: Any) -> pd.DataFrame:
    try:
        return pd.read_csv(source(), **how)
    except pd.errors.ParserError as error:
        # pandas before 3 fails so where lines end in "\r" and begin with a blank.
        if "Buffer overflow" not in str(error):
            raise
        return pd.read_csv(source(), engine="python", **how)


def _fields(line: str, sep: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=sep, skipinitialspace=True))
    except csv.Error:  # A field as long as that is none.
        return []


def _separator(header: str, target: str) -> str:
    """The separator by which the target is a name, and the most others are."""
    fields = {sep: [field.strip() for field in _fields(header, sep)] for sep in SEPARATORS}
    fitting = [sep for sep in SEPARATORS if target in fields[sep]]
    # A blank is in many names.
    return max(fitting or SEPARATORS[:-1], key=lambda sep: len(fields[sep]))


def _with_row_names(
    source: Source, names: list[str], common: dict[str, Any]
) -> pd.DataFrame | None:
    """Rows of one more cell than the header, as R writes them; None where they are no such rows."""
    frame = _read(source, header=0, **common)
    if isinstance(frame.index, pd.RangeIndex | pd.MultiIndex) or len(names) != frame.shape[1]:
        return None
    if (frame.iloc[:, -1] == "").all():
        raise UserError("has a separator at the end of every row, but not of the header.")
    return frame


def _refuse_repeated(names: list[str], path: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            raise UserError(
                f"{path!r} has several columns {quoted(name)}; each needs its own name."
            )
        seen.add(name)


def _without_row_numbers(table: Table, target: str) -> Table:
    """Leave out the unnamed first column that pandas and R write, also if it was read before."""
    left = [
        i
        for i, name in enumerate(table.names)
        if name == target
        or not (i == 0 and name == "" or re.fullmatch(r"Unnamed: 0(\.\d+)*", name))
    ]
    remarks = list(table.remarks)
    if len(left) < len(table.names):
        remarks.append("The column without a name, of row numbers or names, is left out.")
    names = [table.names[i] or _new_name(f"column {i + 1}", table.names) for i in left]
    if target not in names:
        raise UserError(
            f"--target {target!r} is no column of the table, which has {listed(names, 20)}."
        )
    return Table(names, table.cells[:, left], table.sep, remarks)


def _new_name(name: str, taken: list[str]) -> str:
    """A name that no column has."""
    while name in taken:
        name += ", unnamed"
    return name
