"""What the estimators share: checks, the net they build, their fitted state."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import (
    _check_sample_weight,
    _check_y,
    _num_samples,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skactprune._array_api import as_numpy
from skactprune._support import FeatureSupport
from skactprune._transaction import Context, attributes_of
from skactprune._validation import canonical, check_fitted, map_checked_rows
from skactprune._warnings import warn
from skactprune.chunks import Chunks, checked_chunks, some_rows
from skactprune.estimators._checks import (
    check_init_estimator,
    check_n_components,
    check_starts,
    check_weights,
    hidden_sizes,
    shown_layer,
    weight_decay_of,
)
from skactprune.estimators._components import HiddenTransformer
from skactprune.estimators._outcome import warn_of_collapse
from skactprune.estimators._parameters import MLPParameters
from skactprune.estimators._pretraining import check_pretrain, pretrained
from skactprune.estimators._progress import copied, new_progress, without_best
from skactprune.estimators._summary import ShowsSummary
from skactprune.estimators._tasks import FitTasks
from skactprune.nets.inference import logits_of
from skactprune.pruning.method import know_methods, outside_methods
from skactprune.spectra import numerical_rank

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from skactprune._types import CheckedRows, MatrixLike
    from skactprune.deploy.weights import CompactWeights
    from skactprune.estimators._progress import Progress
    from skactprune.estimators._task import LabelledRows, Net, Task
    from skactprune.estimators._training import TrainingControl
    from skactprune.nets.batches import TrainingData
    from skactprune.pruning.pruner import Pruner


class BasePrunedMLP(
    CallbackSupportMixin, ShowsSummary, FeatureSupport, HiddenTransformer, MLPParameters
):
    """Base class of the pruned multi-layer perceptrons; not for direct use."""

    # What `validate_data` is told of the targets.
    _targets_allowed: dict[str, bool] = {}
    # Name of scikit-learn's class whose weights `init_estimator` may have, and what it knows.
    _starts_from, _of_targets = "MLPClassifier", ("classes_",)
    _progress: Progress
    _rng: np.random.RandomState
    # What training goes on from; see `skactprune.estimators._state`.
    _state: dict[str, Any]
    _weight_decay: float

    @property
    def _activations(self) -> str | tuple[str, ...]:
        """Activation of all hidden layers, or a tuple of those of each."""
        return self.activation

    @property
    def _sizes(self) -> str:
        """What says how wide the hidden layers are, for messages."""
        return f"hidden_layer_sizes={self.hidden_layer_sizes!r}"

    def _floors(self, sizes: list[int]) -> list[int]:
        """Neurons that hidden layers of these sizes keep at least."""
        from skactprune.pruning.layouts import floors_of

        return floors_of([(size, 0) for size in sizes], self.min_neurons)

    # -- fit --------------------------------------------------------------------------------

    @property
    def _task(self) -> Task:
        """What is learned, a `skactprune.estimators._task.Task`."""
        raise NotImplementedError(f"{type(self).__name__} must define _task.")

    @classmethod
    def _from_sklearn(cls, mlp: Any, kind: type[Any], params: dict[str, Any]) -> Self:
        """Estimator with the weights and parameters of one of scikit-learn's."""
        if not isinstance(mlp, kind):
            raise TypeError(f"mlp must be a fitted {kind.__name__}, not {type(mlp).__name__}.")
        check_is_fitted(mlp)
        for name in {"hidden_layer_sizes", "activation", "init_estimator", "pretrain"} & set(
            params
        ):
            raise ValueError(f"{name}={params[name]!r} must be left out: it follows from mlp.")
        shared = {k: v for k, v in mlp.get_params().items() if k in cls._get_param_names()}
        if shared["solver"] == "lbfgs":
            shared["solver"] = "adam"
        est = cls(**{**shared, **params, "init_estimator": FrozenEstimator(deepcopy(mlp))})
        est._take_targets(mlp)
        est.n_outputs_, est.out_activation_ = mlp.n_outputs_, mlp.out_activation_
        est.n_features_in_ = mlp.n_features_in_
        if hasattr(mlp, "feature_names_in_"):
            est.feature_names_in_ = mlp.feature_names_in_
        est._load_weights(mlp.coefs_[0].dtype if est.dtype == "auto" else est.dtype)
        return est

    def _take_targets(self, mlp: Any) -> None:
        """Take over what a fitted estimator of scikit-learn knows of its targets."""
        raise NotImplementedError(f"{type(self).__name__} must define _take_targets.")

    def _check_targets(
        self,
        X: CheckedRows,
        y: Any,
        sample_weight: NDArray[Any] | None,
        resume: bool,
        incremental: bool,
    ) -> tuple[Any, NDArray[Any] | None]:
        """Return targets and weights (or None) of rows that are checked; set what `_task` needs."""
        raise NotImplementedError(f"{type(self).__name__} must define _check_targets.")

    def _compacted(self, weights: CompactWeights, **about: Any) -> Any:
        """Compact model around weights, that knows `output_prefix` and `feature_names`."""
        raise NotImplementedError(f"{type(self).__name__} must define _compacted.")

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_unlabeled: Any,
        incremental: bool,
        validation: Sequence[Any] = (None, None, None),
    ) -> Self:
        """Check what was passed, and train.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Training rows; they should be scaled.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative, in the loss, the firing counts and the covariances
            of "activation_surgeon". Rows of weight 0 are left out.
        X_unlabeled : {array-like, sparse matrix} of shape (n_unlabeled, n_features), default=None
            Rows of the same distribution, scaled as `X`, on which firing is counted instead of
            on the training rows; each weighs 1. Until the last round is done, each epoch is
            followed by a forward pass without dropout over as many of them as there are training
            rows. They come in random order, and in a new one whenever all have been counted.
            ``Ganguli2024(counting="sample")`` and "activation_surgeon" draw their samples from
            them. They are converted to the dtype of `X`; the loss does not see them. Without rounds
            (``prune_fraction=0``), nothing is counted. A `pretrain` that is to be fitted learns
            from them first, of which a method that counts nothing makes no further use.

            `n_unlabeled` must not be the number of rows of `X`: scikit-learn's cross-validation
            takes an argument with as many rows as the data to hold one value a row, and splits
            it with the data.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Rows to validate on, scaled as `X`, two or more; with ``early_stopping=True`` only.
            All rows of `X` are then trained on, and `validation_fraction` is not used. In a
            `Pipeline`, ``transform_input=["X_val"]`` transforms them as `X`. Their number must
            not be that of the rows of `X`, as with `X_unlabeled`.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, not negative.
        """
        check_init_estimator(self.init_estimator, self._starts_from, self._of_targets)
        X, y, sample_weight, X_unlabeled, *validation = as_numpy(
            X, y, sample_weight, X_unlabeled, *validation
        )
        resume = self._resumes(incremental)
        further = [part is not None for part in (X_unlabeled, *validation)]
        n_rows = _num_samples(y) if any(further) and not incremental else None
        X, y, weight = self._check_fit_input(X, y, sample_weight, resume, incremental)
        X_unlabeled = self._checked_unlabeled(X_unlabeled, X.dtype, n_rows)
        held_out = None
        if any(further[1:]):
            held_out = self._checked_validation(validation, y, X.dtype, n_rows)
        return self._train((X, y, weight), held_out, X_unlabeled, incremental, resume)

    def _check_fit_input(
        self, X: Any, y: Any, sample_weight: Any, resume: bool, incremental: bool
    ) -> LabelledRows:
        """Return X, y and the weights (or None) of the rows that count."""
        dtype: Any = (np.float64, np.float32) if self.dtype == "auto" else self.dtype
        if resume and self.dtype == "auto":
            dtype = self.coefs_[0].dtype
        if isinstance(X, Chunks):
            X = checked_chunks(self, X, dtype, reset=not resume)
            y = _check_y(y, estimator=self, **self._targets_allowed)
            check_consistent_length(X, y)
        else:
            how = {"accept_sparse": "csr", "dtype": dtype, "order": "C", "reset": not resume}
            checked = validate_data(self, X, y, **how, **self._targets_allowed)
            X, y = checked if y is not None else (checked, None)
            X = canonical(X)
            # Without targets, rows are their own.
            y = X if y is None else y
        if sample_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=X.dtype, ensure_non_negative=True, copy=True
            )
        y, weight = self._check_targets(X, y, sample_weight, resume, incremental)
        self.n_outputs_, self.out_activation_ = self._task.n_outputs, self._task.out_activation
        if weight is not None:
            check_weights(weight)
        if weight is not None and not weight.all():
            return _some((X, y, weight), np.flatnonzero(weight))
        return X, y, weight

    def _train(
        self,
        rows: LabelledRows,
        held_out: LabelledRows | None,
        X_unlabeled: TrainingData | None,
        incremental: bool,
        resume: bool,
    ) -> Self:
        """Train on checked rows, and set what `fit` sets."""
        from skactprune.estimators._building import check_device
        from skactprune.estimators._validation_score import check_scorer

        check_device(self.device)
        check_scorer(self.scoring)
        if not resume:
            self._rng = _new_random_state(self.random_state)
            self._progress = new_progress()
        self._train_net(rows, held_out, X_unlabeled, incremental, resume)
        if not incremental:
            of_task, (X, y, sample_weight) = self._task, rows

            @np.errstate(over="ignore", invalid="ignore")
            def score() -> float:
                return of_task.score(y, of_task.outcome(self._predicted, X), sample_weight)

            warn_of_collapse(
                self, of_task.score_name, score, lambda: of_task.chance(y, sample_weight)
            )
            if doubt := of_task.doubt(y, sample_weight, score):
                warn(doubt, ConvergenceWarning)
            told = self._told_of_tasks(X, y, sample_weight)
            self._callback_fit_ctx.call_on_fit_task_end(**told, reconstruction_attributes={})
        return self

    def _train_net(
        self,
        rows: LabelledRows,
        held_out: LabelledRows | None,
        X_unlabeled: TrainingData | None,
        incremental: bool,
        resume: bool,
    ) -> None:
        from skorch.helper import predefined_split

        from skactprune.estimators._training import RoundControl, TrainingControl, train
        from skactprune.estimators._validation_score import Validation
        from skactprune.nets.batches import TrainingData
        from skactprune.pruning.progress import start_schedule

        X, y, sample_weight = rows
        pruner = self._new_pruner(X_unlabeled)
        n_rows = X.shape[0] + (self._progress["t"] if incremental else 0)
        self._weight_decay = weight_decay_of(self._plain(), n_rows)
        if resume:
            self._check_goes_on()
            net = self._rebuilt_net(pruner, X.dtype, with_optimizer=incremental)
        else:
            net = self._pretrained_net(pruner, X, sample_weight, X_unlabeled, incremental)
        (X, y, sample_weight), held_out = self._split(rows, held_out, incremental)
        task, validate = self._task, None
        if held_out is not None:
            as_of_now = partial(self._as_of_now, pruner)
            validate = Validation(self, task, as_of_now, self._activations, held_out)
            if len(net.callbacks_) > 1:
                # Callbacks of others look at validation rows as skorch has them.
                net.set_params(train_split=predefined_split(validate.data))
        training = TrainingData(X, task.encode(y), sample_weight)
        params = vars(self._plain())
        batch_size = 200 if params["batch_size"] == "auto" else params["batch_size"]
        net.set_params(batch_size=min(batch_size, len(training)))
        pruner.run_.goes_on = pruner.run_.in_calls = incremental
        if resume and not incremental:
            start_schedule(pruner.run_)
        begun_at = pruner.run_.epoch
        progress = self._progress
        if resume and (pruner.pending or progress["scoring"] != self.scoring):
            progress = without_best(progress)
        progress = progress | {"scoring": self.scoring}
        tasks = FitTasks()
        if not incremental:
            tasks = self._tasks(rows, lambda: self._fitted_attributes(net, control, rows))
        control = TrainingControl(params, pruner, progress, validate, tasks).initialize()
        rounds = RoundControl(control).initialize()
        callbacks = net.callbacks_
        net.callbacks_ = [("control", control), *callbacks, ("rounds", rounds)]
        tasks.begin_fit(min(pruner.n_rounds_left + 1, params["max_iter"]))
        train(net, training, pruner, 1 if incremental else params["max_iter"], not incremental)
        tasks.end_training()
        net.callbacks_ = callbacks
        pruner.unlabeled = None
        # An interrupt may have come before all callbacks were told of the end of an epoch.
        pruner.run_.epoch = begun_at + control.n_iter_
        self.n_iter_, self._progress = control.n_iter_, control.settled()
        self._store(net, pruner)
        self._fit_components(*rows)

    # -- nets -------------------------------------------------------------------------------

    def _pretrained_net(
        self,
        pruner: Pruner,
        X: CheckedRows,
        sample_weight: NDArray[Any] | None,
        X_unlabeled: TrainingData | None,
        incremental: bool,
    ) -> Net:
        """New net, whose first layers begin as `pretrain` has learned them, if it is there."""
        if self.pretrain is None:
            return self._new_net(pruner, X.dtype)
        check_pretrain(self, X, incremental)
        rows = X, sample_weight, None if X_unlabeled is None else X_unlabeled.X
        net = self._new_net(pruner, X.dtype, lambda: pretrained(self.pretrain, *rows, self._rng))
        pruner.run_.unlabeled_served = not isinstance(self.pretrain, FrozenEstimator)
        return net

    def _new_net(
        self,
        pruner: Pruner,
        dtype: DTypeLike,
        first_layers: Callable[[], tuple[list[NDArray[Any]], list[NDArray[Any]]]] | None = None,
    ) -> Net:
        """Net with random weights, or those of `init_estimator`, or first ones of somebody's."""
        from skactprune.estimators._state import load_weights

        sizes = [self.n_features_in_, *hidden_sizes(self), self._task.n_outputs]
        init = self.init_estimator
        if init is not None:
            check_starts(self, "init_estimator")
        net = self._made_net(sizes, dtype, pruner, draw=init is None)
        if init is not None:
            load_weights(net, init.coefs_, init.intercepts_)
        elif first_layers is not None:
            both = zip(first_layers(), net.module_.numpy_parameters(), strict=True)
            load_weights(net, *([*first, *drawn[len(first) :]] for first, drawn in both))
        pruner.prepare(net)
        return net

    def _made_net(self, sizes: list[int], dtype: DTypeLike, pruner: Pruner, draw: bool) -> Net:
        from skactprune.estimators._building import new_net

        params, name = self._plain(), type(self).__name__
        params.activation, params.sizes = self._activations, self._sizes
        callbacks = [("pruner", pruner)]
        about = params, name, self._task, sizes, dtype, callbacks, self._rng
        return new_net(*about, draw=draw, weight_decay=vars(self).get("_weight_decay", 0.0))

    def _rebuilt_net(self, pruner: Pruner, dtype: DTypeLike, with_optimizer: bool) -> Net:
        """Net with the weights of the fitted one, that goes on where it was."""
        from skactprune.estimators._state import load_state, load_weights

        sizes = [self.coefs_[0].shape[0], *(coef.shape[1] for coef in self.coefs_)]
        net = self._made_net(sizes, dtype, pruner, draw=False)
        load_weights(net, self.coefs_, self.intercepts_)
        load_state(net, self._state, with_optimizer=with_optimizer)
        pruner.prepare(net, self._state["pruner"])
        return net

    @property
    def net_(self) -> Net:
        """The trained skorch net, in its compact size; made on first use after unpickling."""
        if not hasattr(self, "_state"):
            raise AttributeError(f"This {type(self).__name__} has no net_: it is not fitted.")
        net, arrays = vars(self).get("_net", (None, []))
        ours = [*self.coefs_, *self.intercepts_]
        # Whoever assigned other arrays gets a net of these.
        if len(arrays) != len(ours) or any(a is not b for a, b in zip(arrays, ours, strict=True)):
            from skactprune.nets.batches import batch_weight
            from skactprune.pruning.pruner import Pruner

            pruner = Pruner(
                **self._state["pruner"]["params"],
                sample_weight=batch_weight,
                random_state=self._rng,
            )
            net = self._rebuilt_net(pruner, self.coefs_[0].dtype, with_optimizer=True)
            self._net = net, ours
        return net

    def _check_goes_on(self) -> None:
        """Refuse parameters, changed since the last fit, that the fitted net cannot follow."""
        sizes = [mask.shape[1] for mask in self.masks_]
        if hidden_sizes(self) != sizes:
            raise ValueError(
                f"{self._sizes} must stay {tuple(sizes)} where "
                "the fitted net goes on; use warm_start=False for a new one."
            )
        in_layers = [mask.shape for mask in self._state["pruner"]["run"]["masks"]["current"]]
        if [coef.T.shape for coef in self.coefs_[:-1]] != in_layers:
            raise ValueError(
                f"coefs_ were assigned in the shapes {[coef.shape for coef in self.coefs_]}; where "
                "training goes on they must have those that they had."
            )
        left = [coef.shape[1] for coef in self.coefs_[:-1]]
        check_n_components(self, left, "neurons that are left")

    def _new_pruner(self, X_unlabeled: TrainingData | None = None) -> Pruner:
        sizes = hidden_sizes(self)
        from skactprune.nets.batches import batch_weight
        from skactprune.pruning.pruner import Pruner

        floors = self._floors(sizes)
        floors = list(map(max, floors, check_n_components(self, sizes, "size")))
        return Pruner(
            method=self.method,
            prune_fraction=self.prune_fraction,
            prune_features=self.prune_features,
            prune_output=self.prune_output,
            n_prune_rounds=self.n_prune_rounds,
            trigger=self.trigger,
            min_neurons=floors,
            sample_weight=batch_weight,
            random_state=self._rng,
            unlabeled=X_unlabeled,
        )

    def _split(
        self, rows: LabelledRows, held_out: LabelledRows | None, incremental: bool
    ) -> tuple[LabelledRows, LabelledRows | None]:
        """Rows, targets and weights to train on, and to validate on: None without early stopping.

        Those that were given to validate on, if any, are these.
        """
        if not self.early_stopping:
            return rows, None
        if incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        if held_out is not None:
            return rows, held_out
        left, aside = self._task.split(rows[1], float(self.validation_fraction), self._rng)
        # In the order in which they can be read from a file.
        aside.sort()
        return _some(rows, left), _some(rows, aside)

    def _told_of_tasks(
        self, X: CheckedRows, y: Any, sample_weight: NDArray[Any] | None
    ) -> dict[str, Any]:
        """What scikit-learn's callbacks are told of a task."""
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        return {"estimator": self, "X": X, "y": None if y is X else y, "metadata": metadata}

    def _tasks(self, rows: LabelledRows, fitted: Callable[[], dict[str, Any]]) -> FitTasks:
        """Tasks of a fit to the rows; for `fitted` see there."""
        told = self._told_of_tasks(*rows)

        def begin(most_rounds: int) -> Any:
            context = self._init_callback_context(max_subtasks=most_rounds)
            return context.call_on_fit_task_begin(**told)

        return FitTasks(begin, told, fitted)

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
    def _predictor(self) -> type[BasePrunedMLP]:
        """Class whose objects predict what the net tells."""
        return type(self)

    def _as_of_now(self, pruner: Pruner, net: Net) -> BasePrunedMLP:
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

    def _load_weights(self, dtype: DTypeLike) -> None:
        """Become fitted, untrained, with the weights of `init_estimator`."""
        self._rng = _new_random_state(self.random_state)
        self._progress = new_progress()
        pruner = self._new_pruner()
        net = self._new_net(pruner, dtype)
        self.n_iter_ = 0
        self._store(net, pruner)
        self._show(len(self.masks_))

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

    def _resumes(self, incremental: bool) -> bool:
        """Whether training is to go on with the fitted net."""
        return hasattr(self, "_state") and (incremental or self.warm_start)

    def _checked_validation(
        self, given: Sequence[Any], y: NDArray[Any], dtype: DTypeLike, n_rows: int | None
    ) -> LabelledRows:
        """Rows, targets and weights to validate on."""
        from skactprune.estimators._further_rows import check_validation

        return check_validation(self, given, partial(self._targets_like, y), dtype, n_rows)

    def _targets_like(self, y: NDArray[Any], y_val: ArrayLike) -> NDArray[Any]:
        """Targets of further rows, checked to be like those of training."""
        found = self._as_targets(_check_y(y_val, **self._targets_allowed, estimator=self))
        if found.shape[1:] != y.shape[1:]:
            raise ValueError(f"It has the shape {found.shape}, which must be like that of y.")
        self._task.check(found, "y_val")
        if y.dtype.kind != "f":
            return found
        with np.errstate(over="ignore"):
            found = found.astype(y.dtype)
        if not np.isfinite(found).all():
            raise ValueError(f"It has values that are too large for {y.dtype}, the type of y.")
        return found

    @staticmethod
    def _as_targets(y: Any) -> NDArray[Any]:
        """Checked targets as an ndarray, of shape (n_samples,) where there is one a row."""
        y = y.toarray() if issparse(y) else y
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _checked_unlabeled(
        self, X_unlabeled: MatrixLike | None, dtype: DTypeLike, n_rows: int | None
    ) -> TrainingData | None:
        """Rows without labels as the net takes them, or None."""
        if X_unlabeled is None:
            return None
        from skactprune.estimators._further_rows import check_unlabeled

        return check_unlabeled(self, X_unlabeled, dtype, n_rows)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = (
            ["float64", "float32"] if self.dtype == "auto" else [self.dtype]
        )
        return tags


def _some(data: LabelledRows, rows: NDArray[np.integer]) -> LabelledRows:
    """Rows, targets and weights, or None, of some rows; targets may be the rows themselves."""
    X, y, weight = data
    some = some_rows(X, rows)
    return some, some if y is X else y[rows], None if weight is None else weight[rows]


def _new_random_state(seed: int | np.random.RandomState | None) -> np.random.RandomState:
    """Generator of a fit; unlike ``check_random_state(None)`` it is never the global one."""
    return seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)


def _oriented(
    factors: Iterable[tuple[NDArray[Any], NDArray[Any]] | None], coefs: list[NDArray[Any]]
) -> list[tuple[NDArray[Any], NDArray[Any]] | None]:
    """Factors of weights (n_out, n_in) as those of ``coefs_``, in their type."""
    return [
        pair and tuple(factor.T.astype(coef.dtype) for factor in reversed(pair))
        for pair, coef in zip(factors, coefs, strict=False)
    ]
