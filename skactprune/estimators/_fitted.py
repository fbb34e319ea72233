"""What a fitted estimator knows: attributes, pickles, predictions, models to deploy."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skactprune._support import FeatureSupport
from skactprune._transaction import Context, attributes_of
from skactprune._validation import check_fitted, map_checked_rows
from skactprune.estimators._checks import shown_layer
from skactprune.estimators._components import HiddenTransformer
from skactprune.estimators._parameters import MLPParameters
from skactprune.estimators._progress import copied, new_progress
from skactprune.estimators._summary import ShowsSummary
from skactprune.nets.inference import logits_of
from skactprune.pruning.method import know_methods, outside_methods
from skactprune.spectra import numerical_rank

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from skactprune._types import CheckedRows, MatrixLike
    from skactprune.chunks import Chunks
    from skactprune.deploy.weights import CompactWeights
    from skactprune.estimators._progress import Progress
    from skactprune.estimators._task import LabelledRows, Net, Task
    from skactprune.estimators._training import TrainingControl
    from skactprune.pruning.pruner import Pruner


class FittedMLP(ShowsSummary, FeatureSupport, HiddenTransformer, MLPParameters):
    """Base class of the estimators, as far as what they have learned goes."""

    _progress: Progress
    _rng: np.random.RandomState
    # What training goes on from; see `skactprune.estimators._state`.
    _state: dict[str, Any]

    @property
    def _activations(self) -> str | tuple[str, ...]:
        """Activation of all hidden layers, or a tuple of those of each."""
        return self.activation

    @property
    def _task(self) -> Task:
        """What is learned, a `skactprune.estimators._task.Task`."""
        raise NotImplementedError(f"{type(self).__name__} must define _task.")

    def _compacted(self, weights: CompactWeights, **about: Any) -> Any:
        """Compact model around weights, that knows `output_prefix` and `feature_names`."""
        raise NotImplementedError(f"{type(self).__name__} must define _compacted.")

    # -- fitted state -----------------------------------------------------------------------

    def _store(self, net: Net, pruner: Pruner) -> None:
        """Set the fitted attributes from the net."""
        from skactprune.estimators._state import state_of

        net.module__layer_sizes = tuple(
            [net.module_.layers[0].in_features]
            + [layer.out_features for layer in net.module_.layers]
        )
        self.coefs_, self.intercepts_ = net.module_.numpy_parameters()
        if not all(np.isfinite(array).all() for array in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        # Arrays are what is kept: the net can be made from them, and is at hand until then.
        self._state = state_of(net, pruner)
        self._net = net, [*self.coefs_, *self.intercepts_]
        self.n_layers_ = len(self.coefs_) + 1
        self.__dict__.update(self._progress_attributes(self._progress))
        self.__dict__.update(self._pruned_attributes(pruner))
        self.factors_ = _oriented(pruner.run_.factors, self.coefs_)

    def _progress_attributes(self, progress: Progress) -> dict[str, Any]:
        """What training has come to."""
        curve, validates = progress["loss_curve"], self.early_stopping
        # Without an epoch after the last round, both are still infinite.
        best_loss, best_score = progress["best_loss"], progress["best_validation_score"]
        return {
            "t_": progress["t"],
            "loss_curve_": curve,
            "loss_": curve[-1] if curve else None,
            "validation_scores_": progress["validation_scores"] if validates else None,
            "validation_loss_curve_": progress["validation_loss_curve"] if validates else None,
            "best_loss_": best_loss if not validates and np.isfinite(best_loss) else None,
            "best_validation_score_": best_score if validates and np.isfinite(best_score) else None,
        }

    def _pruned_attributes(self, pruner: Pruner) -> dict[str, Any]:
        """What a pruner has done to a net."""
        masks = [mask.T for mask in pruner.masks_.full()]
        used = masks[0].any(axis=1) if masks else np.ones(self.n_features_in_, bool)
        return {
            "masks_": masks,
            # Those in the layers: between calls of partial_fit, neurons that may regrow stay there.
            "live_neurons_": list(pruner.masks_.live),
            "sparsity_": pruner.masks_.sparsity,
            "unused_features_": np.flatnonzero(~used),
            "activation_counts_": pruner.activation_counts_,
            "firing_rates_": pruner.firing_rates_,
            "pruning_history_": pruner.history_,
        }

    @property
    def hidden_ranks_(self) -> list[int]:
        """Numerical rank of every hidden weight matrix, computed on first use."""
        check_is_fitted(self)
        arrays, ranks = vars(self).get("_hidden_ranks", ([], []))
        ours = self.coefs_[:-1]
        if len(arrays) != len(ours) or any(a is not b for a, b in zip(arrays, ours, strict=True)):
            ranks = [numerical_rank(coef) for coef in ours]
            self._hidden_ranks = ours, ranks
        return ranks

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__().copy()
        for derived in ("_net", "_hidden_ranks"):
            state.pop(derived, None)
        if "loss_curve_" in state:
            # Lists that grow in place; those of a copy must be its own.
            progress = state["_progress"] = copied(self._progress)
            state["loss_curve_"] = progress["loss_curve"]
            if self.validation_scores_ is not None:
                state["validation_scores_"] = progress["validation_scores"]
                state["validation_loss_curve_"] = progress["validation_loss_curve"]
        if outside := outside_methods():
            state["outside_methods"] = outside
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Where this goes on in another process, or searches there, names must be known there.
        know_methods(state.get("outside_methods", {}))
        super().__setstate__({k: v for k, v in state.items() if k != "outside_methods"})

    # -- in training ------------------------------------------------------------------------

    def _fitted_attributes(
        self, net: Net, control: TrainingControl, rows: LabelledRows
    ) -> dict[str, Any]:
        """Those that there were if training ended now."""
        told = {"n_iter_": control.n_iter_} | self._pruned_attributes(control.pruner)
        progress = copied(control.settled())
        told |= self._progress_attributes(progress)
        told |= self._reconstruction_attributes(net)
        told |= self._resumption_attributes(net, control.pruner, progress)
        with Context(attributes_of(self)):
            self.__dict__.update(told)
            self._fit_components(*rows)
            return {name: getattr(self, name) for name in told}

    def _reconstruction_attributes(self, net: Net) -> dict[str, Any]:
        """Enough to predict and transform with the net as it is now."""
        coefs, intercepts = net.module_.numpy_parameters()
        hidden = coefs[:-1]
        return {
            "coefs_": [coef.copy() for coef in coefs],
            "intercepts_": [intercept.copy() for intercept in intercepts],
            "_shown_depth": shown_layer(self, len(hidden)) if hidden else None,
            "_components": None,
            "_inverse": None,
            "factors_": [None] * len(hidden),
            "n_layers_": len(coefs) + 1,
        }

    def _resumption_attributes(
        self, net: Net, pruner: Pruner, progress: Progress
    ) -> dict[str, Any]:
        """What training could go on from, apart from this one, which goes on."""
        from skactprune.estimators._state import state_of

        state = state_of(net, pruner)
        params = state["pruner"]["params"]
        return {
            "_state": deepcopy(state, {id(params): params}),
            "_progress": progress,
            "_rng": deepcopy(self._rng),
            "_net": (None, []),
        }

    @property
    def _predictor(self) -> type[FittedMLP]:
        """Class whose objects predict what the net tells."""
        return type(self)

    def _as_of_now(self, pruner: Pruner, net: Net) -> FittedMLP:
        """Estimator that predicts with the net as it is now, in an epoch that has not ended yet."""
        # Not by copy.copy, which takes the state of a pickle.
        now = object.__new__(self._predictor)
        # Rows are arrays here, which have no names; what an earlier fit came to is not of this one.
        others = {
            "_state",
            "_net",
            "feature_names_in_",
            "n_iter_",
            *self._progress_attributes(new_progress()),
        }
        now.__dict__.update({name: v for name, v in vars(self).items() if name not in others})
        now.__dict__.update(self._pruned_attributes(pruner))
        now.__dict__.update(self._reconstruction_attributes(net))
        return now

    # -- predictions ------------------------------------------------------------------------

    def _of_rows(
        self, function: Callable[[CheckedRows], NDArray[Any]], X: MatrixLike | Chunks
    ) -> NDArray[Any]:
        """What `function` returns for rows, which are checked; nor is it called before `fit`."""
        check_fitted(self)
        return map_checked_rows(function, self, X, self.coefs_[0].dtype)

    def _logits(self, X: CheckedRows) -> NDArray[Any]:
        """Logits of rows that are known to be valid."""
        return logits_of(X, self.coefs_, self.intercepts_, self._activations)

    def _predicted(self, X: CheckedRows) -> NDArray[Any]:
        """Predictions for rows that are known to be valid."""
        return self._task.predict(self._logits(X))

    # -- deployment -------------------------------------------------------------------------

    def compact(
        self,
        dtype: Literal["float64", "float32", "float16", "int8", "codebook"] | None = None,
        *,
        features: Literal["all", "used"] = "all",
    ) -> Any:
        """Small, frozen model without torch that predicts the same.

        Parameters
        ----------
        dtype : {"float64", "float32", "float16", "int8", "codebook"}, default=None
            Type of the weights in pickles and files; see :func:`skactprune.compact`.
        features : {"all", "used"}, default="all"
            What the rows of the model have: all features, or those of `get_support` alone.

        Returns
        -------
        CompactMLPClassifier or the like
            Model of the net as it is now.
        """
        from skactprune.deploy.base import check_features
        from skactprune.deploy.weights import CompactWeights

        check_is_fitted(self)
        check_features(features)
        known = not self._lacks_components
        weights = CompactWeights.of(
            self.coefs_,
            self.intercepts_,
            activation=self._activations,
            storage=dtype,
            factors=self.factors_,
            transform_layer=self._shown_depth if known else None,
            components=self._components,
            inverse=self._inverse,
        )
        names = getattr(self, "feature_names_in_", None)
        model = self._compacted(
            weights,
            output_prefix=type(self).__name__.lower(),
            feature_names=None if names is None else names.copy(),
        )
        if features == "used":
            model = model.with_features(self.get_support(indices=True))
        return model.set_output(**getattr(self, "_sklearn_output_config", {}))

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        input_dtype: Literal["float32", "float64"] | None = None,
    ) -> Any:
        """Convert to ONNX; see :func:`skactprune.to_onnx`.

        Parameters
        ----------
        path : str or path-like, default=None
            File to write; None writes none.
        input_dtype : {"float32", "float64"}, default=None
            Type of the input; None takes that of the weights.

        Returns
        -------
        onnx.ModelProto
            The ONNX model.
        """
        from skactprune.deploy.onnx import to_onnx

        return to_onnx(self, path, input_dtype=input_dtype)


def _oriented(
    factors: Iterable[tuple[NDArray[Any], NDArray[Any]] | None], coefs: list[NDArray[Any]]
) -> list[tuple[NDArray[Any], NDArray[Any]] | None]:
    """Factors of weights (n_out, n_in) as those of ``coefs_``, in their type."""
    return [
        pair and tuple(factor.T.astype(coef.dtype) for factor in reversed(pair))
        for pair, coef in zip(factors, coefs, strict=False)
    ]
