"""Chunks: every row once, in order, whatever the chunk size and the number of devices."""

import os
import subprocess
import sys

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


SCORES = """
import jax, numpy as np, syneff as se
assert len(jax.devices()) == {devices}, jax.devices()
rng = np.random.default_rng(3)
units = se.Technology(rng.lognormal(size=(300, 3)), rng.lognormal(size=(300, 1)), rng.lognormal(size=(300, 1)))
for solver in ("interior_point", "simplex"):
    print(*(repr(float(score)) for score in se.slacks_based(units, solver=solver).score))
"""


@pytest.mark.slow
def test_scores_do_not_depend_on_the_number_of_devices() -> None:
    found = []
    for devices in (1, 3):
        flags = f"--xla_force_host_platform_device_count={devices}"
        code = SCORES.format(devices=devices)
        answer = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"XLA_FLAGS": flags},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append([[float(each) for each in line.split()] for line in answer.stdout.splitlines()])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)
    np.testing.assert_allclose(found[0][0], found[0][1], rtol=1e-10)
    assert max(found[0][0]) > 1
