"""Compact models in files that run no code when they are read."""

import contextlib
import errno
import io
import json
import os
import secrets

import numpy as np
from sklearn.pipeline import Pipeline

import skactprune
from skactprune._register import Register
from skactprune.deploy.weights import CompactWeights

# Classes of compact models by the name of their format.
FORMATS = Register("format")
FORMAT_VERSION = 1
OF_WEIGHTS = ("activation", "storage", "layer_sizes", "transform_layer")


def save(model, path):
    """Write a compact model to a file.

    The file is a compressed NumPy archive (npz) of plain arrays and a JSON text, from which
    reading runs no code. Matrices most of whose entries are zero are stored sparse. It is
    written atomically: whatever happens, `path` holds either all of the old file or all of the
    new one. What `set_output` has set is not stored, as it is no part of what was learned.

    Parameters
    ----------
    model : CompactMLPClassifier or Pipeline
        Compact model; or a pipeline with no other step, such as `compact` returns when it
        folded the scaler, whose model is then saved.
    path : str or path-like
        File to write; no ending is added.

    Raises
    ------
    TypeError
        If `model` is something else.
    NotFittedError
        If it was made by its constructor.
    ValueError
        If the class labels are not integers, bools, floats or strings.

    See Also
    --------
    load : Read the file.
    """
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
    metadata = np.frombuffer(json.dumps(_metadata(model)).encode(), np.uint8)
    arrays = {"metadata": metadata} | model.weights_.to_arrays()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def load(path):
    """Read a compact model from a file that `save` wrote.

    Parameters
    ----------
    path : str or path-like
        File to read.

    Returns
    -------
    CompactMLPClassifier
        The model; it predicts exactly what the saved one predicts. Its `transform` returns
        arrays until `set_output` says otherwise.

    Raises
    ------
    ValueError
        If the file is damaged, was written by a newer version, or is something else; the message
        names it and says what is wrong.
    OSError
        If it cannot be read at all.

    See Also
    --------
    save : Write such a file.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        try:
            return _read(file)
        # A hostile file can make zipfile, numpy and json raise nearly anything.
        except Exception as error:
            raise ValueError(f"{path!r} holds no valid compact model: {error}") from error


def _metadata(model):
    of_class = model.file_metadata()
    names = getattr(model, "feature_names_in_", None)
    return {
        "format": next(name for name in FORMATS if FORMATS.look_up(name) is type(model)),
        "format_version": FORMAT_VERSION,
        "skactprune_version": skactprune.__version__,
        **model.weights_.metadata(),
        "prefix": model.output_prefix_,
        **of_class,
        "feature_names": None if names is None else [str(name) for name in names],
    }


def _read(file):
    if not file.read(4).startswith(b"PK"):
        raise ValueError("it is no npz archive")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        if "metadata" not in archive.files:
            raise ValueError("it has no metadata")
        meta = json.loads(archive["metadata"].tobytes(), parse_constant=_refuse_constant)
        if not isinstance(meta, dict) or meta.get("format") not in FORMATS:
            raise ValueError("it was not written by skactprune")
        version = meta.get("format_version")
        if type(version) is not int or version > FORMAT_VERSION:
            raise ValueError(
                f"it has format version {version!r}, and this is skactprune "
                f"{skactprune.__version__}, which reads versions up to {FORMAT_VERSION}"
            )
        if len(archive.files) != len(set(archive.files)):
            raise ValueError("it has two arrays of one name")
        arrays = {name: archive[name] for name in archive.files if name != "metadata"}
    return _build(meta, arrays)


def _build(meta, arrays):
    """Model of what a file holds, all of which is checked first."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
    weights = CompactWeights.from_arrays(arrays, **{name: meta[name] for name in OF_WEIGHTS})
    if not all(np.isfinite(W).all() for W in weights.coefs):
        raise ValueError("it has weights that are not finite")
    names, prefix = meta["feature_names"], meta["prefix"]
    if not isinstance(prefix, str):
        raise ValueError("its prefix is invalid")
    if names is not None and not (_strings(names) and len(names) == weights.n_features):
        raise ValueError("its feature_names is invalid")
    model = FORMATS.look_up(meta["format"]).of_file(weights, meta)
    model.output_prefix_ = prefix
    return model.with_weights(weights, None if names is None else np.array(names, dtype=object))


def _strings(values):
    return isinstance(values, list) and all(type(value) is str for value in values)


def _refuse_constant(name):
    raise ValueError(f"{name} in its metadata")


def write_atomically(path, content):
    """Put `content` into the file `path`, which holds its old content until all of it is on disk.

    The new content goes into a file beside it, reaches the disk, and is then renamed. A process
    killed in between leaves the old file, and perhaps a ``.tmp`` beside it.

    Parameters
    ----------
    path : str or path-like
        File to write; where it is a symbolic link, the file that this points to.
    content : bytes
        What it shall hold.

    Raises
    ------
    IsADirectoryError
        If `path` is a directory.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    path = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.tmp")
    try:
        # Unlike tempfile's, this file has the permissions that a plain open() would give it.
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise
    if os.name == "posix":
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
