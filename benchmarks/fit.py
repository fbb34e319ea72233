"""How long a fit takes: dense, shrinking, counting."""

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.bench import count, name, table
from benchmarks.peers import (
    FIFTH,
    FUSED,
    IMAGE_NET,
    LENET,
    MASKED,
    OURS,
    SKLEARN,
    SKORCH,
    TENTH,
    TORCH,
    check_live,
    ours,
    shrinking,
    sklearn_net,
    skorch_net,
    torch_loop,
)
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
    """Rows, labels, hidden sizes, batch, epochs and place of each dense fit."""
    settings = bench.settings
    X, y = load_digits(return_X_y=True)
    digits = (X / 16).astype(np.float32), y.astype(np.int64)
    images, pictures = bench.training_images(settings.image_rows), bench.images[3]
    wide = table(settings.wide_rows, 100)
    for source, (X, y), hidden, batch, epochs in (
        (pictures, images, IMAGE_NET, 128, settings.fit_epochs),
        (pictures, images, LENET, 128, settings.fit_epochs),
        ("synthetic table", wide, LENET, 128, settings.fit_epochs),
        ("digits", digits, (100,), 32, settings.digits_epochs),
    ):
        about = f"{len(X)} rows", count(epochs, "epoch")
        yield X, y, hidden, batch, epochs, name(source, (X.shape[1], *hidden, 10), batch, *about)


def dense_fit(bench):
    """Fit of a net that is not pruned, against all peers."""
    results = []
    for X, y, hidden, batch, epochs, where in _nets(bench):
        sizes = (X.shape[1], *hidden, 10)
        values = bench.alternate(
            {
                OURS: clock(ours(hidden, batch, epochs).fit, X, y),
                TORCH: clock(torch_loop, sizes, X, y, batch, epochs),
                FUSED: clock(torch_loop, sizes, X, y, batch, epochs, fused=True),
                SKLEARN: clock(sklearn_net(hidden, batch, epochs).fit, X, y),
                SKORCH: clock(skorch_net(sizes, batch, epochs).fit, X, y),
            }
        )
        large = batch == 128
        targets = {TORCH: 1.10 if large else None, FUSED: None, SKORCH: None}
        targets[SKLEARN] = 0.65 if large else 1.0
        results += held_against(values, OURS, targets, what="fit, no pruning", where=where)
        about = {"what": "fit of torch, for scale", "where": where}
        results += held_against(values, FUSED, {SKLEARN: None}, **about)
    return results


def shrinking_fit(bench):
    """Fit in which the net shrinks, against a dense one and against masks."""
    settings = bench.settings
    X, y = bench.training_images(settings.shrink_rows)
    epochs, sizes = settings.shrink_epochs, (784, *IMAGE_NET, 10)

    def shrink(live):
        estimator = shrinking(784, IMAGE_NET, live, 128, epochs)
        return clock(lambda: check_live(estimator.fit(X, y), live))

    dense = f"{OURS}, dense"
    names = {live: f"{OURS}, to {'-'.join(map(str, live))}" for live in (FIFTH, TENTH)}
    values = bench.alternate(
        {
            dense: clock(ours(IMAGE_NET, 128, epochs).fit, X, y),
            **{name: shrink(live) for live, name in names.items()},
            TORCH: clock(torch_loop, sizes, X, y, 128, epochs),
            MASKED: clock(torch_loop, sizes, X, y, 128, epochs, masked=0.9),
        }
    )
    where = bench.on_images(IMAGE_NET, 128, f"{len(X)} rows", f"{epochs} epochs", "5 rounds")
    results = []
    for live, target in ((FIFTH, 0.70), (TENTH, 0.62)):
        targets = {dense: target, TORCH: None, MASKED: None}
        results += held_against(values, names[live], targets, what="shrinking fit", where=where)
    return results + held_against(values, MASKED, {TORCH: None}, what="fit with masks", where=where)


def counting(bench):
    """Counting who fires, against the same fit without; a round never comes."""
    results = []
    for X, y, hidden, batch, epochs, where in _nets(bench):
        sides = {}
        for side, criterion in ((COUNTED, "activation"), (NOT_COUNTED, "random")):
            params = {"method": ScorePruning(criterion), "prune_fraction": 0.5, "trigger": _Never()}
            sides[side] = clock(ours(hidden, batch, epochs, **params).fit, X, y)
        # Twice as many, because a few per cent are looked for.
        values = bench.alternate(sides, alternations=2 * bench.settings.alternations)
        targets = {NOT_COUNTED: 1.03}
        results += held_against(values, COUNTED, targets, what="counting", where=where)
    return results
