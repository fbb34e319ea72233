"""The pruning path, its figure, and the smallest net within one standard error."""

import re
import sys
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from skactprune import PrunedMLPClassifier, pruning_path
from skactprune.inspection import PruningPathDisplay, n_parameters, smallest_within_one_se
from skactprune.inspection.choosing import within_one_se
from skactprune.methods import METHODS, Threshold
from skactprune.triggers import EpochTrigger

# Nets here are far from converged, on purpose: they must be quick.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
FRACTIONS = [0, 0.5, 0.8]


def net(**params):
    defaults = {"hidden_layer_sizes": (12, 8), "max_iter": 15, "learning_rate_init": 0.02}
    return PrunedMLPClassifier(**defaults | {"random_state": 0} | params)


@pytest.fixture(scope="module")
def path():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pruning_path(net(), X / 8, y, fractions=FRACTIONS, n_epochs=4, cv=3)


def test_each_step_goes_on_from_the_one_before():
    weight = np.linspace(0.1, 2, len(y))
    train, test = next(StratifiedKFold(3).split(X, y))
    model = make_pipeline(StandardScaler(), net())
    params = {"prunedmlpclassifier__sample_weight": weight}
    options = {"fractions": FRACTIONS, "n_epochs": 4, "cv": [(train, test)], "params": params}
    path = pruning_path(model, X, y, **options, scoring="accuracy")
    scaler = StandardScaler().fit(X[train])
    by_hand = net(prune_fraction=0).fit(scaler.transform(X[train]), y[train], weight[train])
    expected = []
    for fraction in FRACTIONS:
        if fraction:
            by_hand.set_params(prune_fraction=fraction, warm_start=True, max_iter=5)
            by_hand.set_params(n_prune_rounds=1, trigger=EpochTrigger(0, 0))
            by_hand.fit(scaler.transform(X[train]), y[train], weight[train])
        accuracy = by_hand.score(scaler.transform(X[test]), y[test])
        # As many epochs as were asked for follow the round.
        assert not fraction or by_hand.n_iter_ - by_hand.pruning_history_[-1]["epoch"] == 4
        expected.append((accuracy, by_hand.sparsity_, n_parameters(by_hand)))
    found = np.stack([path.scores, path.sparsity, path.parameters], axis=-1)[:, 0]
    assert_allclose(found, expected)
    assert model.get_params()["prunedmlpclassifier__warm_start"] is False


def test_the_table_has_a_row_for_every_fold_and_fraction(path):
    table = pd.DataFrame(path.rows)
    assert list(table[["fold", "fraction"]].itertuples(index=False, name=None)) == [
        (fold, fraction) for fold in range(3) for fraction in FRACTIONS
    ]
    wide = table.pivot(index="fraction", columns="fold")
    assert_array_equal(path.scores, wide["test_accuracy"])
    assert_array_equal(path.parameters, wide["parameters"])
    assert_array_equal(path.sparsity, wide["sparsity"])
    assert_array_equal(path.live_neurons, wide["live_neurons"].map(sum))
    assert_array_equal(path.fractions, FRACTIONS)


def test_what_is_pruned_stays_pruned(path):
    assert (path.sparsity >= np.array(FRACTIONS)[:, None] - 1e-9).all()
    assert (np.diff(path.parameters, axis=0) < 0).all()
    assert (np.diff(path.live_neurons, axis=0) < 0).all()
    assert_array_equal(path.parameters[0], 4 * 12 + 12 + 12 * 8 + 8 + 8 * 3 + 3)


def test_metadata_is_routed():
    weight, unlabeled = np.linspace(0.1, 2, len(y)), X[::3]
    train, test = next(StratifiedKFold(3).split(X, y))
    model = make_pipeline(StandardScaler(), net(method="activation"))
    options = {"fractions": [0, 0.5], "n_epochs": 2, "cv": [(train, test)], "scoring": "accuracy"}
    with config_context(enable_metadata_routing=True):
        model[-1].set_fit_request(sample_weight=True, X_unlabeled=True)
        model[0].set_fit_request(sample_weight=False)
        model.set_params(transform_input=["X_unlabeled"])
        params = {"sample_weight": weight, "X_unlabeled": unlabeled}
        path = pruning_path(model, X, y, params=params, **options)
    scaler = StandardScaler().fit(X[train])
    rows = scaler.transform(X[train]), y[train], weight[train], scaler.transform(unlabeled)
    by_hand = net(method="activation", prune_fraction=0).fit(*rows)
    by_hand.set_params(prune_fraction=0.5, warm_start=True, max_iter=3, n_prune_rounds=1)
    by_hand.set_params(trigger=EpochTrigger(0, 0)).fit(*rows)
    assert path.scores[1, 0] == by_hand.score(scaler.transform(X[test]), y[test])
    assert path.parameters[1, 0] == n_parameters(by_hand)


@pytest.mark.parametrize("kind", [csr_array, pd.DataFrame])
def test_rows_may_be_sparse_or_named(kind):
    options = {"fractions": [0, 0.5], "n_epochs": 2, "cv": 3, "scoring": "accuracy"}
    plain, other = (pruning_path(net(), of, y, **options) for of in (X / 8, kind(X / 8)))
    assert_allclose(plain.scores, other.scores)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on(method):
    fold = [(np.arange(0, 150, 2), np.arange(1, 150, 2))]
    options = {"fractions": [0.2, 0.5, 0.7], "n_epochs": 3, "cv": fold, "scoring": "accuracy"}
    path = pruning_path(net(max_iter=6, method=method), X / 8, y, **options)
    assert (path.sparsity[:, 0] >= np.array(path.fractions) - 1e-9).all()
    assert (np.diff(path.parameters[:, 0]) < 0).all()


def test_folds_keep_groups_together():
    groups = np.arange(len(y)) % 5
    options = {"fractions": [0, 0.5], "n_epochs": 1, "scoring": "balanced_accuracy"}
    how = {"cv": GroupKFold(5), "groups": groups}
    path = pruning_path(net(max_iter=2), X, y, **how, **options)
    folds = [(np.flatnonzero(groups != g), np.flatnonzero(groups == g)) for g in range(5)]
    again = pruning_path(net(max_iter=2), X, y, cv=folds, **options)
    assert path.score_name == "balanced_accuracy"
    assert_allclose(np.sort(path.scores, axis=1), np.sort(again.scores, axis=1))


@pytest.mark.parametrize(
    "fractions", [[], [0.5, 0.5], [0.5, 0.2], [0, 1], [-0.1], ["a"], [np.nan], 0.5]
)
def test_fractions_rise(fractions):
    with pytest.raises(
        ValueError,
        match=rf"fractions={re.escape(repr(fractions))} must be rising numbers in \[0, 1\)",
    ):
        pruning_path(net(), X, y, fractions=fractions)


@pytest.mark.parametrize(
    ("params", "last"),
    [
        ({"hidden_layer_sizes": 100}, 0.98),
        ({"hidden_layer_sizes": (100, 10)}, 0.9),
        ({"hidden_layer_sizes": (100, 10), "min_neurons": (1, 3)}, 0.7),
        ({"hidden_layer_sizes": (20,), "n_components": 4}, 0.8),
        ({"hidden_layer_sizes": ()}, 0.0),
    ],
)
def test_the_path_ends_where_layers_would(params, last):
    fold = [(np.arange(100), np.arange(100, 150))]
    path = pruning_path(net(max_iter=1, **params), X, y, cv=fold, n_epochs=1, scoring="accuracy")
    assert path.fractions[-1] == last and path.scores.shape == (len(path.fractions), 1)


def test_other_estimators_and_epochs_are_refused():
    with pytest.raises(ValueError, match="must be a PrunedMLPClassifier, a PrunedMLPReg"):
        pruning_path(StandardScaler(), X, y)
    with pytest.raises(ValueError, match="n_epochs == 0, must be >= 1"):
        pruning_path(net(), X, y, n_epochs=0)


# -- the choice ------------------------------------------------------------------------------


def test_the_smallest_within_one_standard_error():
    rng = np.random.default_rng(0)
    for _ in range(200):
        scores = rng.normal(size=(6, 4)).round(1)
        sizes = rng.integers(1, 4, size=6)
        means = [sum(of) / 4 for of in scores]
        best = max(range(6), key=lambda i: means[i])
        error = (sum((s - means[best]) ** 2 for s in scores[best]) / 3) ** 0.5 / 2
        good = [i for i in range(6) if means[i] >= means[best] - error - 1e-12]
        least = min(sizes[i] for i in good)
        among = [i for i in good if sizes[i] == least]
        assert means[within_one_se(scores, sizes)] == max(means[i] for i in among)
        assert within_one_se(scores, sizes) in among


def test_one_fold_has_no_error_and_nan_is_not_taken():
    assert within_one_se([[0.9], [0.8], [0.9]], [3, 1, 2]) == 2
    assert within_one_se([[0.9, 0.8], [np.nan, 0.9]], [2, 1]) == 0
    with pytest.raises(ValueError, match="finite for at least one candidate"):
        within_one_se([[np.nan, 0.8]], [2])


def test_the_path_tells_the_choice(path):
    assert path.best_fraction == FRACTIONS[np.argmax(path.scores.mean(axis=1))]
    means, sizes = path.scores.mean(axis=1), path.parameters.mean(axis=1)
    best = np.argmax(means)
    good = means >= means[best] - path.scores[best].std(ddof=1) / 3**0.5 - 1e-12
    assert path.one_se_fraction == path.fractions[good][np.argmin(sizes[good])]


def searched(refit, grid=None, scoring=None, **params):
    grid = grid or {"prune_fraction": FRACTIONS}
    how = {"refit": refit, "scoring": scoring, "cv": 3}
    return GridSearchCV(net(**params), grid, **how).fit(X / 8, y)


def test_a_search_with_sizes():
    scoring = {"accuracy": "accuracy", "n_parameters": n_parameters}
    grid = [{"hidden_layer_sizes": [(12, 8), (5,)], "prune_fraction": [0, 0.5]}]
    search = searched(smallest_within_one_se, grid, scoring)
    found = search.cv_results_
    scores = np.column_stack([found[f"split{i}_test_accuracy"] for i in range(3)])
    assert search.best_index_ == within_one_se(scores, found["mean_test_n_parameters"])
    fitted = clone(search.best_estimator_)
    train, _ = next(StratifiedKFold(3).split(X, y))
    fitted.fit(X[train] / 8, y[train])
    assert found["split0_test_n_parameters"][search.best_index_] == n_parameters(fitted)


def test_a_size_that_is_no_number_is_refused():
    found = {"mean_test_score": [1.0], "split0_test_score": [1.0], "params": [{}]}
    with pytest.raises(ValueError, match="size='params' must be a column of numbers"):
        smallest_within_one_se(found, size="params")


def test_params_are_a_dict():
    with pytest.raises(ValueError, match=r"params=\[1\] must be a dict"):
        pruning_path(net(), X, y, params=[1])


def test_prune_fraction_stands_for_the_size():
    def results(**columns):
        return {"mean_test_score": 0, "split0_test_score": [0.9, 0.9, 0.8], **columns}

    fractions = np.ma.masked_array([0.2, 0.5, 0.8], dtype=object)
    assert smallest_within_one_se(results(param_mlp__prune_fraction=fractions)) == 1
    assert smallest_within_one_se(results(mean_score_time=[1, 2, 3]), size="mean_score_time") == 0
    layers = {"param_prune_fraction": fractions, "param_hidden_layer_sizes": fractions}
    with pytest.raises(ValueError, match="'n_parameters' where 'hidden_layer_sizes' varies"):
        smallest_within_one_se(results(**layers))
    masked = np.ma.masked_array([0.2, 0.5, 0.8], [False, True, False], dtype=object)
    own = np.ma.masked_array([0.2, None, 0.8], dtype=object)
    for columns in ({}, {"param_prune_fraction": masked}, {"param_prune_fraction": own}):
        with pytest.raises(ValueError, match="not every candidate has prune_fraction"):
            smallest_within_one_se(results(**columns))
    with pytest.raises(ValueError, match="size='big' must be one of the columns"):
        smallest_within_one_se(results(), size="big")
    two = {"param_a__prune_fraction": fractions, "param_b__prune_fraction": fractions}
    with pytest.raises(ValueError, match="where there are several prune_fraction"):
        smallest_within_one_se(results(**two))
    for name in ("prune_features", "mlp__prune_output", "pca__n_components"):
        columns = {"param_prune_fraction": fractions, f"param_{name}": fractions}
        with pytest.raises(ValueError, match=f"where '{name.rpartition('__')[2]}' varies"):
            smallest_within_one_se(results(**columns))
        columns[f"param_{name}"] = np.ma.masked_array([0.5, 0.5, 0.5], dtype=object)
        assert smallest_within_one_se(results(**columns)) == 1
    for rounds, refused in (([0, 3, 5], True), ([1, 3, 5], False)):
        columns = {"param_prune_fraction": fractions, "param_n_prune_rounds": rounds}
        if refused:
            with pytest.raises(ValueError, match="n_prune_rounds=0 prunes nothing"):
                smallest_within_one_se(results(**columns))
        else:
            assert smallest_within_one_se(results(**columns)) == 1


def test_sizes_that_nobody_knows_do_not_decide():
    def results(counted, scores=(0.9, 0.9, 0.8), **columns):
        found = {"split0_test_a": list(scores), "mean_test_a": 0, "mean_test_n_parameters": counted}
        return found | columns

    unknown = [np.nan] * 3
    fractions = np.ma.masked_array([0.2, 0.5, 0.8], dtype=object)
    assert smallest_within_one_se(results(unknown, param_prune_fraction=fractions)) == 1
    with pytest.raises(ValueError, match="'n_parameters' is NaN.*not every candidate has"):
        smallest_within_one_se(results(unknown))
    # A candidate that was not fitted has no size; nor is it taken.
    failed = results([20, 10, np.nan], (0.9, 0.9, np.nan))
    assert smallest_within_one_se(failed) == 1
    with pytest.raises(ValueError, match=r"sizes must be known .* those of \[1\] are NaN"):
        within_one_se([[0.9], [0.9], [0.8]], [20, np.nan, 10])
    assert within_one_se([[0.9], [0.9], [0.8]], [20, 10, np.nan]) == 1


def test_sizes_in_searches_of_pipelines_that_the_guide_shows():
    scale = ColumnTransformer([("all", RobustScaler(), [0, 1, 2, 3])])
    search = GridSearchCV(
        make_pipeline(scale, net()),
        {"prunedmlpclassifier__prune_fraction": [0, 0.9]},
        scoring={"accuracy": "accuracy", "n_parameters": n_parameters},
        refit=partial(smallest_within_one_se, score="accuracy"),
        cv=2,
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_n_parameters"]).all()


def test_the_score_that_decides_is_named_where_there_are_several():
    scoring = ["accuracy", "neg_log_loss"]
    with pytest.raises(ValueError, match=r"score=None must be one of .*'accuracy', 'neg_log_loss'"):
        searched(smallest_within_one_se, scoring=scoring)
    for name in scoring:
        search = searched(partial(smallest_within_one_se, score=name), scoring=scoring)
        found = search.cv_results_
        scores = np.column_stack([found[f"split{i}_test_{name}"] for i in range(3)])
        assert search.best_index_ == within_one_se(scores, [1, 0.5, 0.2])


def test_estimators_that_no_fraction_says_how_much_to_prune_of_are_refused_at_once(monkeypatch):
    monkeypatch.setattr(PrunedMLPClassifier, "fit", lambda *args, **params: pytest.fail("fitted"))
    own = net(method=Threshold(0.5), prune_fraction=None)
    with pytest.raises(ValueError, match="no threshold of its own: fractions say.* quality=0.5"):
        pruning_path(own, X, y)
    with pytest.raises(ValueError, match="n_prune_rounds=0 .* must begin with 0"):
        pruning_path(net(n_prune_rounds=0), X, y, fractions=[0.3, 0.5])


def test_fractions_may_be_any_iterable():
    options = {"n_epochs": 1, "cv": 2, "scoring": "accuracy"}
    path = pruning_path(net(max_iter=2), X, y, fractions=(f / 10 for f in (0, 5)), **options)
    assert path.fractions.tolist() == [0, 0.5]


def test_rows_come_back_where_no_score_could_be_told():
    # Folds of sorted labels hold a class that was not trained.
    options = {"fractions": [0, 0.5], "n_epochs": 1, "cv": KFold(3)}
    with pytest.warns(UserWarning, match="No fraction has a score 'test' on every fold"):
        path = pruning_path(net(max_iter=2), X, y, scoring={"test": nothing}, **options)
    assert len(path.rows) == 6 and np.isfinite(path.parameters).all()
    assert np.isnan([path.best_fraction, path.one_se_fraction]).all()
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="nothing to draw: no fraction has a score 'test'"):
        PruningPathDisplay(path).plot()


def test_a_scorer_that_returns_several_numbers_is_told():
    options = {"fractions": [0], "cv": 2, "scoring": lambda *args: {"a": 1.0}}
    with pytest.raises(ValueError, match="The scorer 'score' returned {'a': 1.0}; it must return"):
        pruning_path(net(max_iter=2), X, y, **options)


def nothing(estimator, X, y):
    return np.nan


# -- the figure ------------------------------------------------------------------------------


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.mark.parametrize("x", ["parameters", "fraction"])
def test_the_figure_shows_means_errors_and_the_choice(path, pyplot, x):
    display = PruningPathDisplay(path).plot(x=x)
    sizes = path.parameters.mean(axis=1) if x == "parameters" else FRACTIONS
    means = path.scores.mean(axis=1)
    assert_allclose(display.line_.get_xydata(), np.column_stack([sizes, means]))
    error = path.scores.std(axis=1, ddof=1) / 3**0.5
    (band,) = display.band_.get_paths()
    assert band.vertices[:, 1].max() == pytest.approx((means + error).max())
    star = [line for line in display.ax_.lines if line.get_marker() == "*"][0]
    chosen = list(path.fractions).index(path.one_se_fraction)
    assert_allclose(star.get_xydata(), [[sizes[chosen], means[chosen]]])
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_ylabel() == "accuracy"
    assert [text.get_text() for text in display.ax_.texts] == ["0%", "50%", "80%"]
    display.figure_.draw_without_rendering()


def test_from_estimator_draws_where_it_is_told(pyplot):
    _, ax = pyplot.subplots()
    options = {"fractions": [0, 0.5], "cv": 2, "n_epochs": 1, "scoring": "accuracy"}
    display = PruningPathDisplay.from_estimator(net(max_iter=1), X, y, ax=ax, **options)
    assert display.ax_ is ax and ax.lines
    assert_array_equal(display.path.fractions, [0, 0.5])
    with pytest.raises(ValueError, match=r"x='size' must be one of \['fraction', 'parameters'\]"):
        display.plot(x="size")


def test_without_matplotlib_it_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"matplotlib: pip install skactprune\[compare\]"):
        PruningPathDisplay(path).plot()
