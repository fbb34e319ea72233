"""Nets whose first hidden layers begin as an autoencoder has learned them, labels or not."""

import pickle
import re
from types import FunctionType

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch.callbacks import Callback

from skactprune import (
    Chunks,
    PrunedAutoencoder,
    PrunedMLPClassifier,
    PrunedMLPRegressor,
    PrunedMLPTransformer,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:.*score")

ROWS, LABELS = load_digits(return_X_y=True)
ROWS = np.where(ROWS < 4, 0, ROWS / 16)
X, y, U = ROWS[:60], LABELS[:60], ROWS[60:200]
WEIGHT = np.where(np.arange(60) % 3, 1.0, 2.5)
KINDS = [PrunedMLPClassifier, PrunedMLPTransformer, PrunedMLPRegressor]
SMALL = {"max_iter": 4, "learning_rate_init": 0.01, "batch_size": 30}


def encoder(n_components=4, encoder_layer_sizes=(12,), **params):
    how = SMALL | {"prune_fraction": 0, "random_state": 3} | params
    return PrunedAutoencoder(n_components, encoder_layer_sizes, **how)


def net(pretrain, kind=PrunedMLPClassifier, hidden_layer_sizes=(12, 7), **params):
    how = SMALL | {"random_state": 0} | params
    return kind(hidden_layer_sizes=hidden_layer_sizes, pretrain=pretrain, **how)


def frozen(*rows, sample_weight=None, **params):
    fit_on = np.concatenate(rows or (X, U))
    return FrozenEstimator(encoder(**params).fit(fit_on, sample_weight=sample_weight))


def assert_same(one, other):
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_array_equal(a, b)


class Begin(Callback):
    """Keeps the weights before the first step."""

    def on_train_begin(self, net, **kwargs):
        self.coefs, self.intercepts = (
            [array.copy() for array in arrays] for arrays in net.module_.numpy_parameters()
        )


def at_first(pretrain, *args, **params):
    seen = Begin()
    fit_params = params.pop("fit_params", {})
    net(pretrain, *args, net_params={"callbacks": [seen]}, **params).fit(X, y, **fit_params)
    return seen


# -- the start -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [1, 2])
def test_the_first_layers_begin_as_those_of_the_encoder(kind, depth):
    sizes = (12, 7)[:depth]
    fitted = encoder(encoder_layer_sizes=sizes).fit(np.concatenate([X, U]))
    begun = at_first(
        encoder(encoder_layer_sizes=sizes), kind, (12, 7, 5), fit_params={"X_unlabeled": U}
    )
    plain = at_first(None, kind, (12, 7, 5))
    for ours, theirs, drawn in zip(
        (begun.coefs, begun.intercepts),
        (fitted.coefs_, fitted.intercepts_),
        (plain.coefs, plain.intercepts),
        strict=True,
    ):
        for layer in range(4):
            expected, other = (theirs, drawn) if layer < depth else (drawn, theirs)
            assert_array_equal(ours[layer], expected[layer])
            assert not np.array_equal(ours[layer], other[layer])


def test_it_shows_in_the_fitted_weights():
    # One step that is too short to be seen.
    how = {"max_iter": 1, "learning_rate_init": 1e-12, "weight_decay": 0.0, "prune_fraction": 0}
    fitted = net(encoder(), **how).fit(X, y)
    assert_allclose(fitted.coefs_[0], encoder().fit(X).coefs_[0], atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["activation_surgeon", "activation", "magnitude", "snip"])
def test_it_is_two_steps_in_one(kind, method):
    counts = {"X_unlabeled": U} if method.startswith("activation") else {}
    # Rows without labels weigh 1.
    weights = np.concatenate([WEIGHT, np.ones(len(U))])
    by_hand = net(frozen(sample_weight=weights), kind, method=method)
    by_hand.fit(X, y, WEIGHT, **counts)
    at_once = net(encoder(), kind, method=method).fit(X, y, WEIGHT, X_unlabeled=U)
    assert_same(at_once, by_hand)
    assert not np.array_equal(
        net(None, kind, method=method).fit(X, y).coefs_[-1], at_once.coefs_[-1]
    )


def test_without_unlabelled_rows_it_learns_from_the_training_rows():
    assert_same(net(encoder()).fit(X, y), net(frozen(X)).fit(X, y))
    # Those set aside to validate on are rows, too.
    stop = {"early_stopping": True, "validation_fraction": 0.3}
    assert_same(net(encoder(), **stop).fit(X, y), net(frozen(X), **stop).fit(X, y))


def test_sparse_rows_and_float32():
    dense = net(encoder()).fit(X, y, X_unlabeled=U)
    for rows, unlabeled in ((sparse.csr_array(X), U), (X, sparse.coo_array(U))):
        again = net(encoder()).fit(rows, y, X_unlabeled=unlabeled)
        for a, b in zip(dense.coefs_, again.coefs_, strict=True):
            assert_allclose(a, b, atol=1e-9)
    single = net(encoder()).fit(X.astype(np.float32), y, X_unlabeled=U)
    assert single.coefs_[0].dtype == np.float32
    rows = np.concatenate([X, U]).astype(np.float32)
    assert_same(single, net(frozen(rows)).fit(X.astype(np.float32), y, X_unlabeled=U))
    begun = at_first(frozen(), dtype="float32")
    assert_array_equal(begun.coefs[0], frozen().coefs_[0].astype(np.float32))


def test_seeds():
    unset = encoder(random_state=None)
    one = net(unset).fit(X, y)
    assert_same(one, net(unset).fit(X, y))
    assert unset.random_state is None and not hasattr(unset, "coefs_")
    assert not np.array_equal(
        at_first(unset, random_state=0).coefs[0], at_first(unset, random_state=1).coefs[0]
    )
    # Where it has a seed of its own, it is the same in every net.
    assert_array_equal(
        at_first(encoder(), random_state=0).coefs[0], at_first(encoder(), random_state=1).coefs[0]
    )


# -- among others ----------------------------------------------------------------------------


def test_a_grid_a_pipeline_and_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        routed = net(encoder()).set_fit_request(X_unlabeled=True)
        pipe = make_pipeline(MinMaxScaler(), routed, transform_input=["X_unlabeled"])
        name = "prunedmlpclassifier__pretrain__max_iter"
        search = GridSearchCV(pipe, {name: [1, 6]}, cv=2, refit=False)
        search.fit(X, y, X_unlabeled=U)
        found = clone(pipe).set_params(**{name: 6}).fit(X, y, X_unlabeled=U)[-1]
    scale = MinMaxScaler().fit(X)
    by_hand = net(frozen(scale.transform(X), scale.transform(U), max_iter=6))
    assert_same(found, by_hand.fit(scale.transform(X), y, X_unlabeled=scale.transform(U)))
    assert search.cv_results_[f"param_{name}"].tolist() == [1, 6]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_clones_and_pickles():
    ours = net(encoder()).fit(X, y, X_unlabeled=U)
    copy = pickle.loads(pickle.dumps(ours))
    assert_array_equal(copy.predict_proba(U), ours.predict_proba(U))
    assert_same(clone(copy).fit(X, y, X_unlabeled=U), ours)
    assert ours.get_params()["pretrain__encoder_layer_sizes"] == (12,)
    ready = net(frozen())
    assert_same(clone(ready).fit(X, y), pickle.loads(pickle.dumps(ready)).fit(X, y))


def test_a_net_that_goes_on_does_not_begin_again():
    # A fit that goes on has no use for the encoder, whatever it is.
    both = [net(encoder(), warm_start=True).fit(X, y), net(frozen(X), warm_start=True).fit(X, y)]
    both[1].set_params(pretrain=None)
    assert_same(*(each.fit(X, y) for each in both))
    assert_same(*(each.partial_fit(X, y) for each in both))


def test_partial_fit_and_files_begin_as_a_fitted_one():
    one = net(frozen()).partial_fit(X, y, classes=np.arange(10))
    begun = at_first(frozen(), method="magnitude")
    assert_array_equal(begun.coefs[0], frozen().coefs_[0])
    assert not np.array_equal(
        net(None).partial_fit(X, y, classes=np.arange(10)).coefs_[0], one.coefs_[0]
    )
    chunks = Chunks(lambda start: X[start : start + 20], range(0, 60, 20))
    how = {"shuffle": False}
    assert_same(net(frozen(), **how).fit(chunks, y), net(frozen(), **how).fit(X, y))


def test_a_pruned_one_can_begin_where_sizes_are_what_is_left():
    pruned = frozen(prune_fraction=0.5, method="activation", encoder_layer_sizes=(24,))
    left = pruned.coefs_[0].shape[1]
    assert left < 24
    begun = at_first(pruned, PrunedMLPClassifier, (left,))
    assert_array_equal(begun.coefs[0], pruned.coefs_[0])


# -- bad input -------------------------------------------------------------------------------

INIT = FrozenEstimator(MLPClassifier((12, 7), max_iter=1))


@pytest.mark.parametrize(
    ("pretrain", "params", "message"),
    [
        (3, {}, "'pretrain' parameter of PrunedMLPClassifier must be None or an object"),
        (PCA(2), {}, r"pretrain=PCA.* must be a PrunedAutoencoder, or one that is fitted"),
        (PrunedAutoencoder, {}, "pretrain=<class .* must be a PrunedAutoencoder"),
        (encoder(prune_fraction=0.5), {}, "must have prune_fraction=0, prune_features=0"),
        (encoder(prune_features=0.5), {}, "must have prune_fraction=0, prune_features=0"),
        (encoder(prune_output=0.5), {}, "prune_features=0 and prune_output=0"),
        (encoder(), {"hidden_layer_sizes": (13, 7)}, r"sizes \[12\].*hidden_layer_sizes=\(13, 7\)"),
        (encoder(), {"hidden_layer_sizes": ()}, r"sizes \[12\].*hidden_layer_sizes=\(\)"),
        (encoder(4, (12, 7, 5)), {}, r"sizes \[12, 7, 5\].*hidden_layer_sizes=\(12, 7\)"),
        (encoder(4, ()), {}, r"sizes \[\]; these must be one or more"),
        (encoder(4, (0,)), {}, r"encoder_layer_sizes=\(0,\) must be integers > 0"),
        (
            encoder(),
            {"activation": "tanh"},
            "activation='relu'; it must be that of the net",
        ),
        (encoder(max_iter=0), {}, "'max_iter' parameter of PrunedAutoencoder"),
        (encoder(), {"init_estimator": INIT}, "pretrain=.* must be None with init_estimator="),
        (lambda: frozen(ROWS[:40, :5]), {}, "was fitted on 5 features; X has 64"),
        (
            lambda: frozen(prune_fraction=0.5, method="activation"),
            {},
            r"sizes \[\d\].*hidden_layer_sizes=\(12, 7\)",
        ),
        (
            FrozenEstimator(encoder()),
            {},
            "pretrain=Frozen.* is not fitted, and so cannot",
        ),
    ],
)
def test_what_does_not_fit_is_refused(pretrain, params, message):
    INIT.estimator.fit(X, y)
    pretrain = pretrain() if isinstance(pretrain, FunctionType) else pretrain
    error = NotFittedError if "not fitted" in message else ValueError
    refused = net(pretrain, **params)
    with pytest.raises(error, match=re.compile(message, re.DOTALL)):
        refused.fit(X, y, X_unlabeled=U)
    assert not hasattr(refused, "coefs_")


def test_unfitted_ones_refuse_rows_in_parts():
    with pytest.raises(ValueError, match="must be fitted for partial_fit: it needs all rows"):
        net(encoder()).partial_fit(X, y, classes=np.arange(10))
    with pytest.raises(ValueError, match="must be fitted where X comes in Chunks"):
        net(encoder()).fit(Chunks(lambda _: X, [0]), y)


def test_names_of_features_must_agree():
    names = [f"pixel {n}" for n in range(64)]
    fitted = FrozenEstimator(encoder().fit(pd.DataFrame(X, columns=names)))
    net(fitted).fit(pd.DataFrame(X, columns=names), y)
    with pytest.raises(ValueError, match="fitted on features of the names .*; X has"):
        net(fitted).fit(pd.DataFrame(X, columns=names[::-1]), y)


def test_a_frozen_one_leaves_unlabelled_rows_to_be_counted_on():
    with pytest.raises(ValueError, match="does not count who fires"):
        net(frozen(), method="magnitude").fit(X, y, X_unlabeled=U)


def test_a_fit_that_fails_later_leaves_no_trace():
    ours = net(encoder()).fit(X, y)
    before = [coef.copy() for coef in ours.coefs_]
    pretrain = ours.pretrain
    ours.set_params(method="magnitude", prune_fraction=None)
    with pytest.raises(ValueError, match="prune_fraction"):
        ours.fit(X, y)
    for a, b in zip(before, ours.coefs_, strict=True):
        assert_array_equal(a, b)
    assert ours.pretrain is pretrain and not hasattr(pretrain, "coefs_")


def test_rows_of_a_mapped_file_may_weigh_nothing(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    weight = np.arange(len(X)) % 3 > 0
    expected = net(encoder()).fit(X, y, sample_weight=weight)
    assert_same(net(encoder()).fit(mapped, y, sample_weight=weight), expected)
