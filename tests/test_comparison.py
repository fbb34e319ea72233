"""Comparison with PCA: what is fitted on which rows, and what the rows of the table say."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array, csr_matrix
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, RobustScaler, StandardScaler
from sklearn.svm import SVC
from skorch.callbacks import Callback

from skactprune import (
    Magnitude,
    PrunedAutoencoder,
    PrunedMLPClassifier,
    PrunedMLPRegressor,
    compact,
    compare_with_pca,
)
from skactprune.inspection import ArrayNet, LowRankNet, model_row, n_parameters, n_weights, rivals

METHODS = [
    "pruned net",
    "unpruned net",
    "unpruned net, kernel PCA",
    "unpruned net, truncated SVD",
    "net pruned at random",
    "small net from scratch",
    "logistic regression",
    "gradient boosting",
    "PCA + classifier",
    "LDA + classifier",
    "NCA + classifier",
    "transform + classifier",
]
FITTED_NETS = METHODS[4:6]
SCORES = ["accuracy", "balanced_accuracy", "neg_log_loss"]
COLUMNS = [
    "method",
    "fold",
    *(f"{split}_{score}" for split in ("train", "test") for score in SCORES),
    "sparsity",
    "live_neurons",
    "ranks",
    "n_components",
    "parameters",
    "fit_seconds",
]

# Nets here are far from converged, on purpose: they must be quick.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)


def small_net(**params):
    defaults = {"max_iter": 20, "learning_rate_init": 0.02, "random_state": 0}
    return PrunedMLPClassifier((20, 10), **{**defaults, **params})


@pytest.fixture(scope="module")
def frame():
    model = make_pipeline(StandardScaler(), small_net())
    return pd.DataFrame(compare_with_pca(model, X, y, cv=3))


def test_one_row_for_every_method_and_fold(frame):
    assert frame["method"].tolist() == METHODS * 3
    assert frame["fold"].tolist() == sorted([0, 1, 2] * len(METHODS))
    assert sorted(frame.columns) == sorted(COLUMNS)


def test_scores_of_the_nets_are_those_of_fitting_them_by_hand(frame):
    scores = frame.set_index(["method", "fold"])
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        for method, fraction in (("pruned net", 0.8), ("unpruned net", 0)):
            model = make_pipeline(StandardScaler(), small_net(prune_fraction=fraction))
            model.fit(X[train], y[train])
            row = scores.loc[method, fold]
            assert row["test_accuracy"] == model.score(X[test], y[test])
            assert row["train_accuracy"] == model.score(X[train], y[train])


def test_reconstructions_have_the_pruned_ranks(frame):
    for _, rows in frame.groupby("fold"):
        ranks = rows.set_index("method")["ranks"]
        pruned, pca = ranks["pruned net"], ranks["unpruned net, kernel PCA"]
        assert ranks["unpruned net, truncated SVD"] == pruned
        # PCA adds the mean row back.
        assert all(p <= r <= p + 1 for p, r in zip(pruned, pca, strict=True))
        assert all(p < d for p, d in zip(pruned[1:], ranks["unpruned net"][1:], strict=True))


def test_sizes_are_those_of_the_models(frame):
    train, _ = next(iter(StratifiedKFold(3).split(X, y)))
    net = small_net().fit(StandardScaler().fit_transform(X[train]), y[train])
    rows = frame[frame["fold"] == 0].set_index("method")
    size = {name: rows.loc[name, "parameters"] for name in METHODS}
    assert size["pruned net"] == sum(
        np.count_nonzero(c) + b.size for c, b in zip(net.coefs_, net.intercepts_, strict=True)
    )
    assert size["unpruned net"] == 4 * 20 + 20 + 20 * 10 + 10 + 10 * 3 + 3
    # 4 components of 4 features, their mean, and a linear classifier of 3 classes.
    assert size["PCA + classifier"] == 16 + 4 + 12 + 3
    assert size["LDA + classifier"] == 2 * 4 + 4 + 2 * 3 + 3
    assert size["NCA + classifier"] == 16 + 12 + 3
    assert size["logistic regression"] == 12 + 3
    assert np.isnan(size["gradient boosting"])
    ranks = rows.loc["unpruned net, truncated SVD", "ranks"]
    first = min(4 * 20, ranks[0] * 24)
    assert size["unpruned net, truncated SVD"] == first + 20 + ranks[1] * 30 + 10 + 33
    assert rows.loc["pruned net", "sparsity"] == pytest.approx(net.sparsity_)
    assert rows.loc["pruned net", "live_neurons"] == [len(live) for live in net.live_neurons_]
    assert rows.loc["unpruned net", "sparsity"] == 0


def random_net(rng, sizes, activation="tanh"):
    shapes = zip(sizes[:-1], sizes[1:], strict=True)
    coefs = [rng.normal(size=shape) for shape in shapes]
    return ArrayNet(coefs, [rng.normal(size=n) for n in sizes[1:]], activation)


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("rank", [0, 1, 4, 30])
def test_a_low_rank_net_predicts_from_the_numbers_it_is_counted_with(rank, n_out):
    rng = np.random.default_rng(rank)
    net = random_net(rng, (30, 20, 10, n_out))
    rows = rng.normal(size=(50, 30))
    for kind in ("pca", "svd"):
        low = LowRankNet(net, [rank, rank], kind)
        h, stored = rows, 0
        for kernel, bias in zip(net.coefs_[:-1], net.intercepts_[:-1], strict=True):
            mean = kernel.mean(axis=0) * (kind == "pca")
            U, s, Vt = np.linalg.svd(kernel - mean, full_matrices=False)
            inner, outer = U[:, :rank] * s[:rank], Vt[:rank]
            # The column that multiplies the mean row is all ones.
            h = np.tanh(h @ inner @ outer + h.sum(axis=1, keepdims=True) * mean + bias)
            factors = inner.size + outer.size + np.count_nonzero(mean)
            stored += min(factors, kernel.size)
        logits = h @ net.coefs_[-1] + net.intercepts_[-1]
        expected = logits.argmax(axis=1) if n_out > 1 else logits[:, 0] > 0
        np.testing.assert_array_equal(low.predict(rows), expected)
        assert n_weights(low) == stored + 10 * n_out
        assert n_parameters(low) == n_weights(low) + 30 + n_out
    assert n_weights(low) <= n_weights(net)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_whitened_net_looks_at_what_each_layer_gets(sparse, monkeypatch):
    # Batches that do not divide the rows.
    monkeypatch.setattr("skactprune.inspection.low_rank.BATCH", 7)
    rng = np.random.default_rng(0)
    net = random_net(rng, (8, 6, 5, 3))
    rows = rng.normal(size=(30, 8)) * np.arange(1, 9)
    low = LowRankNet(net, [2, 3], "whitened", csr_array(rows) if sparse else rows)
    h = rows
    layers = zip(net.coefs_, net.intercepts_, low.coefs_, [2, 3], strict=False)
    for kernel, bias, found, rank in layers:
        # By the inverse of the root, which is another way than the package's.
        root = np.linalg.cholesky(h.T @ h / 30 + 1e-12 * np.eye(len(kernel))).T
        U, s, Vt = np.linalg.svd(root @ kernel, full_matrices=False)
        expected = np.linalg.solve(root, (U[:, :rank] * s[:rank]) @ Vt[:rank])
        np.testing.assert_allclose(found, expected, atol=1e-6)
        h = np.tanh(h @ kernel + bias)
    assert low.hidden_ranks_ == [2, 3] and low.kernel_sizes_[0] == 2 * (8 + 6)
    np.testing.assert_array_equal(low.coefs_[-1], net.coefs_[-1])


def test_a_kernel_of_lower_rank_than_asked_for_is_counted_with_its_own():
    rng = np.random.default_rng(0)
    low = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 20))
    net = ArrayNet([low, np.eye(20)], [np.zeros(20), np.zeros(20)])
    for kind in ("pca", "svd"):
        assert LowRankNet(net, [7], kind).kernel_sizes_ == [2 * 50, 20]
    net.coefs_[0] = np.zeros((30, 20))
    for kind in ("pca", "svd"):
        assert LowRankNet(net, [7], kind).kernel_sizes_ == [0, 20]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "nmf"}, r"kind='nmf' must be one of \['pca', 'svd', 'whitened'\]"),
        ({"kind": "whitened"}, "X=None must be rows for kind='whitened'"),
        ({"X": [[1.0] * 6]}, "must be None for kind='pca'"),
        ({"ranks": [1]}, r"ranks=\[1\] must have 2 numbers"),
        ({"ranks": [-1, 1]}, r"ranks=\[-1, 1\] must be integers, not negative"),
    ],
)
def test_errors_of_low_rank_nets(change, message):
    net = random_net(np.random.default_rng(0), (6, 5, 4, 3))
    with pytest.raises(ValueError, match=message):
        LowRankNet(**{"net": net, "ranks": [1, 1], **change})


def test_a_row_is_the_same_for_a_net_and_for_its_arrays():
    net = small_net(method="magnitude").fit(X, y)
    arrays = ArrayNet(net.coefs_, net.intercepts_, net.activation, net.classes_)
    splits = {"train": (X, y), "validation": (X[::3], y[::3]), "test": None}
    row = model_row(net, splits, method="a", seed=3)
    assert list(row)[:5] == [
        *("method", "seed"),
        *(f"{name}_accuracy" for name in splits),
    ]
    assert row["sparsity"] == net.sparsity_
    assert np.isnan([row["test_accuracy"], row["fit_seconds"]]).all()
    other = model_row(arrays, splits, method="a", seed=3)
    # Arrays do not tell what was there before.
    assert np.isnan(other["sparsity"])
    np.testing.assert_equal({**other, "sparsity": 0}, {**row, "sparsity": 0})
    # A scaler before the net is no number to store: it can be multiplied into the weights.
    model = make_pipeline(StandardScaler(), net)
    assert n_parameters(model) == n_parameters(net) == row["parameters"]


def test_steps_whose_size_cannot_be_told_have_none():
    for model in (
        KNeighborsClassifier(),
        make_pipeline(Nystroem(n_components=5), LogisticRegression(max_iter=1000)),
        make_pipeline(FeatureUnion([("other", Nystroem(n_components=5))]), Ridge()),
        make_pipeline(PCA(2), KNeighborsClassifier()),
    ):
        model.fit(X, y)
        assert np.isnan(n_parameters(model))


def test_what_prepares_columns_is_no_number_to_store():
    net = LogisticRegression(max_iter=1000)
    prepared = ColumnTransformer(
        [
            ("both", make_pipeline(SimpleImputer(), RobustScaler()), [0, 1]),
            ("bins", KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), [2]),
            ("none", "drop", [3]),
        ],
        remainder="passthrough",
    )
    n_columns = 2 + 3 + X.shape[1] - 4
    expected = {prepared: 0, VarianceThreshold(): 0, SelectKBest(k=2): 0}
    union = FeatureUnion([("pca", PCA(2)), ("svd", TruncatedSVD(3)), ("as it is", "passthrough")])
    expected[union] = (2 * X.shape[1] + X.shape[1]) + 3 * X.shape[1]
    for step, number in expected.items():
        model = make_pipeline(step, net).fit(X, y)
        assert n_parameters(model) == number + n_parameters(model[-1]), step
        if step is prepared:
            assert model[-1].coef_.shape[1] == n_columns


def test_models_around_others_are_as_large_as_these():
    net = PrunedMLPRegressor(hidden_layer_sizes=(6,), max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scaled = TransformedTargetRegressor(make_pipeline(StandardScaler(), net)).fit(X, y)
        search = GridSearchCV(net, {"alpha": [0.1, 0.2]}, cv=2).fit(X, y)
    for model, inner in ((scaled, scaled.regressor_[-1]), (search, search.best_estimator_)):
        assert n_parameters(model) == n_parameters(inner)
        row = model_row(model, {})
        assert row["ranks"] == inner.hidden_ranks_ and row["sparsity"] == inner.sparsity_
        assert row["live_neurons"] == [len(live) for live in inner.live_neurons_]


def test_coefficients_that_are_zero_are_no_numbers():
    few = LogisticRegression(l1_ratio=1, solver="saga", C=0.05, max_iter=5000).fit(X, y)
    assert n_parameters(few) == np.count_nonzero(few.coef_) + 3 < few.coef_.size + 3
    sparse = few.sparsify()
    assert n_parameters(sparse) == sparse.coef_.nnz + 3


def test_a_bare_net_and_a_given_classifier():
    rows = compare_with_pca(
        small_net(dtype="float32"), X, y, cv=2, downstream=KNeighborsClassifier()
    )
    assert [row["method"] for row in rows] == METHODS * 2
    by_method = {row["method"]: row for row in rows}
    # How large nearest neighbours are is not told by weights.
    assert np.isnan(by_method["PCA + classifier"]["parameters"])
    assert np.isnan(by_method["transform + classifier"]["parameters"])


def test_n_components_is_that_of_pca_and_of_the_net():
    for row in compare_with_pca(small_net(), X, y, cv=2, n_components=3):
        if row["method"].endswith("+ classifier"):
            # There are two directions between three classes.
            assert row["n_components"] == (2 if "LDA" in row["method"] else 3)
        else:
            assert np.isnan(row["n_components"])


def test_pca_has_as_many_components_as_there_are_features_at_most():
    rows = compare_with_pca(small_net(prune_fraction=0.2), X, y, cv=2)
    found = {row["method"]: row["n_components"] for row in rows}
    assert found["PCA + classifier"] == 4
    assert found["transform + classifier"] > 4


class Spy(LogisticRegression):
    """Remembers the rows of every fit."""

    seen = []

    def fit(self, X, y):
        Spy.seen.append(np.array(X))
        return super().fit(X, y)


def test_prefit_cross_fits_on_held_out_rows_only():
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    model = make_pipeline(StandardScaler(), small_net()).fit(X_train, y_train)
    dense = make_pipeline(StandardScaler(), small_net(prune_fraction=0)).fit(X_train, y_train)
    before = [coef.copy() for coef in model[-1].coefs_]
    Spy.seen = []
    rows = compare_with_pca(
        model, X_test, y_test, cv="prefit", unpruned=dense, downstream=Spy(max_iter=1000)
    )
    assert [row["method"] for row in rows] == [m for m in METHODS if m not in FITTED_NETS] * 5
    hidden = model.transform(X_test)
    on_hidden = Spy.seen[3::4]
    assert len(on_hidden) == 5
    for seen in on_hidden:
        assert abs(len(seen) - 0.8 * len(hidden)) <= 1
        assert cdist(seen, hidden).min(axis=1).max() < 1e-12
    weights = np.array([len(fold) for _, fold in StratifiedKFold(5).split(X_test, y_test)])
    for method, fitted in (("pruned net", model), ("unpruned net", dense)):
        found = [row for row in rows if row["method"] == method]
        assert all(np.isnan(row["train_accuracy"]) for row in found)
        mean = np.average([row["test_accuracy"] for row in found], weights=weights)
        assert mean == pytest.approx(fitted.score(X_test, y_test))
    for old, new in zip(before, model[-1].coefs_, strict=True):
        np.testing.assert_array_equal(old, new)


class MemorizingNet(PrunedMLPClassifier):
    """Its transform gives the labels of its training rows away, and says nothing of others."""

    def fit(self, X, y):
        super().fit(X, y)
        self.known_ = {row.tobytes(): label for row, label in zip(X, y, strict=True)}
        return self

    def transform(self, X):
        codes = [self.known_.get(row.tobytes(), -1) for row in X]
        return np.eye(4)[codes] + super().transform(X)[:, :1] * 0


def test_labels_of_training_rows_never_reach_the_score():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y = rng.integers(3, size=200)
    rows = compare_with_pca(MemorizingNet((8,), max_iter=2, random_state=0), X, y, cv=4)
    rows = [row for row in rows if row["method"] == "transform + classifier"]
    assert np.mean([row["train_accuracy"] for row in rows]) == 1
    assert np.mean([row["test_accuracy"] for row in rows]) < 0.5


def test_prefit_without_an_unpruned_net_leaves_its_rows_out():
    net = small_net(n_components=3).fit(X[::2], y[::2])
    rows = compare_with_pca(net, X[1::2], y[1::2], cv="prefit", n_components=3)
    assert [row["method"] for row in rows] == [METHODS[0], *METHODS[6:]] * 5
    found = {row["method"]: row["n_components"] for row in rows if "+" in row["method"]}
    assert found == {name: 2 if "LDA" in name else 3 for name in METHODS[8:]}


class Counting(TransformerMixin, BaseEstimator):
    """Remembers how many rows each fit had."""

    rows = []

    def fit(self, X, y=None):
        Counting.rows.append(len(X))
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def test_preprocessing_is_fitted_on_training_rows_once_a_fold():
    Counting.rows = []
    compare_with_pca(make_pipeline(Counting(), small_net(max_iter=2)), X, y, cv=3)
    assert Counting.rows == [100, 100, 100]


def test_string_labels_frames_and_the_estimator_is_left_unfitted():
    names = np.array(["a", "b", "c"])[y]
    model = make_pipeline(StandardScaler(), small_net(max_iter=2)).set_output(transform="pandas")
    frame = pd.DataFrame(X, columns=["p", "q", "r", "s"])
    rows = compare_with_pca(model, frame, names, cv=StratifiedKFold(2, shuffle=True))
    assert all(0 <= row["test_accuracy"] <= 1 for row in rows)
    with pytest.raises(NotFittedError):
        model.predict(frame)


def test_lists_give_what_arrays_give():
    def scores(X, y):
        rows = compare_with_pca(small_net(max_iter=2), X, y, cv=2)
        return [(row["method"], row["train_accuracy"], row["test_accuracy"]) for row in rows]

    assert scores(X.tolist(), y.tolist()) == scores(X, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cv": "holdout"}, r"cv='holdout' must be .*'prefit'"),
        ({"cv": 1}, "n_splits=1"),
        ({"n_components": 0}, "n_components == 0, must be >= 1"),
        ({"n_components": 11}, "n_components=11 must be at most 10"),
        ({"n_components": 5}, "n_components=5 must be at most 4"),
        ({"unpruned": small_net()}, "(?s)unpruned=.* must be None unless cv='prefit'"),
        ({"estimator": SVC()}, r"estimator=SVC\(\) must be a PrunedMLPClassifier"),
        ({"estimator": make_pipeline(StandardScaler(), SVC())}, "Pipeline that ends in one"),
        (
            {"estimator": PrunedMLPClassifier((), prune_fraction=0)},
            r"hidden_layer_sizes=\(\); it must have at least one",
        ),
    ],
)
def test_errors_name_parameter_value_and_what_is_allowed(change, message):
    arguments = {"estimator": small_net(max_iter=2), "cv": 2, **change}
    with pytest.raises(ValueError, match=message):
        compare_with_pca(arguments.pop("estimator"), X, y, **arguments)


def test_errors_of_prefit():
    with pytest.raises(NotFittedError):
        compare_with_pca(small_net(), X, y, cv="prefit")
    net = small_net(max_iter=2).fit(X, y)
    width = net.transform(X).shape[1]
    with pytest.raises(ValueError, match=f"n_components={width + 1} must be None or {width}"):
        compare_with_pca(net, X, y, cv="prefit", n_components=width + 1)
    with pytest.raises(ValueError, match=r"unpruned=SVC\(\) must be a PrunedMLPClassifier"):
        compare_with_pca(net, X, y, cv="prefit", unpruned=SVC())
    others = [(20,), (20, 10, 5), (20, 11)]
    unlike = [PrunedMLPClassifier(h, max_iter=2, prune_fraction=0).fit(X, y) for h in others]
    for other in (*unlike, net):  # net itself is not unpruned
        sizes = re.escape(str([coef.shape[1] for coef in other.coefs_[:-1]]))
        with pytest.raises(ValueError, match=f"unpruned has .* {sizes}; .* be .20, 10., those"):
            compare_with_pca(net, X, y, cv="prefit", unpruned=other)


class Interrupt(Callback):
    """Presses Ctrl-C in the second epoch of nets that prune, or of those that do not."""

    def __init__(self, pruned):
        self.pruned = pruned

    def on_epoch_end(self, net, **kwargs):
        prunes = dict(net.callbacks_)["pruner"].prune_fraction > 0
        if len(net.history) == 2 and prunes == self.pruned:
            raise KeyboardInterrupt


@pytest.mark.parametrize("pruned", [True, False])
def test_interrupt_ends_the_comparison(pruned):
    net = small_net(net_params={"callbacks": [Interrupt(pruned)]})
    with pytest.raises(KeyboardInterrupt):
        compare_with_pca(make_pipeline(StandardScaler(), net), X, y, cv=2)


def test_interrupt_ends_the_comparison_while_a_classifier_is_fitted():
    class Interrupted(LogisticRegression):
        def fit(self, X, y):
            warnings.warn("Training interrupted by user.", stacklevel=2)  # as MLPClassifier does

    with pytest.raises(KeyboardInterrupt):
        compare_with_pca(small_net(max_iter=2), X, y, cv=2, downstream=Interrupted())


def test_other_warnings_of_a_fit_are_no_interrupt():
    with pytest.raises(ConvergenceWarning), warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        compare_with_pca(small_net(max_iter=2), X, y, cv=2)


def test_pca_and_net_in_one_union_pipeline_and_grid():
    union = FeatureUnion([("pca", PCA(2)), ("net", small_net(n_components=2))])
    model = Pipeline(
        [
            ("scale", StandardScaler()),
            ("features", union),
            ("classify", LogisticRegression(max_iter=1000)),
        ]
    ).set_output(transform="pandas")
    frame = pd.DataFrame(X, columns=["p", "q", "r", "s"])
    grid = {
        "features__net__prune_fraction": [0, 0.5],
        "features__pca__n_components": [1, 2],
    }
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(frame, y)
    assert search.best_score_ > 0.8
    features = clone(model)[:-1].fit(frame, y).transform(frame)
    assert features.columns.tolist() == [
        "pca__pca0",
        "pca__pca1",
        "net__prunedmlpclassifier0",
        "net__prunedmlpclassifier1",
    ]
    swapped = GridSearchCV(
        Pipeline([("features", PCA(2)), ("classify", LogisticRegression(max_iter=1000))]),
        {"features": [PCA(2), small_net(n_components=2)]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert len(swapped.cv_results_["mean_test_score"]) == 2


def test_sparse_entries_that_are_there_twice_change_nothing():
    random = np.random.default_rng(0)
    places = random.integers(0, 4, 240), np.arange(0, 241, 6)
    twice = csr_matrix((random.normal(size=240), *places), shape=(40, 4))
    net = PrunedMLPClassifier((9,), max_iter=3, random_state=0)
    labels = np.arange(40) % 2
    found = [
        [row["test_neg_log_loss"] for row in compare_with_pca(net, rows, labels, cv=2)]
        for rows in (twice, csr_matrix(twice.toarray()))
    ]
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_low_rank_nets_are_made_of_all_kinds():
    auto = PrunedAutoencoder(2, (6,), max_iter=5, random_state=0).fit(X)
    ranks = [min(coef.shape) for coef in auto.coefs_[:-1]]
    back = auto.inverse_transform(auto.transform(X))
    for kind, rows in (("svd", None), ("whitened", X)):
        low = LowRankNet(auto, ranks, kind, rows)
        np.testing.assert_allclose(low.predict(X), back, atol=1e-9)
    arrays = ArrayNet(auto.coefs_, auto.intercepts_, "relu", out_activation="identity")
    assert LowRankNet(arrays, ranks).out_activation_ == "identity"
    assert not hasattr(arrays, "predict_proba")
    small = LowRankNet(auto.compact(), ranks, "svd")
    np.testing.assert_allclose(small.predict(X), back, atol=1e-9)


@pytest.mark.parametrize(
    "start",
    [
        lambda: {"init_estimator": FrozenEstimator(MLPClassifier((9, 6), max_iter=2).fit(X, y))},
        lambda: {"pretrain": PrunedAutoencoder(3, (9,), prune_fraction=0, max_iter=2)},
    ],
    ids=["init_estimator", "pretrain"],
)
def test_the_small_net_starts_from_nothing(start):
    how = {"prune_fraction": 0.5, "max_iter": 20, "random_state": 0}
    net = PrunedMLPClassifier((9, 6), method=Magnitude("neuron"), **how, **start()).fit(X, y)
    small = rivals.small_net(net)
    sizes = [len(live) for live in net.live_neurons_]
    assert list(small.hidden_layer_sizes) == sizes != [9, 6]
    assert small.init_estimator is None and small.pretrain is None
    assert [coef.shape[1] for coef in small.fit(X, y).coefs_[:-1]] == sizes


def test_compact_transformers_are_as_large_as_what_they_were_made_of():
    steps = small_net(n_components=3).fit(X, y), LogisticRegression(fit_intercept=False)
    whole = make_pipeline(*steps).fit(X, y)
    small = make_pipeline(whole[0].compact(), whole[1])
    assert n_parameters(small) == n_parameters(whole)
    with_biases = make_pipeline(whole[0], LogisticRegression()).fit(X, y)
    assert n_parameters(with_biases) == n_parameters(whole) + 3


def test_features_that_tell_the_class_outright_have_no_lda():
    told = np.array([[0.0, 0], [1, 1]] * 30)
    rows = compare_with_pca(small_net(), told, [0, 1] * 30, cv=2)
    methods = {row["method"] for row in rows}
    assert "NCA + classifier" in methods and "LDA + classifier" not in methods


def test_a_search_is_made_compact_by_its_best_net():
    search = GridSearchCV(small_net(), {"alpha": [0.1]}, cv=2).fit(X, y)
    with pytest.raises(TypeError, match="got GridSearchCV: give its best_estimator_"):
        compact(search)


def test_what_is_no_fitted_net_is_refused():
    with pytest.raises(NotFittedError):
        LowRankNet(PrunedMLPClassifier(), [2])
    with pytest.raises(TypeError, match="net=None must be a net"):
        LowRankNet(None, [2])


@pytest.fixture(scope="module")
def iris_net():
    X, y = load_iris(return_X_y=True)
    clf = PrunedMLPClassifier((6, 5), prune_fraction=0, max_iter=5, tol=0.5, random_state=0)
    return clf.fit(X, y), X, y


@pytest.mark.parametrize("ranks", [2, [2], [2, -1], [2, 1.5]])
def test_ranks_are_one_for_every_layer(ranks, iris_net):
    with pytest.raises(ValueError, match="ranks="):
        LowRankNet(iris_net[0], ranks)


def test_low_rank_net_of_a_compact_model_is_that_of_its_estimator(iris_net):
    clf, X, _ = iris_net
    whole, small = (LowRankNet(net, [2, 2]) for net in (clf, clf.compact()))
    assert_allclose(whole.predict_proba(X), small.predict_proba(X))
    with pytest.raises(ValueError, match="X has 2 features, but LowRankNet is expecting 4"):
        small.predict(X[:, :2])
    with pytest.raises(ValueError, match="X has 2 features, but PrunedMLPClassifier is expecting"):
        LowRankNet(clf, [2, 2], "whitened", X[:, :2])
