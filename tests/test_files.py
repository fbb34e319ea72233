"""Files of compact models: the same model comes back, or one error that says what is wrong."""

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
from model_files import parts, text_of, write_text
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
    np.array([0, 1, 2**64 - 1], dtype=np.uint64),
    np.array([0, 1, 2], dtype=">i2"),
    np.array([0.1, 1e-300, -0.5]),
    np.array([0.1, 0.2, 0.3], dtype=np.float16),
    np.array(["a", "b", "\ud800"], dtype=object),
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


@pytest.mark.parametrize(
    "classes",
    [
        [b"a", b"b", b"c"],
        np.array([1, "b", None], dtype=object),
        np.array([1, 2, 3], dtype=object),
        np.array([1, 2, 3], dtype="M8[D]"),
        np.array([1, 2, 3], dtype=np.longdouble),
        np.array([1, 2, 3], dtype=complex),
        np.array([0, 1, np.nan]),
        np.array([0, 1, np.inf]),
        np.array(["a", "a", "b"]),
        np.array(["a", "b", "c"], dtype="U400000"),
    ],
    ids=lambda classes: str(np.asarray(classes).dtype),
)
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


@pytest.fixture(params=[1, 2], ids=["version-1", "version-2"])
def write(request, path):
    """Write a file of a version; metadata and digests are those of the arrays."""

    def write(meta, arrays):
        write_text(path, text_of(meta, arrays, request.param), arrays)

    return write


def test_a_rewritten_file_is_accepted(path, write):
    """Otherwise the refusals below would prove nothing."""
    model = random_model(storage="int8", density=0.1, components=2)
    write(*parts(model))
    assert_same_model(load(path), model)


def test_missing_files_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")
    with pytest.raises(OSError):
        load(tmp_path)


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
    for text in ("{}", "[]", "3", '{"format": 3}', '{"format": "pickle", "format_version": 1}'):
        write_text(path, text, {})
        assert_refused(path, "not written by skactprune")
    for text in ("no json", '{"format": NaN}', "[" * 100000, "1" * 100000, '{"a": 1, "a": 1}'):
        write_text(path, text, {})
        assert_refused(path)
    for version in (1, 2):
        arrays = {"values": np.array([Bomb()], dtype=object)}
        write_text(path, text_of(parts(random_model())[0], arrays, version), arrays)
        assert_refused(path, "values is no array of numbers")


@pytest.mark.parametrize("version", [3, 2.0, "1", None, 0, -1, True])
def test_files_of_newer_versions_are_refused(path, version):
    meta, arrays = parts(random_model())
    write_text(path, text_of(meta | {"format_version": version}, arrays), arrays)
    assert_refused(path, f"format version {version!r}.* reads versions up to 2")


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
        [2**40, 6, 5, 3],
        [8, 6, 5, 2**62],
        [8, 10**300, 5, 3],
        [True, 6, 5, 3],
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
        {"dtype": "<i8", "values": [0, 1.0, 2]},
        {"dtype": "<i8", "values": [False, True, 2]},
        {"dtype": "|b1", "values": [False, True, 1]},
        {"dtype": "<f8", "values": [0.0, 1.0, float("1e999")]},
        {"dtype": "<U100000000", "values": ["a", "b", "c"]},
        {"dtype": "<U0", "values": ["", "b", "c"]},
        {"dtype": "<i8,<i8", "values": [0, 1, 2]},
        {"dtype": "object", "values": ["a", "b", None]},
        {"dtype": "object", "values": ["a", ["b"], "c"]},
    ],
}


@pytest.mark.parametrize(
    ("name", "value"), [(k, v) for k, values in TAMPERED_METADATA.items() for v in values]
)
def test_inconsistent_metadata_is_refused(path, write, name, value):
    meta, arrays = parts(random_model(storage="float32"))
    write(meta | {name: value}, arrays)
    assert_refused(path)
    del meta[name]
    write(meta, arrays)
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
        "structured": lambda a: a.astype([("a", a.dtype)]),
        "dates": lambda a: a.astype(np.int64).astype("M8[D]"),
        "bool": lambda a: a != 0,
        "long": lambda a: a.astype(np.longdouble),
        "missing": lambda a: None,
    }
    not_finite = {"nan": lambda a: poisoned(a, np.nan), "inf": lambda a: poisoned(a, np.inf)}
    for name in ("values", "gaps", "scales", "intercepts", "projection", "mean"):
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
    yield "values", "lowest", lambda a: poisoned(a, -128)
    yield "values", "smaller", lambda a: a // 2
    yield "values", "none", np.zeros_like
    for value in (0, -1, -0.0):
        yield "scales", str(value), lambda a, value=value: poisoned(a, value)
    yield "projection", "fortran", lambda a: np.asfortranarray(a)
    yield "input_scale", "zero", lambda a: np.zeros(8, np.float32)
    yield "input_scale", "negative", lambda a: -np.ones(8, np.float32)
    yield "input_scale", "shape", lambda a: np.ones(7, np.float32)


@pytest.mark.parametrize(
    ("name", "change"), [pytest.param(n, c, id=f"{n}-{kind}") for n, kind, c in tampered_arrays()]
)
def test_inconsistent_arrays_are_refused(path, write, name, change):
    meta, arrays = parts(random_model(storage="int8", density=0.15, components=2))
    changed = change(arrays.get(name))
    arrays = {k: v for k, v in arrays.items() if k != name}
    write(meta, arrays if changed is None else arrays | {name: changed})
    assert_refused(path)


@pytest.mark.parametrize("storage", ["float32", "float64", "float16"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(path, write, storage, value):
    meta, arrays = parts(random_model(storage=storage))
    write(meta, arrays | {"values": poisoned(arrays["values"], value)})
    assert_refused(path, "not finite")


@pytest.mark.parametrize("ending", [".onnx", ".PKL", ".joblib", ".skops"])
def test_files_are_not_named_as_those_of_others(ending, tmp_path):
    for path in (tmp_path / f"net{ending}", os.fsencode(tmp_path / f"net{ending}")):
        with pytest.raises(ValueError, match=f"ends in {ending.lower()}, which this format is not"):
            save(random_model(), path)
    assert not list(tmp_path.iterdir())
