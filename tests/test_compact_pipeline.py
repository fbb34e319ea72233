"""Compact models of pipelines, with scalers in front folded where that is exact."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from compact_nets import (
    ACTIVATIONS,
    QUICK,
    STORAGES,
    model_of,
    problem,
    random_model,
    random_net,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from skactprune import CompactMLPClassifier, PrunedMLPClassifier, compact, load, save
from skactprune.nets.inference import logits_of

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


def scaled_rows(ratio, dtype, n_features=8, seed=0):
    """Rows whose features have means up to `ratio` standard deviations from 0, and any scale."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-4, 4, size=n_features)
    mean = rng.uniform(-0.8, 0.8, size=n_features) * ratio * scale
    return (rng.normal(size=(300, n_features)) * scale + mean).astype(dtype)


def logits(model, X):
    return logits_of(X, model.coefs_, model.intercepts_, model.activation_)


def assert_close_logits(found, expected, tolerance, model):
    # The biases of these nets cancel the mean of the logits, all of a logit where neurons hardly
    # vary: no rounding can be small against what is left then, only against what is summed.
    largest = max(np.abs(expected).max(), np.abs(model.intercepts_[-1]).max())
    assert_allclose(found, expected, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    seed=st.integers(0, 999),
    with_mean=st.booleans(),
    with_std=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
)
def test_folded_scaler_changes_no_prediction(dtype, seed, with_mean, with_std, activation):
    ratio = {np.float32: 10, np.float64: 500}[dtype]
    X = scaled_rows(ratio, dtype, seed=seed)
    if not with_std:
        X /= X.std(axis=0)
    model = model_of(random_net(seed=seed, dtype=dtype, activation=activation))
    scaler = StandardScaler(with_mean=with_mean, with_std=with_std).fit(X)
    small = compact(make_pipeline(scaler, model))
    if with_mean and not with_std:
        scaler.scale_ = np.ones(8)
    assert [name for name, _ in small.steps] == ["compactmlpclassifier"]
    assert_close_logits(
        logits(small[-1], X), logits(model, scaler.transform(X)), TOLERANCE[dtype], model
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    seed=st.integers(0, 999),
    feature_range=st.sampled_from([(0, 1), (-1, 1), (5, 9), (-3, 0)]),
    activation=st.sampled_from(ACTIVATIONS),
)
def test_folded_min_max_scaler_changes_no_prediction(dtype, seed, feature_range, activation):
    X = scaled_rows(10, dtype, seed=seed)
    X[:, 3] = 2  # constant
    model = model_of(random_net(seed=seed, dtype=dtype, activation=activation))
    scaler = MinMaxScaler(feature_range).fit(X)
    small = compact(make_pipeline(scaler, model))
    folds = np.abs(scaler.min_).max() <= {np.float32: 10, np.float64: 500}[dtype]
    assert len(small.steps) == (1 if folds else 2)
    # Here (X - min) / range is what is rounded least; the scaler loses digits in float32.
    expected = logits(model, scaler.transform(X.astype(np.float64)).astype(dtype))
    rest = X if folds else scaler.transform(X)
    assert_close_logits(logits(small[-1], rest), expected, TOLERANCE[dtype], model)


def test_constant_and_sparse_features_fold():
    X = np.round(np.abs(scaled_rows(0, np.float64))) * [1, 0, 1, 0, 1, 1, 1, 1]
    X[:, 1] = 7
    model = model_of(random_net(dtype=np.float64))
    for with_mean in (True, False):
        pipeline = make_pipeline(StandardScaler(with_mean=with_mean).fit(X), model)
        small = compact(pipeline)
        assert len(small.steps) == 1
        assert_allclose(small.predict_proba(X), pipeline.predict_proba(X), atol=1e-9)
        assert_allclose(small.predict_proba(sparse.csr_array(X)), small.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "ratio", "folds"),
    [
        (np.float32, 9, True),
        (np.float32, 11, False),
        (np.float64, 450, True),
        (np.float64, 600, False),
    ],
)
def test_scaler_stays_where_its_mean_would_cost_digits(dtype, ratio, folds):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 8)).astype(dtype)
    X[:, 3] += ratio * X[:, 3].std()
    model = model_of(random_net(dtype=dtype))
    scaler = StandardScaler().fit(X)
    small = compact(make_pipeline(scaler, model))
    assert len(small.steps) == (1 if folds else 2)
    assert_close_logits(
        logits(small[-1], small[:-1].transform(X) if len(small) > 1 else X),
        logits(model, scaler.transform(X)),
        TOLERANCE[dtype],
        model,
    )


@pytest.mark.parametrize("factor", [1e-25, 1e25])
def test_scaler_stays_where_its_scale_is_out_of_range(factor):
    X = scaled_rows(0, np.float64)
    X[:, 2] *= factor
    model = model_of(random_net(dtype=np.float32))
    pipeline = make_pipeline(StandardScaler().fit(X), model)
    small = compact(pipeline)
    assert len(small.steps) == 2
    assert_array_equal(small.predict_proba(X), pipeline.predict_proba(X))
    with pytest.raises(NotFittedError):
        compact(make_pipeline(StandardScaler(), model))


class OwnScaler(StandardScaler):
    """Could do anything."""


def test_only_plain_scalers_right_in_front_are_folded():
    X = scaled_rows(1, np.float64)
    model = model_of(random_net(dtype=np.float64))

    def steps_left(*steps):
        pipeline = Pipeline([(str(i), step) for i, step in enumerate(steps)] + [("net", model)])
        before = X
        for step in steps:
            before = before if step in (None, "passthrough") else step.fit(before).transform(before)
        small = compact(pipeline)
        assert_allclose(small.predict_proba(X), pipeline.predict_proba(X), atol=1e-9)
        assert all(small[i] is steps[i] for i in range(len(small.steps) - 1))
        return [name for name, _ in small.steps]

    assert steps_left(StandardScaler()) == ["net"]
    assert steps_left(StandardScaler(), "passthrough", None) == ["net"]
    assert steps_left(MinMaxScaler()) == ["net"]
    assert steps_left(MinMaxScaler(clip=True)) == ["0", "net"]
    assert steps_left(OwnScaler()) == ["0", "net"]
    assert steps_left(RobustScaler(), MinMaxScaler(), StandardScaler()) == ["0", "net"]
    assert steps_left(StandardScaler(), FunctionTransformer()) == ["0", "1", "net"]


def test_scalers_in_nested_pipelines_are_folded():
    X = scaled_rows(1, np.float64)
    model = model_of(random_net(dtype=np.float64))

    def small(*steps):
        pipeline = make_pipeline(*steps)
        pipeline[:-1].fit(X)
        small = compact(pipeline)
        assert_allclose(small.predict_proba(X), pipeline.predict_proba(X), atol=1e-9)
        return [step for _, step in small.steps]

    robust = RobustScaler()
    assert len(small(make_pipeline(StandardScaler(), MinMaxScaler()), "passthrough", model)) == 1
    assert len(small(make_pipeline(make_pipeline(StandardScaler())), model)) == 1
    nested = make_pipeline(StandardScaler(), robust, StandardScaler(), "passthrough")
    nested, last = small(nested, MinMaxScaler(), model)
    assert [type(step) for _, step in nested.steps] == [StandardScaler, RobustScaler]
    assert nested[-1] is robust
    whole = make_pipeline(StandardScaler(), robust)
    assert small(whole, model)[0] is whole


def test_a_pipeline_that_ends_in_a_pipeline():
    X = scaled_rows(1, np.float64)
    model = model_of(random_net(dtype=np.float64))
    Z = StandardScaler().fit_transform(X)
    for inner, n_steps in ((MinMaxScaler().fit(Z), 1), (RobustScaler().fit(Z), 2)):
        pipeline = make_pipeline(StandardScaler().fit(X), make_pipeline(inner, model))
        small = compact(pipeline)
        assert len(small.steps) == n_steps
        assert_allclose(small.predict_proba(X), pipeline.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("kind", [StandardScaler, MinMaxScaler])
@pytest.mark.parametrize("storage", STORAGES)
def test_two_scalers_fold(storage, kind):
    X = scaled_rows(1, np.float64)
    first = kind().fit(X)
    second = StandardScaler().fit(first.transform(X) * np.arange(1, 9) + 1)
    model = model_of(random_net(dtype=np.float64), storage)
    small = compact(make_pipeline(first, second, model))
    assert len(small.steps) == 1
    expected = model.predict_proba(second.transform(first.transform(X)))
    tolerance = 1e-12 if storage == "float64" else 1e-5
    assert_allclose(small.predict_proba(X), expected, rtol=0, atol=tolerance)
    copied = pickle.loads(pickle.dumps(small[-1]))
    assert_array_equal(copied.predict_proba(X), small.predict_proba(X))


def test_pipeline_is_left_as_it_was_and_its_options_are_kept(tmp_path):
    X, y = problem()
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("net", PrunedMLPClassifier((6,), **QUICK))],
        memory=str(tmp_path),
        verbose=True,
    )
    with pytest.raises(NotFittedError):
        compact(pipeline)
    pipeline.set_params(verbose=False).fit(X, y).set_params(verbose=True)
    before = pipeline.predict_proba(X)
    small = compact(pipeline)
    assert (small.memory, small.verbose) == (str(tmp_path), True)
    assert isinstance(small.named_steps["net"], CompactMLPClassifier)
    assert isinstance(pipeline.named_steps["net"], PrunedMLPClassifier)
    assert_array_equal(pipeline.predict_proba(X), before)
    assert_array_equal(small.predict(X), pipeline.predict(X))
    assert_array_equal(small[-1].predict(X), pipeline.predict(X))


@pytest.mark.parametrize("shown", [{"transform_layer": 0}, {"n_components": 2}])
def test_what_transforms_alone(shown, tmp_path):
    X, y = problem()
    clf = PrunedMLPClassifier((12, 8), **QUICK | shown).set_output(transform="pandas")
    pipeline = make_pipeline(RobustScaler(), make_pipeline(StandardScaler(), clf)).fit(X, y)
    for model in (pipeline, compact(pipeline), compact(pipeline, output="transform")):
        small = compact(model, "float32", output="transform")
        assert not hasattr(small, "predict") and not is_classifier(small)
        found, expected = small.transform(X), pipeline.transform(X)
        assert found.columns.tolist() == expected.columns.tolist()
        assert_allclose(found, expected, atol=1e-5)
    assert is_classifier(compact(pipeline))
    frame = pd.DataFrame(X).add_prefix("x")
    clf = PrunedMLPClassifier((8,), prune_features=0.5, **QUICK).fit(frame, y)
    small = compact(clf, features="used", output="transform")
    assert small.feature_names_in_.tolist() == frame.columns[clf.get_support()].tolist()
    save(small, tmp_path / "model")
    found = load(tmp_path / "model").transform(frame.loc[:, clf.get_support()])
    assert_allclose(found, clf.transform(frame), atol=1e-5)


def test_nothing_transforms_without_a_hidden_layer():
    with pytest.raises(ValueError, match="nothing to transform to: no hidden layer, or comp"):
        compact(random_model((5, 3)), output="transform")
    for output in ("predict", None, ["all"]):
        with pytest.raises(ValueError, match="output=.* must be 'all' or 'transform'"):
            compact(random_model(), output=output)


def test_feature_names_are_those_of_what_goes_in():
    X, y = problem()
    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(X.shape[1])])
    pipeline = make_pipeline(StandardScaler(), PrunedMLPClassifier((6,), **QUICK))
    pipeline.set_output(transform="pandas").fit(frame, y)
    small = compact(pipeline)
    assert_array_equal(small[-1].feature_names_in_, frame.columns)
    found, expected = small.transform(frame), pipeline.transform(frame)
    assert_array_equal(found.columns, expected.columns)
    assert_allclose(found, expected, atol=1e-5 * np.abs(expected).to_numpy().max())
    unnamed = compact(make_pipeline(StandardScaler().fit(X), pipeline[-1]))
    assert not hasattr(unnamed[-1], "feature_names_in_")


@pytest.mark.parametrize("storage", STORAGES)
def test_features_of_unlike_scales_do_not_spoil_rounding(storage):
    X = scaled_rows(2, np.float64)
    net = random_net(dtype=np.float64)
    scaler = StandardScaler().fit(X)
    apart = model_of(net, storage).predict_proba(scaler.transform(X))
    folded = compact(make_pipeline(scaler, model_of(net)))[-1]

    def change(model):
        assert model.storage_ == storage
        return np.abs(model.predict_proba(X) - apart).max()

    small = [
        compact(make_pipeline(scaler, model_of(net, storage)))[-1],
        compact(make_pipeline(scaler, model_of(net)), storage)[-1],
        folded.compact(storage),
        folded.compact("float32").compact(storage),
    ]
    # Rounding to float32 on the way may move a weight by one step of the coarser types.
    assert max(map(change, small)) < {"int8": 5e-3, "float16": 5e-4}.get(storage, 2e-5)
    mixed = folded.with_weights(replace(folded.weights_, input_scale=None))
    if storage == "int8":
        assert change(mixed.compact(storage)) > 3 * max(map(change, small))
