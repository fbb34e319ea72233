"""Recipes by name: each a choice of criterion, granularity, scope, schedule and options."""

from skactprune.methods.activation import (
    Activation,
    ActivationMagnitude,
    FiringDeviation,
    Ganguli2024,
)
from skactprune.methods.base import Method, ScorePruning, get_method, register
from skactprune.methods.baselines import Magnitude, Random
from skactprune.methods.surgeon import ActivationSurgeon

__all__ = [
    "Activation",
    "ActivationMagnitude",
    "ActivationSurgeon",
    "FiringDeviation",
    "Ganguli2024",
    "Magnitude",
    "Method",
    "Random",
    "ScorePruning",
    "get_method",
    "register",
]
