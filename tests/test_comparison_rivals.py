"""What a pruned net is compared with, by which scores, and on which folds."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss, make_scorer, recall_score
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_validate
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import resample

from skactprune import PrunedMLPClassifier, compare_with_pca
from skactprune.inspection import (
    ArrayNet,
    lda_classifier,
    model_row,
    nca_classifier,
    pca_classifier,
    rivals,
    standardized_logistic,
)
from skactprune.inspection.scoring import neg_log_loss
from skactprune.methods import LateRewinding, LotteryTicket, Magnitude, Random, Scratch

# Nets here are far from converged, on purpose: they must be quick.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SCORES = ["accuracy", "balanced_accuracy", "neg_log_loss"]
X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)


def small_net(**params):
    defaults = {"max_iter": 20, "learning_rate_init": 0.02, "random_state": 0}
    return PrunedMLPClassifier((20, 10), **{**defaults, **params})


@pytest.fixture(scope="module")
def frame():
    return pd.DataFrame(compare_with_pca(small_net(), X, y, cv=3))


@pytest.mark.parametrize(
    ("method", "model"),
    [
        ("pruned net", small_net()),
        ("unpruned net", small_net(prune_fraction=0)),
        ("net pruned at random", small_net(method=Random("auto", "global", "cubic"))),
        ("logistic regression", standardized_logistic()),
        ("gradient boosting", HistGradientBoostingClassifier(random_state=0)),
        ("PCA + classifier", pca_classifier(4)),
        ("LDA + classifier", lda_classifier(2)),
        ("NCA + classifier", nca_classifier(4)),
    ],
)
def test_scores_are_those_of_cross_validation(method, model, frame):
    rows = frame[frame["method"] == method]
    found = cross_validate(model, X, y, cv=3, scoring=SCORES, return_train_score=True)
    for name in SCORES:
        for column in (f"train_{name}", f"test_{name}"):
            np.testing.assert_allclose(rows[column], found[column], rtol=1e-6, err_msg=column)


def test_the_small_net_has_the_sizes_and_the_epochs_of_the_pruned_one(frame):
    scores = frame.set_index(["method", "fold"])
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        pruned = small_net().fit(X[train], y[train])
        sizes = [len(live) for live in pruned.live_neurons_]
        net = PrunedMLPClassifier(
            sizes, max_iter=20, tol=0, learning_rate_init=0.02, random_state=0, prune_fraction=0
        ).fit(X[train], y[train])
        row = scores.loc["small net from scratch", fold]
        assert row["live_neurons"] == sizes
        assert row["parameters"] == sum(c.size for c in (*net.coefs_, *net.intercepts_))
        assert row["sparsity"] == 0
        assert net.n_iter_ == pruned.n_iter_
        assert row["test_neg_log_loss"] == pytest.approx(
            -log_loss(y[test], net.predict_proba(X[test]))
        )


def test_the_small_net_does_not_stop_before_the_pruned_one():
    pruned = small_net(max_iter=200, tol=0.1, n_iter_no_change=2).fit(X, y)
    small = rivals.small_net(pruned).fit(X, y)
    assert small.n_iter_ == pruned.n_iter_ < 200


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("activation", {"granularity": "neuron", "scope": "layer"}),
        ("snip", {"granularity": "weight", "scope": "global"}),
        ("ganguli2024", {"granularity": "weight"}),
        (Magnitude(schedule="linear"), {"granularity": "weight", "schedule": "linear"}),
        (Scratch("magnitude"), {"granularity": "weight", "schedule": "cubic"}),
        (Scratch("nisp"), {"granularity": "neuron"}),
    ],
)
def test_random_pruning_takes_the_options_of_the_method(method, options):
    net = small_net(method=method)
    random = rivals.pruned_at_random(net)
    assert isinstance(random.method, Random)
    assert options.items() <= random.method.get_params().items()
    others = {name: value for name, value in net.get_params(deep=False).items() if name != "method"}
    assert others.items() <= random.get_params(deep=False).items()


@pytest.mark.parametrize("method", [LotteryTicket(), LateRewinding(), Scratch(LotteryTicket())])
def test_random_pruning_has_rounds_of_the_same_shares(method):
    net = small_net(method=method, prune_fraction=0.8, n_prune_rounds=4)
    nets = [net.fit(X, y), rivals.pruned_at_random(net).fit(X, y)]
    own, random = ([row["sparsity"] for row in of.pruning_history_] for of in nets)
    expected = [1 - 0.2 ** (done / 4) for done in range(1, 5)]
    assert own == pytest.approx(expected, abs=0.03)
    assert random == pytest.approx(expected, abs=0.03)


class Majority(LogisticRegression):
    """Sees one class only."""

    def predict(self, X):
        return np.full(len(X), 1)


def test_a_lost_class_shows():
    # 50 rows of one class and 10 of the other.
    few, labels = X[y > 0][:60], y[y > 0][:60]
    rows = compare_with_pca(small_net(), few, labels, cv=2, downstream=Majority(max_iter=1000))
    row = next(row for row in rows if row["method"] == "PCA + classifier")
    assert row["test_accuracy"] == pytest.approx(50 / 60)
    assert row["test_balanced_accuracy"] == 0.5


def columns(**kwargs):
    row = compare_with_pca(small_net(max_iter=2), X, y, cv=2, **kwargs)[0]
    return [name for name in row if name.startswith("test_")]


def test_scores_that_are_asked_for():
    assert columns(scoring="f1_macro") == ["test_f1_macro"]
    assert columns(scoring=("accuracy", "roc_auc_ovr")) == ["test_accuracy", "test_roc_auc_ovr"]
    scorer = make_scorer(recall_score, labels=[0], average="macro")
    assert columns(scoring=scorer) == ["test_score"]
    assert columns(scoring={"first": scorer, "a": "accuracy"}) == ["test_first", "test_a"]
    net = small_net().fit(X, y)
    found = model_row(net, {"all": (X, y)}, scoring={"first": scorer, "a": "accuracy"})
    assert found["all_first"] == np.mean(net.predict(X[y == 0]) == 0)
    assert found["all_a"] == net.score(X, y)


@pytest.mark.parametrize("scoring", ["accurate", [], ["accuracy", "accuracy"], 3, log_loss])
def test_scores_that_are_none_are_refused_before_any_fit(scoring):
    with pytest.raises(ValueError, match="scor|Empty list|[Dd]uplicate"):
        compare_with_pca(small_net(), X, y, scoring=scoring)


def test_log_loss_where_classes_are_missing():
    net = small_net().fit(X, y)
    two = y < 2
    expected = -log_loss(y[two], net.predict_proba(X[two]), labels=[0, 1, 2])
    assert neg_log_loss(net, X[two], y[two]) == pytest.approx(expected)
    # A class that the model has never seen has no probability, in the middle of others, too.
    names = np.array(["a", "b", "c"])[y]
    ends = names != "b"
    model = LogisticRegression().fit(X[ends], names[ends])
    clipped = np.log(np.finfo(float).eps)
    expected = -log_loss(names[ends], model.predict_proba(X[ends])) * 100 / 150 + clipped * 50 / 150
    assert neg_log_loss(model, X, names) == pytest.approx(expected)


def test_no_log_loss_without_probabilities():
    rows = compare_with_pca(small_net(), X, y, cv=2, downstream=LinearSVC())
    without = {row["method"] for row in rows if np.isnan(row["test_neg_log_loss"])}
    assert without == {f"{name} + classifier" for name in ("PCA", "LDA", "NCA", "transform")}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_of_array_nets_are_those_of_the_net(n_classes):
    rows, labels = X[y < n_classes], y[y < n_classes]
    net = small_net().fit(rows, labels)
    arrays = ArrayNet(net.coefs_, net.intercepts_, net.activation, net.classes_)
    np.testing.assert_allclose(arrays.predict_proba(rows), net.predict_proba(rows), rtol=1e-12)
    splits = {"all": (rows, labels)}
    found = model_row(arrays, splits, scoring=SCORES)
    assert found["all_balanced_accuracy"] == balanced_accuracy_score(labels, net.predict(rows))
    assert found["all_neg_log_loss"] == pytest.approx(-log_loss(labels, net.predict_proba(rows)))


def without_seconds(rows):
    return [row | {"fit_seconds": None} for row in rows]


def test_groups_stay_together_and_processes_change_nothing():
    groups = np.arange(150) % 7
    net = make_pipeline(StandardScaler(), small_net())
    rows = compare_with_pca(net, X, y, groups=groups, cv=GroupKFold(2), n_jobs=2)
    folds = list(GroupKFold(2).split(X, y, groups))
    expected = compare_with_pca(net, X, y, cv=folds)
    np.testing.assert_equal(without_seconds(rows), without_seconds(expected))


class GroupSpy(LogisticRegression):
    """Remembers the groups, which are the first column, of the rows of every fit."""

    seen = []

    def fit(self, X, y):
        GroupSpy.seen.append(set(X[:, 0]))
        return super().fit(X, y)


def test_prefit_keeps_groups_together(monkeypatch):
    groups = np.arange(150) % 10
    net = small_net(max_iter=2).fit(X, y)
    # Components that are the columns themselves, of which the first is the group.
    spied = make_pipeline(GroupSpy())
    monkeypatch.setattr(
        "skactprune.inspection.comparison.component_classifiers", lambda *args: {"no": spied}
    )
    monkeypatch.setattr(GroupSpy, "n_components", 1, raising=False)
    rows = np.column_stack([groups, X[:, 1:]])
    GroupSpy.seen = []
    compare_with_pca(net, rows, y, groups=groups, cv="prefit", downstream=LogisticRegression())
    assert [len(seen) for seen in GroupSpy.seen] == [8] * 5


def test_sparse_rows_leave_out_what_takes_none():
    rows = compare_with_pca(small_net(), csr_array(X), y, cv=2)
    found = [row["method"] for row in rows if row["fold"] == 0]
    assert found[-3:] == ["logistic regression", "PCA + classifier", "transform + classifier"]
    assert len(found) == 9
    dense = cross_validate(
        make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=1000)),
        *(X, y),
        cv=2,
    )
    scores = [row["test_accuracy"] for row in rows if row["method"] == "logistic regression"]
    np.testing.assert_allclose(scores, dense["test_score"])


def test_nca_learns_from_a_stratified_sample_of_many_rows(monkeypatch):
    monkeypatch.setattr(rivals, "NCA_ROWS", 60)
    nca = NeighborhoodComponentsAnalysis(2, random_state=0)
    many, few = (X, y), (X[::3], y[::3])
    sample = resample(*many, replace=False, n_samples=60, stratify=y, random_state=0)
    assert np.bincount(sample[1]).tolist() == [20, 20, 20]
    for rows, used in ((many, sample), (few, few)):
        found = nca_classifier(2).fit(*rows)[0].components_
        np.testing.assert_allclose(found, nca.fit(*used).components_)
