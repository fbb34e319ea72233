"""What is said of a net: accuracies, ranks, sizes; and its low-rank rivals."""

import joblib
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.reproduce.protocol import BATCH, END_ACCURACY, RATE
from benchmarks.reproduce.runner import replace
from skactprune.inspection import LowRankNet, model_row, n_weights, timed_fit

RECONSTRUCTIONS = {"kernel PCA": "pca", "truncated SVD": "svd"}
WHITENED = "whitened SVD"


def join(numbers):
    """Numbers of the layers in one field, such as ``"60-40-20-10"``."""
    return "-".join(str(int(number)) for number in numbers)


def split(field):
    """Numbers of the layers of a field that `join` wrote."""
    return [int(number) for number in field.split("-")]


def size(sizes):
    """Weights of layers of these sizes."""
    return sum(n_in * n_out for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True))


def fitted(net, rows):
    """Fit a net, and return it with the row that describes it; see `describe`."""
    net, seconds = timed_fit(net, rows.X, rows.y)
    return net, describe(net, rows) | {"seconds": seconds, "epochs": net.n_iter_}


def kept(path, net, rows):
    """`fitted` of a net that several runs need: fitted once, kept in a file."""
    if not path.exists():
        net, row = fitted(net, rows)
        # Callbacks may hold rows, which the file needs not.
        found = net.set_params(net_params=None), row
        replace(path, lambda path: joblib.dump(found, path))
    return joblib.load(path)


def describe(net, rows):
    """Accuracies, ranks and sizes of a fitted net, a `PrunedMLPClassifier` or a `LowRankNet`.

    ``weights`` as `skactprune.inspection.n_weights`, output layer included; ``flops`` are those of
    one row by dense products, of two factors where a low-rank kernel is stored so.
    """
    row = model_row(net, rows.splits())
    dense_sizes = [coef.size for coef in net.coefs_]
    return {name: value for name, value in row.items() if name.endswith("_accuracy")} | {
        "ranks": join(row["ranks"]),
        "live": join(row["live_neurons"]),
        "weights": n_weights(net),
        "flops": 2 * sum(getattr(net, "kernel_sizes_", dense_sizes)),
    }


def low_rank(name, net, ranks, X=None):
    """A dense net whose hidden kernels are reconstructed from `ranks` components.

    "whitened SVD" takes rows of training, too.
    """
    return LowRankNet(net, ranks, "whitened" if name == WHITENED else RECONSTRUCTIONS[name], X)


def retrained(net, rows, epochs, seed):
    """Train a `LowRankNet` on, so that its hidden kernels stay of low rank.

    Every hidden kernel is split into two factors of its rank, the outer one with the bias, and
    both are trained with the optimizer, batches and end accuracy of the protocol.

    It takes at most so many epochs; the seed is for the order of the rows. Returns accuracies and
    ``epochs`` that it took.
    """
    module = factored(net)
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE, fused=True)
    X, y = torch.from_numpy(rows.X), torch.from_numpy(rows.y)
    generator = np.random.default_rng(seed)
    took, right = 0, 0
    while took < epochs and right < END_ACCURACY * len(X):
        took, right = took + 1, 0
        for batch in torch.from_numpy(generator.permutation(len(X))).split(BATCH):
            optimizer.zero_grad()
            logits = module(X[batch])
            F.cross_entropy(logits, y[batch]).backward()
            optimizer.step()
            right += int((logits.argmax(dim=1) == y[batch]).sum())
    with torch.no_grad():
        accuracies = rows.accuracies(lambda X: module(torch.from_numpy(X)).argmax(dim=1).numpy())
    return accuracies | {"epochs": took}


def factored(net):
    """Torch module of a ReLU net whose hidden kernels are products of two factors."""
    parts = []
    *hidden, last = zip(net.coefs_, net.intercepts_, strict=True)
    for (coef, bias), rank in zip(hidden, net.hidden_ranks_, strict=True):
        r = max(rank, 1)
        U, s, Vt = np.linalg.svd(coef.astype(np.float64), full_matrices=False)
        root = np.sqrt(s[:r])
        parts += [_linear(U[:, :r] * root), _linear(root[:, None] * Vt[:r], bias), nn.ReLU()]
    return nn.Sequential(*parts, _linear(*last))


def _linear(coef, bias=None):
    layer = nn.utils.skip_init(nn.Linear, *coef.shape, bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(coef.T)))
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))
    return layer
