"""APoZ against counting zeros one by one."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from torch import nn

from skactprune import PrunedAutoencoder, PrunedMLPClassifier, Pruner
from skactprune.methods import APoZ

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

X, y = make_classification(
    n_samples=60, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
WEIGHT = np.random.RandomState(1).randint(0, 5, len(y)).astype(float)
SEEN = []


class Seen(APoZ):
    """Notes the weights and the scores of each round."""

    def scores(self, run):
        scores = super().scores(run)
        SEEN.append((run.copied_weights(), scores, list(run.masks.live)))
        return scores


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


def fit(method, X=X, y=y, sample_weight=None, X_unlabeled=None, **params):
    clf = PrunedMLPClassifier(
        (9, 7), method=method, n_prune_rounds=2, max_iter=6, batch_size=20, random_state=0
    ).set_params(**params)
    return clf.fit(X, y, sample_weight, X_unlabeled=X_unlabeled)


def shares_of_zeros(layers, X, weight):
    """APoZ of the hidden layers, row by row and neuron by neuron."""
    zeros = [np.zeros(len(bias)) for _, bias in layers[:-1]]
    for row, of_row in zip(X, weight, strict=True):
        h = row
        for count, (matrix, bias) in zip(zeros, layers, strict=False):
            h = np.array([max(0.0, into @ h + b) for into, b in zip(matrix, bias, strict=True)])
            count += of_row * (h == 0)
    return [count / weight.sum() for count in zeros]


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_scores_are_shares_of_the_rows_that_are_not_zero(weight, dropout):
    fit(Seen(), sample_weight=weight, dropout=dropout)
    assert len(SEEN) == 2
    for layers, scores, _ in SEEN:
        wanted = shares_of_zeros(layers, X, np.ones(len(y)) if weight is None else weight)
        for score, share in zip(scores, wanted, strict=True):
            np.testing.assert_allclose(score[:, 0], 1 - share, atol=1e-12)
            assert 0 < share.mean() < 1
    # Of the weights of the round, not summed up over training.
    assert len(SEEN[1][1][0]) < len(SEEN[0][1][0])


def test_unlabelled_rows_take_the_place_of_those_of_training():
    others = np.random.RandomState(2).normal(size=(35, 8))
    fit(Seen(), X_unlabeled=others)
    for layers, scores, _ in SEEN:
        wanted = shares_of_zeros(layers, others, np.ones(35))
        for score, share in zip(scores, wanted, strict=True):
            np.testing.assert_allclose(score[:, 0], 1 - share, atol=1e-12)


@pytest.mark.parametrize("schedule, shares", [("cubic", [0.875, 1]), ("geometric", [5 / 9, 1])])
def test_the_highest_percentages_leave_on_any_schedule(schedule, shares):
    clf = fit(Seen(schedule=schedule), hidden_layer_sizes=(20,), prune_fraction=0.6)
    assert clf.method.schedule == schedule
    lefts = [row["live_neurons"][0] for row in clf.pruning_history_]
    assert lefts == [20 - int(np.ceil(20 * 0.6 * share - 1e-9)) for share in shares]
    for (_, (score,), (before,)), left in zip(SEEN, lefts, strict=True):
        stay = sorted(before[np.argsort(score[:, 0], kind="stable")[len(score) - left :]])
        after = SEEN[1][2][0] if len(before) == 20 else clf.live_neurons_[0]
        assert stay == list(after)


def convolutions():
    return nn.Sequential(
        nn.Unflatten(1, (1, 8)),
        nn.Conv1d(1, 6, 3),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(36, 10),
        nn.ReLU(),
        nn.Linear(10, 3),
    )


def test_positions_of_channels_count_in_evaluation_mode():
    torch.manual_seed(0)
    module, found = convolutions().double(), []

    class Watched(APoZ):
        def scores(self, run):
            before = [b.clone() for b in module.buffers()]
            scores = super().scores(run)
            assert all(map(torch.equal, module.buffers(), before))
            with torch.no_grad():
                channels = module[:4](torch.tensor(X))
                neurons = module[4:8](channels)
            found.append((scores, channels.numpy(), neurons.numpy()))
            return scores

    NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        batch_size=16,
        train_split=None,
        callbacks=[Pruner(Watched(), prune_fraction=0.4, n_prune_rounds=1, random_state=0)],
        verbose=0,
    ).fit(X, y)
    ((scores, channels, neurons),) = found
    np.testing.assert_allclose(scores[0][:, 0], (channels != 0).mean(axis=(0, 2)), atol=1e-12)
    np.testing.assert_allclose(scores[1][:, 0], (neurons != 0).mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "logistic", "identity"])
def test_activations_without_zeros_are_refused(activation):
    with pytest.raises(ValueError, match=rf"method='apoz' .*activation='{activation}'.*'relu'"):
        fit("apoz", activation=activation)
    assert fit("apoz", activation=activation, prune_fraction=0).sparsity_ == 0


def test_of_ties_no_more_leave_than_are_asked_for():
    class Tied(APoZ):
        def scores(self, run):
            return [np.round(score) for score in super().scores(run)]

    clf = fit(Tied(schedule="one_shot"), hidden_layer_sizes=(20,), prune_fraction=0.3)
    assert len(clf.live_neurons_[0]) == 14


def test_layers_that_keep_all_neurons_may_have_any_activation():
    # Of an autoencoder without an encoder, the first layer is the code.
    params = {"decoder_layer_sizes": (60,), "max_iter": 5, "random_state": 0, "n_prune_rounds": 2}
    net = PrunedAutoencoder(4, (), method="apoz", prune_fraction=0.2, **params).fit(X)
    code, decoder = net.live_neurons_
    assert len(code) == 4 and len(decoder) <= 48
    with pytest.raises(ValueError, match="activation='tanh' never happens"):
        net.set_params(activation="tanh").fit(X)
