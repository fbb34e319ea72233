"""What the estimators share: checks, the net they build, their fitted state."""

from copy import deepcopy
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from skactprune._validation import check_rows
from skactprune.estimators._building import (
    check_device,
    check_init_estimator,
    hidden_sizes,
    new_net,
)
from skactprune.estimators._components import HiddenTransformer
from skactprune.estimators._splitting import split_rows
from skactprune.estimators._state import all_or_nothing, dump, load_weights, restore
from skactprune.estimators._training import TrainingControl, new_progress, train
from skactprune.estimators._unlabeled import check_unlabeled
from skactprune.nets.batches import TrainingData
from skactprune.nets.net import batch_weight
from skactprune.pruning.pruner import Pruner
from skactprune.spectra import numerical_rank


class BasePrunedMLP(CallbackSupportMixin, HiddenTransformer, BaseEstimator):
    """Base class of the pruned multi-layer perceptrons; not for direct use."""

    _parameter_constraints: dict = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
        "method": [str, HasMethods(["score", "validated"])],
        "prune_fraction": [Interval(Real, 0, 1, closed="left")],
        "n_prune_rounds": [Interval(Integral, 0, None, closed="left")],
        "trigger": [str, HasMethods(["rounds_due", "stops"])],
        "n_components": [None, Interval(Integral, 1, None, closed="left")],
        "transform_layer": [Integral],
        "solver": [StrOptions({"sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "device": [StrOptions({"cpu", "cuda", "auto"})],
        "net_params": [None, dict],
        "init_estimator": [None, HasMethods(["predict"])],
    }

    # -- fit --------------------------------------------------------------------------------

    @all_or_nothing
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, X_unlabeled=None):
        """Train and prune.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; they should be scaled.
        y : array-like of shape (n_samples,)
            Targets.
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
            (``prune_fraction=0``), nothing is counted.

            `n_unlabeled` must not be the number of rows of `X`: scikit-learn's cross-validation
            takes an argument with as many rows as the data to hold one value a row, and splits
            it with the data.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For parameters or data out of range, the message names them; and for `X_unlabeled`
            with a method that counts nothing.
        """
        return self._fit(X, y, sample_weight, X_unlabeled, incremental=False)

    def _fit(self, X, y, sample_weight, X_unlabeled, incremental):
        check_device(self.device)
        check_init_estimator(self.init_estimator)
        resume = hasattr(self, "net_") and (incremental or self.warm_start)
        n_rows = None if X_unlabeled is None or incremental else _num_samples(X)
        X, y, sample_weight = self._check_fit_input(X, y, sample_weight, resume, incremental)
        if X_unlabeled is not None:
            X_unlabeled = check_unlabeled(self, X_unlabeled, X.dtype, n_rows)
        task = {"estimator": self, "X": X, "y": y}
        if sample_weight is not None:
            task["metadata"] = {"sample_weight": sample_weight}
        on_epoch = self._begin_callbacks(task, incremental)
        if resume:
            self._progress = deepcopy(self._progress)
        else:
            self._rng = _new_random_state(self.random_state)
            self._progress = new_progress()
        pruner = self._new_pruner(X_unlabeled)
        if resume:
            self._check_goes_on()
        net = self._initialized_net(pruner, X.dtype, resume, with_optimizer=incremental)
        rows, validate = self._split(X, y, sample_weight, incremental)
        control = TrainingControl(
            self.get_params(False), pruner, self._progress, validate, on_epoch
        ).initialize()
        net.callbacks_.insert(0, ("control", control))
        net.set_params(
            batch_size=min(200 if self.batch_size == "auto" else self.batch_size, len(rows))
        )
        pruner.prepare(net)
        if resume and not incremental:
            pruner.start_schedule()
        if resume and pruner.pending:
            self._progress.update(
                new_progress()
                | {name: self._progress[name] for name in ("t", "loss_curve", "validation_scores")}
            )
        train(net, rows, control, pruner, 1 if incremental else self.max_iter, not incremental)
        pruner.finalize(net, cut=not incremental)
        net.callbacks_.pop(0)
        pruner.unlabeled = None
        self.n_iter_ = control.n_iter_
        self._store(net, pruner)
        self._fit_components(X, sample_weight)
        if not incremental:
            self._callback_fit_ctx.call_on_fit_task_end(**task, reconstruction_attributes={})
        return self

    def _initialized_net(self, pruner, dtype, resume=False, with_optimizer=False):
        """Net with random weights, those of `init_estimator`, or those of the fitted net."""
        if resume:
            state = dump(self.net_, self._pruner)
            sizes = state["layer_sizes"]
        else:
            state = None
            sizes = [self.n_features_in_, *hidden_sizes(self), self.n_outputs_]
        random = state is None and self.init_estimator is None
        net = new_net(self, sizes, dtype, [("pruner", pruner)], self._rng, draw=random)
        net.initialize()
        if state is not None:
            restore(net, pruner, state, with_optimizer=with_optimizer)
        elif not random:
            load_weights(net, self.init_estimator.coefs_, self.init_estimator.intercepts_)
        return net

    def _check_goes_on(self):
        """Refuse parameters, changed since the last fit, that the fitted net cannot follow."""
        sizes = [mask.shape[1] for mask in self.masks_]
        if hidden_sizes(self) != sizes:
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} must stay {tuple(sizes)} where "
                "the fitted net goes on; use warm_start=False for a new one."
            )
        left = [coef.shape[1] for coef in self.coefs_[:-1]]
        if self.n_components is not None and self.n_components > left[self._transform_depth(left)]:
            raise ValueError(
                f"n_components={self.n_components!r} must be at most "
                f"{left[self._transform_depth(left)]}, the neurons that the fitted net has left."
            )

    def _new_pruner(self, X_unlabeled=None):
        sizes = hidden_sizes(self)
        floors = [1] * len(sizes)
        if sizes:
            depth = self._transform_depth(sizes)
            floors[depth] = self.n_components or 1
            if floors[depth] > sizes[depth]:
                raise ValueError(
                    f"n_components={self.n_components!r} must be at most {sizes[depth]}, the size "
                    f"of hidden layer {depth}, which transform_layer={self.transform_layer!r} "
                    "names."
                )
        elif self.n_components is not None:
            raise ValueError(
                f"n_components={self.n_components!r} needs a hidden layer; "
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} has none."
            )
        return Pruner(
            method=self.method,
            prune_fraction=self.prune_fraction,
            n_prune_rounds=self.n_prune_rounds,
            trigger=self.trigger,
            min_neurons=floors,
            sample_weight=batch_weight,
            random_state=self._rng,
            unlabeled=X_unlabeled,
        )

    def _split(self, X, y, sample_weight, incremental):
        """Rows to train on, and a function that scores a net on the validation rows or None."""
        encoded = self._encode(y)
        if not self.early_stopping:
            return TrainingData(X, encoded, sample_weight), None
        if incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        rows, validation_rows = split_rows(encoded, self.validation_fraction, self._rng)
        weights = [
            None if sample_weight is None else sample_weight[r] for r in (rows, validation_rows)
        ]
        held_out = X[validation_rows], y[validation_rows], weights[1]
        return (
            TrainingData(X[rows], encoded[rows], weights[0]),
            lambda net: self._score_weights(*net.module_.numpy_parameters(), *held_out),
        )

    def _begin_callbacks(self, task, incremental):
        """Function that tells scikit-learn's callbacks of an epoch; True asks to stop."""
        if incremental:
            return lambda net: False
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(**task)

        def report(net):
            epoch = context.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(**task)
            return epoch.call_on_fit_task_end(
                **task,
                reconstruction_attributes=lambda: self._reconstruction_attributes(net),
            )

        return report

    def _reconstruction_attributes(self, net):
        """Enough to predict and transform with the net as it is now."""
        coefs, intercepts = net.module_.numpy_parameters()
        hidden = coefs[:-1]
        return {
            "coefs_": [coef.copy() for coef in coefs],
            "intercepts_": [intercept.copy() for intercept in intercepts],
            "_shown_depth": self._transform_depth(hidden) if hidden else None,
            "_components": None,
        }

    # -- fitted state -----------------------------------------------------------------------

    def _store(self, net, pruner):
        """Set the fitted attributes from the net."""
        self.net_ = net
        self._pruner = pruner
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
        progress, masks = self._progress, pruner.masks_
        self.n_layers_ = len(self.coefs_) + 1
        self.t_ = progress["t"]
        self.loss_curve_ = progress["loss_curve"]
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else None
        self.validation_scores_ = progress["validation_scores"] if self.early_stopping else None
        # Without an epoch after the last round, both are still infinite.
        best_loss, best_score = progress["best_loss"], progress["best_validation_score"]
        known_loss = not self.early_stopping and np.isfinite(best_loss)
        self.best_loss_ = best_loss if known_loss else None
        known_score = self.early_stopping and np.isfinite(best_score)
        self.best_validation_score_ = best_score if known_score else None
        self.masks_ = [mask.T for mask in masks.full()]
        self.live_neurons_ = [
            live[mask.any(axis=1)] for live, mask in zip(masks.live, masks.current, strict=True)
        ]
        self.sparsity_ = masks.sparsity
        used = self.masks_[0].any(axis=1) if self.masks_ else np.ones(self.n_features_in_, bool)
        self.unused_features_ = np.flatnonzero(~used)
        self.activation_counts_ = pruner.activation_counts_
        self.pruning_history_ = pruner.history_
        self._hidden_ranks = None

    @property
    def hidden_ranks_(self):
        """Numerical rank of every hidden weight matrix, computed on first use."""
        check_is_fitted(self)
        if self._hidden_ranks is None:
            self._hidden_ranks = [numerical_rank(coef) for coef in self.coefs_[:-1]]
        return self._hidden_ranks

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coefs_")

    def __copy__(self):
        """Shallow, unlike a pickle: scikit-learn's callbacks get a copy after every epoch."""
        new = type(self).__new__(type(self))
        vars(new).update(vars(self))
        return new

    def __getstate__(self):
        state = super().__getstate__().copy()
        if "net_" in state:
            for name in ("coefs_", "intercepts_", "_pruner"):
                state.pop(name)
            state["net_"] = dump(self.net_, self._pruner)
        return state

    def __setstate__(self, state):
        state = dict(state)
        dumped = state.pop("net_", None)
        super().__setstate__(state)
        if dumped is None:
            return
        pruner = Pruner(
            **dumped["pruner"]["params"], sample_weight=batch_weight, random_state=self._rng
        )
        dtype = dumped["parameters"][0].dtype
        net = new_net(
            self, dumped["layer_sizes"], dtype, [("pruner", pruner)], self._rng, draw=False
        )
        net.initialize()
        restore(net, pruner, dumped, with_optimizer=True)
        self.net_, self._pruner = net, pruner
        self.coefs_, self.intercepts_ = net.module_.numpy_parameters()

    def _load_weights(self, dtype):
        """Become fitted, untrained, with the weights of `init_estimator`."""
        self._rng = _new_random_state(self.random_state)
        self._progress = new_progress()
        pruner = self._new_pruner()
        net = self._initialized_net(pruner, dtype)
        pruner.prepare(net)
        self.n_iter_ = 0
        self._store(net, pruner)
        self._shown_depth = self._transform_depth(self.coefs_[:-1]) if self.masks_ else None
        self._components = None

    def _check_X(self, X):
        return check_rows(self, X, self.coefs_[0].dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = (
            ["float64", "float32"] if self.dtype == "auto" else [self.dtype]
        )
        return tags


def _new_random_state(seed):
    """Generator of a fit; unlike ``check_random_state(None)`` it is never the global one."""
    return seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
