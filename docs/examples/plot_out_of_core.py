"""
==============================================
A table that is larger than memory
==============================================

``fit`` takes rows that stay in files: :class:`skactprune.Chunks`, read by a function of your own a
chunk at a time, or a memory-mapped array. Either is one ordinary fit. Epochs, firing counts,
pruning rounds, early stopping and class weights are of all rows, as if these were in memory; only
`y` and the sample weights are. Here a Parquet file is read by row groups.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skactprune import Chunks, PrunedMLPClassifier

N_GROUPS, GROUP_ROWS = 40, 2500

# %%
# A large file
# ------------
# Noisy copies of scikit-learn's digits, written group by group, stand for a table that nobody can
# hold in memory. Rows of all kinds should be in every group, for a fit shuffles the order of the
# groups and the rows in each, and does not mix groups.

folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "digits.parquet")
digits, labels = load_digits(return_X_y=True)
columns = [f"pixel{i}" for i in range(digits.shape[1])]
rng = np.random.default_rng(0)
schema = pa.schema([(name, pa.float32()) for name in columns] + [("digit", pa.int8())])
with pq.ParquetWriter(path, schema) as writer:
    for _ in range(N_GROUPS):
        rows = rng.integers(len(digits), size=GROUP_ROWS)
        pixels = digits[rows] + rng.normal(scale=4, size=(GROUP_ROWS, len(columns)))
        arrays = [pa.array(pixel.astype(np.float32)) for pixel in pixels.T]
        arrays.append(pa.array(labels[rows].astype(np.int8)))
        writer.write_table(pa.table(arrays, schema=schema))

# %%
# Chunks
# ------
# The last tenth of the groups is for the test. `StandardScaler` learns from one group after the
# other, and the function that reads a group scales it. Rows of the same shape come back each time
# that it is called with the same number.

file = pq.ParquetFile(path)
n_train = N_GROUPS * 9 // 10


def pixels_of(group):
    return file.read_row_group(group, columns).to_pandas().to_numpy(np.float32)


def digits_of(groups):
    return file.read_row_groups(groups, ["digit"])["digit"].to_numpy()


scaler = StandardScaler()
for group in range(n_train):
    scaler.partial_fit(pixels_of(group))


def scaled(group):
    return scaler.transform(pixels_of(group))


train, test = Chunks(scaled, range(n_train)), Chunks(scaled, range(n_train, N_GROUPS))
y_train, y_test = digits_of(list(range(n_train))), digits_of(list(range(n_train, N_GROUPS)))
net = PrunedMLPClassifier((100,), max_iter=8, batch_size=500, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    net.fit(train, y_train)
print(f"chunks: {net.n_iter_} epochs of {net.t_ // net.n_iter_} rows")
print("rounds at the ends of epochs", [row["epoch"] for row in net.pruning_history_])
print(f"neurons left {len(net.live_neurons_[0])}, test accuracy {net.score(test, y_test):.3f}")

# %%
# A memory-mapped array
# ---------------------
# Reading Parquet takes longer than a small net does to learn from what was read. Where there is
# room on the disk, one pass writes the scaled rows into an array that is mapped into memory. Fits
# and searches then read it directly, and ``n_jobs`` processes share what the system has of it in
# memory. Rows of it are shuffled as a whole, which reads all over the file: on slow disks, shuffle
# once while writing it, and take ``shuffle=False`` for the fit.

n_rows = file.metadata.num_rows * n_train // N_GROUPS
mapped = np.lib.format.open_memmap(
    Path(folder.name, "scaled.npy"), mode="w+", dtype=np.float32, shape=(n_rows, len(columns))
)
for group, rows in enumerate(train):
    mapped[group * GROUP_ROWS : (group + 1) * GROUP_ROWS] = rows
mapped.flush()

X_train = np.load(Path(folder.name, "scaled.npy"), mmap_mode="r")
in_order = PrunedMLPClassifier((100,), max_iter=8, batch_size=500, shuffle=False, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    from_map = [coef.copy() for coef in in_order.fit(X_train, y_train).coefs_]
    from_chunks = in_order.fit(train, y_train).coefs_
print("in the same order, both give the same net:", all(map(np.array_equal, from_map, from_chunks)))

# %%
# What was learned
# ----------------
# The loss of every epoch, and the epochs that ended with a pruning round.

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
# Okabe and Ito's colours, which the colour-blind tell apart.
for label, fitted, style, color in (
    ("shuffled", net, "-", "#0072B2"),
    ("in order", in_order, "--", "#D55E00"),
):
    epochs = range(1, fitted.n_iter_ + 1)
    (line,) = ax.plot(epochs, fitted.loss_curve_, style, color=color, label=label)
    epochs = sorted({row["epoch"] for row in fitted.pruning_history_})
    ax.plot(
        epochs, [fitted.loss_curve_[epoch - 1] for epoch in epochs], "o", color=line.get_color()
    )
ax.set_xlabel("epoch; pruning rounds are marked")
ax.set_ylabel("training loss")
ax.legend()
plt.show()
file.close()
folder.cleanup()
