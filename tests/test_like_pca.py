"""What transforms looks like scikit-learn's PCA and KernelPCA, and computes what they compute."""

import pickle

import numpy as np
import pytest
from compact_nets import STORAGES
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA, KernelPCA
from sklearn.exceptions import NotFittedError
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skactprune import PrunedMLPClassifier, PrunedMLPTransformer, compact, load, save, to_onnx
from skactprune.inspection import n_parameters, pruning_path

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
WEIGHTS = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)
OF_COMPONENTS = ["components_", "mean_", "explained_variance_", "explained_variance_ratio_"]
OF_INVERSE = ["inverse_coef_", "inverse_intercept_"]
SINGULAR = "singular_values_"


def net(*layers, cls=PrunedMLPClassifier, **params):
    """A net of these layers that is trained a little."""
    how = {"max_iter": 8, "learning_rate_init": 0.01, "random_state": 0, "trigger": "epoch"}
    return cls(layers or (12,), **(how | params))


def like_pca(*layers, **params):
    how = {"activation": "identity", "prune_fraction": 0, "components": "pca"}
    return net(*layers, **(how | params))


def hidden_of(clf, X):
    """Outputs of all hidden layers by hand."""
    functions = {"identity": lambda h: h, "relu": lambda h: np.maximum(h, 0)}
    found = [X]
    for coef, intercept in zip(clf.coefs_[:-1], clf.intercepts_[:-1], strict=True):
        found.append(functions[clf.activation](found[-1] @ coef + intercept))
    return found[1:]


def assert_is_pca(clf, pca, hidden, rows=X, tolerance=1e-9):
    close = {"rtol": tolerance, "atol": tolerance}
    np.testing.assert_allclose(clf.transform(rows), pca.transform(hidden), **close)
    for name in [*OF_COMPONENTS, SINGULAR, "n_components_"]:
        np.testing.assert_allclose(getattr(clf, name), getattr(pca, name), **close)


# -- PCA ------------------------------------------------------------------------------------


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("n_components", [1, 3, 0.5, 0.9, np.float32(0.99)])
def test_of_a_linear_layer_it_is_pca(n_components, whiten):
    clf = like_pca(n_components=n_components, whiten=whiten).fit(X, y)
    hidden = X @ clf.coefs_[0] + clf.intercepts_[0]
    # np.float32 is no RealNotInt, which PCA wants.
    k = n_components if isinstance(n_components, int) else float(n_components)
    assert_is_pca(clf, PCA(k, whiten=whiten, svd_solver="full").fit(hidden), hidden)


def test_float32_stays(recwarn):
    rows = X.astype(np.float32)
    clf = like_pca(n_components=3, whiten=True, fit_inverse_transform=True).fit(rows, y)
    hidden = rows @ clf.coefs_[0] + clf.intercepts_[0]
    assert_is_pca(clf, PCA(3, whiten=True).fit(hidden), hidden, rows, 1e-3)
    for name in [*OF_COMPONENTS, SINGULAR, *OF_INVERSE]:
        assert getattr(clf, name).dtype == np.float32
    assert clf.transform(rows).dtype == np.float32
    assert clf.inverse_transform(clf.transform(rows)).dtype == np.float32


def test_whole_weights_count_rows():
    clf = like_pca(n_components=3, whiten=True).fit(X, y, sample_weight=WEIGHTS)
    repeated = np.repeat(hidden_of(clf, X)[0], WEIGHTS.astype(int), axis=0)
    assert_is_pca(clf, PCA(3, whiten=True).fit(repeated), hidden_of(clf, X)[0])


@pytest.mark.parametrize("total", [0.7, 150.0])
def test_other_weights_are_relative(total):
    weight = np.random.default_rng(0).uniform(0.1, 1, len(X))
    weight *= total / weight.sum()
    clf = like_pca(n_components=2, whiten=True).fit(X, y, sample_weight=weight)
    hidden = hidden_of(clf, X)[0]
    expected = np.linalg.eigvalsh(np.cov(hidden.T, aweights=weight))[::-1][:2]
    np.testing.assert_allclose(clf.explained_variance_, expected)
    np.testing.assert_allclose(np.cov(clf.transform(X).T, aweights=weight), np.eye(2), atol=1e-8)


@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
def test_predictive_components_reach_the_share_too(share):
    clf = net(prune_fraction=0.5, n_components=share).fit(X, y)
    all_of_them = net(prune_fraction=0.5, n_components=1 - 1e-15).fit(X, y)
    explained = np.cumsum(all_of_them.explained_variance_ratio_)
    assert clf.n_components_ == np.flatnonzero(explained > share)[0] + 1
    np.testing.assert_allclose(clf.transform(X), all_of_them.transform(X)[:, : clf.n_components_])
    np.testing.assert_allclose(explained[-1], 1)
    hidden = hidden_of(clf, X)[0]
    total = hidden.var(axis=0, ddof=1).sum()
    np.testing.assert_allclose(clf.explained_variance_, clf.explained_variance_ratio_ * total)


def test_whitened_predictive_components_are_those_of_variance_one():
    plain, white = (net(n_components=4, whiten=w).fit(X, y) for w in (False, True))
    Z = plain.transform(X)
    np.testing.assert_allclose(white.transform(X), Z / Z.std(axis=0, ddof=1), atol=1e-9)
    np.testing.assert_allclose(white.components_, plain.components_, atol=1e-12)


def test_what_does_not_vary_is_not_blown_up():
    rows = np.column_stack([X[:, 0], X[:, 0]])
    for dtype in (np.float64, np.float32):
        clf = like_pca(n_components=4, whiten=True).fit(rows.astype(dtype), y)
        Z = clf.transform(rows.astype(dtype))
        np.testing.assert_allclose(Z.std(axis=0, ddof=1), [1, 0, 0, 0], atol=1e-5)
    nothing = net(n_components=0.5).fit(np.zeros((40, 3)), np.arange(40) % 2)
    assert nothing.n_components_ == 1 and nothing.explained_variance_.tolist() == [0]


def test_a_share_does_not_say_how_many_neurons_stay():
    params = {"prune_fraction": 0.85, "method": "random"}
    by_share = net(20, n_components=0.999999, **params).fit(X, y)
    assert len(by_share.live_neurons_[0]) == 3 >= by_share.n_components_
    with pytest.raises(ValueError, match=r"at least \[9\] neurons left"):
        net(20, n_components=9, **params).fit(X, y)


def test_without_components_there_are_no_attributes_of_them():
    clf, fresh = net(12, 6).fit(X, y), net(n_components=2)
    for name in [*OF_COMPONENTS, SINGULAR, *OF_INVERSE]:
        assert not hasattr(clf, name) and not hasattr(clf.compact(), name)
        assert not hasattr(fresh, name)
    assert not hasattr(fresh, "n_components_")
    assert clf.n_components_ == clf.compact().n_components_ == clf.transform(X).shape[1]
    clf.set_params(n_components=2).fit(X, y)
    assert clf.n_components_ == 2
    assert all(hasattr(clf, name) for name in OF_COMPONENTS)
    # Predictive ones are no singular vectors.
    with pytest.raises(AttributeError, match="PrunedMLPClassifier has no singular_values_"):
        _ = clf.singular_values_


# -- all layers -----------------------------------------------------------------------------


def test_all_layers_stand_side_by_side():
    clf = net(10, 8, transform_layer="all", prune_fraction=0.5).fit(X, y)
    expected = np.hstack(hidden_of(clf, X))
    np.testing.assert_allclose(clf.transform(X), expected)
    np.testing.assert_allclose(clf.transform(X[:1]), expected[:1])
    assert clf.n_components_ == sum(map(len, clf.live_neurons_)) == len(clf.get_feature_names_out())
    clf = like_pca(10, 8, transform_layer="all", n_components=0.95).fit(X, y)
    hidden = np.hstack(hidden_of(clf, X))
    assert_is_pca(clf, PCA(0.95, svd_solver="full").fit(hidden), hidden)
    assert n_parameters(make_pipeline(clf, LogisticRegression().fit(clf.transform(X), y))) == (
        sum(c.size for c in clf.coefs_[:-1])
        + 18 * (2 + clf.n_components_)
        + 3 * (clf.n_components_ + 1)
    )


def test_all_layers_keep_enough_neurons_together():
    params = {"transform_layer": "all", "prune_fraction": 0.78, "method": "random"}
    clf = net(16, 8, n_components=9, **params).fit(X, y)
    left = [len(live) for live in clf.live_neurons_]
    assert left == [6, 3] and clf.transform(X).shape == (150, 9)
    with pytest.raises(ValueError, match="n_components=25 must be at most 24, the size of all"):
        net(16, 8, n_components=25, **params).fit(X, y)
    # A path goes no further than all layers can.
    path = pruning_path(net(20, 20, n_components=20, transform_layer="all"), X, y, cv=2)
    assert max(path.fractions) == 0.5


# -- the way back ---------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("params", [{}, {"n_components": 3}, {"n_components": 3, "whiten": True}])
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array, sparse.csr_matrix])
def test_inverse_transform_is_a_ridge_regression(make, params, weights):
    params = {"fit_inverse_transform": True, "inverse_alpha": 3.0} | params
    clf = net(prune_fraction=0.3, **params).fit(make(X), y, sample_weight=weights)
    Z = clf.transform(X)
    expected = Ridge(alpha=3.0).fit(Z, X, sample_weight=weights)
    np.testing.assert_allclose(clf.inverse_coef_.T, expected.coef_, atol=1e-8)
    np.testing.assert_allclose(clf.inverse_intercept_, expected.intercept_, atol=1e-8)
    found = clf.inverse_transform(Z)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, expected.predict(Z), atol=1e-8)


def test_it_is_the_dual_form_of_kernel_pca():
    clf = like_pca(n_components=3, fit_inverse_transform=True, inverse_alpha=0.7).fit(X, y)
    Z = clf.transform(X)
    dual = KernelRidge(alpha=0.7, kernel="linear").fit(Z, X)
    np.testing.assert_allclose(clf.inverse_transform(Z), dual.predict(Z), atol=1e-9)
    # The columns of X have mean 0 here; KernelPCA has no intercept.
    assert abs(X.mean(axis=0)).max() < 1e-12
    hidden = hidden_of(clf, X)[0]
    kernel = KernelPCA(3, fit_inverse_transform=True, alpha=0.7).fit(hidden)
    kernel._fit_inverse_transform(kernel.transform(hidden), X)
    np.testing.assert_allclose(
        clf.inverse_transform(Z), kernel.inverse_transform(kernel.transform(hidden)), atol=1e-9
    )


def test_without_penalty_it_is_least_squares_even_where_columns_do_not_vary():
    rows = np.column_stack([X[:, 0], X[:, 0], np.ones(len(X))])
    clf = like_pca(n_components=5, fit_inverse_transform=True, inverse_alpha=0).fit(rows, y)
    np.testing.assert_allclose(clf.inverse_transform(clf.transform(rows)), rows, atol=1e-6)
    assert np.abs(clf.inverse_coef_).max() < 10


def test_digits_come_back_better_the_more_components_there_are():
    digits, labels = load_digits(return_X_y=True)
    digits = digits[:500] / 16
    pipes = [
        make_pipeline(StandardScaler(), net(40, n_components=k, fit_inverse_transform=True))
        for k in (2, 10)
    ]
    errors = [
        np.square(pipe.inverse_transform(pipe.fit_transform(digits, labels[:500])) - digits).sum()
        for pipe in pipes
    ]
    assert errors[1] < errors[0] < np.square(digits - digits.mean(axis=0)).sum()


# -- compact models -------------------------------------------------------------------------

SHOWN = [
    {"n_components": 3, "whiten": True, "components": "pca"},
    {"n_components": 0.8, "transform_layer": "all", "activation": "tanh"},
    {"transform_layer": "all", "fit_inverse_transform": True},
    {"n_components": 2, "transform_layer": 0, "whiten": True, "fit_inverse_transform": True},
]


@pytest.mark.parametrize("cls", [PrunedMLPClassifier, PrunedMLPTransformer])
@pytest.mark.parametrize("params", SHOWN)
def test_compact_models_show_the_same(params, cls, tmp_path):
    clf = net(12, 9, cls=cls, prune_fraction=0.5, **params).fit(X, y)
    names = [n for n in [*OF_COMPONENTS, SINGULAR, *OF_INVERSE] if hasattr(clf, n)]
    for storage in STORAGES:
        model = clf.compact(storage)
        save(model, tmp_path / "model")
        tolerance = {"float64": 1e-9, "float32": 1e-4}.get(storage, 0.5)
        for other in (model, load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
            assert type(other) is type(model)
            np.testing.assert_allclose(other.transform(X), clf.transform(X), atol=tolerance)
            np.testing.assert_array_equal(other.transform(X), model.transform(X))
            assert names == [
                n for n in [*OF_COMPONENTS, SINGULAR, *OF_INVERSE] if hasattr(other, n)
            ]
            for name in [*names, "n_components_"]:
                value = getattr(clf, name)
                np.testing.assert_allclose(getattr(other, name), value, rtol=1e-4, atol=1e-5)
            assert other.get_feature_names_out().tolist() == clf.get_feature_names_out().tolist()
            if "inverse_coef_" in names:
                Z = clf.transform(X)
                back = clf.inverse_transform(Z)
                np.testing.assert_allclose(other.inverse_transform(Z), back, atol=1e-4)


def test_a_folded_scaler_is_undone_on_the_way_back():
    rows = X * [1.0, 20, 0.1, 3] + [5, 0, 1, -3]
    rows = np.column_stack([rows, np.full(len(X), 7.0)])
    params = {"n_components": 3, "fit_inverse_transform": True, "prune_features": 0.5}
    pipe = make_pipeline(StandardScaler(), net(**params)).fit(rows, y)
    Z, unused = pipe.transform(rows), pipe[-1].unused_features_
    assert len(unused) == 3
    expected = pipe.inverse_transform(Z)
    small = compact(pipe)
    assert len(small) == 1
    np.testing.assert_allclose(small.inverse_transform(Z), expected, rtol=1e-9)
    used = pipe[-1].get_support()
    short = compact(pipe, features="used")
    np.testing.assert_allclose(short.transform(rows[:, used]), Z, atol=1e-9)
    np.testing.assert_allclose(short.inverse_transform(Z), expected[:, used], rtol=1e-9)


@pytest.mark.parametrize("params", SHOWN)
def test_a_transformer_in_onnx(params):
    runtime = pytest.importorskip("onnxruntime")
    pipe = make_pipeline(StandardScaler(), net(12, 9, cls=PrunedMLPTransformer, **params))
    pipe.fit(3 * X + 1, y)
    for model in (pipe, compact(pipe)):
        session = runtime.InferenceSession(to_onnx(model).SerializeToString())
        assert [output.name for output in session.get_outputs()] == ["variable"]
        assert session.get_outputs()[0].shape == ["n_rows", pipe[-1].n_components_]
        (found,) = session.run(None, {"X": 3 * X + 1})
        np.testing.assert_allclose(found, pipe.transform(3 * X + 1), atol=1e-6)


# -- without predictions --------------------------------------------------------------------


def test_a_transformer_is_the_classifier_without_its_predictions():
    params = {"n_components": 2, "class_weight": "balanced"}
    clf = net(**params).fit(X, y, sample_weight=WEIGHTS)
    reduce = net(cls=PrunedMLPTransformer, **params)
    assert set(reduce.get_params()) == set(clf.get_params())
    found = reduce.fit_transform(X, y, sample_weight=WEIGHTS)
    np.testing.assert_array_equal(found, clf.transform(X))
    for model in (reduce, reduce.compact()):
        assert not is_classifier(model)
        for name in ("predict", "predict_proba", "predict_log_proba", "score"):
            assert not hasattr(model, name)
    assert reduce.get_feature_names_out().tolist() == [f"prunedmlptransformer{i}" for i in (0, 1)]
    frame = reduce.set_output(transform="pandas").transform(X)
    assert frame.columns.tolist() == reduce.get_feature_names_out().tolist()


def test_a_transformer_starts_from_a_net_of_scikit_learn():
    mlp = MLPClassifier((12,), max_iter=5, random_state=0).fit(X, y)
    reduce = PrunedMLPTransformer.from_sklearn(mlp)
    np.testing.assert_allclose(
        reduce.transform(X), np.maximum(X @ mlp.coefs_[0] + mlp.intercepts_[0], 0)
    )


def test_streams_need_no_list_of_classes_where_nothing_is_predicted():
    reduce = net(cls=PrunedMLPTransformer, n_components=2)
    assert reduce.partial_fit(X, y).partial_fit(X[:60], y[:60]).transform(X).shape == (150, 2)
    np.testing.assert_array_equal(reduce.classes_, [0, 1, 2])
    with pytest.raises(ValueError, match="y must have the classes of the earlier fit"):
        net(cls=PrunedMLPTransformer).partial_fit(X[:60], y[:60]).partial_fit(X, y)


# -- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": "mle"}, r"None, an int .*\[1, inf\) or a float .*\(0.0, 1.0\)"),
        ({"n_components": 1.0}, r"a float in the range \(0.0, 1.0\). Got 1.0"),
        ({"whiten": True}, "whiten=True needs n_components, which is None"),
        ({"transform_layer": "last"}, "'transform_layer' parameter .* must be .*'all'"),
        ({"inverse_alpha": -1}, r"'inverse_alpha' parameter .*\[0.0, inf\)"),
        (
            {"hidden_layer_sizes": (), "prune_fraction": 0, "fit_inverse_transform": True},
            r"fit_inverse_transform=True needs a hidden layer; hidden_layer_sizes=\(\) has none",
        ),
        (
            {"hidden_layer_sizes": (), "prune_fraction": 0, "n_components": 0.5},
            "n_components=0.5 needs a hidden layer",
        ),
    ],
)
def test_what_cannot_be_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        net().set_params(**params).fit(X, y)


def test_what_was_not_learned_does_not_come_back():
    for model in (net().fit(X, y), net().fit(X, y).compact()):
        with pytest.raises(NotFittedError, match="fit_inverse_transform=True"):
            model.inverse_transform(X)
    clf = net(n_components=2, fit_inverse_transform=True)
    with pytest.raises(NotFittedError):
        clf.inverse_transform(X)
    for model in (clf.fit(X, y), clf.compact()):
        with pytest.raises(ValueError, match="X has 4 columns, and inverse_transform .* takes 2"):
            model.inverse_transform(X)
        with pytest.raises(ValueError, match="NaN"):
            model.inverse_transform([[np.nan, 0]])
    mlp = MLPClassifier((12,), max_iter=5, random_state=0).fit(X, y)
    learns = PrunedMLPClassifier.from_sklearn(mlp, fit_inverse_transform=True)
    with pytest.raises(NotFittedError, match="learned in fit"):
        learns.inverse_transform(np.ones((1, 12)))


def test_numbers_that_are_too_large_have_no_inverse():
    clf = net(activation="logistic", fit_inverse_transform=True, max_iter=1, prune_fraction=0)
    assert np.isfinite(clf.fit(np.column_stack([X, 1e100 * X]), y).inverse_coef_).all()
    with pytest.raises(ValueError, match="fit_inverse_transform=True finds no finite coefficients"):
        clf.fit(np.column_stack([X, 1e305 * abs(X)]), y, sample_weight=np.full(150, 1e5))


def test_a_transformer_learns_classes_only():
    with pytest.raises(ValueError, match="Unknown label type"):
        net(cls=PrunedMLPTransformer).fit(X, X[:, 0])
