"""What is said of a net: accuracies, ranks, sizes; and its low-rank rivals."""

import os
from time import perf_counter

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.reproduce.protocol import BATCH, END_ACCURACY, RATE
from skactprune.nets.inference import class_indices
from skactprune.spectra import numerical_rank, pca_reconstruct, svd_truncate

RECONSTRUCTIONS = {"kernel PCA": pca_reconstruct, "truncated SVD": svd_truncate}


def join(numbers):
    """Numbers of the layers in one field, such as ``"60-40-20-10"``."""
    return "-".join(str(int(number)) for number in numbers)


def split(field):
    """Numbers of the layers of a field that `join` wrote."""
    return [int(number) for number in field.split("-")]


def describe(rows, coefs, intercepts, **more):
    """Accuracies, ranks and sizes of a ReLU net.

    Parameters
    ----------
    rows : Rows
        Where it is scored.
    coefs, intercepts : list of ndarray
        Weights of shape (n_in, n_out) and biases, the output layer last.
    **more
        Other columns, or other values of these.

    Returns
    -------
    dict
        ``weights`` counts weights that are not zero, output layer included; ``flops`` are those
        of one row by dense products of the layers' sizes.
    """
    return (
        rows.accuracies(lambda X: class_indices(X, coefs, intercepts, "relu"))
        | {
            "ranks": join(numerical_rank(coef) for coef in coefs[:-1]),
            "live": join(np.count_nonzero(coef.any(axis=0)) for coef in coefs[:-1]),
            "weights": sum(np.count_nonzero(coef) for coef in coefs),
            "flops": sum(2 * coef.size for coef in coefs),
        }
        | more
    )


def fitted(estimator, rows):
    """Fit, and time it."""
    start = perf_counter()
    estimator.fit(rows.X, rows.y)
    return estimator, {"seconds": perf_counter() - start, "epochs": estimator.n_iter_}


def kept(path, estimator, rows):
    """Weights of an estimator that several runs need: fitted once, kept in a file.

    Returns
    -------
    coefs, intercepts : list of ndarray
    more : dict
        Seconds and epochs of the fit.
    """
    if not path.exists():
        net, more = fitted(estimator, rows)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}.npz")
        arrays = {f"coef{i}": coef for i, coef in enumerate(net.coefs_)}
        arrays |= {f"intercept{i}": bias for i, bias in enumerate(net.intercepts_)}
        np.savez(new, **arrays, **more)
        os.replace(new, path)
    with np.load(path) as file:
        n_layers = sum(name.startswith("coef") for name in file)
        more = {"seconds": float(file["seconds"]), "epochs": int(file["epochs"])}
        return (
            [file[f"coef{i}"] for i in range(n_layers)],
            [file[f"intercept{i}"] for i in range(n_layers)],
            more,
        )


def low_rank(name, coefs, ranks):
    """Kernels of a net with those of the hidden layers reconstructed from `ranks` components.

    Returns
    -------
    coefs : list of ndarray
        The output layer as it was.
    size : dict
        ``weights`` and ``flops`` of the kernels as products of two factors, where that is less.
    """
    reconstruct = RECONSTRUCTIONS[name]
    hidden = [reconstruct(coef, rank) for coef, rank in zip(coefs[:-1], ranks, strict=True)]
    kernels = [*hidden, coefs[-1]]
    weights = sum(
        min(kernel.size, numerical_rank(kernel) * sum(kernel.shape)) for kernel in kernels
    )
    return kernels, {"weights": weights, "flops": 2 * weights}


def retrained(rows, coefs, intercepts, epochs, seed):
    """Train a net on whose hidden kernels are of low rank and stay so.

    Every hidden kernel is split into two factors of its rank, the outer one with the bias, and
    both are trained with the optimizer, batches and end accuracy of the protocol.

    Parameters
    ----------
    rows : Rows
        Where it is trained.
    coefs, intercepts : list of ndarray
        The net to begin with.
    epochs : int
        As many as the pruned net had since its first round.
    seed : int
        For the order of the rows.

    Returns
    -------
    coefs, intercepts : list of ndarray
        Kernels multiplied out.
    epochs : int
        How many it took.
    """
    module = _factored(coefs, intercepts)
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE, fused=True)
    X, y = torch.from_numpy(rows.X), torch.from_numpy(rows.y)
    generator = np.random.default_rng(seed)
    took = 0
    for _ in range(epochs):
        took += 1
        right = 0
        for batch in torch.from_numpy(generator.permutation(len(X))).split(BATCH):
            optimizer.zero_grad()
            logits = module(X[batch])
            F.cross_entropy(logits, y[batch]).backward()
            optimizer.step()
            right += int((logits.argmax(dim=1) == y[batch]).sum())
        if right >= END_ACCURACY * len(X):
            break
    return *_multiplied(module), took


def _factored(coefs, intercepts):
    parts = []
    for coef, bias in zip(coefs[:-1], intercepts[:-1], strict=True):
        U, s, Vt = np.linalg.svd(coef.astype(np.float64), full_matrices=False)
        r = max(numerical_rank(coef), 1)
        root = np.sqrt(s[:r])
        parts += [
            _linear(root[:, None] * U[:, :r].T),
            _linear((Vt[:r].T * root), bias),
            nn.ReLU(),
        ]
    return nn.Sequential(*parts, _linear(coefs[-1].T, intercepts[-1]))


def _linear(weight, bias=None):
    n_out, n_in = weight.shape
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))
    return layer


@torch.no_grad()
def _multiplied(module):
    linear = [part for part in module if isinstance(part, nn.Linear)]
    inner, outer = linear[:-1:2], linear[1:-1:2]
    # Multiplied in float64, or rounding would lend the kernel ranks that it does not have.
    coefs = [
        (b.weight.double() @ a.weight.double()).T.numpy() for a, b in zip(inner, outer, strict=True)
    ]
    biases = [b.bias.numpy().astype(np.float64) for b in outer]
    return (
        [*coefs, linear[-1].weight.T.double().numpy()],
        [*biases, linear[-1].bias.double().numpy()],
    )
