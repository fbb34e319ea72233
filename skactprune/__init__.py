"""scikit-learn estimators whose neural network gets smaller while it learns."""

import importlib

__version__ = "0.1.0"

# Imported on first use, so that what needs no torch does not load it.
_HOMES = {
    "AccuracyTrigger": "skactprune.pruning.triggers",
    "Activation": "skactprune.methods",
    "ActivationMagnitude": "skactprune.methods",
    "ActivationSurgeon": "skactprune.methods",
    "Chunks": "skactprune.chunks",
    "CompactAutoencoder": "skactprune.deploy",
    "CompactMLPClassifier": "skactprune.deploy",
    "CompactMLPRegressor": "skactprune.deploy",
    "CompactMLPTransformer": "skactprune.deploy",
    "Cubic": "skactprune.pruning.schedules",
    "EpochTrigger": "skactprune.pruning.triggers",
    "ProgressTrigger": "skactprune.pruning.triggers",
    "FiringDeviation": "skactprune.methods",
    "Ganguli2024": "skactprune.methods",
    "Geometric": "skactprune.pruning.schedules",
    "Linear": "skactprune.pruning.schedules",
    "Magnitude": "skactprune.methods",
    "Method": "skactprune.methods",
    "OneShot": "skactprune.pruning.schedules",
    "PrunedAutoencoder": "skactprune.estimators",
    "PrunedMLPClassifier": "skactprune.estimators",
    "PrunedMLPRegressor": "skactprune.estimators",
    "PrunedMLPTransformer": "skactprune.estimators",
    "Pruner": "skactprune.pruning.pruner",
    "Random": "skactprune.methods",
    "ScorePruning": "skactprune.methods",
    "ScoreTrigger": "skactprune.pruning.triggers",
    "WeightedNuclearNorm": "skactprune.penalties",
    "compact": "skactprune.deploy",
    "compact_low_rank": "skactprune.deploy",
    "compare_with_pca": "skactprune.inspection",
    "load": "skactprune.deploy",
    "pruning_path": "skactprune.inspection",
    "register": "skactprune.methods",
    "register_onnx_converters": "skactprune._skl2onnx",
    "save": "skactprune.deploy",
    "to_onnx": "skactprune.deploy",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'skactprune' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return sorted([*globals(), *__all__])
