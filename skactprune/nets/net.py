"""The skorch nets that the estimators hold in ``net_``."""

from contextlib import nullcontext

from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from skactprune.nets.explicit import ExplicitStep
from skactprune.nets.results import Settled
from skactprune.nets.steps import step_of
from skactprune.nets.threads import one_torch_thread


class LeanLoop:
    """Training loop of skorch nets for `MLP`, whose L2 penalty is scikit-learn's.

    Batches are not recorded in the history, callbacks are only told of batches if they listen,
    and there is no closure for optimizers that want one.

    Parameters
    ----------
    alpha : float, default=0.0
        Adds ½ alpha ‖W‖² / Σ w, weights only and w the sample weights of the batch, to the loss
        of every batch.
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

    stopping_ = None
    # False for a net, or a class of nets, that is to be trained by autograd in any case.
    explicit_steps = True
    step_ = None

    def __init__(self, *args, alpha=0.0, **kwargs):
        self.alpha = alpha
        super().__init__(*args, **kwargs)

    @property
    def _default_callbacks(self):
        return []

    def set_training_mode(self):
        """Put the modules into training mode."""
        if not self.module_.training:
            self._set_training(True)

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
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
                self.notify("on_epoch_begin", **told)
                self.run_single_epoch(batches, True, "train", self.train_step, **fit_params)
                self.run_single_epoch(held_out, False, "valid", self.validation_step, **fit_params)
                self.notify("on_epoch_end", **told)
                if self.stopping_ is not None:
                    break
        finally:
            self.step_ = None
        return self

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if not training:
            return super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        begin, end = self._listeners("on_batch_begin"), self._listeners("on_batch_end")
        strangers = [told for told in end if not hasattr(told.__self__, "hold")]
        # The one batch of the epoch that callbacks may write into; it is dropped at the end.
        self.history.new_batch()
        step = self._step(iterator, begin + end)
        explicit = isinstance(step, ExplicitStep)
        settled = Settled(0.0, 0.0, 0)
        with one_torch_thread() if explicit else nullcontext():
            for batch in iterator.in_place() if explicit else iterator:
                for listener in begin:
                    listener(self, batch=batch, training=True)
                if not step.is_current():
                    settled += step.settle()
                    step = self._step(iterator, begin + end)
                done = step(batch)
                for listener in end:
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
                # The graph of a step knows the sizes that parameters had; those may be cut by now.
                del done
        settled += step.settle()
        self.history[-1]["batches"] = []
        penalty = 0.5 * step.squared_norm() * settled.penalty
        self.epoch_loss_ = (settled.loss + penalty) / settled.n_rows
        self.history.record("train_loss", self.epoch_loss_)

    def _step(self, iterator, listeners):
        """Step of the coming batches."""
        self.step_ = step_of(
            self, iterator, listeners, self._listeners("on_grad_computed"), self.step_
        )
        return self.step_

    def _listeners(self, hook):
        silent = getattr(Callback, hook)
        return [
            getattr(callback, hook)
            for _, callback in self.callbacks_
            if getattr(type(callback), hook) != silent and _hears(callback, hook)
        ]

    def __getstate__(self):
        # Nothing but buffers.
        return {name: value for name, value in super().__getstate__().items() if name != "step_"}


def _hears(callback, hook):
    """Whether a callback wants to hear of a hook; one with a method `hears` says so itself."""
    return callback.hears(hook) if hasattr(callback, "hears") else True


class MLPNet(LeanLoop, NeuralNetClassifier):
    """skorch classifier for `MLP`; see `LeanLoop` and ``skorch.NeuralNetClassifier``."""


def end_training(net, reason):
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


def hold_weights(net):
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
