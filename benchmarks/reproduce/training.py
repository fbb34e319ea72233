"""How the nets of `variant`, `scores` and `lenet` are trained, as callbacks of the estimator."""

from functools import partial

import numpy as np
from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import LambdaLR

from skactprune.triggers import EpochTrigger

# Rounds end at this share of the epochs; what is left is for the net that remains.
TRIGGER = EpochTrigger(0.1, 0.6)


def rate_factor(epoch, epochs):
    """Factor of the learning rate: 1 until the last round, then half a cosine down to 0."""
    done = (epoch / epochs - TRIGGER.stop) / (1 - TRIGGER.stop)
    return 0.5 * (1 + np.cos(np.pi * min(max(done, 0.0), 1.0)))


def faded(rates, left, power):
    """Dropout rates for a net with a share `left` of its hidden weights, times ``left ** power``.

    It overfits less, and needs all that it has (Han et al. 2015, section 3.2, with power 1/2).
    """
    return tuple(rate * left**power for rate in rates)


class FadingDropout(Callback):
    """Lets dropout fade as weights leave, see `faded`."""

    def __init__(self, power):
        self.power = power

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.rates_ = net.module_.dropout

    def on_epoch_begin(self, net, **kwargs):
        left = 1 - dict(net.callbacks_)["pruner"].masks_.sparsity
        net.module_.dropout = faded(self.rates_, left, self.power)


def schedule(epochs, fading):
    """Parameters of the estimator for one fit of so many epochs, with this power of `faded`."""
    decay = LRScheduler(LambdaLR, lr_lambda=partial(rate_factor, epochs=epochs))
    return {
        "trigger": TRIGGER,
        "weight_decay": 0.0,
        "max_iter": epochs,
        "n_iter_no_change": np.inf,
        "net_params": {"callbacks": [decay, FadingDropout(fading)]},
    }
