"""How long a prediction takes: of many rows, and of one."""

from functools import partial

import onnxruntime
import torch

from benchmarks import peers
from benchmarks.bench import count
from benchmarks.peers import FIFTH, IMAGE_NET, MASKED, OURS, SKLEARN, TENTH
from benchmarks.results import held_against
from benchmarks.timing import clock_calls

COMPACT = "compact"
DENSE_TORCH, MASKED_TORCH = "torch module, dense", f"{MASKED}, 90 %"
ONNX = "onnxruntime, the compact model"
# What takes how much of the time of each; others are shown without a target.
MANY = {FIFTH: {SKLEARN: 0.22}, TENTH: {SKLEARN: 0.17}}
MANY_PROBA = dict.fromkeys((FIFTH, TENTH), {SKLEARN: 0.30})
ONE = dict.fromkeys((FIFTH, TENTH), {ONNX: 1.2})


def many_rows(bench):
    """Labels and probabilities of many rows at once."""
    n_rows = bench.settings.predict_rows
    labels = _predictions(bench, n_rows, MANY, calls=3)
    return labels + _predictions(bench, n_rows, MANY_PROBA, calls=3, what="predict_proba")


def one_row(bench):
    """Predictions of one row."""
    return _predictions(bench, 1, ONE, calls=bench.settings.one_row_calls)


def _predictions(bench, n_rows, targets, calls, what="predict"):
    X, results = bench.images[2][:n_rows], []
    for live, wanted in targets.items():
        functions = _predictors(bench, live, X, what)
        values = bench.alternate({name: clock_calls(f, calls) for name, f in functions.items()})
        sizes = " to ".join("-".join(map(str, of)) for of in (IMAGE_NET, live))
        where = f"{bench.images[3]}, {sizes}, {count(len(X), 'row')}"
        about = {"what": what, "where": where}
        others = {name: None for name in functions if name not in (COMPACT, MASKED_TORCH)}
        results += held_against(values, COMPACT, others | wanted, **about)
        if MASKED_TORCH in functions:
            about["what"] = "predict with masks"
            results += held_against(values, MASKED_TORCH, {DENSE_TORCH: None}, **about)
    return results


def _predictors(bench, live, X, what):
    """Functions that predict for `X`, by `what`; all nets but ours in original sizes."""
    estimator, dense = peers.shrunk(bench, live), peers.dense_sklearn(bench)
    compact = estimator.compact()
    session = _session(compact.to_onnx(), bench.settings.threads)
    output = {"predict": "label", "predict_proba": "probabilities"}[what]
    models = {SKLEARN: dense, OURS: estimator, COMPACT: compact}
    functions = {name: partial(getattr(model, what), X) for name, model in models.items()}
    functions[ONNX] = lambda: session.run([output], {"X": X})
    if what != "predict":
        return functions
    tensor = torch.from_numpy(X)

    def of_module(net):
        def predict():
            with torch.inference_mode():
                return net(tensor).argmax(dim=1).numpy()

        return predict

    return functions | {
        DENSE_TORCH: of_module(peers.module(peers.IMAGE_SIZES).eval()),
        MASKED_TORCH: of_module(peers.masked_module()),
    }


def _session(proto, n_threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads or 0, 1
    # Its threads would go on spinning while the other sides are measured.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    how = {"providers": ["CPUExecutionProvider"]}
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, **how)
