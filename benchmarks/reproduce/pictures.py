"""Pictures of the weights that are left of a pruned net, small enough to keep."""

import os

import numpy as np

LEVELS = 7
PICTURED = ("count", "count, exact", "magnitude")


def picture_name(dataset, method):
    """Name of the file of the picture of a run."""
    return f"spectra-{dataset}-{method.replace(', ', '-').replace(' ', '-')}.npz"


def keep_picture(net, path):
    """Write abs(w) of the hidden layers in their original shapes, in levels of a byte.

    Parameters
    ----------
    net : PrunedMLPClassifier
        Fitted.
    path : pathlib.Path
        File to write: an array ``layer1``, ``layer2``, ... of shape (n_in, n_out) each, 0 for a
        weight that is zero, else 1 to `LEVELS`, which 5 % of the others reach.
    """
    pictures = {}
    previous = np.arange(net.masks_[0].shape[0])
    for i, (mask, live) in enumerate(zip(net.masks_, net.live_neurons_, strict=True)):
        full = np.zeros(mask.shape)
        full[np.ix_(previous, live)] = np.abs(net.coefs_[i])
        top = np.quantile(full[full > 0], 0.95)
        # Rounded up: only what is exactly zero gets level 0.
        pictures[f"layer{i + 1}"] = np.ceil((full / top).clip(max=1) * LEVELS).astype(np.uint8)
        previous = live
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}.npz")
    np.savez_compressed(new, **pictures)
    os.replace(new, path)
