"""PrunedAutoencoder beside PCA, and beside itself: sparse, weighted, compact, interrupted."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skactprune import (
    Activation,
    Chunks,
    CompactAutoencoder,
    PrunedAutoencoder,
    PrunedMLPRegressor,
    compact,
    load,
    save,
    to_onnx,
)
from skactprune.checks import asked
from skactprune.estimators import _regression
from skactprune.inspection import n_parameters
from skactprune.methods import METHODS
from skactprune.nets.explicit import ExplicitStep
from skactprune.nets.steps import AutogradStep

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

DIGITS = load_digits().data / 16
WINE = StandardScaler().fit_transform(load_wine().data)
IRIS, LABELS = load_iris(return_X_y=True)
IRIS = StandardScaler().fit_transform(IRIS)
SMALL = {"max_iter": 12, "batch_size": 30, "learning_rate_init": 0.01, "random_state": 0}


def small(n_components=2, encoder_layer_sizes=(20,), **params):
    return PrunedAutoencoder(n_components, encoder_layer_sizes, **SMALL | params)


def error(X, reconstruction):
    return float(np.square(X - reconstruction).sum())


# -- right -----------------------------------------------------------------------------------


def test_a_linear_one_is_pca():
    pca = PCA(2).fit(WINE)
    how = {"learning_rate_init": 0.02, "max_iter": 400, "tol": 0, "n_iter_no_change": np.inf}
    net = PrunedAutoencoder(2, (), "identity", prune_fraction=0, alpha=0, random_state=0, **how)
    codes, scores = net.fit_transform(WINE), pca.transform(WINE)
    least = error(WINE, pca.inverse_transform(scores))
    # No linear code has less than PCA; 1 % more is what a user may expect.
    assert 1 <= error(WINE, net.inverse_transform(codes)) / least < 1.001
    for directions in (net.coefs_[0], net.coefs_[1].T):
        assert np.rad2deg(subspace_angles(directions, pca.components_.T)).max() < 3
    assert LinearRegression().fit(codes, scores).score(codes, scores) > 0.999
    assert net.score(WINE) == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-3)


def test_it_trains_as_a_regressor_of_the_rows_does():
    # A net whose activations are all the identity has no other code layer than any other layer.
    params = SMALL | {"prune_fraction": 0, "activation": "identity"}
    net = PrunedAutoencoder(2, (8, 6), decoder_layer_sizes=(5,), **params).fit(IRIS)
    other = PrunedMLPRegressor(hidden_layer_sizes=(8, 6, 2, 5), **params).fit(IRIS, IRIS)
    reconstruction = net.inverse_transform(net.transform(IRIS))
    assert_allclose(reconstruction, other.predict(IRIS), rtol=1e-9)
    # Ours is the loss of a row, a regressor's that of one of its targets; the penalty is in both.
    penalty = 0.5 * 1e-4 / 30 * sum(float(np.square(coef).sum()) for coef in net.coefs_)
    assert net.loss_ - penalty == pytest.approx(4 * (other.loss_ - penalty), rel=1e-9)


@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu"])
def test_the_code_alone_is_linear(activation):
    net = small(3, (6,), activation=activation, decoder_layer_sizes=(5, 4), prune_fraction=0)
    net.fit(IRIS)
    function = {
        "logistic": lambda z: 1 / (1 + np.exp(-z)),
        "tanh": np.tanh,
        "relu": lambda z: np.maximum(z, 0),
    }[activation]
    h, outputs = IRIS, []
    for depth, (W, b) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        h = h @ W + b
        outputs.append(h)
        h = h if depth == 1 else function(h)
    assert_allclose(net.transform(IRIS), outputs[1])
    assert_allclose(net.inverse_transform(outputs[1]), outputs[-1])
    # And torch's module computes the same.
    assert_allclose(net.net_.predict(IRIS), outputs[-1])
    assert_array_equal(
        [net.net_.module_.activation[depth] for depth in range(4)],
        [activation, "identity", activation, activation],
    )


class Steps(Callback):
    """Notes who takes the steps."""

    def on_epoch_end(self, net, **kwargs):
        self.taken_ = type(net.step_)


class Listener(Steps):
    """Listens to every batch, so that torch takes the steps."""

    def on_batch_end(self, net, **kwargs):
        pass


@pytest.mark.parametrize("params", [{}, {"dropout": 0.2}, {"activation": "tanh"}])
def test_explicit_steps_are_those_of_torch(params):
    ours, torchs = Steps(), Listener()
    net = small(net_params={"callbacks": [ours]}, **params).fit(IRIS)
    by_torch = small(net_params={"callbacks": [torchs]}, **params).fit(IRIS)
    assert (ours.taken_, torchs.taken_) == (ExplicitStep, AutogradStep)
    assert_allclose(net.loss_curve_, by_torch.loss_curve_, rtol=1e-9)
    assert_allclose(net.transform(IRIS), by_torch.transform(IRIS), rtol=1e-7)


# -- score -----------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_score_is_r2_of_all_features_together(weighted, monkeypatch):
    monkeypatch.setattr(_regression, "NUMBERS_AT_ONCE", 4 * 7)
    net = small().fit(IRIS)
    weight = np.random.RandomState(0).uniform(size=len(IRIS)) if weighted else None
    reconstruction = net.inverse_transform(net.transform(IRIS))
    expected = r2_score(IRIS, reconstruction, sample_weight=weight, multioutput="variance_weighted")
    for X in (IRIS, sparse.csr_array(IRIS), sparse.csc_matrix(IRIS)):
        assert net.score(X, sample_weight=weight) == pytest.approx(expected, rel=1e-12)


def test_score_counts_the_errors_of_features_that_do_not_vary():
    X = np.hstack([IRIS, np.full((len(IRIS), 1), 2.0)])
    net = small().fit(X)
    reconstruction = net.inverse_transform(net.transform(X))
    assert net.score(X) == pytest.approx(1 - error(X, reconstruction) / error(X, X.mean(axis=0)))
    assert net.score(X[[3, 3, 3]]) == 0


def test_history_and_validation_have_the_same_score():
    net = small(early_stopping=True, validation_fraction=0.2, trigger="epoch", max_iter=40).fit(
        IRIS
    )
    rows = np.random.RandomState(0).permutation(len(IRIS))[:60]
    assert -1 < min(net.validation_scores_) and max(net.validation_scores_) < 1
    assert net.pruning_history_[-1]["train_score"] == pytest.approx(net.score(IRIS[rows]), abs=0.2)
    assert net.pruning_history_[-1]["validation_score"] in net.validation_scores_


# -- pruning ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_prunes_it_without_labels(method):
    net = small(4, (24, 16), method=method, prune_fraction=asked(method, 0.5), n_prune_rounds=2)
    net.fit(IRIS)
    assert net.sparsity_ > (0 if method == "ganguli2024" or net.prune_fraction is None else 0.49)
    assert len(net.live_neurons_[2]) == net.coefs_[2].shape[1] == 4
    codes = net.transform(IRIS)
    assert codes.shape == (150, 4) and np.isfinite(codes).all()
    assert np.isfinite(net.score(IRIS))
    model = net.compact()
    assert_allclose(model.transform(IRIS), codes, rtol=1e-9, atol=1e-12)
    assert_allclose(
        model.inverse_transform(codes), net.inverse_transform(codes), rtol=1e-9, atol=1e-12
    )


def test_encoder_and_decoder_lose_neurons_and_the_code_does_not():
    X = DIGITS[:300]
    net = PrunedAutoencoder(5, (60,), max_iter=40, random_state=0).fit(X)
    sizes = [coef.shape[1] for coef in net.coefs_]
    assert sizes[0] < 30 and sizes[1] == 5 and sizes[2] < 60 and sizes[3] == 64
    assert net.sparsity_ == pytest.approx(0.8, abs=0.01)
    assert [len(live) for live in net.live_neurons_] == sizes[:-1]


def test_firing_is_counted_in_encoder_and_decoder():
    net = small(method=Activation(), prune_fraction=0.3, n_prune_rounds=1, max_iter=10).fit(IRIS)
    assert [counts.shape for counts in net.activation_counts_] == [(20,), (2,), (20,)]
    assert all(counts.sum() > 0 for counts in net.activation_counts_)


def test_every_hidden_layer_but_the_code_has_a_minimum():
    net = small(
        2, (20,), min_neurons=9, method=Activation(granularity="neuron"), prune_fraction=0.4
    )
    assert min(len(net.fit(IRIS).live_neurons_[depth]) for depth in (0, 2)) >= 9
    net = clone(net).set_params(min_neurons=(12, 3)).fit(IRIS)
    assert len(net.live_neurons_[0]) >= 12 and len(net.live_neurons_[1]) == 2


# -- sparse, weighted, float32 ---------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_rows_are_never_dense_together(params, weighted, monkeypatch):
    X = np.where(DIGITS[:200] > 0.5, DIGITS[:200], 0)
    weight = np.random.RandomState(0).randint(3, size=200) if weighted else None
    # Its counts need no sample of rows, as others draw it, whose rows are dense together.
    net = small(method=Activation(), **params)
    expected = clone(net).fit(X, sample_weight=weight)
    dense = []
    made = sparse.csr_array.toarray

    def toarray(self, *args, **options):
        dense.append(self.shape)
        return made(self, *args, **options)

    for kind in (sparse.csr_array, sparse.csr_matrix):
        monkeypatch.setattr(kind, "toarray", toarray)
        monkeypatch.setattr(kind, "todense", None)
    monkeypatch.setattr(_regression, "NUMBERS_AT_ONCE", 64 * 30)
    net.fit(sparse.csr_array(X), sample_weight=weight)
    assert max(rows for rows, _ in dense) <= 30 and {columns for _, columns in dense} == {64}
    assert_allclose(net.loss_curve_, expected.loss_curve_, rtol=1e-9)
    assert net.score(sparse.csr_matrix(X)) == pytest.approx(expected.score(X), rel=1e-8)
    assert_allclose(net.transform(sparse.csr_array(X)), expected.transform(X), atol=1e-8)


def test_rows_are_their_own_targets_without_a_copy():
    seen = []

    class Look(Callback):
        def on_epoch_begin(self, net, dataset_train=None, **kwargs):
            seen.append(dataset_train.y is dataset_train.X)

        def on_batch_end(self, net, batch=None, **kwargs):
            seen.append(batch[0].data_ptr() == batch[1][0].data_ptr())

    weight = np.arange(150) % 3
    small(max_iter=2, net_params={"callbacks": [Look()]}).fit(IRIS, sample_weight=weight)
    assert seen and all(seen)


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}])
def test_rows_may_stay_in_a_mapped_file(params, tmp_path):
    np.save(tmp_path / "rows.npy", IRIS)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    weight = np.arange(150) % 3
    net = small(**params).fit(mapped, sample_weight=weight)
    expected = small(**params).fit(IRIS, sample_weight=weight)
    assert_allclose(net.transform(mapped), expected.transform(IRIS), rtol=1e-9)
    assert net.score(mapped) == pytest.approx(expected.score(IRIS))


def test_chunks_are_for_partial_fit():
    chunks = Chunks(lambda start: IRIS[start : start + 50], range(0, 150, 50))
    with pytest.raises(TypeError, match="partial_fit of PrunedAutoencoder takes one chunk"):
        small().fit(chunks)


def test_float32_stays():
    X = IRIS.astype("float32")
    net = small().fit(X)
    assert {a.dtype for a in (*net.coefs_, net.transform(X), net.inverse_transform(X[:, :2]))} == {
        np.dtype("float32")
    }


# -- on and on ---------------------------------------------------------------------------------


def test_partial_fit_follows_the_schedule_of_fit():
    # "progress" looks at losses, which are those of chunks; epochs are counted alike.
    params = {"trigger": "epoch", "batch_size": 150, "shuffle": False}
    net, whole = small(**params), small(**params).fit(IRIS)
    for _ in range(12):
        net.partial_fit(IRIS)
    assert_allclose(net.transform(IRIS), whole.transform(IRIS), rtol=1e-9)
    assert net.t_ == 12 * 150


def test_a_pickle_goes_on():
    net = small(warm_start=True).fit(IRIS)
    copy = pickle.loads(pickle.dumps(net))
    assert_allclose(copy.transform(IRIS), net.transform(IRIS), rtol=0)
    assert_allclose(copy.fit(IRIS).transform(IRIS), net.fit(IRIS).transform(IRIS), rtol=0)
    assert copy.sparsity_ == pytest.approx(0.8, abs=0.05)


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_components": 0}, "'n_components'.*Got 0"),
        ({"n_components": None}, "'n_components'.*Got None"),
        ({"n_components": 1.5}, "'n_components'.*Got 1.5"),
        ({"encoder_layer_sizes": (5, 0)}, r"encoder_layer_sizes=\(5, 0\) must be integers > 0"),
        ({"encoder_layer_sizes": -1}, "'encoder_layer_sizes'.*Got -1"),
        ({"decoder_layer_sizes": (2.5,)}, r"decoder_layer_sizes=\(2.5,\) must be integers > 0"),
        ({"decoder_layer_sizes": "same"}, "'decoder_layer_sizes'.*Got 'same'"),
        ({"min_neurons": 21}, r"min_neurons=21 .* \[20, 20\]"),
        ({"min_neurons": (1, 1, 1)}, r"min_neurons=\(1, 1, 1\) must"),
        ({"dropout": (0.1, 0.1)}, r"dropout=\(0.1, 0.1\) must .* 3 hidden"),
        ({"encoder_layer_sizes": 10**9, "n_components": 10**9}, "n_components=1000000000.* memory"),
        ({"method": "apoz", "activation": "tanh"}, "activation='tanh'"),
        ({"method": "apoz", "encoder_layer_sizes": ()}, "prune_fraction=0.8 cannot be reached"),
        ({"trigger": "accuracy"}, "trigger='accuracy'"),
    ],
)
def test_bad_parameters_are_named(params, message):
    net = small(**params)
    with pytest.raises(ValueError, match=message):
        net.fit(IRIS)
    assert not hasattr(net, "coefs_")


def test_a_net_that_goes_on_keeps_its_sizes():
    net = small(warm_start=True).fit(IRIS).set_params(n_components=3)
    before = net.transform(IRIS)
    with pytest.raises(ValueError, match=r"n_components=3, .* must stay \(20, 2, 20\)"):
        net.fit(IRIS)
    assert_array_equal(net.transform(IRIS), before)


def test_parameters_that_change_later_change_no_codes():
    net = small(warm_start=True).fit(IRIS)
    codes = net.transform(IRIS)
    rows = net.inverse_transform(codes)
    later = {"encoder_layer_sizes": (), "decoder_layer_sizes": (5, 5), "activation": "tanh"}
    changed = clone(net).set_params(**later)
    net.set_params(**later)
    assert_array_equal(net.transform(IRIS), codes)
    assert_array_equal(net.inverse_transform(codes), rows)
    assert_allclose(net.net_.predict(IRIS), net.compact().inverse_transform(codes), rtol=1e-9)
    with pytest.raises(ValueError, match="encoder_layer_sizes=.* must stay"):
        net.fit(IRIS)
    assert_array_equal(
        net.set_params(warm_start=False).fit(IRIS).transform(IRIS),
        changed.fit(IRIS).transform(IRIS),
    )
    # Where training goes on, it is with what the parameters are then.
    net = small(warm_start=True, prune_fraction=0).fit(IRIS).set_params(activation="tanh").fit(IRIS)
    assert net.net_.module_.activation == net.compact().activation_ == ("tanh", "identity", "tanh")


def test_codes_of_another_size_are_refused():
    net = small().fit(IRIS)
    for model in (net, net.compact()):
        with pytest.raises(ValueError, match=r"X has 4 columns, .* takes 2"):
            model.inverse_transform(IRIS)
        with pytest.raises(ValueError, match="NaN"):
            model.inverse_transform(np.full((1, 2), np.nan))


def test_values_that_are_too_large_leave_nothing_behind():
    net = small(dtype="float32")
    with pytest.raises(ValueError, match="may contain large values"):
        net.fit(IRIS * 1e30)
    assert not hasattr(net, "coefs_")


# -- beside others -----------------------------------------------------------------------------


def test_it_stands_where_pca_stands():
    union = FeatureUnion([("pca", PCA(2)), ("net", small())])
    model = make_pipeline(StandardScaler(), union, LogisticRegression()).fit(IRIS, LABELS)
    assert model.score(IRIS, LABELS) > 0.8
    names = model[:-1].get_feature_names_out()
    assert names[-2:].tolist() == ["net__prunedautoencoder0", "net__prunedautoencoder1"]
    table = small().set_output(transform="pandas").fit_transform(IRIS)
    assert table.columns.tolist() == ["prunedautoencoder0", "prunedautoencoder1"]


def test_a_grid_goes_by_its_score():
    search = GridSearchCV(small(max_iter=30), {"n_components": [1, 3]}, cv=2, error_score="raise")
    search.fit(IRIS[np.random.RandomState(0).permutation(150)])
    assert search.best_params_ == {"n_components": 3}
    pipe = make_pipeline(StandardScaler(), small())
    assert pipe.fit(IRIS).score(IRIS) == pytest.approx(pipe[-1].score(pipe[0].transform(IRIS)))


# -- compact -----------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", [None, "float32", "int8"])
def test_a_file_holds_encoder_and_decoder(storage, tmp_path):
    net = small(3, prune_features=0.25).fit(IRIS)
    model = net.compact(storage)
    save(model, tmp_path / "net")
    read = load(tmp_path / "net")
    codes = model.transform(IRIS)
    for other in (read, pickle.loads(pickle.dumps(model))):
        assert isinstance(other, CompactAutoencoder)
        assert other.activation_ == ("relu", "identity", "relu")
        assert_array_equal(other.transform(IRIS), codes)
        assert_array_equal(other.inverse_transform(codes), model.inverse_transform(codes))
    tolerance = {None: 1e-12, "float32": 1e-5, "int8": 0.2}[storage]
    assert_allclose(codes, net.transform(IRIS), atol=tolerance)
    used = net.compact(features="used")
    assert used.n_features_in_ == 3
    shorter = used.transform(IRIS[:, net.get_support()])
    assert_allclose(used.inverse_transform(shorter), net.inverse_transform(net.transform(IRIS)))


def test_scalers_stay_in_front_of_it():
    X = load_iris().data
    model = make_pipeline(StandardScaler(), small()).fit(X)
    frozen = compact(model)
    assert [name for name, _ in frozen.steps] == [name for name, _ in model.steps]
    assert_allclose(
        frozen.inverse_transform(frozen.transform(X)), model.inverse_transform(model.transform(X))
    )


def test_onnx_gives_codes_and_reconstructions():
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    X = load_iris().data.astype("float32")
    model = make_pipeline(StandardScaler(), small(3, activation="tanh")).fit(X)
    session = runtime.InferenceSession(to_onnx(model).SerializeToString())
    codes, reconstructions = session.run(["code", "reconstruction"], {"X": X})
    assert_allclose(codes, model.transform(X), atol=1e-5)
    assert_allclose(reconstructions, model[-1].inverse_transform(codes), atol=1e-5)


def test_parameters_of_a_pipeline_are_those_of_the_encoder():
    net = small(3, prune_fraction=0)
    model = make_pipeline(net, LogisticRegression()).fit(IRIS, LABELS)
    assert n_parameters(model) == (4 * 20 + 20) + (20 * 3 + 3) + (3 * 3 + 3)
    assert n_parameters(model[0]) == (4 * 20 + 20) + (20 * 3 + 3) + (3 * 20 + 20) + (20 * 4 + 4)
