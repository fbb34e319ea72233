"""Variational dropout: divergence, noise and ranking against numbers found otherwise."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from sklearn.datasets import make_classification
from skorch.callbacks import Callback

from skactprune import PrunedMLPClassifier
from skactprune.methods import Magnitude, VariationalDropout
from skactprune.methods.trained import annealing
from skactprune.methods.variational_dropout import divergence, log_alpha
from skactprune.pruning.probes import Noise

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(90, 10, n_informative=6, n_classes=3, random_state=0)


def fit(method, callbacks=(), **params):
    defaults = {"prune_fraction": 0.7, "max_iter": 10, "batch_size": 30, "weight_decay": 0}
    net_params = {"callbacks": list(callbacks)} if callbacks else None
    clf = PrunedMLPClassifier(
        (16, 12), method=method, random_state=0, net_params=net_params, **defaults | params
    )
    return clf.fit(X, y)


@pytest.mark.parametrize("log_a", [-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0])
def test_divergence_is_that_from_a_log_uniform_prior(log_a):
    # KL is E log|w| - log sigma and a constant, chosen so that it is 0 where alpha is infinite.
    root = np.exp(log_a / 2)

    def integrand(t):
        return np.log(abs(1 + root * t)) * np.exp(-t * t / 2) / np.sqrt(2 * np.pi)

    mean_log = quad(integrand, -12, -1 / root, limit=200)[0] if 1 / root < 12 else 0.0
    mean_log += quad(integrand, max(-1 / root, -12), 12, limit=200)[0]
    constant = -(np.euler_gamma + np.log(2)) / 2
    exact = mean_log - log_a / 2 - constant
    found = divergence(torch.tensor(log_a, dtype=torch.float64))
    assert_allclose(found, exact, atol=0.01)


def test_divergence_at_its_ends():
    far = divergence(torch.tensor([-40.0, 40.0], dtype=torch.float64))
    assert_allclose(far, [0.63576 + 20.0, 0.0], atol=1e-6)


def test_log_alpha_is_limited_and_has_slopes_in_both():
    value = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([1e-6, 0.5, 1e4], dtype=torch.float64, requires_grad=True)
    found = log_alpha(value, weight)
    assert_allclose(found.detach(), [8.0, -np.log(0.25), -8.0], atol=1e-6)
    found.sum().backward()
    assert_allclose(value.grad, [0, 1, 0])
    assert_allclose(weight.grad, [0, -4, 0], atol=1e-6)


def noise_of(layer, log_variance, mask=None):
    """The probe on a single layer, and its value."""
    mask = np.ones(layer.weight.shape, bool) if mask is None else mask
    run = SimpleNamespace(
        net=SimpleNamespace(module_=layer),
        hidden=[layer],
        label="'x'",
        masks=SimpleNamespace(current=[mask.reshape(len(mask), -1)]),
        random_state=np.random.RandomState(0),
    )
    noise = Noise(0.1)
    noise.attach(run)
    noise.start([np.full(mask.reshape(len(mask), -1).shape, log_variance)])
    return noise


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_noise_has_the_variance_of_noisy_weights_and_none_of_biases(kind):
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 4) if kind == "linear" else torch.nn.Conv1d(3, 4, 2, padding=1)
    layer = layer.double()
    mask = np.ones(layer.weight.shape, bool)
    mask[0] = False
    noise_of(layer, np.log(0.09), mask)
    h = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    rows = h.expand(20000, 3) if kind == "linear" else h[:, None].expand(20000, 3, 4)
    z = layer.train()(rows).detach()
    mean = layer.eval()(rows[:1]).detach()
    squares = float((h**2).sum())
    expected = np.full(mean.shape, 0.09 * squares * (1 if kind == "linear" else 2))
    if kind == "convolution":
        expected[..., [0, -1]] /= 2
    expected[:, 0] = 0
    assert_allclose(z.var(0, keepdim=True), expected, rtol=0.05, atol=1e-12)
    assert_allclose(z.mean(0, keepdim=True), mean, atol=0.03)
    zero = layer.train()(torch.zeros_like(rows[:5])).detach()
    bias = layer.bias.detach().reshape(1, 4, *[1] * (z.dim() - 2))
    assert_allclose(zero, bias.expand_as(zero), atol=1e-6)


def test_slope_of_the_noise_is_that_of_finite_differences():
    torch.manual_seed(1)
    layer = torch.nn.Linear(3, 2).double()
    noise = noise_of(layer, -1.0)
    rows = torch.randn(7, 3, dtype=torch.float64)

    def loss(change=None):
        value = noise.values[0]
        noise.generator(value.device).manual_seed(5)
        with torch.no_grad():
            value += 0 if change is None else change
        found = (layer.train()(rows) ** 3).sum()
        with torch.no_grad():
            value -= 0 if change is None else change
        return found

    loss().backward()
    slopes = np.zeros((2, 3))
    for at in np.ndindex(2, 3):
        step = torch.zeros(2, 3, dtype=torch.float64)
        step[at] = 1e-6
        slopes[at] = float((loss(step) - loss(-step)).detach()) / 2e-6
    assert_allclose(noise.values[0].grad, slopes, rtol=1e-6)


def test_without_noise_it_ranks_as_magnitude_does():
    # Where all variances are the same, alpha is largest where the weight is smallest.
    quiet = VariationalDropout(log_variance=-60.0, rate=1e-9, strength=0, scope="layer")
    one, other = fit(quiet), fit(Magnitude(schedule="last"))
    for mask, same in zip(one.masks_, other.masks_, strict=True):
        assert_array_equal(mask, same)


class Watch(Callback):
    """What is trained, weights and strength of the penalty at the end of every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.seen = []

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            pruner = dict(net.callbacks_)["pruner"]
            run, method = pruner.run_, pruner.method_
            alphas = []
            if method.trained_.active:
                assert float(method.penalty(run).detach()) >= 0
                pairs = zip(method.trained_.arrays(), run.weights(), strict=False)
                alphas = [value - np.log(weight**2 + 1e-8) for value, weight in pairs]
            self.seen.append((run.done, annealing(run), alphas))


def test_what_goes_has_the_largest_log_alpha_and_the_penalty_comes_in_slowly():
    watch = Watch()
    clf = fit("variational_dropout", [("watch", watch)], n_prune_rounds=3, max_iter=12)
    by_round = {done: share for done, share, _ in watch.seen}
    assert by_round == {0: 0.0, 1: 0.5, 2: 1.0, 3: 1.0}
    alphas = next(a for _, _, a in reversed(watch.seen) if a)
    gone = np.concatenate([a[~mask.T] for a, mask in zip(alphas, clf.masks_, strict=True)])
    left = np.concatenate([a[mask.T] for a, mask in zip(alphas, clf.masks_, strict=True)])
    # But for weights that lost their last path.
    assert (gone > left.max()).mean() > 0.95


@pytest.mark.parametrize("threshold", [0.5, 1.5])
def test_weights_above_the_threshold_leave_and_no_others(threshold):
    seen = []

    class Noting(VariationalDropout):
        def scores(self, run):
            pairs = zip(self.trained_.arrays(), run.weights(), strict=False)
            seen.append(
                [value - np.log(weight.astype(float) ** 2 + 1e-8) for value, weight in pairs]
            )
            return super().scores(run)

    clf = fit(
        Noting(-2.0, threshold=threshold, schedule="one_shot"),
        prune_fraction=None,
        n_prune_rounds=1,
    )
    (log_alphas,) = seen
    n_left = 0
    for log_a, mask in zip(log_alphas, clf.masks_, strict=True):
        # But for weights that lost their last path.
        connected = np.ix_(mask.any(axis=1), mask.any(axis=0))
        assert_array_equal(mask[connected], (log_a.T <= threshold)[connected])
        n_left += mask.sum()
    assert 0.2 < n_left / sum(mask.size for mask in clf.masks_) < 0.95


def test_thresholds_are_reached_in_rounds():
    """By a share of them the first rounds take what is furthest above."""
    layers = SimpleNamespace(hidden=[None, None])
    assert VariationalDropout(threshold=3.0).cutoffs(layers, 1.0) == [-3.0, -3.0]
    assert VariationalDropout(threshold=3.0).cutoffs(layers, 0.5) == [-6.0, -6.0]
    assert VariationalDropout(threshold=3.0).cutoffs(layers, 0.0) == [-np.inf, -np.inf]


def test_penalty_is_the_divergence_of_the_weights_that_are_left():
    found = []

    class Compared(Callback):
        def on_epoch_end(self, net, **kwargs):
            pruner = dict(net.callbacks_)["pruner"]
            run, method = pruner.run_, pruner.method_
            if not method.trained_.active or run.masks.sparsity == 0:
                return
            pairs = zip(method.trained_.arrays(), run.weights(), run.masks.current, strict=False)
            total = 0.0
            for value, weight, mask in pairs:
                log_a = np.clip(value - np.log(weight.astype(float) ** 2 + 1e-8), -8, 8)[mask]
                soft = 1 / (1 + np.exp(-(1.87320 + 1.48695 * log_a)))
                total += (0.63576 * (1 - soft) + 0.5 * np.log1p(np.exp(-log_a))).sum()
            expected = 2.0 * annealing(run) * total / len(X)
            found.append((float(method.penalty(run).detach()), expected))

    method = VariationalDropout(strength=2.0, schedule="linear")
    fit(method, [("compared", Compared())], n_prune_rounds=4, max_iter=12)
    penalties, expected = np.transpose(found)
    assert len(penalties) > 2
    assert_allclose(penalties, expected, rtol=1e-6)


def test_penalty_pushes_alpha_up():
    weak, strong = Watch(), Watch()
    for watch, strength in ((weak, 0.0), (strong, 30.0)):
        fit(VariationalDropout(strength=strength), [("watch", watch)], n_prune_rounds=2)
    last = [
        np.median(np.concatenate([a.ravel() for a in next(a for *_, a in reversed(w.seen) if a)]))
        for w in (weak, strong)
    ]
    assert last[1] > last[0] + 0.5


@pytest.mark.parametrize("option", ["log_variance", "rate", "strength"])
@pytest.mark.parametrize("value", [np.nan, np.inf, True, None])
def test_options_are_checked(option, value):
    with pytest.raises(ValueError, match=f"{option}={value!r} of VariationalDropout must be"):
        VariationalDropout(**{option: value}).validated()


def test_layer_that_computes_its_weight_is_refused():
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2))
    with pytest.raises(ValueError, match="method='x' cannot train"):
        noise_of(layer, -1.0, np.ones((2, 3), bool))
