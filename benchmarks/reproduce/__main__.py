"""``python -m benchmarks.reproduce``."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.reproduce import page, runs
from benchmarks.reproduce.settings import FULL, QUICK

EXPERIMENTS = (
    "accuracy",
    "defaults",
    "spectra",
    "nuclear",
    "reduction",
    "unlabeled",
    "variant",
    "scores",
    "lenet",
)


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None takes those of the program.

    Returns
    -------
    int
        Exit code; 130 after an interrupt.
    """
    args = _parse(argv)
    settings = QUICK if args.quick else FULL
    folder = args.output or Path("reproduce" if args.quick else "docs/reproduction")
    console = Console(stderr=True, highlight=False)
    try:
        tables = runs.do(args.only or list(EXPERIMENTS), settings, folder, args.jobs, console)
    except KeyboardInterrupt:
        console.print("Interrupted; finished runs are kept, and the same command goes on.")
        return 130
    path = folder.parent / page.NAME if folder.name == "reproduction" else folder / page.NAME
    page.write(tables, settings, folder, path)
    console.print(f"Written: {path}")
    return 0


def _parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reproduce",
        description="Put the claims of the activation-pruning paper to the test. Finished runs "
        "are kept; the same command goes on after an interruption.",
    )
    parser.add_argument("--quick", action="store_true", help="few rows, 2 seeds, minutes")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, metavar="EXPERIMENT")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder for tables, figures and page (default: docs/reproduction; reproduce with "
        "--quick)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count(),
        help="processes (default: %(default)s); 0 writes the page from what is there",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
