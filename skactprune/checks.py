"""Checks that every method of pruning passes, for those of others, too."""

from __future__ import annotations

import copy
import pickle
import warnings
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.utils import check_random_state

from skactprune.estimators import PrunedMLPClassifier
from skactprune.pruning.blocks import block_of, is_shape
from skactprune.pruning.method import WHEN, Method, get_method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from skorch import NeuralNet

    Check = Callable[[str | Method], None]

__all__ = ["check_method", "method_checks"]

CHECKS: list[Check] = []
N_FEATURES, HIDDEN, N_CLASSES, EPOCHS = 6, (10, 8), 3, 8
UNITS = [N_FEATURES, *HIDDEN, N_CLASSES]


def check_method(
    method: str | Method, expected_failed_checks: dict[str, str] | None = None
) -> None:
    """Check that a method of pruning does what all of them do.

    Parameters
    ----------
    method : str or Method
        A registered name, or an object.
    expected_failed_checks : dict of str to str, default=None
        Names of checks that need not pass, each with the reason, as in
        `sklearn.utils.estimator_checks.check_estimator`.

    Raises
    ------
    AssertionError
        If a check fails; the traceback names it.
    TypeError, ValueError
        If `method` is no method, or cannot be trained with.

    See Also
    --------
    method_checks : The checks one by one, for ``pytest.mark.parametrize``.

    Examples
    --------
    >>> from skactprune.checks import check_method
    >>> check_method("magnitude")
    """
    for name, check in method_checks():
        if name not in (expected_failed_checks or {}):
            check(method)


def method_checks() -> list[tuple[str, Callable[[str | Method], None]]]:
    """The checks of `check_method`.

    Returns
    -------
    list of (str, callable)
        Name of a check, and the check, a function of a method.
    """
    return [(check.__name__, check) for check in CHECKS]


def one_of_them(check: Check) -> Check:
    """Decorator: make a function one of the checks."""
    CHECKS.append(check)
    return check


def data(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A small classification problem: rows and labels."""
    return make_classification(
        70,
        N_FEATURES,
        n_informative=5,
        n_redundant=0,
        n_classes=N_CLASSES,
        random_state=seed,
    )


def estimator(method: str | Method, **params: Any) -> PrunedMLPClassifier:
    """Estimator for the small problem."""
    defaults: dict[str, Any] = {"n_prune_rounds": 3, "max_iter": EPOCHS, "batch_size": 20}
    defaults["prune_fraction"] = asked(method, 0.6)
    return PrunedMLPClassifier(
        HIDDEN, method=method, learning_rate_init=0.01, random_state=0, **defaults | params
    )


def asked(method: str | Method, fraction: float) -> float | None:
    """The fraction, or None where the method has a threshold of its own set."""
    return fraction if get_method(method).own_threshold is None else None


def fitted(
    method: str | Method, targets: NDArray[Any] | None = None, **params: Any
) -> PrunedMLPClassifier:
    """Estimator after a fit, without its warnings of missing convergence."""
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator(method, **params).fit(X, y if targets is None else targets)


def variants(method: str | Method) -> Iterator[Method]:
    """The method, and copies with every value of the options that decide what leaves."""
    method = get_method(method)
    yield method
    params = method.get_params(deep=False)
    # What "auto" is depends on the fraction.
    auto = ("auto",) if method.own_threshold is None else ()
    for name, values in (
        ("granularity", (*auto, "neuron", "weight", "block", (5, 1))),
        ("scope", ("layer", "global")),
        ("regrow", (True,)),
    ):
        for value in values:
            # What leaves by a threshold of the method's own is not chosen by a fraction.
            refused = value == "auto" and method.own_threshold is not None
            if name in params and params[name] != value and not refused:
                yield clone(method).set_params(**{name: value})


def bits(clf: PrunedMLPClassifier) -> tuple[list[bytes], list[float], str]:
    """Everything that two equal trainings have in common, to the last bit."""
    arrays = [*clf.coefs_, *clf.intercepts_, *clf.masks_, *(clf.activation_counts_ or [])]
    history = [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in clf.pruning_history_
    ]
    return [array.tobytes() for array in arrays], clf.loss_curve_, repr(history)


# -- the checks ------------------------------------------------------------------------------


@one_of_them
def check_is_described(method: str | Method) -> None:
    """The class has a docstring that describes every parameter, and says what goes and when."""
    method = get_method(method)
    described = cleandoc(type(method).__doc__ or "")
    assert described, f"{type(method).__name__} has no docstring"
    for name in method.get_params(deep=False):
        assert f"\n{name} : " in described, (
            f"{name} is not described under Parameters in the docstring of {type(method).__name__}"
        )
    assert method.when in WHEN, f"when={method.when!r} is none of {WHEN}"
    assert method.removes.isalpha(), f"removes={method.removes!r} is not one word"


@one_of_them
def check_is_a_method(method: str | Method) -> None:
    """It is a `Method` whose parameters are kept as they are, and which can be cloned."""
    method = get_method(method)
    assert isinstance(method, Method)
    assert vars(method) == method.get_params(deep=False), "__init__ sets more than parameters"
    assert repr(clone(method)) == repr(method)
    assert method.validated() is method


@one_of_them
def check_refuses_wrong_options(method: str | Method) -> None:
    """An option that has no meaning is refused by its name."""
    for name in get_method(method).get_params(deep=False):
        wrong = clone(get_method(method)).set_params(**{name: "no such value"})
        try:
            wrong.validated()
        except (TypeError, ValueError) as error:
            assert name in str(error), f"the error does not name {name}: {error}"
        else:
            raise AssertionError(f"{name}='no such value' is accepted")


@one_of_them
def check_reaches_fraction(method: str | Method) -> None:
    """The fraction is reached, by no more than one unit; the layers hold what the masks say."""
    total = sum(a * b for a, b in zip(UNITS[:-2], UNITS[1:-1], strict=True))
    for variant in variants(method):
        clf = fitted(variant)
        if not getattr(variant, "regrow", False) and variant.own_threshold is None:
            assert clf.sparsity_ >= 0.6 - 1e-12, f"{variant}: {clf.sparsity_}"
            most = 0.6 * total + largest_unit(variant, clf)
            assert clf.sparsity_ * total <= most, f"{variant}: {clf.sparsity_}"
        assert_consistent(clf)


def largest_unit(method: Method, clf: PrunedMLPClassifier) -> int:
    """Number of weights that may leave at once: of a neuron, or a block and what dies of it."""
    neuron = max(UNITS[depth - 1] + UNITS[depth + 1] for depth in range(1, len(UNITS) - 1))
    granularity = getattr(method, "granularity", "weight")
    tile = block_of(granularity) if granularity == "block" or is_shape(granularity) else None
    if tile is None:
        return neuron
    height, width = tile
    n_dead = sum(HIDDEN) - sum(len(live) for live in clf.live_neurons_)
    return height * width + min(n_dead, height + width) * neuron


def assert_consistent(clf: PrunedMLPClassifier) -> None:
    """Weights, masks, live neurons and sparsity tell the same."""
    columns = [np.arange(N_FEATURES), *clf.live_neurons_]
    for coef, mask, before, live in zip(
        clf.coefs_, clf.masks_, columns, clf.live_neurons_, strict=False
    ):
        left = mask[np.ix_(before, live)]
        assert coef.shape == left.shape
        assert not coef[~left].any(), "a masked weight is not zero"
        assert mask.sum() == left.sum()
    n_left = sum(
        int(mask.sum()) if factors is None else sum(map(np.count_nonzero, factors))
        for mask, factors in zip(clf.masks_, clf.factors_, strict=True)
    )
    np.testing.assert_allclose(clf.sparsity_, 1 - n_left / sum(mask.size for mask in clf.masks_))
    assert np.isfinite(clf.predict_proba(data()[0])).all()
    np.testing.assert_allclose(
        clf.net_.predict_proba(data()[0]), clf.predict_proba(data()[0]), rtol=1e-9, atol=1e-12
    )


@one_of_them
def check_takes_labels(method: str | Method) -> None:
    """Of rows with any number of labels, as much leaves as of rows with one class."""
    X, y = data()
    labels = np.stack([y > 0, y < 2, X[:, 0] > 0], axis=1)
    clf, of_classes = fitted(method, labels), fitted(method)
    assert (clf.multilabel_, clf.predict(X).shape) == (True, labels.shape)
    assert len(clf.pruning_history_) == len(of_classes.pruning_history_)
    assert all(np.isfinite(row["train_score"]) for row in clf.pruning_history_ if row["epoch"])
    assert_consistent(clf)
    # Thresholds of methods' own take what is below them.
    if get_method(method).own_threshold is None:
        unit = largest_unit(get_method(method), clf) / sum(mask.size for mask in clf.masks_)
        np.testing.assert_allclose(clf.sparsity_, of_classes.sparsity_, atol=unit)


@one_of_them
def check_masks_hold(method: str | Method) -> None:
    """Pruned weights are zero after every step, whatever the optimizer does."""
    from skorch.callbacks import Callback

    class Watch(Callback):
        def __init__(self) -> None:
            self.n_seen = 0

        def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
            run = dict(net.callbacks_)["pruner"].run_
            if run.holds:
                for weight, mask in zip(run.weights(), run.masks.current, strict=False):
                    assert not weight[~mask].any(), "a masked weight is not zero"
                self.n_seen += 1

    for solver in (
        {"solver": "adam"},
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True},
        {"solver": "sgd", "momentum": 0.0, "alpha": 0.1},
    ):
        watch = Watch()
        clf = fitted(method, net_params={"callbacks": [("watch", watch)]}, **solver)
        assert watch.n_seen or getattr(get_method(method), "regrow", False)
        assert_consistent(clf)


@one_of_them
def check_does_not_change(method: str | Method) -> None:
    """Training leaves the method object, and clones of the estimator, as they were."""
    method = get_method(method)
    before = copy.deepcopy(vars(method))
    clf = fitted(method)
    assert clf.method is method
    assert repr(vars(method)) == repr(before), "fit changed the method object"
    again = clone(clf)
    assert repr(again.get_params()) == repr(clone(estimator(method)).get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert bits(again.fit(*data())) == bits(clf)


@one_of_them
def check_is_deterministic(method: str | Method) -> None:
    """The same seed gives the same bits, and numpy's and torch's generators stay as they are."""
    import torch

    shared = check_random_state(None)
    before, torch_before = shared.get_state()[1].copy(), torch.get_rng_state()
    assert bits(fitted(method)) == bits(fitted(method))
    np.testing.assert_array_equal(shared.get_state()[1], before)
    assert torch.equal(torch.get_rng_state(), torch_before)


@one_of_them
def check_survives_pickling(method: str | Method) -> None:
    """Training that is pickled between any two epochs goes on as without, to the last bit."""
    X, y = data()
    weight = np.random.RandomState(0).uniform(0.5, 2.0, len(y))
    for params in ({}, {"solver": "sgd", "dropout": 0.1}):
        plain, pickled = estimator(method, **params), estimator(method, **params)
        for _ in range(EPOCHS):
            for clf in (plain, pickled):
                clf.partial_fit(X, y, sample_weight=weight, classes=np.unique(y))
            pickled = pickle.loads(pickle.dumps(pickled))
            assert bits(pickled) == bits(plain)
            assert pickled.net_.history[-1]["train_loss"] == plain.net_.history[-1]["train_loss"]


@one_of_them
def check_warm_start(method: str | Method) -> None:
    """A warm start prunes nothing twice, and the rest where more is asked for."""
    X, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = fitted(method, warm_start=True)
        sparsity, n_rows = clf.sparsity_, len(clf.pruning_history_)
        clf.fit(X, y)
        if not getattr(get_method(method), "regrow", False):
            assert clf.sparsity_ == sparsity, "a warm start pruned again"
            assert len(clf.pruning_history_) == n_rows
        more = asked(method, 0.75)
        clf = pickle.loads(pickle.dumps(clf)).set_params(prune_fraction=more).fit(X, y)
    assert clf.sparsity_ >= (more or sparsity) - 1e-12
    assert_consistent(clf)


@one_of_them
def check_survives_interrupts(method: str | Method) -> None:
    """An interrupt at any moment leaves an estimator that is consistent and can go on."""
    from skorch.callbacks import Callback

    hooks = ("on_epoch_begin", "on_grad_computed", "on_batch_end", "on_epoch_end")

    def interrupting(hook: str, epoch: int) -> Callback:
        """Callback that presses Ctrl-C once, in one hook of one epoch."""
        left = [epoch]

        def press(self: Callback, net: NeuralNet, **kwargs: Any) -> None:
            if left == [len(net.history)]:
                left.clear()
                raise KeyboardInterrupt

        return type("Interrupt", (Callback,), {hook: press})()

    for hook in hooks:
        for epoch in (1, 3):
            callbacks = {"callbacks": [("interrupt", interrupting(hook, epoch))]}
            clf = fitted(method, net_params=callbacks, warm_start=True)
            assert clf.n_iter_ <= epoch
            assert_consistent(clf)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                clf.fit(*data())
            assert clf.n_iter_ == EPOCHS
            if not getattr(get_method(method), "regrow", False):
                assert clf.sparsity_ >= (clf.prune_fraction or 0) - 1e-12
            assert_consistent(clf)


@one_of_them
def check_prunes_output(method: str | Method) -> None:
    """It removes weights of the output layer in its rounds, or refuses to."""
    whole = HIDDEN[-1] * N_CLASSES
    try:
        clf = fitted(method, prune_output=0.5)
    except ValueError as error:
        assert "prune_output" in str(error), f"the error does not name prune_output: {error}"
        return
    kernel = clf.coefs_[-1]
    assert 1 - np.count_nonzero(kernel) / whole >= 0.5
    assert kernel.any(axis=1).all(), "a neuron is left that feeds nothing"
    assert_consistent(clf)


@one_of_them
def check_prunes_features(method: str | Method) -> None:
    """It removes features in its rounds, or refuses to; the fraction is of what they leave."""
    X, y = data()
    X[:, 2] = 3.0
    total = (N_FEATURES - 3) * HIDDEN[0] + HIDDEN[0] * HIDDEN[1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clf = estimator(method, prune_features=0.5).fit(X, y)
    except ValueError as error:
        assert "prune_features" in str(error), f"the error does not name prune_features: {error}"
        return
    assert 2 in clf.unused_features_, "a feature that does not vary has been kept"
    assert len(clf.unused_features_) >= 3
    if clf.prune_fraction is not None:
        assert sum(int(mask.sum()) for mask in clf.masks_) <= 0.4 * total + 1e-9
    assert_consistent(clf)


@one_of_them
def check_does_nothing_without_fraction(method: str | Method) -> None:
    """``prune_fraction=0``, or no rounds, is an ordinary multi-layer perceptron."""
    dense = fitted("magnitude", prune_fraction=0)
    asked_for_none: list[dict[str, Any]] = [{"prune_fraction": 0}, {"n_prune_rounds": 0}]
    for params in asked_for_none:
        clf = fitted(method, **params)
        assert clf.sparsity_ == 0 and clf.pruning_history_ == []
        for one, other in zip(clf.coefs_, dense.coefs_, strict=True):
            assert one.tobytes() == other.tobytes()


@one_of_them
def check_measures_once(method: str | Method) -> None:
    """Either a fraction or the method's own threshold says how much goes, never both or none."""
    own = get_method(method).own_threshold
    try:
        fitted(method, prune_fraction=None if own is None else 0.6)
    except ValueError as error:
        assert "prune_fraction" in str(error), f"the error does not name prune_fraction: {error}"
    else:
        raise AssertionError(f"prune_fraction and a threshold of its own, {own}, do not conflict")


@one_of_them
def check_prunes_any_net(method: str | Method) -> None:
    """It prunes any skorch net, or refuses those that it is not for with a ValueError."""
    import torch
    from skorch import NeuralNetClassifier

    from skactprune.pruning.pruner import Pruner

    X, y = data()
    torch_state = torch.get_rng_state()
    module = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, N_FEATURES)),
        torch.nn.Conv1d(1, 4, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * (N_FEATURES - 2), 12),
        torch.nn.ReLU(),
        torch.nn.Linear(12, N_CLASSES),
    )
    # Masks alone: what is cut leaves a copy, whose masks are shorter.
    fraction = asked(method, 0.5)
    pruner = Pruner(method, fraction, n_prune_rounds=2, cut=False, random_state=0)
    net = NeuralNetClassifier(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=EPOCHS,
        callbacks=[pruner],
        verbose=0,
    )
    try:
        net.fit(X.astype("float32"), y)
    except ValueError as error:
        assert repr(method) in str(error), f"the error does not name the method: {error}"
    else:
        n_zero = sum(int((layer.weight == 0).sum()) for layer in pruner.run_.layout.layers(module))
        n_masked = sum(int((~mask).sum()) for mask in pruner.masks_.full())
        assert n_masked == n_zero and pruner.masks_.sparsity > 0
        clone(net)
    finally:
        torch.set_rng_state(torch_state)
