"""Steps of pipelines: those that shift and scale each feature and no more, and samplers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray


def shift_and_scale(step: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
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


def is_sampler(step: Any) -> bool:
    """Whether a step chooses rows to fit on, as those of imbalanced-learn do, and nothing else.

    Such a step acts in fits only; what is fitted does without it.
    """
    return hasattr(step, "fit_resample") and not hasattr(step, "transform")


def without_samplers(steps: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Names and steps as they are, nested pipelines too, but without samplers."""
    for name, step in steps:
        if isinstance(step, Pipeline):
            left = list(without_samplers(step.steps))
            same = len(left) == len(step.steps) and all(map(_is_same, left, step.steps))
            # A pipeline of nothing but samplers leaves nothing.
            if left:
                yield name, step if same else with_steps(step, left)
        elif not is_sampler(step):
            yield name, step


def _is_same(step: tuple[str, Any], other: tuple[str, Any]) -> bool:
    return step[1] is other[1]


def with_steps(pipeline: Pipeline, steps: list[tuple[str, Any]]) -> Pipeline:
    """Pipeline of scikit-learn's with other steps, and else as the one given."""
    return Pipeline(**pipeline.get_params(deep=False) | {"steps": steps})


def flat_steps(steps: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Names and steps, those of nested pipelines in their place; no samplers."""
    for name, step in steps:
        if isinstance(step, Pipeline):
            yield from flat_steps(step.steps)
        elif not is_sampler(step):
            yield name, step
