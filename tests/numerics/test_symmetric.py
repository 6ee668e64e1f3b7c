"""Eigenvalues of symmetric matrices in batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from syneff.numerics.symmetric import eigh


def symmetric(*shape):
    drawn = np.random.default_rng(0).normal(size=(*shape, 5, 5))
    return drawn + np.swapaxes(drawn, -1, -2)


def check(found, matrix):
    values, vectors, matrix = (np.asarray(each) for each in (*found, matrix))
    assert values == pytest.approx(np.linalg.eigvalsh(matrix), abs=1e-12)
    assert vectors @ (values[..., :, None] * np.swapaxes(vectors, -1, -2)) == pytest.approx(matrix, abs=1e-12)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
def test_values_and_vectors_are_numpys_in_any_batch(batch):
    matrix = symmetric(*batch)
    check(eigh(jnp.asarray(matrix)), matrix)


def test_mapped_over_any_axis():
    matrix = jnp.asarray(symmetric(4, 3))
    check(jax.vmap(eigh)(matrix), matrix)
    check(jax.vmap(jax.vmap(eigh))(matrix), matrix)
    values, _ = jax.vmap(eigh, in_axes=1, out_axes=1)(matrix)
    assert np.asarray(values) == pytest.approx(np.linalg.eigvalsh(matrix), abs=1e-12)
