"""Nets of few neurons that prune once, or in a few rounds, for tests of what leaves."""

from skactprune import PrunedMLPClassifier
from skactprune.triggers import EpochTrigger

HIDDEN = (8, 6)


def net(**params):
    """Estimator that prunes once, after its last epoch, so that nothing is trained afterwards."""
    defaults = {
        "hidden_layer_sizes": HIDDEN,
        "prune_fraction": 0,
        "n_prune_rounds": 1,
        "trigger": EpochTrigger(1, 1),
        "weight_decay": 0,
        "max_iter": 6,
        "batch_size": 20,
        "learning_rate_init": 0.01,
        "random_state": 0,
    }
    return PrunedMLPClassifier(**defaults | params)


def rounds(**params):
    """Estimator that prunes in three rounds while it trains."""
    return net(**{"n_prune_rounds": 3, "trigger": EpochTrigger(0.2, 0.7), "max_iter": 8} | params)
