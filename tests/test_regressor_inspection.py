"""Comparisons, pruning paths and choices of sizes take regressors as they take classifiers."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_friedman1
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skactprune import PrunedMLPRegressor, compare_with_pca, pruning_path
from skactprune.inspection import LowRankNet, n_parameters, smallest_within_one_se
from skactprune.inspection.rivals import component_regressors, standardized_ridge

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("quick_rivals"),
]
X, y = make_friedman1(150, 8, random_state=0)
y = (y - y.mean()) / y.std()
Y = np.stack([y, np.sin(3 * X[:, 0])], axis=1)
PARAMS = {"learning_rate_init": 0.02, "max_iter": 15, "random_state": 0}
NET = PrunedMLPRegressor(hidden_layer_sizes=(20,), prune_fraction=0.5, **PARAMS)
NETS = ["pruned net", "unpruned net", "unpruned net, kernel PCA", "unpruned net, truncated SVD"]
SMALL = ["net pruned at random", "small net from scratch"]
OTHERS = ["PCA + regressor", "PLS + regressor", "transform + regressor"]


def methods_of(rows):
    return [row["method"] for row in rows if row["fold"] == 0]


def test_rows_of_a_comparison():
    model = make_pipeline(StandardScaler(), NET)
    rows = compare_with_pca(model, X, y, cv=3)
    plain = ["ridge regression", "gradient boosting"]
    assert methods_of(rows) == [*NETS, *SMALL, *plain, *OTHERS]
    train, test = next(KFold(3).split(X))
    net = model.fit(X[train], y[train])
    np.testing.assert_allclose(rows[0]["test_r2"], net.score(X[test], y[test]), rtol=1e-9)
    error = np.sqrt(np.mean(np.square(net.predict(X[test]) - y[test])))
    np.testing.assert_allclose(rows[0]["test_neg_root_mean_squared_error"], -error, rtol=1e-9)
    by_pca = make_pipeline(StandardScaler(), PCA(rows[-3]["n_components"]), standardized_ridge())
    expected = by_pca.fit(X[train], y[train]).score(X[test], y[test])
    found = next(row for row in rows if row["method"] == "PCA + regressor")
    np.testing.assert_allclose(found["test_r2"], expected, rtol=1e-9)


def test_rows_of_several_targets_and_of_sparse_rows():
    assert methods_of(compare_with_pca(NET, X, Y, cv=2)) == [
        *NETS, *SMALL, "ridge regression", *OTHERS,
    ]  # fmt: skip
    assert methods_of(compare_with_pca(NET, sparse.csr_matrix(X), Y, cv=2)) == [
        *NETS, *SMALL, "ridge regression", OTHERS[0], OTHERS[2],
    ]  # fmt: skip


def test_nets_that_are_fitted():
    rows = compare_with_pca(NET.fit(X[:75], y[:75]), X[75:], y[75:], cv="prefit")
    assert methods_of(rows) == [NETS[0], "ridge regression", "gradient boosting", *OTHERS]
    groups = np.arange(75) // 5
    assert len(compare_with_pca(NET, X[75:], y[75:], cv="prefit", groups=groups)) == len(rows)


def test_pls_components_are_those_that_predict():
    model = component_regressors(1, X, y)["PLS"].fit(X, y)
    assert n_parameters(model) == 8 + 8 + 1 + 1
    assert model.score(X, y) > component_regressors(1, X, y)["PCA"].fit(X, y).score(X, y) + 0.3


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_low_rank_nets_predict_numbers(loss):
    for net in (MLPRegressor(loss=loss), PrunedMLPRegressor(loss, prune_fraction=0)):
        net.set_params(hidden_layer_sizes=(12,), **PARAMS).fit(X, np.exp(y))
        full = LowRankNet(net, [8], "svd")
        np.testing.assert_allclose(full.predict(X), net.predict(X), rtol=1e-9)
        score = r2_score(np.exp(y), LowRankNet(net, [2], "svd").predict(X))
        assert score < r2_score(np.exp(y), full.predict(X)) - 0.01


def test_pruning_path_and_search():
    path = pruning_path(NET, X, y, fractions=[0, 0.5, 0.9], n_epochs=5, cv=3)
    assert path.score_name == "r2" and path.scores.shape == (3, 3)
    assert (np.diff(path.parameters.mean(axis=1)) < 0).all()
    search = GridSearchCV(
        NET,
        {"prune_fraction": [0, 0.5, 0.9]},
        scoring={"r2": "r2", "n_parameters": n_parameters},
        refit=smallest_within_one_se,
        cv=3,
    ).fit(X, y)
    best = search.cv_results_["mean_test_r2"].max()
    chosen = search.cv_results_["mean_test_r2"][search.best_index_]
    assert chosen >= best - search.cv_results_["std_test_r2"].max()
