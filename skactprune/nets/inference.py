"""Forward pass in numpy: what a fitted network computes, without torch."""

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax


def _relu(z):
    return np.maximum(z, 0, out=z)


HIDDEN_ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": lambda z: expit(z, out=z),
    "tanh": lambda z: np.tanh(z, out=z),
    "relu": _relu,
}


def hidden_representation(X, coefs, intercepts, activation):
    """Output of the last of the given hidden layers.

    Parameters
    ----------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
        Input rows, in the dtype of the weights.
    coefs : list of ndarray of shape (n_in, n_out)
        Weights of hidden layers, in order.
    intercepts : list of ndarray of shape (n_out,)
        Biases.
    activation : {"identity", "logistic", "tanh", "relu"}
        Hidden activation.

    Returns
    -------
    ndarray of shape (n_samples, n_out of the last layer)
    """
    f = HIDDEN_ACTIVATIONS[activation]
    h = X
    for coef, intercept in zip(coefs, intercepts, strict=True):
        z = h @ coef
        z += intercept
        h = f(z)
    return h


def class_logits(X, coefs, intercepts, activation):
    """Input of the output activation; parameters as above, output layer last."""
    logits = hidden_representation(X, coefs[:-1], intercepts[:-1], activation) @ coefs[-1]
    logits += intercepts[-1]
    return logits


def class_probabilities(X, coefs, intercepts, activation):
    """Class probabilities of shape (n_samples, n_classes); parameters as above, output last."""
    logits = class_logits(X, coefs, intercepts, activation)
    if logits.shape[1] == 1:
        positive = expit(logits)
        return np.hstack([1 - positive, positive])
    return softmax(logits, axis=1)


def class_log_probabilities(X, coefs, intercepts, activation):
    """Logarithms of the class probabilities, also of those that round to 0; as above."""
    logits = class_logits(X, coefs, intercepts, activation)
    if logits.shape[1] == 1:
        return log_expit(np.hstack([-logits, logits]))
    return log_softmax(logits, axis=1)


def class_indices(X, coefs, intercepts, activation):
    """Index of the most probable class of every row; parameters as above, output last."""
    logits = class_logits(X, coefs, intercepts, activation)
    if logits.shape[1] == 1:
        return (logits[:, 0] > 0).astype(np.intp)
    return logits.argmax(axis=1)
