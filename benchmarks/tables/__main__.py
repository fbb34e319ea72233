"""``python -m benchmarks.tables``."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.pages import markdown
from benchmarks.reproduce import runner
from benchmarks.tables import EXPERIMENTS, page, variants

DOCS, NAME = Path("docs"), "tables.md"
VARIABLE = "SKACTPRUNE_TABLES"


def main(argv=None):
    """Run the command line; the exit code is 130 after an interrupt."""
    args = _parse(argv)
    folder = args.output or (Path("tables") if args.quick else DOCS / "tables")
    console = Console(stderr=True, highlight=False)
    tried = {
        role: dict(map(variants.parse, of))
        for role, of in (("choose", args.variant), ("confirm", args.confirm))
    }
    only = args.only or (["variants"] if args.variant or args.confirm else EXPERIMENTS)
    try:
        for name in only if args.what == "run" else ():
            experiment = EXPERIMENTS[name]
            settings = experiment.QUICK if args.quick else experiment.FULL
            settings = settings.but(csv_folder=args.tables, variants=tried)
            runner.run(experiment, settings, folder, args.jobs, console)
    except KeyboardInterrupt:
        console.print("Interrupted; finished runs are kept, and the same command goes on.")
        return 130
    if any(tried.values()):
        for title, table in variants.tables(runner.Table(variants, folder).rows):
            print(f"{title}\n\n{markdown(table)}\n")
    path = (DOCS if folder.parent == DOCS else folder) / NAME
    path.write_text(page.text(EXPERIMENTS, folder), encoding="utf-8")
    console.print(f"Written: {path}")
    return 0


def _parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description="Is a pruned net worth it on ordinary tables? Finished runs are kept; the same "
        "command goes on after an interruption.",
    )
    add = parser.add_argument
    what = "do what is missing and write the page (default), or only write the page"
    add("what", nargs="?", choices=("run", "page"), default="run", help=what)
    add("--quick", action="store_true", help="few tables and splits, minutes")
    add("--only", nargs="+", choices=EXPERIMENTS, metavar="EXPERIMENT")
    add(
        "--tables",
        type=Path,
        default=os.environ.get(VARIABLE),
        metavar="DIR",
        help=f"folder of CSV files with a column {page.data.TARGET!r}: tables besides those that "
        f"scikit-learn has (default: that of {VARIABLE})",
    )
    for name, where in (
        ("--variant", "compare it with the default on validation rows of the tables to choose on"),
        ("--confirm", "the same on test rows of the other tables"),
    ):
        what = f"parameters of the estimator; {where}; may be repeated"
        add(name, action="append", default=[], metavar="NAME=dict(alpha=0.3)", help=what)
    add(
        "--output",
        type=Path,
        help="folder for rows and page (default: docs/tables, with the page beside it; tables with "
        "--quick)",
    )
    jobs = "processes (default: %(default)s)"
    add("--jobs", type=int, default=os.cpu_count(), help=jobs)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
