"""Gates of neurons that are trained."""

import numpy as np
import torch

from skactprune.nets.matrices import stored_like
from skactprune.pruning.probes.trained import Trained, chosen


class Gates(Trained):
    """A gate for every hidden neuron of a chain, by which its output is multiplied.

    Between steps a gate is part of the weights that its neuron feeds: the net predicts as if there
    were none. For a step of training the weights are those without the gates, and gates may be
    drawn.

    Parameters
    ----------
    predicting : callable
        Gates, a tensor of shape (n_out,), of the values of a layer.
    training : callable
        Gates, of shape (n_rows, n_out) or (n_out,), in a step of training. It gets the values,
        the number of rows and a ``torch.Generator``.
    rate : float
        Learning rate of Adam.
    limit : float, default=inf
        Largest absolute value.
    """

    def __init__(self, predicting, training, rate, limit=np.inf):
        super().__init__(rate, limit)
        self.predicting, self.training = predicting, training
        # Weights that gated neurons feed, without gates, which in a step the layers have
        # themselves, and the gates that are in those of the layers.
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
        found = []
        for layer, fed, gate in zip(self._run.layers[1:], self._fed, self._folded, strict=True):
            held, gate = layer.weight.detach(), gate.to(layer.weight)
            fed = fed.to(layer.weight.device)
            # What somebody else has written in the meantime has the gate in it.
            ours = (held == fed * gate) | (gate == 0)
            found.append(stored_like(torch.where(ours, fed, held / gate), held))
        for layer, weight in zip(self._run.layers[1:], found, strict=True):
            layer.weight.data = weight
        self._fed = None

    def end_batch(self, batch, pre_activations):
        """Make a step, and give the layers their weights with the gates."""
        super().end_batch(batch, pre_activations)
        self._close()

    def detach(self):
        """Give the layers their weights with the gates, wherever a step was left."""
        super().detach()
        self._close()

    def _close(self):
        # An interrupt may have come anywhere, here too.
        if self._in_step:
            if self._fed is None:
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
