"""What is trained besides the weights: tensors with an entry for every neuron or every weight."""

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.utils import parametrize

from skactprune.nets.matrices import stored_like
from skactprune.pruning.probes.base import Probe


class Trained(Probe):
    """Tensors that are trained besides the weights, one for every hidden layer; a base class.

    They are leaves of autograd: what a forward pass makes of them, through hooks of the layers,
    and what a penalty asks of them goes into their gradients, and an optimizer of their own makes
    a step after that of the net. Between steps, and in evaluation mode, the layers are those of the
    net that predicts; whatever is drawn is drawn in training mode only.

    Parameters
    ----------
    rate : float
        Learning rate of Adam.
    limit : float, default=inf
        Largest absolute value.

    Attributes
    ----------
    values : list of torch.Tensor of shape (n_out,) or (n_out, n_in)
        The tensors; empty while none is trained.
    """

    def __init__(self, rate, limit=np.inf):
        self.rate, self.limit = rate, limit
        self.values, self._states = [], []
        self._handles, self._generators = [], {}
        self._run = self._optimizer = None

    @property
    def active(self):
        """Whether anything is trained."""
        return bool(self.values)

    @property
    def hears_batches(self):
        """Whether anything is trained."""
        return self.active

    # -- begin and end ----------------------------------------------------------------------

    def attach(self, run):
        """Train on, where anything is trained."""
        self._run = run
        if self.active:
            self._begin(self.values, self._states)

    def start(self, values):
        """Train tensors from now on.

        Parameters
        ----------
        values : list of ndarray of shape (n_out,) or (n_out, n_in)
            What they are in the beginning.
        """
        self._begin([torch.tensor(value) for value in values], [{} for _ in values])

    def stop(self):
        """Train nothing from now on, and forget what was trained."""
        self.detach()
        self.values, self._states, self._optimizer = [], [], None

    def detach(self):
        """Take the hooks away; the tensors stay."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._generators = [], {}

    def _begin(self, values, states):
        """Train tensors with what their optimizer knows of them."""
        self.detach()
        names = {part: name for name, part in self._run.net.module_.named_modules()}
        for layer in self._run.hidden:
            if parametrize.is_parametrized(layer, "weight"):
                raise ValueError(
                    f"method={self._run.label} cannot train {names[layer]!r}: this layer computes "
                    "its weight from other parameters."
                )
        self._set(values, states)
        self._handles = self.hooks(self._run)

    def _set(self, values, states):
        like = [self._like(layer.weight) for layer in self._run.hidden]
        self._states = [
            {k: v.to(at["device"]) if v.shape == value.shape else v for k, v in state.items()}
            for value, state, at in zip(values, states, like, strict=True)
        ]
        self.values = [
            value.detach().clone().to(**at).requires_grad_()
            for value, at in zip(values, like, strict=True)
        ]
        self._optimizer = torch.optim.Adam(self.values, lr=float(self.rate))
        # The same dicts: the optimizer fills them.
        self._optimizer.state.update(zip(self.values, self._states, strict=True))

    @staticmethod
    def _like(weight):
        """Where, and in what, the numbers of a layer are trained: never in a half precision."""
        short = weight.dtype in (torch.float16, torch.bfloat16)
        return {"device": weight.device, "dtype": torch.float32 if short else weight.dtype}

    def hooks(self, run):
        """Register the hooks through which the tensors take part in a forward pass.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        list of torch.utils.hooks.RemovableHandle
        """
        raise NotImplementedError(f"{type(self).__name__} must define hooks(run).")

    def generator(self, device):
        """Generator for draws on a device, seeded by the run when it is first asked for."""
        if device not in self._generators:
            seed = int(self._run.random_state.randint(2**31 - 1))
            self._generators[device] = torch.Generator(device).manual_seed(seed)
        return self._generators[device]

    # -- as a probe -------------------------------------------------------------------------

    @torch.no_grad()
    def end_batch(self, batch, pre_activations):
        """Make a step."""
        if self.active:
            self._optimizer.step()
            self._optimizer.zero_grad()
            for value in self.values:
                value.clamp_(-self.limit, self.limit)

    def arrays(self):
        """Values as arrays of their own, in float64."""
        return [value.detach().double().cpu().numpy().copy() for value in self.values]

    def cut(self, keep):
        """Forget the neurons that have left."""
        if not self.active:
            return
        values, states = [], []
        for value, state, *kept in zip(
            self.values, self._states, keep, [None, *keep[:-1]], strict=True
        ):
            shape = value.shape
            values.append(chosen(value, *kept))
            states.append(
                {k: chosen(v, *kept) if v.shape == shape else v for k, v in state.items()}
            )
        self._set(values, states)

    def state(self):
        """What `load` needs, as arrays."""
        return {
            "values": [value.detach().cpu().numpy().copy() for value in self.values],
            "states": [
                {name: value.cpu().numpy().copy() for name, value in state.items()}
                for state in self._states
            ],
        }

    def load(self, state):
        """Go on where `state` was taken."""
        self.values = [torch.tensor(value) for value in state["values"]]
        self._states = [
            {name: torch.tensor(value) for name, value in of_layer.items()}
            for of_layer in state["states"]
        ]

    def __getstate__(self):
        return vars(self) | {"_run": None, "_handles": [], "_generators": {}, "_optimizer": None}


class Gates(Trained):
    """A gate for every hidden neuron of a chain, by which its output is multiplied.

    Between steps a gate is part of the weights that its neuron feeds: the net predicts as if there
    were none. For a step of training the weights are those without the gates, and gates may be
    drawn.

    Parameters
    ----------
    rate, limit : float
        As for `Trained`.
    predicting : callable
        Gates, a tensor of shape (n_out,), of the values of a layer.
    training : callable
        Gates, of shape (n_rows, n_out) or (n_out,), in a step of training. It gets the values,
        the number of rows and a ``torch.Generator``.
    """

    def __init__(self, predicting, training, rate, limit=np.inf):
        super().__init__(rate, limit)
        self.predicting, self.training = predicting, training
        # Weights that gated neurons feed, without gates, and the gates that the layers have.
        self._fed, self._folded, self._in_step = [], [], False

    def attach(self, run):
        """Raise ValueError where it is not known which layer feeds which."""
        run.require_chain()
        super().attach(run)

    def start(self, values):
        """Train gates from now on; the weights of now are what they multiply."""
        super().start(values)
        self._fed = [layer.weight.detach() for layer in self._run.layers[1:]]
        self._fold()

    def hooks(self, run):
        """Multiply what layers get by gates."""
        return [
            layer.register_forward_pre_hook(_Gating(self, depth))
            for depth, layer in enumerate(run.layers[1:])
        ]

    def multiplied(self, depth, h):
        """Outputs of a hidden layer in training, times its gates."""
        value = self.values[depth]
        return h * self.training(value, len(h), self.generator(value.device)).to(h.dtype)

    def begin_batch(self, batch, weight):
        """Give the layers their weights without the gates."""
        if not self.active:
            return
        self._in_step = True
        for layer, fed, gate in zip(self._run.layers[1:], self._fed, self._folded, strict=True):
            held, gate = layer.weight.detach(), gate.to(layer.weight)
            fed = fed.to(layer.weight.device)
            # What somebody else has written in the meantime has the gate in it.
            found = torch.where((held == fed * gate) | (gate == 0), fed, held / gate)
            layer.weight.data = stored_like(found, held)

    def end_batch(self, batch, pre_activations):
        """Make a step, and give the layers their weights with the gates."""
        super().end_batch(batch, pre_activations)
        self._close()

    def detach(self):
        """Give the layers their weights with the gates, wherever a step was left."""
        super().detach()
        self._close()

    def _close(self):
        if self._in_step:
            self._fed = [layer.weight.detach() for layer in self._run.layers[1:]]
            self._fold()
            self._in_step = False

    @torch.no_grad()
    def _fold(self):
        layers = self._run.layers[1:]
        self._folded = [self.predicting(value) for value in self.values]
        for layer, fed, gate in zip(layers, self._fed, self._folded, strict=True):
            layer.weight.data = stored_like(fed * gate.to(fed), fed)

    def stop(self):
        """Train no gates any more; those of now stay in the weights."""
        super().stop()
        self._fed, self._folded = [], []

    def cut(self, keep):
        """Forget the neurons that have left."""
        if not self.active:
            return
        super().cut(keep)
        self._fed = [
            stored_like(chosen(fed, rows, columns), fed)
            for fed, rows, columns in zip(self._fed, [*keep[1:], None], keep, strict=True)
        ]
        self._folded = [
            chosen(gate, kept, None) for gate, kept in zip(self._folded, keep, strict=True)
        ]

    def state(self):
        """What `load` needs, as arrays."""
        return super().state() | {
            name: [tensor.cpu().numpy().copy() for tensor in tensors]
            for name, tensors in (("fed", self._fed), ("folded", self._folded))
        }

    def load(self, state):
        """Go on where `state` was taken."""
        super().load(state)
        self._fed = [torch.tensor(fed) for fed in state["fed"]]
        self._folded = [torch.tensor(gate) for gate in state["folded"]]


class _Gating:
    """Forward pre-hook of a layer that is fed by gated neurons."""

    def __init__(self, gates, depth):
        self._gates, self._depth = gates, depth

    def __call__(self, layer, inputs):
        if layer.training:
            return (self._gates.multiplied(self._depth, inputs[0]), *inputs[1:])
        return None


class Noise(Trained):
    """Noise of the hidden weights: the logarithm of its variance, for each of them.

    In training, the output of a layer gets noise of the variance that independent noise of its
    weights would give it, given its input: the local reparametrization trick. Biases have none, nor
    has a weight that is pruned.
    """

    def hooks(self, run):
        """Add noise to what the hidden layers put out."""
        return [
            layer.register_forward_hook(_Noising(self, depth))
            for depth, layer in enumerate(run.hidden)
        ]

    def noisy(self, depth, layer, h, z):
        """Output of a hidden layer in training, with noise."""
        value = self.values[depth]
        mask = torch.from_numpy(self._run.masks.current[depth]).to(value.device)
        variance = (value.exp() * mask).reshape(layer.weight.shape).to(h.dtype)
        # A root has no slope at 0.
        deviation = _without_bias(layer, h.square(), variance).clamp_min(1e-16).sqrt()
        drawn = torch.empty_like(z).normal_(generator=self.generator(z.device))
        return z + deviation * drawn


class _Noising:
    """Forward hook of a hidden layer."""

    def __init__(self, noise, depth):
        self._noise, self._depth = noise, depth

    def __call__(self, layer, inputs, z):
        return self._noise.noisy(self._depth, layer, inputs[0], z) if layer.training else None


def _without_bias(layer, h, weight):
    """Output of a linear or convolutional layer with another weight, and without its bias."""
    if weight.dim() == 2:
        return F.linear(h, weight)
    convolution = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[weight.dim()]
    return convolution(h, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)


def chosen(tensor, rows, columns):
    """Rows, and columns of a matrix, of a tensor; bool arrays, or None for all."""
    if rows is not None:
        tensor = tensor[_indices(rows, tensor.device)]
    if columns is not None and tensor.dim() > 1:
        tensor = tensor[:, _indices(columns, tensor.device)]
    return tensor


def _indices(kept, device):
    return torch.from_numpy(np.flatnonzero(kept)).to(device)
