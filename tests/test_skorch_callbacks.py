"""All of skorch's callbacks in net_params: they work, or are refused by name."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import skorch.callbacks
import skorch.exceptions
from sklearn.datasets import make_classification
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    GradientNormClipping,
    Initializer,
    LoadInitState,
    LRScheduler,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    TrainEndCheckpoint,
    WarmRestartLR,
)

import skactprune
from skactprune import PrunedMLPClassifier, compare_with_pca

X, y = make_classification(160, 8, n_informative=6, n_redundant=0, random_state=0)
EPOCHS = 12


def fit(*callbacks, **params):
    defaults = {"max_iter": EPOCHS, "batch_size": 20, "random_state": 0, "tol": 0}
    net_params = {"callbacks": list(callbacks)}
    clf = PrunedMLPClassifier((20, 10), net_params=net_params, **defaults | params)
    return clf.fit(X, y)


pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    PLAIN = fit()


def same_weights(clf):
    """Whether training was as without the callback, up to the last bits of another step."""
    pairs = list(zip(clf.coefs_, PLAIN.coefs_, strict=True))
    if any(one.shape != other.shape for one, other in pairs):
        return False
    return all(np.allclose(one, other, rtol=1e-9, atol=1e-12) for one, other in pairs)


def test_epoch_scoring_of_training_rows():
    for caching in (True, False):
        clf = fit(EpochScoring("accuracy", on_train=True, name="acc", use_caching=caching))
        scores = clf.net_.history[:, "acc"]
        assert len(scores) == EPOCHS and all(0 < score <= 1 for score in scores)
        if not caching:
            before_the_last_round = scores[-1]
            assert before_the_last_round == clf.score(X, y)
        assert same_weights(clf)


def test_epoch_scoring_of_validation_rows():
    clf = fit(EpochScoring("accuracy", name="acc"), early_stopping=True)
    assert clf.net_.history[:, "acc"] == clf.validation_scores_


def test_validation_loss():
    clf = fit(EpochTimer(), early_stopping=True, n_iter_no_change=50)
    losses = clf.net_.history[:, "valid_loss"]
    assert len(losses) == clf.n_iter_ and all(np.isfinite(losses))
    # It is that of the validation rows, without the penalty.
    alone = fit(EpochScoring("neg_log_loss", name="loss"), early_stopping=True, n_iter_no_change=50)
    np.testing.assert_allclose(-np.array(alone.net_.history[:, "loss"]), losses)


def test_batch_scores():
    clf = fit(BatchScoring("accuracy", on_train=True, name="batch_acc"))
    assert len(clf.net_.history[:, "batch_acc"]) == EPOCHS
    batches = clf.net_.history[-1]["batches"]
    assert len(batches) == 8
    mean = np.average([b["batch_acc"] for b in batches], weights=[20] * 8)
    assert clf.net_.history[-1]["batch_acc"] == pytest.approx(mean)


def test_passed_through_scores():
    clf = fit(PassthroughScoring("train_loss", on_train=True))
    np.testing.assert_allclose(clf.net_.history[:, "train_loss"], clf.loss_curve_)


@pytest.mark.parametrize("early", [False, True])
def test_early_stopping_stops_without_a_word_of_an_interrupt(early):
    monitor = "valid_loss" if early else "train_loss"
    told = []

    class Last(Callback):
        def on_epoch_end(self, net, **kwargs):
            told.append(len(net.history))

    stop = EarlyStopping(monitor, patience=2, threshold=0.9, sink=lambda text: None)
    clf = fit(stop, Last(), early_stopping=early)
    assert clf.n_iter_ < EPOCHS and told[-1] == clf.n_iter_
    assert clf.net_.history[-1][monitor] > 0


def test_early_stopping_in_a_comparison():
    stop = EarlyStopping("train_loss", patience=2, threshold=0.9, sink=lambda text: None)
    net = PrunedMLPClassifier((10,), max_iter=8, net_params={"callbacks": [stop]}, random_state=0)
    assert len(compare_with_pca(net, X, y, cv=2)) == 24


@pytest.mark.parametrize("kind", [Checkpoint, TrainEndCheckpoint])
def test_checkpoints(tmp_path, kind):
    params = {"dirname": str(tmp_path), "sink": lambda text: None}
    clf = fit(kind(**params | ({"monitor": None} if kind is Checkpoint else {})))
    assert list(tmp_path.glob("*params.pt"))
    assert same_weights(clf)


def test_loading_a_state_to_begin_with(tmp_path):
    # What was saved before any round fits the net as it is made.
    checkpoint = Checkpoint(monitor=None, dirname=str(tmp_path), sink=lambda text: None)
    fit(checkpoint, prune_fraction=0, max_iter=3)
    loaded = fit(LoadInitState(checkpoint), prune_fraction=0, max_iter=1)
    plain = fit(prune_fraction=0, max_iter=4)
    assert plain.loss_curve_[2] > loaded.loss_curve_[0]


def test_printing(capsys):
    clf = fit(PrintLog())
    assert "train_loss" in capsys.readouterr().out
    assert same_weights(clf)


def test_progress_bar(capsys):
    assert same_weights(fit(ProgressBar()))


def test_learning_rates_and_gradients():
    halved = fit(LRScheduler("StepLR", step_size=1, gamma=0.5))
    rates = [group["lr"] for group in halved.net_.optimizer_.param_groups]
    assert rates[0] == pytest.approx(0.001 * 0.5**EPOCHS)
    assert not same_weights(halved)
    assert same_weights(fit(GradientNormClipping(1e9)))
    assert not same_weights(fit(GradientNormClipping(1e-9)))
    assert not same_weights(fit(LRScheduler(WarmRestartLR, min_lr=0.0, max_lr=0.1)))


def test_parameters_are_mapped():
    import torch

    clf = fit(Initializer("layers.*.bias", fn=torch.nn.init.zeros_), max_iter=1, prune_fraction=0)
    assert max(abs(bias).max() for bias in clf.intercepts_) < 0.01
    seen = []
    fit(ParamMapper("layers.0.weight", fn=lambda p: seen.append(p.shape)))
    assert seen


@pytest.mark.parametrize(
    "name, params",
    [
        ("Freezer", ["layers.0.*"]),
        ("Unfreezer", ["layers.0.*"]),
        ("InputShapeSetter", []),
        ("Pruner", ["magnitude"]),
    ],
)
def test_what_cannot_work_is_refused_by_name(name, params):
    callback = getattr(skactprune if name == "Pruner" else skorch.callbacks, name)(*params)
    with pytest.raises(ValueError, match=f"has a {name}, which is not supported"):
        fit(callback)
    with pytest.raises(ValueError, match=f"has a {name}, which is not supported"):
        fit(("mine", callback))


@pytest.mark.parametrize(
    "callback",
    [EarlyStopping(), Checkpoint(), EpochScoring("f1"), BatchScoring("f1")],
    ids=lambda callback: type(callback).__name__,
)
def test_what_needs_validation_rows_says_so(callback):
    with pytest.raises(ValueError, match="early_stopping=True"):
        fit(callback)


def test_compiling_is_refused():
    with pytest.raises(ValueError, match="net_params\\['compile'\\]=True is not supported"):
        PrunedMLPClassifier((10,), net_params={"compile": True}).fit(X, y)


# Callbacks that need packages which are not installed here, or a service.
SERVICES = {"MlflowLogger", "NeptuneLogger", "SacredLogger", "TensorBoard", "WandbLogger"}


def test_no_callback_of_skorch_is_forgotten():
    here = Path(__file__).read_text()
    assert [name for name in skorch.callbacks.__all__ if name not in here] == []


@pytest.mark.parametrize("f_history", [None, "history.json"])
def test_a_checkpoint_brings_the_best_weights_back(f_history, tmp_path):
    def is_third(net):
        return net.history[-1, "epoch"] == 3

    def third(net):
        return [p.detach().clone() for p in net.module_.parameters()]

    class Noting(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            if is_third(net):
                kept.append(third(net))

    kept = []
    saving = Checkpoint(monitor=is_third, load_best=True, dirname=tmp_path, f_history=f_history)
    callbacks = [("noting", Noting()), ("saving", saving)]
    clf = fit(*callbacks, max_iter=6, prune_fraction=0)
    assert all((a == b).all() for a, b in zip(kept[0], clf.net_.module_.parameters(), strict=True))


def test_what_failed_is_told_and_not_what_follows(tmp_path):
    saving = Checkpoint(monitor="train_loss_best", load_best=True, dirname=tmp_path)
    with pytest.raises(skorch.exceptions.SkorchException, match="'train_loss_best' was not found"):
        fit(saving)
