"""What a pruning round costs: beside an epoch, an SVD, and the authors' code."""

import numpy as np

from benchmarks.bench import table
from benchmarks.peers import IMAGE_NET, LENET, OURS, ours
from benchmarks.results import held_against
from benchmarks.timing import clock, clock_parts, parts, threads
from skactprune.methods import Activation
from skactprune.triggers import AccuracyTrigger, EpochTrigger

# The first of 5 rounds to 80 %, which has most to rank and to cut.
FIRST_ROUND = 0.25
# Ganguli & Chong's TensorFlow code on one core, the faster end of what was seen.
AUTHORS_EPOCH, AUTHORS_ROUND = 27.0, 1.6
AUTHORS = "the authors' code (quoted)"


def _one_round(hidden, X, y):
    """Sides that fit one epoch that ends with one round, by granularity."""
    how = {"prune_fraction": FIRST_ROUND, "n_prune_rounds": 1}
    return {
        granularity: clock_parts(ours(hidden, 128, 1, method=Activation(granularity), **how), X, y)
        for granularity in ("neuron", "weight")
    }


def one_round(bench):
    """A round of the published net (score, select, mask, compact) against an epoch."""
    X, y = bench.training_images(bench.settings.image_rows)
    where = bench.on_images(IMAGE_NET, 128, f"{len(X)} rows")
    results = []
    for granularity, measured in bench.alternate(_one_round(IMAGE_NET, X, y)).items():
        about = {"what": f"one pruning round, by {granularity}", "where": where}
        results += held_against(parts(measured), "round", {"epoch": 0.05}, **about)
    return results


def default_rounds(bench):
    """The rounds of the default method against an epoch of the net that they find."""
    X, y = bench.training_images(bench.settings.image_rows)
    results = []
    for hidden in (IMAGE_NET, LENET):
        pruned = ours(hidden, 128, 6, prune_fraction=0.8, trigger=EpochTrigger(1 / 6, 5 / 6))
        few = min(3, bench.settings.alternations)
        measured = bench.alternate({OURS: clock_parts(pruned, X, y)}, alternations=few)
        seconds = [each["rounds"] for each in measured[OURS]]
        epochs = [each["epoch"] for each in measured[OURS]]
        sides = {"first round": [r[0] for r in seconds], "mean of 5": [np.mean(r) for r in seconds]}
        where = bench.on_images(hidden, 128, f"{len(X)} rows")
        for side, target in (("first round", 0.08), ("mean of 5", 0.04)):
            about = {"what": "rounds of the default method", "where": where}
            results += held_against(
                {side: sides[side], "first epoch": epochs}, side, {"first epoch": target}, **about
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
        values = parts(bench.alternate({OURS: clock_parts(estimator, X, y)})[OURS])
    rows = f"{len(X)} rows", "a tenth of them for validation", "1 thread"
    results = []
    for part, quoted, target in (
        ("epoch", AUTHORS_EPOCH * len(X) / 60_000, 0.1),
        ("round", AUTHORS_ROUND, 0.01),
    ):
        about = {
            "what": f"method='ganguli2024', one {part}",
            "where": bench.on_images(IMAGE_NET, 32, *rows),
        }
        sides = {OURS: values[part], AUTHORS: [quoted] * len(values[part])}
        results += held_against(sides, OURS, {AUTHORS: target}, **about)
    return results


def against_svd(bench):
    """A round against one singular value decomposition of the same matrix, as it grows."""
    results, svd = [], "numpy.linalg.svd, float32"
    for width in bench.settings.widths:
        W = np.random.default_rng(0).standard_normal((width, width), dtype=np.float32)
        rounds = _one_round((width,), *table(256, width))
        sides = {f"round, by {granularity}": side for granularity, side in rounds.items()}
        # A large decomposition takes seconds.
        how = {"warm_up": False, "alternations": 3} if width > 1024 else {}
        decompose = clock(np.linalg.svd, W, full_matrices=False)
        values = bench.alternate(sides | {svd: decompose}, **how)
        for name in sides:
            values[name] = parts(values[name])["round"]
            about = {"what": "round against SVD", "where": f"{width} x {width} weights"}
            results += held_against(values, name, {svd: None}, **about)
    return results
