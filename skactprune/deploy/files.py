"""Compact models in files that run no code when they are read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline

import skactprune
from skactprune._register import Register
from skactprune.deploy.archive import largest_unfolded, pack_archive, unpack_archive
from skactprune.deploy.atomic import kind_of_special, write_atomically
from skactprune.deploy.weights import CompactWeights

if TYPE_CHECKING:
    from typing import IO

    from numpy.typing import NDArray

# Classes of compact models by the name of their format.
FORMATS = Register("format")
# What writes the files that end so.
OTHER_WRITERS = {
    ".onnx": "skactprune.to_onnx",
    ".skops": "skops.io.dump",
    ".joblib": "joblib.dump",
    ".pkl": "pickle.dump",
    ".pickle": "pickle.dump",
}
OF_WEIGHTS = ("activation", "storage", "layer_sizes", "transform_layer")


def save(model: Any, path: str | bytes | os.PathLike[str]) -> None:
    """Write a compact model to a file.

    The file is a compressed NumPy archive (npz) of plain arrays and a JSON text, from which
    reading runs no code. Matrices most of whose entries are zero are stored sparse. It is
    written atomically: whatever happens, `path` holds either all of the old file or all of the
    new one, with the permissions of the old. What `set_output` has set is not stored, as it is no
    part of what was learned.

    Parameters
    ----------
    model : CompactMLPClassifier, CompactMLPRegressor or Pipeline
        Compact model; or a pipeline with no other step, such as `compact` returns when it
        folded the scaler, whose model is then saved.
    path : str, bytes or path-like
        File to write; no ending is added. A link is followed.

    Raises
    ------
    TypeError
        If `model` is something else.
    NotFittedError
        If it was made by its constructor.
    ValueError
        If the class labels are not integers, bools, finite floats or strings, or `path` ends as
        files of another format do: .onnx, .pkl, .pickle, .joblib or .skops.
    OSError
        If the file cannot be written, or `path` is a directory, pipe, device or socket, which is
        left as it is.

    See Also
    --------
    load : Read the file.
    """
    ending = os.path.splitext(os.fsdecode(path))[1].lower()
    if ending in OTHER_WRITERS:
        raise ValueError(
            f"path={path!r} ends in {ending}, which this format is not: use "
            f"{OTHER_WRITERS[ending]}, or another ending, such as .skap."
        )
    if isinstance(model, Pipeline):
        if len(model.steps) > 1:
            raise TypeError(
                f"save stores a model alone, and this pipeline has the steps "
                f"{[name for name, _ in model.steps]}. Save the last step and make the pipeline "
                "again, or use skops for all of it."
            )
        model = model.steps[-1][1]
    if not hasattr(model, "file_metadata"):
        raise TypeError(
            f"save stores compact models, got {type(model).__name__}; call skactprune.compact "
            "on it first."
        )
    metadata, weights = _metadata(model), model.weights_
    content = pack_archive(metadata, weights.to_arrays(), weights.dense_nbytes)
    write_atomically(path, content)


def load(path: str | bytes | os.PathLike[str]) -> Any:
    """Read a compact model from a file that `save` wrote.

    Parameters
    ----------
    path : str, bytes or path-like
        File to read.

    Returns
    -------
    CompactMLPClassifier or CompactMLPRegressor
        The model; it predicts exactly what the saved one predicts. Its `transform` returns
        arrays until `set_output` says otherwise.

    Raises
    ------
    ValueError
        If the file is damaged, was written by a newer version, or is something else; the message
        names it and says what is wrong. Any change by accident of what it holds is found, by
        digests. These do not tell who wrote it, but a file made to do harm can do none: it runs no
        code, and takes no more memory than 1032 times its size, or 64 MiB, a few times over.
    OSError
        If it cannot be read at all.

    See Also
    --------
    save : Write such a file.
    """
    path = os.fspath(path)
    with _opened(path) as file:
        try:
            return _read(file)
        # What is too much for this machine is no fault of the file, whose size was checked.
        except MemoryError:
            raise
        # A hostile file can make zipfile and json raise nearly anything.
        except Exception as error:
            raise _invalid(path, error) from error


def _opened(path: str | bytes) -> IO[bytes]:
    # Before it is opened, because opening a pipe waits for somebody to write.
    if kind := kind_of_special(os.stat(path).st_mode):
        raise _invalid(path, f"it is {kind}")
    return open(path, "rb")


def _invalid(path: str | bytes, reason: object) -> ValueError:
    return ValueError(f"{path!r} holds no valid compact model: {reason}")


def _metadata(model: Any) -> dict[str, Any]:
    of_class = model.file_metadata()
    names = getattr(model, "feature_names_in_", None)
    return {
        "format": next(name for name in FORMATS if FORMATS.look_up(name) is type(model)),
        "skactprune_version": skactprune.__version__,
        **model.weights_.metadata(),
        "prefix": model.output_prefix_,
        **of_class,
        "feature_names": None if names is None else [str(name) for name in names],
    }


def _read(file: IO[bytes]) -> Any:
    metadata, arrays = unpack_archive(file)
    if metadata["format"] not in FORMATS:
        raise ValueError("it was not written by skactprune")
    return _build(metadata, arrays, largest_unfolded(os.fstat(file.fileno()).st_size))


def _build(meta: dict[str, Any], arrays: dict[str, NDArray[Any]], most_bytes: int) -> Any:
    """Model of what a file holds, all of which is checked first."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
    of_weights = {name: meta[name] for name in OF_WEIGHTS} | {"ranks": meta.get("ranks")}
    weights = CompactWeights.from_arrays(arrays, **of_weights, most_bytes=most_bytes)
    if not all(np.isfinite(matrix).all() for matrix in weights.matrices):
        raise ValueError("it has weights that are not finite")
    names, prefix = meta["feature_names"], meta["prefix"]
    if not isinstance(prefix, str):
        raise ValueError("its prefix is invalid")
    if names is not None and not (_strings(names) and len(names) == weights.n_features):
        raise ValueError("its feature_names is invalid")
    model = FORMATS.look_up(meta["format"]).of_file(weights, meta)
    model.output_prefix_ = prefix
    return model.with_weights(weights, None if names is None else np.array(names, dtype=object))


def _strings(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is str for value in values)
