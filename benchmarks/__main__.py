"""``python -m benchmarks``."""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from rich.console import Console

from benchmarks import machine, pages, report, results
from benchmarks.bench import Bench
from benchmarks.cases import CASES, LINUX
from benchmarks.settings import FULL, QUICK
from benchmarks.timing import threads

DOCS, PAGE = Path("docs"), "benchmarks.md"


def main(argv=None):
    """Run the command line; the exit code is 130 after an interrupt."""
    args = _parse(argv)
    settings = replace(QUICK if args.quick else FULL, threads=args.threads)
    folder = args.output or (Path("bench") if args.quick else DOCS)
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True, highlight=False)
    try:
        run(settings, folder, args.only or list(CASES), args.fresh, console)
    except KeyboardInterrupt:
        console.print("Interrupted; finished cases are kept, and the same command goes on.")
        return 130
    return 0


def run(settings, folder, names, fresh, console):
    """Run those of the named cases that are not finished, or all if `fresh`.

    The files in the folder are written after each; the console is told of it.
    """
    with threads(settings.threads), tempfile.TemporaryDirectory() as scratch:
        store = results.Store(folder, settings, machine.facts())
        if store.discarded:
            console.print(f"{store.path} is of other settings or another machine: starting anew.")
        bench = Bench(settings, Path(scratch))
        for name in [name for name in names if fresh or not store.has(name)]:
            if name in LINUX and sys.platform != "linux":
                console.print(f"{name}: skipped, it needs Linux")
                continue
            start = perf_counter()
            with console.status(name):
                measured = CASES[name](bench)
            store.put(name, perf_counter() - start, measured)
            console.print(f"{name}: {perf_counter() - start:.0f} s")
            _write(folder, store)
        _write(folder, store)
    console.print(f"Written: {store.path}")


def _write(folder, store):
    """Write the page, which is that of the runs in which nothing was set."""
    if store.settings.threads is None:
        tables = report.tables(store, results.elsewhere(folder, store.settings))
        pages.write(folder / PAGE, tables, DOCS)


def _parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure fits, predictions, files and memory beside scikit-learn, torch, "
        "skorch and onnxruntime. Finished cases are kept; the same command goes on after an "
        "interruption.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="small data, 3 alternations")
    add("--only", nargs="+", choices=CASES, metavar="NAME", help=", ".join(CASES))
    add(
        "--output",
        type=Path,
        help=f"folder for {PAGE} and {results.NAME} (default: docs, whose page gets the tables; "
        "bench with --quick)",
    )
    add(
        "--threads",
        type=int,
        help="of every library (default: nothing is set, as for a user); the page tells the "
        "ratios of all settings that were run",
    )
    add("--fresh", action="store_true", help="run finished cases again")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
