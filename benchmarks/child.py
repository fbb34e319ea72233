"""What runs in a process of its own: ``python -m benchmarks.child peak|table ...``."""

import json
import re
import sys
import threading
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks.bench import table as synthetic
from benchmarks.peers import IMAGE_NET, LENET, fits, ours


def peak(name, path):
    """Bytes that one of the `fits` takes beyond the process before it, and all of the process.

    The archive at `path` has X and y.
    """
    # Loads what the first fit of a process loads; so small that it leaves no room for the other.
    fits(*synthetic(200, 2), (2,), 128, 1)[name]()
    with np.load(path) as archive:
        fit = fits(archive["X"], archive["y"], IMAGE_NET, 128, 1)[name]
    # Lets Linux begin anew with the largest resident size of the process.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    fit()
    highest = _status("VmHWM")
    return {"fit": highest - before, "process": highest}


def table(folder, chunk):
    """One pass over a memory-mapped table by partial_fit: seconds, and bytes beyond those before.

    `folder` has the files X.npy and y.npy, of which a call gets `chunk` rows. Their pages, which
    the system takes back as it likes, are not counted.
    """
    X, y = (np.load(Path(folder, name), mmap_mode="r") for name in ("X.npy", "y.npy"))
    estimator = ours(LENET, 128, 1)
    estimator.partial_fit(X[:1_000], y[:1_000], classes=np.arange(10))
    before = _status("RssAnon")
    peaks, stop = [before], threading.Event()

    def watch():
        while not stop.wait(0.002):
            peaks[0] = max(peaks[0], _status("RssAnon"))

    thread = threading.Thread(target=watch)
    thread.start()
    start = perf_counter()
    for first in range(0, len(X), int(chunk)):
        part = slice(first, first + int(chunk))
        estimator.partial_fit(X[part], y[part])
    seconds = perf_counter() - start
    stop.set()
    thread.join()
    return {"seconds": seconds, "peak": peaks[0] - before}


def _status(name):
    """Bytes of a line of Linux's account of this process."""
    lines = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{name}:\s+(\d+) kB", lines, re.M).group(1))


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    measure = {"peak": peak, "table": table}[sys.argv[1]]
    print(json.dumps(measure(*sys.argv[2:])))
