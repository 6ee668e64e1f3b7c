"""Chunks: every row once, in order, whatever the chunk size."""

import jax.numpy as jnp
import numpy as np
import pytest

from syneff.numerics.batching import map_in_chunks
from syneff.typing import Array


@pytest.mark.parametrize("chunk", [1, 3, 7, 64])
def test_the_last_chunk_may_be_partial(chunk: int) -> None:
    batch = np.random.default_rng(0).normal(size=(7, 2))
    sizes = set()

    def function(rows: Array) -> dict[str, Array]:
        sizes.add(rows.shape[0])
        return {"square": rows**2, "sum": rows.sum(axis=1)}

    mapped = map_in_chunks(function, jnp.asarray(batch), chunk)
    np.testing.assert_array_equal(mapped["square"], batch**2)
    np.testing.assert_allclose(mapped["sum"], batch.sum(axis=1), rtol=1e-15)
    assert sizes == {min(chunk, 7)}
