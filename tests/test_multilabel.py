"""Rows with any number of labels, as MLPClassifier learns them."""

import pickle

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import GridSearchCV, ShuffleSplit, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from skactprune import (
    PrunedMLPClassifier,
    PrunedMLPTransformer,
    compact,
    compare_with_pca,
    load,
    pruning_path,
    save,
    to_onnx,
)
from skactprune.estimators._classification import MultilabelClassification
from skactprune.inspection import ArrayNet, LowRankNet
from skactprune.nets.batches import BatchIterator, TrainingData
from skactprune.nets.losses import WeightedLabelLoss, numpy_loss
from skactprune.nets.steps import why_autograd

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, Y = make_multilabel_classification(80, 6, n_classes=4, n_labels=2, random_state=0)
X = StandardScaler().fit_transform(X)
WEIGHT = np.random.RandomState(0).uniform(0.5, 2, len(X))
PARAMS = {
    "hidden_layer_sizes": (8, 6),
    "batch_size": 20,
    "learning_rate_init": 0.02,
    "max_iter": 12,
    "random_state": 0,
}


def pruned(**params):
    return PrunedMLPClassifier(**PARAMS | {"prune_fraction": 0.5, "n_prune_rounds": 2} | params)


@pytest.fixture(scope="module")
def fitted():
    return pruned().fit(X, Y)


def assert_same(theirs, ours):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    for name in ("n_iter_", "t_", "n_outputs_", "out_activation_", "validation_scores_"):
        assert getattr(theirs, name) == getattr(ours, name), name
    assert theirs.classes_.tolist() == ours.classes_.tolist()
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), atol=1e-9)
    np.testing.assert_allclose(theirs.predict_log_proba(X), ours.predict_log_proba(X), atol=1e-8)
    predictions = theirs.predict(X), ours.predict(X)
    assert type(predictions[0]) is type(predictions[1])
    assert (predictions[0] != predictions[1]).sum() == 0
    assert predictions[0].dtype == predictions[1].dtype
    assert theirs.score(X, Y) == ours.score(X, Y)


# -- training ---------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("n_labels", [2, 4])
@pytest.mark.parametrize(
    "params", [{"solver": "adam", "epsilon": 1e-30}, {"solver": "sgd", "alpha": 0.3}]
)
@pytest.mark.usefixtures("both_steps")
def test_dense_training_is_that_of_mlpclassifier(params, n_labels, weight):
    params, labels = PARAMS | params, Y[:, :n_labels]
    theirs = MLPClassifier(**params).fit(X, labels, weight)
    ours = PrunedMLPClassifier(**params, prune_fraction=0).fit(X, labels, weight)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), atol=1e-9)
    assert (theirs.predict(X) == ours.predict(X)).all()
    assert theirs.score(X, labels) == ours.score(X, labels)


@pytest.mark.parametrize("form", [np.array, sparse.csr_matrix, sparse.coo_array, pd.DataFrame])
@pytest.mark.parametrize("dtype", [int, bool, float])
def test_all_forms_of_labels_are_the_same(form, dtype):
    params = PARAMS | {"epsilon": 1e-30, "early_stopping": True}
    labels = form(Y.astype(dtype))
    theirs = MLPClassifier(**params).fit(X, labels)
    ours = PrunedMLPClassifier(**params, prune_fraction=0).fit(X, labels)
    assert_same(theirs, ours)
    assert ours.best_validation_score_ == theirs.best_validation_score_


def test_going_on_is_the_same():
    params = PARAMS | {"epsilon": 1e-30, "max_iter": 4, "batch_size": 80}
    pair = [
        MLPClassifier(**params, warm_start=True),
        PrunedMLPClassifier(**params, warm_start=True, prune_fraction=0),
    ]
    for _ in range(2):
        for clf in pair:
            clf.fit(X, Y)
        assert_same(*pair)
    params["batch_size"] = "auto"
    pair = [MLPClassifier(**params), PrunedMLPClassifier(**params, prune_fraction=0)]
    for rows in (slice(0, 40), slice(40, 80)):
        for clf in pair:
            clf.partial_fit(X[rows], Y[rows], classes=range(4))
        for a, b in zip(pair[0].coefs_, pair[1].coefs_, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_steps_are_written_out():
    net = pruned(prune_fraction=0).fit(X, Y).net_
    data = TrainingData(X, MultilabelClassification(4).encode(Y))
    assert why_autograd(net, BatchIterator(data, 20, False, None), []) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_and_its_twin_agree(dtype):
    rng = np.random.default_rng(0)
    logits, y = 3 * rng.normal(size=(9, 4)).astype(dtype), rng.integers(0, 2, (9, 4))
    weight = rng.uniform(0.5, 2, 9).astype(dtype)
    outputs = torch.tensor(logits, requires_grad=True)
    criterion = WeightedLabelLoss()
    loss = criterion(outputs, (torch.from_numpy(y), torch.from_numpy(weight)))
    loss.backward()
    twin = numpy_loss(criterion, 4)(4, 9, dtype)
    gradient, factor = np.empty((4, 9), dtype), weight / weight.sum()
    parts = twin.backward(np.ascontiguousarray(logits.T), y, factor, gradient)
    np.testing.assert_allclose(gradient.T, outputs.grad.numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(twin.rows(*parts) @ factor, loss.item(), rtol=1e-6)
    p = 1 / (1 + np.exp(-logits.astype(float)))
    by_label = [log_loss(y[:, i], p[:, i], sample_weight=weight) for i in range(4)]
    np.testing.assert_allclose(loss.item(), sum(by_label), rtol=1e-5)
    assert twin.fits(y, 4) and not twin.fits(y, 3) and not twin.fits(y > 0, 4)


def test_weights_of_rows_are_repetitions():
    counts = np.random.RandomState(1).randint(0, 3, len(X))
    params = {"batch_size": 200, "shuffle": False, "method": "activation"}
    weighted = pruned(**params).fit(X, Y, counts)
    repeated = pruned(**params).fit(X.repeat(counts, axis=0), Y.repeat(counts, axis=0))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-9)


def test_accuracy_in_training_is_that_of_all_labels():
    clf = pruned(max_iter=1, n_prune_rounds=1, trigger="epoch", batch_size=80, solver="sgd")
    clf.fit(X, Y)
    # The only batch of the epoch saw the net as it began.
    begun = MLPClassifier(**PARAMS | {"max_iter": 1, "learning_rate_init": 1e-30}).fit(X, Y)
    assert clf.pruning_history_[0]["train_score"] == begun.score(X, Y)


def test_chance_is_that_of_the_most_frequent_set():
    task = MultilabelClassification(2)
    y = np.array([[0, 1], [0, 1], [1, 1], [0, 0], [0, 1]])
    assert task.chance(y, None) == 3 / 5
    assert task.chance(y, np.array([1, 1, 9, 1, 1])) == pytest.approx(9 / 13)


# -- weights of classes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "class_weight", ["balanced", [{0: 1, 1: 5}, {0: 0.5, 1: 1}, {0: 1, 1: 1}, {0: 2, 1: 3}]]
)
def test_weights_of_labels_are_multiplied_as_scikit_learn_does(class_weight):
    given = pruned(class_weight=class_weight).fit(X, Y)
    by_hand = pruned().fit(X, Y, compute_sample_weight(class_weight, Y))
    np.testing.assert_allclose(given.predict_proba(X), by_hand.predict_proba(X), atol=1e-9)
    plain = pruned().fit(X, Y)
    assert np.abs(plain.predict_proba(X) - given.predict_proba(X)).max() > 0.01


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: 1, 1: 2}, "class_weight={.* must be a list of a dict for each label, or 'balanced'"),
        ([{0: 1, 1: 2}], "class_weight=.* must have 4 dicts, one for each label"),
        ([{0: 1, 1: -2}] * 4, "class_weight=.* must have finite weights that are not negative"),
        (["balanced"] * 4, "class_weight=.* must have finite weights that are not negative"),
    ],
)
def test_weights_that_fit_no_labels_are_refused(class_weight, message):
    with pytest.raises(ValueError, match=message):
        pruned(class_weight=class_weight).fit(X, Y)


def test_a_list_of_weights_is_refused_for_classes():
    with pytest.raises(ValueError, match="class_weight=.* must be one dict, or 'balanced'"):
        pruned(class_weight=[{0: 1, 1: 2}]).fit(X, Y[:, 0])


# -- targets that do not fit ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (Y + 1, "y has the value 2; of several columns, each must tell by 0 and 1"),
        (2 * Y - 1, "y has the value -1; of several columns, each must tell by 0 and 1"),
        (Y * [1, 2, 3, 4], "y has several columns of classes.*MultiOutputClassifier"),
        (Y + 0.5, "Unknown label type: continuous-multioutput"),
        (np.where(Y, "a", "b"), "y has several columns of classes.*MultiOutputClassifier"),
    ],
)
def test_columns_that_are_no_labels_are_refused(labels, message):
    clf = pruned()
    with pytest.raises(ValueError, match=message):
        clf.fit(X, labels)
    assert not hasattr(clf, "classes_")


def test_one_column_is_two_classes():
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        clf = pruned().fit(X, Y[:, :1])
    assert (clf.multilabel_, clf.predict(X).shape, clf.predict_proba(X).shape[1]) == (
        False,
        (80,),
        2,
    )


def test_a_net_keeps_the_kind_of_its_targets():
    clf = pruned(warm_start=True).fit(X, Y[:, :3])
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match=r"y must have the classes of .*\[0 1 2\]; it has \[0 1\]"):
        clf.fit(X, Y[:, :2])
    with pytest.raises(ValueError, match="tells labels, and needs targets like those"):
        clf.fit(X, np.arange(80) % 3)
    with pytest.raises(ValueError, match="tells labels, and needs targets like those"):
        clf.partial_fit(X, np.arange(80) % 3)
    assert (clf.predict_proba(X) == before).all() and clf.multilabel_
    classes = pruned(warm_start=True).fit(X, np.arange(80) % 3)
    with pytest.raises(ValueError, match="tells classes, and needs targets like those"):
        classes.fit(X, Y[:, :3])
    # A new net may tell something else.
    assert not clf.set_params(warm_start=False).fit(X, np.arange(80) % 3).multilabel_


@pytest.mark.parametrize("classes", [range(3), range(5), list("abcd")])
def test_streams_need_the_numbers_of_all_columns(classes):
    with pytest.raises(ValueError, match="y must have the classes"):
        pruned().partial_fit(X, Y, classes=classes)


# -- validation -------------------------------------------------------------------------------


def test_rows_to_validate_on():
    params = {"early_stopping": True, "n_iter_no_change": np.inf, "prune_fraction": 0}
    given = {"X_val": X[60:], "y_val": sparse.csr_array(Y[60:])}
    clf = pruned(**params, scoring="f1_micro").fit(X[:60], Y[:60], **given)
    best = f1_score(Y[60:], clf.predict(X[60:]), average="micro")
    assert clf.best_validation_score_ == best == max(clf.validation_scores_)
    by_loss = pruned(**params, scoring="loss").fit(X[:60], Y[:60], **given)
    p = by_loss.predict_proba(X[60:])
    loss = sum(log_loss(Y[60:, i], p[:, i], labels=[0, 1]) for i in range(4))
    assert min(by_loss.validation_loss_curve_) == pytest.approx(loss, rel=1e-9)
    for wrong, message in (
        (Y[60:, :3], r"y_val is not valid. It has the shape \(20, 3\)"),
        (Y[60:, 0], r"y_val is not valid. It has the shape \(20,\)"),
        (Y[60:] + 1, "y_val has the value 2"),
    ):
        with pytest.raises(ValueError, match=message):
            pruned(**params).fit(X[:60], Y[:60], X_val=X[60:], y_val=wrong)


# -- what becomes of the net ------------------------------------------------------------------


def test_pruned_net(fitted):
    assert fitted.sparsity_ >= 0.5
    assert fitted.multilabel_ and fitted.__sklearn_tags__().classifier_tags.multi_label
    np.testing.assert_array_equal(fitted.predict(X), fitted.predict_proba(X) > 0.5)
    np.testing.assert_array_equal(fitted.net_.predict(X), fitted.predict(X))
    np.testing.assert_allclose(fitted.net_.predict_proba(X), fitted.predict_proba(X), rtol=1e-9)
    assert fitted.score(X, Y) == accuracy_score(Y, fitted.predict(X))


@pytest.mark.parametrize("components", ["predictive", "pca"])
def test_components(components):
    clf = pruned(n_components=3, components=components).fit(X, Y)
    shown = clf.transform(X)
    covariance = np.cov(shown, rowvar=False)
    off = covariance - np.diag(covariance.diagonal())
    np.testing.assert_allclose(off, 0, atol=1e-7 * covariance.max())


def test_a_transformer_learns_labels_too():
    both = (
        PrunedMLPTransformer(**PARAMS, n_components=3),
        PrunedMLPClassifier(**PARAMS, n_components=3),
    )
    for net in both:
        net.fit(X, Y)
    np.testing.assert_array_equal(both[0].transform(X), both[1].transform(X))
    assert both[0].multilabel_
    stream = PrunedMLPTransformer(**PARAMS).partial_fit(X, Y)
    assert stream.classes_.tolist() == [0, 1, 2, 3]


def test_pickles_and_clones(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(copy.net_.predict(X), fitted.predict(X))
    thin = pickle.loads(pickle.dumps(pruned().fit(X, sparse.csr_matrix(Y))))
    assert sparse.issparse(thin.predict(X))
    assert not hasattr(clone(fitted), "multilabel_")


@pytest.mark.parametrize("n_labels", [2, 4])
@pytest.mark.parametrize("storage", ["float64", "int8", "codebook"])
def test_compact_models_and_files(tmp_path, storage, n_labels):
    labels = Y[:, :n_labels]
    clf = pruned().fit(X, labels)
    model = compact(clf, storage)
    save(model, tmp_path / "net")
    for one in (model, load(tmp_path / "net"), pickle.loads(pickle.dumps(model)), model.compact()):
        np.testing.assert_array_equal(one.predict(X), model.predict(X))
        assert one.predict(X).dtype == clf.predict(X).dtype
        assert (one.multilabel_, one.out_activation_, one.n_outputs_) == (
            True,
            "logistic",
            n_labels,
        )
        assert one.__sklearn_tags__().classifier_tags.multi_label
    if storage == "float64":
        np.testing.assert_allclose(model.predict_proba(X), clf.predict_proba(X), rtol=1e-12)
        np.testing.assert_allclose(model.predict_log_proba(X), clf.predict_log_proba(X), rtol=1e-9)
    report = model.compression_report(pruned().fit(X, sparse.csr_matrix(labels)), X, labels)
    assert report["accuracy"] == model.score(X, labels)
    assert report["reference_accuracy"] == clf.score(X, labels)
    changed = (model.predict(X) != clf.predict(X)).any(axis=1)
    assert report["changed_predictions"] == changed.mean()


@pytest.mark.parametrize("multilabel", [None, 1, "yes"])
def test_files_that_do_not_say_which_are_refused(fitted, multilabel):
    model = compact(fitted)
    metadata = model.file_metadata() | {"multilabel": multilabel}
    with pytest.raises(ValueError, match="its multilabel is invalid"):
        type(model).of_file(model.weights_, metadata)


def test_compact_models_of_other_targets_are_not_compared(fitted):
    other = pruned().fit(X, np.arange(80) % 4)
    with pytest.raises(ValueError, match="reference has the classes"):
        compact(fitted).compression_report(other, X)
    assert not compact(other).multilabel_


@pytest.mark.parametrize("n_labels", [2, 4])
def test_onnx(n_labels):
    model = make_pipeline(StandardScaler(), pruned()).fit(X, Y[:, :n_labels])
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString())
    outputs = [(output.name, output.type, output.shape[1:]) for output in session.get_outputs()]
    assert outputs == [
        ("label", "tensor(int64)", [n_labels]),
        ("probabilities", "tensor(double)", [n_labels]),
    ]
    label, probabilities = session.run(None, {"X": X})
    np.testing.assert_array_equal(label, model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-12)


def test_from_sklearn():
    mlp = MLPClassifier(**PARAMS).fit(X, Y)
    clf = PrunedMLPClassifier.from_sklearn(mlp, prune_fraction=0.5)
    np.testing.assert_array_equal(clf.predict(X), mlp.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X), mlp.predict_proba(X), rtol=1e-12)
    with pytest.raises(ValueError, match="tells labels, and needs targets like those"):
        clone(clf).fit(X, np.arange(80) % 4)
    assert clone(clf).fit(X, Y).sparsity_ >= 0.5
    classes = MLPClassifier(**PARAMS).fit(X, np.arange(80) % 4)
    with pytest.raises(ValueError, match="tells classes, and needs targets like those"):
        PrunedMLPClassifier.from_sklearn(classes).fit(X, Y)


# -- beside others ----------------------------------------------------------------------------


def test_searches_and_folds():
    search = GridSearchCV(pruned(max_iter=4), {"prune_fraction": [0, 0.5]}, cv=2).fit(X, Y)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    scores = cross_val_score(pruned(max_iter=4), X, Y, cv=2, scoring="f1_micro")
    assert (scores > 0).all()


def test_pruning_path():
    path = pruning_path(pruned(max_iter=3), X, sparse.csr_array(Y), fractions=[0, 0.5], cv=2)
    assert path.score_name == "accuracy"
    assert {"test_f1_micro", "test_neg_log_loss"} <= set(path.rows[0])
    assert (path.sparsity[1] >= 0.5).all()


def test_path_scores_are_those_of_the_labels():
    path = pruning_path(pruned(max_iter=3), X, Y, fractions=[0], cv=ShuffleSplit(1, random_state=0))
    train, test = next(ShuffleSplit(1, random_state=0).split(X))
    clf = pruned(max_iter=3, prune_fraction=0).fit(X[train], Y[train])
    p = clf.predict_proba(X[test])
    loss = sum(log_loss(Y[test, i], p[:, i], labels=[0, 1]) for i in range(4))
    assert path.rows[0]["test_neg_log_loss"] == pytest.approx(-loss, rel=1e-9)
    assert path.rows[0]["test_accuracy"] == clf.score(X[test], Y[test])


def test_a_comparison_with_rivals_of_one_class_is_refused():
    with pytest.raises(ValueError, match="y has several columns of labels.*pruning_path"):
        compare_with_pca(pruned(), X, Y)


def test_nets_of_arrays(fitted):
    arrays = ArrayNet(fitted.coefs_, fitted.intercepts_, multilabel=True)
    sizes = [min(coef.shape) for coef in fitted.coefs_[:-1]]
    mlp = MLPClassifier(**PARAMS).fit(X, Y)
    for net, whole in (
        (arrays, fitted),
        (LowRankNet(fitted, sizes, "svd"), fitted),
        (LowRankNet(arrays, sizes, "svd"), fitted),
        (LowRankNet(mlp, [6, 6], "svd"), mlp),
    ):
        np.testing.assert_allclose(net.predict_proba(X), whole.predict_proba(X), atol=1e-9)
        np.testing.assert_array_equal(net.predict(X), whole.predict(X))
        assert net.__sklearn_tags__().classifier_tags.multi_label


@pytest.mark.filterwarnings("ignore:A column-vector y:sklearn.exceptions.DataConversionWarning")
def test_a_sparse_column_is_classes():
    labels = Y[:, :1]
    expected = PrunedMLPClassifier(**PARAMS).fit(X, labels.ravel())
    found = PrunedMLPClassifier(**PARAMS).fit(X, sparse.csr_matrix(labels))
    assert not found.multilabel_
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    assert found.score(X, labels.ravel()) == expected.score(X, labels.ravel())
