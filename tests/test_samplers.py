"""Samplers in pipelines, such as imbalanced-learn's, act in fits and are left out afterwards."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skactprune import PrunedMLPClassifier, compact, compare_with_pca, to_onnx
from skactprune.deploy.scalers import is_sampler
from skactprune.inspection import n_parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = make_classification(
    240, 6, weights=[0.85], flip_y=0.05, class_sep=0.5, random_state=np.random.RandomState(0)
)
X = X * 3 + 1


class Oversampler(BaseEstimator):
    """Repeats rows of the smaller classes until all are of the same size."""

    def fit_resample(self, X, y):
        counts = np.bincount(y)
        rows = [np.resize(np.flatnonzero(y == label), counts.max()) for label in range(len(counts))]
        return X[np.concatenate(rows)], y[np.concatenate(rows)]


class SamplingPipeline(Pipeline):
    """What imbalanced-learn's Pipeline does: samplers act in `fit`, and only there."""

    def fit(self, X, y):
        for _, step in self.steps[:-1]:
            if hasattr(step, "fit_resample"):
                X, y = step.fit_resample(X, y)
            elif step != "passthrough":
                X = step.fit_transform(X, y)
        self.steps[-1][1].fit(X, y)
        return self

    def predict(self, X):
        for _, step in self.steps[:-1]:
            if not hasattr(step, "fit_resample") and step != "passthrough":
                X = step.transform(X)
        return self.steps[-1][1].predict(X)


def net(**params):
    defaults = {"max_iter": 12, "learning_rate_init": 0.02, "random_state": 0}
    return PrunedMLPClassifier((12,), **{**defaults, **params})


def pipeline(*steps, kind=SamplingPipeline):
    return kind([(f"step{i}", step) for i, step in enumerate(steps)])


ORDERS = {
    "first": lambda: pipeline(Oversampler(), StandardScaler(), net()),
    "later": lambda: pipeline(StandardScaler(), Oversampler(), net()),
    "between": lambda: pipeline(MinMaxScaler(), Oversampler(), StandardScaler(), net()),
    "alone": lambda: pipeline(Oversampler(), net()),
    "twice": lambda: pipeline(Oversampler(), "passthrough", Oversampler(), net()),
}


class Spy(LogisticRegression):
    """Remembers the labels of every fit."""

    seen = []

    def fit(self, X, y):
        Spy.seen.append(np.bincount(y))
        return super().fit(X, y)


@pytest.mark.parametrize("order", ORDERS)
def test_all_methods_are_fitted_on_resampled_rows_and_scored_on_rows_as_they_are(order):
    Spy.seen = []
    rows = compare_with_pca(ORDERS[order](), X, y, cv=3, downstream=Spy(max_iter=1000))
    folds = list(StratifiedKFold(3).split(X, y))
    for method, fraction in (("pruned net", 0.8), ("unpruned net", 0)):
        found = [row for row in rows if row["method"] == method]
        for row, (train, test) in zip(found, folds, strict=True):
            model = ORDERS[order]()
            model.steps[-1][1].set_params(prune_fraction=fraction)
            model.fit(X[train], y[train])
            assert row["train_accuracy"] == np.mean(model.predict(X[train]) == y[train])
            assert row["test_accuracy"] == np.mean(model.predict(X[test]) == y[test])
    # PCA, LDA, NCA and the net's representation, of every fold.
    assert len(Spy.seen) == 12
    for fold, (train, _) in enumerate(folds):
        larger = np.bincount(y[train]).max()
        assert [seen.tolist() for seen in Spy.seen[4 * fold : 4 * fold + 4]] == [[larger] * 2] * 4
    uncounted = {row["method"] for row in rows if np.isnan(row["parameters"])}
    assert uncounted == {"gradient boosting"}


@pytest.mark.parametrize("order", ORDERS)
def test_prefit_resamples_the_rows_that_classifiers_are_fitted_on(order):
    model = ORDERS[order]().fit(X[::2], y[::2])
    held_out, labels = X[1::2], y[1::2]
    Spy.seen = []
    rows = compare_with_pca(model, held_out, labels, cv="prefit", downstream=Spy(max_iter=1000))
    folds = list(StratifiedKFold(5).split(held_out, labels))
    for seen, train in zip(Spy.seen[::4], (train for train, _ in folds), strict=True):
        assert seen.tolist() == [np.bincount(labels[train]).max()] * 2
    found = [row["test_accuracy"] for row in rows if row["method"] == "pruned net"]
    for accuracy, (_, test) in zip(found, folds, strict=True):
        assert accuracy == np.mean(model.predict(held_out[test]) == labels[test])


class FitsUnlikeItTransforms(StandardScaler):
    """Gives other rows to fit on than to predict, as TargetEncoder does."""

    def fit_transform(self, X, y=None):
        return self.fit(X).transform(X) + 0.5


def test_the_net_is_fitted_on_what_the_pipeline_fits_it_on():
    model = make_pipeline(FitsUnlikeItTransforms(), net())
    row = compare_with_pca(model, X, y, cv=[(np.arange(160), np.arange(160, 240))])[0]
    model = clone(model).fit(X[:160], y[:160])
    assert row["test_accuracy"] == model.score(X[160:], y[160:])
    assert row["train_accuracy"] == model.score(X[:160], y[:160])


def nested():
    inner = pipeline(StandardScaler(), kind=Pipeline)
    return pipeline(inner, Oversampler(), net())


def not_folded():
    scaled = (FunctionTransformer(np.tanh), Oversampler(), StandardScaler())
    return pipeline(*scaled, Oversampler(), net())


@pytest.mark.parametrize(
    "make", [*ORDERS.values(), nested, not_folded], ids=[*ORDERS, "nested", "not folded"]
)
def test_compact_pipelines_have_no_sampler_and_predict_the_same(make):
    model = make().fit(X, y)
    small = compact(model)
    assert isinstance(small, Pipeline)
    assert type(small) is Pipeline
    assert not any(is_sampler(step) for step in small)
    np.testing.assert_array_equal(small.predict(X), model.predict(X))
    assert len(small.steps) == (2 if make is not_folded else 1)


def test_samplers_in_a_nested_pipeline_are_left_out():
    model = not_folded().fit(X, y)
    tanh, sampler, scaler, _, last = (step for _, step in model.steps)
    outer = pipeline(pipeline(tanh, sampler), pipeline(sampler), scaler, last)
    small = compact(outer)
    assert [name for name, _ in small.steps] == ["step0", "step3"]
    np.testing.assert_array_equal(small.predict(X), model.predict(X))


@pytest.mark.parametrize("make", [*ORDERS.values(), nested], ids=[*ORDERS, "nested"])
def test_onnx_has_no_sampler_and_predicts_the_same(make):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = make().fit(X, y)
    proto = to_onnx(model, input_dtype="float64")
    labels = onnxruntime.InferenceSession(proto.SerializeToString()).run(["label"], {"X": X})[0]
    np.testing.assert_array_equal(labels, model.predict(X))


def test_samplers_are_no_parameters():
    model = ORDERS["between"]().fit(X, y)
    assert n_parameters(model) == n_parameters(model.steps[-1][1])


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("name", ["SMOTE", "RandomOverSampler"])
def test_with_imbalanced_learn(name, later):
    over_sampling = pytest.importorskip("imblearn.over_sampling")
    imblearn_pipeline = pytest.importorskip("imblearn.pipeline")
    steps = [getattr(over_sampling, name)(random_state=0), StandardScaler()]
    model = imblearn_pipeline.make_pipeline(*(steps[::-1] if later else steps), net())
    rows = compare_with_pca(model, X, y, cv=3)
    found = [row["test_accuracy"] for row in rows if row["method"] == "pruned net"]
    for accuracy, (train, test) in zip(found, StratifiedKFold(3).split(X, y), strict=True):
        assert accuracy == clone(model).fit(X[train], y[train]).score(X[test], y[test])
    model.fit(X, y)
    small = compact(model)
    assert len(small.steps) == 1
    np.testing.assert_array_equal(small.predict(X), model.predict(X))
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(
        to_onnx(model, input_dtype="float64").SerializeToString()
    )
    np.testing.assert_array_equal(session.run(["label"], {"X": X})[0], model.predict(X))
