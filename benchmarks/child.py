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
from benchmarks.peers import (
    IMAGE_NET,
    LENET,
    OURS,
    SKLEARN,
    SKORCH,
    TORCH,
    ours,
    sklearn_net,
    skorch_net,
    torch_loop,
)

STATUS = Path("/proc/self/status")
FITS = {
    OURS: lambda hidden, X, y: ours(hidden, 128, 1).fit(X, y),
    TORCH: lambda hidden, X, y: torch_loop((X.shape[1], *hidden, 10), X, y, 128, 1),
    SKORCH: lambda hidden, X, y: skorch_net((X.shape[1], *hidden, 10), 128, 1).fit(X, y),
    SKLEARN: lambda hidden, X, y: sklearn_net(hidden, 128, 1).fit(X, y),
}


def peak(name, path):
    """Peak memory of one fit, and of the process.

    Parameters
    ----------
    name : str
        Whose fit, a key of `FITS`.
    path : str
        Archive with X and y.

    Returns
    -------
    dict
        "fit" is what it took beyond the process before it, "process" all of it; bytes.
    """
    # Loads what the first fit of a process loads; so small that it leaves no room for the other.
    FITS[name]((2,), *synthetic(200, 2))
    with np.load(path) as archive:
        X, y = archive["X"], archive["y"]
    # Lets Linux begin anew with the largest resident size of the process.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    FITS[name](IMAGE_NET, X, y)
    highest = _status("VmHWM")
    return {"fit": highest - before, "process": highest}


def table(folder, chunk):
    """One pass over a memory-mapped table by partial_fit, chunk by chunk.

    Parameters
    ----------
    folder : str
        Has the files X.npy and y.npy.
    chunk : str
        Rows a call.

    Returns
    -------
    dict
        "seconds", and "peak", the bytes held beyond the process before it. Pages of the file,
        which the system takes back as it likes, are not counted.
    """
    X, y = (np.load(Path(folder, name), mmap_mode="r") for name in ("X.npy", "y.npy"))
    estimator = ours(LENET, 128, 1)
    estimator.partial_fit(X[:1_000], y[:1_000], classes=np.arange(10))
    with _AnonymousMemory() as memory:
        start = perf_counter()
        for first in range(0, len(X), int(chunk)):
            part = slice(first, first + int(chunk))
            estimator.partial_fit(X[part], y[part])
        seconds = perf_counter() - start
    return {"seconds": seconds, "peak": memory.peak - memory.before}


class _AnonymousMemory:
    """Samples the memory of the process that is no file's."""

    def __enter__(self):
        self.before = self.peak = _status("RssAnon")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._stop.wait(0.002):
            self.peak = max(self.peak, _status("RssAnon"))

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()


def _status(name):
    """Bytes of a line of Linux's account of this process."""
    return 1024 * int(re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.M).group(1))


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    measure = {"peak": peak, "table": table}[sys.argv[1]]
    print(json.dumps(measure(*sys.argv[2:])))
