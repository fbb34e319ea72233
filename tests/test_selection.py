"""Selection: exactly as much as asked for, lowest first, and never what holds a net together."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skactprune.pruning.chain import Chain
from skactprune.pruning.loose import Loose
from skactprune.pruning.masks import Masks, cascade
from skactprune.pruning.selection import GRANULARITIES, SCOPES, select

BLOCKS = [(1, 1), (2, 1), (1, 3), (2, 3), (9, 9)]


@st.composite
def cases(draw, granularity=None, chained=None, ties=None):
    """Scores, masks after an earlier round, options, and a reachable target."""
    n_layers = draw(st.integers(1, 3))
    sizes = draw(st.lists(st.integers(1, 6), min_size=n_layers + 1, max_size=n_layers + 1))
    chained = draw(st.booleans()) if chained is None else chained
    if isinstance(granularity, st.SearchStrategy):
        granularity = draw(granularity)
    granularity = granularity or draw(st.sampled_from([*GRANULARITIES, *BLOCKS]))
    shapes = [(n_out, n_in) for n_in, n_out in itertools.pairwise(sizes)]
    options = {
        "granularity": granularity,
        "scope": draw(st.sampled_from(SCOPES)),
        "floors": [draw(st.integers(1, n_out)) if n_out < 3 else 1 for n_out, _ in shapes],
    }
    layout = (Chain if chained else Loose)(shapes)
    smallest = layout.fewest_weights(granularity, options["floors"])
    masks = Masks(layout)
    n_left = draw(st.integers(min(smallest, masks.n_original), masks.n_original))
    if draw(st.booleans()):
        before = draw(st.integers(n_left, masks.n_original))
        new = select(draw_scores(draw, shapes, ties), masks, n_left=before, **options)
        masks = masks.replaced(layout.cascade(new))
    return draw_scores(draw, shapes, ties), masks, options, n_left


def draw_scores(draw, shapes, ties):
    """Scores of weights or of neurons; with `ties`, many are equal."""
    random = np.random.RandomState(draw(st.integers(0, 2**31)))
    ties = draw(st.booleans()) if ties is None else ties
    narrow = draw(st.booleans())
    scores = []
    for n_out, n_in in shapes:
        size = (n_out, 1 if narrow else n_in)
        scores.append(random.randint(0, 3, size) if ties else random.normal(size=size))
    return scores


def ordered_units(scores, masks, granularity, scope):
    """All surviving units, lowest first: an independent, slow statement of the order."""
    units = []
    for depth, (score, mask) in enumerate(zip(scores, masks.current, strict=True)):
        n_out, n_in = masks.shapes[depth]
        full = np.broadcast_to(np.asarray(score, dtype=float), mask.shape)
        if granularity == "neuron":
            layer = [
                (full[j][mask[j]].mean() if score.shape[1] > 1 else score[j, 0], depth, (j,))
                for j in range(n_out)
                if mask[j].any()
            ]
            n_units = n_out
        elif granularity != "weight":
            height, width = (4, 4) if granularity == "block" else granularity
            tiles = [
                (slice(j, j + height), slice(i, i + width))
                for j in range(0, n_out, height)
                for i in range(0, n_in, width)
            ]
            layer = [
                (full[tile][mask[tile]].mean(), depth, tile) for tile in tiles if mask[tile].any()
            ]
            n_units = len(tiles)
        else:
            layer = [(full[j, i], depth, (j, i)) for j, i in zip(*np.nonzero(mask), strict=True)]
            n_units = n_out * n_in
        if scope == "layer":
            layer.sort()
            gone = n_units - len(layer)
            layer = [
                ((gone + place + 0.5) / n_units, depth, where)
                for place, (_, _, where) in enumerate(layer)
            ]
        units += layer
    return [(depth, where) for _, depth, where in sorted(units)]


def is_left(new, unit, granularity):
    depth, where = unit
    return bool(np.any(new[depth][where]))


def connected(new, masks):
    """What is on paths, where paths are known."""
    return cascade(new) if isinstance(masks.layout, Chain) else new


def n_connected(new, masks):
    return sum(int(mask.sum()) for mask in connected(new, masks))


@given(cases())
def test_the_target_is_met_and_not_by_more_than_one_unit(case):
    scores, masks, options, n_left = case
    new = select(scores, masks, n_left=n_left, **options)
    assert n_connected(new, masks) <= n_left

    order = ordered_units(scores, masks, options["granularity"], options["scope"])
    gone = [unit for unit in order if not is_left(new, unit, options["granularity"])]
    if gone:
        depth, where = gone[-1]
        new[depth][where] = masks.current[depth][where]
        assert n_connected(new, masks) > n_left


@given(cases())
def test_lowest_scores_go_first_and_only_protected_units_are_passed_over(case):
    scores, masks, options, n_left = case
    new = select(scores, masks, n_left=n_left, **options)
    order = ordered_units(scores, masks, options["granularity"], options["scope"])
    left = [is_left(new, unit, options["granularity"]) for unit in order]
    if all(left):
        return
    last_gone = max(place for place, kept in enumerate(left) if not kept)
    passed_over = [unit for unit, kept in zip(order[:last_gone], left, strict=False) if kept]
    for depth, floor in enumerate(options["floors"]):
        wide = max([1, *[other for other in options["floors"] if other > 1]])
        most = floor if options["granularity"] == "neuron" else wide * len(options["floors"])
        assert sum(unit[0] == depth for unit in passed_over) <= most


@given(cases())
def test_masks_only_shrink_and_the_old_ones_are_not_changed(case):
    scores, masks, options, n_left = case
    before = [mask.copy() for mask in masks.current]
    new = select(scores, masks, n_left=n_left, **options)
    for old, mask, after in zip(before, masks.current, new, strict=True):
        assert (old == mask).all()
        assert not (after & ~old).any()


@given(cases(granularity="neuron"))
def test_neurons_leave_whole_and_floors_stay(case):
    scores, masks, options, n_left = case
    new = select(scores, masks, n_left=n_left, **options)
    for old, mask, final, floor in zip(
        masks.current, new, connected(new, masks), options["floors"], strict=True
    ):
        gone = ~mask.any(axis=1)
        assert (mask[~gone] == old[~gone]).all()
        assert final.any(axis=1).sum() >= floor


@given(cases(granularity=st.sampled_from(BLOCKS)))
def test_blocks_leave_whole(case):
    scores, masks, options, n_left = case
    height, width = options["granularity"]
    new = select(scores, masks, n_left=n_left, **options)
    for old, mask in zip(masks.current, new, strict=True):
        for j, i in itertools.product(range(0, len(old), height), range(0, len(old.T), width)):
            tile = slice(j, j + height), slice(i, i + width)
            assert not mask[tile].any() or (mask[tile] == old[tile]).all()


@given(cases(granularity=st.sampled_from([(1, 1), (1, 99)]), chained=False))
def test_smallest_and_longest_blocks_are_weights_and_neurons(case):
    scores, masks, options, n_left = case
    alike = "weight" if options["granularity"] == (1, 1) else "neuron"
    options["floors"] = [1] * len(scores)
    n_left = max(n_left, masks.layout.fewest_weights(alike, options["floors"]))
    for one, other in zip(
        select(scores, masks, n_left=n_left, **options),
        select(scores, masks, n_left=n_left, **options | {"granularity": alike}),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("scope", SCOPES)
def test_blocks_stay_where_they_were_when_neurons_have_left(scope):
    shapes = [(5, 4), (6, 5)]
    random = np.random.RandomState(0)
    whole = [random.uniform(size=shape) for shape in shapes]
    keep = [np.array([1, 0, 1, 1, 1], bool), np.array([1, 1, 0, 1, 0, 1], bool)]
    masks = Masks(Chain(shapes))
    cut = masks.without(keep)
    scores = [whole[0][keep[0]], whole[1][np.ix_(keep[1], keep[0])]]
    options = {"granularity": (2, 2), "scope": scope, "floors": [1, 1], "n_left": 12}
    # The same without cutting: what has left is masked.
    masked = masks.replaced(cut.full())
    found = cut.replaced(select(scores, cut, **options)).full()
    for mask, expected in zip(found, select(whole, masked, **options), strict=True):
        np.testing.assert_array_equal(mask, expected)
    assert 0 < sum(mask.sum() for mask in found) <= 12


@given(cases(granularity="weight", chained=True))
def test_a_path_from_input_to_output_survives(case):
    scores, masks, options, n_left = case
    new = cascade(select(scores, masks, n_left=n_left, **options))
    for mask, floor in zip(new, options["floors"], strict=True):
        assert mask.any(axis=1).sum() >= floor


@given(cases(granularity="weight", chained=True))
def test_the_surviving_path_is_the_one_that_removal_in_order_cuts_last(case):
    scores, masks, options, _ = case
    options = {**options, "floors": [1] * len(masks.shapes)}
    order = ordered_units(scores, masks, "weight", options["scope"])
    rank = {unit: place for place, unit in enumerate(order)}

    new = cascade(select(scores, masks, n_left=len(masks.shapes), **options))

    sizes = [masks.shapes[0][1], *(n_out for n_out, _ in masks.shapes)]
    widths = [
        min(
            rank.get((depth, (j, i)), -1)
            for depth, (i, j) in enumerate(zip(path, path[1:], strict=False))
        )
        for path in itertools.product(*(range(size) for size in sizes))
    ]
    kept = [(depth, tuple(np.argwhere(mask)[0])) for depth, mask in enumerate(new)]
    assert [mask.sum() for mask in new] == [1] * len(new)
    assert min(rank[unit] for unit in kept) == max(widths)


@given(cases(chained=False, granularity="weight", ties=True))
def test_ties_are_not_pruned_in_excess(case):
    scores, masks, options, n_left = case
    new = select(scores, masks, n_left=n_left, **options)
    assert sum(int(mask.sum()) for mask in new) == min(n_left, masks.n_left)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("granularity", ["neuron", "weight", (2, 1)])
def test_ties_go_by_position(granularity, scope):
    masks = Masks(Loose([(4, 3), (4, 4)]))
    new = select(
        [np.zeros((4, 3)), np.zeros((4, 4))],
        masks,
        granularity=granularity,
        scope=scope,
        floors=[1, 1],
        n_left=14,
    )
    gone = [np.flatnonzero(~mask.ravel()).tolist() for mask in new]
    if scope == "global":
        # The earlier layer first, down to the last unit of it, which stays.
        expected = {"neuron": [list(range(9)), [0, 1, 2, 3, 4, 5, 6, 7]]}
        expected["weight"] = [list(range(11)), [0, 1, 2]]
        expected[2, 1] = [[0, 1, 2, 3, 4, 5, 6, 7, 9, 10], [0, 1, 4, 5]]
    else:
        expected = {"neuron": [list(range(6)), list(range(8))]}
        expected["weight"] = expected[2, 1] = [list(range(6)), list(range(8))]
    assert gone == expected[granularity]


@pytest.mark.parametrize("granularity", ["neuron", "weight", (2, 5)])
def test_layer_scope_takes_the_same_share_of_every_layer_whatever_its_scores(granularity):
    random = np.random.RandomState(0)
    masks = Masks(Loose([(20, 10), (20, 10)]))
    scores = [random.uniform(size=(20, 10)), 1e6 * random.uniform(size=(20, 10))]
    options = {"granularity": granularity, "floors": [1, 1], "n_left": 220}
    by_layer = select(scores, masks, scope="layer", **options)
    of_all = select(scores, masks, scope="global", **options)
    assert [mask.sum() for mask in by_layer] == [110, 110]
    assert [mask.sum() for mask in of_all] == [20, 200]


@given(cases(granularity="weight", chained=True), st.integers(0, 40))
def test_a_number_of_weights_can_be_removed_without_counting_what_dies_of_it(case, n_removed):
    scores, masks, options, _ = case
    new = select(scores, masks, n_removed=n_removed, **options)
    removed = masks.n_left - sum(int(mask.sum()) for mask in new)
    assert removed <= n_removed
    if removed < n_removed:
        with_all = select(scores, masks, n_removed=10**6, **options)
        assert all((a == b).all() for a, b in zip(new, with_all, strict=True))


@given(cases(granularity="neuron"))
def test_the_smallest_possible_net_is_reached_and_no_smaller_one(case):
    scores, masks, options, _ = case
    smallest = masks.layout.fewest_weights("neuron", options["floors"])
    new = select(scores, masks, n_left=0, **options)
    assert n_connected(new, masks) == smallest


@pytest.mark.parametrize("granularity", ["neuron", "weight", (2, 5)])
def test_layer_scope_counts_what_earlier_rounds_took(granularity):
    masks = Masks(Loose([(8, 5), (8, 5)]))
    masks.current[0][:4] = False
    random = np.random.RandomState(0)
    scores = [random.uniform(size=(8, 5)), random.uniform(size=(8, 5))]
    new = select(scores, masks, granularity=granularity, scope="layer", floors=[1, 1], n_left=40)
    assert [mask.sum() for mask in new] == [20, 20]


def test_says_what_is_missing_where_nothing_is_asked_for():
    masks = Masks(Chain([(2, 3)]))
    with pytest.raises(TypeError, match="n_left, n_removed or cutoffs"):
        select([np.ones((2, 3))], masks, granularity="weight", scope="layer", floors=[1])
