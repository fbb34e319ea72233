"""How much room a model takes: in a file, in memory while it is fitted, and in a new process."""

from functools import partial

import joblib
import numpy as np
import torch

from benchmarks import peers
from benchmarks.peers import IMAGE_NET, MASKED, OURS, SKLEARN, SKORCH, TENTH, TORCH
from benchmarks.results import held_against
from benchmarks.timing import parts

DENSE = "coefs_ + intercepts_, dense, float32"
TARGETS = {"float32": 0.13, "int8": 0.045}
COMPACT, ESTIMATOR = "compact model, its file", "PrunedMLPClassifier, joblib"
PREDICT = "import numpy; model.predict(numpy.zeros((1, 784), numpy.float32))"
FROM_FILE = "import skactprune; model = skactprune.load({path!r}); "
FROM_PICKLE = "import joblib; model = joblib.load({path!r}); "


def files(bench):
    """Files of a model without 90 % of its hidden weights, against the numbers of a dense one."""
    dense = peers.dense_sklearn(bench)
    dense_bytes = sum(array.size * 4 for array in (*dense.coefs_, *dense.intercepts_))
    where = f"{bench.images[3]}, {'-'.join(map(str, peers.IMAGE_SIZES))}"
    path, results = bench.folder / "model", []

    def add(what, side, write, target=None):
        write(path)
        values = {side: [path.stat().st_size], DENSE: [dense_bytes]}
        about = {"what": what, "where": where, "unit": "bytes"}
        results.extend(held_against(values, side, {DENSE: target}, **about))

    def dump(model):
        return lambda path: joblib.dump(model, path)

    for method, pruned in (("activation", "neurons"), ("magnitude", "weights")):
        model = peers.sparse(bench, method)
        what = f"file, 90 % of hidden weights gone, by {pruned}"
        for dtype, target in TARGETS.items():
            add(what, f"compact.save, {dtype}", model.compact(dtype).save, target)
        add(what, "compact.to_onnx, float32", model.compact().to_onnx)
        add(what, "joblib, compact, float32", dump(model.compact()))
        add(what, "joblib, PrunedMLPClassifier", dump(model))
    add("file", f"joblib, {SKLEARN}", dump(dense))
    for side, net in (
        ("dense", peers.module(peers.IMAGE_SIZES)),
        (f"{MASKED}, 90 %", peers.masked_module()),
    ):
        add("file", f"torch.save, {side}", lambda path, net=net: torch.save(net.state_dict(), path))
    return results


def peak_memory(bench):
    """Memory that a fit takes beyond what the process held before, the data included."""
    X, y = bench.training_images(bench.settings.image_rows)
    np.savez(bench.folder / "rows.npz", X=X, y=y)
    names = (OURS, TORCH, SKORCH, SKLEARN)
    sides = {name: partial(bench.run_child, "peak", name, "rows.npz") for name in names}
    peaks = {name: parts(of) for name, of in bench.alternate(sides, warm_up=False).items()}
    results = []
    for key, what, targets in (
        ("fit", "peak memory of fit", {TORCH: 1.1, SKORCH: None, SKLEARN: None}),
        ("process", "peak memory of the process", {TORCH: None}),
    ):
        about = {
            "what": what,
            "where": bench.on_images(IMAGE_NET, 128, f"{len(X)} rows", "1 epoch"),
        }
        values = {name: peak[key] for name, peak in peaks.items()}
        results += held_against(values, OURS, targets, unit="bytes", **about)
    return results


def cold_start(bench):
    """New process: import, load, predict one row."""
    estimator = peers.shrunk(bench, TENTH)
    paths = {name: str(bench.folder / name) for name in ("compact", "estimator", "sklearn")}
    estimator.compact().save(paths["compact"])
    joblib.dump(estimator, paths["estimator"])
    joblib.dump(peers.dense_sklearn(bench), paths["sklearn"])
    sides = {
        COMPACT: FROM_FILE.format(path=paths["compact"]),
        ESTIMATOR: FROM_PICKLE.format(path=paths["estimator"]),
        SKLEARN: FROM_PICKLE.format(path=paths["sklearn"]),
    }
    values = bench.alternate(
        {name: partial(bench.time_script, code + PREDICT) for name, code in sides.items()}
    )
    what = "cold start: import, load, predict one row"
    where = f"{bench.images[3]}, {'-'.join(map(str, IMAGE_NET))} to 30-20-10-5"
    about = {"what": what, "where": where}
    return held_against(values, COMPACT, {SKLEARN: None}, **about) + held_against(
        values, ESTIMATOR, {COMPACT: None, SKLEARN: None}, **about
    )
