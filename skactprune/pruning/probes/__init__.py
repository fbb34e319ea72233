"""What is watched in training: whatever has an entry for every neuron or weight."""

import importlib
from typing import Any

_HOMES = {
    "EarlyWeights": "weights",
    "Factors": "factors",
    "Features": "features",
    "Firing": "firing",
    "Gates": "gates",
    "InputMoments": "outputs",
    "Noise": "noise",
    "OutputMoments": "outputs",
    "Outputs": "outputs",
    "Probe": "base",
    "Singular": "singular",
    "Trained": "trained",
    "WeightSums": "weights",
    "Zeros": "zeros",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    # On first use, so that a method can be imported without torch.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
