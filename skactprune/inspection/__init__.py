"""Fitted models side by side: rows of a comparison, sizes, pruning paths, low-rank nets."""

from skactprune.inspection.choosing import smallest_within_one_se
from skactprune.inspection.comparison import compare_with_pca
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

__all__ = [
    "ArrayNet",
    "LowRankNet",
    "PruningPathDisplay",
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
