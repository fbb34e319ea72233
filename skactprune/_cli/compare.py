"""``python -m skactprune compare``: everything between arguments and files."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from skactprune._cli.data import named_data, table_data
from skactprune._cli.errors import UserError
from skactprune._cli.experiment import Settings, default_epochs, fractions, run
from skactprune._cli.figure import draw
from skactprune._cli.report import (
    descriptions,
    heading,
    listing,
    markdown,
    notes,
    rich_tables,
    table_rows,
)
from skactprune._cli.table import Reading
from skactprune._cli.text import shown, silence, write
from skactprune.deploy.atomic import write_atomically

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from skactprune._cli.data import Data

PAGE, FIGURE = "comparison.md", "comparison.png"
# Where nobody looks at the width, as in a file, lines need not be broken at 80 columns.
PLAIN_WIDTH = 140


def compare(args: Namespace) -> None:
    """Run the comparison that the parsed arguments ask for.

    Parameters
    ----------
    args : argparse.Namespace
        See `skactprune._cli.arguments`.

    Raises
    ------
    UserError
        For anything that the user can put right.
    """
    data = _data(args)
    settings = Settings(
        hidden=tuple(args.hidden),
        prune_fraction=args.prune_fraction,
        rounds=args.rounds,
        epochs=args.max_iter or default_epochs(len(data.splits[0].X_train)),
        seeds=args.seeds,
    )
    # Refuses what cannot be reached, before a folder is made.
    fractions(settings, data.splits[0].X_train.shape[1])
    with _folder(args.output) as folder:
        for line in data.said:
            write(sys.stderr, shown(line) + "\n")
        with _progress() as advance:
            fits = run(data, settings, args.jobs, advance)
        rows = table_rows(fits, settings)
        try:
            if folder is not None:
                title = heading(data, settings, shown)
                page = markdown(data, settings, rows, FIGURE)
                _write_both(folder, page.encode(), draw(fits, settings, title))
        except OSError as error:
            raise _not_written(args.output, error) from error
        finally:
            # What was long to compute is shown, whatever became of the files.
            _print_table(data, settings, rows)
    if folder is None:
        _print("\nWith --output DIR, this table and a figure are written to files.\n")
    else:
        names = ", ".join(shown(str(folder / name)) for name in (PAGE, FIGURE))
        _print(f"\nWritten: {names}\n")


def _data(args: Namespace) -> Data:
    if not args.table:
        return named_data(args.dataset)
    reading = Reading(args.sep, args.decimal, tuple(args.na), args.encoding)
    return table_data(args.table, args.target, args.seeds, reading)


def _print_table(data: Data, settings: Settings, rows: list[tuple[str, ...]]) -> None:
    terminal = sys.stdout.isatty()
    text = StringIO()
    console = Console(
        file=text,
        force_terminal=terminal or None,
        width=None if terminal else PLAIN_WIDTH,
        highlight=False,
        # The user's text is neither.
        markup=False,
        emoji=False,
    )
    remarks = [descriptions(rows), *notes(data, settings)]
    console.print(heading(data, settings, shown))
    console.print(*rich_tables(rows, console.width) or [listing(rows)], sep="\n")
    console.print(*(f"- {remark}" for remark in remarks), sep="\n")
    _print(text.getvalue())


def _print(text: str) -> None:
    try:
        write(sys.stdout, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(sys.stdout)
        raise UserError(f"the output cannot be written: {error.strerror}.") from error


@contextmanager
def _folder(output: str | None) -> Iterator[Path | None]:
    """The folder for the files, or None; what had to be made for it goes if nothing comes of it."""
    if output is None:
        yield None
        return
    folder = Path(output)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        _make(folder, output)
        yield folder
    except BaseException:
        for path in made:
            # Not if somebody else has put something there.
            with suppress(OSError):
                path.rmdir()
        raise


def _make(folder: Path, output: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--output {output!r} cannot be made: {reason}.") from error
    try:
        # Known before everything is fitted.
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _not_written(output, error) from error
    for path in (folder / PAGE, folder / FIGURE):
        if path.exists() and not path.is_file():
            raise UserError(
                f"--output {output!r} cannot be written to: its {path.name} is no file."
            )


def _not_written(output: str, error: OSError) -> UserError:
    return UserError(f"--output {output!r} cannot be written to: {error.strerror or error}.")


def _write_both(folder: Path, page: bytes, figure: bytes) -> None:
    """Write both files or none: the smaller one last, and the other one back if that fails."""
    path = folder / FIGURE
    before = path.read_bytes() if path.exists() else None
    try:
        write_atomically(path, figure)
        write_atomically(folder / PAGE, page)
    except BaseException:
        if before is not None:
            write_atomically(path, before)
        else:
            path.unlink(missing_ok=True)
        raise


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """Function that is told the share done; a bar on a terminal, else a line every fifth."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = TextColumn("fitting nets"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=1.0)
            yield lambda share: progress.update(task, completed=share)
        return
    start, told = perf_counter(), 0.0

    def tell(share: float) -> None:
        nonlocal told
        if share >= told + 0.2 or share == 1:
            told = share
            seconds = perf_counter() - start
            # Fits go on where nobody reads this any more.
            with suppress(OSError):
                write(sys.stderr, f"fitting nets: {share:.0%} in {seconds:.0f} s\n")

    yield tell
