"""What the command line takes."""

from __future__ import annotations

import argparse
import io
from typing import TYPE_CHECKING, NoReturn

from skactprune import __version__
from skactprune._cli.text import shown
from skactprune.datasets import DATASETS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CURVE_FRACTIONS = (0.5, 0.8, 0.9, 0.95)
"""Shares pruned in the figure, besides the one asked for."""
OF_TABLES = ("sep", "decimal", "na", "encoding")
"""Options that say how a table is written."""


class Parser(argparse.ArgumentParser):
    """Tells of an error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, shown(f"{self.prog}: error: {message}") + "\n")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments, or end the program with exit code 2.

    Parameters
    ----------
    argv : list of str or None
        None takes those of the program.

    Returns
    -------
    argparse.Namespace
    """
    parser = Parser(prog="skactprune", description="Pruned neural networks beside PCA.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    compare = commands.add_parser(
        "compare",
        help="compare pruned and dense nets with PCA and others, on a table or a known data set",
        description="Compare pruned nets with dense and small ones, and with PCA, LDA, NCA, a "
        "linear model and boosted trees. Without a table: on digits.",
    )
    _add_compare(compare)
    args = parser.parse_args(argv)
    if args.table is None and args.target is not None:
        compare.error("--target needs a table: skactprune compare data.csv --target label")
    if args.table is not None and args.target is None:
        compare.error("a table needs --target, the column with the class labels")
    if args.table is not None and args.dataset is not None:
        compare.error("give either a table or --dataset, not both")
    if args.table is None and (given := [name for name in OF_TABLES if getattr(args, name)]):
        compare.error(f"--{given[0]} says how a table is written; there is none")
    args.dataset = args.dataset or "digits"
    return args


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "table", nargs="?", type=_not_empty, help="CSV file with a header, or Parquet"
    )
    parser.add_argument("--target", help="column of the table with the class labels")
    _add_reading(parser)
    parser.add_argument("--dataset", choices=DATASETS, help="a known data set (default: digits)")
    parser.add_argument(
        "--seeds",
        type=_at_least(1),
        default=5,
        metavar="N",
        help="how often everything is fitted (default: %(default)s)",
    )
    parser.add_argument(
        "--hidden",
        type=_at_least(1),
        nargs="+",
        default=[100, 100],
        metavar="N",
        help="neurons of each hidden layer before pruning (default: 100 100)",
    )
    parser.add_argument(
        "--prune-fraction",
        type=_fraction,
        default=0.8,
        metavar="SHARE",
        help="share of the hidden weights that goes (default: %(default)s); the figure also has "
        + ", ".join(map(str, CURVE_FRACTIONS)),
    )
    parser.add_argument(
        "--rounds",
        type=_at_least(1),
        default=5,
        metavar="N",
        help="pruning rounds (default: %(default)s)",
    )
    parser.add_argument(
        "--max-iter",
        type=_at_least(2),
        metavar="N",
        help="epochs of every net (default: those of about 1500 steps, from 20 to 200)",
    )
    parser.add_argument(
        "--jobs",
        type=_at_least(1),
        metavar="N",
        help="fits at the same time (default: one a core)",
    )
    parser.add_argument(
        "--output",
        type=_not_empty,
        metavar="DIR",
        help="folder for the table and the figure",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sep",
        type=_separator,
        metavar="CHAR",
        help=r"character between cells, \t for a tab (default: seen in the header)",
    )
    parser.add_argument(
        "--decimal",
        choices=(".", ","),
        help="mark before decimals; the other one may stand between thousands (default: seen in "
        "the columns)",
    )
    parser.add_argument(
        "--na",
        nargs="+",
        action="extend",
        default=[],
        metavar="TEXT",
        help="texts that stand for a missing value in any column, besides the empty cell; among "
        "numbers, ?, -, NA and the like always do",
    )
    parser.add_argument(
        "--encoding",
        type=_encoding,
        metavar="NAME",
        help="of the characters (default: UTF-8, or what the file begins with; else cp1252)",
    )


def _separator(text: str) -> str:
    char = "\t" if text == r"\t" else text
    # Any other would have pandas read by its slow parser.
    if len(char) != 1 or not char.isascii() or char in '"\r\n\0':
        raise argparse.ArgumentTypeError(f"must be one ASCII character, got {text!r}")
    return char


def _encoding(text: str) -> str:
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=text)
    except (LookupError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"must be an encoding, got {text!r}") from error
    return text


def _not_empty(text: str) -> str:
    # An unset variable of the shell must not mean the default.
    if not text:
        raise argparse.ArgumentTypeError(f"must be a path, got {text!r}")
    return text


def _at_least(lowest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"must be an integer >= {lowest}, got {text!r}")
        return int(text)

    return number


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be a number between 0 and 1, got {text!r}")
    return value
