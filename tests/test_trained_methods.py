"""What the methods have in common that train something besides the weights."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from skactprune import PrunedMLPClassifier, Pruner, WeightedNuclearNorm
from skactprune.checks import method_checks
from skactprune.methods import L0, Growing, SVDTraining, VariationalDropout
from skactprune.methods.trained import annealing, n_rows
from skactprune.nets.explicit import ExplicitStep
from skactprune.pruning.probes import Noise
from skactprune.pruning.probes.rows import Rows

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(80, 8, n_informative=6, n_classes=3, random_state=0)
NAMES = ["variational_dropout", "l0", "growing", "svd_training"]
OWN = [
    VariationalDropout(threshold=1.0),
    L0(threshold=0.35),
    Growing(budget=0.4),
    SVDTraining(energy=0.2),
]
CHECKS = ["check_reaches_fraction", "check_warm_start", "check_survives_pickling"]


def fit(method, callbacks=(), weight=None, data=X, **params):
    net_params = {"callbacks": list(callbacks)} if callbacks else None
    defaults = {"prune_fraction": 0.5, "max_iter": 10, "batch_size": 20, "n_prune_rounds": 3}
    clf = PrunedMLPClassifier(
        (10, 8), method=method, random_state=0, net_params=net_params, **defaults | params
    )
    return clf.fit(data, y, sample_weight=weight)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("method", OWN, ids=repr)
def test_thresholds_of_their_own_pass_the_checks(method, check):
    dict(method_checks())[check](method)


def test_thresholds_decide_what_goes():
    seen = {}

    class Watch(Callback):
        def on_batch_end(self, net, **kwargs):
            pruner = dict(net.callbacks_)["pruner"]
            if pruner.run_.done < 3:
                seen["values"] = pruner.method_.trained_.arrays()
                seen["weights"] = [weight.copy() for weight in pruner.run_.weights()[:-1]]

    quick = {"prune_fraction": None, "callbacks": [("watch", Watch())], "trigger": "epoch"}
    clf = fit(VariationalDropout(threshold=1.0, log_variance=-3.0, scope="layer"), **quick)
    for value, weight, mask in zip(seen["values"], seen["weights"], clf.masks_, strict=True):
        alpha = value - np.log(weight**2)
        assert not mask.T[alpha > 1].any() and (alpha > 1).any()
    clf = fit(L0(threshold=0.45, rate=0.1), **quick)
    for value, live in zip(seen["values"], clf.live_neurons_, strict=True):
        gates = np.clip(1.2 / (1 + np.exp(-value)) - 0.1, 0, 1)
        assert_array_equal(np.flatnonzero(gates >= 0.45), live)
    clf = fit(Growing(budget=0.4), **quick)
    for value, live in zip(seen["values"], clf.live_neurons_, strict=True):
        assert_array_equal(np.flatnonzero(value >= 0), live)
    clf = fit(SVDTraining(energy=0.2, strength=0.5), **quick)
    for s, rank in zip(seen["values"][1::3], clf.hidden_ranks_, strict=True):
        squares = np.sort(s**2)[::-1]
        assert squares[rank:].sum() <= 0.2 * squares.sum() < squares[rank - 1 :].sum()


@pytest.mark.parametrize("method", NAMES)
def test_training_goes_on_as_that_of_any_net_when_all_is_gone(method):
    steps = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            probes = dict(net.callbacks_)["pruner"].method_.trained_
            steps.append((probes.active, isinstance(net.step_, ExplicitStep)))

    # A callback that is told of epochs alone does not ask for autograd.
    clf = fit(method, [("watch", Watch())], trigger="epoch", max_iter=10)
    last = clf.pruning_history_[-1]["epoch"]
    assert last == 6
    # Told of the last round after it, the watch sees that of its epoch trained by autograd.
    assert [explicit for _, explicit in steps[:last]] == [False] * last
    trained_on = method == "svd_training"
    assert steps[last:] == [(trained_on, not trained_on)] * 4
    modules = list(clf.net_.module_.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in modules)


@pytest.mark.parametrize("method", NAMES)
def test_weights_of_rows_count(method):
    rng = np.random.RandomState(0)
    weight = rng.uniform(0.1, 2.0, len(y))
    one = fit(method, weight=weight)
    assert np.isfinite(one.coefs_[0]).all()
    assert abs(one.coefs_[0] - fit(method).coefs_[0][:, : one.coefs_[0].shape[1]]).max() > 0 or (
        one.coefs_[0].shape != fit(method).coefs_[0].shape
    )


def test_rows_count_with_their_weights():
    def of(data):
        return n_rows(SimpleNamespace(rows=Rows(data, None, np.random.RandomState(0), None)))

    assert of(SimpleNamespace(sample_weight=np.array([0.5, 2.0]))) == 2.5
    assert of([1, 2, 3]) == 3


def test_annealing_goes_with_the_rounds():
    found = [annealing(SimpleNamespace(done=done, shares=[0, 0, 0, 1])) for done in range(5)]
    assert_allclose(found, [0, 1 / 3, 2 / 3, 1, 1])
    assert annealing(SimpleNamespace(done=0, shares=[1])) == 1


@pytest.mark.parametrize("method", NAMES)
def test_single_precision_and_other_callbacks(method):
    norm = WeightedNuclearNorm(0.001)
    clf = fit(method, [("norm", norm)], data=X.astype(np.float32))
    assert all(coef.dtype == np.float32 for coef in clf.coefs_)
    assert clf.sparsity_ >= 0.5
    rows = X.astype(np.float32)
    assert_allclose(clf.net_.predict_proba(rows), clf.predict_proba(rows), atol=1e-5)


@pytest.mark.parametrize("method", NAMES)
def test_unlabelled_rows_are_refused(method):
    with pytest.raises(ValueError, match=f"method='{method}' does not count who fires"):
        PrunedMLPClassifier((5,), method=method, prune_fraction=0.5).fit(X, y, X_unlabeled=X[1:])


def test_bare_noise_trains_convolutions_of_other_nets():
    module = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, 8)),
        torch.nn.Conv1d(1, 6, 3, padding=1, stride=2),
        torch.nn.BatchNorm1d(6),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(24, 3),
    )
    pruner = Pruner("variational_dropout", prune_fraction=0.5, cut=False, random_state=0)
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=12,
        callbacks=[pruner],
        verbose=0,
    ).fit(X.astype(np.float32), y)
    assert pruner.masks_.sparsity == 0.5
    assert int((net.module_[1].weight == 0).sum()) == 9


def test_padding_that_copies_is_refused():
    layer = torch.nn.Conv1d(1, 2, 3, padding=1, padding_mode="circular")
    run = SimpleNamespace(
        net=SimpleNamespace(module_=layer), hidden=[layer], layers=[layer], label="'x'"
    )
    noise = Noise(0.1)
    noise.attach(run)
    with pytest.raises(ValueError, match="method='x'.*padding_mode='circular'"):
        noise.start([np.zeros((2, 3))])


@pytest.mark.parametrize("method", [VariationalDropout, L0, Growing])
def test_all_may_be_gone_before_the_last_round(method):
    clf = fit(method(schedule="one_shot"), trigger="epoch")
    assert [row["epoch"] for row in clf.pruning_history_] == [1, 4, 6]
    assert {row["sparsity"] for row in clf.pruning_history_} == {clf.sparsity_}


def test_gates_of_a_pruned_net_begin_open():
    found = []

    class Seen(L0):
        def first_values(self, run):
            found.append(super().first_values(run))
            return found[-1]

    clf = fit(Seen(), warm_start=True)
    clf.set_params(prune_fraction=0.7).fit(X, y)
    new, pruned = (np.concatenate(values) for values in found)
    assert abs(new).max() < 0.1
    # sigmoid(log 11) is 11 / 12, which is 1 when it is stretched.
    assert_allclose(pruned, np.log(11), atol=0.1)


@pytest.mark.parametrize("method", ["variational_dropout", "l0", "growing"])
def test_features_leave_with_the_rest(method):
    clf = fit(method, prune_features=0.5)
    assert clf.get_support().sum() == 4
    assert clf.sparsity_ >= 0.5
