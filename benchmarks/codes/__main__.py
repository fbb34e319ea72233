"""``python -m benchmarks.codes``."""

import argparse
import os
from pathlib import Path

from rich.console import Console

from benchmarks import codes, pages
from benchmarks.reproduce import runner
from benchmarks.tables.__main__ import DOCS, VARIABLE


def main(argv=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.codes",
        description="PrunedAutoencoder beside PCA. Finished runs are kept; the same command goes "
        "on after an interruption.",
    )
    known = list(codes.FULL.seeds)
    parser.add_argument("--data", nargs="+", choices=known, default=known)
    tables = os.environ.get(VARIABLE)
    parser.add_argument("--tables", type=Path, default=tables, help="folder with vehicle.csv")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of page and rows")
    args = parser.parse_args(argv)
    seeds = {name: codes.FULL.seeds[name] for name in args.data}
    settings = codes.FULL.but(seeds=seeds, csv_folder=args.tables)
    console = Console(stderr=True, highlight=False)
    runner.run(codes, settings, args.output, args.jobs, console)
    path = args.output / "codes.md"
    pages.write(path, codes.tables(runner.Table(codes, args.output).rows), DOCS)
    console.print(f"Written: {path}")


if __name__ == "__main__":
    main()
