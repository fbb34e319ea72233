"""What the estimators share: checks of what is passed, and the fit."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, Self

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
from skactprune._validation import canonical
from skactprune._warnings import warn
from skactprune.chunks import Chunks, checked_chunks, some_rows
from skactprune.estimators._checks import (
    check_init_estimator,
    check_weights,
    weight_decay_of,
)
from skactprune.estimators._nets import MakesNets, new_random_state
from skactprune.estimators._outcome import warn_of_collapse
from skactprune.estimators._progress import new_progress, without_best
from skactprune.estimators._tasks import FitTasks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from skactprune._types import CheckedRows, MatrixLike
    from skactprune.estimators._task import LabelledRows
    from skactprune.nets.batches import TrainingData


class BasePrunedMLP(CallbackSupportMixin, MakesNets):
    """Base class of the pruned multi-layer perceptrons; not for direct use."""

    # What `validate_data` is told of the targets.
    _targets_allowed: dict[str, bool] = {}
    # Name of scikit-learn's class whose weights `init_estimator` may have, and what it knows.
    _starts_from, _of_targets = "MLPClassifier", ("classes_",)

    # -- fit --------------------------------------------------------------------------------

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
            self._rng = new_random_state(self.random_state)
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
