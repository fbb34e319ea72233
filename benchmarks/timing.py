"""Clocks, threads, and sides of a comparison that run in turn."""

import gc
import warnings
from contextlib import contextmanager
from time import perf_counter
from unittest import mock

import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skactprune.pruning.pruner import Pruner

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def threads(n):
    """Let numpy, scipy, scikit-learn and torch use `n` threads."""
    before = torch.get_num_threads()
    with threadpool_limits(n):
        torch.set_num_threads(n)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def clock(function, *args, **kwargs):
    """Side of a comparison: a function that returns the seconds of ``function(*args)``."""

    def measure():
        with warnings.catch_warnings():
            # All fits end after a given number of epochs, converged or not.
            warnings.simplefilter("ignore", ConvergenceWarning)
            start = perf_counter()
            function(*args, **kwargs)
            return perf_counter() - start

    return measure


def clock_calls(function, calls):
    """Side of a comparison that takes microseconds: the mean of many calls, in seconds.

    The first tenth is not timed: it waits for threads of the side before, which spin for a while.
    """

    def measure():
        for _ in range(1 + calls // 10):
            function()
        start = perf_counter()
        for _ in range(calls):
            function()
        return (perf_counter() - start) / calls

    return measure


def alternate(sides, alternations, warm_up=True, done=lambda: None):
    """Measure all sides in turn, so that what slows the machine for a while slows all of them.

    Parameters
    ----------
    sides : dict of str to callable
        Each returns one measurement, a number or a dict of numbers.
    alternations : int
        Measurements of each; every time another side is first.
    warm_up : bool
        Whether each side runs once more before, unmeasured.
    done : callable
        Called after every alternation.

    Returns
    -------
    dict of str to list
    """
    names = list(sides)
    for name in names if warm_up else ():
        sides[name]()
    values = {name: [] for name in names}
    # What is there now stays; looking through it before every measurement would take long.
    gc.collect()
    gc.freeze()
    try:
        for i in range(alternations):
            first = i % len(names)
            for name in names[first:] + names[:first]:
                gc.collect()
                values[name].append(sides[name]())
            done()
    finally:
        gc.unfreeze()
    return values


@contextmanager
def epochs_and_rounds():
    """Clock every epoch and every pruning round of the fits inside.

    Yields
    ------
    dict
        "epoch" and "round", lists of seconds that grow. An epoch ends where the pruner begins.
    """
    seconds = {"epoch": [], "round": []}
    began = {}
    on_epoch_begin, on_epoch_end = Pruner.on_epoch_begin, Pruner.on_epoch_end

    def begin(self, net, **kwargs):
        on_epoch_begin(self, net, **kwargs)
        began["epoch"] = perf_counter()

    def end(self, net, **kwargs):
        start, rounds_before = perf_counter(), self.done_
        seconds["epoch"].append(start - began["epoch"])
        on_epoch_end(self, net, **kwargs)
        if self.done_ > rounds_before:
            seconds["round"].append(perf_counter() - start)

    with mock.patch.multiple(Pruner, on_epoch_begin=begin, on_epoch_end=end):
        yield seconds
