"""``python -m benchmarks.methods``."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.methods import choose, lenet, page
from benchmarks.methods.settings import estimator, lineup
from benchmarks.pages import markdown
from benchmarks.reproduce import runner
from benchmarks.tables.variants import literals

DOCS, NAME = Path("docs"), "methods.md"


def main(argv=None):
    """Run the command line; the exit code is 130 after an interrupt."""
    args = _parse(argv)
    folder = args.output or (Path("methods") if args.quick else DOCS / "methods")
    console = Console(stderr=True, highlight=False)
    experiment = choose if args.what == "choose" else lenet
    settings = experiment.QUICK if args.quick else experiment.FULL
    settings = settings.but(**_changes(args))
    try:
        if args.what != "page":
            runner.run(experiment, settings, folder, args.jobs, console)
    except KeyboardInterrupt:
        console.print("Interrupted; finished runs are kept, and the same command goes on.")
        return 130
    rows = runner.Table(experiment, folder).rows
    if experiment is choose:
        print(markdown(choose.table(rows), 2))
        return 0
    path = (DOCS if folder.parent == DOCS else folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.text(rows, settings), encoding="utf-8")
    console.print(f"Written: {path}")
    return 0


def _changes(args):
    """What the arguments change of the settings."""
    changes = {name: getattr(args, name) for name in ("seeds", "compressions", "only", "device")}
    changes = {name: value for name, value in changes.items() if value is not None}
    if args.what == "choose":
        tried = {name: [] for name in args.only or ()}
        for text in args.variant:
            name, _, params = literals(text, _check)
            tried.setdefault(name, []).append(params)
        changes["tried"] = tried
    return changes


def _check(name, params):
    if name not in lineup():
        raise ValueError(f"there is no method {name!r}, only {', '.join(lineup())}")
    estimator(lenet.QUICK, 0.0, 0, lineup()[name] | params)


def _parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.methods",
        description="All methods on LeNet-300-100 and MNIST, beside published figures. Finished "
        "runs are kept; the same command goes on after an interruption.",
    )
    add = parser.add_argument
    what = (
        "do what is missing and write the page (default), only write the page, or compare settings "
        "on validation rows"
    )
    add("what", nargs="?", choices=("run", "page", "choose"), default="run", help=what)
    add("--quick", action="store_true", help="few rows and epochs, one seed, minutes")
    add("--only", nargs="+", choices=list(lineup()), metavar="METHOD", help="of these methods")
    add(
        "--variant",
        action="append",
        default=[],
        metavar="METHOD=dict(method__n_rows=1000)",
        help="for choose: parameters of the estimator beside the present ones; may be repeated",
    )
    add("--seeds", type=int, help="number of seeds")
    compressions = "all weights over those that are left; none: those of published figures alone"
    add("--compressions", type=float, nargs="*", help=compressions)
    add(
        "--output",
        type=Path,
        help="folder for rows and page (default: docs/methods, with the page beside it; methods "
        "with --quick)",
    )
    add("--device", choices=("cpu", "cuda"), help="where nets are trained (default: cpu)")
    jobs = "processes (default: %(default)s)"
    add("--jobs", type=int, default=os.cpu_count(), help=jobs)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
