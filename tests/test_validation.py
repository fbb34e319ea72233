"""Rows to validate on that `fit` is given, and the scores by which it stops."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    get_scorer_names,
    log_loss,
    make_scorer,
    max_error,
    roc_auc_score,
)
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skactprune import Chunks, PrunedMLPClassifier, PrunedMLPRegressor, PrunedMLPTransformer

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
rows, labels = make_classification(
    n_samples=140, n_features=6, n_informative=5, n_redundant=0, n_classes=3, random_state=0
)
rows, labels = 3 * rows + 1, np.array(["a", "b", "c"])[labels]
X, y, X_val, y_val = rows[:90], labels[:90], rows[90:], labels[90:]
WEIGHT = np.random.RandomState(0).uniform(0.2, 3.0, len(y_val))
GIVEN = {"X_val": X_val, "y_val": y_val}


def make(**params):
    defaults = {
        "hidden_layer_sizes": (9,),
        "early_stopping": True,
        "max_iter": 12,
        "batch_size": 20,
        "learning_rate_init": 0.02,
        "n_iter_no_change": np.inf,
        "random_state": 0,
    }
    return PrunedMLPClassifier(**defaults | params)


class Snapshots(Callback):
    """Probabilities of the validation rows after every epoch and what rounds do there."""

    def initialize(self):
        self.of_epochs = []
        return self

    def on_epoch_end(self, net, **kwargs):
        coefs, intercepts = net.module_.numpy_parameters()
        h = X_val
        for coef, intercept in zip(coefs[:-1], intercepts[:-1], strict=True):
            h = np.maximum(h @ coef + intercept, 0)
        logits = h @ coefs[-1] + intercepts[-1]
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.of_epochs.append(p / p.sum(axis=1, keepdims=True))


def watched(scoring=None, sample_weight_val=None, **params):
    snapshots = Snapshots()
    callbacks = {"callbacks": [("snapshots", snapshots)]}
    clf = make(scoring=scoring, net_params=callbacks, **params)
    return clf.fit(X, y, **GIVEN, sample_weight_val=sample_weight_val), snapshots.of_epochs


def assert_scores_are(found, expected, clf):
    """Those of epochs that end in a round are scored before it."""
    rounds = [row["epoch"] - 1 for row in clf.pruning_history_]
    assert len(found) == len(expected) == 12 > len(set(rounds)) > 0
    np.testing.assert_allclose(np.delete(found, rounds), np.delete(expected, rounds), rtol=1e-9)


@pytest.mark.parametrize("weight", [None, WEIGHT, np.where(WEIGHT < 1, 0, WEIGHT)])
def test_all_rows_are_trained_on_and_those_given_are_scored(weight):
    clf, probabilities = watched(sample_weight_val=weight, prune_fraction=0.5)
    assert clf.t_ == 12 * len(X)
    losses = [log_loss(y_val, p, sample_weight=weight) for p in probabilities]
    scores = [
        accuracy_score(y_val, clf.classes_[p.argmax(axis=1)], sample_weight=weight)
        for p in probabilities
    ]
    assert_scores_are(clf.validation_loss_curve_, losses, clf)
    assert_scores_are(clf.validation_scores_, scores, clf)
    # Nothing else is drawn, so that it learns what it learns without validation rows.
    other = make(early_stopping=False, prune_fraction=0.5).fit(X, y)
    assert clf.loss_curve_ == other.loss_curve_
    assert (other.validation_loss_curve_, other.validation_scores_) == (None, None)


@pytest.mark.parametrize("given", [GIVEN, {}])
def test_callbacks_of_others_see_the_same_rows(given):
    callbacks = {"callbacks": [("snapshots", Snapshots())]}
    clf = make(net_params=callbacks, batch_size=7).fit(X, y, **given)
    np.testing.assert_allclose(
        clf.net_.history[:, "valid_loss"], clf.validation_loss_curve_, rtol=1e-9
    )


def test_the_loss_of_rows_set_aside_is_known_too():
    fitted = make(prune_fraction=0, scoring="loss", validation_fraction=0.3).fit(X, y)
    # Those rows, given.
    held_out = []
    scoring = make(
        prune_fraction=0,
        validation_fraction=0.3,
        scoring=lambda est, X, y: held_out.append((X, y)) or 0.0,
    )
    scoring.fit(X, y)
    X_out, y_out = held_out[0]
    assert len(X_out) == 27
    loss = log_loss(y_out, fitted.predict_proba(X_out))
    assert min(fitted.validation_loss_curve_) == pytest.approx(loss, rel=1e-10)
    assert fitted.validation_scores_ == [-loss for loss in fitted.validation_loss_curve_]
    assert fitted.best_validation_score_ == -min(fitted.validation_loss_curve_)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(
    ("scoring", "expected"),
    [
        ("neg_log_loss", lambda y, p, w: -log_loss(y, p, sample_weight=w)),
        (
            "roc_auc_ovr_weighted",
            lambda y, p, w: roc_auc_score(
                y, p, sample_weight=w, multi_class="ovr", average="weighted"
            ),
        ),
        (
            "f1_macro",
            lambda y, p, w: f1_score(
                y, np.array(["a", "b", "c"])[p.argmax(1)], sample_weight=w, average="macro"
            ),
        ),
        # It takes no weights.
        (lambda est, X, y: est.predict_proba(X)[0, 1], lambda y, p, w: p[0, 1]),
        (
            lambda est, X, y, sample_weight=None: -1.0 if sample_weight is None else 1.0,
            lambda y, p, w: -1.0 if w is None else 1.0,
        ),
    ],
    ids=["log_loss", "roc_auc", "f1", "without weights", "with weights"],
)
def test_scorers_see_the_net_of_now(scoring, expected, weight):
    clf, probabilities = watched(scoring, weight)
    scores = [expected(y_val, p, weight) for p in probabilities]
    assert_scores_are(clf.validation_scores_, scores, clf)
    last = clf.pruning_history_[-1]["epoch"]
    assert clf.best_validation_score_ == max(clf.validation_scores_[last:])


def test_a_metric_without_weights_is_scored_without_them():
    def worst(y, predicted):
        return max_error(1 * (y == "a"), 1 * (predicted == "a"))

    clf = make(scoring=make_scorer(worst, greater_is_better=False), max_iter=3)
    clf.fit(X, y, **GIVEN, sample_weight_val=WEIGHT)
    assert set(clf.validation_scores_) <= {0.0, -1.0}


@pytest.mark.parametrize("scoring", [None, "loss", "accuracy", "neg_log_loss"])
def test_classifiers_that_have_diverged_have_no_score(scoring):
    # Without numbers, the first class is predicted, which nearly all rows have.
    nearly = np.where(np.arange(len(y_val)) < 2, ["b", "c"] * (len(y_val) // 2), "a")
    clf = diverging(PrunedMLPClassifier, scoring, 1e30).fit(X, y, X_val=X_val, y_val=nearly)
    assert_best_is_finite(clf)


@pytest.mark.parametrize("scoring", [None, "loss", "r2"])
def test_regressors_that_have_diverged_have_no_score(scoring):
    net = diverging(PrunedMLPRegressor, scoring, 1).fit(X, X[:, 0])
    assert_best_is_finite(net)


def diverging(kind, scoring, learning_rate_init):
    return kind(
        hidden_layer_sizes=(9,), activation="identity", solver="sgd", prune_fraction=0,
        learning_rate_init=learning_rate_init, early_stopping=True, scoring=scoring,
        validation_fraction=0.2, max_iter=60, n_iter_no_change=50, random_state=0,
    )  # fmt: skip


def assert_best_is_finite(net):
    known = np.isfinite(net.validation_loss_curve_)
    assert known.any() and not known.all()
    np.testing.assert_array_equal(np.isfinite(net.validation_scores_), known)
    assert net.best_validation_score_ == np.nanmax(net.validation_scores_)
    assert all(np.isfinite(array).all() for array in (*net.coefs_, *net.intercepts_))


@pytest.mark.parametrize("scoring", [None, "loss", "f1_macro", "neg_log_loss"])
def test_a_transformer_is_scored_by_what_its_net_predicts(scoring):
    params = make(scoring=scoring).get_params()
    transformer = PrunedMLPTransformer(**params).fit(X, y, **GIVEN)
    classifier = make(scoring=scoring).fit(X, y, **GIVEN)
    assert transformer.validation_scores_ == classifier.validation_scores_
    assert not hasattr(transformer, "predict")


@pytest.mark.parametrize("given", [GIVEN, {}])
def test_rows_in_files_are_scored_as_others(given):
    chunks = Chunks(lambda start: X[start : start + 40], range(0, 90, 40))
    nets = [
        make(scoring="neg_log_loss", shuffle=False).fit(rows, y, **given) for rows in (X, chunks)
    ]
    np.testing.assert_allclose(*(net.validation_scores_ for net in nets), rtol=1e-9)


def test_the_score_decides_when_to_stop():
    scores = iter(range(0, -50, -1))
    falling = make(scoring=lambda est, X, y: next(scores), n_iter_no_change=3)
    falling.set_params(prune_fraction=0, max_iter=50).fit(X, y, **GIVEN)
    assert falling.n_iter_ == 5
    assert falling.best_validation_score_ == 0.0


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_names_and_formats_of_rows_do_not_matter():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame_val = pd.DataFrame(X_val, columns=list("abcdef"))
    plain = make(scoring="neg_log_loss").fit(X, y, **GIVEN)
    named = make(scoring="neg_log_loss").fit(frame, y, X_val=frame_val, y_val=pd.Series(y_val))
    assert named.validation_scores_ == plain.validation_scores_
    thin = make().fit(sparse.csr_array(X), y, X_val=sparse.csc_array(X_val), y_val=y_val[:, None])
    np.testing.assert_allclose(thin.validation_loss_curve_, plain.validation_loss_curve_, rtol=1e-9)


def frame_of(columns):
    return pd.DataFrame(X_val, columns=list(columns))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": X_val}, "X_val is provided, but y_val was not provided"),
        ({"y_val": y_val}, "y_val is provided, but X_val was not provided"),
        ({"sample_weight_val": WEIGHT}, "sample_weight_val is provided, but X_val was not"),
        (GIVEN | {"X_val": X_val[:, :4]}, "X_val has 4 features; it must have those of X, 6"),
        (GIVEN | {"X_val": X_val + np.nan}, "X_val is not valid.*NaN"),
        ({"X_val": X_val[:1], "y_val": y_val[:1]}, "X_val is not valid.*minimum of 2"),
        ({"X_val": X, "y_val": y}, "X_val must not have as many rows as X, 90.*cross-validation"),
        (GIVEN | {"y_val": y_val[1:]}, "y_val has 49 rows; it must have as many as X_val, 50"),
        (GIVEN | {"y_val": np.full(50, "d")}, r"y_val is not valid.*classes \['d'\].*'a' 'b' 'c'"),
        (GIVEN | {"y_val": np.arange(50) % 3}, "y_val is not valid.*Mix of label input types"),
        (GIVEN | {"y_val": np.full(50, np.nan)}, "y_val is not valid.*NaN"),
        (GIVEN | {"sample_weight_val": WEIGHT[1:]}, "sample_weight_val is not valid"),
        (GIVEN | {"sample_weight_val": -WEIGHT}, "sample_weight_val is not valid.*[Nn]egative"),
        (GIVEN | {"sample_weight_val": 0 * WEIGHT}, "sample_weight_val is not valid.*non-zero"),
    ],
)
def test_rows_that_cannot_validate_are_refused(given, message):
    clf = make()
    before = pickle.dumps(clf)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clf.fit(X, y, **given)
    assert pickle.dumps(clf) == before


def test_rows_without_early_stopping_are_refused():
    with pytest.raises(ValueError, match="early_stopping=False.*Set early_stopping=True"):
        make(early_stopping=False).fit(X, y, **GIVEN)


def test_names_of_features_must_be_those_of_x():
    frame = pd.DataFrame(X, columns=list("abcdef"))
    with pytest.raises(ValueError, match="(?s)X_val is not valid.*feature names"):
        make().fit(frame, y, X_val=frame_of("abcdeg"), y_val=y_val)
    with pytest.warns(UserWarning, match="X has feature names, but X_val has none"):
        make(max_iter=1).fit(frame, y, **GIVEN)


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        (
            "accuracyy",
            "scoring='accuracyy' must be None, 'loss', a scorer, or the name of one: acc",
        ),
        (accuracy_score, "looks like it is a metric function rather than a scorer"),
        (lambda est, X, y: "high", "scoring=<function.*returned 'high'; it must return one number"),
        (lambda est, X, y: est.predict_proba(X), "returned array.*it must return one number"),
        (3, "The 'scoring' parameter of PrunedMLPClassifier must be an instance of 'str'.*Got 3"),
    ],
)
def test_scores_that_are_none_are_refused(scoring, message):
    clf = make(scoring=scoring)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        clf.fit(X, y, **GIVEN)
    assert not hasattr(clf, "coefs_")


def test_a_misspelt_name_is_refused_without_early_stopping_too():
    with pytest.raises(ValueError, match="scoring='f1_makro'"):
        make(scoring="f1_makro", early_stopping=False).fit(X, y)
    assert {"neg_log_loss", "f1_macro"} <= set(get_scorer_names())


def test_a_pipeline_transforms_them():
    with sklearn.config_context(enable_metadata_routing=True):
        net = make().set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        model = make_pipeline(StandardScaler(), net, transform_input=["X_val"])
        model.fit(X, y, **GIVEN, sample_weight_val=WEIGHT)
    scaler = StandardScaler().fit(X)
    alone = make().fit(
        scaler.transform(X),
        y,
        X_val=scaler.transform(X_val),
        y_val=y_val,
        sample_weight_val=WEIGHT,
    )
    assert model[-1].validation_loss_curve_ == alone.validation_loss_curve_
    raw = make().fit(X, y, **GIVEN, sample_weight_val=WEIGHT)
    assert raw.validation_loss_curve_ != alone.validation_loss_curve_


def test_cross_validation_hands_them_to_every_fold():
    found = cross_validate(make(), X, y, params=GIVEN, cv=2, return_estimator=True)
    for clf in found["estimator"]:
        predicted = clf.predict(X_val)
        assert clf.best_validation_score_ == accuracy_score(y_val, predicted)
    # As many as there are in all are split, and so are no longer what was passed.
    with pytest.raises(ValueError, match="X_val must not have as many rows as X"):
        cross_validate(make(), X, y, params={"X_val": X, "y_val": y}, cv=2, error_score="raise")


def test_validation_rows_are_refused_for_streams():
    with pytest.raises(TypeError, match="X_val"):
        make().partial_fit(X, y, classes=["a", "b", "c"], **GIVEN)


def test_what_another_score_said_does_not_count():
    clf = make(warm_start=True, scoring="accuracy", prune_fraction=0).fit(X, y, **GIVEN)
    assert clf.best_validation_score_ > 0
    clf.set_params(scoring="loss").fit(X, y, **GIVEN)
    assert clf.best_validation_score_ == max(clf.validation_scores_[12:]) < 0
    assert len(clf.validation_loss_curve_) == len(clf.validation_scores_) == 24


def test_a_copy_has_curves_of_its_own():
    clf = make(warm_start=True, scoring="loss").fit(X, y, **GIVEN)
    copy = pickle.loads(pickle.dumps(clf))
    copy.fit(X, y, **GIVEN)
    assert len(clf.validation_loss_curve_) == 12
    assert len(copy.validation_loss_curve_) == 24
    assert clone(clf).scoring == "loss"


def test_class_weights_count_in_the_score_of_rows_set_aside_only():
    weights = {"a": 1.0, "b": 5.0, "c": 0.1}
    clf, probabilities = watched(class_weight=weights)
    losses = [log_loss(y_val, p) for p in probabilities]
    assert_scores_are(clf.validation_loss_curve_, losses, clf)


def test_scorers_are_told_of_this_fit_alone():
    seen = []

    def spy(estimator, X, y):
        late = [n for n in ("n_iter_", "loss_curve_") if hasattr(estimator, n)]
        seen.append((estimator.sparsity_, len(estimator.get_support(indices=True)), late))
        return 0.5

    params = {"scoring": spy, "early_stopping": True, "max_iter": 12, "n_iter_no_change": 20}
    clf = PrunedMLPClassifier((8,), prune_fraction=0.8, prune_features=0.5, **params).fit(X, y)
    assert seen[0] == (0, X.shape[1], [])
    assert seen[-1] == (clf.sparsity_, len(clf.get_support(indices=True)), [])
    seen.clear()
    clf.set_params(prune_fraction=0.2, prune_features=0).fit(X, y)
    assert seen[0] == (0, X.shape[1], [])
    assert seen[-1] == (clf.sparsity_, X.shape[1], [])
