"""The skorch net that the estimators hold in ``net_``."""

import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F


class WeightedLogLoss(nn.Module):
    """Cross-entropy of logits, averaged with the sample weights of the batch.

    One output column is the logit of the second of two classes, several are class logits.
    """

    def forward(self, logits, target):
        y, weight = target if isinstance(target, (tuple, list)) else (target, None)
        if logits.shape[1] == 1:
            loss = F.binary_cross_entropy_with_logits(
                logits.squeeze(1), y.to(logits.dtype), reduction="none"
            )
        else:
            loss = F.cross_entropy(logits, y, reduction="none")
        return loss.mean() if weight is None else (loss * weight).sum() / weight.sum()


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
    """skorch classifier whose L2 penalty is scikit-learn's.

    Parameters
    ----------
    alpha : float
        Adds ½ alpha ‖W‖² / Σ w, weights only and w the sample weights of the batch, to the loss
        of every batch. The gradient of it is taken by the optimizer's weight decay, where the
        optimizer has one that means this, and added to the gradient elsewhere.
    **kwargs
        As for ``skorch.NeuralNetClassifier``.
    """

    def __init__(self, *args, alpha=0.0, **kwargs):
        self.alpha = alpha
        super().__init__(*args, **kwargs)

    @property
    def _default_callbacks(self):
        return []

    def initialize_optimizer(self, triggered_directly=None):
        """Give weights and biases parameter groups of their own: only weights decay."""
        kwargs = self.get_params_for("optimizer")
        kwargs.setdefault("lr", self.lr)
        layers = self.module_.layers
        groups = [
            {"params": [layer.weight for layer in layers]},
            {"params": [layer.bias for layer in layers]},
        ]
        self.optimizer_ = self.optimizer(groups, **kwargs)
        self._decays = isinstance(self.optimizer_, (torch.optim.SGD, torch.optim.Adam)) and not (
            isinstance(self.optimizer_, torch.optim.AdamW)
            or self.optimizer_.defaults.get("weight_decay")
        )
        return self

    def _set_training(self, training=True):
        if self.module_.training is not training:
            super()._set_training(training)

    def train_step_single(self, batch, **fit_params):
        weight = batch_weight(batch)
        self.penalty_ = self.alpha / float(len(batch[0]) if weight is None else weight.sum())
        if self._decays:
            self.optimizer_.param_groups[0]["weight_decay"] = self.penalty_
        step = super().train_step_single(batch, **fit_params)
        if self.penalty_ and not self._decays:
            with torch.no_grad():
                for layer in self.module_.layers:
                    layer.weight.grad.add_(layer.weight, alpha=self.penalty_)
        return step
