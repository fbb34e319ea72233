"""Compact models of fitted estimators and pipelines."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skactprune.deploy.base import check_features
from skactprune.deploy.scalers import flat_steps, shift_and_scale, with_steps, without_samplers
from skactprune.deploy.transformer import CompactMLPTransformer
from skactprune.nets.factors import Sparing

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Dtype: TypeAlias = Literal["float64", "float32", "float16", "int8", "codebook"]


def compact(
    model: Any,
    dtype: Dtype | None = None,
    *,
    features: Literal["all", "used"] = "all",
    output: Literal["all", "transform"] = "all",
) -> Any:
    """Small, frozen, torch-free model of a fitted estimator or pipeline.

    Hidden layers whose weights have a low rank are kept, and computed with, as two matrices where
    these are fewer numbers that are not zero.

    Parameters
    ----------
    model : estimator or compact model of this package, Pipeline or TransformedTargetRegressor
        Fitted; a pipeline ends in one of these. The targets of a TransformedTargetRegressor are
        scaled by a StandardScaler or MinMaxScaler, which becomes part of the weights, or not at
        all.
    dtype : {"float64", "float32", "float16", "int8", "codebook"}, default=None
        Type of the weights in pickles and files; None keeps that of the weights. "int8" has a scale
        for each neuron. "codebook" is Deep Compression (Han et al. 2016): weights of a layer that
        are not zero share 64 values, found by k-means, or those that they have if these are 256 at
        most, as after ``method="deep_compression"``; their indices are Huffman-coded. These two and
        "float16" are computed with in float32.
        The method `compression_report` of the result tells how much that changes.
    features : {"all", "used"}, default="all"
        What the rows have that the result takes: all features, or only those that `model`, or the
        last step of the pipeline, uses: the columns of its `get_support`, in the same order, with
        their names. Of a pipeline that needs all steps in front folded in.
    output : {"all", "transform"}, default="all"
        What the result tells of rows: all that `model` does, or what its `transform` does alone.

    Returns
    -------
    compact model or Pipeline
        For a pipeline: a new one with the same steps, not copied, except for the last. A
        StandardScaler or MinMaxScaler (with ``clip=False``) right in front of that, in a nested
        pipeline too, is folded into the weights, and left out, where this is exact: not where
        what is subtracted from a feature is so many times what it is divided by (10 in float32,
        500 in float64) that digits would be lost. With it folded, sparse input is accepted,
        which these scalers refuse. Samplers, such as those of imbalanced-learn, act in fits only
        and are left out.

    Raises
    ------
    TypeError
        If `model` is something else.
    NotFittedError
        If it is not fitted.
    ValueError
        If `dtype` is unknown or too small for the weights, for other `features` or `output`, for
        "used" with a step in front that cannot be folded, and for "transform" without a hidden
        layer.

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
    check_features(features)
    if not (isinstance(output, str) and output in ("all", "transform")):
        raise ValueError(f"output={output!r} must be 'all' or 'transform'.")
    small = _compact(model, dtype)
    if features == "used":
        small = _of_used_features(model, small)
    return small if output == "all" else _transforming(small)


def _transforming(small: Any) -> Any:
    """The compact model of a model without what it predicts."""
    if isinstance(small, Pipeline):
        *before, (name, last) = small.steps
        return with_steps(small, [*before, (name, _transforming(last))])
    small.weights_.check_shows()
    names = getattr(small, "feature_names_in_", None)
    prefix = small.output_prefix_
    model = CompactMLPTransformer.of(small.weights_, output_prefix=prefix, feature_names=names)
    return model.set_output(**getattr(small, "_sklearn_output_config", {}))


def _of_used_features(model: Any, small: Any) -> Any:
    """The compact model of a model, for rows of the features that this uses."""
    *before, (name, last) = flat_steps([("", small)])
    if before:
        raise ValueError(
            "features='used' needs a pipeline whose steps can all be folded into the net; "
            f"{before[-1][0]!r}, a {type(before[-1][1]).__name__}, cannot. Select the columns "
            "before, or take features='all'."
        )
    *_, (_, original) = flat_steps([("", model)])
    reduced = last.with_features(original.get_support(indices=True))
    return with_steps(small, [(name, reduced)]) if isinstance(small, Pipeline) else reduced


def _compact(model: Any, dtype: Dtype | None) -> Any:
    if isinstance(model, TransformedTargetRegressor):
        return _in_unit_of_target(model, dtype, partial(_compact, dtype=None))
    if not isinstance(model, Pipeline):
        if not hasattr(model, "compact"):
            of_search = ": give its best_estimator_" * hasattr(model, "best_estimator_")
            raise TypeError(
                "model must be a fitted estimator of this package, a compact model, a Pipeline "
                "that ends in one, or a TransformedTargetRegressor around one, got "
                f"{type(model).__name__}{of_search}."
            )
        return model.compact(dtype)
    *before, (name, last) = without_samplers(model.steps)
    small = _compact(last, dtype)
    if isinstance(small, Pipeline) and len(small.steps) == 1:
        small = small[-1]
    if not isinstance(small, Pipeline):
        before, small = _folded(before, small)
    return with_steps(model, [*before, (name, small)])


def _in_unit_of_target(
    model: TransformedTargetRegressor, dtype: Dtype | None, compacted: Callable[[Any], Any]
) -> Any:
    """Compact model of a regressor on scaled targets, which predicts targets as they are."""
    check_is_fitted(model)
    given = "func" if model.transformer is None else "transformer"
    known = shift_and_scale(model.transformer_)
    if getattr(model, given) is None:
        known = np.zeros(1), np.ones(1)
    if known is None:
        raise TypeError(
            f"{given}={getattr(model, given)!r} of a TransformedTargetRegressor cannot become part "
            "of the weights; a StandardScaler or MinMaxScaler(clip=False) as transformer can."
        )
    small = compacted(model.regressor_)
    *before, (name, last) = small.steps if isinstance(small, Pipeline) else [("", small)]
    if not hasattr(last, "with_scaled_output"):
        raise TypeError(f"A {type(last).__name__} has no targets that could be scaled.")
    last = last.with_scaled_output(*known, column=_predicts_column(model, last)).compact(dtype)
    return with_steps(small, [*before, (name, last)]) if isinstance(small, Pipeline) else last


def _predicts_column(model: TransformedTargetRegressor, small: Any) -> bool:
    """Whether a single target is predicted as a column, as it was given in fit."""
    return small.n_outputs_ == 1 and getattr(model, "_training_dim", 1) == 2


def compact_low_rank(
    model: Any,
    fraction: float,
    *,
    low: float = 0.5,
    keep: float = 0.5,
    dtype: Dtype | None = None,
) -> Any:
    """Compact model whose hidden layers are two matrices each, of low rank and sparse (SLR).

    The weights of every hidden layer become the product of two factors, by its truncated SVD. The
    inputs and outputs whose mean abs(w) is less keep less of the rank: their rows of the factors
    are zero beyond it. Nothing is trained; ``method="slr"`` does the same in training.

    Parameters
    ----------
    model : estimator or compact model of this package, Pipeline or TransformedTargetRegressor
        As for `compact`, with a hidden layer or more.
    fraction : float
        Share of the hidden weights, zeros counted, that the factors save, in [0, 1).
    low : float, default=0.5
        Share of the inputs, and of the outputs, of a layer that keep less of the rank, in [0, 1].
    keep : float, default=0.5
        Share of the rank that they keep, in [0, 1], but at least 1.
    dtype : {"float64", "float32", "float16", "int8", "codebook"}, default=None
        As for `compact`.

    Returns
    -------
    CompactMLPClassifier, CompactMLPTransformer or Pipeline
        As of `compact`; ``kernel_sizes_`` tells how many numbers the layers are.

    Raises
    ------
    TypeError, NotFittedError
        As of `compact`.
    ValueError
        For numbers out of range, and a `fraction` that cannot be saved.

    References
    ----------
    Swaminathan, Garg, Kannan & Andres, "Sparse low rank factorization for deep neural network
    compression", Neurocomputing 398, 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skactprune import PrunedMLPClassifier, compact_low_rank
    >>> X, y = load_digits(return_X_y=True)
    >>> mlp = PrunedMLPClassifier(prune_fraction=0, max_iter=40, tol=0.1, random_state=0)
    >>> mlp.fit(X / 16, y).compact().kernel_sizes_
    [6400, 1000]
    >>> compact_low_rank(mlp, 0.5).kernel_sizes_
    [3198, 1000]
    """
    if not isinstance(fraction, Real) or not 0 <= fraction < 1:
        raise ValueError(f"fraction={fraction!r} must be a number in [0, 1).")
    for name, value in {"low": low, "keep": keep}.items():
        if not isinstance(value, Real) or not 0 <= value <= 1:
            raise ValueError(f"{name}={value!r} must be a number in [0, 1].")
    of_low_rank = partial(compact_low_rank, fraction=fraction, low=low, keep=keep)
    if isinstance(model, TransformedTargetRegressor):
        return _in_unit_of_target(model, dtype, of_low_rank)
    if isinstance(model, Pipeline):
        *before, (name, last) = without_samplers(model.steps)
        return compact(with_steps(model, [*before, (name, of_low_rank(last))]), dtype)
    small = compact(model)
    if fraction and small.n_layers_ < 3:
        raise ValueError(f"fraction={fraction!r} cannot be saved of a net without hidden layers.")
    weights = small.weights_.of_low_rank(fraction, Sparing(float(low), float(keep)))
    names = getattr(small, "feature_names_in_", None)
    return small.with_weights(weights, names).compact(dtype)


def _folded(steps: list[tuple[str, Any]], model: Any) -> tuple[list[tuple[str, Any]], Any]:
    """The steps that are left when the last ones are folded into the model, and that model."""
    steps = list(steps)
    while steps:
        name, step = steps[-1]
        if isinstance(step, Pipeline):
            left, model = _folded(step.steps, model)
            if left:
                if len(left) < len(step.steps):
                    steps[-1] = name, with_steps(step, left)
                break
        elif step not in (None, "passthrough"):
            scaled = _with_scaler(model, step)
            if scaled is None:
                break
            model = scaled
        steps.pop()
    return steps, model


def _with_scaler(model: Any, scaler: Any) -> Any:
    """Model that scales its input itself, or None where that would not be the same."""
    known = shift_and_scale(scaler)
    weights = (
        None
        if known is None or not model.folds_scalers
        else model.weights_.with_scaled_input(*known)
    )
    if weights is None:
        return None
    return model.with_weights(weights, getattr(scaler, "feature_names_in_", None))
