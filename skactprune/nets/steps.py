"""One step of training: from a batch to changed weights, and which way is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch.callbacks import GradientNormClipping
from skorch.utils import to_device
from torch import nn
from torch.optim import optimizer as global_optimizer_hooks

from skactprune.chunks import is_table
from skactprune.nets.batches import BatchIterator, TrainingData, batch_weight
from skactprune.nets.explicit import IN_PLACE, ExplicitStep
from skactprune.nets.losses import numpy_loss
from skactprune.nets.mlp import MLP
from skactprune.nets.modest import is_modest
from skactprune.nets.plain import has_hooks
from skactprune.nets.results import Settled, StepResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from skactprune.nets.batches import Batch

    Step: TypeAlias = "AutogradStep | ExplicitStep"


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

    def __init__(self, net: Any, on_gradient: Callable[[Batch], None]) -> None:
        self._net, self._on_gradient = net, on_gradient
        groups = net.optimizer_.param_groups
        self._parameters: list[nn.Parameter] = [p for group in groups for p in group["params"]]
        # Leaves, not ``layer.weight``: that of a parametrized layer is computed from others.
        self._penalized = penalized_parameters(net.module_)
        self._settled = Settled(0.0, 0.0, 0)

    def is_current(self) -> bool:
        """Whether the next step may be taken with this object."""
        return True

    def __call__(self, batch: Batch) -> StepResult:
        """Train on a batch, and return a `StepResult`."""
        net = self._net
        for parameter in self._parameters:
            parameter.grad = None
        net.set_training_mode()
        X, target = batch if net.device == "cpu" else to_device(batch, net.device)
        trace: list[torch.Tensor] = []
        logits = net.module_(X, trace=trace)
        loss = net.criterion_(logits, target)
        loss.backward()
        if net.weight_decay:
            for parameter in self._penalized:
                parameter.detach().mul_(net.shrinkage)
        penalty = self._penalize(batch)
        self._on_gradient(batch)
        net.optimizer_.step()
        for tallies in net.tallies_:
            for tally, z in zip(tallies, trace, strict=True):
                tally.add(z.detach().numpy())
        n_rows = len(batch[0])
        self._settled += Settled(n_rows * loss.item(), n_rows * penalty, n_rows)
        return StepResult(loss, logits, trace)

    def _penalize(self, batch: Batch) -> float:
        weight = batch_weight(batch)
        penalty = self._net.alpha / float(len(batch[0]) if weight is None else weight.sum())
        if penalty:
            for parameter in self._penalized:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.detach(), alpha=penalty)
        return penalty

    @torch.no_grad()
    def squared_norm(self) -> float:
        """Sum of the squares of all weights."""
        return sum(float(p.square().sum()) for p in self._penalized)

    def settle(self) -> Settled:
        """Sums of the losses since the last call, a `Settled`."""
        settled, self._settled = self._settled, Settled(0.0, 0.0, 0)
        return settled


def penalized_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Trainable parameters of a module that the L2 penalty is taken of: all but vectors."""
    return [p for p in module.parameters() if p.dim() > 1 and p.requires_grad]


# -- which way --------------------------------------------------------------------------------


def _is_modest(listener: Callable[..., Any]) -> bool:
    known = getattr(listener, "__func__", None) is GradientNormClipping.on_grad_computed
    return known or is_modest(listener)


def why_autograd(
    net: Any, iterator: Iterable[Batch], listeners: list[Callable[..., Any]]
) -> str | None:
    """Why an epoch needs `AutogradStep`.

    `ExplicitStep` knows our own nets, losses and optimizers as the estimators make them, and
    nobody may listen in who could tell the difference.

    Parameters
    ----------
    net : skactprune.nets.net.LeanLoop
        Initialized net.
    iterator : iterable
        Gives the batches.
    listeners : list of callable
        Hooks of callbacks that are told of batches, of gradients, too.

    Returns
    -------
    str or None
        None where `ExplicitStep` does the same.
    """
    if not all(map(_is_modest, listeners)):
        return "Somebody else listens to the batches."
    module = net.module_
    if type(module) is not MLP or not IN_PLACE.keys() >= set(np.atleast_1d(module.activation)):
        return "The module is not our own."
    layers = list(module.layers)
    # A parametrized layer is of another class.
    if not all(type(layer) is nn.Linear and layer.bias is not None for layer in layers):
        return "A layer is not linear, or has no bias."
    net_ = _Net(net, module, layers)
    return next((reason for reason, holds in REASONS if holds(net_, iterator)), None)


class _Net:
    """What is looked at, got only once: it is looked at before every epoch."""

    def __init__(self, net: Any, module: MLP, layers: list[nn.Linear]) -> None:
        self.modules = (net.criterion_, module, module.layers, *layers)
        self.parameters = [p for layer in layers for p in (layer.weight, layer.bias)]
        self.weight = self.parameters[0]
        self.optimizer, self.criterion = net.optimizer_, net.criterion_
        self.n_inputs, self.n_outputs = layers[0].in_features, layers[-1].out_features
        self.loss = numpy_loss(self.criterion, self.n_outputs)


def _hooks(net: _Net, iterator: Iterable[Batch]) -> bool:
    return has_hooks(net.modules)


def _odd_parameters(net: _Net, iterator: Iterable[Batch]) -> bool:
    dtype = net.weight.dtype
    return dtype not in (torch.float32, torch.float64) or not all(
        p.dtype == dtype and p.is_cpu and p.requires_grad and not _parameter_hooks(p)
        for p in net.parameters
    )


def _parameter_hooks(parameter: torch.Tensor) -> bool:
    names = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return any(getattr(parameter, name, None) for name in names)


def _foreign_loss(net: _Net, iterator: Iterable[Batch]) -> bool:
    return net.loss is None


def _foreign_data(net: _Net, iterator: Iterable[Batch]) -> bool:
    if type(iterator) is not BatchIterator or type(iterator.dataset) is not TrainingData:
        return True
    data = iterator.dataset
    dtype = net.weight.detach().numpy().dtype
    return not (
        is_table(data.X)
        and len(data)
        and data.X.dtype == dtype
        and data.X.shape[1] == net.n_inputs
        and (data.sample_weight is None or data.sample_weight.dtype == dtype)
        and (isinstance(data.y, np.ndarray) or data.y is data.X)
        and net.loss is not None
        and net.loss.fits(data.y, net.n_outputs)
    )


def _foreign_optimizer(net: _Net, iterator: Iterable[Batch]) -> bool:
    optimizer = net.optimizer
    options = OPTIONS.get(type(optimizer))
    if options is None or len(optimizer.param_groups) != 1:
        return True
    group = optimizer.param_groups[0]
    return (
        list(map(id, group["params"])) != list(map(id, net.parameters))
        or any(group.get(name, value) != value for name, value in options.items())
        or any(torch.is_tensor(value) for value in group.values())
        or not _steps_as_its_class(optimizer)
        or _optimizer_hooks(optimizer)
    )


def _steps_as_its_class(optimizer: torch.optim.Optimizer) -> bool:
    """Whether nobody has put another step in place of that of the class.

    A scheduler of learning rates does, to see that steps are taken before its own.
    """
    step = vars(optimizer).get("step")
    return step is None or (
        hasattr(step, "_wrapped_by_lr_sched")
        and getattr(step, "__wrapped__", None) is type(optimizer).step
    )


def _tell_schedulers(optimizer: torch.optim.Optimizer) -> None:
    """Let schedulers of learning rates see a step, which without gradients changes nothing."""
    if "step" in vars(optimizer):
        optimizer.step()


COMMON = {"fused": True, "maximize": False, "differentiable": False, "weight_decay": 0}
OPTIONS = {
    torch.optim.Adam: COMMON | {"amsgrad": False, "capturable": False},
    torch.optim.SGD: COMMON | {"dampening": 0},
}


def _optimizer_hooks(optimizer: torch.optim.Optimizer) -> bool:
    own = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    everyones = ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks")
    return any(vars(optimizer).get(name) for name in own) or any(
        getattr(global_optimizer_hooks, name, None) for name in everyones
    )


def _uneven_steps(net: _Net, iterator: Iterable[Batch]) -> bool:
    if type(net.optimizer) is not torch.optim.Adam:
        return False
    state = net.optimizer.state
    return len({float(state.get(p, {}).get("step", 0)) for p in net.parameters}) > 1


# In this order: the later ones take for granted what the earlier ones look at.
REASONS = (
    ("A module has hooks, or a function of its own.", _hooks),
    ("Parameters are not on the CPU, of one dtype, trainable and without hooks.", _odd_parameters),
    ("The loss is not our own.", _foreign_loss),
    ("The data are not our own, or not of the dtype of the net.", _foreign_data),
    ("The optimizer is not as the estimators make it.", _foreign_optimizer),
    ("Parameters have had different numbers of steps.", _uneven_steps),
)


def step_of(
    net: Any,
    iterator: Iterable[Batch],
    listeners: list[Callable[..., Any]],
    gradient_listeners: list[Callable[..., Any]],
    before: Step | None = None,
) -> Step:
    """Step of the coming batches, a function of a batch that returns a `StepResult`.

    Parameters
    ----------
    net : skactprune.nets.net.LeanLoop
        Initialized net.
    iterator : iterable
        Gives the batches.
    listeners : list of callable
        Hooks of callbacks that are told of batches before and after the step.
    gradient_listeners : list of callable
        Hooks of callbacks that are told of gradients.
    before : AutogradStep or ExplicitStep, default=None
        Step of the batches before, which may go on.

    Returns
    -------
    AutogradStep or ExplicitStep
    """

    def tell(batch: Batch) -> None:
        for listener in gradient_listeners:
            parameters = net.get_all_learnable_params()
            listener(net, named_parameters=parameters, batch=batch, training=True)

    told = [*listeners, *gradient_listeners]
    if not net.explicit_steps or why_autograd(net, iterator, told) is not None:
        return AutogradStep(net, tell)
    if not (isinstance(before, ExplicitStep) and before.belongs_to(net)):
        before = ExplicitStep(net)
    before.begin(bool(listeners), tell if gradient_listeners else None)
    _tell_schedulers(net.optimizer_)
    return before
