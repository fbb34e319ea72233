"""What a user holds: the estimators."""

from skactprune.estimators.autoencoder import PrunedAutoencoder
from skactprune.estimators.classifier import PrunedMLPClassifier
from skactprune.estimators.regressor import PrunedMLPRegressor
from skactprune.estimators.transformer import PrunedMLPTransformer

__all__ = [
    "PrunedAutoencoder",
    "PrunedMLPClassifier",
    "PrunedMLPRegressor",
    "PrunedMLPTransformer",
]
