"""Pruning of any skorch net: how much, how important, which, and when, kept apart."""
