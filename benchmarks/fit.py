"""How long a fit takes: dense, shrinking, counting."""

from functools import partial

import numpy as np
from sklearn.datasets import load_digits

from benchmarks import peers
from benchmarks.bench import count, name, table
from benchmarks.peers import FUSED, IMAGE_NET, LENET, MASKED, OURS, SKLEARN, SKORCH, TORCH
from benchmarks.results import held_against
from benchmarks.timing import clock
from skactprune import ScorePruning

COUNTED, NOT_COUNTED = "counting", "not counting"


class _Never:
    """Trigger of no round."""

    needs_accuracy = False

    def rounds_due(self, done, n_rounds, epoch, max_epochs, accuracy):
        return done

    def stops(self, accuracy):
        return False


def _nets(bench):
    """Place of each dense fit, and its rows, labels, hidden sizes, batch and epochs."""
    settings = bench.settings
    X, y = load_digits(return_X_y=True)
    digits = (X / 16).astype(np.float32), y.astype(np.int64)
    images, source = bench.training_images(settings.image_rows), bench.images[3]
    wide = table(settings.wide_rows, 100)
    for data, (X, y), hidden, batch, epochs in (
        (source, images, IMAGE_NET, 128, settings.fit_epochs),
        (source, images, LENET, 128, settings.fit_epochs),
        ("synthetic table", wide, LENET, 128, settings.fit_epochs),
        ("digits", digits, (100,), 32, settings.digits_epochs),
    ):
        about = f"{len(X)} rows", count(epochs, "epoch")
        place = name(data, (X.shape[1], *hidden, 10), batch, *about)
        yield place, (X, y, hidden, batch, epochs)


def dense_fit(bench):
    """Fit of a net that is not pruned, against all peers."""
    results = []
    for where, problem in _nets(bench):
        sides = {side: clock(fit) for side, fit in peers.fits(*problem).items()}
        values = bench.alternate(sides)
        small = where.startswith("digits")
        targets = {TORCH: None if small else 1.10, FUSED: None, SKORCH: None}
        targets[SKLEARN] = 1.0 if small else 0.65
        results += held_against(values, OURS, targets, what="fit, no pruning", where=where)
        about = {"what": "fit of torch, for scale", "where": where}
        results += held_against(values, FUSED, {SKLEARN: None}, **about)
    return results


def shrinking_fit(bench):
    """Fit in which the net shrinks, against a dense one and against masks."""
    X, y = bench.training_images(bench.settings.shrink_rows)
    epochs = bench.settings.shrink_epochs
    fits, dense = peers.fits(X, y, IMAGE_NET, 128, epochs), f"{OURS}, dense"
    sides = {dense: clock(fits[OURS]), TORCH: clock(fits[TORCH])}
    sides[MASKED] = clock(partial(fits[TORCH], masked=0.9))
    names = {peers.FIFTH: 0.70, peers.TENTH: 0.62}
    targets = {f"{OURS}, to {'-'.join(map(str, live))}": target for live, target in names.items()}
    for live, side in zip(names, targets, strict=True):
        sides[side] = clock(peers.fit_to, live, X, y, 128, epochs)
    values = bench.alternate(sides)
    where = bench.on_images(IMAGE_NET, 128, f"{len(X)} rows", f"{epochs} epochs", "5 rounds")
    results = []
    for side, target in targets.items():
        others = {dense: target, TORCH: None, MASKED: None}
        results += held_against(values, side, others, what="shrinking fit", where=where)
    return results + held_against(values, MASKED, {TORCH: None}, what="fit with masks", where=where)


def counting(bench):
    """Counting who fires, against the same fit without; a round never comes."""
    results = []
    for where, (X, y, *net) in _nets(bench):
        sides = {}
        for side, criterion in ((COUNTED, "activation"), (NOT_COUNTED, "random")):
            params = {"method": ScorePruning(criterion), "prune_fraction": 0.5, "trigger": _Never()}
            sides[side] = clock(peers.ours(*net, **params).fit, X, y)
        # Twice as many, because a few per cent are looked for.
        values = bench.alternate(sides, alternations=2 * bench.settings.alternations)
        targets = {NOT_COUNTED: 1.03}
        results += held_against(values, COUNTED, targets, what="counting", where=where)
    return results
