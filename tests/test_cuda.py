"""What is trained on a GPU is what is trained on the CPU."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from test_common_methods import EXPECTED_FAILURES

from skactprune import (
    Activation,
    PrunedAutoencoder,
    PrunedMLPClassifier,
    PrunedMLPRegressor,
    Pruner,
    load,
    pruning_path,
)
from skactprune.checks import check_method
from skactprune.estimators import _building
from skactprune.methods import METHODS

if not torch.cuda.is_available():
    pytest.skip("needs a CUDA device", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
# Their noise is drawn where the net is.
NOISY = ("l0", "variational_dropout")
NEEDS_OUR_NETS = ("lasso", "scratch", "small_dense")
X, y = make_classification(
    n_samples=120, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
WEIGHT = np.random.RandomState(0).choice([0.5, 1.0, 2.0], len(X))


def make(kind=PrunedMLPClassifier, *args, **params):
    base = {"prune_fraction": 0.6, "max_iter": 12, "batch_size": 20, "random_state": 0}
    if kind is not PrunedAutoencoder:
        base["hidden_layer_sizes"] = (14, 9)
    return kind(*args, **{**base, **params})


def on_both(**params):
    return [
        make(device=device, **params).fit(X, y, sample_weight=WEIGHT) for device in ("cpu", "cuda")
    ]


def assert_on(clf, device):
    for parameter in clf.net_.module_.parameters():
        assert parameter.device.type == device


def assert_equal(clf, other):
    assert [a.tolist() for a in clf.live_neurons_] == [a.tolist() for a in other.live_neurons_]
    for mask, of_other in zip(clf.masks_, other.masks_, strict=True):
        np.testing.assert_array_equal(mask, of_other)
    np.testing.assert_allclose(clf.predict_proba(X), other.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(clf.transform(X), other.transform(X), atol=1e-5)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_trains_there_as_on_the_cpu(method):
    on_cpu, on_gpu = on_both(method=method)
    assert_on(on_gpu, "cuda")
    if method not in NOISY:
        assert_equal(on_gpu, on_cpu)
    assert np.isfinite(on_gpu.predict_proba(X)).all()
    np.testing.assert_allclose(on_gpu.net_.predict_proba(X), on_gpu.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_passes_all_checks(method, monkeypatch):
    monkeypatch.setattr(_building, "_torch_device", lambda device: "cuda")
    expected = {check: why for (name, check), why in EXPECTED_FAILURES.items() if name == method}
    check_method(method, expected)


@pytest.mark.parametrize(
    "params",
    [
        {"method": Activation(regrow=True)},
        {"dtype": "float32"},
        {"solver": "sgd", "momentum": 0.9},
        {"early_stopping": True},
        {"prune_features": 0.4},
        {"prune_output": 0.4},
        {"n_components": 2},
        {"activation": "tanh"},
        {"activation": "logistic"},
        {"class_weight": "balanced"},
        {"alpha": 0.1},
        {"batch_size": 7},
    ],
    ids=str,
)
def test_parameters_mean_the_same(params):
    on_cpu, on_gpu = on_both(**params)
    assert_on(on_gpu, "cuda")
    if params.get("dtype") == "float32":
        np.testing.assert_allclose(on_gpu.predict_proba(X), on_cpu.predict_proba(X), atol=0.05)
    else:
        assert_equal(on_gpu, on_cpu)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_pickled_training_goes_on_to_the_last_bit(dropout):
    clf = make(device="cuda", dropout=dropout).fit(X, y)
    other = pickle.loads(pickle.dumps(clf))
    copied = copy.deepcopy(clf)
    for net in (clf, other, copied):
        net.partial_fit(X, y, WEIGHT)
        net.partial_fit(X, y)
    for net in (other, copied):
        np.testing.assert_array_equal(net.predict_proba(X), clf.predict_proba(X))


def test_dropout_is_drawn_anew_in_every_step():
    clf = make(device="cuda", dropout=0.5, learning_rate_init=1e-9, prune_fraction=0.0)
    losses = clf.fit(X, y).loss_curve_
    assert len(set(losses)) > 3
    on_cpu = make(dropout=0.5, max_iter=60).fit(X, y)
    on_gpu = make(dropout=0.5, max_iter=60, device="cuda").fit(X, y)
    assert abs(on_gpu.score(X, y) - on_cpu.score(X, y)) < 0.2


def test_from_one_device_to_the_other_and_back():
    clf = make(device="cuda", warm_start=True, early_stopping=True).fit(X, y)
    for device in ("cpu", "cuda"):
        expected = clf.predict_proba(X)
        other = pickle.loads(pickle.dumps(clf.set_params(device=device)))
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        clf = other.fit(X, y)
        assert_on(clf, device)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_pickle_goes_on_on_the_cpu(method):
    clf = make(device="cuda", method=method, max_iter=4).fit(X, y)
    other = pickle.loads(pickle.dumps(clf)).set_params(device="cpu").partial_fit(X, y)
    assert_on(other, "cpu")
    assert np.isfinite(other.predict_proba(X)).all()


@pytest.mark.parametrize("storage", ["float32", "int8", "codebook"])
def test_small_nets_come_out(storage, tmp_path):
    clf = make(device="cuda").fit(X, y)
    small = clf.compact(storage)
    small.save(tmp_path / "net")
    other = load(tmp_path / "net")
    np.testing.assert_array_equal(other.predict_proba(X), small.predict_proba(X))
    if storage == "float32":
        np.testing.assert_allclose(small.predict_proba(X), clf.predict_proba(X), atol=1e-5)


def test_streams():
    nets = [make(device=device) for device in ("cpu", "cuda")]
    for start in range(0, len(X), 30):
        for net in nets:
            net.partial_fit(X[start : start + 30], y[start : start + 30], classes=np.unique(y))
    assert_on(nets[1], "cuda")
    np.testing.assert_allclose(nets[1].predict_proba(X), nets[0].predict_proba(X), atol=1e-6)


def test_rows_without_labels_and_pretraining():
    autoencoder = make(PrunedAutoencoder, 9, encoder_layer_sizes=(14,), prune_fraction=0)
    for with_pretraining in (False, True):
        nets = [
            make(
                device=device,
                pretrain=autoencoder if with_pretraining else None,
            ).fit(X[:50], y[:50], X_unlabeled=X[50:])
            for device in ("cpu", "cuda")
        ]
        assert_equal(*nets)


def test_the_other_estimators():
    for kind, targets in ((PrunedMLPRegressor, X[:, :2] ** 2), (PrunedAutoencoder, None)):
        nets = [make(kind, device=device).fit(X, targets) for device in ("cpu", "cuda")]
        assert_on(nets[1], "cuda")
        np.testing.assert_allclose(nets[1].transform(X), nets[0].transform(X), atol=1e-5)


def test_a_path():
    paths = [
        pruning_path(make(device=device, max_iter=20), X, y, cv=2) for device in ("cpu", "cuda")
    ]
    for name, expected in paths[0].items():
        if np.asarray(expected).dtype.kind == "f" and "time" not in name:
            np.testing.assert_allclose(paths[1][name], expected, atol=1e-6)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(8, 20)
        self.norm = torch.nn.BatchNorm1d(20)
        self.second = torch.nn.Linear(20, 10, bias=False)
        self.out = torch.nn.Linear(10, 3)

    def forward(self, X):
        return torch.softmax(
            self.out(torch.relu(self.second(torch.relu(self.norm(self.first(X)))))), 1
        )


class Convolutions(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv1d(1, 6, 3)
        self.second = torch.nn.Conv1d(6, 8, 3)
        self.out = torch.nn.Linear(8 * 4, 3)

    def forward(self, X):
        h = torch.relu(self.second(torch.relu(self.first(X[:, None]))))
        return torch.softmax(self.out(h.flatten(1)), 1)


@pytest.mark.parametrize("module", [Net, Convolutions])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_nets_of_others(module, method):
    def trained(device):
        torch.manual_seed(0)
        pruner = Pruner(method=method, prune_fraction=0.5, n_prune_rounds=2)
        net = NeuralNetClassifier(
            module,
            device=device,
            max_epochs=8,
            batch_size=20,
            iterator_train__shuffle=False,
            verbose=0,
            train_split=None,
            callbacks=[("pruner", pruner)],
        )
        return net.fit(X.astype(np.float32), y)

    if method in NEEDS_OUR_NETS:
        for device in ("cpu", "cuda"):
            with pytest.raises(ValueError, match=f"method='{method}' needs to know"):
                trained(device)
        return
    expected = trained("cpu")
    net = trained("cuda")
    assert all(p.device.type == "cuda" for p in net.module_.parameters())
    sizes = [tuple(p.shape) for p in net.module_.parameters()]
    if method not in NOISY:
        assert sizes == [tuple(p.shape) for p in expected.module_.parameters()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(
        again.predict_proba(X.astype(np.float32)), net.predict_proba(X.astype(np.float32))
    )
