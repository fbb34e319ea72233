"""Compact models of fitted estimators and pipelines."""

from copy import copy

import numpy as np
from sklearn.pipeline import Pipeline

from skactprune.deploy._scalers import shift_and_scale
from skactprune.deploy.model import CompactMLPClassifier
from skactprune.deploy.packing import LOSSY

# Folding the mean of a feature loses digits when it is many times its scale away from zero. Up to
# these ratios predictions stay within 1e-5 (float32) and 1e-12 (float64) of the largest logit.
LARGEST_FOLDED_MEAN = {np.dtype(np.float32): 10.0, np.dtype(np.float64): 500.0}


def compact(model, dtype=None):
    """Small, frozen, torch-free model of a fitted estimator or pipeline.

    Parameters
    ----------
    model : PrunedMLPClassifier, CompactMLPClassifier or Pipeline
        Fitted; a pipeline ends in one of these.
    dtype : {"float64", "float32", "float16", "int8"}, default=None
        Type of the weights in pickles and files; None keeps that of the weights. "float16" and
        "int8", which has a scale for each neuron, are computed with in float32.
        `CompactMLPClassifier.compression_report` tells how much that changes.

    Returns
    -------
    CompactMLPClassifier or Pipeline
        For a pipeline: a new one with the same steps, not copied, except for the last. A
        StandardScaler or MinMaxScaler (with ``clip=False``) right in front of that, in a nested
        pipeline too, is folded into the weights, and left out, where this is exact: not where
        what is subtracted from a feature is so many times what it is divided by (10 in float32,
        500 in float64) that digits would be lost. With it folded, sparse input is accepted,
        which these scalers refuse.

    Raises
    ------
    TypeError
        If `model` is something else.
    NotFittedError
        If it is not fitted.
    ValueError
        If `dtype` is unknown or too small for the weights.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skactprune import PrunedMLPClassifier, compact
    >>> X, y = load_digits(return_X_y=True)
    >>> mlp = PrunedMLPClassifier(max_iter=40, tol=0.1, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), mlp).fit(X, y)
    >>> compact(pipeline)
    Pipeline(steps=[('prunedmlpclassifier', CompactMLPClassifier())])
    """
    if not isinstance(model, Pipeline):
        if not hasattr(model, "compact"):
            raise TypeError(
                f"model must be a fitted PrunedMLPClassifier, CompactMLPClassifier or a Pipeline "
                f"that ends in one, got {type(model).__name__}."
            )
        return model.compact(dtype)
    *before, (name, last) = model.steps
    small = compact(last, dtype)
    if isinstance(small, Pipeline) and len(small.steps) == 1:
        small = small[-1]
    if not isinstance(small, Pipeline):
        before, small = _folded(before, small)
    return _with_steps(model, [*before, (name, small)])


def _folded(steps, model):
    """The steps that are left when the last ones are folded into the model, and that model."""
    steps = list(steps)
    while steps:
        name, step = steps[-1]
        if isinstance(step, Pipeline):
            left, model = _folded(step.steps, model)
            if left:
                if len(left) < len(step.steps):
                    steps[-1] = name, _with_steps(step, left)
                break
        elif step not in (None, "passthrough"):
            scaled = _with_scaler(model, step)
            if scaled is None:
                break
            model = scaled
        steps.pop()
    return steps, model


def _with_steps(pipeline, steps):
    return Pipeline(**pipeline.get_params(deep=False) | {"steps": steps})


def freeze(estimator, dtype=None):
    """Compact model of a fitted PrunedMLPClassifier; what its method `compact` does.

    Parameters
    ----------
    estimator : PrunedMLPClassifier
        Fitted.
    dtype : {"float64", "float32", "float16", "int8"}, default=None
        As for `compact`.

    Returns
    -------
    CompactMLPClassifier
    """
    model = CompactMLPClassifier()
    model.activation_ = estimator.activation
    model.classes_ = estimator.classes_.copy()
    model.n_features_in_ = estimator.n_features_in_
    if hasattr(estimator, "feature_names_in_"):
        model.feature_names_in_ = estimator.feature_names_in_.copy()
    if hasattr(estimator, "_sklearn_output_config"):
        model._sklearn_output_config = estimator._sklearn_output_config.copy()
    model._input_scale = None
    model._prefix = type(estimator).__name__.lower()
    model.transform_layer_ = estimator._shown_depth
    model.projection_ = model.projection_offset_ = None
    components = estimator._components
    if components is None and estimator.n_components is not None:
        # An estimator made from another one's weights has learned none: it cannot transform either.
        model.transform_layer_ = None
    if components is not None:
        model.projection_ = np.ascontiguousarray(components.components.T)
        model.projection_offset_ = -components.components @ components.mean
    model.intercepts_ = estimator.intercepts_
    model._set_weights(estimator.coefs_, dtype or estimator.coefs_[0].dtype.name)
    return model


def _with_scaler(model, scaler):
    """Model that scales its input itself, or None where that would not be the same."""
    if (known := shift_and_scale(scaler)) is None:
        return None
    mean, scale = known
    dtype = model.coefs_[0].dtype
    # Outside of these, products with the weights could leave the range of the type.
    smallest = np.sqrt(np.finfo(dtype).tiny)
    in_range = ((scale > smallest) & (scale < 1 / smallest)).all()
    if not in_range or np.abs(mean / scale).max(initial=0) > LARGEST_FOLDED_MEAN[dtype]:
        return None
    folded = copy(model)
    folded._input_scale = (1 / scale).astype(dtype)
    if model._input_scale is not None:
        folded._input_scale *= model._input_scale
    if model.storage_ in LOSSY:
        folded._unpack(model._packed())
    else:
        first = (model.coefs_[0] / scale[:, None]).astype(dtype)
        folded._use([first, *model.coefs_[1:]])
    weights = folded.coefs_[0]
    folded.intercepts_[0] = (model.intercepts_[0] - mean @ weights.astype(np.float64)).astype(dtype)
    if not all(np.isfinite(a).all() for a in (weights, folded.intercepts_[0], folded._input_scale)):
        return None
    folded.__dict__.pop("feature_names_in_", None)
    if hasattr(scaler, "feature_names_in_"):
        folded.feature_names_in_ = scaler.feature_names_in_
    return folded
