"""The skorch net that the estimators hold in ``net_``."""

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.utils import to_device
from torch import nn
from torch.nn import functional as F


class WeightedLogLoss(nn.Module):
    """Cross-entropy of logits, averaged with the sample weights of the batch.

    One output column is the logit of the second of two classes, several are class logits.
    """

    def forward(self, logits, target):
        y, weight = target if isinstance(target, (tuple, list)) else (target, None)
        reduction = "mean" if weight is None else "none"
        if logits.shape[1] == 1:
            loss = F.binary_cross_entropy_with_logits(
                logits.squeeze(1), y.to(logits.dtype), reduction=reduction
            )
        else:
            loss = F.cross_entropy(logits, y, reduction=reduction)
        return loss if weight is None else (loss * weight).sum() / weight.sum()


def class_probabilities(logits):
    """Probabilities of shape (n_samples, n_classes) from the logits of an `MLP`."""
    if logits.shape[1] == 1:
        positive = torch.sigmoid(logits)
        return torch.cat([1.0 - positive, positive], dim=1)
    return torch.softmax(logits, dim=1)


def batch_weight(batch):
    """Sample weights of a batch, or None where every row weighs the same."""
    target = batch[1]
    return target[1] if isinstance(target, (tuple, list)) else None


class MLPNet(NeuralNetClassifier):
    """skorch classifier for `MLP` whose L2 penalty is scikit-learn's and whose loop is lean.

    Batches are not recorded in the history, callbacks are only told of batches if they listen,
    and there is no closure for optimizers that want one.

    Parameters
    ----------
    alpha : float
        Adds ½ alpha ‖W‖² / Σ w, weights only and w the sample weights of the batch, to the loss
        of every batch.
    **kwargs
        As for ``skorch.NeuralNetClassifier``.

    Attributes
    ----------
    epoch_loss_ : float
        Mean loss of the batches of the last training epoch, weighted by their rows; the penalty
        in it is taken at the end of the epoch.
    """

    def __init__(self, *args, alpha=0.0, **kwargs):
        self.alpha = alpha
        super().__init__(*args, **kwargs)

    @property
    def _default_callbacks(self):
        return []

    def _set_training(self, training=True):
        if self.module_.training is not training:
            super()._set_training(training)

    def _listeners(self, hook):
        silent = getattr(Callback, hook)
        return [getattr(cb, hook) for _, cb in self.callbacks_ if getattr(type(cb), hook) != silent]

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        if not training:
            return super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        begin, end = self._listeners("on_batch_begin"), self._listeners("on_batch_end")
        self._grad_listeners = self._listeners("on_grad_computed")
        self._parameters = [p for group in self.optimizer_.param_groups for p in group["params"]]
        weights = [layer.weight for layer in self.module_.layers]
        self._weights = [(weight, weight.detach()) for weight in weights]
        # The one batch of the epoch that callbacks may write into; it is dropped at the end.
        self.history.new_batch()
        loss_sum, penalty_sum, n_rows = 0.0, 0.0, 0
        for batch in iterator:
            rows, weight = len(batch[0]), batch_weight(batch)
            penalty = self.alpha / float(rows if weight is None else weight.sum())
            for listener in begin:
                listener(self, batch=batch, training=True)
            step = self.train_step(batch, penalty)
            loss_sum += rows * step["loss"].item()
            penalty_sum += rows * penalty
            n_rows += rows
            for listener in end:
                listener(self, batch=batch, training=True, **step)
        self.history[-1]["batches"] = []
        with torch.no_grad():
            norm = sum(float(layer.weight.square().sum()) for layer in self.module_.layers)
        self.epoch_loss_ = (loss_sum + 0.5 * norm * penalty_sum) / n_rows
        self.history.record("train_loss", self.epoch_loss_)

    def train_step(self, batch, penalty):
        for parameter in self._parameters:
            parameter.grad = None
        step = self.train_step_single(batch, penalty)
        for listener in self._grad_listeners:
            parameters = self.get_all_learnable_params()
            listener(self, named_parameters=parameters, batch=batch, training=True)
        self.optimizer_.step()
        return step

    def train_step_single(self, batch, penalty):
        self._set_training(True)
        X, target = batch if self.device == "cpu" else to_device(batch, self.device)
        logits = self.module_(X)
        loss = self.criterion_(logits, target)
        loss.backward()
        if penalty:
            for weight, values in self._weights:
                weight.grad.add_(values, alpha=penalty)
        return {"loss": loss, "y_pred": logits}
