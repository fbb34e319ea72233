"""What every storage must do, and that a new one is a class and no more; the value around them."""

import copy
import pickle

import numpy as np
import pytest
from compact_nets import STORAGES, model_of, random_net, rows
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skactprune import compact, load
from skactprune.deploy.storages import STORAGES as REGISTER
from skactprune.deploy.storages import Storage, get_storage
from skactprune.deploy.weights import CompactWeights

SHAPES = [(9, 4), (4, 3), (3, 1)]


def matrices(density=1.0, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [
        np.asfortranarray(rng.normal(size=shape) * (rng.random(shape) < density), dtype)
        for shape in SHAPES
    ]


def assert_same_parts(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("name", STORAGES)
@given(density=st.sampled_from([0.0, 0.1, 1.0]), seed=st.integers(0, 99))
def test_storage_gives_back_what_it_packed(name, density, seed):
    storage = get_storage(name)
    assert storage.name == name
    layers = [storage.encode(W) for W in matrices(density, seed=seed)]
    for parts, shape in zip(layers, SHAPES, strict=True):
        described = {part: (array.dtype, array.shape) for part, array in parts.items()}
        assert described == storage.describe(shape)
    arrays = storage.pack(layers)
    assert all(array.ndim == 1 for array in arrays.values())
    rest = arrays | {"other": np.ones(1)}
    for before, after in zip(layers, storage.unpack(rest, SHAPES), strict=True):
        assert_same_parts(before, after)
    assert set(rest) == {"other"}


@pytest.mark.parametrize("name", STORAGES)
def test_what_is_decoded_is_rounded_no_more(name):
    storage = get_storage(name)
    for W in matrices():
        V = storage.decode(storage.encode(W))
        assert V.dtype == storage.compute_dtype
        assert V.flags.c_contiguous
        assert_allclose(V, W, atol=np.abs(W).max() / 200)
        again = storage.decode(storage.encode(V))
        assert_allclose(again, V, rtol=3e-7)


@pytest.mark.parametrize("name", STORAGES)
def test_inputs_are_divided_whether_the_scale_is_kept_apart_or_not(name):
    storage = get_storage(name)
    W = matrices()[0]
    scale = 2.0 ** np.arange(-4, 5)
    parts = storage.encode(W)
    divided = storage.divide_inputs(parts, scale)
    input_scale = (1 / scale).astype(storage.compute_dtype)
    expected = storage.decode(parts) / scale[:, None]
    assert_allclose(storage.decode(divided, input_scale), expected, rtol=1e-6)
    assert_same_parts(storage.encode(W), parts)
    V = storage.decode(storage.encode(expected, input_scale), input_scale)
    assert_allclose(V, expected, rtol=1e-6)


def test_storages_are_looked_up_by_name():
    assert get_storage(np.dtype("float32")).name == "float32"
    for unknown in ("float8", None, np.float32, 3):
        with pytest.raises(ValueError, match="must be one of float64, float32, float16, int8"):
            get_storage(unknown)


class Ternary(Storage):
    """Signs, and one magnitude a layer."""

    name = "ternary_of_a_test"

    def describe(self, shape):
        return {"values": (np.dtype(np.int8), shape), "size": (np.dtype(np.float32), (1,))}

    def rounded(self, W):
        size = np.abs(W).max() / 2
        values = np.rint(W / size / 2).astype(np.int8)
        return {"values": values, "size": np.array([size], np.float32)}

    def restored(self, parts):
        return parts["values"] * parts["size"]


def test_a_new_storage_is_one_class(tmp_path):
    REGISTER.add(Ternary.name)(Ternary)
    net = random_net((20, 9, 3), dtype=np.float64)
    X = rows(50, 20, np.float64) * np.linspace(0.1, 10, 20)
    model = compact(make_pipeline(StandardScaler().fit(X), model_of(net)), Ternary.name)[-1]
    assert model.storage_ == Ternary.name
    assert len(np.unique(model.weights_.coefs[1])) <= 3
    model.save(tmp_path / "model")
    for found in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert_array_equal(found.predict_proba(X), model.predict_proba(X))
    assert model.nbytes_ < 20 * 9 + 9 * 3 + 4 * (20 + 9 + 3 + 2) + 1


# -- the value ------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("components", [None, 2])
def test_arrays_and_metadata_are_all_there_is(storage, components):
    weights = model_of(random_net(components=components), storage).weights_
    weights = weights.with_scaled_input(np.linspace(-1, 1, 8), np.linspace(0.5, 2, 8))
    X = rows(7, 8, weights.dtype)
    arrays = weights.to_arrays()
    again = CompactWeights.from_arrays(arrays, **weights.metadata())
    assert set(arrays) == set(again.to_arrays())
    for found in (again, copy.deepcopy(weights), pickle.loads(pickle.dumps(weights))):
        assert found.metadata() == weights.metadata()
        assert found.nbytes == weights.nbytes == sum(a.nbytes for a in arrays.values())
        assert_array_equal(found.logits(X), weights.logits(X))
        assert_array_equal(found.represent(X), weights.represent(X))
        assert found.n_components == weights.represent(X).shape[1]


def test_weights_are_not_changed_by_making_others_of_them():
    net = random_net(dtype=np.float64)
    weights = model_of(net).weights_
    X = rows(7, 8, np.float64)
    before = weights.logits(X).copy()
    other = weights.with_scaled_input(np.ones(8), np.full(8, 2.0))
    assert_allclose(other.logits(2 * X + 1), before)
    weights.stored_as("float64").coefs[0][:] = 0
    net.coefs[0][:] = 0
    assert_array_equal(weights.logits(X), before)
    with pytest.raises(AttributeError):
        weights.activation = "tanh"


def test_settings_of_a_copy_are_its_own():
    model = model_of(random_net())
    model.set_output(transform="pandas")
    other = model.compact("int8").set_output(transform="default")
    assert type(other.transform(rows(2, 8))) is np.ndarray
    assert type(model.transform(rows(2, 8))) is not np.ndarray


def test_net_that_has_hidden_layers_but_shows_none_comes_back(tmp_path):
    net = random_net()
    net.shown["transform_layer"] = None
    model = model_of(net)
    model.save(tmp_path / "model")
    found = load(tmp_path / "model")
    assert_array_equal(found.predict_proba(rows(3, 8)), model.predict_proba(rows(3, 8)))
    with pytest.raises(ValueError, match="nothing to transform to: no hidden layer, or comp"):
        found.transform(rows(3, 8))
