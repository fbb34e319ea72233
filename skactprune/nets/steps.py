"""One step of training: from a batch to changed weights."""

from dataclasses import dataclass

import torch
from skorch.utils import to_device

from skactprune.nets.batches import batch_weight


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step has seen.

    Attributes
    ----------
    loss : torch.Tensor of shape ()
        Loss of the batch, without the L2 penalty.
    logits : torch.Tensor of shape (n_rows, n_outputs)
        Output of the net before the step.
    pre_activations : list of torch.Tensor of shape (n_rows, n_out)
        Of every hidden layer, or what has their signs. They are the step's own: whoever wants to
        keep them past the end of the batch copies them.
    penalty : float
        Factor of ½ ‖W‖² in what was minimised: alpha over the weight of the batch.
    """

    loss: torch.Tensor
    logits: torch.Tensor
    pre_activations: list
    penalty: float


class AutogradStep:
    """Forward and backward pass by torch, and a step of the net's optimizer.

    A step is made anew for every epoch, as parameters may change their sizes between epochs.

    Parameters
    ----------
    net : MLPNet
        Initialized net.
    on_gradient : callable
        Called with the batch between the backward pass and the optimizer's step.
    """

    def __init__(self, net, on_gradient):
        self._net, self._on_gradient = net, on_gradient
        groups = net.optimizer_.param_groups
        self._parameters = [p for group in groups for p in group["params"]]
        # Leaves, not ``layer.weight``: that of a parametrized layer is computed from others.
        self._penalized = penalized_parameters(net.module_)

    def __call__(self, batch):
        """Train on a batch, and return a `StepResult`."""
        net = self._net
        for parameter in self._parameters:
            parameter.grad = None
        net.set_training_mode()
        X, target = batch if net.device == "cpu" else to_device(batch, net.device)
        trace = []
        logits = net.module_(X, trace=trace)
        loss = net.criterion_(logits, target)
        loss.backward()
        penalty = self._penalize(batch)
        self._on_gradient(batch)
        net.optimizer_.step()
        return StepResult(loss, logits, trace, penalty)

    def _penalize(self, batch):
        weight = batch_weight(batch)
        penalty = self._net.alpha / float(len(batch[0]) if weight is None else weight.sum())
        if penalty:
            for parameter in self._penalized:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.detach(), alpha=penalty)
        return penalty


def penalized_parameters(module):
    """Trainable parameters of a module that the L2 penalty is taken of: all but vectors."""
    return [p for p in module.parameters() if p.dim() > 1 and p.requires_grad]
