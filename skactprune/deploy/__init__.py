"""Fitted models for use: torch-free, small on disk, as ONNX; nothing here imports torch."""

from skactprune.deploy.autoencoder import CompactAutoencoder
from skactprune.deploy.build import compact, compact_low_rank
from skactprune.deploy.classifier import CompactMLPClassifier
from skactprune.deploy.files import load, save
from skactprune.deploy.onnx import to_onnx
from skactprune.deploy.regressor import CompactMLPRegressor
from skactprune.deploy.transformer import CompactMLPTransformer

__all__ = [
    "CompactAutoencoder",
    "CompactMLPClassifier",
    "CompactMLPRegressor",
    "CompactMLPTransformer",
    "compact",
    "compact_low_rank",
    "load",
    "save",
    "to_onnx",
]
