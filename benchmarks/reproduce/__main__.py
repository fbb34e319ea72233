"""``python -m benchmarks.reproduce``."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import pages
from benchmarks.reproduce import EXPERIMENTS, page, runner

DOCS = Path("docs")


def main(argv=None):
    """Run the command line; the exit code is 130 after an interrupt."""
    args = _parse(argv)
    folder = args.output or (Path("reproduce") if args.quick else DOCS / "reproduction")
    console = Console(stderr=True, highlight=False)
    try:
        for name in (args.only or EXPERIMENTS) if args.what == "run" else ():
            experiment = EXPERIMENTS[name]
            settings = experiment.QUICK if args.quick else experiment.FULL
            runner.run(experiment, settings, folder, args.jobs, console)
    except KeyboardInterrupt:
        console.print("Interrupted; finished runs are kept, and the same command goes on.")
        return 130
    path = (DOCS if folder.parent == DOCS else folder) / page.NAME
    pages.write(path, page.results(EXPERIMENTS, folder), DOCS)
    console.print(f"Written: {path}")
    return 0


def _parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reproduce",
        description="Put the claims of the activation-pruning paper to the test. Finished runs "
        "are kept; the same command goes on after an interruption.",
    )
    add = parser.add_argument
    what = "do what is missing and fill the page (default), or only fill the page"
    add("what", nargs="?", choices=("run", "page"), default="run", help=what)
    add("--quick", action="store_true", help="few rows, 2 seeds, minutes")
    add("--only", nargs="+", choices=EXPERIMENTS, metavar="EXPERIMENT")
    add(
        "--output",
        type=Path,
        help="folder for rows, figures and a page of tables alone (default: docs/reproduction, "
        "whose tables go into the page beside it; reproduce with --quick)",
    )
    jobs = "processes (default: %(default)s)"
    add("--jobs", type=int, default=os.cpu_count(), help=jobs)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
