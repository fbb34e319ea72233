"""
====================================================
A net of a few kilobytes: storages of compact models
====================================================

A fitted estimator keeps all that it needs to go on training. To predict, a few arrays are enough:
:func:`skactprune.compact` makes a frozen model of them, without torch, and :func:`skactprune.save`
a file that runs no code when it is read. How its weights are stored decides how large that is, and
what it costs.
"""

import pickle
import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skactprune import PrunedMLPClassifier, compact, load, save

# %%
# A dense and a pruned net
# ------------------------
# ``compact`` folds the scaler into the first layer, so that one model takes the place of the whole
# pipeline.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
net = PrunedMLPClassifier((100, 100), learning_rate_init=0.005, tol=0.001, random_state=0)
pruned = make_pipeline(MinMaxScaler(), net).fit(X_train, y_train)
dense = clone(pruned).set_params(prunedmlpclassifier__prune_fraction=0).fit(X_train, y_train)

# %%
# Every storage
# -------------
# "int8" has a scale for each neuron. With "codebook" weights share a few values, of which the
# frequent ones have short codes, as in Deep Compression (Han et al., 2016).

storages = ["float64", "float32", "float16", "int8", "codebook"]
reports = {}
for name, model in (("dense", dense), ("pruned", pruned)):
    reference = compact(model)[-1]
    reports[name] = [
        compact(model, storage)[-1].compression_report(reference, X_test, y_test)
        for storage in storages
    ]
    for report in reports[name]:
        print(
            f"{name}, {report['storage']}: {report['nbytes']} bytes, "
            f"accuracy {report['accuracy']:.3f}, "
            f"{report['changed_predictions']:.1%} of the predictions changed"
        )

# %%
# Size and accuracy
# -----------------

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
places = np.arange(len(storages))
# Okabe and Ito's colours, which the colour-blind tell apart.
for shift, (name, color, marker) in enumerate(
    (("dense", "#7F7F7F", "s"), ("pruned", "#D55E00", "o"))
):
    kilobytes = [report["nbytes"] / 1000 for report in reports[name]]
    at = places + 0.4 * shift - 0.2
    bars = left.barh(at, kilobytes, height=0.38, color=color, label=name)
    left.bar_label(bars, [f" {value:.1f}" for value in kilobytes], fontsize=8)
    scores = [100 * report["accuracy"] for report in reports[name]]
    right.plot(scores, at, marker, color=color, markersize=9, label=name)
left.set_yticks(places, storages)
left.invert_yaxis()
left.set_xlabel("kilobytes of weights")
left.margins(x=0.15)
right.set_xlabel("test accuracy, %")
right.margins(x=1)
right.grid(alpha=0.3)
left.legend(loc="lower right")
plt.show()

# %%
# Into a file, and back
# ---------------------

small = compact(pruned, "codebook")[-1]
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "digits.skap")
    save(small, path)
    again = load(path)
    print(f"file: {path.stat().st_size} bytes; pickle of the pipeline: {len(pickle.dumps(pruned))}")
print("the same predictions:", np.array_equal(again.predict(X_test), small.predict(X_test)))
