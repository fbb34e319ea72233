"""Clocks, threads, and sides of a comparison that run in turn."""

import gc
import warnings
from contextlib import contextmanager
from time import perf_counter

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import EpochTimer
from threadpoolctl import threadpool_limits


@contextmanager
def threads(n):
    """Let numpy, scipy, scikit-learn and torch use `n` threads; with None, what they like."""
    if n is None:
        yield
        return
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


def clock_parts(estimator, X, y):
    """Side that returns the seconds of a fit, of its first epoch, and of all its rounds."""
    estimator.set_params(net_params={"callbacks": [EpochTimer()]})
    fit = clock(estimator.fit, X, y)

    def measure():
        found, rounds = {"fit": fit()}, estimator.pruning_history_
        found["rounds"] = [row["seconds"] for row in rounds]
        found["round"] = sum(found["rounds"])
        # The timer of an epoch stops after the round that it ends with.
        in_first = sum(row["seconds"] for row in rounds if row["epoch"] == 1)
        return found | {"epoch": estimator.net_.history[0, "dur"] - in_first}

    return measure


def parts(measurements):
    """Lists of the parts of what `clock_parts` returned, by name."""
    return {name: [m[name] for m in measurements] for name in measurements[0]}


def alternate(sides, alternations, warm_up=True):
    """Lists of measurements of all sides, in turn, so that what slows the machine slows all.

    A side returns a number or a dict of numbers; every time another one is first. With `warm_up`
    each runs once more before, unmeasured.
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
    finally:
        gc.unfreeze()
    return values
