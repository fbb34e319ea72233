"""Compact models in files that run no code when they are read."""

import io
import json
import os

import numpy as np
from sklearn.pipeline import Pipeline

import skactprune
from skactprune.deploy._files import write_atomically
from skactprune.deploy.model import CompactMLPClassifier
from skactprune.deploy.packing import STORAGES, compute_dtype
from skactprune.nets.activations import ACTIVATIONS

FORMAT = "skactprune.CompactMLPClassifier"
FORMAT_VERSION = 1
OPTIONAL_ARRAYS = ("projection", "projection_offset", "input_scale")


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
    if not isinstance(model, CompactMLPClassifier):
        raise TypeError(
            f"save stores compact models, got {type(model).__name__}; call skactprune.compact "
            "on it first."
        )
    model._check_fitted()
    arrays = {"metadata": np.frombuffer(json.dumps(_metadata(model)).encode(), np.uint8)}
    arrays |= model._packed() | {"intercepts": np.concatenate(model.intercepts_)}
    optional = (model.projection_, model.projection_offset_, model._input_scale)
    named = zip(OPTIONAL_ARRAYS, optional, strict=True)
    arrays |= {name: array for name, array in named if array is not None}
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
    names = getattr(model, "feature_names_in_", None)
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "skactprune_version": skactprune.__version__,
        "activation": model.activation_,
        "storage": model.storage_,
        "layer_sizes": [int(model.n_features_in_), *(len(b) for b in model.intercepts_)],
        "transform_layer": model.transform_layer_,
        "prefix": model._prefix,
        "classes": _describe_classes(model.classes_),
        "feature_names": None if names is None else [str(name) for name in names],
    }


def _describe_classes(classes):
    values = classes.tolist()
    if classes.dtype == object and all(type(value) is str for value in values):
        return {"dtype": "object", "values": values}
    if classes.dtype.kind not in "biufU":
        raise ValueError(
            f"Class labels must be integers, bools, floats or strings to be saved, got dtype "
            f"{classes.dtype}: {classes!r}."
        )
    return {"dtype": classes.dtype.str, "values": values}


def _read(file):
    if not file.read(4).startswith(b"PK"):
        raise ValueError("it is no npz archive")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        if "metadata" not in archive.files:
            raise ValueError("it has no metadata")
        meta = json.loads(archive["metadata"].tobytes(), parse_constant=_refuse_constant)
        if not isinstance(meta, dict) or meta.get("format") != FORMAT:
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
    _check_metadata(meta)
    n_features, *widths = meta["layer_sizes"]
    dtype = compute_dtype(meta["storage"])
    total = (sum(widths),)
    model = CompactMLPClassifier()
    model.activation_ = meta["activation"]
    model.storage_ = meta["storage"]
    model.n_features_in_ = n_features
    model.transform_layer_ = meta["transform_layer"]
    model._prefix = meta["prefix"]
    model.classes_ = _restored_classes(**meta["classes"])
    if widths[-1] != (1 if len(model.classes_) == 2 else len(model.classes_)):
        raise ValueError(f"{len(model.classes_)} classes do not fit {widths[-1]} outputs")
    if meta["feature_names"] is not None:
        model.feature_names_in_ = np.array(meta["feature_names"], dtype=object)
    model.intercepts_ = np.split(
        _floats(arrays, "intercepts", dtype, total), np.cumsum(widths[:-1])
    )
    _restore_optional(model, arrays, dtype)
    packed = {name: arrays.pop(name) for name in ("values", "gaps") if name in arrays}
    if meta["storage"] == "int8":
        packed["scales"] = _floats(arrays, "scales", dtype, total)
    if "values" not in packed:
        raise ValueError("values is missing")
    if arrays:
        raise ValueError(f"it has unknown arrays: {', '.join(sorted(arrays))}")
    model._unpack(packed)
    if not all(np.isfinite(W).all() for W in model.coefs_):
        raise ValueError("it has weights that are not finite")
    return model


def _check_metadata(meta):
    sizes, layer = meta["layer_sizes"], meta["transform_layer"]
    names, classes = meta["feature_names"], meta["classes"]
    are_sizes = isinstance(sizes, list) and all(type(n) is int and n > 0 for n in sizes)
    n_hidden = len(sizes) - 2 if are_sizes else 0
    shows = type(layer) is int and 0 <= layer < n_hidden
    valid = {
        "layer_sizes": are_sizes and n_hidden >= 0,
        "activation": meta["activation"] in ACTIVATIONS,
        "storage": meta["storage"] in STORAGES,
        "transform_layer": shows if n_hidden else layer is None,
        "prefix": isinstance(meta["prefix"], str),
        "feature_names": names is None or (_strings(names) and len(names) == sizes[0]),
        "classes": isinstance(classes, dict) and set(classes) == {"dtype", "values"},
    }
    for name, is_valid in valid.items():
        if not is_valid:
            raise ValueError(f"its {name} is invalid")


def _restore_optional(model, arrays, dtype):
    hidden = None if model.transform_layer_ is None else model.intercepts_[model.transform_layer_]
    model.projection_ = model.projection_offset_ = model._input_scale = None
    if "projection" in arrays:
        shape = None if hidden is None else (len(hidden), None)
        model.projection_ = _floats(arrays, "projection", dtype, shape)
        model.projection_offset_ = _floats(
            arrays, "projection_offset", dtype, model.projection_.shape[1:]
        )
    if "input_scale" in arrays:
        model._input_scale = _floats(arrays, "input_scale", dtype, (model.n_features_in_,))
        if not model._input_scale.all():
            raise ValueError("its input_scale has zeros")


def _floats(arrays, name, dtype, shape):
    """Take an array out of `arrays` when it is what it must be; None fits any length."""
    if name not in arrays:
        raise ValueError(f"{name} is missing")
    array = arrays.pop(name)
    fits = shape is not None and len(shape) == array.ndim and array.size > 0
    if not fits or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} has the shape {array.shape} instead of {shape}")
    if array.dtype != dtype:
        raise ValueError(f"{name} is of type {array.dtype} instead of {dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite")
    return array


def _restored_classes(dtype, values):
    if dtype == "object":
        valid = _strings(values)
    else:
        valid = isinstance(dtype, str) and np.dtype(dtype).kind in "biufU"
    classes = np.array(values, dtype=dtype) if valid and isinstance(values, list) else None
    if classes is None or classes.tolist() != values or len(set(values)) != len(values):
        raise ValueError("its classes are invalid")
    if len(values) < 2:
        raise ValueError("it has fewer than two classes")
    return classes


def _strings(values):
    return isinstance(values, list) and all(type(value) is str for value in values)


def _refuse_constant(name):
    raise ValueError(f"{name} in its metadata")
