"""The nuclear-norm penalty: its value, its two solvers, and when it is there."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.datasets import make_classification
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import Callback

from skactprune import Activation, Magnitude, PrunedMLPClassifier, Pruner, WeightedNuclearNorm
from skactprune.penalties import weighted_nuclear_norm
from skactprune.spectra import nuclear_norm, numerical_rank, singular_values

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(
    n_samples=90, n_features=6, n_informative=5, n_redundant=0, n_classes=3, random_state=0
)
RATE = 0.01
SOLVERS = ["subgradient", "proximal"]
WEIGHTS = {"linear": lambda n: np.arange(1, n + 1), "uniform": np.ones}


class ZeroLoss(torch.nn.Module):
    """Leaves the penalty alone with the weights."""

    def forward(self, y_pred, y):
        return 0 * y_pred.sum()


class Spy(Callback):
    """Takes notes: weights before training, and of every epoch the accuracy and the penalty."""

    def initialize(self):
        self.accuracies, self.active = [], []
        return self

    def on_train_begin(self, net, **kwargs):
        self.before = [p.detach().clone() for p in net.module_.parameters() if p.dim() == 2]

    def on_epoch_begin(self, net, **kwargs):
        self.right = self.rows = 0

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        if training:
            self.right += int((y_pred.argmax(dim=1) == batch[1]).sum())
            self.rows += len(y_pred)

    def on_epoch_end(self, net, **kwargs):
        self.accuracies.append(self.right / self.rows)
        self.active.append(penalty_of(net).active_)


def penalty_of(net):
    (penalty,) = [cb for _, cb in net.callbacks_ if isinstance(cb, WeightedNuclearNorm)]
    return penalty


def penalty_from_the_start(alpha=1.0, **params):
    return WeightedNuclearNorm(alpha, **{"start_accuracy": 0, "every_n_epochs": 1} | params)


def stepped(weights, penalty, n_batches=1, **params):
    """Weights (n_out, n_in) of a chain of layers after one epoch without a loss."""
    layers = []
    for weight in map(torch.as_tensor, weights):
        layers.append(torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype))
        layers[-1].weight.data = weight.clone()
    rows = torch.zeros(n_batches, weights[0].shape[1], dtype=layers[0].weight.dtype)
    net = NeuralNet(
        torch.nn.Sequential(*layers), ZeroLoss, callbacks=[penalty], max_epochs=1, lr=RATE,
        batch_size=1, train_split=None, verbose=0, **params,
    )  # fmt: skip
    net.fit(rows, rows[:, :1])
    return [layer.weight.detach() for layer in layers]


def matrix(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def make(penalty, *others, **params):
    base = {"max_iter": 8, "batch_size": 20, "learning_rate_init": RATE, "random_state": 0}
    base |= {"net_params": {"callbacks": [("penalty", penalty), *others]}}
    return PrunedMLPClassifier((9, 8), **{**base, **params})


# -- value and gradient ---------------------------------------------------------------------


def test_value():
    W, V = matrix(5, 3), matrix(4, 6)
    s = np.linalg.svd(W, compute_uv=False)
    assert weighted_nuclear_norm(W) == pytest.approx(s[0] + 2 * s[1] + 3 * s[2])
    assert weighted_nuclear_norm(W.T.tolist()) == pytest.approx(weighted_nuclear_norm(W))
    assert weighted_nuclear_norm(W, weights="uniform") == pytest.approx(nuclear_norm(W))
    several = weighted_nuclear_norm([W, V])
    assert several == pytest.approx(weighted_nuclear_norm(W) + weighted_nuclear_norm(V))
    assert weighted_nuclear_norm((W, W)) == pytest.approx(2 * weighted_nuclear_norm(W))


@pytest.mark.parametrize("bad", [[], [1.0, 2.0], [[np.nan]], [[[1.0]], [1.0]], "W"])
def test_value_of_no_matrix(bad):
    with pytest.raises(ValueError):
        weighted_nuclear_norm(bad)


def test_value_with_unknown_weights():
    with pytest.raises(ValueError, match="'weights' parameter.*'linear'.*Got 'cubic' instead"):
        weighted_nuclear_norm(np.eye(2), weights="cubic")


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (1, 4)])
def test_subgradient_is_the_derivative(weights, shape):
    W, alpha, h = matrix(*shape), 0.3, 1e-6
    penalty = penalty_from_the_start(alpha, weights=weights)
    (after,) = stepped([W], penalty)
    derivative = np.empty(shape)
    for index in np.ndindex(shape):
        E = np.zeros(shape)
        E[index] = h
        ends = [weighted_nuclear_norm(W + d, weights=weights) for d in (E, -E)]
        derivative[index] = alpha * (ends[0] - ends[1]) / (2 * h)
    assert_allclose((W - after.numpy()) / RATE, derivative, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_singular_values_are_not_pushed(dtype):
    u, v = np.linalg.qr(matrix(5, 1))[0], np.linalg.qr(matrix(4, 1, seed=1))[0]
    (after,) = stepped([(3 * u @ v.T).astype(dtype)], penalty_from_the_start())
    assert_allclose(after.numpy(), (3 - RATE) * u @ v.T, atol=10 * np.finfo(dtype).eps)
    for solver in SOLVERS:
        (after,) = stepped([np.zeros((3, 4), dtype)], penalty_from_the_start(solver=solver))
        assert (after == 0).all()


@pytest.mark.parametrize("params", [{"alpha": 0.0}, {"alpha": 0.02}])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_step_of_the_estimator_is_that_by_hand(weights, params):
    spies, penalties = [Spy(), Spy()], [0.0, 0.5]
    nets = [
        make(
            penalty_from_the_start(strength, weights=weights), ("spy", spy), prune_fraction=0,
            solver="sgd", momentum=0.0, max_iter=1, batch_size=90, **params,
        ).fit(X, y)
        for strength, spy in zip(penalties, spies, strict=True)
    ]  # fmt: skip
    plain, penalized = [[coef.T for coef in net.coefs_] for net in nets]
    for W, a, b in zip(spies[0].before, plain, penalized, strict=True):
        U, s, Vt = np.linalg.svd(W.numpy(), full_matrices=False)
        assert_allclose(a - b, RATE * 0.5 * (U * WEIGHTS[weights](len(s))) @ Vt, atol=1e-12)


# -- proximal step --------------------------------------------------------------------------


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("shape", [(3, 2), (2, 2), (2, 3)])
@pytest.mark.parametrize("alpha", [5.0, 40.0, 200.0])
def test_proximal_step_is_the_minimizer(weights, shape, alpha):
    W = matrix(*shape)

    def objective(x):
        M = x.reshape(shape)
        distance = 0.5 * np.square(M - W).sum() / RATE
        return distance + alpha * weighted_nuclear_norm(M, weights=weights)

    (after,) = stepped([W], penalty_from_the_start(alpha, weights=weights, solver="proximal"))
    # The objective has kinks where minimizers get stuck, so that they start here, too.
    starts = [after.numpy(), W, *(matrix(*shape, seed=seed) for seed in range(1, 5))]
    found = [minimize(objective, start.ravel(), method="Powell").fun for start in starts]
    assert objective(after.numpy()) <= min(found) + 1e-9


@pytest.mark.parametrize("weights", WEIGHTS)
def test_proximal_step_subtracts_and_stops_at_zero(weights):
    W, alpha = matrix(8, 5), 60.0
    (after,) = stepped([W], penalty_from_the_start(alpha, weights=weights, solver="proximal"))
    s = singular_values(W)
    expected = np.maximum(s - RATE * alpha * WEIGHTS[weights](5), 0)
    assert_allclose(singular_values(after.numpy()), expected, atol=1e-12)
    if weights == "linear":
        assert 0 < (expected > 0).sum() < 5
    assert numerical_rank(after.numpy()) == (expected > 0).sum()


def test_proximal_step_is_as_long_as_that_of_the_optimizer():
    weights = [matrix(4, 3), matrix(2, 4)]
    penalty = penalty_from_the_start(solver="proximal", weights="uniform")
    groups = [("0.weight", {"lr": 0.0}), ("1.weight", {"lr": 0.1})]
    first, second = stepped(weights, penalty, optimizer__param_groups=groups)
    assert_allclose(first.numpy(), weights[0], atol=1e-12)
    assert_allclose(singular_values(second.numpy()), singular_values(weights[1]) - 0.1)


# -- which weights --------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_layers(solver):
    weights = [matrix(4, 3), matrix(5, 4), matrix(2, 5)]
    all_layers = stepped(weights, penalty_from_the_start(solver=solver))
    hidden = stepped(weights, penalty_from_the_start(solver=solver, output_layer=False))
    for before, after in zip(weights, all_layers, strict=True):
        assert weighted_nuclear_norm(after) < weighted_nuclear_norm(before) - RATE
    assert all(torch.equal(a, b) for a, b in zip(hidden[:-1], all_layers[:-1], strict=True))
    assert (hidden[-1].numpy() == weights[-1]).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_convolutions_are_matrices_and_frozen_weights_stay(solver):
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 2), torch.nn.Flatten(), torch.nn.Linear(12, 4), torch.nn.Linear(4, 2)
    )
    module[2].weight.requires_grad = False
    before = [module[i].weight.detach().clone() for i in (0, 2, 3)]
    NeuralNet(
        module, ZeroLoss, callbacks=[penalty_from_the_start(weights="uniform", solver=solver)],
        train_split=None, max_epochs=1, lr=RATE, verbose=0,
    ).fit(np.zeros((2, 2, 3, 3), np.float32), np.zeros(2))  # fmt: skip
    kernels = [module[i].weight.detach() for i in (0, 2, 3)]
    s = singular_values(before[0].reshape(3, 8))
    assert_allclose(singular_values(kernels[0].reshape(3, 8)), s - RATE, rtol=1e-5)
    assert torch.equal(kernels[1], before[1])
    assert_allclose(singular_values(kernels[2]), singular_values(before[2]) - RATE, rtol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtype_stays(solver, dtype):
    W = torch.as_tensor(matrix(4, 3)).to(dtype)
    (after,) = stepped([W], penalty_from_the_start(30, solver=solver))
    assert after.dtype == dtype
    s, left = (singular_values(w.double()) for w in (W, after))
    expected = np.abs(s - RATE * 30 * np.arange(1, 4))
    if solver == "proximal":
        expected = np.maximum(s - RATE * 30 * np.arange(1, 4), 0)
    assert_allclose(left, np.sort(expected)[::-1], atol=8 * torch.finfo(dtype).eps)


# -- when -----------------------------------------------------------------------------------


def expected_epochs(accuracies, start, every):
    reached = next((i for i, a in enumerate(accuracies) if a >= start), len(accuracies))
    begin = 0 if start == 0 else reached + 1
    return [e >= begin and (e - begin) % every == 0 for e in range(len(accuracies))]


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("start", "every"), [(0.7, 2), (0.6, 1), (0.7, 3), (0, 2), (1.0, 1)])
def test_epochs(start, every, solver, ours, monkeypatch):
    spy, epochs, svd = Spy(), [], torch.linalg.svd

    def counted(*args, **kwargs):
        epochs.append(len(spy.accuracies))
        return svd(*args, **kwargs)

    monkeypatch.setattr(torch.linalg, "svd", counted)
    penalty = WeightedNuclearNorm(1e-3, start_accuracy=start, every_n_epochs=every, solver=solver)
    if ours:
        clf = make(penalty, ("spy", spy), max_iter=16, prune_fraction=0).fit(X, y)
        history = clf.net_.history
    else:
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.Linear(9, 8), torch.nn.Linear(8, 3)
        )
        net = NeuralNetClassifier(
            module, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=RATE,
            batch_size=18, max_epochs=16, callbacks=[("penalty", penalty), ("spy", spy)], verbose=0,
        )  # fmt: skip
        history = net.fit(X.astype(np.float32), y.astype(np.int64)).history
    expected = expected_epochs(spy.accuracies, start, every)
    assert spy.active == expected
    # 5 batches of our estimator's, 4 of those that skorch trains on, 3 layers.
    assert epochs == np.repeat(np.flatnonzero(expected), (5 if ours else 4) * 3).tolist()
    if start in (0.6, 0.7):
        assert 0 < np.flatnonzero(expected)[0] < 14
        assert [row["train_acc"] for row in history] == spy.accuracies
    if start == 1.0:
        assert not any(expected)


def test_an_accuracy_that_is_just_reached_is_reached():
    spies = [Spy(), Spy()]
    params = {"max_iter": 6, "prune_fraction": 0}
    make(WeightedNuclearNorm(0.0), ("spy", spies[0]), **params).fit(X, y)
    accuracies = spies[0].accuracies
    epoch = int(np.argmax(accuracies[:5]))
    penalty = WeightedNuclearNorm(0.01, start_accuracy=accuracies[epoch], every_n_epochs=10)
    make(penalty, ("spy", spies[1]), **params).fit(X, y)
    assert np.flatnonzero(spies[1].active).tolist() == [epoch + 1]


def test_accuracy_is_weighted_as_the_loss_is():
    weight = np.where(y == 0, 5.0, 0.5)
    clf = make(
        WeightedNuclearNorm(0.0), solver="sgd", learning_rate_init=1e-12, max_iter=1,
        prune_fraction=0, batch_size=90,
    ).fit(X, y, sample_weight=weight)  # fmt: skip
    assert clf.net_.history[-1]["train_acc"] == pytest.approx(clf.score(X, y, weight))
    assert clf.score(X, y, weight) != clf.score(X, y)


@pytest.mark.parametrize("solver", SOLVERS)
def test_fewer_decompositions(solver, monkeypatch):
    n_calls, svd = [], torch.linalg.svd

    def counted(*args, **kwargs):
        n_calls.append(1)
        return svd(*args, **kwargs)

    monkeypatch.setattr(torch.linalg, "svd", counted)
    W, s = matrix(4, 3), singular_values(matrix(4, 3))
    for every, expected in ((1, 5), (2, 3), (5, 1), (9, 1)):
        n_calls.clear()
        penalty = penalty_from_the_start(solver=solver, svd_every_n_steps=every)
        (after,) = stepped([W], penalty, n_batches=5)
        assert len(n_calls) == expected
        # Nothing turns the singular vectors, so that older ones are right here.
        assert_allclose(singular_values(after), s - 5 * RATE * np.arange(1, 4), rtol=1e-12)


@pytest.mark.parametrize("stops", [True, False])
def test_an_epoch_that_ends_training_is_shrunk_to_its_end(stops):
    """5 batches and every 2 steps: 4 steps are done when another callback ends training."""
    heard = []

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if stops:
                net.stopping_ = "enough"

    class Last(Callback):
        def on_epoch_end(self, net, **kwargs):
            heard.append(net.stopping_)

    penalty = penalty_from_the_start(0.01, solver="proximal", svd_every_n_steps=2)
    params = {"prune_fraction": 0, "max_iter": 1}
    whole = make(penalty, **params).fit(X, y)
    callbacks = {"callbacks": [("stop", Stop()), ("penalty", penalty), ("last", Last())]}
    ended = make(penalty, **params).set_params(net_params=callbacks).fit(X, y)
    assert heard == ["enough" if stops else None]
    assert (ended.coefs_[0] == whole.coefs_[0]).all()


def test_kept_directions_are_old_ones_within_an_epoch_only():
    nets = [
        make(
            penalty_from_the_start(0.01, svd_every_n_steps=every), prune_fraction=0, max_iter=2
        ).fit(X, y)
        for every in (1, 5, 100)
    ]
    assert not np.allclose(nets[0].coefs_[0], nets[1].coefs_[0])
    # 5 batches an epoch: every 5 steps is once an epoch, and so is every 100.
    assert (nets[1].coefs_[0] == nets[2].coefs_[0]).all()


# -- with everything else -------------------------------------------------------------------


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_penalized_nets_have_lower_norms(solver, weights):
    params = {"solver": "sgd", "learning_rate_init": 0.1, "prune_fraction": 0, "max_iter": 30}
    norms = []
    for alpha in (0, 0.03, 0.1):
        penalty = WeightedNuclearNorm(alpha, weights=weights, solver=solver, start_accuracy=0.5)
        coefs = make(penalty, **params).fit(X, y).coefs_
        norms.append(weighted_nuclear_norm(coefs, weights=weights))
    assert norms[0] > 1.05 * norms[1] > 1.05**2 * norms[2]


class Masked(Callback):
    """Looks after every step whether masked weights are zero."""

    n_looks = 0

    def on_batch_end(self, net, training=False, **kwargs):
        (pruner,) = [cb for _, cb in net.callbacks_ if isinstance(cb, Pruner)]
        layers = [m for m in net.module_.modules() if isinstance(m, torch.nn.Linear)]
        for layer, mask in zip(layers, pruner.masks_.current, strict=False):
            weight = layer.weight.detach().numpy()
            assert weight.shape == mask.shape
            assert (weight[~mask] == 0).all()
            self.n_looks += (~mask).any()


@pytest.mark.parametrize("method", [Activation(), Magnitude(), Activation(regrow=True)])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_masks_stay_and_neurons_leave(solver, optimizer, method):
    penalty = penalty_from_the_start(0.01, solver=solver, svd_every_n_steps=2)
    masked = [] if method.regrow else [("masked", Masked())]
    clf = make(penalty, *masked, method=method, solver=optimizer, prune_fraction=0.6).fit(X, y)
    if isinstance(method, Magnitude):
        assert masked[0][1].n_looks
    if not method.regrow:
        assert clf.sparsity_ >= 0.6
    assert clf.score(X, y) > 0.4


@pytest.mark.parametrize("penalty_first", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
def test_masks_of_any_net_stay(solver, penalty_first):
    torch.manual_seed(0)
    pair = [
        ("penalty", penalty_from_the_start(0.01, solver=solver)),
        ("pruner", Pruner(Magnitude(), prune_fraction=0.5)),
    ]
    masked = Masked()
    NeuralNetClassifier(
        torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3)),
        criterion=torch.nn.CrossEntropyLoss, max_epochs=5, verbose=0, batch_size=30,
        callbacks=[*pair[:: 1 if penalty_first else -1], masked],
    ).fit(X.astype(np.float32), y.astype(np.int64))  # fmt: skip
    assert masked.n_looks


@pytest.mark.parametrize("solver", SOLVERS)
def test_same_seed_same_bits_clones_and_pickles(solver):
    clf = make(WeightedNuclearNorm(0.01, solver=solver, start_accuracy=0.4)).fit(X, y)
    assert clf.net_.history[-1]["train_acc"] > 0.4
    for other in (clone(clf).fit(X, y), pickle.loads(pickle.dumps(clf))):
        for a, b in zip(clf.coefs_, other.coefs_, strict=True):
            assert a.tobytes() == b.tobytes()
    assert b"torch._utils" not in pickle.dumps(clf)


def test_partial_fit_goes_on_through_pickles():
    whole, steps = Spy(), []
    penalty = WeightedNuclearNorm(0.01, start_accuracy=0.5)
    params = {"prune_fraction": 0, "tol": 0.0, "n_iter_no_change": np.inf, "max_iter": 12}
    make(penalty, ("spy", whole), **params).fit(X, y)
    clf = make(penalty, **params)
    for _ in range(12):
        clf.partial_fit(X, y, classes=[0, 1, 2])
        steps.append(penalty_of(clf.net_).active_)
        clf = pickle.loads(pickle.dumps(clf))
    assert steps == whole.active
    assert any(steps) and not all(steps)


def test_fitting_again_starts_anew():
    spy = Spy()
    clf = make(WeightedNuclearNorm(0.01, start_accuracy=0.5), ("spy", spy), max_iter=12)
    first = clf.fit(X, y).coefs_[0], spy.active
    second = clf.fit(X, y).coefs_[0], spy.active
    assert (first[0] == second[0]).all() and first[1] == second[1]


# -- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha": -1}, r"'alpha' parameter of WeightedNuclearNorm.*\[0.*Got -1 instead"),
        ({"alpha": np.inf}, "'alpha'.*Got inf instead"),
        ({"alpha": "1"}, "'alpha'.*Got '1' instead"),
        ({"weights": "log"}, "'weights'.*'linear'.*Got 'log' instead"),
        ({"output_layer": "no"}, "'output_layer'.*Got 'no' instead"),
        ({"start_accuracy": 70}, r"'start_accuracy'.*\[0.0, 1.0\].*Got 70 instead"),
        ({"every_n_epochs": 0}, r"'every_n_epochs'.*\[1, inf\).*Got 0 instead"),
        ({"every_n_epochs": 1.5}, "'every_n_epochs'.*Got 1.5 instead"),
        ({"solver": "admm"}, "'solver'.*'proximal'.*Got 'admm' instead"),
        ({"svd_every_n_steps": 0}, "'svd_every_n_steps'.*Got 0 instead"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        make(WeightedNuclearNorm(**params)).fit(X, y)


def test_nothing_to_penalize():
    clf = PrunedMLPClassifier(
        (), prune_fraction=0, net_params={"callbacks": [WeightedNuclearNorm(output_layer=False)]}
    )
    with pytest.raises(ValueError, match="output_layer=False leaves no weights to penalize in MLP"):
        clf.fit(X, y)


def test_accuracy_needs_classes():
    with pytest.raises(ValueError, match=r"start_accuracy=0.7 needs integer class labels.*=0 for"):
        stepped([matrix(2, 3)], WeightedNuclearNorm())


@pytest.mark.parametrize("solver", SOLVERS)
def test_diverged_training(solver):
    W = np.full((2, 3), np.nan)
    with pytest.raises(ValueError, match=r"alpha=1.0: weights of shape \(2, 3\).*not finite"):
        stepped([W], penalty_from_the_start(solver=solver))


def test_proximal_steps_have_the_rate_of_the_optimizer_of_the_weight():
    class Two(NeuralNetClassifier):
        def initialize_optimizer(self, *args, **kwargs):
            hidden, _, out, _ = self.module_
            self.optimizer_ = torch.optim.SGD(out.parameters(), 0.05)
            self.second_ = torch.optim.SGD(hidden.parameters(), 0.05)
            return self

        def train_step(self, batch, **fit_params):
            self.second_.zero_grad()
            self.optimizer_.zero_grad()
            step = self.train_step_single(batch, **fit_params)
            self.optimizer_.step()
            self.second_.step()
            return step

    nets = []
    for kind in (NeuralNetClassifier, Two):
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Linear(6, 9), torch.nn.ReLU(), torch.nn.Linear(9, 3), torch.nn.Softmax(-1)
        )
        penalty = penalty_from_the_start(0.01, solver="proximal")
        net = kind(module, lr=0.05, max_epochs=3, callbacks=[penalty], verbose=0)
        nets.append(net.fit(X.astype(np.float32), y.astype(np.int64)))
    one, two = (net.module_.parameters() for net in nets)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("every", [2, 3])
@pytest.mark.parametrize("start_accuracy", [0, 0.4])
def test_calls_that_go_on_keep_the_beat(start_accuracy, every, monkeypatch):
    monkeypatch.setattr("skactprune.estimators._state.KEPT_EPOCHS", 5)
    penalty = WeightedNuclearNorm(
        1e-3, start_accuracy=start_accuracy, every_n_epochs=every, output_layer=False
    )
    spy = Spy()
    clf = PrunedMLPClassifier(
        (8,), prune_fraction=0, random_state=0, net_params={"callbacks": [penalty, spy]}
    )
    active = []
    for _ in range(30):
        clf.partial_fit(X, y, classes=[0, 1, 2])
        active.append(dict(clf.net_.callbacks_)["WeightedNuclearNorm"].active_)
    first = active.index(True)
    assert first < 12
    assert active == [False] * first + [n % every == 0 for n in range(30 - first)]
