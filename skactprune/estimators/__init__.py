"""What a user holds: the estimators."""

from skactprune.estimators.classifier import PrunedMLPClassifier

__all__ = ["PrunedMLPClassifier"]
