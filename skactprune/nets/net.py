"""The skorch nets that the estimators hold in ``net_``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from skorch import NeuralNet, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import BatchScoring, Callback, EarlyStopping, EpochScoring, LRScheduler

from skactprune.nets.explicit import ExplicitStep
from skactprune.nets.results import Settled
from skactprune.nets.steps import step_of
from skactprune.nets.subnormal import flush_subnormals
from skactprune.nets.threads import one_torch_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from skactprune.nets.batches import Batch
    from skactprune.nets.mlp import MLP
    from skactprune.nets.results import StepResult
    from skactprune.nets.steps import Step
    from skactprune.nets.tally import Tally


class LeanLoop(NeuralNet):
    """Training loop of skorch nets for `MLP`, whose L2 penalty is scikit-learn's.

    Callbacks are only told of batches if they listen, and there is no closure for optimizers that
    want one. The history holds batches where a callback of others hears of them, and only of the
    last epoch; elsewhere one entry stands for all of them.

    Parameters
    ----------
    alpha : float, default=0.0
        Adds ½ alpha ‖W‖² / Σ w, weights only and w the sample weights of the batch, to the loss
        of every batch.
    weight_decay : float, default=0.0
        Decoupled weight decay: before every step, weights lose this share of themselves times the
        learning rate.
    **kwargs
        As for the class of skorch that it is combined with.

    Attributes
    ----------
    epoch_loss_ : float
        Mean loss of the batches of the last training epoch, weighted by their rows; the penalty
        in it is taken at the end of the epoch.
    stopping_ : str or None
        Why training is to end. A callback that sets it ends the training with the epoch, after
        all callbacks were told of the end of the epoch.
    """

    module_: MLP
    stopping_: str | None = None
    # False for a net, or a class of nets, that is to be trained by autograd in any case.
    explicit_steps = True
    step_: Step | None = None
    # Tallies of who fires in the hidden layers, for callbacks that have such a method.
    tallies_: Sequence[list[Tally]] = ()

    def __init__(
        self, *args: Any, alpha: float = 0.0, weight_decay: float = 0.0, **kwargs: Any
    ) -> None:
        self.alpha = alpha
        self.weight_decay = weight_decay
        super().__init__(*args, **kwargs)

    @property
    def _default_callbacks(self) -> list[Any]:
        return []

    @property
    def shrinkage(self) -> float:
        """What is left of a weight after its decay in a step."""
        return max(1.0 - self.weight_decay * self.optimizer_.param_groups[0]["lr"], 0.0)

    def set_training_mode(self) -> None:
        """Put the modules into training mode."""
        if not self.module_.training:
            self._set_training(True)

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Self:
        """Train as skorch does, until `stopping_` is set or the epochs are over."""
        self.check_data(X, y)
        self.check_training_readiness()
        self.stopping_ = None
        training, validation = self.get_split_datasets(X, y, **fit_params)
        told = {"dataset_train": training, "dataset_valid": validation}
        batches = self.get_iterator(training, training=True)
        held_out = None if validation is None else self.get_iterator(validation, training=False)
        try:
            for _ in range(self.max_epochs if epochs is None else epochs):
                for row in self.history[-1:]:
                    # The last tells those who go back to an epoch which keys there are.
                    row["batches"] = row["batches"][-1:]
                self.notify("on_epoch_begin", **told)
                self.run_single_epoch(batches, True, "train", self.train_step, **fit_params)
                self.run_single_epoch(held_out, False, "valid", self.validation_step, **fit_params)
                self.notify("on_epoch_end", **told)
                if self.stopping_ is not None:
                    break
        finally:
            self.step_, self.tallies_ = None, ()
        return self

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin a row of the history; earlier ones may have been dropped."""
        number = self.history[-1]["epoch"] + 1 if self.history else 1
        super().on_epoch_begin(net, **kwargs)
        self.history.record("epoch", number)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Tell the callbacks; one of skorch's that ends training ends it after all were told."""
        if method_name != "on_epoch_end":
            super().notify(method_name, **kwargs)
            return
        self.on_epoch_end(self, **kwargs)
        for name, callback in self.callbacks_:
            try:
                callback.on_epoch_end(self, **kwargs)
            except KeyboardInterrupt:
                if not isinstance(callback, EarlyStopping):
                    raise
                self.stopping_ = f"The callback {name!r} asked for it."

    def run_single_epoch(
        self,
        iterator: Any,
        training: bool,
        prefix: str,
        step_fn: Callable[..., Any],
        **fit_params: Any,
    ) -> None:
        if not training:
            self._run_validation(iterator, prefix, step_fn, **fit_params)
            return
        begin, end = self._listeners("on_batch_begin"), self._listeners("on_batch_end")
        self.tallies_ = list(filter(None, (each() for each in self._own("tallies"))))
        strangers = [told for told in end if not hasattr(told.__self__, "hold")]
        step = self._step(iterator, begin + end)
        explicit = isinstance(step, ExplicitStep)
        settled = Settled(0.0, 0.0, 0)
        # One for all batches, if nobody hears of each of them.
        self.history.new_batch()
        with one_torch_thread() if explicit else nullcontext():
            for number, batch in enumerate(iterator.in_place() if explicit else iterator):
                if strangers and number:
                    self.history.new_batch()
                for listener in begin:
                    listener(self, batch=batch, training=True)
                if not step.is_current():
                    settled += step.settle()
                    step = self._step(iterator, begin + end)
                self._tell_of(step(batch), batch, end, strangers)
        settled += step.settle()
        penalty = 0.5 * step.squared_norm() * settled.penalty
        flush_subnormals(self.optimizer_)
        self.epoch_loss_ = (settled.loss + penalty) / settled.n_rows
        self.history.record("train_loss", self.epoch_loss_)
        if not strangers:
            self._record_batch(prefix, self.epoch_loss_, settled.n_rows)

    def _tell_of(
        self,
        done: StepResult,
        batch: Batch,
        listeners: list[Callable[..., Any]],
        strangers: list[Callable[..., Any]],
    ) -> None:
        """Tell listeners of a step; its graph, which knows the sizes of now, goes with it."""
        if strangers:
            # They are told by steps that tell the loss.
            loss = done.loss.item()  # type: ignore[union-attr]
            self._record_batch("train", loss, len(batch[0]))
        for listener in listeners:
            listener(
                self,
                batch=batch,
                training=True,
                loss=done.loss,
                y_pred=done.logits,
                pre_activations=done.pre_activations,
            )
        if strangers:
            hold_weights(self)

    def _record_batch(self, prefix: str, loss: float, n_rows: int) -> None:
        self.history.record_batch(f"{prefix}_loss", loss)
        self.history.record_batch(f"{prefix}_batch_size", n_rows)

    def _run_validation(
        self, iterator: Any, prefix: str, step_fn: Callable[..., Any], **fit_params: Any
    ) -> None:
        """Record the loss of the validation rows, where a net has some."""
        super().run_single_epoch(iterator, False, prefix, step_fn, **fit_params)
        if iterator is not None:
            names = [f"{prefix}_loss", f"{prefix}_batch_size"]
            losses, sizes = zip(*self.history[-1, "batches", :, names], strict=True)
            self.history.record(names[0], float(np.average(losses, weights=sizes)))

    def _step(self, iterator: Iterable[Batch], listeners: list[Callable[..., Any]]) -> Step:
        """Step of the coming batches."""
        self.step_ = step_of(
            self, iterator, listeners, self._listeners("on_grad_computed"), self.step_
        )
        return self.step_

    def _listeners(self, hook: str) -> list[Any]:
        silent = getattr(Callback, hook)
        return [
            getattr(callback, hook)
            for _, callback in self.callbacks_
            if getattr(type(callback), hook) != silent and _hears(callback, hook)
        ]

    def _own(self, name: str) -> list[Callable[..., Any]]:
        """Methods of callbacks that skorch does not know."""
        return [
            getattr(callback, name) for _, callback in self.callbacks_ if hasattr(callback, name)
        ]

    def __getstate__(self) -> dict[str, Any]:
        # Nothing but buffers.
        transient = ("step_", "tallies_")
        return {k: v for k, v in super().__getstate__().items() if k not in transient}


def _hears(callback: Any, hook: str) -> bool:
    """Whether a callback wants to hear of a hook in training.

    One with a method `hears` says so itself. Some of skorch's do nothing in most batches.
    """
    if hasattr(callback, "hears"):
        return bool(callback.hears(hook))
    idle = IDLE.get(getattr(getattr(callback, hook), "__func__", None))
    return idle is None or not idle(callback)


# Hooks of skorch by whether they do nothing when they are told of a batch of training.
IDLE: dict[Any, Callable[[Any], bool]] = {
    LRScheduler.on_batch_end: lambda scheduler: scheduler.step_every != "batch",
    EpochScoring.on_batch_end: lambda scoring: not scoring.on_train,
    BatchScoring.on_batch_end: lambda scoring: not scoring.on_train,
}


class MLPNet(LeanLoop, NeuralNetClassifier):
    """skorch classifier for `MLP`; see `LeanLoop` and ``skorch.NeuralNetClassifier``."""


class MultilabelNet(MLPNet):
    """The same for rows that have any number of labels, each with an output of its own."""

    def predict(self, X: Any) -> NDArray[Any]:
        """Which labels rows have.

        Parameters
        ----------
        X : input data
            As for ``skorch.NeuralNet``.

        Returns
        -------
        ndarray of shape (n_samples, n_labels)
            0 or 1.
        """
        return (self.predict_proba(X) > 0.5).astype(np.int64)


class MLPRegressionNet(LeanLoop, NeuralNetRegressor):
    """skorch regressor for `MLP`; see `LeanLoop` and ``skorch.NeuralNetRegressor``."""


def end_training(net: Any, reason: str) -> None:
    """End the training of a skorch net with this epoch.

    Loops of our own read it after all callbacks were told of the epoch; skorch's knows no other
    way than the one its own callbacks take, an interrupt.

    Parameters
    ----------
    net : skorch.NeuralNet
        Net in training.
    reason : str
        Why.
    """
    if isinstance(net, LeanLoop):
        net.stopping_ = reason
    else:
        raise KeyboardInterrupt(reason)


def refuse_silence(net: Any, who: str) -> NoReturn:
    """Raise ValueError for a net that has trained an epoch and told nobody of gradients.

    Parameters
    ----------
    net : skorch.NeuralNet
        Net in training.
    who : str
        Who acts on them, as the user has it.
    """
    raise ValueError(
        f"{who} acts on the gradients of a step, of which {type(net).__name__} does not tell: its "
        "train_step must notify 'on_grad_computed' before the optimizer makes a step, as that of "
        "skorch.NeuralNet does."
    )


def hold_weights(net: Any) -> None:
    """Let callbacks that hold weights at certain values set them again.

    Whoever writes into the weights of a net, other than its optimizer, calls this afterwards.

    Parameters
    ----------
    net : skorch.NeuralNet
        Those of its callbacks that have a method `hold` are asked.
    """
    for _, callback in net.callbacks_:
        if hasattr(callback, "hold"):
            callback.hold()
