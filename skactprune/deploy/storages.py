"""Types in which weights are kept: one class for each, added under its name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune._register import Register
from skactprune.deploy.huffman import check_lengths, code_lengths, decoded, encoded
from skactprune.deploy.packing import pack, spread, take, unpack, within_reach
from skactprune.deploy.sharing import clustered, means_of

if TYPE_CHECKING:
    from typing import NoReturn, TypeAlias

    from numpy.typing import DTypeLike, NDArray

    # Symbols, and the lengths of their codes.
    Stream: TypeAlias = tuple[NDArray[Any], NDArray[np.uint8]]
    Described: TypeAlias = dict[str, tuple[np.dtype[Any], tuple[int, ...]]]

STORAGES = Register("dtype")


def get_storage(dtype: str) -> Storage:
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
    compute_dtype: np.dtype[Any] = np.dtype(np.float32)

    @abstractmethod
    def describe(self, shape: tuple[int, int]) -> Described:
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
    def rounded(self, W: NDArray[Any]) -> dict[str, NDArray[Any]]:
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
    def restored(self, parts: dict[str, NDArray[Any]]) -> NDArray[Any]:
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

    def check(self, parts: dict[str, NDArray[Any]]) -> None:
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

    def encode(
        self, W: NDArray[Any], input_scale: NDArray[Any] | None = None
    ) -> dict[str, NDArray[Any]]:
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

    def decode(
        self, parts: dict[str, NDArray[Any]], input_scale: NDArray[Any] | None = None
    ) -> NDArray[Any]:
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

    def divide_inputs(
        self, parts: dict[str, NDArray[Any]], scale: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
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

    def pack(self, layers: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
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

    def unpack(
        self, arrays: dict[str, NDArray[Any]], shapes: list[tuple[int, int]]
    ) -> list[dict[str, NDArray[Any]]]:
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

    def refuse(self, W: NDArray[Any]) -> NoReturn:
        """Raise the error that the weights `W` are too large."""
        raise ValueError(
            f"dtype={self.name!r} cannot hold the weights, the largest of which is "
            f"{np.abs(W).max():.3g}."
        )


class FloatStorage(Storage):
    """Base of storages of weights as numbers of the floating type `name`."""

    def describe(self, shape: tuple[int, int]) -> Described:
        return {"values": (np.dtype(self.name), shape)}

    def rounded(self, W: NDArray[Any]) -> dict[str, NDArray[Any]]:
        with np.errstate(over="ignore"):
            values = W.astype(self.name, order="C")
        if not np.isfinite(values).all():
            self.refuse(W)
        return {"values": values}

    def restored(self, parts: dict[str, NDArray[Any]]) -> NDArray[Any]:
        return parts["values"].astype(self.compute_dtype, order="C")


class ExactStorage(FloatStorage):
    """Base of storages that keep what is computed with, the scale of a folded scaler included."""

    def encode(
        self, W: NDArray[Any], input_scale: NDArray[Any] | None = None
    ) -> dict[str, NDArray[Any]]:
        return self.rounded(W)

    def decode(
        self, parts: dict[str, NDArray[Any]], input_scale: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        # Not a copy: a large net need not be held twice.
        return parts["values"]

    def divide_inputs(
        self, parts: dict[str, NDArray[Any]], scale: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
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

    def describe(self, shape: tuple[int, int]) -> Described:
        return {"values": (np.dtype(np.int8), shape), "scales": (self.compute_dtype, shape[1:])}

    def rounded(self, W: NDArray[Any]) -> dict[str, NDArray[Any]]:
        scales = (np.abs(W).max(axis=0) / 127).astype(self.compute_dtype)
        scales[scales == 0] = 1
        if not np.isfinite(scales).all():
            self.refuse(W)
        values = np.clip(np.rint(W / scales), -127, 127)
        return {"values": values.astype(np.int8, order="C"), "scales": scales}

    def check(self, parts: dict[str, NDArray[Any]]) -> None:
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

    def restored(self, parts: dict[str, NDArray[Any]]) -> NDArray[Any]:
        W = parts["values"].astype(self.compute_dtype, order="C")
        return np.multiply(W, parts["scales"], out=W)


@STORAGES.add("codebook")
class Codebook(Storage):
    """Weights that share values, which are in a codebook, as a Huffman code of their indices.

    A layer with more than 256 weights that differ, zeros apart, gets 64 values by k-means; others
    keep theirs, so that weights which share values already stay as they are. Zeros are left out:
    what is coded are the indices of the other weights and the numbers of zeros before them, both in
    canonical Huffman codes of the layer's own. Where 64 or more zeros come together, single ones
    are coded like weights; a layer of few zeros has all of them coded so, if that takes less. What
    tells of the codes is 65 bytes a layer and five for every value, so that it takes more than the
    weights of a layer of some ten neurons.

    References
    ----------
    Han, Mao & Dally, "Deep compression: Compressing deep neural networks with pruning, trained
    quantization and Huffman coding", ICLR 2016.
    """

    name = "codebook"
    # Values that k-means finds (6 bits, the authors' choice for LeNet-300-100), and those kept.
    n_clusters, most = 64, 256
    # Gaps are shorter. A pair of bits tells of 64 weights at most, 256 bytes in memory, which is
    # less than files may unfold to.
    reach = 64

    def describe(self, shape: tuple[int, int]) -> Described:
        return {
            "values": (np.dtype(np.uint16), shape),
            "codebook": (self.compute_dtype, (self.most,)),
        }

    def rounded(self, W: NDArray[Any]) -> dict[str, NDArray[Any]]:
        with np.errstate(over="ignore"):
            values = W.astype(self.compute_dtype, order="C")
        if not np.isfinite(values).all():
            self.refuse(W)
        weights = values[values != 0]
        if len(np.unique(weights)) > self.most:
            values[values != 0] = means_of(weights, clustered(weights, self.n_clusters))
        found = np.unique(values[values != 0])
        codebook = np.zeros(self.most, self.compute_dtype)
        codebook[: len(found)] = found
        indices = np.where(values != 0, np.searchsorted(found, values) + 1, 0)
        return {"values": indices.astype(np.uint16), "codebook": codebook}

    def restored(self, parts: dict[str, NDArray[Any]]) -> NDArray[Any]:
        return np.append(np.zeros(1, self.compute_dtype), parts["codebook"])[parts["values"]]

    def check(self, parts: dict[str, NDArray[Any]]) -> None:
        super().check(parts)
        values, codebook = parts["values"], parts["codebook"]
        n = int(np.count_nonzero(codebook))
        if not (codebook[:n].all() and (np.diff(codebook[:n]) > 0).all()):
            raise ValueError("its codebook is not in order")
        counts = np.bincount(values.ravel(), minlength=n + 1)
        if len(counts) > n + 1 or not counts[1:].all():
            raise ValueError("its codebook is not that of its weights")

    def pack(self, layers: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
        codebooks, lengths, bits = [], [], []
        counts: list[int] = []
        for parts in layers:
            n_values = int(np.count_nonzero(parts["codebook"]))
            streams = self._streams(parts["values"].ravel(), n_values)
            codebooks.append(parts["codebook"][:n_values])
            counts += [n_values, len(streams[-1][0])]
            lengths += [of_code for _, of_code in streams]
            bits += [encoded(symbols, of_code) for symbols, of_code in streams]
        arrays = {
            "codebook": np.concatenate(codebooks),
            "counts": np.array(counts, dtype=np.uint32),
            "lengths": np.concatenate(lengths),
            "code": np.packbits(np.concatenate(bits)),
        }
        return {name: array for name, array in arrays.items() if array.size}

    def _streams(self, values: NDArray[Any], n_values: int) -> list[Stream]:
        """Symbols and lengths of their codes: gaps, unless all entries are coded, and indices."""

        def stream(symbols: NDArray[Any], n_symbols: int) -> Stream:
            return symbols, code_lengths(np.bincount(symbols, minlength=n_symbols))

        def n_bits(streams: list[Stream]) -> int:
            return sum(8 * len(code) + int(code[symbols].sum()) for symbols, code in streams)

        positions = within_reach(np.flatnonzero(values), len(values), self.reach)
        gaps = np.diff(positions, prepend=-1) - 1
        whole = [stream(values, n_values + 1)]
        sparse = [stream(gaps, self.reach), stream(values[positions], n_values + 1)]
        is_sparse = len(positions) < len(values) and n_bits(sparse) < n_bits(whole)
        return sparse if is_sparse else whole

    def unpack(
        self, arrays: dict[str, NDArray[Any]], shapes: list[tuple[int, int]]
    ) -> list[dict[str, NDArray[Any]]]:
        counts = take(arrays, "counts", np.uint32, (2 * len(shapes),)).reshape(-1, 2)
        codebook = self._taken(arrays, "codebook", self.compute_dtype)
        lengths = self._taken(arrays, "lengths", np.uint8)
        code = self._taken(arrays, "code", np.uint8)
        layers, end = [], 0
        for (n_values, n_coded), shape in zip(counts.tolist(), shapes, strict=True):
            size = shape[0] * shape[1]
            if n_values > min(self.most, len(codebook)) or n_coded > size:
                raise ValueError("its counts are not those of its layers")
            gaps = None
            if n_coded < size:
                gaps, end, lengths = self._decoded(code, end, n_coded, lengths, self.reach)
            values, end, lengths = self._decoded(code, end, n_coded, lengths, n_values + 1)
            if gaps is not None:
                values = spread(values, gaps, size)
            whole = np.zeros(self.most, self.compute_dtype)
            whole[:n_values], codebook = codebook[:n_values], codebook[n_values:]
            layers.append({"values": values.reshape(shape), "codebook": whole})
        if len(codebook) or len(lengths) or len(code) != -(-end // 8):
            raise ValueError("its codebook and code are not those of its layers")
        if np.unpackbits(code[-1:])[end % 8 or 8 :].any():
            raise ValueError("its code does not end where it should")
        for parts in layers:
            self.check(parts)
        return layers

    @staticmethod
    def _taken(arrays: dict[str, NDArray[Any]], name: str, dtype: DTypeLike) -> NDArray[Any]:
        """An array that is left out where it is empty."""
        return take(arrays, name, dtype, (None,)) if name in arrays else np.zeros(0, dtype)

    @staticmethod
    def _decoded(
        code: NDArray[Any], start: int, n: int, lengths: NDArray[Any], n_symbols: int
    ) -> tuple[NDArray[Any], int, NDArray[Any]]:
        """Symbols, the bit after them, and lengths without those of their code."""
        if len(lengths) < n_symbols:
            raise ValueError("its lengths are not those of its layers")
        check_lengths(lengths[:n_symbols])
        symbols, end = decoded(code, start, n, lengths[:n_symbols])
        return symbols, end, lengths[n_symbols:]
