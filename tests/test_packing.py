"""Sparse storage of weights gives back what was put in, whatever the runs of zeros."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skactprune.deploy.packing import pack, unpack


def unpacked(packed, *shapes):
    return unpack(packed["values"], packed.get("gaps"), shapes, packed["values"].dtype)


@given(st.lists(st.integers(0, 1100), max_size=6), st.integers(0, 700))
def test_runs_of_any_length(runs, rest):
    values = np.zeros(sum(runs) + len(runs) + rest + 1, np.int8)
    values[np.cumsum(runs, dtype=int) + np.arange(len(runs))] = 7
    packed = pack([values.reshape(1, -1)])
    np.testing.assert_array_equal(unpacked(packed, (1, len(values)))[0][0], values)


@pytest.mark.parametrize("gap", [0, 254, 255, 256, 257, 511, 512, 513, 768])
def test_a_run_takes_a_byte_for_every_256_entries(gap):
    values = np.zeros((1, 4000), np.float32)
    values[0, gap] = 1.5
    packed = pack([values])
    assert packed["gaps"].dtype == np.uint8
    assert len(packed["values"]) == gap // 256 + 1 + (3999 - gap) // 256
    np.testing.assert_array_equal(unpacked(packed, values.shape)[0], values)


def test_dense_matrices_are_stored_as_they_are():
    matrices = [np.arange(1.0, 7.0).reshape(2, 3), np.ones((3, 2))]
    packed = pack(matrices)
    assert set(packed) == {"values"}
    for before, after in zip(matrices, unpacked(packed, (2, 3), (3, 2)), strict=True):
        np.testing.assert_array_equal(before, after)
