"""Masks of dropout: how many inputs they leave out, and that they do so independently."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency

from skactprune.nets.dropout import Dropout, draw, threshold_and_factor


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("rate", [0.001, 0.2, 0.5, 0.9, 0.999])
def test_inputs_are_left_out_as_often_as_asked(rate):
    n_kept = int((draw(torch.empty(1000, 1003), rate, generator()) > 0).sum())
    # Five standard deviations.
    n = 1000 * 1003
    assert abs(n_kept - (1 - rate) * n) < 5 * np.sqrt(n * rate * (1 - rate))


@pytest.mark.parametrize("rate", [1e-9, 1e-5, 0.2, 1 / 3, 0.5, 1 - 1e-5, 1 - 1e-9])
def test_the_expected_input_is_that_without_dropout(rate):
    threshold, factor = threshold_and_factor(rate)
    values = np.arange(2**16, dtype=np.uint16).view(np.int16)
    n_kept = (values < threshold).sum()
    assert factor * n_kept == pytest.approx(2**16)
    assert 0 < n_kept < 2**16
    assert abs(n_kept / 2**16 - (1 - rate)) <= 2**-16


def test_inputs_of_one_draw_are_independent():
    kept = (draw(torch.empty(50_000, 8), 0.3, generator()) > 0).numpy()
    # Each of the eight by itself is as often kept: no bit of a draw stays what it is.
    np.testing.assert_allclose(kept.mean(axis=0), 0.7, atol=5 * np.sqrt(0.21 / 50_000))
    for one in range(8):
        for other in range(one):
            table = np.histogram2d(kept[:, one], kept[:, other], bins=2)[0]
            assert chi2_contingency(table).pvalue > 1e-4
    # Nor do rows depend on those before them.
    assert abs(np.corrcoef(kept[1:].ravel(), kept[:-1].ravel())[0, 1]) < 5 / np.sqrt(kept.size)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 4)])
def test_shape_and_dtype(shape, dtype):
    factors = draw(torch.empty(shape, dtype=dtype), 0.5, generator())
    assert factors.shape == shape and factors.dtype == dtype
    assert set(factors.unique().tolist()) <= {0.0, 2.0}


def test_seeds_decide():
    one, same, other = (draw(torch.empty(9, 9), 0.5, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(4, 5), (1, 3), (20, 8)])
def test_buffers_draw_the_same_masks(shape, dtype):
    dropout, ours = Dropout(0.3, shape, dtype), generator(3)
    h = np.random.RandomState(0).normal(size=shape).astype(dtype)
    gradient = h.copy()
    theirs = generator(3)
    for _ in range(3):
        factors = draw(torch.from_numpy(h), 0.3, theirs).numpy()
        np.testing.assert_array_equal(dropout.forward(h, ours), h * factors)
        gradient[:] = h
        dropout.backward(gradient)
        np.testing.assert_array_equal(gradient, h * factors)
