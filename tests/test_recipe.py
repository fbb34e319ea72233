"""Weight decay, the schedule that follows training, and neurons that are kept."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.preprocessing import StandardScaler

from skactprune import (
    Activation,
    ActivationSurgeon,
    EpochTrigger,
    ProgressTrigger,
    PrunedMLPClassifier,
)
from skactprune.nets.net import LeanLoop
from skactprune.pruning.method import METHODS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = make_classification(150, 8, n_informative=5, flip_y=0.1, random_state=0)


# -- weight decay -----------------------------------------------------------------------------


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize("weight_decay", [0.0, 0.7, 30.0])
def test_weight_decay_is_that_of_adamw(explicit, weight_decay, monkeypatch):
    monkeypatch.setattr(LeanLoop, "explicit_steps", explicit)
    params = {"alpha": 0, "batch_size": 150, "shuffle": False, "random_state": 0}
    clf = PrunedMLPClassifier((6,), prune_fraction=0, max_iter=12, dtype="float64", **params)
    clf.set_params(weight_decay=weight_decay, learning_rate_init=0.01).fit(X, y)
    start = PrunedMLPClassifier((6,), prune_fraction=0, max_iter=1, **params)
    start.set_params(learning_rate_init=1e-300, weight_decay=0).fit(X, y)
    weights = [torch.tensor(coef, requires_grad=True) for coef in start.coefs_]
    biases = [torch.tensor(b, requires_grad=True) for b in start.intercepts_]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": biases}]
    optimizer = torch.optim.AdamW(groups, lr=0.01, weight_decay=0)
    for _ in range(12):
        hidden = torch.relu(torch.tensor(X) @ weights[0] + biases[0])
        logits = (hidden @ weights[1] + biases[1])[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(y * 1.0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for found, expected in zip(clf.coefs_, weights, strict=True):
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    for found, expected in zip(clf.intercepts_, biases, strict=True):
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-9, atol=1e-12)


def fitted_with(n_rows, **params):
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(n_rows, 3)), np.arange(n_rows) % 2
    how = {"max_iter": 2, "random_state": 0, "prune_fraction": 0.5} | params
    return PrunedMLPClassifier((8,), **how).fit(rows, labels)


@pytest.mark.parametrize(("n_rows", "expected"), [(100, 0.5), (2000, 0.5), (4000, 0.25)])
def test_automatic_weight_decay_falls_with_the_rows(n_rows, expected):
    assert fitted_with(n_rows).net_.weight_decay == expected
    auto, given = fitted_with(n_rows), fitted_with(n_rows, weight_decay=expected)
    assert auto.coefs_[0].tobytes() == given.coefs_[0].tobytes()
    own = {"net_params": {"optimizer": torch.optim.RMSprop}}
    for params in ({"solver": "sgd"}, {"prune_fraction": 0.0}, {"n_prune_rounds": 0}, own):
        assert fitted_with(n_rows, **params).net_.weight_decay == 0.0


def test_streams_count_all_rows_so_far():
    clf = PrunedMLPClassifier((10,), max_iter=40, random_state=0)
    decays = []
    for _ in range(20):
        clf.partial_fit(X, y, classes=[0, 1])
        decays.append(clf.net_.weight_decay)
    np.testing.assert_allclose(decays, np.minimum(0.5, 1000 / (150 * np.arange(1, 21))))


def test_a_net_with_weight_decay_is_less_sure_of_what_is_wrong():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 10))
    labels = (rows[:, 0] + rng.normal(size=600) > 0).astype(int)

    def mean_confidence(**params):
        clf = PrunedMLPClassifier(
            (100, 50), random_state=0, learning_rate_init=0.003, **params
        ).fit(rows[:300], labels[:300])
        return clf.predict_proba(rows[300:]).max(axis=1).mean() - clf.score(
            rows[300:], labels[300:]
        )

    assert mean_confidence(weight_decay=1) < mean_confidence(weight_decay=0) - 0.03


@pytest.mark.parametrize("value", [-1, np.nan, "some", None])
def test_other_weight_decays_are_refused(value):
    with pytest.raises(ValueError, match="'weight_decay' parameter"):
        PrunedMLPClassifier(weight_decay=value).fit(X, y)


# -- when -------------------------------------------------------------------------------------


def rounds(clf):
    return [row["epoch"] for row in clf.pruning_history_]


def test_many_epochs_are_a_limit_and_no_schedule():
    iris, labels = load_iris(return_X_y=True)
    iris = StandardScaler().fit_transform(iris)
    long, short = (
        PrunedMLPClassifier((30,), max_iter=n, random_state=0).fit(iris, labels)
        for n in (5000, 200)
    )
    assert rounds(long) == rounds(short) == [20, 45, 70, 95, 120]
    assert long.n_iter_ < 2000


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_round_comes_where_there_is_no_progress(early_stopping):
    digits, labels = load_digits(return_X_y=True)
    clf = PrunedMLPClassifier((40,), learning_rate_init=0.01, random_state=0, max_iter=2000)
    clf.set_params(early_stopping=early_stopping, trigger=ProgressTrigger(0.9, 0.9, 1000, 4))
    clf.fit(digits / 16, labels)
    curve = -np.array(clf.validation_scores_) if early_stopping else np.array(clf.loss_curve_)
    begin, expected = 0, []
    for _ in range(5):
        best, idle = np.inf, 0
        for epoch in range(begin, len(curve)):
            idle = 0 if curve[epoch] < best - 1e-4 else idle + 1
            best = min(best, curve[epoch])
            if idle == 4:
                break
        begin = epoch + 1
        expected.append(begin)
    assert rounds(clf) == expected
    assert expected[-1] < 900
    assert all(0 < row["train_score"] <= 1 for row in clf.pruning_history_)


def test_calls_of_partial_fit_are_counted_and_nothing_else():
    by_default = PrunedMLPClassifier((10,), max_iter=30, random_state=0)
    by_epoch = PrunedMLPClassifier((10,), max_iter=30, random_state=0, trigger=EpochTrigger())
    noise = np.random.default_rng(0)
    for _ in range(30):
        rows = noise.normal(size=(4, 8))
        for clf in (by_default, by_epoch):
            clf.partial_fit(rows, [0, 1, 0, 1], classes=[0, 1])
    assert rounds(by_default) == rounds(by_epoch) == [3, 7, 10, 14, 18]
    assert by_default.coefs_[0].tobytes() == by_epoch.coefs_[0].tobytes()


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        (
            ProgressTrigger(patience=0),
            r"patience=0 of ProgressTrigger must be an int in the range \[1",
        ),
        (ProgressTrigger(horizon=2.5), "horizon=2.5 of ProgressTrigger must be an int"),
        (ProgressTrigger(0.5, 0.1), "start=0.5 and stop=0.1 of ProgressTrigger"),
    ],
)
def test_bad_options(trigger, message):
    with pytest.raises(ValueError, match=message):
        PrunedMLPClassifier(trigger=trigger).fit(X, y)


def test_a_warm_start_begins_anew_with_what_it_counts():
    clf = PrunedMLPClassifier((12,), max_iter=30, random_state=0, warm_start=True)
    clf.fit(X, y)
    clf.set_params(prune_fraction=0.85).fit(X, y)
    assert rounds(clf)[:5] == [3, 7, 10, 14, 18]
    assert clf.sparsity_ >= 0.85


# -- what is kept -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"rigl", "ganguli2024"}))
@pytest.mark.parametrize(("floors", "expected"), [(3, [3, 3]), ([4, 2], [4, 2])])
def test_floors_are_kept_by_every_method(method, floors, expected):
    method = METHODS.make(method)
    if "granularity" in method.get_params():
        method.set_params(granularity="neuron")
    # Where blocks leave, those of the last paths hold much of so small a net.
    fraction = 0.3 if method.removes == "blocks" else 0.8
    clf = PrunedMLPClassifier((20, 8), method=method, min_neurons=floors, random_state=0)
    clf.set_params(prune_fraction=fraction, max_iter=12).fit(X, y)
    assert all(len(n) >= least for n, least in zip(clf.live_neurons_, expected, strict=True))


@pytest.mark.parametrize("floors", [0, [1], [1, 9], [1, 2, 3], [1, 2.5]])
def test_floors_that_do_not_fit_are_refused(floors):
    with pytest.raises(ValueError, match="min_neurons"):
        PrunedMLPClassifier((20, 8), min_neurons=floors).fit(X, y)


def test_components_and_floors_both_hold():
    params = {"prune_fraction": 0.9, "max_iter": 10, "random_state": 0}
    clf = PrunedMLPClassifier((40,), n_components=2, min_neurons=3, **params).fit(X, y)
    assert len(clf.live_neurons_[0]) >= 3
    clf = PrunedMLPClassifier((40,), n_components=4, min_neurons=2, **params).fit(X, y)
    assert len(clf.live_neurons_[0]) >= 4


def test_funnels_keep_their_narrow_layers():
    digits, labels = load_digits(return_X_y=True)
    digits = digits / 16
    how = {"max_iter": 60, "random_state": 0, "learning_rate_init": 0.005}
    funnel = PrunedMLPClassifier((100, 10), **how).fit(digits[:1200], labels[:1200])
    assert len(funnel.live_neurons_[1]) >= 6
    alike = PrunedMLPClassifier((100, 10), method=Activation(scope="layer"), **how)
    alike.fit(digits[:1200], labels[:1200])
    assert len(alike.live_neurons_[1]) <= 3
    ours, theirs = (clf.score(digits[1200:], labels[1200:]) for clf in (funnel, alike))
    assert ours > theirs + 0.1
    assert ActivationSurgeon().scope == "global"
