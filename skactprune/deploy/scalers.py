"""Steps of pipelines that shift and scale each feature, and no more."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted


def shift_and_scale(step):
    """Arrays `mean` and `scale` of a fitted step that computes ``(X - mean) / scale``, or None.

    Subclasses could do anything, and a MinMaxScaler that clips is not linear.
    """
    if type(step) is StandardScaler:
        check_is_fitted(step)
        n = step.n_features_in_
        return (
            step.mean_ if step.with_mean else np.zeros(n),
            step.scale_ if step.with_std else np.ones(n),
        )
    if type(step) is MinMaxScaler and not step.clip:
        check_is_fitted(step)
        # Fitted on float32, it keeps float32; StandardScaler always has float64.
        scale = 1 / step.scale_.astype(np.float64)
        return -step.min_ * scale, scale
    return None


def flat_steps(steps):
    """Names and steps, those of nested pipelines in their place."""
    for name, step in steps:
        if isinstance(step, Pipeline):
            yield from flat_steps(step.steps)
        else:
            yield name, step
