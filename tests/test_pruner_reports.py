"""What Pruner reports is what is there, whatever else happens to the net, and what it warns of."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, Checkpoint, EarlyStopping
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils import weight_norm as old_weight_norm
from torch.utils.checkpoint import checkpoint

from skactprune import AccuracyTrigger, EpochTrigger, Magnitude, PrunedMLPClassifier, Pruner
from skactprune.methods import LotteryTicket

X, y = make_classification(
    n_samples=200, n_features=8, n_informative=6, n_redundant=0, class_sep=1.5, random_state=0
)
X, y = X.astype(np.float32), y.astype(np.int64)
NOISE = np.random.default_rng(0).integers(0, 2, len(X))


def hidden(n=30):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, n), nn.ReLU(), nn.Linear(n, 2))


def make(module, *callbacks, **params):
    torch.manual_seed(0)
    return NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, callbacks=list(callbacks), verbose=0,
        **{"max_epochs": 10, "batch_size": 50, "optimizer": torch.optim.Adam, "lr": 0.02} | params,
    )  # fmt: skip


def zeros(layer):
    weight = layer.weight.detach()
    assert weight.isfinite().all()
    return float((weight == 0).double().mean())


class Watch(Callback):
    """Compares masks and weights after every step and every epoch."""

    def __init__(self, pruner):
        self.pruner = pruner
        self.n_seen = 0

    def compare(self, net):
        if self.pruner.looked_:
            layers = self.pruner.run_.hidden
            n_zero = sum(int((layer.weight == 0).sum()) for layer in layers)
            n_masked = sum(int((~mask).sum()) for mask in self.pruner.masks_.current)
            assert n_zero == n_masked
            self.n_seen += n_masked > 0

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.compare(net)

    def on_epoch_end(self, net, **kwargs):
        self.compare(net)


# -- layers that compute their weight ------------------------------------------------------------


class Triangle(nn.Module):
    """A symmetric weight, which masks of single weights would have to respect."""

    def forward(self, weight):
        return weight.triu() + weight.triu(1).t()

    def right_inverse(self, weight):
        return weight.triu()


class Outer(nn.Module):
    """A weight of low rank."""

    def forward(self, left, right):
        return left @ right

    def right_inverse(self, weight):
        u, s, v = torch.linalg.svd(weight.detach(), full_matrices=False)
        return u * s, v


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2

    def right_inverse(self, weight):
        return 2 * weight


def registered(parametrization):
    def register(layer):
        parametrize.register_parametrization(layer, "weight", parametrization())
        return layer

    return register


HOLD = {
    "weight_norm": parametrizations.weight_norm,
    "weight_norm of the whole": lambda layer: parametrizations.weight_norm(layer, dim=None),
    "spectral_norm": parametrizations.spectral_norm,
    "own": registered(Halved),
}
REFUSED = {
    "orthogonal": parametrizations.orthogonal,
    "weight_norm of inputs": lambda layer: parametrizations.weight_norm(layer, dim=1),
    "symmetric": registered(Triangle),
    "low rank": registered(Outer),
    "old weight_norm": old_weight_norm,
    "old spectral_norm": old_spectral_norm,
    "prune": lambda layer: prune.l1_unstructured(layer, "weight", 0.3),
}


def reparametrized(change):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(8, 20), nn.ReLU(), change(nn.Linear(20, 20)), nn.ReLU(), nn.Linear(20, 2)
        )


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
@pytest.mark.parametrize("method", ["firing_deviation", "magnitude"])
@pytest.mark.parametrize("kind", HOLD)
def test_zeros_hold_in_layers_that_compute_their_weight(kind, method, optimizer):
    pruner = Pruner(method, random_state=0)
    watch = Watch(pruner)
    more = {"optimizer__momentum": 0.9} if optimizer is torch.optim.SGD else {}
    net = make(reparametrized(HOLD[kind]), pruner, watch, optimizer=optimizer, **more).fit(X, y)
    assert watch.n_seen > 20
    shares = zeros(net.module_[0]) * 160 + zeros(net.module_[2]) * 400
    np.testing.assert_allclose(shares / 560, pruner.masks_.sparsity)
    assert pruner.masks_.sparsity >= 0.8
    assert net.score(X, y) > 0.7


@pytest.mark.parametrize("method", ["firing_deviation", "magnitude"])
@pytest.mark.parametrize("kind", REFUSED)
def test_layers_that_cannot_hold_zeros_are_refused_by_name_before_training(kind, method):
    module = reparametrized(REFUSED[kind])
    before = copy.deepcopy({name: p.detach() for name, p in module.named_parameters()})
    with pytest.raises(ValueError, match=r"'2' (computes|has) its weight .*ignored_layers"):
        make(module, Pruner(method)).fit(X, y)
    assert all(torch.equal(p, before[name]) for name, p in module.named_parameters())
    pruner = Pruner(method, ignored_layers=["2"], random_state=0)
    make(module, pruner).fit(X, y)
    assert pruner.layer_names_ == ["0"]
    assert zeros(module[0]) == pruner.masks_.sparsity >= 0.8


# -- weights that are brought back ---------------------------------------------------------------


def checkpoints(tmp_path, **params):
    return Checkpoint(dirname=str(tmp_path), load_best=True, **params)


RESTORING = {
    "EarlyStopping": lambda path: EarlyStopping(patience=30, load_best=True),
    "Checkpoint": checkpoints,
    "Checkpoint with names": lambda path: checkpoints(
        path, f_params="of_{last_epoch[epoch]}.pt", f_optimizer=None
    ),
    "Checkpoint of accuracy": lambda path: checkpoints(path, monitor="valid_acc_best"),
}


@pytest.mark.parametrize("last_round", [0.3, 1.0])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", RESTORING)
def test_the_best_weights_are_those_after_the_last_round(kind, first, last_round, tmp_path):
    # Of noise, the first epochs are the best.
    pruner = Pruner("firing_deviation", random_state=0, trigger=EpochTrigger(0.1, last_round))
    restoring = RESTORING[kind](tmp_path)
    kept = {}

    class Keep(Callback):
        def on_epoch_end(self, net, **kwargs):
            weight, row = net.module_[0].weight.detach().clone(), net.history[-1]
            kept[len(net.history)] = weight, row["valid_acc"], row["valid_loss"]

    callbacks = [restoring, pruner] if first else [pruner, restoring]
    net = make(hidden(), *callbacks, Keep(), max_epochs=20).fit(X, NOISE)
    assert net.module_[0].out_features == round(30 * (1 - pruner.masks_.sparsity)) <= 6
    epochs = range(round(20 * last_round) + 1, 21) or [20]
    best = min(epochs, key=lambda epoch: -kept[epoch][1] if "acc" in kind else kept[epoch][2])
    # Neurons have left after they were brought back, too.
    live = torch.from_numpy(pruner.masks_.live[0])
    assert torch.equal(net.module_[0].weight, kept[best][0][live])


@pytest.mark.parametrize("first", [True, False])
def test_early_stopping_without_best_weights_stops_as_before(first):
    stopping = EarlyStopping(patience=3)
    callbacks = [stopping, Pruner(random_state=0)]
    with pytest.warns(ConvergenceWarning, match="Training ended after .* pruning rounds"):
        net = make(hidden(), *callbacks[:: 1 if first else -1], max_epochs=40).fit(X, NOISE)
    plain = make(hidden(), EarlyStopping(patience=3), max_epochs=40).fit(X, NOISE)
    assert abs(len(net.history) - len(plain.history)) <= 5


@pytest.mark.parametrize("first", [True, False])
def test_weights_that_somebody_brings_back_are_told(first):
    class Back(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 1:
                self.early_ = copy.deepcopy(net.module_.state_dict())

        def on_train_end(self, net, **kwargs):
            net.module_.load_state_dict(self.early_)

    pruner = Pruner(random_state=0, cut=False)
    with pytest.warns(UserWarning, match="When training ended, weights that had been pruned were"):
        net = make(hidden(), *([Back(), pruner] if first else [pruner, Back()])).fit(X, y)
    assert len(net.callbacks_) == len(make(hidden(), Back(), Pruner()).initialize().callbacks_)
    assert zeros(net.module_[0]) == pruner.masks_.sparsity >= 0.8


# -- training that goes on -----------------------------------------------------------------------


def new(fraction=0.8, cut=False):
    return make(hidden, ("pruner", Pruner(prune_fraction=fraction, random_state=0, cut=cut)))


def loaded(net, tmp_path):
    net.save_params(f_params=tmp_path / "params.pt")
    again = new().initialize()
    again.load_params(f_params=tmp_path / "params.pt")
    return again


RESUMED = {
    "load_params": loaded,
    "set_params": lambda net, path: net.set_params(callbacks__pruner__n_prune_rounds=4),
    "an instance": lambda net, path: make(
        net.module_, ("pruner", Pruner(random_state=0, cut=False))
    ),
}


@pytest.mark.parametrize("kind", RESUMED)
def test_zeros_at_the_start_are_taken_for_pruned(kind, tmp_path):
    net = new().fit(X, y)
    mask = net.module_[0].weight.detach() != 0
    again = RESUMED[kind](net, tmp_path)
    with pytest.warns(UserWarning, match="zero when training starts for pruned before.*'0'; the s"):
        again.partial_fit(X, y)
    assert torch.equal(again.module_[0].weight.detach() != 0, mask)
    pruner = dict(again.callbacks_)["pruner"]
    assert pruner.masks_.sparsity == zeros(again.module_[0]) >= 0.8
    # Nothing is to be done, so that nothing is missing.
    assert pruner.history_ == [] and not pruner.pending


def test_more_may_be_asked_for_of_what_was_pruned_before():
    net = new(0.5).fit(X, y)
    mask = net.module_[0].weight.detach() != 0
    net.set_params(callbacks__pruner__prune_fraction=0.9)
    with pytest.warns(UserWarning, match="zero when training starts"):
        net.partial_fit(X, y)
    left = net.module_[0].weight.detach() != 0
    assert zeros(net.module_[0]) >= 0.9 and not (left & ~mask).any()


def test_a_pickled_net_goes_on_with_its_masks():
    net = pickle.loads(pickle.dumps(new().fit(X, y)))
    net.partial_fit(X, y, epochs=2)
    assert zeros(net.module_[0]) == dict(net.callbacks_)["pruner"].masks_.sparsity >= 0.8


@pytest.mark.parametrize("method", ["firing_deviation", "magnitude"])
@pytest.mark.parametrize("how", ["one", "all"])
def test_accidental_zeros_are_trained(how, method):
    module = hidden()
    with torch.no_grad():
        module[0].weight[0, 0] = 0
        if how == "all":
            module[0].weight.zero_()
    pruner = Pruner(method, prune_fraction=0.1, trigger=EpochTrigger(1, 1), random_state=0)
    seen = []

    class Look(Callback):
        def on_epoch_begin(self, net, **kwargs):
            seen.append(int((net.module_[0].weight == 0).sum()))

    make(module, Look(), pruner).fit(X, y)
    # Of the first, those into neurons that do not fire get no gradient.
    assert seen[0] == (240 if how == "all" else 1)
    assert seen[-1] < 200 if how == "all" else seen[-1] == 0


def test_loaded_weights_are_pruned_again_and_that_is_told(tmp_path):
    net = new().initialize()
    net.save_params(f_params=tmp_path / "dense.pt")
    net.partial_fit(X, y)
    net.load_params(f_params=tmp_path / "dense.pt")
    with pytest.warns(UserWarning, match="Before training, weights that had been pruned were writ"):
        net.partial_fit(X, y, epochs=1)
    assert zeros(net.module_[0]) == dict(net.callbacks_)["pruner"].masks_.sparsity >= 0.8


# -- training that ends early --------------------------------------------------------------------


class Stops(Callback):
    """Ends training in the third epoch."""

    def __init__(self, hook):
        self.hook = hook

    def _stop(self, net, hook):
        if hook == self.hook and len(net.history) == 3:
            raise KeyboardInterrupt

    def on_batch_end(self, net, **kwargs):
        self._stop(net, "on_batch_end")

    def on_epoch_end(self, net, **kwargs):
        self._stop(net, "on_epoch_end")


class SetsReason(Callback):
    def on_epoch_end(self, net, **kwargs):
        net.stopping_ = "Enough."


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hook", ["on_batch_end", "on_epoch_end"])
def test_training_that_is_ended_early_tells_of_missing_rounds(hook, first):
    pruner = Pruner(random_state=0)
    callbacks = [Stops(hook), pruner] if first else [pruner, Stops(hook)]
    with pytest.warns(ConvergenceWarning, match="ended after [23] of 10 epochs and only [12] of 5"):
        net = make(hidden(), *callbacks).fit(X, y)
    assert zeros(net.module_[0]) == pruner.masks_.sparsity < 0.8


def test_estimators_tell_it_too_but_not_of_every_call():
    stopped = {"net_params": {"callbacks": [("stops", SetsReason())]}}
    with pytest.warns(ConvergenceWarning, match="ended after 1 of 20 epochs and only 0 of 5"):
        PrunedMLPClassifier((10,), max_iter=20, random_state=0, **stopped).fit(X, y)
    clf = PrunedMLPClassifier((10,), max_iter=6, random_state=0, trigger=AccuracyTrigger(1, 1))
    told = []
    for _ in range(9):
        with warnings.catch_warnings(record=True) as records:
            warnings.simplefilter("always")
            clf.partial_fit(X, y, classes=[0, 1])
        told.append([str(record.message) for record in records])
    assert [len(messages) for messages in told] == [0] * 5 + [1] + [0] * 3
    assert "Maximum iterations (6) reached and only 0 of 5" in told[5][0]


def test_a_limit_that_shrinks_is_reached():
    never = Pruner(trigger=AccuracyTrigger(1, 1), random_state=0)
    net = make(hidden(), ("pruner", never), max_epochs=20).initialize()
    net.partial_fit(X, NOISE, epochs=3)
    net.set_params(max_epochs=2)
    with pytest.warns(ConvergenceWarning, match="only 0 of 5"):
        net.partial_fit(X, NOISE, epochs=1)
    net.partial_fit(X, NOISE, epochs=1)
    # A whole fit more.
    with pytest.warns(ConvergenceWarning, match="only 0 of 5"):
        net.partial_fit(X, NOISE)


# -- one output, float targets -------------------------------------------------------------------


def binary(*callbacks, net=NeuralNetBinaryClassifier, last=(), **params):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 20), nn.ReLU(), nn.Linear(20, 1), *last)
    return net(
        module, callbacks=list(callbacks), verbose=0, max_epochs=10, train_split=None,
        optimizer=torch.optim.Adam, lr=0.02, batch_size=50, **params,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, torch.float32])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"last": [nn.Flatten(0)]},
        {"threshold": 0.8},
        {"last": [nn.Sigmoid()], "criterion": nn.BCELoss, "threshold": 0.3},
    ],
)
def test_accuracy_of_nets_with_one_output(params, dtype):
    target = torch.tensor(y, dtype=dtype) if isinstance(dtype, torch.dtype) else y.astype(dtype)
    pruner = Pruner(prune_fraction=0.5, random_state=0)
    scores = []

    class Score(Callback):
        def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
            # skorch's own word: what it would predict of the outputs of training.
            nonlinearity = torch.sigmoid if net.criterion is nn.BCEWithLogitsLoss else torch.clone
            predicted = nonlinearity(y_pred.detach()) > net.threshold
            scores.append(float((predicted.reshape(-1) == batch[1].bool()).float().mean()))

    binary(Score(), pruner, **params).fit(X, target)
    wanted = np.mean(np.reshape(scores, (10, 4)), axis=1)
    for row in pruner.history_:
        np.testing.assert_allclose(row["train_score"], wanted[row["epoch"] - 1], rtol=1e-6)


def test_the_accuracy_trigger_works_with_one_output():
    pruner = Pruner(trigger=AccuracyTrigger(0.4, 0.85), random_state=0)
    net = binary(pruner).set_params(max_epochs=100).fit(X, y.astype(np.float32))
    assert len(net.history) < 100 and pruner.masks_.sparsity >= 0.8
    assert all(row["train_score"] >= 0.4 for row in pruner.history_)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_numbers_that_happen_to_be_0_and_1_are_no_classes(shape):
    last = [nn.Flatten(0)] if shape == (-1,) else []
    with pytest.raises(ValueError, match="trigger='accuracy' needs class labels"):
        binary(Pruner(trigger="accuracy"), net=NeuralNetRegressor, last=last).fit(
            X, y.astype(np.float32).reshape(shape)
        )


def test_unlabelled_rows_with_one_output():
    rows = np.random.default_rng(1).normal(size=(70, 8)).astype(np.float32)
    for unlabeled in (rows, torch.from_numpy(rows)):
        pruner = Pruner(unlabeled=unlabeled, prune_fraction=0.5, random_state=0, cut=False)
        net = binary(pruner).fit(X, y.astype(np.float32))
        assert zeros(net.module_[0]) == pruner.masks_.sparsity >= 0.5
        assert pruner.run_.probe("Firing").seen[0] > 0


# -- normalization -------------------------------------------------------------------------------

NORMS = {
    "BatchNorm": nn.BatchNorm1d,
    "LayerNorm": nn.LayerNorm,
    "GroupNorm": lambda n: nn.GroupNorm(4, n),
}


def normalized(norm, bias=None):
    module = nn.Sequential(
        nn.Linear(8, 32), norm(32), nn.ReLU(), nn.Linear(32, 16), norm(16), nn.ReLU(),
        nn.Linear(16, 2),
    )  # fmt: skip
    if bias is not None:
        nn.init.constant_(module[0].bias, bias)
    return module


@pytest.mark.parametrize("optimizer, lr", [(torch.optim.Adam, 0.02), (torch.optim.SGD, 0.1)])
@pytest.mark.parametrize("seed", range(4))
def test_evaluation_is_as_good_as_training_after_rounds(seed, optimizer, lr):
    torch.manual_seed(seed)
    module = normalized(nn.BatchNorm1d)
    pruner = Pruner(random_state=seed)
    net = NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, callbacks=[pruner], verbose=0, max_epochs=15,
        optimizer=optimizer, lr=lr, train_split=None, batch_size=50,
    ).fit(X, y)  # fmt: skip
    evaluated = net.score(X, y)
    with torch.no_grad():
        trained = float((module.train()(torch.tensor(X)).argmax(dim=1).numpy() == y).mean())
    assert evaluated >= trained - 0.05 and trained > 0.75


def test_statistics_after_a_round_are_those_of_the_rows_of_training():
    module = normalized(nn.BatchNorm1d).append(nn.Dropout(0.5))
    torch_state = []

    class Last(Callback):
        def on_epoch_end(self, net, **kwargs):
            torch_state.append(torch.get_rng_state())

    pruner = Pruner(prune_fraction=0.5, trigger=EpochTrigger(1, 1), random_state=0)
    make(module, Last(), pruner, train_split=None).fit(X, y)
    z = module[0](torch.tensor(X)).detach().reshape(4, 50, 32)
    torch.testing.assert_close(module[1].running_mean, z.mean(dim=(0, 1)))
    torch.testing.assert_close(module[1].running_var, z.var(dim=1).mean(dim=0))
    assert module[1].momentum == 0.1
    assert torch.equal(torch.get_rng_state(), torch_state[-1])


def test_frozen_statistics_stay():
    class Kept(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    module = normalized(Kept)
    make(module, Pruner(prune_fraction=0.5, random_state=0)).fit(X, y)
    assert not module[1].running_mean.any() and (module[1].running_var == 1).all()


@pytest.mark.parametrize("method", ["activation", "firing_deviation"])
@pytest.mark.parametrize("kind", NORMS)
def test_firing_is_what_the_nonlinearity_sees(kind, method):
    counted = []

    class Count(Callback):
        def on_train_begin(self, net, **kwargs):
            net.module_[2].register_forward_pre_hook(self.hear)
            self.module_, self.counts_ = net.module_, False

        def on_batch_begin(self, net, training=False, **kwargs):
            self.counts_ = training

        def on_batch_end(self, net, **kwargs):
            self.counts_ = False

        def hear(self, module, inputs):
            if self.counts_:
                counted.append((inputs[0] > 0).sum(dim=0).numpy())

    pruner = Pruner(method, prune_fraction=0.5, trigger=EpochTrigger(1, 1), random_state=0)
    torch.manual_seed(0)
    module = normalized(NORMS[kind], bias=100.0 if kind == "BatchNorm" else None)
    make(module, pruner, Count(), max_epochs=3, train_split=None).fit(X, y)
    assert pruner.activation_counts_[0].tolist() == np.sum(counted, axis=0).tolist()


def test_biases_that_batch_normalization_undoes_decide_nothing():
    left = []
    for bias in (None, torch.tensor([100.0, -100.0] * 16)):
        torch.manual_seed(0)
        module = normalized(nn.BatchNorm1d)
        nn.init.zeros_(module[0].bias)
        if bias is not None:
            module[0].bias.data = bias
        pruner = Pruner("activation", n_prune_rounds=1, random_state=0)
        # Without steps, so that only rounding differs.
        make(module.double(), pruner, lr=0.0).fit(X.astype(np.float64), y)
        left.append(pruner.masks_.live_neurons[0].tolist())
    assert left[0] == left[1]


# -- messages ------------------------------------------------------------------------------------


def test_a_net_that_has_diverged_is_told_to_have():
    for fit in (
        lambda: make(hidden(), Pruner(), lr=1e30, optimizer=torch.optim.SGD).fit(1e20 * X, y),
        lambda: PrunedMLPClassifier(
            (24,), solver="sgd", activation="identity", learning_rate_init=1e6, random_state=0
        ).fit(1e8 * X, y),
    ):
        with pytest.raises(ValueError, match="Training has diverged by epoch .* learning rate"):
            fit()


@pytest.mark.parametrize("n", [10**9, 10_001])
def test_rounds_without_end(n):
    with pytest.raises(ValueError, match=rf"'n_prune_rounds' .* \[0, 10000\]. Got {n} instead"):
        make(hidden(), Pruner(n_prune_rounds=n)).fit(X, y)


@pytest.mark.parametrize("method", ["lottery_ticket", "late_rewinding", "rigl"])
@pytest.mark.parametrize("kind", HOLD)
def test_layers_that_cannot_be_given_weights_are_refused_before_the_first_step(kind, method):
    pruner = Pruner(method, prune_fraction=0.5, random_state=0)
    watch = Watch(pruner)
    net = make(reparametrized(HOLD[kind]), pruner, watch)
    if kind != "spectral_norm":
        assert 0.5 <= last_pruner(net.fit(X, y)).masks_.sparsity < 0.6
        return
    with pytest.raises(ValueError, match=rf"method='{method}' gives layers weights, which '2' "):
        net.fit(X, y)
    assert watch.n_seen == 0


# -- what calls layers without their hooks, or a second time ---------------------------------


def last_pruner(net):
    return next(callback for _, callback in net.callbacks_ if isinstance(callback, Pruner))


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(8, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU())
        self.out = nn.Linear(20, 2)

    def forward(self, x):
        return self.out(checkpoint(self.block, x, use_reentrant=False))


class Plain(Checkpointed):
    def forward(self, x):
        return self.out(self.block(x))


@pytest.mark.parametrize("method", ["activation", "activation_surgeon", "apoz", "firing_deviation"])
def test_checkpoints_change_nothing(method):
    found = []
    for module in (Plain, Checkpointed):
        torch.manual_seed(0)
        pruner = Pruner(method, prune_fraction=0.5, random_state=0)
        net = make(module(), pruner).fit(X, y)
        found.append((last_pruner(net), list(net.module_.parameters())))
    (plain, weights), (other, others) = found
    assert all(torch.equal(a, b) for a, b in zip(weights, others, strict=True))
    for counts, again in zip(
        plain.activation_counts_ or [], other.activation_counts_ or [], strict=True
    ):
        np.testing.assert_array_equal(counts, again)


@pytest.mark.parametrize("method", ["l0", "growing", "variational_dropout"])
def test_what_draws_in_forward_passes_refuses_checkpoints(method):
    with pytest.raises(ValueError, match=rf"method='{method}' draws .* torch.utils.checkpoint"):
        make(Checkpointed(), Pruner(method, prune_fraction=0.5, random_state=0)).fit(X, y)


def of_compiled_parts(module):
    module[0] = torch.compile(module[0], backend="eager")
    return module


def compiled_in_place(module):
    module.compile(backend="eager")
    return module


@pytest.mark.parametrize("how", [of_compiled_parts, compiled_in_place, "skorch"])
def test_compiled_modules_are_refused(how):
    module = reparametrized(lambda layer: layer)
    params = {"compile": True, "compile__backend": "eager"} if how == "skorch" else {}
    net = make(module if params else how(module), Pruner("apoz", random_state=0), **params)
    with pytest.raises(ValueError, match="compile must be False"):
        net.fit(X, y)


def test_factors_need_an_optimizer_without_closures():
    net = make(reparametrized(lambda layer: layer), Pruner("svd_training", random_state=0))
    net.set_params(optimizer=torch.optim.LBFGS)
    with pytest.raises(ValueError, match="method='svd_training' .* steps of LBFGS, which need"):
        net.fit(X, y)


def test_sample_weight_is_a_function():
    with pytest.raises(ValueError, match="'sample_weight' parameter of Pruner must be a callable"):
        make(reparametrized(lambda layer: layer), Pruner(sample_weight=3)).fit(X, y)


CHANGES = {
    "a number": {"prune_fraction": 0.8},
    "an array for a number": {"min_neurons": np.array([4, 5]), "prune_fraction": 0.8},
    "an option of the method": {"method__scope": "global"},
    "another method": {"method": Magnitude("neuron")},
}


@pytest.mark.parametrize("change", CHANGES)
def test_parameters_that_are_changed_after_a_fit_hold_in_the_next(change):
    pruner = Pruner(Magnitude("weight"), prune_fraction=0.3, random_state=0, cut=False)
    net = make(reparametrized(parametrizations.weight_norm), pruner).fit(X, y)
    before = pruner.run_
    assert 0.3 <= pruner.masks_.sparsity < 0.31 and len(pruner.history_) == 5
    net.partial_fit(X, y)
    assert pruner.run_ is before
    pruner.set_params(**CHANGES[change])
    with pytest.warns(UserWarning, match="zero"):
        net.partial_fit(X, y)
    assert pruner.run_ is not before and pruner.masks_.sparsity >= pruner.prune_fraction
    assert pruner.method_.get_params() == pruner.method.get_params()


@pytest.mark.parametrize(
    ("given", "again"),
    [
        (np.array([3, 4]), np.array([3, 4])),
        ([3, 4], [3, 4]),
        ((3, 4), (3, 4)),
        (3, np.int64(3)),
    ],
)
def test_parameters_of_the_same_value_change_nothing(given, again, tmp_path):
    random = np.random.RandomState(0)
    pruner = Pruner("magnitude", prune_fraction=0.3, min_neurons=given, random_state=random)
    net = make(reparametrized(lambda layer: layer), pruner).fit(X, y)
    joblib.dump(net, tmp_path / "net")
    for one in (net, joblib.load(tmp_path / "net"), pickle.loads(pickle.dumps(net))):
        found = last_pruner(one)
        before = found.run_
        one.partial_fit(X, y)
        assert found.run_ is before
        found.set_params(min_neurons=again)
        one.partial_fit(X, y)
        assert found.run_ is before


def test_unlabelled_rows_have_the_features_of_the_others():
    pruner = Pruner("activation", unlabeled=X[:50, :3], random_state=0)
    with pytest.raises(ValueError, match="unlabeled has rows of 3 features; .*, 8"):
        make(reparametrized(lambda layer: layer), pruner).fit(X, y)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.layers = reparametrized(lambda layer: layer)

    def forward(self, x):
        return self.layers(self.embedding(x.long()).mean(1))


def test_unlabelled_rows_may_have_another_length_where_it_is_none_of_features():
    random = np.random.RandomState(0)
    rows = random.randint(30, size=(60, 20))
    pruner = Pruner("activation", unlabeled=rows, ignored_layers="embedding", random_state=0)
    net = make(Tokens(), pruner, max_epochs=4)
    net.fit(random.randint(30, size=(200, 12)), y)
    assert last_pruner(net).masks_.sparsity >= 0.5


class Bounded(nn.Module):
    """Weights between -1 and 1."""

    def forward(self, weight):
        return weight.tanh()

    def right_inverse(self, weight):
        return weight.atanh()


@pytest.mark.parametrize("method", ["neuron", "weight"])
@pytest.mark.parametrize("change", [parametrizations.weight_norm, registered(Bounded)])
def test_rewinding_gives_layers_weights_of_any_kind_back(change, method):
    pruner = Pruner(LotteryTicket(method), prune_fraction=0.7, n_prune_rounds=3, random_state=0)
    net = make(reparametrized(change), pruner, warm_start=True).fit(X, y)
    assert last_pruner(net).masks_.sparsity >= 0.7
    net.partial_fit(X, y)


@pytest.mark.parametrize("method", ["nisp", "synflow"])
def test_what_flows_needs_modules_without_checkpoints(method):
    with pytest.raises(ValueError, match=r"Checkpointed has no derivatives .*checkpoint"):
        make(Checkpointed(), Pruner(method, prune_fraction=0.5, random_state=0)).fit(X, y)


def test_layers_that_are_computed_again_are_not_taken_for_the_output():
    class Own(NeuralNetClassifier):
        def infer(self, x, **fit_params):
            if not self.stepping_:
                raise RuntimeError("in steps of training only")
            return super().infer(x, **fit_params)

        def train_step(self, *args, **kwargs):
            self.stepping_ = True
            return super().train_step(*args, **kwargs)

        def on_batch_end(self, *args, **kwargs):
            self.stepping_ = False
            super().on_batch_end(*args, **kwargs)

    net = make(Checkpointed(), Pruner("magnitude", prune_fraction=0.5, random_state=0))
    net = Own(**net.get_params(deep=False)).set_params(train_split=None)
    net.initialize().stepping_ = False
    assert last_pruner(net.partial_fit(X, y)).masks_.sparsity >= 0.5
