"""Ranks and reconstructions: what linear algebra promises, and the edges of the domain."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from sklearn.decomposition import PCA

from skactprune.spectra import (
    effective_rank,
    nuclear_norm,
    numerical_rank,
    pca_reconstruct,
    singular_values,
    spectrum_summary,
    stable_rank,
    svd_truncate,
    whitened_truncate,
)

MEASURES = [singular_values, numerical_rank, effective_rank, stable_rank, nuclear_norm]

sizes = st.integers(1, 12)
matrices = st.tuples(sizes, sizes).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-10, 10, width=16))
)


@st.composite
def low_rank(draw):
    """Return a float32 product of an m x r and an r x n matrix, and r."""
    m, n = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    rank = draw(st.integers(0, min(m, n)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Orthonormal factors keep the smallest kept singular value clear of float32's rounding.
    left, right = (np.linalg.qr(rng.normal(size=(size, rank)))[0] for size in (m, n))
    scale = draw(st.sampled_from([1e-12, 1.0, 1e12]))
    values = scale * rng.uniform(0.1, 1, size=rank)
    return (left * values).astype(np.float32) @ right.T.astype(np.float32), rank


@given(low_rank())
def test_rank_of_a_float32_product_is_its_inner_size(case):
    W, rank = case
    assert numerical_rank(W) == rank
    assert numerical_rank(W.T) == rank
    assert numerical_rank(W.astype(np.float64), dtype=np.float32) == rank


def test_tolerance_follows_the_type_of_storage_not_of_computation():
    rng = np.random.default_rng(0)
    W = (rng.normal(size=(100, 30)) @ rng.normal(size=(30, 80))).astype(np.float32)
    assert numerical_rank(W) == 30
    assert numerical_rank(W, dtype="float64") == 80
    assert numerical_rank(np.eye(3, dtype=int)) == 3


@given(matrices)
def test_measures_agree_with_numpy_and_with_each_other(W):
    rank = numerical_rank(W)
    assert rank == np.linalg.matrix_rank(W)
    np.testing.assert_allclose(singular_values(W), np.linalg.svd(W, compute_uv=False), atol=1e-12)
    np.testing.assert_allclose(nuclear_norm(W), np.linalg.norm(W, "nuc"), atol=1e-11)
    # Values below the rank's tolerance still have some entropy, hence the room.
    assert effective_rank(W) <= rank * (1 + 1e-9)
    assert stable_rank(W) <= effective_rank(W) * (1 + 1e-9)
    assert (stable_rank(W) >= 1) == (effective_rank(W) >= 1 - 1e-12) == bool(W.any())


@given(matrices, st.sampled_from([1e-300, 1e-5, 1e300]))
def test_ranks_do_not_depend_on_scale(W, scale):
    for measure in (effective_rank, stable_rank):
        assert measure(scale * W) == pytest.approx(measure(W), rel=1e-6)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_equal_singular_values_count_as_k_in_every_rank(k):
    W = np.diag([3.0] * k + [0.0] * 2)
    assert numerical_rank(W) == k
    assert effective_rank(W) == pytest.approx(k)
    assert stable_rank(W) == pytest.approx(k)
    assert nuclear_norm(W) == pytest.approx(3 * k)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 5)])
def test_zero_matrices_have_rank_zero_and_stay_zero(shape):
    W = np.zeros(shape, np.float32)
    for measure in (numerical_rank, effective_rank, stable_rank, nuclear_norm):
        assert measure(W) == 0
    for r in range(min(shape) + 2):
        assert not pca_reconstruct(W, r).any()
        assert not svd_truncate(W, r).any()


@given(matrices, st.integers(0, 14))
def test_truncation_error_is_that_of_eckart_and_young(W, rank):
    error = W - svd_truncate(W, rank)
    tail = np.linalg.svd(W, compute_uv=False)[rank:]
    np.testing.assert_allclose(np.linalg.norm(error), np.linalg.norm(tail), atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(error, 2), tail.max(initial=0), atol=1e-10)


@given(matrices, st.integers(0, 14))
def test_pca_reconstruction_is_truncation_about_the_mean_row(W, n_components):
    result = pca_reconstruct(W, n_components)
    mean = W.mean(axis=0)
    error = np.linalg.norm(W - result)
    best = np.linalg.norm(W - mean - svd_truncate(W - mean, n_components))
    assert error == pytest.approx(best, abs=1e-9)
    # The mean comes free, so PCA is never further away than the SVD of the same size.
    assert error <= np.linalg.norm(W - svd_truncate(W, n_components)) + 1e-9
    assert numerical_rank(result, dtype=np.float32) <= n_components + 1


def test_pca_reconstruction_is_that_of_sklearn_with_inputs_as_rows():
    kernel = np.random.default_rng(0).normal(size=(30, 20))
    pca = PCA(5, svd_solver="full").fit(kernel)
    expected = pca.inverse_transform(pca.transform(kernel))
    np.testing.assert_allclose(pca_reconstruct(kernel, 5), expected, atol=1e-12)
    assert numerical_rank(expected) == 6
    assert numerical_rank(svd_truncate(kernel, 5)) == 5


@pytest.mark.parametrize("reconstruct", [pca_reconstruct, svd_truncate])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (2, 2), (6, 4), (4, 6)])
def test_all_components_and_more_give_the_kernel_back_in_its_own_type(reconstruct, shape):
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    before = kernel.copy()
    for size in (min(shape), min(shape) + 3):
        result = reconstruct(kernel, size)
        assert result.dtype == np.float32
        assert result.flags.writeable
        np.testing.assert_allclose(result, kernel, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(kernel, before)
    assert reconstruct(kernel.astype(int), 1).dtype == np.float64


def test_no_components_leave_the_mean_row():
    kernel = np.array([[1.0, 2.0], [3.0, 6.0]])
    assert pca_reconstruct(kernel, 0).tolist() == [[2.0, 4.0], [2.0, 4.0]]


def test_summary_says_what_the_single_functions_say():
    rng = np.random.default_rng(0)
    coefs = [rng.normal(size=(8, 5)).astype(np.float32), np.zeros((5, 3)), rng.normal(size=(3, 1))]
    rows = spectrum_summary(coefs)
    for layer, (row, W) in enumerate(zip(rows, coefs, strict=True)):
        assert row == {
            "layer": layer,
            "n_in": W.shape[0],
            "n_out": W.shape[1],
            "rank": numerical_rank(W),
            "effective_rank": effective_rank(W),
            "stable_rank": stable_rank(W),
            "nuclear_norm": nuclear_norm(W),
            "spectral_norm": singular_values(W)[0],
        }
    assert spectrum_summary([]) == []
    product = (rng.normal(size=(40, 3)) @ rng.normal(size=(3, 30))).astype(np.float32)
    assert spectrum_summary([product.astype(float)], dtype=np.float32)[0]["rank"] == 3


BAD_MATRICES = [
    ([1.0, 2.0], r"shape \(2,\)"),
    (np.ones((2, 0)), r"shape \(2, 0\)"),
    (np.ones((2, 2, 2)), r"shape \(2, 2, 2\)"),
    ([["a"]], "real numbers, got dtype <U1"),
    ([[1j]], "real numbers, got dtype complex128"),
    ([[1.0, np.nan]], "finite"),
    ([[-np.inf]], "finite"),
]


@pytest.mark.parametrize("bad, message", BAD_MATRICES)
def test_no_matrix_is_refused_by_name(bad, message):
    for measure in MEASURES:
        with pytest.raises(ValueError, match=f"W must .*{message}"):
            measure(bad)
    for reconstruct in (pca_reconstruct, svd_truncate):
        with pytest.raises(ValueError, match=f"kernel must .*{message}"):
            reconstruct(bad, 1)
    with pytest.raises(ValueError, match=rf"coefs\[1\] must .*{message}"):
        spectrum_summary([np.eye(2), bad])


@pytest.mark.parametrize(
    "reconstruct, name", [(pca_reconstruct, "n_components"), (svd_truncate, "rank")]
)
def test_bad_size_is_refused_by_name(reconstruct, name):
    with pytest.raises(ValueError, match=f"{name} == -1, must be >= 0"):
        reconstruct(np.eye(2), -1)
    with pytest.raises(TypeError, match=f"{name} must be an instance of"):
        reconstruct(np.eye(2), 0.5)


def test_storage_type_must_be_floating():
    with pytest.raises(ValueError, match="dtype must be a floating type .*int64"):
        numerical_rank(np.eye(2), dtype=np.int64)


def test_import_needs_no_torch():
    code = "import sys, skactprune.spectra; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_matrix_of_that_rank_gives_outputs_that_are_nearer(rank):
    rng = np.random.default_rng(rank)
    # Correlated inputs of unlike sizes, and one that is always 0.
    X = rng.normal(size=(50, 5)) @ rng.normal(size=(5, 5)) * [5, 3, 1, 0.2, 0]
    kernel = rng.normal(size=(5, 4))

    def error(K):
        return np.square(X @ kernel - X @ K).sum()

    def of_factors(flat):
        A, B = flat[: 5 * rank].reshape(5, rank), flat[5 * rank :].reshape(rank, 4)
        residual = X @ (A @ B - kernel)
        gradients = 2 * X.T @ residual @ B.T, 2 * A.T @ X.T @ residual
        return np.square(residual).sum(), np.concatenate([of.ravel() for of in gradients])

    starts = rng.normal(size=(8, 9 * rank))
    how = {"jac": True, "method": "L-BFGS-B", "options": {"maxiter": 3000, "ftol": 1e-14}}
    best = min(minimize(of_factors, start, **how).fun for start in starts)
    found = whitened_truncate(kernel, X.T @ X / len(X), rank)
    assert np.linalg.matrix_rank(found) == rank
    assert error(found) == pytest.approx(best, rel=1e-4)
    assert error(found) < error(svd_truncate(kernel, rank))


def test_whitened_truncation_at_the_edges():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(6, 4)).astype(np.float32)
    for scale in (1.0, 7.0):
        found = whitened_truncate(kernel, scale * np.eye(6), 2)
        np.testing.assert_allclose(found, svd_truncate(kernel, 2), atol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(whitened_truncate(kernel, np.eye(6), 9), kernel, atol=1e-6)
    assert not whitened_truncate(kernel, np.eye(6), 0).any()
    with pytest.raises(ValueError, match=r"moment must have the shape \(6, 6\) .*\(4, 4\)"):
        whitened_truncate(kernel, np.eye(4), 2)


@pytest.mark.parametrize("size", [1e308, 1.0, 1e-308])
def test_ratios_of_singular_values_do_not_depend_on_the_size_of_entries(size):
    W = np.ones((4, 3)) + np.eye(4, 3)
    assert numerical_rank(W / 2 * size) == 3
    assert_allclose(effective_rank(W / 2 * size), effective_rank(W))
    assert_allclose(stable_rank(W / 2 * size), stable_rank(W))
    (row,) = spectrum_summary([W / 2 * size])
    assert_allclose([row["rank"], row["stable_rank"]], [3, stable_rank(W)])


def test_values_that_overflow_are_infinite_without_a_warning():
    assert singular_values(np.full((2, 2), 1e308))[0] == np.inf
