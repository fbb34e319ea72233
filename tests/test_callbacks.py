"""scikit-learn's callbacks hear of a fit, its rounds and their epochs; what is printed."""

import re
from itertools import accumulate

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skactprune import PrunedMLPClassifier, PrunedMLPTransformer
from skactprune.triggers import AccuracyTrigger, EpochTrigger

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning",
    "ignore:Training ended:sklearn.exceptions.ConvergenceWarning",
)
X, y = make_classification(
    n_samples=90, n_features=8, n_informative=6, n_redundant=0, n_classes=3, class_sep=2.0,
    random_state=0,
)  # fmt: skip
WEIGHT = np.linspace(0.5, 2, len(y))


def small(cls=PrunedMLPClassifier, **params):
    base = {"hidden_layer_sizes": (12,), "max_iter": 6, "n_prune_rounds": 2, "random_state": 0}
    return cls(**base | {"prune_fraction": 0.5, "trigger": "epoch", "solver": "sgd"} | params)


class Spy:
    """Writes down what happens, and asks to stop at the end of a task."""

    def __init__(self, stop_at=None):
        self.stop_at, self.log = stop_at, []

    def setup(self, estimator, context):
        self.events, self.is_set_up = [], True

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata):
        self.events.append(("begin", context, None))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        self.events.append(("end", context, fitted_estimator))
        n_ended = sum(e[0] == "end" and e[1].task_name == context.task_name for e in self.events)
        return (context.task_name, n_ended) == self.stop_at

    def teardown(self, estimator, context):
        self.is_set_up = False

    def fitted(self, name):
        """Estimators at the end of the tasks of a name."""
        return [est for when, task, est in self.events if (when, task.task_name) == ("end", name)]

    def n_epochs(self):
        """How many epochs each round has; checks the tree of tasks on the way."""
        open_tasks, counts = [], []
        for when, task, _ in self.events:
            if when == "end":
                assert open_tasks.pop() is task
                continue
            assert [task.task_name] == ["fit", "round", "epoch"][len(open_tasks) :][:1]
            assert task.parent is (open_tasks[-1] if open_tasks else None)
            open_tasks.append(task)
            if task.task_name == "round":
                assert task.task_id == len(counts)
                counts.append(0)
            if task.task_name == "epoch":
                assert task.task_id == counts[-1] and task.max_subtasks == 0
                counts[-1] += 1
                assert counts[-1] <= task.parent.max_subtasks
        assert not open_tasks and not self.is_set_up
        assert len(counts) <= self.events[0][1].max_subtasks
        return counts


class Moody(EpochTrigger):
    """A trigger that promises a round in the next epoch, and forgets it most of the time."""

    def rounds_due(self, done, n_rounds, epoch, max_epochs, accuracy):
        return done + (accuracy == 0 or epoch == 4)


@pytest.mark.parametrize(
    "params, expected",
    [
        ({}, [1, 3, 2]),
        ({"prune_fraction": 0}, [6]),
        ({"n_prune_rounds": 0}, [6]),
        ({"hidden_layer_sizes": (), "prune_fraction": 0}, [6]),
        ({"n_prune_rounds": 50}, [1, 1, 1, 1, 2]),
        ({"max_iter": 1}, [1]),
        ({"trigger": EpochTrigger(start=1, stop=1)}, [6]),
        ({"trigger": AccuracyTrigger(start=0, stop=0.01)}, [1, 1, 1]),
        ({"trigger": AccuracyTrigger(start=1, stop=1)}, [6]),
        ({"trigger": Moody()}, [1, 1, 4]),
        ({"trigger": "progress", "max_iter": 40, "learning_rate_init": 1e-9}, [4, 4, 12]),
        ({"method": "snip"}, [6]),
        ({"method": "gradual_magnitude"}, [1, 3, 2]),
        ({"method": "late_rewinding", "max_iter": 12}, None),
        ({"method": "scratch", "max_iter": 12}, None),
        ({"early_stopping": True}, [1, 3, 2]),
    ],
)
def test_a_round_has_the_epochs_until_it_prunes(params, expected):
    spy = Spy()
    clf = small(**params).set_callbacks(spy).fit(X, y)
    n_epochs = spy.n_epochs()
    assert expected is None or n_epochs == expected
    assert sum(n_epochs) == clf.n_iter_ == len(clf.loss_curve_)
    pruned_after = sorted({row["epoch"] for row in clf.pruning_history_} - {0})
    if not isinstance(clf.trigger, Moody):
        ends = list(accumulate(n_epochs))
        assert ends == pruned_after + [clf.n_iter_] * (clf.n_iter_ not in pruned_after)


def test_a_fit_that_goes_on_has_the_rounds_that_are_left():
    spy = Spy()
    clf = small(warm_start=True).set_callbacks(spy).fit(X, y)
    clf.fit(X, y)
    assert spy.n_epochs() == [6]
    clf.set_params(prune_fraction=0.8).fit(X, y)
    assert spy.n_epochs() == [1, 3, 2]
    spy.events.clear()
    clf.partial_fit(X, y)
    assert spy.events == []


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("params", [{}, {"n_components": 2, "fit_inverse_transform": True}])
def test_tasks_have_the_estimator_of_a_fit_that_ends_with_them(params, weight):
    spy = Spy()
    # That of an earlier fit, to which nothing is to be left of.
    clf = small(prune_fraction=0.9, hidden_layer_sizes=(7, 5)).fit(X, y)
    clf.set_params(**small(**params).get_params()).set_callbacks(spy).fit(X, y, weight)
    rounds, epochs = spy.fitted("round"), spy.fitted("epoch")
    assert len(rounds) == 3 and len(epochs) == 6
    # Those of epochs are from before the round, and a fit ends after it.
    told = dict(enumerate(epochs, 1)) | dict(zip((1, 4, 6), rounds, strict=True))
    assert epochs[0].sparsity_ == 0 and epochs[0].pruning_history_ == []
    for n, now in told.items():
        stopped = small(**params).set_callbacks(Spy(("epoch", n))).fit(X, y, weight)
        assert stopped.n_iter_ == now.n_iter_ == n
        assert stopped.loss_curve_ == now.loss_curve_ and stopped.t_ == now.t_
        assert stopped.sparsity_ == now.sparsity_
        histories = [[r["epoch"] for r in est.pruning_history_] for est in (stopped, now)]
        assert histories[0] == histories[1]
        for name in ("live_neurons_", "masks_", "coefs_", "activation_counts_"):
            for one, other in zip(vars(stopped)[name], vars(now)[name], strict=True):
                np.testing.assert_array_equal(one, other, name)
        np.testing.assert_array_equal(stopped.predict_proba(X), now.predict_proba(X))
        np.testing.assert_allclose(stopped.transform(X), now.transform(X), atol=1e-10)
        if params:
            shown = now.transform(X)
            np.testing.assert_allclose(
                stopped.inverse_transform(shown), now.inverse_transform(shown), atol=1e-8
            )
    assert spy.fitted("fit")[0].score(X, y) == clf.score(X, y)


def test_estimators_of_tasks_know_names_of_columns():
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    spy = Spy()
    clf = small().set_callbacks(spy).fit(frame, y)
    assert spy.fitted("round")[-1].score(frame, y) == clf.score(frame, y)


def test_transformers_have_callbacks_too():
    spy = Spy()
    clf = small(PrunedMLPTransformer, n_components=2).set_callbacks(spy).fit(X, y)
    assert spy.n_epochs() == [1, 3, 2]
    np.testing.assert_array_equal(spy.fitted("round")[-1].transform(X), clf.transform(X))


# -- stopping ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stop_at, n_epochs", [(("epoch", 3), [1, 2]), (("epoch", 4), [1, 3]), (("round", 2), [1, 3])]
)
def test_callbacks_may_stop(stop_at, n_epochs):
    spy, other = Spy(stop_at), Spy()
    clf = small(early_stopping=True, warm_start=True).set_callbacks(spy, other).fit(X, y)
    assert spy.n_epochs() == other.n_epochs() == n_epochs
    assert clf.n_iter_ == sum(n_epochs)
    done = [row["epoch"] for row in clf.pruning_history_]
    assert done == [1, 4][: len(done)] and len(done) == 1 + (clf.n_iter_ == 4)
    # What has been reached is a fitted estimator, that can go on.
    assert spy.fitted("fit")[0].score(X, y) == clf.score(X, y)
    clf.set_callbacks().fit(X, y)
    assert clf.n_iter_ == 6 and clf.sparsity_ >= 0.5


class Interrupt(Callback):
    """Presses Ctrl-C in an epoch."""

    def on_batch_begin(self, net, training=False, **kwargs):
        if net.history[-1, "epoch"] == 3:
            raise KeyboardInterrupt


def test_tasks_of_an_interrupted_fit_end():
    spy = Spy()
    clf = small(net_params={"callbacks": [Interrupt()]}).set_callbacks(spy)
    with pytest.warns(UserWarning, match="interrupted by user"):
        clf.fit(X, y)
    # The third epoch has begun, but does not count.
    assert spy.n_epochs() == [1, 2] and clf.n_iter_ == 2
    assert [est is None for est in spy.fitted("epoch")] == [False, False, True]
    assert spy.fitted("round")[-1].score(X, y) == clf.score(X, y)


@pytest.mark.parametrize("name", ["fit", "round", "epoch"])
def test_callbacks_that_fail_end_a_fit_as_if_it_had_not_been(name):
    class Fails(Spy):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name == name:
                raise ArithmeticError("a callback fails")

    clf = small().set_callbacks(fails := Fails())
    with pytest.raises(ArithmeticError, match="a callback fails"):
        clf.fit(X, y)
    assert not fails.is_set_up
    with pytest.raises(NotFittedError):
        clf.predict(X)
    clf.set_callbacks().fit(X, y)


# -- ScoringMonitor and ProgressBar ------------------------------------------------------------


def scored(rows, name):
    return [row for row in rows if row["task_name"] == name]


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_scoring_monitor(weight):
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    clf = small().set_callbacks(monitor).fit(X, y, weight)
    rows = monitor.get_logs().data
    assert [row["task_id_path"] for row in scored(rows, "epoch")] == [
        (0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 1, 2), (0, 2, 0), (0, 2, 1)
    ]  # fmt: skip
    # A net that is trained as long, scored without any callback, pruned where a round ends.
    after = zip((1, 2, 3, 4, 5, 6), scored(rows, "epoch"), strict=True)
    pruned = dict(zip((1, 4, 6), scored(rows, "round"), strict=True))
    for n, row in after:
        stopped = small().set_callbacks(Spy(("epoch", n))).fit(X, y, weight)
        probabilities = stopped.predict_proba(X)
        right = stopped.classes_[probabilities.argmax(axis=1)] == y
        row = pruned.get(n, row)
        assert row["accuracy"] == pytest.approx(np.average(right, weights=weight))
        loss = log_loss(y, probabilities, sample_weight=weight)
        assert row["neg_log_loss"] == pytest.approx(-loss)
    fit, last = scored(rows, "fit")[0], scored(rows, "round")[-1]
    assert fit["accuracy"] == last["accuracy"] == pytest.approx(clf.score(X, y, weight))


def in_pipeline(net):
    return make_pipeline(StandardScaler(), net)


def grid(model, n_jobs=None):
    name = "prunedmlpclassifier__" if hasattr(model, "steps") else ""
    params = {f"{name}prune_fraction": [0, 0.5]}
    return GridSearchCV(model, params, cv=2, n_jobs=n_jobs, return_train_score=True)


def test_scoring_monitor_in_a_pipeline():
    monitor = ScoringMonitor(scoring="accuracy")
    model = in_pipeline(small().set_callbacks(monitor)).fit(X, y)
    log = monitor.get_logs()
    assert log.estimator_name == "Pipeline"
    assert [len(scored(log.data, name)) for name in ("round", "epoch")] == [3, 6]
    assert {row["estimator_name"] for row in log.data} == {"PrunedMLPClassifier"}
    assert scored(log.data, "fit")[0]["accuracy"] == model.score(X, y)


@pytest.mark.parametrize(
    "wrapped, n_jobs", [(lambda net: net, None), (in_pipeline, 2)], ids=["in process", "loky"]
)
def test_scoring_monitor_in_a_search(wrapped, n_jobs):
    monitor = ScoringMonitor(scoring="accuracy")
    search = grid(wrapped(small().set_callbacks(monitor)), n_jobs).fit(X, y)
    log = monitor.get_logs()
    assert log.estimator_name == "GridSearchCV"
    by_fit = [row["accuracy"] for row in scored(log.data, "fit")]
    found = search.cv_results_
    expected = np.stack([found[f"split{i}_train_score"] for i in range(2)], axis=1).ravel()
    np.testing.assert_allclose(sorted(by_fit), sorted([*expected, search.score(X, y)]))
    # One round in each of two fits that do not prune, three in the others and in the last.
    n_rounds = 2 * 1 + 2 * 3 + (1 if search.best_params_.popitem()[1] == 0 else 3)
    assert len(scored(log.data, "round")) == n_rounds
    assert len(scored(log.data, "epoch")) == 5 * 6


@pytest.mark.parametrize(
    "model, above",
    [
        (small(), []),
        (in_pipeline(small()), ["Pipeline - fit"]),
        (grid(small()), ["GridSearchCV - fit", "GridSearchCV - search"]),
        (grid(in_pipeline(small()), 2), ["GridSearchCV - fit", "GridSearchCV - search"]),
    ],
    ids=["alone", "pipeline", "search", "loky"],
)
def test_progress_bar(model, above, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    clone(model).set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    shown = [re.match(r"(?P<indent> *)(?P<what>.*?) +━+ +(?P<done>\d+)%", line) for line in lines]
    shown = [found for found in shown if found]
    for name in above:
        assert any(found["what"].startswith(name) for found in shown), name
    rounds = [found for found in shown if "PrunedMLPClassifier - round" in found["what"]]
    fits = [found for found in shown if "PrunedMLPClassifier - fit" in found["what"]]
    assert fits and len(rounds) >= 3
    # Bars are nested, and all of them are full.
    assert min(len(f["indent"]) for f in rounds) > min(len(f["indent"]) for f in fits)
    assert {found["done"] for found in shown} == {"100"}


# -- verbose -----------------------------------------------------------------------------------


def test_verbose_prints_a_line_an_epoch_and_one_a_round(capsys):
    clf = small(verbose=True, early_stopping=True, hidden_layer_sizes=(12, 8)).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    number = r"\d\.\d+"
    epoch = rf"Iteration (\d), loss = ({number})(, train score = {number})?, validation score = "
    expected = []
    for n in range(1, 7):
        expected.append(rf"{epoch}({number})")
        if n in (1, 4):
            expected.append(
                r"Round (\d) of 2: (\d+\.\d)% of the hidden weights gone, live neurons (.*), "
                rf"{number} s"
            )
    found = [re.fullmatch(*pair) for pair in zip(expected, lines, strict=True)]
    assert all(found), lines
    epochs = [match for match in found if match[0].startswith("Iteration")]
    assert [int(match[1]) for match in epochs] == [1, 2, 3, 4, 5, 6]
    assert [float(match[2]) for match in epochs] == pytest.approx(clf.loss_curve_, abs=1e-8)
    assert [float(match[4]) for match in epochs] == pytest.approx(clf.validation_scores_, abs=1e-6)
    # The accuracy of training is known where a round may need it.
    rounds = [match for match in found if match[0].startswith("Round")]
    for row, match, epoch in zip(clf.pruning_history_, rounds, (epochs[0], epochs[3]), strict=True):
        assert epoch[3] == f", train score = {row['train_score']:.6f}"
        assert int(match[1]) == row["round"]
        assert float(match[2]) == pytest.approx(100 * row["sparsity"], abs=0.05)
        assert match[3] == "-".join(map(str, row["live_neurons"]))
    assert epochs[1][3] is None


def test_verbose_of_other_fits(capsys):
    small(method="snip", verbose=True, max_iter=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["Round", "Iteration"]
    clf = small(verbose=True)
    for _ in range(2):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["Iteration", "Round", "Iteration"]
    small().fit(X, y)
    assert capsys.readouterr().out == ""


def test_estimators_of_tasks_are_whole_in_fits_of_other_sizes():
    net, spy = small().fit(X, y), Spy()
    net.set_params(hidden_layer_sizes=(9, 7)).set_callbacks(spy).fit(X, y)
    for est in (*spy.fitted("epoch"), *spy.fitted("round")):
        assert est.n_layers_ == len(est.coefs_) + 1 == 4
        assert est.factors_ == [None, None]
        np.testing.assert_allclose(est.net_.predict_proba(X), est.predict_proba(X), atol=1e-12)
    # Training from there is no matter of the fit that went on.
    early = spy.fitted("epoch")[0]
    coefs, curve = [coef.copy() for coef in net.coefs_], net.loss_curve_.copy()
    assert len(early.loss_curve_) == 1
    early.set_callbacks().set_params(warm_start=True).fit(X, y)
    assert net.loss_curve_ == curve and early.loss_curve_[0] == curve[0]
    assert early._rng is not net._rng
    for a, b in zip(net.coefs_, coefs, strict=True):
        np.testing.assert_array_equal(a, b)
