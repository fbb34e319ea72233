"""Rows in files larger than memory: chunks, and arrays that are memory-mapped."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skactprune import Chunks, PrunedAutoencoder, PrunedMLPClassifier
from skactprune.methods import METHODS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

digits, labels = load_digits(return_X_y=True)
X, y = np.ascontiguousarray(digits[:360, 10:40] / 16), labels[:360]
# Neither batches nor what is validated or sampled ends where a chunk does.
SIZES = [70, 0, 1, 129, 160]
STARTS = np.cumsum([0, *SIZES])


def chunks(rows=X, read=None):
    pairs = list(zip(STARTS, STARTS[1:], strict=False))
    return Chunks(read or (lambda pair: rows[slice(*pair)]), pairs)


def net(**params):
    params = {"max_iter": 8, "learning_rate_init": 0.01, "random_state": 0, **params}
    return PrunedMLPClassifier((20, 10), batch_size=50, **params)


def is_the_same(found, expected):
    assert found.pruning_history_[-1]["round"] == expected.pruning_history_[-1]["round"]
    assert [row["epoch"] for row in found.pruning_history_] == [
        row["epoch"] for row in expected.pruning_history_
    ]
    assert found.loss_curve_ == expected.loss_curve_
    assert found.t_ == expected.t_
    for name in ("coefs_", "intercepts_", "masks_"):
        for a, b in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_array_equal(a, b)
    if expected.activation_counts_ is not None:
        for a, b in zip(found.activation_counts_, expected.activation_counts_, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_chunks_are_as_good_as_an_array_for_every_method(method):
    expected = net(shuffle=False, method=method).fit(X, y)
    is_the_same(net(shuffle=False, method=method).fit(chunks(), y), expected)


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"class_weight": "balanced"},
        {"class_weight": {0: 0.0, 1: 2.0, **dict.fromkeys(range(2, 10), 1.0)}},
        {"n_components": 3},
        {"dtype": "float32"},
        {"prune_features": 0.4, "prune_output": 0.4},
        {"solver": "sgd", "learning_rate": "adaptive"},
        {"net_params": {"optimizer__foreach": False}},
    ],
    ids=lambda params: next(iter(params)),
)
def test_chunks_are_as_good_as_an_array_with_every_option(params):
    found, expected = (net(shuffle=False, **params).fit(rows, y) for rows in (chunks(), X))
    is_the_same(found, expected)
    # Products of other shapes may round otherwise.
    rtol = 1e-4 if params.get("dtype") == "float32" else 1e-10
    for name in ("transform", "predict_proba"):
        a, b = getattr(found, name)(chunks()), getattr(expected, name)(X)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    assert found.score(chunks(), y) == expected.score(X, y)


def test_a_call_of_partial_fit_is_an_epoch_of_all_chunks():
    found, expected = (net(shuffle=False, weight_decay=0.1) for _ in range(2))
    for _ in range(8):
        found.partial_fit(chunks(), y, classes=range(10))
        expected.partial_fit(X, y, classes=range(10))
    is_the_same(found, expected)
    assert [row["epoch"] for row in found.pruning_history_] == [
        row["epoch"]
        for row in net(shuffle=False, weight_decay=0.1, trigger="epoch").fit(X, y).pruning_history_
    ]


def test_sample_weights_leave_rows_of_chunks_out():
    weight = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    found, expected = (net(shuffle=False).fit(rows, y, weight) for rows in (chunks(), X))
    is_the_same(found, expected)


def test_shuffled_chunks_are_read_once_an_epoch_and_bring_every_row():
    reads = []

    def read(pair):
        reads.append(pair)
        return X[slice(*pair)]

    for early_stopping in (False, True):
        clf = net(prune_fraction=0, max_iter=5, early_stopping=early_stopping)
        clf.fit(chunks(read=read), y)
        # Once to be checked and once an epoch, or once more to validate; what was read last stays.
        # One batch at a border may need the chunk before it again.
        assert len(reads) <= len(SIZES) * (1 + 5 * (1 + early_stopping)) + 5 * 3
        assert (clf.t_ == 5 * len(X)) != early_stopping
        reads.clear()
    again, other = (net(max_iter=30).fit(chunks(), y) for _ in range(2))
    is_the_same(again, other)
    in_order = net(max_iter=30, shuffle=False).fit(chunks(), y)
    assert again.loss_curve_ != in_order.loss_curve_
    assert again.score(X, y) > 0.8


def test_frames_bring_names_and_types():
    frame = pd.DataFrame(X.astype(np.float32), columns=[f"p{i}" for i in range(30)])
    clf = net(shuffle=False).fit(chunks(read=lambda pair: frame[slice(*pair)]), y)
    assert clf.feature_names_in_.tolist() == list(frame)
    assert clf.coefs_[0].dtype == np.float32
    is_the_same(clf, net(shuffle=False).fit(frame, y))
    with pytest.raises(ValueError, match="Chunk 0 of X.*feature names"):
        clf.set_params(warm_start=True).fit(
            chunks(read=lambda pair: frame.add_prefix("q")[slice(*pair)]), y
        )


def broken(number, value):
    def read(pair):
        rows = X[slice(*pair)].copy()
        return value(rows) if pair[0] == STARTS[number] and len(rows) else rows

    return chunks(read=read)


def with_nan(rows):
    rows[0, 0] = np.nan
    return rows


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (with_nan, "NaN"),
        (lambda rows: rows[:, 1:], "29 features"),
        (lambda rows: rows[0], "1D array"),
        (lambda rows: rows.astype(str) + "a", "could not convert"),
    ],
)
def test_a_bad_chunk_is_named_and_nothing_changes(value, says):
    clf = net().fit(X, y)
    before = clf.coefs_
    with pytest.raises(ValueError, match=rf"(?s)Chunk 3 of X, .* is not valid\. .*{says}"):
        clf.fit(broken(3, value), y)
    assert clf.coefs_ is before


def test_what_cannot_be_chunks_is_refused():
    with pytest.raises(TypeError, match="read, of type ndarray, must be a function"):
        Chunks(X, [0])
    with pytest.raises(ValueError, match="sources is empty"):
        Chunks(len, [])
    with pytest.raises(ValueError, match="X has no rows in 2 chunks"):
        net().fit(Chunks(lambda _: X[:0], [0, 1]), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        net().fit(chunks(), y[1:])
    with pytest.raises(ValueError, match="X_unlabeled is not valid. Only X may be Chunks"):
        net().fit(X, y, X_unlabeled=chunks())
    with pytest.raises(ValueError, match="X_val is not valid. Only X may be Chunks"):
        net(early_stopping=True).fit(X, y, X_val=chunks(), y_val=y)
    with pytest.raises((TypeError, ValueError)):
        StandardScaler().fit(chunks())
    # A search would have to copy rows.
    with pytest.raises(TypeError):
        GridSearchCV(net(), {"alpha": [0.1]}).fit(chunks(), y)


def test_chunks_that_change_meanwhile_are_noticed():
    n_reads = []

    def read(pair):
        n_reads.append(pair)
        return X[slice(*pair)][: None if len(n_reads) <= len(SIZES) else 10]

    with pytest.raises(ValueError, match="Chunk 0 of X, .* has the shape .10, 30.; .* .70, 30."):
        net(shuffle=False).fit(chunks(read=read), y)


def test_memory_is_flat(tmp_path):
    n_rows, n_features, a_chunk = 60_000, 64, 2_000
    path = tmp_path / "X.npy"
    mapped = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, n_features))
    rng = np.random.default_rng(0)
    for start in range(0, n_rows, a_chunk):
        mapped[start : start + a_chunk] = rng.normal(size=(a_chunk, n_features))
    mapped.flush()
    rows = np.load(path, mmap_mode="r")

    def read(start):
        return np.array(np.load(path, mmap_mode="r")[start : start + a_chunk])

    target, weight = rows[:, 0] > 0, (np.arange(n_rows) % 7 > 0).astype(np.float32)
    how = {"max_iter": 1, "batch_size": 2000, "early_stopping": True, "random_state": 0}
    # What is imported on first use takes memory, too.
    PrunedMLPClassifier((8,), **how).fit(np.array(rows[:100]), target[:100]).score(rows, target)
    peaks = []
    for X in (rows, Chunks(read, range(0, n_rows, a_chunk)), np.array(rows)):
        clf = PrunedMLPClassifier((8,), **how)
        tracemalloc.start()
        clf.fit(X, target, sample_weight=weight).score(X, target)
        peaks.append(tracemalloc.get_traced_memory()[1] / rows.nbytes)
        tracemalloc.stop()
    # What there is for every row are labels, weights and indices; the rows themselves would be 1.
    mapped_rows, chunked_rows, copied_rows = peaks
    assert max(mapped_rows, chunked_rows) < 0.6 < 1 < copied_rows


@pytest.mark.parametrize("weight", [None, np.arange(len(X)) % 4])
@pytest.mark.parametrize("n_components", [None, 3])
def test_the_way_back_is_learned_from_files_too(n_components, weight, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    params = {"fit_inverse_transform": True, "n_components": n_components, "shuffle": False}
    expected = net(**params).fit(X, y, sample_weight=weight)
    for rows in (mapped, chunks()):
        found = net(**params).fit(rows, y, sample_weight=weight)
        np.testing.assert_allclose(found.inverse_coef_, expected.inverse_coef_, atol=1e-9)
        back = found.inverse_transform(found.transform(X))
        np.testing.assert_allclose(
            back, expected.inverse_transform(expected.transform(X)), atol=1e-9
        )


def test_what_is_predicted_names_a_bad_chunk_too():
    clf = net().fit(X, y)
    with pytest.raises(ValueError, match=r"(?s)Chunk 3 of X, .* is not valid\. .*NaN"):
        clf.predict(broken(3, with_nan))
    with pytest.raises(ValueError, match="X has no rows in 2 chunks"):
        clf.predict_proba(Chunks(lambda _: X[:0], [0, 1]))
    sparse_rows = chunks(read=lambda pair: sparse.csr_array(X[slice(*pair)]))
    np.testing.assert_array_equal(clf.predict(sparse_rows), clf.predict(X))


def test_an_autoencoder_scores_chunks():
    weight = np.arange(len(X)) % 3
    auto = PrunedAutoencoder(4, max_iter=3, random_state=0).fit(X)
    assert auto.score(chunks()) == pytest.approx(auto.score(X), abs=1e-12)
    assert auto.score(chunks(), sample_weight=weight) == pytest.approx(
        auto.score(X, sample_weight=weight), abs=1e-12
    )
