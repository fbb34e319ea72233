"""What belongs to the whole process, or thread, and is changed while a net is trained."""

from functools import partial, wraps

import numpy as np
import sklearn
import torch

from skactprune._transaction import Context
from skactprune.nets.threads import threads_of_now


def same_world():
    """Context that leaves the calling thread as it was.

    Everybody who changes something puts it back. Where an interrupt comes while that is done, in
    torch or scikit-learn for instance, nobody does.
    """
    return Context(
        partial(torch.set_grad_enabled, torch.is_grad_enabled()),
        partial(np.seterr, **np.geterr()),
        partial(sklearn.set_config, **sklearn.get_config()),
        threads_of_now(),
    )


def leaves_world(function):
    """Decorator of a function after which the calling thread is as it was."""

    @wraps(function)
    def in_same_world(*args, **kwargs):
        world = same_world()
        try:
            return function(*args, **kwargs)
        finally:
            world.restore()

    return in_same_world
