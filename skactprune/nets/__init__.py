"""Torch modules, batches and the skorch net that the estimators train."""
