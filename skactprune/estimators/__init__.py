"""What a user holds: the estimators."""

from skactprune.estimators.classifier import PrunedMLPClassifier
from skactprune.estimators.regressor import PrunedMLPRegressor
from skactprune.estimators.transformer import PrunedMLPTransformer

__all__ = ["PrunedMLPClassifier", "PrunedMLPRegressor", "PrunedMLPTransformer"]
