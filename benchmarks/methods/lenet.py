"""Every method at the same compressions, and at those of published figures."""

import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.methods import settings as ways
from benchmarks.methods.published import MARKS
from benchmarks.methods.settings import DENSE, asked, estimator, lineup, told
from benchmarks.reproduce.nets import describe, size
from benchmarks.reproduce.protocol import Rows
from skactprune import load
from skactprune.deploy.storages import STORAGES
from skactprune.inspection import n_parameters

FIELDS = ("method", "options", "compression", "seed")
FULL, QUICK = ways.FULL, ways.QUICK
# Types that compact models are stored in, if they are known; the first is that of the weights.
STORED_AS = ("float32", "int8", "codebook")
MOST = re.compile(r"at most (0\.\d+)")


def runs(settings):
    """Yield all runs: the dense net, methods at the compressions of their marks, and at all."""
    methods = {
        name: params
        for name, params in lineup().items()
        if settings.only is None or name in settings.only
    }
    for seed in range(settings.seeds):
        yield DENSE, "-", 1.0, seed
        for name, at in marked(settings):
            if name in methods:
                yield name, told(methods[name]), at, seed
        for name, params in methods.items():
            if settings.only or name not in ways.AT_MARKS:
                yield from ((name, told(params), float(at), seed) for at in settings.compressions)


def marked(settings):
    """Methods and compressions of published figures that are not among those of all, each once."""
    found = dict.fromkeys((mark.method, float(mark.run_at)) for mark in MARKS)
    return [(name, at) for name, at in found if at not in settings.compressions]


def execute(settings, folder, method, options, compression, seed):
    """The row of a run; where a method refuses the compression, at the nearest it can do."""
    rows = Rows.load(settings.dataset, settings.n_rows)
    X, y = np.concatenate([rows.X_val, rows.X]), np.concatenate([rows.y_val, rows.y])
    rows = replace(rows, X=X, y=y)
    sizes = (X.shape[1], *settings.hidden, len(np.unique(y)))
    params = {} if method == DENSE else lineup()[method]
    share = 0.0 if method == DENSE else asked(compression, sizes, params)
    net, seconds, note = fitted(settings, share, seed, params, rows)
    row = {"asked": share, "device": settings.device, "seconds": seconds, "note": note}
    return [row if net is None else row | measured(net, rows, sizes)]


@cache
def _warm(device):
    """What the first fit of a process imports must not look like a slow fit."""
    tiny = estimator(ways.QUICK.but(hidden=(2, 2), epochs=1, device=device), 0.0, 0, {})
    tiny.fit(np.eye(2, dtype=np.float32), [0, 1])


def fitted(settings, share, seed, params, rows):
    """A fitted net or None, its CPU time, and a note where it is not what was asked for."""
    _warm(settings.device)
    start, note = process_time(), "-"
    try:
        try:
            net = estimator(settings, share, seed, params).fit(rows.X, rows.y)
        except ValueError as error:
            if not (most := MOST.search(str(error))):
                raise
            note = f"at most {most[1]} of the hidden weights"
            net = estimator(settings, float(most[1]), seed, params).fit(rows.X, rows.y)
    except ValueError as error:
        return None, np.nan, f"refused: {error}"
    return net, process_time() - start, note


def measured(net, rows, sizes):
    """Errors after the last epoch, sizes, and bytes of every storage, of a fitted net."""
    about = describe(net, rows)
    row = {name: about[name] for name in ("live", "ranks", "weights")}
    row |= {f"{part}_error": 1 - about[f"{part}_accuracy"] for part in ("train", "test")}
    row |= {
        "reached": size(sizes) / about["weights"],
        "parameters": n_parameters(net),
        "flops": flops(net),
        "inputs": net.n_features_in_ - len(net.unused_features_),
        "epochs": net.n_iter_,
    }
    for name in STORED_AS:
        if name in STORAGES:
            n_bytes, error = stored(net, name, rows)
            row |= {f"bytes_{name}": n_bytes, f"error_{name}": error}
    return row


def flops(net):
    """Operations for one row by dense products, of two factors where a layer has them."""
    return 2 * sum(
        min(coef.size, sum(factor.size for factor in pair)) if pair else coef.size
        for coef, pair in zip(net.coefs_, [*net.factors_, None], strict=True)
    )


def stored(net, storage, rows):
    """Bytes of a file of the compact model, and test error of what is read from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        net.compact(storage).save(path)
        return path.stat().st_size, 1 - load(path).score(rows.X_test, rows.y_test)
