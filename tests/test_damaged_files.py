"""Files that were damaged, cut, put together or made to do harm."""

import hashlib
import io
import json
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from compact_nets import random_model, rows
from fuzz.files import fingerprint, run, small_models
from model_files import content, parts, sealed, text_of, write_text
from numpy.testing import assert_allclose, assert_array_equal
from test_files import assert_refused

from skactprune import CompactMLPClassifier, load, save
from skactprune.deploy import archive
from skactprune.deploy.weights import CompactWeights

DATA = Path(__file__).parent / "data"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def test_a_slice_of_the_fuzz_run_finds_nothing():
    counts = run(minutes=1, seed=0, step=101, n_edits=120)
    assert counts.faults == []
    assert counts.refused > 600
    assert counts.same > 50
    assert counts.made > 5
    assert counts.memory_mib < 100


# -- version 1 ------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_files_of_version_1_are_read(storage, path):
    model = random_model(
        (5, 4, 3), storage=storage, components=2, classes=["no", "yes", "maybe"], density=0.6
    )
    found = load(DATA / f"version-1-{storage}.npz")
    X = rows(50, 5)
    assert_allclose(found.predict_proba(X), model.predict_proba(X), atol=1e-5)
    assert_allclose(found.transform(X), model.transform(X), atol=1e-5)
    assert_array_equal(found.classes_, model.classes_)
    save(found, path)
    assert fingerprint(load(path)) == fingerprint(found)


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_damaged_files_of_version_1_are_refused_or_the_same(storage, path):
    whole = (DATA / f"version-1-{storage}.npz").read_bytes()
    expected = fingerprint(load(DATA / f"version-1-{storage}.npz"))
    for bit in range(0, 8 * len(whole), 13):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        assert_refused_or_same(path, damaged, expected)


def assert_refused_or_same(path, damaged, expected):
    path.write_bytes(damaged)
    try:
        found = load(path)
    except ValueError:
        assert_refused(path)
    else:
        assert fingerprint(found) == expected


# -- the archive ----------------------------------------------------------------------------


def directory_of(whole):
    """Place and length of the entries of a directory."""
    end = whole.rindex(b"PK\5\6")
    n, _, place = struct.unpack("<HLL", whole[end + 10 : end + 20])
    entries = []
    for _ in range(n):
        length = 46 + sum(struct.unpack("<3H", whole[place + 28 : place + 34]))
        entries.append((place, length))
        place += length
    return entries, end


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_entries_do_not_vanish_from_the_directory(path, version, storage):
    model = random_model(storage=storage, components=2, density=0.2)
    meta, arrays = parts(model)
    write_text(path, text_of(meta, arrays, version), arrays)
    whole = path.read_bytes()
    entries, end = directory_of(whole)
    for place, length in entries:
        cut = bytearray(whole[:place] + whole[place + length :])
        new_end = end - length
        size = struct.unpack("<L", cut[new_end + 12 : new_end + 16])[0]
        n = struct.pack("<HH", len(entries) - 1, len(entries) - 1)
        cut[new_end + 8 : new_end + 16] = n + struct.pack("<L", size - length)
        assert len(zipfile.ZipFile(io.BytesIO(cut)).namelist()) == len(entries) - 1
        path.write_bytes(cut)
        assert_refused(path)


@pytest.mark.parametrize("version", [1, 2])
def test_arrays_that_are_left_out_are_missed(path, version):
    meta, arrays = parts(random_model(storage="int8", components=2, density=0.2))
    text = text_of(meta, arrays, version)
    for name in arrays:
        rest = {other: array for other, array in arrays.items() if other != name}
        write_text(path, text, rest)
        # Version 1 does not say what there should be.
        if version == 2:
            assert_refused(path, "its arrays are not those that its metadata names")
            write_text(path, text, rest | {f"{name}_": arrays[name]})
            assert_refused(path, "its arrays are not those that its metadata names")
    write_text(path, text, arrays | {"more": np.ones(3)})
    assert_refused(path)


def test_garbage_around_the_archive_is_refused(path):
    whole = bytes(content(random_model()))
    changed = [b"x" + whole, whole + b"x", whole + b"\0" * 22, b"PK\3\4" + whole, whole + whole]
    changed += [whole[:-2] + b"\4\0more", whole[:-22] + b"x" + whole[-22:]]
    (first, _), *_ = directory_of(whole)[0]
    changed.append(whole[:first] + b"x" + whole[first:])
    for damaged in changed:
        path.write_bytes(damaged)
        assert_refused(path)


def test_files_that_end_early_are_refused(path):
    whole = bytes(content(random_model(density=0.1)))
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert_refused(path)


def test_two_arrays_of_one_name_are_refused(path):
    save(random_model(), path)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("values.npy", archive.read("values.npy"))
    assert_refused(path, "two arrays of one name")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(path, method):
    members = zipfile.ZipFile(io.BytesIO(content(random_model())))
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in members.namelist():
            archive.writestr(name, members.read(name))
    assert_refused(path)


# -- the digests ----------------------------------------------------------------------------


@pytest.mark.parametrize("which", range(7))
def test_changed_arrays_are_found_where_the_checksum_is_right(path, which):
    meta, arrays = parts(small_models()[which])
    text = text_of(meta, arrays)
    write_text(path, text, arrays)
    load(path)
    for name, array in arrays.items():
        changed = array.copy()
        changed.reshape(-1).view(np.uint8)[0] ^= 1
        write_text(path, text, arrays | {name: changed})
        assert_refused(path, f"{name} is damaged")
        for other in (array.astype(">f4"), array[:-1], array[None]):
            write_text(path, text, arrays | {name: other})
            assert_refused(path, f"{name} is (not what the metadata says|no array of numbers)")


def test_changed_metadata_is_found_where_the_checksum_is_right(path):
    model = random_model(storage="int8", classes=["a", "b", "c"], components=2)
    meta, arrays = parts(model)
    text = text_of(meta, arrays)
    for place in range(len(text)):
        for byte in {chr(ord(text[place]) ^ 1), "1"} - {text[place]}:
            write_text(path, text[:place] + byte + text[place + 1 :], arrays)
            assert_refused(path)
    for changed in (text + " ", " " + text, text.replace("{", "{ ", 1), text[:-1] + ', "a": 1}'):
        write_text(path, changed, arrays)
        assert_refused(path, "metadata is damaged")
    write_text(path, text.replace('"format_version": 2', '"format_version": 1'), arrays)
    assert_refused(path, "metadata is damaged")
    write_text(path, json.dumps(meta), arrays)
    assert_refused(path, "metadata is damaged")


@pytest.mark.parametrize("described", [None, 3, [], {}, "text", {"values": None}])
def test_lists_of_arrays_that_are_none_are_refused(path, described):
    meta, arrays = parts(random_model())
    for what in (described, dict.fromkeys(arrays, described)):
        write_text(path, sealed(json.dumps(meta | {"arrays": what})), arrays)
        assert_refused(path)


def test_the_digest_is_of_all_that_numpy_reads(path):
    """Whoever has only numpy and json can check a file by what the text says."""
    save(random_model(components=2), path)
    with np.load(path) as archive:
        text = archive["metadata"].tobytes()
        described = json.loads(text)["arrays"]
        for name in set(archive.files) - {"metadata"}:
            digest = hashlib.sha256(archive[name].tobytes()).hexdigest()
            assert described[name]["sha256"] == digest
    body = text[: text.rindex(b', "digest"')] + b"}"
    assert hashlib.sha256(body).hexdigest() == json.loads(text)["digest"]


# -- memory ---------------------------------------------------------------------------------

LOAD = """
import re, resource, sys
from skactprune import CompactMLPClassifier, load
def peak():
    # Of this program; getrusage knows that of the one that started it.
    with open("/proc/self/status") as file:
        return int(re.search("VmHWM: *([0-9]+)", file.read().replace(chr(9), " "))[1]) / 1024
before = peak()
# Counts what is asked for, too, even if it is never used.
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, resource.RLIM_INFINITY))
for path in sys.argv[1:]:
    try:
        load(path)
    except ValueError as error:
        assert path in str(error), error
    else:
        sys.exit(f"{path} was read")
print(peak() - before)
"""


def header(text):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


def member(text, content=b""):
    return header(text) + content


def write_bombs(folder):
    """Small files that tell of large things."""
    meta, arrays = parts(random_model(classes=["a", "b", "c"], density=0.1, storage="int8"))
    float_meta, float_arrays = parts(random_model(density=0.1))
    for version in (1, 2):
        changes = {
            "n_features": {"layer_sizes": [2**34, 6, 5, 3]},
            "width": {"layer_sizes": [8, 2**34, 5, 3]},
            "product": {"layer_sizes": [10**5, 10**5, 5, 3]},
            "huge": {"layer_sizes": [10**1000, 6, 5, 3]},
            "labels": {"classes": {"dtype": "<U100000000", "values": ["a", "b", "c"]}},
            "floats": {"classes": {"dtype": "<f800000000", "values": [0.0, 1.0, 2.0]}},
            "long": {"skactprune_version": "a" * 2**26} if version == 2 else {"prefix": 3},
        }
        for name, change in changes.items():
            for which, (m, a) in enumerate([(meta, arrays), (float_meta, float_arrays)]):
                text = text_of(m | change, a, version)
                write_text(folder / f"{name}-{which}-{version}", text, a)
        wide = {"values": np.zeros(0, np.int8), "gaps": np.zeros(0, np.uint8)}
        some = arrays | wide | {"scales": np.ones(14, np.float32)}
        text = text_of(meta | {"layer_sizes": [2**31, 6, 5, 3]}, some, version)
        write_text(folder / f"nothing-{version}", text, some)
        zeros = arrays | {"values": np.zeros(2**24, np.int8), "gaps": np.zeros(2**24, np.uint8)}
        write_text(folder / f"zeros-{version}", text_of(meta, zeros, version), zeros)
        text = text_of(meta | {"layer_sizes": [2**34 // 6, 6, 5, 3]}, zeros, version)
        write_text(folder / f"sparse-{version}", text, zeros)
    dtype = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }"
    inner = {
        "shape": member(dtype % 2**40),
        "shapes": member(dtype % "0, 99999999999999999999"),
        "descr": member("{'descr': '<U1000000000', 'fortran_order': False, 'shape': (3,), }"),
        "nested": member("(" * 30000),
        "minus": member("-" * 9000 + "1"),
        "text": member("[" * 10 + "]" * 10),
    }
    for name, values in inner.items():
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("metadata.npy", npy(text_of(meta, {}, 1).encode()))
            archive.writestr("values.npy", values)
    with zipfile.ZipFile(folder / "bomb", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("metadata.npy", bytes(2**28))
    with zipfile.ZipFile(folder / "brackets", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.npy", npy(b"[" + b"[]," * 2**23 + b"0]"))
    write_liar(folder / "liar")


def npy(text):
    buffer = io.BytesIO()
    np.save(buffer, np.frombuffer(text, np.uint8))
    return buffer.getvalue()


def write_liar(path):
    """Sizes in the directory that are not those in the file."""
    whole = bytearray(content(random_model()))
    for place, _ in directory_of(whole)[0]:
        whole[place + 24 : place + 28] = struct.pack("<L", 2**32 - 2)
    path.write_bytes(whole)


@pytest.mark.skipif(sys.platform != "linux", reason="measures as Linux does")
def test_no_file_takes_more_memory_than_it_has_room_for(tmp_path):
    write_bombs(tmp_path)
    paths = sorted(str(path) for path in tmp_path.iterdir())
    assert len(paths) > 30
    command = [sys.executable, "-c", LOAD, *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 200


@pytest.mark.parametrize(
    ("storage", "sizes"),
    [
        ("float32", (900, 400, 1)),
        ("int8", (400_000, 1)),
        ("codebook", (900, 400, 1)),
    ],
)
def test_nets_of_nearly_nothing_but_zeros_come_back(path, storage, sizes, monkeypatch):
    """They would be as small as files made to do harm, and take more room instead."""
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 2**20)
    coefs = [np.zeros(shape, np.float32) for shape in zip(sizes, sizes[1:], strict=False)]
    coefs[0][1, 0] = 0.5
    intercepts = [np.ones(n, np.float32) for n in sizes[1:]]
    weights = CompactWeights.of(coefs, intercepts, activation="relu", storage=storage)
    save(CompactMLPClassifier.of(weights, np.arange(2), output_prefix=""), path)
    found = load(path)
    assert weights.dense_nbytes > archive.ALWAYS_ALLOWED
    assert weights.dense_nbytes / 1032 < path.stat().st_size < weights.dense_nbytes / 100
    assert found.coefs_[0][1, 0] == 0.5
    assert [np.count_nonzero(W) for W in found.coefs_] == [1, *[0] * (len(sizes) - 2)]
