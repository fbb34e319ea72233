"""How large a file is."""

import joblib
import torch

from benchmarks.peers import (
    IMAGE_SIZES,
    MASKED,
    SKLEARN,
    dense_sklearn,
    masked_module,
    module,
    sparse,
)
from benchmarks.results import held_against

DENSE = "coefs_ + intercepts_, dense, float32"
TARGETS = {"float32": 0.13, "int8": 0.045}


def files(bench):
    """Files of a model without 90 % of its hidden weights, against the numbers of a dense one."""
    dense = dense_sklearn(bench)
    dense_bytes = sum(array.size * 4 for array in (*dense.coefs_, *dense.intercepts_))
    where = f"{bench.images[3]}, {'-'.join(map(str, IMAGE_SIZES))}"
    path, results = bench.folder / "model", []

    def add(what, side, write, target=None):
        write(path)
        values = {side: [path.stat().st_size], DENSE: [dense_bytes]}
        about = {"what": what, "where": where, "unit": "bytes"}
        results.extend(held_against(values, side, {DENSE: target}, **about))

    def dump(model):
        return lambda path: joblib.dump(model, path)

    for method, pruned in (("activation", "neurons"), ("magnitude", "weights")):
        model = sparse(bench, method)
        what = f"file, 90 % of hidden weights gone, by {pruned}"
        for dtype, target in TARGETS.items():
            add(what, f"compact.save, {dtype}", model.compact(dtype).save, target)
        add(what, "compact.to_onnx, float32", model.compact().to_onnx)
        add(what, "joblib, compact, float32", dump(model.compact()))
        add(what, "joblib, PrunedMLPClassifier", dump(model))
    add("file", f"joblib, {SKLEARN}", dump(dense))
    for side, net in (("dense", module(IMAGE_SIZES)), (f"{MASKED}, 90 %", masked_module())):
        add("file", f"torch.save, {side}", lambda path, net=net: torch.save(net.state_dict(), path))
    return results
