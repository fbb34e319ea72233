"""Types in which weights are kept: one class for each, added under its name."""

from abc import ABC, abstractmethod

import numpy as np

from skactprune._register import Register
from skactprune.deploy.packing import pack, take, unpack

STORAGES = Register("dtype")


def get_storage(dtype):
    """Storage of a name.

    Parameters
    ----------
    dtype : str
        A name in `STORAGES`.

    Returns
    -------
    Storage

    Raises
    ------
    ValueError
        For anything else; the message lists the names.
    """
    if isinstance(dtype, np.dtype):
        dtype = dtype.name
    if dtype not in STORAGES:
        raise ValueError(f"dtype={dtype!r} must be one of {', '.join(STORAGES)}.")
    return STORAGES.make(dtype)


class Storage(ABC):
    """How the weights of a net are rounded, described by arrays, and computed with.

    What is kept of one layer is its parts: a dict of arrays by name. "values", with an entry for
    each weight, is one of them. What is kept of a net is the parts of its layers, packed: a dict of
    arrays for all layers, because small arrays cost more in a file than they hold.

    A subclass has a `name`, `describe`, `rounded` and `restored`, and may have more to `check`.
    Where a scaler is folded in, its scale stays out of what is rounded: features of unlike scales
    in one column would leave few bits for some of them.

    Attributes
    ----------
    name : str
        Its name in `STORAGES`.
    compute_dtype : dtype
        Floating type of the weights to compute with.
    """

    name: str
    compute_dtype = np.dtype(np.float32)

    @abstractmethod
    def describe(self, shape):
        """Parts of a layer of a shape.

        Parameters
        ----------
        shape : tuple of int
            ``(n_in, n_out)``.

        Returns
        -------
        dict of str to tuple
            Type and shape of each part; "values" has the given shape.
        """

    @abstractmethod
    def rounded(self, W):
        """Parts of a matrix.

        Parameters
        ----------
        W : ndarray of shape (n_in, n_out)
            Weights.

        Returns
        -------
        dict of str to ndarray

        Raises
        ------
        ValueError
            If a weight is too large; see `refuse`.
        """

    @abstractmethod
    def restored(self, parts):
        """Matrix of parts.

        Parameters
        ----------
        parts : dict of str to ndarray
            From `rounded`.

        Returns
        -------
        ndarray of shape (n_in, n_out), dtype `compute_dtype`
            C-contiguous; it shares no memory with the parts.
        """

    def check(self, parts):
        """Look for what `rounded` never makes; types and shapes are known to be right.

        Parameters
        ----------
        parts : dict of str to ndarray
            Of one layer.

        Raises
        ------
        ValueError
            If there is such a thing.
        """
        for name, array in parts.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name} is not finite")

    def encode(self, W, input_scale=None):
        """Round a matrix to what can be kept.

        Parameters
        ----------
        W : ndarray of shape (n_in, n_out)
            Weights to compute with.
        input_scale : ndarray of shape (n_in,), default=None
            What these weights multiply features with because scalers are folded in.

        Returns
        -------
        dict of str to ndarray
            Parts.

        Raises
        ------
        ValueError
            If a weight is too large.
        """
        return self.rounded(W if input_scale is None else W / input_scale[:, None])

    def decode(self, parts, input_scale=None):
        """Weights to compute with.

        Parameters
        ----------
        parts : dict of str to ndarray
            From `encode`.
        input_scale : ndarray of shape (n_in,), default=None
            As for `encode`, in `compute_dtype`.

        Returns
        -------
        ndarray of shape (n_in, n_out), dtype `compute_dtype`
            C-contiguous; it may be one of the parts.
        """
        W = self.restored(parts)
        return W if input_scale is None else np.multiply(W, input_scale[:, None], out=W)

    def divide_inputs(self, parts, scale):
        """Parts of a layer that is to divide its inputs by a scale.

        Parameters
        ----------
        parts : dict of str to ndarray
            From `encode`.
        scale : ndarray of shape (n_in,)
            What to divide by. The `input_scale` for `decode` will be divided by it, too.

        Returns
        -------
        dict of str to ndarray
        """
        return parts

    def pack(self, layers):
        """Describe the parts of all layers by few arrays.

        Parameters
        ----------
        layers : list of dict of str to ndarray
            Parts of every layer.

        Returns
        -------
        dict of str to ndarray
            Flat arrays: what `skactprune.deploy.packing.pack` makes of "values", and one for each
            other part.
        """
        return pack([parts["values"] for parts in layers]) | {
            name: np.concatenate([parts[name].ravel() for parts in layers])
            for name in layers[0]
            if name != "values"
        }

    def unpack(self, arrays, shapes):
        """Parts of all layers, from what `pack` returned.

        Parameters
        ----------
        arrays : dict of str to ndarray
            Those of `pack` are removed from it.
        shapes : list of tuple of int
            Shapes of the layers.

        Returns
        -------
        list of dict of str to ndarray
            Parts of every layer.

        Raises
        ------
        ValueError
            If arrays are missing or do not fit.
        """
        if "values" not in arrays:
            raise ValueError("values is missing")
        described = [self.describe(shape) for shape in shapes]
        values, gaps = arrays.pop("values"), arrays.pop("gaps", None)
        parts = {"values": unpack(values, gaps, shapes, described[0]["values"][0])}
        for name in described[0].keys() - parts:
            dtype = described[0][name][0]
            shapes_of_parts = [layer[name][1] for layer in described]
            ends = np.cumsum([np.prod(shape) for shape in shapes_of_parts])
            pieces = np.split(take(arrays, name, dtype, (int(ends[-1]),)), ends[:-1])
            pairs = zip(pieces, shapes_of_parts, strict=True)
            parts[name] = [piece.reshape(shape) for piece, shape in pairs]
        layers = list(zip(*parts.values(), strict=True))
        layers = [dict(zip(parts, layer, strict=True)) for layer in layers]
        for layer in layers:
            self.check(layer)
        return layers

    def refuse(self, W):
        """Raise the error that the weights `W` are too large."""
        raise ValueError(
            f"dtype={self.name!r} cannot hold the weights, the largest of which is "
            f"{np.abs(W).max():.3g}."
        )


class FloatStorage(Storage):
    """Base of storages of weights as numbers of the floating type `name`."""

    def describe(self, shape):
        return {"values": (np.dtype(self.name), shape)}

    def rounded(self, W):
        with np.errstate(over="ignore"):
            values = W.astype(self.name, order="C")
        if not np.isfinite(values).all():
            self.refuse(W)
        return {"values": values}

    def restored(self, parts):
        return parts["values"].astype(self.compute_dtype, order="C")


class ExactStorage(FloatStorage):
    """Base of storages that keep what is computed with, the scale of a folded scaler included."""

    def encode(self, W, input_scale=None):
        return self.rounded(W)

    def decode(self, parts, input_scale=None):
        # Not a copy: a large net need not be held twice.
        return parts["values"]

    def divide_inputs(self, parts, scale):
        return {"values": (parts["values"] / scale[:, None]).astype(self.name)}


@STORAGES.add("float64")
class Float64(ExactStorage):
    """Eight bytes a weight."""

    name = "float64"
    compute_dtype = np.dtype(np.float64)


@STORAGES.add("float32")
class Float32(ExactStorage):
    """Four bytes a weight."""

    name = "float32"


@STORAGES.add("float16")
class Float16(FloatStorage):
    """Two bytes a weight."""

    name = "float16"


@STORAGES.add("int8")
class Int8(Storage):
    """A byte a weight, and for each column a scale such that its largest weight is 127."""

    name = "int8"

    def describe(self, shape):
        return {"values": (np.dtype(np.int8), shape), "scales": (self.compute_dtype, shape[1:])}

    def rounded(self, W):
        scales = (np.abs(W).max(axis=0) / 127).astype(self.compute_dtype)
        scales[scales == 0] = 1
        if not np.isfinite(scales).all():
            self.refuse(W)
        values = np.clip(np.rint(W / scales), -127, 127)
        return {"values": values.astype(np.int8, order="C"), "scales": scales}

    def check(self, parts):
        super().check(parts)
        values, scales = parts["values"], parts["scales"]
        lowest = values.min(axis=0)
        if (lowest == -128).any():
            raise ValueError("its values have a -128")
        if not (scales > 0).all():
            raise ValueError("its scales are not positive")
        largest = np.maximum(values.max(axis=0), -lowest)
        # Scales too small for their type to have all of its digits can be any near the right one.
        exact = scales >= np.finfo(scales.dtype).tiny
        if not np.where(largest == 0, scales == 1, (largest == 127) | ~exact).all():
            raise ValueError("its scales are not those of its values")

    def restored(self, parts):
        W = parts["values"].astype(self.compute_dtype, order="C")
        return np.multiply(W, parts["scales"], out=W)
