"""Deep Compression's storage: a decoder that reads bit by bit, sizes in bytes, damaged arrays."""

import itertools
import pickle

import numpy as np
import pytest
from compact_nets import fitted, model_of, problem, random_model, random_net, rows
from hypothesis import given
from hypothesis import strategies as st
from model_files import parts, text_of, write_text
from numpy.testing import assert_allclose, assert_array_equal
from test_files import assert_refused

from skactprune import compact, load, save
from skactprune.deploy.huffman import check_lengths, code_lengths, decoded, encoded
from skactprune.deploy.sharing import clustered, means_of
from skactprune.deploy.storages import Codebook
from skactprune.deploy.weights import CompactWeights

# -- by hand --------------------------------------------------------------------------------


def words_of(lengths):
    """Symbol of every word of a canonical code, as text."""
    words, word, before = {}, 0, 0
    for length, symbol in sorted((n, s) for s, n in enumerate(lengths) if n):
        word <<= length - before
        words[format(word, f"0{length}b")] = symbol
        word, before = word + 1, length
    return words


def read_symbols(bits, lengths, n):
    """Take the first `n` symbols off a list of bits, one bit after the other."""
    words, symbols, word = words_of(lengths), [], ""
    while len(symbols) < n:
        word += str(bits.pop(0))
        if word in words:
            symbols.append(words[word])
            word = ""
    return symbols


def by_hand(arrays, sizes):
    """Matrices of what a compact model's codebook storage packs, read as it is described."""
    bits = np.unpackbits(arrays["code"]).tolist()
    codebook, lengths = arrays["codebook"].tolist(), arrays["lengths"].tolist()
    found = []
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        n_values, n_coded = arrays["counts"][2 * layer : 2 * layer + 2].tolist()
        gaps = [0] * n_coded
        if n_coded < n_in * n_out:
            gaps = read_symbols(bits, lengths[:64], n_coded)
            del lengths[:64]
        indices = read_symbols(bits, lengths[: n_values + 1], n_coded)
        del lengths[: n_values + 1]
        values = [0.0, *codebook[:n_values]]
        del codebook[:n_values]
        entries = []
        for gap, index in zip(gaps, indices, strict=True):
            entries += [0.0] * gap + [values[index]]
        entries += [0.0] * (n_in * n_out - len(entries))
        found.append(np.array(entries, np.float32).reshape(n_in, n_out))
    assert not codebook and not lengths and len(bits) < 8 and not any(bits)
    return found


def best_total(counts):
    """Bits of the best code: every merge of the two rarest adds a bit to all in them."""
    counts, total = sorted(c for c in counts if c), 0
    while len(counts) > 1:
        merged = counts[0] + counts[1]
        counts, total = sorted([*counts[2:], merged]), total + merged
    return total


# -- the code -------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 400), min_size=1, max_size=30))
def test_no_code_takes_fewer_bits(counts):
    lengths = code_lengths(counts)
    check_lengths(lengths)
    assert_array_equal(lengths > 0, np.array(counts) > 0)
    if np.count_nonzero(counts) > 1:
        assert sum(2.0 ** -int(n) for n in lengths if n) == 1
        assert int(np.dot(counts, lengths.astype(int))) == best_total(counts)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(0, 20))
def test_symbols_come_back_from_any_bit_on(symbols, before):
    symbols = np.array(symbols, dtype=int)
    lengths = code_lengths(np.bincount(symbols, minlength=10))
    bits = np.concatenate([np.ones(before, np.uint8), encoded(symbols, lengths)])
    found, end = decoded(np.packbits(bits), before, len(symbols), lengths)
    assert_array_equal(found, symbols)
    assert end == len(bits)
    assert read_symbols(bits[before:].tolist(), lengths.tolist(), len(symbols)) == symbols.tolist()


def test_words_stay_short_where_counts_would_make_them_long():
    fibonacci = [1, 1]
    while len(fibonacci) < 40:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = code_lengths(fibonacci)
    assert lengths.max() == 16
    check_lengths(lengths)
    symbols = np.arange(40).repeat(3)
    code = np.packbits(encoded(symbols, lengths))
    assert_array_equal(decoded(code, 0, 120, lengths)[0], symbols)


def test_long_codes_are_read_in_parts(monkeypatch):
    monkeypatch.setattr("skactprune.deploy.huffman.AT_ONCE", 5)
    symbols = np.random.default_rng(0).geometric(0.2, 500).clip(max=20)
    lengths = code_lengths(np.bincount(symbols))
    code = np.packbits(encoded(symbols, lengths))
    assert_array_equal(decoded(code, 0, 500, lengths)[0], symbols)
    with pytest.raises(ValueError, match="ends too early"):
        decoded(code[:-1], 0, 500, lengths)


# -- the values -----------------------------------------------------------------------------


def test_clusters_are_a_fixed_point_of_k_means_that_began_evenly_spaced():
    values = np.random.default_rng(0).normal(size=3000)
    labels = clustered(values, 8)
    centres = np.array([values[labels == k].mean() for k in range(8)])
    nearest = np.abs(values[:, None] - centres).argmin(axis=1)
    assert np.mean(nearest != labels) < 0.01
    assert_allclose(means_of(values, labels), centres[labels])
    # Lloyd's algorithm in a loop, from the same start.
    own = np.linspace(values.min(), values.max(), 8)
    for _ in range(300):
        near = np.abs(values[:, None] - own).argmin(axis=1)
        own = np.array([values[near == k].mean() for k in range(8)])
    error, best = ((values - means_of(values, at)) ** 2 for at in (labels, near))
    assert error.mean() < 1.02 * best.mean()


def test_values_of_any_size_are_clustered_without_a_warning():
    tiny = np.append(np.arange(1, 200) * 1e-43, [3e38, -2e38])
    labels = clustered(tiny, 8)
    assert len(np.unique(labels)) <= 8
    assert np.isfinite(means_of(tiny, labels)).all()


@pytest.mark.parametrize("n_distinct", [1, 63, 64, 200, 256])
def test_shared_weights_stay_as_they_are(n_distinct):
    rng = np.random.default_rng(0)
    values = rng.normal(size=n_distinct).astype(np.float32)
    W = rng.choice(values, (60, 40)) * (rng.random((60, 40)) < 0.3)
    W.ravel()[:n_distinct] = values
    storage = Codebook()
    assert_array_equal(storage.decode(storage.encode(W)), W)


def test_other_weights_get_64_values_and_zeros_stay():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(60, 40)) * (rng.random((60, 40)) < 0.3)
    V = Codebook().decode(Codebook().encode(W))
    assert_array_equal(V == 0, W == 0)
    assert len(np.unique(V[V != 0])) <= 64
    assert np.abs(V - W).max() < 0.2
    assert np.sqrt(np.mean((V - W)[W != 0] ** 2)) < 0.05


# -- models and files -----------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.0, 0.02, 0.1, 0.5, 0.9, 1.0])
def test_a_decoder_that_knows_only_the_description_reads_the_same(density, tmp_path):
    sizes = (40, 30, 20, 3)
    model = random_model(sizes, storage="codebook", density=density)
    arrays = model.weights_.to_arrays()
    if density:
        for W, V in zip(by_hand(arrays, sizes), model.coefs_, strict=True):
            assert_array_equal(W, V)
    assert model.nbytes_ == sum(array.nbytes for array in arrays.values())
    save(model, tmp_path / "model")
    for found in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), model.compact()):
        for W, V in zip(found.coefs_, model.coefs_, strict=True):
            assert W.tobytes() == V.tobytes()


@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
def test_the_size_is_near_the_entropy_and_that_of_the_file(density, tmp_path):
    sizes = (300, 200, 10)
    model = random_model(sizes, storage="codebook", density=density)
    least = 0.0
    for W in model.coefs_:
        shares = np.unique(W, return_counts=True)[1] / W.size
        least -= W.size * float(shares @ np.log2(shares)) / 8
    tables = sum(5 * np.unique(W).size + 64 for W in model.coefs_)
    intercepts = 4 * sum(sizes[1:])
    assert least < model.nbytes_ - intercepts < 1.06 * least + tables
    save(model, tmp_path / "model")
    size = (tmp_path / "model").stat().st_size
    assert abs(size - model.nbytes_) < 3000
    assert size < 0.5 * (random_model(sizes, density=density).nbytes_)


def test_any_estimator_becomes_one_and_the_same_again():
    X, _ = problem()
    clf = fitted(granularity="weight")
    model = compact(clf, "codebook")
    assert model.storage_ == "codebook"
    # Small layers keep all of their weights.
    assert_allclose(model.predict_proba(X), clf.predict_proba(X), atol=1e-5)
    scaled = model.weights_.with_scaled_input(np.linspace(-1, 1, 12), np.linspace(0.5, 2, 12))
    again = scaled.stored_as("codebook")
    assert_array_equal(again.logits(X), scaled.logits(X))
    assert not np.shares_memory(again.coefs[0], scaled.coefs[0])


def test_weights_that_float32_does_not_hold_are_refused():
    net = random_net(dtype=np.float64)
    net.coefs[0][0, 0] = 1e300
    with pytest.raises(ValueError, match="dtype='codebook' cannot hold the weights"):
        model_of(net, "codebook")


def damaged():
    """Arrays that no model has, and what is said of them."""
    _, arrays = parts(random_model((30, 20, 3), storage="codebook", density=0.2))
    counts, lengths = arrays["counts"], arrays["lengths"]
    codebook, code = arrays["codebook"], arrays["code"]

    def changed(array, at, value):
        array = array.copy()
        array[at] = value
        return array

    yield "counts", counts[:-1], "counts has the shape"
    yield "counts", changed(counts, 0, 257), "counts are not those"
    yield "counts", changed(counts, 1, 601), "counts are not those"
    yield "counts", changed(counts, 1, counts[1] - 1), "."
    yield "codebook", codebook[:-1], "counts are not those"
    yield "codebook", np.append(codebook, np.float32(9)), "codebook and code are not"
    yield "codebook", codebook[::-1].copy(), "codebook is not in order"
    yield "codebook", changed(codebook, 0, 0), "codebook is not in order"
    yield "codebook", changed(codebook, 0, np.nan), "codebook is not finite"
    yield "codebook", codebook.astype(np.float64), "is of type"
    yield "lengths", lengths[:-1], "lengths are not those"
    yield "lengths", np.append(lengths, np.uint8(0)), "codebook and code are not"
    yield "lengths", changed(lengths, 0, 17), "codes are too long"
    yield "lengths", changed(lengths, 0, lengths[0] + 1), "codes are not complete"
    yield "lengths", np.zeros_like(lengths), "."
    yield "code", code[:-1], "."
    yield "code", np.append(code, np.uint8(0)), "codebook and code are not"
    yield "code", np.zeros_like(code), "."


@pytest.mark.parametrize("name, array, message", list(damaged()))
def test_arrays_that_no_model_has_are_refused(name, array, message, tmp_path):
    meta, arrays = parts(random_model((30, 20, 3), storage="codebook", density=0.2))
    arrays = arrays | {name: array}
    write_text(tmp_path / "model", text_of(meta, arrays), arrays)
    assert_refused(tmp_path / "model", message)


def test_what_follows_the_last_word_is_nothing():
    symbols = np.array([0, 1, 2, 2, 2])
    storage = Codebook()
    W = np.array([1.0, 2.0, 3.0])[symbols].reshape(1, 5)
    arrays = storage.pack([storage.encode(W)])
    # Words of 2, 2 and 1 bits: seven bits, and one that is none.
    assert arrays["code"].size == 1
    arrays["code"] ^= np.uint8(1)
    with pytest.raises(ValueError, match="does not end where it should"):
        storage.unpack(arrays, [(1, 5)])


def test_without_the_arrays_there_is_no_model():
    weights = random_model((30, 20, 3), storage="codebook", density=0.2).weights_
    X = rows(3, 30)
    assert np.isfinite(weights.logits(X)).all()
    for name in ("codebook", "counts", "lengths", "code"):
        arrays = weights.to_arrays()
        del arrays[name]
        with pytest.raises(ValueError):
            CompactWeights.from_arrays(arrays, **weights.metadata())
