"""The nets and pruners of the estimators: new ones, and fitted ones that go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from skactprune.estimators._checks import check_n_components, check_starts, hidden_sizes
from skactprune.estimators._fitted import FittedMLP
from skactprune.estimators._pretraining import check_pretrain, pretrained
from skactprune.estimators._progress import new_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    from skactprune._types import CheckedRows
    from skactprune.estimators._task import Net
    from skactprune.nets.batches import TrainingData
    from skactprune.pruning.pruner import Pruner


class MakesNets(FittedMLP):
    """Base class of the estimators, as far as making nets goes."""

    _weight_decay: float

    @property
    def _sizes(self) -> str:
        """What says how wide the hidden layers are, for messages."""
        return f"hidden_layer_sizes={self.hidden_layer_sizes!r}"

    def _floors(self, sizes: list[int]) -> list[int]:
        """Neurons that hidden layers of these sizes keep at least."""
        from skactprune.pruning.layouts import floors_of

        return floors_of([(size, 0) for size in sizes], self.min_neurons)

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

    def _load_weights(self, dtype: DTypeLike) -> None:
        """Become fitted, untrained, with the weights of `init_estimator`."""
        self._rng = new_random_state(self.random_state)
        self._progress = new_progress()
        pruner = self._new_pruner()
        net = self._new_net(pruner, dtype)
        self.n_iter_ = 0
        self._store(net, pruner)
        self._show(len(self.masks_))


def new_random_state(seed: int | np.random.RandomState | None) -> np.random.RandomState:
    """Generator of a fit; unlike ``check_random_state(None)`` it is never the global one."""
    return seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
