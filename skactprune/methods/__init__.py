"""Ways of pruning, one a file; each is known to ``method=`` by its name, too.

Whatever file of this folder registers a `Method` is found: there is no list to be kept.
"""

from __future__ import annotations

import importlib
from typing import Any

from skactprune.pruning.method import METHODS
from skactprune.pruning.method import Method as Method
from skactprune.pruning.method import get_method as get_method
from skactprune.pruning.method import register as register

_HOMES = {
    "BeforeTraining": "skactprune.methods.base",
    "LayerState": "skactprune.methods.scores",
    "ScorePruning": "skactprune.methods.scores",
    "ScoredMethod": "skactprune.methods.base",
    "available": "skactprune.methods.listing",
}


def _classes() -> dict[str, type[Method]]:
    """Registered classes of this package, by class name."""
    found = (METHODS.look_up(name) for name in METHODS)
    return {cls.__name__: cls for cls in found if cls.__module__.startswith(f"{__name__}.")}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "__all__":
        return sorted([*_HOMES, *_classes(), "METHODS", "Method", "get_method", "register"])
    # Not while the files are being found, which import each other.
    if name[:1].isupper() and name in (classes := _classes()):
        return classes[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_classes()])
