"""Forward pass in numpy: what a fitted network computes, without torch."""

from skactprune.nets.activations import get_activation
from skactprune.nets.outputs import output_of_classifier


def hidden_outputs(X, coefs, intercepts, activation):
    """Outputs of the given hidden layers, one after the other.

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

    Yields
    ------
    ndarray of shape (n_samples, n_out)
    """
    f = get_activation(activation).apply
    h = X
    for coef, intercept in zip(coefs, intercepts, strict=True):
        z = h @ coef
        z += intercept
        h = f(z)
        yield h


def hidden_representation(X, coefs, intercepts, activation):
    """Output of the last of the given hidden layers, `X` if there is none; as above."""
    h = X
    for output in hidden_outputs(X, coefs, intercepts, activation):
        h = output
    return h


def logits_of(X, coefs, intercepts, activation):
    """Input of the output activation; parameters as above, output layer last."""
    logits = hidden_representation(X, coefs[:-1], intercepts[:-1], activation) @ coefs[-1]
    logits += intercepts[-1]
    return logits


def class_probabilities(X, coefs, intercepts, activation):
    """Class probabilities of shape (n_samples, n_classes); parameters as above, output last."""
    logits = logits_of(X, coefs, intercepts, activation)
    return output_of_classifier(logits.shape[1]).link(logits)


def class_log_probabilities(X, coefs, intercepts, activation):
    """Logarithms of the class probabilities, also of those that round to 0; as above."""
    logits = logits_of(X, coefs, intercepts, activation)
    return output_of_classifier(logits.shape[1]).log_link(logits)


def class_indices(X, coefs, intercepts, activation):
    """Index of the most probable class of every row; parameters as above, output last."""
    logits = logits_of(X, coefs, intercepts, activation)
    return output_of_classifier(logits.shape[1]).indices(logits)
