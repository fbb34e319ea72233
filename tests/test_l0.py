"""L0 gates: closed forms, random draws, and a plain loop that trains the same net."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit
from sklearn.datasets import make_classification
from skorch.callbacks import Callback

from skactprune import PrunedMLPClassifier
from skactprune.methods import L0
from skactprune.methods.l0 import drawn_gate, expected_gate, probability_open
from skactprune.pruning.probes import Gates
from skactprune.triggers import AccuracyTrigger

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(90, 10, n_informative=6, n_classes=3, random_state=0)
LOG_ALPHA = torch.tensor([-4.0, -1.5, 0.0, 0.7, 3.0], dtype=torch.float64)


def make(method, callbacks=(), **params):
    defaults = {"prune_fraction": 0.6, "max_iter": 10, "batch_size": 30, "weight_decay": 0}
    net_params = {"callbacks": list(callbacks)} if callbacks else None
    return PrunedMLPClassifier(
        (9, 7), method=method, random_state=0, net_params=net_params, **defaults | params
    )


def generator():
    return torch.Generator().manual_seed(0)


# -- formulas --------------------------------------------------------------------------------


def test_draws_are_hard_concrete():
    gates = drawn_gate(LOG_ALPHA, 40000, generator()).numpy()
    # A quantile of u is one of the gate: P(gate <= z) in closed form, by its inverse.
    for z in (0.0, 0.2, 0.5, 0.9):
        stretched = (z + 0.1) / 1.2
        below = expit(2 / 3 * logit(stretched) - LOG_ALPHA.numpy())
        assert_allclose((gates <= z).mean(axis=0), below, atol=0.01)
    assert ((gates >= 0) & (gates <= 1)).all()
    assert (gates == 1).any(axis=0)[2:].all()


def test_probability_is_that_of_draws_and_the_closed_form():
    found = probability_open(LOG_ALPHA)
    gates = drawn_gate(LOG_ALPHA, 40000, generator())
    assert_allclose(found, (gates > 0).double().mean(0), atol=0.01)
    assert_allclose(found, 1 / (1 + np.exp(-LOG_ALPHA.numpy() + 2 / 3 * np.log(0.1 / 1.1))))


def test_gate_that_predicts_is_a_stretched_sigmoid_between_0_and_1():
    found = expected_gate(LOG_ALPHA)
    assert_allclose(found, np.clip(expit(LOG_ALPHA.numpy()) * 1.2 - 0.1, 0, 1))
    assert found[0] == 0 and expected_gate(torch.tensor(4.0)) == 1


def test_slope_of_a_draw_is_that_of_finite_differences():
    value = LOG_ALPHA.clone().requires_grad_()
    weights = torch.randn(3, 5, dtype=torch.float64, generator=generator())
    (weights * drawn_gate(value, 3, generator())).sum().backward()
    slopes = []
    for at in range(5):
        step = torch.zeros_like(LOG_ALPHA)
        step[at] = 1e-6
        ends = [(weights * drawn_gate(LOG_ALPHA + s, 3, generator())).sum() for s in (step, -step)]
        slopes.append(float(ends[0] - ends[1]) / 2e-6)
    assert_allclose(value.grad, slopes, rtol=1e-5, atol=1e-8)


# -- training --------------------------------------------------------------------------------


def half(log_alpha, n_rows, generator):
    return (0.5 * log_alpha).sigmoid().expand(n_rows, -1)


class Known(L0):
    """Gates that are known in training, and others to predict."""

    def probe(self):
        return Gates(expected_gate, half, self.rate)


class Watch(Callback):
    """Weights and log alpha after every step, and as they were before the first one."""

    def on_train_begin(self, net, **kwargs):
        self.steps = []

    def on_epoch_begin(self, net, **kwargs):
        self.note(net)

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.note(net)

    def note(self, net):
        method = dict(net.callbacks_)["pruner"].method_
        params = [p.detach().clone() for p in net.module_.parameters()]
        self.steps.append((params, method.trained_.arrays()))


def test_training_is_that_of_a_plain_loop():
    watch, epochs = Watch(), 4
    make(
        Known(strength=2.0, rate=0.03),
        [("watch", watch)],
        max_iter=epochs,
        shuffle=False,
        alpha=0.1,
        trigger=AccuracyTrigger(1.0, 1.0),
        n_prune_rounds=1,
        learning_rate_init=0.01,
    ).fit(X, y)
    start, alphas = watch.steps[0]
    alphas = [torch.tensor(a).requires_grad_() for a in alphas]
    params = [p.clone() for p in start]
    # At the start, the net predicts with the gates.
    params[2] = params[2] / expected_gate(alphas[0].detach())
    params[4] = params[4] / expected_gate(alphas[1].detach())
    W1, b1, W2, b2, W3, b3 = params = [p.requires_grad_() for p in params]
    optimizers = [torch.optim.Adam(params, lr=0.01), torch.optim.Adam(alphas, lr=0.03)]
    after = [(p, a) for at, (p, a) in enumerate(watch.steps) if at % 4]
    for step, (found, found_alphas) in enumerate(after):
        rows = slice(step % 3 * 30, step % 3 * 30 + 30)
        h = torch.relu(torch.tensor(X[rows]) @ W1.T + b1) * torch.sigmoid(alphas[0] / 2)
        h = torch.relu(h @ W2.T + b2) * torch.sigmoid(alphas[1] / 2)
        loss = torch.nn.functional.cross_entropy(h @ W3.T + b3, torch.tensor(y[rows]))
        loss = loss + 0.05 / 30 * sum((W**2).sum() for W in (W1, W2, W3))
        chances = [1 / (1 + torch.exp(-a + 2 / 3 * np.log(1 / 11))) for a in alphas]
        loss = loss + 2.0 / 90 * (chances[0].sum() * (10 + 7) + chances[1].sum() * (9 + 3))
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        gates = [expected_gate(a.detach()) for a in alphas]
        expected = [W1, b1, W2 * gates[0], b2, W3 * gates[1], b3]
        for one, other in zip(found, expected, strict=True):
            assert_allclose(one, other.detach(), rtol=1e-6, atol=1e-9)
        for one, other in zip(found_alphas, alphas, strict=True):
            assert_allclose(one, other.detach(), rtol=1e-6, atol=1e-9)


def test_lowest_gates_leave_and_the_function_stays():
    seen = []

    class Seen(L0):
        def round(self, run, share):
            X_ = torch.tensor(X)
            before = run.net.infer(X_).detach().numpy()
            values = self.trained_.arrays()
            super().round(run, share)
            if share == 1:
                seen.append((values, before, run.net.infer(X_).detach().numpy()))
                assert not self.trained_.active

    # With gates of 0, neurons may leave without being missed.
    method = Seen(strength=5.0, rate=0.2)
    clf = make(method, n_prune_rounds=2, prune_fraction=0.3, trigger="epoch").fit(X, y)
    ((values, before, after),) = seen
    for value, live in zip(values, clf.live_neurons_, strict=True):
        gone = np.setdiff1d(np.arange(len(value)), live)
        assert len(gone) and value[gone].max() < value[live].min()
        # sigmoid(-2.4) is below 0.1 / 1.2.
        assert value[gone].max() < -2.4
    assert_allclose(before, after, atol=1e-9)


def test_net_between_calls_is_the_one_with_gates_and_training_goes_on_with_those_without():
    clf = make("l0", n_prune_rounds=3, max_iter=100)
    for _ in range(3):
        clf.partial_fit(X, y, classes=np.unique(y))
    state = clf._state["pruner"]["run"]["probes"]["Gates"]
    for coef, fed, value in zip(clf.coefs_[1:], state["fed"], state["values"], strict=True):
        gate = np.clip(expit(value) * 1.2 - 0.1, 0, 1)
        assert_allclose(coef, gate[:, None] * fed.T, rtol=1e-6)
    again = pickle.loads(pickle.dumps(clf))
    # What is written has the gates in it.
    again.coefs_ = [again.coefs_[0], again.coefs_[1] * 0.5, again.coefs_[2]]
    watch = Watch()
    again.net_params = {"callbacks": [("watch", watch)]}
    again.partial_fit(X, y)
    assert_allclose(watch.steps[0][0][2].numpy().T, 0.5 * clf.coefs_[1])
    later = again._state["pruner"]["run"]["probes"]["Gates"]["fed"][0]
    assert abs(later - 0.5 * state["fed"][0]).max() < 0.02


def test_validation_rows_are_predicted_with_gates():
    # Between steps nothing but the weights is asked, by whoever predicts.
    scores = []

    class Scoring(Callback):
        def on_epoch_end(self, net, **kwargs):
            scores.append(np.mean(net.predict(X) == y))

    params = {"n_prune_rounds": 2, "max_iter": 8, "trigger": "epoch", "early_stopping": True}
    clf = make("l0", [("scoring", Scoring())], **params).fit(X, y)
    assert len(scores) == len(clf.validation_scores_) == 8
    assert_array_equal(clf.net_.predict(X), clf.predict(X))


def test_no_draws_for_nothing():
    plain = make("l0", prune_fraction=0).fit(X, y)
    other = make("magnitude", prune_fraction=0).fit(X, y)
    assert_array_equal(plain.coefs_[0], other.coefs_[0])


@pytest.mark.parametrize(
    "options", [{"strength": -1.0}, {"drop_rate": 0.0}, {"drop_rate": 1}, {"rate": 0}]
)
def test_options_are_checked(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}={value!r} of L0 must be"):
        L0(**options).validated()
