"""Fitted models whose predictions and files are measured."""

import warnings

from sklearn.exceptions import ConvergenceWarning

from benchmarks.peers import IMAGE_NET, check_live, mask, module, ours, shrinking, sklearn_net

BATCH, EPOCHS = 128, 5
SIZES = (784, *IMAGE_NET, 10)


def dense_sklearn(bench):
    """MLPClassifier of the original sizes."""
    return _fitted(bench, sklearn_net(IMAGE_NET, BATCH, EPOCHS))


def shrunk(bench, live):
    """PrunedMLPClassifier with just these neurons left of 300-200-100-50."""
    return check_live(_fitted(bench, shrinking(784, IMAGE_NET, live, BATCH, EPOCHS)), live)


def sparse(bench, method):
    """PrunedMLPClassifier without 90 % of its hidden weights, of which `method` says which."""
    return _fitted(bench, ours(IMAGE_NET, BATCH, EPOCHS, method=method, prune_fraction=0.9))


def masked_module():
    """Torch module of the original sizes, untrained, with 90 % of its hidden weights masked."""
    net = module(SIZES).eval()
    mask(net, 0.9)
    return net


def _fitted(bench, estimator):
    X, y = bench.training_images(bench.settings.model_rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)
