"""What is special of single experiments, by small examples."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.reproduce import (
    accuracy,
    lenet,
    nuclear,
    reduction,
    scores,
    spectra,
    unlabeled,
    variant,
    whitened,
)
from benchmarks.reproduce.moments import Moments, unpack
from benchmarks.reproduce.nets import split
from benchmarks.reproduce.protocol import Rows, estimator
from skactprune import PrunedMLPClassifier
from skactprune.methods import Activation
from skactprune.spectra import singular_values
from skactprune.triggers import EpochTrigger

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"datasets": ("digits",), "n_rows": 300, "hidden": (60, 16), "epochs": 4}
ROWS = Rows.load("digits", 300)


# -- accuracy and variant -----------------------------------------------------------------------


def test_rivals_are_of_the_size_of_the_pruned_net(tmp_path):
    settings = accuracy.QUICK.but(**SMALL)
    run = {"dataset": "digits", "method": "count", "fraction": 0.5, "rounds": 5, "seed": 0}
    rows = pd.DataFrame(accuracy.execute(settings, tmp_path, **run)).set_index("model")
    assert set(rows.index) == set(accuracy.RIVALS)
    assert rows.loc["small from scratch", "live"] == rows.loc["pruned", "live"]
    assert rows.loc["truncated SVD, retrained", "ranks"] == rows.loc["pruned", "ranks"]
    # The authors leave the weights out that die with their neuron.
    assert rows.loc["pruned", "sparsity"] > 0.5
    later = accuracy.execute(settings, tmp_path, **run | {"seed": 2})
    assert [row["model"] for row in later] == ["pruned", "kernel PCA", "truncated SVD"]


def test_whitened_kernels_have_the_ranks_and_the_nets_of_the_others(tmp_path):
    settings = whitened.QUICK.but(**SMALL)
    run = {"dataset": "digits", "method": "count", "fraction": 0.5, "seed": 0}
    rows = pd.DataFrame(whitened.execute(settings, tmp_path, **run)).set_index("model")
    assert list(rows.index) == [
        "pruned",
        *("kernel PCA", "kernel PCA, retrained", "truncated SVD"),
        *("whitened SVD", "whitened SVD, retrained"),
    ]
    same = rows.loc[["pruned", "truncated SVD", "whitened SVD", "whitened SVD, retrained"], "ranks"]
    assert same.nunique() == 1
    # Those of the other experiment, to the last bit.
    run |= {"rounds": 5}
    others = pd.DataFrame(accuracy.execute(settings, tmp_path, **run)).set_index("model")
    both = ["pruned", "kernel PCA, retrained", "truncated SVD"]
    pd.testing.assert_series_equal(
        rows.loc[both, "test_accuracy"], others.loc[both, "test_accuracy"]
    )
    assert {
        answer.claim
        for answer in whitened.answers(
            pd.concat(
                [
                    rows.reset_index().assign(
                        dataset="digits", method="count", fraction=0.5, seed=seed
                    )
                    for seed in (0, 1)
                ]
            )
        )
    } == {"C3"}


def test_sizes_of_the_full_variant_runs():
    assert variant.sizes(variant.FULL) == ["120-80-40-20", "60-40-20-10", "30-20-10-5"]
    assert len(list(variant.runs(variant.FULL))) == 5 * (1 + 3 * (6 + 4 + 2))


@pytest.mark.parametrize(
    ("granularity", "method"),
    [("neuron", variant.VARIANT), ("weight", "magnitude"), ("none", variant.SCRATCH)],
)
def test_variant_nets_have_the_size_of_the_run(granularity, method, tmp_path):
    settings = variant.QUICK.but(**SMALL | {"hidden": (60, 30, 20, 10)}, n_train=200)
    place = {"dataset": "digits", "granularity": granularity, "method": method}
    (row,) = variant.execute(settings, tmp_path, **place, size="24-12-8-4", seed=1)
    left = 64 * 24 + 24 * 12 + 12 * 8 + 8 * 4
    if granularity == "weight":
        assert row["weights"] == pytest.approx(left + 10 * 10, rel=0.02)
    else:
        assert row["live"] == "24-12-8-4" and row["flops"] == 2 * (left + 4 * 10)


# -- spectra and nuclear norms ------------------------------------------------------------------


def test_cut_and_masked_matrices_have_the_same_measures():
    rng = np.random.default_rng(0)
    full = np.zeros((12, 8), np.float32)
    cut = rng.normal(size=(7, 3)).astype(np.float32)
    full[np.ix_(np.arange(7) + 2, [1, 4, 6])] = cut
    (a,), (b,) = (spectra.layers([coef], [(12, 8)]) for coef in (full, cut))
    assert a["rank"] == b["rank"] == 3 and a["full"] == b["full"] == 8
    assert a["sparsity"] == b["sparsity"] == 1 - 21 / 96
    values = unpack([a["singular_values"], b["singular_values"]])
    assert_allclose(values[0], values[1], atol=1e-6)
    assert_allclose(values[1][[0, -1]], [singular_values(cut)[0], 0], rtol=1e-3)


LOW, MIDDLE, HIGH, WIDE = [20, 21, 22], [60, 61, 62], [99, 100, 99], [20, 90, 40]


@pytest.mark.parametrize(
    ("count", "magnitude", "sparsity", "low", "remains"),
    [
        (LOW, HIGH, 0.8, "yes", "yes"),
        (LOW, HIGH, 0.3, "no", "yes"),
        (LOW, LOW, 0.8, "only the first half", "only for count"),
        (MIDDLE, HIGH, 0.8, "only relatively", "only for magnitude"),
        (HIGH, HIGH, 0.8, "no", "only for magnitude"),
        (HIGH, LOW, 0.8, "no", "no"),
        (WIDE, HIGH, 0.8, "not decided by 3 seeds", "not decided by 3 seeds"),
        (LOW, [99, 60, 100], 0.8, "not decided by 3 seeds", "not decided by 3 seeds"),
        ([20], [100], 0.8, "not decided by 1 seed", "not decided by 1 seed"),
    ],
)
def test_verdicts_on_ranks(count, magnitude, sparsity, low, remains):
    rows = pd.DataFrame(
        {"dataset": "d", "method": method, "regrow": regrow, "seed": seed, "moment": moment}
        | {"round": 5, "rank": rank, "full": 100, "net_sparsity": sparsity}
        for method, ranks in (("count", count), ("magnitude", magnitude))
        for regrow in (0, 1)
        for moment in ("after", "end")
        for seed, rank in enumerate(ranks)
    )
    assert spectra.sparse_and_low(rows, "count").answer == low
    assert spectra.remains(rows, "count").answer == remains


def test_penalties_leave_as_much_as_the_round_and_more_of_the_large_values():
    kept = Moments()
    rounds = {"trigger": EpochTrigger(0.5, 0.5), "prune_fraction": 0.4, "n_prune_rounds": 1}
    fast = {"learning_rate_init": 0.05, "batch_size": 8}
    how = {"method": Activation(), "callbacks": [kept]} | rounds | fast
    estimator(ROWS, (20, 15), 3, 0, **how).fit(ROWS.X, ROWS.y)
    settings = nuclear.QUICK.but(rate=0.05, batch=8, alphas=(100.0,))
    (moment,) = kept.rounds_
    rows = pd.DataFrame(nuclear.compare(moment, ROWS, settings, 0))
    first = rows[(rows.effect == "round") & (rows.layer == 1)].iloc[0]
    norm = np.linalg.norm(moment["before"][0][0], "nuc")
    assert first["norm_before"] == pytest.approx(norm, rel=1e-5)
    by_effect = rows.groupby("effect")
    norms = by_effect[["norm_before", "norm_after"]].sum()
    left = norms["norm_after"] / norms["norm_before"]
    assert left["linear"] == pytest.approx(left["round"], abs=0.02)
    assert left["uniform"] == pytest.approx(left["round"], abs=0.02)
    assert left["paper"] < 0.01 < 0.3 < left["round"] < 0.9 < left["training"]
    lower = by_effect["lower_half"].mean()
    assert lower["linear"] > lower["uniform"] + 0.1


@pytest.mark.parametrize("slopes", ["linear", "uniform"])
def test_strength_where_the_loss_pulls_back(slopes):
    plain = [np.linspace(2, 0.5, 10), np.linspace(1, 0.2, 6)]
    asked = []

    def penalized(alpha):
        asked.append(alpha)
        # Half of what the penalty alone would do.
        return [np.maximum(s - 0.25 * alpha * nuclear.SLOPES[slopes](len(s)), 0) for s in plain]

    alpha, after = nuclear.matched(plain, 0.6, slopes, 0.5, penalized)
    assert alpha in asked and len(asked) <= 5
    assert sum(map(np.sum, after)) / sum(map(np.sum, plain)) == pytest.approx(0.6, abs=0.01)


def test_profile_of_a_fall_in_the_lower_half():
    row = nuclear.profile(np.array([4.0, 3.0, 2.0, 1.0]), np.array([4.0, 3.0, 1.0]))
    assert row["norm_before"] == 10 and row["norm_after"] == 8 and row["lower_half"] == 1
    assert_allclose(np.unique(unpack([row["profile"]])), [0, 0.5, 1])
    assert np.isnan(nuclear.profile(np.ones(3), np.ones(3))["lower_half"])


def test_distances_of_profiles_by_hand():
    profiles = {("round", 0): 0.5, ("round", 1): 0, ("round", 2): 1}
    profiles |= {("linear", 0): 1, ("linear", 1): 0, ("linear", 2): 0.5}
    rows = pd.DataFrame(
        {"dataset": "d", "round": 1, "layer": 1, "seed": seed, "effect": effect}
        | {"profile": " ".join([str(value)] * 40)}
        for (effect, seed), value in profiles.items()
    )
    to_penalty, to_seeds = nuclear.distances(rows, "linear")
    assert_allclose(to_penalty, [0.5, 0, 0.5])
    assert_allclose(to_seeds, [0.5, 0.75, 0.75])


@pytest.mark.parametrize(
    ("differences", "margin", "verdict"),
    [
        ([0.1, 0.2, 0.1], 0.5, "yes"),
        ([-3, -3.1, -3], 0.5, "no"),
        ([0.1, 0.09, 0.1], 0, "yes"),
        ([-3, 3, 0], 0.5, "not decided by 3 seeds"),
        ([3], 0, "not decided by 1 seed"),
    ],
)
def test_verdict_on_nuclear_norms(differences, margin, verdict):
    assert nuclear.verdict(np.array(differences), margin) == verdict


# -- reduction ----------------------------------------------------------------------------------


def test_pca_is_scored_as_by_hand():
    settings = reduction.QUICK.but(**SMALL, components=(12,), neighbor_rows=200)
    (row,) = reduction.execute(settings, None, "digits", "PCA", 1)
    X = ROWS.X.astype(float)
    by_hand = make_pipeline(PCA(12, svd_solver="full"), StandardScaler(), LogisticRegression())
    by_hand.fit(X, ROWS.y)
    few = np.random.default_rng(1).choice(300, 200, replace=False)
    neighbors = KNeighborsClassifier().fit(by_hand[0].transform(X[few]), ROWS.y[few])
    Z_test = by_hand[0].transform(ROWS.X_test)
    assert row["logistic_train_accuracy"] == by_hand.score(X, ROWS.y)
    assert row["logistic_test_accuracy"] == by_hand.score(ROWS.X_test, ROWS.y_test)
    assert row["neighbors_test_accuracy"] == neighbors.score(Z_test, ROWS.y_test)
    # All test rows are judged, so that the draw does not matter.
    assert row["trustworthiness"] == pytest.approx(trustworthiness(ROWS.X_test, Z_test), abs=1e-4)


def test_every_method_has_the_numbers_of_components_that_it_can_have():
    settings = reduction.QUICK.but(**SMALL, components=(2, 12), nca_rows=60, nca_iterations=2)
    for method, representations in reduction.METHODS.items():
        found = list(representations(ROWS, settings, 0))
        assert sorted({k for _, k, _, _ in found}) == ([2, 9] if method == "LDA" else [2, 12])
        for _, k, transform, _ in found:
            assert transform(ROWS.X_test).shape == (len(ROWS.X_test), k)


def test_points_survive_the_file():
    Z, labels = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 10
    points, read = reduction.unpack(reduction.pack(Z, labels))
    assert_array_equal(read, labels)
    assert_allclose(points, (Z - Z.min(axis=0)) / np.ptp(Z, axis=0), atol=1e-3)
    assert_array_equal(reduction.unpack(reduction.pack(np.zeros((20, 2)), labels))[0], 0)


# -- unlabelled rows ----------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_parts_are_disjoint_and_stratified(share):
    y = ROWS.y
    labeled, others = unlabeled.parts(y, share, 0)
    assert_array_equal(np.sort(np.concatenate([labeled, others])), np.arange(len(y)))
    assert len(labeled) == pytest.approx(0.9 * share * len(y), abs=1)
    assert_allclose(np.bincount(y[labeled]), np.bincount(y) * len(labeled) / len(y), atol=1.5)
    assert not np.array_equal(labeled, unlabeled.parts(y, share, 1)[0])


@pytest.mark.parametrize("method", unlabeled.METHODS)
def test_fit_is_given_the_rows_of_its_method(method, monkeypatch):
    seen, fit = [], PrunedMLPClassifier.fit

    def spy(self, X, y, sample_weight=None, X_unlabeled=None):
        seen.append((X, X_unlabeled))
        return fit(self, X, y, X_unlabeled=X_unlabeled)

    monkeypatch.setattr(PrunedMLPClassifier, "fit", spy)
    settings = unlabeled.QUICK.but(**SMALL | {"epochs": {0.5: 2}})
    unlabeled.execute(settings, None, "digits", 0.5, method, 1)
    labeled, others = unlabeled.parts(ROWS.y, 0.5, 1)
    ((X, without),) = seen
    assert_array_equal(X, ROWS.X[labeled])
    assert (without is not None) == (method == unlabeled.UNLABELED)
    if without is not None:
        assert_array_equal(without, ROWS.X[others])


def test_agreement_of_firing():
    net = PrunedMLPClassifier((4,), prune_fraction=0, max_iter=1, random_state=0)
    net.fit(ROWS.X, ROWS.y)
    net.coefs_[0][:] = 0
    net.coefs_[0][[0, 1, 2, 3], [0, 1, 2, 3]] = 1
    net.intercepts_[0][:] = -0.5
    first, last = np.zeros((2, 3, 64), np.float32)
    first[:, 0] = last[:, 3] = 1
    assert unlabeled.agreement(net, first, first) == 1
    assert unlabeled.agreement(net, first, last) == 0


def test_only_seeds_with_all_conditions_are_averaged():
    rows = pd.DataFrame(
        {"dataset": "d", "share": share, "method": method, "seed": seed, "test_accuracy": value}
        for share in (0.1, 1.0)
        for seed in (0, 1)
        for method, value in ((unlabeled.LABELED, 0.5), (unlabeled.UNLABELED, 0.5 + seed * share))
    )
    assert_allclose(unlabeled.averages(rows), [0, 0.55])
    assert_allclose(unlabeled.averages(rows[1:]), [0.55])


# -- scores and LeNet ---------------------------------------------------------------------------


class Layer:
    """What a score sees."""

    rng = np.random.default_rng(0)
    weight, mask = rng.normal(size=(6, 4)), np.arange(24).reshape(6, 4) % 5 > 0
    counts, n_counted, input_deviation = np.arange(6), 10.0, np.arange(4.0)


def test_scores_are_what_their_names_say():
    w, p = Layer.weight * Layer.mask, np.arange(6) / 10
    deviation = np.sqrt(p * (1 - p))
    for name, expected in {
        "p": p,
        "f": deviation,
        "‖w_in‖₁": np.abs(w).sum(axis=1),
        "‖w_in‖": np.sqrt((w**2).sum(axis=1)),
        "f Σ abs(w_in) s (firing deviation)": deviation * (np.abs(w) @ Layer.input_deviation),
    }.items():
        assert_allclose(scores.SCORES[name](Layer), expected)


@pytest.mark.parametrize("compression", [12, 68])
def test_fraction_leaves_as_many_weights_as_the_compression_says(compression):
    left = 265_200 * (1 - lenet.fraction(compression, (784, 300, 100, 10))) + 1000
    assert left == pytest.approx(266_200 / compression)


@pytest.mark.parametrize("method", [lenet.DENSE, lenet.VARIANT])
def test_lenet_counts_all_weights(method):
    settings = lenet.QUICK.but(**SMALL | {"hidden": (40, 20)})
    (row,) = lenet.execute(settings, None, "digits", method, 4, 0)
    whole = 64 * 40 + 40 * 20 + 20 * 10
    assert sum(split(row["weights_by_layer"])) == row["weights"]
    assert row["reached"] == pytest.approx(whole / row["weights"])
    low, high = (1, 1) if method == lenet.DENSE else (4, 4.4)
    assert low <= row["reached"] <= high
    assert row["epochs"] == (10 if method == lenet.DENSE else 4)


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ((1.3, 1.31, 1.32), "yes"),
        ((1.2, 1.39, 1.5), "yes, on average"),
        ((1.3, 1.5, 1.45), "no, on average"),
        ((1.5, 1.51, 1.52), "no"),
    ],
)
def test_marks_are_for_the_mean_and_say_where_seeds_leave_doubt(errors, verdict):
    assert lenet.reached(pd.Series(errors), 1.4) == verdict
