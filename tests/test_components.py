"""What transform shows with n_components: directions that tell the classes, or PCA."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skactprune import PrunedMLPClassifier
from skactprune.estimators._reduced_rank import class_directions

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(X, y, k, **params):
    how = {"max_iter": 60, "learning_rate_init": 0.01, "random_state": 0} | params
    return PrunedMLPClassifier((30,), prune_fraction=0.5, n_components=k, **how).fit(X, y)


def test_with_all_directions_it_is_the_logistic_regression_of_scikit_learn():
    X, y = make_classification(
        200, 6, n_informative=5, n_redundant=0, n_classes=4, class_sep=1.0, random_state=1
    )
    X = StandardScaler().fit_transform(X)
    weight = np.random.default_rng(0).integers(1, 4, 200).astype(float)
    X -= np.average(X, axis=0, weights=weight)
    X /= np.sqrt(np.average(X**2, axis=0, weights=weight))
    expected = LogisticRegression(C=10, tol=1e-10, max_iter=10_000).fit(X, y, weight).coef_.T
    logits = np.random.default_rng(0).normal(size=(200, 4)) + 3 * np.eye(4)[y]
    scale = np.array([1.0, 2.0, 0.1, 30.0, 1.0, 0.5])
    found = class_directions(X * scale, y, weight, logits, 3)
    # Principal axes of the other's logits, by a singular value decomposition.
    axes = np.linalg.svd(np.sqrt(weight)[:, None] * (X @ expected), full_matrices=False)[2][:3].T
    for one, other in zip((found * scale[:, None]).T, (expected @ axes).T, strict=True):
        np.testing.assert_allclose(one * np.sign(one @ other), other, atol=0.01)


def test_fewer_directions_have_the_best_loss_nearby():
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    logits = X @ np.random.default_rng(1).normal(size=(4, 3))
    direction = class_directions(X, y, np.ones(150), logits, 1)

    def loss(direction):
        z = StandardScaler().fit_transform(X @ direction)
        # The smaller factor has no penalty worth the name.
        model = LogisticRegression(C=1e4, max_iter=10_000).fit(z, y)
        return log_loss(y, model.predict_proba(z))

    best, rng = loss(direction), np.random.default_rng(0)
    size = np.linalg.norm(direction)
    worse = [loss(direction + 0.3 * size * rng.normal(size=(4, 1))) for _ in range(20)]
    assert best < min(worse)


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("components", ["predictive", "pca"])
def test_coordinates_are_uncorrelated_and_directions_have_length_one(components, k):
    X, y = load_iris(return_X_y=True)
    clf = small(X, y, k, components=components)
    Z = clf.transform(X)
    covariance = np.cov(Z.T).reshape(k, k)
    spread = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(covariance / np.outer(spread, spread), np.eye(k), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(clf.components_, axis=1), 1.0)
    np.testing.assert_allclose(Z.mean(axis=0), 0.0, atol=1e-10)
    # What they explain is what a regression on them explains.
    hidden = clf._hidden(X)
    hidden = hidden - hidden.mean(axis=0)
    for z, share in zip(Z.T, clf.explained_variance_ratio_, strict=True):
        residual = hidden - np.outer(z, z @ hidden / (z @ z))
        np.testing.assert_allclose(1 - (residual**2).sum() / (hidden**2).sum(), share, atol=1e-9)


def test_pca_is_that_of_the_neurons():
    X, y = load_iris(return_X_y=True)
    clf = small(X, y, 3, components="pca")
    expected = PCA(3).fit(clf._hidden(X))
    np.testing.assert_allclose(clf.explained_variance_ratio_, expected.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(clf.components_), np.abs(expected.components_), atol=1e-8)


@pytest.mark.parametrize("k", [1, 2])
def test_they_tell_more_of_the_classes_than_pca_of_the_neurons_and_lda_do(k):
    X, y = load_digits(return_X_y=True)
    X, rows, y, labels = train_test_split(X / 16, y, random_state=0, stratify=y)

    def score(transformer):
        classifier = make_pipeline(StandardScaler(), LogisticRegression())
        return classifier.fit(transformer.transform(X), y).score(
            transformer.transform(rows), labels
        )

    ours = score(small(X, y, k))
    assert ours > score(small(X, y, k, components="pca")) + 0.02
    assert ours > score(LinearDiscriminantAnalysis(n_components=k).fit(X, y)) + 0.03


def test_two_classes_have_one_direction_that_tells_all_and_the_others_are_of_the_rest():
    X, y = make_classification(150, 8, n_informative=5, random_state=0)
    clf = small(X, y, 3)
    log_odds = clf.predict_log_proba(X) @ [-1, 1]
    assert abs(np.corrcoef(clf.transform(X)[:, 0], log_odds)[0, 1]) > 1 - 1e-9
    assert np.abs(np.corrcoef(clf.transform(X)[:, 1:].T, log_odds)[:-1, -1]).max() < 1e-6


@pytest.mark.parametrize("layer", [0, 1])
def test_inner_layers_have_them_too(layer):
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    clf = PrunedMLPClassifier(
        (30, 20), n_components=2, transform_layer=layer, learning_rate_init=0.01, random_state=0
    ).fit(X, y)
    model = clf.compact()
    np.testing.assert_allclose(model.transform(X), clf.transform(X), atol=1e-9)
    # As a classifier of all neurons does.
    classifier, Z = make_pipeline(StandardScaler(), LogisticRegression()), clf.transform(X)
    expected = classifier.fit(clf._hidden(X), y).score(clf._hidden(X), y)
    assert classifier.fit(Z, y).score(Z, y) > expected - 0.02


def test_a_layer_that_tells_nothing_has_principal_components():
    X, y = np.zeros((40, 3)), np.arange(40) % 2
    Z = small(X, y, 2).transform(X)
    np.testing.assert_allclose(Z, np.zeros((40, 2)), atol=1e-12)


def test_of_many_rows_some_are_enough(monkeypatch):
    X, y = load_digits(return_X_y=True)
    clf = small(X / 16, y, 2)
    monkeypatch.setattr("skactprune.estimators._reduced_rank.MAX_ROWS", 600)
    few = small(X / 16, y, 2)
    scores = [
        LogisticRegression(max_iter=1000).fit(c.transform(X / 16), y).score(c.transform(X / 16), y)
        for c in (clf, few)
    ]
    assert abs(scores[0] - scores[1]) < 0.06


def test_other_components_are_refused():
    with pytest.raises(ValueError, match="'components' parameter .* must be a str among"):
        PrunedMLPClassifier(components="lda").fit(*load_iris(return_X_y=True))
