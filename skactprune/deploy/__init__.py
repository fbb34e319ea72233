"""Fitted models for use: torch-free, small on disk, as ONNX; nothing here imports torch."""

from skactprune.deploy.build import compact
from skactprune.deploy.model import CompactMLPClassifier
from skactprune.deploy.onnx_export import to_onnx
from skactprune.deploy.storage import load, save

__all__ = ["CompactMLPClassifier", "compact", "load", "save", "to_onnx"]
