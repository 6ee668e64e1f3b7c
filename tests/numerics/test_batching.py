"""Chunks: every row once, in order, whatever the chunk size and the number of devices."""

import os
import socket
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


TOGETHER = """
import sys, jax
if sys.argv[2:]:
    jax.distributed.initialize(f"localhost:{sys.argv[1]}", num_processes=2, process_id=int(sys.argv[2]))
import numpy as np, syneff as se
from syneff.numerics import batching
dealt = []
device_get = jax.device_get
jax.device_get = lambda part: dealt.append(1) or device_get(part)
rng = np.random.default_rng(3)
units = se.Technology(rng.lognormal(size=(300, 3)), rng.lognormal(size=(300, 1)), rng.lognormal(size=(300, 1)))
scores = [repr(float(score)) for score in se.slacks_based(units, solver="interior_point").score]
for chunk in (1, 3, 7):
    doubled = batching.map_over_devices(jax.jit(lambda c, x: {"y": c * x}), np.float64(2.0), np.arange(7.0), chunk=chunk)
    assert doubled["y"].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]
print(len(dealt), *scores)
"""


@pytest.mark.slow
def test_processes_that_compute_together_share_the_chunks_and_agree() -> None:
    """Two processes do about half of the chunks each, and both have the scores of one alone."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}

    def start(*words: str) -> subprocess.Popen[str]:
        call = [sys.executable, "-c", TOGETHER, port, *words]
        return subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env=environment)

    (alone,), both = [start()], [start("0"), start("1")]
    dealt, *scores = alone.communicate(timeout=120)[0].split()
    assert len(scores) == 300
    for process in both:
        own, *found = process.communicate(timeout=120)[0].splitlines()[-1].split()  # what connects them talks too
        assert found == scores
        assert int(own) < 0.75 * int(dealt)
