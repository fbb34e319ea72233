"""``python -m skactprune compare``: everything between arguments and files."""

import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from skactprune._cli.data import named_data, table_data
from skactprune._cli.errors import UserError
from skactprune._cli.experiment import Settings, default_epochs, run
from skactprune._cli.figure import draw
from skactprune._cli.report import heading, markdown, notes, rich_table, table_rows

# Where nobody looks at the width, as in a file, lines need not be broken at 80 columns.
PLAIN_WIDTH = 110


def compare(args):
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
    folder = None if args.output is None else _folder(args.output)
    data = (
        table_data(args.table, args.target, args.seeds) if args.table else named_data(args.dataset)
    )
    settings = Settings(
        hidden=tuple(args.hidden),
        prune_fraction=args.prune_fraction,
        rounds=args.rounds,
        epochs=args.max_iter or default_epochs(len(data.splits[0].X_train)),
        seeds=args.seeds,
    )
    title, remarks = heading(data, settings), notes(data, settings)
    with _progress() as advance:
        fits = run(data, settings, args.jobs, advance)
    rows = table_rows(fits, settings)
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    console.print(
        title, rich_table(rows, console.width), *(f"- {remark}" for remark in remarks), sep="\n"
    )
    if folder is None:
        console.print("\nWith --output DIR, this table and a figure are written to files.")
        return
    page = markdown(title, rows, remarks, "comparison.png")
    try:
        draw(fits, settings, title, folder / "comparison.png")
        (folder / "comparison.md").write_text(page, encoding="utf-8")
    except OSError as error:
        raise _not_written(args.output, error) from error
    console.print(f"\nWritten: {folder / 'comparison.md'}, {folder / 'comparison.png'}")


def _folder(output):
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output!r} cannot be made: {error.strerror}.") from error
    try:
        # Known before everything is fitted.
        with TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise _not_written(output, error) from error


def _not_written(output, error):
    return UserError(f"--output {output!r} cannot be written to: {error.strerror or error}.")


@contextmanager
def _progress():
    """Function that is told the share done; a bar on a terminal, else a line every fifth."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = TextColumn("fitting nets"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=1.0)
            yield lambda share: progress.update(task, completed=share)
        return
    start, told = perf_counter(), 0.0

    def tell(share):
        nonlocal told
        if share >= told + 0.2 or share == 1:
            told = share
            seconds = perf_counter() - start
            print(f"fitting nets: {share:.0%} in {seconds:.0f} s", file=sys.stderr, flush=True)

    yield tell
