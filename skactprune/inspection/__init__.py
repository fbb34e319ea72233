"""Fitted models side by side, and in figures: comparisons, sizes, pruning paths, low ranks."""

from skactprune.inspection.architecture import ArchitectureDisplay
from skactprune.inspection.choosing import smallest_within_one_se
from skactprune.inspection.comparison import compare_with_pca
from skactprune.inspection.components_curve import PCAComparisonDisplay
from skactprune.inspection.firing import FiringDisplay
from skactprune.inspection.history import LossCurveDisplay, PruningHistoryDisplay
from skactprune.inspection.low_rank import ArrayNet, LowRankNet
from skactprune.inspection.path import PruningPathDisplay, pruning_path
from skactprune.inspection.rivals import (
    lda_classifier,
    nca_classifier,
    pca_classifier,
    standardized_logistic,
)
from skactprune.inspection.rows import model_row, timed_fit
from skactprune.inspection.sizes import n_parameters, n_weights
from skactprune.inspection.spectrum import SpectrumDisplay

__all__ = [
    "ArchitectureDisplay",
    "ArrayNet",
    "FiringDisplay",
    "LossCurveDisplay",
    "LowRankNet",
    "PCAComparisonDisplay",
    "PruningHistoryDisplay",
    "PruningPathDisplay",
    "SpectrumDisplay",
    "compare_with_pca",
    "lda_classifier",
    "model_row",
    "n_parameters",
    "n_weights",
    "nca_classifier",
    "pca_classifier",
    "pruning_path",
    "smallest_within_one_se",
    "standardized_logistic",
    "timed_fit",
]
