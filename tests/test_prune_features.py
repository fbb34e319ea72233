"""Input features that leave in the rounds, and models of what is left of the rows."""

import pickle
import re
from functools import lru_cache
from operator import methodcaller

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch import NeuralNetClassifier
from small_nets import HIDDEN, net, rounds

import skactprune.methods.surgeon as surgeon
from skactprune import PrunedMLPClassifier, Pruner, compact, load, save, to_onnx
from skactprune.methods import (
    METHODS,
    Activation,
    ActivationSurgeon,
    LotteryTicket,
    Magnitude,
    Method,
    Random,
    RigL,
    ScoredMethod,
)
from skactprune.pruning.run import Run

N_FEATURES = 10

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def table(n=120, seed=0):
    """Rows whose features have unlike scales and means, the last a constant, and labels."""
    X, y = make_classification(
        n, N_FEATURES, n_informative=6, n_redundant=2, n_classes=3, random_state=seed
    )
    X = X * np.linspace(0.5, 2, N_FEATURES) + np.linspace(-1, 1, N_FEATURES)
    X[:, -1] = 0.1
    return X, y


def at_mean(X, gone, weight=None):
    """Rows in which some features have their mean."""
    X = X.copy()
    X[:, gone] = np.average(X[:, gone], axis=0, weights=weight)
    return X


# -- what it is to leave ---------------------------------------------------------------------


@pytest.mark.parametrize("weighted, as_sparse", [(False, False), (True, True)])
@pytest.mark.parametrize(
    "method", ["magnitude", "activation", ActivationSurgeon("weight"), "movement", "random"]
)
def test_a_net_without_features_is_the_net_with_them_at_their_mean(method, weighted, as_sparse):
    X, y = table()
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else None
    rows = sparse.csr_matrix(X) if as_sparse else X
    dense = net(method=method).fit(rows, y, weight)
    clf = net(method=method, prune_features=0.4).fit(rows, y, weight)
    assert len(clf.unused_features_) == 4
    expected = dense.predict_proba(at_mean(X, clf.unused_features_, weight))
    assert_allclose(clf.predict_proba(X), expected, atol=1e-10)


def test_a_ticket_without_features_is_the_first_net_with_them_at_their_mean():
    X, y = table()
    first = net(max_iter=1, learning_rate_init=1e-300).fit(X, y)
    clf = net(method="lottery_ticket", prune_features=0.5).fit(X, y)
    expected = first.predict_proba(at_mean(X, clf.unused_features_))
    assert_allclose(clf.predict_proba(X), expected, atol=1e-10)


def test_the_others_take_over_by_ridge_regression_of_standardised_features():
    X, y = table()
    dense, clf = net().fit(X, y), net(prune_features=0.5).fit(X, y)
    gone, stays = np.setdiff1d(clf.unused_features_, N_FEATURES - 1), clf.get_support()
    assert len(gone) == 4 and stays.sum() == 5
    deviation = X[:, :-1].std(axis=0)
    Z, W = X[:, :-1] / deviation, dense.coefs_[0][:-1] * deviation[:, None]
    told = Ridge(alpha=0.1 * len(X)).fit(Z[:, stays[:-1]], Z[:, gone] @ W[gone])
    expected = dense.coefs_[0][stays] + told.coef_.T / deviation[stays[:-1], None]
    assert_allclose(clf.coefs_[0][stays], expected, rtol=1e-9, atol=1e-12)
    constant = 0.1 * dense.coefs_[0][-1]
    assert_allclose(
        clf.intercepts_[0], dense.intercepts_[0] + told.intercept_ + constant, rtol=1e-9
    )
    assert not clf.coefs_[0][~stays].any()


# -- which leave -----------------------------------------------------------------------------


def test_the_surgeon_removes_one_after_the_other_what_costs_least_in_the_logits():
    X, y = table()
    # Two that are alike: when one has left, the other does for both.
    X[:, 1] = X[:, 0] + 0.05 * X[:, 5]
    dense = net(n_prune_rounds=0).fit(X, y)
    counts = net(method="activation", prune_features=0.1).fit(X, y)
    rates = [count / counts.t_ for count in counts.activation_counts_]
    W0, W1, W2 = (coef.T for coef in dense.coefs_)
    gains = []
    for i in range(HIDDEN[0]):
        total = 0.0
        for j in range(HIDDEN[1]):
            total += W1[j, i] ** 2 * rates[1][j] * sum(W2[k, j] ** 2 for k in range(3))
        gains.append(np.sqrt(rates[0][i] * total))
    left = list(range(N_FEATURES - 1))
    R = np.corrcoef(X[:, left].T)
    outgoing = {j: W0[:, j] * gains * X[:, j].std() for j in left}
    gone = [N_FEATURES - 1]
    while len(gone) < 7:
        cheapest = min(left, key=lambda j: np.sum(outgoing[j] ** 2))
        left.remove(cheapest)
        gone.append(cheapest)
        regular = R[np.ix_(left, left)] + 0.1 * np.eye(len(left))
        for j, share in zip(left, np.linalg.solve(regular, R[left, cheapest]), strict=True):
            outgoing[j] = outgoing[j] + share * outgoing[cheapest]
        clf = net(prune_features=len(gone) / N_FEATURES).fit(X, y)
        assert_array_equal(clf.unused_features_, sorted(gone))


@pytest.mark.parametrize(
    "method, score",
    [
        ("magnitude", lambda W, X: np.abs(W).sum(axis=1)),
        ("activation", lambda W, X: np.abs(W).sum(axis=1) * X.std(axis=0)),
        (Magnitude(granularity="neuron"), lambda W, X: np.abs(W).sum(axis=1)),
    ],
)
def test_other_methods_remove_the_lowest_sums_of_their_scores(method, score):
    X, y = table()
    scores = score(net(method=method).fit(X, y).coefs_[0], X)
    scores[-1] = -1
    clf = net(method=method, prune_features=0.4).fit(X, y)
    assert_array_equal(clf.unused_features_, np.sort(np.argsort(scores)[:4]))


def test_more_features_than_can_stand_in_for_each_other_leave_by_their_variance(monkeypatch):
    monkeypatch.setattr(surgeon, "MOST_FEATURES", 5)
    X, y = table()
    dense, clf = net().fit(X, y), net(prune_features=0.4).fit(X, y)
    expected = dense.predict_proba(at_mean(X, clf.unused_features_))
    assert_allclose(clf.predict_proba(X), expected, atol=1e-10)


@pytest.mark.parametrize(
    "method, kind, dtype",
    [
        ("activation_surgeon", np.asarray, np.float64),
        ("activation_surgeon", sparse.csr_matrix, np.float32),
        ("magnitude", np.asarray, np.float32),
        ("magnitude", sparse.csr_matrix, np.float64),
        ("snip", np.asarray, np.float64),
    ],
)
def test_constants_go_first_and_are_not_missed(method, kind, dtype):
    X, y = table()
    X[:, [1, 4]] = 0.0, 7.3
    X = X.astype(dtype)
    # "snip" prunes before the first step, so that training is another one.
    epochs = {"max_iter": 1, "learning_rate_init": 1e-30} if method == "snip" else {}
    clf = net(method=method, prune_features=0.3, **epochs).fit(kind(X), y)
    assert_array_equal(clf.unused_features_, [1, 4, 9])
    dense = net(method=method, **epochs).fit(kind(X), y)
    tolerance = 1e-10 if dtype == np.float64 else 1e-5
    assert clf.coefs_[0].dtype == dtype
    assert_allclose(clf.predict_proba(X), dense.predict_proba(X), atol=tolerance)


def test_weights_of_sparse_rows_may_be_huge():
    X, y = table()
    clf = net(method="magnitude", prune_features=0.1)
    clf.fit(sparse.csr_matrix(X), y, np.full(len(y), 1e30))
    assert_array_equal(clf.unused_features_, [9])


def test_features_none_of_which_varies_leave():
    y = table()[1]
    clf = net(prune_features=0.5).fit(np.ones((len(y), N_FEATURES)), y)
    assert_array_equal(clf.unused_features_, np.arange(5))


@pytest.mark.parametrize("method", [Magnitude(), Random(granularity="weight")])
def test_features_that_no_weight_reads_any_more_go_before_others(method):
    X, y = table()
    clf = rounds(method=method, prune_fraction=0.9, warm_start=True).fit(X, y)
    unused = set(clf.unused_features_)
    assert 2 <= len(unused) < 7
    clf.set_params(prune_features=0.7).fit(X, y)
    assert unused <= set(clf.unused_features_) and len(clf.unused_features_) >= 7


# -- how many --------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0, 0.5, 0.8])
@pytest.mark.parametrize("features", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("granularity, scope", [("neuron", "global"), ("weight", "layer")])
def test_the_fraction_is_of_the_weights_of_the_features_that_stay(
    fraction, features, granularity, scope
):
    X, y = table()
    n_stay = {0.25: 7, 0.5: 5, 0.9: 1}[features]
    total = n_stay * HIDDEN[0] + HIDDEN[0] * HIDDEN[1]
    method = Magnitude(granularity=granularity, scope=scope)
    clf = rounds(method=method, prune_fraction=fraction, prune_features=features, max_iter=4)
    clf.fit(X, y)
    n_left = sum(int(mask.sum()) for mask in clf.masks_)
    # A weight that is the last of its neuron takes others with it.
    whole = granularity == "neuron" or n_stay == 1
    largest = n_stay + HIDDEN[1] if whole else 1
    assert (1 - fraction) * total - largest < n_left <= (1 - fraction) * total + 1e-9
    used = clf.get_support().sum()
    assert used == n_stay if granularity == "neuron" else used <= n_stay
    assert clf.sparsity_ == pytest.approx(1 - n_left / (N_FEATURES * 8 + 8 * 6))


def test_features_leave_with_the_schedule_of_the_method():
    X, y = table()
    seen = []

    class Watched(ActivationSurgeon):
        """Notes how many features have left after each round."""

        def round(self, run, share):
            super().round(run, share)
            seen.append((share, int(run.dropped.sum())))

    method = Watched(schedule="linear")
    rounds(method=method, prune_features=0.6, n_prune_rounds=4, max_iter=12).fit(X, y)
    assert seen == [(0.25, 2), (0.5, 3), (0.75, 5), (1.0, 6)]


def test_what_is_left_is_told_consistently():
    X, y = table()
    clf = rounds(prune_features=0.5, prune_fraction=0.5).fit(X, y)
    support = clf.get_support()
    assert support.dtype == bool and support.sum() == 5
    assert_array_equal(clf.get_support(indices=True), np.flatnonzero(support))
    assert_array_equal(clf.unused_features_, np.flatnonzero(~support))
    assert clf.n_features_in_ == len(clf.coefs_[0]) == len(clf.masks_[0]) == N_FEATURES
    assert_array_equal(clf.masks_[0].any(axis=1), support)
    assert_array_equal(clf.coefs_[0].any(axis=1), support)
    changed = X + 100 * ~support
    assert_array_equal(clf.predict_proba(changed), clf.predict_proba(X))
    assert_allclose(clf.net_.predict_proba(changed), clf.predict_proba(X), atol=1e-12)


def test_without_pruning_all_features_are_used():
    X, y = table()
    assert PrunedMLPClassifier((), prune_fraction=0, max_iter=1).fit(X, y).get_support().all()
    assert net(n_prune_rounds=0, prune_features=0.5).fit(X, y).get_support().all()


# -- as training goes on ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["activation_surgeon", "magnitude", "lottery_ticket", "snip"])
def test_more_may_be_asked_for_later(method):
    X, y = table()
    clf = rounds(method=method, prune_fraction=0.5, warm_start=True).fit(X, y)
    assert clf.get_support().sum() >= 8
    for features, fraction in ((0.3, 0.5), (0.3, 0.7), (0.6, 0.7)):
        before, n_rows = set(clf.unused_features_), len(clf.pruning_history_)
        clf = pickle.loads(pickle.dumps(clf))
        clf.set_params(prune_features=features, prune_fraction=fraction).fit(X, y)
        assert before <= set(clf.unused_features_)
        assert len(clf.unused_features_) >= 10 * features
        assert len(clf.pruning_history_) > n_rows
        total = round(10 - 10 * features) * HIDDEN[0] + HIDDEN[0] * HIDDEN[1]
        assert sum(mask.sum() for mask in clf.masks_) <= (1 - fraction) * total + 1e-9
    unused, n_rows = clf.unused_features_, len(clf.pruning_history_)
    clf.set_params(prune_features=0.2).fit(X, y)
    assert_array_equal(clf.unused_features_, unused)
    assert len(clf.pruning_history_) == n_rows


@pytest.mark.parametrize("method", ["activation_surgeon", LotteryTicket(rewind_epoch=1)])
def test_pickled_between_calls_it_goes_on_as_without(method):
    X, y = table()
    plain, pickled = (rounds(method=method, prune_features=0.5) for _ in range(2))
    for _ in range(8):
        for clf in (plain, pickled):
            clf.partial_fit(X, y, classes=np.unique(y))
        pickled = pickle.loads(pickle.dumps(pickled))
    assert_array_equal(plain.coefs_[0], pickled.coefs_[0])
    assert len(plain.unused_features_) == len(pickled.unused_features_) == 5


def test_streams_tell_constants_by_all_rows_so_far():
    X, y = table(240)
    X[:120, 3], X[120:, 5] = 0.5, -1
    clf = rounds(prune_features=0.1)
    for _ in range(4):
        for rows in (slice(120), slice(120, None)):
            clf.partial_fit(X[rows], y[rows], classes=np.unique(y))
    assert_array_equal(clf.unused_features_, [9])


def test_features_stay_gone_with_early_stopping():
    X, y = table()
    clf = rounds(prune_features=0.5, early_stopping=True, max_iter=30).fit(X, y)
    assert len(clf.unused_features_) == 5 and not clf.coefs_[0][clf.unused_features_].any()


def test_unlabelled_rows_tell_how_features_vary():
    X, y = table()
    others = table(200, seed=1)[0]
    others[:, 2] = 1.0
    for method in ("activation_surgeon", "magnitude"):
        clf = net(method=method, prune_features=0.2).fit(X, y, X_unlabeled=others)
        assert_array_equal(clf.unused_features_, [2, 9])


def test_a_round_that_fails_leaves_the_features():
    X, y = table()
    runs = []

    class Fails(Magnitude):
        """Fails after features have left."""

        def scores(self, run):
            if run.dropped.any():
                runs.append(run)
                raise RuntimeError
            return super().scores(run)

    with pytest.raises(RuntimeError):
        net(method=Fails(), prune_features=0.5).fit(X, y)
    (run,) = runs
    assert not run.dropped.any() and run.masks.current[0].all() and run.done == 0


def test_interrupted_in_a_round_it_is_as_before_and_goes_on(monkeypatch):
    X, y = table()
    drop, calls = Run.drop_features, []

    def pressed(self, gone, refit=None):
        drop(self, gone, refit)
        calls.append(gone)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "drop_features", pressed)
    method = ActivationSurgeon(schedule="linear")
    clf = rounds(method=method, prune_features=0.6, warm_start=True)
    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X, y)
    assert len(clf.unused_features_) == 2 and len(clf.pruning_history_) == 1
    assert_array_equal(clf.coefs_[0].any(axis=1), clf.get_support())
    clf.fit(X, y)
    assert len(clf.unused_features_) == 6 and len(clf.pruning_history_) == 3


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params, message",
    [
        ({"prune_features": 1.0}, "prune_features"),
        ({"prune_features": -0.1}, "prune_features"),
        ({"prune_features": "half"}, "prune_features"),
        ({"prune_features": 0.95}, "prune_features=0.95 must be at most 0.9,.* one of 10"),
        ({"method": Activation(regrow=True)}, "regrow=True.*prune_features=0.5 must be 0"),
        ({"method": RigL()}, "weights come back, so that prune_features=0.5 must be 0"),
        ({"method": "surgery"}, "weights come back, so that prune_features=0.5 must be 0"),
        ({"method": "slr"}, "removes no features, so that prune_features=0.5 must be 0"),
        ({"method": "ganguli2024"}, "all weights of the net.*prune_features=0.5 must be 0"),
        ({"prune_fraction": 0.99}, "prune_fraction=0.99 cannot be reached.*8, 5"),
    ],
)
def test_refused(params, message):
    with pytest.raises(ValueError, match=message):
        net(**{"prune_features": 0.5} | params).fit(*table())


def test_refused_without_hidden_layers():
    clf = PrunedMLPClassifier((), prune_fraction=0, prune_features=0.5)
    with pytest.raises(ValueError, match="prune_features=0.5 needs a hidden layer"):
        clf.fit(*table())


def test_what_brings_weights_back_does_not_go_on_from_a_net_that_has_lost_features():
    X, y = table()
    clf = rounds(prune_features=0.5, prune_fraction=0.5, warm_start=True).fit(X, y)
    for method in (Activation(regrow=True), RigL()):
        clf.set_params(method=method, prune_features=0)
        with pytest.raises(ValueError, match="weights come back.*fits that it goes on from"):
            clf.fit(X, y)
    clf.set_params(method="activation", prune_fraction=0.95)
    with pytest.raises(ValueError, match=r"prune_fraction=0.95 cannot be reached.*\(8, 5\)"):
        clf.fit(X, y)
    clf.set_params(prune_fraction=0.7).fit(X, y)
    n_left = sum(mask.sum() for mask in clf.masks_)
    assert len(clf.unused_features_) == 5 and n_left <= 0.3 * (5 * 8 + 8 * 6) + 1e-9


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_removes_features_alone_or_says_that_it_cannot(name):
    X, y = table()
    try:
        clf = net(method=name, prune_features=0.5, n_prune_rounds=2, trigger="progress").fit(X, y)
    except ValueError as error:
        assert re.search(r"prune_features=0.5 must be 0", str(error))
    else:
        assert len(clf.unused_features_) == 5


class Nothing(Method):
    """Removes nothing."""


class OwnWay(ScoredMethod):
    """Has a round of its own."""

    def round(self, run, share):
        run.keep(run.masks)


@pytest.mark.parametrize("method", [Nothing(), OwnWay()])
def test_methods_that_remove_no_features_are_refused(method):
    with pytest.raises(ValueError, match="removes no features.*prune_features=0.5 must be 0"):
        net(method=method, prune_features=0.5).fit(*table())


def test_other_nets_are_refused():
    pruner = Pruner("magnitude", prune_features=0.5)
    module = torch.nn.Sequential(torch.nn.Linear(10, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    other = NeuralNetClassifier(module, callbacks=[pruner], verbose=0)
    X, y = table()
    with pytest.raises(ValueError, match="prune_features=0.5 must be 0 for Sequential"):
        other.fit(X.astype("float32"), y)


def test_neurons_that_must_stay_connected_keep_their_features():
    class Alone(Magnitude):
        """The first eight features are read by one neuron each, the others by none."""

        def begin(self, run):
            super().begin(run)
            run.keep([np.eye(8, N_FEATURES, dtype=bool), np.ones((6, 8), dtype=bool)])

    X, y = table()
    clf = net(method=Alone(), prune_features=0.5, min_neurons=(5, 1)).fit(X, y)
    assert len(clf.live_neurons_[0]) == clf.get_support().sum() == 5
    with pytest.raises(ValueError, match=r"prune_features=0.5 cannot be reached.*\[6, 1\]"):
        net(method=Alone(), prune_features=0.5, min_neurons=(6, 1)).fit(X, y)


# -- selection -------------------------------------------------------------------------------


def test_as_a_step_that_selects_features():
    X, y = load_iris(return_X_y=True, as_frame=True)
    clf = net(prune_features=0.5, max_iter=60, n_prune_rounds=3, trigger="epoch")
    selector = SelectFromModel(clf, threshold=0.5, importance_getter=methodcaller("get_support"))
    selector.set_output(transform="pandas")
    pipeline = make_pipeline(StandardScaler(), clone(selector), LogisticRegression())
    assert pipeline.fit(X, y).score(X, y) > 0.9
    names = pipeline[:-1].get_feature_names_out()
    assert len(names) == 2 and set(names) < set(X.columns)
    chosen = selector.fit(X, y).transform(X)
    support = selector.estimator_.get_support()
    assert_array_equal(selector.get_support(), support)
    pd.testing.assert_frame_equal(chosen, X.loc[:, support])


# -- compact models --------------------------------------------------------------------------


@lru_cache
def fitted_on_names(scaler):
    """Model of named columns, with a scaler in front or None, and the columns."""
    X, y = table()
    if scaler is not None:
        # A constant so far from zero that it could not be folded in if it were used.
        X[:, -1] = 1e4
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(N_FEATURES)])
    clf = rounds(prune_features=0.5, prune_fraction=0.5)
    return (make_pipeline(scaler(), clf) if scaler else clf).fit(frame, y), frame


@pytest.mark.parametrize("storage", [None, "float32", "float16", "int8", "codebook"])
@pytest.mark.parametrize("scaler", [None, StandardScaler, MinMaxScaler])
def test_compact_models_take_the_full_or_the_reduced_row(scaler, storage, tmp_path):
    model, frame = fitted_on_names(scaler)
    used = (model[-1] if scaler else model).get_support()
    full, small = compact(model, storage), compact(model, storage, features="used")
    last = small[-1] if scaler else small
    assert last.n_features_in_ == 5 and last.get_support().all()
    assert last.feature_names_in_.tolist() == list(frame.columns[used])
    rows = frame.loc[:, used]
    expected = full.predict_proba(frame)
    assert_allclose(small.predict_proba(rows), expected, atol=1e-5)
    assert_allclose(small.transform(rows), full.transform(frame), rtol=1e-4, atol=1e-4)
    if storage is None:
        assert_allclose(expected, model.predict_proba(frame), atol=1e-10)
    again = pickle.loads(pickle.dumps(small))
    assert_array_equal(again.predict_proba(rows), small.predict_proba(rows))
    save(small, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert_array_equal(loaded.predict_proba(rows), small.predict_proba(rows))
    assert loaded.feature_names_in_.tolist() == list(frame.columns[used])
    assert_array_equal((full[-1] if scaler else full).get_support(), used)
    twice = compact(full, features="used")
    assert_allclose(twice.predict_proba(rows), small.predict_proba(rows), atol=1e-6)


def test_the_reduced_row_as_onnx():
    runtime = pytest.importorskip("onnxruntime")
    X, y = table()
    clf = rounds(prune_features=0.5).fit(X, y)
    small = clf.compact(features="used")
    session = runtime.InferenceSession(to_onnx(small).SerializeToString())
    found = session.run(["probabilities"], {"X": X[:, clf.get_support()]})[0]
    assert_allclose(found, clf.predict_proba(X), atol=1e-6)


def test_the_reduced_row_is_refused_where_a_step_in_front_needs_the_full_one():
    X, y = table()
    model = make_pipeline(PCA(6), StandardScaler(), rounds(prune_features=0.5)).fit(X, y)
    with pytest.raises(ValueError, match="features='used'.*'pca', a PCA, cannot"):
        compact(model, features="used")
    assert compact(model, features="all").predict_proba(X).shape == (120, 3)


def test_the_reduced_row_of_a_layer_that_is_kept_as_two_factors():
    X, y = table()
    clf = rounds(prune_features=0.3, method="magnitude").fit(X, y)
    low = clf.coefs_[0][:, :1] * np.arange(1, 9)
    clf.coefs_ = [low, *clf.coefs_[1:]]
    full, used = clf.compact(), clf.get_support()
    assert isinstance(full.weights_.kernels[0], tuple)
    assert_array_equal(full.get_support(), used)
    small = clf.compact(features="used")
    assert small.n_features_in_ == used.sum()
    assert_allclose(small.predict_proba(X[:, used]), full.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("features", [None, "some", 3])
def test_other_features_of_compact_are_refused(features):
    clf = net(max_iter=1).fit(*table())
    for make in (clf.compact, clf.compact().compact, lambda **how: compact(clf, **how)):
        with pytest.raises(ValueError, match="features=.* must be 'all' or 'used'"):
            make(features=features)


def test_a_net_whose_weights_were_assigned_is_not_cut_wrongly():
    clf = rounds(prune_features=0.5).fit(*table())
    clf.coefs_ = [np.ones_like(coef) for coef in clf.coefs_]
    with pytest.raises(ValueError, match="left out have weights"):
        clf.compact(features="used")
