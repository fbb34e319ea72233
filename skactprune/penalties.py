"""Nuclear-norm penalties that a skorch callback adds to training."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints
from skorch.callbacks import Callback

from skactprune.nets.accuracy import accuracy_of
from skactprune.nets.batches import batch_weight
from skactprune.nets.net import LeanLoop, hold_weights, refuse_silence
from skactprune.pruning.passes import PRUNABLE
from skactprune.pruning.surgery import optimizers_of
from skactprune.spectra import singular_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from skactprune.nets.batches import TrainingData

__all__ = ["WeightedNuclearNorm", "weighted_nuclear_norm"]

WEIGHTS: dict[str, Callable[[int], NDArray[np.float64]]] = {
    "linear": lambda n: np.arange(1.0, n + 1.0),
    "uniform": np.ones,
}
CONSTRAINTS = {
    "alpha": [Interval(Real, 0, None, closed="left")],
    "weights": [StrOptions(set(WEIGHTS))],
    "output_layer": ["boolean"],
    "start_accuracy": [Interval(Real, 0, 1, closed="both")],
    "every_n_epochs": [Interval(Integral, 1, None, closed="left")],
    "solver": [StrOptions({"subgradient", "proximal"})],
    "svd_every_n_steps": [Interval(Integral, 1, None, closed="left")],
}
# In rows of the history: the accuracy at which penalties start, and the epoch that had it.
STARTED = "penalties_started"


def weighted_nuclear_norm(W: ArrayLike, weights: Literal["linear", "uniform"] = "linear") -> float:
    """Weighted sum of the singular values of a matrix, or of several.

    Parameters
    ----------
    W : array-like of shape (m, n), or list or tuple of such
        Real, finite matrices in either orientation, such as ``coefs_``.
    weights : {"linear", "uniform"}, default="linear"
        Σ i s_i, with i = 1 for the largest singular value, or Σ s_i.

    Returns
    -------
    norm : float
        Non-negative; the sum over the matrices where there are several.

    Raises
    ------
    ValueError
        If `W` is no such matrix, or `weights` is unknown.

    See Also
    --------
    skactprune.spectra.nuclear_norm : The unweighted norm of one matrix.

    References
    ----------
    T. Ganguli and E. K. P. Chong, Activation-Based Pruning of Neural Networks, Algorithms 17(1),
    48, 2024.

    Examples
    --------
    >>> from skactprune.penalties import weighted_nuclear_norm
    >>> weighted_nuclear_norm([[3.0, 0.0], [0.0, 2.0]])
    7.0
    >>> weighted_nuclear_norm([[3.0, 0.0], [0.0, 2.0]], weights="uniform")
    5.0
    """
    validate_parameter_constraints(CONSTRAINTS, {"weights": weights}, "weighted_nuclear_norm")
    parts: Any = W if isinstance(W, (list, tuple)) else ()
    several = any(np.ndim(part) == 2 for part in parts)
    spectra = [singular_values(part) for part in (parts if several else [W])]
    return float(sum(WEIGHTS[weights](len(s)) @ s for s in spectra))


class WeightedNuclearNorm(Callback):
    """Adds a weighted nuclear norm of the weight matrices to the loss of a skorch net.

    The penalty is alpha Σ_l Σ_i i s_li, where s_l1 >= s_l2 >= ... are the singular values of the
    weights of layer l, so that the smallest are pushed down hardest; or, unweighted, the plain
    nuclear norm. The defaults are those with which the paper compares activation-based pruning.
    Linear and convolutional layers are penalized, the latter as matrices with a row a channel.
    Weights that are frozen or computed from other parameters are left alone, and so are biases.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty (λ in the paper), not negative. The penalty of every batch is the
        same, whatever its size or sample weights. The paper's 1 is strong: at learning rate 0.01,
        one step moves the 100th singular value by 1 with linear weights.
    weights : {"linear", "uniform"}, default="linear"
        Weight i for the i-th largest singular value of a layer, or 1 for all.
    output_layer : bool, default=True
        Whether the last linear or convolutional layer is penalized, too.
    start_accuracy : float, default=0.70
        The penalty waits until an epoch of training reaches this accuracy, in [0, 1]. It is that
        of training's own forward passes, weighted as the loss of `PrunedMLPClassifier` is, and is
        recorded as ``train_acc`` in the net's history. With 0 the penalty is there from the first
        epoch, and targets need not be classes.
    every_n_epochs : int, default=2
        From the epoch after that one, one epoch in so many is penalized, the first included. A
        fit may end in another, in which singular values that were zero grow again.
    solver : {"subgradient", "proximal"}, default="subgradient"
        Add a subgradient of the penalty to that of the loss, or shrink the singular values after
        each step of the optimizer. Only the latter makes singular values zero.
    svd_every_n_steps : int, default=1
        How often singular vectors are computed, counted in steps of the optimizer from the
        beginning of an epoch. With 1 every step is exact. Otherwise "subgradient" uses the
        direction of up to so many steps ago, and "proximal" takes one step so many times as long,
        with the steps that are left over at the end of an epoch as a shorter last one.

    Attributes
    ----------
    active_ : bool
        Whether the current epoch, or the last one of a fit, is penalized.

    Raises
    ------
    ValueError
        When training starts, for parameters outside their range and a net without weights to
        penalize; after the first epoch, for an accuracy to wait for where targets are not class
        labels; and when weights are no longer finite.

    See Also
    --------
    weighted_nuclear_norm : Value of the penalty, for ``alpha=1``.

    Notes
    -----
    Where the singular values are distinct and positive, the derivative of s_i is u_i v_i^T, so
    that of Σ w_i s_i is U diag(w) V^T. It is used in this form, as differentiating through the
    decomposition also differentiates the singular vectors: that divides by differences of squared
    singular values and by singular values, which may be zero, although these terms cancel in the
    sum. Singular values that are zero, up to the rounding of the dtype in which the weights are
    stored, add nothing, which for the plain norm is a choice among the subgradients. A step of
    length t moves s_i by t alpha w_i whatever its size: small ones come to jump about zero.

    The proximal step replaces s_i with max(s_i - t alpha w_i, 0), t the current learning rate of
    the optimizer. Because the weights do not fall where the singular values do, that is the exact
    minimizer of ½ ‖X - W‖_F² / t plus the penalty of X, although the linearly weighted penalty is
    not convex. With momentum or Adam the step is taken apart from their moments, and the same
    alpha counts for less than with "subgradient". Weights masked by a `Pruner` among the net's
    callbacks are set to zero again afterwards.

    Losses that are reported or watched, as by ``tol``, do not contain the penalty.

    References
    ----------
    T. Ganguli and E. K. P. Chong, Activation-Based Pruning of Neural Networks, Algorithms 17(1),
    48, 2024: the penalty. G. A. Watson, Characterization of the subdifferential of some matrix
    norms, Linear Algebra and its Applications 170, 1992: the subgradient. K. Chen, H. Dong and
    K.-S. Chan, Reduced rank regression via adaptive nuclear norm penalization, Biometrika 100(4),
    2013, and S. Gu et al., Weighted nuclear norm minimization with application to image denoising,
    CVPR 2014: the proximal step.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skactprune import PrunedMLPClassifier, WeightedNuclearNorm
    >>> X, y = load_digits(return_X_y=True)
    >>> penalty = WeightedNuclearNorm(0.1, every_n_epochs=1, solver="proximal")
    >>> clf = PrunedMLPClassifier(
    ...     (30,), prune_fraction=0, learning_rate_init=0.01, tol=0.01, random_state=0,
    ...     net_params={"callbacks": [penalty]})
    >>> clf.fit(X / 16, y).hidden_ranks_[0] < 20
    True
    """

    _directions_: list[torch.Tensor]

    def __init__(
        self,
        alpha: float = 1.0,
        weights: Literal["linear", "uniform"] = "linear",
        output_layer: bool = True,
        start_accuracy: float = 0.70,
        every_n_epochs: int = 2,
        solver: Literal["subgradient", "proximal"] = "subgradient",
        svd_every_n_steps: int = 1,
    ) -> None:
        self.alpha = alpha
        self.weights = weights
        self.output_layer = output_layer
        self.start_accuracy = start_accuracy
        self.every_n_epochs = every_n_epochs
        self.solver = solver
        self.svd_every_n_steps = svd_every_n_steps

    # -- skorch's hooks ---------------------------------------------------------------------

    def initialize(self) -> Self:
        """Forget earlier training."""
        # skorch takes attributes without an underscore at the end for parameters.
        self._n_steps_ = 0
        self.active_ = False
        return self

    def on_train_begin(
        self,
        net: Any,
        X: TrainingData | NDArray[Any] | torch.Tensor | None = None,
        y: NDArray[Any] | torch.Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        validate_parameter_constraints(
            CONSTRAINTS, self.get_params(deep=False), type(self).__name__
        )
        weights = self._penalized(net)
        if any(self.alpha > torch.finfo(weight.dtype).max for weight in weights):
            raise ValueError(f"alpha={self.alpha!r} is too large for the dtype of the weights.")
        if not weights:
            raise ValueError(
                f"output_layer={self.output_layer!r} leaves no weights to penalize in "
                f"{type(net.module_).__name__}; it must have trainable linear or convolutional "
                "layers, and hidden ones with output_layer=False."
            )

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        # Numbers of epochs, not of rows: a history that goes on may have lost its first ones.
        begun, row = self._last_before_start(net.history), net.history[-1]
        since = None if begun is None else row["epoch"] - 1 - begun
        self.active_ = bool(self.alpha and since is not None and since % self.every_n_epochs == 0)
        if begun:
            net.history.record(STARTED, (self.start_accuracy, begun))
        self._n_steps_ = 0
        # Explicit steps tell those who hear.
        self._had_gradients_, self._had_batches_ = isinstance(net, LeanLoop), False
        self._accuracy_ = accuracy_of(net)

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        self._had_gradients_ = True
        if self.active_ and self.solver == "subgradient":
            self._add_subgradient(net)

    def on_batch_end(
        self,
        net: Any,
        batch: Any = None,
        training: bool = False,
        y_pred: Any = None,
        **kwargs: Any,
    ) -> None:
        if not training:
            return
        self._had_batches_ = True
        if self.start_accuracy:
            weight = batch_weight(batch) if isinstance(net, LeanLoop) else None
            self._accuracy_.add(y_pred, batch[1], weight)
        if self.active_ and self.solver == "proximal":
            self._n_steps_ += 1
            if self._n_steps_ % self.svd_every_n_steps == 0:
                self._shrink(net, self.svd_every_n_steps)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        deaf = self._had_batches_ and not self._had_gradients_
        if deaf and self.active_ and self.solver == "subgradient":
            refuse_silence(net, f"{type(self).__name__}(solver={self.solver!r})")
        self._take_left_over_steps(net)
        if self.start_accuracy:
            accuracy = self._accuracy_.value
            if np.isnan(accuracy):
                raise ValueError(
                    f"start_accuracy={self.start_accuracy!r} needs integer class labels as "
                    "targets; use start_accuracy=0 for others."
                )
            net.history.record("train_acc", accuracy)

    def on_train_end(
        self,
        net: Any,
        X: TrainingData | NDArray[Any] | torch.Tensor | None = None,
        y: NDArray[Any] | torch.Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        # A callback that ends training with an epoch may do so before this one hears of it.
        self._take_left_over_steps(net)
        # Pickles of the net need no tensors of ours.
        self._directions_ = []

    # -- the penalty ------------------------------------------------------------------------

    def _last_before_start(self, history: Any) -> int | None:
        """Number of the epoch after which some are penalized, if known; 0 before the first.

        It is told by the history, which outlives a pickle.
        """
        if not self.start_accuracy:
            return 0
        for row in history:
            at, epoch = row.get(STARTED, (None, None))
            if at == self.start_accuracy:
                return epoch
            if row.get("train_acc", -1.0) >= self.start_accuracy:
                return row["epoch"]
        return None

    def _penalized(self, net: Any) -> list[torch.Tensor]:
        layers = [part for part in net.module_.modules() if isinstance(part, PRUNABLE)]
        weights = [layer.weight for layer in (layers if self.output_layer else layers[:-1])]
        return [w for w in weights if isinstance(w, torch.nn.Parameter) and w.requires_grad]

    @torch.no_grad()
    def _add_subgradient(self, net: Any) -> None:
        weights = self._penalized(net)
        if self._n_steps_ % self.svd_every_n_steps == 0:
            self._directions_ = [self._subgradient(weight) for weight in weights]
        self._n_steps_ += 1
        for weight, direction in zip(weights, self._directions_, strict=True):
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            weight.grad.add_(direction, alpha=self.alpha)

    def _subgradient(self, weight: torch.Tensor) -> torch.Tensor:
        U, s, Vh = self._svd(weight)
        tolerance = s[0] * max(U.shape[0], Vh.shape[1]) * torch.finfo(weight.dtype).eps
        slope = self._slopes(s) * (s > tolerance)
        return ((U * slope) @ Vh).reshape(weight.shape)

    @torch.no_grad()
    def _shrink(self, net: Any, n_steps: int) -> None:
        """Proximal step after `n_steps` steps of the optimizer."""
        groups = [group for optimizer in optimizers_of(net) for group in optimizer.param_groups]
        rates = {p: group["lr"] for group in groups for p in group["params"]}
        for weight in self._penalized(net):
            U, s, Vh = self._svd(weight)
            threshold = n_steps * float(rates.get(weight, 0.0)) * self.alpha
            left = (s - threshold * self._slopes(s)).clamp(min=0.0)
            weight.copy_(((U * left) @ Vh).reshape(weight.shape))
        hold_weights(net)

    def _take_left_over_steps(self, net: Any) -> None:
        if self._n_steps_ and self.solver == "proximal":
            left_over = self._n_steps_ % self.svd_every_n_steps
            if left_over:
                self._shrink(net, left_over)
        self._n_steps_ = 0

    def _slopes(self, s: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(WEIGHTS[self.weights](len(s))).to(s)

    def _svd(self, weight: torch.Tensor) -> Any:
        matrix = weight.flatten(1)
        try:
            # torch decomposes no half precision.
            return torch.linalg.svd(
                matrix.to(torch.promote_types(matrix.dtype, torch.float32)), full_matrices=False
            )
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            raise ValueError(
                f"alpha={self.alpha!r}: weights of shape {tuple(weight.shape)} have no singular "
                "values, most likely because training diverged and they are not finite. Use a "
                "lower alpha or learning rate, or scale the data."
            ) from error
