"""Compact models whose hidden layers are two matrices."""

import copy
import pickle

import numpy as np
import pytest
from compact_nets import STORAGES, fitted, model_of, problem, random_net, rows
from model_files import parts, text_of, write_text
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_files import assert_refused

from skactprune import PrunedMLPClassifier, compact, compact_low_rank, load, save, to_onnx
from skactprune.deploy.weights import CompactWeights
from skactprune.inspection import ArrayNet, LowRankNet, n_parameters, n_weights
from skactprune.nets.factors import fewest_numbers
from skactprune.nets.inference import logits_of

SIZES = (20, 16, 14, 3)


def low_rank_net(dtype=np.float32, ranks=(3, None), density=1.0, **options):
    """Net whose first hidden layers have these ranks."""
    net = random_net(SIZES, dtype=dtype, density=density, **options)
    for depth, rank in enumerate(ranks):
        if rank is not None:
            U, s, Vt = np.linalg.svd(net.coefs[depth].astype(np.float64), full_matrices=False)
            net.coefs[depth] = (U[:, :rank] * s[:rank] @ Vt[:rank]).astype(dtype)
    return net


def logits(net, X):
    return logits_of(X, net.coefs, net.intercepts, net.activation)


# -- what is kept ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ranks", [(3, None), (None, 2), (1, 7), (3, 2)])
def test_hidden_layers_of_low_rank_are_two_matrices(ranks, dtype):
    net = low_rank_net(dtype, ranks)
    weights = model_of(net).weights_
    # 7 * (16 + 14) = 210 < 16 * 14.
    assert weights.ranks == (*ranks, None)
    sizes = [
        a * b if rank is None else rank * (a + b)
        for a, b, rank in zip(SIZES, SIZES[1:], weights.ranks, strict=False)
    ]
    assert weights.kernel_sizes == sizes
    biases = sum(SIZES[1:])
    assert weights.nbytes == (sum(sizes) + biases) * np.dtype(dtype).itemsize
    assert weights.dense_nbytes == sum(sizes) * np.dtype(dtype).itemsize
    X = rows(50, 20, dtype)
    scale = np.abs(logits(net, X)).max()
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert_allclose(weights.logits(X), logits(net, X), atol=tolerance * scale)
    assert_allclose(weights.logits(X[:1]), logits(net, X[:1]), atol=tolerance * scale)
    assert_allclose(weights.logits(sparse.csr_array(X)), logits(net, X), atol=tolerance * scale)
    for W, V in zip(weights.coefs, net.coefs, strict=True):
        assert_allclose(W, V, atol=tolerance)


def test_layers_stay_as_they_are_where_factors_are_more():
    for ranks in ((9, None), (None, 8)):
        assert model_of(low_rank_net(np.float64, ranks)).weights_.ranks == ()
    # With few weights, factors of the same rank are more.
    net = random_net(SIZES, dtype=np.float64)
    net.coefs[0][:, 2:] = 0
    assert np.linalg.matrix_rank(net.coefs[0]) == 2
    assert model_of(net).weights_.ranks == ()


def test_known_factors_are_kept_if_they_are_those_of_the_weights():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(20, 9)), rng.normal(size=(9, 16))
    left[:10, 2:] = 0
    kept = fewest_numbers(left @ right, (left, right))
    assert_array_equal(kept[0], left)
    assert_array_equal(kept[1], right)
    # The rank alone does not tell of the zeros: 9 * 36 > 320.
    assert len(fewest_numbers(left @ right)) == 1
    other = left @ right
    other[0, 0] += 1e-6
    for wrong in ((left, right), (left[:, :5], right[:5]), (left[:4], right)):
        assert len(fewest_numbers(other, wrong)) == 1
    dense = rng.normal(size=(20, 9)), rng.normal(size=(9, 16))
    assert len(fewest_numbers(dense[0] @ dense[1], dense)) == 1


# -- files, pickles, types, scalers ---------------------------------------------------------


@pytest.mark.parametrize("storage", STORAGES)
def test_files_and_pickles_give_back_all_of_it(storage, tmp_path):
    net = low_rank_net(np.float64, (3, 2), components=2)
    model = model_of(net, storage)
    weights = model.weights_.with_scaled_input(np.linspace(-1, 1, 20), np.linspace(0.5, 2, 20))
    model = model.with_weights(weights)
    X = rows(40, 20, weights.dtype)
    save(model, tmp_path / "model")
    for found in (
        load(tmp_path / "model"),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        model.compact(),
    ):
        assert found.weights_.ranks == (3, 2, None)
        assert found.weights_.metadata() == weights.metadata()
        assert found.nbytes_ == model.nbytes_ == sum(a.nbytes for a in weights.to_arrays().values())
        assert_array_equal(found.predict_proba(X), model.predict_proba(X))
        assert_array_equal(found.transform(X), model.transform(X))
        assert found.n_layers_ == 4
    scaled = (X - np.linspace(-1, 1, 20)) / np.linspace(0.5, 2, 20)
    expected = model_of(net).predict_proba(scaled.astype(np.float64))
    tolerance = 1e-12 if storage == "float64" else 1e-5 if storage == "float32" else 0.15
    assert_allclose(model.predict_proba(X), expected, atol=tolerance)


def test_unused_features_are_left_out():
    net = low_rank_net(np.float64, (2, None))
    net.coefs[0][3:15] = 0
    model = model_of(net)
    assert model.weights_.ranks[0] is not None or np.count_nonzero(net.coefs[0]) < 72
    X = rows(30, 20, np.float64)
    assert_array_equal(model.unused_features_, np.arange(3, 15))
    assert_allclose(model.weights_.logits(X), logits(net, X), atol=1e-11)


def test_onnx_graphs_have_two_products():
    runtime = pytest.importorskip("onnxruntime")
    model = model_of(low_rank_net(np.float32, (3, 2)))
    proto = to_onnx(model)
    assert [node.op_type for node in proto.graph.node].count("MatMul") == 2
    X = rows(40, 20)
    found = runtime.InferenceSession(proto.SerializeToString()).run(None, {"X": X})
    assert_allclose(found[1], model.predict_proba(X), atol=1e-5)
    n_numbers = sum(np.prod(constant.dims) for constant in proto.graph.initializer)
    assert n_numbers < sum(model.kernel_sizes_) + 33 + 4


@pytest.mark.parametrize("nested", [False, True])
def test_fitted_estimators_and_pipelines_of_low_rank(nested):
    X, y = problem()
    clf = fitted(prune_fraction=0)
    small = compact_low_rank(clf, 0.4)
    hidden = sum(W.size for W in clf.coefs_[:-1])
    assert sum(small.kernel_sizes_[:-1]) <= 0.6 * hidden
    assert all(small.weights_.ranks[:-1])
    for W, V in zip(small.coefs_[:-1], clf.coefs_, strict=False):
        assert np.linalg.norm(W - V) < 0.8 * np.linalg.norm(V)
    assert_array_equal(compact_low_rank(clf.compact(), 0.4).predict(X), small.predict(X))
    assert_array_equal(compact_low_rank(clf, 0.4, dtype="int8").storage_, "int8")
    scaler = StandardScaler().fit(X)
    inner = make_pipeline(scaler, clf)
    pipeline = make_pipeline(inner) if nested else inner
    folded = compact_low_rank(pipeline, 0.4)
    assert len(folded.steps) == 1
    expected = small.predict_proba(scaler.transform(X))
    assert_allclose(folded.predict_proba(X), expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"fraction=1.5 must be a number in \[0, 1\)"):
        compact_low_rank(clf, 1.5)
    with pytest.raises(ValueError, match=r"fraction=1 must be a number in \[0, 1\)"):
        compact_low_rank(clf, 1)
    without = clone(clf).set_params(hidden_layer_sizes=(), prune_fraction=0).fit(X, y)
    with pytest.raises(ValueError, match="fraction=0.9 cannot be saved of a net without hidden"):
        compact_low_rank(without, 0.9)
    with pytest.raises(TypeError, match="model must be a fitted"):
        compact_low_rank(scaler, 0.5)


# -- one definition of the size -------------------------------------------------------------


def test_all_count_the_same():
    net = low_rank_net(np.float64, (3, 2))
    by_hand = 3 * (20 + 16) + 2 * (16 + 14) + 14 * 3
    arrays = ArrayNet(net.coefs, net.intercepts)
    model = model_of(net)
    for one in (arrays, model, LowRankNet(arrays, [3, 2], "svd")):
        assert n_weights(one) == by_hand
        assert n_parameters(one) == by_hand + 33
    assert sum(model.kernel_sizes_) == by_hand
    assert model.nbytes_ == 8 * (by_hand + 33)


def test_estimators_count_as_their_compact_models():
    X, y = problem()
    clf = PrunedMLPClassifier((20, 10), prune_fraction=0, max_iter=3, tol=100, random_state=0)
    with pytest.warns(ConvergenceWarning):
        clf.fit(X, y)
    U, s, Vt = np.linalg.svd(clf.coefs_[0], full_matrices=False)
    clf.coefs_ = [(U[:, :2] * s[:2] @ Vt[:2]).astype(np.float32), *clf.coefs_[1:]]
    assert n_weights(clf) == n_weights(compact(clf)) == 2 * 32 + 200 + 30


# -- damaged --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ranks",
    [
        [2, None],
        [3, None, 2],
        [None, None, None],
        [0, None, None],
        [-1, None, None],
        [True, None, None],
        [3.0, None, None],
        ["3", None, None],
        [4, None, None],
        [2**40, None, None],
        {"0": 3},
        3,
        [],
    ],
)
def test_other_ranks_are_refused(ranks, tmp_path):
    meta, arrays = parts(model_of(low_rank_net(np.float32, (3, None))))
    assert meta["ranks"] == [3, None, None]
    write_text(tmp_path / "model", text_of(meta | {"ranks": ranks}, arrays), arrays)
    assert_refused(tmp_path / "model")


def test_files_without_factors_do_not_tell_of_ranks(tmp_path):
    meta, arrays = parts(model_of(random_net()))
    assert "ranks" not in meta
    write_text(tmp_path / "model", text_of(meta | {"ranks": None}, arrays), arrays)
    assert load(tmp_path / "model").weights_.ranks == ()


def test_a_file_of_a_wide_net_of_rank_one_takes_no_room_for_its_product(tmp_path):
    n = 30_000
    rng = np.random.default_rng(0)
    left, right, last = (rng.normal(size=s).astype(np.float32) for s in ((n, 1), (1, n), (n, 1)))
    arrays = {
        "values": np.concatenate([left.ravel(), right.ravel(), last.ravel()]),
        "intercepts": np.zeros(n + 1, np.float32),
    }
    weights = CompactWeights.from_arrays(
        arrays,
        activation="relu",
        storage="float32",
        layer_sizes=[n, n, 1],
        transform_layer=0,
        ranks=[1, None],
    )
    model = model_of(random_net((4, 3, 1))).with_weights(weights)
    save(model, tmp_path / "model")
    found = load(tmp_path / "model")
    X = rng.normal(size=(2, n)).astype(np.float32)
    assert_array_equal(found.predict_proba(X), model.predict_proba(X))
    # What is computed with is all that is there.
    assert "coefs" not in vars(found.weights_)
