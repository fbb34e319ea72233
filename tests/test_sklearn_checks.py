"""Scikit-learn's own checks of estimators."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from skactprune import (
    Activation,
    PrunedAutoencoder,
    PrunedMLPClassifier,
    PrunedMLPRegressor,
    PrunedMLPTransformer,
)
from skactprune.methods import METHODS

# A method of every family, those with the same base class.
FAMILIES = {METHODS.look_up(name).__bases__: name for name in sorted(METHODS, reverse=True)}
# The checks fit thousands of nets, and want them to be no more than 83 % right.
SHORT = {"max_iter": 20, "learning_rate_init": 0.02}
# Nets without rounds are held to MLPClassifier, and methods to each other, by tests of their own.
ESTIMATORS = [
    PrunedMLPClassifier(),
    PrunedMLPClassifier(
        method=Activation(granularity="weight", scope="global"), dtype="float32", **SHORT
    ),
    PrunedMLPTransformer(
        (12, 8),
        **SHORT,
        method="activation",
        n_components=0.9,
        components="pca",
        whiten=True,
        transform_layer="all",
        fit_inverse_transform=True,
    ),
    *(PrunedMLPClassifier(method=name, **SHORT) for name in FAMILIES.values()),
    PrunedMLPRegressor(**SHORT),
    PrunedAutoencoder(**SHORT),
]
ROUNDING = "float32 sums of weighted rows differ from those of repeated rows by rounding"


def expected_failed_checks(estimator):
    if estimator.dtype != "float32":
        return {}
    return {
        "check_sample_weight_equivalence_on_dense_data": ROUNDING,
        "check_sample_weight_equivalence_on_sparse_data": ROUNDING,
    }


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_check_estimator(estimator, check):
    # That so few epochs have not converged is no news.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)
