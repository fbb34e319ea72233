"""Data for examples and benchmarks: digits, MNIST and Fashion-MNIST."""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split

__all__ = ["DATASETS", "Dataset", "load_dataset"]

_OPENML_NAMES = {"mnist": "mnist_784", "fashion-mnist": "Fashion-MNIST"}
_IDX_FILES = (
    "train-images-idx3-ubyte",
    "t10k-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-labels-idx1-ubyte",
)
# Where Debian's packages put image collections (dataset-fashion-mnist).
_SYSTEM_FOLDER = Path("/usr/share/datasets")

DATASETS = ("digits", *_OPENML_NAMES)
"""Names that `load_dataset` knows."""


class Dataset(NamedTuple):
    """A data set with its split, in the order of scikit-learn's ``train_test_split``.

    Parameters
    ----------
    X_train : ndarray of shape (n_train, n_features), dtype float32
        Pixels of the training images in [0, 1].
    X_test : ndarray of shape (n_test, n_features), dtype float32
        Pixels of the test images in [0, 1].
    y_train : ndarray of shape (n_train,), dtype int64
        Class numbers of the training images.
    y_test : ndarray of shape (n_test,), dtype int64
        Class numbers of the test images.
    """

    X_train: NDArray[np.float32]
    X_test: NDArray[np.float32]
    y_train: NDArray[np.int64]
    y_test: NDArray[np.int64]


def load_dataset(name: str, data_home: str | os.PathLike[str] | None = None) -> Dataset:
    """Load one of the benchmark data sets with its customary split.

    Digits ships with scikit-learn (1797 images of 8 x 8; a quarter, stratified, is the test set:
    the same rows every time). MNIST and Fashion-MNIST (60 000 and 10 000 images of 28 x 28) are
    read from the first of these that exists:

    1. `data_home`: the subfolder called `name` if there is one, else `data_home` itself;
    2. the subfolder called `name` of the folder in the environment variable ``SKACTPRUNE_DATA``;
    3. the folder of Debian's package ``dataset-fashion-mnist``;
    4. `sklearn.datasets.fetch_openml`, which downloads once and needs pandas.

    A folder holds the four IDX files under their usual names (``train-images-idx3-ubyte``, ...),
    plain or with ``.gz``.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion-mnist"}
        Which data set.
    data_home : str or path-like, default=None
        Folder with the IDX files. Given one, nothing else is tried. Digits needs none.

    Returns
    -------
    dataset : Dataset
        Named tuple ``(X_train, X_test, y_train, y_test)``, a row per image.

    Raises
    ------
    ValueError
        If `name` is unknown, or a file is truncated or not an IDX file.
    FileNotFoundError
        If the folder named by `data_home` or ``SKACTPRUNE_DATA`` does not exist, or if a folder
        lacks some of the files.
    OSError
        If the data is nowhere on this machine and cannot be downloaded.

    References
    ----------
    Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits, 1998 (the page
    also defines the IDX format). H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image
    dataset for benchmarking machine learning algorithms, arXiv:1708.07747, 2017.

    Examples
    --------
    >>> from skactprune.datasets import load_dataset
    >>> X_train, X_test, y_train, y_test = load_dataset("digits")
    >>> X_train.shape, X_test.shape
    ((1347, 64), (450, 64))
    """
    if name not in DATASETS:
        raise ValueError(f"name must be one of {', '.join(map(repr, DATASETS))}, got {name!r}.")
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
        return Dataset(*train_test_split(X, y, test_size=0.25, stratify=y, random_state=0))
    folder = _find_folder(name, data_home)
    return _fetch(name) if folder is None else _read_folder(folder)


def _find_folder(name: str, data_home: str | os.PathLike[str] | None) -> Path | None:
    if data_home is not None:
        home = _existing_folder(data_home, "data_home")
        return home / name if (home / name).is_dir() else home
    homes = [_SYSTEM_FOLDER]
    if variable := os.environ.get("SKACTPRUNE_DATA"):
        # Only its subfolders count: the two collections use the same file names, and a variable,
        # unlike an argument, does not say which of them was meant.
        homes.insert(0, _existing_folder(variable, "the environment variable SKACTPRUNE_DATA"))
    return next((home / name for home in homes if (home / name).is_dir()), None)


def _existing_folder(path: str | os.PathLike[str], source: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{source} must name an existing folder, got {str(folder)!r}.")
    return folder


def _read_folder(folder: Path) -> Dataset:
    paths, missing = [], []
    for file in _IDX_FILES:
        found = [path for path in (folder / file, folder / f"{file}.gz") if path.is_file()]
        paths += found[:1]
        missing += [] if found else [file]
    if missing:
        raise FileNotFoundError(f"{str(folder)!r} lacks {', '.join(missing)} (plain or with .gz).")
    images = [_read_idx(path, 3) for path in paths[:2]]
    labels = [_read_idx(path, 1) for path in paths[2:]]
    for part, X, y in zip(("train", "t10k"), images, labels, strict=True):
        if len(X) != len(y):
            raise ValueError(f"{str(folder)!r} has {len(X)} {part} images but {len(y)} labels.")
    if images[0].shape[1:] != images[1].shape[1:]:
        raise ValueError(
            f"{str(folder)!r} has train images of {images[0].shape[1:]} pixels "
            f"but t10k images of {images[1].shape[1:]}."
        )
    X_train, X_test = (_scale(X.reshape(len(X), -1)) for X in images)
    y_train, y_test = (y.astype(np.int64) for y in labels)
    return Dataset(X_train, X_test, y_train, y_test)


def _scale(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(255)


def _read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes: 0, 0, type 8, ndim, big-endian sizes, then the values."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{str(path)!r} is truncated or not a gzip file: {error}.") from error
    if raw[:4] != bytes((0, 0, 8, ndim)):
        raise ValueError(
            f"{str(path)!r} is not an IDX file of unsigned bytes in {ndim} dimension(s): it must "
            f"start with 00 00 08 {ndim:02x}, not with {raw[:4].hex(' ') or 'nothing'}."
        )
    start = 4 + 4 * ndim
    shape = [int.from_bytes(raw[i : i + 4], "big") for i in range(4, start, 4)]
    if len(raw) != start + math.prod(shape):
        raise ValueError(
            f"{str(path)!r} is truncated or damaged: an IDX file of shape {tuple(shape)} has "
            f"{start + math.prod(shape)} bytes, this one {len(raw)}."
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _fetch(name: str) -> Dataset:
    try:
        X, y = fetch_openml(_OPENML_NAMES[name], version=1, return_X_y=True, as_frame=False)
    except OSError as error:
        raise OSError(
            f"{name} is not on this machine and could not be downloaded ({error}). Put its four "
            f"IDX files ({', '.join(_IDX_FILES)}, plain or with .gz) into a folder {name!r}, and "
            "name the folder that holds it in data_home or in the environment variable "
            "SKACTPRUNE_DATA."
        ) from error
    X, y = _scale(X), y.astype(np.int64)
    # Both collections keep their 10 000 test images last there.
    return Dataset(X[:60_000], X[60_000:], y[:60_000], y[60_000:])
