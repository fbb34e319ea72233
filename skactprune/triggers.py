"""When: after which epochs the rounds are done."""

from skactprune.pruning.triggers import AccuracyTrigger, EpochTrigger

__all__ = ["AccuracyTrigger", "EpochTrigger"]
