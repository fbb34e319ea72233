"""What a run reads of its net, and what it writes into it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skactprune.nets.arrays import array_of
from skactprune.pruning import surgery
from skactprune.pruning.derivatives import gradients_of_step, mean_gradients, mean_products
from skactprune.pruning.features import let_features_go, telling_features
from skactprune.pruning.output_weights import let_output_weights_go
from skactprune.pruning.requirements import check_own_weights, check_settable_weights, name_of
from skactprune.pruning.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from skactprune.nets.activations import HiddenActivation
    from skactprune.pruning.features import FeatureRefit
    from skactprune.pruning.looks import Sums
    from skactprune.pruning.masks import Masks


class NetAccess(State):
    """A `Run` as methods use it to look at the net, and to change it."""

    # -- what there is ----------------------------------------------------------------------

    def copied_weights(self) -> list[tuple[NDArray[Any], NDArray[Any] | None]]:
        """Copies of weight and bias, or None, of every layer: arrays in the layers' shapes."""
        return [
            (_copy(layer.weight), None if layer.bias is None else _copy(layer.bias))
            for layer in self.layers
        ]

    def nonzero(self) -> Masks:
        """Masks of the hidden weights that are not zero."""
        return self.masks.replaced([weight != 0 for weight in self.weights()[:-1]])

    @property
    def activations(self) -> Sequence[HiddenActivation | None]:
        """What each hidden layer applies to its outputs, None where that is not known."""
        return self.layout.activations(self.net.module_)

    @property
    def factors(self) -> list[tuple[NDArray[Any], NDArray[Any]] | None]:
        """For every hidden layer the two factors of its weights (n_out, n_in), or None."""
        probe = self.probe("Factors")
        if probe is None:
            return [None] * len(self.masks.current)
        return [found and (found.left, found.right) for found in probe.layers]

    def require_own_weights(self) -> None:
        """Raise ValueError for a layer that computes its weight from other parameters."""
        check_own_weights(self)

    def require_settable_weights(self) -> None:
        """Raise ValueError for a layer that cannot be given any weights."""
        check_settable_weights(self)

    def require_chain(self, what: str = "which layer feeds which") -> None:
        """Raise ValueError where the layers are no chain, of which it is known `what` is needed."""
        self.layout.require_chain(self.label, self.net.module_, what)

    @torch.no_grad()
    def forward(self, X: Any) -> list[torch.Tensor]:
        """Forward pass of a batch in evaluation mode.

        Parameters
        ----------
        X : tensor or array of shape (batch_size, ...)
            Rows.

        Returns
        -------
        list of torch.Tensor of shape (n_rows, n_out)
            Pre-activations of the hidden layers, or what has their signs; empty where the net does
            not give them and probes hear them through hooks.
        """
        self.net.module_.eval()
        return self.layout.forward(self, X)

    @torch.no_grad()
    def outputs(self, X: Any) -> list[NDArray[Any]]:
        """Outputs of the hidden layers for a batch, in evaluation mode.

        Parameters
        ----------
        X : tensor or array of shape (batch_size, ...)
            Rows.

        Returns
        -------
        list of ndarray of shape (n_rows, n_out)
            Where the layers are no chain, of which it is not known what is applied to their
            outputs, these are the pre-activations where they are positive, and 0 elsewhere; each
            position of a channel of a convolution has a row.
        """
        self.net.module_.eval()
        return self.layout.outputs(self, X)

    @torch.no_grad()
    def responses(self, X: Any) -> NDArray[Any]:
        """What the output layer reads of a batch, in evaluation mode.

        Parameters
        ----------
        X : tensor or array of shape (batch_size, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_rows, n_in)
        """
        self.net.module_.eval()
        return self.layout.responses(self, X)

    def importances(
        self, last: NDArray[Any], kept: Callable[[int, NDArray[Any]], NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Importances of the hidden neurons, propagated back by the absolute values of weights.

        Parameters
        ----------
        last : ndarray of shape (n_in,)
            Importances of what the output layer reads.
        kept : callable
            ``kept(depth, importances)`` gives those that a hidden layer hands on.

        Returns
        -------
        list of ndarray of shape (n_out,)
            One for every hidden layer.

        Raises
        ------
        ValueError
            In modules that are no chain, where nothing gets from inputs to outputs.
        """
        with self._naming_method():
            return self.layout.importances(self, last, kept)

    @torch.no_grad()
    def input_sums(self, X: Any, row_weight: NDArray[Any]) -> list[Sums]:
        """Sums over a batch of what the hidden weights read, in evaluation mode.

        Parameters
        ----------
        X : tensor or array of shape (batch_size, ...)
            Rows.
        row_weight : ndarray of shape (batch_size,)
            Their weights.

        Returns
        -------
        list of (ndarray, ndarray, float)
            For each hidden layer the sums of its inputs and of their squares, of shape (n_in,) or
            (n_out, n_in), and that of the weights of all rows (and positions).
        """
        self.net.module_.eval()
        return self.layout.input_sums(self, X, row_weight)

    @torch.no_grad()
    def outgoing(self, rates: list[NDArray[Any]], n_rows: int) -> list[NDArray[np.float64]]:
        """Outgoing weights of the hidden neurons, each times the gain of where it goes.

        Parameters
        ----------
        rates : list of ndarray of shape (n_out,)
            Firing rates of the hidden layers.
        n_rows : int
            Rows that are looked at where the layers are no chain: there, what stands for outgoing
            weights comes from the slopes of the outputs.

        Returns
        -------
        list of ndarray of shape (n_next, n_out)
            One for every hidden layer, in float64; the squared norm of a column is the mean squared
            gain of the output of a neuron.
        """
        self.net.module_.eval()
        return self.layout.outgoing(self, rates, n_rows)

    def gradients(self, rows: NDArray[np.int64], output: bool = False) -> list[NDArray[Any]]:
        """Gradient of the mean loss of training rows in the hidden weights, in evaluation mode.

        Rows of a `TrainingData` count with their weights. Weights that are not trained have a
        gradient, too; those that the loss does not depend on have one of zero.

        Parameters
        ----------
        rows : int ndarray of shape (n_rows,)
            Which rows of ``run.rows.training``; they are taken in batches of the net's size.
        output : bool, default=False
            Whether to give that in the weights of the output layer, too.

        Returns
        -------
        list of ndarray of shape (n_out, n_in)
            One for every hidden layer, and for the output layer last where that is asked for, in
            the dtype of the weights.
        """
        return mean_gradients(self, rows, self.layers if output else self.hidden)

    def hessian_products(
        self, rows: NDArray[np.int64], vectors: list[NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Hessian of the loss of `gradients`, times a vector.

        Parameters
        ----------
        rows : int ndarray of shape (n_rows,)
            Which rows of ``run.rows.training``.
        vectors : list of ndarray of shape (n_out, n_in)
            Parts of the vector, one for every hidden layer, or for the output layer last, too.

        Returns
        -------
        list of ndarray of shape (n_out, n_in)
            Parts of the product, for as many layers: the Hessian is that in their weights.

        Raises
        ------
        ValueError
            Where torch has no second derivative of something in the module.
        """
        return mean_products(self, rows, vectors)

    def flows(self) -> list[NDArray[Any]]:
        """What flows through every hidden weight from a row of ones, by absolute values of weights.

        Returns
        -------
        list of ndarray of shape (n_out, n_in)
            One for every hidden layer, up to a factor that is the same for all; see
            `skactprune.pruning.flows`.

        Raises
        ------
        ValueError
            In modules that are no chain, where nothing gets from inputs to outputs.
        """
        with self._naming_method():
            return self.layout.flows(self.net, self.rows.training, self.fit_params)

    @contextmanager
    def _naming_method(self) -> Iterator[None]:
        """Let errors about the module name the method."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"method={self.label} cannot be used: {error}") from error

    def step_gradients(self) -> list[torch.Tensor]:
        """Gradients of the current step, after the backward pass: tensors (n_out, n_in).

        Those of masked weights are there, too. In the nets of this package the L2 penalty is in
        them. Where a layer is not trained they are zero.

        Raises
        ------
        ValueError
            For a layer that computes its weight from other parameters: it has no such gradient.
        """
        return gradients_of_step(self)

    @property
    def shrinkage(self) -> float:
        """What the coming step leaves of a weight by decoupled decay, if it is not the optimizer's.

        In `Method.on_gradient`, the weights of the layers have shrunk already.
        """
        return getattr(self.net, "shrinkage", 1.0)

    # -- what may be done -------------------------------------------------------------------

    def drop_features(self, gone: NDArray[np.bool_], refit: FeatureRefit | None = None) -> None:
        """Let features go for good: no weight reads them any more.

        What is left of the net puts out, for any row, what it did where these features were at
        their mean, unless others take over. It is done entirely, or not at all.

        Parameters
        ----------
        gone : bool ndarray of shape (n_features,)
            Features that leave, or have left and may have weights again.
        refit : callable, optional
            ``refit(gone, weight)`` says how the others take over: it gets the weights of the first
            layer in float64, of shape (n_out, n_features), and returns new ones, zero for `gone`,
            and what is to be added to the biases. Only weights that are left are heeded.
        """
        let_features_go(self, gone, refit)

    def prune_output(self, masks: Masks) -> None:
        """Remove the smallest weights of the output layer, as many as this round is to.

        Where that is done already, and outside rounds, nothing is. It is done at the end of every
        round in any case; a method that gives weights other values in it calls this before.

        Parameters
        ----------
        masks : Masks
            What is left of the hidden weights. The weights of neurons that have none leave first;
            every other neuron of the last layer keeps at least its largest.
        """
        let_output_weights_go(self, masks)

    def telling_features(self) -> NDArray[np.bool_]:
        """Which features are read and vary, a bool ndarray of shape (n_features,)."""
        return telling_features(self)

    def restore(self, weights: list[tuple[NDArray[Any], NDArray[Any] | None]]) -> None:
        """Give all layers these weights and biases, as `copied_weights` gave them.

        Weights of the output layer that have left stay zero.
        """
        layers = self.layers
        with self.transaction(), torch.no_grad():
            values = [
                torch.tensor(weight).to(layer.weight)
                for layer, (weight, _) in zip(layers, weights, strict=True)
            ]
            if self.masks.output is not None:
                values[-1] *= torch.from_numpy(self.masks.output).to(values[-1].device)
            names = [name_of(layer, self.net.module_) for layer in layers]
            surgery.replace(layers, surgery.optimizers_of(self.net), values, names=names)
            for layer, (_, bias) in zip(layers, weights, strict=True):
                if bias is not None and layer.bias is not None:
                    layer.bias.data = torch.tensor(bias).to(layer.bias)

    def redraw(self, random_state: np.random.RandomState | None = None) -> None:
        """Draw all weights and biases anew, as of a new net of the sizes of now.

        Masked weights are zero, and the optimizer starts anew. Only where layers are a chain.

        Parameters
        ----------
        random_state : numpy.random.RandomState, default=None
            Draws them; None is that of the run.
        """
        self.require_chain()
        with self.transaction():
            drawn = list(self.net.module_.drawn(random_state or self.random_state))
            for (weight, _), mask in zip(drawn, self.masks.current, strict=False):
                weight *= mask
            self.restore(drawn)
            self.forget_optimizer()
            self.redrawn_at = self.epoch

    def forget_optimizer(self, masks: list[NDArray[np.bool_]] | None = None) -> None:
        """Let the optimizer start anew, for all weights or, with `masks`, for single ones.

        Parameters
        ----------
        masks : list of bool ndarray of shape (n_out, n_in), default=None
            True for the hidden weights whose moments become zero.
        """
        optimizers = surgery.optimizers_of(self.net)
        if masks is None:
            surgery.forget(optimizers, self.net.module_.parameters())
            return
        kept = [~mask for mask in masks]
        hidden = self.hidden
        surgery.replace(hidden, optimizers, [layer.weight.data for layer in hidden], masks=kept)

    def skip_step(self) -> None:
        """Leave no gradients, so that the coming step of the optimizer changes nothing."""
        for optimizer in surgery.optimizers_of(self.net):
            optimizer.zero_grad()


def _copy(parameter: torch.Tensor) -> NDArray[Any]:
    return np.array(array_of(parameter))
