"""How large a file is."""

import joblib
import torch

from benchmarks.models import SIZES, dense_sklearn, masked_module, sparse
from benchmarks.peers import MASKED, SKLEARN, module
from benchmarks.results import Result

DENSE = "coefs_ + intercepts_, dense, float32"
TARGETS = {"float32": 0.13, "int8": 0.045}


def files(bench):
    """Files of a model without 90 % of its hidden weights, against the numbers of a dense one."""
    dense = dense_sklearn(bench)
    dense_bytes = sum(array.size * 4 for array in (*dense.coefs_, *dense.intercepts_))
    where = f"{bench.image_source}, {'-'.join(map(str, SIZES))}"
    path = bench.folder / "model"

    def result(what, side, write, target=None, **about):
        write(path)
        sizes = [path.stat().st_size]
        return Result(
            what, where, side, sizes, DENSE, [dense_bytes], unit="bytes", target=target, **about
        )

    results = []
    for method, pruned in (("activation", "neurons"), ("magnitude", "weights")):
        model = sparse(bench, method)
        what = f"file, 90 % of hidden weights gone, by {pruned}"
        for dtype, target in TARGETS.items():
            results.append(
                result(what, f"compact.save, {dtype}", model.compact(dtype).save, target)
            )
        results.append(result(what, "compact.to_onnx, float32", model.compact().to_onnx))
        results.append(result(what, "joblib, compact, float32", _dump(model.compact())))
        results.append(result(what, "joblib, PrunedMLPClassifier", _dump(model)))
    what = "file"
    results.append(result(what, f"joblib, {SKLEARN}", _dump(dense)))
    results.append(result(what, "torch.save, dense", _state(module(SIZES))))
    note = "weights and masks, both in full"
    side = f"torch.save, {MASKED}, 90 %"
    results.append(result(what, side, _state(masked_module()), note=note))
    return results


def _dump(model):
    return lambda path: joblib.dump(model, path)


def _state(net):
    return lambda path: torch.save(net.state_dict(), path)
