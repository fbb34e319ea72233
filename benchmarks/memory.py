"""Peak memory of a fit, and how long a new process needs for one prediction."""

import joblib
import numpy as np

from benchmarks.fit import name_net
from benchmarks.models import dense_sklearn, shrunk
from benchmarks.peers import IMAGE_NET, OURS, SKLEARN, SKORCH, TENTH, TORCH
from benchmarks.processes import run_child, time_script
from benchmarks.results import held_against

COMPACT, TORCH_ESTIMATOR = "compact model, its file", "PrunedMLPClassifier, joblib"
PREDICT = "import numpy; model.predict(numpy.zeros((1, 784), numpy.float32))"
FROM_FILE = "import skactprune; model = skactprune.load({path!r}); "
FROM_PICKLE = "import joblib; model = joblib.load({path!r}); "


def peak_memory(bench):
    """Memory that a fit takes beyond what the process held before, the data included."""
    X, y = bench.training_images(bench.settings.image_rows)
    np.savez(bench.folder / "rows.npz", X=X, y=y)
    names = (OURS, TORCH, SKORCH, SKLEARN)

    def measure(name):
        return lambda: run_child(bench, "peak", name, "rows.npz")

    peaks = bench.alternate({name: measure(name) for name in names}, warm_up=False)
    where = f"{bench.image_source}, {name_net(784, IMAGE_NET, 128)}, {len(X)} rows, 1 epoch"
    targets = {TORCH: 1.2, SKORCH: None, SKLEARN: None}
    results = []
    for key, what, note, wanted in (
        ("fit", "peak memory of fit", "over the process with the data before it", targets),
        ("process", "peak memory of the process", "libraries and data included", {TORCH: None}),
    ):
        values = {name: [peak[key] for peak in peaks[name]] for name in names}
        about = {"what": what, "where": where, "unit": "bytes", "note": note}
        results += held_against(values, OURS, wanted, **about)
    return results


def cold_start(bench):
    """New process: import, load, predict one row."""
    estimator = shrunk(bench, TENTH)
    paths = {name: str(bench.folder / name) for name in ("compact", "estimator", "sklearn")}
    estimator.compact().save(paths["compact"])
    joblib.dump(estimator, paths["estimator"])
    joblib.dump(dense_sklearn(bench), paths["sklearn"])

    def measure(code, name):
        script = code.format(path=paths[name]) + PREDICT
        return lambda: time_script(bench, script)

    values = bench.alternate(
        {
            COMPACT: measure(FROM_FILE, "compact"),
            TORCH_ESTIMATOR: measure(FROM_PICKLE, "estimator"),
            SKLEARN: measure(FROM_PICKLE, "sklearn"),
        }
    )
    return held_against(
        values,
        COMPACT,
        {TORCH_ESTIMATOR: 0.4, SKLEARN: None},
        what="cold start: import, load, predict one row",
        where=f"{bench.image_source}, {'-'.join(map(str, IMAGE_NET))} to 30-20-10-5",
        note="the start of Python included",
    )
