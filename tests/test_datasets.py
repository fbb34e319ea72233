"""Data sets from files that the tests make; nothing is downloaded."""

import gzip
from urllib.error import URLError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.datasets import load_digits

from skactprune import datasets
from skactprune.datasets import load_dataset

FILES = {
    "train-images-idx3-ubyte": np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2) * 20,
    "train-labels-idx1-ubyte": np.array([0, 9, 5], np.uint8),
    "t10k-images-idx3-ubyte": np.full((2, 2, 2), 255, np.uint8),
    "t10k-labels-idx1-ubyte": np.array([1, 2], np.uint8),
}


def idx_bytes(values):
    sizes = np.array(values.shape, ">u4").tobytes()
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def write_files(folder, compress=(), **changed):
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in (FILES | changed).items():
        if name in compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(values)))
        else:
            (folder / name).write_bytes(idx_bytes(values))
    return folder


def no_download(*args, **kwargs):
    raise AssertionError("a test tried to download")


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("SKACTPRUNE_DATA", raising=False)
    monkeypatch.setattr(datasets, "_SYSTEM_FOLDER", tmp_path / "no-such-folder")
    monkeypatch.setattr(datasets, "fetch_openml", no_download)


def test_digits_come_scaled_stratified_and_always_split_alike():
    first, second = load_dataset("digits"), load_dataset("digits")
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    X_train, X_test, y_train, y_test = first
    assert X_train.shape == (1347, 64) and X_test.shape == (450, 64)
    assert X_train.dtype == X_test.dtype == np.float32
    assert X_train.min() == 0 and X_train.max() == 1
    np.testing.assert_allclose(np.bincount(y_test) / 450, np.bincount(y_train) / 1347, atol=2e-3)
    both = np.concatenate([X_train, X_test])
    np.testing.assert_array_equal(
        np.sort(both.sum(axis=1)), np.sort(load_digits().data.sum(axis=1) / 16).astype(np.float32)
    )


@pytest.mark.parametrize("compress", [(), FILES, ["train-images-idx3-ubyte"]])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_files_plain_and_compressed(tmp_path, name, compress):
    X_train, X_test, y_train, y_test = load_dataset(name, write_files(tmp_path, compress))
    assert X_train.dtype == X_test.dtype == np.float32
    np.testing.assert_array_equal(X_train, np.arange(12, dtype=np.float32).reshape(3, 4) * 20 / 255)
    np.testing.assert_array_equal(X_test, np.ones((2, 4)))
    assert y_train.dtype == y_test.dtype == np.int64
    assert y_train.tolist() == [0, 9, 5] and y_test.tolist() == [1, 2]


@given(
    arrays(np.uint8, array_shapes(min_dims=1, max_dims=3, max_side=4)),
    st.booleans(),
)
def test_reader_gives_back_what_was_written(tmp_path_factory, values, compress):
    path = tmp_path_factory.mktemp("idx") / ("file.gz" if compress else "file")
    path.write_bytes(gzip.compress(idx_bytes(values)) if compress else idx_bytes(values))
    np.testing.assert_array_equal(datasets._read_idx(path, values.ndim), values)


def labels(*values):
    return {"t10k-labels-idx1-ubyte": np.array(values, np.uint8)}


def test_folders_are_searched_in_the_documented_order(tmp_path, monkeypatch):
    write_files(tmp_path / "system" / "mnist", **labels(1, 1))
    monkeypatch.setattr(datasets, "_SYSTEM_FOLDER", tmp_path / "system")
    assert load_dataset("mnist").y_test.tolist() == [1, 1]

    variable = write_files(tmp_path / "variable", **labels(2, 2))
    monkeypatch.setenv("SKACTPRUNE_DATA", str(variable))
    # Files right in the variable's folder could be either collection: not taken.
    assert load_dataset("mnist").y_test.tolist() == [1, 1]
    write_files(variable / "mnist", **labels(3, 3))
    assert load_dataset("mnist").y_test.tolist() == [3, 3]

    argument = write_files(tmp_path / "argument", **labels(4, 4))
    assert load_dataset("mnist", str(argument)).y_test.tolist() == [4, 4]
    write_files(argument / "mnist", **labels(5, 5))
    assert load_dataset("mnist", argument).y_test.tolist() == [5, 5]
    assert load_dataset("fashion-mnist", argument).y_test.tolist() == [4, 4]


@pytest.mark.parametrize(
    "name, published", [("mnist", "mnist_784"), ("fashion-mnist", "Fashion-MNIST")]
)
def test_without_files_openml_is_asked_and_its_last_10000_are_the_test(
    monkeypatch, name, published
):
    def fetch(asked, **kwargs):
        assert asked == published
        return np.full((60_003, 2), 51), np.array(["3"] * 60_000 + ["7"] * 3, dtype=object)

    monkeypatch.setattr(datasets, "fetch_openml", fetch)
    X_train, X_test, y_train, y_test = load_dataset(name)
    assert X_train.shape == (60_000, 2) and X_train.dtype == np.float32
    np.testing.assert_array_equal(X_test, np.full((3, 2), 0.2, np.float32))
    assert set(y_train) == {3} and y_test.tolist() == [7, 7, 7]


def test_no_network_says_where_files_are_looked_for(monkeypatch):
    def fetch(*args, **kwargs):
        raise URLError("no route")

    monkeypatch.setattr(datasets, "fetch_openml", fetch)
    with pytest.raises(OSError, match=r"mnist is not on this machine.*no route.*SKACTPRUNE_DATA"):
        load_dataset("mnist")


def test_unknown_name_shows_the_known_ones():
    with pytest.raises(ValueError, match="name must be one of 'digits', .*got 'cifar'"):
        load_dataset("cifar")


def test_folder_that_does_not_exist_is_not_passed_over(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="data_home must name an existing folder"):
        load_dataset("mnist", tmp_path / "nowhere")
    monkeypatch.setenv("SKACTPRUNE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="SKACTPRUNE_DATA must name an existing folder"):
        load_dataset("mnist")


def test_missing_file_is_named(tmp_path):
    (write_files(tmp_path) / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="lacks t10k-labels-idx1-ubyte "):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize("n_bytes", [0, 3, 4, 10, 20, 27])
def test_truncated_file_is_named(tmp_path, n_bytes):
    path = write_files(tmp_path) / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="train-images-idx3-ubyte' is (truncated|not an IDX)"):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"<html>", "must start with 00 00 08 03, not with 3c 68 74 6d"),
        (idx_bytes(FILES["train-labels-idx1-ubyte"]), "not with 00 00 08 01"),
        (bytes([0, 0, 13, 3]) + bytes(12), "not with 00 00 0d 03"),
        (idx_bytes(FILES["train-images-idx3-ubyte"]) + b"more", "has 28 bytes, this one 32"),
    ],
)
def test_foreign_file_is_refused(tmp_path, content, message):
    (write_files(tmp_path) / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=f"train-images-idx3-ubyte' .*{message}"):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"no" + raw, lambda raw: b""])
def test_damaged_gzip_is_refused(tmp_path, damage):
    path = write_files(tmp_path, compress=FILES) / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz' is (truncated|not an IDX)"):
        load_dataset("mnist", tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    write_files(tmp_path / "labels", **labels(1, 2, 3))
    with pytest.raises(ValueError, match="2 t10k images but 3 labels"):
        load_dataset("mnist", tmp_path / "labels")
    write_files(tmp_path / "pixels", **{"t10k-images-idx3-ubyte": np.zeros((2, 3, 2), np.uint8)})
    with pytest.raises(ValueError, match=r"\(2, 2\) pixels but t10k images of \(3, 2\)"):
        load_dataset("mnist", tmp_path / "pixels")
