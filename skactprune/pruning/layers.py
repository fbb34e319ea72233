"""The hidden layers of a net under pruning: what is left of them, and who fired in them."""

import numpy as np
import torch
from torch import nn

from skactprune.nets.mlp import MLP
from skactprune.pruning.activations import ActivationCounter
from skactprune.pruning.compaction import (
    fold_and_mask,
    mask_parameters,
    replace_parameters,
    snapshot,
)
from skactprune.pruning.criteria import LayerState, deviation_of_firing, firing_rate
from skactprune.pruning.features import FeatureMoments
from skactprune.pruning.masks import Masks
from skactprune.pruning.outputs import outgoing_weights, output_moments

PRUNABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def prunable_layers(module):
    """Linear and convolutional layers of a module in order of definition, the output layer last.

    Parameters
    ----------
    module : torch.nn.Module
        Any module.

    Returns
    -------
    list of torch.nn.Module

    Raises
    ------
    ValueError
        If there is no hidden layer; a multi-layer perceptron of this package may have none.
    """
    if isinstance(module, MLP):
        return list(module.layers)
    layers = [part for part in module.modules() if isinstance(part, PRUNABLE)]
    if len(layers) < 2:
        raise ValueError(
            "Pruner needs a module with at least one hidden layer before its output layer; "
            f"{type(module).__name__} has {len(layers)} linear or convolutional layers."
        )
    return layers


class OutputLayerCheck:
    """Watches forward passes, to tell whether the layer taken for the output is called last.

    Parameters
    ----------
    module : torch.nn.Module
        The module, watched until `finish` or `detach`.
    """

    def __init__(self, module):
        self._module, self._called = module, None
        self._handles = [
            layer.register_forward_hook(self._note) for layer in prunable_layers(module)
        ]

    def _note(self, layer, inputs, output):
        self._called = layer

    def detach(self):
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()

    def finish(self):
        """Watch no longer, and raise ValueError if another layer was called last."""
        self.detach()
        defined = prunable_layers(self._module)[-1]
        if self._called not in (None, defined):
            names = {layer: name for name, layer in self._module.named_modules()}
            raise ValueError(
                f"Pruner takes the layer that a module defines last, here {names[defined]!r}, for "
                f"its output layer, but {names[self._called]!r} is called after it. Define the "
                f"output layer of {type(self._module).__name__} last."
            )


class PrunedLayers:
    """Masks, firing counts and weights of the hidden layers of a skorch net, changed together.

    The net is handed to every method instead of being kept, so that a pruner can be pickled.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized net.

    Attributes
    ----------
    masks : Masks
        What is left.
    counter : ActivationCounter
        Counts of the neurons that are still there.
    features : FeatureMoments
        How much the features vary, of the rows that were added so far.
    n_weights : int
        Weights of the whole net before pruning, output layer included.
    """

    def __init__(self, net):
        layers = prunable_layers(net.module_)
        shapes = [tuple(_matrix(layer.weight).shape) for layer in layers[:-1]]
        self.masks = Masks(shapes, chained=isinstance(net.module_, MLP))
        self.counter = ActivationCounter([n_out for n_out, _ in shapes])
        self.features = FeatureMoments()
        self.n_weights = sum(layer.weight.numel() for layer in layers)
        self._last_counts = [np.zeros(n_out) for n_out, _ in shapes]
        self._held = []

    def moments(self, net, dataset, batches):
        """Moments of the outputs of each layer of a chain over these batches of rows."""
        return output_moments(net, prunable_layers(net.module_), dataset, batches)

    def states(self, net, masks, counted, random_state, moments=None):
        """What a criterion may see of each layer, a `LayerState` each."""
        *hidden, output = prunable_layers(net.module_)
        counts = self.counter.counts if counted else [None] * len(hidden)
        seen = self.counter.seen
        deviations = [None] * len(hidden)
        if counted and self.features.deviation is not None:
            firing = map(deviation_of_firing, counts[:-1], seen[:-1])
            deviations = [self.features.deviation, *firing]
        weights = [_matrix(layer.weight).cpu().numpy() for layer in (*hidden, output)]
        covariances = outgoing = [None] * len(hidden)
        if moments is not None:
            covariances = [of_layer.covariance for of_layer in moments]
            outgoing = outgoing_weights(weights, list(map(firing_rate, counts, seen)))
        return [
            LayerState(*of_layer, random_state, covariance, weights_out)
            for *of_layer, covariance, weights_out in zip(
                weights[:-1],
                masks.current,
                counts,
                seen,
                deviations,
                covariances,
                outgoing,
                strict=True,
            )
        ]

    def apply(self, net, masks, cut, moments=None):
        """Mask the weights; where the layers are a chain, fold dead neurons, and `cut` them out.

        With `moments` of the outputs, the neurons that stay take over from those that die.
        """
        layers = prunable_layers(net.module_)
        if not masks.chained:
            mask_parameters(layers, net.optimizer_, masks.current)
            self.masks = masks
            return
        weights, biases, final = fold_and_mask(layers, masks.current, net.module_.activate, moments)
        keep = [mask.any(axis=1) | (not cut) for mask in final]
        last_counts = self._merged_counts()
        replace_parameters(layers, net.optimizer_, weights, biases, final, keep)
        self._last_counts = last_counts
        self.counter.cut(keep)
        self.masks = masks.replaced(final).without(keep)

    def undo(self, net):
        """Function that gives the net and this object back what they hold now."""
        restore = snapshot(prunable_layers(net.module_), net.optimizer_)
        before, counts = dict(vars(self)), (self.counter.totals, self.counter.seen)

        def roll_back():
            restore()
            vars(self).update(before)
            self.counter.totals, self.counter.seen = counts

        return roll_back

    def hold(self, net, held=True):
        """Let `zero_masked` hold the masks of now, or none if not `held`."""
        layers = prunable_layers(net.module_)
        self._held = [
            (layer.weight, torch.from_numpy(mask).to(layer.weight).reshape(layer.weight.shape))
            for layer, mask in zip(layers, self.masks.current, strict=False)
            if held and not mask.all()
        ]

    def zero_masked(self):
        """Set masked weights to zero."""
        if self._held:
            with torch.no_grad():
                for weight, mask in self._held:
                    weight.mul_(mask)

    def nonzero(self, net):
        """Masks of the weights that are not zero."""
        hidden = prunable_layers(net.module_)[:-1]
        return self.masks.replaced([(_matrix(la.weight) != 0).cpu().numpy() for la in hidden])

    def full_counts(self):
        """Firing counts in the original sizes; a removed neuron keeps its last count."""
        dtype = np.float64 if self.counter.weighted else np.int64
        return [count.astype(dtype) for count in self._merged_counts()]

    def state(self):
        """What `load` needs, without torch objects."""
        return {
            "shapes": self.masks.shapes,
            "current": self.masks.current,
            "live": self.masks.live,
            "counts": self._merged_counts(),
            "totals": [total.cpu().numpy() for total in self.counter.totals],
            "seen": self.counter.seen,
            "weighted": self.counter.weighted,
            "features": self.features.state(),
            "n_weights": self.n_weights,
        }

    def load(self, state):
        """Go on where `state` was taken, from a net of the same sizes."""
        masks = Masks(state["shapes"], self.masks.chained)
        masks.current, masks.live = state["current"], state["live"]
        self.masks = masks
        self.n_weights = state["n_weights"]
        self._last_counts = state["counts"]
        self.counter.totals = [torch.tensor(total) for total in state["totals"]]
        self.counter.seen = list(state["seen"])
        self.counter.weighted = state["weighted"]
        self.features.load(state["features"])

    def _merged_counts(self):
        merged = [count.copy() for count in self._last_counts]
        for count, live, total in zip(merged, self.masks.live, self.counter.totals, strict=True):
            count[live] = total.cpu().numpy()
        return merged


def _matrix(weight):
    """Weights as (n_out, n_in), all weights into a channel of a convolution in one row."""
    return weight.detach().reshape(len(weight), -1)
