"""How much: the share of `prune_fraction` that is gone after each round."""

from skactprune.pruning.schedules import Cubic, Geometric, Last, Linear, OneShot

__all__ = ["Cubic", "Geometric", "Last", "Linear", "OneShot"]
