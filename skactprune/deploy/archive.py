"""NumPy archives (npz) of arrays and a JSON text, read without believing any of it.

The text tells what arrays there are, with the digest of each, and ends with a digest of itself: a
flipped bit is found wherever it is, and so is an array that is missing. A digest does not tell who
wrote a file; it is for damage. What is read could be made on purpose, all the same, to take much
memory. So nothing is allocated before it is known to be there: sizes are those that the archive
has room for.

Versions of the format: 1 had neither list nor digests. 2 has both.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

import skactprune

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, NoReturn, TypeAlias

    from numpy.typing import NDArray

    Member: TypeAlias = tuple[str, zipfile.ZipInfo]

VERSION = 2
# Deflate describes 258 bytes by no less than two bits.
MOST_DEFLATED = 1032
# What a file may unfold to whatever its size. Before, it is at most `MOST_DEFLATED` times its size.
ALWAYS_ALLOWED = 2**26
# The same of the JSON text, which takes some 20 times its size when it is parsed.
MOST_DEFLATED_TEXT, TEXT_ALWAYS_ALLOWED = 64, 2**20
TEXT = "metadata"
# Only what the writer makes: numbers, in C order. No version of numpy has written it otherwise.
HEADER = re.compile(
    r"\{'descr': '([<>|][biuf][0-9]{1,2})', 'fortran_order': False, "
    r"'shape': (\([0-9, ]*\)), \} *\n"
)
LONGEST_HEADER = 1000
LOCAL_HEADER = struct.Struct("<4s22xHH")
END_OF_DIRECTORY = struct.Struct("<4s4H2LH")
CHUNK = 2**20


def largest_unfolded(n_bytes: int) -> int:
    """How much memory the weights in a file may take.

    Parameters
    ----------
    n_bytes : int
        Size of the file.

    Returns
    -------
    int
        Number of bytes.
    """
    return max(ALWAYS_ALLOWED, MOST_DEFLATED * n_bytes)


def pack_archive(
    metadata: dict[str, Any], arrays: dict[str, NDArray[Any]], unfolded: int
) -> memoryview:
    """Content of a file.

    Parameters
    ----------
    metadata : dict
        Fit for JSON; without the keys "format_version", "arrays" and "digest".
    arrays : dict of str to ndarray
        Arrays of numbers.
    unfolded : int
        Bytes that the weights take in memory.

    Returns
    -------
    memoryview

    Raises
    ------
    ValueError
        If a number in the metadata is not finite.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    described = {name: _described(array) for name, array in arrays.items()}
    metadata = metadata | {"format_version": VERSION, "arrays": described}
    text = _sealed(json.dumps(metadata, allow_nan=False).encode("ascii"))
    content = _archive(np.savez_compressed, text, arrays)
    # Nearly everything is zero: a file that small is not distinguished from one made to do harm.
    if unfolded > largest_unfolded(len(content)) or len(text) > _longest_text(len(content)):
        content = _archive(np.savez, text, arrays)
    return content


def unpack_archive(file: IO[bytes]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `pack_archive` packed, checked.

    Parameters
    ----------
    file : file object
        Opened for reading bytes, at any place.

    Returns
    -------
    metadata : dict
        What was packed.
    arrays : dict of str to ndarray
        Arrays, which can be written to.

    Raises
    ------
    ValueError
        If the file is damaged, of a newer version, or something else.
    Exception
        Whatever zipfile and json raise for such files.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if file.read(4) != zipfile.stringFileHeader:  # type: ignore[attr-defined]
        raise ValueError("it is no npz archive")
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, file, size)
        if TEXT not in members:
            raise ValueError("it has no metadata")
        metadata = _parsed(_read_text(archive, members.pop(TEXT), size))
        if metadata["format_version"] == 1:
            arrays = {name: _read_array(archive, *member) for name, member in members.items()}
        else:
            arrays = _read_described(archive, members, metadata.pop("arrays", None))
    return metadata, arrays


# -- writing --------------------------------------------------------------------------------


def _described(array: NDArray[Any]) -> dict[str, Any]:
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "sha256": hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest(),
    }


def _sealed(text: bytes) -> bytes:
    """JSON object with the digest of itself as its last entry."""
    digest = hashlib.sha256(text).hexdigest()
    return text[:-1] + f', "digest": "{digest}"}}'.encode()


def _archive(
    write: Callable[..., None], text: bytes, arrays: dict[str, NDArray[Any]]
) -> memoryview:
    buffer = io.BytesIO()
    write(buffer, **{TEXT: np.frombuffer(text, np.uint8)}, **arrays)
    return buffer.getbuffer()


def _longest_text(n_bytes: int) -> int:
    return max(TEXT_ALWAYS_ALLOWED, MOST_DEFLATED_TEXT * n_bytes)


# -- the zip archive ------------------------------------------------------------------------


def _members(archive: zipfile.ZipFile, file: IO[bytes], size: int) -> dict[str, Member]:
    """Entries and what zipfile tells of them, by the names of their arrays.

    Every byte of the file is accounted for: entries follow each other from its first byte on, then
    comes the directory, then its end, which is that of the file.
    """
    members: dict[str, Member] = {}
    position = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise ValueError("it has two arrays of one name")
        file.seek(info.header_offset)
        header = file.read(LOCAL_HEADER.size)
        if info.header_offset != position or len(header) < LOCAL_HEADER.size:
            raise ValueError("it has bytes that belong to none of its arrays")
        _, *lengths = LOCAL_HEADER.unpack(header)
        position += LOCAL_HEADER.size + sum(lengths) + info.compress_size
        _check_size(info)
        members[name] = name, info
    _check_end(archive, file, size, position)
    return members


def _check_size(info: zipfile.ZipInfo) -> None:
    """Raise if what an entry is to unfold to cannot be in it."""
    stored, deflated = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
    most = {stored: 1, deflated: MOST_DEFLATED}.get(info.compress_type, 0) * info.compress_size
    if info.file_size > most:
        raise ValueError(f"{info.filename} cannot have {info.file_size} bytes")


def _check_end(archive: zipfile.ZipFile, file: IO[bytes], size: int, position: int) -> None:
    file.seek(max(0, size - END_OF_DIRECTORY.size))
    end = END_OF_DIRECTORY.unpack(file.read(END_OF_DIRECTORY.size))
    mark, *_, n_entries, n_bytes, start, n_comment = end
    expected = (zipfile.stringEndArchive, 0)  # type: ignore[attr-defined]
    complete = (mark, n_comment) == expected and position == archive.start_dir
    # Beyond 4 GiB, the numbers are in another record in front of this one.
    if start != 2**32 - 1:
        found = n_entries, start, start + n_bytes + END_OF_DIRECTORY.size
        complete = complete and found == (len(archive.infolist()), archive.start_dir, size)
    if not complete:
        raise ValueError("its directory is not all that follows its arrays")


# -- the metadata ---------------------------------------------------------------------------


def _read_text(archive: zipfile.ZipFile, member: Member, size: int) -> bytes:
    name, info = member
    if info.file_size > _longest_text(size):
        raise ValueError(f"its metadata of {info.file_size} bytes is too long")
    array = _read_array(archive, name, info)
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ValueError("its metadata is no text")
    return array.tobytes()


def _parsed(text: bytes) -> dict[str, Any]:
    """Metadata of a known version, whose digest is checked."""
    metadata = json.loads(
        text.decode("ascii"), parse_constant=_refuse_constant, object_pairs_hook=_unique
    )
    if not isinstance(metadata, dict) or not isinstance(metadata.get("format"), str):
        raise ValueError("it was not written by skactprune")
    version = metadata.get("format_version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise ValueError(
            f"it has format version {version!r}, and this is skactprune "
            f"{skactprune.__version__}, which reads versions up to {VERSION}"
        )
    sealed = "digest" in metadata or "arrays" in metadata
    if sealed != (version == VERSION) or sealed and text != _sealed(_unsealed(text)):
        raise ValueError("its metadata is damaged")
    metadata.pop("digest", None)
    return metadata


def _unsealed(text: bytes) -> bytes:
    return text[: -len(_sealed(b"}"))] + b"}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its metadata has two values of one name")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} in its metadata")


# -- arrays ---------------------------------------------------------------------------------


def _read_described(
    archive: zipfile.ZipFile, members: dict[str, Member], described: Any
) -> dict[str, NDArray[Any]]:
    """Arrays that are those that the metadata tells of."""
    if not isinstance(described, dict) or described.keys() != members.keys():
        raise ValueError("its arrays are not those that its metadata names")
    arrays = {}
    for name, member in members.items():
        arrays[name] = _read_array(archive, *member, described[name])
        if _described(arrays[name]) != described[name]:
            raise ValueError(f"{name} is damaged")
    return arrays


def _read_array(
    archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo, described: Any = None
) -> NDArray[Any]:
    with archive.open(info) as member:
        dtype, shape = _read_header(name, member)
        if described is not None and (
            not isinstance(described, dict)
            or described.get("dtype") != dtype.str
            or described.get("shape") != list(shape)
        ):
            raise ValueError(f"{name} is not what the metadata says")
        size = math.prod(shape) * dtype.itemsize
        if member.tell() + size != info.file_size:
            raise ValueError(f"{name} has another size than its shape {shape}")
        array = np.empty(size, np.uint8)
        for start in range(0, size, CHUNK):
            part = member.read(min(CHUNK, size - start))
            if len(part) < min(CHUNK, size - start):
                raise ValueError(f"{name} ends too early")
            array[start : start + len(part)] = np.frombuffer(part, np.uint8)
    return array.view(dtype).reshape(shape)


def _read_header(name: str, member: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Type and shape of an array.

    Not by numpy.lib.format, which has Python parse what it finds: of a header made to do harm,
    that takes memory or warns.
    """
    start = member.read(10)
    length = int.from_bytes(start[8:], "little")
    found = None
    if start[:8] == b"\x93NUMPY\x01\x00" and length <= LONGEST_HEADER:
        found = HEADER.fullmatch(member.read(length).decode("latin1"))
    if found is not None:
        dtype, shape = found.groups()
        sizes = tuple(int(n) for n in re.findall("[0-9]+", shape))
        if shape == str(sizes):
            return np.dtype(dtype), sizes
    raise ValueError(f"{name} is no array of numbers")
