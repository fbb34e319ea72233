"""Files of compact models: the same model comes back, or one error that says what is wrong."""

import io
import json
import os
import pickle
import re
import signal
import stat
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from compact_nets import ACTIVATIONS, STORAGES, fitted, problem, random_model, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from test_compact import assert_same_model

from skactprune import CompactMLPClassifier, compact, load, save, to_onnx

LABELS = [
    np.array([-3, 0, 2**62]),
    np.array([1, 2, 200], dtype=np.uint8),
    np.array([0.0, 1.0, 2.0]),
    np.array(["a", "ü", '\N{SNOWMAN} or \x00\x01 "']),
    np.array(["", "one", "a longer one"], dtype=object),
    np.array(["a", "b", "c"], dtype="U10"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


# -- the same model -------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    storage=st.sampled_from(STORAGES),
    density=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    n_classes=st.integers(2, 5),
    components=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
)
def test_what_is_loaded_is_what_was_saved(
    tmp_path_factory, storage, density, sizes, n_classes, components, activation
):
    path = tmp_path_factory.mktemp("files") / "model"
    model = random_model(
        (*sizes, 1 if n_classes == 2 else n_classes),
        storage=storage,
        density=density,
        activation=activation,
        components=1 if components and len(sizes) > 1 else None,
    )
    save(model, path)
    found = load(path)
    assert type(found) is CompactMLPClassifier
    assert_same_model(found, model)
    before = path.read_bytes()
    found.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("classes", LABELS, ids=lambda c: c.dtype.str)
def test_labels_of_any_kind_come_back(path, classes):
    model = random_model(classes=classes)
    model.save(str(path))
    assert_same_model(load(str(path)), model)
    assert set(load(path).predict(rows(50, 8))) <= set(classes)


def test_bool_labels_come_back(path):
    model = random_model((4, 3, 1), classes=[False, True])
    save(model, path)
    assert_same_model(load(path), model)


@pytest.mark.parametrize("classes", [[b"a", b"b", b"c"], np.array([1, "b", None], dtype=object)])
def test_other_labels_are_refused_before_anything_is_written(path, classes):
    path.write_text("old")
    with pytest.raises(ValueError, match="Class labels must be integers, bools, floats or strings"):
        save(random_model(classes=classes), path)
    assert path.read_text() == "old"


def test_names_and_folded_scaler_come_back(path):
    import pandas as pd

    X, _ = problem()
    frame = pd.DataFrame(X * 10 + 3, columns=[f"column {i}" for i in range(X.shape[1])])
    scaler = StandardScaler().fit(frame)
    for storage in STORAGES:
        pipeline = compact(make_pipeline(scaler, fitted(n_components=2)), storage)
        save(pipeline, path)
        found = load(path)
        assert_array_equal(found.feature_names_in_, frame.columns)
        assert_array_equal(found.predict_proba(frame), pipeline.predict_proba(frame))
        assert_array_equal(found.transform(frame), pipeline.transform(frame))


def test_settings_of_output_are_not_stored(path):
    model = random_model().set_output(transform="pandas")
    save(model, path)
    found, X = load(path), rows(5, 8)
    expected = model.transform(X)
    assert_array_equal(found.transform(X), expected.to_numpy())
    assert type(found.transform(X)) is np.ndarray
    assert_array_equal(found.set_output(transform="pandas").transform(X).columns, expected.columns)


def test_what_is_no_compact_model_is_not_saved(path):
    X, _ = problem()
    with pytest.raises(TypeError, match="got PrunedMLPClassifier; call skactprune.compact"):
        save(fitted(), path)
    pipeline = make_pipeline(RobustScaler().fit(X), fitted())
    with pytest.raises(TypeError, match="has the steps .'robustscaler', 'prunedmlpclassifier'"):
        save(compact(pipeline), path)
    assert not path.exists()


# -- size -----------------------------------------------------------------------------------

SIZES = (784, 300, 200, 100, 50, 10)
DENSE_BYTES = 4 * sum(n * m + m for n, m in zip(SIZES, SIZES[1:], strict=False))


@pytest.mark.parametrize(("storage", "share"), [("float32", 0.13), ("int8", 0.045)])
@pytest.mark.parametrize(
    ("sizes", "density"),
    [(SIZES, 0.1), ((784, 39, 26, 13, 7, 10), 1.0)],
    ids=["weights", "neurons"],
)
def test_file_is_small_when_a_tenth_of_the_weights_is_left(path, storage, share, sizes, density):
    save(random_model(sizes, storage=storage, density=density), path)
    assert path.stat().st_size <= share * DENSE_BYTES


# -- atomic ---------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from skactprune import load, save
model = load(sys.argv[1])
model.intercepts_[0] += 1
def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, sys.argv[3], die)
save(model, sys.argv[2])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_killed_while_writing_leaves_the_old_file(tmp_path, path, moment):
    model = random_model()
    save(model, path)
    before = path.read_bytes()
    command = [sys.executable, "-c", KILLED, str(path), str(path), moment]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert_same_model(load(path), model)
    save(random_model(seed=1), path)
    assert_same_model(load(path), random_model(seed=1))


def test_failing_to_write_leaves_the_old_file_and_nothing_else(tmp_path, path, monkeypatch):
    save(random_model(), path)
    before = path.read_bytes()

    def full(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="disk full"):
            save(random_model(seed=1), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(FileNotFoundError):
        save(random_model(), tmp_path / "no such folder" / "model")


@pytest.mark.parametrize("write", [save, to_onnx])
def test_a_directory_is_named_as_what_it_is(write, tmp_path):
    with pytest.raises(IsADirectoryError, match=re.escape(f"Is a directory: {str(tmp_path)!r}")):
        write(random_model(), tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="has no such permissions")
def test_permissions_and_links_are_those_of_an_ordinary_file(tmp_path, path):
    save(random_model(), path)
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    save(random_model(seed=1), link)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert_same_model(load(path), random_model(seed=1))


# -- files that are something else ----------------------------------------------------------


def assert_refused(path, reason=None):
    with pytest.raises(ValueError, match=reason) as error:
        load(path)
    assert type(error.value) is ValueError
    assert str(error.value).startswith(f"{str(path)!r} holds no valid compact model: ")


def parts(model):
    """Metadata and arrays of the model's file."""
    buffer = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skactprune.deploy.files.write_atomically", lambda _, c: buffer.write(c))
        save(model, "unused")
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(arrays.pop("metadata").tobytes()), arrays


def write(path, meta, arrays):
    text = meta if isinstance(meta, str) else json.dumps(meta)
    with open(path, "wb") as file:
        np.savez_compressed(file, metadata=np.frombuffer(text.encode(), np.uint8), **arrays)


def test_a_rewritten_file_is_accepted(path):
    """Otherwise the refusals below would prove nothing."""
    model = random_model(storage="int8", density=0.1, components=2)
    write(path, *parts(model))
    assert_same_model(load(path), model)


def test_missing_files_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")
    with pytest.raises(OSError):
        load(tmp_path)


def test_truncated_files_are_refused(path):
    save(random_model(density=0.1), path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert_refused(path)


def test_damaged_files_are_refused_or_the_same(path):
    model = random_model(density=0.1)
    save(model, path)
    content = path.read_bytes()
    refused = 0
    for position in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            found = load(path)
        except ValueError:
            assert_refused(path)
            refused += 1
        else:
            assert_same_model(found, model)
    assert refused > 0.6 * len(content) / 5


class Bomb:
    def __reduce__(self):
        return os.abort, ()


def test_foreign_files_are_refused_and_run_no_code(path):
    for content in (b"", b"text", pickle.dumps(Bomb()), b"PK\x03\x04", os.urandom(1000)):
        path.write_bytes(content)
        assert_refused(path)
    with open(path, "wb") as file:
        np.save(file, np.ones(3))
    assert_refused(path, "no npz archive")
    with open(path, "wb") as file:
        np.savez(file, a=np.ones(3))
    assert_refused(path, "no metadata")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata", "{}")
    assert_refused(path)
    write(path, {}, {})
    assert_refused(path, "not written by skactprune")
    for meta in ("[]", "3", "no json", '{"format": NaN}', "[" * 100000):
        write(path, meta, {})
        assert_refused(path)
    meta, arrays = parts(random_model())
    write(path, meta, arrays | {"values": np.array([Bomb()], dtype=object)})
    assert_refused(path, "Object arrays cannot be loaded")


@pytest.mark.parametrize("version", [2, 1.0, "1", None])
def test_files_of_newer_versions_are_refused(path, version):
    meta, arrays = parts(random_model())
    write(path, meta | {"format_version": version}, arrays)
    assert_refused(path, f"format version {version!r}.* reads versions up to 1")


TAMPERED_METADATA = {
    "activation": ["softplus", None, [], 3],
    "storage": ["float8", None, "float64", "int8"],
    "layer_sizes": [
        [8],
        [],
        None,
        [8, 6, 5, 4],
        [8, 6, -5, 3],
        [8.0, 6, 5, 3],
        [9, 6, 5, 3],
        "8653",
    ],
    "transform_layer": [2, -1, "1", True],
    "prefix": [None, 3],
    "feature_names": [["a"], list(range(8)), "abcdefgh", {}],
    "classes": [
        None,
        [0, 1, 2],
        {"dtype": "<i8", "values": [0, 1]},
        {"dtype": "<i8", "values": [0, 1, 1]},
        {"dtype": "<i8", "values": ["0", "1", "2"]},
        {"dtype": "<i8", "values": [0, 1, 2**70]},
        {"dtype": "<i8", "values": 3},
        {"dtype": "<i8", "values": [[0], [1], [2]]},
        {"dtype": "object", "values": [0, 1, 2]},
        {"dtype": "|O", "values": ["a", "b", "c"]},
        {"dtype": "no type", "values": [0, 1, 2]},
        {"dtype": "<U1", "values": ["aa", "ab", "c"]},
        {"dtype": 3, "values": [0, 1, 2]},
        {"dtype": "<i8", "values": [0, 1, 2], "more": 1},
    ],
}


@pytest.mark.parametrize(
    ("name", "value"), [(k, v) for k, values in TAMPERED_METADATA.items() for v in values]
)
def test_inconsistent_metadata_is_refused(path, name, value):
    meta, arrays = parts(random_model(storage="float32"))
    write(path, meta | {name: value}, arrays)
    assert_refused(path)
    del meta[name]
    write(path, meta, arrays)
    assert_refused(path, name)


def poisoned(array, value):
    array = array.copy()
    array.ravel()[0] = value
    return array


def tampered_arrays():
    """Cases: of which model, which array, and what it becomes; None leaves it out."""
    changes = {
        "shorter": lambda a: a[:-1],
        "longer": lambda a: np.concatenate([a, a[:1]]),
        "deeper": lambda a: a[None],
        "empty": lambda a: a[:0],
        "number": lambda a: a.ravel()[0],
        "complex": lambda a: a.astype(complex),
        "text": lambda a: a.astype(str),
        "missing": lambda a: None,
    }
    not_finite = {"nan": lambda a: poisoned(a, np.nan), "inf": lambda a: poisoned(a, np.inf)}
    for name in ("values", "gaps", "scales", "intercepts", "projection", "projection_offset"):
        for kind, change in changes.items():
            if (name, kind) != ("projection", "missing"):
                yield name, kind, change
        if name not in ("values", "gaps"):
            yield from ((name, kind, change) for kind, change in not_finite.items())
    yield "gaps", "outside", lambda a: poisoned(a, 255)
    yield "gaps", "signed", lambda a: a.astype(np.int8)
    yield "intercepts", "float64", lambda a: a.astype(np.float64)
    yield "values", "float32", lambda a: a.astype(np.float32)
    yield "unknown", "new", lambda a: np.ones(3)
    yield "input_scale", "zero", lambda a: np.zeros(8, np.float32)
    yield "input_scale", "shape", lambda a: np.ones(7, np.float32)


@pytest.mark.parametrize(
    ("name", "change"), [pytest.param(n, c, id=f"{n}-{kind}") for n, kind, c in tampered_arrays()]
)
def test_inconsistent_arrays_are_refused(path, name, change):
    meta, arrays = parts(random_model(storage="int8", density=0.15, components=2))
    changed = change(arrays.get(name))
    arrays = {k: v for k, v in arrays.items() if k != name}
    write(path, meta, arrays if changed is None else arrays | {name: changed})
    assert_refused(path)


@pytest.mark.parametrize("storage", ["float32", "float64", "float16"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(path, storage, value):
    meta, arrays = parts(random_model(storage=storage))
    write(path, meta, arrays | {"values": poisoned(arrays["values"], value)})
    assert_refused(path, "not finite")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(path):
    save(random_model(), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("values.npy", archive.read("values.npy"))
    assert_refused(path)
