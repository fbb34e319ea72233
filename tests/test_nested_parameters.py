"""Options of methods, triggers and schedules in grids, where the parameters are still names."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skactprune import (
    AccuracyTrigger,
    ActivationSurgeon,
    Geometric,
    Magnitude,
    ProgressTrigger,
    PrunedMLPClassifier,
    Pruner,
)
from skactprune.pruning.method import METHODS
from skactprune.pruning.schedules import SCHEDULES
from skactprune.pruning.triggers import TRIGGERS

X, y = make_classification(80, 6, n_informative=4, n_redundant=0, random_state=0)
HOLDERS = [PrunedMLPClassifier, Pruner]
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def options():
    """Every option of every member that is known by a name."""
    for parameter, register in (("method", METHODS), ("trigger", TRIGGERS)):
        for name in register:
            for option, default in register.make(name).get_params().items():
                yield parameter, name, option, default


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize(("parameter", "name", "option", "default"), list(options()))
def test_every_option_can_be_set_where_a_name_is(holder, parameter, name, option, default):
    both = holder().set_params(**{f"{parameter}__{option}": default, parameter: name})
    after = holder(**{parameter: name}).set_params(**{f"{parameter}__{option}": default})
    for obj in (both, after):
        assert type(getattr(obj, parameter)) is type(obj.registers[parameter].make(name))
        assert obj.get_params(deep=True)[f"{parameter}__{option}"] == default


@pytest.mark.parametrize("holder", HOLDERS)
def test_the_other_options_keep_their_defaults(holder):
    obj = holder(method="magnitude").set_params(method__granularity="weight", trigger__start=0.3)
    assert repr(obj.method) == repr(Magnitude(granularity="weight"))
    assert repr(obj.trigger) == repr(
        holder().registers["trigger"].make(holder().trigger).set_params(start=0.3)
    )


@pytest.mark.parametrize("holder", HOLDERS)
def test_options_of_options(holder):
    obj = holder().set_params(
        method="magnitude", method__schedule="geometric", method__schedule__ratio=0.5
    )
    assert obj.method.schedule.ratio == 0.5
    assert (
        holder(method=Magnitude(schedule="geometric"))
        .set_params(method__schedule__ratio=0.25)
        .get_params()["method__schedule__ratio"]
        == 0.25
    )


@pytest.mark.parametrize("register", [METHODS, TRIGGERS, SCHEDULES], ids=lambda r: r.what)
def test_members_are_objects_like_those_of_scikit_learn(register):
    for name in register:
        member = register.make(name)
        again = pickle.loads(pickle.dumps(clone(member)))
        assert again.get_params() == member.get_params()
        assert repr(again) == repr(member)


def test_a_grid_over_options():
    grid = {
        "clf__method__granularity": ["neuron", "weight"],
        "clf__trigger__start": [0.2, 0.5],
        "clf__method__schedule__ratio": [0.5],
    }
    clf = PrunedMLPClassifier((8,), prune_fraction=0.5, max_iter=10, random_state=0)
    clf.set_params(method__schedule="geometric")
    pipe = make_pipeline(StandardScaler(), clf)
    pipe.steps[1] = ("clf", clf)
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    first = {}
    for params, score in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        start = params["clf__trigger__start"]
        by_hand = clone(pipe).set_params(
            clf__method=ActivationSurgeon(
                params["clf__method__granularity"], schedule=Geometric(0.5)
            ),
            clf__trigger=ProgressTrigger(start),
        )
        by_hand = GridSearchCV(by_hand, {}, cv=2).fit(X, y)
        assert by_hand.best_score_ == score
        first.setdefault(start, by_hand.best_estimator_[-1].pruning_history_[0]["epoch"])
    assert first == {0.2: 2, 0.5: 5}
    # The original still has what it had.
    assert pipe[-1].trigger == "progress"


def test_what_does_not_exist_is_refused_by_name():
    clf = PrunedMLPClassifier()
    with pytest.raises(ValueError, match="'nonsense' for estimator ProgressTrigger"):
        clf.set_params(trigger__nonsense=1)
    with pytest.raises(ValueError, match="method='magnitud' is unknown"):
        clf.set_params(method="magnitud", method__granularity="weight")
    with pytest.raises(ValueError, match="Invalid parameter 'start' for estimator Magnitude"):
        clf.set_params(method="magnitude", method__start=1)


def test_shares_are_checked_when_all_are_set():
    clf = PrunedMLPClassifier((8,), max_iter=10, prune_fraction=0.5, random_state=0)
    # One after the other: in between, the first is above the second.
    clf.set_params(trigger__start=0.9).set_params(trigger__stop=1.0)
    assert clf.fit(X, y).pruning_history_[0]["epoch"] == 9
    clf.set_params(trigger=AccuracyTrigger(np.float32(0.0), 1)).fit(X, y)
    assert clf.pruning_history_[0]["epoch"] == 1
    with pytest.raises(ValueError, match="start=0.9 and stop=0.6"):
        PrunedMLPClassifier().set_params(trigger__start=0.9).fit(X, y)
