"""When: after which epochs the rounds are done."""

from skactprune.pruning.triggers import (
    AccuracyTrigger,
    EpochTrigger,
    ProgressTrigger,
    ScoreTrigger,
)

__all__ = ["AccuracyTrigger", "EpochTrigger", "ProgressTrigger", "ScoreTrigger"]
