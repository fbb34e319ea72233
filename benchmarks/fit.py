"""How long a fit takes: dense, shrinking, counting."""

from benchmarks import data
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


def name_net(n_in, hidden, batch):
    """Sizes of a net for 10 classes, and its batches, for a table."""
    return f"{'-'.join(map(str, (n_in, *hidden, 10)))}, batch {batch}"


def _nets(bench):
    """Rows, labels, hidden sizes, batch, epochs and name of each dense fit."""
    settings = bench.settings
    images = bench.training_images(settings.image_rows)
    for hidden in (IMAGE_NET, LENET):
        name = f"{bench.image_source}, {name_net(784, hidden, 128)}"
        yield *images, hidden, 128, settings.fit_epochs, name
    table = data.table(settings.wide_rows, 100)
    name = f"synthetic table, {name_net(100, LENET, 128)}"
    yield *table, LENET, 128, settings.fit_epochs, name
    yield *data.digits(), (100,), 32, settings.digits_epochs, f"digits, {name_net(64, (100,), 32)}"


def dense_fit(bench):
    """Fit of a net that is not pruned, against all peers."""
    bench.expect(4)
    results = []
    for X, y, hidden, batch, epochs, name in _nets(bench):
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
        where = f"{name}, {len(X)} rows, {epochs} epoch{'s' * (epochs > 1)}"
        about = {"what": "fit of torch, for scale", "where": where}
        scale = held_against(values, FUSED, {SKLEARN: None}, **about)
        about = {"what": "fit, no pruning", "where": where}
        targets = {TORCH: 1.10 if large else None, FUSED: None, SKORCH: None}
        results += held_against(values, OURS, targets, **about)
        reason = f"for scale, a {FUSED}, takes {scale[0].ratio[0]:.2f} x of it"
        targets = {SKLEARN: 0.65 if large else 1.0}
        results += held_against(values, OURS, targets, if_missed=reason, **about) + scale
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
    where = (
        f"{bench.image_source}, {name_net(784, IMAGE_NET, 128)}, {len(X)} rows, {epochs} epochs, "
        "5 rounds"
    )
    about = {"what": "shrinking fit", "where": where}
    results = []
    for live, target in ((FIFTH, 0.70), (TENTH, 0.62)):
        targets = {dense: target, TORCH: None, MASKED: None}
        results += held_against(values, names[live], targets, **about)
    note = "90 % masked from the first step on: masks save no time"
    about |= {"what": "fit with masks", "note": note}
    return results + held_against(values, MASKED, {TORCH: None}, **about)


COUNTING_COSTS = (
    "every step pays for a comparison a layer and keeps its outputs for a while, which weighs more "
    "where steps are short"
)


def counting(bench):
    """Counting who fires, against the same fit without; a round never comes."""
    bench.expect(4)
    results = []
    for X, y, hidden, batch, epochs, name in _nets(bench):
        sides = {}
        for side, criterion in ((COUNTED, "activation"), (NOT_COUNTED, "random")):
            params = {"method": ScorePruning(criterion), "prune_fraction": 0.5, "trigger": _Never()}
            sides[side] = clock(ours(hidden, batch, epochs, **params).fit, X, y)
        # Twice as many, because a few per cent are looked for.
        values = bench.alternate(sides, alternations=2 * bench.settings.alternations)
        results += held_against(
            values,
            COUNTED,
            {NOT_COUNTED: 1.03},
            if_missed=COUNTING_COSTS,
            what="counting",
            where=f"{name}, {len(X)} rows, {epochs} epoch{'s' * (epochs > 1)}",
        )
    return results
