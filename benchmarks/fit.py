"""How long a fit takes: dense, shrinking, counting."""

import itertools
from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_digits, make_classification

from benchmarks import peers
from benchmarks.bench import count, name, table
from benchmarks.peers import FUSED, IMAGE_NET, LENET, MASKED, OURS, SKLEARN, SKORCH, TORCH
from benchmarks.results import held_against
from benchmarks.timing import clock
from skactprune import ScorePruning
from skactprune.nets.threads import one_torch_thread

LIMIT = "its products, Adam and row gather"
COUNTED, NOT_COUNTED = "counting", "not counting"


class _Never:
    """Trigger of no round."""

    needs_score = None

    def rounds_due(self, done, n_rounds, epoch, max_epochs, accuracy):
        return done

    def stops(self, accuracy):
        return False


def _nets(bench, dtype=np.float32):
    """Place of each fit, and its rows, labels, hidden sizes, batch and epochs."""
    settings = bench.settings
    X, y = load_digits(return_X_y=True)
    images, source = bench.training_images(settings.image_rows), bench.images[3]
    small = make_classification(1000, 20, n_informative=10, n_classes=10, random_state=0)
    for data, (rows, labels), hidden, batch, epochs in (
        (source, images, IMAGE_NET, 128, settings.fit_epochs),
        (source, images, LENET, 128, settings.fit_epochs),
        ("synthetic table", table(settings.wide_rows, 100), LENET, 128, settings.fit_epochs),
        ("digits", (X / 16, y), (100,), 32, settings.digits_epochs),
        ("make_classification", small, (100,), 200, settings.table_epochs),
    ):
        about = f"{len(rows)} rows", count(epochs, "epoch")
        place = name(data, (rows.shape[1], *hidden, 10), batch, *about)
        yield place, (rows.astype(dtype), labels.astype(np.int64), hidden, batch, epochs)


# Largest ratios to MLPClassifier, in the order of the nets.
DENSE = (0.50, 0.50, 0.42, 0.35, 0.35)
DOUBLE = (0.65,) * 5


def dense_fit(bench):
    """Fit of a net that is not pruned, against all peers."""
    results = []
    for (where, problem), target in zip(_nets(bench), DENSE, strict=True):
        sides = {side: clock(fit) for side, fit in peers.fits(*problem).items()}
        values = bench.alternate(sides)
        targets = {SKLEARN: target, TORCH: None, FUSED: None, SKORCH: None}
        results += held_against(values, OURS, targets, what="fit, no pruning", where=where)
        about = {"what": "fit of torch, for scale", "where": where}
        results += held_against(values, FUSED, {SKLEARN: None}, **about)
    return results


def double_fit(bench):
    """The same in float64, against MLPClassifier alone."""
    results = []
    for (where, problem), target in zip(_nets(bench, np.float64), DOUBLE, strict=True):
        fits = peers.fits(*problem)
        values = bench.alternate({side: clock(fits[side]) for side in (OURS, SKLEARN)})
        about = {"what": "fit in float64, no pruning", "where": where}
        results += held_against(values, OURS, {SKLEARN: target}, **about)
    return results


def default_fit(bench):
    """Fit with the default method and rounds, against a dense MLPClassifier of as many epochs."""
    large, _, _, digits, small = _nets(bench)
    X, y = bench.training_images(bench.settings.shrink_rows)
    epochs = bench.settings.shrink_epochs
    where = bench.on_images(IMAGE_NET, 128, f"{len(X)} rows", count(epochs, "epoch"))
    large = where, (X, y, IMAGE_NET, 128, epochs)
    results = []
    for where, (X, y, *net) in (large, digits, small):
        pruned = peers.ours(*net, prune_fraction=0.8)
        sides = {OURS: clock(pruned.fit, X, y), SKLEARN: clock(peers.sklearn_net(*net).fit, X, y)}
        about = {"what": "fit, pruned by default", "where": where}
        results += held_against(bench.alternate(sides), OURS, {SKLEARN: 0.45}, **about)
    return results


def against_limit(bench):
    """Dense fit against the products of its steps, Adam and the gathering of rows alone."""
    results = []
    for (where, problem), target in zip(_nets(bench), (1.15, 1.15, None, None, None), strict=True):
        fit = peers.fits(*problem)[OURS]
        values = bench.alternate({OURS: clock(fit), LIMIT: clock(_products, *problem)})
        about = {"what": "fit against its limit", "where": where}
        results += held_against(values, OURS, {LIMIT: target}, **about)
    return results


def _products(X, y, hidden, batch, epochs):
    """Do what no step can do without, on buffers of its own."""
    sizes = (X.shape[1], *hidden, 10)
    shapes = list(itertools.pairwise(sizes))
    W = [np.full(shape, 1e-3, X.dtype) for shape in shapes]
    dW = [np.empty_like(w) for w in W]
    h = [np.full((batch, n), 1e-3, X.dtype) for n in sizes]
    dh = [np.full_like(a, 1e-3) for a in h]
    flat = [
        torch.zeros(sum(w.size for w in W), dtype=torch.from_numpy(X[:1]).dtype) for _ in "pgmv"
    ]
    adam = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "eps": 1e-8}
    adam |= {"amsgrad": False, "maximize": False, "grad_scale": None, "found_inf": None}
    step = torch.ones(())
    with one_torch_thread():
        for _ in range(epochs):
            order = np.random.default_rng(0).permutation(len(X))
            for start in range(0, len(X) - batch + 1, batch):
                X.take(order[start : start + batch], 0, h[0], "clip")
                for depth, w in enumerate(W):
                    np.dot(h[depth], w, h[depth + 1])
                for depth in reversed(range(len(W))):
                    np.dot(h[depth].T, dh[depth + 1], dW[depth])
                    if depth:
                        np.dot(dh[depth + 1], W[depth].T, dh[depth])
                torch._fused_adam_(*([each] for each in flat), [], [step], **adam)


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
