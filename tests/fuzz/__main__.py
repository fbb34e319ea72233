"""Runs the harnesses of this folder, and says what they found.

From the folder of the tests: ``python -m fuzz --minutes 10 --seed 0``, with names of some harnesses
if not all of them are to run. A harness is a module here with a function

    run(minutes, seed)

that draws everything it tries from ``numpy.random.default_rng(seed)``, ends after so many minutes
at the latest, and returns an object whose ``str`` is what was counted and whose ``faults`` is a
list of what was wrong, each with what is needed to see it again. The minutes are those of all
harnesses together.
"""

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path


def harnesses():
    """Names of the harnesses, in order."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def main(names, minutes, seed):
    """Run harnesses, print what was found and return whether that is nothing."""
    passed = True
    for name in names or harnesses():
        started = time.monotonic()
        found = import_module(f"fuzz.{name}").run(minutes / len(names or harnesses()), seed)
        print(f"{name}, seed {seed}, {time.monotonic() - started:.0f} s", found, sep="\n")
        passed &= not found.faults
    return passed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(harnesses())}; all if none")
    parser.add_argument("--minutes", type=float, default=10.0, help="when to stop at the latest")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    sys.exit(not main(**vars(parser.parse_args())))
