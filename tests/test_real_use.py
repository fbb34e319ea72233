"""What people do with an estimator."""

import io
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import set_config
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris, make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, learning_curve
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import Callback

from skactprune import Activation, Magnitude, PrunedMLPClassifier, ScorePruning

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(
    n_samples=90, n_features=8, n_informative=6, n_redundant=0, n_classes=3, class_sep=2.0,
    random_state=0,
)  # fmt: skip


def small(**params):
    base = {"hidden_layer_sizes": (12,), "max_iter": 6, "random_state": 0, "prune_fraction": 0.5}
    return PrunedMLPClassifier(**{**base, **params})


def test_grid_search_over_methods_fractions_and_rounds():
    grid = {
        "prunedmlpclassifier__method": ["activation", Magnitude(), Activation(scope="global")],
        "prunedmlpclassifier__prune_fraction": [0, 0.5],
        "prunedmlpclassifier__n_prune_rounds": [1, 3],
    }
    pipeline = make_pipeline(StandardScaler(), small())
    searches = [GridSearchCV(pipeline, grid, n_jobs=n, cv=2).fit(X, y) for n in (1, 2)]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert scores[0].tolist() == scores[1].tolist()
    assert not np.isnan(scores[0]).any()
    assert len(set(scores[0])) > 1
    best = searches[1].best_estimator_[-1]
    fraction = searches[1].best_params_["prunedmlpclassifier__prune_fraction"]
    assert best.sparsity_ >= fraction


def test_grid_search_within_a_method():
    grid = {
        "method__granularity": ["neuron", "weight"],
        "method__schedule": ["geometric", "linear"],
    }
    search = GridSearchCV(small(method=Activation()), grid, cv=2).fit(X, y)
    assert search.best_estimator_.method.granularity == search.best_params_["method__granularity"]
    assert len(search.cv_results_["params"]) == 4


def test_parameters_nest_and_clones_are_apart():
    clf = small(method=Activation())
    assert clf.get_params()["method__scope"] == "layer"
    other = clone(clf).set_params(method__scope="global", prune_fraction=0.3)
    assert (clf.method.scope, other.method.scope) == ("layer", "global")
    fitted = clone(clf).fit(X, y)
    assert clone(fitted).get_params().keys() == clf.get_params().keys()


def test_cross_val_score_and_learning_curve():
    scores = cross_val_score(
        make_pipeline(StandardScaler(), small(max_iter=40, learning_rate_init=0.03)), X, y, cv=3
    )
    assert scores.mean() > 0.6
    _, train, test = learning_curve(
        small(), X, y, train_sizes=[0.5, 1.0], cv=2, error_score="raise"
    )
    assert train.shape == test.shape == (2, 2)


def test_beside_pca_in_a_feature_union_of_pandas_columns():
    frame = pd.DataFrame(X, columns=[f"feature {i}" for i in range(8)])
    union = FeatureUnion([("pca", PCA(3)), ("net", small(n_components=2))])
    union.set_output(transform="pandas")
    columns = union.fit_transform(frame, y)
    assert columns.columns.tolist() == [
        *(f"pca__pca{i}" for i in range(3)),
        *(f"net__prunedmlpclassifier{i}" for i in range(2)),
    ]
    assert columns.shape == (90, 5)
    assert columns.columns.tolist() == union.get_feature_names_out().tolist()
    pipeline = make_pipeline(StandardScaler(), clone(union), LogisticRegression())
    grid = {"featureunion__net__n_components": [1, 3], "featureunion__pca__n_components": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(frame, y)
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()


def test_transform_gives_live_neurons_or_components():
    clf = small(hidden_layer_sizes=(12, 9)).fit(X, y)
    hidden = clf.transform(X)
    assert hidden.shape == (90, len(clf.live_neurons_[1]))
    np.testing.assert_allclose(
        np.maximum(
            np.maximum(X @ clf.coefs_[0] + clf.intercepts_[0], 0) @ clf.coefs_[1]
            + clf.intercepts_[1],
            0,
        ),
        hidden,
    )
    first = small(hidden_layer_sizes=(12, 9), transform_layer=0).fit(X, y)
    assert first.transform(X).shape == (90, len(first.live_neurons_[0]))

    three = small(hidden_layer_sizes=(12, 9), n_components=3, components="pca").fit(X, y)
    neurons = (
        small(hidden_layer_sizes=(12, 9), n_components=3, components="pca")
        .fit(X, y)
        .set_params(n_components=3)
    )
    coordinates = three.transform(X)
    np.testing.assert_allclose(three.components_ @ three.components_.T, np.eye(3), atol=1e-12)
    covariance = np.cov(coordinates.T)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-10
    assert (np.diff(np.diag(covariance)) <= 0).all()
    # The same as PCA of the neurons.
    hidden = neurons._hidden(X)
    np.testing.assert_allclose(
        np.abs(PCA(3).fit_transform(hidden)), np.abs(coordinates), atol=1e-10
    )
    np.testing.assert_allclose(
        PCA(3).fit(hidden).explained_variance_ratio_, three.explained_variance_ratio_
    )


def test_a_fit_without_components_forgets_those_of_the_last():
    clf = small(n_components=2).fit(X, y)
    assert clf.components_.shape[0] == len(clf.explained_variance_ratio_) == 2
    clf.set_params(n_components=None).fit(X, y)
    assert not hasattr(clf, "components_")
    assert not hasattr(clf, "explained_variance_ratio_")


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_the_fitted_skorch_net_trains_on(convert):
    clf = small(max_iter=30).fit(X, y)
    loss = clf.net_.history[-1, "train_loss"]
    clf.net_.partial_fit(convert(X), convert(y))
    assert clf.net_.history[-1, "train_loss"] < loss
    assert clf.net_.score(X, y) > 1 / 3


def test_a_net_without_hidden_layers_shows_none():
    clf = small(hidden_layer_sizes=(), prune_fraction=0).fit(X, y)
    for call in (lambda: clf.transform(X), clf.get_feature_names_out):
        with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(\) has no hidden layer"):
            call()


def test_a_layer_with_components_keeps_as_many_neurons():
    for method in (Activation(), Activation(granularity="weight"), Magnitude(scope="global")):
        clf = small(
            hidden_layer_sizes=(20, 12), n_components=5, prune_fraction=0.85, method=method
        ).fit(X, y)
        assert len(clf.live_neurons_[1]) >= 5
        assert clf.transform(X).shape == (90, 5)


@pytest.mark.parametrize("ensemble", [False, True])
def test_calibration(ensemble):
    clf = CalibratedClassifierCV(small(), cv=2, ensemble=ensemble).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1)


def test_bagging():
    clf = BaggingClassifier(small(learning_rate_init=0.03), n_estimators=3, random_state=0).fit(
        X, y
    )
    assert clf.score(X, y) > 0.5


def test_a_pandas_frame_with_names_and_string_labels():
    iris = load_iris(as_frame=True)
    labels = iris.target_names[iris.target]
    clf = PrunedMLPClassifier((30,), max_iter=60, learning_rate_init=0.01, random_state=0)
    clf.fit(iris.data, labels)
    assert clf.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert clf.feature_names_in_.tolist() == iris.data.columns.tolist()
    assert clf.score(iris.data, labels) > 0.9
    assert set(clf.predict(iris.data)) <= set(labels)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(iris.data.iloc[:, ::-1])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        clf.predict(iris.data.to_numpy())
    other = clone(clf).set_output(transform="pandas").fit(iris.data, labels)
    out = other.transform(iris.data)
    assert out.columns.tolist() == other.get_feature_names_out().tolist()
    assert (out.index == iris.data.index).all()


def test_mixed_columns_through_a_preprocessing_pipeline():
    random = np.random.RandomState(0)
    frame = pd.DataFrame({"x": random.normal(size=60), "kind": random.choice(list("abc"), 60)})
    target = np.where((frame["kind"] == "a") & (frame["x"] > 0), "yes", "no")
    pipeline = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["kind"]), (StandardScaler(), ["x"])),
        small(max_iter=50, learning_rate_init=0.05),
    )
    assert pipeline.fit(frame, target).score(frame, target) > 0.8


@pytest.mark.parametrize("labels", [np.array([True, False, True]), np.array(["x", "y", "z"])])
def test_other_labels(labels):
    clf = small().fit(X, labels[y])
    assert set(clf.predict(X)) <= set(labels)
    assert clf.predict(X).dtype == labels.dtype
    assert clf.predict_proba(X).shape == (90, len(set(labels)))


@pytest.mark.parametrize("method", [Activation(), Magnitude()])
def test_learning_goes_on_without_waking_pruned_weights(method):
    clf = small(method=method, hidden_layer_sizes=(12, 9), max_iter=10).fit(X, y)
    masks = [mask.copy() for mask in clf.masks_]
    before = [coef.copy() for coef in clf.coefs_]
    for _ in range(4):
        clf.partial_fit(X, y)
    assert all((a == b).all() for a, b in zip(clf.masks_, masks, strict=True))
    columns = [np.arange(8), *clf.live_neurons_]
    for coef, old, mask, rows, live in zip(
        clf.coefs_, before, masks, columns, clf.live_neurons_, strict=False
    ):
        small_mask = mask[np.ix_(rows, live)]
        assert (coef[~small_mask] == 0).all()
        assert (coef[small_mask] != old[small_mask]).any()


def test_warm_start_never_prunes_twice_and_a_higher_fraction_prunes_on():
    clf = small(warm_start=True, max_iter=10).fit(X, y)
    live = clf.live_neurons_[0].tolist()
    clf.fit(X, y)
    assert clf.live_neurons_[0].tolist() == live
    assert len(clf.pruning_history_) == 5
    clf.set_params(prune_fraction=0.75).fit(X, y)
    assert clf.sparsity_ == 0.75
    assert set(clf.live_neurons_[0]) < set(live)


def test_partial_fit_takes_over_a_higher_fraction():
    clf = small().fit(X, y)
    clf.set_params(prune_fraction=0.75).partial_fit(X, y)
    assert clf.sparsity_ == 0.75
    clf.set_params(prune_fraction=0.2).partial_fit(X, y)
    assert clf.sparsity_ == 0.75


def test_a_criterion_of_ones_own():
    def first_neurons(layer):
        return -np.arange(len(layer.weight), dtype=float)[:, None]

    clf = small(method=ScorePruning(first_neurons)).fit(X, y)
    assert clf.live_neurons_[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_html_and_text_representations():
    clf = small(method=Activation())
    assert "method=Activation()" in repr(clf)
    assert "PrunedMLPClassifier" in clf._repr_html_()
    stream = io.StringIO()
    set_config(display="text")
    try:
        print(clf, file=stream)
    finally:
        set_config(display="diagram")
    assert stream.getvalue().startswith("PrunedMLPClassifier(")


def test_callbacks_can_record_a_batch():
    class Recorder(Callback):
        def __init__(self):
            self.seen = []

        def on_batch_end(self, net, batch=None, **kwargs):
            net.history.record_batch("rows", len(batch[0]))
            self.seen.append(net.history[-1, "batches", -1, "rows"])

    recorder = Recorder()
    X, y = make_classification(70, random_state=0)
    clf = PrunedMLPClassifier(
        (5,), batch_size=32, max_iter=2, tol=0, net_params={"callbacks": [("recorder", recorder)]}
    )
    with pytest.warns(ConvergenceWarning):
        clf.fit(X, y)
    recorder = dict(clf.net_.callbacks_)["recorder"]
    assert recorder.seen == 2 * [32, 32, 6]
    # Those of the last epoch are there, of others the last.
    before, last = ([batch["rows"] for batch in row["batches"]] for row in clf.net_.history)
    assert before == [6] and last == [32, 32, 6]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", ["activation_surgeon", "snip", "l0", "svd_training"])
def test_nets_learn_where_gradients_are_switched_off(method, mode):
    X, y = make_classification(70, random_state=0)
    clf = PrunedMLPClassifier(
        (9, 7), method=method, max_iter=4, n_prune_rounds=2, prune_fraction=0.5, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = clf.fit(X, y).predict_proba(X)
        with mode():
            np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), expected)
            assert torch.is_grad_enabled() is False
        clf.partial_fit(X, y)
