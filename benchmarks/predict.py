"""How long a prediction takes: of many rows, and of one."""

import onnxruntime
import torch

from benchmarks import peers
from benchmarks.bench import count
from benchmarks.peers import FIFTH, IMAGE_NET, MASKED, OURS, SKLEARN, TENTH
from benchmarks.results import held_against
from benchmarks.timing import clock_calls

VALIDATED, UNCHECKED = "compact, validated", "compact, fast path"
DENSE_TORCH, MASKED_TORCH = "torch module, dense", f"{MASKED}, 90 %"
ONNX = "onnxruntime, the compact model"
# Largest ratios to MLPClassifier of the original sizes.
TARGETS_MANY = {
    FIFTH: {VALIDATED: 0.30, UNCHECKED: 0.22},
    TENTH: {VALIDATED: 0.24, UNCHECKED: 0.16},
}
TARGETS_ONE = {FIFTH: {}, TENTH: {VALIDATED: 0.45, UNCHECKED: 0.10}}


def many_rows(bench):
    """Predictions of many rows at once."""
    return _predictions(bench, bench.settings.predict_rows, TARGETS_MANY, calls=3)


def one_row(bench):
    """Predictions of one row."""
    return _predictions(bench, 1, TARGETS_ONE, calls=bench.settings.one_row_calls)


def _predictions(bench, n_rows, targets, calls):
    X, results = bench.images[2][:n_rows], []
    for live, wanted in targets.items():
        functions = _predictors(bench, live, X)
        values = bench.alternate({name: clock_calls(f, calls) for name, f in functions.items()})
        sizes = " to ".join("-".join(map(str, of)) for of in (IMAGE_NET, live))
        where = f"{bench.images[3]}, {sizes}, {count(len(X), 'row')}"
        about = {"what": "predict", "where": where}
        for ours in (VALIDATED, UNCHECKED, OURS):
            results += held_against(values, ours, {SKLEARN: wanted.get(ours)}, **about)
        results += held_against(values, UNCHECKED, {ONNX: None, DENSE_TORCH: None}, **about)
        about["what"] = "predict with masks"
        results += held_against(values, MASKED_TORCH, {DENSE_TORCH: None}, **about)
    return results


def _predictors(bench, live, X):
    """Functions that predict labels for `X`, all nets but the compact one in original sizes."""
    estimator, dense = peers.shrunk(bench, live), peers.dense_sklearn(bench)
    compact = estimator.compact()
    session = _session(compact.to_onnx(), bench.settings.threads)
    tensor = torch.from_numpy(X)

    def of_module(net):
        def predict():
            with torch.inference_mode():
                return net(tensor).argmax(dim=1).numpy()

        return predict

    return {
        SKLEARN: lambda: dense.predict(X),
        OURS: lambda: estimator.predict(X),
        VALIDATED: lambda: compact.predict(X),
        UNCHECKED: lambda: compact.predict_unchecked(X),
        ONNX: lambda: session.run(["label"], {"X": X}),
        DENSE_TORCH: of_module(peers.module(peers.IMAGE_SIZES).eval()),
        MASKED_TORCH: of_module(peers.masked_module()),
    }


def _session(proto, n_threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
    # Its threads would go on spinning while the other sides are measured.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    how = {"providers": ["CPUExecutionProvider"]}
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, **how)
