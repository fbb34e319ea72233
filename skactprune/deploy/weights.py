"""What is deployed of a net: a value."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
from scipy.sparse import issparse

from skactprune.deploy.reading import read, shown_width
from skactprune.deploy.storages import get_storage
from skactprune.nets.activations import HiddenActivation, get_activation, per_layer
from skactprune.nets.components import HiddenComponents, LinearInverse
from skactprune.nets.factors import fewest_numbers, n_nonzero
from skactprune.nets.inference import logits_of, shown_representation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from skactprune._types import Kernel
    from skactprune.nets.factors import Sparing

# Folding the mean of a feature loses digits when it is many times its scale away from zero. Up to
# these ratios predictions stay within 1e-5 (float32) and 1e-12 (float64) of the largest logit.
LARGEST_FOLDED_MEAN = {np.dtype(np.float32): 10.0, np.dtype(np.float64): 500.0}


@dataclass(frozen=True, eq=False, repr=False)
class CompactWeights:
    """Everything that a compact model computes with, whatever its task.

    Made by `of` or `from_arrays`. It is not changed: its methods return new ones.

    Attributes
    ----------
    activation : str or tuple of str
        Activation of the hidden layers, or of each of them: names in
        `skactprune.nets.activations.ACTIVATIONS`.
    storage : str
        Type in which weights are kept, a name in `skactprune.deploy.storages.STORAGES`.
    stored : list of dict of str to ndarray
        Matrices of the layers as the storage keeps them: weights, or two factors of them.
    intercepts : list of ndarray of shape (n_out,)
        Biases.
    input_scale : ndarray of shape (n_features,) or None
        What the features are multiplied with in the first weights, if scalers are folded in.
    transform_layer : int, "all" or None
        Index of the hidden layer that `represent` shows, or all of them; None where it shows none.
    components : skactprune.nets.components.HiddenComponents or None
        What `represent` shows of it; None where it shows all neurons.
    inverse : skactprune.nets.components.LinearInverse or None
        What tells rows by what `represent` returns for them, where that is known.
    ranks : tuple of {int, None}
        For each layer the inner dimension of the two factors that its weights are kept as, and
        None where they are kept as they are. Empty where all are.
    matrices : list of ndarray
        Matrices to compute with, those of `stored`. All floating arrays have their type.
    kernels : list of {ndarray of shape (n_in, n_out), (ndarray, ndarray)}
        The same for each layer: weights, or two factors.
    """

    activation: str | tuple[str, ...]
    storage: str
    stored: list[dict[str, NDArray[Any]]]
    intercepts: list[NDArray[Any]]
    input_scale: NDArray[Any] | None = None
    transform_layer: int | Literal["all"] | None = None
    components: HiddenComponents | None = None
    inverse: LinearInverse | None = None
    ranks: tuple[int | None, ...] = ()
    matrices: list[NDArray[Any]] = field(init=False)
    kernels: list[Kernel] = field(init=False)
    _function: HiddenActivation | tuple[HiddenActivation, ...] = field(init=False)
    _used: NDArray[Any] | None = field(init=False)
    _kernels_of_used: list[Kernel] = field(init=False)

    def __post_init__(self) -> None:
        first, *others = self.stored
        storage = get_storage(self.storage)
        matrices = [storage.decode(first, self.input_scale), *map(storage.decode, others)]
        used = np.flatnonzero(matrices[0].any(axis=1))
        # Measured: below half, picking the columns costs less than multiplying zeros.
        few = 2 * len(used) <= len(matrices[0])
        of_used = [matrices[0][used], *matrices[1:]] if few else matrices
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "kernels", self._paired(matrices))
        object.__setattr__(self, "_function", _records(self.activation))
        object.__setattr__(self, "_used", used if few else None)
        object.__setattr__(self, "_kernels_of_used", self._paired(of_used))

    def _paired(self, matrices: list[NDArray[Any]]) -> list[Kernel]:
        """Matrices, factors of one layer in pairs."""
        rest = iter(matrices)
        ranks = self.ranks or [None] * len(matrices)
        return [next(rest) if rank is None else (next(rest), next(rest)) for rank in ranks]

    @cached_property
    def coefs(self) -> list[NDArray[Any]]:
        """Weights of every layer, ndarrays of shape (n_in, n_out); factors are multiplied out."""
        return [np.dot(*kernel) if isinstance(kernel, tuple) else kernel for kernel in self.kernels]

    @classmethod
    def of(
        cls,
        coefs: list[NDArray[Any]],
        intercepts: list[NDArray[Any]],
        *,
        activation: str | Sequence[str],
        storage: str | None = None,
        transform_layer: int | Literal["all"] | None = None,
        components: HiddenComponents | None = None,
        inverse: LinearInverse | None = None,
        factors: list[tuple[NDArray[Any], NDArray[Any]] | None] | None = None,
    ) -> Self:
        """Weights of a trained net.

        Those of a hidden layer are kept as two factors, where they are fewer numbers.

        Parameters
        ----------
        coefs : list of ndarray of shape (n_in, n_out)
            Weights, output layer last; copied.
        intercepts : list of ndarray of shape (n_out,)
            Biases; copied.
        activation : str or sequence of str
            Activation of the hidden layers, or of each of them.
        storage : str, default=None
            Type in which to keep weights; None takes that of `coefs`.
        transform_layer : int or "all", default=None
            Index of the hidden layer to show, or all of them; None shows none.
        components : skactprune.nets.components.HiddenComponents, default=None
            What to show of it; None shows all neurons.
        inverse : skactprune.nets.components.LinearInverse, default=None
            What tells rows by what is shown.
        factors : list of {(ndarray, ndarray), None}, default=None
            For each hidden layer factors of its weights that are known. Others are found where the
            weights have a low rank; see `skactprune.nets.factors.fewest_numbers`.

        Returns
        -------
        CompactWeights

        Raises
        ------
        ValueError
            If `storage` is unknown or too small for the weights.
        """
        *hidden, last = coefs
        known = factors or [None] * len(hidden)
        return cls._rounded(
            [*map(fewest_numbers, hidden, known), (last,)],
            storage or last.dtype.name,
            activation=activation,
            intercepts=intercepts,
            input_scale=None,
            transform_layer=transform_layer,
            components=components,
            inverse=inverse,
        )

    @classmethod
    def _rounded(
        cls,
        kernels: list[tuple[NDArray[Any], ...]],
        storage: str,
        *,
        intercepts: list[NDArray[Any]],
        input_scale: NDArray[Any] | None,
        components: HiddenComponents | None,
        inverse: LinearInverse | None,
        **others: Any,
    ) -> Self:
        """Weights rounded to a type; each kernel is a tuple of one matrix or two."""
        kept = get_storage(storage)

        def cast(array: NDArray[Any]) -> NDArray[Any]:
            with np.errstate(over="ignore"):
                values = array.astype(kept.compute_dtype)
            if not np.isfinite(values).all():
                kept.refuse(array)
            return values

        if input_scale is not None:
            input_scale = cast(input_scale)
        first, *later = (matrix for kernel in kernels for matrix in kernel)
        ranks = tuple(kernel[0].shape[1] if len(kernel) > 1 else None for kernel in kernels)
        return cls(
            storage=kept.name,
            stored=[kept.encode(first, input_scale), *map(kept.encode, later)],
            intercepts=[cast(intercept) for intercept in intercepts],
            input_scale=input_scale,
            components=components and components.mapped(cast),
            inverse=inverse and inverse.mapped(cast),
            ranks=ranks if any(ranks) else (),
            **others,
        )

    # -- other weights ----------------------------------------------------------------------

    def stored_as(self, storage: str) -> Self:
        """Weights rounded to another type; the same where it is that which they have.

        Parameters
        ----------
        storage : str
            Type in which to keep them.

        Returns
        -------
        CompactWeights
            Shares no memory with this one.

        Raises
        ------
        ValueError
            If `storage` is unknown or too small for the weights.
        """
        if get_storage(storage).name == self.storage:
            return copy.deepcopy(self)
        kernels: list[tuple[NDArray[Any], ...]]
        kernels = [kernel if isinstance(kernel, tuple) else (kernel,) for kernel in self.kernels]
        return self._with_kernels(kernels, storage)

    def _with_kernels(self, kernels: list[tuple[NDArray[Any], ...]], storage: str) -> Self:
        return self._rounded(
            kernels,
            storage,
            activation=self.activation,
            intercepts=self.intercepts,
            input_scale=self.input_scale,
            transform_layer=self.transform_layer,
            components=self.components,
            inverse=self.inverse,
        )

    def with_features(self, columns: NDArray[np.integer]) -> Self:
        """Weights for rows of some of the features.

        Parameters
        ----------
        columns : int ndarray
            Which, in order; all that have weights are among them.

        Returns
        -------
        CompactWeights
            Shares no memory with this one, and computes of the shorter rows what this one computes
            of all.

        Raises
        ------
        ValueError
            If there are none, or others have weights.
        """
        if not len(columns):
            raise ValueError("features='used' needs a feature that has weights; there is none.")
        if np.delete(self.matrices[0], columns, axis=0).any():
            raise ValueError("Features that are to be left out have weights.")
        copied = copy.deepcopy(self)
        first, *others = copied.stored
        return replace(
            copied,
            # Not rounded again: those of others are not what is left out.
            stored=[first | {"values": first["values"][columns]}, *others],
            input_scale=None if self.input_scale is None else self.input_scale[columns],
            inverse=copied.inverse and copied.inverse.of_features(columns),
        )

    def with_scaled_input(self, mean: NDArray[Any], scale: NDArray[Any]) -> CompactWeights | None:
        """Weights for rows `X` that do with them what these do with ``(X - mean) / scale``.

        Parameters
        ----------
        mean, scale : ndarray of shape (n_features,), float64
            What is subtracted from the features, and what they are divided by.

        Returns
        -------
        CompactWeights or None
            None where digits would be lost: where what is subtracted from a feature that has
            weights is too many times what it is divided by, or numbers leave the range of the type.
        """
        dtype, used = self.dtype, self.matrices[0].any(axis=1)
        inverse = self.inverse and self.inverse.scaled(mean, scale)
        # Nothing is lost of what nothing reads.
        mean, scale = np.where(used, mean, 0.0), np.where(used, scale, 1.0)
        # Outside of these, products with the weights could leave the range of the type.
        smallest = np.sqrt(np.finfo(dtype).tiny)
        in_range = ((scale > smallest) & (scale < 1 / smallest)).all()
        if not in_range or np.abs(mean / scale).max(initial=0) > LARGEST_FOLDED_MEAN[dtype]:
            return None
        input_scale = (1 / scale).astype(dtype)
        if self.input_scale is not None:
            input_scale *= self.input_scale
        first = get_storage(self.storage).divide_inputs(self.stored[0], scale)
        scaled = replace(self, stored=[first, *self.stored[1:]], input_scale=input_scale)
        shift = mean @ scaled.matrices[0].astype(np.float64)
        if isinstance(scaled.kernels[0], tuple):
            shift = shift @ scaled.matrices[1]
        intercept = (self.intercepts[0] - shift).astype(dtype)
        computed = [scaled.matrices[0], intercept, input_scale]
        computed += inverse.arrays().values() if inverse else []
        if not all(np.isfinite(a).all() for a in computed):
            return None
        return replace(scaled, intercepts=[intercept, *self.intercepts[1:]], inverse=inverse)

    def with_scaled_output(self, mean: NDArray[Any], scale: NDArray[Any]) -> Self:
        """Weights whose outputs are those of these, times `scale` and plus `mean`.

        Parameters
        ----------
        mean, scale : ndarray of shape (n_outputs,), float64
            What is added to the outputs, and what they are multiplied with.

        Returns
        -------
        CompactWeights

        Raises
        ------
        ValueError
            If they would leave the range of the type.
        """
        *hidden, last = (k if isinstance(k, tuple) else (k,) for k in self.kernels)
        *before, bias = self.intercepts
        scaled = self._with_kernels([*hidden, (last[0] * scale,)], self.storage)
        bias = (bias * scale + mean).astype(scaled.dtype)
        if not np.isfinite(bias).all():
            raise ValueError(
                f"mean={mean!r} and scale={scale!r} leave the range of {scaled.dtype}."
            )
        return replace(scaled, intercepts=[*before, bias])

    def of_low_rank(self, fraction: float, sparing: Sparing) -> Self:
        """Weights whose hidden layers are kept as two factors of low rank, by their SVD.

        Parameters
        ----------
        fraction : float
            Share of the hidden weights that is saved.
        sparing : skactprune.nets.factors.Sparing
            How much less of the rank those inputs and outputs keep whose mean abs(w) is less.

        Returns
        -------
        CompactWeights

        Raises
        ------
        ValueError
            If not as many can be saved.
        """
        *hidden, last = self.coefs
        shapes = [W.shape for W in hidden]
        total = sum(W.size for W in hidden)
        n_left = int((1 - fraction) * total + 1e-9)
        if n_left < sparing.fewest(shapes):
            raise ValueError(
                f"fraction={fraction!r} cannot be saved: factors of rank 1 of hidden weights of "
                f"shapes {shapes} are {sparing.fewest(shapes)} numbers of {total}."
            )
        kernels = []
        for W, rank in zip(hidden, sparing.ranks(shapes, n_left), strict=True):
            found: tuple[NDArray[Any], ...] = (W,)
            if rank is not None:
                size = np.abs(W)
                factors = sparing.factors(W, rank, size.mean(axis=1), size.mean(axis=0))
                found = factors.left, factors.right
            kernels.append(found)
        return self._with_kernels([*kernels, (last,)], self.storage)

    # -- arrays -----------------------------------------------------------------------------

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """State as arrays, the fewest bytes that hold it.

        Returns
        -------
        dict of str to ndarray
            "intercepts" of all layers, where they exist "input_scale" and the arrays of
            `components` and `inverse`, and what the storage packs the weights into. With `metadata`
            they are all that `from_arrays` needs.
        """
        arrays = get_storage(self.storage).pack(self.stored)
        arrays["intercepts"] = np.concatenate(self.intercepts)
        for value in (self.components, self.inverse):
            arrays |= value.arrays() if value else {}
        return arrays if self.input_scale is None else arrays | {"input_scale": self.input_scale}

    def metadata(self) -> dict[str, Any]:
        """What the arrays of `to_arrays` mean.

        Returns
        -------
        dict
            "activation", "storage", "layer_sizes", "transform_layer" and, where layers are kept as
            two factors, "ranks", of types that JSON knows.
        """
        metadata = {
            "activation": self.activation
            if isinstance(self.activation, str)
            else [*self.activation],
            "storage": self.storage,
            "layer_sizes": [self.n_features, *map(len, self.intercepts)],
            "transform_layer": self.transform_layer,
        }
        return metadata | {"ranks": list(self.ranks)} if self.ranks else metadata

    @classmethod
    def from_arrays(
        cls,
        arrays: dict[str, NDArray[Any]],
        *,
        activation: str | Sequence[str],
        storage: str,
        layer_sizes: list[int],
        transform_layer: int | Literal["all"] | None,
        ranks: list[int | None] | None = None,
        most_bytes: int | None = None,
    ) -> Self:
        """Weights from what `to_arrays` and `metadata` returned.

        Parameters
        ----------
        arrays : dict of str to ndarray
            State.
        activation : str or sequence of str
            Activation of the hidden layers, or of each of them.
        storage : str
            Type in which weights are kept.
        layer_sizes : list of int
            Widths of all layers, input and output included.
        transform_layer : int, "all" or None
            Index of the hidden layer to show, or all of them.
        ranks : list of {int, None}, default=None
            As the attribute; None where no layer is kept as two factors.
        most_bytes : int, default=None
            What the weights to compute with may take; None sets no limit.

        Returns
        -------
        CompactWeights
            Computes what the original computes, to the last bit.

        Raises
        ------
        ValueError
            If the arrays are not those of such a net.
        """
        values = read(
            dict(arrays),
            activation=activation,
            storage=storage,
            layer_sizes=layer_sizes,
            transform_layer=transform_layer,
            ranks=ranks,
            most_bytes=most_bytes,
        )
        return cls(**values)

    def __reduce__(self) -> tuple[Callable[..., CompactWeights], tuple[Any, ...]]:
        return _from_state, (self.to_arrays(), self.metadata())

    # -- what they compute ------------------------------------------------------------------

    def logits(self, X: Any) -> NDArray[Any]:
        """Outputs of the last layer.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Rows, in the type of the weights.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
        """
        X, kernels = self._without_unused(X)
        return logits_of(X, kernels, self.intercepts, self._function)

    def represent(self, X: Any) -> NDArray[Any]:
        """Hidden representation: outputs of the shown layer, or their projection.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Rows, in the type of the weights.

        Returns
        -------
        ndarray of shape (n_samples, n_neurons or n_components)

        Raises
        ------
        ValueError
            If no layer is shown.
        """
        shown = self.check_shows()
        X, kernels = self._without_unused(X)
        hidden = shown_representation(X, kernels[:-1], self.intercepts[:-1], self._function, shown)
        return hidden if self.components is None else self.components.project(hidden)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Outputs of the last layer for outputs of the shown one.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_neurons)
            What `represent` returned, or the like, where it shows all neurons.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
        """
        later = slice(cast(int, self.transform_layer) + 1, None)
        functions = tuple(per_layer(self._function, len(self.intercepts) - 1)[later])
        return logits_of(codes, self.kernels[later], self.intercepts[later], functions)

    def _without_unused(self, X: Any) -> tuple[Any, list[Kernel]]:
        if self._used is None or issparse(X):
            return X, self.kernels
        return X.take(self._used, axis=1), self._kernels_of_used

    def check_shows(self) -> int | Literal["all"]:
        """What `represent` shows; a ValueError where there is no hidden layer that it could."""
        if self.transform_layer is None:
            raise ValueError(
                "There is nothing to transform to: no hidden layer, or components that were asked "
                "for by n_components and had not been learned."
            )
        return self.transform_layer

    @property
    def n_components(self) -> int:
        """Number of columns that `represent` returns; a ValueError where it cannot."""
        self.check_shows()
        if self.components is not None:
            return self.components.projection.shape[1]
        return shown_width([len(b) for b in self.intercepts], self.transform_layer)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the weights to compute with."""
        return self.matrices[0].dtype

    @property
    def n_features(self) -> int:
        """Number of features."""
        return len(self.matrices[0])

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return len(self.intercepts[-1])

    @property
    def unused_features(self) -> NDArray[Any]:
        """Indices of the features that have no weight, an ndarray of int."""
        return np.flatnonzero(~self.matrices[0].any(axis=1))

    @property
    def kernel_sizes(self) -> list[int]:
        """Numbers, zeros not counted, that the weights of every layer are kept as."""
        return [n_nonzero(k if isinstance(k, tuple) else (k,)) for k in self.kernels]

    @property
    def dense_nbytes(self) -> int:
        """Size of the weights to compute with."""
        return sum(matrix.nbytes for matrix in self.matrices)

    @property
    def nbytes(self) -> int:
        """Size of the arrays of `to_arrays`."""
        return sum(array.nbytes for array in self.to_arrays().values())


def _from_state(arrays: dict[str, NDArray[Any]], metadata: dict[str, Any]) -> CompactWeights:
    return CompactWeights.from_arrays(arrays, **metadata)


def _records(
    activation: str | tuple[str, ...],
) -> HiddenActivation | tuple[HiddenActivation, ...]:
    """Records of the names of activations."""
    if isinstance(activation, tuple):
        return tuple(map(get_activation, activation))
    return get_activation(activation)
