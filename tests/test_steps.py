"""The explicit step does what autograd does; what it cannot do is left to autograd."""

import copy
import pickle
import threading
import warnings
from itertools import product

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from skorch.callbacks import (
    BatchScoring,
    Callback,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
)

from skactprune import PrunedMLPClassifier, Pruner
from skactprune.methods import RigL
from skactprune.nets import flat, threads
from skactprune.nets.batches import BatchIterator, TrainingData
from skactprune.nets.explicit import ExplicitStep
from skactprune.nets.losses import TWINS, WeightedLogLoss, WeightedSquaredLoss
from skactprune.nets.mlp import MLP
from skactprune.nets.modest import modest
from skactprune.nets.net import LeanLoop, MLPNet
from skactprune.nets.steps import REASONS, AutogradStep, step_of, why_autograd
from skactprune.penalties import WeightedNuclearNorm
from skactprune.pruning.method import Method

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
SOLVERS = {
    "adam": {"optimizer": torch.optim.Adam, "optimizer__fused": True},
    "plain sgd": {"optimizer": torch.optim.SGD, "optimizer__fused": True},
    "momentum": {
        "optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__fused": True,
    },
    "nesterov": {
        "optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__nesterov": True,
        "optimizer__fused": True,
    },
}  # fmt: skip


def make_net(
    solver="adam", activation="relu", sizes=(6, 9, 7, 3), dropout=None, dtype=np.float64, **params
):
    options = {"lr": 0.02, "alpha": 0.1, "criterion": WeightedLogLoss} | SOLVERS[solver] | params
    return MLPNet(
        MLP,
        module__layer_sizes=sizes,
        module__activation=activation,
        module__dropout=dropout or (0.0,) * (len(sizes) - 1),
        module__dtype=torch.float64 if dtype == np.float64 else torch.float32,
        module__random_state=np.random.RandomState(5),
        train_split=None,
        verbose=0,
        **{"callbacks": []} | options,
    ).initialize()


def make_iterator(n_classes, dtype=np.float64, weighted=False, n_rows=47, to_sparse=False):
    rng = np.random.RandomState(1)
    X = rng.normal(size=(n_rows, 6)).astype(dtype)
    y = rng.randint(0, n_classes, n_rows)
    weight = rng.uniform(0.2, 3, n_rows).astype(dtype) if weighted else None
    X = sparse.csr_matrix(X * (X > 0)) if to_sparse else X
    return BatchIterator(TrainingData(X, y, weight), 20, True, np.random.RandomState(2))


def mask_hidden(net, masks):
    with torch.no_grad():
        for layer, mask in zip(net.module_.layers, masks, strict=False):
            layer.weight.mul_(mask)


def run(net, step, iterator, n_steps=20, masks=()):
    """Loss of every batch, firing counts, and final parameters."""
    losses, counts = [], [0] * (len(net.module_.layers) - 1)
    mask_hidden(net, masks)
    while len(losses) < n_steps:
        for batch in iterator:
            done = step(batch)
            mask_hidden(net, masks)
            settled = step.settle()
            assert settled.n_rows == len(batch[0])
            losses.append((settled.loss / settled.n_rows, settled.penalty / settled.n_rows))
            for depth, z in enumerate(done.pre_activations):
                counts[depth] = counts[depth] + (z.detach() > 0).sum(dim=0).numpy()
    parameters = [p.detach().numpy().copy() for p in net.module_.parameters()]
    return np.array(losses), [count.tolist() for count in counts], parameters


def assert_equal_runs(make, iterator, rtol, masks=()):
    found = []
    for kind in ("explicit", "autograd"):
        net = make()
        if kind == "explicit":
            assert why_autograd(net, iterator(), []) is None
            step = ExplicitStep(net)
        else:
            step = AutogradStep(net, lambda batch: None)
        found.append(run(net, step, iterator(), masks=masks))
    (losses, counts, parameters), (expected, expected_counts, expected_parameters) = found
    np.testing.assert_allclose(losses, expected, rtol=rtol)
    assert counts == expected_counts
    for one, other in zip(parameters, expected_parameters, strict=True):
        np.testing.assert_allclose(one, other, rtol=100 * rtol, atol=100 * rtol)
    return losses


def test_explicit_steps_refuse_a_loss_that_numpy_does_not_know():
    with pytest.raises(TypeError, match=r"criterion_=CrossEntropyLoss\(\) is none of those"):
        ExplicitStep(make_net(criterion=torch.nn.CrossEntropyLoss))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_twenty_steps_equal_those_of_autograd(activation, solver, n_classes, dtype):
    sizes = (6, 9, 7, 1 if n_classes == 2 else n_classes)
    rng = np.random.RandomState(3)
    some = [torch.from_numpy(rng.uniform(size=(o, i)) < 0.6) for i, o in ((6, 9), (9, 7))]
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    for weighted, masks, dropout in product([False, True], [(), some], [None, (0.1, 0.3, 0.2)]):
        losses = assert_equal_runs(
            lambda dropout=dropout: make_net(solver, activation, sizes, dropout, dtype),
            lambda weighted=weighted: make_iterator(n_classes, dtype, weighted),
            rtol,
            masks,
        )
        assert len(np.unique(losses[:, 0])) == len(losses)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("criterion", TWINS)
def test_losses_of_numbers_equal_those_of_autograd(criterion, n_outputs, weighted, dtype):
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(47, 6)).astype(dtype), rng.poisson(2.0, (47, n_outputs)).astype(dtype)
    weight = rng.uniform(0.5, 2, 47).astype(dtype) if weighted else None

    def iterator():
        data = TrainingData(X, y[:, 0] if n_outputs == 1 else y, weight)
        return BatchIterator(data, 20, True, np.random.RandomState(2))

    assert_equal_runs(
        lambda: make_net(sizes=(6, 8, n_outputs), criterion=criterion, dtype=dtype),
        iterator,
        1e-12 if dtype == np.float64 else 2e-5,
    )


def test_small_layers_and_batches_and_sparse_rows():
    for sizes in ((6, 3), (6, 5, 3), (6, 1, 1, 3), (6, 1, 2, 3)):
        assert_equal_runs(lambda s=sizes: make_net(sizes=s), lambda: make_iterator(3), 1e-12)
    # The last batch has one row.
    for sizes in ((6, 1), (6, 1, 1), (6, 4, 1)):
        assert_equal_runs(
            lambda s=sizes: make_net(sizes=s), lambda: make_iterator(2, n_rows=41), 1e-12
        )
    assert_equal_runs(make_net, lambda: make_iterator(3, to_sparse=True), 1e-12)


def test_large_layers(monkeypatch):
    monkeypatch.setattr("skactprune.nets.explicit.SMALL", 150)
    assert_equal_runs(make_net, lambda: make_iterator(3), 1e-12)


def test_many_rows_are_summed_on_the_way(monkeypatch):
    monkeypatch.setattr("skactprune.nets.explicit.KEPT_ROWS", 30)
    sums = []
    for step_class in (ExplicitStep, lambda net: AutogradStep(net, lambda batch: None)):
        net, iterator = make_net(), make_iterator(3, weighted=True)
        step = step_class(net)
        for batch in iterator:
            step(batch)
        sums.append(step.settle())
    assert sums[0].n_rows == sums[1].n_rows == 47
    np.testing.assert_allclose(sums[0].loss, sums[1].loss, rtol=1e-12)
    np.testing.assert_allclose(sums[0].penalty, sums[1].penalty, rtol=1e-12)


def test_batches_in_place_are_the_same():
    for weighted, to_sparse in product([False, True], repeat=2):
        plain, reused = (make_iterator(3, weighted=weighted, to_sparse=to_sparse) for _ in range(2))
        seen = set()
        for _ in range(2):
            for one, other in zip(plain, reused.in_place(), strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=0)
                seen.add(other[0].data_ptr())
        assert len(seen) == 2


# -- an optimizer's state ---------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_steps_alternate_and_go_on(solver):
    """What one step leaves in the optimizer, the other goes on with."""
    expected_net, net = make_net(solver), make_net(solver)
    iterators = make_iterator(3), make_iterator(3)
    autograd = AutogradStep(expected_net, lambda batch: None)
    for n in range(4):
        step = ExplicitStep(net) if n % 2 else AutogradStep(net, lambda batch: None)
        run(expected_net, autograd, iterators[0], n_steps=3)
        run(net, step, iterators[1], n_steps=3)
        for p, q in zip(net.module_.parameters(), expected_net.module_.parameters(), strict=True):
            np.testing.assert_allclose(p.detach(), q.detach(), rtol=1e-12, atol=1e-13)
            state, expected = net.optimizer_.state[p], expected_net.optimizer_.state[q]
            assert {k for k, v in expected.items() if v is not None} == set(state)
            for name, value in state.items():
                np.testing.assert_allclose(value, expected[name], rtol=1e-11, atol=1e-13)
                assert value.dim() == 0 or value.stride() == p.stride()


def test_parameters_that_are_replaced_are_noticed():
    net, iterator = make_net(), make_iterator(3)
    step = ExplicitStep(net)
    for batch in iterator:
        step(batch)
    assert step.is_current() and step.belongs_to(net)
    weight = net.module_.layers[0].weight
    with torch.no_grad():
        weight.mul_(0.5)
    assert step.is_current()
    before = weight.data
    weight.data = weight.data.clone()
    assert not step.is_current()
    weight.data = before
    assert step.is_current()
    net.optimizer_.state.pop(weight)
    assert not step.is_current()


@pytest.mark.parametrize("solver", ["adam", "nesterov"])
def test_without_torchs_operators_it_is_the_optimizers_step(solver, monkeypatch):
    def gone(name):
        raise AttributeError(name)

    def wrong(name):
        return lambda *args, **kwargs: None

    expected = run(make := make_net(solver), ExplicitStep(make), make_iterator(3))
    for operator in (gone, wrong):
        monkeypatch.setattr(flat, "_operator", operator)
        flat.rule_holds.cache_clear()
        net = make_net(solver)
        found = run(net, ExplicitStep(net), make_iterator(3))
        flat.rule_holds.cache_clear()
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
        assert found[1] == expected[1]
    monkeypatch.undo()
    assert flat.rule_holds(torch.optim.Adam) and flat.rule_holds(torch.optim.SGD)


# -- whole fits -------------------------------------------------------------------------------

X, y = make_classification(
    n_samples=150, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
WEIGHT = np.random.RandomState(0).choice([0.5, 1.0, 2.0], len(X))


@pytest.fixture
def autograd(monkeypatch):
    """Function that lets nets be trained by autograd, or not."""

    def force(forced):
        monkeypatch.setattr(LeanLoop, "explicit_steps", not forced)

    return force


def steps_taken(monkeypatch):
    """List that grows by the name of the kind of every step that is taken."""
    taken = []
    for kind in (ExplicitStep, AutogradStep):
        real = kind.__call__

        def noted(self, batch, real=real):
            taken.append(type(self).__name__)
            return real(self, batch)

        monkeypatch.setattr(kind, "__call__", noted)
    return taken


def by_fit(clf):
    return clf.fit(X, y)


def by_weighted_fit(clf):
    return clf.fit(X, y, WEIGHT)


def by_unlabeled_fit(clf):
    return clf.fit(X, y, X_unlabeled=X[:90] + 0.1)


def by_sparse_fit(clf):
    return clf.fit(sparse.csr_matrix(X), y)


def by_warm_start(clf):
    clf.set_params(warm_start=True).fit(X, y)
    return clf.set_params(prune_fraction=0.8).fit(X, y)


def by_pickled_parts(clf):
    for _ in range(clf.max_iter):
        clf.partial_fit(X, y, classes=[0, 1, 2])
        clf = pickle.loads(pickle.dumps(clf))
    return clf


FITS = {
    "surgeon": ({"method": "activation_surgeon"}, by_fit),
    "surgeon, tanh": ({"method": "activation_surgeon", "activation": "tanh"}, by_weighted_fit),
    "activation": ({"method": "activation"}, by_fit),
    "activation, weights": ({"method": "activation"}, by_weighted_fit),
    "magnitude by weight": ({"method": "magnitude", "solver": "sgd"}, by_fit),
    "dropout": ({"dropout": 0.3, "activation": "logistic"}, by_fit),
    "sparse": ({}, by_sparse_fit),
    "unlabeled": ({"method": "activation"}, by_unlabeled_fit),
    "accuracy": ({"trigger": "accuracy"}, by_fit),
    "early stopping": ({"early_stopping": True, "tol": 0.01, "n_iter_no_change": 2}, by_fit),
    "adaptive": (
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
        by_fit,
    ),
    "invscaling": ({"solver": "sgd", "learning_rate": "invscaling"}, by_fit),
    "warm start": ({"method": "activation"}, by_warm_start),
    "partial_fit": ({"method": "activation", "dropout": 0.2}, by_pickled_parts),
    "partial_fit, surgeon": ({"method": "activation_surgeon", "solver": "sgd"}, by_pickled_parts),
}


@pytest.mark.parametrize("name", FITS)
def test_whole_fits_are_the_same(name, autograd, monkeypatch):
    params, fit = FITS[name]
    clf = PrunedMLPClassifier(
        (20, 14), random_state=0, max_iter=12, batch_size=32, learning_rate_init=0.01,
        prune_fraction=0.6,
    ).set_params(**params)  # fmt: skip
    taken = steps_taken(monkeypatch)
    ours = fit(clone(clf))
    assert set(taken) == {"ExplicitStep"}
    autograd(True)
    taken.clear()
    theirs = fit(clone(clf))
    assert set(taken) == {"AutogradStep"}
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)
    assert (ours.predict(X) == theirs.predict(X)).all()
    assert ours.n_iter_ == theirs.n_iter_ and ours.sparsity_ == theirs.sparsity_
    for one, other in zip(ours.live_neurons_, theirs.live_neurons_, strict=True):
        assert one.tolist() == other.tolist()
    if ours.activation_counts_ is not None:
        for one, other in zip(ours.activation_counts_, theirs.activation_counts_, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_loss_curves_agree_to_the_last_digits(autograd):
    curves = []
    for forced in (False, True):
        autograd(forced)
        curves.append(PrunedMLPClassifier((9,), max_iter=3, random_state=0).fit(X, y).loss_curve_)
    np.testing.assert_allclose(*curves, rtol=1e-12)


def test_a_diverging_net_warns_of_nothing(autograd):
    clf = PrunedMLPClassifier((9,), solver="sgd", learning_rate_init=1e30, n_prune_rounds=0)
    with pytest.raises(ValueError, match="non-finite"):
        clf.fit(X * 1e10, y)


# -- order of the weights in memory -----------------------------------------------------------


def bits(clf):
    return [array.tobytes() for array in (*clf.coefs_, *clf.intercepts_, clf.predict_proba(X))]


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_are_stored_as_scikit_learn_does(dtype, solver, forced, autograd):
    autograd(forced)
    clf = PrunedMLPClassifier(
        (15, 10), method="activation", max_iter=10, dtype=dtype, solver=solver, random_state=0,
        batch_size=32,
    )  # fmt: skip
    clf.fit(X, y)
    other = pickle.loads(pickle.dumps(clf))
    for one in (clf, other, copy.deepcopy(clf)):
        assert all(coef.flags.c_contiguous for coef in one.coefs_)
        for parameter in one.net_.module_.parameters():
            assert parameter.t().is_contiguous()
            for value in one.net_.optimizer_.state[parameter].values():
                assert value.dim() == 0 or value.t().is_contiguous()
    assert bits(clf) == bits(other)
    # Training goes on to the same bits, whether or not a pickle lay between.
    for one in (clf, other):
        one.set_params(warm_start=True).fit(X, y)
    assert bits(clf) == bits(other)
    once = PrunedMLPClassifier((9,), random_state=0, dtype=dtype, solver=solver)
    parted = clone(once)
    for _ in range(6):
        once.partial_fit(X, y, classes=[0, 1, 2])
        parted.partial_fit(X, y, classes=[0, 1, 2])
        parted = pickle.loads(pickle.dumps(parted))
    assert bits(once) == bits(parted)


def test_best_weights_and_loaded_ones_are_stored_so_too():
    clf = PrunedMLPClassifier((9,), early_stopping=True, max_iter=15, random_state=0).fit(X, y)
    assert all(coef.flags.c_contiguous for coef in clf.coefs_)
    clf = PrunedMLPClassifier((9, 5), max_iter=2, random_state=0).fit(X, y)
    from sklearn.neural_network import MLPClassifier

    mlp = MLPClassifier((9, 5), max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlp.fit(X, y)
    clf = PrunedMLPClassifier.from_sklearn(mlp)
    assert all(coef.flags.c_contiguous for coef in clf.coefs_)
    assert clf.predict_proba(X).tobytes() == mlp.predict_proba(X).tobytes()


# -- when autograd is needed ------------------------------------------------------------------


class Listener(Callback):
    def on_batch_end(self, net, **kwargs):
        if kwargs["training"]:
            # Not the tensors: graphs that are kept do not survive that neurons leave.
            self.graphs_ = [kwargs[name].requires_grad for name in ("loss", "y_pred")]
            self.gradients_ = [p.grad is not None for p in net.module_.parameters()]


class BatchBeginListener(Callback):
    def on_batch_begin(self, net, **kwargs):
        self.heard_ = kwargs


class GradientListener(Callback):
    def on_grad_computed(self, net, **kwargs):
        self.gradients_ = [p.grad is not None for p in net.module_.parameters()]


class EpochListener(Callback):
    def on_epoch_end(self, net, **kwargs):
        self.heard_ = kwargs


class Watching(Method):
    """Copies the gradients of all steps."""

    def begin(self, run):
        self.seen_ = []

    def on_gradient(self, run):
        parameters = run.net.module_.parameters()
        found = [*run.step_gradients(), *(p.grad for p in parameters)]
        self.seen_.append([gradient.clone() for gradient in found])


class Modest(Watching):
    @modest
    def on_gradient(self, run):
        super().on_gradient(run)


class Clamping(Method):
    """Changes gradients where they are."""

    @modest
    def on_gradient(self, run):
        for gradient in run.step_gradients():
            gradient.clamp_(max=0.0)


class Skipping(Method):
    """Leaves out every other step."""

    def begin(self, run):
        self.n_ = 0

    @modest
    def on_gradient(self, run):
        self.n_ += 1
        if self.n_ % 2:
            run.skip_step()


class Halving(Method):
    """Puts other tensors in the place of weights in the middle of an epoch."""

    def on_step(self, run):
        layer = run.layers[0]
        layer.weight.data = 0.9 * layer.weight.data


class Forgetting(Method):
    def on_step(self, run):
        run.forget_optimizer()


class Uneven(Method):
    """Lets the optimizer forget one layer, so that steps are not the same any more."""

    def on_epoch(self, run):
        run.net.optimizer_.state.pop(run.layers[0].weight)


def fitted(monkeypatch, callbacks=(), **params):
    taken = steps_taken(monkeypatch)
    net_params = params.pop("net_params", {})
    clf = PrunedMLPClassifier(
        (8,), max_iter=3, batch_size=50, random_state=0,
        net_params={"callbacks": list(callbacks), **net_params}, **params,
    ).fit(X, y)  # fmt: skip
    return clf, taken


def test_listeners_of_batches_see_what_autograd_shows(monkeypatch):
    for callback in (Listener(), BatchBeginListener(), GradientListener()):
        clf, taken = fitted(monkeypatch, [("ear", callback)])
        assert set(taken) == {"AutogradStep"}
        callback = dict(clf.net_.callbacks)["ear"]
        assert all(getattr(callback, "gradients_", [True]))
        assert all(getattr(callback, "graphs_", [True]))
    assert fitted(monkeypatch, [("ear", WeightedNuclearNorm())])[1][-1] == "AutogradStep"
    assert set(fitted(monkeypatch, [("ear", EpochListener())])[1][-9:]) == {"ExplicitStep"}


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("decay", [{"alpha": 0.1}, {"alpha": 0.0, "weight_decay": 0.1}])
def test_methods_that_want_gradients_get_them(decay, solver, monkeypatch):
    found = []
    for method, step in ((Modest(), "ExplicitStep"), (Watching(), "AutogradStep")):
        clf, taken = fitted(monkeypatch, method=method, solver=solver, **decay)
        assert set(taken) == {step}
        found.append(dict(clf.net_.callbacks_)["pruner"].method_.seen_)
        assert len(found[-1]) == len(taken)
    for gradients, expected in zip(*found, strict=True):
        for one, other in zip(gradients, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize(
    "method", [Clamping(), Skipping(), "rigl", "movement"], ids=["clamp", "skip", "rigl", "move"]
)
def test_methods_that_change_gradients(method, solver, monkeypatch, autograd):
    if method == "rigl":
        method = RigL(update_every=3)
    ours, taken = fitted(monkeypatch, method=method, solver=solver)
    assert set(taken) == {"ExplicitStep"}
    autograd(True)
    theirs, taken = fitted(monkeypatch, method=method, solver=solver)
    assert "ExplicitStep" not in taken
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)
    plain, _ = fitted(monkeypatch, method=Method(), solver=solver)
    assert not np.allclose(ours.loss_curve_, plain.loss_curve_, rtol=1e-6)


def test_methods_of_others_may_do_anything_with_gradients(monkeypatch):
    class Own(RigL):
        def on_gradient(self, run):
            super().on_gradient(run)

    assert set(fitted(monkeypatch, method=Own(update_every=3))[1]) == {"AutogradStep"}


def test_underflow_of_the_penalty_is_no_error(monkeypatch):
    table = X.astype(np.float32)
    clf = PrunedMLPClassifier((8,), alpha=1e-36, max_iter=2, method=Modest(), random_state=0)
    taken = steps_taken(monkeypatch)
    with np.errstate(all="raise"):
        clf.fit(table, y)
    assert set(taken) == {"ExplicitStep"}


@pytest.mark.parametrize("norm", [1e-2, 1e9])
def test_gradients_whose_norm_is_limited(norm, monkeypatch, autograd):
    callbacks = [("clip", GradientNormClipping(norm))]
    ours, taken = fitted(monkeypatch, callbacks)
    assert set(taken) == {"ExplicitStep"}
    autograd(True)
    theirs, _ = fitted(monkeypatch, callbacks)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)


def test_gradients_go_when_nobody_is_told_of_them(monkeypatch):
    clf, _ = fitted(monkeypatch, [("clip", GradientNormClipping(1.0))], warm_start=True)
    assert all(p.grad is not None for p in clf.net_.module_.parameters())
    clf.set_params(net_params={}).fit(X, y)
    assert all(p.grad is None for p in clf.net_.module_.parameters())


def test_pruners_of_others_are_told_all():
    for hook in ("on_grad_computed", "on_batch_begin", "on_batch_end"):
        heard = []

        def note(self, net, heard=heard, **kwargs):
            heard.append(kwargs)

        pruner = type("MyPruner", (Pruner,), {hook: note})(prune_fraction=0)
        data = make_iterator(3).dataset
        net = make_net(
            callbacks=[pruner],
            dataset=TrainingData,
            iterator_train=BatchIterator,
            iterator_train__shuffle=False,
            iterator_train__random_state=None,
            max_epochs=2,
            batch_size=20,
        )
        net.fit(data.X, data.y)
        assert len(heard) == 2 * 3


@pytest.mark.parametrize("method", [Halving(), Forgetting(), Uneven()])
def test_methods_that_change_things_in_between(method, monkeypatch, autograd):
    ours, taken = fitted(monkeypatch, method=method)
    assert "ExplicitStep" in taken
    assert ("AutogradStep" in taken) == isinstance(method, Uneven)
    autograd(True)
    theirs, taken = fitted(monkeypatch, method=method)
    assert "ExplicitStep" not in taken
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-12)


SCHEDULES = {
    "StepLR": {"step_size": 1, "gamma": 0.5},
    "ReduceLROnPlateau": {"monitor": "train_loss", "patience": 0, "threshold": 0.9},
    "CosineAnnealingLR": {"T_max": 3},
    "CyclicLR": {"base_lr": 1e-4, "max_lr": 0.1, "step_size_up": 2, "step_every": "batch"},
}


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("policy", SCHEDULES)
def test_schedulers_of_learning_rates(policy, solver, monkeypatch, autograd):
    callbacks = [("rates", LRScheduler(policy, **SCHEDULES[policy]))]
    found, taken = fitted(monkeypatch, callbacks, solver=solver)
    every_batch = SCHEDULES[policy].get("step_every") == "batch"
    assert set(taken) == {"AutogradStep" if every_batch else "ExplicitStep"}
    autograd(True)
    expected, taken = fitted(monkeypatch, callbacks, solver=solver)
    assert set(taken) == {"AutogradStep"}
    rates = [clf.net_.optimizer_.param_groups[0]["lr"] for clf in (found, expected)]
    assert rates[0] == rates[1] != found.learning_rate_init
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-12)
    constant, _ = fitted(monkeypatch, solver=solver)
    assert not np.allclose(found.loss_curve_, constant.loss_curve_, rtol=1e-6)


def test_a_scheduler_that_comes_later(monkeypatch):
    clf, _ = fitted(monkeypatch, warm_start=True, prune_fraction=0)
    clf.set_params(net_params={"callbacks": [LRScheduler("StepLR", step_size=1)]})
    taken = steps_taken(monkeypatch)
    # Without a word of torch about the order of steps.
    clf.fit(X, y)
    assert set(taken) == {"ExplicitStep"}


@pytest.mark.parametrize("kind", [EpochScoring, BatchScoring])
def test_scores_of_validation_rows(kind, monkeypatch, autograd):
    found = []
    for force in (False, True):
        autograd(force)
        scoring = [("score", kind("accuracy", name="score"))]
        clf, taken = fitted(monkeypatch, scoring, early_stopping=True)
        assert set(taken) == {"AutogradStep" if force else "ExplicitStep"}
        found.append(clf.net_.history[:, "score"])
    assert found[0] == found[1]
    scoring = [("score", kind("accuracy", name="score", on_train=True))]
    assert set(fitted(monkeypatch, scoring)[1]) == {"AutogradStep"}


def test_a_hook_of_ones_own_in_a_scheduler_is_told(monkeypatch):
    class Told(LRScheduler):
        def on_train_begin(self, net, **kwargs):
            super().on_train_begin(net, **kwargs)
            self.n_, self.on_batch_end = 0, self.count

        def count(self, net, **kwargs):
            self.n_ += 1

    clf, taken = fitted(monkeypatch, [("told", Told("StepLR", step_size=1))])
    assert dict(clf.net_.callbacks_)["told"].n_ == len(taken) > clf.n_iter_


class Sub(MLP):
    pass


def no_bias(net):
    net.module_.layers[0] = torch.nn.Linear(6, 9, bias=False, dtype=torch.float64)


def parametrized(net):
    torch.nn.utils.parametrizations.weight_norm(net.module_.layers[0])


def global_hook(net):
    return torch.nn.modules.module.register_module_forward_hook(lambda *args: None)


def own_forward(net):
    net.module_.forward = net.module_.forward


def own_step(net):
    net.optimizer_.step = lambda closure=None: None


def odd_scheduler(net):
    own_step(net)
    net.optimizer_.step._wrapped_by_lr_sched = True


def scheduler_of_own_step(net):
    def step(self, closure=None):
        pass

    net.optimizer_.step = step.__get__(net.optimizer_)
    torch.optim.lr_scheduler.StepLR(net.optimizer_, 1)


def optimizer(kind=torch.optim.Adam, **options):
    def change(net):
        parameters = list(net.module_.parameters())
        net.optimizer_ = kind(parameters, **{"lr": 0.1, "fused": True} | options)

    return change


def two_groups(net):
    weights, *rest = net.module_.parameters()
    net.optimizer_ = torch.optim.Adam([{"params": [weights]}, {"params": rest}], fused=True)


def other_order(net):
    net.optimizer_ = torch.optim.Adam(list(net.module_.parameters())[::-1], fused=True)


def uneven(net):
    run(net, ExplicitStep(net), make_iterator(3), 3)
    net.optimizer_.state.pop(net.module_.layers[0].weight)


def setting(path, value):
    def change(net):
        *steps, name = path.split(".")
        owner = net
        for step in steps:
            owner = owner[int(step)] if step.isdigit() else getattr(owner, step)
        setattr(owner, name, value)

    return change


FOREIGN = {
    "The module is not our own.": [
        setting("module_", Sub((6, 3), "relu", (0.0,), torch.float64, None)),
        setting("module_.activation", "gelu"),
    ],
    "A layer is not linear, or has no bias.": [no_bias, parametrized],
    "A module has hooks, or a function of its own.": [
        lambda net: net.module_.register_forward_hook(lambda *args: None),
        lambda net: net.module_.layers[1].register_forward_pre_hook(lambda *args: None),
        lambda net: net.module_.layers[1].register_full_backward_hook(lambda *args: None),
        lambda net: net.criterion_.register_forward_hook(lambda *args: None),
        global_hook,
        own_forward,
    ],
    "Parameters are not on the CPU, of one dtype, trainable and without hooks.": [
        lambda net: net.module_.half(),
        lambda net: net.module_.layers[1].float(),
        lambda net: net.module_.layers[0].bias.requires_grad_(False),
        lambda net: net.module_.layers[0].bias.register_hook(lambda grad: grad),
        lambda net: net.module_.to("meta"),
    ],
    "The loss is not our own.": [setting("criterion_", torch.nn.CrossEntropyLoss())],
    "The optimizer is not as the estimators make it.": [
        optimizer(torch.optim.AdamW),
        optimizer(amsgrad=True),
        optimizer(weight_decay=0.1),
        optimizer(fused=None),
        optimizer(torch.optim.SGD, dampening=0.1, momentum=0.9),
        optimizer(torch.optim.SGD, maximize=True),
        optimizer(lr=torch.tensor(0.1)),
        own_step,
        odd_scheduler,
        scheduler_of_own_step,
        lambda net: net.optimizer_.register_step_pre_hook(lambda *args: None),
        two_groups,
        other_order,
    ],
    "Parameters have had different numbers of steps.": [uneven],
}


@pytest.mark.parametrize(
    ("reason", "change"), [(reason, change) for reason in FOREIGN for change in FOREIGN[reason]]
)
def test_what_needs_autograd(reason, change):
    net = make_net()
    assert why_autograd(net, make_iterator(3), []) is None
    handle = change(net)
    try:
        assert why_autograd(net, make_iterator(3), []) == reason
        assert isinstance(step_of(net, make_iterator(3), [], []), AutogradStep)
    finally:
        if change is global_hook:
            handle.remove()


def test_data_that_need_autograd():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(20, 6)), rng.randint(0, 3, 20)
    reason = "The data are not our own, or not of the dtype of the net."
    odd = [
        TrainingData(X.astype(np.float32), y),
        TrainingData(X[:, :5], y),
        TrainingData(X, y, np.ones(20, np.float32)),
        TrainingData(X, y + 1),
        TrainingData(X, y - 1),
        TrainingData(X, y.astype(np.float64)),
        TrainingData(X, y.astype(np.int32)),
        TrainingData(torch.from_numpy(X), y),
        TrainingData(X[:0], y[:0]),
        torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(y)),
    ]
    for data in odd:
        assert why_autograd(make_net(), BatchIterator(data, 5, False, rng), []) == reason
    assert why_autograd(make_net(), torch.utils.data.DataLoader(odd[-1]), []) == reason
    squared = make_net(criterion=WeightedSquaredLoss)
    for targets in (y, rng.normal(size=(20, 2))):
        iterator = BatchIterator(TrainingData(X, targets), 5, False, rng)
        assert why_autograd(squared, iterator, []) == reason


def test_every_reason_has_a_test():
    tested = {*FOREIGN, "The data are not our own, or not of the dtype of the net."}
    assert tested >= {reason for reason, _ in REASONS}


def test_somebody_who_listens_needs_autograd():
    listeners = [Listener().on_batch_end]
    reason = "Somebody else listens to the batches."
    assert why_autograd(make_net(), make_iterator(3), listeners) == reason


# -- threads ----------------------------------------------------------------------------------


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Spy(Callback):
    """Sees how many threads torch has, in this thread and in a new one."""

    def __init__(self, fail=False):
        self.fail = fail

    def on_epoch_end(self, net, **kwargs):
        self.outside_ = torch.get_num_threads()
        if self.fail:
            raise RuntimeError("as asked")


class ThreadSpy(Method):
    seen = []

    def on_step(self, run):
        new = []
        thread = threading.Thread(target=lambda: new.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        self.seen.append((torch.get_num_threads(), *new))
        if len(self.seen) == 7:
            raise RuntimeError("as asked")


def test_torch_has_one_thread_in_explicit_steps_and_nobody_else_hears(two_threads, monkeypatch):
    ThreadSpy.seen.clear()
    with pytest.raises(RuntimeError, match="as asked"):
        fitted(monkeypatch, method=ThreadSpy())
    assert ThreadSpy.seen == [(1, 2)] * 7
    assert torch.get_num_threads() == 2
    clf, _ = fitted(monkeypatch, [("spy", Spy())])
    assert dict(clf.net_.callbacks)["spy"].outside_ == 2
    with pytest.raises(RuntimeError, match="as asked"):
        fitted(monkeypatch, [("spy", Spy(fail=True))])
    assert torch.get_num_threads() == 2


def test_autograd_keeps_all_threads(two_threads, monkeypatch, autograd):
    autograd(True)
    ThreadSpy.seen.clear()
    with pytest.raises(RuntimeError, match="as asked"):
        fitted(monkeypatch, method=ThreadSpy())
    assert ThreadSpy.seen == [(2, 2)] * 7


def test_only_torchs_pool_is_touched(two_threads):
    assert len(threads._torch_pools()) == 1
    others = [
        pool for pool in threads.ThreadpoolController().lib_controllers
        if pool.filepath != threads._torch_pools()[0].filepath
    ]  # fmt: skip
    before = [pool.num_threads for pool in others]
    with threads.one_torch_thread():
        assert [pool.num_threads for pool in others] == before
        with threads.one_torch_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_threads_of_ones_own_give_the_same_bits():
    clf = PrunedMLPClassifier((30, 10), max_iter=4, dropout=0.2, random_state=0)
    expected, found = bits(clone(clf).fit(X, y)), []

    def fit():
        # Filters of warnings belong to all threads.
        found.append(bits(clone(clf).fit(X, y)))

    together = [threading.Thread(target=fit) for _ in range(3)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert found == [expected] * 3


def test_nets_in_training_are_pickled_without_buffers():
    net, iterator = make_net(), make_iterator(3)
    net.step_ = ExplicitStep(net)
    run(net, net.step_, iterator, 3)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert other.step_ is None
        step = step_of(other, make_iterator(3), [], [])
        assert isinstance(step, ExplicitStep)
