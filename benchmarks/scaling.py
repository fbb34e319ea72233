"""How the cost of a fit grows: with rows, width and rounds; and how near it is to the machine."""

from functools import partial

import numpy as np
import torch

from benchmarks import data
from benchmarks.fit import name_net
from benchmarks.peers import IMAGE_NET, LENET, OURS, TORCH, ours, torch_loop
from benchmarks.processes import run_child
from benchmarks.results import Result, held_against
from benchmarks.timing import clock, epochs_and_rounds

N_FEATURES = 100
CHUNK = 50_000
BATCH = 128
PEAKS = {"numpy": "its matrix products at numpy's speed", "torch": "at torch's speed"}
PEAK_SIZE = 2048
PEAK_NOTE = (
    f"the speed of a product of two {PEAK_SIZE} x {PEAK_SIZE} float32 matrices; 1 / ratio is the "
    "share of it that the fit reaches"
)


def rows(bench):
    """Time against rows in memory, and time and memory against rows on disk."""
    counts = bench.settings.table_rows
    bench.expect(2 * len(counts))
    results = []
    for n in counts:
        X, y = data.table(n, N_FEATURES)
        where = f"synthetic table, {name_net(N_FEATURES, LENET, BATCH)}, {n} rows, 1 epoch"
        sizes = (N_FEATURES, *LENET, 10)
        values = bench.alternate(
            {
                OURS: clock(ours(LENET, BATCH, 1).fit, X, y),
                TORCH: clock(torch_loop, sizes, X, y, BATCH, 1),
            }
        )
        results += held_against(values, OURS, {TORCH: None}, what="fit in memory", where=where)
        folder = bench.folder / f"table-{n}"
        folder.mkdir()
        np.save(folder / "X.npy", X)
        np.save(folder / "y.npy", y)
        sides = {OURS: partial(run_child, bench, "table", folder, CHUNK)}
        passes = bench.alternate(sides, warm_up=False)[OURS]
        about = {"where": where, "side": OURS}
        results += [
            Result(
                "partial_fit out of core",
                values=[one["seconds"] for one in passes],
                note=f"memory-mapped, {CHUNK} rows a call",
                **about,
            ),
            Result(
                "peak memory of partial_fit out of core",
                values=[one["peak"] for one in passes],
                unit="bytes",
                note=f"of {X.nbytes / 1e6:.0f} MB of rows",
                **about,
            ),
        ]
        for file in folder.iterdir():
            file.unlink()
    return results


def width(bench):
    """Time against the width of two hidden layers, and against the machine's fastest products."""
    widths, n_rows = bench.settings.widths, bench.settings.width_rows
    bench.expect(len(widths))
    X, y = bench.training_images(n_rows)
    A = torch.randn(PEAK_SIZE, PEAK_SIZE)
    results = []
    for w in widths:
        hidden, sizes = (w, w), (784, w, w, 10)
        values = bench.alternate(
            {
                OURS: clock(ours(hidden, BATCH, 1).fit, X, y),
                TORCH: clock(torch_loop, sizes, X, y, BATCH, 1),
                PEAKS["numpy"]: clock(np.matmul, A.numpy(), A.numpy()),
                PEAKS["torch"]: clock(torch.mm, A, A),
            }
        )
        where = f"{bench.image_source}, {name_net(784, hidden, BATCH)}, {len(X)} rows, 1 epoch"
        results += held_against(values, OURS, {TORCH: None}, what="fit against width", where=where)
        # What the products of the fit would take at the speed of the large product.
        share = _flops_per_row(sizes) * len(X) / (2 * PEAK_SIZE**3)
        for peak in PEAKS.values():
            values[peak] = [share * seconds for seconds in values[peak]]
        about = {"what": "fit against the machine", "where": where, "note": PEAK_NOTE}
        results += held_against(values, OURS, dict.fromkeys(PEAKS.values()), **about)
    return results


def _flops_per_row(sizes):
    """Of forward and backward passes; the first layer needs no gradient of its input."""
    products = [2 * a * b for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
    return 3 * sum(products) - products[0]


def n_rounds(bench):
    """Time against the number of rounds in which 80 % of the hidden weights leave."""
    settings = bench.settings
    X, y = bench.training_images(settings.shrink_rows // 2)
    epochs = 2 * settings.shrink_epochs

    def fit(n):
        estimator = ours(IMAGE_NET, BATCH, epochs, prune_fraction=0.8, n_prune_rounds=n)
        seconds = clock(estimator.fit, X, y)

        def measure():
            with epochs_and_rounds() as parts:
                return {"fit": seconds(), "rounds": sum(parts["round"])}

        return measure

    names = {n: f"{n} round{'s' * (n != 1)}" for n in (0, *settings.rounds)}
    measured = bench.alternate({name: fit(n) for n, name in names.items()})
    values = {name: [part["fit"] for part in parts] for name, parts in measured.items()}
    where = (
        f"{bench.image_source}, {name_net(784, IMAGE_NET, BATCH)}, {len(X)} rows, {epochs} epochs"
    )
    results = []
    for n in settings.rounds:
        note = "the first round after epoch 2, the last after epoch 12" if n > 1 else ""
        about = {"what": "fit against rounds", "where": where, "note": note}
        results += held_against(values, names[n], {names[0]: None}, **about)
        inside = {
            "rounds": [part["rounds"] for part in measured[names[n]]],
            "fit": values[names[n]],
        }
        about = {"what": f"the rounds of a fit with {names[n]}", "where": where}
        results += held_against(inside, "rounds", {"fit": None}, **about)
    return results
