"""What a row of a comparison tells of a model, and nets with reconstructed kernels."""

import warnings
from time import perf_counter

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array

from skactprune.nets.inference import class_probabilities
from skactprune.spectra import numerical_rank, pca_reconstruct, svd_truncate


class LowRankNet:
    """A fitted net whose hidden kernels are replaced by reconstructions of a given rank.

    Parameters
    ----------
    net : PrunedMLPClassifier
        Fitted; not changed.
    ranks : list of int
        Components kept of every hidden kernel.
    kind : {"pca", "svd"}
        As the paper did it, about the mean row of the kernel, or truncated SVD.

    Attributes
    ----------
    ranks : list of int
        Ranks that come out; PCA adds the mean row back, which can be one more.
    n_parameters : int
        Numbers to store: a kernel of rank r as two factors, where these are smaller than it is.
    """

    def __init__(self, net, ranks, kind):
        reconstruct = {"pca": pca_reconstruct, "svd": svd_truncate}[kind]
        kernels = net.coefs_[:-1]
        self._net = net
        self._coefs = [
            *(reconstruct(kernel, rank) for kernel, rank in zip(kernels, ranks, strict=True)),
            net.coefs_[-1],
        ]
        self.ranks = [numerical_rank(coef) for coef in self._coefs[:-1]]
        factored = [
            min(kernel.size, rank * sum(kernel.shape) + (kind == "pca") * kernel.shape[1])
            for kernel, rank in zip(kernels, ranks, strict=True)
        ]
        self.n_parameters = n_parameters([*factored, net.coefs_[-1]], net.intercepts_)

    def predict(self, X):
        """Class labels."""
        net = self._net
        X = check_array(X, accept_sparse="csr", dtype=net.coefs_[0].dtype)
        probabilities = class_probabilities(X, self._coefs, net.intercepts_, net.activation)
        return net.classes_[probabilities.argmax(axis=1)]


def n_parameters(coefs, intercepts):
    """Weights that are not zero, and biases; a number among the weights stands for itself."""
    weights = (c if isinstance(c, int) else np.count_nonzero(c) for c in coefs)
    return int(sum(weights) + sum(intercept.size for intercept in intercepts))


def n_representation_parameters(net):
    """Numbers that `transform` of a fitted net needs."""
    stop = net.transform_layer % (len(net.coefs_) - 1) + 1
    number = n_parameters(net.coefs_[:stop], net.intercepts_[:stop])
    if net.n_components is not None:
        number += net.components_.size + net.components_.shape[1]
    return number


def n_linear_parameters(classifier):
    """Weights and biases of a fitted linear classifier; NaN where it is none.

    A scaler before it does not count: it can be multiplied into the weights.
    """
    last = classifier[-1] if isinstance(classifier, Pipeline) else classifier
    if not hasattr(last, "coef_"):
        return np.nan
    return last.coef_.size + np.size(last.intercept_)


def load_optimizers():
    """Have torch import what its first optimizer needs, lest the first fit's seconds tell of it."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


def timed_fit(model, X, y):
    """Fit, and return the model and the seconds that it took.

    Raises
    ------
    KeyboardInterrupt
        On an interrupt, which estimators of neural networks turn into a warning; a net that is
        half trained must not be compared with others.
    """
    interrupted = "Training interrupted"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=interrupted)
        start = perf_counter()
        try:
            model.fit(X, y)
        except UserWarning as warning:
            if not str(warning).startswith(interrupted):
                raise
            raise KeyboardInterrupt from warning
        return model, perf_counter() - start
