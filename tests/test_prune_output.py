"""Weights of the output layer that leave singly, in the rounds."""

import contextlib
import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNetClassifier
from small_nets import HIDDEN, net, rounds

from skactprune import (
    PrunedAutoencoder,
    PrunedMLPRegressor,
    Pruner,
    load,
    pruning_path,
)
from skactprune.inspection import n_parameters
from skactprune.methods import (
    METHODS,
    Activation,
    ActivationSurgeon,
    GraSP,
    LotteryTicket,
    Magnitude,
    Scratch,
)
from skactprune.pruning.output_weights import largest
from skactprune.triggers import EpochTrigger

N_CLASSES = 3
N_OUTPUT = HIDDEN[-1] * N_CLASSES

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def table(seed=0):
    """Rows and labels."""
    return make_classification(120, 10, n_informative=6, n_classes=N_CLASSES, random_state=seed)


def expected_mask(kernel, n_left):
    """Mask of a kernel (n_neurons, n_outputs), one weight after the other, the smallest first."""
    mask = kernel != 0
    order = sorted(zip(*np.nonzero(mask), strict=True), key=lambda at: abs(kernel[at]))
    for i, j in order:
        if mask.sum() == n_left:
            break
        largest_of_both = abs(kernel[i, j]) < min(abs(kernel[i]).max(), abs(kernel[:, j]).max())
        mask[i, j] = not largest_of_both
    return mask


# -- which leave -----------------------------------------------------------------------------


@pytest.mark.parametrize("share, n_left", [(0.3, 12), (0.5, 9), (0.6, 7), (0.01, 17)])
def test_the_smallest_leave_but_for_the_largest_of_each_neuron_and_output(share, n_left):
    X, y = table()
    dense, clf = net(n_prune_rounds=0).fit(X, y), net(prune_output=share).fit(X, y)
    mask = expected_mask(dense.coefs_[-1], n_left)
    assert mask.sum() == n_left
    assert_array_equal(clf.coefs_[-1], np.where(mask, dense.coefs_[-1], 0))
    for ours, theirs in zip(clf.coefs_[:-1], dense.coefs_[:-1], strict=True):
        assert_array_equal(ours, theirs)
    assert clf.sparsity_ == 0 and n_parameters(clf) == n_parameters(dense) - (N_OUTPUT - n_left)


@pytest.mark.parametrize("n_left", [3, 6, 8, 20, 24])
@pytest.mark.parametrize("seed", range(3))
def test_the_largest_are_those_of_rows_and_columns_and_then_of_all(n_left, seed):
    rng = np.random.default_rng(seed)
    size, left = rng.integers(0, 4, (4, 6)).astype(float), rng.uniform(size=(4, 6)) < 0.7
    # A neuron and an output that have nothing left.
    left[:, 2 * seed] = left[seed] = False
    found = largest(size, left, n_left)
    assert not found[~left].any()
    for axis in (0, 1):
        some = left.any(axis=axis)
        assert_array_equal(found.any(axis=axis), some)
        best = np.where(left, size, -1).max(axis=axis)
        assert_array_equal(np.where(found, size, -1).max(axis=axis)[some], best[some])
    needed = largest(size, left, 0)
    assert found.sum() == min(max(n_left, needed.sum()), left.sum())
    if (found & ~needed).any() and (left & ~found).any():
        assert size[found & ~needed].min() >= size[left & ~found].max()


def test_weights_of_neurons_that_leave_count():
    X, y = table()
    dense = net(n_prune_rounds=0).fit(X, y)
    how = {"method": Magnitude("neuron", scope="layer"), "prune_fraction": 0.8}
    small = net(**how).fit(X, y)
    n_live = len(small.live_neurons_[-1])
    assert 0 < n_live < HIDDEN[-1]
    # As much as has gone with the neurons: no more leaves.
    alike = net(prune_output=1 - n_live / HIDDEN[-1], **how).fit(X, y)
    assert_array_equal(alike.coefs_[-1], small.coefs_[-1])
    clf = net(prune_output=1 - (n_live * N_CLASSES - 2) / N_OUTPUT, **how).fit(X, y)
    kernel = dense.coefs_[-1][small.live_neurons_[-1]]
    assert_array_equal(clf.coefs_[-1], kernel * expected_mask(kernel, n_live * N_CLASSES - 2))


def test_every_round_takes_its_share():
    X, y = table()
    seen = []

    class Looks(Magnitude):
        def on_epoch(self, run):
            seen.append((run.done, int((run.weights()[-1] != 0).sum())))
            super().on_epoch(run)

    rounds(method=Looks(schedule="linear"), prune_output=0.5, max_iter=10).fit(X, y)
    assert set(seen) == {(0, 18), (1, 15), (2, 12), (3, 9)}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"solver": "sgd"},
        {"dropout": 0.2},
        {"net_params": {"optimizer": torch.optim.RMSprop}},
        {"early_stopping": True},
    ],
)
def test_what_has_left_stays_zero_in_training(params):
    X, y = table()
    clf = rounds(prune_output=0.5, alpha=0.1, **params)
    clf.set_params(max_iter=20).fit(X, y)
    assert (clf.coefs_[-1] != 0).sum() == 9
    before = clf.coefs_[-1].copy()
    clf.set_params(warm_start=True, n_prune_rounds=0).fit(X, y)
    assert_array_equal(clf.coefs_[-1] != 0, before != 0)
    assert (clf.coefs_[-1] != before).sum() == 9


def test_moments_of_what_has_left_are_cleared():
    X, y = table()
    clf = net(prune_output=0.5).fit(X, y)
    layer = clf.net_.module_.layers[-1]
    gone = (layer.weight == 0).numpy()
    moments = clf.net_.optimizer_.state[layer.weight]
    assert not moments["exp_avg"].numpy()[gone].any()
    assert moments["exp_avg"].numpy()[~gone].all()


# -- methods that change weights -------------------------------------------------------------


def test_a_ticket_keeps_the_weights_that_were_largest_after_training():
    X, y = table()
    first = net(max_iter=1, learning_rate_init=1e-300).fit(X, y).coefs_[-1]
    trained = net(n_prune_rounds=0, learning_rate_init=0.05).fit(X, y).coefs_[-1]
    mask = expected_mask(trained, 9)
    assert not np.array_equal(mask, expected_mask(first, 9))
    clf = net(method="lottery_ticket", prune_output=0.5, learning_rate_init=0.05).fit(X, y)
    assert_allclose(clf.coefs_[-1], np.where(mask, first, 0), rtol=1e-12)


@pytest.mark.parametrize("method", ["lottery_ticket", LotteryTicket("neuron")])
def test_a_ticket_loses_no_more_for_neurons_that_have_died(method):
    X, y = table()
    how = {"hidden_layer_sizes": (20, 20), "learning_rate_init": 0.05, "prune_fraction": 0.9}
    plain = net(method=method, **how).fit(X, y)
    n_live = len(plain.live_neurons_[-1])
    clf = net(method=method, prune_output=0.6, **how).fit(X, y)
    assert 10 < n_live < 20 or n_live * N_CLASSES < 24
    assert (clf.coefs_[-1] != 0).sum() == min(24, n_live * N_CLASSES)


def test_what_dead_neurons_of_a_ticket_give_is_folded():
    X, y = table()
    how = {"method": LotteryTicket("neuron"), "prune_fraction": 0.5, "activation": "logistic"}
    # No more weights of the output layer leave than with the neurons.
    plain, clf = net(**how).fit(X, y), net(prune_output=0.3, **how).fit(X, y)
    assert len(plain.live_neurons_[-1]) < HIDDEN[-1]
    assert_array_equal(clf.intercepts_[-1], plain.intercepts_[-1])
    assert_array_equal(clf.coefs_[-1], plain.coefs_[-1])
    clf = net(prune_output=0.5, **how).fit(X, y)
    assert_array_equal(clf.intercepts_[-1], plain.intercepts_[-1])


def test_a_ticket_chooses_once_and_says_once_what_cannot_be_reached():
    X, y = table()
    how = {"hidden_layer_sizes": (8, 9), "learning_rate_init": 0.05, "max_iter": 4}
    how["random_state"] = 1
    trained = net(n_prune_rounds=0, **how).fit(X, y)
    needed = largest(np.abs(trained.coefs_[-1].T), np.ones((3, 9), bool), 0).T
    n_left = int(needed.sum())
    assert n_left > 9
    clf = net(method="lottery_ticket", **how)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.set_params(prune_output=1 - 9 / 27).fit(X, y)
    told = [str(w.message) for w in caught if "cannot be reached" in str(w.message)]
    assert len(told) == 1 and f"{1 - n_left / 27:.4g} of" in told[0]
    assert_array_equal(clf.coefs_[-1] != 0, needed)


def test_scratch_chooses_before_it_draws():
    X, y = table()
    # The last round comes when the net is drawn anew; the search is that of a plain net.
    how = {"max_iter": 12, "prune_fraction": 1e-9}
    trained = net(max_iter=6, n_prune_rounds=0).fit(X, y)
    clf = net(method=Scratch("magnitude"), prune_output=0.5, trigger=EpochTrigger(1, 1), **how)
    clf.fit(X, y)
    assert_array_equal(clf.coefs_[-1] != 0, expected_mask(trained.coefs_[-1], 9))


def test_what_is_advised_is_taken():
    X, y = table()
    message = "must be at most"
    for params, features in (({"min_neurons": (1, 4)}, 10), ({}, 10), ({}, 3)):
        for name in ("prune_output", "prune_features"):
            clf = net(method="magnitude", **params | {name: 0.99})
            with pytest.raises(ValueError, match=message) as caught:
                clf.fit(X[:, :features], y)
            advised = re.search(rf"{message} (0\.\d+)", str(caught.value))[1]
            with contextlib.suppress(UserWarning):
                clf.set_params(**{name: float(advised)}).fit(X[:, :features], y)


def test_out_of_a_round_nothing_leaves():
    X, y = table()

    class Asks(Magnitude):
        def on_epoch(self, run):
            run.prune_output(run.masks)
            assert run.done or (run.weights()[-1] != 0).all()
            super().on_epoch(run)

    assert (rounds(method=Asks(), prune_output=0.5).fit(X, y).coefs_[-1] != 0).sum() == 9


@pytest.mark.parametrize("method", [ActivationSurgeon("neuron"), "lasso"])
def test_neurons_do_not_take_over_by_weights_that_have_left(method):
    X, y = table()
    clf = net(method=method, prune_output=0.4, warm_start=True, max_iter=4).fit(X, y)
    left = clf.coefs_[-1] != 0
    clf.set_params(prune_fraction=0.6).fit(X, y)
    live = clf.live_neurons_[-1]
    assert len(live) < HIDDEN[-1]
    assert not clf.coefs_[-1][~left[live]].any()


def test_who_takes_over_is_told_which_weights_of_outputs_are_left():
    X, y = table()
    seen = []

    class Looks(Magnitude):
        def remove(self, run, masks):
            def refit(depth, gone, outgoing, mask):
                seen.append((depth, mask))
                return np.where(gone, 0, outgoing), np.zeros(len(outgoing))

            run.keep(masks, refit=refit)

    clf = net(method=Looks("neuron"), prune_output=0.4, warm_start=True, max_iter=4).fit(X, y)
    left, seen[:] = clf.coefs_[-1] != 0, []
    clf.set_params(prune_fraction=0.6).fit(X, y)
    (mask,) = (mask for depth, mask in seen if depth == len(HIDDEN) - 1)
    assert_array_equal(mask, left.T)


def test_scratch_draws_only_what_is_left():
    X, y = table()
    clf = rounds(method=Scratch("magnitude"), prune_output=0.5, max_iter=12, trigger="epoch")
    clf.fit(X, y)
    assert (clf.coefs_[-1] != 0).sum() == 9


def test_shared_values_are_of_what_is_left(tmp_path):
    X, y = table()
    clf = rounds(method="deep_compression", prune_fraction=0.5, prune_output=0.5, max_iter=30)
    clf.fit(X, y)
    assert (clf.coefs_[-1] != 0).sum() == 9
    model = clf.compact("codebook")
    model.save(tmp_path / "net")
    assert_array_equal(load(tmp_path / "net").predict_proba(X), model.predict_proba(X))
    assert_allclose(model.predict_proba(X), clf.predict_proba(X), rtol=1e-5)


def test_before_training_the_weights_are_those_of_the_beginning():
    X, y = table()
    first = net(max_iter=1, learning_rate_init=1e-300).fit(X, y).coefs_[-1]
    clf = net(method=GraSP(n_rows=40), prune_output=0.5).fit(X, y)
    assert_array_equal(clf.coefs_[-1] != 0, expected_mask(first, 9))


@pytest.mark.parametrize("method", list(METHODS))
def test_any_method_removes_them_or_says_why_not(method):
    X, y = table()
    clf = rounds(method=method, prune_fraction=0.5, prune_output=0.5)
    try:
        clf.fit(X, y)
    except ValueError as error:
        assert re.search("weights come back.*prune_output=0.5 must be 0", str(error))
        assert method in ("rigl", "surgery")
        return
    assert (clf.coefs_[-1] != 0).sum() <= 9
    assert (clf.coefs_[-1] != 0).any(axis=1).all()
    assert clf.sparsity_ >= 0.5 - 1e-12
    restored = pickle.loads(pickle.dumps(clf))
    assert_array_equal(restored.predict_proba(X), clf.predict_proba(X))
    assert_allclose(clf.compact().predict_proba(X), clf.predict_proba(X), rtol=1e-5, atol=1e-6)


# -- further fits ----------------------------------------------------------------------------


def test_a_warm_start_removes_more_and_never_less():
    X, y = table()
    clf = rounds(prune_output=0.3, warm_start=True).fit(X, y)
    left = clf.coefs_[-1] != 0
    assert left.sum() == 12
    clf.set_params(prune_output=0.6).fit(X, y)
    assert (clf.coefs_[-1] != 0).sum() == 7 and left[clf.coefs_[-1] != 0].all()
    clf.set_params(prune_output=0).fit(X, y)
    assert (clf.coefs_[-1] != 0).sum() == 7
    clf.set_params(warm_start=False).fit(X, y)
    assert (clf.coefs_[-1] != 0).all()


def test_what_has_left_stays_away_where_other_weights_may_come_back():
    X, y = table()
    clf = rounds(prune_output=0.5, warm_start=True).fit(X, y)
    left = clf.coefs_[-1] != 0
    clf.set_params(method=Activation(regrow=True), prune_output=0, prune_fraction=0.5).fit(X, y)
    assert not clf.coefs_[-1][~left[clf.live_neurons_[-1]]].any()


def test_partial_fit_goes_on_after_a_pickle():
    X, y = table()
    nets = [rounds(prune_output=0.6, trigger=EpochTrigger(0.1, 1)) for _ in range(2)]
    for _ in range(10):
        nets = [clf.partial_fit(X, y, classes=range(N_CLASSES)) for clf in nets]
        nets[1] = pickle.loads(pickle.dumps(nets[1]))
    assert_array_equal(nets[0].coefs_[-1], nets[1].coefs_[-1])
    assert (nets[0].coefs_[-1] != 0).sum() == 7


def test_a_path_goes_on_with_what_is_left():
    X, y = table()
    clf = rounds(prune_output=0.5)
    path = pruning_path(clf, X, y, cv=2, fractions=[0.2, 0.6], n_epochs=2)
    plain = pruning_path(rounds(), X, y, cv=2, fractions=[0.2, 0.6], n_epochs=2)
    assert_array_equal(plain.parameters - path.parameters >= 6, True)


def test_they_leave_alone():
    X, y = table()
    clf = rounds(prune_output=0.5, prune_fraction=0).fit(X, y)
    assert len(clf.pruning_history_) == 3 and clf.sparsity_ == 0
    assert net(prune_output=0.5, n_prune_rounds=0).fit(X, y).coefs_[-1].all()


# -- where there are many outputs ------------------------------------------------------------


def test_an_autoencoder_loses_half_of_the_weights_to_its_outputs():
    X, _ = table()
    how = {"encoder_layer_sizes": 6, "max_iter": 20, "random_state": 0}
    net = PrunedAutoencoder(3, prune_output=0.5, **how).fit(X)
    whole = 6 * X.shape[1]
    assert (net.coefs_[-1] != 0).sum() <= whole / 2
    assert net.inverse_transform(net.transform(X)).shape == X.shape


def test_a_regressor_of_many_targets_stores_less(tmp_path):
    X, _ = table()
    Y = X @ np.random.default_rng(0).normal(size=(X.shape[1], 30))
    Y /= Y.std(axis=0)
    sizes = []
    for share in (0, 0.9):
        net = PrunedMLPRegressor(
            hidden_layer_sizes=20, prune_output=share, max_iter=30, random_state=0
        ).fit(X, Y)
        net.compact().save(tmp_path / "net")
        assert_allclose(load(tmp_path / "net").predict(X), net.predict(X), rtol=1e-3, atol=1e-4)
        sizes.append((tmp_path / "net").stat().st_size)
    assert sizes[1] < sizes[0]


# -- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params, message",
    [
        ({"prune_output": 1.0}, "prune_output"),
        ({"prune_output": -0.1}, "prune_output"),
        ({"prune_output": "half"}, "prune_output"),
        ({"prune_output": 0.9}, "prune_output=0.9 must be at most 0.8333, .* 3 of the 18 weights"),
        ({"min_neurons": (1, 6), "prune_output": 0.8}, "at most 0.6666, .* 6 of the 18"),
        ({"method": Activation(regrow=True)}, "regrow=True.*prune_output=0.5 must be 0"),
        ({"method": "rigl"}, "weights come back, so that prune_output=0.5 must be 0"),
        ({"method": "surgery"}, "weights come back, so that prune_output=0.5 must be 0"),
        ({"method": Scratch("rigl")}, "weights come back, so that prune_output=0.5 must be 0"),
        ({"hidden_layer_sizes": ()}, "prune_output=0.5 needs a hidden layer"),
    ],
)
def test_refusals(params, message):
    with pytest.raises(ValueError, match=message):
        net(**{"prune_output": 0.5} | params).fit(*table())


def test_other_modules_are_refused():
    module = torch.nn.Sequential(torch.nn.Linear(10, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    pruner = Pruner("magnitude", prune_output=0.5)
    net = NeuralNetClassifier(
        module, criterion=torch.nn.CrossEntropyLoss, callbacks=[pruner], verbose=0
    )
    X, y = table()
    with pytest.raises(ValueError, match="prune_output=0.5 must be 0 for Sequential"):
        net.fit(X.astype(np.float32), y)


def test_it_is_said_where_neurons_need_their_weights():
    X, y = table()
    labels = (y == 0).astype(int)
    with pytest.warns(UserWarning, match="prune_output=0.5 cannot be reached .* 6 neurons.* 0 of"):
        clf = net(prune_output=0.5).fit(X, labels)
    assert clf.coefs_[-1].all()
    # The largest of each neuron are in the way of the last ones.
    with pytest.warns(UserWarning, match="prune_output=0.8 cannot be reached"):
        clf = net(prune_output=0.8).fit(X, y)
    assert_array_equal((clf.coefs_[-1] != 0).any(axis=1), True)


def test_training_that_ends_early_tells_of_it():
    X, y = table()
    clf = rounds(prune_output=0.5, max_iter=2, trigger="score")
    with pytest.warns(ConvergenceWarning, match="with prune_output=0.5"):
        clf.fit(X, y)
