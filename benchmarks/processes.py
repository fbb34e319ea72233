"""Processes of their own, for what cannot be measured beside others."""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.timing import THREAD_VARIABLES

ROOT = Path(__file__).parents[1]


def run_child(bench, *arguments):
    """Run ``python -m benchmarks.child`` in the bench's folder and return what it measured.

    Parameters
    ----------
    bench : Bench
        Its threads are the child's.
    *arguments : str or int
        See `benchmarks.child`.

    Returns
    -------
    dict
    """
    command = [sys.executable, "-m", "benchmarks.child", *map(str, arguments)]
    done = subprocess.run(
        command, cwd=bench.folder, env=_environment(bench), check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


def time_script(bench, code):
    """Seconds that a new Python takes for `code`, its start included."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], env=_environment(bench), check=True)
    return perf_counter() - start


def _environment(bench):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    threads = dict.fromkeys(THREAD_VARIABLES, str(bench.settings.threads))
    return os.environ | threads | {"PYTHONPATH": path}
