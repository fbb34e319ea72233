"""Peak memory of a fit, and how long a new process needs for one prediction."""

from functools import partial

import joblib
import numpy as np

from benchmarks.peers import IMAGE_NET, OURS, SKLEARN, SKORCH, TENTH, TORCH, dense_sklearn, shrunk
from benchmarks.results import held_against
from benchmarks.timing import parts

COMPACT, TORCH_ESTIMATOR = "compact model, its file", "PrunedMLPClassifier, joblib"
PREDICT = "import numpy; model.predict(numpy.zeros((1, 784), numpy.float32))"
FROM_FILE = "import skactprune; model = skactprune.load({path!r}); "
FROM_PICKLE = "import joblib; model = joblib.load({path!r}); "


def peak_memory(bench):
    """Memory that a fit takes beyond what the process held before, the data included."""
    X, y = bench.training_images(bench.settings.image_rows)
    np.savez(bench.folder / "rows.npz", X=X, y=y)
    names = (OURS, TORCH, SKORCH, SKLEARN)
    sides = {name: partial(bench.run_child, "peak", name, "rows.npz") for name in names}
    peaks = {name: parts(of) for name, of in bench.alternate(sides, warm_up=False).items()}
    results = []
    for key, what, targets in (
        ("fit", "peak memory of fit", {TORCH: 1.2, SKORCH: None, SKLEARN: None}),
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
    estimator = shrunk(bench, TENTH)
    paths = {name: str(bench.folder / name) for name in ("compact", "estimator", "sklearn")}
    estimator.compact().save(paths["compact"])
    joblib.dump(estimator, paths["estimator"])
    joblib.dump(dense_sklearn(bench), paths["sklearn"])
    sides = {
        COMPACT: FROM_FILE.format(path=paths["compact"]),
        TORCH_ESTIMATOR: FROM_PICKLE.format(path=paths["estimator"]),
        SKLEARN: FROM_PICKLE.format(path=paths["sklearn"]),
    }
    values = bench.alternate(
        {name: partial(bench.time_script, code + PREDICT) for name, code in sides.items()}
    )
    what = "cold start: import, load, predict one row"
    where = f"{bench.images[3]}, {'-'.join(map(str, IMAGE_NET))} to 30-20-10-5"
    targets = {TORCH_ESTIMATOR: 0.4, SKLEARN: None}
    return held_against(values, COMPACT, targets, what=what, where=where)
