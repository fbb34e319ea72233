"""Stopping, and going back to the best weights, start after the last round."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

from skactprune import (
    AccuracyTrigger,
    Activation,
    EpochTrigger,
    Magnitude,
    PrunedMLPClassifier,
)

quiet = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(
    n_samples=120, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)


class Snapshots(Callback):
    """Weights at the end of every epoch, before a round, and validation scores."""

    def initialize(self):
        self.weights = []
        return self

    def on_epoch_end(self, net, **kwargs):
        self.weights.append([p.detach().clone().numpy() for p in net.module_.parameters()])


def fit(method="activation", **params):
    snapshots = Snapshots()
    clf = PrunedMLPClassifier(
        (14, 9),
        method=method,
        **{
            "early_stopping": True,
            "validation_fraction": 0.25,
            "max_iter": 60,
            "n_iter_no_change": 5,
            "learning_rate_init": 0.01,
            "batch_size": 20,
            "random_state": 0,
            "prune_fraction": 0.6,
            "net_params": {"callbacks": [("snapshots", snapshots)]},
        }
        | params,
    ).fit(X, y)
    return clf, snapshots


@quiet
@pytest.mark.parametrize("method", [Activation(), Magnitude(), Activation(regrow=True)])
def test_the_best_weights_after_the_last_round_come_back(method):
    clf, snapshots = fit(method)
    last = clf.pruning_history_[-1]["epoch"]
    after = clf.validation_scores_[last:]
    best = last + int(np.argmax(after))
    assert clf.best_validation_score_ == max(after)
    assert len(clf.validation_scores_) == clf.n_iter_
    assert clf.best_loss_ is None
    if not method.regrow:
        for coef, weight in zip(clf.coefs_, snapshots.weights[best][::2], strict=True):
            assert coef.T.tobytes() == weight.tobytes()
        assert clf.sparsity_ >= 0.6
    columns = [np.arange(8), *clf.live_neurons_]
    for coef, mask, before, live in zip(
        clf.coefs_, clf.masks_, columns, clf.live_neurons_, strict=False
    ):
        assert (coef[~mask[np.ix_(before, live)]] == 0).all()


@quiet
def test_a_better_score_before_the_last_round_does_not_count():
    # A dense net that is trained well, then pruned to almost nothing.
    clf, _ = fit(n_prune_rounds=1, prune_fraction=0.93, trigger=EpochTrigger(0.8, 0.8), max_iter=40)
    last = clf.pruning_history_[-1]["epoch"]
    assert max(clf.validation_scores_[:last]) > clf.best_validation_score_
    assert clf.best_validation_score_ == max(clf.validation_scores_[last:])


def test_training_stops_when_the_score_does_not_improve():
    clf, _ = fit(max_iter=300, tol=0.0001)
    last = clf.pruning_history_[-1]["epoch"]
    assert clf.n_iter_ < 300
    scores = clf.validation_scores_[last:]
    best, waited, n_seen = -np.inf, 0, 0
    for score in scores:
        n_seen += 1
        waited = 0 if score >= best + 0.0001 else waited + 1
        best = max(best, score)
        if waited > 5:
            break
    assert n_seen == len(scores)


@quiet
def test_validation_rows_are_stratified_weighted_and_not_trained_on():
    weight = np.random.RandomState(0).uniform(0.5, 2, len(X))
    clf = PrunedMLPClassifier(
        (14,), early_stopping=True, max_iter=6, random_state=3, validation_fraction=0.25,
        prune_fraction=0, solver="sgd", learning_rate_init=0.01,
    ).fit(X, y, weight)  # fmt: skip
    # The split is drawn after the initial weights.
    random_state = np.random.RandomState(3)
    for n_in, n_out in ((8, 14), (14, 3)):
        random_state.uniform(size=(n_in, n_out))
        random_state.uniform(size=n_out)
    rows, held_out = train_test_split(
        np.arange(120), random_state=random_state, test_size=0.25, stratify=y
    )
    assert np.bincount(y[held_out]).tolist() == [10, 10, 10]
    assert clf.t_ == 6 * len(rows)
    predicted = clf.predict(X[held_out])
    score = accuracy_score(y[held_out], predicted, sample_weight=weight[held_out])
    assert clf.best_validation_score_ == score


@quiet
def test_rounds_are_recorded_with_the_validation_score_of_their_epoch():
    clf, _ = fit(max_iter=20)
    for row in clf.pruning_history_:
        assert row["validation_score"] == clf.validation_scores_[row["epoch"] - 1]
        assert 0 <= row["train_score"] <= 1
    clf, _ = fit(max_iter=20, early_stopping=False)
    assert {row["validation_score"] for row in clf.pruning_history_} == {None}


@quiet
def test_warm_start_keeps_a_fitted_net_that_is_not_beaten():
    clf, _ = fit(warm_start=True)
    live = [a.tolist() for a in clf.live_neurons_]
    clf.fit(X, y)
    assert [a.tolist() for a in clf.live_neurons_] == live
    assert clf.sparsity_ >= 0.6


@quiet
@pytest.mark.parametrize("early_stopping", [False, True])
def test_without_an_epoch_after_the_last_round_there_is_no_best(early_stopping):
    clf, _ = fit(early_stopping=early_stopping, max_iter=3, trigger=EpochTrigger(1, 1))
    assert clf.best_validation_score_ is None
    assert clf.best_loss_ is None


class EndsOfEpochs(Callback):
    """Hears of all epochs, and why training was to end."""

    def initialize(self):
        self.heard_ = []
        return self

    def on_epoch_end(self, net, **kwargs):
        self.heard_.append(net.stopping_)


class Stop(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 3:
            net.stopping_ = "three are enough"


@quiet
@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"max_iter": 300, "tol": 0.01}, "did not improve more than tol=0.010000 for 5 consecut"),
        ({"trigger": AccuracyTrigger(0.3, 0.4)}, "reached the last mark of trigger=AccuracyTrig"),
        ({"stop": Stop()}, "three are enough"),
    ],
)
def test_all_callbacks_hear_of_the_epoch_that_ends_training(params, reason):
    ends, params = EndsOfEpochs(), dict(params)
    stop = params.pop("stop", None)
    callbacks = [("stop", stop)] * (stop is not None) + [("ends", ends)]
    clf, _ = fit(early_stopping=False, net_params={"callbacks": callbacks}, **params)
    assert len(ends.heard_) == clf.n_iter_ == len(clf.loss_curve_) < clf.max_iter
    assert ends.heard_[:-1] == [None] * (clf.n_iter_ - 1)
    assert reason in ends.heard_[-1]
    assert clf.net_.stopping_ == ends.heard_[-1]
    # The next fit does not know of it.
    vars(clf)["net_params"] = {"callbacks": [("ends", ends)]}
    clf.set_params(max_iter=2, tol=0, trigger="epoch").fit(X, y)
    assert ends.heard_ == [None, None]


def test_a_net_that_was_stopped_is_not_told_to_be_unconverged():
    clf = PrunedMLPClassifier(
        (9,), max_iter=3, random_state=0, net_params={"callbacks": [("stop", Stop())]}
    )
    clf.fit(X, y)
    assert clf.n_iter_ == 3


@quiet
def test_a_warm_start_that_makes_it_worse_goes_back():
    rows = {"X_val": X[90:], "y_val": y[90:]}
    clf, _ = fit(warm_start=True, learning_rate_init=0.01)
    clf.fit(X[:90], y[:90], **rows)
    best = clf.best_validation_score_
    assert clf.score(X[90:], y[90:]) == best
    coefs = clf.coefs_
    clf.set_params(learning_rate_init=1.0).fit(X[:90], y[:90], **rows)
    assert max(clf.validation_scores_[-clf.n_iter_ :]) <= clf.best_validation_score_ == best
    assert clf.score(X[90:], y[90:]) == best
    for a, b in zip(clf.coefs_, coefs, strict=True):
        np.testing.assert_array_equal(a, b)
    # What was best before a fit that did not validate is no longer there.
    clf.set_params(early_stopping=False).fit(X[:90], y[:90])
    clf.set_params(early_stopping=True, learning_rate_init=1e-6, max_iter=2)
    clf.fit(X[:90], y[:90], **rows)
    assert clf.best_validation_score_ == max(clf.validation_scores_[-2:])


@quiet
def test_a_net_that_is_drawn_anew_is_not_measured_by_the_one_before():
    rows = {"X_val": X[90:], "y_val": y[90:]}
    clf, _ = fit(warm_start=True, learning_rate_init=0.01)
    clf.fit(X[:90], y[:90], **rows)
    clf.set_params(method="scratch").fit(X[:90], y[:90], **rows)
    assert clf.score(X[90:], y[90:]) == clf.best_validation_score_
