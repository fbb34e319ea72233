"""Firing is counted on rows without labels where they are given, and nothing else changes."""

import gc
import hashlib
import pickle
import weakref

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from skactprune import (
    Activation,
    EpochTrigger,
    Ganguli2024,
    PrunedMLPClassifier,
    Pruner,
    ScorePruning,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
rows, labels = make_classification(
    n_samples=300, n_features=6, n_informative=5, n_redundant=0, n_classes=3, random_state=0
)
X, y, U = rows[:70], labels[:70], rows[70:]
FEW, MANY = U[:19], U
PARAMS = {
    "method": "activation",
    "max_iter": 12,
    "batch_size": 16,
    "learning_rate_init": 0.01,
    "random_state": 0,
}
ACTIVATIONS = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}


def make(hidden=(11, 8), **params):
    return PrunedMLPClassifier(hidden, **PARAMS | params)


def bits(clf):
    """All that a fit leaves behind, to the last bit."""
    arrays = [*clf.coefs_, *clf.intercepts_, *clf.masks_, *clf.activation_counts_, clf.loss_curve_]
    return [hashlib.sha256(np.asarray(array).tobytes()).hexdigest() for array in arrays]


class SecondCount(Callback):
    """Counts z > 0 in numpy on all rows that came in evaluation mode, epoch by epoch."""

    def __init__(self, hidden=(11, 8), activation="relu"):
        self.totals = [np.zeros(n, dtype=int) for n in hidden]
        self.activation = ACTIVATIONS[activation]
        self.epochs = []

    def initialize(self):
        return self

    def on_train_begin(self, net, **kwargs):
        self.batches, self.validating = [], False
        net.module_.register_forward_pre_hook(self.see)

    def on_batch_begin(self, net, training=False, **kwargs):
        self.validating = not training

    def see(self, module, inputs):
        if not module.training and not self.validating:
            self.batches.append(inputs[0].numpy().copy())

    def on_batch_end(self, net, **kwargs):
        self.validating = False
        # The net as it was before the round, if there is one after this epoch.
        coefs, intercepts = net.module_.numpy_parameters()
        self.layers = [(c.copy(), b.copy()) for c, b in zip(coefs, intercepts, strict=True)]
        self.live = [live.copy() for live in dict(net.callbacks_)["pruner"].masks_.live]

    def on_epoch_end(self, net, **kwargs):
        h = np.concatenate([np.empty((0, 6)), *self.batches])
        self.epochs.append(h)
        assert all(len(batch) <= net.batch_size for batch in self.batches)
        self.batches = []
        for total, live, (coef, bias) in zip(self.totals, self.live, self.layers[:-1], strict=True):
            z = h @ coef + bias
            total[live] += (z > 0).sum(axis=0)
            h = self.activation(z)


def counted_with(second, unlabeled, sample_weight=None, **params):
    clf = make(net_params={"callbacks": [("second", second)]}, **params)
    return clf.fit(X, y, sample_weight, unlabeled)


def assert_counted(clf, second):
    for count, total in zip(clf.activation_counts_, second.totals, strict=True):
        assert count.dtype == np.int64
        assert count.tolist() == total.tolist()
        assert count.any()


def assert_in_turn(epochs, unlabeled, n_rows):
    """Every epoch had `n_rows` rows; together they are one random order after the other."""
    assert [len(epoch) for epoch in epochs] == [n_rows] * len(epochs)
    index = {row.tobytes(): i for i, row in enumerate(unlabeled)}
    order = [index[row.tobytes()] for row in np.concatenate(epochs)]
    n, turns = len(unlabeled), []
    for start in range(0, len(order), n):
        turns.append(order[start : start + n])
        assert len(set(turns[-1])) == len(turns[-1])
    assert turns[0] != list(range(len(turns[0])))
    assert len(turns) > 1 and turns[0] != turns[1]


HALF = np.where(np.arange(70) < 35, 0.0, 2.5)


@pytest.mark.parametrize("unlabeled", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize(
    ("n_rows", "params"),
    [
        (70, {}),
        (70, {"activation": "tanh", "solver": "sgd"}),
        (70, {"dropout": 0.4}),
        (70, {"class_weight": {0: 0.5, 1: 1.0, 2: 4.0}}),
        (56, {"early_stopping": True, "validation_fraction": 0.2}),
        (35, {"sample_weight": HALF}),
        (70, {"method": Activation(granularity="weight", regrow=True)}),
        (70, {"method": "firing_deviation"}),
        (70, {"method": "ganguli2024", "prune_fraction": 0.6}),
    ],
)
def test_counts_equal_a_plain_count_of_the_rows_in_turn(unlabeled, n_rows, params):
    second = SecondCount(activation=params.get("activation", "relu"))
    clf = counted_with(second, unlabeled, **params)
    last = clf.pruning_history_[-1]["epoch"]
    assert clf.n_iter_ == 12 > last
    assert_counted(clf, second)
    assert_in_turn(second.epochs[:last], unlabeled, n_rows)
    assert all(len(epoch) == 0 for epoch in second.epochs[last:])


def test_counts_go_on_to_the_end_where_rounds_do_not_come():
    second = SecondCount()
    clf = counted_with(second, FEW, trigger="accuracy", solver="sgd", learning_rate_init=1e-9)
    assert clf.pruning_history_ == []
    assert_counted(clf, second)
    assert_in_turn(second.epochs, FEW, 70)


def test_sparse_rows_and_other_dtypes_are_counted_alike():
    thin = np.where(np.abs(U) < 0.7, 0, U)
    dense = make().fit(X, y, X_unlabeled=thin)
    for stored in (sparse.csr_array(thin), sparse.coo_array(thin), thin.tolist()):
        assert bits(make().fit(X, y, X_unlabeled=stored)) == bits(dense)
    assert bits(make().fit(sparse.csr_array(X), y, X_unlabeled=thin)) == bits(dense)
    single = make().fit(X.astype(np.float32), y, X_unlabeled=U)
    assert single.coefs_[0].dtype == np.float32
    same = make().fit(X.astype(np.float32), y, X_unlabeled=U.astype(np.float32))
    assert bits(single) == bits(same)


def test_a_sample_is_drawn_from_the_unlabelled_rows():
    second = SecondCount()
    clf = counted_with(
        second, MANY, method=Ganguli2024(counting="sample"), prune_fraction=0.5, batch_size=40
    )
    last = clf.pruning_history_[-1]["epoch"]
    assert_counted(clf, second)
    known = {row.tobytes() for row in MANY}
    for epoch in second.epochs[:last]:
        assert len({row.tobytes() for row in epoch} & known) == len(epoch) == 32
    assert all(len(epoch) == 0 for epoch in second.epochs[last:])


def test_criteria_are_told_how_many_rows_were_counted():
    seen = []

    def score(layer):
        seen.append(layer.n_counted)
        return layer.counts[:, None]

    clf = make((11,), method=ScorePruning(score)).fit(X, y, X_unlabeled=FEW)
    assert seen == [70 * row["epoch"] for row in clf.pruning_history_]


# -- pruning follows ------------------------------------------------------------------------


def test_pruning_follows_the_unlabelled_rows():
    """Neuron j fires where feature j is positive: 0-3 on labelled, 4-7 on unlabelled rows."""
    random = np.random.RandomState(0)
    magnitude = random.uniform(0.5, 1.0, (50, 8))
    sign = np.where(np.arange(8) < 4, 1, -1)
    seen, target = magnitude * sign, random.randint(0, 2, 50)
    mlp = MLPClassifier((8,), max_iter=1, solver="sgd", learning_rate_init=1e-300)
    mlp.partial_fit(seen, target, classes=[0, 1])
    mlp.coefs_[0], mlp.intercepts_[0] = np.eye(8), np.zeros(8)
    clf = PrunedMLPClassifier.from_sklearn(
        mlp, method="activation", max_iter=10, alpha=0, prune_fraction=0.5, random_state=0
    )
    unlabeled = -seen[:30]
    assert clone(clf).fit(seen, target).live_neurons_[0].tolist() == [0, 1, 2, 3]
    clf.fit(seen, target, X_unlabeled=unlabeled)
    assert clf.live_neurons_[0].tolist() == [4, 5, 6, 7]
    last = clf.pruning_history_[-1]["epoch"]
    assert clf.activation_counts_[0].tolist() == [0] * 4 + [50 * last] * 4


# -- the rest of the fit --------------------------------------------------------------------


def test_one_seed_one_result():
    fitted = bits(make(dropout=0.2).fit(X, y, X_unlabeled=U))
    torch_state = torch.get_rng_state()
    torch.rand(3)
    assert bits(make(dropout=0.2).fit(X, y, X_unlabeled=U)) == fitted
    torch.set_rng_state(torch_state)
    assert bits(make(dropout=0.2, random_state=1).fit(X, y, X_unlabeled=U)) != fitted
    make(dropout=0.2).fit(X, y, X_unlabeled=U)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_counting_elsewhere_leaves_training_alone():
    """Rows in their own order: only the rounds, never the counting, makes a difference."""
    params = {"shuffle": False, "dropout": 0.3, "trigger": EpochTrigger(0.5, 1.0)}
    one, other = make(**params).fit(X, y), make(**params).fit(X, y, X_unlabeled=U)
    assert one.loss_curve_[:6] == other.loss_curve_[:6]
    assert one.activation_counts_[0].tolist() != other.activation_counts_[0].tolist()


def test_without_rounds_unlabelled_rows_change_nothing():
    one = make(prune_fraction=0).fit(X, y)
    assert bits(make(prune_fraction=0).fit(X, y, X_unlabeled=U)) == bits(one)
    assert not np.concatenate(one.activation_counts_).any()


def test_fitted_estimators_keep_no_unlabelled_rows():
    unlabeled = U.copy()
    alive = weakref.ref(unlabeled)
    clf = make().fit(X, y, X_unlabeled=unlabeled)
    del unlabeled
    gc.collect()
    assert alive() is None
    copy = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copy.predict_proba(U), clf.predict_proba(U))
    # It goes on as the original does.
    go_on = {"X_unlabeled": FEW}
    assert bits(copy.partial_fit(X, y, **go_on)) == bits(clf.partial_fit(X, y, **go_on))
    assert bits(clone(clf).fit(X, y, X_unlabeled=U)) == bits(make().fit(X, y, X_unlabeled=U))


def test_warm_start_counts_on_while_rounds_are_to_come():
    second = SecondCount()
    clf = counted_with(second, MANY, warm_start=True, prune_fraction=0.5)
    first = len(second.epochs)
    clf.fit(X, y, X_unlabeled=MANY)
    assert all(len(epoch) == 0 for epoch in second.epochs[first:])
    assert_counted(clf, second)
    clf.set_params(prune_fraction=0.8).fit(X, y, X_unlabeled=MANY)
    assert sum(len(epoch) for epoch in second.epochs[first:]) > 0
    assert_counted(clf, second)
    assert clf.sparsity_ >= 0.8


def test_partial_fit_counts_one_epoch_a_call():
    second = SecondCount()
    clf = make(net_params={"callbacks": [("second", second)]})
    for _ in range(12):
        clf.partial_fit(X, y, classes=[0, 1, 2], X_unlabeled=MANY[:70])
    last = clf.pruning_history_[-1]["epoch"]
    assert [len(epoch) for epoch in second.epochs] == [70] * last + [0] * (12 - last)
    assert_counted(clf, second)
    assert_in_turn(second.epochs[:last], MANY[:70], 70)


# -- bad input ------------------------------------------------------------------------------

NOT_FINITE = np.where(np.arange(6) == 2, np.nan, FEW)


@pytest.mark.parametrize(
    ("unlabeled", "message"),
    [
        (FEW[:, :5], "X_unlabeled has 5 features; it must have those of X, 6"),
        (NOT_FINITE, "X_unlabeled is not valid. Input contains NaN"),
        (sparse.csr_array(NOT_FINITE), "X_unlabeled is not valid. Input contains NaN"),
        (np.full((3, 6), np.inf), "X_unlabeled is not valid. Input contains infinity"),
        (FEW[0], "X_unlabeled is not valid. Expected 2D array"),
        (FEW[:0], "X_unlabeled is not valid. Found array with 0 sample"),
        (FEW.astype(complex), "X_unlabeled is not valid. Complex data"),
        ([["a"] * 6], "X_unlabeled is not valid. could not convert"),
        (3, "X_unlabeled is not valid. Expected 2D array, got scalar"),
        (U[:70], "X_unlabeled must not have as many rows as X, 70"),
    ],
)
def test_unlabelled_rows_are_checked_before_training(unlabeled, message):
    second = SecondCount()
    with pytest.raises(ValueError, match=message):
        counted_with(second, unlabeled)
    assert second.epochs == []


def test_rows_of_weight_zero_count_among_the_rows_of_X():
    with pytest.raises(ValueError, match="as many rows as X, 70"):
        make().fit(X, y, HALF, U[:70])
    make().fit(X, y, HALF, U[:35])


@pytest.mark.parametrize("method", ["magnitude", "random"])
def test_methods_that_count_nothing_refuse_unlabelled_rows(method):
    second = SecondCount()
    with pytest.raises(ValueError, match=f"method='{method}' does not count.*X_unlabeled"):
        counted_with(second, FEW, method=method)
    assert second.epochs == []


def test_feature_names_are_those_of_X():
    names = list("abcdef")
    table, unlabeled = pd.DataFrame(X, columns=names), pd.DataFrame(U, columns=names)
    clf = make().fit(table, y, X_unlabeled=unlabeled)
    assert bits(clf) == bits(make().fit(X, y, X_unlabeled=U))
    with pytest.raises(ValueError, match="(?s)X_unlabeled is not valid. .*feature names"):
        make().fit(table, y, X_unlabeled=unlabeled[names[::-1]])
    with pytest.warns(UserWarning, match="X has feature names, but X_unlabeled has none"):
        make().fit(table, y, X_unlabeled=U)
    with pytest.warns(UserWarning, match="X_unlabeled has feature names, but X has none"):
        make().fit(X, y, X_unlabeled=unlabeled)


# -- metadata routing -----------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def arrived(monkeypatch):
    """What came to `fit` as X and X_unlabeled, fit by fit."""
    calls, fit = [], PrunedMLPClassifier._fit

    def record(self, X, y, sample_weight, X_unlabeled, **how):
        calls.append((X, X_unlabeled))
        return fit(self, X, y, sample_weight, X_unlabeled, **how)

    monkeypatch.setattr(PrunedMLPClassifier, "_fit", record)
    return calls


def requesting(**params):
    return make((5,), **params | {"max_iter": 4}).set_fit_request(X_unlabeled=True)


def assert_arrived_scaled(call, training_rows):
    scaler = StandardScaler().fit(training_rows)
    np.testing.assert_array_equal(call[0], scaler.transform(training_rows))
    np.testing.assert_array_equal(call[1], scaler.transform(U))


def test_a_pipeline_scales_the_whole_of_them(routing, arrived):
    pipe = make_pipeline(StandardScaler(), requesting(), transform_input=["X_unlabeled"])
    pipe.fit(X, y, X_unlabeled=U)
    assert_arrived_scaled(arrived[0], X)
    scaler = pipe[0]
    direct = make((5,), max_iter=4).fit(scaler.transform(X), y, X_unlabeled=scaler.transform(U))
    assert bits(pipe[-1]) == bits(direct)


def test_they_reach_a_net_that_is_a_transformer(routing, arrived):
    pipe = make_pipeline(
        StandardScaler(), requesting(), LogisticRegression(), transform_input=["X_unlabeled"]
    )
    pipe.fit(X, y, X_unlabeled=U)
    assert_arrived_scaled(arrived[0], X)


def test_a_grid_search_passes_the_whole_of_them_to_every_fold(routing, arrived):
    pipe = Pipeline(
        [("scale", StandardScaler()), ("net", requesting())], transform_input=["X_unlabeled"]
    )
    cv = StratifiedKFold(3)
    GridSearchCV(pipe, {"net__prune_fraction": [0, 0.5]}, cv=cv, error_score="raise").fit(
        X, y, X_unlabeled=U
    )
    folds = [train for train, _ in cv.split(X, y)]
    assert len(arrived) == 2 * 3 + 1
    for call, fold in zip(arrived, [*folds, *folds, np.arange(70)], strict=True):
        assert_arrived_scaled(call, X[fold])


def test_cross_validate_with_and_without_a_split_of_them(routing, arrived):
    given = {"cv": 3, "error_score": "raise"}
    cross_validate(requesting(), X, y, params={"X_unlabeled": U}, **given)
    assert [call[1].shape for call in arrived] == [U.shape] * 3
    # One row fewer than X, as the message advises.
    cross_validate(requesting(), X, y, params={"X_unlabeled": U[:69]}, **given)
    for model in (
        requesting(),
        make_pipeline(StandardScaler(), requesting(), transform_input=["X_unlabeled"]),
    ):
        with pytest.raises(ValueError, match="many rows as X, 46.*cross-validation.*number of row"):
            cross_validate(model, X, y, params={"X_unlabeled": U[:70]}, **given)


# -- any skorch net -------------------------------------------------------------------------


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(6, 9)
        self.norm = torch.nn.BatchNorm1d(9)
        self.drop = torch.nn.Dropout(0.3)
        self.out = torch.nn.Linear(9, 3)

    def forward(self, X):
        return torch.softmax(self.out(self.drop(torch.relu(self.norm(self.first(X))))), dim=1)


def fit_net(pruner, *callbacks, **params):
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        Net,
        callbacks=[("pruner", pruner), *callbacks],
        train_split=None,
        verbose=0,
        **{"max_epochs": 6, "batch_size": 16} | params,
    )
    return net.fit(X.astype(np.float32), y)


FLOATS = U.astype(np.float32)


@pytest.mark.parametrize("batch_size", [16, -1])
@pytest.mark.parametrize(
    "unlabeled",
    [
        FLOATS,
        torch.from_numpy(FLOATS),
        torch.utils.data.TensorDataset(torch.from_numpy(FLOATS), torch.zeros(len(U))),
    ],
    ids=["array", "tensor", "dataset"],
)
def test_pruner_counts_them_in_evaluation_mode_of_any_net(unlabeled, batch_size):
    params = {"n_prune_rounds": 1, "trigger": EpochTrigger(1.0, 1.0), "prune_fraction": 0.5}
    fires, passed = np.zeros(9), []

    class Second(Callback):
        def on_train_begin(self, net, **kwargs):
            net.module_.first.register_forward_hook(self.pass_on)
            net.module_.norm.register_forward_hook(self.count)
            self.module, self.counts = net.module_, False

        def on_batch_end(self, net, **kwargs):
            # What came before was for a look at the net, not at who fires.
            self.counts = True

        def pass_on(self, module, inputs, z):
            if self.counts and not self.module.training:
                passed.append(inputs[0].numpy().copy())

        def count(self, module, inputs, z):
            if self.counts and not self.module.training and not module.training:
                fires[:] += (z.detach().numpy() > 0).sum(axis=0)

    pruner = Pruner("activation", unlabeled=unlabeled, random_state=0, **params)
    net = fit_net(pruner, ("second", Second()), batch_size=batch_size)
    assert pruner.activation_counts_[0].tolist() == fires.tolist()
    assert pruner.activation_counts_[0].dtype == np.int64
    # The last pass is for the statistics after the round.
    assert_in_turn([np.concatenate(passed)[: 6 * 70]], FLOATS, 6 * 70)
    # Training went as without them until the round, at its end.
    plain = fit_net(Pruner(**params), batch_size=batch_size)
    assert net.history[:, "train_loss"] == plain.history[:, "train_loss"]


def test_pruner_refuses_what_it_cannot_count():
    with pytest.raises(ValueError, match="method='magnitude' does not count.*unlabeled of Pruner"):
        fit_net(Pruner("magnitude", unlabeled=FLOATS))
    with pytest.raises(ValueError, match="unlabeled has no rows"):
        fit_net(Pruner(unlabeled=FLOATS[:0]))
