"""What a pruning round costs: beside an epoch, an SVD, and the authors' code."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from benchmarks import data
from benchmarks.fit import name_net
from benchmarks.peers import IMAGE_NET, OURS, ours
from benchmarks.results import Result, held_against
from benchmarks.timing import clock, epochs_and_rounds, threads
from skactprune import AccuracyTrigger, Activation

# The first of 5 rounds to 80 %, which has most to rank and to cut.
FIRST_ROUND = 0.25
# Ganguli & Chong's TensorFlow code on one core, the faster end of what was seen.
AUTHORS_EPOCH, AUTHORS_ROUND = 27.0, 1.6
AUTHORS = "the authors' code (quoted)"


def _fit_with_one_round(estimator, X, y):
    """Side that returns the seconds of the one epoch and the one round of a fit."""

    def measure():
        with warnings.catch_warnings(), epochs_and_rounds() as seconds:
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X, y)
        return {name: values[0] for name, values in seconds.items()}

    return measure


def _split(measurements):
    return {name: [m[name] for m in measurements] for name in ("round", "epoch")}


def one_round(bench):
    """A round of the published net (score, select, mask, compact) against an epoch."""
    X, y = bench.training_images(bench.settings.image_rows)
    params = {"prune_fraction": FIRST_ROUND, "n_prune_rounds": 1}
    sides = {
        granularity: _fit_with_one_round(
            ours(IMAGE_NET, 128, 1, method=Activation(granularity=granularity), **params), X, y
        )
        for granularity in ("neuron", "weight")
    }
    where = f"{bench.image_source}, {name_net(784, IMAGE_NET, 128)}, {len(X)} rows"
    results = []
    for granularity, measurements in bench.alternate(sides).items():
        results += held_against(
            _split(measurements),
            "round",
            {"epoch": 0.05},
            what=f"one pruning round, by {granularity}",
            where=where,
        )
    return results


def authors(bench):
    """The authors' protocol on one thread, against what their code was seen to take."""
    X, y = bench.training_images(bench.settings.image_rows)
    estimator = ours(
        IMAGE_NET,
        32,
        1,
        method="ganguli2024",
        prune_fraction=0.8,
        trigger=AccuracyTrigger(0.0, 0.98),
        solver="sgd",
        momentum=0,
        learning_rate_init=0.01,
        early_stopping=True,
    )
    with threads(1):
        values = _split(bench.alternate({OURS: _fit_with_one_round(estimator, X, y)})[OURS])
    n = bench.settings.alternations
    where = (
        f"{bench.image_source}, {name_net(784, IMAGE_NET, 32)}, {len(X)} rows, "
        "a tenth of them for validation, 1 thread"
    )
    note = "27 to 32 s an epoch of 60000 rows and 1.6 s a round, not measured in this run"
    return [
        Result(
            f"method='ganguli2024', one {part}",
            where,
            OURS,
            values[part],
            AUTHORS,
            [quoted] * n,
            target=target,
            note=note,
        )
        for part, quoted, target in (
            ("epoch", AUTHORS_EPOCH * len(X) / 60_000, 0.1),
            ("round", AUTHORS_ROUND, 0.01),
        )
    ]


def against_svd(bench):
    """A round against one singular value decomposition of the same matrix, as it grows."""
    widths = bench.settings.widths
    bench.expect(len(widths))
    results = []
    for width in widths:
        X, y = data.table(256, width)
        W = np.random.default_rng(0).standard_normal((width, width), dtype=np.float32)
        params = {"prune_fraction": FIRST_ROUND, "n_prune_rounds": 1}
        rounds = {
            f"round, by {granularity}": _fit_with_one_round(
                ours((width,), 128, 1, method=Activation(granularity=granularity), **params), X, y
            )
            for granularity in ("neuron", "weight")
        }
        svd = "numpy.linalg.svd, float32"
        large = width > 1024
        values = bench.alternate(
            {**rounds, svd: clock(np.linalg.svd, W, full_matrices=False)},
            warm_up=not large,
            alternations=3 if large else None,
        )
        for name in rounds:
            values[name] = _split(values[name])["round"]
            results += held_against(
                values,
                name,
                {svd: None},
                what="round against SVD",
                where=f"{width} x {width} weights",
                note="3 alternations: a decomposition takes seconds" if large else "",
            )
    return results
