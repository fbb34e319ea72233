"""How the cost of a fit grows: with rows, width and rounds; and how near it is to the machine."""

import shutil
from functools import partial

import numpy as np
import torch

from benchmarks import peers
from benchmarks.bench import count, name, table
from benchmarks.peers import IMAGE_NET, LENET, OURS, TORCH
from benchmarks.results import Result, held_against
from benchmarks.timing import clock, clock_parts, parts

N_FEATURES = 100
CHUNK = 50_000
BATCH = 128
PEAKS = {"numpy": "its matrix products at numpy's speed", "torch": "at torch's speed"}
PEAK_SIZE = 2048


def rows(bench):
    """Time against rows in memory, and time and memory against rows on disk."""
    results, sizes = [], (N_FEATURES, *LENET, 10)
    for n in bench.settings.table_rows:
        X, y = table(n, N_FEATURES)
        where = name("synthetic table", sizes, BATCH, f"{n} rows", "1 epoch")
        fits = peers.fits(X, y, LENET, BATCH, 1)
        values = bench.alternate({side: clock(fits[side]) for side in (OURS, TORCH)})
        results += held_against(values, OURS, {TORCH: None}, what="fit in memory", where=where)
        folder = bench.folder / f"table-{n}"
        folder.mkdir()
        np.save(folder / "X.npy", X)
        np.save(folder / "y.npy", y)
        sides = {OURS: partial(bench.run_child, "table", folder, CHUNK)}
        passes = parts(bench.alternate(sides, warm_up=False)[OURS])
        what = "partial_fit out of core"
        results += [
            Result(what, where, OURS, passes["seconds"]),
            Result(f"peak memory of {what}", where, OURS, passes["peak"], unit="bytes"),
        ]
        shutil.rmtree(folder)
    return results


def width(bench):
    """Time against the width of two hidden layers, and against the machine's fastest products."""
    X, y = bench.training_images(bench.settings.width_rows)
    A = torch.randn(PEAK_SIZE, PEAK_SIZE)
    results = []
    for w in bench.settings.widths:
        hidden, sizes = (w, w), (784, w, w, 10)
        fits = peers.fits(X, y, hidden, BATCH, 1)
        sides = {side: clock(fits[side]) for side in (OURS, TORCH)}
        sides[PEAKS["numpy"]] = clock(np.matmul, A.numpy(), A.numpy())
        sides[PEAKS["torch"]] = clock(torch.mm, A, A)
        values = bench.alternate(sides)
        where = bench.on_images(hidden, BATCH, f"{len(X)} rows", "1 epoch")
        results += held_against(values, OURS, {TORCH: None}, what="fit against width", where=where)
        # What the products of the fit would take at the speed of the large product.
        share = _flops_per_row(sizes) * len(X) / (2 * PEAK_SIZE**3)
        for peak in PEAKS.values():
            values[peak] = [share * seconds for seconds in values[peak]]
        about = {"what": "fit against the machine", "where": where}
        results += held_against(values, OURS, dict.fromkeys(PEAKS.values()), **about)
    return results


def _flops_per_row(sizes):
    """Of forward and backward passes; the first layer needs no gradient of its input."""
    products = [2 * a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    return 3 * sum(products) - products[0]


def n_rounds(bench):
    """Time against the number of rounds in which 80 % of the hidden weights leave."""
    X, y = bench.training_images(bench.settings.shrink_rows // 2)
    epochs = 2 * bench.settings.shrink_epochs
    names = {n: count(n, "round") for n in (0, *bench.settings.rounds)}
    sides = {}
    for n, side in names.items():
        estimator = peers.ours(IMAGE_NET, BATCH, epochs, prune_fraction=0.8, n_prune_rounds=n)
        sides[side] = clock_parts(estimator, X, y)
    measured = {side: parts(values) for side, values in bench.alternate(sides).items()}
    fits = {side: values["fit"] for side, values in measured.items()}
    where = bench.on_images(IMAGE_NET, BATCH, f"{len(X)} rows", f"{epochs} epochs")
    results = []
    for n in bench.settings.rounds:
        about = {"what": "fit against rounds", "where": where}
        results += held_against(fits, names[n], {names[0]: None}, **about)
        inside = {"rounds": measured[names[n]]["round"], "fit": fits[names[n]]}
        about = {"what": f"the rounds of a fit with {names[n]}", "where": where}
        results += held_against(inside, "rounds", {"fit": None}, **about)
    return results
