"""Losses and links in torch: what training minimises, and what logits stand for."""

import torch
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
